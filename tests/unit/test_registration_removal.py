# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A cluster removed: its Secret first, then what of its account is ours, by whichever way is left."""

from __future__ import annotations

import typing as t

import pytest
from unit.registration_world import ACCOUNT, BINDING, LOCK, ROLE, UNLOCK, World

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_spec import FULL


def test_it_and_its_account_are_removed(world: World) -> None:
    world.one(world.wanted())
    said = world.one(world.wanted(state="absent"), check=True)
    assert (said.action, said.changed, world.written, len(world.secrets)) == ("removed", True, [], 1)
    done = world.one(world.wanted(state="absent"))
    assert (done.action, done.warnings, done.notes, world.secrets) == ("removed", [], [], {})
    # The Secret goes first: Argo CD would meet refusals with an account that is gone.
    assert world.written[:3] == [LOCK, "hub DELETE secrets", "tokyo DELETE clusterroles/argocd-manager-role"]
    assert "tokyo as us" in world.events
    assert not {ROLE, BINDING, ACCOUNT} & set(world.spoke().items)
    again = world.one(world.wanted(state="absent"))
    assert (again.action, again.changed, world.events) == ("unchanged", False, [])


def test_a_token_secrets_account_goes_too(world: World) -> None:
    world.one(world.wanted(credential="token_secret"))
    world.one(world.wanted(state="absent"))
    assert ROLE not in world.spoke().items


def test_an_account_of_others_stays(world: World) -> None:
    for path in (ROLE, ACCOUNT):
        world.spoke().put(path, {"metadata": {"name": path.rpartition("/")[2]}, "rules": list(FULL)})
    world.one(world.wanted())
    done = world.one(world.wanted(state="absent"))
    names = "ClusterRole argocd-manager-role, ServiceAccount kube-system/argocd-manager"
    assert done.notes == [f"left on the spoke, since others made it: {names}"]
    assert ({ROLE, ACCOUNT} & set(world.spoke().items), BINDING in world.spoke().items) == ({ROLE, ACCOUNT}, False)


@pytest.mark.parametrize("spoke", [None, {"kubeconfig": "/nowhere"}])
def test_without_another_way_an_account_removes_itself(world: World, spoke: t.Any) -> None:
    world.one(world.wanted())
    absent = world.wanted(state="absent") | {"spoke": spoke}
    assert world.one(absent).warnings == []
    assert "tokyo as its account" in world.events
    assert ROLE not in world.spoke().items


def test_in_namespaces_the_service_account_goes_last(world: World) -> None:
    world.spoke().put("/api/v1/namespaces/web", {})
    world.one(world.wanted(namespaces=["web"]))
    world.spoke().fails["DELETE", "rolebindings"] = 403  # its own rights are gone with the role: no reason to stop
    assert world.one(world.wanted(namespaces=["web"], state="absent")).warnings == []
    deleted = [event.split()[2].partition("/")[0] for event in world.events if event.startswith("tokyo DELETE")]
    assert deleted == ["roles", "rolebindings", "serviceaccounts"]


def test_what_cannot_be_removed_from_the_spoke_is_told(world: World) -> None:
    world.one(world.wanted())
    world.spoke().fails["DELETE", "clusterroles/"] = 500
    done = world.one(world.wanted(state="absent"))
    assert done.warnings == ["its account kube-system/argocd-manager could not be removed from the spoke: no DELETE"]
    assert world.secrets == {}


@pytest.mark.parametrize("config", [{"username": "u", "password": "p"}, {"bearerToken": "opaque"}])
def test_credentials_of_the_users_have_no_account_to_remove(world: World, config: t.Any) -> None:
    world.by_hand("tokyo", **config)
    assert world.one({"name": "tokyo", "state": "absent"}).action == "removed"
    assert world.written == [LOCK, "hub DELETE secrets/by-hand-tokyo", UNLOCK]
