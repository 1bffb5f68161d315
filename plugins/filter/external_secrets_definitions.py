# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter external_secrets_definitions: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
name: external_secrets_definitions
short_description: Stores, ExternalSecrets and PushSecrets from the variables of role external_secrets
version_added: "0.1.0"
description:
  - Makes the objects that role external_secrets applies, and tells what contradicts itself in them.
author:
  - hubspoke.bootstrap contributors
positional: _input
options:
  _input:
    description: The stores, as C(external_secrets_stores).
    type: list
    elements: dict
    required: true
  external_secrets:
    description: The ExternalSecrets, as C(external_secrets_external_secrets).
    type: list
    elements: dict
    default: []
  push_secrets:
    description: The PushSecrets, as C(external_secrets_push_secrets).
    type: list
    elements: dict
    default: []
  namespace:
    description: Namespace of the operator.
    type: str
    default: external-secrets
  region:
    description: Region of stores that name none.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Stop where the variables contradict themselves
  ansible.builtin.assert:
    that: (external_secrets_stores | hubspoke.bootstrap.external_secrets_definitions).problems | length == 0
"""

RETURN = r"""
_value:
  description:
    - The objects as C(stores) and C(objects), what is to be waited for as C(awaited_stores) and C(awaited_objects), the
      C(namespaces) of ExternalSecrets and SecretStores, and C(problems).
  type: dict
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _external_secrets_definitions as engine

Entries = list[dict[str, t.Any]]


def external_secrets_definitions(
    stores: Entries,
    *,
    external_secrets: Entries | None = None,
    push_secrets: Entries | None = None,
    namespace: str = "external-secrets",
    region: str = "",
) -> dict[str, t.Any]:
    """The objects, and what is wrong with what they are made of."""
    external, push = external_secrets or [], push_secrets or []
    problems = engine.problems(stores, external, push, region)
    if problems:
        return {"problems": problems}
    made = engine.stores(stores, namespace, region)
    objects = [*engine.external_secrets(external, stores), *engine.push_secrets(push, stores)]
    return {
        "problems": [],
        "stores": made,
        "objects": objects,
        "namespaces": [item for item in engine.namespaces([*made, *objects]) if item["metadata"]["name"] != namespace],
        "awaited_stores": engine.awaited(made),
        "awaited_objects": engine.awaited(objects),
    }


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name and function."""
        return {"external_secrets_definitions": external_secrets_definitions}
