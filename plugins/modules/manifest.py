#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module manifest: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: manifest
short_description: Apply a set of Kubernetes manifests as one unit
version_added: "0.1.0"
description:
  - Applies all objects of a set in one process by server-side apply under one field manager, several at once.
  - CustomResourceDefinitions and namespaces come first, and the definitions are waited for; admission webhooks come last.
  - What was applied is recorded on the cluster, so that objects that leave the set can be pruned, and the whole set removed.
  - Check mode predicts the run also where namespaces, kinds or the cluster itself are yet to be made.
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options:
  name:
    description:
      - Name of the set, a DNS label. With O(namespace) it finds the record of what the set applied before.
    type: str
    required: true
  namespace:
    description:
      - Namespace of the set's record (a ConfigMap named C(manifest-set-) and the O(name)), and of every namespaced object
        that does not name one.
    type: str
    default: default
  state:
    description:
      - V(present) applies the set.
      - V(absent) deletes what the set applied, except kinds in O(keep) and objects that another tool applies too.
    type: str
    choices: [present, absent]
    default: present
  files:
    description: Files with one or more objects, YAML or JSON.
    type: list
    elements: path
    default: []
  directories:
    description: Directories whose C(.yaml), C(.yml) and C(.json) files are taken, not those of subdirectories.
    type: list
    elements: path
    default: []
  kustomizations:
    description: Directories that C(kubectl kustomize) builds.
    type: list
    elements: str
    default: []
  charts:
    description:
      - Helm charts, rendered as C(helm template) does, without hooks and tests. No release is recorded, and Helm does not know of it.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Folder of the chart.
        type: path
        required: true
      release:
        description: Name of the release. The default is the O(name) of the set.
        type: str
      values:
        description: Values. They are kept out of all output, and reach helm by its standard input.
        type: dict
        default: {}
      version:
        description:
          - What stands in place of the versions that the chart says of itself and of its application. For a chart out of a
            repository, where only its release writes them.
        type: str
        default: ""
      dependencies:
        description: Render the charts that it depends on too, which then have to be in its folder. V(false) leaves them out.
        type: bool
        default: true
  helm:
    description: The helm that renders O(charts).
    type: path
    default: helm
  definitions:
    description:
      - Objects given inline. The values of Secrets among them are kept out of all output.
    type: list
    elements: dict
    default: []
  kubectl:
    description: The kubectl that builds O(kustomizations).
    type: path
    default: kubectl
  field_manager:
    description:
      - Name under which the set owns the fields it applies. Two sets that share an object need two names.
      - The default is C(hubspoke.bootstrap-) and the O(name).
    type: str
  force_conflicts:
    description: Take over fields that another manager set to other values, instead of failing with their names.
    type: bool
    default: false
  create_namespace:
    description: Make O(namespace) part of the set.
    type: bool
    default: false
  prune:
    description: Delete objects that the set applied earlier and that are not in it any more.
    type: bool
    default: false
  keep:
    description:
      - Kinds that are never deleted, neither by O(prune) nor by O(state=absent), since others' data goes with them.
    type: list
    elements: str
    default: [CustomResourceDefinition, Namespace, PersistentVolumeClaim]
  wait:
    description:
      - Wait until every Deployment, StatefulSet, DaemonSet, Job, Pod, Namespace, APIService and CustomResourceDefinition
        of the set is ready, and every condition of O(conditions) is met; with O(state=absent) until all is gone.
    type: bool
    default: false
  wait_timeout:
    description: Seconds to wait, also for CustomResourceDefinitions, which are waited for always.
    type: int
    default: 300
  conditions:
    description: Further conditions to wait for, on objects of the set or others.
    type: list
    elements: dict
    default: []
    suboptions:
      api_version:
        description: As in a manifest.
        type: str
        required: true
      kind:
        description: As in a manifest.
        type: str
        required: true
      name:
        description: Name of the object.
        type: str
        required: true
      namespace:
        description: Its namespace; the default is that of the set.
        type: str
      type:
        description: Type of the condition, V(Ready) for example.
        type: str
        required: true
      status:
        description: What the condition's status must be.
        type: str
        default: "True"
  cluster_present:
    description:
      - Set to V(false) in check mode while the cluster is yet to be made. Nothing is asked of it, and everything would be created.
    type: bool
    default: true
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - hubspoke.bootstrap.attributes
requirements:
  - kubernetes >= 24.2.0
  - PyYAML >= 5.4
seealso:
  - module: kubernetes.core.k8s
"""

EXAMPLES = r"""
- name: Argo CD and its namespace
  hubspoke.bootstrap.manifest:
    name: argocd
    namespace: argocd
    create_namespace: true
    files: [/opt/manifests/install.yaml]
    prune: true
    wait: true

- name: A chart, as one set with the definitions that it leaves out
  hubspoke.bootstrap.manifest:
    name: external-secrets
    namespace: external-secrets
    create_namespace: true
    files: [/opt/external-secrets/crds.yaml]
    charts:
      - path: /opt/external-secrets/chart
        values: {installCRDs: false}

