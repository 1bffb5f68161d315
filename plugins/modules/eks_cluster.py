#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module eks_cluster: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: eks_cluster
short_description: Create, change, upgrade and delete an EKS cluster
version_added: "0.1.0"
description:
  - The control plane of one EKS cluster. M(community.aws.eks_cluster) creates and deletes; this one also sets access mode, endpoint
    access, logging and encryption, upgrades, and shows its plan in check mode and as a diff.
  - Of a cluster that is there only what is given is changed; an option that is left out stays as it is. What EKS cannot change is
    refused by name.
  - An upgrade goes to the next minor version only, and never back. Where a version is skipped the message has the path.
  - Each change is waited for, by its update and not only by the state of the cluster, so that one that EKS gave up fails.
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options:
  name:
    description: Name of the cluster.
    type: str
    required: true
  state:
    description:
      - V(present) has it as described.
      - V(absent) deletes it. EKS refuses while it has node groups. A cluster with deletion protection is refused, unless
        O(deletion_protection) is false.
    type: str
    choices: [present, absent]
    default: present
  version:
    description:
      - Kubernetes version, V("1.34") for example, in quotes. By default the one EKS chooses when it creates, and that which it has later.
    type: str
  role_arn:
    description:
      - ARN of the role of the control plane. Needed to create; it cannot be changed.
      - In check mode it and O(subnet_ids) may be empty, where they are made before it in the same play.
    type: str
  subnet_ids:
    description: Ids of its subnets, in two availability zones at least. Needed to create.
    type: list
    elements: str
  security_group_ids:
    description: Ids of further security groups of the control plane's network interfaces.
    type: list
    elements: str
  endpoint_public_access:
    description: Whether its API can be reached from outside the VPC. EKS creates with it.
    type: bool
  endpoint_private_access:
    description: Whether its API can be reached from inside the VPC by private addresses. EKS creates without it.
    type: bool
  public_access_cidrs:
    description:
      - From where its API can be reached from outside the VPC. By default from everywhere.
      - Not looked at with O(endpoint_public_access=false).
    type: list
    elements: str
  logging:
    description: Kinds of control plane logs to send to CloudWatch, and no others; an empty list for none.
    type: list
    elements: str
    choices: [api, audit, authenticator, controllerManager, scheduler]
  encryption_key_arn:
    description: ARN of a KMS key that encrypts Secrets. It can be added to a cluster, and not be changed or taken away.
    type: str
  authentication_mode:
    description:
      - How identities of AWS become users. V(API) is by access entries.
      - The default is V(API) when it is created. It can only go from V(CONFIG_MAP) over V(API_AND_CONFIG_MAP) to V(API).
    type: str
    choices: [API, API_AND_CONFIG_MAP, CONFIG_MAP]
  bootstrap_creator_admin:
    description: Whether who creates it gets an access entry as its administrator. Only heard when it is created; EKS's default is yes.
    type: bool
  self_managed_addons:
    description:
      - Whether EKS puts vpc-cni, kube-proxy and coredns into a new cluster by itself. False where they come as add-ons.
      - Only heard when it is created; EKS's default is yes.
    type: bool
  upgrade_policy:
    description: What happens at the end of a version's standard support; V(EXTENDED) costs extra and is EKS's default.
    type: str
    choices: [STANDARD, EXTENDED]
  deletion_protection:
    description: Whether EKS refuses to delete it.
    type: bool
  service_ipv4_cidr:
    description: Addresses of Services. It cannot be changed.
    type: str
  zonal_shift:
    description: Whether traffic may be shifted away from a zone that fails.
    type: bool
  wait:
    description: Whether to wait until what was begun is done. Between two changes it is waited in any case.
    type: bool
    default: true
  wait_timeout:
    description: Seconds to wait in all.
    type: int
    default: 2700
extends_documentation_fragment:
  - hubspoke.bootstrap.attributes
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.tags.modules
  - amazon.aws.boto3
seealso:
  - module: hubspoke.bootstrap.eks_cluster_info
  - module: community.aws.eks_nodegroup
"""

EXAMPLES = r"""
- name: A private control plane that access entries alone open
  hubspoke.bootstrap.eks_cluster:
    region: ap-northeast-2
    name: seoul
    version: "1.34"
    role_arn: arn:aws:iam::111122223333:role/seoul-cluster
    subnet_ids: [subnet-0a1, subnet-0b2, subnet-0c3]
    endpoint_public_access: true
    endpoint_private_access: true
    public_access_cidrs: [203.0.113.0/24]
    logging: [api, audit, authenticator]
    encryption_key_arn: arn:aws:kms:ap-northeast-2:111122223333:key/1b2c
    authentication_mode: API
    bootstrap_creator_admin: false
    deletion_protection: true
    tags: {team: platform}
  register: seoul

