# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Broken inventories end in preflight's one message, which names the variable and the remedy, with nothing changed.

Each folder of tests/fixtures/invalid_inventories with an expected.yml is a case: `matches` are regular
expressions that the message holds once each (its white space folded), `problems` is how many it counts,
`needs` what has to be made beforehand, and `secrets` are words that must not be shown anywhere.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import re
import socket
import subprocess
import sys
import typing as t
from collections.abc import Iterator

import pytest
import yaml

ROOT = pathlib.Path(__file__).parents[2]
INVENTORIES = ROOT / "tests/fixtures/invalid_inventories"
CASES = sorted(path.parent.name for path in INVENTORIES.glob("*/expected.yml"))
CHECK = "Check everything that can be known before the first change"


@contextlib.contextmanager
def nothing(folder: pathlib.Path) -> Iterator[dict[str, str]]:
    """Nothing has to be there beforehand."""
    yield {}


@contextlib.contextmanager
def port(folder: pathlib.Path) -> Iterator[dict[str, str]]:
    """Somebody listens on a port, and nobody on the next ones."""
    with socket.create_server(("127.0.0.1", free_ports())) as server:
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


@contextlib.contextmanager
def repository(folder: pathlib.Path) -> Iterator[dict[str, str]]:
    """A git repository with one branch."""
    path = folder / "platform"
    path.mkdir()
    git = ("git", "-C", str(path), "-c", "user.name=x", "-c", "user.email=x@example.com")
    for command in (("init", "--initial-branch=k8s-deploy-prod"), ("commit", "--allow-empty", "--message=x")):
        subprocess.run([*git, *command], check=True, capture_output=True)
    yield {}


NEEDS = {"": nothing, "port": port, "full_disk": full_disk, "repository": repository}


def free_ports(start: int = 31000, count: int = 10) -> int:
    """The first of some ports in a row on which nobody listens, whatever else runs on this machine."""
    for base in range(start, start + 1000, count):
        try:
            for number in range(base, base + count):
                socket.create_server(("127.0.0.1", number)).close()
        except OSError:
            continue
        return base
    raise AssertionError("no free ports")


def settings(folder: pathlib.Path) -> dict[str, str]:
    """Environment in which only what the inventory says is wrong."""
    return {"PREFLIGHT_TEST_FOLDER": str(folder), "DOCKER_HOST": f"unix://{folder}/no-engine.sock"}


def contents(*folders: pathlib.Path) -> set[str]:
    """Every file and folder below."""
    return {str(path) for folder in folders for path in folder.rglob("*")}


@pytest.mark.parametrize("case", CASES)
def test_bad_input(case: str, tmp_path: pathlib.Path, play: t.Callable[..., t.Any]) -> None:
    expected = yaml.safe_load((INVENTORIES / case / "expected.yml").read_text())
    state = tmp_path / "made"
    state.mkdir()
    prepare = NEEDS[expected.get("needs", "")]
    with prepare(state) as more:
        before = contents(state, INVENTORIES)
        # The inventory that is about these ports sets them itself.
        base = () if "PREFLIGHT_TEST_PORT" in more else ("-e", f"local_controllers_port_base={free_ports()}")
        run = play(
            ROOT / "bootstrap.yml",
            *base,
            inventory=str(INVENTORIES / case / "hosts.yml"),
            environment=settings(state) | more,
        )
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
    assert not any(secret in run.output for secret in expected.get("secrets", ())), run.output
    # Nothing was changed, and the run went no further than the check.
    assert run.lines[-1] is failed[0]
    assert not any(line["result"].get("changed") for line in run.lines)
    assert after == before


def test_every_invalid_inventory_is_a_case() -> None:
    folders = {path.name for path in INVENTORIES.iterdir() if path.is_dir()} - {"programs"}
    assert folders == set(CASES)


