# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Broken inventories end in preflight's one message, which names the variable and the remedy, with nothing changed.

Each folder of tests/fixtures/invalid_inventories with an expected.yml is a case: `matches` are regular
expressions that the message holds once each (its white space folded), `problems` is how many it counts,
and `needs` what has to be made beforehand.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import socket
import subprocess
import typing as t
from collections.abc import Iterator

import pytest
import yaml

ROOT = pathlib.Path(__file__).parents[2]
INVENTORIES = ROOT / "tests/fixtures/invalid_inventories"
CASES = sorted(path.parent.name for path in INVENTORIES.glob("*/expected.yml"))
CHECK = "Check everything that can be known before the first change"


@contextlib.contextmanager
def port(folder: pathlib.Path) -> Iterator[dict[str, str]]:
    """Somebody listens on a port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield {"PREFLIGHT_TEST_PORT": str(server.getsockname()[1])}


@contextlib.contextmanager
def full_disk(folder: pathlib.Path) -> Iterator[dict[str, str]]:
    """A file system of one megabyte."""
    path = folder / "full"
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(path)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"skipped: no file system can be mounted here ({mounted.stderr.strip()})")
    try:
        yield {}
    finally:
        subprocess.run(["umount", str(path)], check=True)


NEEDS = {"port": port, "full_disk": full_disk}


def contents(*folders: pathlib.Path) -> set[str]:
    """Every file and folder below."""
    return {str(path) for folder in folders for path in folder.rglob("*")}


@pytest.mark.parametrize("case", CASES)
def test_bad_input(case: str, tmp_path: pathlib.Path, play: t.Callable[..., t.Any]) -> None:
    expected = yaml.safe_load((INVENTORIES / case / "expected.yml").read_text())
    state = tmp_path / "made"
    state.mkdir()
    environment = {"PREFLIGHT_TEST_FOLDER": str(state), "DOCKER_HOST": f"unix://{tmp_path}/no-engine.sock"}
    made = NEEDS[expected["needs"]](state) if "needs" in expected else contextlib.nullcontext({})
    with made as more:
        before = contents(state, INVENTORIES)
        run = play(ROOT / "bootstrap.yml", inventory=str(INVENTORIES / case), environment=environment | more)
        after = contents(state, INVENTORIES)

    failed = [line for line in run.lines if line["status"] != "ok"]
    assert (run.code, [line["task"] for line in failed]) == (2, [CHECK]), run.output
    message = " ".join(failed[0]["result"]["msg"].split())
    problems = expected["problems"]
    assert message.startswith(f"Preflight found {problems} problem{'s' * (problems > 1)}; nothing was changed."), (
        message
    )
    assert {pattern: len(re.findall(pattern, message)) for pattern in expected["matches"]} == dict.fromkeys(
        expected["matches"], 1
    ), message
    # Nothing was changed, and the run went no further than the check.
    assert run.lines[-1] is failed[0]
    assert not any(line["result"].get("changed") for line in run.lines)
    assert after == before


def test_every_invalid_inventory_is_a_case() -> None:
    folders = {path.name for path in INVENTORIES.iterdir() if path.is_dir()} - {"programs"}
    assert folders == set(CASES)


@pytest.mark.parametrize("case", ["unknown_provider", "name_clash"])
def test_check_mode_says_the_same(case: str, tmp_path: pathlib.Path, play: t.Callable[..., t.Any]) -> None:
    environment = {"PREFLIGHT_TEST_FOLDER": str(tmp_path), "DOCKER_HOST": f"unix://{tmp_path}/no-engine.sock"}
    runs = [
        play(ROOT / "bootstrap.yml", *arguments, inventory=str(INVENTORIES / case), environment=environment)
        for arguments in ((), ("--check", "--diff"))
    ]
    assert runs[0].lines[-1]["result"]["msg"] == runs[1].lines[-1]["result"]["msg"]


def test_the_inventory_of_a_laptop_has_no_problem(tmp_path: pathlib.Path, play: t.Callable[..., t.Any]) -> None:
    playbook = [
        {
            "hosts": "hub:spokes",
            "gather_facts": False,
            "roles": [{"role": "hubspoke.bootstrap.preflight"}],
            "vars": {"hubspoke_state_dir": str(tmp_path / "state")},
        }
    ]
    before = os.environ.get("DOCKER_HOST", "")
    run = play(
        playbook, inventory=str(ROOT / "inventories/dev"), environment={"DOCKER_HOST": before or "unix:///nowhere"}
    )
    assert run.code == 0, run.output
    result = run.result(CHECK)
    assert [finding for finding in result["findings"] if finding["verdict"] != "ok"] == []
    assert result["changed"] is False
    assert [line["changed"] for line in (each["result"] for each in run.lines) if "changed" in line] == [False] * len(
        run.lines
    )
    # The table was shown while the task ran, line by line, and is in the result.
    shown = run.output.replace("  [dev] ", "")
    assert result["table"] in shown
    assert not (tmp_path / "state").exists()