- name: One key in a ConfigMap that others write to as well
  hubspoke.bootstrap.manifest:
    name: argocd-url
    namespace: argocd
    definitions:
      - apiVersion: v1
        kind: ConfigMap
        metadata: {name: argocd-cm}
        data: {url: "https://argocd.example.com"}

- name: What would change?
  hubspoke.bootstrap.manifest:
    name: argocd
    namespace: argocd
    files: [/opt/manifests/install.yaml]
  check_mode: true
  diff: true

- name: Remove it all but the CustomResourceDefinitions and what they hold
  hubspoke.bootstrap.manifest:
    name: argocd
    namespace: argocd
    state: absent
    wait: true
"""

RETURN = r"""
objects:
  description: Every object of the set, and those that were pruned or kept.
  returned: success
  type: list
  elements: dict
  contains:
    api_version:
      description: As in a manifest.
      type: str
    kind:
      description: As in a manifest.
      type: str
    namespace:
      description: Empty where the kind has none.
      type: str
    name:
      description: Name of the object.
      type: str
    action:
      description: One of V(created), V(configured), V(unchanged), V(deleted), V(kept).
      type: str
  sample:
    - {api_version: apps/v1, kind: Deployment, namespace: argocd, name: argocd-server, action: unchanged}
summary:
  description: How many objects each action befell.
  returned: success
  type: dict
  sample: {created: 2, unchanged: 57}
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _manifest, _manifest_result, _manifest_source
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import CONNECTION_SPEC, Kube
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._manifest_chart import Chart
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        "name": {"type": "str", "required": True},
        "namespace": {"type": "str", "default": "default"},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "files": {"type": "list", "elements": "path", "default": []},
        "directories": {"type": "list", "elements": "path", "default": []},
        "kustomizations": {"type": "list", "elements": "str", "default": []},
        "charts": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "path": {"type": "path", "required": True},
                "release": {"type": "str"},
                "values": {"type": "dict", "default": {}},
                "version": {"type": "str", "default": ""},
                "dependencies": {"type": "bool", "default": True},
            },
        },
        "helm": {"type": "path", "default": "helm"},
        "definitions": {"type": "list", "elements": "dict", "default": []},
        "kubectl": {"type": "path", "default": "kubectl"},
        "field_manager": {"type": "str"},
        "force_conflicts": {"type": "bool", "default": False},
        "create_namespace": {"type": "bool", "default": False},
        "prune": {"type": "bool", "default": False},
        "keep": {
            "type": "list",
            "elements": "str",
            "default": ["CustomResourceDefinition", "Namespace", "PersistentVolumeClaim"],
        },
        "wait": {"type": "bool", "default": False},
        "wait_timeout": {"type": "int", "default": 300},
        "conditions": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "api_version": {"type": "str", "required": True},
                "kind": {"type": "str", "required": True},
                "name": {"type": "str", "required": True},
                "namespace": {"type": "str"},
                "type": {"type": "str", "required": True},
                "status": {"type": "str", "default": "True"},
            },
        },
        "cluster_present": {"type": "bool", "default": True},
        **CONNECTION_SPEC,
    },
    "supports_check_mode": True,
}


def run(task: Task) -> Result:
    """Wire arguments to the engine and the engine's outcomes to the result."""
    params = task.params
    objects = _manifest_source.load(
        params["files"],
        params["directories"],
        params["kustomizations"],
        params["definitions"],
        params["kubectl"],
        charts=[_chart(chart, params) for chart in params["charts"]],
        helm=params["helm"],
    )
    options = _manifest.Options(
        name=params["name"],
        namespace=params["namespace"],
        field_manager=params["field_manager"] or f"hubspoke.bootstrap-{params['name']}",
        force_conflicts=params["force_conflicts"],
        create_namespace=params["create_namespace"],
        prune=params["prune"],
        keep=tuple(params["keep"]),
        wait=params["wait"],
        wait_timeout=params["wait_timeout"],
        conditions=[
            _manifest.Condition(**{**wanted, "namespace": wanted["namespace"] or params["namespace"]})
            for wanted in params["conditions"]
        ],
        check_mode=task.check_mode,
        progress=task.progress,
    )
    absent = task.check_mode and not params["cluster_present"]
    manifests = _manifest.ManifestSet(None if absent else Kube.from_params(params), objects, options)
    if params["state"] == "present":
        manifests.apply()
    else:
        manifests.remove()
    if manifests.assumed:
        task.warn(f"Not there yet, assumed to come from an earlier step: {', '.join(sorted(manifests.assumed))}.")
    return _manifest_result.result(manifests.outcomes, task.diff)


def _chart(chart: dict[str, t.Any], params: dict[str, t.Any]) -> Chart:
    return Chart(
        path=chart["path"],
        release=chart["release"] or params["name"],
        namespace=params["namespace"],
        values=chart["values"],
        version=chart["version"],
        dependencies=chart["dependencies"],
    )


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
