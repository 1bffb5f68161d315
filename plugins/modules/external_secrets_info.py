#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module external_secrets_info: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: external_secrets_info
short_description: See how External Secrets is, and wait for it
version_added: "0.1.0"
description:
  - Reads definitions, webhooks, stores, ExternalSecrets and PushSecrets. Of what is not ready it tells the object's own reason,
    which for a store or an ExternalSecret is in its events and not in its condition.
  - Waits for them in this order, since none can be ready before the ones before it.
  - An ExternalSecret counts as ready where its present form has been synced, not an earlier one.
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options:
  namespace:
    description: Namespace of the operator, for RV(refusal).
    type: str
    default: external-secrets
  objects:
    description: The objects that are meant. By default all that the cluster has.
    type: list
    elements: dict
    default: []
    suboptions:
      kind:
        description: Kind.
        type: str
        choices: [ClusterSecretStore, SecretStore, ExternalSecret, PushSecret]
        required: true
      name:
        description: Name.
        type: str
        required: true
      namespace:
        description: Namespace, where the kind has one.
        type: str
  stages:
    description: What is read, and waited for.
    type: list
    elements: str
    choices: [definitions, webhooks, stores, external_secrets, push_secrets]
    default: [definitions, webhooks, stores, external_secrets, push_secrets]
  wait:
    description: Wait until all of it is ready, and fail with the reasons where it is not.
    type: bool
    default: false
  wait_timeout:
    description: Seconds to wait, for all of it together.
    type: int
    default: 300
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - hubspoke.bootstrap.attributes.info_module
requirements:
  - kubernetes >= 24.2.0
seealso:
  - module: hubspoke.bootstrap.secretsmanager_seed
"""

EXAMPLES = r"""
- name: How is every store, and every ExternalSecret?
  hubspoke.bootstrap.external_secrets_info:
  register: external_secrets

- name: Wait for what the applications need
  hubspoke.bootstrap.external_secrets_info:
    objects:
      - {kind: ClusterSecretStore, name: aws-secrets-store}
      - {kind: ExternalSecret, name: shared-secrets, namespace: wealist-prod}
    wait: true
"""

RETURN = r"""
operators:
  description: The controllers of External Secrets that the cluster has.
  returned: success
  type: list
  elements: dict
  contains:
    namespace:
      description: Namespace of its Deployment.
      type: str
    name:
      description: Name of its Deployment.
      type: str
    version:
      description: Tag of its image.
      type: str
    ours:
      description: Whether this collection has applied it.
      type: bool
    installed_by:
      description: Who installed it, for people.
      type: str
  sample:
    - {namespace: external-secrets, name: external-secrets, version: v0.20.4, ours: false, installed_by: the Helm release es}
refusal:
  description: Why it cannot be installed into O(namespace) beside them, empty where it can.
  returned: success
  type: str
definitions:
  description: The definitions that are needed.
  returned: when asked for
  type: list
  elements: dict
webhooks:
  description: Configurations of webhooks that are asked about objects of External Secrets; none where it was installed without.
  returned: when asked for
  type: list
  elements: dict
stores:
  description: ClusterSecretStores and SecretStores.
  returned: when asked for
  type: list
  elements: dict
  contains: &object
    kind:
      description: Kind.
      type: str
    namespace:
      description: Namespace, empty where the kind has none.
      type: str
    name:
      description: Name.
      type: str
    ready:
      description: Whether it is ready.
      type: bool
    reason:
      description: The word that it gives itself.
      type: str
    message:
      description: What it says of itself, or what the last warning about it says.
      type: str
  sample:
    - kind: ClusterSecretStore
      namespace: ""
      name: aws-secrets-store
      ready: false
      reason: InvalidProviderConfig
      message: an IAM role must be associated with service account external-secrets-sa (namespace external-secrets)
external_secrets:
  description: ExternalSecrets.
  returned: when asked for
  type: list
  elements: dict
  contains: *object
push_secrets:
  description: PushSecrets.
  returned: when asked for
  type: list
  elements: dict
  contains: *object
not_ready:
  description: Those of the first stage that did not become ready.
  returned: when waiting for it failed
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _external_secrets as engine
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _external_secrets_operator as operator
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import CONNECTION_SPEC, Kube
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        "namespace": {"type": "str", "default": "external-secrets"},
        "objects": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "kind": {"type": "str", "choices": list(engine.API), "required": True},
                "name": {"type": "str", "required": True},
                "namespace": {"type": "str"},
            },
        },
        "stages": {
            "type": "list",
            "elements": "str",
            "choices": list(engine.STAGES),
            "default": list(engine.STAGES),
        },
        "wait": {"type": "bool", "default": False},
        "wait_timeout": {"type": "int", "default": 300},
        **CONNECTION_SPEC,
    },
    "supports_check_mode": True,
}


def run(task: Task) -> Result:
    """Wire arguments to the engine."""
    params = task.params
    kube = Kube.from_params(params)
    found = engine.ExternalSecrets(kube, params["objects"])
    if params["wait"]:
        found.wait(params["stages"], params["wait_timeout"], task.progress)
    states = {stage: [each.result() for each in found.read(stage)] for stage in params["stages"]}
    operators = operator.read(kube)
    refusal = operator.refusal(operators, params["namespace"])
    return {"changed": False, "operators": operators, "refusal": refusal, **states}


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
