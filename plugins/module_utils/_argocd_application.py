# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an Application's status says: is it done, what does it wait for, has it failed.

Everything here reads one object and asks nothing, so that one look at the cluster gives one picture.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

Object = dict[str, t.Any]
Key = tuple[str, str, str]
"""Kind, namespace and name."""

API_VERSION = "argoproj.io/v1alpha1"
GROUP = "argoproj.io"
APPLICATION = "Application"
APPLICATION_SET = "ApplicationSet"

REFRESH = "argocd.argoproj.io/refresh"
SET_REFRESH = "argocd.argoproj.io/application-set-refresh"
WAVE = "argocd.argoproj.io/sync-wave"

SYNCED, HEALTHY = "Synced", "Healthy"

# States of a verdict
READY = "ready"
WAITING = "waiting"
HELD = "held"  # its sync policy leaves what is to be done to people
FAILED = "failed"  # only a change of its definition or repository, or another sync, can cure it
ERROR = "error"  # the same, but Argo CD looks again by itself, or when it is asked to

# What Argo CD's application controller takes a second for, if it runs
NOT_SEEN = "not seen by the application controller yet"
NOT_REFRESHED = "asked to read its repository again"

_ENDED_BADLY = ("Failed", "Error")
_UNDER_WAY = ("Running", "Terminating")
_SPEC_ERRORS = ("InvalidSpecError", "ComparisonError", "UnknownError", "DeletionError")
_RESOURCE = re.compile(r"(?<= )([^\s/]*)/([A-Z]\w*)/(\S+)")
_COMPARED = ("repoURL", "path", "targetRevision", "chart", "ref")


@dataclass(frozen=True)
class Verdict:
    """Where an Application stands, and why, as half a sentence."""

    state: str
    text: str


def key(item: Object) -> Key:
    """What names this object among Applications and ApplicationSets."""
    metadata = item["metadata"]
    return str(item.get("kind", APPLICATION)), str(metadata.get("namespace", "")), str(metadata["name"])


def verdict(item: Object, wait_for: t.Collection[str] = (SYNCED, HEALTHY)) -> Verdict:
    """Where an Application or ApplicationSet stands.

    :arg wait_for: Which of Synced and Healthy it has to be.
    """
    if item.get("kind") == APPLICATION_SET:
        return _set_verdict(item)
    early = _before_comparison(item)
    if early:
        return early
    return _operation_verdict(item) or _status_verdict(item, wait_for)


def _before_comparison(app: Object) -> Verdict | None:
    """While what the status says is about an earlier definition, or about nothing."""
    metadata, status = app["metadata"], app.get("status") or {}
    if metadata.get("deletionTimestamp"):
        return Verdict(WAITING, "being deleted")
    errors = error_conditions(app)
    sync = status.get("sync") or {}
    if errors and sync.get("status", "Unknown") == "Unknown":
        return Verdict(ERROR, "; ".join(f"{kind}: {message}" for kind, message in errors))
    if not sync.get("status"):
        return Verdict(WAITING, NOT_SEEN)
    if REFRESH in (metadata.get("annotations") or {}):
        return Verdict(WAITING, NOT_REFRESHED)
    if not _compared_to_this(app):
        return Verdict(WAITING, "not compared with its new definition yet")
    return None


def _operation_verdict(app: Object) -> Verdict | None:
    """A sync under way, or one that ended badly and that nothing will repeat."""
    state = (app.get("status") or {}).get("operationState") or {}
    message = sentence(state.get("message"))
    if is_running(app):
        if state.get("phase") not in _UNDER_WAY:
            return Verdict(WAITING, "sync about to start")
        return Verdict(WAITING, f"sync running, {_with_waves(app, message)}" if message else "sync running")
    if sync_status(app) == "OutOfSync" and (is_used_up(app) or (not is_automated(app) and ended_badly(app))):
        return Verdict(FAILED, f"sync failed: {message or 'no message'}")
    return None


def _with_waves(app: Object, message: str) -> str:
    """The resource that a sync waits for, in words: Argo CD writes group/kind/name and keeps the wave to itself."""

    def words(found: re.Match[str]) -> str:
        group, kind, name = found.groups()
        for resource in (app.get("status") or {}).get("resources") or []:
            if (resource.get("group", ""), resource.get("kind"), resource.get("name")) == (group, kind, name):
                return f"{kind} {name} (wave {resource.get('syncWave', 0)})"
        return f"{kind} {name}"

    return _RESOURCE.sub(words, message, count=1)


def _status_verdict(app: Object, wait_for: t.Collection[str]) -> Verdict:
    sync, (health, why) = sync_status(app), health_status(app)
    if SYNCED in wait_for and sync != SYNCED:
        if sync == "OutOfSync" and not is_automated(app):
            return Verdict(HELD, "OutOfSync, and its sync policy leaves the sync to people")
        if sync == "OutOfSync" and _only_pruning_left(app):
            return Verdict(HELD, "OutOfSync by what is to be pruned, which its sync policy leaves to people")
        return Verdict(WAITING, f"{sync}, {health}")
    if HEALTHY in wait_for and health != HEALTHY:
        return Verdict(WAITING, f"{health}: {why}" if why else health)
    return Verdict(READY, f"{sync}, {health}")


