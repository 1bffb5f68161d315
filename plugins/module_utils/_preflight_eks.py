# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks of who we are to AWS, of its regions, and of EKS clusters: whose they are, and which version they can have."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import (
    Finding,
    Survey,
    Verdict,
    concurrently,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_aws import AwsProblem
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_eks_situation import (
    ACCOUNTS,
    CLUSTERS,
    REGIONS,
    Situation,
    situations,
    unread,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_eks_wanted import (
    ACCESS_ROLE,
    ACCOUNT,
    NAME,
    OWNER_TAG,
    PROTECTION,
    REGION,
    STATE,
    VERSION,
    Version,
    shown,
    version,
)

VERSIONS, ROLES = "eks version", "aws roles"

_ROLE = re.compile(r"arn:aws[\w-]*:iam::\d{12}:role/[\w+=,.@/-]+$")
_SESSION = "hubspoke-preflight"


def accounts(survey: Survey) -> Iterator[Finding]:
    """Whether AWS knows who asks, in the account that is expected."""
    fine: dict[str, list[Situation]] = {}
    for here in situations(survey):
        if here.trouble:
            yield from [here.trouble] if here.trouble.check == ACCOUNTS else ()
        elif not here.account_fits:
            who = f" ({here.identity})" if here.identity else ""
            found = f"the credentials are of account {here.account}{who}, and {here.wanted.account} is expected"
            remedy = "Choose credentials of that account (AWS_PROFILE), or correct the expected id."
            yield here.finding(ACCOUNTS, found, ACCOUNT, remedy)
        elif not here.wanted.account:
            found = f"is not given, and the credentials are of account {here.account}"
            remedy = f'Set it to "{here.account}" if that is the one; nothing is made where it is not said.'
            verdict: Verdict = "warn" if here.host.adopted else "fail"
            yield Finding(ACCOUNTS, found, verdict, ACCOUNT, remedy, (here.host.name,))
        else:
            fine.setdefault(here.account, []).append(here)
    for account, several in fine.items():
        yield Finding(ACCOUNTS, f"{account}, as expected", hosts=tuple(here.host.name for here in several))


def regions(survey: Survey) -> Iterator[Finding]:
    """Whether there is such a region, and the account may use it."""
    for here in situations(survey):
        if not here.trouble:
            yield Finding(REGIONS, f"{here.wanted.region} answers", hosts=(here.host.name,))
        elif here.trouble.check == REGIONS:
            yield here.trouble


def clusters(survey: Survey) -> Iterator[Finding]:
    """Whether there is a cluster of that name, and whether it is ours to change."""
    purpose = str(survey.options.get("purpose") or "")
    for here in situations(survey):
        if here.trouble:
            yield from [here.trouble] if here.trouble.check == CLUSTERS else ()
        elif here.is_known:
            yield _teardown(here) if purpose == "teardown" else _cluster(here)


def _cluster(here: Situation) -> Finding:
    name, region, cluster = here.host.cluster, here.wanted.region, here.cluster
    if cluster is None:
        if not here.host.adopted:
            return Finding(CLUSTERS, f"to be made in {region}", hosts=(here.host.name,))
        found = (
            f"it is adopted, but account {here.account} has no cluster {name} in {region} (ResourceNotFoundException)"
        )
        remedy = f"Correct {NAME} or {REGION}, or set this to present, to have it made."
        return here.finding(CLUSTERS, found, STATE, remedy)
    status = str(cluster.get("status") or "")
    if status in ("DELETING", "FAILED"):
        found = f"{name} in {region} is {status}"
        remedy = (
            "Wait until it is gone, and run again."
            if status == "DELETING"
            else "See why (`aws eks describe-cluster`), delete it, and run again; or give another name."
        )
        return here.finding(CLUSTERS, found, NAME, remedy)
    if not here.host.adopted and not _is_ours(here):
        found = f"{region} has a cluster {name} that something else made (it has no tag {OWNER_TAG}={name})"
        remedy = f"Give another name; or set {STATE} to adopted, to use that one as it is."
        return here.finding(CLUSTERS, found, NAME, remedy)
    shape = f"Kubernetes {cluster.get('version')}, {status}"
    return Finding(CLUSTERS, f"there, {shape}{' (adopted)' * here.host.adopted}", hosts=(here.host.name,))


def _teardown(here: Situation) -> Finding:
    name, region, cluster = here.host.cluster, here.wanted.region, here.cluster
    who = (here.host.name,)
    if here.host.adopted:
        return Finding(CLUSTERS, "adopted: it is left alone", hosts=who)
    if cluster is None:
        return Finding(CLUSTERS, f"{region} has no cluster {name}", hosts=who)
    if not _is_ours(here):
        found = f"the cluster {name} in {region} was made by something else (it has no tag {OWNER_TAG}={name})"
        remedy = f"Set {STATE} to adopted, to leave it alone, or correct this; whoever made it may delete it."
        return here.finding(CLUSTERS, found, NAME, remedy)
    if cluster.get("deletionProtection"):
        found = f"deletion protection of {name} in {region} is on, and AWS would refuse (InvalidRequestException)"
        command = f"aws eks update-cluster-config --region {region} --name {name} --no-deletion-protection"
        remedy = f"If it is really to be deleted, set this to false, and run the bootstrap or `{command}` first."
        return here.finding(CLUSTERS, found, PROTECTION, remedy)
    return Finding(CLUSTERS, f"{name} in {region} can be deleted", hosts=who)


def _is_ours(here: Situation) -> bool:
    return ((here.cluster or {}).get("tags") or {}).get(OWNER_TAG) == here.host.cluster


def versions(survey: Survey) -> Iterator[Finding]:
    """Whether EKS has that version of Kubernetes, and whether it can be reached from the one that is there."""
    for here in situations(survey):
        # An adopted one keeps its version, whatever the inventory's others are to have.
        if not here.is_known or here.host.adopted:
            continue
        wants, there = here.wanted.version, here.version
        if here.wanted.version_text and wants is None:
            remedy = "Give it as EKS does, 1.34 for example."
            yield here.finding(VERSIONS, f"{here.wanted.version_text!r} is no version of Kubernetes", VERSION, remedy)
        elif wants and there and wants != there:
            yield from _change(here, survey, there, wants)
        elif wants and not there:
            yield from _offered(here, survey, wants) or (Finding(VERSIONS, shown(wants), hosts=(here.host.name,)),)


def _change(here: Situation, survey: Survey, there: Version, wants: Version) -> Iterator[Finding]:
    """From one version to another: one at a time, and never back."""
    if wants < there:
        remedy = f"Set it to {shown(there)}, or make another cluster."
        found = f"is {shown(wants)}, and the cluster runs {shown(there)}: EKS does not go back"
        yield here.finding(VERSIONS, found, VERSION, remedy)
    elif wants[0] == there[0] and wants[1] > there[1] + 1:
        path = " -> ".join(shown((there[0], minor)) for minor in range(there[1], wants[1] + 1))
        first = shown((there[0], there[1] + 1))
        found = f"is {shown(wants)}, and the cluster runs {shown(there)}: EKS upgrades one version at a time"
        yield here.finding(VERSIONS, found, VERSION, f"Set it to {first}, run, and go on from there ({path}).")
    else:
        upgrade = Finding(VERSIONS, f"upgrade {shown(there)} -> {shown(wants)}", hosts=(here.host.name,))
        yield from _offered(here, survey, wants) or (upgrade,)


def _offered(here: Situation, survey: Survey, wants: Version) -> list[Finding]:
    """What is wrong with a version that is to be had anew."""
    try:
        answer = here.ask(survey, "eks", "describe_cluster_versions")
    except AwsProblem as problem:
        return [
            unread(
                here,
                VERSIONS,
                problem,
                what="the versions that EKS has",
                variable=VERSION,
                right="eks:DescribeClusterVersions",
            )
        ]
    offered = {version(str(entry.get("clusterVersion"))): entry for entry in answer.get("clusterVersions") or []}
    known = sorted(number for number in offered if number)
    if wants not in offered:
        found = f"EKS in {here.wanted.region} has no Kubernetes {shown(wants)}"
        return [here.finding(VERSIONS, found, VERSION, f"Set it to one of {', '.join(map(shown, known))}.")]
    status = str(offered[wants].get("versionStatus") or offered[wants].get("status") or "").upper()
    if status.startswith("UNSUPPORTED"):
        standard = [number for number in known if "STANDARD" in str(offered[number].get("versionStatus") or "").upper()]
        found = f"EKS no longer supports Kubernetes {shown(wants)}"
        return [here.finding(VERSIONS, found, VERSION, f"Set it to one of {', '.join(map(shown, standard or known))}.")]
    if status.startswith("EXTENDED"):
        found = f"Kubernetes {shown(wants)} is in extended support, which costs several times as much"
        remedy = f"Set it to {shown(known[-1])} or another one in standard support."
        return [Finding(VERSIONS, found, "warn", VERSION, remedy, (here.host.name,))]
    return []


def roles(survey: Survey) -> Iterator[Finding]:
    """Whether the role can be assumed that Kubernetes is to know us by."""
    yield from concurrently(functools.partial(_role, survey), [s for s in situations(survey) if s.wanted.access_role])


def _role(survey: Survey, here: Situation) -> Iterable[Finding]:
    arn = here.wanted.access_role
    if not _ROLE.match(arn):
        remedy = "Give its ARN, arn:aws:iam::123456789012:role/name for example."
        return [here.finding(ROLES, f"{arn!r} is no ARN of a role", ACCESS_ROLE, remedy)]
    if not here.is_known:
        return []
    try:
        here.ask(survey, "sts", "assume_role", RoleArn=arn, RoleSessionName=_SESSION, DurationSeconds=900)
    except AwsProblem as problem:
        remedy = "Let its trust policy name who runs this, and allow that one sts:AssumeRole; or leave it empty."
        return [here.finding(ROLES, f"{arn} cannot be assumed ({problem})", ACCESS_ROLE, remedy)]
    return [Finding(ROLES, f"{arn} can be assumed", hosts=(here.host.name,))]
