# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The folder of a development cluster, and the processes that belong to it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time
import typing as t

import pytest
import yaml

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _dev_cluster_state as state
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_run import (
    CommandError,
    Tools,
    end,
    processes,
    run,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_spec import Spec
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError


def silent(line: str) -> None:
    """Nobody listens."""


def config(*contexts: str) -> dict[str, t.Any]:
    return {
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in contexts],
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}.test"}} for name in contexts],
        "users": [],
    }


def mode(path: pathlib.Path) -> int:
    return path.stat().st_mode & 0o777


# The folder


def test_an_empty_folder_does_not_outlive_the_run(tmp_path: pathlib.Path) -> None:
    folder = state.Folder(str(tmp_path / "state"), "dev")
    with folder.locked(silent, 1):
        assert mode(pathlib.Path(folder.path)) == 0o700
        assert folder.busy()
    assert not os.path.exists(folder.parent)
    assert not folder.busy()
    with folder.locked(silent, 1):
        folder.write(state.Record("creating", Spec("kwok")))
    assert folder.has_files()
    with folder.locked(silent, 1):
        folder.empty()
    assert os.listdir(tmp_path / "state") == []


def test_only_one_run_at_a_time(tmp_path: pathlib.Path) -> None:
    folder = state.Folder(str(tmp_path), "dev")
    inside, order = 0, []

    def work(number: int) -> None:
        nonlocal inside
        with folder.locked(silent, 10):
            inside += 1
            assert inside == 1
            order.append(number)
            time.sleep(0.02)
            inside -= 1

    threads = [threading.Thread(target=work, args=[number]) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(order) == list(range(5))


def test_a_run_that_does_not_end_is_said(tmp_path: pathlib.Path) -> None:
    folder, said = state.Folder(str(tmp_path), "dev"), list[str]()
    with (
        folder.locked(silent, 1),
        pytest.raises(HubspokeError, match="Another run"),
        state.Folder(str(tmp_path), "dev").locked(said.append, 0.3),
    ):
        pass
    assert said == ["waiting for another run that is working on this cluster"]


def test_a_lock_ends_with_its_process(tmp_path: pathlib.Path) -> None:
    folder = state.Folder(str(tmp_path), "dev")
    script = f"""
import fcntl, os, time
os.makedirs({folder.path!r})
handle = os.open({folder.path!r}, os.O_RDONLY)
fcntl.flock(handle, fcntl.LOCK_EX)
print("locked", flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        assert folder.busy()
        process.kill()
    with folder.locked(silent, 1):
        pass


def test_a_folder_that_cannot_be_used(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    folder = state.Folder(str(tmp_path / "file"), "dev")
    with pytest.raises(HubspokeError, match=r"is not a folder\. Set hubspoke_state_dir"):
        folder.check_writable()
    with pytest.raises(HubspokeError, match="Set hubspoke_state_dir"), folder.locked(silent, 1):
        pass
    assert folder.read() is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write(tmp_path: pathlib.Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(HubspokeError, match="no right to write"):
        state.Folder(str(tmp_path / "state"), "dev").check_writable()


def test_records(tmp_path: pathlib.Path) -> None:
    folder = state.Folder(str(tmp_path), "dev")
    record = state.Record("made", Spec("kwok", agents=2), "/export", {"ports": {"etcdPort": 1}})
    with folder.locked(silent, 1):
        folder.write(record)
    found = folder.read()
    assert found
    assert vars(found) == vars(record)
    assert mode(pathlib.Path(folder.file("cluster.json"))) == 0o600
    with state.Folder(str(tmp_path), "other").locked(silent, 1):
        with state.Folder(str(tmp_path), "other").neighbours() as others:
            assert [other.extra["ports"] for other in others] == [{"etcdPort": 1}]
        with folder.neighbours() as others:
            assert others == []


def test_a_record_that_cannot_be_read_is_not_taken_for_none(tmp_path: pathlib.Path) -> None:
    folder = state.Folder(str(tmp_path), "dev")
    os.makedirs(folder.path)
    pathlib.Path(folder.file("cluster.json")).write_text("{")
    with pytest.raises(HubspokeError, match=r"cluster\.json cannot be read"):
        folder.read()


def test_the_record_goes_last(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed while the files are removed, the record still says that there is something to remove."""
    folder = state.Folder(str(tmp_path), "dev")
    os.makedirs(folder.file("kwok", "etcd"))
    folder.write(state.Record("deleting", Spec("kwok")))
    removed = []
    monkeypatch.setattr(os, "unlink", removed.append)
    monkeypatch.setattr(shutil, "rmtree", removed.append)
    folder.empty()
    assert removed == [folder.file("kwok"), folder.file("cluster.json")]


# Kubeconfigs


def test_kubeconfigs(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "kubeconfig"
    os.umask(os.umask(0))
    state.write_kubeconfig(str(path), config("kind-dev"))
    assert mode(path) == 0o600
    found = state.read_kubeconfig(str(path))
    assert found == config("kind-dev")
    assert state.server_of(found, "kind-dev") == "https://kind-dev.test"
    assert state.server_of(found, "other") == ""
    assert state.is_private(str(path))
    path.chmod(0o640)
    assert not state.is_private(str(path))
    assert list(tmp_path.iterdir()) == [path], "no temporary file is left"


@pytest.mark.parametrize("content", ["", "[]", "a: b: c", "contexts: none", "\0"])
def test_what_is_no_kubeconfig(tmp_path: pathlib.Path, content: str) -> None:
    path = tmp_path / "file"
    path.write_text(content)
    assert state.read_kubeconfig(str(path)) is None
    assert not state.is_ours(str(path), "kind-dev")
    with pytest.raises(HubspokeError, match="cluster_kubeconfig_export"):
        state.check_export(str(path), "kind-dev")
    assert state.remove_export(str(path), "kind-dev") is False
    assert path.read_text() == content


def test_an_export_replaces_only_its_own_kind(tmp_path: pathlib.Path) -> None:
    source, path = tmp_path / "kubeconfig", tmp_path / "environments/dev/kubeconfig/config"
    state.write_kubeconfig(str(source), config("kind-dev"))
    state.check_export(str(path), "kind-dev")
    assert not state.exported(str(source), str(path))
    state.export(str(source), str(path))
    assert state.exported(str(source), str(path))
    assert mode(path) == 0o600
    state.check_export(str(path), "kind-dev")
    with pytest.raises(HubspokeError, match="holds more than context kind-other"):
        state.check_export(str(path), "kind-other")
    path.chmod(0o644)
    assert not state.exported(str(source), str(path))
    assert state.remove_export(str(path), "kind-dev")
    assert not path.exists()
    assert state.remove_export(str(path), "kind-dev"), "twice is once"


def test_an_export_that_others_use_by_now_stays(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config("kind-dev", "production")))
    assert state.remove_export(str(path), "kind-dev") is False
    assert path.exists()


# Programs


def test_tools(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "kwokctl"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Tools().find("kwokctl") == str(program)
    assert Tools({"kwok": str(program)}).require(["kwok", "kwokctl"], "kwok") == dict.fromkeys(
        ["kwok", "kwokctl"], str(program)
    )
    with pytest.raises(HubspokeError, match=r"kwok needs etcd, /none, not found.*dev_cluster_tools"):
        Tools({"kubectl": "/none"}).require(["etcd", "kubectl", "kwokctl"], "kwok")
    # In check mode tools may be about to be built, but not those that nobody promised.
    assume = Tools({"kubectl": "/none"}, assume=True)
    assert assume.require(["kubectl"], "kwok") == {"kubectl": "/none"}
    with pytest.raises(HubspokeError, match="etcd"):
        assume.require(["etcd", "kubectl"], "kwok")


def test_running_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRANGE", "1")
    heard: list[str] = []
    script = 'echo said >&2; cat; echo "$STRANGE,$OURS"'
    output = run(["sh", "-c", script], {"OURS": "2"}, stdin="given\n", say=heard.append, without=["STRANGE"])
    assert output == "given\n,2\n"
    assert heard == ["said"]
    with pytest.raises(CommandError, match=r"sh ended with 3: first \| second\.") as caught:
        run(["sh", "-c", "echo first >&2; echo second; exit 3"])
    assert "first" in caught.value.output
    start = time.monotonic()
    with pytest.raises(CommandError, match="took too long"):
        run(["sleep", "60"], timeout=0.2)
    assert time.monotonic() - start < 5


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """A cluster's folder with a program of its own."""
    binaries = tmp_path / "cluster/bin"
    binaries.mkdir(parents=True)
    sleep = shutil.which("sleep")
    assert sleep
    for name in ("etcd", "kube-apiserver"):
        (binaries / name).symlink_to(sleep)
    return tmp_path / "cluster"


def start(*command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, start_new_session=True)


def kill(*started: subprocess.Popen[bytes]) -> None:
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_processes_of_a_folder_and_nobody_elses(folder: pathlib.Path) -> None:
    ours = start(str(folder / "bin/etcd"), "60")
    # An editor, say, that has a file of the folder open; and a cluster whose name only begins the same.
    neighbour = folder.parent / "cluster-2"
    shutil.copytree(folder, neighbour, symlinks=True)
    others = [start("sh", "-c", "sleep 60; :", str(folder / "kubeconfig")), start(str(neighbour / "bin/etcd"), "60")]
    try:
        time.sleep(0.1)
        assert list(processes(str(folder))) == [ours.pid]
        end(str(folder))
        assert ours.wait(5) != 0
        assert all(other.poll() is None for other in others)
        assert processes(str(folder)) == {}
        end(str(folder))
    finally:
        kill(ours, *others)


def test_ending_some_of_them_gently(folder: pathlib.Path) -> None:
    etcd, server = (start(str(folder / "bin" / name), "60") for name in ("etcd", "kube-apiserver"))
    try:
        time.sleep(0.1)
        end(str(folder), lambda name: name != "etcd", patience=5)
        assert server.wait(5) == -15
        assert etcd.poll() is None
    finally:
        kill(etcd, server)


def test_a_maker_that_was_left_alone_is_found_by_its_arguments(folder: pathlib.Path) -> None:
    # What the system shows of a script is its interpreter, so this is the interpreter under another name.
    binary = folder.parent / "binaries/kind"
    binary.parent.mkdir()
    binary.symlink_to(shutil.which("sh") or "/bin/sh")
    process = start(str(binary), "-c", "sleep 60; :", f"{folder}/kind.yaml")
    try:
        time.sleep(0.1)
        assert list(processes(str(folder))) == [process.pid]
    finally:
        kill(process)
