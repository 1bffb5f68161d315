# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Status and summary: what they say about clusters in every state."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.filter.bootstrap_summary import bootstrap_summary
from ansible_collections.hubspoke.bootstrap.plugins.filter.status_report import status_report
from ansible_collections.hubspoke.bootstrap.plugins.plugin_utils.status import OF_A_REHEARSAL

CLUSTER = {
    "name": "dev",
    "provider": "kwok",
    "state": "running",
    "running": True,
    "version": "v1.36.3",
    "servers": 1,
    "agents": 2,
    "kubeconfig": "/state/clusters/dev/kubeconfig",
    "address": "https://127.0.0.1:6443",
    "simulated": True,
    "problem": "",
}
ARGOCD = {
    "installed": True,
    "version": "v3.5.7",
    "variant": "standard",
    "installed_by": "hubspoke.bootstrap",
    "workloads": [
        {"name": "argocd-server", "kind": "Deployment", "ready": False, "lacks": "0 of 1 replicas available"}
    ],
}
PROCESSES = {
    "processes": [
        {"name": "argocd-server", "state": "running", "works": True, "listens": ["127.0.0.1:24101", "127.0.0.1:24100"]},
        {"name": "argocd-repo-server", "state": "stopped", "works": False, "lacks": "does not run", "listens": []},
    ]
}


def entry(name: str, parent: str = "", **more: t.Any) -> dict[str, t.Any]:
    return {
        "name": name,
        "parent": parent,
        "state": "ready",
        "sync": "Synced",
        "health": "Healthy",
        "wave": 0,
        "revisions": ["0123456789abcdef"],
        "sources": [{"repository": "https://git.example.com/a.git", "path": name, "revision": "main", "chart": ""}],
        **more,
    }


APPLICATIONS = {
    "applications": [
        entry("apple", "root", wave=5),
        entry(
            "pear", "root", wave=-1, state="waiting", health="Degraded", message="Degraded", failing=["Pod x: ended"]
        ),
        entry("root"),
    ]
}


def host(**more: t.Any) -> dict[str, t.Any]:
    return {"host": "dev", "cluster": {"cluster": CLUSTER}, **more}


def test_everything_in_tables() -> None:
    text = status_report([host(argocd=ARGOCD, processes=PROCESSES, applications=APPLICATIONS)])
    lines = [line.split() for line in text.splitlines()]
    assert ["NAME", "PROVIDER", "STATE", "VERSION", "NODES", "API", "KUBECONFIG"] in lines
    assert "  dev   kwok      running  v1.36.3  1 server, 2 agents (simulated)  https://127.0.0.1:6443" in text
    assert ["argocd-repo-server", "stopped", "does", "not", "run"] in lines
    assert "v3.5.7 (standard), installed by hubspoke.bootstrap" in text
    # The tree, in order of waves.
    assert [line[0] for line in lines if line[-2:] == ["at", "main"]] == ["root", "pear", "apple"]
    assert ["root", "Synced", "Healthy", "01234567", "https://git.example.com/a.git", "root", "at", "main"] in lines
    assert next(line for line in lines if line and line[0] == "pear")[:4] == ["pear", "-1", "Synced", "Degraded"]
    assert text.endswith("  pear: Degraded\n    Pod x: ended")


SECRETS = {
    "stores": [
        {
            "kind": "ClusterSecretStore",
            "namespace": "",
            "name": "aws",
            "ready": True,
            "reason": "Valid",
            "message": "ok",
        }
    ],
    "external_secrets": [
        {
            "kind": "ExternalSecret",
            "namespace": "wealist-prod",
            "name": "shared",
            "ready": False,
            "reason": "SecretSyncedError",
            "message": "Secret does not exist",
        }
    ],
    "push_secrets": [],
}


def test_external_secrets() -> None:
    text = status_report([host(external_secrets=SECRETS)])
    lines = [line.split() for line in text.splitlines()]
    assert ["ClusterSecretStore", "aws", "Valid"] in lines
    assert ["ExternalSecret", "wealist-prod", "shared", "SecretSyncedError"] in lines
    assert text.endswith("  shared: Secret does not exist")
    assert "EXTERNAL SECRETS" not in status_report([host()])
    told = bootstrap_summary([host(external_secrets=SECRETS)])
    assert "External Secrets  ClusterSecretStore aws: Valid" in told
    assert "ExternalSecret wealist-prod/shared: SecretSyncedError" in told


def test_pods_where_they_are_real() -> None:
    cluster = {**CLUSTER, "simulated": False, "provider": "kind"}
    text = status_report([host(cluster={"cluster": cluster}, argocd=ARGOCD)])
    assert "as pods:" in text
    assert "argocd-server  Deployment  0 of 1 replicas available" in text
    assert text.endswith("APPLICATIONS\n  not there")


