#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module argocd_info: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: argocd_info
short_description: See which Argo CD a cluster has
version_added: "0.1.0"
description:
  - Reads from its workloads which version and variant of Argo CD runs, and who installed it; the release's manifests, the Helm
    chart and an Argo CD that manages itself are told apart.
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options:
  namespace:
    description: Namespace of Argo CD.
    type: str
    default: argocd
  wait:
    description: Wait until all its workloads are ready.
    type: bool
    default: false
  wait_timeout:
    description: Seconds to wait.
    type: int
    default: 600
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - hubspoke.bootstrap.attributes.info_module
requirements:
  - kubernetes >= 24.2.0
seealso:
  - module: hubspoke.bootstrap.argocd_application_info
"""

EXAMPLES = r"""
- name: Which Argo CD is there?
  hubspoke.bootstrap.argocd_info:
  register: argocd

- name: Wait for it
  hubspoke.bootstrap.argocd_info:
    wait: true
"""

RETURN = r"""
installed:
  description: Whether the namespace has workloads of Argo CD.
  returned: success
  type: bool
version:
  description: The newest version that a workload runs, empty where no image tells.
  returned: success
  type: str
  sample: v3.5.7
versions:
  description: All versions that workloads run, from the oldest; more than one while an upgrade is under way.
  returned: success
  type: list
  elements: str
variant:
  description: One of V(standard), V(core) and V(ha), empty where it is not installed.
  returned: success
  type: str
installed_by:
  description: Who installed it, for people.
  returned: success
  type: str
  sample: Helm release argocd
ours:
  description: Whether this collection has applied its workloads.
  returned: success
  type: bool
managed_by_application:
  description: The Application through which Argo CD manages itself, empty where it does not.
  returned: success
  type: str
elsewhere:
  description: Other namespaces with workloads of Argo CD.
  returned: success
  type: list
  elements: str
workloads:
  description: Its Deployments and StatefulSets.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: Kind.
      type: str
    name:
      description: Name.
      type: str
    version:
      description: Version of Argo CD in it, empty where it runs something else.
      type: str
    ours:
      description: Whether this collection has applied it.
      type: bool
    ready:
      description: Whether all its pods are ready.
      type: bool
    lacks:
      description: What is missing until then.
      type: str
    selector:
      description: Labels by which it finds its pods.
      type: dict
    settings_checksum:
      description: Checksum of the settings that it read when it started, empty where it reads none of this collection's.
      type: str
    reads:
      description: Keys of ConfigMaps that it reads only when it starts, by ConfigMap.
      type: dict
nodes:
  description: How many nodes take pods.
  returned: success
  type: int
repositories:
  description: Secrets of repositories and templates of credentials, without what is secret in them.
  returned: success
  type: list
  elements: dict
  sample:
    - {name: repo-3613283013, type: repository, url: "https://git.example.com/apps.git", project: ""}
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _argocd_install
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import CONNECTION_SPEC, Kube
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        "namespace": {"type": "str", "default": "argocd"},
        "wait": {"type": "bool", "default": False},
        "wait_timeout": {"type": "int", "default": 600},
        **CONNECTION_SPEC,
    },
    "supports_check_mode": True,
}


def run(task: Task) -> Result:
    """Wire arguments to the engine."""
    kube, namespace = Kube.from_params(task.params), task.params["namespace"]
    found = _argocd_install.read(kube, namespace)
    if task.params["wait"] and not all(workload["ready"] for workload in found["workloads"]):
        _argocd_install.wait(kube, found, namespace, task.params["wait_timeout"], task.progress)
        found = _argocd_install.read(kube, namespace)
    return {"changed": False, **found}


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
