# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Argo CD's settings as objects: entries of its ConfigMaps, repositories, credentials, projects.

All of them are partial: applied under a field manager of their own, so that what others wrote beside them stays.
"""

from __future__ import annotations

import hashlib
import json
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_install import CHECKSUM
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_repositories import (
    CREDENTIALS,
    REPOSITORY,
    secret,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_repositories import (
    problems as _of_repositories,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_roles import ARGOCD_ACCOUNTS

Object = dict[str, t.Any]

ROLE_ANNOTATION = "eks.amazonaws.com/role-arn"
"""By which a service account on EKS names its role of AWS; its pods are given it when they are made."""

CONFIG, RBAC, PARAMS = "argocd-cm", "argocd-rbac-cm", "argocd-cmd-params-cm"

HEALTH_KEY = "resource.customizations.health.argoproj.io_Application"
HEALTH = """\
hs = {}
hs.status = "Progressing"
hs.message = ""
if obj.status ~= nil and obj.status.health ~= nil then
  hs.status = obj.status.health.status
  if obj.status.health.message ~= nil then
    hs.message = obj.status.health.message
  end
end
return hs
"""


def problems(variables: t.Mapping[str, t.Any]) -> list[str]:
    """Everything that cannot be meant like that, one sentence each.

    :arg variables: The role's variables without their prefix.
    """
    found = _of_repositories(variables.get("repositories") or [], REPOSITORY, "argocd_repositories")
    found += _of_repositories(
        variables.get("repository_credentials") or [], CREDENTIALS, "argocd_repository_credentials"
    )
    for name in ("config", "rbac", "params"):
        for key, value in (variables.get(name) or {}).items():
            if isinstance(value, (dict, list)):
                kind = type(value).__name__
                found.append(f"argocd_{name}: {key} is a {kind}, but a ConfigMap holds texts. Write it as one: `|`.")
    names = [project.get("name") for project in variables.get("projects") or []]
    found += [f"argocd_projects: {name} is there twice." for name in sorted({n for n in names if names.count(n) > 1})]
    return found


def config_maps(variables: t.Mapping[str, t.Any]) -> dict[str, dict[str, str]]:
    """The entries of each ConfigMap."""
    health = {HEALTH_KEY: HEALTH} if variables.get("application_health", True) else {}
    return {
        CONFIG: {**health, **_texts(variables.get("config"))},
        RBAC: _texts(variables.get("rbac")),
        PARAMS: _texts(variables.get("params")),
    }


def definitions(
    variables: t.Mapping[str, t.Any],
    namespace: str,
    found: t.Mapping[str, t.Any] | None = None,
    *,
    capability: bool = False,
) -> list[Object]:
    """The objects that make up the settings.

    :arg found: What `argocd_info` returned: workloads that have to start again when a setting changes that they read at
        their start, and repositories that are there under another name.
    :arg capability: Whether AWS runs it, which reads repositories, projects, and some entries of `argocd-cm`.
    """
    found = found or {}
    entries = config_maps(variables)
    if capability:
        entries = {CONFIG: entries[CONFIG]} if entries[CONFIG] else {}
    objects = [_config_map(name, namespace, data) for name, data in entries.items()]
    for repository in variables.get("repositories") or []:
        objects.append(secret(repository, REPOSITORY, namespace, found.get("repositories") or []))
    for credentials in variables.get("repository_credentials") or []:
        objects.append(secret(credentials, CREDENTIALS, namespace, found.get("repositories") or []))
    # An Argo CD that AWS runs lets a project be used only from namespaces that it names, its own too.
    implied = {"sourceNamespaces": [namespace]} if capability else {}
    objects += [_project(project, namespace, implied) for project in variables.get("projects") or []]
    if not capability:
        objects += _pods(str(variables.get("aws_role_arn") or ""), found.get("workloads") or [], namespace, entries)
    return objects


def _pods(
    role: str, workloads: t.Sequence[t.Mapping[str, t.Any]], namespace: str, entries: dict[str, dict[str, str]]
) -> list[Object]:
    """What its pods are given when they are made: the role of AWS, and the settings that they read only then."""
    objects = _service_accounts(role, workloads, namespace)
    for workload in workloads:
        own = {ROLE_ANNOTATION: role} if role and workload["name"] in ARGOCD_ACCOUNTS else {}
        objects += _workload(workload, namespace, entries, own)
    return objects


def _service_accounts(role: str, workloads: t.Sequence[t.Mapping[str, t.Any]], namespace: str) -> list[Object]:
    """Those that talk to clusters, with the role that they get by IRSA.

    Where there is none (any more) they are applied without, but only where a setting may have been withdrawn.
    """
    there = {workload["name"]: workload["settings_checksum"] for workload in workloads}
    annotations = {ROLE_ANNOTATION: role} if role else {}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _metadata(name, namespace, annotations=annotations)}
        for name in ARGOCD_ACCOUNTS
        if (role and not there) or (name in there and (role or there[name]))
    ]


def _texts(values: t.Mapping[str, t.Any] | None) -> dict[str, str]:
    return {
        str(key): str(value).lower() if isinstance(value, bool) else str(value) for key, value in (values or {}).items()
    }


def _metadata(name: str, namespace: str, **more: t.Any) -> Object:
    return {"name": name, "namespace": namespace, **{key: value for key, value in more.items() if value}}


def _config_map(name: str, namespace: str, data: dict[str, str]) -> Object:
    # Argo CD looks only at ConfigMaps with this label.
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "argocd"}
    entry: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _metadata(name, namespace, labels=labels)}
    return {**entry, "data": data} if data else entry


def _project(project: t.Mapping[str, t.Any], namespace: str, implied: Object) -> Object:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": _metadata(
            project["name"], namespace, labels=project.get("labels"), annotations=project.get("annotations")
        ),
        "spec": {**implied, **project["spec"]},
    }


def _workload(
    workload: t.Mapping[str, t.Any],
    namespace: str,
    entries: dict[str, dict[str, str]],
    own: t.Mapping[str, str],
) -> list[Object]:
    """A workload with the checksum of what it reads only when it starts: a change starts it again.

    Where the last such setting was withdrawn the workload is applied without, which starts it again too.

    :arg own: What else its pods are given when they are made.
    """
    read = dict(own) | {
        f"{name}/{key}": entries[name][key]
        for name, keys in workload["reads"].items()
        for key in keys
        if key in entries.get(name, {})
    }
    entry: Object = {
        "apiVersion": "apps/v1",
        "kind": workload["kind"],
        "metadata": _metadata(workload["name"], namespace),
    }
    if not read and not workload["settings_checksum"]:
        return []
    if read:
        checksum = hashlib.sha256(json.dumps(read, sort_keys=True).encode()).hexdigest()
        entry["spec"] = {"template": {"metadata": {"annotations": {CHECKSUM: checksum}}}}
    return [entry]


def install_objects(
    objects: list[Object], namespace: str, entries: t.Mapping[str, t.Mapping[str, str]], without: t.Collection[str] = ()
) -> list[Object]:
    """The manifests' objects as they are applied.

    :arg namespace: Where the accounts are that cluster roles are bound to; manifests name `argocd`.
    :arg entries: Entries of ConfigMaps that the settings own: two owners would undo each other's values.
    :arg without: Kind/name of objects to leave out.
    """
    result = []
    for item in objects:
        name = item["metadata"]["name"]
        if f"{item['kind']}/{name}" in without:
            continue
        changes: Object = {}
        if item["kind"] == "ConfigMap" and item.get("data"):
            owned = entries.get(name) or {}
            changes["data"] = {key: value for key, value in item["data"].items() if key not in owned}
        if item["kind"] in ("ClusterRoleBinding", "RoleBinding"):
            changes["subjects"] = [
                {**subject, "namespace": namespace} if subject.get("kind") == "ServiceAccount" else subject
                for subject in item.get("subjects") or []
            ]
        result.append({**item, **changes})
    return result


def not_changeable(objects: list[Object], found: t.Mapping[str, t.Any], namespace: str) -> list[Object]:
    """Workloads that have to be made anew, since the labels by which they find their pods cannot be changed.

    That is so where another tool installed Argo CD. It keeps no data of its own, so nothing is lost.
    """
    there = {(entry["kind"], entry["name"]): entry["selector"] for entry in found.get("workloads") or []}
    return [
        {
            "apiVersion": item["apiVersion"],
            "kind": item["kind"],
            "metadata": _metadata(item["metadata"]["name"], namespace),
        }
        for item in objects
        if (item["kind"], item["metadata"]["name"]) in there
        and there[item["kind"], item["metadata"]["name"]] != item["spec"]["selector"].get("matchLabels", {})
    ]
