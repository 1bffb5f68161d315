# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Clusters of kwok's with the real programs, through their whole life and through what may interrupt it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import typing as t

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _dev_cluster_kwok, _dev_cluster_state
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster import DevCluster, Outcome, Wanted
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_run import Tools, processes
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_spec import Spec
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube

COLLECTIONS = pathlib.Path(__file__).parents[2] / ".venv/collections"
COMPONENTS = 6


class Bench:
    """Clusters in a state folder of the test's own."""

    def __init__(self, state: pathlib.Path, tools: dict[str, str]) -> None:
        self.state = state
        self.tools = tools
        self.lines: list[str] = []

    def path(self, *names: str) -> pathlib.Path:
        return self.state.joinpath("clusters", "dev", *names)

    def cluster(self, *, check: bool = False, name: str = "dev", **options: t.Any) -> DevCluster:
        self.lines.clear()
        wanted = Wanted(
            name,
            "kwok",
            {"servers": 1, "agents": options.pop("agents", 2), **options},
            str(self.state),
            timeout=120,
        )
        return DevCluster(wanted, Tools(self.tools, assume=check), self.lines.append, self.lines.append, check)

    def both(self, verb: str, **options: t.Any) -> Outcome:
        """Check mode, which must write nothing and predict the run; then the run."""
        before = self.files()
        predicted: Outcome = getattr(self.cluster(check=True, **options), verb)()
        assert self.files() == before
        done: Outcome = getattr(self.cluster(**options), verb)()
        assert (done.changed, done.before, done.after) == (predicted.changed, predicted.before, predicted.after)
        return done

    def files(self) -> dict[str, int]:
        """Files that do not change by themselves."""
        return {
            str(path): path.stat().st_mtime_ns
            for path in self.state.rglob("*")
            if path.is_file() and not {"etcd", "logs"} & set(path.parts)
        }

    def kube(self) -> Kube:
        return Kube.from_params({"kubeconfig": str(self.path("kubeconfig"))})

    def script(self, verb: str) -> list[str]:
        """The same as a process that can be killed."""
        text = f"""
import sys
sys.path.insert(0, {str(COLLECTIONS)!r})
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster import DevCluster, Wanted
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_run import Tools
wanted = Wanted("dev", "kwok", {{"servers": 1, "agents": 2}}, {str(self.state)!r}, timeout=120)
print(DevCluster(wanted, Tools({self.tools!r}), print, print).{verb}().changed)
"""
        return [sys.executable, "-c", text]

    def leaves_nothing(self) -> None:
        assert list(self.state.rglob("*")) == []
        assert processes(str(self.state)) == {}


@pytest.fixture
def bench(tmp_path: pathlib.Path, tools: dict[str, str]) -> t.Iterator[Bench]:
    found = Bench(tmp_path / "state", tools)
    yield found
    for path in found.state.glob("clusters/*"):
        found.cluster(name=path.name).absent()
    found.leaves_nothing()


def test_the_whole_life(bench: Bench) -> None:
    started = time.monotonic()
    made = bench.both("present")
    print(f"made and repeated in {time.monotonic() - started:.1f} s")
    cluster = made.cluster
    assert made.changed
    assert (cluster["provider"], cluster["state"], cluster["agents"]) == ("kwok", "running", 2)
    assert (cluster["simulated"], cluster["context"]) == (True, "kwok-dev")
    assert cluster["address"] == cluster["hub_address"]
    assert cluster["address"].startswith("https://127.0.0.1:")
    kubeconfig = bench.path("kubeconfig")
    assert kubeconfig.stat().st_mode & 0o777 == 0o600
    assert bench.path().stat().st_mode & 0o777 == 0o700
    keys = list(bench.state.rglob("*.key"))
    assert keys
    assert all(path.stat().st_mode & 0o077 == 0 for path in keys)
    assert not bench.both("present").changed

    # What can be changed while it runs is; the rest is reported.
    assert bench.both("present", agents=4).cluster["agents"] == 4
    assert bench.both("present", agents=1).cluster["agents"] == 1
    assert [node["metadata"]["name"] for node in bench.kube().list("v1", "Node")] == ["dev-agent-0"]
    other = bench.both("present", agents=1, api_server_args={"v": "2"})
    assert (other.changed, other.difference) == (False, ("api_server_args: none, not v=2",))

    # Its data outlive a stop, and its address too.
    bench.kube().apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kept"}}, "test")
    assert bench.both("stopped").cluster["state"] == "stopped"
    assert processes(str(bench.state)) == {}
    assert not bench.both("stopped").changed
    record = _dev_cluster_state.Folder(str(bench.state), "dev").read()
    assert record
    port = record.extra["ports"]["kubeSchedulerPort"]
    with socket.create_server(("127.0.0.1", port)), pytest.raises(HubspokeError, match=f"Port {port}.*is in use"):
        bench.cluster(agents=1).present()
    again = bench.both("present", agents=1)
    assert (again.changed, again.cluster["address"]) == (True, cluster["address"])
    assert bench.kube().get("v1", "Namespace", "kept")

    # A kubeconfig that is lost, or open to others, is put right.
    kubeconfig.unlink()
    assert bench.both("present", agents=1).changed
    kubeconfig.chmod(0o644)
    assert bench.both("present", agents=1).changed
    assert kubeconfig.stat().st_mode & 0o777 == 0o600

    assert bench.both("absent").cluster["state"] == "absent"
    bench.leaves_nothing()
    assert not bench.both("absent").changed


