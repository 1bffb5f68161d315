# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The manager account: its objects, how they differ, and which rights are asked for."""

from __future__ import annotations

import copy
import typing as t

import pytest

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
