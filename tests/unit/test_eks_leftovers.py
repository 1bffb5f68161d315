# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a deleted cluster left: planted in a look-alike of AWS, and found again."""

from __future__ import annotations

import typing as t

import boto3
import pytest
from unit.eks_aws import REGION, aws, connection, moto

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _aws_wait
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _eks_leftovers as leftovers
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws import Aws
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws_wait import Deadline
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_leftovers import Leftover
from ansible_collections.hubspoke.bootstrap.plugins.modules import eks_leftovers_info

__all__ = ["aws", "moto"]

Object = dict[str, t.Any]
OURS = {"hubspoke.bootstrap/cluster": "seoul"}
KUBERNETES = {"kubernetes.io/cluster/seoul": "owned"}
CONTROLLER = {"elbv2.k8s.aws/cluster": "seoul"}
FOREIGN = {"hubspoke.bootstrap/cluster": "tokyo", "kubernetes.io/cluster/tokyo": "owned"}


def _pairs(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _plant(tags: dict[str, str], controller: dict[str, str], network: str) -> dict[str, str]:
    """One of each kind; kinds by id."""
    ec2, elb = boto3.client("ec2", region_name=REGION), boto3.client("elbv2", region_name=REGION)

    def tagged(kind: str) -> Object:
        return {"TagSpecifications": [{"ResourceType": kind, "Tags": _pairs(tags)}]}

    vpc = ec2.create_vpc(CidrBlock=f"{network}.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"{network}.{number}.0/24", AvailabilityZone=f"{REGION}{zone}")
        for number, zone in enumerate("ab")
    ]
    first, second = (each["Subnet"]["SubnetId"] for each in subnets)
    made: Object = {}
    volume = ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=1, **tagged("volume"))
    made[volume["VolumeId"]] = "volume"
    interface = ec2.create_network_interface(SubnetId=first, Description="ELB app/k8s-a", **tagged("network-interface"))
    made[interface["NetworkInterface"]["NetworkInterfaceId"]] = "network interface"
    group = ec2.create_security_group(GroupName="k8s", Description="d", VpcId=vpc, **tagged("security-group"))
    made[group["GroupId"]] = "security group"
    address = ec2.allocate_address(Domain="vpc", **tagged("elastic-ip"))
    made[address["AllocationId"]] = "elastic address"
    name = "-".join(["k8s", *network.split(".")])
    balancer = elb.create_load_balancer(Name=name, Subnets=[first, second], Tags=_pairs(controller))
    made[balancer["LoadBalancers"][0]["LoadBalancerArn"]] = "load balancer"
    targets = elb.create_target_group(Name=name, Protocol="HTTP", Port=80, VpcId=vpc, Tags=_pairs(controller))
    made[targets["TargetGroups"][0]["TargetGroupArn"]] = "target group"
    logs = boto3.client("logs", region_name=REGION)
    logs.create_log_group(logGroupName=f"/apps/{name}", tags=tags)
    made[f"/apps/{name}"] = "log group"
    return made


def test_what_bears_its_name_is_found_with_its_id(aws: str, make_task: t.Callable[..., t.Any]) -> None:
    params = {**connection(), "cluster_name": "seoul", "wait_timeout": 0}

    def look() -> Object:
        task, *_rest = make_task(params)
        result: Object = eks_leftovers_info.run(task)
        assert result["unread"] == []
        return result

    _plant(FOREIGN, {"elbv2.k8s.aws/cluster": "tokyo"}, "10.9")
    assert look()["leftovers"] == []
    planted = _plant(KUBERNETES, CONTROLLER, "10.1") | _plant(OURS, OURS, "10.2")
    # EKS leaves it, and without a tag.
    boto3.client("logs", region_name=REGION).create_log_group(logGroupName="/aws/eks/seoul/cluster")
    planted["/aws/eks/seoul/cluster"] = "log group"
    found = look()
    assert {each["id"]: each["kind"] for each in found["leftovers"]} == planted
    (interface,) = [told for told in found["told"] if "ELB app/k8s-a" in told][:1]
    assert interface.startswith("network interface eni-")
    elb = boto3.client("elbv2", region_name=REGION)
    for arn, kind in planted.items():
        if kind == "load balancer":
            elb.delete_load_balancer(LoadBalancerArn=arn)
    assert not [each for each in look()["leftovers"] if each["kind"] == "load balancer"]


