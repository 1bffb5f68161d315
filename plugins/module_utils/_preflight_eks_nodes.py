# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Check of an EKS cluster's node groups: their instance types, images, sizes and schedules."""

from __future__ import annotations

import difflib
import functools
import zoneinfo
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import Finding, Survey, concurrently
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_aws import Answer, AwsProblem
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_eks_network import subnets_of, zones_of
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_eks_situation import (
    Situation,
    hosts,
    situations,
    unread,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_eks_wanted import (
    NODE_GROUPS,
    Group,
    Version,
    shown,
    wanted,
)

NAME = "eks nodes"

_LAST_AL2: Version = (1, 32)
"""The last version of Kubernetes that Amazon Linux 2 has images for."""
_IMAGES = {"arm64": "AL2023_ARM_64_STANDARD", "x86_64": "AL2023_x86_64_STANDARD"}

Wrong = tuple[str, str]
"""What was found, and what to do about it."""


@dataclass(frozen=True)
class Offer:
    """What a region has.

    :arg architectures: Of each of the instance types that are there.
    :arg places: The zones that have it.
    """

    architectures: dict[str, tuple[str, ...]]
    places: dict[str, frozenset[str]]


def nodes(survey: Survey) -> Iterator[Finding]:
    """Whether the groups can be, and whether their instance types are there, fit the image, and are in the zones."""
    for host in hosts(survey):
        wants = wanted(host)
        if not host.adopted:
            for group in wants.groups:
                for found, remedy in by_itself(group, wants.version):
                    yield Finding(NAME, f"group {group.name}: {found}", "fail", NODE_GROUPS, remedy, (host.name,))
    made = [here for here in situations(survey) if here.is_to_be_made and here.wanted.groups]
    yield from concurrently(functools.partial(_nodes, survey), made)


def by_itself(group: Group, version: Version | None) -> Iterator[Wrong]:
    """What is wrong with a group wherever it is."""
    if group.ami_type.startswith("AL2_") and version and version > _LAST_AL2:
        instead = _IMAGES[architecture(group.ami_type)]
        yield f"{group.ami_type} has no image for Kubernetes {shown(version)}", f"Set its ami_type to {instead}."
    if group.sizes and not 0 <= group.sizes[0] <= group.sizes[1] <= group.sizes[2]:
        found = "min_size, desired_size and max_size are {}, {} and {}".format(*group.sizes)
        yield found, "Give sizes of which none is less than the one before it."
    known = zoneinfo.available_timezones()
    for name, place in group.schedules:
        if place and known and place not in known:
            close = difflib.get_close_matches(place, sorted(known), 1, 0.7)
            hint = f"Did you mean {close[0]}?" if close else "Give a name such as Asia/Seoul."
            yield f"its schedule {name} has the time zone {place!r}, which there is not", hint


def architecture(ami_type: str) -> str:
    """That of an image's nodes, "" where the kind of image does not say."""
    if not ami_type or ami_type == "CUSTOM":
        return ""
    return "arm64" if "_ARM_64" in ami_type else "x86_64"


def _nodes(survey: Survey, here: Situation) -> Iterable[Finding]:
    kinds = sorted({kind for group in here.wanted.groups for kind in group.instance_types})
    try:
        offer = _offer(survey, here, kinds)
        zones = {group.name: _zones(survey, here, group) for group in here.wanted.groups}
    except AwsProblem as problem:
        right = "ec2:DescribeInstanceTypes and ec2:DescribeInstanceTypeOfferings"
        return [unread(here, NAME, problem, what="the instance types", variable=NODE_GROUPS, right=right)]
    found = [each for group in here.wanted.groups for each in _group(here, group, offer, zones[group.name])]
    return found or [Finding(NAME, ", ".join(kinds), hosts=(here.host.name,))]


def _offer(survey: Survey, here: Situation, kinds: list[str]) -> Offer:
    # Filtered, so that one which is not there does not keep the others from being seen.
    filters = [{"Name": "instance-type", "Values": kinds}]
    types = here.ask(survey, "ec2", "describe_instance_types", Filters=filters)["InstanceTypes"]
    offerings = here.ask(
        survey, "ec2", "describe_instance_type_offerings", LocationType="availability-zone", Filters=filters
    )
    places: dict[str, set[str]] = defaultdict(set)
    for entry in offerings["InstanceTypeOfferings"]:
        places[entry["InstanceType"]].add(entry["Location"])
    architectures = {entry["InstanceType"]: _architectures(entry) for entry in types}
    return Offer(architectures, {kind: frozenset(places[kind]) for kind in kinds})


def _architectures(entry: Answer) -> tuple[str, ...]:
    return tuple((entry.get("ProcessorInfo") or {}).get("SupportedArchitectures") or ())


def _zones(survey: Survey, here: Situation, group: Group) -> frozenset[str]:
    """Where a group's nodes will be, of the zones that there are; none where that cannot be read."""
    try:
        if group.subnet_ids:
            subnets = subnets_of(survey, here, group.subnet_ids).values()
            return frozenset(subnet["AvailabilityZone"] for subnet in subnets)
        return frozenset(here.wanted.zones) & frozenset(zones_of(survey, here))
    except AwsProblem:
        return frozenset()


def _group(here: Situation, group: Group, offer: Offer, zones: frozenset[str]) -> Iterator[Finding]:
    for kind in group.instance_types:
        for found, remedy in unfit(group, kind, offer, zones, here.wanted.region):
            yield here.finding(NAME, f"group {group.name}: {found}", NODE_GROUPS, remedy)
        places = offer.places.get(kind) or zones
        if zones & places and zones - places:
            found = f"group {group.name}: {kind} is not offered in {', '.join(sorted(zones - places))}"
            remedy = f"Choose another instance type, or only zones that have it ({', '.join(sorted(places))})."
            yield Finding(NAME, found, "warn", NODE_GROUPS, remedy, (here.host.name,))
    several = [set(known) for kind in group.instance_types if (known := offer.architectures.get(kind))]
    if not architecture(group.ami_type) and several and not set.intersection(*several):
        found = f"group {group.name}: its instance types are of different architectures"
        yield here.finding(NAME, found, NODE_GROUPS, "Make a group for each architecture.")


def unfit(group: Group, kind: str, offer: Offer, zones: frozenset[str], region: str) -> Iterator[Wrong]:
    """Why an instance type cannot be in a group."""
    if kind not in offer.architectures:
        found = f"{region} has no instance type {kind} (InvalidInstanceType)"
        yield found, "Correct its name, or choose one that `aws ec2 describe-instance-types` lists for this region."
        return
    image, has, places = architecture(group.ami_type), offer.architectures[kind], offer.places.get(kind) or frozenset()
    if image and has and image not in has:
        found = f"{kind} is {' and '.join(has)}, and the image {group.ami_type} is {image}"
        instead = next((_IMAGES[name] for name in has if name in _IMAGES), "CUSTOM")
        yield found, f"Set its ami_type to {instead}, or choose an instance type that is {image}."
    if zones and not zones & places:
        there = f"zones that have it ({', '.join(sorted(places))})" if places else "another region"
        found = f"{kind} is offered in none of {', '.join(sorted(zones))}"
        yield found, f"Choose another instance type, or {there}."
