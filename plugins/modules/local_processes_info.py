#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module local_processes_info: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: local_processes_info
short_description: See how the processes of a set on this machine are
version_added: "0.1.0"
description:
  - Reads what M(hubspoke.bootstrap.local_processes) keeps running, asks each process once whether it works, and shows on which
    addresses it listens.
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options:
  name:
    description: Name of the set, for messages.
    type: str
    default: local processes
  directory:
    description: Folder of the set.
    type: path
    required: true
  log_lines:
    description: How many of the last lines of each log to return.
    type: int
    default: 0
extends_documentation_fragment:
  - hubspoke.bootstrap.attributes.info_module
seealso:
  - module: hubspoke.bootstrap.local_processes
"""

EXAMPLES = r"""
- name: How are they?
  hubspoke.bootstrap.local_processes_info:
    directory: ~/.local/state/demo
    log_lines: 5
  register: demo
"""

RETURN = r"""
supervised:
  description: Whether a supervisord looks after the processes.
  returned: success
  type: bool
orphans:
  description: How many processes run that a supervisord left when it was killed.
  returned: success
  type: int
processes:
  description: Every process of the set.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the process.
      type: str
    pid:
      description: Its process id, null where it does not run.
      type: int
    state:
      description: One of V(running), V(stopped), V(crashing), V(unknown).
      type: str
    started:
      description: When it was started, in seconds since 1970; null where it does not run.
      type: int
    works:
      description: Whether it runs and its health check succeeds.
      type: bool
    lacks:
      description: What is missing for it to work, empty when it does.
      type: str
    listens:
      description: TCP addresses on which it and its children accept connections, as far as the system tells.
      type: list
      elements: str
    log:
      description: File with its output.
      type: str
    last_lines:
      description: The end of that file.
      type: list
      elements: str
  sample:
    - name: cache
      pid: 4711
      state: running
      started: 1795000000
      works: true
      lacks: ""
      listens: ["127.0.0.1:7000"]
      log: /home/me/.local/state/demo/logs/cache.log
      last_lines: []
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_processes as engine
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        "name": {"type": "str", "default": "local processes"},
        "directory": {"type": "path", "required": True},
        "log_lines": {"type": "int", "default": 0},
    },
    "supports_check_mode": True,
}


def run(task: Task) -> Result:
    """Wire arguments to the engine."""
    params = task.params
    processes = engine.LocalProcesses(params["directory"], params["name"], task.progress)
    return {"changed": False, **processes.report(params["log_lines"])}


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
