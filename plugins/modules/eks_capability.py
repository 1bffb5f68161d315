#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module eks_capability: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: eks_capability
short_description: Have AWS run Argo CD, ACK or KRO for an EKS cluster
version_added: "0.1.0"
description:
  - A capability runs outside of the cluster's nodes. A cluster has one of each type at most.
  - Of a capability that is there only what is given is changed; an option that is left out stays as it is. What EKS cannot change is
    refused by name.
  - Argo CD as a capability knows its clusters by their ARNs, and reaches them by access entries for its role.
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options:
  cluster_name:
    description: Name of the cluster.
    type: str
    required: true
  name:
    description: Name of the capability.
    type: str
    required: true
  state:
    description: V(absent) deletes it. What it has made on the cluster stays.
    type: str
    choices: [present, absent]
    default: present
  type:
    description: What it is. Needed to create; it cannot be changed.
    type: str
    choices: [ARGOCD, ACK, KRO]
  role_arn:
    description: ARN of its role, which trusts C(capabilities.eks.amazonaws.com). Needed to create; in check mode it may be empty.
    type: str
  argo_cd:
    description: Argo CD's configuration.
    type: dict
    suboptions:
      namespace:
        description: Namespace of its objects. EKS's default is C(argocd). It cannot be changed.
        type: str
      idc_instance_arn:
        description: ARN of the IAM Identity Center instance that its users come from. Needed to create; it cannot be changed.
        type: str
      idc_region:
        description: Region of that instance. It cannot be changed.
        type: str
      endpoint_prefix:
        description: Beginning of its address. It cannot be changed.
        type: str
      role_mappings:
        description: Who has which role of Argo CD, and nobody else.
        type: list
        elements: dict
        suboptions:
          role:
            description: Role.
            type: str
            required: true
            choices: [ADMIN, EDITOR, VIEWER]
          identities:
            description: Users and groups of the identity centre.
            type: list
            elements: dict
            required: true
            suboptions:
              id:
                description: Id in the identity centre.
                type: str
                required: true
              type:
                description: Whether it is a user or a group.
                type: str
                required: true
                choices: [SSO_USER, SSO_GROUP]
      vpce_ids:
        description: VPC endpoints that it can be reached through, and through nothing else. An empty list opens it to the public.
        type: list
        elements: str
  ack:
    description: ACK's configuration.
    type: dict
    suboptions:
      enable_cross_namespace:
        description: Whether objects may refer to those of other namespaces.
        type: bool
      disabled_services:
        description: Services of AWS that it has no controllers for.
        type: list
        elements: str
  delete_propagation_policy:
    description: What becomes of the objects it has made when it is deleted. EKS knows V(RETAIN) only.
    type: str
    choices: [RETAIN]
  wait:
    description: Whether to wait until what was begun is done. Between two changes it is waited in any case.
    type: bool
    default: true
  wait_timeout:
    description: Seconds to wait in all.
    type: int
    default: 1800
extends_documentation_fragment:
  - hubspoke.bootstrap.attributes
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.tags.modules
  - amazon.aws.boto3
seealso:
  - module: hubspoke.bootstrap.eks_access_entry
"""

EXAMPLES = r"""
- name: Argo CD, run by AWS
  hubspoke.bootstrap.eks_capability:
    region: ap-northeast-2
    cluster_name: seoul
    name: argocd
    type: ARGOCD
    role_arn: arn:aws:iam::111122223333:role/seoul-argocd
    argo_cd:
      namespace: argocd
      idc_instance_arn: arn:aws:sso:::instance/ssoins-0123456789abcdef
      idc_region: ap-northeast-2
      role_mappings:
        - role: ADMIN
          identities:
            - {id: 0123abcd-4567, type: SSO_GROUP}
  register: argocd

- name: Gone
  hubspoke.bootstrap.eks_capability:
    region: ap-northeast-2
    cluster_name: seoul
    name: argocd
    state: absent
"""

RETURN = r"""
capability:
  description: The capability as it is now, in check mode as it would be; what is not known yet is null. Empty where it is gone.
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
    version:
      description: Version of what it runs.
      type: str
    created_at:
      description: When it was created.
      type: str
    issues:
      description: What AWS finds wrong with it, such as a cluster that does not let it in. Empty where nothing is.
      type: list
      elements: dict
      contains:
        code:
          description: V(AccessDenied) or V(ClusterUnreachable).
          type: str
        message:
          description: Which, and why.
          type: str
    type:
      description: As the option.
      type: str
    role_arn:
      description: As the option.
      type: str
    argo_cd:
      description: Of Argo CD, the option with C(server_url) and C(idc_application_arn).
      type: dict
    ack:
      description: Of ACK, as the option.
      type: dict
    delete_propagation_policy:
      description: As the option.
      type: str
    tags:
      description: Its tags.
      type: dict
  sample:
    cluster_name: seoul
    name: argocd
    type: ARGOCD
    status: ACTIVE
    argo_cd: {namespace: argocd, server_url: "https://0123.eks-capabilities.ap-northeast-2.amazonaws.com"}
actions:
  description: What was done, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: [created]
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws import CONNECTION_SPEC, TAGS_SPEC
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_capability import Capability
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_resource import run_resource
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute

_IDENTITIES: dict[str, t.Any] = {
    "type": "list",
    "elements": "dict",
    "required": True,
    "options": {
        "id": {"type": "str", "required": True},
        "type": {"type": "str", "required": True, "choices": ["SSO_USER", "SSO_GROUP"]},
    },
}

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        **CONNECTION_SPEC,
        **TAGS_SPEC,
        "cluster_name": {"type": "str", "required": True},
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "type": {"type": "str", "choices": ["ARGOCD", "ACK", "KRO"]},
        "role_arn": {"type": "str"},
        "argo_cd": {
            "type": "dict",
            "options": {
                "namespace": {"type": "str"},
                "idc_instance_arn": {"type": "str"},
                "idc_region": {"type": "str"},
                "endpoint_prefix": {"type": "str"},
                "role_mappings": {
                    "type": "list",
                    "elements": "dict",
                    "options": {
                        "role": {"type": "str", "required": True, "choices": ["ADMIN", "EDITOR", "VIEWER"]},
                        "identities": _IDENTITIES,
                    },
                },
                "vpce_ids": {"type": "list", "elements": "str"},
            },
        },
        "ack": {
            "type": "dict",
            "options": {
                "enable_cross_namespace": {"type": "bool"},
                "disabled_services": {"type": "list", "elements": "str"},
            },
        },
        "delete_propagation_policy": {"type": "str", "choices": ["RETAIN"]},
        "wait": {"type": "bool", "default": True},
        "wait_timeout": {"type": "int", "default": 1800},
    },
    "supports_check_mode": True,
}


def run(task: Task) -> Result:
    """Wire arguments to the engine."""
    return run_resource(task, Capability)


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
