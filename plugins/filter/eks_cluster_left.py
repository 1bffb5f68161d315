# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter eks_cluster_left: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
name: eks_cluster_left
short_description: What keeps a VPC from being deleted, for people
version_added: "0.1.0"
description:
  - Names network interfaces by their ids and by what they say of themselves, which is whose they are.
author:
  - hubspoke.bootstrap contributors
positional: _input
options:
  _input:
    description: Network interfaces, as M(amazon.aws.ec2_eni_info) returns them.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Say what is left
  ansible.builtin.debug:
    msg: "{{ left.network_interfaces | hubspoke.bootstrap.eks_cluster_left }}"
"""

RETURN = r"""
_value:
  description: One line, empty where there is nothing.
  type: str
"""

import typing as t


def eks_cluster_left(interfaces: t.Iterable[t.Mapping[str, t.Any]]) -> str:
    """Ids, with descriptions where there are any."""
    found = []
    for each in interfaces:
        identifier, description = each.get("network_interface_id") or each.get("id"), each.get("description")
        found.append(f"{identifier} ({description})" if description else str(identifier))
    return ", ".join(found)


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name and function."""
        return {"eks_cluster_left": eks_cluster_left}
