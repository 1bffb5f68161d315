# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Local processes: what is decided, written and shown."""

from __future__ import annotations

import configparser
import json
import os
import pathlib
import shlex
import socket
import sys
import threading
import typing as t

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import (
    _local_launcher,
    _local_processes,
    _local_processes_document,
    _local_processes_health,
    _process_table,
    _supervisor,
    _supervisor_files,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_processes_health import Health
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_processes_plan import (
    Document,
    Found,
    State,
    Step,
    difference,
    plan,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._process_table import Listener, Process

RUNNING = State("RUNNING", 7)


def process(name: str = "web", **fields: t.Any) -> dict[str, t.Any]:
    return {
        "name": name,
        "command": ["sh", "-c", "true"],
        "environment": {},
        "secret_environment": {},
        "directory": None,
        "files": {},
        "folders": [],
        "health": None,
        "loopback": False,
        "stop_seconds": 10,
        **fields,
    }


def document(**fields: t.Any) -> Document:
    return _local_processes_document.document(process(**fields), pathlib.Path("/set"))


# The plan: (what is wanted, what is there) → what is done

OLD, NEW = document(environment={"A": "1"}), document(environment={"A": "2"})


@pytest.mark.parametrize(
    ("wanted", "found", "verbs"),
    [
        pytest.param({"web": NEW}, Found(), {"web": "start"}, id="nothing there"),
        pytest.param({"web": NEW}, Found(documents={"web": NEW}), {"web": "start"}, id="supervisor gone"),
        pytest.param({"web": NEW}, Found(True, {"web": RUNNING}, {"web": NEW}), {"web": "keep"}, id="as wanted"),
        pytest.param(
            {"web": NEW}, Found(True, {"web": State("STARTING", 7)}, {"web": NEW}), {"web": "keep"}, id="just started"
        ),
        pytest.param({"web": NEW}, Found(True, {"web": RUNNING}, {"web": OLD}), {"web": "restart"}, id="changed"),
        pytest.param({"web": NEW}, Found(True, {"web": RUNNING}, {}), {"web": "restart"}, id="description lost"),
        pytest.param(
            {"web": NEW},
            Found(True, {"web": RUNNING}, {"web": NEW}, stale=frozenset({"web"})),
            {"web": "restart"},
            id="supervisor has another configuration of it",
        ),
        pytest.param({"web": NEW}, Found(True, {"web": State("FATAL")}, {"web": NEW}), {"web": "start"}, id="given up"),
        pytest.param(
            {"web": NEW}, Found(True, {"web": State("BACKOFF")}, {"web": NEW}), {"web": "start"}, id="crashing"
        ),
        pytest.param(
            {"web": NEW}, Found(True, {"web": State("STOPPED")}, {"web": NEW}), {"web": "start"}, id="killed in between"
        ),
        pytest.param(
            {"web": NEW},
            Found(True, {"web": RUNNING, "old": RUNNING}, {"web": NEW, "old": OLD}),
            {"web": "keep", "old": "stop"},
            id="not wanted any more",
        ),
        pytest.param({}, Found(documents={"web": OLD}), {"web": "stop"}, id="only its files are left"),
        pytest.param({}, Found(), {}, id="nothing wanted, nothing there"),
    ],
)
def test_plan(wanted: dict[str, Document], found: Found, verbs: dict[str, str]) -> None:
    assert {step.name: step.verb for step in plan(wanted, found)} == verbs


def test_a_difference_shows_names_and_marks_but_no_values() -> None:
    before = {**document(environment={"A": "secret-1", "B": "same"}, files={"f": "secret-2"}), "state": "running"}
    after = {**document(environment={"A": "secret-3", "B": "same"}, files={"f": "secret-4"}), "state": "running"}
    shown = difference(Step("web", "restart", before, after), "demo", json.dumps)
    assert "secret" not in json.dumps(shown)
    values = json.loads(shown["after"])
    assert values["environment"]["A"] == "<redacted, changed>"
    assert values["environment"]["B"] == "<redacted>"
    assert values["files"] == {"f": "<redacted, changed>"}
    assert shown["after_header"] == "process web of demo (restart)"
    assert before["environment"]["A"] == "secret-1", "the plan itself is left alone"


# From argument to description


def test_a_document_is_complete_and_survives_its_file() -> None:
    made = document(
        environment={"PORT": 1, "ON": True, "NOT": None},
        secret_environment={"P": "x"},
        health={"tcp": "h:1", "http": None},
    )
    assert made["command"][0].startswith("/")
    assert made["directory"] == "/set/web"
    assert made["health"] == {"tcp": "h:1"}
    given = made["environment"]
    assert (given["PORT"], given["ON"], given["P"]) == ("1", "true", "x")
    assert "NOT" not in given
    assert given[_supervisor_files.MARK] == "/set"
    assert json.loads(json.dumps(made)) == made


def test_nothing_of_the_callers_environment_gets_in(monkeypatch: pytest.MonkeyPatch) -> None:
    before = document()
    monkeypatch.setenv("KUBECONFIG", "/somewhere")
    monkeypatch.setenv("HOME", "/elsewhere")
    monkeypatch.setenv("PATH", "/nowhere")
    assert document() == before


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "a/b"}, "'a/b' cannot be the name"),
        ({"name": "logs"}, "'logs' cannot be the name"),
        ({"command": []}, "command of process web is empty"),
        ({"command": ["/no/such/program"]}, "/no/such/program of process web is not there"),
        ({"health": {"tcp": "7000"}}, "health of process web"),
        ({"health": {"http": "localhost/x"}}, "health of process web"),
        ({"health": {"tcp": "h:99999"}}, "health of process web"),
        ({"files": {"../x": ""}}, r"\.\./x of process web is not below its folder"),
        ({"files": {"/etc/x": ""}}, "/etc/x of process web is not below its folder"),
        ({"folders": ["/etc"]}, "/etc of process web is not below its folder"),
    ],
)
def test_what_cannot_be_started_is_refused_by_name(fields: dict[str, t.Any], message: str) -> None:
    with pytest.raises(HubspokeError, match=message):
        document(**fields)