def test_what_may_not_be_read_is_told_and_the_rest_too(
    aws: str, make_task: t.Callable[..., t.Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = _plant(OURS, OURS, "10.3")
    service = Aws.service

    def without(self: Aws, name: str) -> t.Any:
        # Nothing answers there.
        self._endpoint = "http://127.0.0.1:1" if name == "logs" else None
        return service(self, name)

    monkeypatch.setattr(Aws, "service", without)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    task, *_rest = make_task({**connection(), "cluster_name": "seoul", "wait_timeout": 0})
    result = eks_leftovers_info.run(task)
    assert {each["id"] for each in result["leftovers"]} == set(planted)
    (unread,) = result["unread"]
    assert unread.startswith("Cluster seoul: its log groups cannot be read: EndpointConnectionError")


@pytest.mark.parametrize(
    ("tags", "belongs"),
    [
        (OURS, True),
        (FOREIGN, False),
        (KUBERNETES, True),
        ({"kubernetes.io/cluster/seoul": "shared"}, False),
        ({"kubernetes.io/cluster/seoul": "shared", **OURS}, True),
        ({"cluster.k8s.amazonaws.com/name": "seoul"}, True),
        ({"aws:eks:cluster-name": "tokyo"}, False),
        ({}, False),
    ],
)
def test_tags(tags: dict[str, str], belongs: bool) -> None:
    assert leftovers.belongs("seoul", tags) is belongs


@pytest.mark.parametrize(
    ("arn", "told"),
    [
        ("arn:aws:ec2:r:1:volume/vol-1", None),
        ("arn:aws:eks:r:1:cluster/seoul", None),
        ("arn:aws:elasticloadbalancing:r:1:listener/app/a/1/2", None),
        ("arn:aws:elasticloadbalancing:r:1:targetgroup/a/1", "target group {}"),
        ("arn:aws:elasticloadbalancing:r:1:loadbalancer/a", "load balancer {}"),
        ("arn:aws:logs:r:1:log-group:/a/b", "log group /a/b"),
        ("arn:aws:s3:::bucket", "s3 {}"),
        ("arn:aws:elasticfilesystem:r:1:file-system/fs-1", "elasticfilesystem file-system {}"),
    ],
)
def test_arns(arn: str, told: str | None) -> None:
    found = leftovers.of_arn(arn)
    assert (str(found) if found else None) == (told and told.format(arn))


def test_what_is_described_but_gone_is_not_left() -> None:
    (kind,) = [each for each in leftovers._KINDS if each.noun == "NAT gateway"]
    described = [
        {"NatGatewayId": f"nat-{state}", "State": state, "Tags": _pairs(OURS)} for state in ("deleted", "deleting")
    ]
    (found,) = leftovers.of_ec2(kind, described, "seoul")
    assert (str(found), found.passes) == ("NAT gateway nat-deleting (deleting)", True)


@pytest.mark.parametrize(("seconds", "looks"), [(0, 1), (60, 3)])
def test_only_what_may_go_is_waited_for_and_not_for_ever(
    seconds: int, looks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(_aws_wait, "_sleep", slept.append)
    volume, interface = Leftover("volume", "vol-1"), Leftover("network interface", "eni-1")
    answers = [[volume, interface], [volume, interface], [volume]]
    said: list[str] = []
    found = leftovers.wait(lambda: answers.pop(0), Deadline(seconds), said.append)
    assert (3 - len(answers), volume in found) == (looks, True)
    assert said == (["waiting for network interface eni-1"] if seconds else [])

    def over() -> float:
        return sum(slept)

    slept.clear()
    left = leftovers.wait(lambda: [interface], Deadline(12, clock=over), said.append)
    assert (left, 12 <= sum(slept) < 13) == ([interface], True)
