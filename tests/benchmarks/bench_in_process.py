# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An empty module that imports the Kubernetes client, 5 tasks on 20 hosts: in process, and as a subprocess."""

from __future__ import annotations

import collections.abc
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from run import ROOT, Figure

TASKS, HOSTS, FORKS = 5, 20, 5
COLLECTIONS = f"{ROOT}/.venv/collections:{ROOT}/tests/integration/fixtures/collections"


def _seconds(folder: pathlib.Path, python: str) -> float:
    tasks = [{"hubspoke_tests.probe.empty": {}} for _ in range(TASKS)]
    (folder / "play.json").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    values = {"ansible_connection": "local", "ansible_pipelining": True, "ansible_python_interpreter": python}
    hosts = {f"host{number}": values for number in range(HOSTS)}
    (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    environment = {**kept, "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS, "ANSIBLE_FORKS": str(FORKS)}
    command = [sys.executable, "-m", "ansible", "playbook", "play.json", "-i", "hosts.json"]
    start = time.monotonic()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok: [host") == TASKS * HOSTS, done.stdout
    return time.monotonic() - start


def figures() -> collections.abc.Iterator[Figure]:
    """Both, one after the other."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        other = folder / "other-python"
        other.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        other.chmod(0o755)
        _seconds(folder, sys.executable)  # compiles what is imported
        ours = min(_seconds(folder, sys.executable) for _ in range(2))
        note = f"{TASKS} tasks on {HOSTS} hosts, {FORKS} forks: in process / as subprocesses with pipelining"
        yield Figure("in_process", ours, _seconds(folder, str(other)), 0.2, note)
