#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module argocd_application_info: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: argocd_application_info
short_description: Read Argo CD Applications, and wait for them
version_added: "0.1.0"
description:
  - Reads Applications through the Kubernetes API only, so that neither the address nor the password of Argo CD is needed.
  - Can wait until all of them, and those that they manage, are Synced and Healthy. While it waits it tells which Application,
    sync wave and condition it waits for; when it gives up it names each one that is stuck, and what is wrong with it.
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options:
  findings:
    description:
      - Also look at the resources of Applications that are not ready and tell in RV(applications[].failing) what they lack.
      - Resources on other clusters than this one are not looked at.
    type: bool
    default: false
extends_documentation_fragment:
  - hubspoke.bootstrap.argocd_application
  - kubernetes.core.k8s_auth_options
  - hubspoke.bootstrap.attributes.info_module
requirements:
  - kubernetes >= 24.2.0
seealso:
  - module: hubspoke.bootstrap.argocd_application_sync
"""

EXAMPLES = r"""
- name: Every Application
  hubspoke.bootstrap.argocd_application_info:
  register: result

- name: Wait for the root and all that it brings
  hubspoke.bootstrap.argocd_application_info:
    names: [root]
    descend: true
    wait: true
    wait_timeout: 900
"""

RETURN = r"""
installed:
  description: Whether the cluster has Argo CD's CustomResourceDefinitions.
  returned: success
  type: bool
applications:
  description: The Applications, those that are managed by others after those that manage them.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the Application.
      type: str
    namespace:
      description: Its namespace.
      type: str
    parent:
      description: The Application or ApplicationSet that manages it, where that is known.
      type: str
    present:
      description: Whether it exists. If not, only the keys up to C(message) are there.
      type: bool
    state:
      description:
        - V(ready), V(waiting), V(held) (somebody has to start its sync), V(error) (its definition or repository cannot be
          used) or V(failed) (its sync failed for good).
      type: str
    message:
      description: Why, as half a sentence.
      type: str
    project:
      description: Its AppProject.
      type: str
    wave:
      description: Its sync wave.
      type: int
    automated:
      description: Whether Argo CD syncs it by itself.
      type: bool
    sync:
      description: V(Synced), V(OutOfSync) or V(Unknown).
      type: str
    health:
      description: V(Healthy), V(Progressing), V(Degraded), V(Suspended), V(Missing) or V(Unknown).
      type: str
    health_message:
      description: What Argo CD says about the health.
      type: str
    revisions:
      description: The commits it was last compared with, one for each source.
      type: list
      elements: str
    sources:
      description: Where it comes from.
      type: list
      elements: dict
    destination:
      description: Cluster and namespace it goes to.
      type: dict
    operation:
      description: Phase and message of the last sync.
      type: dict
    conditions:
      description: Type and message of each condition.
      type: list
      elements: dict
    failing:
      description: With O(findings), the resources that hold it up.
      type: list
      elements: str
application_sets:
  description: The ApplicationSets that were named or found, with the same first keys.
  returned: success
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _argocd_application_task as shared
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_application import HELD
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_application_failing import failing
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_application_tree import Reader
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_application_wait import Waiter
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute

SPEC: dict[str, t.Any] = {
    "argument_spec": {"findings": {"type": "bool", "default": False}, **shared.OPTIONS},
    "supports_check_mode": True,
}


def run(task: Task) -> Result:
    """Wire arguments to the engine."""
    params = task.params
    kube = Kube.from_params(params)
    reader = Reader(kube, shared.selection(params))
    if not params["wait"] and not reader.installed:
        return {"changed": False, "installed": False, "applications": [], "application_sets": []}
    if params["wait"]:
        tree = Waiter(
            reader.read, lambda app: failing(app, kube), shared.patience(params), progress=task.progress
        ).wait()
    else:
        tree = reader.read()
    result = shared.report(tree, params["wait_for"], kube if params["findings"] else None)
    held = [entry["name"] for entry in result["applications"] if entry["state"] == HELD]
    if params["wait"] and held:
        task.warn(shared.held_warning(held))
    return {"changed": False, "installed": True, **result}


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
