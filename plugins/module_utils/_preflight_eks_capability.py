# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Check of an Argo CD that AWS is to run, as an EKS capability of the hub."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import Finding, Host, Survey
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_eks_wanted import PROVIDER as EKS

NAME = "capability"
WHO_RUNS_IT = "argocd_provider"

_IDC, _MAPPINGS, _ROLE = (f"argocd_capability_{name}" for name in ("idc_instance", "role_mappings", "role_arn"))
_INSTANCE = re.compile(r"arn:aws[\w-]*:sso:::instance/(sso)?ins-[\w.-]{16}")
_ROLE_ARN = re.compile(r"arn:aws[\w-]*:iam::\d{12}:role/[\w+=,.@/-]+")
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
            name = hub.text("argocd_capability_name")
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
