#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module eks_addon: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: eks_addon
short_description: Install, configure, upgrade and remove an add-on of an EKS cluster
version_added: "0.1.0"
description:
  - Of an add-on that is there only what is given is changed; an option that is left out stays as it is.
  - A version that EKS does not have for the cluster is refused with those it has, in check mode too.
  - An add-on that has too few nodes for its pods is C(DEGRADED), which is a warning and no failure.
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options:
  cluster_name:
    description: Name of the cluster.
    type: str
    required: true
  name:
    description: Name of the add-on, V(vpc-cni) for example.
    type: str
    required: true
  state:
    description: V(absent) removes it.
    type: str
    choices: [present, absent]
    default: present
  version:
    description:
      - A version, V(v1.20.4-eksbuild.1) for example, V(default) for the one that EKS takes by default for the cluster's Kubernetes, or V(latest).
        These two follow EKS, so they can change it at any run.
      - Left out, a new add-on gets the default and keeps it.
    type: str
  cluster_version:
    description:
      - The cluster's Kubernetes version, where it is known already; else it is read when it is needed. With an upgrade of the cluster
        before it in the same play, check mode needs it, as the cluster then still has the old one.
    type: str
  namespace:
    description: Namespace to install it into. Only heard when it is installed.
    type: str
  configuration:
    description: Its configuration, whole, by its own schema; C(aws eks describe-addon-configuration) shows that.
    type: dict
  service_account_role_arn:
    description: ARN of a role for its service account by way of the cluster's OIDC provider (IRSA). Empty text takes it away.
    type: str
  pod_identity_associations:
    description: Roles for its service accounts by Pod Identity, and no others.
    type: list
    elements: dict
    suboptions:
      service_account:
        description: Name of the service account.
        type: str
        required: true
      role_arn:
        description: ARN of the role.
        type: str
        required: true
  resolve_conflicts:
    description:
      - What becomes of fields that something else has set on the cluster. V(OVERWRITE) sets them as the add-on has them, V(PRESERVE) keeps
        them when it is changed, V(NONE) fails.
      - A new add-on knows no V(PRESERVE), which is then V(NONE).
    type: str
    choices: [OVERWRITE, NONE, PRESERVE]
    default: OVERWRITE
  preserve:
    description: With O(state=absent), whether its objects stay on the cluster.
    type: bool
    default: false
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
  - module: hubspoke.bootstrap.eks_cluster
  - module: hubspoke.bootstrap.eks_pod_identity_association
"""

EXAMPLES = r"""
- name: The network, with prefixes, at a version
  hubspoke.bootstrap.eks_addon:
    region: ap-northeast-2
    cluster_name: seoul
    name: vpc-cni
    version: v1.20.4-eksbuild.1
    configuration:
      env: {ENABLE_PREFIX_DELEGATION: "true"}

- name: Volumes, with a role by Pod Identity
  hubspoke.bootstrap.eks_addon:
    region: ap-northeast-2
    cluster_name: seoul
    name: aws-ebs-csi-driver
    version: default
    cluster_version: "1.34"
    pod_identity_associations:
      - service_account: ebs-csi-controller-sa
        role_arn: arn:aws:iam::111122223333:role/seoul-ebs-csi

- name: No longer EKS's, but still on the cluster
  hubspoke.bootstrap.eks_addon:
    region: ap-northeast-2
    cluster_name: seoul
    name: coredns
    state: absent
    preserve: true
"""

RETURN = r"""
addon:
  description: The add-on as it is now, in check mode as it would be; what is not known yet is null. Empty where it is gone.
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
      description: When it was installed.
      type: str
    namespace:
      description: Where it is.
      type: str
    version:
      description: Its version.
      type: str
    configuration:
      description: As the option.
      type: dict
    service_account_role_arn:
      description: As the option, empty where it has none.
      type: str
    pod_identity_associations:
      description: As the option, sorted; null where the option is not given and there are some.
      type: list
      elements: dict
    tags:
      description: Its tags.
      type: dict
  sample:
    cluster_name: seoul
    name: vpc-cni
    status: ACTIVE
    version: v1.20.4-eksbuild.1
    configuration: {env: {ENABLE_PREFIX_DELEGATION: "true"}}
actions:
  description: What was done, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: ["version: v1.20.3-eksbuild.1 → v1.20.4-eksbuild.1"]
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws import CONNECTION_SPEC, TAGS_SPEC
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_addon import Addon
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_resource import run_resource
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        **CONNECTION_SPEC,
        **TAGS_SPEC,
        "cluster_name": {"type": "str", "required": True},
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "version": {"type": "str"},
        "cluster_version": {"type": "str"},
        "namespace": {"type": "str"},
        "configuration": {"type": "dict"},
        "service_account_role_arn": {"type": "str"},
        "pod_identity_associations": {
            "type": "list",
            "elements": "dict",
            "options": {
                "service_account": {"type": "str", "required": True},
                "role_arn": {"type": "str", "required": True},
            },
        },
        "resolve_conflicts": {"type": "str", "choices": ["OVERWRITE", "NONE", "PRESERVE"], "default": "OVERWRITE"},
        "preserve": {"type": "bool", "default": False},
        "wait": {"type": "bool", "default": True},
        "wait_timeout": {"type": "int", "default": 1800},
    },
    "supports_check_mode": True,
}


def run(task: Task) -> Result:
    """Wire arguments to the engine."""
    return run_resource(task, Addon)


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