@pytest.mark.parametrize("case", ["unknown_provider", "name_clash"])
def test_check_mode_says_the_same(case: str, tmp_path: pathlib.Path, play: t.Callable[..., t.Any]) -> None:
    base = ("-e", f"local_controllers_port_base={free_ports()}")
    runs = [
        play(
            ROOT / "bootstrap.yml",
            *base,
            *more,
            inventory=str(INVENTORIES / case / "hosts.yml"),
            environment=settings(tmp_path),
        )
        for more in ((), ("--check", "--diff"))
    ]
    assert runs[0].lines[-1]["result"]["msg"] == runs[1].lines[-1]["result"]["msg"]


def test_the_inventory_of_a_laptop_has_no_problem(tmp_path: pathlib.Path, play: t.Callable[..., t.Any]) -> None:
    playbook = [
        {
            "hosts": "hub:spokes",
            "gather_facts": False,
            "roles": [{"role": "hubspoke.bootstrap.preflight"}],
        }
    ]
    arguments = (
        *("-e", f"hubspoke_state_dir={tmp_path}/state"),
        *("-e", f"local_controllers_port_base={free_ports()}"),
    )
    run = play(playbook, *arguments, inventory=str(ROOT / "inventories/dev"), environment=settings(tmp_path))
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


@pytest.mark.parametrize("provider", ["kwok", "k8d"])
def test_both_ways_of_running_say_the_same(
    provider: str, tmp_path: pathlib.Path, run_module: t.Callable[..., t.Any]
) -> None:
    variables = {
        "cluster_provider": provider,
        "hubspoke_state_dir": str(tmp_path / "state"),
        "local_controllers_port_base": free_ports(),
        "dev_cluster_tools": {"token": "hunter2"},
    }
    hosts = {"cluster": {"variables": variables}}
    arguments = {"roles": ["dev_cluster"], "hosts": hosts, "hubs": ["cluster"]}
    here, there = (run_module("preflight", arguments, in_process=in_process) for in_process in (True, False))
    # Others write to the same disk meanwhile.
    same = [re.sub(r"\d+\.\d(\s|\\n)+GiB(\s|\\n)+free", "", json.dumps(result)) for result in (here, there)]
    assert same[0] == same[1]
    assert here["changed"] is False
    assert ("msg" in here) == (provider == "k8d")
    assert "findings" in here or here["msg"].startswith("Preflight found 1 problem; nothing was changed.")
    assert "hunter2" not in here.output + there.output


def test_ports_that_an_earlier_run_holds_are_no_problem(
    tmp_path: pathlib.Path, run_module: t.Callable[..., t.Any]
) -> None:
    base, state = free_ports(32000), tmp_path / "state"
    processes = {"name": "cluster", "directory": str(state / "processes/cluster")}
    listen = f"import socket, time; server = socket.create_server(('127.0.0.1', {base + 3})); time.sleep(600)"
    run = {"name": "listener", "command": [sys.executable, "-c", listen], "health": {"tcp": f"127.0.0.1:{base + 3}"}}

    def checked(folder: pathlib.Path) -> dict[str, t.Any]:
        variables = {
            "cluster_provider": "kwok",
            "hubspoke_state_dir": str(folder),
            "local_controllers_port_base": base,
        }
        arguments = {
            "roles": ["dev_cluster", "local_controllers"],
            "hosts": {"cluster": {"variables": variables}},
            "hubs": ["cluster"],
        }
        return t.cast("dict[str, t.Any]", run_module("preflight", arguments))

    try:
        assert run_module("local_processes", {**processes, "processes": [run]})["changed"] is True
        (finding,) = (finding for finding in checked(state)["findings"] if finding["check"] == "ports")
        assert finding["verdict"] == "ok"
        message = checked(tmp_path / "another")["msg"]
        assert re.search(rf"local_controllers_port_base: port {base + 3}\s\(by python\S*,\sprocess\s\d+\)", message), (
            message
        )
    finally:
        run_module("local_processes", {**processes, "state": "absent"})
