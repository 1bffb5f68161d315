# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The manager account: its objects, how they differ, and which rights are asked for."""

from __future__ import annotations

import copy
import typing as t

import pytest
from unit.registration_world import ACCOUNT, BINDING, RBAC, ROLE, RULES, SYSTEM, World, encoded

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_account import differs, parts, rights
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_probe import Right
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_spec import FULL, Account

WHOLE = Account("kube-system", "argocd-manager", FULL)
SOME = Account("argocd", "manager", FULL[:1], ("web", "db"))


def test_objects_for_the_whole_cluster() -> None:
    assert [str(part) for part in parts(WHOLE)] == [
        "ClusterRole argocd-manager-role",
        "ServiceAccount kube-system/argocd-manager",
        "ClusterRoleBinding argocd-manager-role-binding",
    ]


def test_objects_for_some_namespaces() -> None:
    assert [str(part) for part in parts(SOME)] == [
        "ServiceAccount argocd/manager",
        "Role web/manager-role",
        "RoleBinding web/manager-role-binding",
        "Role db/manager-role",
        "RoleBinding db/manager-role-binding",
    ]
    subjects = {part.body["subjects"][0]["namespace"] for part in parts(SOME) if "subjects" in part.body}
    assert subjects == {"argocd"}


def _live(kind: str, change: t.Callable[[t.Any], None]) -> tuple[t.Any, t.Any]:
    (part,) = (part for part in parts(WHOLE) if part.body["kind"] == kind)
    live = copy.deepcopy(part.body)
    live["metadata"]["resourceVersion"] = "1"
    change(live)
    return live, part


@pytest.mark.parametrize(
    ("kind", "change", "how"),
    [
        ("ServiceAccount", lambda live: None, ""),
        ("ClusterRole", lambda live: None, ""),
        ("ClusterRole", lambda live: live["rules"].reverse(), ""),
        ("ClusterRole", lambda live: live["rules"].pop(), "its rules differ"),
        ("ClusterRole", lambda live: live.update(rules=None), "its rules differ"),
        ("ClusterRoleBinding", lambda live: live["subjects"].append({"kind": "User", "name": "me"}), ""),
        ("ClusterRoleBinding", lambda live: live.update(subjects=None), "it does not name the service account"),
        ("ClusterRoleBinding", lambda live: live["roleRef"].update(name="view"), "it is bound to ClusterRole view"),
    ],
)
def test_how_an_object_differs(kind: str, change: t.Callable[[t.Any], None], how: str) -> None:
    live, part = _live(kind, change)
    assert differs(live, part) == how
    assert differs(None, part) == "it is not there"


def test_rules_are_compared_by_meaning() -> None:
    account = Account("a", "b", ({"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get", "list"]},))
    same = [{"verbs": ["list", "get"], "resources": ["nodes", "pods"], "apiGroups": [""], "resourceNames": []}]
    assert differs({"rules": same}, parts(account)[0]) == ""


def test_rights_that_are_asked_for() -> None:
    assert rights(WHOLE) == (Right(),)
    assert rights(SOME) == (Right(namespace="web"), Right(namespace="db"))
    rules = (
        {"apiGroups": ["apps"], "resources": ["deployments", "deployments/scale"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["one"]},
        {"nonResourceURLs": ["/healthz"], "verbs": ["get"]},
    )
    assert rights(Account("a", "b", rules)) == (
        Right("get", "apps", "deployments"),
        Right("list", "apps", "deployments"),
    )


def test_not_every_right_of_a_long_list_is_asked_for() -> None:
    rules = ({"apiGroups": [""], "resources": [f"r{n}" for n in range(50)], "verbs": ["get", "list"]},)
    assert len(rights(Account("a", "b", rules))) == 24


# On a spoke


def test_what_is_there_already_is_compared_and_put_right(world: World) -> None:
    """On a first run nobody looks before."""
    spoke = world.spoke()
    spoke.put(ROLE, {"metadata": {"name": "argocd-manager-role"}, "rules": RULES})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "argocd-manager-role"}
    theirs = {"kind": "User", "name": "me"}
    spoke.put(BINDING, {"metadata": {}, "roleRef": reference, "subjects": [theirs]})
    assert world.one(world.wanted()).account_changes == [
        "ClusterRole argocd-manager-role: its rules differ",
        "ServiceAccount kube-system/argocd-manager: it is not there",
        "ClusterRoleBinding argocd-manager-role-binding: it does not name the service account",
    ]
    assert spoke.items[ROLE]["rules"] == list(FULL)
    assert spoke.items[BINDING]["subjects"][0] == theirs
    assert spoke.items[BINDING]["subjects"][1]["name"] == "argocd-manager"
    # What others made is not ours, and takes nothing along.
    assert spoke.items[ACCOUNT]["metadata"]["labels"] == {"hubspoke.bootstrap/owner": "here"}
    assert "ownerReferences" not in spoke.items[ACCOUNT]["metadata"]


def test_a_binding_to_another_role_is_made_anew(world: World) -> None:
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    world.spoke().put(BINDING, {"metadata": {}, "roleRef": reference})
    assert world.one(world.wanted()).account_changes[2].endswith(": it is bound to ClusterRole view")
    assert world.spoke().items[BINDING]["roleRef"]["name"] == "argocd-manager-role"


