# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Registering clusters: a hub and a spoke, both real API servers, and real tokens."""

from __future__ import annotations

import base64
import contextlib
import json
import pathlib
import socket
import threading
import time
import typing as t
import uuid

import pytest
import yaml
from hubs import Hub, directly

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _registration_fleet as fleets
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import ApiError, Kube
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_arguments import wanted
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_outcome import Options
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_secret import Registered, registered

Object = dict[str, t.Any]
Register = t.Callable[..., t.Any]
PREDICTED = ("name", "server", "secret", "action", "changed", "changes", "account_changes", "adopted", "credential")
FINALIZER = "resources-finalizer.argocd.argoproj.io"


class Spoke:
    """A cluster, and an account of the test's own on it."""

    def __init__(self, kubeconfig: str) -> None:
        self.kubeconfig = kubeconfig
        self.account = f"argocd-{uuid.uuid4().hex[:8]}"
        self.kube = Kube.from_params({"kubeconfig": kubeconfig})
        config = yaml.safe_load(pathlib.Path(kubeconfig).read_text())
        self.cluster: Object = config["clusters"][0]["cluster"]
        self.server = str(self.cluster["server"])

    def wanted(self, name: str = "tokyo", **options: t.Any) -> Object:
        """Arguments that register it."""
        account = {"name": self.account, **options.pop("account", {})}
        return {"name": name, "spoke": {"kubeconfig": self.kubeconfig}, "account": account, **options}

    def may(self, token: str, namespace: str = "") -> bool:
        """Whether a token may do everything there, in a namespace or everywhere."""
        ca = base64.b64decode(self.cluster["certificate-authority-data"]).decode()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "x",
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
            "clusters": [
                {
                    "name": "x",
                    "cluster": {
                        "server": self.server,
                        "certificate-authority-data": base64.b64encode(ca.encode()).decode(),
                    },
                }
            ],
            "users": [{"name": "x", "user": {"token": token}}],
        }
        attributes = {"verb": "*", "group": "*", "resource": "*", "namespace": namespace}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        found = Kube.from_params({"kubeconfig": config}).request(
            "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body
        )
        return bool(found["status"]["allowed"])

    def has_account(self) -> bool:
        """Whether anything of the account is left."""
        paths = (
            f"/api/v1/namespaces/kube-system/serviceaccounts/{self.account}",
            f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{self.account}-role",
            f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{self.account}-role-binding",
        )
        return any(self.kube.get_path(path) for path in paths)

    def token_secrets(self) -> list[str]:
        """Names of the Secrets with tokens of the account that do not end."""
        found = self.kube.request("GET", "/api/v1/namespaces/kube-system/secrets")["items"]
        names = [one["metadata"]["name"] for one in found]
        return [name for name in names if name.startswith(f"{self.account}-")]


@pytest.fixture
def spoke(spoke_kubeconfig: str) -> Spoke:
    return Spoke(spoke_kubeconfig)


def secrets(hub: Hub) -> dict[str, Registered]:
    """Every cluster Secret, by the name of its cluster."""
    path = f"/api/v1/namespaces/{hub.namespace}/secrets"
    found = hub.kube.request("GET", path, query={"labelSelector": "argocd.argoproj.io/secret-type=cluster"})
    return {one.name: one for one in map(registered, found["items"])}


def _through_ansible(run_module: Register) -> Register:
    """The module as a play runs it, as verbose as can be."""

    def run(arguments: Object, check: bool) -> t.Any:
        return run_module("argocd_clusters", arguments, check=check, environment={"ANSIBLE_VERBOSITY": "4"})

    return run


@pytest.fixture
def register(hub: Hub, run_module: Register, request: pytest.FixtureRequest) -> Register:
    """Runs argocd_clusters; no token is shown. Unless told otherwise, in check mode first.

    Check mode has to say what the run then does, and to change nothing.
    """
    module = _through_ansible(run_module) if request.node.get_closest_marker("ansible") else directly

    def once(check: bool, arguments: Object) -> t.Any:
        before = secrets(hub)
        result = module(arguments, check)
        after = secrets(hub)
        if check:
            assert after == before
        for one in (*before.values(), *after.values()):
            assert not one.token or one.token not in result.output
            assert not one.token or base64.b64encode(one.token.encode()).decode() not in result.output
        return result

    def run(*clusters: Object, check: bool = True, **options: t.Any) -> t.Any:
        arguments = {
            "kubeconfig": hub.kubeconfig,
            "namespace": hub.namespace,
            "owner": "here",
            "hub_is_local": True,
            "clusters": list(clusters),
            **options,
        }
        predicted = once(True, arguments) if check else None
        result = once(False, arguments)
        if predicted:
            assert predicted["changed"] == result["changed"]
            assert ("msg" in predicted) == ("msg" in result)
            for said, done in zip(predicted["clusters"], result["clusters"], strict=True):
                assert {key: said[key] for key in PREDICTED} == {key: done[key] for key in PREDICTED}
        return result

    return run


