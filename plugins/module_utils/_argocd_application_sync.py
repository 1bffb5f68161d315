# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Starting a sync where Argo CD will not start one by itself."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_application import (
    API_VERSION,
    APPLICATION_SET,
    REFRESH,
    SET_REFRESH,
    Key,
    Object,
    is_running,
    is_used_up,
    key,
    retries_outdated,
    sentence,
    sync_status,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import ApiError, HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube

INITIATOR = "hubspoke.bootstrap"

START = "start"
RESTART = "restart"

_ATTEMPTS = 4
_RETRIES = 5  # as Argo CD's own automated syncs have where the policy names none


@dataclass(frozen=True)
class Step:
    """An operation to begin.

    :arg action: START a sync, or end one that repeats an outdated commit, upon which Argo CD starts the next (RESTART).
    """

    app: Object
    action: str
    reason: str


def plan(apps: t.Iterable[Object], forced: t.Collection[Key] = ()) -> list[Step]:
    """What to begin.

    :arg forced: Those to be synced whatever their status.
    """
    steps = (plan_one(app, key(app) in forced) for app in apps)
    return [step for step in steps if step]


def plan_one(app: Object, force: bool = False) -> Step | None:
    """What to begin with one Application; None where Argo CD goes on by itself, or has nothing to do."""
    if app["metadata"].get("deletionTimestamp"):
        return None
    if is_running(app):
        if retries_outdated(app):
            return Step(app, RESTART, "its retries are of a commit that is not the latest any more")
        return None
    if force:
        return Step(app, START, "asked for")
    if sync_status(app) == "OutOfSync" and is_used_up(app):
        return Step(app, START, f"its automated sync used up its retries: {_message(app)}")
    return None


def patch(step: Step) -> Object:
    """The merge patch that begins it, valid only for the object as it was read."""
    body: Object = {"metadata": {"resourceVersion": step.app["metadata"]["resourceVersion"]}}
    if step.action == RESTART:
        return {**body, "status": {"operationState": {"phase": "Terminating"}}}
    policy = (step.app.get("spec") or {}).get("syncPolicy") or {}
    automated = policy.get("automated") or {}
    sync: Object = {"prune": bool(automated.get("prune"))}
    if policy.get("syncOptions"):
        sync["syncOptions"] = policy["syncOptions"]
    retry = policy.get("retry")
    operation = {
        "initiatedBy": {"username": INITIATOR},
        # An empty one is Argo CD's way to write a limit of 0.
        "retry": {"limit": _RETRIES} if retry is None else retry,
        "sync": sync,
    }
    # The state of the last operation goes, as when Argo CD starts one: it would read as this one's failure.
    return {**body, "operation": operation, "status": {"operationState": None}}


def _message(app: Object) -> str:
    state = (app.get("status") or {}).get("operationState") or {}
    return sentence(state.get("message")) or "no message"


class Syncer:
    """Writes to Applications.

    :arg kube: The cluster Argo CD runs in.
    """

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    def begin(self, step: Step) -> Step | None:
        """Begin an operation, unless it is not needed any more.

        :returns: The step as it was done.
        :raises HubspokeError: it could not be written.
        """
        current: Step | None = step
        path = self._path(step.app)
        for _attempt in range(_ATTEMPTS):
            if current is None:
                return None
            try:
                self._kube.merge(path, patch(current))
                return current
            except ApiError as error:
                if error.status != 409:
                    raise
            # Argo CD wrote in between: decide again by what it wrote.
            app = self._kube.get_path(path)
            current = plan_one({**app, "kind": step.app["kind"]}, step.reason == "asked for") if app else None
        raise HubspokeError(
            f"Application {step.app['metadata']['name']} changes too fast to start a sync of it.", "Run again."
        )

    def restart_outdated(self, apps: t.Iterable[Object]) -> list[Step]:
        """End retries of commits that are not the latest any more, of which Argo CD may learn only by and by."""
        steps = [step for step in plan(apps) if step.action == RESTART]
        return [done for step in steps if (done := self.begin(step))]

    def refresh(self, items: t.Iterable[Object], hard: bool = False) -> list[Key]:
        """Ask Argo CD to look at these again; it takes the request away when it has.

        :arg hard: Forget also the errors and manifests that the repo server remembers.
        """
        asked = []
        for item in items:
            is_set = item["kind"] == APPLICATION_SET
            annotation = {SET_REFRESH: "true"} if is_set else {REFRESH: "hard" if hard else "normal"}
            try:
                self._kube.merge(self._path(item), {"metadata": {"annotations": annotation}})
            except ApiError as error:
                if error.status != 404:
                    raise
            else:
                asked.append(key(item))
        return asked

    def _path(self, item: Object) -> str:
        metadata = item["metadata"]
        return self._kube.resource(API_VERSION, item["kind"]).path(metadata["namespace"], metadata["name"])
