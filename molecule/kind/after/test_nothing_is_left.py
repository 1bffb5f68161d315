# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""After the teardown of a kind cluster."""

from __future__ import annotations

import bootstrapped
import testinfra

HOST = testinfra.get_host("local://")


def test_no_container_and_no_process() -> None:
    names = HOST.check_output("docker ps --all --format '{{.Names}}'").split()
    assert not [name for name in names if name.startswith(bootstrapped.CLUSTER)]
    assert bootstrapped.processes() == {}


def test_no_state() -> None:
    assert [path for path in bootstrapped.STATE.rglob("*") if not path.is_dir()] == []
