# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The network that is there, as EC2 describes it, cut down to what is compared. Pure: descriptions in, objects out."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

Description = t.Mapping[str, t.Any]

GONE = ("deleted", "deleting", "failed", "rejected", "expired")
"""States of gateways, endpoints and peering connections that are as good as none."""


def tags(description: Description) -> dict[str, str]:
    """Tags as a mapping."""
    return {entry["Key"]: entry["Value"] for entry in description.get("Tags") or []}


@dataclass(frozen=True)
class Thing:
    """Anything with an id and tags."""

    id: str
    tags: dict[str, str]

    @property
    def name(self) -> str:
        """What its tag says."""
        return self.tags.get("Name", "")


@dataclass(frozen=True)
class Vpc(Thing):
    """A VPC."""

    cidrs: tuple[str, ...]


@dataclass(frozen=True)
class FoundSubnet(Thing):
    """A subnet."""

    cidr: str
    zone: str
    public: bool


@dataclass(frozen=True)
class Nat(Thing):
    """A NAT gateway."""

    subnet: str
    state: str
    allocations: tuple[str, ...]


@dataclass(frozen=True)
class Table(Thing):
    """A route table.

    :arg routes: Id of the target by what leads there; only routes that work.
    """

    routes: dict[str, str]
    subnets: tuple[str, ...]
    main: bool


@dataclass(frozen=True)
class FoundEndpoint(Thing):
    """An endpoint."""

    service: str
    interface: bool
    tables: tuple[str, ...]
    subnets: tuple[str, ...]
    state: str


@dataclass(frozen=True)
class Peering(Thing):
    """A peering connection."""

    requester: str
    accepter: str
    status: str
    cidrs: tuple[str, ...] = ()

    def other(self, vpc_id: str | None) -> str:
        """The VPC on the other side; empty where this one has no part in it."""
        if vpc_id not in (self.requester, self.accepter):
            return ""
        return self.accepter if vpc_id == self.requester else self.requester


@dataclass(frozen=True)
class Found:
    """The whole network.

    :arg vpc: None where there is none, then everything else is empty.
    :arg peer_vpcs: Ids of the VPCs of peers that are there, by the peers' names.
    :arg groups: Ids of the VPC's security groups, by their names.
    """

    vpc: Vpc | None = None
    subnets: tuple[FoundSubnet, ...] = ()
    gateways: tuple[Thing, ...] = ()
    nats: tuple[Nat, ...] = ()
    tables: tuple[Table, ...] = ()
    endpoints: tuple[FoundEndpoint, ...] = ()
    peerings: tuple[Peering, ...] = ()
    peer_vpcs: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)


def vpc(description: Description) -> Vpc:
    """A VPC of describe_vpcs."""
    associations = description.get("CidrBlockAssociationSet") or []
    others = [entry["CidrBlock"] for entry in associations]
    return Vpc(description["VpcId"], tags(description), tuple(dict.fromkeys([description["CidrBlock"], *others])))


def subnet(description: Description) -> FoundSubnet:
    """A subnet of describe_subnets."""
    return FoundSubnet(
        description["SubnetId"],
        tags(description),
        description["CidrBlock"],
        description["AvailabilityZone"],
        bool(description.get("MapPublicIpOnLaunch")),
    )


def gateway(description: Description) -> Thing:
    """An internet gateway of describe_internet_gateways."""
    return Thing(description["InternetGatewayId"], tags(description))


def nat(description: Description) -> Nat:
    """A NAT gateway of describe_nat_gateways."""
    addresses = description.get("NatGatewayAddresses") or []
    allocations = tuple(entry["AllocationId"] for entry in addresses if entry.get("AllocationId"))
    return Nat(
        description["NatGatewayId"], tags(description), description["SubnetId"], description["State"], allocations
    )


def table(description: Description) -> Table:
    """A route table of describe_route_tables."""
    routes = {
        route["DestinationCidrBlock"]: target
        for route in description.get("Routes") or []
        if route.get("DestinationCidrBlock") and route.get("State", "active") == "active" and (target := _target(route))
    }
    associations = description.get("Associations") or []
    subnets = tuple(sorted(entry["SubnetId"] for entry in associations if entry.get("SubnetId")))
    main = any(entry.get("Main") for entry in associations)
    return Table(description["RouteTableId"], tags(description), routes, subnets, main)


def _target(route: Description) -> str:
    for key in ("GatewayId", "NatGatewayId", "VpcPeeringConnectionId", "TransitGatewayId", "NetworkInterfaceId"):
        if route.get(key):
            return str(route[key])
    return ""


def endpoint(description: Description) -> FoundEndpoint:
    """An endpoint of describe_vpc_endpoints."""
    return FoundEndpoint(
        description["VpcEndpointId"],
        tags(description),
        # com.amazonaws.<region>.<service>, where the service may have dots itself (ecr.api).
        description["ServiceName"].split(".", 3)[-1],
        description.get("VpcEndpointType") == "Interface",
        tuple(sorted(description.get("RouteTableIds") or [])),
        tuple(sorted(description.get("SubnetIds") or [])),
        str(description.get("State", "")).lower(),
    )


def peering(description: Description) -> Peering:
    """A peering connection of describe_vpc_peering_connections."""
    return Peering(
        description["VpcPeeringConnectionId"],
        tags(description),
        description["RequesterVpcInfo"]["VpcId"],
        description["AccepterVpcInfo"]["VpcId"],
        description["Status"]["Code"],
        tuple(
            description[side]["CidrBlock"]
            for side in ("RequesterVpcInfo", "AccepterVpcInfo")
            if description[side].get("CidrBlock")
        ),
    )
