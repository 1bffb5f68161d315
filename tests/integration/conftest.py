# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What integration tests share: running modules and playbooks as a user does, and one real API server."""

from __future__ import annotations

import dataclasses
import json
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
import yaml
from hubs import Hub

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube

ROOT = pathlib.Path(__file__).parents[2]
STATE = ROOT / ".state/tests"
"""A folder for each run of the tests, named by its process."""
COLLECTIONS = (ROOT / ".venv/collections", pathlib.Path(__file__).parent / "fixtures/collections")


@dataclasses.dataclass
class Run:
    """One run of ansible-playbook."""

    code: int
    output: str
    """What the user sees: standard output and error."""
    lines: list[dict[str, t.Any]]
    """host, task, status and result of every task, in the order of their ends."""

    def result(self, task: str, host: str | None = None) -> dict[str, t.Any]:
        """The result of the one task of that name."""
        found = [line for line in self.lines if line["task"] == task and host in (None, line["host"])]
        assert len(found) == 1, f"{task}: {len(found)} results. {self.output}"
        return t.cast("dict[str, t.Any]", found[0]["result"])


class Result(dict[str, t.Any]):
    """A module's result, and what was shown while it ran."""

    output = ""


def ansible_environment(folder: pathlib.Path) -> dict[str, str]:
    """The caller's environment without what would reach into a test, with Ansible's own files in a folder."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ANSIBLE_", "K8S_AUTH_", "KUBE", "KWOK_", "ARGOCD_", "AWS_ENDPOINT"))
    }
    return {
        **kept,
        "PATH": f"{pathlib.Path(sys.executable).parent}:{kept.get('PATH', '')}",
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_HOME": str(folder / "ansible-home"),
        "ANSIBLE_REMOTE_TMP": str(folder / "ansible-home/tmp"),
        "ANSIBLE_ASYNC_DIR": str(folder / "ansible-home/async"),
        "ANSIBLE_COLLECTIONS_PATH": ":".join(map(str, COLLECTIONS)),
        "ANSIBLE_CALLBACKS_ENABLED": "hubspoke_tests.probe.record",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_FORKS": "4",
        "PYTHONWARNINGS": "ignore",
    }


def run_playbook(
    folder: pathlib.Path,
    playbook: pathlib.Path | str | list[dict[str, t.Any]],
    *arguments: str,
    inventory: str | None = None,
    environment: t.Mapping[str, str] | None = None,
    timeout: float = 300,
) -> Run:
    """Run a playbook, given by path, by name or as the data that it would hold.

    :arg inventory: A path or host list; by default one local host named `cluster`.
    """
    # Not where the playbook is, as users are not there either.
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir(parents=True, exist_ok=True)
    if isinstance(playbook, list):
        path = folder / "playbook.json"
        path.write_text(json.dumps(playbook))
        playbook = path
    if inventory is None:
        inventory = str(folder / "inventory.json")
        hosts = {"cluster": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}}
        pathlib.Path(inventory).write_text(json.dumps({"all": {"hosts": hosts}}))
    record = folder / "record.jsonl"
    record.unlink(missing_ok=True)
    # -vvv, so that results hold their invocation.
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", str(playbook), "-i", inventory, *arguments],
        cwd=elsewhere,
        env={
            **ansible_environment(folder),
            "RECORD_PATH": str(record),
            "ANSIBLE_VERBOSITY": "3",
            **(environment or {}),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    lines = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
    return Run(done.returncode, done.stdout, lines)


def free_ports(count: int) -> int:
    """The first of some ports in a row that nobody uses, below those of scenarios, which may begin any moment.

    Every process begins its search at a place of its own.
    """
    begin = os.getpid() * 50 % 4000
    for offset in range(0, 4000, 50):
        base = 20000 + (begin + offset) % 4000
        sockets = []
        try:
            for port in range(base, base + count):
                sockets.append(socket.create_server(("127.0.0.1", port)))
        except OSError:
            continue
        else:
            return base
        finally:
            for each in sockets:
                each.close()
    raise AssertionError("no free ports")


@pytest.fixture
def play(tmp_path: pathlib.Path) -> t.Callable[..., Run]:
    """Run a playbook in a folder of the test's own: play(playbook, *arguments, inventory=, environment=)."""

    def run(*arguments: t.Any, **options: t.Any) -> Run:
        return run_playbook(tmp_path / "play", *arguments, **options)

    return run


@pytest.fixture
def other_python(tmp_path: pathlib.Path) -> str:
    """The same Python under a name that Ansible cannot know to be the same: modules run as subprocesses."""
    return make_other_python(tmp_path)


