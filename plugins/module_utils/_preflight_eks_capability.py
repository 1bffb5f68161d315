# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Check of an Argo CD that AWS is to run, as an EKS capability of the hub."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import Finding, Host, Survey, concurrently
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_aws import AwsProblem
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_eks_situation import (
    Situation,
    situations,
    unread,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_eks_wanted import PROVIDER as EKS

NAME, THERE = "capability", "eks capability"
WHO_RUNS_IT = "argocd_provider"

_CONFIG = "argocd_config"
_CALLED, _IDC, _MAPPINGS, _ROLE = (
    f"argocd_capability_{name}" for name in ("name", "idc_instance", "role_mappings", "role_arn")
)
_INSTANCE = re.compile(r"arn:aws[\w-]*:sso:::instance/(sso)?ins-[\w.-]{16}")
_ROLE_ARN = re.compile(r"arn:aws[\w-]*:iam::\d{12}:role/[\w+=,.@/-]+")
# The entries of argocd-cm that it takes over: https://docs.aws.amazon.com/eks/latest/userguide/argocd-configure-settings.html
_TAKEN_OVER = re.compile(
    r"ui\.(banner(content|url|permanent|position)|cssurl)"
    r"|resource\.customizations\.(ignoreDifferences|ignoreResourceUpdates|knownTypeFields|health)\..+"
    r"|resource\.((ex|in)clusions|compareoptions|respectRBAC|customLabels|(in|ex)cludeEventLabelKeys)"
    r"|resource\.sensitive\.mask\.annotations|(kustomize|helm|jsonnet)\.enable|kustomize\.buildOptions"
)
# What means nothing to it, by the value at which it says nothing.
_LEFT_OUT = {
    "argocd_rbac": {},
    "argocd_params": {},
    "argocd_manifest": "",
    "argocd_variant": "standard",
    "argocd_initial_admin_secret": "keep",
}


def capability(survey: Survey) -> Iterator[Finding]:
    """Everything about it that can be known from variables."""
    hubs = [host for host in survey.hosts if host.name in survey.hubs and host.argocd_by_aws]
    for hub in hubs:
        spokes = [host for host in survey.hosts if host.name not in survey.hubs]
        findings = [*_clusters(hub, spokes), *(_installation(hub) if hub.get("argocd_install") is not False else ())]
        yield from findings
        if all(finding.verdict != "fail" for finding in findings):
            name = hub.text(_CALLED)
            yield Finding(NAME, f"Argo CD is run by AWS, as capability {name}", hosts=(hub.name,))


def _clusters(hub: Host, spokes: list[Host]) -> Iterator[Finding]:
    """It is there for EKS clusters, and reaches nothing else."""
    if hub.provider and hub.provider != EKS:
        found = f"is eks_capability, but the hub's provider is {hub.provider}"
        remedy = "Set it to self_managed, or cluster_provider of the hub to eks."
        yield Finding(NAME, found, "fail", WHO_RUNS_IT, remedy, (hub.name,))
        return
    others = tuple(host.name for host in spokes if host.provider and host.provider != EKS)
    if others:
        found = f"Argo CD of {hub.name} is run by AWS, which deploys to EKS clusters only"
        remedy = f"Set it to eks, take it out of the group spokes, or set {WHO_RUNS_IT} of the hub to self_managed."
        yield Finding(NAME, found, "fail", "cluster_provider", remedy, others)


def _installation(hub: Host) -> Iterator[Finding]:
    who = (hub.name,)
    instance, role = hub.text(_IDC), hub.text(_ROLE)
    if not _INSTANCE.fullmatch(instance):
        found = f"{instance!r} is no ARN of an instance" if instance else "is not given, and AWS makes none without it"
        remedy = "Give the ARN of your instance of IAM Identity Center; `aws sso-admin list-instances` shows it."
        yield Finding(NAME, found, "fail", _IDC, remedy, who)
    if role and not _ROLE_ARN.fullmatch(role):
        remedy = "Give its ARN, arn:aws:iam::123456789012:role/name for example; or leave it empty, to have one made."
        yield Finding(NAME, f"{role!r} is no ARN of a role", "fail", _ROLE, remedy, who)
    if not role and hub.adopted:
        found = "is not given, and for a cluster that is adopted no role is made"
        remedy = "Give the ARN of one that trusts capabilities.eks.amazonaws.com, or set argocd_install to false."
        yield Finding(NAME, found, "fail", _ROLE, remedy, who)
    if hub.get(_MAPPINGS) == []:
        remedy = "Give groups of your identity centre roles, ADMIN for example."
        yield Finding(NAME, "is empty, so nobody can use its pages", "warn", _MAPPINGS, remedy, who)
    for variable, nothing in _LEFT_OUT.items():
        if hub.get(variable) not in (None, nothing):
            found = "means nothing to an Argo CD that AWS runs, and is left out"
            yield Finding(NAME, found, "warn", variable, "Take it out; docs/eks.md says what takes its place.", who)
    ignored = sorted(str(key) for key in hub.get(_CONFIG) or {} if not _TAKEN_OVER.fullmatch(str(key)))
    if ignored:
        found = f"{', '.join(ignored)}: not among the entries that an Argo CD which AWS runs takes over"
        yield Finding(NAME, found, "warn", _CONFIG, "Take them out; docs/eks.md names where AWS lists its own.", who)


def there(survey: Survey) -> Iterator[Finding]:
    """Whether the hub has one already that stands in the way of what is wanted."""
    known = [here for here in situations(survey) if here.is_known and here.cluster]
    yield from concurrently(
        functools.partial(_there, survey), [here for here in known if here.host.name in survey.hubs]
    )


def _there(survey: Survey, here: Situation) -> Iterable[Finding]:
    cluster, region = here.host.cluster, here.wanted.region
    try:
        answer = here.ask(survey, "eks", "list_capabilities", clusterName=cluster)
        found = [item["capabilityName"] for item in answer.get("capabilities") or [] if item.get("type") == "ARGOCD"]
        if not found or (here.host.argocd_by_aws and found == [here.host.text(_CALLED)]):
            return []
        told = here.ask(survey, "eks", "describe_capability", clusterName=cluster, capabilityName=found[0])
    except AwsProblem as problem:
        return [
            unread(
                here,
                THERE,
                problem,
                what="its capabilities",
                variable=WHO_RUNS_IT,
                right="eks:ListCapabilities and eks:DescribeCapability",
            )
        ]
    (name,) = found
    command = f"aws eks delete-capability --region {region} --cluster-name {cluster} --capability-name {name}"
    if here.host.argocd_by_aws:
        is_there = f"AWS runs an Argo CD for {cluster} already, as capability {name}, and it runs one for a cluster"
        remedy = f"Set it to {name} to have that one brought up to date, or delete it (`{command}`)."
        return [here.finding(THERE, is_there, _CALLED, remedy)]
    role = str(told["capability"].get("roleArn") or "")
    if name == here.host.text(_CALLED) and not here.host.adopted and role.endswith(f"/{cluster}-argocd-capability"):
        is_there = f"{name} is deleted; an Argo CD that is installed takes its place"
        return [Finding(THERE, is_there, hosts=(here.host.name,))]
    is_there = f"is self_managed, but AWS runs Argo CD too, as capability {name}, which was not made here with its role"
    remedy = f"Delete it (`{command}`), what it has made stays; or set this to eks_capability."
    return [here.finding(THERE, is_there, WHO_RUNS_IT, remedy)]
