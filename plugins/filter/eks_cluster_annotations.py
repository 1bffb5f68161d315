# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter eks_cluster_annotations: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
name: eks_cluster_annotations
short_description: Which service accounts have to name which roles, for people
version_added: "0.1.0"
description:
  - One line of namespaces, service accounts and the ARNs that their annotation C(eks.amazonaws.com/role-arn) is to have.
author:
  - hubspoke.bootstrap contributors
positional: _input
options:
  _input:
    description: Service accounts, each with C(namespace), C(service_account) and C(role_arn).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Say it
  ansible.builtin.debug:
    msg: "{{ cluster_web_identities | hubspoke.bootstrap.eks_cluster_annotations }}"
"""

RETURN = r"""
_value:
  description: One line, empty where there is nothing.
  type: str
"""

import typing as t


def eks_cluster_annotations(accounts: t.Iterable[t.Mapping[str, t.Any]]) -> str:
    """Each with its role."""
    return "; ".join(f"{each['namespace']}/{each['service_account']}: {each['role_arn']}" for each in accounts)


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name and function."""
        return {"eks_cluster_annotations": eks_cluster_annotations}
