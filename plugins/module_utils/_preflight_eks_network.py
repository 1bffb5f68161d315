# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks of the networks of EKS clusters: what their addresses say by themselves, and the zones that AWS has."""

from __future__ import annotations

import functools
import typing as t
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import Finding, Survey, concurrently
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_aws import Answer, AwsProblem
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_eks_situation import (
    Situation,
    hosts,
    situations,
    unread,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_eks_wanted import (
    ACCESS_CIDRS,
    PEERS,
    PRIVATE_SUBNETS,
    PUBLIC_SUBNETS,
    SERVICE_CIDR,
    SUBNETS,
    VPC_CIDR,
    ZONES,
    Wanted,
    wanted,
)

ADDRESSES, PLACES = "eks addresses", "eks zones"

_LARGEST, _SMALLEST = 16, 28
"""Of VPCs and of subnets, as AWS has it."""
_CUT = 20
"""The smallest VPC out of which role eks_cluster can cut subnets: a public one is a 256th of it."""
_SERVICES = (12, 24)
_PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
_WITHOUT_EKS = frozenset({"use1-az3", "usw1-az2", "cac1-az3"})
"""Zones, by id, that have no room for control planes."""
_NO_ROOM = "cannot have a control plane (UnsupportedAvailabilityZoneException)"

_EXAMPLE = "Give a network such as 10.10.0.0/16."


def addresses(survey: Survey) -> Iterator[Finding]:
    """Whether the addresses are networks, large enough, and different where they have to be."""
    mine = {host.name: wanted(host) for host in hosts(survey) if not host.adopted}
    wrong = [finding for name, wants in mine.items() for finding in _addresses(name, wants)]
    wrong += _peers({host.name: (host.cluster, wanted(host)) for host in hosts(survey)}, mine)
    yield from wrong
    if not wrong:
        for name, wants in mine.items():
            if wants.makes_network:
                yield Finding(ADDRESSES, f"{wants.vpc_cidr}, overlapping with no other one", hosts=(name,))


def _addresses(name: str, wants: Wanted) -> Iterator[Finding]:
    """Of one cluster."""
    vpc: IPv4Network | None = None
    if wants.makes_network and not wants.vpc_cidr:
        yield _fail(name, VPC_CIDR, f"is not given, and {SUBNETS} neither", _EXAMPLE)
    elif wants.makes_network:
        vpc, wrong = network(wants.vpc_cidr)
        if wrong:
            yield _fail(name, VPC_CIDR, *wrong)
        if vpc:
            yield from (_fail(name, VPC_CIDR, *wrong) for wrong in vpc_size(vpc, wants))
            yield from _subnets(name, vpc, wants)
    if wants.service_cidr:
        services, wrong = network(wants.service_cidr)
        if services and not wrong:
            wrong = services_size(services, vpc)
        if wrong:
            yield _fail(name, SERVICE_CIDR, *wrong)
    for text in wants.access_cidrs:
        _given, wrong = network(text)
        if wrong:
            yield _fail(name, ACCESS_CIDRS, *wrong)


def _fail(name: str, variable: str, found: str, remedy: str) -> Finding:
    return Finding(ADDRESSES, found, "fail", variable, remedy, (name,))


Wrong = tuple[str, str]
"""What was found, and what to do about it."""


def network(text: str) -> tuple[IPv4Network | None, Wrong | None]:
    """A CIDR block, or what is wrong with it; both where it can be told what was meant."""
    if "/" not in text:
        return None, (f"{text!r} is no CIDR block of IPv4", _EXAMPLE)
    try:
        return IPv4Network(text), None
    except ValueError:
        pass
    try:
        meant = IPv4Network(text, strict=False)
    except ValueError:
        return None, (f"{text!r} is no CIDR block of IPv4", _EXAMPLE)
    return meant, (f"{text} is an address within a network, not a network", f"Give {meant}.")


def vpc_size(vpc: IPv4Network, wants: Wanted) -> Iterator[Wrong]:
    """Whether AWS has VPCs of that size, with the subnets in it."""
    cut = not (wants.private_subnets and wants.public_subnets)
    smallest = _CUT if cut else _SMALLEST
    if vpc.prefixlen < _LARGEST:
        yield f"{vpc} is larger than a VPC can be (/{_LARGEST})", f"Give a network of /{_LARGEST} to /{smallest}."
    elif vpc.prefixlen > smallest:
        found = f"{vpc} is too small: {vpc.num_addresses} addresses"
        found += f", and a VPC out of which subnets are cut has at least {2 ** (32 - smallest)}" if cut else ""
        yield found, f"Give a network of /{_LARGEST} to /{smallest}."


def _subnets(name: str, vpc: IPv4Network, wants: Wanted) -> Iterator[Finding]:
    """Those that are given and not cut."""
    seen: list[tuple[str, IPv4Network]] = []
    for variable, texts in ((PRIVATE_SUBNETS, wants.private_subnets), (PUBLIC_SUBNETS, wants.public_subnets)):
        if texts and wants.zones and len(texts) != len(wants.zones):
            found = f"has {len(texts)} networks for {len(wants.zones)} zones"
            yield _fail(name, variable, found, f"Give one for each zone of {ZONES}, or none.")
        for text in texts:
            subnet, wrong = network(text)
            if wrong is None and subnet:
                wrong = _subnet(subnet, vpc, [other for _variable, other in seen])
                seen.append((variable, subnet))
            if wrong:
                yield _fail(name, variable, *wrong)


def _subnet(subnet: IPv4Network, vpc: IPv4Network, others: list[IPv4Network]) -> Wrong | None:
    if not subnet.subnet_of(vpc):
        return f"{subnet} is not within the VPC's {vpc}", f"Give networks within {vpc}, or correct {VPC_CIDR}."
    if subnet.prefixlen > _SMALLEST:
        return f"{subnet} is too small: {subnet.num_addresses} addresses", f"Give one of /{_SMALLEST} or larger."
    overlapping = next((other for other in others if other.overlaps(subnet)), None)
    if overlapping:
        return f"{subnet} overlaps the subnet {overlapping}", "Give each subnet a network of its own."
    return None


def services_size(services: IPv4Network, vpc: IPv4Network | None) -> Wrong | None:
    """What EKS asks of the network of Services."""
    low, high = _SERVICES
    if not low <= services.prefixlen <= high or not any(services.subnet_of(each) for each in _PRIVATE):
        within = ", ".join(map(str, _PRIVATE))
        return f"{services} cannot be the network of Services", f"Give one of /{low} to /{high} within {within}."
    if vpc and services.overlaps(vpc):
        return f"{services} overlaps the VPC's {vpc}", "Give networks that do not overlap; 172.20.0.0/16 for Services."
    return None


def _peers(known: dict[str, tuple[str, Wanted]], mine: dict[str, Wanted]) -> Iterator[Finding]:
    """Networks that routes are to lead to from both sides.

    :arg known: Cluster's name and what is wanted of it, by host, adopted ones too.
    """
    told: set[frozenset[str]] = set()
    hosts_of = {cluster: name for name, (cluster, _wants) in known.items()}
    for name, wants in mine.items():
        own = _usable(wants)
        for peer in wants.peers:
            host = hosts_of.get(peer.name, "")
            other = known[host][1] if host else Wanted()
            theirs, wrong = network(peer.cidr)
            if other.vpc_cidr and peer.cidr != other.vpc_cidr:
                wrong = (
                    f"says that {peer.name} has {peer.cidr}, and {host} says {other.vpc_cidr}",
                    "Say the same on both sides.",
                )
            elif other.vpc_cidr and wrong:
                continue  # it is told of the peer itself
            if wrong:
                yield _fail(name, PEERS, *wrong)
                continue
            pair = frozenset((name, host or peer.name))
            if not own or not theirs or not own.overlaps(theirs) or pair in told:
                continue
            told.add(pair)
            found = f"{own} of {name} overlaps {theirs} of {peer.name}, its peer: no route could tell them apart"
            remedy = "Give one of them another network; that of a VPC which is there cannot be changed."
            yield Finding(ADDRESSES, found, "fail", VPC_CIDR, remedy, (name, host) if host in mine else (name,))


def _usable(wants: Wanted) -> IPv4Network | None:
    return network(wants.vpc_cidr)[0] if wants.vpc_cidr and wants.makes_network else None


def zones(survey: Survey) -> Iterator[Finding]:
    """Whether the subnets that are there, or are to be made, are in two zones that can have a control plane."""
    for host in hosts(survey):
        wants = wanted(host)
        if not host.adopted and wants.makes_network:
            yield from (Finding(PLACES, *wrong, hosts=(host.name,)) for wrong in _named(wants))
    made = [here for here in situations(survey) if here.is_to_be_made]
    yield from concurrently(functools.partial(_places, survey), made)


def _named(wants: Wanted) -> Iterator[tuple[str, t.Literal["fail"], str, str]]:
    """What zones are wrong wherever they are."""
    names = wants.zones
    twice = sorted({name for name in names if names.count(name) > 1})
    if len(set(names)) < 2:
        found = f"{names[0]} is the only zone" if names else "no zone is named"
        remedy = f"Name two or more zones of {wants.region or 'its region'}."
        yield f"{found}, and EKS wants subnets in two", "fail", ZONES, remedy
    elif twice:
        yield f"{', '.join(twice)} is named twice", "fail", ZONES, "Name each zone once."


def _places(survey: Survey, here: Situation) -> Iterable[Finding]:
    return _of_zones(survey, here) if here.wanted.makes_network else _of_subnets(survey, here)


def _of_zones(survey: Survey, here: Situation) -> Iterator[Finding]:
    names, region = tuple(dict.fromkeys(here.wanted.zones)), here.wanted.region
    try:
        there = zones_of(survey, here)
    except AwsProblem as problem:
        yield unread(
            here, PLACES, problem, what="the zones of the region", variable=ZONES, right="ec2:DescribeAvailabilityZones"
        )
        return
    usable = [name for name, zone in sorted(there.items()) if _has_eks(zone)]
    for name in names:
        if name not in there:
            found = f"{name} is no zone of {region} that the account has"
        elif not _has_eks(there[name]):
            found = f"{name} ({there[name].get('ZoneId')}) {_NO_ROOM}"
        else:
            continue
        yield here.finding(PLACES, found, ZONES, f"Choose from {', '.join(usable)}.")
    if set(names) <= set(usable) and not list(_named(here.wanted)):
        yield Finding(PLACES, ", ".join(names), hosts=(here.host.name,))


def zones_of(survey: Survey, here: Situation) -> dict[str, Answer]:
    """The zones of a region, by name.

    :raises AwsProblem: they cannot be read.
    """
    answer = here.ask(survey, "ec2", "describe_availability_zones")
    return {zone["ZoneName"]: zone for zone in answer["AvailabilityZones"]}


def subnets_of(survey: Survey, here: Situation, ids: Iterable[str]) -> dict[str, Answer]:
    """Subnets by id; filtered, so that one which is not there does not keep the others from being seen.

    :raises AwsProblem: they cannot be read.
    """
    filters = [{"Name": "subnet-id", "Values": sorted(ids)}]
    answer = here.ask(survey, "ec2", "describe_subnets", Filters=filters)
    return {subnet["SubnetId"]: subnet for subnet in answer["Subnets"]}


def _has_eks(zone: Answer) -> bool:
    ordinary = zone.get("ZoneType", "availability-zone") == "availability-zone"
    return ordinary and zone.get("State", "available") == "available" and zone.get("ZoneId") not in _WITHOUT_EKS


def _of_subnets(survey: Survey, here: Situation) -> Iterator[Finding]:
    """Filtered, so that one which is not there does not keep the others from being seen."""
    wants, region = here.wanted.subnet_ids, here.wanted.region
    try:
        there = subnets_of(survey, here, wants)
    except AwsProblem as problem:
        yield unread(here, PLACES, problem, what="the subnets", variable=SUBNETS, right="ec2:DescribeSubnets")
        return
    missing = [name for name in wants if name not in there]
    if missing:
        found = f"{region} has no subnet {', '.join(missing)} (InvalidSubnetID.NotFound)"
        yield here.finding(PLACES, found, SUBNETS, "Give ids of subnets of this account and region.")
        return
    places = sorted({subnet["AvailabilityZone"] for subnet in there.values()})
    vpcs = sorted({subnet["VpcId"] for subnet in there.values()})
    bad = sorted({s["AvailabilityZone"] for s in there.values() if s.get("AvailabilityZoneId") in _WITHOUT_EKS})
    if len(vpcs) > 1:
        found = f"the subnets are of several VPCs: {', '.join(vpcs)}"
        yield here.finding(PLACES, found, SUBNETS, "Give subnets of one VPC.")
    elif len(places) < 2:
        found = f"all subnets are in {', '.join(places)}, and EKS wants two zones"
        yield here.finding(PLACES, found, SUBNETS, "Add a subnet of the same VPC in another zone.")
    elif bad:
        found = f"{', '.join(bad)} {_NO_ROOM}"
        yield here.finding(PLACES, found, SUBNETS, "Take its subnets out.")
    else:
        yield Finding(PLACES, f"{', '.join(places)}, by the subnets", hosts=(here.host.name,))