def test_two_processes_of_one_name_are_refused() -> None:
    with pytest.raises(HubspokeError, match="two processes of the name web"):
        _local_processes_document.documents([process(), process()], pathlib.Path("/set"))


# supervisord's files


def test_the_configuration_reads_back_as_it_was_meant(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "a b%c"
    places = _supervisor_files.Places(folder)
    text = _supervisor_files.configuration(places, {"web": 3, "cache": 10})
    parsed = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))
    parsed.read_string(text)
    assert parsed["program:web"]["stopwaitsecs"] == "3"
    command = shlex.split(parsed["program:web"]["command"].replace("%%", "%"))
    assert command == [sys.executable, "-I", "-S", str(folder / "launch.py"), str(folder / "run/web.json")]
    assert parsed["unix_http_server"]["chmod"] == "0700"
    assert "inet_http_server" not in parsed
    assert {"stopasgroup", "killasgroup", "autorestart"} <= {
        key for key, value in parsed["program:cache"].items() if value == "true"
    }


def test_a_folder_that_reads_as_a_comment_is_refused() -> None:
    with pytest.raises(HubspokeError, match="takes what follows for a comment"):
        _supervisor_files.configuration(_supervisor_files.Places(pathlib.Path("/a ;b")), {"web": 1})


def test_sections_tell_programs_apart() -> None:
    places = _supervisor_files.Places(pathlib.Path("/set"))
    one = _local_processes._sections(_supervisor_files.configuration(places, {"a": 1, "b": 1}))
    two = _local_processes._sections(_supervisor_files.configuration(places, {"a": 2, "b": 1}))
    assert [name for name in one if one[name] != two[name]] == ["a"]


def test_a_socket_fits_wherever_the_folder_is() -> None:
    near = pathlib.Path("/set")
    far = pathlib.Path("/" + "x" * 200)
    assert _supervisor_files.socket_path(near) == near / "supervisord.sock"
    moved = _supervisor_files.socket_path(far)
    assert len(f"{moved}.4194304") <= 103
    assert moved == _supervisor_files.socket_path(far), "the next run finds it"
    assert moved != _supervisor_files.socket_path(far / "y")


def test_a_socket_folder_of_somebody_else_is_refused(tmp_path: pathlib.Path) -> None:
    far = tmp_path / ("x" * 150)
    there = _supervisor.Supervisor(str(far), "demo")
    folder = there.places.socket.parent
    folder.mkdir(mode=0o755)
    try:
        with pytest.raises(HubspokeError, match="belongs to someone else"):
            there.prepare_socket()
    finally:
        folder.rmdir()


