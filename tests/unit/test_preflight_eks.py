# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Preflight's judgements of EKS clusters, on answers of AWS that are only described."""

from __future__ import annotations

import threading
import types
import typing as t

import pytest
from botocore import exceptions as failures
from unit.preflight_cloud import ACCOUNT, REGION, Answers, Cloud, cluster, host, short, survey

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _aws, _preflight_aws, _preflight_checks
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_eks as eks
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_eks_addons as addons
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_eks_nodes as nodes
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_eks_quotas as quotas
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws_errors import AwsError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import Host
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_aws import Aws, AwsProblem, problem
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_eks_wanted import (
    OWNER_TAG,
    Group,
    version,
    wanted,
)


def refused(code: str, message: str = "No.", operation: str = "DescribeCluster") -> failures.ClientError:
    return failures.ClientError({"Error": {"Code": code, "Message": message}}, operation)


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (failures.NoCredentialsError(), "none", "NoCredentialsError: Unable to locate credentials"),
        (failures.ProfileNotFound(profile="x"), "none", "ProfileNotFound: The config profile (x) could not be found"),
        (failures.SSOTokenLoadError(error_msg="x"), "expired", "SSOTokenLoadError: Error loading SSO Token: x"),
        (failures.EndpointConnectionError(endpoint_url="http://x"), "unreachable", "EndpointConnectionError: Could "),
        (failures.ReadTimeoutError(endpoint_url="http://x"), "unreachable", "ReadTimeoutError: Read timeout on "),
        (refused("ExpiredTokenException"), "expired", "ExpiredTokenException: No"),
        (refused("RequestExpired"), "expired", "RequestExpired: No"),
        (refused("InvalidClientTokenId", "with AKIA1234"), "invalid", "InvalidClientTokenId"),
        (refused("SignatureDoesNotMatch", "The Canonical String"), "invalid", "SignatureDoesNotMatch"),
        (refused("SignatureDoesNotMatch", "Signature expired: 1 is"), "clock", "SignatureDoesNotMatch"),
        (refused("AccessDenied", operation="AssumeRole"), "role", "AccessDenied: No"),
        (refused("AccessDeniedException"), "denied", "AccessDeniedException: No"),
        (
            refused("UnauthorizedOperation", "You may not. Encoded authorization failure message: AbC"),
            "denied",
            "UnauthorizedOperation: You may not",
        ),
        (refused("OptInRequired"), "region", "OptInRequired: No"),
        (refused("ResourceNotFoundException", "x" * 300), "absent", f"ResourceNotFoundException: {'x' * 200} ..."),
        (refused("ServerException", "a\nb"), "other", "ServerException: a"),
    ],
)
def test_kinds_of_problems(error: Exception, kind: str, text: str) -> None:
    found = problem(error)
    assert found.kind == kind
    assert str(found).startswith(text)
    wrapped = AwsError("x", "y")
    wrapped.__cause__ = error
    assert str(problem(wrapped)) == str(found)


def test_each_question_is_asked_once_whoever_asks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    class Client:
        def can_paginate(self, operation: str) -> bool:
            return False

        def describe_cluster(self, name: str) -> Answers:
            made.append(name)
            return {"cluster": {"name": name}}

    aws = Aws()
    monkeypatch.setattr(aws, "_client", lambda *arguments: Client())

    def ask() -> None:
        aws.call(REGION, "eks", "describe_cluster", name="seoul")

    threads = [threading.Thread(target=ask) for _each in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == ["seoul"]


def test_who_has_no_credentials_is_not_asked_for_them_again(monkeypatch: pytest.MonkeyPatch) -> None:
    aws, looked = Aws(), []

    def client(*arguments: t.Any) -> None:
        looked.append(arguments)
        raise failures.NoCredentialsError()

    monkeypatch.setattr(aws, "_client", client)
    for service, operation in (("eks", "list_clusters"), ("ec2", "describe_vpcs"), ("sts", "get_caller_identity")):
        with pytest.raises(AwsProblem, match="NoCredentials"):
            aws.call(REGION, service, operation)
    assert len(looked) == 1


def test_without_its_library_aws_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_aws, "IMPORT_ERROR", ImportError("No module named 'boto3'"))
    cloud = Cloud()
    cloud.aws = t.cast("t.Any", Aws())
    (finding,) = eks.accounts(survey(cloud))
    assert (finding.verdict, finding.variable) == ("fail", "ansible_python_interpreter")
    assert finding.found == "AWS cannot be asked: No module named 'boto3'"
    assert "Install boto3" in finding.remedy


