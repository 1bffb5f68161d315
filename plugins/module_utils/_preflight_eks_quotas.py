# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Check of what an account may have: whether the networks that are to be made fit into its quotas."""

from __future__ import annotations

import functools
import typing as t
from collections import defaultdict
from collections.abc import Iterator

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
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_eks_wanted import NAT, OWNER_TAG, VPC_CIDR

NAME = "aws quotas"


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
            here, NAME, problem, what=f"how many {quota.noun}s there are", variable=quota.variable, right=right
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
        return Finding(NAME, found, hosts=names)
    command = f"aws service-quotas request-service-quota-increase --region {region} --service-code {quota.service}"
    command += f" --quota-code {quota.code} --desired-value {used + need}"
    remedy = f"Have it raised (`{command}`), or delete what is no longer used."
    return Finding(NAME, found, "warn" if unknown else "fail", quota.variable, remedy, names)


def _made(here: Situation, there: list[Answer]) -> int:
    tag = {"Key": OWNER_TAG, "Value": here.host.cluster}
    return sum(tag in (thing.get("Tags") or []) for thing in there)
