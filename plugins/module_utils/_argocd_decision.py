# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run may do with the Argo CD that is there."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_install import HA, parse

INSTALL, KEEP, UPGRADE, DOWNGRADE, CHANGE, ADOPT, LEAVE, REMOVE = (
    "install",
    "keep",
    "upgrade",
    "downgrade",
    "change",
    "adopt",
    "leave",
    "remove",
)

_HA_NODES = 3


@dataclass(frozen=True)
class Wish:
    """What the user wants.

    :arg version: v1.2.3.
    :arg install: Whether the installation is this collection's business at all.
    :arg cluster_present: False in check mode while the cluster is yet to be made.
    :arg by_aws: AWS is to run Argo CD outside of the cluster, in place of any that is installed in it.
    """

    version: str
    variant: str
    namespace: str
    install: bool = True
    adopt: bool = False
    allow_downgrade: bool = False
    allow_skip: bool = False
    cluster_present: bool = True
    by_aws: bool = False


@dataclass(frozen=True)
class Decision:
    """What becomes of the installation.

    :arg message: What will be done and why, for the user; empty where there is nothing to say.
    :arg refused: Why nothing may be done, with the variable that allows it.
    """

    action: str
    message: str = ""
    refused: str = ""

    @property
    def apply(self) -> bool:
        """Whether the manifests are applied."""
        return not self.refused and self.action not in (LEAVE, REMOVE)


def decide(found: t.Mapping[str, t.Any], wish: Wish) -> Decision:
    """What to do with what was found."""
    if not found.get("installed"):
        return Decision(LEAVE) if wish.by_aws else _decide_new(found, wish)
    name = f"Argo CD {found['version'] or 'of unknown version'} ({found['variant']}) in namespace {wish.namespace}"
    if wish.by_aws:
        return _give_way(found, wish, name)
    if not wish.install:
        return Decision(LEAVE, f"{name} is left as {found['installed_by']} installed it; only settings are applied.")
    application = found.get("managed_by_application")
    if application and not wish.adopt:
        return Decision(LEAVE, f"{name} manages itself through Application {application}; only settings are applied.")
    if not found["ours"] and not wish.adopt:
        return Decision(
            ADOPT,
            refused=f"{name} was installed by {found['installed_by']}. Set argocd_adopt: true to take it over (what "
            "differs from the manifests is changed; see it first with --check --diff), or argocd_install: false to "
            "leave it and apply settings only.",
        )
    refused = _refused(found, wish)
    action, message = _change(found, wish, name)
    return Decision(action, f"{message} {_too_few_nodes(found, wish)}".strip(), refused)


def _decide_new(found: t.Mapping[str, t.Any], wish: Wish) -> Decision:
    elsewhere = found.get("elsewhere") or []
    if elsewhere:
        return Decision(
            INSTALL,
            refused=f"Argo CD is installed in namespace {', '.join(elsewhere)} already, and a second one in "
            f"{wish.namespace} would take its cluster roles. Set argocd_namespace: {elsewhere[0]}.",
        )
    if not wish.install:
        if not wish.cluster_present:
            return Decision(LEAVE)
        return Decision(
            LEAVE,
            refused=f"There is no Argo CD in namespace {wish.namespace}, and argocd_install is false. Correct "
            "argocd_namespace, or set argocd_install: true.",
        )
    return Decision(INSTALL, _too_few_nodes(found, wish))


def _give_way(found: t.Mapping[str, t.Any], wish: Wish, name: str) -> Decision:
    """Two of them would reconcile the same Applications."""
    application = found.get("managed_by_application")
    by, remedy = f"was installed by {found['installed_by']}", "Set argocd_adopt: true"
    if not wish.install:
        remedy = "Remove it, or set argocd_install: true"
    elif application:
        by = f"manages itself through Application {application}"
        remedy = f"Take {application} out of its repository, or it comes back, and set argocd_adopt: true"
    if not wish.install or ((application or not found["ours"]) and not wish.adopt):
        return Decision(
            REMOVE,
            refused=f"{name} {by}, and one that AWS runs would reconcile the same Applications. {remedy} to have it "
            "removed, Applications and projects stay; or set argocd_provider: self_managed.",
        )
    return Decision(REMOVE, f"{name} is removed, as AWS is to run Argo CD. Applications and projects stay.")


def _too_few_nodes(found: t.Mapping[str, t.Any], wish: Wish) -> str:
    """No reason to refuse: an autoscaler may bring the nodes that are missing."""
    nodes = found.get("nodes")
    if wish.variant != HA or nodes is None or nodes >= _HA_NODES:
        return ""
    return (
        f"Variant ha puts its Redis servers on {_HA_NODES} nodes, but the cluster has {nodes}: it waits for the others."
    )


def _refused(found: t.Mapping[str, t.Any], wish: Wish) -> str:
    wanted = parse(wish.version)
    known = [(text, number) for text in found["versions"] if (number := parse(text))]
    if wanted is None or not known:
        return ""
    (oldest, low), (newest, high) = known[0], known[-1]
    if high > wanted and not wish.allow_downgrade:
        return (
            f"Argo CD {newest} in namespace {wish.namespace} is newer than argocd_version {wish.version}. Raise "
            "argocd_version, or set argocd_allow_downgrade: true."
        )
    if (low[0] != wanted[0] or wanted[1] > low[1] + 1) and wanted > low and not wish.allow_skip:
        return (
            f"From Argo CD {oldest} to argocd_version {wish.version} minor versions are skipped, whose upgrade notes "
            "matter. Go one minor version at a time, or set argocd_allow_skip: true."
        )
    return ""


def _change(found: t.Mapping[str, t.Any], wish: Wish, name: str) -> tuple[str, str]:
    if not found["ours"]:
        return ADOPT, f"{name}, installed by {found['installed_by']}, is taken over and becomes {wish.version}."
    now, wanted = parse(found["version"]), parse(wish.version)
    if now and wanted and now != wanted:
        action = UPGRADE if now < wanted else DOWNGRADE
        return action, f"{name} becomes {wish.version}."
    if found["variant"] != wish.variant:
        return CHANGE, f"{name} becomes {wish.variant}."
    return KEEP, ""
