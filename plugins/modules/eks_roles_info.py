#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module eks_roles_info: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: eks_roles_info
short_description: Compare the IAM roles of an EKS cluster with what they are to be
version_added: "0.1.0"
description:
  - Reads all roles of the account in one request, and says in what those of a cluster differ from what is wanted. A role belongs
    to the cluster that its tag C(hubspoke.bootstrap/cluster) names; those that are wanted no more are among the differences.
  - It writes nothing. A difference carries the arguments of M(amazon.aws.iam_role) or M(amazon.aws.iam_policy), as role
    C(hubspoke.bootstrap.eks_cluster) calls them.
  - Policies are compared by their meaning, so order and the two ways of writing a list of one make no difference.
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options:
  cluster_name:
    description: Name of the cluster.
    type: str
    required: true
  roles:
    description: The roles.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the role.
        type: str
        required: true
      description:
        description: What it is for; only written when the role is made.
        type: str
        default: ""
      path:
        description: Its path.
        type: str
        default: /
      trust:
        description: Document that says who may assume it. Empty while that is not known yet; the role is then not ready to be made.
        type: dict
        required: true
      managed_policies:
        description: ARNs of managed policies. Others that are attached to the role are a difference.
        type: list
        elements: str
        default: []
      inline_policies:
        description: Documents of the role's own policies, by their names. Others are a difference.
        type: dict
        default: {}
  tags:
    description: Further tags of all of them.
    type: dict
    default: {}
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - hubspoke.bootstrap.attributes.info_module
requirements:
  - boto3 >= 1.34.0
  - botocore >= 1.34.0
seealso:
  - module: hubspoke.bootstrap.eks_network_info
"""

EXAMPLES = r"""
- name: Is the role of the nodes as it is to be?
  hubspoke.bootstrap.eks_roles_info:
    cluster_name: seoul
    region: ap-northeast-2
    roles:
      - name: seoul-node
        trust:
          Version: "2012-10-17"
          Statement:
            - {Effect: Allow, Principal: {Service: ec2.amazonaws.com}, Action: "sts:AssumeRole"}
        managed_policies: ["arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy"]
  register: roles
"""

RETURN = r"""
differences:
  description: What differs.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: V(role) or V(policy).
      type: str
    name:
      description: Its name.
      type: str
    action:
      description: V(create), V(update) or V(delete).
      type: str
    ready:
      description: Whether it can be made so now; V(false) of a role whose trust is not known yet.
      type: bool
    arguments:
      description: For the module that makes it.
      type: dict
arns:
  description: ARNs of the cluster's roles that are there, by their names.
  returned: success
  type: dict
  sample: {seoul-node: "arn:aws:iam::111122223333:role/seoul-node"}
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws import CONNECTION_SPEC, Aws, preload
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_difference import result_of
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_network_wanted import OWNER
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_roles_plan import Role, found, plan
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute

preload("iam")

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        **CONNECTION_SPEC,
        "cluster_name": {"type": "str", "required": True},
        "roles": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "name": {"type": "str", "required": True},
                "description": {"type": "str", "default": ""},
                "path": {"type": "str", "default": "/"},
                "trust": {"type": "dict", "required": True},
                "managed_policies": {"type": "list", "elements": "str", "default": []},
                "inline_policies": {"type": "dict", "default": {}},
            },
        },
        "tags": {"type": "dict", "default": {}},
    },
    "supports_check_mode": True,
}


def run(task: Task) -> Result:
    """Wire arguments to the plan."""
    params = task.params
    cluster = params["cluster_name"]
    wanted = [
        Role(
            name=each["name"],
            trust=each["trust"],
            managed=tuple(each["managed_policies"]),
            inline=each["inline_policies"],
            tags={**params["tags"], OWNER: cluster},
            path=each["path"],
            description=each["description"],
        )
        for each in params["roles"]
    ]
    details = Aws(params).service("iam")
    listed = details.pages(
        "get_account_authorization_details",
        "RoleDetailList",
        f"Cluster {cluster}: the IAM roles cannot be read",
        Filter=["Role"],
    )
    roles = {role.name: role for role in map(found, listed)}
    names = {role.name for role in wanted}
    arns = {name: role.arn for name, role in roles.items() if name in names}
    return {**result_of(plan(cluster, wanted, roles), f"IAM roles of cluster {cluster}", task.diff), "arns": arns}


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
