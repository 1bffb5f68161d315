# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Preflight's probe on this machine, as it really is."""

from __future__ import annotations

import os
import pathlib
import socket
import subprocess
import sys
import threading
import time
import typing as t
from collections.abc import Iterator

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _kube
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import ApiError, HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_probe import Probe


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_is_taken_while_something_listens_there(listener: int) -> None:
    assert Probe().port_taken(listener)
    assert Probe().port_taken(listener, "0.0.0.0")
    assert not Probe().port_taken(listener, "127.0.0.2")
    assert not Probe().port_taken(listener, protocol="udp")


def test_a_port_is_free_though_a_connection_of_it_lingers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()
    assert not Probe().port_taken(port)


def test_a_folder_that_can_be_made_is_tried_and_not_made(tmp_path: pathlib.Path) -> None:
    folder = Probe().folder(str(tmp_path / "a/b"))
    assert (folder.existing, folder.problem, folder.full) == (str(tmp_path), "", False)
    assert folder.free > 0
    assert list(tmp_path.iterdir()) == []


def test_a_folder_below_a_file_cannot_be_made(tmp_path: pathlib.Path) -> None:
    (tmp_path / "f").touch()
    folder = Probe().folder(str(tmp_path / "f/b"))
    assert (folder.problem, folder.full) == (f"{tmp_path}/f is not a folder", False)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="skipped: no /proc")
def test_a_folder_where_nobody_can_write_cannot_be_made_not_even_by_root() -> None:
    folder = Probe().folder("/proc/hubspoke/state")
    assert folder.existing == "/proc"
    assert folder.problem.startswith("/proc: ")


def test_a_dangling_link_is_no_folder(tmp_path: pathlib.Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert "link" in Probe().folder(str(tmp_path / "link/state")).problem


def test_a_program_that_does_not_end_is_left_alone_after_a_while() -> None:
    began = time.monotonic()
    answer = Probe(0.2).run([sys.executable, "-c", "import time; time.sleep(30)"])
    assert (answer.code, answer.error) == (None, "no answer within 0.2 s")
    assert time.monotonic() - began < 5


def test_a_program_that_is_not_there() -> None:
    assert Probe().run(["hubspoke-no-such-program"]).error == "No such file or directory"


def test_the_collection_that_is_needed_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Probe().collection_problem() == ""
    monkeypatch.setattr(_kube, "IMPORT_ERROR", ImportError("No module named 'ansible_collections.kubernetes'"))
    assert "ansible_collections.kubernetes" in Probe().collection_problem()
    monkeypatch.setattr(_kube, "IMPORT_ERROR", ImportError("No module named 'kubernetes'"))
    assert Probe().collection_problem() == ""  # which the check of libraries finds by itself


def test_libraries() -> None:
    assert Probe().library("yaml", "PyYAML")[0].isdigit()
    with pytest.raises(HubspokeError, match="hubspoke_no_such_library"):
        Probe().library("hubspoke_no_such_library", "x")


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="skipped: no files in memory on this system")
def test_a_private_file_is_read_by_a_program_and_gone_afterwards() -> None:
    with Probe().private_file("secret\n") as path:
        assert path is not None
        assert subprocess.run(["cat", path], capture_output=True, check=True).stdout == b"secret\n"
        assert os.stat(path).st_mode & 0o777 == 0o600
    assert not os.path.exists(path)


def kubeconfig(folder: pathlib.Path, port: int) -> str:
    path = folder / "kubeconfig"
    path.write_text(
        f"{{apiVersion: v1, kind: Config, current-context: x, users: [{{name: x, user: {{}}}}], "
        f"contexts: [{{name: x, context: {{cluster: x, user: x}}}}], "
        f"clusters: [{{name: x, cluster: {{server: 'http://127.0.0.1:{port}'}}}}]}}"
    )
    return str(path)


def test_an_api_server_that_is_away_is_asked_once(tmp_path: pathlib.Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ApiError, match="No answer") as caught:
        Probe().api(kubeconfig(tmp_path, port), "")
    assert caught.value.status == 0


def test_an_api_server_that_says_nothing_is_waited_for_no_longer_than_the_timeout(
    tmp_path: pathlib.Path, listener: int
) -> None:
    began = time.monotonic()
    with pytest.raises(ApiError, match="No answer"):
        Probe(0.3).api(kubeconfig(tmp_path, listener), "")
    assert time.monotonic() - began < 20


def test_the_engine_is_asked_once_by_several_at_the_same_time(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = tmp_path / "calls"
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\necho x >> {calls}\necho 28.2.2\n")
    docker.chmod(0o755)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    probe, found = Probe(), list[t.Any]()
    threads = [threading.Thread(target=lambda: found.append(probe.engine({"docker": str(docker)}))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {(engine.version, engine.problem, engine.is_local) for engine in found} == {("28.2.2", "", True)}
    assert calls.read_text() == "x\n"
