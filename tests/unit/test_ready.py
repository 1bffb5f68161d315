# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Readiness: one table of (object, what it lacks)."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _ready


def workload(kind: str, generation: int = 1, spec: t.Any = None, api: str = "apps/v1", **status: t.Any) -> t.Any:
    return {
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": "x", "generation": generation},
        "spec": spec or {},
        "status": status,
    }


def condition(name: str, status: str = "True", **more: str) -> dict[str, str]:
    return {"type": name, "status": status, **more}


TABLE = [
    (workload("Deployment", 2, observedGeneration=1), "not seen by its controller yet"),
    (workload("Deployment", spec={"replicas": 2}, observedGeneration=1), "0 of 2 replicas updated"),
    (
        workload("Deployment", observedGeneration=1, updatedReplicas=1, replicas=2, availableReplicas=1),
        "1 old replicas still there",
    ),
    (workload("Deployment", observedGeneration=1, updatedReplicas=1, replicas=1), "0 of 1 replicas available"),
    (workload("Deployment", observedGeneration=1, updatedReplicas=1, replicas=1, availableReplicas=1), None),
    (workload("Deployment", spec={"replicas": 0}, observedGeneration=1), None),
    (workload("StatefulSet", spec={"replicas": 3}, observedGeneration=1, readyReplicas=1), "1 of 3 replicas ready"),
    (
        workload("StatefulSet", spec={"replicas": 3}, observedGeneration=1, readyReplicas=3, updatedReplicas=1),
        "1 of 3 replicas updated",
    ),
    (
        workload(
            "StatefulSet",
            spec={"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 2}}},
            observedGeneration=1,
            readyReplicas=3,
            updatedReplicas=1,
        ),
        None,
    ),
    (
        workload(
            "StatefulSet",
            spec={"replicas": 1, "updateStrategy": {"type": "OnDelete"}},
            observedGeneration=1,
            readyReplicas=1,
        ),
        None,
    ),
    (
        workload("DaemonSet", observedGeneration=1, desiredNumberScheduled=2, updatedNumberScheduled=1),
        "1 of 2 pods updated",
    ),
    (
        workload(
            "DaemonSet", observedGeneration=1, desiredNumberScheduled=2, updatedNumberScheduled=2, numberAvailable=1
        ),
        "1 of 2 pods available",
    ),
    (
        workload(
            "DaemonSet", observedGeneration=1, desiredNumberScheduled=2, updatedNumberScheduled=2, numberAvailable=2
        ),
        None,
    ),
    (workload("Job", api="batch/v1", spec={"completions": 3}, succeeded=1), "1 of 3 completions"),
    (workload("Job", api="batch/v1", conditions=[condition("Complete")]), None),
    (workload("Job", api="batch/v1", spec={"suspend": True}), None),
    (workload("Pod", api="v1", phase="Succeeded"), None),
    (workload("Pod", api="v1", phase="Running", conditions=[condition("Ready")]), None),
    (workload("Pod", api="v1", phase="Pending"), "condition Ready is not there yet"),
    (workload("Namespace", api="v1", phase="Active"), None),
    (workload("Namespace", api="v1", phase="Terminating"), "phase is Terminating"),
    (
        workload("CustomResourceDefinition", api="apiextensions.k8s.io/v1", conditions=[condition("Established")]),
        None,
    ),
    (
        workload(
            "APIService", api="apiregistration.k8s.io/v1", conditions=[condition("Available", "False", message="no")]
        ),
        "condition Available is False: no",
    ),
    (workload("ConfigMap", api="v1"), None),
    (workload("Deployment", api="example.com/v1"), None),
]


@pytest.mark.parametrize(("live", "expected"), TABLE)
def test_missing(live: t.Any, expected: str | None) -> None:
    assert _ready.missing(live) == expected


@pytest.mark.parametrize(
    ("live", "reason"),
    [
        (
            workload(
                "Deployment",
                observedGeneration=1,
                conditions=[condition("Progressing", "False", reason="ProgressDeadlineExceeded", message="late")],
            ),
            "late",
        ),
        (workload("Job", api="batch/v1", conditions=[condition("Failed", message="backoff")]), "backoff"),
        (workload("Pod", api="v1", phase="Failed", reason="Evicted"), "Evicted"),
        (
            workload(
                "CustomResourceDefinition",
                api="apiextensions.k8s.io/v1",
                conditions=[condition("NamesAccepted", "False", message="taken")],
            ),
            "taken",
        ),
    ],
)
def test_what_failed_for_good_is_not_waited_for(live: t.Any, reason: str) -> None:
    with pytest.raises(_ready.NeverReady, match=reason):
        _ready.missing(live)
