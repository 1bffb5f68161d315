# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which Argo CD a cluster has, and who installed it."""

from __future__ import annotations

import base64
import binascii
import re
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _ready, _wait
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube, Object
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._manifest_plan import Ref
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Progress

FIELD_MANAGER = "hubspoke.bootstrap-argocd"
"""Under this name the role applies the installation; who finds it on a workload knows whose it is."""

CHECKSUM = "hubspoke.bootstrap/settings-checksum"
"""Annotation of a workload's pods: what of the settings it read when it started."""

STANDARD, CORE, HA = "standard", "core", "ha"
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
        "settings_checksum": (item["spec"]["template"].get("metadata", {}).get("annotations") or {}).get(CHECKSUM, ""),
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


def read(kube: Kube, namespace: str, field_manager: str = FIELD_MANAGER) -> dict[str, t.Any]:
    """Look at a cluster."""
    workloads = [item for kind in _KINDS for item in kube.list("apps/v1", kind, None, _SELECTOR)]
    return {
        **survey(workloads, namespace, field_manager),
        "nodes": sum(not node.get("spec", {}).get("unschedulable") for node in kube.list("v1", "Node")),
        "repositories": _repositories(kube, namespace),
    }


def wait(kube: Kube, found: t.Mapping[str, t.Any], namespace: str, timeout: float, say: Progress) -> None:
    """Wait until all workloads that were found are ready.

    :arg timeout: Seconds.
    :raises HubspokeError: names those that are not, and what they lack.
    """

    def live(ref: Ref) -> Object | None:
        return kube.get(ref.api_version, ref.kind, ref.name, ref.namespace)

    refs = [Ref("apps", entry["kind"], namespace, entry["name"]) for entry in found["workloads"]]
    _wait.until_ready(live, dict.fromkeys(refs, _ready.missing), timeout, say)


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
