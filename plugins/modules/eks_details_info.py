#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module eks_details_info: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: eks_details_info
short_description: Compare what hangs on an EKS cluster with what it is to be
version_added: "0.1.0"
description:
  - Reads the rules of a cluster's security group, its Pod Identity associations and the schedules of its node groups, each only
    where something is wanted of it, and says what is missing or differs.
  - It writes nothing. A difference carries the arguments of M(amazon.aws.ec2_security_group),
    M(hubspoke.bootstrap.eks_pod_identity_association) or M(community.aws.autoscaling_scheduled_action).
  - What is there besides stays unmentioned.
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options:
  cluster_name:
    description: Name of the cluster.
    type: str
    required: true
  security_group_id:
    description: Id of the cluster's security group, empty while there is none.
    type: str
    default: ""
  security_rules:
    description: What the group is to let in.
    type: list
    elements: dict
    default: []
    suboptions:
      protocol:
        description: Protocol.
        type: str
        default: tcp
      ports:
        description: A port, or the first and the last, as in V(15001-15021).
        type: str
        required: true
      sources:
        description: IPv4 networks.
        type: list
        elements: str
        required: true
      description:
        description: What it is for.
        type: str
        default: ""
  pod_identities:
    description: Associations.
    type: list
    elements: dict
    default: []
    suboptions:
      namespace:
        description: Namespace of the service account.
        type: str
        required: true
      service_account:
        description: Name of the service account.
        type: str
        required: true
      role_arn:
        description: ARN of its role.
        type: str
        required: true
  no_pod_identities:
    description: Service accounts that get their roles in another way, and are to have no association.
    type: list
    elements: dict
    default: []
    suboptions:
      namespace:
        description: Namespace of the service account.
        type: str
        required: true
      service_account:
        description: Name of the service account.
        type: str
        required: true
  schedules:
    description: Scheduled changes of the size of node groups.
    type: list
    elements: dict
    default: []
    suboptions:
      node_group:
        description: Name of the node group.
        type: str
        required: true
      group:
        description: Name of its Auto Scaling group, empty while there is none.
        type: str
        default: ""
      name:
        description: Name of the schedule.
        type: str
        required: true
      recurrence:
        description: When, in cron's notation.
        type: str
        required: true
      time_zone:
        description: Time zone of the recurrence.
        type: str
        default: Etc/UTC
      min_size:
        description: Fewest nodes from then on.
        type: int
        required: true
      max_size:
        description: Most nodes from then on.
        type: int
        required: true
      desired_size:
        description: Nodes from then on.
        type: int
        required: true
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - hubspoke.bootstrap.attributes.info_module
requirements:
  - boto3 >= 1.34.0
  - botocore >= 1.34.0
seealso:
  - module: hubspoke.bootstrap.eks_network_info
  - module: hubspoke.bootstrap.eks_roles_info
"""

EXAMPLES = r"""
- name: Does the cluster let its peers in?
  hubspoke.bootstrap.eks_details_info:
    cluster_name: seoul
    region: ap-northeast-2
    security_group_id: sg-0123456789abcdef0
    security_rules:
      - {ports: "443", sources: [10.20.0.0/16], description: API from Tokyo}
  register: details
"""

RETURN = r"""
differences:
  description: What is missing or differs.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: V(security_rule), V(pod_identity) or V(schedule).
      type: str
    name:
      description: What it is.
      type: str
    action:
      description: V(create), V(update) or, of an association, V(delete).
      type: str
    ready:
      description: Whether what it hangs on is there.
      type: bool
    arguments:
      description: For the module that makes it.
      type: dict
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _eks_details as details
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws import CONNECTION_SPEC, Aws
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_difference import result_of
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute

_SIZES: dict[str, t.Any] = {
    name: {"type": "int", "required": True} for name in ("min_size", "max_size", "desired_size")
}

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        **CONNECTION_SPEC,
        "cluster_name": {"type": "str", "required": True},
        "security_group_id": {"type": "str", "default": ""},
        "security_rules": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "protocol": {"type": "str", "default": "tcp"},
                "ports": {"type": "str", "required": True},
                "sources": {"type": "list", "elements": "str", "required": True},
                "description": {"type": "str", "default": ""},
            },
        },
        "pod_identities": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "namespace": {"type": "str", "required": True},
                "service_account": {"type": "str", "required": True},
                "role_arn": {"type": "str", "required": True},
            },
        },
        "no_pod_identities": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "namespace": {"type": "str", "required": True},
                "service_account": {"type": "str", "required": True},
            },
        },
        "schedules": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "node_group": {"type": "str", "required": True},
                "group": {"type": "str", "default": ""},
                "name": {"type": "str", "required": True},
                "recurrence": {"type": "str", "required": True},
                "time_zone": {"type": "str", "default": "Etc/UTC"},
                **_SIZES,
            },
        },
    },
    "supports_check_mode": True,
}


def run(task: Task) -> Result:
    """Wire arguments to the comparison."""
    params = task.params
    reader = details.Reader(Aws(params), params["cluster_name"])
    rules, group = details.rules(params["security_rules"]), params["security_group_id"]
    identities, schedules = params["pod_identities"], params["schedules"]
    unwanted = params["no_pod_identities"]
    keys = {(each["namespace"], each["service_account"]) for each in [*identities, *unwanted]}
    differences = [
        *details.rule_differences(rules, reader.group(group) if rules and group else {}),
        *details.identity_differences(identities, reader.identities(keys) if keys else {}, unwanted),
        *details.schedule_differences(schedules, reader.schedules() if schedules else {}),
    ]
    return result_of(differences, f"details of cluster {params['cluster_name']}", task.diff)


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
