# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter local_controllers_notes: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
name: local_controllers_notes
short_description: What Argo CD's processes do otherwise than its pods would
version_added: "0.1.0"
description:
  - Tells where the programs are of another version than the manifests, and what the pods would need to start.
author:
  - hubspoke.bootstrap contributors
positional: _input
options:
  _input:
    description: RV(hubspoke.bootstrap.workload_info#module:containers).
    type: list
    elements: dict
    required: true
  version:
    description: Version of the programs.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Say what is different here
  ansible.builtin.debug:
    msg: "{{ argocd.containers | hubspoke.bootstrap.local_controllers_notes(version='v3.5.7') }}"
"""

RETURN = r"""
_value:
  description: One sentence for each difference.
  type: list
  elements: str
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_controllers import notes


def local_controllers_notes(containers: list[dict[str, t.Any]], version: str) -> list[str]:
    """What differs from what the pods would do."""
    return notes(containers, version)


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name and function."""
        return {"local_controllers_notes": local_controllers_notes}
