#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module eks_pod_identity_association: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: eks_pod_identity_association
short_description: Give a service account of an EKS cluster a role of AWS
version_added: "0.1.0"
description:
  - Pods of the service account get the credentials of the role, by the add-on eks-pod-identity-agent. Neither namespace nor service
    account need to be there.
  - The role must trust C(pods.eks.amazonaws.com) with C(sts:AssumeRole) and C(sts:TagSession).
  - An association that an add-on made is left to that add-on.
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options:
  cluster_name:
    description: Name of the cluster.
    type: str
    required: true
  namespace:
    description: Namespace of the service account.
    type: str
    required: true
  service_account:
    description: Name of the service account, which has one association at most.
    type: str
    required: true
  state:
    description: V(absent) takes the association away.
    type: str
    choices: [present, absent]
    default: present
  role_arn:
    description: ARN of the role, in the account of the cluster. Needed to create.
    type: str
  target_role_arn:
    description: ARN of a second role, of another account for example, that is assumed from the first; pods get its credentials.
    type: str
  disable_session_tags:
    description: Whether sessions go without the tags that name cluster, namespace and service account. EKS's default is no.
    type: bool
extends_documentation_fragment:
  - hubspoke.bootstrap.attributes
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.tags.modules
  - amazon.aws.boto3
seealso:
  - module: hubspoke.bootstrap.eks_addon
"""

EXAMPLES = r"""
- name: Argo CD's service accounts get the hub's role
  hubspoke.bootstrap.eks_pod_identity_association:
    region: ap-northeast-2
    cluster_name: seoul
    namespace: argocd
    service_account: "{{ item }}"
    role_arn: arn:aws:iam::111122223333:role/argocd-hub
  loop: [argocd-application-controller, argocd-applicationset-controller, argocd-server]

- name: No longer
  hubspoke.bootstrap.eks_pod_identity_association:
    region: ap-northeast-2
    cluster_name: seoul
    namespace: external-secrets
    service_account: external-secrets-sa
    state: absent
"""

RETURN = r"""
association:
  description: The association as it is now, in check mode as it would be; what is not known yet is null. Empty where it is gone.
  returned: success
  type: dict
  contains:
    cluster_name:
      description: As the option.
      type: str
    namespace:
      description: As the option.
      type: str
    service_account:
      description: As the option.
      type: str
    id:
      description: EKS's id of it.
      type: str
    arn:
      description: Its ARN.
      type: str
    owner_arn:
      description: ARN of the add-on that made it, null where none did.
      type: str
    external_id:
      description: What a role of another account can ask for in its trust policy.
      type: str
    created_at:
      description: When it was created.
      type: str
    role_arn:
      description: As the option.
      type: str
    target_role_arn:
      description: As the option.
      type: str
    disable_session_tags:
      description: As the option.
      type: bool
    tags:
      description: Its tags.
      type: dict
  sample:
    cluster_name: seoul
    namespace: argocd
    service_account: argocd-server
    id: a-0123456789abcdefg
    role_arn: arn:aws:iam::111122223333:role/argocd-hub
actions:
  description: What was done, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: [created]
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws import CONNECTION_SPEC, TAGS_SPEC
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_pod_identity import PodIdentityAssociation
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_resource import run_resource
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        **CONNECTION_SPEC,
        **TAGS_SPEC,
        "cluster_name": {"type": "str", "required": True},
        "namespace": {"type": "str", "required": True},
        "service_account": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "role_arn": {"type": "str"},
        "target_role_arn": {"type": "str"},
        "disable_session_tags": {"type": "bool"},
    },
    "supports_check_mode": True,
}


def run(task: Task) -> Result:
    """Wire arguments to the engine."""
    return run_resource(task, PodIdentityAssociation)


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
