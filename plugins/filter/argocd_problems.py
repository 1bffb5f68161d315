# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter argocd_problems: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
name: argocd_problems
short_description: Find what cannot be meant in Argo CD's settings
version_added: "0.1.0"
description:
  - Looks for contradictions that an argument specification cannot express, such as a repository with both a token and an SSH key.
  - The sentences name the repository by its URL and never show a credential.
author:
  - hubspoke.bootstrap contributors
positional: _input
options:
  _input:
    description: The variables C(config), C(rbac), C(params), C(repositories), C(repository_credentials), C(projects) of the role.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Check the repositories
  ansible.builtin.assert:
    that: problems | length == 0
    fail_msg: "{{ problems | join(' ') }}"
  vars:
    problems: "{{ {'repositories': argocd_repositories} | hubspoke.bootstrap.argocd_problems }}"
"""

RETURN = r"""
_value:
  description: One sentence for each problem.
  type: list
  elements: str
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_settings import problems


def argocd_problems(variables: t.Mapping[str, t.Any]) -> list[str]:
    """What cannot be meant like that."""
    return problems(variables)


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name and function."""
        return {"argocd_problems": argocd_problems}