def test_the_role_takes_along_what_belongs_to_it(world: World) -> None:
    world.one(world.wanted())
    assert [event for event in world.written if " PUT " in event] == []
    role = world.spoke().items[ROLE]["metadata"]
    for path in (ACCOUNT, BINDING):
        (owner,) = world.spoke().items[path]["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"]) == ("ClusterRole", role["uid"])


NOT_WANTED = "argocd-manager-role-binding: it is not wanted any more"


def rights_on(world: World) -> set[str]:
    """Where the account has rights; all over as an empty namespace."""
    found = (path.partition("/namespaces/")[2] for path in world.spoke().items if path.startswith(RBAC))
    return {place.partition("/")[0] for place in found}


@pytest.mark.parametrize("rotate", ["due", "always"])
def test_an_account_of_fewer_namespaces_loses_the_other_rights(world: World, rotate: str) -> None:
    for name in ("web", "db"):
        world.spoke().put(f"/api/v1/namespaces/{name}", {})
    steps: list[tuple[t.Any, set[str], str]] = [
        ({}, {""}, ""),
        ({"namespaces": ["web", "db"]}, {"web", "db"}, f"ClusterRoleBinding {NOT_WANTED}"),
        ({"namespaces": ["web"]}, {"web"}, f"RoleBinding db/{NOT_WANTED}"),
        ({"namespaces": ["web"], "cluster_resources": True}, {""}, f"RoleBinding web/{NOT_WANTED}"),
    ]
    for options, places, change in steps:
        said = world.one(world.wanted(**options), check=True, rotate=rotate)
        done = world.one(world.wanted(**options), rotate=rotate)
        assert rights_on(world) == places
        assert ACCOUNT in world.spoke().items
        assert said.account_changes == done.account_changes
        assert change in (*done.account_changes, "")
        # The proof is that of the account as it stays.
        at = [number for number, event in enumerate(world.events) if "tokyo DELETE" in event or event == "probe"]
        assert world.events[at[-1]] == "probe"
        assert not world.one(world.wanted(**options)).changed
    world.one(world.wanted(**steps[-1][0], state="absent"))
    assert rights_on(world) == set()


@pytest.mark.parametrize("forbidden", [True, False])
def test_rights_that_others_gave_are_told(world: World, forbidden: bool) -> None:
    world.spoke().put("/api/v1/namespaces/web", {})
    world.one(world.wanted(), owner="there")
    if forbidden:
        world.spoke().fails["GET", "clusterrole"] = 403
    done = world.one(world.wanted(namespaces=["web"]), take_over=True)
    names = "ClusterRole argocd-manager-role, ClusterRoleBinding argocd-manager-role-binding"
    assert done.notes == [f"rights are left to its account, since others gave them: {names}"]
    assert rights_on(world) == {"", "web"}


@pytest.mark.parametrize("check", [True, False])
def test_a_namespace_that_is_missing_is_named(world: World, check: bool) -> None:
    text = world.error(world.wanted(namespaces=["web"]), check=check)
    assert "Role web/argocd-manager-role cannot be made: its cluster has no namespace web." in text
    text = world.error(world.wanted(account={"namespace": "team"}), check=check)
    assert "its cluster has no namespace team." in text


def test_a_namespace_that_may_not_be_read_may_be_there(world: World) -> None:
    world.spoke().fails["GET", "/namespaces/web$"] = 403
    assert len(world.one(world.wanted(namespaces=["web"]), check=True).account_changes) == 3
    world.spoke().fails["GET", "/namespaces/web$"] = 500
    world.error(world.wanted(namespaces=["web"]), check=True)


# A token without an end


def test_a_token_without_an_end_is_followed_and_forgotten(world: World) -> None:
    cluster = world.wanted(credential="token_secret")
    said = world.one(cluster)
    secret = f"{SYSTEM}/secrets/argocd-manager-long-lived-token"
    assert (said.expires, secret in world.spoke().items, f"{secret}-2" in world.spoke().items) == (None, True, False)
    tokens = [world.secrets["tokyo"].token]
    assert not world.one(cluster).changed
    for name, other in ((f"{secret}-2", secret), (secret, f"{secret}-2")):
        world.one(cluster, rotate="always")
        tokens.append(world.secrets["tokyo"].token)
        assert (name in world.spoke().items, other in world.spoke().items) == (True, False)
        # The old one goes when the hub has the new one.
        order = [event.partition("/cluster")[0] for event in world.events]
        assert order.index("hub PATCH secrets") < order.index(f"tokyo DELETE secrets/{other.rpartition('/')[2]}")
    assert len(set(tokens)) == 3
    world.spoke().fails["DELETE", "long-lived"] = 403
    (warning,) = world.one(cluster, rotate="always").warnings
    assert warning == "the Secret of its former token could not be removed from the spoke: no DELETE"
    assert world.secrets["tokyo"].token not in tokens
    assert "hold no other token" not in str(world.run(cluster)[0].error)


def test_a_token_that_would_not_be_another_one_is_refused(world: World) -> None:
    cluster = world.wanted(credential="token_secret")
    world.one(cluster)
    token = world.secrets["tokyo"].token
    second = f"{SYSTEM}/secrets/argocd-manager-long-lived-token-2"
    world.spoke().put(second, {"data": {"token": encoded(token)}})
    assert "hold no other token" in world.error(cluster, rotate="always")
