# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter local_aws_processes: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
name: local_aws_processes
short_description: The process that is the look-alike of AWS
version_added: "0.1.0"
description:
  - Makes of the paths of programs what M(hubspoke.bootstrap.local_processes) takes to run the look-alike of AWS.
author:
  - hubspoke.bootstrap contributors
positional: _input
options:
  _input:
    description: Paths of the programs that control planes are made of, by name. What is not there is looked for on C(PATH).
    type: dict
    required: true
  port:
    description: Its port on 127.0.0.1.
    type: int
    required: true
  directory:
    description: Folder of the control planes.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: The look-alike
  hubspoke.bootstrap.local_processes:
    name: local-aws
    directory: ~/.local/state/local-aws/process
    processes: >-
      {{ toolchain.tools | hubspoke.bootstrap.local_aws_processes(port=24566, directory='~/.local/state/local-aws/clusters') }}
"""

RETURN = r"""
_value:
  description: The one process.
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_process


def local_aws_processes(tools: t.Mapping[str, str], *, port: int, directory: str) -> list[dict[str, t.Any]]:
    """The process, as local_processes takes it."""
    return [_local_aws_process.document(tools, int(port), directory)]


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name and function."""
        return {"local_aws_processes": local_aws_processes}