def make_other_python(folder: pathlib.Path) -> str:
    """See other_python."""
    path = folder / "other-python"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def run_module(play: t.Callable[..., Run], other_python: str) -> t.Callable[..., Result]:
    """Run one module through ansible-core: run_module(name, {arguments}, check=, in_process=, keywords={}).

    Returns the result, failed or not, with all that was shown as its attribute `output`.
    """

    def run(
        name: str,
        arguments: dict[str, t.Any] | None = None,
        *,
        check: bool = False,
        in_process: bool = True,
        keywords: dict[str, t.Any] | None = None,
        **options: t.Any,
    ) -> Result:
        full_name = name if "." in name else f"hubspoke.bootstrap.{name}"
        task = {"name": "the task", full_name: arguments or {}, **(keywords or {})}
        variables = {} if in_process else {"ansible_python_interpreter": other_python}
        done = play(
            [{"hosts": "all", "gather_facts": False, "vars": variables, "tasks": [task]}],
            "--diff",
            *(["--check"] if check else []),
            **options,
        )
        result = Result(done.result("the task"))
        result.output = done.output
        return result

    return run


def pytest_configure(config: pytest.Config) -> None:
    """Let a terminated run still delete its cluster."""
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated", 143))


def _module(folder: pathlib.Path, name: str, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
    """Run one module that must succeed."""
    task = {"name": name, f"hubspoke.bootstrap.{name}": arguments}
    done = run_playbook(folder, [{"hosts": "all", "gather_facts": False, "tasks": [task]}], timeout=3600)
    if done.code != 0:
        pytest.fail(f"{name} failed: {done.lines and done.lines[-1]['result'].get('msg')}\n{done.output[-4000:]}")
    return done.result(name)


def _delete_clusters(folder: pathlib.Path, tools: dict[str, str], state: pathlib.Path) -> None:
    for cluster in state.glob("clusters/*"):
        arguments = {"name": cluster.name, "state": "absent", "state_dir": str(state), "tools": tools}
        _module(folder, "dev_cluster", arguments)
    shutil.rmtree(state, ignore_errors=True)


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Paths of the real binaries and release files, by name; made ready if they are not."""
    result: dict[str, str] = _module(tmp_path_factory.mktemp("tools"), "toolchain", {})["tools"]
    return result


@pytest.fixture(scope="session")
def kubectl(tools: dict[str, str]) -> str:
    """Path of kubectl."""
    return tools["kubectl"]


@pytest.fixture(scope="session")
def cluster(tools: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[dict[str, t.Any]]:
    """One real API server with simulated nodes, as module dev_cluster returns it; deleted at the end."""
    folder = tmp_path_factory.mktemp("cluster")
    for left in STATE.glob("*"):
        # Of runs that were killed.
        if not pathlib.Path("/proc", left.name).exists():
            _delete_clusters(folder, tools, left)
    state = STATE / str(os.getpid())
    arguments = {"name": f"test-{os.getpid()}", "provider": "kwok", "state_dir": str(state), "tools": tools}
    try:
        yield _module(folder, "dev_cluster", arguments)["cluster"]
    finally:
        _delete_clusters(folder, tools, state)


@pytest.fixture(scope="session")
def kubeconfig(cluster: dict[str, t.Any]) -> str:
    """Path of that cluster's kubeconfig."""
    return str(cluster["kubeconfig"])


@pytest.fixture(scope="session")
def spoke_kubeconfig(cluster: dict[str, t.Any], tools: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Path of the kubeconfig of a second cluster, deleted with the first."""
    arguments = {"name": f"{cluster['name']}-spoke", "provider": "kwok", "tools": tools}
    state = {"state_dir": str(STATE / str(os.getpid()))}
    return str(_module(tmp_path_factory.mktemp("spoke"), "dev_cluster", arguments | state)["cluster"]["kubeconfig"])


@pytest.fixture(scope="session")
def definitions(kubeconfig: str, tools: dict[str, str]) -> None:
    """Argo CD's own, from its release."""
    found = [
        item
        for item in yaml.safe_load_all(pathlib.Path(tools["argocd-install"]).read_text())
        if item["kind"] == "CustomResourceDefinition"
    ]
    assert len(found) == 3
    command = [tools["kubectl"], "--kubeconfig", kubeconfig]
    apply = [*command, "apply", "--server-side", "--force-conflicts", "--filename=-"]
    subprocess.run(apply, input=yaml.safe_dump_all(found), text=True, check=True, capture_output=True)
    kube, deadline = Kube.from_params({"kubeconfig": kubeconfig}), time.monotonic() + 30
    while len((kube.get_path("/apis/argoproj.io/v1alpha1") or {}).get("resources", [])) < len(found):
        assert time.monotonic() < deadline, "Argo CD's definitions are not served"
        time.sleep(0.1)


@pytest.fixture
def hub(kubeconfig: str, kubectl: str, definitions: None) -> t.Iterator[Hub]:
    """A namespace of Argo CD's on the first cluster."""
    made = Hub(kubeconfig, kubectl)
    made.kubectl("create", "namespace", made.namespace)
    made.kubectl("-n", made.namespace, "create", "configmap", "argocd-cm")
    yield made
    for item in made.kube.list("argoproj.io/v1alpha1", "Application", made.namespace):
        made.kube.merge(f"{made.path('applications')}/{item['metadata']['name']}", {"metadata": {"finalizers": None}})
    made.kubectl("delete", "namespace", made.namespace, "--wait=false")
