# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Roles argocd and local_controllers: the real Argo CD on a real API server, from nothing to an Application."""

from __future__ import annotations

import base64
import hashlib
import os
import pathlib
import signal
import subprocess
import time
import typing as t
import urllib.error
import urllib.request

import pytest
import yaml

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _process_table
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_settings import CHECKSUM, HEALTH_KEY
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_processes import LocalProcesses
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._supervisor_files import MARK

from .conftest import STATE, Run, _module, free_ports, run_playbook

COMPONENTS = {
    "argocd-redis",
    "argocd-server",
    "argocd-repo-server",
    "argocd-application-controller",
    "argocd-applicationset-controller",
}
TOKEN = "hunter2-hunter2-hunter2"


def until(check: t.Callable[[], t.Any], what: str, seconds: float = 60) -> t.Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = check()
        if found:
            return found
        time.sleep(0.2)
    pytest.fail(f"not within {seconds} s: {what}")


class Hub:
    """A cluster with simulated nodes, and the two roles on it."""

    def __init__(self, cluster: dict[str, t.Any], folder: pathlib.Path) -> None:
        self.kube = Kube.from_params({"kubeconfig": cluster["kubeconfig"]})
        self.folder = folder
        self.directory = folder / "state/processes" / cluster["name"]
        self.port = free_ports(10)
        self.processes = LocalProcesses(str(self.directory), "test")
        self.variables = {
            "cluster_name": cluster["name"],
            "cluster_kubeconfig": cluster["kubeconfig"],
            "cluster_context": cluster["context"],
            "cluster_present": True,
            "cluster_simulated": True,
            "hubspoke_state_dir": str(folder / "state"),
            "local_controllers_port_base": self.port,
            "argocd_config": {"application.instanceLabelKey": "example.com/instance"},
        }

    def run(self, *arguments: str, roles: tuple[str, ...] = ("argocd", "local_controllers"), **variables: t.Any) -> Run:
        """The roles as a play has them; -vvv, so that everything is seen that can be."""
        return self.play([{"role": f"hubspoke.bootstrap.{role}"} for role in roles], *arguments, **variables)

    def part(self, role: str, tasks_from: str, *arguments: str, **variables: t.Any) -> Run:
        task = {"ansible.builtin.include_role": {"name": f"hubspoke.bootstrap.{role}", "tasks_from": tasks_from}}
        return self.play([], *arguments, tasks=[task], **variables)

    def settings(self, *arguments: str, **variables: t.Any) -> Run:
        """Only the settings, which is quicker."""
        return self.run(*arguments, roles=("argocd",), argocd_install=False, **variables)

    def play(self, roles: list[t.Any], *arguments: str, tasks: t.Any = (), **variables: t.Any) -> Run:
        defaults = {"kubeconfig": "{{ cluster_kubeconfig }}", "context": "{{ cluster_context }}"}
        play = {
            "name": "Hub",
            "hosts": "all",
            "gather_facts": False,
            "module_defaults": {"group/hubspoke.bootstrap.all": defaults},
            "vars": {**self.variables, **variables},
            "roles": roles,
            "tasks": list(tasks),
        }
        return run_playbook(self.folder / "play", [play], "--diff", *arguments)

    def data(self, kind: str, name: str) -> dict[str, str]:
        return dict((self.kube.get("v1", kind, name, "argocd") or {}).get("data") or {})

    def report(self) -> dict[str, dict[str, t.Any]]:
        return {process["name"]: process for process in self.processes.report(5)["processes"]}

    def pids(self) -> dict[str, int]:
        return {name: process["pid"] for name, process in self.report().items()}