@pytest.mark.parametrize(
    ("found", "expected", "unexpected"),
    [
        ({"cluster": {"cluster": {**CLUSTER, "state": "absent", "running": False}}}, "not there", "kubeconfig"),
        ({"cluster": {"cluster": {**CLUSTER, "state": "stopped", "running": False}}}, "stopped", "ARGO CD"),
        (
            {"cluster": {"cluster": {**CLUSTER, "state": "unreachable", "running": False, "problem": "No answer."}}},
            "dev: No answer.",
            "ARGO CD",
        ),
        ({"cluster": {"failed": True, "msg": "no such kubeconfig"}}, "dev: no such kubeconfig", "ARGO CD"),
        ({"argocd": {"installed": False}}, "ARGO CD\n  not there", "APPLICATIONS"),
        ({"argocd": {"failed": True, "msg": "forbidden"}}, "dev: forbidden", "APPLICATIONS"),
        ({"argocd": {"skipped": True}, "applications": {"skipped": True}}, "CLUSTERS", "NOT KNOWN"),
    ],
)
def test_what_is_missing_is_shown_as_that(found: dict[str, t.Any], expected: str, unexpected: str) -> None:
    text = status_report([host(**found)])
    assert expected in text
    assert unexpected not in text


def test_processes_beside_a_stopped_cluster_are_shown() -> None:
    stopped = {"cluster": {**CLUSTER, "state": "stopped", "running": False}}
    text = status_report([host(cluster=stopped, processes=PROCESSES, argocd={"skipped": True})])
    assert "its cluster does not run" in text
    assert "argocd-repo-server" in text
    assert "APPLICATIONS" not in text


def registered(name: str, **more: t.Any) -> dict[str, t.Any]:
    credential = {
        "kind": "token",
        "expires": None,
        "seconds_left": None,
        "expired": False,
        **more.pop("credential", {}),
    }
    return {
        "name": name,
        "server": f"https://{name}.example.com",
        "secret": f"cluster-{name}",
        "implicit": False,
        "credential": credential,
        "connection": None,
        "applications": [],
        "owner": "",
        "problem": "",
        **more,
    }


IMPLICIT = registered("in-cluster", implicit=True, secret=None, credential={"kind": "none"})


def test_registered_clusters() -> None:
    clusters = [
        IMPLICIT,
        registered(
            "tokyo",
            credential={"seconds_left": 12 * 86400 + 5},
            connection={"status": "Successful", "kubernetes": "1.36"},
            applications=["web", "db"],
            owner="fleet",
        ),
        registered("seoul", credential={"kind": "client_certificate", "seconds_left": -3 * 3600, "expired": True}),
        registered("", server="", problem="its config is not a JSON object", applications=None, secret="broken"),
    ]
    twice = [{"field": "name", "value": "tokyo", "secrets": ["a", "b"]}]
    lines = status_report([host(argocd=ARGOCD, registered={"clusters": clusters, "duplicates": twice})]).splitlines()
    begin = lines.index("REGISTERED CLUSTERS")
    table = [[cell for cell in line.split("  ") if cell] for line in lines[begin + 1 : begin + 8]]
    assert [[cell.strip() for cell in row] for row in table] == [
        ["NAME", "SERVER", "CREDENTIAL", "EXPIRES", "CONNECTION", "APPLICATIONS", "OWNER"],
        ["in-cluster", "https://in-cluster.example.com", "none", "0"],
        ["tokyo", "https://tokyo.example.com", "token", "in 12 d", "Successful", "2", "fleet"],
        ["seoul", "https://seoul.example.com", "client certificate", "expired 3 h ago", "0"],
        ["broken", "token"],
        ["broken: its config is not a JSON object"],
        ["tokyo: the name of more than one Secret, a, b"],
    ]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(12 * 86400, "in 12 d"), (47 * 3600, "in 47 h"), (7199, "in 119 min"), (60, "in 60 s"), (0, "in 0 s")],
)
def test_the_end_of_a_credential(seconds: int, expected: str) -> None:
    clusters = {"clusters": [registered("tokyo", credential={"seconds_left": seconds})]}
    assert f"  {expected}  " in status_report([host(argocd=ARGOCD, registered=clusters)])


@pytest.mark.parametrize("clusters", [[], [IMPLICIT]])
def test_a_hub_without_spokes_has_no_table_of_them(clusters: list[dict[str, t.Any]]) -> None:
    found = {"clusters": clusters, "duplicates": []}
    assert "REGISTERED" not in status_report([host(argocd=ARGOCD, registered=found)])


def test_registered_clusters_that_cannot_be_read() -> None:
    text = status_report([host(argocd=ARGOCD, registered={"failed": True, "msg": "forbidden"})])
    assert "REGISTERED" not in text
    assert "dev: forbidden" in text


