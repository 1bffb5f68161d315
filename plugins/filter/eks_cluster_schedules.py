# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter eks_cluster_schedules: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
name: eks_cluster_schedules
short_description: The schedules of an EKS cluster's node groups
version_added: "0.1.0"
description:
  - Puts the schedules that node groups are to have beside the Auto Scaling groups that they were found to have.
author:
  - hubspoke.bootstrap contributors
positional: _input
options:
  _input:
    description: Result of M(hubspoke.bootstrap.eks_nodegroup) in a loop over node groups.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Which schedules are wanted?
  ansible.builtin.debug:
    msg: "{{ node_groups | hubspoke.bootstrap.eks_cluster_schedules }}"
"""

RETURN = r"""
_value:
  description: Schedules, as M(hubspoke.bootstrap.eks_details_info) takes them.
  type: list
  elements: dict
"""

import typing as t

Object = dict[str, t.Any]


def eks_cluster_schedules(node_groups: t.Mapping[str, t.Any]) -> list[Object]:
    """One entry for each schedule; in check mode a group may be yet to be made."""
    result = []
    for each in node_groups.get("results") or []:
        groups = (each.get("nodegroup") or {}).get("autoscaling_groups") or [""]
        for schedule in each["item"].get("schedules") or []:
            result.append({"time_zone": "Etc/UTC", **schedule, "node_group": each["item"]["name"], "group": groups[0]})
    return result


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name and function."""
        return {"eks_cluster_schedules": eks_cluster_schedules}
