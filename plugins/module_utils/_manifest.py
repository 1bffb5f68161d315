# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A set of manifests as one unit: applied, waited for, pruned and removed together."""

from __future__ import annotations

import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _manifest_plan as plan
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _ready, _wait
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import ApiError, HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube, Resource
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._manifest_plan import Object, Ref
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Progress, no_progress

CONCURRENCY = 8
_SETTLE = 30.0  # seconds in which a fresh CRD gets served, or a webhook's server comes up
_SET_LABEL = "hubspoke.bootstrap/manifest-set"


@dataclass
class Condition:
    """A condition to wait for, on one object."""

    api_version: str
    kind: str
    name: str
    namespace: str
    type: str
    status: str


@dataclass
class Options:
    """How a set is handled.

    :arg name: Name of the set; together with the namespace it finds the record of what was applied.
    :arg namespace: Where the record is, and where objects go that name no namespace.
    :arg keep: Kinds that are never pruned or removed.
    :arg wait_timeout: Seconds.
    """

    name: str
    namespace: str
    field_manager: str
    force_conflicts: bool = False
    create_namespace: bool = False
    prune: bool = False
    keep: tuple[str, ...] = ()
    wait: bool = False
    wait_timeout: float = 300
    conditions: list[Condition] = field(default_factory=list)
    check_mode: bool = False
    progress: Progress = no_progress


@dataclass
class Outcome:
    """What happened, or would happen, to one object."""

    ref: Ref
    action: str
    before: Object | None = None
    after: Object | None = None


