# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the network of an EKS cluster with as few calls as there are kinds of things."""

from __future__ import annotations

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _eks_network_found as found_
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws import Aws, Service, preload
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_network_found import Found
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_network_wanted import OWNER, Wanted
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

preload("ec2")

Connect = t.Callable[[str], Service]
"""The EC2 of a region."""


def connector(params: t.Mapping[str, t.Any]) -> Connect:
    """With a task's connection options; other regions with the same credentials."""
    services: dict[str, Service] = {}

    def connect(region: str) -> Service:
        if region not in services:
            services[region] = Aws({**params, "region": region}).service("ec2")
        return services[region]

    return connect


def read(wanted: Wanted, connect: Connect) -> Found:
    """What is there of it.

    :raises HubspokeError: AWS refused, or there are two VPCs of that name.
    """
    reader = _Reader(wanted, connect)
    return reader.read()


class _Reader:
    def __init__(self, wanted: Wanted, connect: Connect) -> None:
        self._wanted = wanted
        self._connect = connect
        self._ec2 = connect(wanted.region)
        self._doing = f"Cluster {wanted.cluster}: its network cannot be read"

    def read(self) -> Found:
        wanted = self._wanted
        vpc = self._vpc()
        if not vpc:
            return Found(peer_vpcs=self._peer_vpcs(()))
        here = [{"Name": "vpc-id", "Values": [vpc.id]}]
        attached = [{"Name": "attachment.vpc-id", "Values": [vpc.id]}]
        peerings = self._peerings(vpc.id) if wanted.peers else ()
        return Found(
            vpc=vpc,
            subnets=tuple(map(found_.subnet, self._pages("describe_subnets", "Subnets", here))),
            gateways=tuple(
                map(found_.gateway, self._pages("describe_internet_gateways", "InternetGateways", attached))
            ),
            nats=tuple(map(found_.nat, self._nats(here))) if wanted.nat_zones else (),
            tables=tuple(map(found_.table, self._pages("describe_route_tables", "RouteTables", here))),
            endpoints=self._endpoints(here) if wanted.endpoints else (),
            peerings=peerings,
            peer_vpcs=self._peer_vpcs(peerings),
            groups=self._groups(here) if wanted.interfaces else {},
        )

    def _pages(self, operation: str, key: str, filters: t.Any = ()) -> list[dict[str, t.Any]]:
        return self._ec2.pages(operation, key, self._doing, Filters=list(filters))

    def _nats(self, here: t.Any) -> list[dict[str, t.Any]]:
        # This one operation names its option in the singular.
        return self._ec2.pages("describe_nat_gateways", "NatGateways", self._doing, Filter=here)

    def _peerings(self, vpc_id: str) -> tuple[found_.Peering, ...]:
        # Of all: a filter finds only those of one direction.
        found = map(found_.peering, self._pages("describe_vpc_peering_connections", "VpcPeeringConnections"))
        return tuple(each for each in found if each.other(vpc_id))

    def _endpoints(self, here: t.Any) -> tuple[found_.FoundEndpoint, ...]:
        return tuple(map(found_.endpoint, self._pages("describe_vpc_endpoints", "VpcEndpoints", here)))

    def _groups(self, here: t.Any) -> dict[str, str]:
        groups = self._pages("describe_security_groups", "SecurityGroups", here)
        return {group["GroupName"]: group["GroupId"] for group in groups}

    def _vpc(self) -> found_.Vpc | None:
        by_name = [{"Name": "tag:Name", "Values": [self._wanted.vpc_name]}]
        found = [found_.vpc(each) for each in self._pages("describe_vpcs", "Vpcs", by_name)]
        ours = [vpc for vpc in found if vpc.tags.get(OWNER) == self._wanted.cluster]
        if len(ours) > 1:
            raise HubspokeError(
                f"Cluster {self._wanted.cluster}: {self._wanted.region} has {len(ours)} VPCs "
                f"{self._wanted.vpc_name} of it: "
                f"{', '.join(vpc.id for vpc in ours)}.",
                f"Delete those that are not in use, or take their tag {OWNER} away.",
            )
        return next(iter([*ours, *found]), None)

    def _peer_vpcs(self, peerings: t.Sequence[found_.Peering]) -> dict[str, str]:
        """Of those peers only that no active connection tells of, and of this account: another's cannot be listed."""
        active = {cidr for each in peerings if each.status == "active" for cidr in each.cidrs}
        result = {}
        for peer in self._wanted.peers:
            if peer.cidr in active or peer.vpc_id or peer.account:
                continue
            filters = [{"Name": "tag:Name", "Values": [peer.vpc_name]}, {"Name": "cidr", "Values": [peer.cidr]}]
            found = self._connect(peer.region).pages("describe_vpcs", "Vpcs", self._doing, Filters=filters)
            if found:
                result[peer.name] = found[0]["VpcId"]
        return result
