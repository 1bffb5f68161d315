#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module eks_leftovers_info: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: eks_leftovers_info
short_description: What an EKS cluster left behind
version_added: "0.1.0"
description:
  - Finds what still says by its tags that it is a cluster's - load balancers, target groups, instances, volumes, snapshots, network
    interfaces, security groups, addresses, networks, and whatever else the Resource Groups Tagging API knows - and log groups that are
    called after it.
  - The tags are C(hubspoke.bootstrap/cluster), C(kubernetes.io/cluster/<name>) unless it is C(shared), and those of EKS, of the AWS Load
    Balancer Controller and of the add-on vpc-cni.
  - It writes nothing. After a deletion all that is found is left over; before one it is what the cluster uses.
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options:
  cluster_name:
    description: Name of the cluster.
    type: str
    required: true
  wait_timeout:
    description: >-
      Seconds to wait for what may go by itself, as network interfaces of load balancers do, and whatever is being deleted. V(0) looks
      once.
    type: int
    default: 0
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - hubspoke.bootstrap.attributes.info_module
seealso:
  - module: hubspoke.bootstrap.eks_cluster
"""

EXAMPLES = r"""
- name: What costs money although the cluster is gone?
  hubspoke.bootstrap.eks_leftovers_info:
    cluster_name: seoul
    region: ap-northeast-2
  register: left

- name: Say it
  ansible.builtin.debug:
    msg: "{{ left.told }}"
"""

RETURN = r"""
leftovers:
  description: What was found.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: What it is, as in V(volume).
      type: str
    id:
      description: Id or ARN, by which it can be deleted; of a log group its name.
      type: str
    name:
      description: What people call it, or what it says of itself.
      type: str
    state:
      description: The service's word for its state, empty where it has none.
      type: str
  sample:
    - {kind: volume, id: vol-0123456789abcdef0, name: pvc-1, state: available}
told:
  description: The same for people, one text for each.
  returned: success
  type: list
  elements: str
  sample: ["volume vol-0123456789abcdef0 (pvc-1, available)"]
unread:
  description: What could not be looked at, and why.
  returned: success
  type: list
  elements: str
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _eks_leftovers as leftovers
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws import CONNECTION_SPEC, Aws
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws_wait import Deadline
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        **CONNECTION_SPEC,
        "cluster_name": {"type": "str", "required": True},
        "wait_timeout": {"type": "int", "default": 0},
    },
    "supports_check_mode": True,
}


def run(task: Task) -> Result:
    """Wire arguments to the search."""
    params = task.params
    aws = Aws(params)
    reader = leftovers.Reader(aws, params["cluster_name"])
    found = leftovers.wait(reader.all, Deadline(params["wait_timeout"]), task.progress)
    result = {"changed": False, "leftovers": [item.shown() for item in found], "told": [str(item) for item in found]}
    return aws.with_calls({**result, "unread": reader.unread}, params)


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
