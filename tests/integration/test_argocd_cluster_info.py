# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Registered clusters, and the Applications that target them, on a real API server with Argo CD's real definitions."""

from __future__ import annotations

import base64
import http.server
import json
import pathlib
import threading
import typing as t
from datetime import UTC, datetime

import pytest
from hubs import Hub

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _registration_targets as targets
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import ApiError, HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube

Module = t.Callable[..., t.Any]
Object = dict[str, t.Any]
CANARY = "canary-c41d8e90"
FINALIZER = "resources-finalizer.argocd.argoproj.io"
TOKYO = "https://tokyo.example.com:6443"
VERBOSE = {"ANSIBLE_VERBOSITY": "4"}


@pytest.fixture
def info(hub: Hub, run_module: Module) -> Module:
    """The module on that hub, as verbose as it can be; nothing secret may be in what it shows."""

    def run(**options: t.Any) -> t.Any:
        keywords = {name: options.pop(name) for name in ("check", "in_process") if name in options}
        arguments = {"kubeconfig": hub.kubeconfig, "namespace": hub.namespace, "connection": False, **options}
        result = run_module("argocd_cluster_info", arguments, environment=VERBOSE, **keywords)
        assert not result.get("failed"), result.output
        assert not result["changed"]
        assert '"clusters": [' in result.output  # the result is in what is searched
        for hidden in (CANARY, base64.b64encode(CANARY.encode()).decode().rstrip("=")):
            assert hidden not in result.output
        return result

    return run


def test_an_argo_cd_without_registered_clusters(hub: Hub, info: Module) -> None:
    result = info()
    assert [(one["name"], one["server"], one["implicit"]) for one in result["clusters"]] == [
        ("in-cluster", "https://kubernetes.default.svc", True)
    ]
    assert result["duplicates"] == []
    hub.kubectl("-n", hub.namespace, "patch", "cm", "argocd-cm", "-p", '{"data":{"cluster.inClusterEnabled":"false"}}')
    assert info()["clusters"] == []


def config(**fields: t.Any) -> str:
    return json.dumps({"tlsClientConfig": {"insecure": False, "caData": "Y2E="}, **fields})


def fleet(hub: Hub) -> None:
    hub.kubectl("-n", hub.namespace, "create", "serviceaccount", "argocd-manager")
    bounded = config(bearerToken=hub.token("argocd-manager", 7200))
    canary = base64.b64encode(CANARY.encode()).decode()
    certificate = {"certData": canary, "keyData": canary, "insecure": True}
    everything = {
        "execProviderConfig": {"command": "login", "args": ["--password", CANARY], "env": {"TOKEN": CANARY}},
        "proxyUrl": f"http://me:{CANARY}@proxy.example.com:3128",
    }
    hub.apply(
        hub.secret("tokyo", {"name": "tokyo", "server": TOKYO, "config": bounded}, {"hubspoke.bootstrap/owner": "a"}),
        # By another tool, or by hand.
        hub.secret("tokyo-2", {"name": "edo", "server": f"{TOKYO}/", "config": config(bearerToken=CANARY)}),
        hub.secret("seoul", {"name": "seoul", "server": "https://seoul", "config": json.dumps(everything)}),
        hub.secret(
            "busan", {"name": "seoul", "server": "https://busan", "config": config(username="u", password=CANARY)}
        ),
        hub.secret(
            "certificate",
            {"name": "osaka", "server": "https://osaka", "config": json.dumps({"tlsClientConfig": certificate})},
        ),
        hub.secret("broken", {"name": "broken", "server": "https://broken", "config": f'{{"bearerToken": "{CANARY}'}),
        hub.secret("empty", {}),
        # Not a cluster.
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "other", "namespace": hub.namespace}},
    )


def test_clusters_in_every_state(hub: Hub, info: Module) -> None:
    fleet(hub)
    result = info()
    found = {one["secret"]: one for one in result["clusters"]}
    assert {name: one["credential"]["kind"] for name, one in found.items()} == {
        None: "none",
        "tokyo": "token",
        "tokyo-2": "bearer_token",
        "seoul": "exec",
        "busan": "basic",
        "certificate": "client_certificate",
        "broken": "none",
        "empty": "none",
    }
    assert {name: one["problem"] for name, one in found.items() if one["problem"]} == {
        "broken": "its config is not a JSON object",
        "empty": "it has no name, it has no server",
    }
    assert result["duplicates"] == [
        {"field": "server", "value": TOKYO, "secrets": ["tokyo", "tokyo-2"]},
        {"field": "name", "value": "seoul", "secrets": ["busan", "seoul"]},
    ]
    credential = found["tokyo"]["credential"]
    assert credential["account"] == f"{hub.namespace}/argocd-manager"
    assert 7000 < credential["seconds_left"] <= 7200
    assert abs(datetime.fromisoformat(credential["expires"]) - datetime.now(UTC)).total_seconds() < 7201
    assert found["tokyo"]["owner"] == "a"
    assert found["seoul"]["proxy_url"] == "http://proxy.example.com:3128"
    assert {one["connection"] for one in result["clusters"]} == {None}
    token = hub.kubectl("-n", hub.namespace, "get", "secret", "tokyo", "-o", "jsonpath={.data.config}")
    assert json.loads(base64.b64decode(token))["bearerToken"] not in result.output

    assert [one["secret"] for one in info(names=["seoul"])["clusters"]] == ["busan", "seoul"]
    assert [one["secret"] for one in info(servers=[TOKYO])["clusters"]] == ["tokyo-2", "tokyo"]
    assert [one["secret"] for one in info(label_selector="hubspoke.bootstrap/owner")["clusters"]] == ["tokyo"]