@pytest.mark.parametrize(
    ("status", "code", "attempts", "again"),
    [
        (400, "ThrottlingException", 1, True),
        (503, "RequestLimitExceeded", 7, True),
        (400, "ThrottlingException", 8, False),
        (403, "AccessDenied", 1, False),
        (200, "", 1, False),
        (500, "ServerException", 1, True),
        (500, "ServerException", 2, False),
        (0, "", 1, True),
        (0, "", 2, False),
    ],
)
def test_what_is_asked_again(status: int, code: str, attempts: int, again: bool) -> None:
    answer = (types.SimpleNamespace(status_code=status), {"Error": {"Code": code}} if code else {})
    delay = _preflight_aws._patience(response=answer if status else None, attempts=attempts, operation=None)
    assert (delay is not None) == again


@pytest.mark.parametrize(
    ("cloud", "values", "expected", "found"),
    [
        (Cloud(), {}, [("ok", "")], f"{ACCOUNT}, as expected"),
        (Cloud(**cluster()), {}, [("ok", "")], f"{ACCOUNT}, as expected"),
        (Cloud(), {"cluster_account": ""}, [("fail", "cluster_account")], f"the credentials are of account {ACCOUNT}"),
        (
            Cloud(**cluster()),
            {"cluster_account": "", "cluster_state": "adopted"},
            [("warn", "cluster_account")],
            "is not given",
        ),
        (
            Cloud(**cluster(account="210987654321")),
            {},
            [("fail", "cluster_account")],
            f"of account 210987654321, and {ACCOUNT} is expected",
        ),
        (Cloud(), {"cluster_account": "12345678901"}, [("fail", "cluster_account")], "is no id of an AWS account"),
        (
            Cloud(describe_cluster=AwsProblem("", "clock", "SignatureDoesNotMatch")),
            {},
            [("fail", "AWS_PROFILE")],
            "signed at the wrong time (SignatureDoesNotMatch)",
        ),
        (
            Cloud(describe_cluster=AwsProblem("", "none", "ProfileNotFound")),
            {"eks_cluster_profile": "x"},
            [("fail", "eks_cluster_profile")],
            "no AWS credentials",
        ),
    ],
)
def test_account(cloud: Cloud, values: Answers, expected: list[tuple[str, str]], found: str) -> None:
    findings = list(eks.accounts(survey(cloud, host(**values))))
    assert short(findings) == expected
    assert found in findings[0].found


def test_a_cluster_that_is_there_says_the_account_by_itself() -> None:
    cloud = Cloud(**cluster())
    list(eks.accounts(survey(cloud)))
    assert cloud.asked == ["describe_cluster"]


@pytest.mark.parametrize(
    ("answer", "region", "found"),
    [
        (AwsProblem("", "region", "OptInRequired"), REGION, "is not enabled in the account (OptInRequired)"),
        (AwsProblem("", "invalid", "UnrecognizedClientException"), REGION, "is not enabled in the account (Unrec"),
        (AwsProblem("x", "unreachable", "ConnectTimeoutError"), REGION, "cannot be reached (ConnectTimeoutError: x)"),
        (AwsProblem("x", "unreachable", "EndpointConnectionError"), "ap-northeast-9", "is no region of AWS"),
        (AwsProblem("", "absent", "ResourceNotFoundException"), "Seoul", "'Seoul' is no region of AWS"),
    ],
)
def test_region(answer: AwsProblem, region: str, found: str) -> None:
    findings = list(_preflight_checks.eks.regions(survey(Cloud(describe_cluster=answer), host(cluster_region=region))))
    assert short(findings) == [("fail", "cluster_region")]
    assert found in findings[0].found