def actions(result: t.Any) -> dict[str, str]:
    """What was done, by cluster."""
    return {one["name"]: one["action"] for one in result["clusters"]}


@pytest.mark.ansible
def test_create_repeat_modify_rotate_delete(hub: Hub, spoke: Spoke, register: Register) -> None:
    created = register(spoke.wanted(labels={"env": "prod", "gone": "soon"}))
    assert actions(created) == {"tokyo": "created"}
    first = secrets(hub)["tokyo"]
    assert (first.server, first.credential, first.owner) == (spoke.server, "token", "here")
    assert first.account == f"kube-system/{spoke.account}"
    assert first.expires
    assert first.issued
    assert (first.expires - first.issued).days == 30
    assert spoke.may(first.token)

    assert not register(spoke.wanted(labels={"env": "prod", "gone": "soon"}))["changed"]

    changed = register(spoke.wanted(labels={"env": "dev"}, project="team"))
    assert changed["clusters"][0]["changes"] == ["project", "labels.env", "labels.gone"]
    second = secrets(hub)["tokyo"]
    assert second.labels["env"] == "dev"
    assert "gone" not in second.labels
    assert second.token == first.token
    assert not register(spoke.wanted(labels={"env": "dev"}, project="team"))["changed"]

    time.sleep(1.1)  # tokens of one second are alike but for their number
    rotated = register(spoke.wanted(labels={"env": "dev"}, project="team"), rotate="always")
    assert rotated["clusters"][0]["renewed"] == "a new token was asked for"
    third = secrets(hub)["tokyo"]
    assert third.token != second.token
    assert spoke.may(third.token)
    assert spoke.may(second.token)  # whoever still has it open loses nothing

    removed = register(spoke.wanted(state="absent"))
    assert actions(removed) == {"tokyo": "removed"}
    assert secrets(hub) == {}
    assert not spoke.has_account()
    assert not register(spoke.wanted(state="absent"))["changed"]


def test_absent_where_the_way_to_the_spoke_is_lost(hub: Hub, spoke: Spoke, register: Register) -> None:
    register(spoke.wanted(), check=False)
    gone = register(
        {"name": "tokyo", "state": "absent", "spoke": {"kubeconfig": "/nowhere"}, "account": {"name": spoke.account}}
    )
    assert actions(gone) == {"tokyo": "removed"}
    assert secrets(hub) == {}
    wait_until_gone(spoke)


def wait_until_gone(spoke: Spoke) -> None:
    """The spoke's garbage collection takes the rest of an account that removed itself."""
    deadline = time.monotonic() + 30
    while spoke.has_account() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not spoke.has_account()


def test_one_cluster_by_its_own_module(hub: Hub, spoke: Spoke, run_module: Register) -> None:
    arguments = {"kubeconfig": hub.kubeconfig, "namespace": hub.namespace, "hub_is_local": True, **spoke.wanted()}
    results = [run_module("argocd_cluster", arguments, in_process=here) for here in (False, True)]
    assert [result["cluster"]["action"] for result in results] == ["created", "unchanged"], results[0].output
    assert secrets(hub)["tokyo"].token not in results[0].output
    diff = results[0]["diff"][0]
    assert diff["before"] == ""
    assert "<redacted>" in diff["after"]


def test_a_cluster_that_something_else_registered_is_not_doubled(hub: Hub, spoke: Spoke, register: Register) -> None:
    config = json.dumps({"bearerToken": "canary-by-hand", "tlsClientConfig": {"insecure": True}})
    hub.apply(
        hub.secret("by-hand", {"name": "tokyo", "server": f"{spoke.server}/", "config": config}, {"theirs": "stays"})
    )
    result = register(spoke.wanted(labels={"ours": "too"}))
    assert actions(result) == {"tokyo": "updated"}
    assert result["clusters"][0]["adopted"]
    assert {"server", "config.bearerToken", "labels.ours"} <= set(result["clusters"][0]["changes"])
    (found,) = secrets(hub).values()
    assert (found.secret, found.server, found.labels["theirs"]) == ("by-hand", spoke.server, "stays")
    assert not register(spoke.wanted(labels={"ours": "too"}))["changed"]


