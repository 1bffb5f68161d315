# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From a role's variables to what Argo CD is given."""

from __future__ import annotations

import copy
import typing as t

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: gitops_definitions
short_description: Write out AppProjects, Applications and ApplicationSets
version_added: "0.1.0"
description:
  - Completes short forms to full definitions. Items that have a C(spec) or a C(kind) are full definitions already, in
    which only apiVersion, kind and namespace are filled in where they are missing.
options:
  _input:
    description:
      - The root Application, in short (C(name), C(repository), C(revision), C(path), C(project), C(source),
        C(sync_policy)). Without a repository there is none.
    type: dict
  sample:
    description:
      - What M(hubspoke.bootstrap.sample_repository) returns as C(repository), which the root reads where it names none.
    type: dict
  default_project:
    description: Whether the AppProject C(default) has to be made; otherwise Argo CD's own server has made it.
    type: bool
    default: false
  namespace:
    description: Namespace of Argo CD.
    type: str
    default: argocd
  cluster:
    description:
      - Name of the cluster that Applications are meant for which name none; by default the address of the hub itself. It is
        given where AWS runs Argo CD; AppProjects that name no C(sourceNamespaces) then get the O(namespace), which AWS wants.
    type: str
    default: ""
  projects:
    description: AppProjects.
    type: list
    elements: dict
    default: []
  applications:
    description: Further Applications; what they leave out is as in the root.
    type: list
    elements: dict
    default: []
  application_sets:
    description: ApplicationSets.
    type: list
    elements: dict
    default: []
author:
  - hubspoke.bootstrap contributors
"""

EXAMPLES = r"""
- name: What would be applied?
  ansible.builtin.debug:
    msg: "{{ root | hubspoke.bootstrap.gitops_definitions(projects=[{'name': 'platform'}]) }}"
  vars:
    root: {name: root, repository: "https://git.example.com/apps.git", path: clusters/dev}
"""

RETURN = r"""
_value:
  description:
    - Keys C(projects), C(applications) and C(application_sets), each with full definitions, and C(names) and
      C(set_names) with the names of the latter two.
  type: dict