def test_after_the_machine_restarted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything has ended, and its process ids are somebody else's by now; then single parts of it go."""
    bench.cluster().present()
    for pid in processes(str(bench.state)):
        os.kill(pid, signal.SIGKILL)
    with subprocess.Popen(["sleep", "600"]) as innocent:
        try:
            while processes(str(bench.state)):
                time.sleep(0.02)
            for path in bench.path("kwok", "clusters", "dev", "pids").iterdir():
                path.write_text(str(innocent.pid))
            assert bench.cluster().info()["state"] == "stopped"
            assert bench.cluster().present().cluster["state"] == "running"
            assert len(processes(str(bench.state))) == COMPONENTS

            scheduler = _pid(bench, "kube-scheduler")
            os.kill(scheduler, signal.SIGKILL)
            while _pid(bench, "kube-scheduler"):
                time.sleep(0.02)
            # The program has moved as well, as with another cache of tools.
            link = bench.path("kwok", "clusters", "dev", "bin", "kube-scheduler")
            link.unlink()
            link.symlink_to("/nowhere")
            others = set(processes(str(bench.state)))
            assert bench.both("present").changed
            assert others < set(processes(str(bench.state))), "what ran was left alone"

            os.kill(_pid(bench, "kube-apiserver"), signal.SIGSTOP)
            assert bench.cluster().info()["state"] == "unreachable"
            monkeypatch.setattr(_dev_cluster_kwok, "_PATIENCE", 1.0)
            assert bench.cluster().present().cluster["state"] == "running"
            bench.cluster().absent()
            assert innocent.poll() is None
        finally:
            innocent.kill()


# Where a run is killed: when this file has come into being. Whether kwokctl goes on alone is the second half.
@pytest.mark.parametrize(
    ("seen", "orphan"),
    [
        (("cluster.json",), False),
        (("kwok", "clusters", "dev", "kwok.yaml"), True),
        (("kwok", "clusters", "dev", "pids", "kube-scheduler.pid"), True),
        (("kubeconfig",), False),
    ],
    ids=lambda value: value[-1] if isinstance(value, tuple) else "orphan" if value else "all",
)
def test_killed_while_it_is_made(bench: Bench, seen: tuple[str, ...], orphan: bool) -> None:
    with subprocess.Popen(bench.script("present"), stdout=subprocess.DEVNULL, start_new_session=True) as process:
        deadline = time.monotonic() + 60
        while not bench.path(*seen).exists():
            assert time.monotonic() < deadline
            time.sleep(0.002)
        if orphan:
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    assert bench.cluster().info()["state"] in ("half-made", "stopped", "running", "unreachable")
    done = bench.cluster().present()
    assert (done.changed, done.cluster["state"]) == (True, "running")
    assert len(processes(str(bench.state))) == COMPONENTS
    assert not bench.cluster().present().changed


def test_killed_while_it_is_deleted(bench: Bench) -> None:
    folder = _dev_cluster_state.Folder(str(bench.state), "dev")
    bench.path("kwok", "clusters").mkdir(parents=True)
    folder.write(_dev_cluster_state.Record("deleting", Spec("kwok", agents=2), extra={"ports": {}}))
    assert bench.cluster().info()["state"] == "half-made"
    assert bench.both("absent").changed
    bench.leaves_nothing()


