# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which resources hold an Application up, and what they say.

Argo CD 3 keeps the health of single resources in its cache, not in the Application (unless
controller.resource.health.persist says so). What the Application does not tell is read from the
resources themselves, where they are on the cluster at hand.
"""

from __future__ import annotations

import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _ready
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_application import (
    GROUP,
    HEALTHY,
    Object,
    ended_badly,
    health_status,
    is_running,
    sentence,
    sync_status,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube

IN_CLUSTER = ("https://kubernetes.default.svc", "in-cluster")

_CONCURRENCY = 8
_MOST = 60  # resources of one Application that are looked at
# Never what an Application waits for, and often most of what it has.
_INERT = {
    "ConfigMap",
    "Secret",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ClusterRole",
    "ClusterRoleBinding",
    "Namespace",
    "LimitRange",
    "ResourceQuota",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "PriorityClass",
    "StorageClass",
    "CustomResourceDefinition",
}
_BAD_RESULTS = {"SyncFailed", "PruneFailed", "Failed", "Error"}
_TELLING = ("Ready", "Available", "Healthy", "AbleToScale", "ScalingActive")
_PODS_OF = ("Deployment", "StatefulSet", "DaemonSet", "Job", "ReplicaSet")
_ON_THE_WAY = ("ContainerCreating", "PodInitializing")


@dataclass(frozen=True)
class Finding:
    """A resource and what is wrong with it."""

    kind: str
    name: str
    namespace: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.text}"


def recorded(app: Object) -> list[Finding]:
    """What the Application itself tells: failed syncs first, then bad health, then what is only OutOfSync."""
    found: dict[tuple[str, str, str], Finding] = {}

    def add(resource: Object, text: str) -> None:
        identity = (resource.get("kind", ""), resource.get("namespace", ""), resource.get("name", ""))
        found.setdefault(identity, Finding(identity[0], identity[2], identity[1], sentence(text)))

    status = app.get("status") or {}
    state = status.get("operationState") or {}
    if is_running(app) or ended_badly(app):
        for resource in (state.get("syncResult") or {}).get("resources") or []:
            if {resource.get("status"), resource.get("hookPhase")} & _BAD_RESULTS:
                add(resource, resource.get("message") or resource.get("status") or "failed")
    resources = [r for r in status.get("resources") or [] if not r.get("hook")]
    for resource in resources:
        health = resource.get("health") or {}
        if health.get("status", HEALTHY) not in (HEALTHY, "Missing"):
            add(resource, f"{health['status']}: {health.get('message') or 'no message'}")
    if sync_status(app) == "OutOfSync" and not is_running(app):
        for resource in resources:
            if resource.get("status") == "OutOfSync":
                add(resource, "to be pruned" if resource.get("requiresPruning") else "OutOfSync")
    return list(found.values())


def failing(app: Object, kube: Kube) -> list[Finding]:
    """What the Application tells, and what its resources on this cluster tell where it does not."""
    findings = recorded(app)
    known = {(f.kind, f.namespace, f.name) for f in findings if f.text != "OutOfSync"}
    live = [found for found in _ask(app, kube) if (found.kind, found.namespace, found.name) not in known]
    better = {(found.kind, found.namespace, found.name) for found in live}
    return [f for f in findings if (f.kind, f.namespace, f.name) not in better] + live


def _ask(app: Object, kube: Kube) -> list[Finding]:
    destination = (app.get("spec") or {}).get("destination") or {}
    if health_status(app)[0] == HEALTHY and not is_running(app):
        return []
    if not {destination.get("server"), destination.get("name")} & set(IN_CLUSTER):
        return []
    resources = [
        resource
        for resource in (app.get("status") or {}).get("resources") or []
        if resource.get("kind") not in _INERT and resource.get("group") != GROUP and "health" not in resource
    ][:_MOST]
    with ThreadPoolExecutor(_CONCURRENCY) as pool:
        return [found for found in pool.map(lambda resource: _look(resource, kube), resources) if found]


def _look(resource: Object, kube: Kube) -> Finding | None:
    group, version, kind = resource.get("group"), resource.get("version", "v1"), resource["kind"]
    api_version = f"{group}/{version}" if group else version
    try:
        served = kube.find(api_version, kind)
        live = kube.get_path(served.path(resource.get("namespace"), resource["name"])) if served else None
        if live is None:
            return None
        live = {**live, "apiVersion": api_version, "kind": kind}
        text = lack(live)
        if text and kind in _PODS_OF:
            text += _of_pods(live, kube)
    except HubspokeError:
        # This is the story of another failure; what cannot be read adds nothing to it.
        return None
    return Finding(kind, resource["name"], resource.get("namespace", ""), sentence(text)) if text else None


def lack(live: Object) -> str | None:
    """What a live object lacks to be what Argo CD calls Healthy, as far as it is known here."""
    kind, status = live["kind"], live.get("status") or {}
    try:
        text = _ready.missing(live)
    except _ready.NeverReady as error:
        return str(error)
    if text or _ready.has_readiness(live["apiVersion"], kind):
        return text
    if kind == "PersistentVolumeClaim":
        return None if status.get("phase") == "Bound" else f"phase is {status.get('phase', 'unknown')}"
    balanced = kind == "Service" and (live.get("spec") or {}).get("type") == "LoadBalancer"
    if balanced or kind == "Ingress":
        return None if (status.get("loadBalancer") or {}).get("ingress") else "no load balancer has given it an address"
    for condition in status.get("conditions") or []:
        if isinstance(condition, dict) and condition.get("type") in _TELLING and condition.get("status") == "False":
            why = condition.get("message") or condition.get("reason") or "no message"
            return f"condition {condition['type']} is False: {why}"
    return None


def _of_pods(workload: Object, kube: Kube) -> str:
    """What the first pod that is in trouble says."""
    labels = ((workload.get("spec") or {}).get("selector") or {}).get("matchLabels")
    if not labels:
        return ""
    selector = ",".join(f"{name}={value}" for name, value in labels.items())
    for pod in kube.list("v1", "Pod", workload["metadata"].get("namespace"), selector):
        trouble = pod_trouble(pod)
        if trouble:
            return f", pod {pod['metadata']['name']}: {trouble}"
    return ""


def pod_trouble(pod: Object) -> str | None:
    """Why a pod does not get ready: its scheduling, or the first container that cannot run."""
    status = pod.get("status") or {}
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"{condition.get('reason', 'not scheduled')}: {condition.get('message', '')}"
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        state = container.get("state") or {}
        waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
        last = (container.get("lastState") or {}).get("terminated") or {}
        if waiting.get("reason") and waiting["reason"] not in _ON_THE_WAY:
            exit_code = f", last exit code {last['exitCode']}" if "exitCode" in last else ""
            message = f": {waiting['message']}" if waiting.get("message") else ""
            return f"{container['name']} {waiting['reason']}{exit_code}{message}"
        if ended.get("exitCode"):
            return f"{container['name']} ended with exit code {ended['exitCode']}"
    return None


def shorten(findings: t.Sequence[Finding], most: int = 5) -> str:
    """The findings as one text."""
    text = "; ".join(map(str, findings[:most]))
    return text + (f"; and {len(findings) - most} more" if len(findings) > most else "")
