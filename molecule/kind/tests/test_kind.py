# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a bootstrap on a real kind cluster leaves: Argo CD as pods, and a workload that really runs."""

from __future__ import annotations

import json
import pathlib
import typing as t

import bootstrapped
import fleet
import kubernetes
import testinfra

HOST = testinfra.get_host("local://")
SPOKE = "molecule-kind-spoke"


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


def test_the_spoke_has_an_address_that_the_hub_can_use() -> None:
    assert fleet.clusters()[SPOKE].server == f"https://{SPOKE}-control-plane:6443"
    assert fleet.address(SPOKE).startswith("https://127.0.0.1:")


def test_argo_cd_syncs_onto_the_spoke() -> None:
    """From the sample's repository, through the credential that was made; the workload really runs there."""
    (hello,) = (
        item
        for item in bootstrapped.objects("argoproj.io/v1alpha1", "Application")
        if item["metadata"]["name"] == "hello"
    )
    application = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {
            "name": "remote",
            "namespace": "argocd",
            "finalizers": ["resources-finalizer.argocd.argoproj.io"],
        },
        "spec": {
            **hello["spec"],
            "destination": {"name": SPOKE, "namespace": "remote"},
            "syncPolicy": {"automated": {}, "syncOptions": ["CreateNamespace=true"]},
        },
    }
    applications = bootstrapped.api().resources.get(api_version="argoproj.io/v1alpha1", kind="Application")
    applications.create(body=application, namespace="argocd")
    fleet.wait_for(lambda: bootstrapped.applications().get("remote") == ("Synced", "Healthy"), 120)
    pods = bootstrapped.objects("v1", "Pod", "remote", SPOKE)
    assert {pod["status"]["phase"] for pod in pods} == {"Running"}
    applications.delete(name="remote", namespace="argocd")
    fleet.wait_for(lambda: "remote" not in bootstrapped.applications(), 60)


def test_the_hubs_own_pods_try_an_address_before_it_is_written(tmp_path: pathlib.Path) -> None:
    def register(**options: t.Any) -> tuple[int, str]:
        kubeconfig = {"kubeconfig": str(bootstrapped.KUBECONFIG), "probe_from_hub": True}
        task = {"hubspoke.bootstrap.argocd_cluster": {**kubeconfig, **options}}
        playbook = tmp_path / "register.json"
        playbook.write_text(json.dumps([{"hosts": "hub", "gather_facts": False, "tasks": [task]}]), encoding="utf-8")
        return bootstrapped.try_play(str(playbook))[:2]

    spoke = {"name": SPOKE, "owner": bootstrapped.CLUSTER, "spoke": {"kubeconfig": str(bootstrapped.kubeconfig(SPOKE))}}
    assert register(**spoke, state="absent")[0] == 0
    assert SPOKE not in fleet.clusters()

    given = {"bearer_token": "not-tried", "probe": "never"}
    code, output = register(name="nowhere", server="https://nowhere.invalid:6443", **given)
    assert code != 0
    assert "from the hub, https://nowhere.invalid:6443 cannot be used: " in output
    assert "Could not resolve host" in output
    server = f"https://{SPOKE}-control-plane:6443"
    code, output = register(**spoke)
    assert code != 0
    assert "to the hub's pods it would mean themselves" in output
    code, output = register(name="untrusted", server=server, **given)
    assert code != 0
    assert "certificate" in output
    assert SPOKE not in fleet.clusters()

    assert register(**spoke, server=server)[0] == 0
    assert fleet.clusters()[SPOKE].server == server
    pods = bootstrapped.objects("v1", "Pod", "argocd")
    assert not [pod for pod in pods if pod["metadata"]["name"].startswith("hubspoke-probe")]


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