@pytest.mark.parametrize(
    ("cloud", "values", "purpose", "expected", "found"),
    [
        (Cloud(), {}, "bootstrap", ("ok", ""), f"to be made in {REGION}"),
        (Cloud(**cluster()), {}, "bootstrap", ("ok", ""), "there, Kubernetes 1.34, ACTIVE"),
        (Cloud(**cluster(tags={})), {}, "bootstrap", ("fail", "cluster_name"), "that something else made"),
        (Cloud(**cluster(tags={OWNER_TAG: "other"})), {}, "bootstrap", ("fail", "cluster_name"), "something else"),
        (Cloud(**cluster(tags={})), {"cluster_state": "adopted"}, "bootstrap", ("ok", ""), "(adopted)"),
        (Cloud(), {"cluster_state": "adopted"}, "bootstrap", ("fail", "cluster_state"), "has no cluster seoul"),
        (Cloud(**cluster(status="DELETING")), {}, "bootstrap", ("fail", "cluster_name"), "is DELETING"),
        (Cloud(**cluster(status="FAILED")), {}, "bootstrap", ("fail", "cluster_name"), "is FAILED"),
        (Cloud(**cluster(status="UPDATING")), {}, "bootstrap", ("ok", ""), "UPDATING"),
        (Cloud(), {"cluster_name": "a b"}, "bootstrap", ("fail", "cluster_name"), "is no name that EKS allows"),
        (
            Cloud(describe_cluster=AwsProblem("You may not", "denied", "AccessDeniedException")),
            {},
            "bootstrap",
            ("fail", "AWS_PROFILE"),
            "(AccessDeniedException: You may not)",
        ),
        (
            Cloud(describe_cluster=AwsProblem("x", "other", "ServerException")),
            {},
            "bootstrap",
            ("fail", "AWS_PROFILE"),
            "(ServerException: x)",
        ),
        (Cloud(), {}, "teardown", ("ok", ""), f"{REGION} has no cluster seoul"),
        (Cloud(**cluster()), {}, "teardown", ("ok", ""), "can be deleted"),
        (Cloud(**cluster(status="DELETING")), {}, "teardown", ("ok", ""), "can be deleted"),
        (
            Cloud(**cluster(deletionProtection=True)),
            {},
            "teardown",
            ("fail", "eks_cluster_deletion_protection"),
            "is on, and AWS would refuse (InvalidRequestException)",
        ),
        (Cloud(**cluster(tags={})), {}, "teardown", ("fail", "cluster_name"), "was made by something else"),
        (
            Cloud(**cluster(tags={}, deletionProtection=True)),
            {"cluster_state": "adopted"},
            "teardown",
            ("ok", ""),
            "it is left alone",
        ),
    ],
)
def test_cluster(cloud: Cloud, values: Answers, purpose: str, expected: tuple[str, str], found: str) -> None:
    findings = list(eks.clusters(survey(cloud, host(**values), purpose=purpose)))
    assert short(findings) == [expected]
    assert found in findings[0].found


@pytest.mark.parametrize(
    ("there", "wants", "expected", "found"),
    [
        (None, "1.34", [("ok", "")], "1.34"),
        (None, "v1.34.2", [("ok", "")], "1.34"),
        (None, "", [], ""),
        (None, "1.33", [("warn", "cluster_version")], "is in extended support"),
        (None, "1.32", [("fail", "cluster_version")], "no longer supports Kubernetes 1.32"),
        (None, "1.29", [("fail", "cluster_version")], f"EKS in {REGION} has no Kubernetes 1.29"),
        (None, "newest", [("fail", "cluster_version")], "is no version of Kubernetes"),
        ("1.34", "1.34", [], ""),
        ("1.34", "", [], ""),
        ("1.33", "1.34", [("ok", "")], "upgrade 1.33 -> 1.34"),
        ("1.34", "1.35", [("fail", "cluster_version")], "has no Kubernetes 1.35"),
        ("1.32", "1.34", [("fail", "cluster_version")], "upgrades one version at a time"),
        ("1.34", "1.33", [("fail", "cluster_version")], "does not go back"),
    ],
)
def test_version(there: str | None, wants: str, expected: list[tuple[str, str]], found: str) -> None:
    cloud = Cloud(**(cluster(there) if there else {}))
    findings = list(eks.versions(survey(cloud, host(cluster_version=wants))))
    assert short(findings) == expected
    assert all(found in finding.found for finding in findings)


def test_the_path_of_a_skipped_version_is_told() -> None:
    (finding,) = eks.versions(survey(Cloud(**cluster("1.31"))))
    assert finding.remedy == "Set it to 1.32, run, and go on from there (1.31 -> 1.32 -> 1.33 -> 1.34)."


def test_an_adopted_cluster_keeps_its_version() -> None:
    adopted = host(cluster_state="adopted", eks_cluster_addons=[{"name": "x"}], eks_cluster_node_groups=[{"name": "x"}])
    asked = survey(Cloud(**cluster("1.31", tags={})), adopted)
    for check in (eks.versions, addons.addons, nodes.nodes, quotas.quotas):
        assert list(check(asked)) == []


@pytest.mark.parametrize(
    ("text", "number"),
    [("1.34", (1, 34)), ("v1.34", (1, 34)), ("1.34.2", (1, 34)), ("", None), ("1", None), ("latest", None)],
)
def test_versions_as_they_are_written(text: str, number: tuple[int, int] | None) -> None:
    assert version(text) == number


