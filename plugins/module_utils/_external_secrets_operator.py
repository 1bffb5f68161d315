# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which External Secrets a cluster has, and who installed it."""

from __future__ import annotations

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube, Object

FIELD_MANAGER = "hubspoke.bootstrap-external-secrets"
_SELECTOR = "app.kubernetes.io/name=external-secrets"


def read(kube: Kube) -> list[dict[str, t.Any]]:
    """Every controller of External Secrets on the cluster."""
    return [described(item) for item in kube.list("apps/v1", "Deployment", label_selector=_SELECTOR)]


def described(item: Object) -> dict[str, t.Any]:
    """One Deployment: where it is, its version, and who applied it."""
    metadata = item["metadata"]
    image = item["spec"]["template"]["spec"]["containers"][0].get("image", "")
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    by = _installer(metadata)
    return {
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "version": tag,
        "ours": FIELD_MANAGER in _appliers(metadata),
        "installed_by": by,
    }


def _appliers(metadata: Object) -> list[str]:
    entries = metadata.get("managedFields") or []
    return [entry.get("manager", "") for entry in entries if entry.get("operation") == "Apply"]


def _installer(metadata: Object) -> str:
    """For people."""
    annotations = metadata.get("annotations") or {}
    application = str(annotations.get("argocd.argoproj.io/tracking-id", "")).partition(":")[0]
    if application:
        return f"the Application {application} of Argo CD"
    if annotations.get("meta.helm.sh/release-name"):
        return f"the Helm release {annotations['meta.helm.sh/release-name']}"
    entries = metadata.get("managedFields") or []
    managers = [entry["manager"] for entry in entries if entry.get("manager") and entry.get("subresource") != "status"]
    return managers[0] if managers else "another tool"


def refusal(found: t.Iterable[t.Mapping[str, t.Any]], namespace: str) -> str:
    """Why it cannot be installed beside what is there, empty where it can."""
    for each in found:
        if not each["ours"] or each["namespace"] != namespace:
            return (
                f"External Secrets {each['version']} is in namespace {each['namespace']} already, installed by "
                f"{each['installed_by']}. Set external_secrets_install to false to leave it to that (and "
                "external_secrets_namespace to its namespace), or remove it there."
            )
    return ""