@pytest.fixture(scope="module")
def make_hub(tools: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[t.Callable[..., Hub]]:
    folder = tmp_path_factory.mktemp("argocd")
    state = STATE / str(os.getpid())
    made: list[Hub] = []

    def make(name: str, agents: int = 1) -> Hub:
        arguments = {"name": f"{name}-{os.getpid()}", "provider": "kwok", "state_dir": str(state), "tools": tools}
        arguments["agents"] = agents
        made.append(Hub(_module(folder / name, "dev_cluster", arguments)["cluster"], folder / name))
        return made[-1]

    try:
        yield make
    finally:
        for hub in made:
            hub.part("local_controllers", "absent")
            arguments = {
                "name": hub.variables["cluster_name"],
                "state": "absent",
                "state_dir": str(state),
                "tools": tools,
            }
            _module(hub.folder, "dev_cluster", arguments)


@pytest.fixture(scope="module")
def hub(make_hub: t.Callable[..., Hub]) -> Hub:
    return make_hub("hub")


def ok(run: Run) -> Run:
    assert run.code == 0, run.output[-6000:]
    return run


def changes(run: Run) -> dict[str, dict[str, t.Any]]:
    return {line["task"]: line["result"] for line in run.lines if line["result"].get("changed")}


def name_of(task: str) -> str:
    """A task without the name of its role."""
    return task.rpartition(" : ")[2]


@pytest.fixture(scope="module")
def installed(hub: Hub) -> dict[str, Run]:
    """From an empty cluster: first predicted, then done, then done again."""
    return {
        "predicted": ok(hub.run("--check")),
        "done": ok(hub.run()),
        "again": ok(hub.run()),
        "checked": ok(hub.run("--check")),
    }


def test_check_mode_before_there_is_a_cluster_passes(hub: Hub, tmp_path: pathlib.Path) -> None:
    nowhere = str(tmp_path / "no/kubeconfig")
    run = ok(hub.run("--check", cluster_present=False, cluster_kubeconfig=nowhere))
    changed = {name_of(task) for task in changes(run)}
    assert {"Apply the manifests", "Apply the settings", "Keep Argo CD running"} <= changed


def test_check_mode_predicts_the_first_run(installed: dict[str, Run]) -> None:
    predicted, done = changes(installed["predicted"]), changes(installed["done"])
    manifests = next(task for task in done if name_of(task) == "Apply the manifests")
    assert predicted[manifests]["summary"] == done[manifests]["summary"]
    assert predicted[manifests]["summary"]["created"] > 50
    processes = next(task for task in done if name_of(task) == "Keep Argo CD running")
    names = [
        {process["name"]: process["action"] for process in side[processes]["processes"]} for side in (predicted, done)
    ]
    assert names[0] == names[1] == dict.fromkeys(COMPONENTS, "start")


def test_a_second_run_changes_nothing(installed: dict[str, Run]) -> None:
    assert changes(installed["again"]) == {}
    assert changes(installed["checked"]) == {}


def test_no_secret_was_shown(hub: Hub, installed: dict[str, Run]) -> None:
    secrets = [
        base64.b64decode(value).decode()
        for name in ("argocd-redis", "argocd-secret", "argocd-initial-admin-secret")
        for value in hub.data("Secret", name).values()
    ]
    assert len(secrets) >= 5
    for run in installed.values():
        assert not [
            secret
            for secret in secrets
            if secret in run.output or base64.b64encode(secret.encode()).decode() in run.output
        ]
    arguments = [" ".join(process.argv) for process in _process_table.table()]
    assert not [secret for secret in secrets if any(secret in line for line in arguments)]


def test_all_processes_work(hub: Hub, installed: dict[str, Run]) -> None:
    report = hub.report()
    assert set(report) == COMPONENTS
    assert {name: process["lacks"] for name, process in report.items()} == dict.fromkeys(COMPONENTS, "")


def test_everything_listens_on_loopback_only(hub: Hub, installed: dict[str, Run]) -> None:
    ours = [process.pid for process in _process_table.table() if process.has_environment(MARK, str(hub.directory))]
    listeners = _process_table.listeners([*ours, *hub.pids().values()])
    assert {listener.port for listener in listeners} >= {hub.port + distance for distance in (0, 1, 2, 3, 4, 5, 6, 9)}
    assert {listener.port for listener in listeners} <= {hub.port + distance for distance in range(10)}
    assert [str(listener) for listener in listeners if not listener.loopback] == []


def test_authentication_is_on(hub: Hub, installed: dict[str, Run]) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{hub.port}/api/v1/applications", timeout=5)
    assert refused.value.code == 401


def test_nothing_is_written_where_others_look(hub: Hub, installed: dict[str, Run]) -> None:
    for name, pid in hub.pids().items():
        if name != "argocd-redis":
            environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
            values = dict(line.partition("=")[::2] for line in environment if line)
            for variable in ("HOME", "TMPDIR", "KUBECONFIG", "KUBECACHEDIR"):
                assert values[variable].startswith(str(hub.directory)), f"{name}: {variable}"
    for path in hub.directory.rglob("*"):
        assert path.is_symlink() or path.is_socket() or not path.stat().st_mode & 0o077, path


MANIFESTS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: hello}
data: {greeting: GREETING}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: example.com/web}]}
"""


@pytest.fixture(scope="module")
def repository(hub: Hub) -> pathlib.Path:
    path = hub.folder / "repository"
    (path / "app").mkdir(parents=True)
    git(path, "init", "--quiet", "--initial-branch=main")
    commit(path, "one")
    return path


def git(path: pathlib.Path, *arguments: str) -> None:
    settings = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *settings, *arguments], cwd=path, check=True, capture_output=True)


def commit(path: pathlib.Path, greeting: str) -> None:
    (path / "app/all.yaml").write_text(MANIFESTS.replace("GREETING", greeting))
    git(path, "add", "--all")
    git(path, "commit", "--quiet", "--message", greeting)


def application(hub: Hub) -> dict[str, t.Any]:
    return hub.kube.get("argoproj.io/v1alpha1", "Application", "demo", "argocd") or {}


def is_healthy(hub: Hub) -> bool:
    status = application(hub).get("status", {})
    return bool(
        status.get("sync", {}).get("status") == "Synced" and status.get("health", {}).get("status") == "Healthy"
    )


def test_an_application_becomes_healthy(hub: Hub, installed: dict[str, Run], repository: pathlib.Path) -> None:
    hub.kube.apply(
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": "demo", "namespace": "argocd"},
            "spec": {
                "project": "default",
                "source": {"repoURL": f"file://{repository}", "path": "app", "targetRevision": "main"},
                "destination": {"server": "https://kubernetes.default.svc", "namespace": "demo"},
                "syncPolicy": {"automated": {}, "syncOptions": ["CreateNamespace=true"]},
            },
        },
        "test",
    )
    until(lambda: is_healthy(hub), "Synced and Healthy")


def test_a_killed_process_comes_back_and_works(hub: Hub, installed: dict[str, Run], repository: pathlib.Path) -> None:
    before = hub.pids()
    os.kill(before["argocd-repo-server"], signal.SIGKILL)
    commit(repository, "two")
    until(lambda: hub.pids()["argocd-repo-server"] not in (None, before["argocd-repo-server"]), "a new process")
    until(lambda: hub.report()["argocd-repo-server"]["works"], "it works")
    assert {**hub.pids(), "argocd-repo-server": 0} == {**before, "argocd-repo-server": 0}
    hub.kube.merge(
        hub.kube.resource("argoproj.io/v1alpha1", "Application").path("argocd", "demo"),
        {"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}},
    )

    def greeting() -> str:
        found = hub.kube.get("v1", "ConfigMap", "hello", "demo") or {}
        return str(found.get("data", {}).get("greeting"))

    until(lambda: greeting() == "two", "the new commit is applied")
    assert changes(ok(hub.run())) == {}


def test_a_setting_restarts_what_reads_it_and_leaves_others_entries(hub: Hub, installed: dict[str, Run]) -> None:
    path = hub.kube.resource("v1", "ConfigMap").path("argocd", "argocd-cmd-params-cm")
    hub.kube.merge(path, {"data": {"controller.status.processors": "7"}})
    ok(hub.run())  # the entry of somebody else reaches the process that reads it
    before = hub.pids()
    variables = {
        "argocd_install": False,
        "argocd_params": {"reposerver.log.level": "debug"},
        "argocd_rbac": {"policy.default": "role:readonly"},
    }
    predicted, done = ok(hub.run("--check", **variables)), ok(hub.run(**variables))
    for run in (predicted, done):
        processes = next(result for task, result in changes(run).items() if name_of(task) == "Apply the settings")
        assert processes["summary"]["configured"] == 3, "two ConfigMaps, one workload"
    after = hub.pids()
    assert {name for name in before if before[name] != after[name]} == {"argocd-repo-server"}
    environment = pathlib.Path(f"/proc/{after['argocd-repo-server']}/environ").read_text()
    assert "ARGOCD_REPO_SERVER_LOGLEVEL=debug" in environment
    assert hub.data("ConfigMap", "argocd-cmd-params-cm") == {
        "controller.status.processors": "7",
        "reposerver.log.level": "debug",
    }
    repo_server = hub.kube.get("apps/v1", "Deployment", "argocd-repo-server", "argocd")
    assert repo_server
    assert CHECKSUM in repo_server["spec"]["template"]["metadata"]["annotations"]
    assert changes(ok(hub.run(**variables))) == {}
    ok(hub.run(argocd_install=False))
    assert hub.data("ConfigMap", "argocd-cmd-params-cm") == {"controller.status.processors": "7"}
    assert hub.data("ConfigMap", "argocd-rbac-cm") == {}
    config = hub.data("ConfigMap", "argocd-cm")
    assert config["application.instanceLabelKey"] == "example.com/instance"
    assert "obj.status.health" in config[HEALTH_KEY]
    assert "resource.exclusions" in config, "the release's own entries"


def test_repositories_come_and_go_and_are_never_shown(hub: Hub, installed: dict[str, Run]) -> None:
    url = "https://git.example.com/apps.git"
    by_hand = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "by-hand",
            "namespace": "argocd",
            "labels": {"argocd.argoproj.io/secret-type": "repository"},
        },
        "stringData": {"url": "https://git.example.com/known", "type": "git"},
    }
    hub.kube.request("POST", hub.kube.resource("v1", "Secret").path("argocd"), by_hand)
    variables: dict[str, t.Any] = {
        "argocd_repositories": [
            {"url": url, "token": TOKEN},
            {"url": "https://git.example.com/known.git", "username": "u", "password": TOKEN},
        ],
        "argocd_repository_credentials": [{"url": "git@git.example.com:", "ssh_private_key": TOKEN}],
        "argocd_projects": [{"name": "team", "spec": {"sourceRepos": [url], "destinations": []}}],
    }
    runs = [ok(hub.settings(*flags, **variables)) for flags in (["--check"], [], [])]
    assert changes(runs[0]).keys() == changes(runs[1]).keys() != set()
    assert changes(runs[2]) == {}
    secrets = {
        secret["metadata"]["name"]: secret
        for secret in hub.kube.list("v1", "Secret", "argocd", "argocd.argoproj.io/secret-type")
    }
    assert len(secrets) == 3
    assert base64.b64decode(secrets["by-hand"]["data"]["password"]).decode() == TOKEN
    assert hub.kube.get("argoproj.io/v1alpha1", "AppProject", "team", "argocd")
    changed = {**variables, "argocd_repositories": [{"url": url, "token": f"{TOKEN}-new"}]}
    runs.append(ok(hub.settings(**changed)))
    assert "<redacted, changed>" in runs[-1].output
    runs.append(ok(hub.settings()))
    assert not hub.kube.list("v1", "Secret", "argocd", "argocd.argoproj.io/secret-type")
    assert hub.kube.get("argoproj.io/v1alpha1", "AppProject", "team", "argocd"), "projects stay"
    for run in runs:
        for hidden in (TOKEN, base64.b64encode(TOKEN.encode()).decode()):
            assert hidden not in run.output


def test_the_initial_password_can_be_deleted(hub: Hub, installed: dict[str, Run]) -> None:
    assert "password" in hub.data("Secret", "argocd-initial-admin-secret")
    wanted = {"argocd_initial_admin_secret": "delete"}
    runs = [ok(hub.part("argocd", "initial_admin_secret", *flags, **wanted)) for flags in (["--check"], [])]
    assert [bool(changes(run)) for run in runs] == [True, True]
    assert changes(ok(hub.run(**wanted))) == {}, "once gone it stays away"
    assert hub.kube.get("v1", "Secret", "argocd-initial-admin-secret", "argocd") is None


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        pytest.param({"argocd_version": "v9.9.9"}, ["v9.9.9", "not pinned", "v3.5.7", "v3.5.6"], id="version"),
        pytest.param({"argocd_variant": "tiny"}, ["argocd_variant", "standard, core, ha"], id="variant"),
        pytest.param({"argocd_manifest": "MANIFEST"}, ["argocd_manifest_checksum is empty"], id="no checksum"),
        pytest.param(
            {"argocd_manifest": "MANIFEST", "argocd_manifest_checksum": "sha256:" + "0" * 64},
            ["has the checksum sha256:", "argocd_manifest_checksum"],
            id="wrong checksum",
        ),
        pytest.param(
            {"argocd_manifest": "MANIFEST", "argocd_manifest_checksum": "RIGHT"},
            ["bad.yaml, line 1", "not YAML"],
            id="no YAML",
        ),
        pytest.param(
            {"argocd_repositories": [{"url": "https://g.example.com/x", "token": TOKEN, "ssh_private_key": TOKEN}]},
            ["argocd_repositories: https://g.example.com/x", "token and ssh_private_key"],
            id="two credentials",
        ),
        pytest.param({"argocd_version": "v3.5.6"}, ["v3.5.7", "argocd_allow_downgrade"], id="downgrade"),
        pytest.param({"argocd_namespace": "cd"}, ["installed in namespace argocd already"], id="a second one"),
    ],
)
def test_bad_input_ends_in_one_message_before_anything_is_changed(
    hub: Hub, installed: dict[str, Run], tmp_path: pathlib.Path, variables: dict[str, t.Any], words: list[str]
) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("a: b: c")
    known = {"MANIFEST": str(bad), "RIGHT": f"sha256:{hashlib.sha256(bad.read_bytes()).hexdigest()}"}
    given = {name: known.get(value, value) if isinstance(value, str) else value for name, value in variables.items()}
    run = hub.run(roles=("argocd",), **given)
    assert run.code != 0
    assert changes(run) == {}
    failures = [line["result"]["msg"] for line in run.lines if line["status"] == "failed"]
    assert len(failures) == 1
    for word in words:
        assert word in failures[0]
    assert TOKEN not in run.output


def image(hub: Hub) -> str:
    server = hub.kube.get("apps/v1", "Deployment", "argocd-server", "argocd")
    assert server
    return str(server["spec"]["template"]["spec"]["containers"][0]["image"])


def test_an_upgrade_is_shown_first_and_then_made(hub: Hub, installed: dict[str, Run]) -> None:
    ok(hub.run(roles=("argocd",), argocd_version="v3.5.6", argocd_allow_downgrade=True))
    assert image(hub).endswith(":v3.5.6")
    shown = ok(hub.run("--check", roles=("argocd",)))
    assert image(hub).endswith(":v3.5.6")
    assert "Argo CD v3.5.6 (standard) in namespace argocd becomes v3.5.7." in shown.output
    difference = next(
        result["diff"] for task, result in changes(shown).items() if name_of(task) == "Apply the manifests"
    )
    server = next(entry for entry in difference if entry["before_header"] == "Deployment argocd/argocd-server")
    assert "argocd:v3.5.6" in server["before"]
    assert "argocd:v3.5.7" in server["after"]
    done = ok(hub.run(roles=("argocd",)))
    assert image(hub).endswith(":v3.5.7")
    assert {line["object"] for line in summary(shown)} == {line["object"] for line in summary(done)}
    assert changes(ok(hub.run(roles=("argocd",)))) == {}


def summary(run: Run) -> list[dict[str, t.Any]]:
    applied = next(result for task, result in changes(run).items() if name_of(task) == "Apply the manifests")
    return [
        {"object": f"{entry['kind']}/{entry['name']}"} for entry in applied["objects"] if entry["action"] != "unchanged"
    ]


def test_teardown_leaves_nothing(hub: Hub, installed: dict[str, Run]) -> None:
    pids = {*hub.pids().values()}
    status = ok(hub.part("local_controllers", "status"))
    assert {process["name"] for process in status.result("See how the controllers are")["processes"]} >= COMPONENTS
    predicted = ok(hub.part("local_controllers", "absent", "--check"))
    assert pids <= {process.pid for process in _process_table.table()}
    done = ok(hub.part("local_controllers", "absent"))
    assert len(changes(predicted)) == len(changes(done)) == 1
    living = _process_table.table()
    assert not pids & {process.pid for process in living}
    assert not [process for process in living if process.has_environment(MARK, str(hub.directory))]
    assert not hub.directory.exists()
    assert changes(ok(hub.part("local_controllers", "absent"))) == {}


def test_one_that_another_tool_installed_is_reported_left_or_taken_over(
    make_hub: t.Callable[..., Hub], tools: dict[str, str]
) -> None:
    hub = make_hub("adopted")
    foreign = as_helm_does(pathlib.Path(tools["argocd-install"]).read_text())
    hub.kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "argocd"}}, "helm")
    for item in foreign:
        hub.kube.apply(item, "helm")

    refused = hub.run(roles=("argocd",))
    assert refused.code != 0
    assert changes(refused) == {}
    failure = next(line["result"]["msg"] for line in refused.lines if line["status"] == "failed")
    assert "Argo CD v3.5.7 (standard) in namespace argocd was installed by Helm release cd. Set argocd_adopt" in failure

    left = ok(hub.run(roles=("argocd",), argocd_install=False))
    assert [name_of(task) for task in changes(left)] == ["Apply the settings"]
    assert hub.data("ConfigMap", "argocd-cm")["application.instanceLabelKey"] == "example.com/instance"

    predicted = ok(hub.run("--check", roles=("argocd",), argocd_adopt=True))
    done = ok(hub.run(roles=("argocd",), argocd_adopt=True))
    assert {name_of(task) for task in changes(predicted)} == {name_of(task) for task in changes(done)}
    assert "is taken over and becomes v3.5.7" in predicted.output
    server = hub.kube.get("apps/v1", "Deployment", "argocd-server", "argocd")
    assert server
    assert server["spec"]["selector"]["matchLabels"] == {"app.kubernetes.io/name": "argocd-server"}
    assert changes(ok(hub.run(roles=("argocd",)))) == {}, "from now on it is ours"


def as_helm_does(text: str) -> list[dict[str, t.Any]]:
    """Workloads and ConfigMaps as the Helm chart labels and selects them, with the definitions they need."""
    result = []
    for item in yaml.load_all(text, Loader=yaml.CSafeLoader):
        if item["kind"] not in ("Deployment", "StatefulSet", "ServiceAccount", "ConfigMap", "CustomResourceDefinition"):
            continue
        metadata = item["metadata"]
        metadata["labels"] = {**metadata.get("labels", {}), "app.kubernetes.io/managed-by": "Helm"}
        metadata["annotations"] = {"meta.helm.sh/release-name": "cd"}
        if item["kind"] != "CustomResourceDefinition":
            metadata["namespace"] = "argocd"
        if "template" in item.get("spec", {}):
            labels = item["spec"]["selector"]["matchLabels"]
            labels["app.kubernetes.io/instance"] = "cd"
            item["spec"]["template"]["metadata"]["labels"].update(labels)
        result.append(item)
    return result


@pytest.mark.parametrize("variant", ["core", "ha"])
def test_other_variants(make_hub: t.Callable[..., Hub], variant: str) -> None:
    hub = make_hub(variant, agents=3)
    ok(hub.run(argocd_variant=variant))
    expected = COMPONENTS - {"argocd-server"} if variant == "core" else COMPONENTS
    report = hub.report()
    assert set(report) == expected
    assert all(process["works"] for process in report.values())
