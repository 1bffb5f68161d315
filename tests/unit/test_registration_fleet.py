# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Many clusters at once: which Secret is whose, what is pruned and what is not, and that each stands for itself."""

from __future__ import annotations

import threading
import typing as t

import pytest
from unit.registration_world import RBAC, SECRETS, World, encoded, refusal

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _registration_fleet as fleets
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

APPLICATIONS = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications"
SETS = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applicationsets"
PRUNE = {"prune": True}
WITH_THEM = {"prune": True, "remove_applications": True}


def actions(outcomes: t.Iterable[t.Any]) -> dict[str, str]:
    return {one.name: "failed" if one.error else one.action for one in outcomes}


def application(world: World, name: str, cluster: str) -> None:
    world.hub.put(
        f"{APPLICATIONS}/{name}",
        {"metadata": {"name": name, "namespace": "argocd"}, "spec": {"destination": {"name": cluster}}},
    )


# Which Secret is whose


def test_an_address_that_two_kubeconfigs_share_is_registered_once(world: World) -> None:
    both = [world.wanted(name, spoke=world.wanted("tokyo")["spoke"]) for name in ("a", "b")]
    one, other = world.run(*both, fleet={"concurrency": 1})
    assert (one.error, other.error.message) == (None, "Cluster b: server https://tokyo:6443 is that of a too.")


def test_a_message_that_names_its_cluster_does_not_do_so_twice(world: World) -> None:
    local = world.wanted(spoke={"host": "https://localhost:6443", "api_key": "x"})
    assert world.error(local).count("Cluster tokyo: ") == 1


def test_doubles_are_named(world: World) -> None:
    world.by_hand("a", "https://tokyo:6443")
    world.by_hand("b", "https://TOKYO:6443/")
    assert "is registered more than once, by the Secrets by-hand-a, by-hand-b." in world.error(world.wanted())


@pytest.mark.parametrize(("owner", "state", "taken"), [
    ("", "present", True), ("there", "present", True), ("here", "present", False), ("", "absent", False),
])  # fmt: skip
def test_a_name_at_another_address(world: World, owner: str, state: str, taken: bool) -> None:
    world.by_hand("tokyo", "https://old:6443", owner, bearerToken="x")
    (said,) = world.run(world.wanted(state=state))
    assert (said.error is not None) is taken
    if said.error:
        assert said.error.message.startswith("Cluster tokyo: name is that of Secret by-hand-tokyo, which registers")
    elif state == "present":
        assert (said.action, said.changes[:1]) == ("updated", ["server"])
        assert world.secrets["tokyo"].secret == "by-hand-tokyo"


def test_a_name_is_nobodys_own_without_an_owner(world: World) -> None:
    world.by_hand("tokyo", "https://old:6443")
    assert "name is that of Secret by-hand-tokyo" in world.error(world.wanted(), owner="")


def test_an_address_under_a_name_that_another_one_has(world: World) -> None:
    world.by_hand("old", "https://tokyo:6443", "here", bearerToken="x")
    world.by_hand("tokyo", "https://other", bearerToken="x")
    assert "name is that of Secret by-hand-tokyo, which registers https://other." in world.error(world.wanted())
    assert world.one(world.wanted(state="absent")).name == "old"


def test_other_secrets_of_the_namespace_are_nobodys(world: World) -> None:
    data = {"name": encoded("tokyo"), "server": encoded("https://tokyo:6443")}
    world.hub.put(f"{SECRETS}/plain", {"metadata": {"name": "plain"}, "data": data})
    assert world.one(world.wanted()).action == "created"


# The hub


@pytest.mark.parametrize(
    ("path", "message"),
    [("/api/v1/namespaces/argocd", "no namespace argocd"), ("/apis/argoproj.io/v1alpha1", "The hub has no Argo CD")],
)
def test_a_hub_without_argo_cd(world: World, path: str, message: str) -> None:
    del world.hub.items[path]
    with pytest.raises(HubspokeError, match=message):
        world.run(world.wanted())
    assert world.events == []


def test_a_hub_that_does_not_say_who_it_is(world: World) -> None:
    world.hub.fails["GET", "/kube-system$"] = 403
    assert world.one(world.wanted()).action == "created"


# Side by side


def test_each_stands_for_itself(world: World) -> None:
    world.refuses = [refusal("certificate")]
    clusters = [world.wanted("bad"), world.wanted("tokyo"), {"name": "far", "spoke": {"kubeconfig": "/nowhere"}}]
    said = world.run(*clusters, fleet={"concurrency": 1})
    assert actions(said) == {"bad": "failed", "tokyo": "created", "far": "failed"}
    assert set(world.secrets) == {"tokyo"}
    assert "hub DELETE leases/hubspoke-registration" in world.events


