# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks of what an EKS cluster consists of: add-ons, the instance types of nodes, and what the account may have."""

from __future__ import annotations

import difflib
import functools
import typing as t
from collections import defaultdict
from collections.abc import Iterable, Iterator

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import (
    Finding,
    Survey,
    concurrently,
    counted,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_aws import Answer, AwsProblem
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_eks_situation import (
    Situation,
    situations,
    unread,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_eks_wanted import (
    ADDONS,
    NAT,
    NODE_GROUPS,
    OWNER_TAG,
    VPC_CIDR,
    Group,
    Version,
    shown,
)

ADDON, NODES, QUOTAS = "eks add-ons", "eks nodes", "aws quotas"

_SHOWN = 5
_LAST_AL2: Version = (1, 32)
"""The last version of Kubernetes that Amazon Linux 2 has images for."""


def addons(survey: Survey) -> Iterator[Finding]:
    """Whether EKS has the add-ons, in these versions, for the cluster's version."""
    wanting = [here for here in situations(survey) if here.is_known and here.wanted.addons]
    wanting = [here for here in wanting if here.cluster is not None or here.is_to_be_made]
    yield from concurrently(functools.partial(_addons, survey), wanting)


def _addons(survey: Survey, here: Situation) -> Iterable[Finding]:
    wants = here.wanted.version or here.version
    # Without a version AWS's default is made, and which that is shows only then.
    params = {"kubernetesVersion": shown(wants)} if wants else {}
    try:
        answer = here.ask(survey, "eks", "describe_addon_versions", **params)
    except AwsProblem as problem:
        return [
            unread(
                here, ADDON, problem, what="the versions of add-ons", variable=ADDONS, right="eks:DescribeAddonVersions"
            )
        ]
    known = {addon["addonName"]: addon for addon in answer.get("addons") or []}
    if not known:
        # EKS has no such version of Kubernetes, which is another check's.
        return []
    found = [_addon(here, known, name, version, wants) for name, version in here.wanted.addons.items()]
    wrong = [finding for finding in found if finding]
    return wrong or [Finding(ADDON, ", ".join(here.wanted.addons), hosts=(here.host.name,))]


def _addon(
    here: Situation, known: dict[str, Answer], name: str, wanted: str, kubernetes: Version | None
) -> Finding | None:
    fitting = f" for Kubernetes {shown(kubernetes)}" if kubernetes else ""
    if name not in known:
        close = difflib.get_close_matches(name, known, 3, 0.6)
        remedy = f"Did you mean {' or '.join(close)}?" if close else "`aws eks describe-addon-versions` lists them."
        return here.finding(ADDON, f"EKS has no add-on {name!r}{fitting} in {here.wanted.region}", ADDONS, remedy)
    versions = [str(entry["addonVersion"]) for entry in known[name].get("addonVersions") or []]
    if not wanted or wanted in versions:
        return None
    # The newest come first.
    near = [version for version in versions if version.startswith(f"{wanted}-")]
    remedy = f"Set its version to one of {', '.join((near or versions)[:_SHOWN])}, or to default."
    return here.finding(ADDON, f"{name} has no version {wanted}{fitting}", ADDONS, remedy)


def nodes(survey: Survey) -> Iterator[Finding]:
    """Whether the instance types are there, fit the image, and are offered in the zones."""
    made = [here for here in situations(survey) if here.is_to_be_made and here.wanted.groups]
    yield from concurrently(functools.partial(_nodes, survey), made)


def _nodes(survey: Survey, here: Situation) -> Iterable[Finding]:
    wanted = sorted({kind for group in here.wanted.groups for kind in group.instance_types})
    images = [finding for group in here.wanted.groups for finding in _image(here, group)]
    if not wanted:
        return images
    filters = [{"Name": "instance-type", "Values": wanted}]
    try:
        types = here.ask(survey, "ec2", "describe_instance_types", Filters=filters)
        offers = here.ask(
            survey, "ec2", "describe_instance_type_offerings", LocationType="availability-zone", Filters=filters
        )
    except AwsProblem as problem:
        right = "ec2:DescribeInstanceTypes and ec2:DescribeInstanceTypeOfferings"
        return [*images, unread(here, NODES, problem, what="the instance types", variable=NODE_GROUPS, right=right)]
    known = {entry["InstanceType"]: _architectures(entry) for entry in types["InstanceTypes"]}
    places: dict[str, set[str]] = defaultdict(set)
    for offer in offers["InstanceTypeOfferings"]:
        places[offer["InstanceType"]].add(offer["Location"])
    found = [finding for group in here.wanted.groups for finding in _group(here, group, known, places)]
    return [*images, *found] or [Finding(NODES, ", ".join(wanted), hosts=(here.host.name,))]


def _architectures(entry: Answer) -> tuple[str, ...]:
    return tuple((entry.get("ProcessorInfo") or {}).get("SupportedArchitectures") or ())


def _image(here: Situation, group: Group) -> Iterator[Finding]:
    """Whether there is an image of that kind at all."""
    version = here.wanted.version
    if group.ami_type.startswith("AL2_") and version and version > _LAST_AL2:
        found = f"group {group.name}: {group.ami_type} has no image for Kubernetes {shown(version)}"
        instead = "AL2023_ARM_64_STANDARD" if "ARM" in group.ami_type else "AL2023_x86_64_STANDARD"
        yield here.finding(NODES, found, NODE_GROUPS, f"Set its ami_type to {instead}.")


def architecture(ami_type: str) -> str:
    """That of an image's nodes, "" where the kind of image does not say."""
    if not ami_type or ami_type == "CUSTOM":
        return ""
    return "arm64" if "_ARM_64" in ami_type else "x86_64"


def _group(
    here: Situation, group: Group, known: dict[str, tuple[str, ...]], places: dict[str, set[str]]
) -> Iterator[Finding]:
    zones, image = set(group.zones or here.wanted.zones), architecture(group.ami_type)
    for kind in group.instance_types:
        if kind not in known:
            found = f"group {group.name}: {here.wanted.region} has no instance type {kind} (InvalidInstanceType)"
            remedy = "Correct its name, or choose one of this region: `aws ec2 describe-instance-types` lists them."
            yield here.finding(NODES, found, NODE_GROUPS, remedy)
            continue
        has = known[kind]
        if image and has and image not in has:
            found = f"group {group.name}: {kind} is {' and '.join(has)}, and the image {group.ami_type} is {image}"
            other = next((name for name in has if name in ("arm64", "x86_64")), "")
            image_for = {"arm64": "AL2023_ARM_64_STANDARD", "x86_64": "AL2023_x86_64_STANDARD"}.get(other, "another")
            remedy = f"Set its ami_type to {image_for}, or choose an instance type that is {image}."
            yield here.finding(NODES, found, NODE_GROUPS, remedy)
        if zones and not zones & places[kind]:
            found = f"group {group.name}: {kind} is offered in none of {', '.join(sorted(zones))}"
            there = f"zones that have it ({', '.join(sorted(places[kind]))})" if places[kind] else "another region"
            yield here.finding(NODES, found, NODE_GROUPS, f"Choose another instance type, or {there}.")
        elif zones - places[kind]:
            found = f"group {group.name}: {kind} is not offered in {', '.join(sorted(zones - places[kind]))}"
            remedy = f"Give the group only the zones that have it ({', '.join(sorted(zones & places[kind]))})."
            yield Finding(NODES, found, "warn", NODE_GROUPS, remedy, (here.host.name,))
    several = {known[kind] for kind in group.instance_types if known.get(kind)}
    if not image and len(several) > 1 and not set.intersection(*map(set, several)):
        found = f"group {group.name}: its instance types are of different architectures"
        yield here.finding(NODES, found, NODE_GROUPS, "Make a group for each architecture.")


class _Quota(t.NamedTuple):
    """Something of which an account may have only so many in a region.

    :arg usual: How many every account may have.
    """

    noun: str
    service: str
    code: str
    usual: int
    variable: str
    operation: str
    key: str


QUOTA_OF_VPCS = _Quota("VPC", "vpc", "L-F678F1CE", 5, VPC_CIDR, "describe_vpcs", "Vpcs")
QUOTA_OF_ADDRESSES = _Quota("elastic IP", "ec2", "L-0263D0A3", 5, NAT, "describe_addresses", "Addresses")


def quotas(survey: Survey) -> Iterator[Finding]:
    """Whether the account may have as many VPCs and addresses as the clusters of one region need together."""
    together: dict[tuple[str, str, str], list[Situation]] = defaultdict(list)
    for here in situations(survey):
        if here.is_to_be_made and here.wanted.makes_network and here.wanted.vpc_cidr:
            together[here.account, here.wanted.profile, here.wanted.region].append(here)
    yield from concurrently(functools.partial(_quotas, survey), together.values())


def _quotas(survey: Survey, several: list[Situation]) -> Iterator[Finding]:
    for quota in (QUOTA_OF_VPCS, QUOTA_OF_ADDRESSES):
        needing = [here for here in several if _need(here, quota)]
        if needing:
            yield _quota(survey, needing, quota)


def _need(here: Situation, quota: _Quota) -> int:
    return 1 if quota is QUOTA_OF_VPCS else here.wanted.addresses


def _quota(survey: Survey, several: list[Situation], quota: _Quota) -> Finding:
    here, names = several[0], tuple(each.host.name for each in several)
    try:
        there = here.ask(survey, "ec2", quota.operation)[quota.key]
    except AwsProblem as problem:
        right = "ec2:DescribeVpcs" if quota is QUOTA_OF_VPCS else "ec2:DescribeAddresses"
        return unread(
            here, QUOTAS, problem, what=f"how many {quota.noun}s there are", variable=quota.variable, right=right
        )
    # What an interrupted run has made is not made again.
    need = sum(max(_need(each, quota) - _made(each, there), 0) for each in several)
    used, limit, unknown = len(there), quota.usual, ""
    try:
        answer = here.ask(
            survey, "service-quotas", "get_service_quota", ServiceCode=quota.service, QuotaCode=quota.code
        )
        limit = int(answer["Quota"]["Value"])
    except AwsProblem as problem:
        unknown = f" (the quota itself could not be read, {problem.code}: the usual one is {limit})"
    region = here.wanted.region
    found = f"{region} has {counted(used, quota.noun)}, {need} more to be made, and {limit} allowed{unknown}"
    if used + need <= limit or not need:
        return Finding(QUOTAS, found, hosts=names)
    command = f"aws service-quotas request-service-quota-increase --region {region} --service-code {quota.service}"
    command += f" --quota-code {quota.code} --desired-value {used + need}"
    remedy = f"Have it raised (`{command}`), or delete what is no longer used."
    return Finding(QUOTAS, found, "warn" if unknown else "fail", quota.variable, remedy, names)


def _made(here: Situation, there: list[Answer]) -> int:
    tag = {"Key": OWNER_TAG, "Value": here.host.cluster}
    return sum(tag in (thing.get("Tags") or []) for thing in there)
