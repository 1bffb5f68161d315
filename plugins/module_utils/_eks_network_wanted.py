# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The network that an EKS cluster is to have, out of a few options. Pure: no AWS is asked."""

from __future__ import annotations

import ipaddress
import typing as t
from dataclasses import dataclass

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

OWNER = "hubspoke.bootstrap/cluster"
"""Tag of everything that is made for a cluster; its value is the cluster's name."""
EVERYWHERE = "0.0.0.0/0"
INTERNET = "internet gateway"
GATEWAY_SERVICES = ("s3", "dynamodb")
"""Services whose endpoints are entries of route tables, which cost nothing; all others are interfaces."""

_PRIVATE_BITS, _PUBLIC_BITS = 4, 8
"""A private subnet is a sixteenth of the VPC, a public one (load balancers and NAT gateways only) a 256th."""
_LAST_SIXTEENTH = 15


@dataclass(frozen=True)
class Subnet:
    """One subnet of one zone."""

    name: str
    cidr: str
    zone: str
    public: bool
    tags: dict[str, str]


@dataclass(frozen=True)
class RouteTable:
    """A route table.

    :arg routes: What leads where, the target by its name here: INTERNET, `nat <zone>` or `peer <name>`.
    """

    name: str
    subnets: tuple[str, ...]
    routes: dict[str, str]


@dataclass(frozen=True)
class Peer:
    """Another cluster's VPC.

    :arg requested_here: Whether this cluster's run asks for the connection, where both are set up at the same time.
    """

    name: str
    region: str
    cidr: str
    vpc_name: str
    vpc_id: str
    account: str
    requested_here: bool


@dataclass(frozen=True)
class Wanted:
    """The whole network."""

    cluster: str
    region: str
    vpc_name: str
    cidr: str
    subnets: tuple[Subnet, ...]
    nat_zones: tuple[str, ...]
    route_tables: tuple[RouteTable, ...]
    endpoints: tuple[str, ...]
    peers: tuple[Peer, ...]
    tags: dict[str, str]

    def tagged(self, name: str, more: t.Mapping[str, str] | None = None) -> dict[str, str]:
        """The tags of one thing."""
        return {**self.tags, **(more or {}), "Name": name, OWNER: self.cluster}

    @property
    def group(self) -> str:
        """Name of the security group of interface endpoints."""
        return f"{self.vpc_name}-endpoints"

    @property
    def interfaces(self) -> tuple[str, ...]:
        """The services that need a network interface in each private subnet."""
        return tuple(name for name in self.endpoints if name not in GATEWAY_SERVICES)


def wanted(params: t.Mapping[str, t.Any]) -> Wanted:
    """The network out of the options of `eks_network_info`.

    :raises HubspokeError: they contradict one another.
    """
    name, zones = params["cluster_name"], tuple(params["zones"])
    vpc_name = params["vpc_name"] or name
    network = _network(name, "vpc_cidr", params["vpc_cidr"])
    if len(set(zones)) < 2:
        raise HubspokeError(
            f"Cluster {name}: zones names {', '.join(zones) or 'no zone'}, and EKS wants subnets in two zones "
            "at least.",
            f"Name two or more zones of {params['region']}, {params['region']}a for example.",
        )
    private = _cidrs(name, "private_subnets", params["private_subnets"], network, zones) or _cut(network, len(zones))
    public = _cidrs(name, "public_subnets", params["public_subnets"], network, zones) or _cut_public(
        network, len(zones)
    )
    _apart(name, [*private, *public])
    shared = {f"kubernetes.io/cluster/{name}": "shared"}
    subnets = tuple(
        Subnet(f"{vpc_name}-{kind}-{zone}", cidr, zone, kind == "public", {**shared, tag: "1"})
        for kind, cidrs, tag in (
            # The AWS Load Balancer Controller finds its subnets by these.
            ("private", private, "kubernetes.io/role/internal-elb"),
            ("public", public, "kubernetes.io/role/elb"),
        )
        for zone, cidr in zip(zones, cidrs, strict=True)
    )
    nat_zones = {"none": (), "single": zones[:1], "zone": zones}[params["nat"]]
    peers = tuple(_peer(name, network, entry) for entry in params["peers"])
    return Wanted(
        cluster=name,
        region=params["region"],
        vpc_name=vpc_name,
        cidr=str(network),
        subnets=subnets,
        nat_zones=nat_zones,
        route_tables=tuple(_route_tables(vpc_name, subnets, zones, nat_zones, peers)),
        endpoints=tuple(params["endpoints"]),
        peers=peers,
        tags=dict(params["tags"]),
    )


