# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What still bears a cluster's name after its deletion: load balancers, volumes, addresses, logs and the like.

EC2 is asked itself, since it knows at once what is gone and in which state the rest is. Of everything else the Resource
Groups Tagging API tells, which goes on telling of what is gone for a while, so that load balancers are asked for too.
"""

from __future__ import annotations

import functools
import typing as t
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws import Aws, Service
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws_errors import AwsError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws_wait import Deadline, pause
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_network_wanted import OWNER
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Progress

_AT_ONCE = 6
_PAUSE = 5.0
_ANY = ""


@dataclass(frozen=True)
class Leftover:
    """One thing.

    :arg kind: What it is, for people.
    :arg id: By which its service knows it.
    :arg name: What people call it, or what it says of itself.
    :arg state: Its service's word for it, empty where there is none.
    """

    kind: str
    id: str
    name: str = ""
    state: str = ""

    def __str__(self) -> str:
        more = ", ".join(each for each in (self.name, self.state) if each)
        return f"{self.kind} {self.id}{f' ({more})' if more else ''}"

    @property
    def passes(self) -> bool:
        """Whether it may go by itself in a moment."""
        return self.kind == "network interface" or self.state.lower().startswith("delet")

    def shown(self) -> dict[str, str]:
        """For the result."""
        return asdict(self)


@dataclass(frozen=True)
class Kind:
    """One kind of resource of EC2.

    :arg gone: States of what is still described, but not there any more.
    """

    noun: str
    operation: str
    key: str
    id: str
    name: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    tags: str = "Tags"
    gone: tuple[str, ...] = ()


_KINDS = (
    Kind("instance", "describe_instances", "Reservations", "InstanceId", (), ("State", "Name"), gone=("terminated",)),
    Kind("volume", "describe_volumes", "Volumes", "VolumeId", (), ("State",)),
    Kind("snapshot", "describe_snapshots", "Snapshots", "SnapshotId", ("Description",), ("State",)),
    Kind(
        "network interface",
        "describe_network_interfaces",
        "NetworkInterfaces",
        "NetworkInterfaceId",
        ("Description",),
        ("Status",),
        "TagSet",
    ),
    Kind("security group", "describe_security_groups", "SecurityGroups", "GroupId", ("GroupName",)),
    Kind("elastic address", "describe_addresses", "Addresses", "AllocationId", ("PublicIp",)),
    Kind("NAT gateway", "describe_nat_gateways", "NatGateways", "NatGatewayId", (), ("State",), gone=("deleted",)),
    Kind(
        "endpoint",
        "describe_vpc_endpoints",
        "VpcEndpoints",
        "VpcEndpointId",
        ("ServiceName",),
        ("State",),
        gone=("deleted",),
    ),
    Kind(
        "peering connection",
        "describe_vpc_peering_connections",
        "VpcPeeringConnections",
        "VpcPeeringConnectionId",
        (),
        ("Status", "Code"),
        gone=("deleted", "rejected", "expired", "failed"),
    ),
    Kind(
        "launch template", "describe_launch_templates", "LaunchTemplates", "LaunchTemplateId", ("LaunchTemplateName",)
    ),
    Kind("subnet", "describe_subnets", "Subnets", "SubnetId", ("CidrBlock",)),
    Kind("route table", "describe_route_tables", "RouteTables", "RouteTableId"),
    Kind("internet gateway", "describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
    Kind("VPC", "describe_vpcs", "Vpcs", "VpcId", ("CidrBlock",)),
)
"""In the order in which they are told: first what costs most, or keeps other things from going."""

# Whose answers are not needed: EC2 is asked itself, and what is in a cluster or a balancer goes with it.
_NOT_TOLD = ("ec2", "eks", "iam", "autoscaling")
_NOUNS = {
    "elasticloadbalancing:loadbalancer": "load balancer",
    "elasticloadbalancing:targetgroup": "target group",
    "logs:log-group": "log group",
}
_CONFIRMED = {
    "load balancer": ("describe_load_balancers", "LoadBalancers", "LoadBalancerArn"),
    "target group": ("describe_target_groups", "TargetGroups", "TargetGroupArn"),
}
_LOGS = ("/aws/eks/{}/", "/aws/containerinsights/{}/")


def tags(cluster: str) -> dict[str, str]:
    """The tags by which things say that they are a cluster's, an empty value where any counts."""
    return {
        OWNER: cluster,
        f"kubernetes.io/cluster/{cluster}": _ANY,
        # AWS Load Balancer Controller, the add-on vpc-cni, and EKS itself.
        "elbv2.k8s.aws/cluster": cluster,
        "cluster.k8s.amazonaws.com/name": cluster,
        "aws:eks:cluster-name": cluster,
    }


def belongs(cluster: str, found: Mapping[str, str]) -> bool:
    """Whether something with these tags is the cluster's. What it only shared with others is not."""
    shared = {f"kubernetes.io/cluster/{cluster}": "shared"}
    mine = {key: value for key, value in found.items() if (key, value) not in shared.items()}
    return any(key in mine and value in (_ANY, mine[key]) for key, value in tags(cluster).items())


def of_ec2(kind: Kind, described: Iterable[Mapping[str, t.Any]], cluster: str) -> list[Leftover]:
    """Out of what EC2 describes."""
    result = []
    for item in described:
        found = {tag["Key"]: tag["Value"] for tag in item.get(kind.tags) or []}
        state = str(_at(item, kind.state) or "")
        if belongs(cluster, found) and state not in kind.gone:
            name = next((str(item[key]) for key in kind.name if item.get(key)), found.get("Name", ""))
            result.append(Leftover(kind.noun, str(item.get(kind.id)), name, state))
    return result


