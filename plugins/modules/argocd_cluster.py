#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module argocd_cluster: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: argocd_cluster
short_description: Register a cluster in Argo CD
version_added: "0.1.0"
description:
  - Makes a manager account on a spoke, and hands its token to Argo CD as a cluster Secret on the hub. Both are reached through
    their Kubernetes APIs; Argo CD's own API is not needed.
  - A credential is tried before it is written, just as Argo CD will use it. A token that is due is followed by a new one, which
    is proven before it takes the place of the old one.
  - A cluster is found by its address, so one that C(argocd cluster add), Terraform or a person registered is taken over and not
    registered twice.
  - For more than a few clusters M(hubspoke.bootstrap.argocd_clusters) does the same in one go.
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options: {}
extends_documentation_fragment:
  - hubspoke.bootstrap.argocd_cluster
  - hubspoke.bootstrap.argocd_cluster.cluster
  - kubernetes.core.k8s_auth_options
  - hubspoke.bootstrap.attributes
requirements:
  - kubernetes >= 24.2.0
seealso:
  - module: hubspoke.bootstrap.argocd_clusters
  - module: hubspoke.bootstrap.argocd_cluster_info
"""

EXAMPLES = r"""
- name: A spoke with a token that lives for 30 days
  hubspoke.bootstrap.argocd_cluster:
    kubeconfig: ~/.kube/hub
    name: tokyo
    spoke:
      kubeconfig: ~/.kube/tokyo
    labels:
      environment: prod
      enable_metrics_server: "true"

- name: The hub itself, with labels of its own
  hubspoke.bootstrap.argocd_cluster:
    kubeconfig: ~/.kube/hub
    name: seoul
    server: https://kubernetes.default.svc
    labels:
      environment: prod

- name: An EKS cluster through IAM, without a stored secret
  hubspoke.bootstrap.argocd_cluster:
    kubeconfig: ~/.kube/hub
    name: tokyo
    server: https://0123456789ABCDEF.gr7.ap-northeast-1.eks.amazonaws.com
    ca_data: "{{ tokyo_ca }}"
    aws:
      cluster_name: tokyo
      role_arn: arn:aws:iam::111122223333:role/argocd-spoke

- name: Two namespaces of a cluster that is shared with others
  hubspoke.bootstrap.argocd_cluster:
    kubeconfig: ~/.kube/hub
    name: shared
    spoke:
      kubeconfig: ~/.kube/shared
    namespaces: [web, db]

- name: No longer registered
  hubspoke.bootstrap.argocd_cluster:
    kubeconfig: ~/.kube/hub
    name: tokyo
    state: absent
    spoke:
      kubeconfig: ~/.kube/tokyo
"""

RETURN = r"""
cluster:
  description: What became of the cluster, in check mode what would.
  returned: always
  type: dict
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
    name: tokyo
    server: https://tokyo.example.com:6443
    secret: cluster-tokyo.example.com-2473921133
    action: created
    changed: true
    failed: false
    changes: [created]
    account_changes: ["ServiceAccount kube-system/argocd-manager: it is not there"]
    credential: token
    expires: "2027-01-20T09:00:00Z"
    renewed: it is not registered yet
    adopted: false
    notes: []
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_arguments import CLUSTER_SPEC
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_task import (
    RUN_SPEC,
    as_result,
    finish,
    register,
)

SPEC: dict[str, t.Any] = {"argument_spec": {**RUN_SPEC, **CLUSTER_SPEC}, "supports_check_mode": True}


def run(task: Task) -> Result:
    """Wire arguments to the engine and its outcome to the result."""
    (outcome,) = register(task, [{name: task.params[name] for name in CLUSTER_SPEC}])
    return finish(task, [outcome], {"cluster": as_result(outcome)})


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
