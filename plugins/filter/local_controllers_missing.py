# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter local_controllers_missing: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
name: local_controllers_missing
short_description: What Argo CD's components cannot start without
version_added: "0.1.0"
description:
  - Lists the ConfigMaps and Secrets that containers refer to and the cluster does not have.
author:
  - hubspoke.bootstrap contributors
positional: _input
options:
  _input:
    description: RV(hubspoke.bootstrap.workload_info#module:containers).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: What is missing?
  ansible.builtin.debug:
    msg: "{{ argocd.containers | hubspoke.bootstrap.local_controllers_missing }}"
"""

RETURN = r"""
_value:
  description: One entry with C(kind), C(name) and C(key) for each.
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_controllers import missing


def local_controllers_missing(containers: list[dict[str, t.Any]]) -> list[dict[str, str]]:
    """What the cluster does not have."""
    return missing(containers)


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name and function."""
        return {"local_controllers_missing": local_controllers_missing}
