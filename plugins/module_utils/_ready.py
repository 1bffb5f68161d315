# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When an object is ready, and what it lacks until then.

The rules are those of `kubectl rollout status` and `kubectl wait`: what the controllers wrote about the
generation that was applied, not about an earlier one.
"""

from __future__ import annotations

import typing as t

Object = dict[str, t.Any]


class NeverReady(Exception):
    """Waiting longer cannot help: the object failed for good."""


def missing(live: Object) -> str | None:
    """What the object lacks to be ready, as half a sentence; None when it is, or where its kind has no such state.

    :raises NeverReady: it failed and no controller will try again.
    """
    check = _CHECKS.get((live.get("apiVersion", "").rpartition("/")[0], live.get("kind", "")))
    return check(live) if check else None


def has_readiness(api_version: str, kind: str) -> bool:
    """Whether a kind has a state worth waiting for."""
    return (api_version.rpartition("/")[0], kind) in _CHECKS


def missing_condition(live: Object, wanted: str, status: str = "True") -> str | None:
    """What lacks until the condition has that status, None when it has."""
    for condition in live.get("status", {}).get("conditions") or []:
        if condition.get("type") == wanted:
            if condition.get("status") == status:
                return None
            text = condition.get("message") or condition.get("reason") or ""
            return f"condition {wanted} is {condition.get('status')}" + (f": {text}" if text else "")
    return f"condition {wanted} is not there yet"


def _stale(live: Object) -> bool:
    observed = live.get("status", {}).get("observedGeneration", 0)
    return bool(observed < live.get("metadata", {}).get("generation", 0))


def _deployment(live: Object) -> str | None:
    status, wanted = live.get("status", {}), live["spec"].get("replicas", 1)
    if _stale(live):
        return "not seen by its controller yet"
    for condition in status.get("conditions") or []:
        if condition.get("type") == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            raise NeverReady(f"did not progress: {condition.get('message', '')}")
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    if updated < wanted:
        return f"{updated} of {wanted} replicas updated"
    if status.get("replicas", 0) > updated:
        return f"{status['replicas'] - updated} old replicas still there"
    return f"{available} of {wanted} replicas available" if available < wanted else None


def _stateful_set(live: Object) -> str | None:
    status, spec = live.get("status", {}), live["spec"]
    wanted = spec.get("replicas", 1)
    if _stale(live):
        return "not seen by its controller yet"
    ready, updated = status.get("readyReplicas", 0), status.get("updatedReplicas", 0)
    if ready < wanted:
        return f"{ready} of {wanted} replicas ready"
    strategy = spec.get("updateStrategy", {})
    partition = strategy.get("rollingUpdate", {}).get("partition") or 0
    if strategy.get("type", "RollingUpdate") == "RollingUpdate" and updated < wanted - partition:
        return f"{updated} of {wanted - partition} replicas updated"
    return None


def _daemon_set(live: Object) -> str | None:
    status = live.get("status", {})
    if _stale(live):
        return "not seen by its controller yet"
    wanted = status.get("desiredNumberScheduled", 0)
    updated, available = status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0)
    if live["spec"].get("updateStrategy", {}).get("type") != "OnDelete" and updated < wanted:
        return f"{updated} of {wanted} pods updated"
    return f"{available} of {wanted} pods available" if available < wanted else None


def _job(live: Object) -> str | None:
    if live["spec"].get("suspend"):
        return None
    for condition in live.get("status", {}).get("conditions") or []:
        if condition.get("status") == "True":
            if condition.get("type") == "Failed":
                raise NeverReady(f"failed: {condition.get('message') or condition.get('reason', '')}")
            if condition.get("type") == "Complete":
                return None
    return f"{live.get('status', {}).get('succeeded', 0)} of {live['spec'].get('completions') or 1} completions"


def _pod(live: Object) -> str | None:
    phase = live.get("status", {}).get("phase", "Pending")
    if phase == "Succeeded":
        return None
    if phase == "Failed":
        raise NeverReady(f"failed: {live['status'].get('message') or live['status'].get('reason', '')}")
    return missing_condition(live, "Ready")


def _definition(live: Object) -> str | None:
    for condition in live.get("status", {}).get("conditions") or []:
        if condition.get("type") == "NamesAccepted" and condition.get("status") == "False":
            raise NeverReady(f"its names are taken: {condition.get('message', '')}")
    return missing_condition(live, "Established")


def _namespace(live: Object) -> str | None:
    phase = live.get("status", {}).get("phase")
    return None if phase == "Active" else f"phase is {phase}"


def _api_service(live: Object) -> str | None:
    return missing_condition(live, "Available")


_CHECKS: dict[tuple[str, str], t.Callable[[Object], str | None]] = {
    ("apps", "Deployment"): _deployment,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("batch", "Job"): _job,
    ("", "Pod"): _pod,
    ("", "Namespace"): _namespace,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
    ("apiregistration.k8s.io", "APIService"): _api_service,
}