def test_the_same_in_process_and_as_a_module_of_its_own(hub: Hub, info: Module) -> None:
    fleet(hub)

    def shown(result: t.Any) -> t.Any:
        for one in result["clusters"]:
            one["credential"].pop("seconds_left")
        return {key: result[key] for key in ("changed", "clusters", "duplicates")}

    here = shown(info())
    assert shown(info(in_process=False)) == here
    assert shown(info(check=True)) == here


def test_a_hub_that_is_yet_to_be_made(run_module: Module) -> None:
    arguments = {"kubeconfig": "/nowhere", "cluster_present": False}
    result = run_module("argocd_cluster_info", arguments, check=True)
    assert (result["clusters"], result["duplicates"]) == ([], [])
    assert "cannot be addressed" in run_module("argocd_cluster_info", arguments)["msg"]


def test_a_selector_that_is_none_is_one_message(hub: Hub, run_module: Module) -> None:
    arguments = {"kubeconfig": hub.kubeconfig, "namespace": hub.namespace, "label_selector": "a==b==c"}
    assert "answered 400: found '=='" in run_module("argocd_cluster_info", arguments)["msg"]


def test_applications_of_each_cluster(hub: Hub, info: Module) -> None:
    fleet(hub)
    names = {"name": "{{ .cluster }}", "namespace": "default"}
    elements = {"list": {"elements": [{"name": "db", "cluster": "edo"}, {"name": "queue", "cluster": "osaka"}]}}
    hub.apply(hub.application_set("services", names, elements))
    team = f"{hub.namespace}-team"
    hub.kubectl("create", "namespace", team)
    try:
        hub.apply(
            hub.application("web", {"server": f"{TOKYO}/", "namespace": "default"}),
            hub.application("db", {"name": "edo", "namespace": "default"}, owner="services"),
            hub.application("here", {"name": "in-cluster", "namespace": "default"}),
            hub.application("abroad", {"server": TOKYO, "namespace": "default"}, namespace=team),
        )
        found = {one["secret"]: one for one in info()["clusters"]}
        assert found["tokyo"]["applications"] == ["web", f"{team}/abroad"]
        assert found["tokyo-2"]["applications"] == ["web", f"{team}/abroad", "db"]
        assert found["tokyo-2"]["application_sets"] == ["services"]
        # Named in the list, though no Application is there yet.
        assert (found["certificate"]["applications"], found["certificate"]["application_sets"]) == ([], ["services"])
        assert found[None]["applications"] == ["here"]
        assert found["broken"]["applications"] == []
        assert {json.dumps(one["applications"]) for one in info(applications=False)["clusters"]} == {"null"}
    finally:
        hub.kubectl("delete", "namespace", team, "--wait=false")


def restricted(hub: Hub, folder: pathlib.Path, *resources: str) -> dict[str, t.Any]:
    """Connection options of an account that may read only these, and only in Argo CD's namespace."""
    hub.kubectl("-n", hub.namespace, "create", "serviceaccount", "reader")
    group, core = [one for one in resources if "application" in one], [one for one in resources if "app" not in one]
    rules = [{"apiGroups": ["argoproj.io"], "resources": group, "verbs": ["list"]}] if group else []
    rules.append({"apiGroups": [""], "resources": core, "verbs": ["list", "get"]})
    role = {"name": "reader", "namespace": hub.namespace}
    api = "rbac.authorization.k8s.io"
    hub.apply(
        {"apiVersion": f"{api}/v1", "kind": "Role", "metadata": role, "rules": rules},
        {
            "apiVersion": f"{api}/v1",
            "kind": "RoleBinding",
            "metadata": role,
            "roleRef": {"apiGroup": api, "kind": "Role", "name": "reader"},
            "subjects": [{"kind": "ServiceAccount", **role}],
        },
    )
    ca = folder / "ca.crt"
    ca.write_text(hub.kubectl("-n", hub.namespace, "get", "cm", "kube-root-ca.crt", "-o", "jsonpath={.data.ca\\.crt}"))
    return {"api_key": hub.token("reader"), "host": hub.kube.host, "ca_cert": str(ca)}


