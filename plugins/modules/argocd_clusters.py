#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module argocd_clusters: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: argocd_clusters
short_description: Register a fleet of clusters in Argo CD
version_added: "0.1.0"
description:
  - Does for a list of clusters what M(hubspoke.bootstrap.argocd_cluster) does for one, in one process, several of them at once.
  - There is a result for each. One that fails does not keep the others from being done; the module then fails at the end and
    names those that did.
  - Clusters that this inventory registered and that are not in the list any more are removed if O(prune) says so.
  - While it changes anything it holds a Lease on the hub, so that two runs do not work against each other.
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options:
  prune:
    description:
      - Remove clusters with the label of O(owner) that are not among O(clusters). One that Applications or ApplicationSets still
        target is not removed but named, unless O(remove_applications) is set.
    type: bool
    default: false
  concurrency:
    description: How many clusters are worked on at once.
    type: int
    default: 16
extends_documentation_fragment:
  - hubspoke.bootstrap.argocd_cluster
  - hubspoke.bootstrap.argocd_cluster.clusters
  - kubernetes.core.k8s_auth_options
  - hubspoke.bootstrap.attributes
requirements:
  - kubernetes >= 24.2.0
seealso:
  - module: hubspoke.bootstrap.argocd_cluster
  - module: hubspoke.bootstrap.argocd_cluster_info
"""

EXAMPLES = r"""
- name: The whole fleet
  hubspoke.bootstrap.argocd_clusters:
    kubeconfig: ~/.kube/hub
    owner: production
    prune: true
    protected: [seoul]
    clusters:
      - name: seoul
        server: https://kubernetes.default.svc
        labels: {region: ap-northeast-2}
      - name: tokyo
        spoke: {kubeconfig: ~/.kube/fleet, context: tokyo}
        labels: {region: ap-northeast-1}
      - name: osaka
        spoke: {kubeconfig: ~/.kube/fleet, context: osaka}
        labels: {region: ap-northeast-3}

- name: New tokens for all of them
  hubspoke.bootstrap.argocd_clusters:
    kubeconfig: ~/.kube/hub
    owner: production
    rotate: always
    clusters: "{{ fleet }}"
"""

RETURN = r"""
clusters:
  description: What became of each cluster, in check mode what would; pruned ones come last.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the cluster.
      type: str
    server:
      description: Its address, as the hub uses it.
      type: str
    secret:
      description: Name of its Secret on the hub.
      type: str
    action:
      description: One of V(created), V(updated), V(unchanged), V(removed), V(failed).
      type: str
    changed:
      description: Whether anything was changed for it.
      type: bool
    failed:
      description: Whether it failed; C(msg) then says why.
      type: bool
    changes:
      description: What changed in its Secret, by name.
      type: list
      elements: str
    account_changes:
      description: What was made or put right of the manager account on the spoke.
      type: list
      elements: str
    credential:
      description: Kind of its credential.
      type: str
    expires:
      description: When its token ends (RFC 3339), null where it has none or none is known yet.
      type: str
    renewed:
      description: Why a token was made, empty where none was.
      type: str
    adopted:
      description: Whether something else had registered it.
      type: bool
    notes:
      description: What else there is to know.
      type: list
      elements: str
  sample:
    - name: tokyo
      server: https://tokyo.example.com:6443
      secret: cluster-tokyo.example.com-2473921133
      action: unchanged
      changed: false
      failed: false
      changes: []
      account_changes: []
      credential: token
      expires: "2027-01-20T09:00:00Z"
      renewed: ""
      adopted: false
      notes: []
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_arguments import CLUSTER_SPEC
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_task import (
    RUN_SPEC,
    as_result,
    finish,
    register,
)

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        **RUN_SPEC,
        "clusters": {"type": "list", "elements": "dict", "required": True, "options": CLUSTER_SPEC},
        "prune": {"type": "bool", "default": False},
        "concurrency": {"type": "int", "default": 16},
    },
    "supports_check_mode": True,
}


def run(task: Task) -> Result:
    """Wire arguments to the engine and its outcomes to the result."""
    params = task.params
    if params["prune"] and not params["owner"]:
        raise HubspokeError("prune needs owner.", "Give the name of this inventory; only what carries it is removed.")
    if params["concurrency"] < 1:
        raise HubspokeError(f"concurrency is {params['concurrency']}.", "Give at least 1.")
    outcomes = register(task, params["clusters"], prune=params["prune"], concurrency=params["concurrency"])
    return finish(task, outcomes, {"clusters": [as_result(outcome) for outcome in outcomes]})


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
