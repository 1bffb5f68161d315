# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is to be done to a network: differences = f(wanted, found). Pure, and what unit tests test.

Each difference carries the arguments of the amazon.aws module that removes it. Where one depends on another that is not
there yet its arguments are incomplete: it is not ready, and becomes so once the other one is made.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_difference import Difference, Object
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_network_found import (
    GONE,
    Found,
    FoundEndpoint,
    FoundSubnet,
    Nat,
    Peering,
    Table,
    Thing,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_network_wanted import (
    INTERNET,
    OWNER,
    Peer,
    RouteTable,
    Subnet,
    Wanted,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

VPC, SUBNET, GATEWAY, GROUP = "vpc", "subnet", "internet_gateway", "security_group"
NAT, TABLE, ENDPOINT, PEERING = "nat_gateway", "route_table", "endpoint", "peering"
ACCEPTANCE = "peering_acceptance"


@dataclass
class Plan:
    """All differences in an order in which they can be removed.

    :arg pending: What waits for somebody else, in words.
    """

    differences: list[Difference] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)

    def add(self, kind: str, name: str, before: Object | None, after: Object, arguments: Object) -> None:
        """One more, if there is a difference at all."""
        if before != after:
            self.differences.append(Difference(kind, name, before, after, arguments))


def plan(wanted: Wanted, found: Found) -> Plan:
    """Everything in which the network differs.

    :raises HubspokeError: what is there is somebody else's, or cannot be changed into what is wanted.
    """
    return _Planner(wanted, found).run()


class _Planner:
    def __init__(self, wanted: Wanted, found: Found) -> None:
        self._wanted = wanted
        self._found = found
        self._vpc_id = found.vpc.id if found.vpc else None
        self._plan = Plan()
        self._subnets = {subnet.cidr: subnet for subnet in found.subnets}
        self._peerings = {peer.name: self._peering_of(peer) for peer in wanted.peers}

    def run(self) -> Plan:
        self._vpc()
        for subnet in self._wanted.subnets:
            self._subnet(subnet)
        self._gateway()
        if self._wanted.interfaces:
            self._group()
        for peer in self._wanted.peers:
            self._peering(peer)
        for zone in self._wanted.nat_zones:
            self._nat(zone)
        for table in self._wanted.route_tables:
            self._table(table)
        for service in self._wanted.endpoints:
            self._endpoint(service)
        return self._plan

    def _vpc(self) -> None:
        wanted, vpc = self._wanted, self._found.vpc
        tags = wanted.tagged(wanted.vpc_name)
        after: Object = {"cidr": wanted.cidr, "tags": tags}
        if vpc and vpc.tags.get(OWNER) != wanted.cluster:
            raise HubspokeError(
                f"Cluster {wanted.cluster}: the VPC {vpc.id} of {wanted.region} is called {wanted.vpc_name} "
                "too, but its tag "
                f"{OWNER} is {vpc.tags.get(OWNER) or 'missing'}, so somebody else made it.",
                "Give eks_cluster_vpc_name another name, or eks_cluster_subnet_ids to use that VPC as it is.",
            )
        if vpc and wanted.cidr not in vpc.cidrs:
            raise HubspokeError(
                f"Cluster {wanted.cluster}: its VPC {vpc.id} has {', '.join(vpc.cidrs)}, not {wanted.cidr}. "
                "A VPC's first network cannot be changed.",
                "Set eks_cluster_vpc_cidr to what it has, or delete the cluster and make it anew.",
            )
        before = {"cidr": wanted.cidr, "tags": _ours(vpc, tags)} if vpc else None
        arguments = {"name": wanted.vpc_name, "cidr": wanted.cidr, "tags": tags}
        self._plan.add(VPC, wanted.vpc_name, before, after, arguments)

    def _subnet(self, subnet: Subnet) -> None:
        found = self._subnets.get(subnet.cidr)
        if found and found.zone != subnet.zone:
            raise HubspokeError(
                f"Cluster {self._wanted.cluster}: its subnet {found.id} ({subnet.cidr}) is in zone "
                f"{found.zone}, not in "
                f"{subnet.zone}. A subnet stays in its zone.",
                "Keep the order of eks_cluster_zones, or give the subnets' networks.",
            )
        tags = self._wanted.tagged(subnet.name, subnet.tags)
        after: Object = {"cidr": subnet.cidr, "zone": subnet.zone, "public_addresses": subnet.public, "tags": tags}
        before = None
        if found:
            before = {**after, "public_addresses": found.public, "tags": _ours(found, tags)}
        arguments = {**after, "vpc_id": self._vpc_id}
        self._plan.add(SUBNET, subnet.name, before, after, arguments)

    def _gateway(self) -> None:
        name = self._wanted.vpc_name
        tags = self._wanted.tagged(name)
        gateway = next(iter(self._found.gateways), None)
        before = {"tags": _ours(gateway, tags)} if gateway else None
        self._plan.add(GATEWAY, name, before, {"tags": tags}, {"vpc_id": self._vpc_id, "tags": tags})

    def _group(self) -> None:
        """The security group of interface endpoints: HTTPS from within the VPC."""
        name = self._wanted.group
        after: Object = {"rules": [f"tcp 443 from {self._wanted.cidr}"]}
        before = after if name in self._found.groups else None
        arguments = {
            "name": name,
            "vpc_id": self._vpc_id,
            "cidr": self._wanted.cidr,
            "tags": self._wanted.tagged(name),
        }
        self._plan.add(GROUP, name, before, after, arguments)

    def _peering(self, peer: Peer) -> None:
        connection = self._peerings[peer.name]
        peer_vpc = peer.vpc_id or self._found.peer_vpcs.get(peer.name)
        name = f"{self._wanted.vpc_name}-{peer.name}"
        if connection is None and peer_vpc is None:
            self._plan.pending.append(
                f"the VPC {peer.vpc_name} of {peer.name} in {peer.region} is not there yet; the connection is "
                "made by a run "
                "that finds both"
            )
        elif connection is None and not peer.requested_here:
            self._plan.pending.append(f"the connection to {peer.name} is requested by {peer.name} in this run")
        elif connection is None:
            tags = self._wanted.tagged(name)
            arguments = {
                "vpc_id": self._vpc_id,
                "peer_vpc_id": peer_vpc,
                "peer_region": peer.region,
                "peer_account": peer.account,
                "tags": tags,
            }
            self._plan.add(PEERING, name, None, {"peer": peer.cidr, "region": peer.region}, arguments)
        elif connection.status != "active":
            asked = connection.requester != self._vpc_id
            if peer.account and not asked:
                self._plan.pending.append(
                    f"the connection {connection.id} to {peer.name} is {connection.status}; the account {peer.account} "
                    "has to accept it"
                )
                return
            if not peer.account and not peer.requested_here:
                # The other side of the same run does both, and twice is an error.
                self._plan.pending.append(f"the connection to {peer.name} is accepted by {peer.name} in this run")
                return
            region = self._wanted.region if asked else peer.region
            arguments = {"peering_id": connection.id, "region": region}
            before: Object = {"status": connection.status}
            self._plan.add(ACCEPTANCE, name, before, {"status": "active"}, arguments)

    def _peering_of(self, peer: Peer) -> Peering | None:
        known = peer.vpc_id or self._found.peer_vpcs.get(peer.name)
        for peering in self._found.peerings:
            other = peering.other(self._vpc_id)
            # Both sides of an active one are told, so that the other region need not be asked.
            if peering.status not in GONE and other and (other == known or peer.cidr in peering.cidrs):
                return peering
        return None

    def _nat(self, zone: str) -> None:
        subnet = next(each for each in self._wanted.subnets if each.public and each.zone == zone)
        found = self._nat_of(zone)
        name = f"{self._wanted.vpc_name}-{zone}"
        tags = self._wanted.tagged(name)
        before = {"subnet": subnet.name, "tags": _ours(found, tags)} if found else None
        after = {"subnet": subnet.name, "tags": tags}
        arguments = {"subnet_id": self._subnet_id(subnet.name), "tags": tags, "gateway": self._gateway_id()}
        self._plan.add(NAT, name, before, after, arguments)

    def _nat_of(self, zone: str) -> Nat | None:
        subnet = next(each for each in self._wanted.subnets if each.public and each.zone == zone)
        subnet_id = self._subnet_id(subnet.name)
        return next((nat for nat in self._found.nats if nat.subnet == subnet_id and nat.state not in GONE), None)

    def _table(self, table: RouteTable) -> None:
        found = self._table_of(table.name)
        tags = self._wanted.tagged(table.name)
        targets = {cidr: self._target(target) for cidr, target in table.routes.items()}
        subnets = [self._subnet_id(name) for name in table.subnets]
        # A way to a peer that is not there yet: what it waits for is told already.
        routes = {cidr: target for cidr, target in table.routes.items() if targets[cidr] != ""}
        after: Object = {"routes": routes, "subnets": list(table.subnets), "tags": tags}
        before: Object | None = None
        if found:
            before = {
                "routes": {
                    cidr: target
                    for cidr, target in routes.items()
                    if targets[cidr] and found.routes.get(cidr) == targets[cidr]
                },
                "subnets": [name for name, each in zip(table.subnets, subnets, strict=True) if each in found.subnets],
                "tags": _ours(found, tags),
            }
        arguments = {
            "vpc_id": self._vpc_id,
            "id": found.id if found else "",
            "subnets": subnets,
            "routes": [_route(cidr, targets[cidr]) for cidr in routes],
            "tags": tags,
        }
        self._plan.add(TABLE, table.name, before, after, arguments)

    def _table_of(self, name: str) -> Table | None:
        return next((table for table in self._found.tables if table.name == name and not table.main), None)

    def _target(self, target: str) -> str | None:
        """Id of what a route leads to; None where it is only to be made, empty where others have to make it."""
        if target == INTERNET:
            return self._gateway_id()
        kind, name = target.split(" ", 1)
        if kind == "nat":
            nat = self._nat_of(name)
            return nat.id if nat else None
        connection = self._peerings[name]
        if connection and connection.status == "active":
            return connection.id
        made_here = any(
            each.kind in (PEERING, ACCEPTANCE) and each.name.endswith(f"-{name}") for each in self._plan.differences
        )
        return None if made_here else ""

    def _endpoint(self, service: str) -> None:
        wanted = self._wanted
        interface = service in wanted.interfaces
        found = self._endpoint_of(service)
        name = f"{wanted.vpc_name}-{service}"
        tags = wanted.tagged(name)
        private = [subnet.name for subnet in wanted.subnets if not subnet.public]
        places = private if interface else [table.name for table in wanted.route_tables]
        ids = [self._subnet_id(place) if interface else self._table_id(place) for place in places]
        key = "subnets" if interface else "route_tables"
        after: Object = {"type": "Interface" if interface else "Gateway", key: places, "tags": tags}
        before: Object | None = None
        if found:
            there = found.subnets if interface else found.tables
            have = [place for place, each in zip(places, ids, strict=True) if each in there]
            before = {**after, key: have, "tags": _ours(found, tags)}
        arguments: Object = {
            "vpc_id": self._vpc_id,
            "id": found.id if found else "",
            "service": f"com.amazonaws.{wanted.region}.{service}",
            "type": after["type"],
            "subnets": ids if interface else [],
            "route_tables": [] if interface else ids,
            "groups": [self._found.groups.get(wanted.group)] if interface else [],
            "tags": tags,
        }
        self._plan.add(ENDPOINT, name, before, after, arguments)

    def _endpoint_of(self, service: str) -> FoundEndpoint | None:
        return next(
            (each for each in self._found.endpoints if each.service == service and each.state not in GONE), None
        )

    def _table_id(self, name: str) -> str | None:
        found = self._table_of(name)
        return found.id if found else None

    def _gateway_id(self) -> str | None:
        gateway = next(iter(self._found.gateways), None)
        return gateway.id if gateway else None

    def _subnet_id(self, name: str) -> str | None:
        cidr = next(subnet.cidr for subnet in self._wanted.subnets if subnet.name == name)
        found: FoundSubnet | None = self._subnets.get(cidr)
        return found.id if found else None


def _route(cidr: str, target: str | None) -> Object:
    """As ec2_vpc_route_table takes it."""
    if target and target.startswith("pcx-"):
        return {"dest": cidr, "vpc_peering_connection_id": target}
    return {"dest": cidr, "gateway_id": target}


def _ours(thing: Thing | None, tags: t.Mapping[str, str]) -> dict[str, str]:
    """Those of its tags that are wanted; others belong to others."""
    return {key: thing.tags[key] for key in tags if key in thing.tags} if thing else {}
