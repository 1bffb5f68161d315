# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Preflight of EKS clusters against a moto server: what is wrong is told, each with one message, and with few calls.

Each folder of tests/fixtures/invalid_aws_inventories is a case. Its hosts.yml comes on top of common.yml, with which
nothing is wrong; expected.yml is as in invalid_inventories, and its `aws` says what the account is like.
"""

from __future__ import annotations

import collections
import json
import os
import pathlib
import re
import typing as t
import urllib.request
from collections.abc import Iterator

import boto3
import pytest
import yaml
from aws_stand_in import ACCOUNT, Behaviour, StandIn
from jinja2.nativetypes import NativeEnvironment

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_checks
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import Finding, message
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_eks_wanted import OWNER_TAG
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_probe import Probe

ROOT = pathlib.Path(__file__).parents[2]
INVENTORIES = ROOT / "tests/fixtures/invalid_aws_inventories"
CASES = sorted(path.parent.name for path in INVENTORIES.glob("*/expected.yml"))
SECRET = "not-a-secret-of-anybody"
SEOUL, TOKYO = "ap-northeast-2", "ap-northeast-1"
AWS = [name for name in _preflight_checks.NAMES if name.startswith(("aws ", "eks ", "inventory values"))]
OTHERS = [name for name in _preflight_checks.NAMES if name not in AWS]
CLUSTER = {"region": SEOUL, "version": "1.34"}
BOTH = {"clusters": {"seoul": CLUSTER, "tokyo": {"region": TOKYO, "version": "1.34"}}}

Settings = dict[str, t.Any]


@pytest.fixture(scope="module")
def server() -> Iterator[StandIn]:
    running = StandIn()
    running.start()
    yield running
    running.stop()


@pytest.fixture
def aws(server: StandIn, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., StandIn]:
    """An account like a case's `aws`; environment that says how it is reached."""
    urllib.request.urlopen(urllib.request.Request(f"{server.address}/moto-api/reset", method="POST")).close()
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    given = {
        "AWS_ENDPOINT_URL": server.address,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "PREFLIGHT_TEST_FOLDER": str(tmp_path),
    }
    keys = {"AWS_ACCESS_KEY_ID": "A" * 20, "AWS_SECRET_ACCESS_KEY": SECRET}

    def prepare(settings: Settings) -> StandIn:
        server.behaviour = Behaviour()
        for name, value in (given | keys).items():
            monkeypatch.setenv(name, value)
        for name, cidr in settings.get("subnets", {}).items():
            monkeypatch.setenv(name, make_subnet(cidr))
        for name, cluster in settings.get("clusters", {}).items():
            make_cluster(name, **cluster)
        for region in settings.get("addresses", []):
            boto3.client("ec2", region_name=region).allocate_address(Domain="vpc")
        (tmp_path / "config").write_text(settings.get("profiles", ""))
        for name, value in settings.get("environment", {}).items():
            monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
        protected = tuple(name for name, entry in settings.get("clusters", {}).items() if entry.get("protected"))
        server.behaviour = Behaviour(protected=protected)
        for name in ("regions", "denied", "quotas", "throttled"):
            if name in settings:
                setattr(server.behaviour, name, settings[name])
        return server

    return prepare


def make_subnet(cidr: str) -> str:
    ec2 = boto3.client("ec2", region_name=SEOUL)
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    made = ec2.create_subnet(VpcId=vpc, CidrBlock=cidr, AvailabilityZone=f"{SEOUL}a")
    return str(made["Subnet"]["SubnetId"])


def make_cluster(name: str, region: str, version: str, owner: str | None = None, protected: bool = False) -> None:
    owner = name if owner is None else owner
    boto3.client("eks", region_name=region).create_cluster(
        name=name,
        version=version,
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/cluster",
        resourcesVpcConfig={"subnetIds": []},
        tags={OWNER_TAG: owner} if owner else {},
    )


def inventory(*sources: pathlib.Path) -> dict[str, Settings]:
    """The variables of each host, as far as these inventories need Ansible to read them."""
    everybody: Settings = {}
    hosts: dict[str, Settings] = {}
    for source in sources:
        content = yaml.safe_load(source.read_text())
        everybody |= (content.pop("all", None) or {}).get("vars", {})
        for group in content.values():
            for name, own in group["hosts"].items():
                hosts.setdefault(name, {}).update(own)
    raw = {name: everybody | own for name, own in hosts.items()}
    native = NativeEnvironment()
    known = {"hostvars": raw, "lookup": lambda _plugin, name: os.environ[name], "ansible_playbook_python": ""}

    def evaluated(value: t.Any) -> t.Any:
        if isinstance(value, list):
            return [evaluated(item) for item in value]
        if isinstance(value, dict):
            return {key: evaluated(item) for key, item in value.items()}
        return native.from_string(value).render(known) if "{{" in str(value) else value

    return {name: t.cast("Settings", evaluated(own)) for name, own in raw.items()}


