# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The EKS modules against the look-alike of AWS, through Ansible as a user runs them, and counted as AWS would."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import time
import typing as t
import urllib.request

import boto3
import pytest

from .conftest import COLLECTIONS, Run, free_ports

REGION = "ap-northeast-2"
SECRET = "not-a-secret-of-anybody"
SERVER = "ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_server"
DELAYS = {"cluster": 1, "nodegroup": 0.5, "addon": 0.2, "capability": 0.2, "update": 0.2}
TRUST = {
    "cluster": ("eks.amazonaws.com", ["sts:AssumeRole"]),
    "nodes": ("ec2.amazonaws.com", ["sts:AssumeRole"]),
    "argocd": ("pods.eks.amazonaws.com", ["sts:AssumeRole", "sts:TagSession"]),
    "capability": ("capabilities.eks.amazonaws.com", ["sts:AssumeRole", "sts:TagSession"]),
}
Arguments = dict[str, t.Any]


@dataclasses.dataclass
class LocalAws:
    """A look-alike that runs, and what the clusters of a test need."""

    url: str
    subnets: list[str] = dataclasses.field(default_factory=list)
    roles: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """For Ansible. The secret key is censored in all results, so it is no word that occurs in them."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "rehearsal",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": REGION,
        }

    def control(self, method: str, path: str, body: t.Any = None) -> t.Any:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"{self.url}/local-aws/{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"{}")

    def furnish(self) -> None:
        """Roles, and subnets in two zones."""
        keys = {"aws_access_key_id": "rehearsal", "aws_secret_access_key": SECRET, "region_name": REGION}
        session = boto3.session.Session(**keys)  # type: ignore[arg-type]
        iam, ec2 = (session.client(name, endpoint_url=self.url) for name in ("iam", "ec2"))
        for name, (service, actions) in TRUST.items():
            statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": actions}
            policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            self.roles[name] = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy)["Role"]["Arn"]
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        for number, zone in enumerate("abc"):
            cidr = f"10.0.{number}.0/24"
            subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=cidr, AvailabilityZone=f"{REGION}{zone}")["Subnet"]
            self.subnets.append(subnet["SubnetId"])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[LocalAws]:
    """One look-alike for all tests here."""
    aws = LocalAws(f"http://127.0.0.1:{free_ports(1)}")
    log = tmp_path_factory.mktemp("aws") / "log"
    command = [sys.executable, "-m", SERVER, "--port", aws.url.rsplit(":", 1)[1]]
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "--settings", json.dumps({"delays": DELAYS})],
            env={"PYTHONPATH": str(COLLECTIONS[0]), "PATH": "/usr/bin:/bin", "HOME": str(log.parent)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                aws.control("GET", "health")
                break
            except OSError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
        yield aws
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def aws(running: LocalAws) -> LocalAws:
    """An account with nothing in it but roles and subnets."""
    running.control("POST", "reset")
    running.subnets.clear()
    running.furnish()
    running.control("DELETE", "calls")
    return running


@pytest.fixture
def walk(aws: LocalAws, play: t.Callable[..., Run]) -> t.Callable[..., dict[str, Arguments]]:
    """walk({module: arguments}, check=) runs them in one play; their results by module, none of them failed."""

    def run(tasks: dict[str, Arguments], *, check: bool = False) -> dict[str, Arguments]:
        plays = [
            {
                "hosts": "all",
                "gather_facts": False,
                "module_defaults": {"group/hubspoke.bootstrap.aws": {"region": REGION}},
                "tasks": [
                    {"name": module, f"hubspoke.bootstrap.{module}": arguments} for module, arguments in tasks.items()
                ],
            }
        ]
        done = play(plays, "--diff", *(["--check"] if check else []), environment=aws.environment)
        assert done.code == 0, done.output
        return {module: done.result(module) for module in tasks}

    return run


def _tasks(aws: LocalAws) -> dict[str, Arguments]:
    """Everything of one cluster, in the order in which it is made."""
    on = {"cluster_name": "seoul"}
    return {
        "eks_cluster": {
            "name": "seoul",
            "version": "1.33",
            "role_arn": aws.roles["cluster"],
            "subnet_ids": aws.subnets[:2],
            "endpoint_private_access": True,
            "public_access_cidrs": ["203.0.113.0/24"],
            "logging": ["api", "audit"],
            "bootstrap_creator_admin": False,
            "self_managed_addons": False,
            "deletion_protection": True,
            "tags": {"team": "platform"},
        },
        "eks_access_entry": {
            **on,
            "principal_arn": aws.roles["argocd"],
            "kubernetes_groups": ["readers"],
            "policies": [{"policy": "AmazonEKSEditPolicy", "namespaces": ["web"]}, {"policy": "AmazonEKSViewPolicy"}],
        },
        "eks_nodegroup": {
            **on,
            "name": "arm",
            "node_role_arn": aws.roles["nodes"],
            "subnet_ids": aws.subnets,
            "ami_type": "AL2023_ARM_64_STANDARD",
            "instance_types": ["m7g.large"],
            "capacity_type": "SPOT",
            "scaling": {"min_size": 1, "max_size": 3},
            "labels": {"pool": "general"},
            "taints": [{"key": "arch", "value": "arm64", "effect": "NO_SCHEDULE"}],
            "version": "1.33",
        },
        "eks_addon": {
            **on,
            "name": "vpc-cni",
            "version": "default",
            "configuration": {"env": {"ENABLE_PREFIX_DELEGATION": "true"}},
        },
        "eks_pod_identity_association": {
            **on,
            "namespace": "argocd",
            "service_account": "argocd-server",
            "role_arn": aws.roles["argocd"],
        },
        "eks_capability": {
            **on,
            "name": "argocd",
            "type": "ARGOCD",
            "role_arn": aws.roles["capability"],
            "argo_cd": {
                "namespace": "argocd",
                "idc_instance_arn": "arn:aws:sso:::instance/ssoins-0123456789abcdef",
                "idc_region": REGION,
                "role_mappings": [{"role": "ADMIN", "identities": [{"id": "g-1", "type": "SSO_GROUP"}]}],
            },
        },
    }


def _changed(tasks: dict[str, Arguments]) -> dict[str, Arguments]:
    changes: dict[str, Arguments] = {
        "eks_cluster": {"version": "1.34", "logging": [], "zonal_shift": True, "tags": {"stage": "prod"}},
        "eks_access_entry": {"kubernetes_groups": [], "policies": [{"policy": "AmazonEKSClusterAdminPolicy"}]},
        "eks_nodegroup": {"scaling": {"min_size": 2, "max_size": 4}, "labels": {}, "taints": []},
        "eks_addon": {"configuration": {}},
        "eks_pod_identity_association": {"disable_session_tags": True},
        "eks_capability": {"argo_cd": {"role_mappings": []}},
    }
    return {module: {**arguments, **changes[module]} for module, arguments in tasks.items()}


def _said(results: dict[str, Arguments]) -> dict[str, t.Any]:
    return {module: [result["changed"], result["actions"], result["diff"]] for module, result in results.items()}


def test_create_repeat_modify_repeat_delete_delete(aws: LocalAws, walk: t.Callable[..., dict[str, Arguments]]) -> None:
    tasks = _tasks(aws)
    predicted = walk(tasks, check=True)
    assert aws.control("GET", "calls")["writes"] == 0
    made = walk(tasks)
    assert {module: result["actions"][0] for module, result in made.items()} == dict.fromkeys(tasks, "created")
    for module in tasks:
        assert predicted[module]["actions"] == made[module]["actions"], module
    assert made["eks_cluster"]["cluster"]["status"] == "ACTIVE"
    assert made["eks_nodegroup"]["nodegroup"]["autoscaling_groups"]
    _repeated(aws, walk, tasks)

    tasks = _changed(tasks)
    predicted = walk(tasks, check=True)
    assert _said(predicted) == _said(walk(tasks))
    _repeated(aws, walk, tasks)

    # The node group follows its control plane.
    tasks = {"eks_nodegroup": {**tasks["eks_nodegroup"], "version": "1.34"}}
    assert walk(tasks)["eks_nodegroup"]["actions"] == ["version: 1.33 → 1.34"]

    names = ("cluster_name", "name", "principal_arn", "namespace", "service_account")
    gone = {
        module: {key: value for key, value in arguments.items() if key in names} | {"state": "absent"}
        for module, arguments in reversed(_tasks(aws).items())
    }
    gone["eks_cluster"]["deletion_protection"] = False
    predicted = walk(gone, check=True)
    assert _said(predicted) == _said(walk(gone))
    assert not any(result["changed"] for result in walk(gone).values())


def _repeated(aws: LocalAws, walk: t.Callable[..., dict[str, Arguments]], tasks: dict[str, Arguments]) -> None:
    for check in (True, False):
        aws.control("DELETE", "calls")
        repeated = walk(tasks, check=check)
        assert {module: result["actions"] for module, result in repeated.items()} == {module: [] for module in tasks}
        calls = aws.control("GET", "calls")
        assert calls["writes"] == 0
        # One for each, and for some a second; two more for an add-on's default version.
        assert calls["total"] <= len(tasks) + 4, calls["operations"]


def test_a_cluster_whose_tokens_iam_takes_leaves_nothing_of_that(
    aws: LocalAws, walk: t.Callable[..., dict[str, Arguments]]
) -> None:
    tags = {"hubspoke.bootstrap/cluster": "seoul"}
    url = f"https://oidc.eks.{REGION}.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
    tasks = {"iam_oidc_provider": {"url": url, "account_id": "123456789012", "tags": tags}}
    predicted = walk(tasks, check=True)
    assert aws.control("GET", "calls")["writes"] == 0
    made = walk(tasks)
    assert _said(predicted) == _said(made)
    assert made["iam_oidc_provider"]["provider"]["arn"].endswith(f":oidc-provider/{url.removeprefix('https://')}")
    aws.control("DELETE", "calls")
    assert not walk(tasks)["iam_oidc_provider"]["changed"]
    calls = aws.control("GET", "calls")
    assert (calls["total"], calls["writes"]) == (1, 0)
    gone = {"iam_oidc_provider": {"state": "absent", "match_tags": tags}}
    assert walk(gone)["iam_oidc_provider"]["actions"] == ["deleted"]
    assert not walk(gone)["iam_oidc_provider"]["changed"]
    # And what Kubernetes made is found by its.
    keys = {"aws_access_key_id": "rehearsal", "aws_secret_access_key": SECRET, "region_name": REGION}
    ec2 = boto3.client("ec2", endpoint_url=aws.url, **keys)  # type: ignore[call-overload]
    volume = ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=1)["VolumeId"]
    ec2.create_tags(Resources=[volume], Tags=[{"Key": "kubernetes.io/cluster/seoul", "Value": "owned"}])
    left = walk({"eks_leftovers_info": {"cluster_name": "seoul"}})["eks_leftovers_info"]
    assert (left["told"], left["unread"]) == ([f"volume {volume} (available)"], [])


def test_throttling_fails_nothing(aws: LocalAws, walk: t.Callable[..., dict[str, Arguments]]) -> None:
    tasks = _tasks(aws)
    aws.control("POST", "settings", {"throttle": 0.2})
    try:
        assert all(result["changed"] for result in walk(tasks).values())
    finally:
        aws.control("POST", "settings", {"throttle": 0})
    assert aws.control("GET", "calls")["throttled"] > 0


def test_both_ways_of_running_say_the_same(aws: LocalAws, run_module: t.Callable[..., Arguments]) -> None:
    arguments = {"name": "seoul", "version": "1.40", "region": REGION, "role_arn": "x", "subnet_ids": ["subnet-x"]}
    failures = {
        run_module("eks_cluster", arguments, in_process=here, environment=aws.environment)["msg"]
        for here in (True, False)
    }
    assert len(failures) == 1
    assert failures.pop().startswith(f"EKS in {REGION} has no version 1.40 for the cluster seoul. It has 1.3")


@pytest.mark.parametrize(
    ("module", "arguments", "code"),
    [
        ("eks_cluster", {"name": "a"}, "InvalidParameterException"),
        ("eks_nodegroup", {"cluster_name": "none", "name": "a"}, "ResourceNotFoundException"),
    ],
)
def test_refusals(
    aws: LocalAws, run_module: t.Callable[..., Arguments], module: str, arguments: Arguments, code: str
) -> None:
    role = {"eks_cluster": "role_arn", "eks_nodegroup": "node_role_arn"}[module]
    given = {**arguments, "region": REGION, "subnet_ids": aws.subnets[:1], role: aws.roles["cluster"]}
    failed = run_module(module, given, environment=aws.environment)
    assert f"cannot be created: {code}" in failed["msg"]
    assert failed["aws_code"] == code


@pytest.mark.parametrize(
    ("changed", "code"),
    [({"AWS_ACCESS_KEY_ID": "EXPIRED1"}, "ExpiredToken"), ({"AWS_REGION": "me-south-1"}, "UnrecognizedClient")],
)
def test_ways_in_that_are_closed(
    running: LocalAws, run_module: t.Callable[..., Arguments], changed: dict[str, str], code: str
) -> None:
    failed = run_module("eks_cluster_info", {}, environment={**running.environment, **changed})
    assert code in failed["msg"]


def test_reading(aws: LocalAws, walk: t.Callable[..., dict[str, Arguments]]) -> None:
    cluster = {"eks_cluster": _tasks(aws)["eks_cluster"]}
    made = walk(cluster)["eks_cluster"]["cluster"]
    assert walk({"eks_cluster_info": {"names": ["seoul", "tokyo"]}})["eks_cluster_info"]["clusters"] == [made]
