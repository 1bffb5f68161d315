# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A cluster removed: its Secret first, then what of its account is ours, by whichever way is left."""

from __future__ import annotations

import typing as t

import pytest
from unit.registration_world import ACCOUNT, BINDING, LOCK, ROLE, UNLOCK, World, jwt

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


BEARER = {"credential": "bearer_token", "bearer_token": "theirs"}


@pytest.mark.parametrize("then", [{"account": {"name": "other"}}, BEARER])
def test_an_account_that_is_not_used_any_more_goes_once_the_hub_has_the_new_credential(
    world: World, then: t.Any
) -> None:
    world.one(world.wanted())
    said = world.one(world.wanted(**then), check=True)
    assert world.written in ([], ["probe"])
    done = world.one(world.wanted(**then))
    gone = [
        "ClusterRoleBinding argocd-manager-role-binding",
        "ServiceAccount kube-system/argocd-manager",
        "ClusterRole argocd-manager-role",
    ]
    assert done.account_changes[-3:] == [f"{part}: it is not wanted any more" for part in gone]
    assert list(said.account_changes) == list(done.account_changes)
    assert not {ROLE, BINDING, ACCOUNT} & set(world.spoke().items)
    removal = world.written.index("tokyo DELETE clusterrolebindings/argocd-manager-role-binding")
    assert world.written.index("hub PATCH secrets") < removal
    assert not world.one(world.wanted(**then)).changed


def test_a_former_account_that_cannot_be_removed_is_told(world: World) -> None:
    world.one(world.wanted())
    then = {"server": "https://tokyo:6443", **BEARER}
    without = world.wanted(**then) | {"spoke": None}
    told = "its former account kube-system/argocd-manager stays on the spoke: spoke is not given"
    assert world.one(without, check=True).warnings == [told]
    world.spoke().fails["DELETE", "clusterrolebindings/"] = 500
    done = world.one(world.wanted(**then))
    assert done.warnings == ["its former account could not be removed from the spoke: no DELETE"]
    assert world.secrets["tokyo"].token == "theirs"


def test_an_account_that_something_else_registered_stays_though_it_is_not_used_any_more(world: World) -> None:
    for path in (ROLE, ACCOUNT, BINDING):
        world.spoke().put(path, {"metadata": {"name": path.rpartition("/")[2]}})
    world.by_hand("tokyo", bearerToken=jwt(sub="system:serviceaccount:kube-system:argocd-manager"))
    done = world.one(world.wanted(account={"name": "other"}), owner="")
    assert (done.action, world.secrets["tokyo"].account) == ("updated", "kube-system/other")
    assert {ROLE, ACCOUNT, BINDING} <= set(world.spoke().items)