ROLE = f"arn:aws:iam::{ACCOUNT}:role/platform/admin"


@pytest.mark.parametrize(
    ("arn", "answer", "expected"),
    [
        ("", {}, []),
        (ROLE, {}, [("ok", "")]),
        (ROLE, AwsProblem("No", "role", "AccessDenied"), [("fail", "eks_cluster_access_role_arn")]),
        (f"arn:aws:iam::{ACCOUNT}:user/x", {}, [("fail", "eks_cluster_access_role_arn")]),
        ("admin", {}, [("fail", "eks_cluster_access_role_arn")]),
    ],
)
def test_access_role(arn: str, answer: t.Any, expected: list[tuple[str, str]]) -> None:
    given = host(eks_cluster_access_role_arn=arn)
    assert short(eks.roles(survey(Cloud(**cluster(), assume_role=answer), given))) == expected


ADDONS = {
    "addons": [
        {"addonName": "vpc-cni", "addonVersions": [{"addonVersion": f"v1.20.{n}-eksbuild.1"} for n in range(9, 0, -1)]},
        {"addonName": "coredns", "addonVersions": [{"addonVersion": "v1.12.4-eksbuild.1"}]},
    ]
}


@pytest.mark.parametrize(
    ("given", "expected", "remedy"),
    [
        ([("vpc-cni", "v1.20.4-eksbuild.1"), ("coredns", "default")], [("ok", "")], ""),
        ([("vpc-cni", "latest")], [("ok", "")], ""),
        ([("vpc-cnni", "")], [("fail", "eks_cluster_addons")], "Did you mean vpc-cni?"),
        ([("istio", "")], [("fail", "eks_cluster_addons")], "`aws eks describe-addon-versions` lists them."),
        (
            [("vpc-cni", "v1.20.4")],
            [("fail", "eks_cluster_addons")],
            "Set its version to one of v1.20.4-eksbuild.1, or to default.",
        ),
        (
            [("vpc-cni", "v2.0.0-eksbuild.1"), ("istio", "")],
            [("fail", "eks_cluster_addons")] * 2,
            "Set its version to one of v1.20.9-eksbuild.1, v1.20.8-eksbuild.1, v1.20.7-eksbuild.1, "
            "v1.20.6-eksbuild.1, v1.20.5-eksbuild.1, or to default.",
        ),
        ([], [], ""),
    ],
)
def test_addons(given: list[tuple[str, str]], expected: list[tuple[str, str]], remedy: str) -> None:
    listed = [{"name": name, "version": version} for name, version in given]
    cloud = Cloud(**cluster(), describe_addon_versions=ADDONS)
    findings = list(addons.addons(survey(cloud, host(eks_cluster_addons=listed))))
    assert short(findings) == expected
    assert not findings or findings[0].remedy == remedy


OFFER = nodes.Offer(
    {"m7g.large": ("arm64",), "m5.large": ("x86_64",), "t1.micro": ("i386", "x86_64")},
    {"m7g.large": frozenset("ab"), "m5.large": frozenset("b"), "t1.micro": frozenset()},
)
ARM, X86 = "AL2023_ARM_64_STANDARD", "AL2023_x86_64_STANDARD"


@pytest.mark.parametrize(
    ("ami", "kind", "zones", "found"),
    [
        (ARM, "m7g.large", "ab", []),
        (X86, "m5.large", "ab", []),
        ("CUSTOM", "m5.large", "ab", []),
        ("BOTTLEROCKET_ARM_64_FIPS", "m7g.large", "ab", []),
        (ARM, "m7g.large", "", []),
        (ARM, "m9.large", "ab", ["here has no instance type m9.large (InvalidInstanceType)"]),
        (ARM, "m5.large", "b", [f"m5.large is x86_64, and the image {ARM} is arm64"]),
        (X86, "m7g.large", "b", [f"m7g.large is arm64, and the image {X86} is x86_64"]),
        (X86, "m5.large", "ac", ["m5.large is offered in none of a, c"]),
        (ARM, "t1.micro", "a", [f"t1.micro is i386 and x86_64, and the image {ARM} is arm64", "t1.micro is offered"]),
    ],
)
def test_instance_types(ami: str, kind: str, zones: str, found: list[str]) -> None:
    wrong = list(nodes.unfit(Group("g", (kind,), ami), kind, OFFER, frozenset(zones), "here"))
    assert len(wrong) == len(found)
    assert all(text.startswith(start) and remedy for (text, remedy), start in zip(wrong, found, strict=True))


