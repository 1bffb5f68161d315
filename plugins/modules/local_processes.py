#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module local_processes: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: local_processes
short_description: Keep processes running on this machine
version_added: "0.1.0"
description:
  - Runs a set of processes under a supervisord of its own, which starts again those that end, and which is asked through a
    Unix socket that only its owner may use; there is no network port.
  - A change to one process restarts that process and no other.
  - Each process gets exactly the environment that is given here, besides C(PATH), C(LANG), C(HOME), C(USER) and C(LOGNAME);
    nothing of Ansible's own reaches it.
  - Output goes to C(logs/) in O(directory), rotated at 10 MB. Everything there is readable by its owner only.
  - A set whose supervisord was killed is recognized, what it left is ended, and the set is started again.
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options:
  name:
    description: Name of the set, for messages.
    type: str
    required: true
  state:
    description:
      - V(present) makes exactly these processes run, others of the set are stopped.
      - V(absent) stops them all, and removes every file of the set, logs included.
    type: str
    choices: [present, absent]
    default: present
  directory:
    description: Folder of the set, for configuration, logs and the processes' own folders. No other set may use it.
    type: path
    required: true
  processes:
    description: The processes that are to run.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the process.
        type: str
        required: true
      command:
        description: Program and arguments. All users of the machine can read them, so no secret may be among them.
        type: list
        elements: str
        required: true
      environment:
        description: Environment variables. Differences show their names only.
        type: dict
        default: {}
      secret_environment:
        description: Environment variables whose values are kept out of all output.
        type: dict
        default: {}
      directory:
        description: Working directory. By default a folder of the process's own below the set's, removed with the process.
        type: path
      files:
        description: Files to write before the process starts, contents by path relative to its working directory.
        type: dict
        default: {}
      folders:
        description: Folders to make before the process starts, relative to its working directory.
        type: list
        elements: str
        default: []
      health:
        description: What tells that the process works. Without it, the process has to run for a second.
        type: dict
        suboptions:
          tcp:
            description: Address that takes connections, as C(host:port).
            type: str
          http:
            description: URL that answers with success. A certificate is not verified.
            type: str
      loopback:
        description:
          - Confine the process to addresses that only this machine can reach. Where it binds a TCP socket to all addresses, it
            gets the loopback address instead, whatever its own options are.
          - Works on Linux, without privileges. Elsewhere there is a warning if a process listens on other addresses.
        type: bool
        default: false
      stop_seconds:
        description: How long the process and its children may take to end before they are killed.
        type: int
        default: 10
  wait_timeout:
    description: Seconds to wait until every process works.
    type: int
    default: 60
extends_documentation_fragment:
  - hubspoke.bootstrap.attributes
requirements:
  - supervisor >= 4.2.5
seealso:
  - module: hubspoke.bootstrap.local_processes_info
"""

EXAMPLES = r"""
- name: A cache and what uses it
  hubspoke.bootstrap.local_processes:
    name: demo
    directory: ~/.local/state/demo
    processes:
      - name: cache
        command: [redis-server, cache.conf]
        files:
          cache.conf: |
            bind 127.0.0.1
            port 7000
            requirepass "{{ demo_password }}"
        health: {tcp: "127.0.0.1:7000"}
      - name: web
        command: [/opt/web, --port, "7001"]
        environment: {CACHE: "127.0.0.1:7000"}
        secret_environment: {CACHE_PASSWORD: "{{ demo_password }}"}
        health: {http: "http://127.0.0.1:7001/healthz"}
        loopback: true

- name: Stop both, and leave nothing
  hubspoke.bootstrap.local_processes:
    name: demo
    directory: ~/.local/state/demo
    state: absent
"""

RETURN = r"""
processes:
  description: Every process that is wanted; in check mode those that are there show how they are now.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the process.
      type: str
    action:
      description: What was done. One of V(start), V(restart), V(stop), V(keep).
      type: str
    pid:
      description: Its process id, null where it does not run.
      type: int
    state:
      description: One of V(running), V(stopped), V(crashing), V(unknown).
      type: str
    log:
      description: File with its output.
      type: str
  sample:
    - {name: cache, action: keep, pid: 4711, state: running, log: /home/me/.local/state/demo/logs/cache.log}
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_processes as engine
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_processes_document import documents
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_processes_plan import (
    KEEP,
    Found,
    State,
    Step,
    difference,
    plan,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._manifest_source import dump
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "directory": {"type": "path", "required": True},
        "processes": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "name": {"type": "str", "required": True},
                "command": {"type": "list", "elements": "str", "required": True},
                "environment": {"type": "dict", "default": {}},
                "secret_environment": {"type": "dict", "default": {}, "no_log": True},
                "directory": {"type": "path"},
                "files": {"type": "dict", "default": {}, "no_log": True},
                "folders": {"type": "list", "elements": "str", "default": []},
                "health": {"type": "dict", "options": {"tcp": {"type": "str"}, "http": {"type": "str"}}},
                "loopback": {"type": "bool", "default": False},
                "stop_seconds": {"type": "int", "default": 10},
            },
        },
        "wait_timeout": {"type": "int", "default": 60},
    },
    "supports_check_mode": True,
}


def run(task: Task) -> Result:
    """Wire arguments to the engine and its plan to the result."""
    params = task.params
    processes = engine.LocalProcesses(params["directory"], params["name"], task.progress)
    present = params["state"] == "present"
    wanted = documents(params["processes"], processes.places.directory) if present else {}
    if task.check_mode or not (present or processes.places.directory.exists() or processes.find().orphans):
        found = processes.find(wanted)
        return _result(task, processes, plan(wanted, found), found)
    with processes.locked(params["wait_timeout"]):
        found = processes.find(wanted)
        steps = plan(wanted, found)
        result = _result(task, processes, steps, found)
        if not present:
            processes.remove(found)
            return {**result, "processes": _report(processes, steps, {})}
        if result["changed"] or not found.supervised:
            processes.apply(wanted, steps, found)
        processes.wait(wanted, params["wait_timeout"])
        for name, address in processes.exposed():
            task.warn(f"Process {name} of {params['name']} listens on {address}, which other machines may reach.")
        return {**result, "processes": _report(processes, steps, processes.states())}


def _result(task: Task, processes: engine.LocalProcesses, steps: list[Step], found: Found) -> Result:
    """What the plan amounts to, done or not."""
    changes = [step for step in steps if step.verb != KEEP]
    absent = task.params["state"] == "absent"
    left_over = absent and (found.supervised or processes.places.configuration.exists())
    result: Result = {
        "changed": bool(changes or found.orphans or left_over),
        "processes": _report(processes, steps, found.states),
    }
    if task.diff:
        result["diff"] = [difference(step, task.params["name"], dump) for step in changes]
    return result


def _report(
    processes: engine.LocalProcesses, steps: list[Step], states: t.Mapping[str, State]
) -> list[dict[str, t.Any]]:
    return [
        {
            "name": step.name,
            "action": step.verb,
            "pid": states[step.name].pid if step.name in states else None,
            "state": states[step.name].word if step.name in states else "stopped",
            "log": str(processes.places.log(step.name)),
        }
        for step in steps
    ]


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
