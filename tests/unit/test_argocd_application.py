# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Verdicts, trees, plans and texts about Applications, from objects as Argo CD 3.5 writes them."""

from __future__ import annotations

import copy
import typing as t

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _argocd_application as model
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _argocd_application_cause as causes
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _argocd_application_sync as sync
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_application_failing import (
    lack,
    pod_trouble,
    recorded,
    shorten,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_application_tree import (
    Selection,
    children,
    grow,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_application_wait import hopeless, judge

SOURCE = {"repoURL": "https://git.example.com/apps.git", "targetRevision": "main", "path": "apps"}
RETRYING = "one or more objects failed to apply. Retrying attempt #2 at 10:46AM."
NO_REPOSITORY = (
    "Failed to load target state: failed to generate manifest for source 1 of 1: rpc error: code = Unknown "
    "desc = failed to list refs: repository not found"
)


def application(name: str = "web", *changes: dict[str, t.Any]) -> dict[str, t.Any]:
    """A Synced and Healthy one with automated sync, changed by merge patches."""
    item: dict[str, t.Any] = {
        "apiVersion": model.API_VERSION,
        "kind": "Application",
        "metadata": {"name": name, "namespace": "argocd", "resourceVersion": "7"},
        "spec": {
            "project": "default",
            "source": dict(SOURCE),
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "web"},
            "syncPolicy": {"automated": {"prune": True, "selfHeal": True}},
        },
        "status": {
            "sync": {"status": "Synced", "revision": "aaa", "comparedTo": {"source": dict(SOURCE)}},
            "health": {"status": "Healthy"},
            "operationState": {
                "phase": "Succeeded",
                "message": "successfully synced (all tasks run)",
                "syncResult": {"revision": "aaa", "source": dict(SOURCE)},
            },
        },
    }
    for change in changes:
        merge(item, change)
    return item


def merge(into: dict[str, t.Any], change: dict[str, t.Any]) -> None:
    """RFC 7386, as far as it is needed."""
    for name, value in change.items():
        if value is None:
            into.pop(name, None)
        elif isinstance(value, dict) and isinstance(into.get(name), dict):
            merge(into[name], value)
        else:
            into[name] = copy.deepcopy(value)


NEW = {"status": None}
OUT_OF_SYNC = {"status": {"sync": {"status": "OutOfSync"}}}
RUNNING = {"operation": {"sync": {}}, "status": {"operationState": {"phase": "Running", "message": ""}}}
USED_UP = {
    "status": {
        "sync": {"status": "OutOfSync"},
        "operationState": {"phase": "Failed", "message": "Deployment is invalid (retried 5 times)."},
    }
}
RETRIES = {
    "operation": {"sync": {}},
    "status": {
        "sync": {"status": "OutOfSync"},
        "operationState": {"phase": "Running", "finishedAt": "2026-01-01T00:00:00Z", "message": RETRYING},
    },
}
LATER = {"status": {"sync": {"revision": "bbb"}}}
MANUAL = {"spec": {"syncPolicy": {"automated": None}}}
SURPLUS = {
    "status": {
        "resources": [
            {"kind": "ConfigMap", "name": "old", "status": "OutOfSync", "requiresPruning": True},
            {"kind": "ConfigMap", "name": "new", "status": "Synced"},
        ]
    }
}
UNKNOWN = {"status": {"sync": {"status": "Unknown"}}}


def failed_comparison(kind: str, message: str) -> dict[str, t.Any]:
    return {"status": {"sync": {"status": "Unknown"}, "conditions": [{"type": kind, "message": message}]}}


def annotated(name: str) -> dict[str, t.Any]:
    return {"metadata": {"annotations": {name: "normal"}}}


@pytest.mark.parametrize(
    ("changes", "state", "text"),
    [
        ([], model.READY, "Synced, Healthy"),
        ([NEW], model.WAITING, model.NOT_SEEN),
        ([{"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}], model.WAITING, "being deleted"),
        ([annotated(model.REFRESH)], model.WAITING, model.NOT_REFRESHED),
        # An error stays one while it is looked at again.
        (
            [annotated(model.REFRESH), failed_comparison("ComparisonError", "no such thing.")],
            model.ERROR,
            "ComparisonError: no such thing",
        ),
        ([failed_comparison("InvalidSpecError", "no project")], model.ERROR, "InvalidSpecError: no project"),
        # Warnings, and errors of a sync, are no errors of the definition.
        ([failed_comparison("OrphanedResourceWarning", "x")], model.WAITING, "Unknown, Healthy"),
        ([UNKNOWN], model.WAITING, "Unknown, Healthy"),
        # The status is about another definition.
        (
            [{"spec": {"source": {"targetRevision": "v2"}}}],
            model.WAITING,
            "not compared with its new definition yet",
        ),
        ([{"spec": {"sources": [SOURCE], "source": None}}], model.READY, "Synced, Healthy"),
        ([OUT_OF_SYNC], model.WAITING, "OutOfSync, Healthy"),
        ([OUT_OF_SYNC, RUNNING], model.WAITING, "sync running"),
        ([RUNNING], model.WAITING, "sync running"),
        ([{"operation": {"sync": {}}}], model.WAITING, "sync about to start"),
        ([{"operation": {"sync": {}}, "status": {"operationState": None}}], model.WAITING, "sync about to start"),
        ([RETRIES], model.WAITING, f"sync running, {RETRYING.rstrip('.')}"),
        ([USED_UP], model.FAILED, "sync failed: Deployment is invalid (retried 5 times)"),
        # Argo CD starts the next one by itself.
        ([USED_UP, LATER], model.WAITING, "OutOfSync, Healthy"),
        (
            [USED_UP, {"status": {"operationState": {"syncResult": {"source": {"path": "old"}}}}}],
            model.WAITING,
            "OutOfSync, Healthy",
        ),
        # It does not where the sync came to no result.
        ([USED_UP, LATER, {"status": {"operationState": {"syncResult": None}}}], model.FAILED, None),
        # Somebody has repaired it.
        ([{"status": {"operationState": {"phase": "Failed"}}}], model.READY, "Synced, Healthy"),
        ([OUT_OF_SYNC, MANUAL], model.HELD, "OutOfSync, and its sync policy leaves the sync to people"),
        ([OUT_OF_SYNC, {"spec": {"syncPolicy": {"automated": {"enabled": False}}}}], model.HELD, None),
        # Argo CD does not even start a sync for that.
        ([OUT_OF_SYNC, SURPLUS, {"spec": {"syncPolicy": {"automated": {"prune": None}}}}], model.HELD, None),
        ([OUT_OF_SYNC, SURPLUS], model.WAITING, None),
        ([USED_UP, MANUAL], model.FAILED, None),
        ([MANUAL], model.READY, "Synced, Healthy"),
        ([{"status": {"health": {"status": "Progressing"}}}], model.WAITING, "Progressing"),
        (
            [{"status": {"health": {"status": "Degraded", "message": "a pod\n died."}}}],
            model.WAITING,
            "Degraded: a pod died",
        ),
        ([{"status": {"health": {"status": "Suspended"}}}], model.WAITING, "Suspended"),
        ([{"status": {"health": None}}], model.WAITING, "Unknown"),
    ],
)
def test_verdict(changes: list[dict[str, t.Any]], state: str, text: str | None) -> None:
    found = model.verdict(application("web", *changes))
    assert found.state == state
    assert text in (None, found.text)


@pytest.mark.parametrize(
    ("wait_for", "changes", "state"),
    [
        (["Synced"], [{"status": {"health": {"status": "Degraded"}}}], model.READY),
        (["Healthy"], [OUT_OF_SYNC, MANUAL], model.READY),
        (["Healthy"], [{"status": {"health": {"status": "Degraded"}}}], model.WAITING),
        (["Healthy"], [RUNNING], model.WAITING),
        ([], [OUT_OF_SYNC], model.READY),
    ],
)
def test_verdict_for_a_part(wait_for: list[str], changes: list[dict[str, t.Any]], state: str) -> None:
    assert model.verdict(application("web", *changes), wait_for).state == state


def test_a_waiting_sync_is_told_with_kind_and_wave() -> None:
    waiting = "waiting for healthy state of argoproj.io/Application/platform and 1 more resources"
    app = application(
        "root",
        RUNNING,
        {
            "status": {
                "operationState": {"message": waiting},
                "resources": [{"group": "argoproj.io", "kind": "Application", "name": "platform", "syncWave": 3}],
            }
        },
    )
    expected = "sync running, waiting for healthy state of Application platform (wave 3) and 1 more resources"
    assert model.verdict(app).text == expected


def test_a_waiting_sync_of_a_core_kind_that_is_not_listed_yet() -> None:
    app = application(
        "root", RUNNING, {"status": {"operationState": {"message": "waiting for deletion of /Namespace/web"}}}
    )
    assert model.verdict(app).text == "sync running, waiting for deletion of Namespace web"


def application_set(conditions: dict[str, tuple[str, str]], **metadata: t.Any) -> dict[str, t.Any]:
    listed = [{"type": kind, "status": status, "message": text} for kind, (status, text) in conditions.items()]
    return {
        "kind": "ApplicationSet",
        "metadata": {"name": "services", "namespace": "argocd", **metadata},
        "status": {"conditions": listed},
    }


@pytest.mark.parametrize(
    ("item", "state"),
    [
        (application_set({}), model.WAITING),
        (application_set({"ResourcesUpToDate": ("True", "")}), model.READY),
        (application_set({"ResourcesUpToDate": ("False", "")}), model.WAITING),
        (application_set({"ResourcesUpToDate": ("True", ""), "ErrorOccurred": ("False", "")}), model.READY),
        (application_set({"ResourcesUpToDate": ("True", ""), "ErrorOccurred": ("True", "x")}), model.ERROR),
        (application_set({"ResourcesUpToDate": ("True", "")}, annotations={model.SET_REFRESH: "true"}), model.WAITING),
        (application_set({"ResourcesUpToDate": ("True", "")}, deletionTimestamp="now"), model.WAITING),
    ],
)
def test_verdict_of_an_application_set(item: dict[str, t.Any], state: str) -> None:
    assert model.verdict(item).state == state


# Trees


def managing(name: str, *managed: str, **more: t.Any) -> dict[str, t.Any]:
    resources = [
        {"group": "argoproj.io", "kind": "Application", "name": child, "namespace": "argocd", **more}
        for child in managed
    ]
    return application(name, {"status": {"resources": [{"kind": "ConfigMap", "name": "x"}, *resources]}})


def tree_of(
    *items: dict[str, t.Any], names: tuple[str, ...] = (), sets: tuple[str, ...] = (), descend: bool = True
) -> t.Any:
    found = {model.key(item): item for item in items}
    roots = Selection(names=names, sets=sets).roots or sorted(found)
    return grow(found, roots, descend)


def test_tree_descends_and_keeps_what_is_not_there() -> None:
    tree = tree_of(
        managing("root", "a", "b"), managing("a", "c"), application("c"), application("other"), names=("root",)
    )
    assert [item[2] for item in tree.items] == ["root", "a", "b", "c"]
    assert tree.items["Application", "argocd", "b"] is None
    assert [parent[2] for parent in tree.ancestors(("Application", "argocd", "c"))] == ["a", "root"]


def test_tree_stays_at_the_roots_when_it_is_told_to() -> None:
    assert len(tree_of(managing("root", "a"), application("a"), names=("root",), descend=False).items) == 1


def test_tree_of_everything_knows_who_manages_whom() -> None:
    tree = tree_of(application("a"), managing("root", "a"))
    assert tree.parents == {("Application", "argocd", "a"): ("Application", "argocd", "root")}


def test_tree_of_applications_that_manage_each_other_ends() -> None:
    tree = tree_of(managing("a", "b"), managing("b", "a"), names=("a",))
    assert [parent[2] for parent in tree.ancestors(("Application", "argocd", "a"))] == ["b"]


def test_tree_finds_what_an_application_set_generated() -> None:
    generated = application("shop", {"metadata": {"ownerReferences": [{"kind": "ApplicationSet", "name": "services"}]}})
    tree = tree_of(application_set({}), generated, sets=("services",), descend=False)
    assert [item[2] for item in tree.items] == ["services", "shop"]


def test_children_are_in_the_order_of_waves_without_what_goes() -> None:
    app = application(
        "root",
        {
            "status": {
                "resources": [
                    {"group": "argoproj.io", "kind": "Application", "name": "z", "syncWave": -1},
                    {
                        "group": "argoproj.io",
                        "kind": "ApplicationSet",
                        "name": "a",
                        "syncWave": 2,
                        "namespace": "other",
                    },
                    {"group": "argoproj.io", "kind": "Application", "name": "gone", "requiresPruning": True},
                    {"group": "argoproj.io", "kind": "AppProject", "name": "p"},
                    {"group": "example.com", "kind": "Application", "name": "q"},
                ]
            }
        },
    )
    assert children(app) == [("Application", "argocd", "z"), ("ApplicationSet", "other", "a")]


# Hopeless or not

ERROR = failed_comparison("ComparisonError", NO_REPOSITORY)


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([application("root", ERROR)], True),
        ([application("root", USED_UP)], True),
        # Nobody answered: that may pass.
        ([application("root", failed_comparison("ComparisonError", "dial tcp: connection refused"))], False),
        # It is being looked at again.
        ([application("root", ERROR, annotated(model.REFRESH))], False),
        ([application("root", OUT_OF_SYNC)], False),
        # Another one is still on its way.
        ([application("a", ERROR), application("b", RUNNING)], False),
        ([application("a", ERROR), application("b")], True),
    ],
)
def test_hopeless(items: list[dict[str, t.Any]], expected: bool) -> None:
    tree = tree_of(*items)
    left = {k: v for k, v in judge(tree, ["Synced", "Healthy"]).items() if v.state not in (model.READY, model.HELD)}
    assert hopeless(tree, left) is expected


def test_hopeless_when_everything_waits_for_what_failed() -> None:
    root = managing("root", "a", "b")
    merge(root, RUNNING)
    tree = tree_of(root, application("a", USED_UP), names=("root",))
    left = judge(tree, ["Synced", "Healthy"])
    assert {item[2]: found.state for item, found in left.items()} == {"root": "waiting", "a": "failed", "b": "waiting"}
    assert hopeless(tree, left)


def test_a_root_that_does_not_exist_is_an_error() -> None:
    tree = tree_of(names=("root",))
    left = judge(tree, ["Synced"])
    assert next(iter(left.values())) == model.Verdict(model.ERROR, "does not exist")
    assert hopeless(tree, left)


# What to begin


@pytest.mark.parametrize(
    ("changes", "force", "action"),
    [
        ([], False, None),
        ([], True, sync.START),
        ([OUT_OF_SYNC], False, None),
        ([OUT_OF_SYNC, MANUAL], False, None),
        ([OUT_OF_SYNC, MANUAL], True, sync.START),
        ([USED_UP], False, sync.START),
        ([USED_UP, {"status": {"operationState": {"phase": "Error"}}}], False, sync.START),
        ([USED_UP, MANUAL], False, None),
        ([USED_UP, LATER], False, None),
        ([USED_UP, {"operation": {"sync": {}}}], False, None),
        ([USED_UP, {"metadata": {"deletionTimestamp": "now"}}], True, None),
        ([RUNNING], True, None),
        ([RETRIES], False, None),
        ([RETRIES, LATER], False, sync.RESTART),
        ([RETRIES, LATER, MANUAL], False, None),
        ([RUNNING, LATER], False, None),
        ([ERROR], False, None),
        ([{"status": {"operationState": {"phase": "Failed"}}}], False, None),
    ],
)
def test_plan(changes: list[dict[str, t.Any]], force: bool, action: str | None) -> None:
    step = sync.plan_one(application("web", *changes), force)
    assert (step.action if step else None) == action


def test_plan_forces_only_what_was_named() -> None:
    apps = [application("a"), application("b")]
    assert [step.app["metadata"]["name"] for step in sync.plan(apps, {model.key(apps[1])})] == ["b"]


def test_a_started_sync_follows_the_policy_and_holds_for_this_version_only() -> None:
    policy = {"syncOptions": ["CreateNamespace=true"], "retry": {"limit": 2}}
    body = sync.patch(sync.Step(application("web", {"spec": {"syncPolicy": policy}}), sync.START, ""))
    assert body == {
        "metadata": {"resourceVersion": "7"},
        "operation": {
            "initiatedBy": {"username": "hubspoke.bootstrap"},
            "retry": {"limit": 2},
            "sync": {"prune": True, "syncOptions": ["CreateNamespace=true"]},
        },
        "status": {"operationState": None},
    }


def test_a_started_sync_of_a_manual_policy_prunes_nothing() -> None:
    body = sync.patch(sync.Step(application("web", MANUAL), sync.START, ""))
    assert body["operation"]["sync"] == {"prune": False}
    assert body["operation"]["retry"] == {"limit": 5}


def test_a_started_sync_is_not_tried_again_where_the_policy_says_so() -> None:
    # Argo CD keeps {"limit": 0} as an empty object.
    once = {"spec": {"syncPolicy": {"automated": {}, "retry": {}}}}
    assert sync.patch(sync.Step(application("web", once), sync.START, ""))["operation"]["retry"] == {}


def test_a_restart_ends_the_running_operation() -> None:
    body = sync.patch(sync.Step(application("web", RETRIES), sync.RESTART, ""))
    assert body == {"metadata": {"resourceVersion": "7"}, "status": {"operationState": {"phase": "Terminating"}}}


# What the user is told


@pytest.mark.parametrize(
    ("message", "part", "may_pass"),
    [
        (NO_REPOSITORY, "repository", False),
        ("failed to list refs: authentication required: Unauthorized", "repository", False),
        ("failed to list refs: dial tcp: lookup git.invalid: no such host", "repository", False),
        ('failed to list refs: error creating SSH agent: "SSH agent requested"', "repository", False),
        ("failed to list refs: dial tcp 127.0.0.1:9418: connect: connection refused", "repository", True),
        ("rpc error: code = Unavailable desc = connection error: EOF", None, True),
        ("rpc error: code = Unknown desc = nopath: app path does not exist", "path", False),
        ("unable to resolve 'nobranch' to a commit SHA", "revision", False),
        ("Application referencing project nope which does not exist", "project", False),
        ('error getting cluster by server "https://x:6443": cluster "https://x:6443" not found', "destination", False),
        ("something new", None, False),
    ],
)
def test_causes(message: str, part: str | None, may_pass: bool) -> None:
    assert causes.cause(message) == part
    assert causes.may_pass(message) is may_pass


def test_a_remedy_names_the_variable_and_the_repository() -> None:
    text = causes.remedy(application("root"), NO_REPOSITORY, {"repository": "gitops_root_repository"})
    assert "https://git.example.com/apps.git" in text
    assert "variable gitops_root_repository" in text


def test_a_remedy_names_the_field_where_there_is_no_variable() -> None:
    assert "spec.source.path of Application web" in causes.remedy(application(), "app path does not exist", {})


def test_errors_are_shown_without_their_layers() -> None:
    assert causes.shown_verdict(f"ComparisonError: {NO_REPOSITORY}") == "ComparisonError: repository not found"
    assert causes.shown_verdict("OutOfSync, Missing") == "OutOfSync, Missing"


def test_recorded_findings_come_from_sync_health_and_difference() -> None:
    app = application(
        "web",
        USED_UP,
        {
            "status": {
                "operationState": {
                    "syncResult": {
                        "resources": [
                            {
                                "kind": "Deployment",
                                "name": "a",
                                "namespace": "web",
                                "status": "SyncFailed",
                                "message": "bad.",
                            },
                            {"kind": "Job", "name": "hook", "hookPhase": "Failed", "message": "exit 1"},
                            {"kind": "Service", "name": "b", "status": "Synced", "hookPhase": "Running"},
                        ]
                    }
                },
                "resources": [
                    {"kind": "Deployment", "name": "a", "namespace": "web", "status": "OutOfSync"},
                    {
                        "kind": "StatefulSet",
                        "name": "d",
                        "status": "Synced",
                        "health": {"status": "Degraded", "message": "m"},
                    },
                    {"kind": "ConfigMap", "name": "c", "status": "OutOfSync", "requiresPruning": True},
                    {"kind": "Secret", "name": "s", "status": "Synced", "health": {"status": "Healthy"}},
                ],
            }
        },
    )
    assert [str(found) for found in recorded(app)] == [
        "Deployment a: bad",
        "Job hook: exit 1",
        "StatefulSet d: Degraded: m",
        "ConfigMap c: to be pruned",
    ]
    assert shorten(recorded(app), 2) == "Deployment a: bad; Job hook: exit 1; and 2 more"


def test_an_application_in_order_has_no_findings() -> None:
    assert recorded(application()) == []


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        (
            {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 2}, "status": {"updatedReplicas": 2}},
            "0 of 2 replicas available",
        ),
        ({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "status": {"phase": "Pending"}}, "phase is Pending"),
        ({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "status": {"phase": "Bound"}}, None),
        (
            {"apiVersion": "v1", "kind": "Service", "spec": {"type": "LoadBalancer"}, "status": {"loadBalancer": {}}},
            "no load balancer has given it an address",
        ),
        ({"apiVersion": "v1", "kind": "Service", "spec": {"type": "ClusterIP"}, "status": {"loadBalancer": {}}}, None),
        (
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "Ingress",
                "status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}},
            },
            None,
        ),
        (
            {
                "apiVersion": "external-secrets.io/v1",
                "kind": "ExternalSecret",
                "status": {"conditions": [{"type": "Ready", "status": "False", "message": "no store"}]},
            },
            "condition Ready is False: no store",
        ),
        ({"apiVersion": "example.com/v1", "kind": "Thing"}, None),
    ],
)
def test_what_a_live_object_lacks(live: dict[str, t.Any], expected: str | None) -> None:
    assert lack(live) == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, None),
        (
            {
                "conditions": [
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no node"}
                ]
            },
            "Unschedulable: no node",
        ),
        ({"containerStatuses": [{"name": "web", "state": {"waiting": {"reason": "ContainerCreating"}}}]}, None),
        (
            {
                "containerStatuses": [
                    {
                        "name": "web",
                        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                        "lastState": {"terminated": {"exitCode": 3}},
                    }
                ]
            },
            "web CrashLoopBackOff, last exit code 3",
        ),
        (
            {"initContainerStatuses": [{"name": "init", "state": {"terminated": {"exitCode": 1}}}]},
            "init ended with exit code 1",
        ),
        ({"containerStatuses": [{"name": "web", "state": {"running": {}}}]}, None),
    ],
)
def test_what_troubles_a_pod(status: dict[str, t.Any], expected: str | None) -> None:
    assert pod_trouble({"metadata": {"name": "web-1"}, "status": status}) == expected