def arguments(folder: pathlib.Path, *sources: pathlib.Path, purpose: str = "bootstrap") -> Settings:
    """What the module preflight is given."""
    read = inventory(INVENTORIES / "common.yml", *sources)
    return {
        "folder": str(folder),
        "roles": ["dev_cluster", "eks_cluster"],
        "hosts": {name: {"variables": own} for name, own in read.items()},
        "hubs": ["seoul"],
        "skip": OTHERS,
        "purpose": purpose,
    }


def findings(folder: pathlib.Path, *sources: pathlib.Path, purpose: str = "bootstrap") -> list[Finding]:
    """What preflight finds of the inventories."""
    params = arguments(folder, *sources, purpose=purpose)
    return _preflight_checks.prepare(params, Probe(15), lambda *secrets: None).findings()


@pytest.fixture
def folder() -> pathlib.Path:
    """The collection."""
    return ROOT


@pytest.mark.parametrize("case", CASES)
def test_bad_input(case: str, aws: t.Callable[..., StandIn], folder: pathlib.Path) -> None:
    expected = yaml.safe_load((INVENTORIES / case / "expected.yml").read_text())
    aws(expected.get("aws", {}))
    found = findings(folder, INVENTORIES / case / "hosts.yml", purpose=expected.get("purpose", "bootstrap"))
    wrong = [finding for finding in found if finding.verdict == "fail"]
    text = " ".join(message(found).split())
    assert len(wrong) == expected["problems"], text
    assert {pattern: len(re.findall(pattern, text)) for pattern in expected["matches"]} == dict.fromkeys(
        expected["matches"], 1
    ), text
    assert not any(secret in text for secret in [SECRET, *expected.get("secrets", [])])
    assert all(finding.variable and finding.remedy for finding in found if finding.verdict != "ok")


def unsound(found: list[Finding]) -> list[Finding]:
    return [finding for finding in found if finding.verdict != "ok"]


def test_nothing_is_wrong_and_little_is_asked(aws: t.Callable[..., StandIn], folder: pathlib.Path) -> None:
    server = aws({})
    found = findings(folder)
    assert unsound(found) == []
    assert sorted({finding.check for finding in found}) == sorted({*AWS} - {"aws roles", "eks capability"})
    calls = collections.Counter(server.behaviour.calls)
    assert calls["sts.GetCallerIdentity"] == calls["ec2.DescribeVpcs"] == 2
    assert sum(calls.values()) == 2 * 11, calls


def test_a_repeat_makes_two_calls_for_each_cluster_and_one_for_the_hub(
    aws: t.Callable[..., StandIn], folder: pathlib.Path
) -> None:
    server = aws(BOTH)
    assert unsound(findings(folder)) == []
    assert sorted(server.behaviour.calls) == [
        "eks.GET /addons/supported-versions",
        "eks.GET /addons/supported-versions",
        "eks.GET /clusters/seoul",
        "eks.GET /clusters/seoul/capabilities",
        "eks.GET /clusters/tokyo",
    ]


@pytest.mark.parametrize("case", ["", "version_skipped"])
def test_both_ways_of_running_say_the_same(
    case: str, aws: t.Callable[..., StandIn], folder: pathlib.Path, run_module: t.Callable[..., t.Any]
) -> None:
    expected = yaml.safe_load((INVENTORIES / case / "expected.yml").read_text()) if case else {"aws": BOTH}
    address = aws(expected["aws"]).address
    given = arguments(folder) | {"timeout": 15}
    here, there = (
        run_module("preflight", given, in_process=in_process, environment={"AWS_ENDPOINT_URL": address})
        for in_process in (True, False)
    )
    assert {**here, "invocation": ""} == {**there, "invocation": ""}
    assert here["changed"] is False
    assert ("msg" in here) == bool(case)
    assert SECRET not in here.output + there.output
    for pattern in expected.get("matches", ()):
        assert re.search(pattern, " ".join(here["msg"].split()))


