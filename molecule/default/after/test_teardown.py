# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A teardown leaves no process, no file outside the state folder and the cache of tools, and no context."""

from __future__ import annotations

import os
import pathlib

import bootstrapped

FOLDER = pathlib.Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
HOME = FOLDER / "home"


def test_the_bootstrap_ran_in_this_home() -> None:
    """Else nothing that is looked for below could be found."""
    assert (HOME / ".ansible").is_dir()


def test_no_process_is_left() -> None:
    assert bootstrapped.processes() == {}


def test_no_state_is_left() -> None:
    left = [path for path in bootstrapped.STATE.rglob("*") if not path.is_dir()]
    assert left == []


def test_the_home_is_as_it_was() -> None:
    """But for Ansible's own folder, which is not ours."""
    left = {str(path.relative_to(HOME)) for path in HOME.rglob("*") if path.is_file()}
    assert {name for name in left if not name.startswith(".ansible/")} == {".kube/config"}


def test_the_users_kubeconfig_is_as_it_was() -> None:
    assert (HOME / ".kube/config").read_bytes() == (FOLDER / "kubeconfig-before").read_bytes()


def test_no_temporary_file_is_left() -> None:
    assert [str(path) for path in (FOLDER / "tmp").rglob("*")] == []


def test_a_second_teardown_has_nothing_to_do() -> None:
    output, changed = bootstrapped.play("playbooks/teardown.yml")
    assert changed == 0, output
