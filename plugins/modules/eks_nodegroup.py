#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module eks_nodegroup: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: eks_nodegroup
short_description: Create, change, upgrade and delete a managed node group of an EKS cluster
version_added: "0.1.0"
description:
  - M(community.aws.eks_nodegroup) does much of this, but knows none of the machine images of Amazon Linux 2023, upgrades nothing, and
    shows no plan.
  - Of a node group that is there only what is given is changed; an option that is left out stays as it is. What EKS cannot change is
    refused by name.
  - How many nodes a group has belongs to those who scale it. O(scaling.desired_size) is where a new group begins; later it is changed
    only to keep it between new bounds, or with O(scaling.force_desired).
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options:
  cluster_name:
    description: Name of the cluster.
    type: str
    required: true
  name:
    description: Name of the node group.
    type: str
    required: true
  state:
    description: V(absent) deletes it, with its nodes.
    type: str
    choices: [present, absent]
    default: present
  node_role_arn:
    description: ARN of the role of its nodes. Needed to create; it cannot be changed.
    type: str
  subnet_ids:
    description: Ids of the subnets of its nodes. Needed to create; they cannot be changed.
    type: list
    elements: str
  ami_type:
    description: Kind of machine image, V(AL2023_ARM_64_STANDARD) for example. It cannot be changed.
    type: str
  instance_types:
    description: Instance types, the preferred one first. They cannot be changed.
    type: list
    elements: str
  capacity_type:
    description: How its instances are bought. It cannot be changed.
    type: str
    choices: [ON_DEMAND, SPOT, CAPACITY_BLOCK]
  disk_size:
    description: Size of a node's disk in GiB. It cannot be changed.
    type: int
  scaling:
    description: How many nodes.
    type: dict
    suboptions:
      min_size:
        description: The fewest. Of a new group by default O(scaling.desired_size), else 1.
        type: int
      max_size:
        description: The most. Of a new group by default O(scaling.desired_size).
        type: int
      desired_size:
        description: How many a new group begins with; by default O(scaling.min_size).
        type: int
      force_desired:
        description: Set O(scaling.desired_size) of a group that is there, too.
        type: bool
        default: false
  labels:
    description: Kubernetes labels that EKS gives its nodes, and no others.
    type: dict
  taints:
    description: Kubernetes taints that EKS gives its nodes, and no others.
    type: list
    elements: dict
    suboptions:
      key:
        description: Key.
        type: str
        required: true
      value:
        description: Value.
        type: str
        default: ""
      effect:
        description: Effect.
        type: str
        required: true
        choices: [NO_SCHEDULE, NO_EXECUTE, PREFER_NO_SCHEDULE]
  update_config:
    description: How many nodes an upgrade may take away at a time. EKS's default is one.
    type: dict
    suboptions:
      max_unavailable:
        description: As a number.
        type: int
      max_unavailable_percentage:
        description: As a share.
        type: int
  version:
    description:
      - Kubernetes version, V("1.34") for example, in quotes; the cluster's at most, and never back. A new group has the cluster's by default.
    type: str
  release_version:
    description: Version of the machine image, V(1.34.2-20251112) for example. By default the newest when it is created or upgraded.
    type: str
  force_update:
    description: Whether an upgrade goes on where a PodDisruptionBudget keeps pods from being moved.
    type: bool
    default: false
  wait:
    description: Whether to wait until what was begun is done. Between two changes it is waited in any case.
    type: bool
    default: true
  wait_timeout:
    description: Seconds to wait in all.
    type: int
    default: 3600
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
- name: Graviton nodes, on demand
  hubspoke.bootstrap.eks_nodegroup:
    region: ap-northeast-2
    cluster_name: seoul
    name: arm
    node_role_arn: arn:aws:iam::111122223333:role/seoul-nodes
    subnet_ids: [subnet-0a1, subnet-0b2, subnet-0c3]
    ami_type: AL2023_ARM_64_STANDARD
    instance_types: [m7g.large]
    capacity_type: ON_DEMAND
    scaling: {min_size: 2, max_size: 6}
    labels: {pool: general}