@pytest.mark.parametrize(
    ("playbook", "case"), [("bootstrap.yml", "zone_only_one"), ("playbooks/teardown.yml", "deletion_protection")]
)
def test_a_playbook_stops_before_its_first_change(
    playbook: str, case: str, aws: t.Callable[..., StandIn], play: t.Callable[..., t.Any]
) -> None:
    expected = yaml.safe_load((INVENTORIES / case / "expected.yml").read_text())
    server = aws(expected.get("aws", {}))
    run = play(
        ROOT / playbook,
        *("-i", str(INVENTORIES / case / "hosts.yml")),
        *("-e", json.dumps({"preflight_skip": ["ports", "tools"], "preflight_timeout": 15})),
        inventory=str(INVENTORIES / "common.yml"),
        environment={"AWS_ENDPOINT_URL": server.address},
    )
    failed = [line["task"] for line in run.lines if line["status"] != "ok"]
    assert (run.code, failed) == (2, ["Check everything that can be known before the first change"]), run.output
    text = " ".join(run.lines[-1]["result"]["msg"].split())
    assert all(re.search(pattern, text) for pattern in expected["matches"]), text
    assert not any(line["result"].get("changed") for line in run.lines)
    assert all(re.search(r"GET |[.]Get|[.]Describe", call) for call in server.behaviour.calls), server.behaviour.calls


def test_a_throttled_answer_is_asked_for_again(aws: t.Callable[..., StandIn], folder: pathlib.Path) -> None:
    server = aws({**BOTH, "throttled": 0.3})
    assert unsound(findings(folder)) == []
    assert len(server.behaviour.calls) >= 4


def test_before_a_teardown_only_the_cluster_is_looked_at(aws: t.Callable[..., StandIn], folder: pathlib.Path) -> None:
    server = aws({"clusters": {"seoul": CLUSTER}})
    found = findings(folder, purpose="teardown")
    assert unsound(found) == []
    told = {finding.found for finding in found if finding.check == "eks cluster"}
    assert told == {f"seoul in {SEOUL} can be deleted", f"{TOKYO} has no cluster tokyo"}
    assert len(server.behaviour.calls) == 3


@pytest.mark.parametrize(
    ("settings", "variable", "found"),
    [
        ({"denied": ["GET /cluster-versions"]}, "cluster_version", "the versions that EKS has could not be read"),
        ({"denied": ["GET /addons/supported-versions"]}, "eks_cluster_addons", "the versions of add-ons could not"),
        ({"denied": ["DescribeInstanceTypes"]}, "eks_cluster_node_groups", "the instance types could not be read"),
        ({"denied": ["DescribeAvailabilityZones"]}, "eks_cluster_zones", "the zones of the region could not be read"),
        ({"denied": ["DescribeVpcs"]}, "eks_cluster_vpc_cidr", "how many VPCs there are could not be read"),
        (
            {"denied": ["GetServiceQuota"], "addresses": [SEOUL] * 5 + [TOKYO] * 5},
            "eks_cluster_nat",
            r"5 elastic IPs, 1 more to be made, and 5 allowed \(the quota itself could not be read, AccessDenied",
        ),
    ],
)
def test_what_may_not_be_read_is_said(
    settings: Settings, variable: str, found: str, aws: t.Callable[..., StandIn], folder: pathlib.Path
) -> None:
    aws(settings)
    doubts = unsound(findings(folder))
    assert {(doubt.verdict, doubt.variable) for doubt in doubts} == {("warn", variable)}
    assert all(re.search(found, doubt.found) for doubt in doubts), doubts


def test_a_quota_that_is_not_known_does_not_matter_while_the_usual_one_suffices(
    aws: t.Callable[..., StandIn], folder: pathlib.Path
) -> None:
    aws({"denied": ["GetServiceQuota"]})
    assert unsound(findings(folder)) == []


def test_what_an_interrupted_run_made_is_not_counted_twice(aws: t.Callable[..., StandIn], folder: pathlib.Path) -> None:
    aws({"quotas": {"L-F678F1CE": 2, "L-0263D0A3": 5}})
    for region, name in ((SEOUL, "seoul"), (TOKYO, "tokyo")):
        ec2 = boto3.client("ec2", region_name=region)
        vpc = ec2.create_vpc(CidrBlock="10.10.0.0/16")["Vpc"]["VpcId"]
        ec2.create_tags(Resources=[vpc], Tags=[{"Key": OWNER_TAG, "Value": name}])
    assert unsound(findings(folder)) == []
