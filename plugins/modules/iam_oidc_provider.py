#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module iam_oidc_provider: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: iam_oidc_provider
short_description: Have IAM take the tokens of an issuer for identities
version_added: "0.1.0"
description:
  - An OpenID Connect provider in IAM. With that of a cluster's own issuer, roles can trust service accounts of the cluster (IAM roles
    for service accounts, IRSA).
  - A repeat asks AWS once where O(account_id) is given, else twice.
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options:
  url:
    description:
      - Issuer of the tokens, as in RV(hubspoke.bootstrap.eks_cluster#module:cluster.oidc_issuer). It cannot be changed.
      - Needed to create; in check mode it may be empty, while a cluster is yet to be made.
    type: str
  account_id:
    description: Id of the account. Without it the account's providers are listed first.
    type: str
  state:
    description: V(absent) deletes the provider, so that nobody gets a role by tokens of that issuer any more.
    type: str
    choices: [present, absent]
    default: present
  client_ids:
    description: Audiences, of which a token has to have one.
    type: list
    elements: str
    default: [sts.amazonaws.com]
  purge_client_ids:
    description: Whether other audiences than O(client_ids) are removed.
    type: bool
    default: false
  thumbprints:
    description: >-
      Thumbprints of the authorities that certify the issuer's address. IAM finds those of public authorities, EKS's among them, by
      itself.
    type: list
    elements: str
  match_tags:
    description:
      - With O(state=absent) and without O(url), everything that has all of these tags is deleted, whatever its issuer. So what is
        left of a cluster goes after the cluster itself, and nobody knows its issuer any more.
    type: dict
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
- name: Roles can trust the cluster's service accounts
  hubspoke.bootstrap.iam_oidc_provider:
    url: "{{ seoul.cluster.oidc_issuer }}"
    account_id: "111122223333"
    tags: {hubspoke.bootstrap/cluster: seoul}

- name: After the cluster
  hubspoke.bootstrap.iam_oidc_provider:
    state: absent
    match_tags: {hubspoke.bootstrap/cluster: seoul}
"""

RETURN = r"""
provider:
  description: The provider as it is now, in check mode as it would be; what is not known yet is null. Empty where it is gone.
  returned: success
  type: dict
  contains:
    arn:
      description: Its ARN, which trust policies name as C(Federated).
      type: str
    created_at:
      description: When it was created.
      type: str
    url:
      description: As the option.
      type: str
    client_ids:
      description: All audiences.
      type: list
      elements: str
    thumbprints:
      description: As the option.
      type: list
      elements: str
    tags:
      description: Its tags.
      type: dict
  sample:
    arn: arn:aws:iam::111122223333:oidc-provider/oidc.eks.ap-northeast-2.amazonaws.com/id/0123456789ABCDEF
    url: https://oidc.eks.ap-northeast-2.amazonaws.com/id/0123456789ABCDEF
    client_ids: [sts.amazonaws.com]
actions:
  description: What was done, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: [created]
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws import CONNECTION_SPEC, TAGS_SPEC, preload
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_resource import run_resource
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._iam_oidc_provider import OidcProvider
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute

preload("iam")

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        **CONNECTION_SPEC,
        **TAGS_SPEC,
        "url": {"type": "str"},
        "account_id": {"type": "str"},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "client_ids": {"type": "list", "elements": "str", "default": ["sts.amazonaws.com"]},
        "purge_client_ids": {"type": "bool", "default": False},
        "thumbprints": {"type": "list", "elements": "str"},
        "match_tags": {"type": "dict"},
    },
    "mutually_exclusive": [("url", "match_tags")],
    "supports_check_mode": True,
}


def run(task: Task) -> Result:
    """Wire arguments to the engine."""
    return run_resource(task, OidcProvider, "iam")


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
