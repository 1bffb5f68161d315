# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The decisions of a manifest set, as pure functions: identity, order, action, difference, prune."""

from __future__ import annotations

import copy
import hashlib
import json
import typing as t
from dataclasses import dataclass

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._redact import redacted_pair, without_secrets

Object = dict[str, t.Any]

CREATED, CONFIGURED, UNCHANGED, DELETED, KEPT = "created", "configured", "unchanged", "deleted", "kept"

# The Deployment controller counts here; it may do so between our reading and our applying.
_REVISION = "deployment.kubernetes.io/revision"

DEFINITION = ("apiextensions.k8s.io", "CustomResourceDefinition")

# Kinds of core Kubernetes that have no namespace; needed only where no server can be asked.
_CLUSTER_SCOPED = frozenset(
    [
        "APIService",
        "CertificateSigningRequest",
        "ClusterRole",
        "ClusterRoleBinding",
        "CSIDriver",
        "CSINode",
        "CustomResourceDefinition",
        "FlowSchema",
        "IngressClass",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
        "MutatingWebhookConfiguration",
        "Namespace",
        "Node",
        "PersistentVolume",
        "PriorityClass",
        "PriorityLevelConfiguration",
        "RuntimeClass",
        "StorageClass",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
        "VolumeAttachment",
    ]
)

# What others are made of comes first; admission webhooks come last, when their servers have been applied.
_PHASES = (
    frozenset({"Namespace", "CustomResourceDefinition"}),
    frozenset(
        [
            "ClusterRole",
            "ClusterRoleBinding",
            "ConfigMap",
            "IngressClass",
            "LimitRange",
            "PersistentVolume",
            "PersistentVolumeClaim",
            "PriorityClass",
            "ResourceQuota",
            "Role",
            "RoleBinding",
            "RuntimeClass",
            "Secret",
            "Service",
            "ServiceAccount",
            "StorageClass",
        ]
    ),
    frozenset[str](),
    frozenset({"APIService", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"}),
)
_REST = 2


@dataclass(frozen=True, order=True)
class Ref:
    """Which object; two versions of one group are the same object."""

    group: str
    kind: str
    namespace: str
    name: str
    version: str = "v1"

    @property
    def api_version(self) -> str:
        """As manifests write it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What makes it the same object."""
        return self.group, self.kind, self.namespace, self.name

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"

    @classmethod
    def of(cls, item: Object) -> Ref:
        """The identity of an object."""
        group, _slash, version = item["apiVersion"].rpartition("/")
        return cls(group, item["kind"], item["metadata"].get("namespace") or "", item["metadata"]["name"], version)


def phases(items: t.Iterable[Object]) -> list[list[Object]]:
    """The objects in the order of their making; those of one phase do not depend on each other's existence."""
    result: list[list[Object]] = [[] for _ in _PHASES]
    for item in items:
        number = next((n for n, kinds in enumerate(_PHASES) if item["kind"] in kinds), _REST)
        result[number].append(item)
    return result


def namespaced_offline(item: Object, definitions: t.Iterable[Object]) -> bool:
    """Whether a kind has a namespace, as far as the set itself and core Kubernetes tell."""
    for definition in definitions:
        spec = definition["spec"]
        if spec["names"]["kind"] == item["kind"] and spec["group"] == Ref.of(item).group:
            return bool(spec["scope"] == "Namespaced")
    return item["kind"] not in _CLUSTER_SCOPED


def meaning(item: Object) -> Object:
    """What of an object is somebody's intention: without what the server and the controllers write."""
    result = {key: value for key, value in item.items() if key != "status"}
    metadata = dict(item.get("metadata", {}))
    for field in ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"):
        metadata.pop(field, None)
    annotations = {key: value for key, value in metadata.pop("annotations", {}).items() if key != _REVISION}
    result["metadata"] = {**metadata, **({"annotations": annotations} if annotations else {})}
    return result


def action(before: Object | None, after: Object) -> str:
    """What applying does, or did."""
    if before is None:
        return CREATED
    return UNCHANGED if meaning(before) == meaning(after) else CONFIGURED


def difference(
    ref: Ref, before: Object | None, after: Object | None, dump: t.Callable[[Object], str]
) -> dict[str, str]:
    """One entry of the diff: what is shown of a change, Secrets redacted and schemas cut to their digest.

    :arg dump: Writes an object as text.
    """
    old, new = _shown(before), _shown(after)
    if before is not None and after is not None:
        old, new = redacted_pair(old, new)
    else:
        old, new = without_secrets(old), without_secrets(new)
    return {
        "before_header": str(ref),
        "after_header": str(ref),
        "before": dump(old) if before is not None else "",
        "after": dump(new) if after is not None else "",
    }


def _shown(item: Object | None) -> Object:
    if item is None:
        return {}
    result = meaning(item)
    if item["kind"] == "CustomResourceDefinition":
        result = copy.deepcopy(result)
        for version in result.get("spec", {}).get("versions", []):
            schema = json.dumps(version.get("schema"), sort_keys=True).encode()
            version["schema"] = f"<schema, sha256:{hashlib.sha256(schema).hexdigest()[:12]}>"
    return result


def to_prune(recorded: t.Iterable[Ref], wanted: t.Iterable[Ref]) -> list[Ref]:
    """What the set once applied and no longer holds, in the order of removal: the reverse of the making."""
    present = {ref.identity for ref in wanted}
    gone = {ref.identity: ref for ref in recorded if ref.identity not in present}
    order = [n for n, _kinds in enumerate(_PHASES)]

    def rank(ref: Ref) -> tuple[int, Ref]:
        return -next((n for n in order if ref.kind in _PHASES[n]), _REST), ref

    return sorted(gone.values(), key=rank)


def to_record(refs: t.Iterable[Ref]) -> str:
    """The list of objects as the set's record keeps it."""
    unique = {ref.identity: ref for ref in refs}
    return json.dumps(
        [[ref.api_version, ref.kind, ref.namespace, ref.name] for ref in sorted(unique.values())],
        separators=(",", ":"),
    )


def from_record(text: str) -> list[Ref]:
    """The list of objects that a record keeps.

    :raises ValueError: it is not such a list.
    """
    result = []
    for api_version, kind, namespace, name in json.loads(text):
        group, _slash, version = api_version.rpartition("/")
        result.append(Ref(group, kind, namespace, name, version))
    return result


def only_ours(item: Object, field_manager: str) -> bool:
    """Whether that manager applied the object, and no other did: then it may go.

    An object that moved to another set, or that another tool applies too, has a second one.
    """
    managers = {
        entry.get("manager")
        for entry in item.get("metadata", {}).get("managedFields") or []
        if entry.get("operation") == "Apply" and not entry.get("subresource")
    }
    return managers == {field_manager}
