# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""kind and k3d clusters through their whole life, with programs that only keep account in place of the real ones."""

from __future__ import annotations

import errno
import http.server
import json
import os
import pathlib
import runpy
import socket
import subprocess
import sys
import threading
import time
import typing as t

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import (
    _dev_cluster_docker,
    _dev_cluster_docker_provider,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _dev_cluster_state as state
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster import DevCluster, Outcome, Wanted
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_run import CommandError, Tools, processes
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

FAKE = pathlib.Path(__file__).parents[1] / "fixtures/fake_engine.py"
KEEPS = ["servers", "agents", "image", "ports", "registry_mirrors", "api_server_args"]


class _Api(http.server.BaseHTTPRequestHandler):
    """What of an API server a finished cluster is asked for."""

    def do_GET(self) -> None:
        body = json.dumps({"gitVersion": "v1.36.3+k3s1"} if self.path == "/version" else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: t.Any) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def server() -> t.Iterator[str]:
    api = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Api)
    thread = threading.Thread(target=api.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{api.server_address[1]}"
    api.shutdown()
    api.server_close()


class Bench:
    """The fake engine, and development clusters on it."""

    def __init__(self, folder: pathlib.Path, server: str) -> None:
        self.folder = folder
        self.file = folder / "engine.json"
        self.state = folder / "state"
        self.lines: list[str] = []
        self.warnings: list[str] = []
        self.set(containers={}, images=[], calls=[], server=server)

    @property
    def data(self) -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", json.loads(self.file.read_text()))

    def set(self, **data: t.Any) -> None:
        self.file.write_text(json.dumps({**(self.data if self.file.exists() else {}), **data}))

    def forget(self) -> None:
        self.set(calls=[])

    @property
    def calls(self) -> list[str]:
        return t.cast("list[str]", self.data["calls"])

    def cluster(self, provider: str = "kind", *, check: bool = False, export: str = "", **options: t.Any) -> DevCluster:
        self.warnings.clear()
        recreate = options.pop("recreate", False)
        spec = {"servers": 1, "agents": 1, **options}
        wanted = Wanted("dev", provider, spec, str(self.state), export, recreate, timeout=20)
        return DevCluster(wanted, Tools(assume=check), self.lines.append, self.warnings.append, check)

    def both(self, verb: str, provider: str = "kind", **options: t.Any) -> Outcome:
        """Check mode, which must change nothing and predict the run; then the run."""
        before = self.snapshot()
        predicted: Outcome = getattr(self.cluster(provider, check=True, **options), verb)()
        assert self.snapshot() == before
        done: Outcome = getattr(self.cluster(provider, **options), verb)()
        assert (done.changed, done.before, done.difference) == (
            predicted.changed,
            predicted.before,
            predicted.difference,
        )
        assert done.after == predicted.after
        return done

    def snapshot(self) -> t.Any:
        files = {str(path): path.read_bytes() for path in self.state.rglob("*") if path.is_file()}
        return files, self.data["containers"]


@pytest.fixture
def bench(tmp_path: pathlib.Path, server: str, monkeypatch: pytest.MonkeyPatch) -> Bench:
    binaries = tmp_path / "bin"
    binaries.mkdir()
    for name in ("docker", "kind", "k3d"):
        (binaries / name).write_text(f"#!{sys.executable} -IS\n{FAKE.read_text()}")
        (binaries / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(binaries))
    monkeypatch.setenv("FAKE_ENGINE", str(tmp_path / "engine.json"))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    fake = runpy.run_path(str(FAKE))

    def run(command: list[str], *arguments: t.Any, **options: t.Any) -> str:
        """As the programs would, without the time that processes take."""
        try:
            return str(fake["run"](str(tmp_path / "engine.json"), command, options.get("stdin")))
        except fake["Failed"] as error:
            raise CommandError(command, 1, str(error)) from error

    for module in (_dev_cluster_docker, _dev_cluster_docker_provider):
        monkeypatch.setattr(module, "run", run)
    return Bench(tmp_path, server)


@pytest.mark.parametrize("provider", ["kind", "k3d"])
def test_the_whole_life(bench: Bench, provider: str, server: str) -> None:
    made = bench.both("present", provider, version="v1.36.3")
    assert made.changed
    assert made.cluster == {
        "name": "dev",
        "provider": provider,
        "reason": f"cluster_provider is {provider}",
        "state": "running",
        "problem": "",
        "present": True,
        "running": True,
        "version": "v1.36.3",
        "servers": 1,
        "agents": 1,
        "kubeconfig": str(bench.state / "clusters/dev/kubeconfig"),
        "context": f"{provider}-dev",
        "address": server,
        "hub_address": {
            "kind": "https://dev-control-plane:6443",
            "k3d": "https://k3d-dev-serverlb:6443",
        }[provider],
        "simulated": False,
    }
    kubeconfig = pathlib.Path(made.cluster["kubeconfig"])
    assert kubeconfig.stat().st_mode & 0o777 == 0o600

    bench.forget()
    assert not bench.both("present", provider, version="v1.36.3").changed
    assert {call.split()[1] for call in bench.calls} <= {"ps", "version"}, "a second run only reads"

    assert bench.both("stopped", provider).cluster["state"] == "stopped"
    assert not bench.both("stopped", provider).changed
    assert bench.cluster(provider).info()["state"] == "stopped"
    started = bench.both("present", provider, version="v1.36.3")
    assert (started.changed, started.cluster["state"]) == (True, "running")

    kubeconfig.unlink()
    assert bench.both("present", provider, version="v1.36.3").changed
    kubeconfig.chmod(0o644)
    assert bench.both("present", provider, version="v1.36.3").changed
    assert kubeconfig.stat().st_mode & 0o777 == 0o600

    gone = bench.both("absent", provider)
    assert (gone.changed, gone.cluster["state"], gone.after) == (True, "absent", {})
    assert bench.data["containers"] == {}
    assert list(bench.state.iterdir()) == []
    assert not bench.both("absent", provider).changed
    assert not bench.both("stopped", provider).changed


def test_what_differs_is_left_until_it_may_be_made_anew(bench: Bench) -> None:
    bench.both("present", version="v1.36.3")
    done = bench.both("present", version="v1.36.3", agents=2)
    assert not done.changed
    assert done.difference == ("agents: 1, not 2",)
    assert "cluster_recreate" in bench.warnings[0]
    anew = bench.both("present", version="v1.36.3", agents=2, recreate=True)
    assert anew.changed
    assert anew.difference == ()
    assert anew.cluster["agents"] == 2
    assert not bench.both("present", version="v1.36.3", agents=2, recreate=True).changed


def test_another_provider_for_a_cluster_that_is_there(bench: Bench) -> None:
    bench.both("present")
    done = bench.both("present", "k3d")
    assert (done.changed, done.difference) == (False, ("provider: kind, not k3d",))
    assert done.cluster["provider"] == "kind"
    assert done.cluster["context"] == "kind-dev"
    assert bench.both("present", "k3d", recreate=True).cluster["provider"] == "k3d"
    assert {name.split("-")[0] for name in bench.data["containers"]} == {"k3d"}
    bench.both("absent", "auto")
    assert bench.data["containers"] == {}


def test_auto_keeps_to_what_is_there(bench: Bench) -> None:
    assert bench.both("present", "kind").changed
    again = bench.both("present", "auto")
    assert not again.changed
    assert again.cluster["reason"] == "it was made with kind"


def test_a_cluster_that_something_else_made_is_left_alone(bench: Bench) -> None:
    bench.set(containers={"dev-control-plane": {"state": "running", "labels": {"io.x-k8s.kind.cluster": "dev"}}})
    there = bench.data["containers"]
    with pytest.raises(HubspokeError, match="There is a kind cluster named dev already"):
        bench.cluster().present()
    assert bench.cluster().info()["state"] == "foreign"
    assert not bench.both("absent").changed
    assert bench.data["containers"] == there
    assert list(bench.state.rglob("*")) == []


def test_a_creation_that_fails_is_made_good_by_the_next_run(bench: Bench) -> None:
    bench.set(fail="kind create", partly="dev")
    with pytest.raises(HubspokeError, match=r"kind ended with 1: ERROR: it was told to fail"):
        bench.cluster().present()
    assert bench.cluster().info()["state"] == "half-made"
    bench.set(fail=None)
    assert bench.both("present").cluster["state"] == "running"
    assert len(bench.data["containers"]) == 2


def test_a_creation_that_is_killed_is_made_good_by_the_next_run(bench: Bench) -> None:
    """Only our own process dies; kind goes on, and must not disturb the next run."""
    bench.set(fail="kind create", partly="dev", hang=True)
    collections = pathlib.Path(__file__).parents[2] / ".venv/collections"
    script = f"""
import sys
sys.path.insert(0, {str(collections)!r})
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster import DevCluster, Wanted
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_run import Tools
wanted = Wanted("dev", "kind", {{"servers": 1, "agents": 1}}, {str(bench.state)!r})
DevCluster(wanted, Tools(), print, print).present()
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while not bench.data["containers"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert bench.cluster().info() | {"problem": "a run is working on it"} == bench.cluster().info()
    process.kill()
    process.wait()
    info = bench.cluster().info()
    assert (info["state"], info["problem"]) == ("half-made", "")
    assert len(processes(str(bench.state))) == 1, "kind goes on"
    bench.set(fail=None, hang=None)
    assert bench.both("present").cluster["state"] == "running"
    assert processes(str(bench.state)) == {}


def test_a_node_that_is_gone(bench: Bench) -> None:
    bench.both("present")
    containers = bench.data["containers"]
    containers.popitem()
    bench.set(containers=containers)
    assert bench.cluster().info()["state"] == "half-made"
    assert bench.both("present").changed
    assert len(bench.data["containers"]) == 2


def test_mirrors_are_told_to_every_node_and_can_be_changed(bench: Bench) -> None:
    bench.both("present", registry_mirrors={"docker.io": ["http://mirror.test"], "quay.io": ["http://mirror.test"]})
    files = [node["files"] for node in bench.data["containers"].values()]
    assert [set(node) for node in files] == [
        {f"/etc/containerd/certs.d/{name}" for name in ("docker.io", "quay.io")}
    ] * 2
    done = bench.both("present", registry_mirrors={"docker.io": ["http://other.test"]})
    assert (done.changed, done.difference) == (True, ())
    files = [node["files"] for node in bench.data["containers"].values()]
    assert [list(node) for node in files] == [["/etc/containerd/certs.d/docker.io"]] * 2
    assert "http://other.test" in files[0]["/etc/containerd/certs.d/docker.io"]
    assert not bench.both("present", registry_mirrors={"docker.io": ["http://other.test"]}).changed


def test_an_exported_kubeconfig_comes_and_goes_with_the_cluster(bench: Bench) -> None:
    first, second = bench.folder / "a/config", bench.folder / "b/config"
    bench.both("present", export=str(first))
    assert first.read_bytes() == (bench.state / "clusters/dev/kubeconfig").read_bytes()
    assert first.stat().st_mode & 0o777 == 0o600
    assert not bench.both("present", export=str(first)).changed
    assert bench.both("present", export=str(second)).changed
    assert (first.exists(), second.exists()) == (False, True)
    second.write_text("changed")
    with pytest.raises(HubspokeError, match="cluster_kubeconfig_export"):
        bench.cluster(export=str(second)).present()
    bench.both("absent")
    assert second.read_text() == "changed", "what is not ours any more stays"
    assert "left as it is" in bench.warnings[0]


def test_an_export_is_taken_back_when_it_is_no_longer_wanted(bench: Bench) -> None:
    path = bench.folder / "a/config"
    bench.both("present", export=str(path))
    assert bench.both("present").changed
    assert not path.exists()
    assert not bench.both("present").changed


def test_an_export_that_a_killed_run_made_is_known_to_the_next(bench: Bench) -> None:
    path = bench.folder / "a/config"
    bench.both("present", export=str(path))
    folder = state.Folder(str(bench.state), "dev")
    record = folder.read()
    assert record
    record.export = ""
    folder.write(record)
    assert bench.both("present", export=str(path)).changed
    bench.both("absent")
    assert not path.exists()


def test_a_full_disk_is_said_as_such(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: t.Any) -> t.NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), arguments[0])

    with monkeypatch.context() as patch:
        patch.setattr(state, "write_private", full)
        with pytest.raises(HubspokeError, match=r"dev: No space left on device \(/.*/cluster\.json\)\. Put"):
            bench.cluster().present()
    assert list(bench.state.rglob("*")) == []
    assert bench.both("present").changed


def test_a_file_in_the_way_of_the_export_is_found_before_anything_is_made(bench: Bench) -> None:
    path = bench.folder / "config"
    path.write_text("precious")
    for check in (True, False):
        with pytest.raises(HubspokeError, match="cluster_kubeconfig_export"):
            bench.cluster(export=str(path), check=check).present()
    assert bench.data["containers"] == {}
    assert list(bench.state.rglob("*")) == []


def refused(bench: Bench, message: str, provider: str = "kind", **options: t.Any) -> None:
    """Both modes refuse, and leave nothing."""
    for check in (True, False):
        with pytest.raises(HubspokeError, match=message):
            bench.cluster(provider, check=check, **options).present()
    assert bench.data["containers"] == {}
    assert list(bench.state.rglob("*")) == []


@pytest.mark.parametrize("provider", ["kind", "k3d"])
def test_no_engine(bench: Bench, provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.set(down=True)
    monkeypatch.setenv("DOCKER_HOST", "unix:///none.sock")
    refused(
        bench, rf"{provider} needs a Docker engine.*none\.sock.*DOCKER_HOST \(tried: unix:///none\.sock\)", provider
    )


@pytest.mark.parametrize("program", ["kind", "k3d", "docker"])
def test_no_program(bench: Bench, program: str) -> None:
    (bench.folder / "bin" / program).unlink()
    provider = "kind" if program == "docker" else program
    refused(bench, program, provider)


def test_a_port_in_use(bench: Bench) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ports = [{"host_port": port, "container_port": 80}]
        refused(bench, rf"cluster_ports maps 127\.0\.0\.1:{port}/tcp, which is not free", ports=ports)
    assert bench.both("present", ports=ports).changed


def test_a_version_that_does_not_exist(bench: Bench) -> None:
    with pytest.raises(HubspokeError, match=r"cluster_image example\.test/missing:1 is not available for kind"):
        bench.cluster(image="example.test/missing:1").present()
    assert bench.data["containers"] == {}
    assert list(bench.state.rglob("*")) == []


def test_nothing_of_an_old_cluster_is_lost_for_one_that_cannot_be_made(bench: Bench) -> None:
    bench.both("present")
    for options in ({"image": "example.test/missing:1"}, {"version": "1.2.3"}):
        with pytest.raises(HubspokeError):
            bench.cluster(recreate=True, **options).present()
    assert bench.cluster().info()["state"] == "running"


def test_the_engine_of_a_cluster_is_away(bench: Bench) -> None:
    bench.both("present")
    bench.set(down=True)
    info = bench.cluster("auto").info()
    assert (info["provider"], info["present"]) == ("kind", False)
    assert "none answers" in info["problem"]
    for verb in ("present", "stopped", "absent"):
        with pytest.raises(HubspokeError, match="Start Docker"):
            getattr(bench.cluster("auto"), verb)()
    assert (bench.state / "clusters/dev/cluster.json").exists()
