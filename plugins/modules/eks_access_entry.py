#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module eks_access_entry: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: eks_access_entry
short_description: Let an identity of AWS into an EKS cluster
version_added: "0.1.0"
description:
  - An access entry makes a role or user of AWS a user of one cluster. What that user may do is said by access policies of EKS, by RBAC
    for its groups, or by both.
  - The cluster's authentication mode must be API or API_AND_CONFIG_MAP.
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options:
  cluster_name:
    description: Name of the cluster.
    type: str
    required: true
  principal_arn:
    description: ARN of the role or user. For a role that of the role itself, not that of one of its sessions.
    type: str
    required: true
  state:
    description: V(absent) takes the entry away, its policies with it.
    type: str
    choices: [present, absent]
    default: present
  type:
    description:
      - V(STANDARD) for people and programs, which is EKS's default; V(EC2_LINUX) and the like for the roles of nodes, which get neither
        groups nor policies. It cannot be changed.
    type: str
  kubernetes_groups:
    description: Groups that the user is in, and no others. They mean what RBAC of the cluster says of them.
    type: list
    elements: str
  username:
    description: Name of the user. EKS's default follows from the ARN.
    type: str
  policies:
    description: Access policies of EKS that the user has. An empty list takes all away.
    type: list
    elements: dict
    suboptions:
      policy:
        description: Its name, V(AmazonEKSClusterAdminPolicy) for example, or its ARN.
        type: str
        required: true
      scope:
        description: Whether it holds in the whole cluster. By default V(namespace) where namespaces are given, else V(cluster).
        type: str
        choices: [cluster, namespace]
      namespaces:
        description: Namespaces in which it holds; a name may end in an asterisk.
        type: list
        elements: str
        default: []
  purge_policies:
    description: Whether policies that O(policies) does not name are taken away.
    type: bool
    default: true
extends_documentation_fragment:
  - hubspoke.bootstrap.attributes
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.tags.modules
  - amazon.aws.boto3
seealso:
  - module: hubspoke.bootstrap.eks_cluster
"""

EXAMPLES = r"""
- name: The hub's role administers the spoke
  hubspoke.bootstrap.eks_access_entry:
    region: ap-northeast-1
    cluster_name: tokyo
    principal_arn: arn:aws:iam::111122223333:role/argocd-spoke
    policies:
      - policy: AmazonEKSClusterAdminPolicy

- name: A team that edits its namespaces and reads the rest by RBAC
  hubspoke.bootstrap.eks_access_entry:
    region: ap-northeast-1
    cluster_name: tokyo
    principal_arn: arn:aws:iam::111122223333:role/wallet
    kubernetes_groups: [readers]
    policies:
      - policy: AmazonEKSEditPolicy
        namespaces: [wallet, wallet-*]

- name: Locked out
  hubspoke.bootstrap.eks_access_entry:
    region: ap-northeast-1
    cluster_name: tokyo
    principal_arn: arn:aws:iam::111122223333:role/wallet
    state: absent
"""

RETURN = r"""
access_entry:
  description: The entry as it is now, in check mode as it would be; what is not known yet is null. Empty where it is gone.
  returned: success
  type: dict
  contains:
    cluster_name:
      description: As the option.
      type: str
    principal_arn:
      description: As the option.
      type: str
    arn:
      description: ARN of the entry.
      type: str
    created_at:
      description: When it was created.
      type: str
    type:
      description: As the option.
      type: str
    kubernetes_groups:
      description: As the option, sorted.
      type: list
      elements: str
    username:
      description: As the option.
      type: str
    policies:
      description: As the option, with ARNs and scopes, sorted.
      type: list
      elements: dict
    tags:
      description: Its tags.
      type: dict
  sample:
    cluster_name: tokyo
    principal_arn: arn:aws:iam::111122223333:role/argocd-spoke
    type: STANDARD
    policies:
      - policy: arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy
        scope: cluster
        namespaces: []
actions:
  description: What was done, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: [created, policy AmazonEKSClusterAdminPolicy in the cluster]
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws import CONNECTION_SPEC, TAGS_SPEC
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_access_entry import AccessEntry
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_resource import run_resource
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        **CONNECTION_SPEC,
        **TAGS_SPEC,
        "cluster_name": {"type": "str", "required": True},
        "principal_arn": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "type": {"type": "str"},
        "kubernetes_groups": {"type": "list", "elements": "str"},
        "username": {"type": "str"},
        "policies": {
            "type": "list",
            "elements": "dict",
            "options": {
                "policy": {"type": "str", "required": True},
                "scope": {"type": "str", "choices": ["cluster", "namespace"]},
                "namespaces": {"type": "list", "elements": "str", "default": []},
            },
        },
        "purge_policies": {"type": "bool", "default": True},
    },
    "supports_check_mode": True,
}


def run(task: Task) -> Result:
    """Wire arguments to the engine."""
    return run_resource(task, AccessEntry)


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
