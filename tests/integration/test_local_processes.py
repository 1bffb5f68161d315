# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Local processes: real ones, under a real supervisord, through Ansible."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pathlib
import signal
import socket
import stat
import subprocess
import sys
import time
import typing as t
from types import ModuleType

import pytest
from ansible.module_utils import basic

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _process_table
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, execute
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._supervisor import Supervisor
from ansible_collections.hubspoke.bootstrap.plugins.modules import local_processes, local_processes_info

SERVE = """
import http.server, sys
http.server.HTTPServer((sys.argv[1], int(sys.argv[2])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
DUAL = """
import socket, sys, time
server = socket.create_server(('::', int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)
time.sleep(1000)
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def until(check: t.Callable[[], t.Any], what: str, seconds: float = 15) -> t.Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = check()
        if found:
            return found
        time.sleep(0.05)
    pytest.fail(f"not within {seconds} s: {what}")


class _Done(BaseException):
    pass


class _Module(Module):
    """The module itself, without Ansible around it: a state takes milliseconds to reach, not seconds."""

    def __init__(self, spec: dict[str, t.Any], arguments: dict[str, t.Any], check: bool) -> None:
        given = {**arguments, "_ansible_check_mode": check, "_ansible_diff": True}
        basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": given}).encode()
        basic._ANSIBLE_PROFILE = "legacy"
        self.result: dict[str, t.Any] = {}
        self.said: list[str] = []
        super().__init__(**spec)

    def _record_module_result(self, o: dict[str, t.Any]) -> None:
        self.result = o
        raise _Done

    def warn(self, warning: str, *, help_text: str | None = None) -> None:
        self.said.append(f"warning: {warning}")


def directly(part: ModuleType, arguments: dict[str, t.Any], check: bool = False) -> dict[str, t.Any]:
    module = _Module(part.SPEC, arguments, check)
    with contextlib.suppress(_Done):
        execute(module, part.run, module.said.append)
    return {**module.result, "said": module.said}


class Set:
    """One set of processes and how to run the modules on it."""

    def __init__(self, directory: pathlib.Path, through: t.Callable[..., dict[str, t.Any]] | None = None) -> None:
        self.directory = directory
        self.through = through
        """Runs a module through Ansible."""
        self.port = free_port()

    def web(self, name: str = "web", host: str = "127.0.0.1", port: int = 0, **more: t.Any) -> dict[str, t.Any]:
        port = port or self.port
        return {
            "name": name,
            "command": [sys.executable, "-c", SERVE, host, str(port)],
            "health": {"http": f"http://127.0.0.1:{port}/"},
            **more,
        }

    def sleeper(self, name: str = "sleeper", **more: t.Any) -> dict[str, t.Any]:
        return {"name": name, "command": ["sleep", "1000"], **more}

    def present(self, *processes: dict[str, t.Any], check: bool = False, **more: t.Any) -> dict[str, t.Any]:
        arguments = {"name": "demo", "directory": str(self.directory), "processes": list(processes), **more}
        if self.through:
            return self.through("local_processes", arguments, check=check)
        return directly(local_processes, arguments, check)

    def absent(self, check: bool = False) -> dict[str, t.Any]:
        return self.present(state="absent", check=check)

    def info(self) -> dict[str, t.Any]:
        return directly(local_processes_info, {"directory": str(self.directory), "log_lines": 5})

    def pids(self) -> dict[str, int]:
        return {process["name"]: process["pid"] for process in self.info()["processes"]}

    def members(self) -> list[_process_table.Process]:
        """Every process that carries the mark, is supervisord itself, or is in its session."""
        table = _process_table.table()
        living = Supervisor(str(self.directory), "demo").process(table)
        return [
            process
            for process in table
            if process.has_environment("HUBSPOKE_LOCAL_PROCESSES", str(self.directory))
            or (living and process.session == living.session)
        ]

    def supervisor(self) -> _process_table.Process:
        found = Supervisor(str(self.directory), "demo").process(_process_table.table())
        assert found
        return found


@pytest.fixture
def demo(tmp_path: pathlib.Path) -> t.Iterator[Set]:
    made = Set(tmp_path / "set")
    yield made
    made.through = None
    made.absent()
    assert made.members() == []
    assert not made.directory.exists()


def actions(result: dict[str, t.Any]) -> dict[str, str]:
    assert "processes" in result, result
    return {process["name"]: process["action"] for process in result["processes"]}


def test_the_whole_life(demo: Set) -> None:
    """Create, repeat, modify, repeat, delete, delete again; each first in check mode, which predicts the run."""
    first = [demo.web(), demo.sleeper(environment={"A": "1"})]
    second = [demo.web(), demo.sleeper(environment={"A": "2"}), demo.sleeper("other")]
    third = [demo.web(), demo.sleeper(environment={"A": "2"})]
    for wanted, expected in [
        (first, {"web": "start", "sleeper": "start"}),
        (first, {"web": "keep", "sleeper": "keep"}),
        (second, {"web": "keep", "sleeper": "restart", "other": "start"}),
        (third, {"web": "keep", "sleeper": "keep", "other": "stop"}),
        (third, {"web": "keep", "sleeper": "keep"}),
    ]:
        predicted, done = demo.present(*wanted, check=True), demo.present(*wanted)
        assert actions(predicted) == actions(done) == expected
        assert predicted["changed"] == done["changed"] == (set(expected.values()) != {"keep"})
        assert predicted["diff"] == done["diff"]
        assert {process["state"] for process in done["processes"] if process["action"] != "stop"} == {"running"}
    for expected_change in (True, False):
        predicted, done = demo.absent(check=True), demo.absent()
        assert predicted["changed"] == done["changed"] == expected_change
        assert predicted["diff"] == done["diff"]
        assert demo.members() == []
        assert not demo.directory.exists()


@pytest.mark.parametrize("in_process", [True, False], ids=["in process", "as a module"])
def test_it_outlives_ansible(demo: Set, run_module: t.Callable[..., dict[str, t.Any]], in_process: bool) -> None:
    demo.through = functools.partial(run_module, in_process=in_process)
    assert demo.present(demo.web())["changed"] is True
    first = demo.pids()
    assert demo.info()["processes"][0]["works"]
    assert demo.present(demo.web())["changed"] is False
    assert demo.pids() == first


def test_check_mode_writes_nothing(demo: Set) -> None:
    demo.present(demo.web(), check=True)
    assert not demo.directory.exists()


def test_only_what_changed_is_started_again(demo: Set) -> None:
    demo.present(demo.web(), demo.sleeper(files={"f": "1"}))
    before = demo.pids()
    result = demo.present(demo.web(), demo.sleeper(files={"f": "2"}))
    after = demo.pids()
    assert actions(result) == {"web": "keep", "sleeper": "restart"}
    assert before["web"] == after["web"]
    assert before["sleeper"] != after["sleeper"]
    assert (demo.directory / "sleeper/f").read_text() == "2"


def test_a_file_that_was_changed_by_hand_is_put_right(demo: Set) -> None:
    demo.present(demo.sleeper(files={"f": "1"}))
    (demo.directory / "sleeper/f").write_text("x")
    assert actions(demo.present(demo.sleeper(files={"f": "1"}))) == {"sleeper": "restart"}
    assert (demo.directory / "sleeper/f").read_text() == "1"


def test_a_process_that_is_killed_comes_back(demo: Set) -> None:
    demo.present(demo.web())
    before = demo.pids()["web"]
    os.kill(before, signal.SIGKILL)
    until(lambda: demo.pids()["web"] not in (None, before), "a new process")
    until(lambda: demo.info()["processes"][0]["works"], "it works")
    assert demo.present(demo.web())["changed"] is False


def test_a_process_that_was_stopped_by_hand_is_started(demo: Set) -> None:
    demo.present(demo.web())
    Supervisor(str(demo.directory), "demo").call("supervisor.stopProcess", "web")
    assert actions(demo.present(demo.web(), check=True)) == {"web": "start"}
    assert actions(demo.present(demo.web())) == {"web": "start"}


# A process that gives itself an empty environment is found by its session alone.
BARE: dict[str, t.Any] = {"name": "bare", "command": ["env", "-i", "sleep", "1000"]}


def test_what_a_killed_supervisor_left_is_ended_and_started_again(demo: Set) -> None:
    demo.present(demo.web(), BARE)
    before = demo.pids()
    os.kill(demo.supervisor().pid, signal.SIGKILL)
    until(lambda: not demo.info()["supervised"], "supervisord is gone")
    assert demo.info()["orphans"] == 2
    assert demo.present(demo.web(), BARE, check=True)["changed"] is True
    assert actions(demo.present(demo.web(), BARE)) == {"web": "start", "bare": "start"}
    after = demo.pids()
    assert not {*before.values()} & {*after.values()}
    living = {process.pid for process in _process_table.table()}
    assert not {*before.values()} & living
    assert demo.present(demo.web(), BARE)["changed"] is False


def test_absent_also_ends_what_a_killed_supervisor_left(demo: Set) -> None:
    demo.present(demo.web(), BARE)
    before = {*demo.pids().values()}
    os.kill(demo.supervisor().pid, signal.SIGKILL)
    until(lambda: not demo.info()["supervised"], "supervisord is gone")
    assert demo.absent()["changed"] is True
    assert not before & {process.pid for process in _process_table.table()}


def test_processes_are_found_though_their_folder_was_deleted(demo: Set) -> None:
    demo.present(demo.web())
    before = {*demo.pids().values(), demo.supervisor().pid}
    subprocess.run(["rm", "-r", str(demo.directory)], check=True)
    assert demo.absent()["changed"] is True
    assert not before & {process.pid for process in _process_table.table()}


def test_children_of_a_process_end_with_it(demo: Set) -> None:
    stubborn = "trap '' TERM; sleep 1001 & exec sleep 1002"
    demo.present({"name": "parent", "command": ["sh", "-c", stubborn], "stop_seconds": 1})
    ours = [process for process in demo.members() if process.argv[0] == "sleep"]
    assert sorted(process.argv[1] for process in ours) == ["1001", "1002"]
    demo.absent()
    assert not {process.pid for process in ours} & {process.pid for process in _process_table.table()}


def test_a_process_that_keeps_ending_is_shown_with_its_last_lines(demo: Set) -> None:
    words = "echo cannot work with $PASSWORD because of this; exit 3"
    result = demo.present(
        {"name": "broken", "command": ["sh", "-c", words], "secret_environment": {"PASSWORD": "hunter2-hunter2"}},
        demo.sleeper(),
    )
    assert result["failed"] is True
    assert "broken: ended (exit status 3), 3 times" in result["msg"]
    assert "because of this" in result["msg"]
    assert "hunter2" not in str(result)
    assert result["failed_processes"] == ["broken"]
    assert demo.pids()["sleeper"], "the others are left running"
    mended = demo.present({"name": "broken", "command": ["sleep", "1000"]}, demo.sleeper())
    assert actions(mended) == {"broken": "restart", "sleeper": "keep"}


def test_a_process_that_does_not_become_healthy_runs_out_of_time(demo: Set) -> None:
    result = demo.present(demo.sleeper(health={"tcp": f"127.0.0.1:{demo.port}"}), wait_timeout=4)
    assert result["failed"] is True
    assert f"sleeper: 127.0.0.1:{demo.port}: connection refused" in result["msg"]
    assert "waiting for sleeper" in result["said"][0], "it says what it waits for"


def test_a_port_that_is_taken_is_found_before_anything_is_started(demo: Set) -> None:
    with socket.create_server(("127.0.0.1", demo.port)):
        result = demo.present(demo.web(), demo.sleeper())
    assert result["failed"] is True
    assert (
        f"127.0.0.1:{demo.port}, the address of process web of demo, is in use by process {os.getpid()}"
        in result["msg"]
    )
    assert demo.members() == []


def test_no_secret_is_seen_anywhere(demo: Set, run_module: t.Callable[..., dict[str, t.Any]]) -> None:
    demo.through = run_module
    secrets = {"PASSWORD": "hunter2-hunter2", "WEIRD": "a 'b' \"c\" ; # %(x)s\nsecond line hunter3-hunter3"}
    show = "import json, os, time; json.dump(dict(os.environ), open('seen', 'w')); time.sleep(1000)"
    process = {
        "name": "holder",
        "command": [sys.executable, "-c", show],
        "secret_environment": secrets,
        "files": {"conf": "password hunter4-hunter4"},
    }
    outputs = []
    for arguments in ({"check": True}, {}, {"check": True}):
        outputs.append(t.cast("t.Any", demo.present(process, **arguments)).output)
    seen = until(lambda: _json(demo.directory / "holder/seen"), "the process wrote what it got")
    assert {name: seen[name] for name in secrets} == secrets, "the process itself gets them exactly"
    assert "ANSIBLE_CONFIG" not in seen
    outputs.append(str(demo.info()))
    assert not [output for output in outputs if "hunter" in output]
    assert not [process for process in _process_table.table() if "hunter" in " ".join(process.argv)]
    for path in [demo.directory, *demo.directory.rglob("*")]:
        mode = path.lstat().st_mode
        assert stat.S_ISLNK(mode) or mode & 0o077 == 0, f"{path} has mode {mode:o}"


def _json(path: pathlib.Path) -> t.Any:
    with contextlib.suppress(OSError, ValueError):
        return json.loads(path.read_text())
    return None


def test_a_long_path_is_no_hindrance(tmp_path: pathlib.Path) -> None:
    long = Set(tmp_path / ("long" * 30))
    place = Supervisor(str(long.directory), "demo").places.socket
    assert place.parent != long.directory
    assert long.present(long.web())["changed"] is True
    assert long.present(long.web())["changed"] is False
    assert place.parent.stat().st_mode & 0o777 == 0o700
    assert long.absent()["changed"] is True
    assert not place.parent.exists()
    assert long.members() == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
def test_a_confined_process_is_reached_from_here_only(demo: Set, host: str) -> None:
    result = demo.present(demo.web(host=host, loopback=True))
    assert result["said"] == []
    assert demo.info()["processes"][0]["listens"] == [f"127.0.0.1:{demo.port}"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_both_protocols_at_once_are_confined_too(demo: Set) -> None:
    command = [sys.executable, "-c", DUAL, str(demo.port)]
    demo.present({"name": "dual", "command": command, "loopback": True, "health": {"tcp": f"127.0.0.1:{demo.port}"}})
    assert demo.info()["processes"][0]["listens"] == [f"127.0.0.1:{demo.port}"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_an_exposed_process_is_warned_about(demo: Set) -> None:
    result = demo.present(demo.web(host="0.0.0.0"))
    words = f"warning: Process web of demo listens on 0.0.0.0:{demo.port}, which other machines may reach."
    assert result["said"] == [words]


def test_a_run_that_was_killed_is_finished_by_the_next(demo: Set, tmp_path: pathlib.Path) -> None:
    """Killed at several points of a change from one process to another."""
    script = tmp_path / "change.yml"
    target = [demo.web(environment={"A": "2"}), demo.sleeper("new")]
    arguments = {"name": "demo", "directory": str(demo.directory), "processes": target}
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": sys.executable},
        "tasks": [{"hubspoke.bootstrap.local_processes": arguments}],
    }
    script.write_text(json.dumps([play]))
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": _collections(), "ANSIBLE_HOME": str(tmp_path / "home")}
    for delay in (0.0, 0.05, 0.15, 0.4):
        demo.present(demo.web(environment={"A": "1"}), demo.sleeper("old"))
        running = subprocess.Popen(
            [sys.executable, "-m", "ansible", "playbook", str(script)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )
        assert running.stdout
        for line in running.stdout:
            if line.startswith("TASK"):
                break
        time.sleep(delay)
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
        demo.present(*target)
        assert {process["name"]: process["works"] for process in demo.info()["processes"]} == {"web": True, "new": True}
        again = demo.present(*target)
        assert again["changed"] is False, again


def _collections() -> str:
    return str(pathlib.Path(__file__).parents[2] / ".venv/collections")


def test_two_runs_at_once_do_not_disturb_each_other(demo: Set, tmp_path: pathlib.Path) -> None:
    arguments = {"name": "demo", "directory": str(demo.directory), "processes": [demo.web()]}
    play = {
        "hosts": "one,two,three",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": sys.executable},
        "tasks": [{"hubspoke.bootstrap.local_processes": arguments}],
    }
    script = tmp_path / "three.yml"
    script.write_text(json.dumps([play]))
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": _collections(), "ANSIBLE_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", str(script), "-i", "one,two,three,"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("changed=1") == 1, done.stdout
    assert done.stdout.count("changed=0") == 2, done.stdout