- name: The next version, once with --check --diff
  hubspoke.bootstrap.eks_cluster:
    region: ap-northeast-2
    name: seoul
    version: "1.35"

- name: Gone, protected or not
  hubspoke.bootstrap.eks_cluster:
    region: ap-northeast-2
    name: seoul
    state: absent
    deletion_protection: false
"""

RETURN = r"""
cluster:
  description: The cluster as it is now, in check mode as it would be; what is not known yet is null. Empty where it is gone.
  returned: success
  type: dict
  contains:
    name:
      description: Its name.
      type: str
    arn:
      description: Its ARN.
      type: str
    status:
      description: V(ACTIVE) or what else EKS says.
      type: str
    version:
      description: Kubernetes version.
      type: str
    platform_version:
      description: EKS's own version of it.
      type: str
    endpoint:
      description: Address of its API.
      type: str
    certificate_authority:
      description: Certificate of its API's authority, in base64.
      type: str
    oidc_issuer:
      description: Address of the issuer of its service accounts' tokens.
      type: str
    vpc_id:
      description: Its VPC.
      type: str
    cluster_security_group_id:
      description: The security group that EKS made for it and its nodes.
      type: str
    created_at:
      description: When it was created.
      type: str
    role_arn:
      description: As the option.
      type: str
    service_ipv4_cidr:
      description: As the option.
      type: str
    bootstrap_creator_admin:
      description: As the option.
      type: bool
    self_managed_addons:
      description: As the option; EKS does not say, so it is null.
      type: bool
    authentication_mode:
      description: As the option.
      type: str
    subnet_ids:
      description: As the option, sorted.
      type: list
      elements: str
    security_group_ids:
      description: As the option, sorted.
      type: list
      elements: str
    endpoint_public_access:
      description: As the option.
      type: bool
    endpoint_private_access:
      description: As the option.
      type: bool
    public_access_cidrs:
      description: As the option, sorted.
      type: list
      elements: str
    logging:
      description: As the option, sorted.
      type: list
      elements: str
    upgrade_policy:
      description: As the option.
      type: str
    deletion_protection:
      description: As the option.
      type: bool
    zonal_shift:
      description: As the option.
      type: bool
    encryption_key_arn:
      description: As the option, null where there is none.
      type: str
    tags:
      description: Its tags.
      type: dict
  sample:
    name: seoul
    arn: arn:aws:eks:ap-northeast-2:111122223333:cluster/seoul
    status: ACTIVE
    version: "1.34"
    endpoint: https://0123456789ABCDEF.gr7.ap-northeast-2.eks.amazonaws.com
    subnet_ids: [subnet-0a1, subnet-0b2, subnet-0c3]
actions:
  description: What was done, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: ["version: 1.34 → 1.35"]
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws import CONNECTION_SPEC, TAGS_SPEC
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_cluster import LOGS, Cluster
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_resource import run_resource
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        **CONNECTION_SPEC,
        **TAGS_SPEC,
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "version": {"type": "str"},
        "role_arn": {"type": "str"},
        "subnet_ids": {"type": "list", "elements": "str"},
        "security_group_ids": {"type": "list", "elements": "str"},
        "endpoint_public_access": {"type": "bool"},
        "endpoint_private_access": {"type": "bool"},
        "public_access_cidrs": {"type": "list", "elements": "str"},
        "logging": {"type": "list", "elements": "str", "choices": list(LOGS)},
        "encryption_key_arn": {"type": "str", "no_log": False},
        "authentication_mode": {"type": "str", "choices": ["API", "API_AND_CONFIG_MAP", "CONFIG_MAP"]},
        "bootstrap_creator_admin": {"type": "bool"},
        "self_managed_addons": {"type": "bool"},
        "upgrade_policy": {"type": "str", "choices": ["STANDARD", "EXTENDED"]},
        "deletion_protection": {"type": "bool"},
        "service_ipv4_cidr": {"type": "str"},
        "zonal_shift": {"type": "bool"},
        "wait": {"type": "bool", "default": True},
        "wait_timeout": {"type": "int", "default": 2700},
    },
    "supports_check_mode": True,
}


def run(task: Task) -> Result:
    """Wire arguments to the engine."""
    return run_resource(task, Cluster)


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