"""

API_VERSION = "argoproj.io/v1alpha1"
IN_CLUSTER = "https://kubernetes.default.svc"
SAMPLE_PATH = "apps"
SYNC_POLICY = {"automated": {"prune": True, "selfHeal": True}}

Object = dict[str, t.Any]

_METADATA = ("name", "namespace", "labels", "annotations", "finalizers")
_TOOLS = ("directory", "helm", "kustomize")
_SOURCE = {"repository": "repoURL", "revision": "targetRevision", "path": "path", "chart": "chart"}


def gitops_definitions(
    root: Object | None,
    *,
    sample: Object | None = None,
    default_project: bool = False,
    namespace: str = "argocd",
    cluster: str = "",
    projects: t.Sequence[Object] = (),
    applications: t.Sequence[Object] = (),
    application_sets: t.Sequence[Object] = (),
) -> Object:
    """Full definitions of everything that is given in short."""
    root = _with_defaults(root or {}, sample)
    if not root.get("destination"):
        # An Argo CD that AWS runs does not know the hub by its address.
        there = {"name": cluster} if cluster else {"server": IN_CLUSTER}
        root["destination"] = {**there, "namespace": namespace}
    written = [application(root, root, namespace)] if root.get("repository") else []
    written += [application(item, {**root, "path": ".", "source": None}, namespace) for item in applications]
    if default_project and "default" not in [
        item.get("name") or item.get("metadata", {}).get("name") for item in projects
    ]:
        projects = [{"name": "default"}, *projects]
    sets = [application_set(item, namespace) for item in application_sets]
    written_projects = [project(item, namespace) for item in projects]
    for item in written_projects if cluster else ():
        item["spec"] = {"sourceNamespaces": [namespace], **(item.get("spec") or {})}
    return {
        "projects": written_projects,
        "applications": [as_argocd_writes(item) for item in _distinct(written)],
        "application_sets": _distinct(sets),
        "names": [item["metadata"]["name"] for item in written],
        "set_names": [item["metadata"]["name"] for item in sets],
    }


def _with_defaults(root: Object, sample: Object | None) -> Object:
    """What the root says, and what it leaves open."""
    said = {name: value for name, value in root.items() if value}
    if sample and "repository" not in said:
        return {"repository": sample["url"], "revision": sample["branch"], "path": SAMPLE_PATH, **said}
    return {"revision": "HEAD", "path": ".", **said}


def project(item: Object, namespace: str) -> Object:
    """An AppProject; a short one permits what it does not restrict."""
    if _is_full(item):
        return _completed(item, "AppProject", namespace)
    spec = {
        "sourceRepos": ["*"],
        "destinations": [{"server": "*", "namespace": "*"}],
        "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
        **_without(item, _METADATA),
    }
    return {"apiVersion": API_VERSION, "kind": "AppProject", "metadata": _metadata(item, namespace), "spec": spec}


def application(item: Object, defaults: Object, namespace: str) -> Object:
    """An Application."""
    if _is_full(item):
        return _completed(item, "Application", namespace)
    known = (*_METADATA, *_SOURCE, "project", "destination", "sync_policy", "source")
    unknown = sorted(set(item) - set(known))
    if unknown:
        raise AnsibleFilterError(
            f"The Application {item.get('name', '')} has {', '.join(unknown)}, which its short form does not know. "
            f"It knows {', '.join(known)}; for anything else give the full definition, with spec."
        )
    values = {**defaults, **{name: value for name, value in item.items() if value is not None}}
    source = {field: values[name] for name, field in _SOURCE.items() if values.get(name)}
    source.update(values.get("source") or {})
    if source.get("chart"):
        # A chart is all of its source.
        source.pop("path", None)
    if not source.get("repoURL"):
        raise AnsibleFilterError(f"The Application {item.get('name', '')} has no repository: set repository.")
    spec = {
        "project": values.get("project") or "default",
        "source": source,
        "destination": values["destination"] or defaults["destination"],
        "syncPolicy": copy.deepcopy(values.get("sync_policy") or SYNC_POLICY),
    }
    return {"apiVersion": API_VERSION, "kind": "Application", "metadata": _metadata(item, namespace), "spec": spec}


def as_argocd_writes(item: Object) -> Object:
    """Without fields that mean nothing: Argo CD drops them when it starts a sync, and each run would add them again."""
    spec = dict(item["spec"])
    policy = _without_zeros(spec.get("syncPolicy") or {})
    if "retry" in policy:
        # An empty one still says something: not to retry.
        policy["retry"] = _without_zeros(policy["retry"])
    if policy:
        spec["syncPolicy"] = policy
    if spec.get("source"):
        spec["source"] = _source(spec["source"])
    if spec.get("sources"):
        spec["sources"] = [_source(source) for source in spec["sources"]]
    return {**item, "spec": spec}


def _source(source: Object) -> Object:
    kept = _without_zeros(source)
    return {**kept, **{tool: _without_zeros(kept[tool]) for tool in _TOOLS if isinstance(kept.get(tool), dict)}}


def _without_zeros(item: Object) -> Object:
    return {name: value for name, value in item.items() if isinstance(value, dict) or value}


def application_set(item: Object, namespace: str) -> Object:
    """An ApplicationSet; a short one uses Go templates that fail on what is missing."""
    if _is_full(item):
        return _completed(item, "ApplicationSet", namespace)
    spec = {"goTemplate": True, "goTemplateOptions": ["missingkey=error"], **_without(item, _METADATA)}
    for field in ("generators", "template"):
        if field not in spec:
            raise AnsibleFilterError(f"The ApplicationSet {item.get('name', '')} has no {field}.")
    return {"apiVersion": API_VERSION, "kind": "ApplicationSet", "metadata": _metadata(item, namespace), "spec": spec}


def _is_full(item: Object) -> bool:
    return "spec" in item or "kind" in item


def _completed(item: Object, kind: str, namespace: str) -> Object:
    item = copy.deepcopy(dict(item))
    if item.get("kind", kind) != kind:
        raise AnsibleFilterError(f"A definition of kind {item['kind']} stands among those of kind {kind}.")
    metadata = _metadata({**item.pop("metadata", {}), **{k: item.pop(k) for k in _METADATA if k in item}}, namespace)
    return {"apiVersion": API_VERSION, "kind": kind, **item, "metadata": metadata}


def _metadata(item: Object, namespace: str) -> Object:
    if not item.get("name"):
        raise AnsibleFilterError("An AppProject, Application or ApplicationSet has no name.")
    others = {field: copy.deepcopy(item[field]) for field in _METADATA[2:] if item.get(field)}
    return {"name": item["name"], "namespace": item.get("namespace") or namespace, **others}


def _without(item: Object, names: t.Collection[str]) -> Object:
    return {name: copy.deepcopy(value) for name, value in item.items() if name not in names}


def _distinct(items: list[Object]) -> list[Object]:
    names = [item["metadata"]["name"] for item in items]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise AnsibleFilterError(
            f"{items[0]['kind']} {', '.join(twice)} is defined twice. Give each a name of its own."
        )
    return items


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter of this file."""
        return {"gitops_definitions": gitops_definitions}
