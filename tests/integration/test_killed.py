# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A bootstrap that is killed, at whatever point, is finished by running it again."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import time
import typing as t

import pytest

from .conftest import ROOT, free_ports

# What the user sees at the moment of the kill: in the middle of each thing that takes time.
MOMENTS = (
    "creating cluster",
    "Tell the roles that follow where it is",
    "Apply the manifests",
    "Keep Argo CD running",
    "Have a repository to start from",
    "sync running",
)


class Bootstrap:
    """The laptop's bootstrap on simulated nodes, with a state folder of the test's own."""

    def __init__(self, state: pathlib.Path) -> None:
        self.state = state
        self._options = [
            *("-i", str(ROOT / "inventories/dev"), "-e", f"hubspoke_state_dir={state}"),
            *(
                "-e",
                "cluster_provider=kwok",
                "-e",
                "cluster_name=killed",
                "-e",
                f"local_controllers_port_base={free_ports(10)}",
            ),
        ]

    def start(self, playbook: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-u", "-m", "ansible", "playbook", str(ROOT / playbook), *self._options],
            cwd=ROOT,
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "ANSIBLE_NOCOLOR": "1",
                "PYTHONUNBUFFERED": "1",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, playbook: str) -> str:
        process = self.start(playbook)
        output = process.communicate(timeout=240)[0]
        assert process.returncode == 0, output
        return output

    def kill_at(self, moment: str, delay: float) -> bool:
        """Kill Ansible and its workers, as a closed terminal or a lost battery does; False if it came to its end."""
        process = self.start("bootstrap.yml")
        assert process.stdout
        seen = False
        for line in process.stdout:
            if moment in line:
                seen = True
                time.sleep(delay)
                os.killpg(process.pid, signal.SIGKILL)
                break
        process.stdout.close()
        process.wait(timeout=240)
        return seen


@pytest.fixture
def bootstrap(tmp_path: pathlib.Path) -> t.Iterator[Bootstrap]:
    made = Bootstrap(tmp_path / "state")
    yield made
    made.run("playbooks/teardown.yml")


def test_a_killed_run_is_finished_by_the_next(bootstrap: Bootstrap) -> None:
    killed = [moment for moment in MOMENTS if bootstrap.kill_at(moment, 0.3)]
    # Those that come early are seen for certain; a later one is missed only where a killed run had done it already.
    assert set(MOMENTS[:4]) <= set(killed), killed
    assert "failed=0" in bootstrap.run("bootstrap.yml")
    assert "changed=0" in bootstrap.run("bootstrap.yml")
