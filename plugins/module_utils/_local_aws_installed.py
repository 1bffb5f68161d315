# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an EKS capability for Argo CD puts on its cluster: definitions, its namespace, the default project.

Argo CD itself is AWS's own and runs outside of the cluster: the look-alike has none.
"""

from __future__ import annotations

import base64
import functools
import pathlib
import re
import time

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_world import Cluster, Shape
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._manifest_source import parse
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_secret import SELECTOR

TOOL = "argocd-install"
"""The manifest that definitions are taken from, by its name among the tools."""

_MANAGER = "local-aws"
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_IS_DEFINITION = re.compile(r"^kind: CustomResourceDefinition$", re.MULTILINE)
_SECONDS = 20.0
_API, _KINDS = "argoproj.io/v1alpha1", ("Application", "ApplicationSet", "AppProject")
_PROJECT = {"apiVersion": _API, "kind": "AppProject", "metadata": {"name": "default"}}
_SPEC = {
    "sourceRepos": ["*"],
    "destinations": [{"server": "*", "namespace": "*"}],
    "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
}


def namespaces(cluster: Cluster) -> set[str]:
    """Where Argo CD's objects are to be; one at most, as there is one capability of a type."""
    return {
        item["configuration"]["argoCd"]["namespace"]
        for item in list(cluster.capabilities.values())
        if item["type"] == "ARGOCD"
    }


def install(kube: Kube, manifest: str, namespace: str) -> None:
    """Put it there. What is there already stays as it is, as it does when a capability is deleted."""
    for item in definitions(manifest):
        kube.apply_path(f"{_DEFINITIONS}/{item['metadata']['name']}", item, _MANAGER)
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    kube.apply_path(f"/api/v1/namespaces/{namespace}", body, _MANAGER)
    deadline = time.monotonic() + _SECONDS
    # A definition is found some moments after it was written.
    while not all(kube.find(_API, kind, refresh=True) for kind in _KINDS) and time.monotonic() < deadline:
        time.sleep(0.2)
    project = {**_PROJECT, "spec": {**_SPEC, "sourceNamespaces": [namespace]}}
    kube.apply_path(f"/apis/{_API}/namespaces/{namespace}/appprojects/default", project, _MANAGER)


def registered(kube: Kube, namespace: str) -> list[str]:
    """The servers of the clusters that Argo CD is given there."""
    found = (item.get("data") or {} for item in kube.pages(f"/api/v1/namespaces/{namespace}/secrets", SELECTOR))
    return sorted(base64.b64decode(data.get("server", "")).decode(errors="replace") for data in found)


@functools.cache
def definitions(manifest: str) -> tuple[Shape, ...]:
    """The CustomResourceDefinitions of a manifest. Of the rest, which is as much again, nothing is read."""
    text = pathlib.Path(manifest).read_text(encoding="utf-8")
    parts = re.split(r"^---$", text, flags=re.MULTILINE)
    return tuple(item for part in parts if _IS_DEFINITION.search(part) for item in parse(part, manifest))