class ManifestSet:
    """The engine of the module `manifest`.

    :arg kube: The cluster; None stands for one that is yet to be made (in check mode), where all would be created.
    :arg objects: What the set holds now.
    """

    def __init__(self, kube: Kube | None, objects: list[Object], options: Options) -> None:
        self._kube = kube
        self._options = options
        self.outcomes: list[Outcome] = []
        self.assumed: set[str] = set()
        if options.create_namespace and not any(_is_namespace(item, options.namespace) for item in objects):
            objects = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": options.namespace}}, *objects]
        self._definitions = [item for item in objects if item["kind"] == plan.DEFINITION[1]]
        self._objects = [self._placed(item) for item in objects]
        self._new_namespaces: set[str] = set()

    @property
    def _server(self) -> Kube:
        """The cluster, where it is not one that is yet to be made."""
        if self._kube is None:
            raise AssertionError("a cluster that is yet to be made was asked")
        return self._kube

    # The verbs

    def apply(self) -> None:
        """Apply every object, then prune what the set no longer holds, then wait.

        :raises HubspokeError: objects that were refused, or that did not become ready, all of them named.
        """
        if self._kube is None:
            self.outcomes = [Outcome(Ref.of(item), plan.CREATED, None, item) for item in self._objects]
            return
        wanted = [Ref.of(item) for item in self._objects]
        recorded: list[Ref] = []
        for number, items in enumerate(plan.phases(self._objects)):
            if number == 1:
                recorded = self._recorded()
                # Before the objects themselves, so that a run that is killed leaves nothing unknown.
                self._record([*recorded, *wanted], recorded)
            self._in_parallel(self._apply_one, items, "applied")
            if number == 0:
                self._after_foundations(items)
        gone = plan.to_prune(recorded, wanted)
        if self._options.prune and gone:
            self._remove(gone)
            kept = {outcome.ref for outcome in self.outcomes if outcome.action == plan.KEPT}
            self._record([*wanted, *kept], [*recorded, *wanted])
        if self._options.wait and not self._options.check_mode:
            self._wait_ready()

    def remove(self) -> None:
        """Delete what the set once applied, and its record.

        :raises HubspokeError: objects that could not be deleted, all of them named.
        """
        if self._kube is None:
            return
        recorded = self._recorded()
        known = {ref.identity: ref for ref in [*recorded, *(Ref.of(item) for item in self._objects)]}
        self._remove(plan.to_prune(known.values(), []))
        kept = [outcome.ref for outcome in self.outcomes if outcome.action == plan.KEPT]
        if not self._options.check_mode:
            if kept and recorded:
                self._record(kept, recorded)
            elif recorded:
                self._kube.delete_path(self._record_path())
            if self._options.wait:
                deleted = [outcome.ref for outcome in self.outcomes if outcome.action == plan.DELETED]
                _wait.until_gone(self._live, deleted, self._options.wait_timeout)

    # Applying

    def _placed(self, item: Object) -> Object:
        """The object with its namespace written in, if its kind has one."""
        metadata = dict(item["metadata"])
        if self._is_namespaced(item):
            metadata["namespace"] = metadata.get("namespace") or self._options.namespace
        else:
            metadata.pop("namespace", None)
        if set(item) <= {"apiVersion", "kind", "metadata"} and set(metadata) <= {"name", "namespace"}:
            # Ownership is by field, and a bare ServiceAccount or Namespace has none: it gets one (sets may share it).
            metadata["labels"] = {"hubspoke.bootstrap/applied": "true"}
        return {**item, "metadata": metadata}

    def _is_namespaced(self, item: Object) -> bool:
        if self._kube is not None:
            found = self._kube.find(item["apiVersion"], item["kind"])
            if found:
                return found.namespaced
        return plan.namespaced_offline(item, self._definitions)

    def _own_resource(self, ref: Ref) -> Resource | None:
        """How the server addresses a kind whose definition is in the set."""
        for definition in self._definitions:
            spec = definition["spec"]
            if (spec["group"], spec["names"]["kind"]) == (ref.group, ref.kind):
                return Resource(ref.api_version, ref.kind, spec["names"]["plural"], spec["scope"] == "Namespaced")
        return None

    def _resource(self, ref: Ref) -> Resource | None:
        """How the server addresses the kind, None where that is yet to come in check mode."""
        found = self._server.find(ref.api_version, ref.kind) or self._own_resource(ref)
        if found or not self._options.check_mode:
            return found or self._server.resource(ref.api_version, ref.kind)
        self.assumed.add(f"kind {ref.kind} ({ref.api_version})")
        return None

    def _apply_one(self, item: Object) -> Outcome:
        ref = Ref.of(item)
        resource = self._resource(ref)
        if resource is None or ref.namespace in self._new_namespaces:
            return Outcome(ref, plan.CREATED, None, item)
        path = resource.path(ref.namespace, ref.name)
        before = self._server.get_path(path)
        try:
            after = self._patch(path, item)
        except ApiError as error:
            if self._options.check_mode and error.status == 404 and before is None:
                # The namespace or the kind is not there, and nothing was written that could have brought it.
                if not self._own_resource(ref):
                    self.assumed.add(f"namespace {ref.namespace}" if ref.namespace else f"kind {ref.kind}")
                return Outcome(ref, plan.CREATED, None, item)
            raise _explained(error, ref) from error
        after.setdefault("apiVersion", item["apiVersion"])
        after.setdefault("kind", item["kind"])
        return Outcome(ref, plan.action(before, after), before, after)

    def _patch(self, path: str, item: Object) -> Object:
        """Server-side apply; tried again while the refusal is one that passes by itself."""
        options = self._options
        deadline = time.monotonic() + (0 if options.check_mode else _SETTLE)
        while True:
            try:
                return self._server.apply_path(
                    path, item, options.field_manager, dry_run=options.check_mode, force=options.force_conflicts
                )
            except ApiError as error:
                if not self._passes(error, Ref.of(item)) or time.monotonic() > deadline:
                    raise
            time.sleep(0.2)

    def _passes(self, error: ApiError, ref: Ref) -> bool:
        if error.status == 404:
            return self._own_resource(ref) is not None
        return error.status == 500 and "failed calling webhook" in error.message

    def _after_foundations(self, items: list[Object]) -> None:
        """Know which namespaces are yet to come; wait for the CRDs, as their kinds are about to be used."""
        created = [outcome.ref for outcome in self.outcomes if outcome.action == plan.CREATED]
        if self._options.check_mode:
            self._new_namespaces = {ref.name for ref in created if ref.kind == "Namespace"}
            return
        fresh = {ref.identity for ref in created}
        waited = [item for item in items if Ref.of(item).identity in fresh or item["kind"] == plan.DEFINITION[1]]
        self._until_ready({Ref.of(item): _ready.missing for item in waited})

    # Pruning

    def _remove(self, refs: list[Ref]) -> None:
        done = {ref.identity: index for index, ref in enumerate(refs)}
        self._in_parallel(self._remove_one, refs, "deleted")
        self.outcomes.sort(key=lambda outcome: done.get(outcome.ref.identity, -1))

    def _remove_one(self, ref: Ref) -> Outcome | None:
        resource = self._server.find(ref.api_version, ref.kind)
        path = resource.path(ref.namespace, ref.name) if resource else ""
        live = self._server.get_path(path) if resource else None
        if live is None:
            return None
        if ref.kind in self._options.keep or not plan.only_ours(live, self._options.field_manager):
            return Outcome(ref, plan.KEPT, live, live)
        self._server.delete_path(path, dry_run=self._options.check_mode)
        return Outcome(ref, plan.DELETED, {**live, "apiVersion": ref.api_version, "kind": ref.kind}, None)

    # The record

    def _record_path(self) -> str:
        name = f"manifest-set-{self._options.name}"
        return self._server.resource("v1", "ConfigMap").path(self._options.namespace, name)

    def _recorded(self) -> list[Ref]:
        record = self._server.get_path(self._record_path())
        try:
            return plan.from_record(record["data"]["objects"]) if record else []
        except (KeyError, TypeError, ValueError) as error:
            raise HubspokeError(
                f"The record of the manifest set {self._options.name}, ConfigMap "
                f"{self._options.namespace}/manifest-set-{self._options.name}, cannot be read.",
                "Someone else has written it. Delete it: the next run makes it anew (and prunes nothing from before).",
            ) from error

    def _record(self, refs: list[Ref], recorded: list[Ref]) -> None:
        if self._options.check_mode or plan.to_record(refs) == plan.to_record(recorded):
            return
        metadata = {
            "name": f"manifest-set-{self._options.name}",
            "namespace": self._options.namespace,
            "labels": {_SET_LABEL: self._options.name},
        }
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": {"objects": plan.to_record(refs)},
        }
        try:
            self._server.apply(body, self._options.field_manager)
        except ApiError as error:
            if error.status != 404:
                raise
            raise HubspokeError(
                f"The namespace {self._options.namespace} of the manifest set {self._options.name} is not there.",
                "Set create_namespace, or put the Namespace into the set.",
            ) from error

    # Waiting

    def _wait_ready(self) -> None:
        checks: dict[Ref, _wait.Check] = {}
        for item in self._objects:
            if _ready.has_readiness(item["apiVersion"], item["kind"]):
                checks[Ref.of(item)] = _ready.missing
        for wanted in self._options.conditions:
            metadata = {"name": wanted.name, "namespace": wanted.namespace}
            ref = Ref.of(self._placed({"apiVersion": wanted.api_version, "kind": wanted.kind, "metadata": metadata}))
            checks[ref] = _both(checks.get(ref), wanted)
        self._until_ready(checks)

    def _until_ready(self, checks: dict[Ref, _wait.Check]) -> None:
        _wait.until_ready(self._live, checks, self._options.wait_timeout, self._options.progress)

    def _live(self, ref: Ref) -> Object | None:
        resource = self._server.find(ref.api_version, ref.kind) or self._own_resource(ref)
        return self._server.get_path(resource.path(ref.namespace, ref.name)) if resource else None

    def _in_parallel(self, work: t.Callable[[t.Any], Outcome | None], items: t.Sequence[t.Any], done: str) -> None:
        """Do it for each, a bounded number at once; what failed is reported together, after the others are done."""

        def attempt(item: t.Any) -> Outcome | HubspokeError | None:
            try:
                return work(item)
            except HubspokeError as error:
                return error

        with ThreadPoolExecutor(CONCURRENCY) as pool:
            results = list(pool.map(attempt, items))
        self.outcomes += [result for result in results if isinstance(result, Outcome)]
        failures = [result for result in results if isinstance(result, HubspokeError)]
        if len(failures) == 1:
            raise failures[0]
        if failures:
            text = " ".join(str(failure) for failure in failures)
            raise HubspokeError(f"{len(failures)} of {len(items)} objects were not {done}. {text}")


def _is_namespace(item: Object, name: str) -> bool:
    return bool(item["kind"] == "Namespace" and item["metadata"]["name"] == name)


def _both(first: _wait.Check | None, wanted: Condition) -> _wait.Check:
    def check(live: Object) -> str | None:
        return (first(live) if first else None) or _ready.missing_condition(live, wanted.type, wanted.status)

    return check


def _explained(error: ApiError, ref: Ref) -> HubspokeError:
    """The server's refusal with the object's name and a way out."""
    remedy = error.remedy
    if error.status == 409 and "conflict" in error.message:
        remedy = (
            "Another tool manages these fields. Set force_conflicts to take them over, or leave them out of the set."
        )
    elif error.status == 404:
        remedy = "Create the namespace first, or set create_namespace."
    elif error.status == 422 and "immutable" in error.message:
        remedy = "This field cannot be changed: delete the object, then run again."
    return ApiError(f"{ref} was refused. {error.message}", error.status, error.reason, remedy)