def _set_verdict(item: Object) -> Verdict:
    metadata = item["metadata"]
    if metadata.get("deletionTimestamp"):
        return Verdict(WAITING, "being deleted")
    if SET_REFRESH in (metadata.get("annotations") or {}):
        return Verdict(WAITING, "asked to generate its Applications again")
    conditions = {c["type"]: c for c in (item.get("status") or {}).get("conditions") or []}
    failure = conditions.get("ErrorOccurred", {})
    if failure.get("status") == "True":
        return Verdict(ERROR, f"{failure.get('reason', 'ErrorOccurred')}: {sentence(failure.get('message'))}")
    if conditions.get("ResourcesUpToDate", {}).get("status") == "True":
        return Verdict(READY, "Applications generated")
    return Verdict(WAITING, "Applications not generated yet")


# Parts of the status


def sync_status(app: Object) -> str:
    """Synced, OutOfSync or Unknown."""
    return str(((app.get("status") or {}).get("sync") or {}).get("status") or "Unknown")


def health_status(app: Object) -> tuple[str, str]:
    """Health of the whole, and its message."""
    health = (app.get("status") or {}).get("health") or {}
    return str(health.get("status") or "Unknown"), sentence(health.get("message"))


def error_conditions(app: Object) -> list[tuple[str, str]]:
    """Type and message of the conditions that keep it from being compared or deleted."""
    conditions = (app.get("status") or {}).get("conditions") or []
    return [(c["type"], sentence(c.get("message"))) for c in conditions if c.get("type") in _SPEC_ERRORS]


def revisions(app: Object) -> list[str]:
    """The commits it was last compared with, one for each source."""
    sync = (app.get("status") or {}).get("sync") or {}
    found = sync.get("revisions") or [sync.get("revision")]
    return [str(revision) for revision in found if revision]


def sources(app: Object) -> list[Object]:
    """Its sources, however it names them."""
    spec = app.get("spec") or {}
    hydrator = spec.get("sourceHydrator")
    if hydrator:
        return [{**(hydrator.get("drySource") or {})}]
    return list(spec.get("sources") or ([spec["source"]] if spec.get("source") else []))


def wave(item: Object) -> int:
    """Sync wave among the resources of its parent."""
    try:
        return int((item["metadata"].get("annotations") or {}).get(WAVE, 0))
    except ValueError:
        return 0


def is_automated(app: Object) -> bool:
    """Whether Argo CD syncs it by itself."""
    automated = ((app.get("spec") or {}).get("syncPolicy") or {}).get("automated")
    return automated is not None and automated.get("enabled", True) is not False


def is_running(app: Object) -> bool:
    """Whether a sync runs or was asked for."""
    state = (app.get("status") or {}).get("operationState") or {}
    return bool(app.get("operation")) or state.get("phase") in _UNDER_WAY


def ended_badly(app: Object) -> bool:
    """Whether the last sync failed."""
    return ((app.get("status") or {}).get("operationState") or {}).get("phase") in _ENDED_BADLY


def is_used_up(app: Object) -> bool:
    """Whether its automated sync failed and will not be tried again until there is another commit."""
    if not is_automated(app) or is_running(app) or not ended_badly(app):
        return False
    return not _attempted_another(app)


def retries_outdated(app: Object) -> bool:
    """Whether its sync, between two attempts, will try a commit again that is not the latest any more."""
    state = (app.get("status") or {}).get("operationState") or {}
    between = state.get("phase") == "Running" and bool(state.get("finishedAt"))
    return is_automated(app) and between and bool(state.get("syncResult")) and _attempted_another(app)


def _attempted_another(app: Object) -> bool:
    """Whether the last sync was of another commit or source than the one that is wanted now."""
    result = ((app.get("status") or {}).get("operationState") or {}).get("syncResult")
    if not result:
        return False
    attempted = result.get("revisions") or [result.get("revision")]
    if revisions(app) and attempted != revisions(app):
        return True
    spec = app.get("spec") or {}
    field = "sources" if spec.get("sources") else "source"
    before, now = _without_empty(result.get(field)), _without_empty(spec.get(field))
    return bool(before and now and before != now)


def _only_pruning_left(app: Object) -> bool:
    """Whether only surplus resources keep it from being Synced: without prune, Argo CD does not even start a sync."""
    if ((app.get("spec") or {}).get("syncPolicy") or {}).get("automated", {}).get("prune"):
        return False
    resources = (app.get("status") or {}).get("resources") or []
    surplus = [resource for resource in resources if resource.get("status") != SYNCED]
    return bool(surplus) and all(resource.get("requiresPruning") for resource in surplus)


def _without_empty(value: t.Any) -> t.Any:
    """As Argo CD writes it back: fields that hold nothing are left out."""
    if isinstance(value, dict):
        return {
            name: kept
            for name, item in value.items()
            if (kept := _without_empty(item)) not in (None, "", {}, [], False)
        }
    return [_without_empty(item) for item in value] if isinstance(value, list) else value


def _compared_to_this(app: Object) -> bool:
    """Whether the status is about the definition as it is now, as far as it can be told."""
    spec = app.get("spec") or {}
    compared = ((app.get("status") or {}).get("sync") or {}).get("comparedTo") or {}
    if spec.get("sourceHydrator"):
        return True
    before = compared.get("sources") or ([compared["source"]] if compared.get("source") else [])
    if not before:
        return True
    return [_identity(source) for source in before] == [_identity(source) for source in sources(app)]


def _identity(source: Object) -> tuple[str, ...]:
    return tuple(str(source.get(field) or "") for field in _COMPARED)


def sentence(text: t.Any) -> str:
    """One line without the full stop, to stand inside another sentence."""
    return " ".join(str(text or "").split()).rstrip(".")