def test_several_clusters_share_a_table_and_hubs_have_their_own() -> None:
    spoke = {"host": "spoke", "cluster": {"cluster": {**CLUSTER, "name": "spoke"}}, "argocd": {"installed": False}}
    text = status_report([host(argocd=ARGOCD, applications=APPLICATIONS), spoke])
    assert text.count("PROVIDER") == 1
    assert "APPLICATIONS on dev" in text
    assert "ARGO CD on spoke" not in text


def test_applications_that_manage_each_other_are_shown() -> None:
    circle = {"applications": [entry("a", "b"), entry("b", "a")]}
    text = status_report([host(argocd=ARGOCD, applications=circle)])
    assert sum(line.split()[:1] in (["a"], ["b"]) for line in text.splitlines()) == 2


def summary(**options: t.Any) -> str:
    found = host(argocd=ARGOCD, processes=PROCESSES, applications=APPLICATIONS, namespace="argocd")
    return bootstrap_summary([found], inventory=["inventories/dev"], **options)


def test_summary_says_what_exists_and_how_to_go_on() -> None:
    text = summary(sample={"path": "/state/sample", "url": "file:///state/sample"}, kubectl="/cache/kubectl")
    assert text.startswith("1 cluster running; 3 Applications, 2 of them Synced and Healthy.")
    for part in (
        "export KUBECONFIG=/state/clusters/dev/kubeconfig",
        "/cache/kubectl",
        "http://127.0.0.1:24100",
        "get secret argocd-initial-admin-secret",
        "pear: Synced, Degraded",
        "RBAC",
        "pods become Ready without running",
        "commit to /state/sample; Argo CD follows",
        "gitops_root_repository",
        "ansible-playbook hubspoke.bootstrap.teardown -i inventories/dev",
    ):
        assert part in text


@pytest.mark.parametrize("check_mode", [False, True])
def test_summary_of_a_rehearsal_names_what_sets_its_environment(check_mode: bool) -> None:
    text = summary(rehearsal=True, check_mode=check_mode)
    assert "make rehearse-status" in text
    assert "make rehearse-teardown" in text
    assert "ansible-playbook" not in text
    assert text.replace("make rehearse-", "").count("make rehearse") == check_mode


def test_summary_of_a_sample_that_is_copied_into_the_cluster() -> None:
    text = summary(sample={"path": "/state/sample", "url": "git://sample-repository.x.svc/sample.git"})
    assert "commit to /state/sample; run the bootstrap again" in text


def test_summary_of_ones_own_repository_does_not_speak_of_a_sample() -> None:
    assert "commit to" not in summary()


def test_summary_of_real_pods() -> None:
    cluster = {"cluster": {**CLUSTER, "simulated": False, "provider": "kind"}}
    text = bootstrap_summary([host(cluster=cluster, argocd=ARGOCD)])
    assert "port-forward service/argocd-server" in text
    assert "simulated" not in text


def test_summary_of_a_server_that_does_not_answer() -> None:
    stopped = {"processes": [{"name": "argocd-server", "works": False, "listens": []}]}
    assert "its server does not run" in bootstrap_summary([host(argocd=ARGOCD, processes=stopped)])


def test_summary_of_argo_cd_without_a_server() -> None:
    text = bootstrap_summary([host(argocd={**ARGOCD, "variant": "core", "workloads": []})])
    assert "without a server of its own" in text
    assert "password" not in text


def test_summary_of_a_check_on_nothing() -> None:
    absent = {"cluster": {**CLUSTER, "state": "absent", "running": False}}
    text = bootstrap_summary([host(cluster=absent)], inventory=["my inventory"], check_mode=True)
    assert text.startswith("This was a check: nothing was changed.\n")
    assert "ansible-playbook hubspoke.bootstrap.bootstrap -i 'my inventory'" in text
    assert "KUBECONFIG" not in text


def test_argo_cd_that_aws_runs() -> None:
    address = "https://0123.eks-capabilities.ap-northeast-2.amazonaws.com"
    capability = {"name": "argocd", "status": "ACTIVE", "version": "3.1", "argo_cd": {"server_url": address}}
    eks = {**CLUSTER, "provider": "eks", "simulated": False}
    nothing = {"installed": False}
    found = host(cluster={"cluster": eks}, argocd=nothing, capability={"capability": capability})
    text = status_report([found])
    assert f"ARGO CD\n  3.1, run by AWS as capability argocd: ACTIVE\n  {address}" in text
    assert "processes" not in text
    assert f"3.1, run by AWS (ACTIVE), {address}" in bootstrap_summary([found])
    assert OF_A_REHEARSAL not in text + bootstrap_summary([found])
    rehearsed = host(
        cluster={"cluster": {**eks, "simulated": True}}, argocd=nothing, capability={"capability": capability}
    )
    assert OF_A_REHEARSAL in status_report([rehearsed])
    assert OF_A_REHEARSAL in bootstrap_summary([rehearsed])
    both = host(cluster={"cluster": eks}, argocd=ARGOCD, capability={"capability": capability})
    assert "both reconcile the same Applications" in status_report([both])