@pytest.mark.parametrize("prune", [True, False])
def test_as_many_as_are_allowed_are_worked_on_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch, prune: bool
) -> None:
    names = ["a", "b", "c", "d"]
    world.run(*map(world.wanted, names))
    together = threading.Barrier(4, timeout=10)

    def meet(self: t.Any, found: t.Any, *_rest: t.Any) -> fleets.Outcome:
        together.wait()
        if found.name == "b":
            raise HubspokeError("it is out of reach.", "Repair it.")
        return fleets.Outcome(found.name, action="removed")

    monkeypatch.setattr(fleets.Registrar, "absent", meet)
    clusters = () if prune else [world.wanted(name, state="absent") for name in names]
    said = world.run(*clusters, fleet={"prune": prune, "concurrency": 4})
    assert list(actions(said).items()) == [("a", "removed"), ("b", "failed"), ("c", "removed"), ("d", "removed")]


def test_of_a_large_fleet_is_told_how_far_it_is(world: World) -> None:
    clusters = [{"name": f"c{n}", "server": f"https://c{n}", "bearer_token": "x"} for n in range(200)]
    world.refuses = [refusal("certificate")]
    world.run(*clusters, check=True, fleet={"concurrency": 1})
    assert world.lines == [f"{done} of 200 clusters, 1 of them failed" for done in (100, 200)]
    world.lines.clear()
    world.run(*clusters[:99], check=True)
    assert world.lines == []


# Prune


def test_what_is_pruned_and_what_is_not(world: World) -> None:
    for name, owner in (("ours", "here"), ("kept", "here"), ("theirs", "there"), ("nobodys", ""), ("old", "here")):
        world.by_hand(name, owner=owner)
    world.by_hand("failing", owner="here")
    renamed = {"name": "new", "server": "https://old:6443", "bearer_token": "x"}
    failing = {"name": "failing", "spoke": {"kubeconfig": "/nowhere"}}
    here = [renamed, failing]
    options = {"protected": frozenset({"kept"})}
    assert actions(world.run(*here, owner="", fleet=PRUNE, check=True)).keys() == {"new", "failing"}
    assert actions(world.run(*here, fleet=options, check=True)).keys() == {"new", "failing"}
    said = world.run(*here, fleet={**options, **PRUNE}, check=True)
    assert actions(said) == {"new": "updated", "failing": "failed", "ours": "removed"}
    assert "ours" in world.secrets
    assert actions(world.run(*here, fleet={**options, **PRUNE})) == actions(said)
    assert set(world.secrets) == {"new", "failing", "kept", "theirs", "nobodys"}


def test_what_is_protected_is_not_removed_by_name(world: World) -> None:
    world.by_hand("tokyo")
    text = world.error(world.wanted(state="absent"), fleet={"protected": frozenset({"tokyo"})})
    assert "Cluster tokyo: it is protected." in text


@pytest.mark.parametrize("options", [{"namespaces": ["web"]}, {"namespaces": ["web"], "cluster_resources": True}])
def test_a_pruned_clusters_account_is_removed_with_its_own_rights(world: World, options: t.Any) -> None:
    world.spoke().put("/api/v1/namespaces/web", {})
    world.one(world.wanted(**options))
    assert any(path.startswith(RBAC) for path in world.spoke().items)
    (said,) = world.run(fleet=PRUNE)
    assert (said.error, said.warnings) == (None, [])
    assert "tokyo as its account" in world.events
    assert not [path for path in world.spoke().items if path.startswith(RBAC) or "serviceaccounts" in path]


def test_applications_are_named_or_removed_first(world: World) -> None:
    world.one(world.wanted())
    application(world, "web", "tokyo")
    assert "Cluster tokyo: Application web still targets it." in world.error(fleet=PRUNE)
    assert world.events == []
    (said,) = world.run(fleet=WITH_THEM, check=True)
    assert (said.action, said.changes, world.events) == ("removed", ["removed Application web"], [])
    (done,) = world.run(fleet=WITH_THEM)
    assert (done.changes, done.warnings, world.secrets) == (said.changes, [], {})
    assert next(event for event in world.events if " DELETE " in event) == "hub DELETE applications/web"


def test_applications_that_come_back_are_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.one(world.wanted())
    application(world, "web", "tokyo")
    monkeypatch.setattr(fleets.targeting, "let_go", lambda _hub, found, _seconds: found)
    (said,) = world.run(fleet=WITH_THEM)
    assert said.warnings == ["Application web came back and could not be removed for good"]


def test_an_application_set_that_names_it_has_to_let_go_first(world: World) -> None:
    world.one(world.wanted())
    spec = {"template": {"spec": {"destination": {"name": "tokyo"}}}}
    world.hub.put(f"{SETS}/services", {"metadata": {"name": "services", "namespace": "argocd"}, "spec": spec})
    for fleet in (PRUNE, WITH_THEM):
        assert "Cluster tokyo: ApplicationSet services names it." in world.error(fleet=fleet)
    assert "tokyo" in world.secrets