- name: The version of the control plane, after that was upgraded
  hubspoke.bootstrap.eks_nodegroup:
    region: ap-northeast-2
    cluster_name: seoul
    name: arm
    version: "1.35"

- name: Gone
  hubspoke.bootstrap.eks_nodegroup:
    region: ap-northeast-2
    cluster_name: seoul
    name: arm
    state: absent
"""

RETURN = r"""
nodegroup:
  description: The node group as it is now, in check mode as it would be; what is not known yet is null. Empty where it is gone.
  returned: success
  type: dict
  contains:
    cluster_name:
      description: As the option.
      type: str
    name:
      description: As the option.
      type: str
    arn:
      description: Its ARN.
      type: str
    status:
      description: V(ACTIVE) or what else EKS says.
      type: str
    created_at:
      description: When it was created.
      type: str
    autoscaling_groups:
      description: Names of its Auto Scaling groups.
      type: list
      elements: str
    node_role_arn:
      description: As the option.
      type: str
    subnet_ids:
      description: As the option, sorted.
      type: list
      elements: str
    ami_type:
      description: As the option.
      type: str
    instance_types:
      description: As the option.
      type: list
      elements: str
    capacity_type:
      description: As the option.
      type: str
    disk_size:
      description: As the option.
      type: int
    scaling:
      description: Sizes, as the option.
      type: dict
    labels:
      description: As the option.
      type: dict
    taints:
      description: As the option, sorted.
      type: list
      elements: dict
    update_config:
      description: As the option.
      type: dict
    version:
      description: As the option.
      type: str
    release_version:
      description: As the option.
      type: str
    tags:
      description: Its tags.
      type: dict
  sample:
    cluster_name: seoul
    name: arm
    status: ACTIVE
    version: "1.34"
    scaling: {min_size: 2, max_size: 6, desired_size: 2}
    autoscaling_groups: [eks-arm-0123]
actions:
  description: What was done, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: ["version: 1.34 → 1.35"]
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws import CONNECTION_SPEC, TAGS_SPEC
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_nodegroup import Nodegroup
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_resource import run_resource
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        **CONNECTION_SPEC,
        **TAGS_SPEC,
        "cluster_name": {"type": "str", "required": True},
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "node_role_arn": {"type": "str"},
        "subnet_ids": {"type": "list", "elements": "str"},
        "ami_type": {"type": "str"},
        "instance_types": {"type": "list", "elements": "str"},
        "capacity_type": {"type": "str", "choices": ["ON_DEMAND", "SPOT", "CAPACITY_BLOCK"]},
        "disk_size": {"type": "int"},
        "scaling": {
            "type": "dict",
            "options": {
                "min_size": {"type": "int"},
                "max_size": {"type": "int"},
                "desired_size": {"type": "int"},
                "force_desired": {"type": "bool", "default": False},
            },
        },
        "labels": {"type": "dict"},
        "taints": {
            "type": "list",
            "elements": "dict",
            "options": {
                "key": {"type": "str", "required": True, "no_log": False},
                "value": {"type": "str", "default": ""},
                "effect": {
                    "type": "str",
                    "required": True,
                    "choices": ["NO_SCHEDULE", "NO_EXECUTE", "PREFER_NO_SCHEDULE"],
                },
            },
        },
        "update_config": {
            "type": "dict",
            "options": {"max_unavailable": {"type": "int"}, "max_unavailable_percentage": {"type": "int"}},
            "mutually_exclusive": [["max_unavailable", "max_unavailable_percentage"]],
        },
        "version": {"type": "str"},
        "release_version": {"type": "str"},
        "force_update": {"type": "bool", "default": False},
        "wait": {"type": "bool", "default": True},
        "wait_timeout": {"type": "int", "default": 3600},
    },
    "supports_check_mode": True,
}


def run(task: Task) -> Result:
    """Wire arguments to the engine."""
    return run_resource(task, Nodegroup)


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