def test_a_broken_account_is_put_right(hub: Hub, spoke: Spoke, register: Register) -> None:
    register(spoke.wanted(), check=False)
    spoke.kube.delete_path(
        f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{spoke.account}-role-binding", propagation="Foreground"
    )
    token = secrets(hub)["tokyo"].token
    deadline = time.monotonic() + 10
    while spoke.may(token) and time.monotonic() < deadline:
        time.sleep(0.1)
    result = register(spoke.wanted())
    assert [line.partition(":")[0] for line in result["clusters"][0]["account_changes"]] == [
        f"ClusterRoleBinding {spoke.account}-role-binding"
    ]
    assert spoke.may(token)
    assert not register(spoke.wanted())["changed"]


def test_a_token_that_is_not_accepted_any_more_is_replaced(hub: Hub, spoke: Spoke, register: Register) -> None:
    register(spoke.wanted(), check=False)
    spoke.kube.delete_path(f"/api/v1/namespaces/kube-system/serviceaccounts/{spoke.account}")
    time.sleep(11)  # for so long API servers remember that a token was good
    result = register(spoke.wanted())
    assert result["clusters"][0]["renewed"] == "its token is not accepted any more"
    assert spoke.may(secrets(hub)["tokyo"].token)


def test_rights_in_some_namespaces_only(hub: Hub, spoke: Spoke, register: Register) -> None:
    names = [f"team-{uuid.uuid4().hex[:6]}" for _ in range(2)]
    missing = register(spoke.wanted(namespaces=names))
    assert f"its cluster has no namespace {names[0]}" in missing["msg"]
    for name in names:
        with contextlib.suppress(ApiError):
            spoke.kube.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    assert actions(register(spoke.wanted(namespaces=names))) == {"tokyo": "created"}
    token = secrets(hub)["tokyo"].token
    assert [spoke.may(token, place) for place in (*names, "default", "")] == [True, True, False, False]
    assert not register(spoke.wanted(namespaces=names))["changed"]


def test_a_token_without_an_end(hub: Hub, spoke: Spoke, register: Register) -> None:
    cluster = spoke.wanted(credential="token_secret")
    register(cluster)
    first = secrets(hub)["tokyo"]
    assert (first.credential, first.expires) == ("token_secret", None)
    assert not register(cluster)["changed"]
    register(cluster, rotate="always")
    second = secrets(hub)["tokyo"]
    assert second.token != first.token
    assert spoke.may(second.token)
    register(spoke.wanted())
    assert secrets(hub)["tokyo"].credential == "token"
    assert not spoke.token_secrets()