def test_its_folder_was_removed_by_hand(bench: Bench) -> None:
    """The processes are left: they are ours, and end with the next run."""
    bench.cluster().present()
    folder = bench.path()
    folder.rename(bench.state / "moved")
    assert processes(str(folder))
    assert bench.cluster().absent().changed
    assert processes(str(folder)) == {}
    shutil.rmtree(bench.state)


def test_two_runs_at_once_and_a_neighbour(bench: Bench) -> None:
    """One makes it, one waits and finds it made; another cluster gets other ports."""
    first, second = (subprocess.Popen(bench.script("present"), stdout=subprocess.PIPE, text=True) for _ in range(2))
    neighbour = bench.cluster(name="neighbour").present()
    answers = [process.communicate(timeout=120)[0].split()[-1] for process in (first, second)]
    assert sorted(answers) == ["False", "True"]
    assert neighbour.cluster["state"] == "running"
    records = [_dev_cluster_state.Folder(str(bench.state), name).read() for name in ("dev", "neighbour")]
    ports = [port for record in records if record for port in record.extra["ports"].values()]
    assert len(ports) == len(set(ports)) == 14


def test_a_program_that_does_not_start_is_named_with_what_it_said(bench: Bench) -> None:
    with pytest.raises(
        HubspokeError, match=r"kube-apiserver .* ended by itself, and said: Error: unknown flag: --no-such"
    ):
        bench.cluster(api_server_args={"no-such-argument": "1"}).present()
    assert bench.cluster().info()["state"] == "half-made"

    # One that only lost patience with a slow API server is started again.
    path, marker = bench.state.parent / "metrics-server", bench.state.parent / "once"
    path.write_text(
        f"""#!/bin/bash
[ "$1" = --version ] && exec {bench.tools["metrics-server"]} --version
[ -e {marker} ] || {{ touch {marker}; echo "Error: connection refused"; exit 1; }}
exec -a "$0" {bench.tools["metrics-server"]} "$@"
"""
    )
    path.chmod(0o755)
    bench.tools = {**bench.tools, "metrics-server": str(path)}
    assert bench.both("present").changed
    assert marker.exists()
    assert len(processes(str(bench.state))) == COMPONENTS


@pytest.mark.parametrize("check", [False, True])
def test_a_version_that_the_programs_are_not(bench: Bench, check: bool) -> None:
    with pytest.raises(HubspokeError, match=r"cluster_version v1\.20\.0 is not available for kwok.*v\d"):
        bench.cluster(check=check, version="v1.20.0").present()
    bench.leaves_nothing()


def test_a_program_that_is_missing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    bench.tools = {name: path for name, path in bench.tools.items() if name != "etcd"} | {"kwok": "/nowhere/kwok"}
    with pytest.raises(HubspokeError, match=r"needs /nowhere/kwok(, etcd)?|needs etcd"):
        bench.cluster().present()
    # In check mode what is promised may yet come.
    bench.tools["etcd"] = "/nowhere/etcd"
    assert bench.cluster(check=True).present().changed
    bench.leaves_nothing()


def _pid(bench: Bench, program: str) -> int:
    found = [pid for pid, command in processes(str(bench.state)).items() if command[0].endswith(f"/{program}")]
    return found[0] if found else 0


# Through Ansible


def test_both_ways_of_running_say_the_same(
    run_module: t.Callable[..., dict[str, t.Any]], cluster: dict[str, t.Any], tools: dict[str, str]
) -> None:
    state = str(pathlib.Path(cluster["kubeconfig"]).parents[2])
    arguments = {"name": cluster["name"], "state_dir": state, "tools": tools}
    found = [run_module("dev_cluster_info", arguments, in_process=where)["cluster"] for where in (True, False)]
    assert found[0] == found[1]
    assert found[0] | {"reason": ""} == cluster | {"reason": ""}
    again = [run_module("dev_cluster", arguments, in_process=where) for where in (True, False)]
    assert [(result["changed"], result["cluster"]) for result in again] == [(False, found[0])] * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"provider": "minikube"}, "provider must be one of: auto, k3d, kind, kwok"),
        ({"agents": "many"}, "agents"),
        ({"ports": [{"host_port": 80}]}, "container_port"),
        ({"name": "Dev_1"}, "cluster_name"),
        ({"version": "latest"}, "cluster_version"),
        ({"provider": "kwok", "servers": 3}, "cluster_servers"),
    ],
)
def test_bad_input(
    run_module: t.Callable[..., dict[str, t.Any]], tmp_path: pathlib.Path, arguments: dict[str, t.Any], message: str
) -> None:
    state = tmp_path / "state"
    result = run_module("dev_cluster", {"name": "dev", "state_dir": str(state), **arguments})
    assert not list(state.rglob("*"))
    assert message in result["msg"]


