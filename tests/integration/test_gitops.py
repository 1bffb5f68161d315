# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Role gitops_root and the modules about Applications, with a real Argo CD that reads real git repositories."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import textwrap
import time
import typing as t

import pytest

from .conftest import Run, free_ports, run_playbook

NAMESPACE = "gitops-test"
Play = t.Callable[..., Run]


@pytest.fixture(scope="module")
def hub(cluster: dict[str, t.Any], tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[dict[str, t.Any]]:
    """Variables of a hub whose Argo CD runs; it is stopped at the end."""
    folder = tmp_path_factory.mktemp("hub")
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "hubspoke_state_dir": str(folder / "state"),
        "cluster_name": cluster["name"],
        "cluster_kubeconfig": cluster["kubeconfig"],
        "cluster_context": cluster["context"],
        "cluster_present": True,
        "cluster_simulated": True,
        "cluster_provider_used": "kwok",
        "argocd_namespace": NAMESPACE,
        "local_controllers_port_base": free_ports(10),
    }
    roles = ["argocd", "local_controllers"]
    try:
        done = run_playbook(folder / "up", play_of(variables, roles=roles), timeout=600)
        assert done.code == 0, done.output
        yield variables
    finally:
        stop = {"include_role": {"name": "hubspoke.bootstrap.local_controllers", "tasks_from": "absent"}}
        run_playbook(folder / "down", play_of(variables, tasks=[stop]))


def play_of(variables: dict[str, t.Any], **content: t.Any) -> list[dict[str, t.Any]]:
    connection = {"kubeconfig": variables["cluster_kubeconfig"], "context": variables["cluster_context"]}
    roles = [f"hubspoke.bootstrap.{role}" for role in content.pop("roles", [])]
    return [
        {
            "hosts": "all",
            "gather_facts": False,
            "vars": variables,
            "module_defaults": {"group/hubspoke.bootstrap.all": connection},
            "roles": roles,
            **content,
        }
    ]


