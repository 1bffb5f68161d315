# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""For tests of preflight: an AWS that is only described, and hosts with clusters in it."""

from __future__ import annotations

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import Finding, Host, Survey
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_aws import AwsProblem
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_eks_wanted import OWNER_TAG

ACCOUNT, REGION = "123456789012", "ap-northeast-2"
VERSIONS = [("1.33", "EXTENDED_SUPPORT"), ("1.34", "STANDARD_SUPPORT"), ("1.32", "UNSUPPORTED")]

Answers = dict[str, t.Any]


class Cloud:
    """A probe whose AWS answers what it is told; what it is not told of is not there."""

    aws_endpoint = ""

    def __init__(self, **answers: t.Any) -> None:
        self.aws = self
        self.asked: list[str] = []
        self._answers: Answers = {
            "get_caller_identity": {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:user/deployer"},
            "describe_cluster_versions": {
                "clusterVersions": [{"clusterVersion": name, "versionStatus": status} for name, status in VERSIONS]
            },
            **answers,
        }

    def call(self, region: str, service: str, operation: str, profile: str = "", **params: t.Any) -> t.Any:
        self.asked.append(operation)
        answer = self._answers.get(operation, AwsProblem("", "absent", "ResourceNotFoundException"))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def known_regions(self, region: str) -> tuple[str, ...]:
        return (REGION, "ap-northeast-1")

    def default_region(self, region: str) -> str:
        return "us-east-1"


def cluster(version: str = "1.34", name: str = "seoul", account: str = ACCOUNT, **more: t.Any) -> Answers:
    arn = f"arn:aws:eks:{REGION}:{account}:cluster/{name}"
    shape = {"name": name, "arn": arn, "version": version, "status": "ACTIVE", "tags": {OWNER_TAG: name}}
    return {"describe_cluster": {"cluster": {**shape, **more}}}


def host(name: str = "seoul", **values: t.Any) -> Host:
    given = {"cluster_region": REGION, "cluster_account": ACCOUNT, "cluster_version": "1.34", **values}
    return Host(name, given, provider="eks")


def survey(cloud: Cloud, *hosts: Host, **options: t.Any) -> Survey:
    return Survey(hosts or (host(),), ("seoul",), options, probe=cloud)


def short(findings: t.Iterable[Finding]) -> list[tuple[str, str]]:
    found = list(findings)
    assert all(bool(finding.remedy) == bool(finding.variable) == (finding.verdict != "ok") for finding in found), found
    return [(finding.verdict, finding.variable) for finding in found]
