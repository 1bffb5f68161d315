# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which Argo CD a cluster has, who installed it, and what a run may do with it."""

from __future__ import annotations

import base64
import binascii
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _ready
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube, Object

FIELD_MANAGER = "hubspoke.bootstrap-argocd"
"""Under this name the role applies the installation; who finds it on a workload knows whose it is."""

STANDARD, CORE, HA = "standard", "core", "ha"
INSTALL, KEEP, UPGRADE, DOWNGRADE, CHANGE, ADOPT, LEAVE = (
    "install",
    "keep",
    "upgrade",
    "downgrade",
    "change",
    "adopt",
    "leave",
)

_KINDS = ("Deployment", "StatefulSet")
_SELECTOR = "app.kubernetes.io/part-of=argocd"
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:[-+][0-9A-Za-z.+-]*)?")
_KIND_LABEL = "argocd.argoproj.io/secret-type"
_REPOSITORY_TYPES = ("repository", "repository-write", "repo-creds", "repo-write-creds")

Version = tuple[int, int, int]


def version_of(image: str) -> str:
    """The version in an image's tag as v1.2.3, empty where the tag is none or the image is not Argo CD's."""
    path, _at, _digest = image.partition("@")
    name, colon, tag = path.rpartition("/")[2].partition(":")
    match = _VERSION.fullmatch(tag) if colon and name == "argocd" else None
    return f"v{tag.removeprefix('v')}" if match else ""


def parse(version: str) -> Version | None:
    """A version as numbers to compare."""
    match = _VERSION.fullmatch(version)
    return t.cast("Version", tuple(int(part) for part in match.groups())) if match else None


def survey(workloads: t.Iterable[Object], namespace: str, field_manager: str = FIELD_MANAGER) -> dict[str, t.Any]:
    """What the workloads that say they belong to Argo CD tell about it.

    :arg workloads: Of all namespaces.
    :arg namespace: Which Argo CD is meant.
    """
    everything = list(workloads)
    here = [item for item in everything if item["metadata"]["namespace"] == namespace]
    described = [_workload(item, field_manager) for item in sorted(here, key=_place)]
    versions = sorted({entry["version"] for entry in described} - {""}, key=lambda text: parse(text) or (0, 0, 0))
    return {
        "installed": bool(described),
        "version": versions[-1] if versions else "",
        "versions": versions,
        "variant": _variant(here),
        "ours": any(entry["ours"] for entry in described),
        "installed_by": _installer(here, field_manager),
        "managed_by_application": next((name for name in map(_application, here) if name), ""),
        "elsewhere": sorted({item["metadata"]["namespace"] for item in everything} - {namespace}),
        "workloads": described,
    }


def _place(item: Object) -> tuple[str, str]:
    return item["kind"], item["metadata"]["name"]


def _workload(item: Object, field_manager: str) -> dict[str, t.Any]:
    pod = item["spec"]["template"]["spec"]
    images = [container.get("image", "") for container in [*pod["containers"], *(pod.get("initContainers") or [])]]
    try:
        lacks = _ready.missing(item) or ""
    except _ready.NeverReady as error:
        lacks = str(error)
    return {
        "kind": item["kind"],
        "name": item["metadata"]["name"],
        "version": next(filter(None, map(version_of, images)), ""),
        "ours": field_manager in _appliers(item),
        "ready": not lacks,
        "lacks": lacks,
        "selector": item["spec"].get("selector", {}).get("matchLabels", {}),
        "reads": _reads(pod),
    }


def _reads(pod: Object) -> dict[str, list[str]]:
    """The keys of ConfigMaps that containers get as variables, which they see only when they start."""
    found: dict[str, set[str]] = {}
    for container in pod["containers"]:
        for entry in container.get("env") or []:
            reference = (entry.get("valueFrom") or {}).get("configMapKeyRef")
            if reference:
                found.setdefault(reference["name"], set()).add(reference["key"])
    return {name: sorted(keys) for name, keys in sorted(found.items())}


def _appliers(item: Object) -> list[str]:
    return [entry.get("manager", "") for entry in item["metadata"].get("managedFields") or []]


def _variant(workloads: list[Object]) -> str:
    if not workloads:
        return ""
    if any("redis-ha" in item["metadata"]["name"] for item in workloads):
        return HA
    components = {(item["metadata"].get("labels") or {}).get("app.kubernetes.io/component") for item in workloads}
    return STANDARD if "server" in components else CORE


def _application(item: Object) -> str:
    """The Application that manages an object, where Argo CD manages itself."""
    tracking = (item["metadata"].get("annotations") or {}).get("argocd.argoproj.io/tracking-id", "")
    return str(tracking).partition(":")[0]


def _installer(workloads: list[Object], field_manager: str) -> str:
    """Who installed it, for people."""
    for item in workloads:
        metadata = item["metadata"]
        if field_manager in _appliers(item):
            return "hubspoke.bootstrap"
        if (metadata.get("labels") or {}).get("app.kubernetes.io/managed-by") == "Helm":
            release = (metadata.get("annotations") or {}).get("meta.helm.sh/release-name", "")
            return f"Helm release {release}".rstrip()
    for item in workloads:
        application = _application(item)
        if application:
            return f"Application {application}"
        for manager in _appliers(item):
            if manager.startswith("kubectl"):
                return "kubectl"
    others = [manager for item in workloads for manager in _appliers(item) if "controller-manager" not in manager]
    return others[0] if others else ("another tool" if workloads else "")


@dataclass(frozen=True)
class Wish:
    """What the user wants.

    :arg version: v1.2.3.
    :arg install: Whether the installation is this collection's business at all.
    :arg cluster_present: False in check mode while the cluster is yet to be made.
    """

    version: str
    variant: str
    namespace: str
    install: bool = True
    adopt: bool = False
    allow_downgrade: bool = False
    allow_skip: bool = False
    cluster_present: bool = True


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
        return not self.refused and self.action != LEAVE


def decide(found: t.Mapping[str, t.Any], wish: Wish) -> Decision:
    """What to do with what was found."""
    if not found.get("installed"):
        return _decide_new(found, wish)
    name = f"Argo CD {found['version'] or 'of unknown version'} ({found['variant']}) in namespace {wish.namespace}"
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
    return Decision(action, message, refused)


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
    return Decision(INSTALL)


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


def read(kube: Kube, namespace: str, field_manager: str = FIELD_MANAGER) -> dict[str, t.Any]:
    """Look at a cluster."""
    workloads = [item for kind in _KINDS for item in kube.list("apps/v1", kind, None, _SELECTOR)]
    return {**survey(workloads, namespace, field_manager), "repositories": _repositories(kube, namespace)}


def _repositories(kube: Kube, namespace: str) -> list[dict[str, str]]:
    """The Secrets that are repositories or templates of credentials, without what is secret in them."""
    selector = f"{_KIND_LABEL} in ({','.join(_REPOSITORY_TYPES)})"
    return [described(secret) for secret in kube.list("v1", "Secret", namespace, selector)]


def described(secret: Object) -> dict[str, str]:
    """A repository's Secret, by what tells it from others."""
    data = secret.get("data") or {}
    return {
        "name": secret["metadata"]["name"],
        "type": (secret["metadata"].get("labels") or {}).get(_KIND_LABEL, ""),
        "url": _text(data, "url"),
        "project": _text(data, "project"),
    }


def _text(data: t.Mapping[str, str], key: str) -> str:
    try:
        return base64.b64decode(data.get(key, "")).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