class Repository:
    """A git repository as a team has it."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    @property
    def url(self) -> str:
        return self.folder.as_uri()

    def git(self, *arguments: str) -> str:
        command = ["git", "-c", "user.name=Somebody", "-c", "user.email=somebody@example.com", *arguments]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=True
        ).stdout

    def commit(self, **files: str) -> str:
        for name, content in files.items():
            path = self.folder / name.replace("__", "/")
            path = path.with_name(f"{path.name}.yaml")
            path.parent.mkdir(exist_ok=True)
            path.write_text(textwrap.dedent(content))
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=change")
        return self.git("rev-parse", "HEAD").strip()


class Gitops:
    """Runs the role, and cleans up what it brought."""

    def __init__(self, hub: dict[str, t.Any], folder: pathlib.Path, kubectl: str) -> None:
        self.hub = {**hub, "hubspoke_state_dir": str(folder / "state")}
        self.folder = folder
        self._kubectl = kubectl

    def run(self, *arguments: str, **variables: t.Any) -> Run:
        settings = {"gitops_root_wait_timeout": 60, "gitops_root_error_timeout": 3, **variables}
        return run_playbook(
            self.folder / "play", play_of({**self.hub, **settings}, roles=["gitops_root"]), *arguments, timeout=120
        )

    def module(self, name: str, **arguments: t.Any) -> dict[str, t.Any]:
        task = {"name": name, f"hubspoke.bootstrap.{name}": {"namespace": NAMESPACE, **arguments}}
        return run_playbook(self.folder / "module", play_of(self.hub, tasks=[task])).result(name)

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        command = [self._kubectl, "--kubeconfig", self.hub["cluster_kubeconfig"], *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def clean(self) -> None:
        self.kubectl("-n", NAMESPACE, "delete", "applicationsets,applications", "--all", "--wait=false")
        deadline = time.monotonic() + 30
        while self.kubectl("-n", NAMESPACE, "get", "applications", "-o", "name"):
            assert time.monotonic() < deadline, "Applications stay"
            time.sleep(0.3)
        # What is deleted does not bring back what it managed by its name.
        self.kubectl("delete", "namespace", "hello", "--ignore-not-found", "--wait=false")
        self.kubectl("-n", NAMESPACE, "delete", "appproject", "team", "--ignore-not-found")
        self.kubectl("-n", NAMESPACE, "delete", "configmap", "-l", "hubspoke.bootstrap/manifest-set")


@pytest.fixture
def gitops(hub: dict[str, t.Any], tools: dict[str, str], tmp_path: pathlib.Path) -> t.Iterator[Gitops]:
    runner = Gitops(hub, tmp_path, tools["kubectl"])
    yield runner
    runner.clean()


@pytest.fixture
def repository(tmp_path: pathlib.Path) -> Repository:
    return Repository(tmp_path / "team")


WAIT = "Start what will not start by itself, and wait"


def changed(run: Run) -> list[str]:
    return [line["task"] for line in run.lines if line["result"].get("changed")]


def failure(run: Run) -> str:
    """The one message of a failed run."""
    failed = [line for line in run.lines if line["status"] == "failed"]
    assert len(failed) == 1, run.output
    return str(failed[0]["result"]["msg"])


def states(result: dict[str, t.Any]) -> dict[str, str]:
    return {entry["name"]: entry["state"] for entry in result["applications"]}


def test_the_sample_from_nothing_to_healthy(gitops: Gitops) -> None:
    predicted = gitops.run("--check", "--diff")
    assert predicted.code == 0, predicted.output
    assert not (gitops.folder / "state").exists()
    first = gitops.run("--diff")
    assert first.code == 0, first.output
    assert changed(first) == changed(predicted)
    assert states(first.result(WAIT)) == {"root": "ready", "platform": "ready", "hello": "ready"}
    assert "waiting for healthy state of Namespace hello (wave -1)" in first.output
    assert (
        gitops.kubectl("-n", "hello", "get", "deployment", "hello", "-o", "jsonpath={.status.availableReplicas}") == "2"
    )

    again = gitops.run()
    assert changed(again) == []
    sample = gitops.folder / "state/sample-repository" / gitops.hub["cluster_name"]
    mine = Repository.__new__(Repository)
    mine.folder = sample
    path = sample / "hello/deployment.yaml"
    path.write_text(path.read_text().replace("replicas: 2", "replicas: 3"))
    mine.git("commit", "--quiet", "--all", "--message=mine")
    followed = gitops.run()
    # Argo CD made the change, and the run waited for it.
    assert changed(followed) == []
    assert gitops.kubectl("-n", "hello", "get", "deployment", "hello", "-o", "jsonpath={.spec.replicas}") == "3"


def test_a_repository_that_does_not_exist_is_one_message(gitops: Gitops) -> None:
    run = gitops.run(gitops_root_repository="file:///nowhere/apps.git")
    message = failure(run)
    assert message.startswith("Waiting longer would not help: root: ComparisonError: repository not found")
    assert "file:///nowhere/apps.git" in message
    assert "gitops_root_repository" in message


@pytest.mark.parametrize(("variable", "value"), [("gitops_root_revision", "v0"), ("gitops_root_path", "nowhere")])
def test_what_the_repository_does_not_have_names_the_variable(
    gitops: Gitops, repository: Repository, variable: str, value: str
) -> None:
    repository.commit(web="{apiVersion: v1, kind: ConfigMap, metadata: {name: web}}")
    message = failure(gitops.run(gitops_root_repository=repository.url, **{variable: value}))
    assert f"variable {variable}" in message
    assert repository.url in message


CONFIG = """\
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: web, namespace: %s}
    data: {a: "1"}
    """
ONCE = {"automated": {}, "retry": {"limit": 0}}


def test_a_sync_that_is_used_up_is_started_again(gitops: Gitops, repository: Repository) -> None:
    repository.commit(web=CONFIG % "comes-later")
    variables = {"gitops_root_repository": repository.url, "gitops_root_sync_policy": ONCE}
    message = failure(gitops.run(**variables))
    assert "root: sync failed" in message
    assert "ConfigMap web: " in message
    assert "comes-later" in message
    # The cause goes away without another commit.
    gitops.kubectl("create", "namespace", "comes-later")
    try:
        predicted = gitops.run("--check", **variables)
        assert changed(predicted) == [WAIT]
        result = predicted.result(WAIT)
        assert result["started"][0]["name"] == "root"
        again = gitops.run(**variables)
        assert again.code == 0, again.output
        assert changed(again) == [WAIT]
        assert states(again.result(WAIT)) == {"root": "ready"}
        user = gitops.kubectl(
            "-n", NAMESPACE, "get", "application", "root", "-o", "jsonpath={.status.history[-1:].initiatedBy.username}"
        )
        assert user == "hubspoke.bootstrap"
        assert changed(gitops.run(**variables)) == []
    finally:
        gitops.kubectl("delete", "namespace", "comes-later", "--wait=false")


def test_retries_of_an_outdated_commit_are_ended(gitops: Gitops, repository: Repository) -> None:
    repository.commit(web=CONFIG % "never-there")
    retry = {"limit": 5, "backoff": {"duration": "5m", "factor": 1, "maxDuration": "5m"}}
    variables = {
        "gitops_root_repository": repository.url,
        "gitops_root_sync_policy": {"automated": {}, "retry": retry},
        "gitops_root_wait_timeout": 4,
    }
    assert "Retrying attempt #1" in failure(gitops.run(**variables))
    repository.commit(web=CONFIG % "default")
    repaired = gitops.run(**{**variables, "gitops_root_wait_timeout": 60, "gitops_root_refresh": True})
    assert repaired.code == 0, repaired.output
    assert repaired.result(WAIT)["started"][0]["action"] == "restart"
    assert states(repaired.result(WAIT)) == {"root": "ready"}


def test_a_timeout_names_what_is_stuck_and_why(gitops: Gitops, repository: Repository) -> None:
    repository.commit(
        apps__child=f"""\
            apiVersion: argoproj.io/v1alpha1
            kind: Application
            metadata: {{name: child, namespace: {NAMESPACE}, annotations: {{argocd.argoproj.io/sync-wave: "2"}}}}
            spec:
              project: default
              source: {{repoURL: {repository.url}, targetRevision: main, path: web}}
              destination: {{server: https://kubernetes.default.svc, namespace: default}}
              syncPolicy: {{automated: {{}}}}
            """,
        web__stuck="""\
            apiVersion: apps/v1
            kind: Deployment
            metadata: {name: stuck}
            spec:
              selector: {matchLabels: {app: stuck}}
              template:
                metadata: {labels: {app: stuck}}
                spec:
                  nodeSelector: {nobody: has-this}
                  containers: [{name: web, image: web}]
            """,
    )
    try:
        run = gitops.run(gitops_root_repository=repository.url, gitops_root_path="apps", gitops_root_wait_timeout=8)
        message = failure(run)
        assert "child (wave 2): Progressing" in message
        assert "Deployment stuck: 0 of 1 replicas available, pod stuck-" in message
        assert "Unschedulable" in message
        assert "gitops_root_wait_timeout" in message
        seen = gitops.module("argocd_application_info", findings=True, descend=True)
        assert {entry["name"]: entry["parent"] for entry in seen["applications"]} == {"root": "", "child": "root"}
        assert any("Deployment stuck" in line for entry in seen["applications"] for line in entry.get("failing", []))
    finally:
        gitops.kubectl("-n", "default", "delete", "deployment", "stuck", "--ignore-not-found")


def test_projects_come_first_and_application_sets_are_waited_for(gitops: Gitops, repository: Repository) -> None:
    repository.commit(a__web=CONFIG % "default", b__web=CONFIG % "default")
    template = {
        "metadata": {"name": "{{ .name }}"},
        "spec": {
            "project": "team",
            "source": {"repoURL": repository.url, "targetRevision": "main", "path": "{{ .name }}"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "default"},
            "syncPolicy": {"automated": {}},
        },
    }
    services = {"name": "services", "generators": [{"list": {"elements": [{"name": "a"}]}}], "template": template}
    variables = {
        "gitops_root_projects": [{"name": "team", "sourceRepos": [repository.url]}],
        "gitops_root_application_sets": [services],
    }
    # A template in a variable is Ansible's, unless it is said to be none.
    unsafe = {"__ansible_unsafe": "{{ .name }}"}
    template["metadata"]["name"] = unsafe
    template["spec"]["source"]["path"] = unsafe
    first = gitops.run(**variables)
    assert first.code == 0, first.output
    assert states(first.result(WAIT)) == {"a": "ready"}
    assert first.result(WAIT)["application_sets"][0]["state"] == "ready"
    assert changed(gitops.run(**variables)) == []

    # What the project does not permit cannot heal by waiting.
    broken = {**variables, "gitops_root_projects": [{"name": "team", "sourceRepos": ["https://git.example.com/*"]}]}
    message = failure(gitops.run(gitops_root_refresh=True, **broken))
    assert "Waiting longer would not help" in message
    assert "not permitted in project" in message


def test_a_forced_sync_is_a_change_and_nothing_else_is(gitops: Gitops, repository: Repository) -> None:
    repository.commit(web=CONFIG % "default")
    manual = {"gitops_root_repository": repository.url, "gitops_root_sync_policy": {"syncOptions": ["Validate=false"]}}
    run = gitops.run(**manual)
    assert run.code == 0, run.output
    assert states(run.result(WAIT)) == {"root": "held"}
    assert "sync policy: root" in run.output
    again = gitops.module("argocd_application_sync", names=["root"], force=True, wait=True, wait_timeout=60)
    assert again["changed"]
    assert states(again) == {"root": "ready"}
    assert not gitops.module("argocd_application_sync", names=["root"])["changed"]