def test_files_are_for_their_owner_only_and_whole(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "f"
    path.write_text("old")
    path.chmod(0o644)
    _supervisor_files.write(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_said_to_be_one(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    monkeypatch.setattr("os.open", lambda *_: full)
    with pytest.raises(HubspokeError, match=f"{tmp_path}/f cannot be written: No space left on device"):
        _supervisor_files.write(tmp_path / "f", "x")


# Which processes are whose


def member(pid: int, session: int, *argv: str, started: str = "1") -> Process:
    return Process(pid, pid, session, started, argv or ("x",))


@pytest.fixture
def supervisor(tmp_path: pathlib.Path) -> _supervisor.Supervisor:
    return _supervisor.Supervisor(str(tmp_path), "demo")


def test_a_supervisor_is_found_by_its_arguments(supervisor: _supervisor.Supervisor) -> None:
    path = str(supervisor.places.configuration)
    mine = member(2, 2, "python", "-m", "supervisor.supervisord", "-c", path)
    others = [
        member(1, 1, "python", "-m", "supervisor.supervisord", "-c", "/other.conf"),
        member(3, 3, "vim", path),
    ]
    assert supervisor.process([*others, mine]) == mine
    assert supervisor.process(others) is None


def record(supervisor: _supervisor.Supervisor, **fields: t.Any) -> None:
    entry = {"pid": 1000000007, "started": "5", "boot": _process_table.boot(), **fields}
    supervisor.places.record.write_text(json.dumps(entry))


def test_orphans_are_the_session_of_a_supervisor_that_is_gone(supervisor: _supervisor.Supervisor) -> None:
    left, stranger = member(1000000008, 1000000007), member(1000000009, 1000000009)
    assert supervisor.orphans([left, stranger]) == [], "nothing is known of any"
    record(supervisor)
    assert supervisor.orphans([left, stranger]) == [left]
    record(supervisor, boot="another")
    assert supervisor.orphans([left, stranger]) == [], "the machine was started anew"


def test_a_session_number_that_is_another_s_by_now_is_left_alone(supervisor: _supervisor.Supervisor) -> None:
    record(supervisor)
    leader = member(1000000007, 1000000007, "bash", started="9")
    assert supervisor.orphans([leader, member(1000000008, 1000000007)]) == []


def test_what_a_living_supervisor_runs_is_no_orphan(supervisor: _supervisor.Supervisor) -> None:
    record(supervisor)
    path = str(supervisor.places.configuration)
    living = member(1000000007, 1000000007, "python", "-m", "supervisor.supervisord", "-c", path, started="5")
    assert supervisor.orphans([living, member(1000000008, 1000000007)]) == []


def test_the_table_knows_this_process_and_its_variables() -> None:
    mine = next(found for found in _process_table.table() if found.pid == os.getpid())
    assert mine.session == os.getsid(0)
    assert _process_table.is_alive(mine)
    assert not mine.has_environment("HUBSPOKE_TEST", "no")


@pytest.mark.parametrize(
    ("kernel", "address"),
    [
        ("0100007F:1B58", ("127.0.0.1", 7000)),
        ("00000000:0050", ("0.0.0.0", 80)),
        ("0000000000000000FFFF00000100007F:1B58", ("127.0.0.1", 7000)),
        ("00000000000000000000000001000000:1B58", ("::1", 7000)),
        ("00000000000000000000000000000000:1B58", ("::", 7000)),
    ],
)
def test_addresses_as_the_kernel_writes_them(kernel: str, address: tuple[str, int]) -> None:
    assert _process_table._address(kernel) == address
    assert Listener(1, *address).loopback == (address[0] in ("127.0.0.1", "::1"))


def test_own_listeners_are_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert Listener(os.getpid(), "127.0.0.1", port) in _process_table.listeners([os.getpid()])


# The launcher


@pytest.mark.parametrize(
    ("family", "address", "everywhere"),
    [
        (socket.AF_INET, b"\x1f\x90" + bytes(4) + bytes(8), True),
        (socket.AF_INET, b"\x1f\x90" + b"\x7f\0\0\x01" + bytes(8), False),
        (socket.AF_INET, b"\x1f\x90", False),
        (socket.AF_INET6, b"\x1f\x90" + bytes(4) + bytes(16) + bytes(4), True),
        (socket.AF_INET6, b"\x1f\x90" + bytes(4) + bytes(15) + b"\x01" + bytes(4), False),
        (socket.AF_UNIX, b"/tmp/x", False),
    ],
)
def test_only_binding_to_all_addresses_is_changed(family: int, address: bytes, everywhere: bool) -> None:
    assert _local_launcher._is_all_addresses(family.to_bytes(2, sys.byteorder) + address) == everywhere


# Health


def test_health_says_what_is_missing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert Health(tcp=f"127.0.0.1:{port}").missing() is None
    assert "refused" in str(Health(tcp=f"127.0.0.1:{port}").missing())
    assert "refused" in str(Health(http=f"http://127.0.0.1:{port}/").missing())


def test_a_failing_status_is_not_health() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _address = server.accept()
            connection.recv(1000)
            connection.sendall(b"HTTP/1.0 503 no\r\n\r\n")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        assert str(Health(http=f"http://127.0.0.1:{server.getsockname()[1]}/x").missing()).endswith(": status 503")
        thread.join()


def waiting(states: t.Iterator[State], timeout: float = 5) -> None:
    _local_processes_health.wait(
        {"web": Health()},
        lambda: {"web": next(states)},
        ending=lambda _name: "signal 9",
        last_lines=lambda name: f"last words of {name}",
        timeout=timeout,
        say=lambda _line: None,
    )


def test_a_process_that_keeps_ending_is_given_up_at_once() -> None:
    states = [State("BACKOFF", None, 1) if number % 2 else State("STARTING", number) for number in range(1, 20)]
    with pytest.raises(HubspokeError, match=r"(?s)web: ended \(signal 9\), 3 times.*last words of web"):
        waiting(iter(states))


def test_one_crash_is_forgiven() -> None:
    waiting(iter([State("STARTING", 1), State("BACKOFF"), State("STARTING", 2), State("RUNNING", 2)]))


def test_a_process_that_never_works_runs_out_of_time() -> None:
    with pytest.raises(HubspokeError, match="web: starting"):
        waiting(iter([State("STARTING", 1)] * 100), timeout=0.2)