def _route_tables(
    vpc_name: str,
    subnets: t.Sequence[Subnet],
    zones: t.Sequence[str],
    nat_zones: t.Sequence[str],
    peers: t.Iterable[Peer],
) -> t.Iterator[RouteTable]:
    """One for all public subnets; one for the private ones of each zone, or for all where they share one way out."""
    to_peers = {peer.cidr: f"peer {peer.name}" for peer in peers}
    public = tuple(subnet.name for subnet in subnets if subnet.public)
    yield RouteTable(f"{vpc_name}-public", public, {EVERYWHERE: INTERNET, **to_peers})
    private = [subnet for subnet in subnets if not subnet.public]
    if len(nat_zones) < len(zones):
        out = {EVERYWHERE: f"nat {nat_zones[0]}"} if nat_zones else {}
        yield RouteTable(f"{vpc_name}-private", tuple(subnet.name for subnet in private), {**out, **to_peers})
        return
    for subnet in private:
        out = {EVERYWHERE: f"nat {subnet.zone}"}
        yield RouteTable(f"{vpc_name}-private-{subnet.zone}", (subnet.name,), {**out, **to_peers})


def _network(cluster: str, option: str, text: str) -> ipaddress.IPv4Network:
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise HubspokeError(
            f"Cluster {cluster}: {option} {text or '(empty)'} is no IPv4 network: {error}.",
            "An example is 10.10.0.0/16.",
        ) from error
    return network


def _cidrs(
    cluster: str, option: str, given: t.Sequence[str], network: ipaddress.IPv4Network, zones: t.Sequence[str]
) -> list[str]:
    """Subnets as they were given, in the order of the zones."""
    if given and len(given) != len(zones):
        raise HubspokeError(
            f"Cluster {cluster}: {option} has {len(given)} networks for {len(zones)} zones.",
            "Give one for each zone, or none.",
        )
    for text in given:
        if not _network(cluster, option, text).subnet_of(network):
            raise HubspokeError(
                f"Cluster {cluster}: {option} {text} is not within {network}.", "Correct one of the two."
            )
    return list(given)


def _cut(network: ipaddress.IPv4Network, count: int) -> list[str]:
    pieces = network.subnets(prefixlen_diff=_PRIVATE_BITS)
    return [str(next(pieces)) for _each in range(count)]


def _cut_public(network: ipaddress.IPv4Network, count: int) -> list[str]:
    """Out of the last sixteenth, so that both kinds can grow."""
    last = list(network.subnets(prefixlen_diff=_PRIVATE_BITS))[_LAST_SIXTEENTH]
    pieces = last.subnets(prefixlen_diff=_PUBLIC_BITS - _PRIVATE_BITS)
    return [str(next(pieces)) for _each in range(count)]


def _apart(cluster: str, cidrs: t.Sequence[str]) -> None:
    networks = [ipaddress.IPv4Network(text) for text in cidrs]
    for index, one in enumerate(networks):
        for other in networks[index + 1 :]:
            if one.overlaps(other):
                raise HubspokeError(
                    f"Cluster {cluster}: its subnets {one} and {other} overlap.", "Correct one of the two."
                )


def _peer(cluster: str, network: ipaddress.IPv4Network, entry: t.Mapping[str, t.Any]) -> Peer:
    other = _network(cluster, f"cidr of the peer {entry['name']}", entry["cidr"])
    if other.overlaps(network):
        raise HubspokeError(
            f"Cluster {cluster}: vpc_cidr {network} overlaps {other} of its peer {entry['name']}, so no route "
            "could tell them apart.",
            "Give one of them another network; that of a VPC which exists cannot be changed.",
        )
    return Peer(
        name=entry["name"],
        region=entry["region"],
        cidr=str(other),
        vpc_name=entry.get("vpc_name") or entry["name"],
        vpc_id=entry.get("vpc_id") or "",
        account=entry.get("account") or "",
        requested_here=bool(entry.get("requested_here", True)),
    )