def of_arn(arn: str) -> Leftover | None:
    """Out of what the tagging API tells, None where others tell it better."""
    service, resource = arn.split(":", 5)[2::3]
    if service in _NOT_TOLD:
        return None
    kind, separator, name = resource.partition(":" if service == "logs" else "/")
    if service == "elasticloadbalancing" and kind.startswith("listener"):
        return None
    noun = _NOUNS.get(f"{service}:{kind}", f"{service} {kind}" if separator else service)
    return Leftover(noun, name) if noun == "log group" else Leftover(noun, arn)


def _at(item: Mapping[str, t.Any], path: Iterable[str]) -> t.Any:
    value: t.Any = item
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return None if value is item else value


class Reader:
    """The requests.

    :arg aws: The region that is looked at.
    """

    def __init__(self, aws: Aws, cluster: str) -> None:
        self._cluster = cluster
        self._aws = aws
        self.unread: list[str] = []
        """What could not be asked, and why."""

    def all(self) -> list[Leftover]:
        """Everything that is there now. What may not be asked is in `unread`, so that the rest is told all the same."""
        self.unread = []
        ec2, tagging = self._aws.service("ec2"), self._aws.service("resourcegroupstaggingapi")
        balancers, logs = self._aws.service("elbv2"), self._aws.service("logs")
        looks: list[Callable[[], list[Leftover]]] = [
            *(functools.partial(self._of_ec2, ec2, kind) for kind in _KINDS),
            lambda: self._tagged(tagging, balancers),
            lambda: self._logs(logs),
        ]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = [item for items in pool.map(self._read, looks) for item in items]
        self.unread.sort()
        return list({(item.kind, item.id): item for item in found}.values())

    def _read(self, look: Callable[[], list[Leftover]]) -> list[Leftover]:
        try:
            return look()
        except AwsError as error:
            self.unread.append(str(error))
            return []

    def _of_ec2(self, ec2: Service, kind: Kind) -> list[Leftover]:
        doing = f"Cluster {self._cluster}: every {kind.noun} that it left cannot be read"
        listed = [{"Name": "tag-key", "Values": list(tags(self._cluster))}]
        # EC2 itself calls it so in this one operation.
        request: dict[str, t.Any] = {"Filter" if kind.operation == "describe_nat_gateways" else "Filters": listed}
        if kind.operation == "describe_snapshots":
            request["OwnerIds"] = ["self"]  # without it EC2 looks through everybody's
        if ec2.client.can_paginate(kind.operation):
            found = ec2.pages(kind.operation, kind.key, doing, **request)
        else:
            found = ec2.call(kind.operation, doing, **request).get(kind.key) or []
        if kind.noun == "instance":
            found = [instance for reservation in found for instance in reservation.get("Instances") or []]
        return of_ec2(kind, found, self._cluster)

    def _tagged(self, tagging: Service, balancers: Service) -> list[Leftover]:
        doing = f"Cluster {self._cluster}: what bears its tags cannot be read"
        found: dict[str, Leftover] = {}
        for key, value in tags(self._cluster).items():
            wanted = {"Key": key, **({"Values": [value]} if value else {})}
            for item in tagging.pages("get_resources", "ResourceTagMappingList", doing, TagFilters=[wanted]):
                leftover = of_arn(item["ResourceARN"])
                has = {tag["Key"]: tag["Value"] for tag in item.get("Tags") or []}
                if leftover and belongs(self._cluster, has):
                    found[item["ResourceARN"]] = leftover
        return list(self._confirmed(found, balancers))

    def _confirmed(self, found: Mapping[str, Leftover], balancers: Service) -> Iterator[Leftover]:
        """Without balancers and target groups that are gone."""
        there: dict[str, set[str]] = {}
        for arn, leftover in found.items():
            if leftover.kind in _CONFIRMED and (leftover.kind == "target group" or arn.count("/") > 1):
                operation, key, name = _CONFIRMED[leftover.kind]
                if leftover.kind not in there:
                    doing = f"Cluster {self._cluster}: every {leftover.kind} that it left cannot be read"
                    there[leftover.kind] = {item[name] for item in balancers.pages(operation, key, doing)}
                if arn not in there[leftover.kind]:
                    continue
            yield leftover

    def _logs(self, logs: Service) -> list[Leftover]:
        """EKS puts no tag on the logs of a control plane, and leaves them."""
        doing = f"Cluster {self._cluster}: its log groups cannot be read"
        return [
            Leftover("log group", item["logGroupName"])
            for prefix in _LOGS
            for item in logs.pages(
                "describe_log_groups", "logGroups", doing, logGroupNamePrefix=prefix.format(self._cluster)
            )
        ]


def wait(look: Callable[[], list[Leftover]], deadline: Deadline, say: Progress) -> list[Leftover]:
    """What is left once nothing of it may go by itself any more, or the time is over."""
    said = ""
    while True:
        found = look()
        passing = sorted(str(item) for item in found if item.passes)
        if not passing or not deadline.left():
            return found
        if (line := ", ".join(passing)) != said:
            say(f"waiting for {line}")
            said = line
        pause(min(_PAUSE, max(deadline.left(), 0.01)))
