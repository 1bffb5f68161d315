#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module argocd_application_sync: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: argocd_application_sync
short_description: Start syncs that Argo CD will not start by itself
version_added: "0.1.0"
description:
  - An automated sync that used up its retries stays failed until there is another commit. This module starts it again, and
    ends retries of a commit that is not the latest any more, upon which Argo CD takes the latest.
  - Applications that are in order, that Argo CD is about to sync, or whose policy leaves the sync to people, are left alone.
  - RV(ignore:changed) is true only if a sync was started or ended. Asking Argo CD to compare again is no change.
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options:
  force:
    description: Sync what O(names) and O(label_selector) choose whatever their status and policy, unless a sync runs already.
    type: bool
    default: false
  refresh:
    description:
      - Ask Argo CD to compare all of them with their repositories now. It looks by itself only every few minutes.
      - With O(wait), Applications with an error are asked to look again in any case.
    type: bool
    default: false
  cluster_present:
    description: Set to V(false) in check mode while the cluster is yet to be made. Nothing is asked of it.
    type: bool
    default: true
extends_documentation_fragment:
  - hubspoke.bootstrap.argocd_application
  - kubernetes.core.k8s_auth_options
  - hubspoke.bootstrap.attributes
requirements:
  - kubernetes >= 24.2.0
seealso:
  - module: hubspoke.bootstrap.argocd_application_info
"""

EXAMPLES = r"""
- name: Start again whatever failed below the root, and wait for all of it
  hubspoke.bootstrap.argocd_application_sync:
    names: [root]
    descend: true
    wait: true

- name: Sync one Application now
  hubspoke.bootstrap.argocd_application_sync:
    names: [shop]
    force: true
"""

RETURN = r"""
started:
  description: The Applications of which a sync was started or restarted, or would be, each with the reason.
  returned: success
  type: list
  elements: dict
  sample: [{name: shop, namespace: argocd, action: start, reason: asked for}]
refreshed:
  description: Names of those that were asked to compare.
  returned: success
  type: list
  elements: str
applications:
  description: The Applications as they were seen last, as M(hubspoke.bootstrap.argocd_application_info) returns them.
  returned: success
  type: list
  elements: dict
application_sets:
  description: The ApplicationSets among them.
  returned: success
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _argocd_application_task as shared
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_application import HELD, key
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_application_failing import failing
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_application_sync import Step, Syncer, plan
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_application_tree import Reader, Tree
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_application_wait import Waiter
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        "force": {"type": "bool", "default": False},
        "refresh": {"type": "bool", "default": False},
        "cluster_present": {"type": "bool", "default": True},
        **shared.OPTIONS,
    },
    "supports_check_mode": True,
}


def run(task: Task) -> Result:
    """Read, plan, begin what is to be begun, wait."""
    params = task.params
    if task.check_mode and not params["cluster_present"]:
        return _result([], [], Tree(), params["wait_for"])
    kube = Kube.from_params(params)
    reader = Reader(kube, shared.selection(params))
    if task.check_mode and not reader.installed:
        return _result([], [], Tree(), params["wait_for"])
    tree = reader.read()
    chosen = {key(app) for app in tree.applications if key(app) not in tree.parents} | set(reader.named)
    steps = plan(tree.applications, chosen if params["force"] else ())
    refreshed: list[str] = []
    if not task.check_mode:
        syncer = Syncer(kube)
        steps = [done for step in steps if (done := syncer.begin(step))]
        if params["refresh"]:
            refreshed = [item[2] for item in syncer.refresh(tree.found)]
        if params["wait"]:
            tree = Waiter(
                reader.read,
                lambda app: failing(app, kube),
                shared.patience(params),
                progress=task.progress,
                step_in=lambda tree: steps.extend(syncer.restart_outdated(tree.applications)),
                nudge=lambda items: _nudge(syncer, items),
            ).wait()
    result = _result(steps, refreshed, tree, params["wait_for"])
    held = [entry["name"] for entry in result["applications"] if entry["state"] == HELD]
    if held:
        task.warn(shared.held_warning(held))
    return result


def _nudge(syncer: Syncer, items: list[dict[str, t.Any]]) -> None:
    syncer.refresh(items, hard=True)


def _result(steps: list[Step], refreshed: list[str], tree: Tree, wait_for: list[str]) -> Result:
    started = [
        {
            "name": step.app["metadata"]["name"],
            "namespace": step.app["metadata"]["namespace"],
            "action": step.action,
            "reason": step.reason,
        }
        for step in steps
    ]
    result = {"changed": bool(steps), "started": started, "refreshed": refreshed, **shared.report(tree, wait_for)}
    if steps:
        result["diff"] = [
            {
                "before_header": f"Application {entry['name']}",
                "after_header": f"Application {entry['name']}",
                "before": "",
                "after": f"{entry['action']} a sync: {entry['reason']}\n",
            }
            for entry in started
        ]
    return result


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
