# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a bootstrap on simulated nodes leaves: seen through the Kubernetes API, the processes and the files."""

from __future__ import annotations

import base64
import os
import pathlib
import signal
import time

import bootstrapped
import pytest
import testinfra

LOOPBACK = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}
HOST = testinfra.get_host("local://")


def test_the_api_is_that_of_the_pinned_version() -> None:
    version = bootstrapped.api().version["kubernetes"]["gitVersion"]
    assert version.startswith("v1.")
    nodes = bootstrapped.objects("v1", "Node")
    assert len(nodes) >= 2
    for node in nodes:
        conditions = {item["type"]: item["status"] for item in node["status"]["conditions"]}
        assert conditions["Ready"] == "True"


def test_all_applications_are_synced_and_healthy() -> None:
    applications = bootstrapped.applications()
    assert {"root", "platform", "hello"} <= set(applications)
    assert set(applications.values()) == {("Synced", "Healthy")}


def test_the_workload_runs() -> None:
    (deployment,) = bootstrapped.objects("apps/v1", "Deployment", "hello")
    assert deployment["status"]["availableReplicas"] == deployment["spec"]["replicas"]


def test_the_kubeconfig_is_for_its_owner_only() -> None:
    for path in [bootstrapped.KUBECONFIG, *bootstrapped.STATE.glob("processes/**/kubeconfig")]:
        file = HOST.file(str(path))
        assert file.exists
        assert file.mode == 0o600


def test_the_users_own_kubeconfig_knows_nothing_of_it() -> None:
    path = pathlib.Path("~/.kube/config").expanduser()
    assert not path.exists() or bootstrapped.CLUSTER not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("program", ["etcd", "kube-apiserver", "kube-controller-manager", "kwok", "supervisord"])
def test_a_process_runs(program: str) -> None:
    assert any(program in command for command in bootstrapped.processes().values())


def test_argo_cd_runs_as_processes() -> None:
    commands = " ".join(bootstrapped.processes().values())
    for name in ("server", "repo-server", "application-controller", "applicationset-controller"):
        assert f"argocd-{name}" in commands
    assert "redis" in commands


def test_everything_listens_on_loopback_only() -> None:
    addresses = bootstrapped.listening(bootstrapped.processes())
    assert addresses
    assert addresses <= LOOPBACK


def test_secrets_are_in_no_command_line_and_no_log() -> None:
    secrets = [
        base64.b64decode(value)
        for secret in bootstrapped.objects("v1", "Secret", "argocd")
        for key, value in (secret.get("data") or {}).items()
        if len(value) >= 16 and not key.endswith("Mtime") and key not in ("name", "server")
    ]
    assert secrets
    shown = [command.encode() for command in bootstrapped.processes().values()]
    shown += [path.read_bytes() for path in bootstrapped.STATE.rglob("*.log")]
    for secret in secrets:
        assert not any(secret in text for text in shown)


def test_a_process_that_dies_is_started_again() -> None:
    def repository_servers() -> set[int]:
        return {
            pid for pid, command in bootstrapped.processes().items() if "argocd-repo-server" in command.split(" ")[0]
        }

    before = repository_servers()
    assert before
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while not repository_servers() - before:
        assert time.monotonic() < deadline, "it was not started again"
        time.sleep(0.5)


def _revisions() -> dict[str, str]:
    """The revision of every object that Ansible or Argo CD applied; what controllers keep writing is left out."""
    kinds = (("v1", "ConfigMap"), ("v1", "Secret"), ("v1", "ServiceAccount"), ("apps/v1", "Deployment"))
    kinds += (("argoproj.io/v1alpha1", "AppProject"), ("rbac.authorization.k8s.io/v1", "ClusterRole"))
    return {
        f"{kind} {item['metadata'].get('namespace')}/{item['metadata']['name']}": item["metadata"]["resourceVersion"]
        for api_version, kind in kinds
        for item in bootstrapped.objects(api_version, kind)
    }


def test_check_mode_changes_nothing_and_says_so() -> None:
    revisions, files = _revisions(), bootstrapped.digest(bootstrapped.KUBECONFIG)
    running = set(bootstrapped.processes())
    output, changed = bootstrapped.play("bootstrap.yml", "--check", "--diff")
    assert changed == 0, output
    assert _revisions() == revisions
    assert set(bootstrapped.processes()) == running
    assert bootstrapped.digest(bootstrapped.KUBECONFIG) == files


def test_status_says_what_there_is_and_changes_nothing() -> None:
    output, changed = bootstrapped.play("playbooks/status.yml")
    assert changed == 0, output
    for word in (bootstrapped.CLUSTER, "kwok", "root", "Synced", "Healthy"):
        assert word in output
