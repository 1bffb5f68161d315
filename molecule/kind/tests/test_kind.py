# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a bootstrap on a real kind cluster leaves: Argo CD as pods, and a workload that really runs."""

from __future__ import annotations

import bootstrapped
import kubernetes
import testinfra

HOST = testinfra.get_host("local://")


def test_the_nodes_are_containers() -> None:
    nodes = bootstrapped.objects("v1", "Node")
    running = HOST.check_output("docker ps --format '{{.Names}}'").split()
    assert nodes
    assert {node["metadata"]["name"] for node in nodes} <= set(running)


def test_argo_cd_runs_as_pods() -> None:
    pods = bootstrapped.objects("v1", "Pod", "argocd")
    ready = {
        pod["metadata"]["name"].rsplit("-", 2)[0]
        for pod in pods
        if {"Ready": "True"}.items() <= {item["type"]: item["status"] for item in pod["status"]["conditions"]}.items()
    }
    assert any(name.startswith("argocd-repo-server") for name in ready), ready
    assert any(name.startswith("argocd-server") for name in ready), ready
    assert bootstrapped.processes() == {}


def test_all_applications_are_synced_and_healthy() -> None:
    applications = bootstrapped.applications()
    assert {"root", "platform", "hello"} <= set(applications)
    assert set(applications.values()) == {("Synced", "Healthy")}


def test_the_workload_really_runs() -> None:
    """Its web server answers, asked through the API server: no simulated container could."""
    pods = [pod for pod in bootstrapped.objects("v1", "Pod", "hello") if pod["status"]["phase"] == "Running"]
    assert pods
    core = kubernetes.client.CoreV1Api(bootstrapped.api().client)
    answer = core.connect_get_namespaced_pod_proxy(f"{pods[0]['metadata']['name']}:80", "hello")
    assert "<title>hello</title>" in str(answer)


def test_check_mode_changes_nothing() -> None:
    output, changed = bootstrapped.play("bootstrap.yml", "--check", "--diff")
    assert changed == 0, output


def test_the_sample_is_served_no_longer_than_it_is_used() -> None:
    """Last of all here: what the root brought goes with it. Its namespace stays, as others may have used it too."""
    assert _servers()
    for expected in (True, False):
        output, changed = bootstrapped.play("bootstrap.yml", "--extra-vars=gitops_root_sample=false")
        assert bool(changed) is expected, output
        assert not _servers()


def _servers() -> list[str]:
    """Deployments that are not on their way out."""
    found = bootstrapped.objects("apps/v1", "Deployment", "hubspoke-sample")
    return [item["metadata"]["name"] for item in found if not item["metadata"].get("deletionTimestamp")]