def test_an_account_that_sees_only_argo_cds_namespace(hub: Hub, run_module: Module, tmp_path: pathlib.Path) -> None:
    fleet(hub)
    hub.apply(hub.application("web", {"server": TOKYO}))
    options = restricted(hub, tmp_path, "secrets", "configmaps", "applications", "applicationsets")
    arguments = {**options, "namespace": hub.namespace, "servers": [TOKYO]}
    result = run_module("argocd_cluster_info", arguments, environment=VERBOSE)
    assert [one["applications"] for one in result["clusters"]] == [["web"], ["web"]], result.output
    assert not targets.read(Kube.from_params(options), hub.namespace).everywhere
    # Metrics may not be read either, which is no failure.
    assert [one["connection"] for one in result["clusters"]] == [None, None]
    assert options["api_key"] not in result.output


def test_an_account_that_sees_no_applications(hub: Hub, run_module: Module, tmp_path: pathlib.Path) -> None:
    fleet(hub)
    options = restricted(hub, tmp_path, "secrets")
    arguments = {**options, "namespace": hub.namespace, "connection": False}
    result = run_module("argocd_cluster_info", arguments)
    assert {json.dumps(one["applications"]) for one in result["clusters"]} == {"null"}, result.output
    assert "Which Applications target the clusters is not known" in result.output
    # Whether the implicit entry is switched off may not be read.
    assert result["clusters"][0]["implicit"]
    with pytest.raises(ApiError):
        targets.read(Kube.from_params(options), hub.namespace)


METRICS = f"""\
# TYPE argocd_cluster_connection_status gauge
argocd_cluster_connection_status{{k8s_version="1.36",server="{TOKYO}"}} 1
argocd_cluster_connection_status{{k8s_version="",server="https://seoul"}} 0
"""


def test_connections_at_a_given_address(hub: Hub, info: Module) -> None:
    fleet(hub)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(METRICS.encode())

        def log_message(self, *arguments: t.Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/metrics"
        found = {one["secret"]: one["connection"] for one in info(connection=True, metrics_url=url)["clusters"]}
        server.shutdown()
    assert found["tokyo"] == found["tokyo-2"] == {"status": "Successful", "kubernetes": "1.36"}
    assert found["seoul"] == {"status": "Failed", "kubernetes": ""}
    assert found["busan"] == {"status": "Unknown", "kubernetes": ""}
    # There is nobody any more.
    assert {json.dumps(one["connection"]) for one in info(connection=True, metrics_url=url)["clusters"]} == {"null"}


def removal(hub: Hub, timeout: float) -> tuple[list[str], list[str]]:
    """Names of what was removed from tokyo, and what was told."""
    lines: list[str] = []
    on_it = targets.read(hub.kube, hub.namespace).of(TOKYO, "tokyo")
    removed = targets.remove(hub.kube, on_it, timeout, lines.append)
    return [str(one) for one in removed], lines


def test_applications_are_removed_and_waited_for(hub: Hub) -> None:
    hub.apply(
        hub.application("web", {"server": TOKYO}),
        hub.application("stuck", {"name": "tokyo"}, [FINALIZER]),
        hub.application("other", {"name": "seoul"}, [FINALIZER]),
    )
    with pytest.raises(HubspokeError, match="Still there after 1 s: Application stuck") as failure:
        removal(hub, 1)
    assert FINALIZER in str(failure.value)
    # What Argo CD does when it is done.
    path = f"{hub.path('applications')}/stuck"
    timer = threading.Timer(1.5, hub.kube.merge, (path, {"metadata": {"finalizers": None}}))
    timer.start()
    removed, lines = removal(hub, 20)
    assert removed == ["stuck"]
    assert lines[0].startswith("removing Application stuck. What it deployed is deleted too")
    assert removal(hub, 5) == ([], [])
    left = hub.kube.list("argoproj.io/v1alpha1", "Application", hub.namespace)
    assert [item["metadata"]["name"] for item in left] == ["other"]


def test_a_recreated_application_is_neither_deleted_nor_waited_for(hub: Hub) -> None:
    hub.apply(hub.application("web", {"server": TOKYO}))
    on_it = targets.read(hub.kube, hub.namespace).of(TOKYO, "tokyo")
    hub.kube.delete_path(f"{hub.path('applications')}/web")
    hub.apply(hub.application("web", {"server": TOKYO}))
    assert targets.remove(hub.kube, on_it, 5, print) == ()
    assert hub.kube.get_path(f"{hub.path('applications')}/web")
