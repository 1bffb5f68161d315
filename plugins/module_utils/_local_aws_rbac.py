# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Access policies as roles and bindings of Kubernetes. Pure.

EKS itself authorizes by its policies without any object. Here each principal is in a group of its own, which nobody
sees but in a review of oneself, and bindings give rights to the group.
"""

from __future__ import annotations

import hashlib
import typing as t
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

Object = dict[str, t.Any]

LABEL = "local-aws.hubspoke.bootstrap/kept"
"""On all that the look-alike keeps on a cluster."""

_API = "rbac.authorization.k8s.io/v1"
_READ = ["get", "list", "watch"]
_ADMIN_VIEW, _SECRETS, _CAPABILITY = "local-aws:admin-view", "local-aws:secret-reader", "local-aws:capability"
_ROLES = {
    "AmazonEKSClusterAdminPolicy": "cluster-admin",
    "AmazonEKSAdminPolicy": "admin",
    "AmazonEKSEditPolicy": "edit",
    "AmazonEKSViewPolicy": "view",
    "AmazonEKSAdminViewPolicy": _ADMIN_VIEW,
    "AmazonEKSSecretReaderPolicy": _SECRETS,
}
_RULES: dict[str, list[Object]] = {
    _ADMIN_VIEW: [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": _READ},
        {"nonResourceURLs": ["*"], "verbs": ["get"]},
    ],
    _SECRETS: [{"apiGroups": [""], "resources": ["secrets"], "verbs": _READ}],
    _CAPABILITY: [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": _READ},
        {"apiGroups": ["argoproj.io"], "resources": ["*"], "verbs": ["*"]},
    ],
}

Policies = Mapping[str, Mapping[str, Mapping[str, t.Any]]]
"""Associated policies by principal, then by ARN."""


def group_of(principal: str) -> str:
    """The group that a principal alone is in."""
    return f"local-aws:{hashlib.sha256(principal.encode()).hexdigest()[:16]}"


def wants_namespaces(policies: Policies) -> bool:
    """Whether there are rights in some namespaces only."""
    return any(item["accessScope"]["type"] == "namespace" for held in policies.values() for item in held.values())


def objects(policies: Policies, namespaces: Iterable[str]) -> list[Object]:
    """The objects that give every principal what its policies say.

    :arg namespaces: Those that there are; policies may name others, or patterns.
    """
    there = sorted(namespaces)
    roles = [_object("ClusterRole", name, rules=rules) for name, rules in _RULES.items()]
    return roles + [
        binding
        for principal, held in policies.items()
        for arn, item in held.items()
        for binding in _bindings(principal, arn.rsplit("/", 1)[-1], item["accessScope"], there)
    ]


def path(item: Object) -> str:
    """Where an object is."""
    meta, kind = item["metadata"], item["kind"].lower() + "s"
    where = f"namespaces/{meta['namespace']}/" if "namespace" in meta else ""
    return f"/apis/{_API}/{where}{kind}/{meta['name']}"


def _bindings(principal: str, policy: str, scope: Mapping[str, t.Any], there: list[str]) -> t.Iterator[Object]:
    group = group_of(principal)
    name = f"{group}:{policy}"
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": _ROLES.get(policy, _CAPABILITY)}
    given: Object = {
        "roleRef": role,
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}],
        "annotations": {"local-aws.hubspoke.bootstrap/principal": principal},
    }
    if scope["type"] == "cluster":
        yield _object("ClusterRoleBinding", name, **given)
        return
    for namespace in there:
        if any(fnmatchcase(namespace, pattern) for pattern in scope["namespaces"]):
            yield _object("RoleBinding", name, namespace, **given)


def _object(
    kind: str, name: str, namespace: str = "", annotations: Mapping[str, str] | None = None, **fields: t.Any
) -> Object:
    metadata: Object = {"name": name, "labels": {LABEL: "access"}}
    if namespace:
        metadata["namespace"] = namespace
    if annotations:
        metadata["annotations"] = dict(annotations)
    return {"apiVersion": _API, "kind": kind, "metadata": metadata, **fields}