def test_a_token_without_an_end_that_something_else_made_is_named(hub: Hub, spoke: Spoke, register: Register) -> None:
    register(spoke.wanted(credential="token_secret"), check=False)
    found = secrets(hub)["tokyo"]
    config = json.dumps(found.config)
    hub.apply(hub.secret("by-hand", {"name": "tokyo", "server": found.server, "config": config}, {}))
    hub.kube.delete_path(f"/api/v1/namespaces/{hub.namespace}/secrets/{found.secret}")
    result = register(spoke.wanted())
    (name,) = spoke.token_secrets()
    (note,) = result["clusters"][0]["notes"]
    assert f"has no end and stays good: delete Secret kube-system/{name} of the spoke" in note
    assert spoke.may(found.token)


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def hanging() -> t.Iterator[str]:
    """The address of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    held.append(server.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        yield f"https://127.0.0.1:{server.getsockname()[1]}"
        for one in held:
            one.close()


def test_one_that_fails_does_not_keep_the_others(hub: Hub, spoke: Spoke, register: Register, hanging: str) -> None:
    refusing = f"https://127.0.0.1:{_closed_port()}"
    dead = [
        {"name": name, "server": server, "bearer_token": "x"}
        for name, server in (("refusing", refusing), ("hanging", hanging))
    ]
    result = register(dead[0], spoke.wanted(), dead[1], timeout=1)
    assert actions(result) == {"refusing": "failed", "tokyo": "created", "hanging": "failed"}
    assert "2 of 3 clusters failed, the others are done" in result["msg"]
    assert f"Cluster refusing: nothing listens at {refusing}" in result["msg"]
    assert set(secrets(hub)) == {"tokyo"}


def test_prune(hub: Hub, spoke: Spoke, register: Register) -> None:
    local = {"name": "hub", "server": "https://kubernetes.default.svc", "labels": {"role": "hub"}}
    hub.apply(hub.secret("theirs", {"name": "theirs", "server": "https://theirs", "config": "{}"}))
    hub.apply(
        hub.secret(
            "other", {"name": "other", "server": "https://other", "config": "{}"}, {"hubspoke.bootstrap/owner": "x"}
        )
    )
    register(local, spoke.wanted())
    application = hub.application("web", {"name": "tokyo", "namespace": "web"})
    hub.apply(application)

    refused = register(local, prune=True)
    assert "Cluster tokyo: Application web still targets it." in refused["msg"]
    assert "tokyo" in secrets(hub)

    protected = register(local, prune=True, protected=["tokyo"])
    assert not protected["changed"]

    removed = register(local, prune=True, remove_applications=True)
    assert actions(removed) == {"hub": "unchanged", "tokyo": "removed"}
    assert set(secrets(hub)) == {"hub", "theirs", "other"}
    assert not hub.kube.get_path(f"{hub.path('applications')}/web")
    wait_until_gone(spoke)
    assert not register(local, prune=True)["changed"]


@pytest.mark.ansible
def test_what_cannot_be(hub: Hub, spoke: Spoke, register: Register, kubeconfig: str) -> None:
    itself = register({"name": "me", "spoke": {"kubeconfig": kubeconfig}, "account": {"name": spoke.account}})
    assert "Cluster me: spoke is the hub itself." in itself["msg"]
    no_argocd = register(spoke.wanted(), check=False, kubeconfig=spoke.kubeconfig, namespace="default")
    assert "The hub has no Argo CD" in no_argocd["msg"]
    no_namespace = register(spoke.wanted(), check=False, namespace="nowhere")
    assert "The hub has no namespace nowhere" in no_namespace["msg"]
    context = register(spoke.wanted(spoke={"kubeconfig": spoke.kubeconfig, "context": "prod"}))
    assert "has no context prod" in context["msg"]
    weak = register({"name": "weak", "server": spoke.server, "insecure": True, "bearer_token": "wrong-token"})
    assert "Cluster weak: " in weak["msg"]
    assert "wrong-token" not in weak.output
    keyed = {"host": spoke.server, "api_key": "canary-api-key", "validate_certs": False}
    refused = register({"name": "keyed", "spoke": keyed})
    assert "Cluster keyed: " in refused["msg"]
    assert "canary-api-key" not in refused.output
    assert secrets(hub) == {}


def test_doubles_and_taken_names_are_told(hub: Hub, spoke: Spoke, register: Register) -> None:
    config = json.dumps({"bearerToken": "canary-token", "tlsClientConfig": {"insecure": True}})
    hub.apply(
        hub.secret("one", {"name": "one", "server": spoke.server, "config": config}),
        hub.secret("two", {"name": "two", "server": f"{spoke.server}/", "config": config}),
        hub.secret("three", {"name": "tokyo", "server": "https://elsewhere", "config": config}),
    )
    assert "is registered more than once, by the Secrets one, two." in register(spoke.wanted())["msg"]
    hub.kubectl("-n", hub.namespace, "delete", "secret", "two")
    assert "name is that of Secret three, which registers https://elsewhere." in register(spoke.wanted())["msg"]


def test_a_cluster_of_another_inventory(hub: Hub, spoke: Spoke, register: Register) -> None:
    register(spoke.wanted(), owner="there")
    assert "owner is here, but Secret" in register(spoke.wanted())["msg"]
    assert actions(register(spoke.wanted(), take_over=True)) == {"tokyo": "updated"}


def _run(hub: Hub, *clusters: Object) -> list[t.Any]:
    options = Options(namespace=hub.namespace, owner="here", hub_is_local=True)
    every = tuple(wanted(cluster, True) for cluster in clusters)
    return fleets.FleetRun(hub.kube, fleets.Fleet(every, options), print).run()


def test_what_somebody_else_changes_meanwhile_is_not_lost(
    hub: Hub, spoke: Spoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run(hub, spoke.wanted())
    taken = fleets.Lease.take
    times = []

    def meddle(self: t.Any) -> None:
        taken(self)
        if not times:
            name = secrets(hub)["tokyo"].secret
            hub.kubectl("-n", hub.namespace, "label", "secret", name, "theirs=now")
        times.append(1)

    monkeypatch.setattr(fleets.Lease, "take", meddle)
    (outcome,) = _run(hub, spoke.wanted(labels={"ours": "now"}))
    assert outcome.error is None
    assert len(times) == 2
    labels = secrets(hub)["tokyo"].labels
    assert (labels["ours"], labels["theirs"]) == ("now", "now")


def test_two_runs_at_once_wait_for_each_other(hub: Hub, spoke: Spoke, capsys: pytest.CaptureFixture[str]) -> None:
    lease = fleets.Lease(hub.kube, hub.namespace, print)
    lease.take()
    threading.Timer(1.5, lease.release).start()
    (outcome,) = _run(hub, spoke.wanted())
    assert outcome.error is None
    assert "waiting for another run that registers clusters on this hub: " in capsys.readouterr().out
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{hub.namespace}/leases"
    assert hub.kube.request("GET", leases)["items"] == []