@pytest.mark.parametrize(
    ("group", "kubernetes", "found"),
    [
        (Group("g", (), ARM, sizes=(1, 2, 3)), (1, 34), []),
        (Group("g", (), "AL2_x86_64"), (1, 32), []),
        (Group("g", (), "AL2_x86_64"), (1, 33), ["AL2_x86_64 has no image for Kubernetes 1.33"]),
        (Group("g", sizes=(0, 0, 0)), None, []),
        (Group("g", sizes=(2, 1, 3)), None, ["min_size, desired_size and max_size are 2, 1 and 3"]),
        (Group("g", schedules=(("up", "Asia/Seoul"), ("down", "Etc/UTC"))), None, []),
        (Group("g", schedules=(("up", "Seoul"),)), None, ["its schedule up has the time zone 'Seoul', which there is"]),
    ],
)
def test_groups_by_themselves(group: Group, kubernetes: tuple[int, int] | None, found: list[str]) -> None:
    wrong = list(nodes.by_itself(group, kubernetes))
    assert len(wrong) == len(found)
    assert all(text.startswith(start) and remedy for (text, remedy), start in zip(wrong, found, strict=True))


def test_groups_of_several_architectures_and_zones_without_the_type() -> None:
    types = {"m7g.large": ["arm64"], "m5.large": ["x86_64"]}
    cloud = Cloud(
        describe_instance_types={
            "InstanceTypes": [
                {"InstanceType": name, "ProcessorInfo": {"SupportedArchitectures": has}} for name, has in types.items()
            ]
        },
        describe_instance_type_offerings={
            "InstanceTypeOfferings": [{"InstanceType": name, "Location": "a"} for name in types]
        },
        describe_availability_zones={"AvailabilityZones": [{"ZoneName": "a"}, {"ZoneName": "b"}]},
    )
    group = {"name": "g", "instance_types": list(types), "ami_type": "CUSTOM"}
    findings = list(nodes.nodes(survey(cloud, host(eks_cluster_zones=["a", "b"], eks_cluster_node_groups=[group]))))
    variable = "eks_cluster_node_groups"
    assert short(findings) == [("warn", variable), ("warn", variable), ("fail", variable)]
    assert findings[0].found == "group g: m7g.large is not offered in b"
    assert findings[2].found == "group g: its instance types are of different architectures"


def test_what_is_made_counts_for_the_hosts_of_a_region_together() -> None:
    values = {"eks_cluster_vpc_cidr": "10.0.0.0/16", "eks_cluster_nat": "zone", "eks_cluster_zones": ["a", "b"]}
    hosts = [host(name, **values) for name in ("seoul", "busan")]
    used = {"Vpcs": [{"VpcId": "vpc-1"}] * 4}
    cloud = Cloud(describe_vpcs=used, describe_addresses={"Addresses": []}, get_service_quota={"Quota": {"Value": 5.0}})
    (finding,) = [each for each in quotas.quotas(survey(cloud, *hosts)) if each.verdict == "fail"]
    assert finding.found == f"{REGION} has 4 VPCs, 2 more to be made, and 5 allowed"
    assert finding.hosts == ("seoul", "busan")
    assert "--desired-value 6" in finding.remedy


def test_what_a_host_wants() -> None:
    given = wanted(
        host(
            eks_cluster_subnet_ids=["subnet-1"],
            eks_cluster_nat="zone",
            eks_cluster_zones=["a", "b", "c"],
            eks_cluster_node_groups=[{"name": "g", "min_size": 1, "max_size": 3, "desired_size": 2}, {"name": "h"}],
            eks_cluster_addons=[{"name": "x", "version": "latest"}, {"name": "y", "version": "v1"}],
        )
    )
    assert (given.makes_network, given.addresses) == (False, 3)
    assert [(group.sizes, group.subnet_ids) for group in given.groups] == [
        ((1, 2, 3), ("subnet-1",)),
        (None, ("subnet-1",)),
    ]
    assert given.addons == {"x": "", "y": "v1"}


def test_only_clusters_of_eks_are_looked_at() -> None:
    cloud = Cloud()
    others = survey(cloud, Host("dev", {"cluster_provider": "kwok"}, provider="kwok"))
    names = ("aws ", "eks ")
    mine = [check for check in _preflight_checks.CHECKS if check.name.startswith(names)]
    assert len(mine) == 11
    assert [finding for check in mine for finding in check.run(others)] == []
    assert cloud.asked == []