def test_an_unusable_state_folder(run_module: t.Callable[..., dict[str, t.Any]]) -> None:
    for check in (True, False):
        result = run_module("dev_cluster", {"name": "dev", "state_dir": "/dev/null/state"}, check=check)
        assert "hubspoke_state_dir" in result["msg"]


FACTS = ("kubeconfig", "context", "present", "provider_used", "simulated", "address", "hub_address")


def _role(play: t.Callable[..., t.Any], variables: dict[str, t.Any], *arguments: str, tasks: str = "main") -> t.Any:
    facts = {"ansible.builtin.debug": {"msg": {name: f"{{{{ cluster_{name} | default(none) }}}}" for name in FACTS}}}
    role = {"ansible.builtin.include_role": {"name": "hubspoke.bootstrap.dev_cluster", "tasks_from": tasks}}
    tasks_ = [{"name": "role", **role}, {"name": "facts", **facts}]
    return play([{"hosts": "all", "gather_facts": False, "vars": variables, "tasks": tasks_}], *arguments)


def test_the_role_from_nothing_to_nothing(play: t.Callable[..., t.Any], bench: Bench) -> None:
    variables = {
        "cluster_name": "dev",
        "cluster_provider": "kwok",
        "cluster_kubeconfig_export": str(bench.state.parent / "export/config"),
        "cluster_ports": [{"host_port": 80, "container_port": 80}],
        "hubspoke_state_dir": str(bench.state),
        "dev_cluster_tools": bench.tools,
    }
    predicted = _role(play, variables, "--check")
    assert predicted.code == 0, predicted.output
    assert predicted.result("facts")["msg"]["present"] is False
    assert not bench.state.exists()

    done = _role(play, variables)
    facts = done.result("facts")["msg"]
    assert facts == {
        "kubeconfig": str(bench.path("kubeconfig")),
        "context": "kwok-dev",
        "present": True,
        "provider_used": "kwok",
        "simulated": True,
        "address": facts["address"],
        "hub_address": facts["address"],
    }
    assert "cluster_ports has no effect with kwok" in done.output
    for options, tasks in ((("--check",), "main"), ((), "main"), ((), "connection")):
        again = _role(play, variables, *options, tasks=tasks)
        assert again.result("facts")["msg"] == facts
        assert "changed=0" in again.output
    adopted = _role(play, {**variables, "cluster_provider": "auto", "cluster_state": "adopted"})
    assert adopted.result("facts")["msg"] == facts

    assert "changed=0" in _role(play, {**variables, "cluster_state": "adopted"}, tasks="absent").output
    assert "changed=1" in _role(play, variables, tasks="absent").output
    assert "changed=0" in _role(play, variables, tasks="absent").output
    bench.leaves_nothing()
    assert not (bench.state.parent / "export/config").exists()
    # A status of nothing is no error, but to adopt nothing is.
    assert _role(play, variables, tasks="connection").result("facts")["msg"]["present"] is False
    lost = _role(play, {**variables, "cluster_state": "adopted"})
    assert lost.code != 0
    assert "it is absent" in lost.output


def test_the_role_on_a_cluster_that_something_else_made(play: t.Callable[..., t.Any], kubeconfig: str) -> None:
    variables = {
        "cluster_provider": "existing",
        "cluster_kubeconfig": kubeconfig,
        "cluster_hub_address": "https://hub.test",
    }
    facts = _role(play, variables).result("facts")["msg"]
    assert (facts["present"], facts["provider_used"], facts["simulated"]) == (True, "existing", False)
    assert (facts["kubeconfig"], facts["hub_address"]) == (kubeconfig, "https://hub.test")
    assert facts["address"].startswith("https://127.0.0.1:")
    assert "changed=0" in _role(play, variables, tasks="absent").output
    wrong = _role(play, {**variables, "cluster_context": "other"})
    assert "does not have context other. Set cluster_context" in wrong.output
    missing = _role(play, {**variables, "cluster_kubeconfig": "/nowhere"})
    assert "/nowhere, which is no kubeconfig" in missing.output


@pytest.fixture(autouse=True)
def _own_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here needs an engine, or should find one."""
    with contextlib.suppress(KeyError):
        monkeypatch.delenv("DOCKER_HOST")
