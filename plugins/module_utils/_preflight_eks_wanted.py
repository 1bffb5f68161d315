# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host's variables want of AWS: the only place where preflight names the variables of role eks_cluster."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import Host

PROVIDER, ROLE = "eks", "eks_cluster"

ACCOUNT, REGION, VERSION, STATE = "cluster_account", "cluster_region", "cluster_version", "cluster_state"
NAME = "cluster_name"
ACCESS_ROLE = "eks_cluster_access_role_arn"
ACCESS_CIDRS = "eks_cluster_public_cidrs"
ADDONS = "eks_cluster_addons"
NODE_GROUPS = "eks_cluster_node_groups"
NODE_SUBNETS = "eks_cluster_node_subnet_ids"
NAT = "eks_cluster_nat"
PEERS = "eks_cluster_peers"
PROFILE = "eks_cluster_profile"
PRIVATE_SUBNETS = "eks_cluster_private_subnets"
PROTECTION = "eks_cluster_deletion_protection"
PUBLIC_SUBNETS = "eks_cluster_public_subnets"
SERVICE_CIDR = "eks_cluster_service_cidr"
SUBNETS = "eks_cluster_subnet_ids"
VPC_CIDR = "eks_cluster_vpc_cidr"
ZONES = "eks_cluster_zones"

OWNER_TAG = "hubspoke.bootstrap/cluster"
"""Tag of everything that role eks_cluster makes; its value is the cluster's name."""

_VERSION = re.compile(r"v?(\d+)\.(\d+)(\.\d+)?$")
_NOT_EXACT = ("", "default", "latest")

Version = tuple[int, int]


@dataclass(frozen=True)
class Group:
    """A managed node group.

    :arg subnet_ids: Of subnets that are there; none where it gets those that are made.
    :arg sizes: Fewest, at first, and most nodes.
    :arg schedules: Name and time zone of each.
    """

    name: str
    instance_types: tuple[str, ...] = ()
    ami_type: str = ""
    subnet_ids: tuple[str, ...] = ()
    sizes: tuple[int, int, int] | None = None
    schedules: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Peer:
    """Another cluster, by its name, whose VPC this one's is connected with."""

    name: str
    region: str
    cidr: str


@dataclass(frozen=True)
class Wanted:
    """What is to be on AWS for one host.

    :arg version: None where it is left to AWS, or is none (then it is in `version_text`).
    :arg addresses: How many elastic addresses its NAT gateways take.
    :arg subnet_ids: Of subnets that are there; then no network is made.
    :arg addons: Version by name, "" where AWS's default or latest is taken.
    """

    region: str = ""
    account: str = ""
    profile: str = ""
    version_text: str = ""
    version: Version | None = None
    vpc_cidr: str = ""
    service_cidr: str = ""
    zones: tuple[str, ...] = ()
    subnet_ids: tuple[str, ...] = ()
    private_subnets: tuple[str, ...] = ()
    public_subnets: tuple[str, ...] = ()
    access_cidrs: tuple[str, ...] = ()
    addresses: int = 0
    peers: tuple[Peer, ...] = ()
    groups: tuple[Group, ...] = ()
    addons: Mapping[str, str] = field(default_factory=dict)
    access_role: str = ""

    @property
    def makes_network(self) -> bool:
        """Whether the role makes the network that the cluster is in."""
        return not self.subnet_ids


def wanted(host: Host) -> Wanted:
    """Read a host's variables."""
    zones = _texts(host.get(ZONES))
    nat = host.text(NAT)
    subnet_ids = _texts(host.get(SUBNETS))
    nodes_in = _texts(host.get(NODE_SUBNETS)) or subnet_ids
    return Wanted(
        region=host.text(REGION).strip(),
        account=host.text(ACCOUNT).strip(),
        profile=host.text(PROFILE),
        version_text=host.text(VERSION),
        version=version(host.text(VERSION)),
        vpc_cidr=host.text(VPC_CIDR),
        service_cidr=host.text(SERVICE_CIDR),
        zones=zones,
        subnet_ids=subnet_ids,
        private_subnets=_texts(host.get(PRIVATE_SUBNETS)),
        public_subnets=_texts(host.get(PUBLIC_SUBNETS)),
        access_cidrs=_texts(host.get(ACCESS_CIDRS)),
        addresses={"single": 1, "zone": len(zones)}.get(nat, 0),
        peers=tuple(
            Peer(*(str(entry.get(key) or "") for key in ("name", "region", "cidr")))
            for entry in _mappings(host.get(PEERS))
        ),
        groups=tuple(_group(entry, nodes_in) for entry in _mappings(host.get(NODE_GROUPS))),
        addons={
            str(entry.get("name")): "" if str(entry.get("version") or "") in _NOT_EXACT else str(entry["version"])
            for entry in _mappings(host.get(ADDONS))
        },
        access_role=host.text(ACCESS_ROLE),
    )


def version(text: str) -> Version | None:
    """A Kubernetes version as EKS counts them; None where it is none."""
    found = _VERSION.match(text.strip())
    return (int(found[1]), int(found[2])) if found else None


def shown(number: Version) -> str:
    """As EKS writes it."""
    return f"{number[0]}.{number[1]}"


def _group(entry: Mapping[str, t.Any], subnet_ids: tuple[str, ...]) -> Group:
    sizes = tuple(entry.get(f"{name}_size") for name in ("min", "desired", "max"))
    return Group(
        name=str(entry.get("name") or ""),
        instance_types=_texts(entry.get("instance_types")),
        ami_type=str(entry.get("ami_type") or ""),
        subnet_ids=_texts(entry.get("subnet_ids")) or subnet_ids,
        sizes=t.cast("tuple[int, int, int]", sizes) if all(isinstance(size, int) for size in sizes) else None,
        schedules=tuple(
            (str(each.get("name")), str(each.get("time_zone") or "")) for each in _mappings(entry.get("schedules"))
        ),
    )


def _texts(value: t.Any) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, (list, tuple)) else ()


def _mappings(value: t.Any) -> list[Mapping[str, t.Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
