# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which Applications and ApplicationSets target a registered cluster, read once for all clusters; and their removal."""

from __future__ import annotations

import contextlib
import itertools
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_application import (
    API_VERSION,
    APPLICATION,
    APPLICATION_SET,
    SET_REFRESH,
    error_conditions,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import ApiError, HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube, Resource
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Progress
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_literals import (
    destinations,
    mentions,
    texts,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_secret import IN_CLUSTER, normalized

Object = dict[str, t.Any]

FINALIZER = "resources-finalizer.argocd.argoproj.io"
IN_CLUSTER_NAME = "in-cluster"
"""What Argo CD calls the hub itself where no Secret calls it otherwise."""

_SHOWN = 5
_APPLICATION = Resource(API_VERSION, APPLICATION, "applications", True)
_SET = Resource(API_VERSION, APPLICATION_SET, "applicationsets", True)
_CONCURRENCY = 8
_LONGEST_PAUSE = 2.0
_QUIET = 1.0  # seconds: what is gone sooner is not worth a line


@dataclass(frozen=True)
class Target:
    """An Application that targets a cluster, or an ApplicationSet that names it and has no Application on it yet.

    :arg generated_by: The ApplicationSet that an Application comes from.
    :arg cascade: Whether Argo CD deletes what the Application deployed when the Application is deleted.
    :arg home: Argo CD's own namespace, which need not be said.
    """

    kind: str
    namespace: str
    name: str
    generated_by: str = ""
    cascade: bool = False
    uid: str = field(default="", compare=False)
    home: str = field(default="", compare=False, repr=False)

    def __str__(self) -> str:
        return self.name if self.namespace == self.home else f"{self.namespace}/{self.name}"


class Targets:
    """All of them, found by the cluster that they target.

    :arg everywhere: Whether all namespaces were read, and not just Argo CD's own.
    """

    def __init__(self, everywhere: bool = True) -> None:
        self.everywhere = everywhere
        self._found: dict[tuple[str, str], list[Target]] = {}
        self._texts: list[tuple[Target, str]] = []

    def add(self, target: Target, places: t.Iterable[tuple[str, str]], texts: t.Iterable[str] = ()) -> None:
        """Note what it targets.

        :arg places: `server` or `name`, and the value.
        :arg texts: Whichever cluster is named in them.
        """
        self._texts += [(target, text) for text in texts]
        for kind, value in places:
            key = (kind, normalized(value) if kind == "server" else value)
            self._found.setdefault(key, []).append(target)

    def of(self, server: str, name: str) -> tuple[Target, ...]:
        """Those of one cluster: Applications, those that were generated after the others, then ApplicationSets."""
        keys = [("server", normalized(server)), ("name", name)] if server else [("name", name)]
        if server and normalized(server) == normalized(IN_CLUSTER):
            keys.append(("name", IN_CLUSTER_NAME))
        found = dict.fromkeys(itertools.chain.from_iterable(self._found.get(key, ()) for key in keys if key[1]))
        names = [value for kind, value in keys if kind == "name" and value]
        found |= {target: None for target, text in self._texts if any(mentions(text, name) for name in names)}
        generating = {(target.namespace, target.generated_by) for target in found}
        return tuple(
            sorted(
                (one for one in found if one.kind == APPLICATION or (one.namespace, one.name) not in generating),
                key=lambda one: (one.kind, one.generated_by, one.namespace != one.home, one.namespace, one.name),
            )
        )


def index(
    applications: t.Iterable[Object], sets: t.Iterable[Object], namespace: str, everywhere: bool = True
) -> Targets:
    """Targets out of the objects.

    :arg namespace: Argo CD's own.
    """
    targets = Targets(everywhere)
    for item in applications:
        destination = (item.get("spec") or {}).get("destination") or {}
        places = [(kind, str(destination[kind])) for kind in ("server", "name") if destination.get(kind)]
        targets.add(_target(item, APPLICATION, namespace), places)
    for item in sets:
        targets.add(_target(item, APPLICATION_SET, namespace), destinations(item), texts(item))
    return targets


def _target(item: Object, kind: str, home: str) -> Target:
    metadata = item["metadata"]
    owners = [owner["name"] for owner in metadata.get("ownerReferences") or [] if owner.get("kind") == APPLICATION_SET]
    finalizers = metadata.get("finalizers") or []
    return Target(
        kind=kind,
        namespace=str(metadata.get("namespace", "")),
        name=str(metadata["name"]),
        generated_by=owners[0] if kind == APPLICATION and owners else "",
        cascade=any(finalizer.partition("/")[0] == FINALIZER for finalizer in finalizers),
        uid=str(metadata.get("uid", "")),
        home=home,
    )


def read(kube: Kube, namespace: str) -> Targets:
    """What the hub has, in Argo CD's namespace and, where they may be read, in all others.

    :raises ApiError: not even those in Argo CD's namespace may be read.
    """
    try:
        return index(*_lists(kube, None), namespace)
    except ApiError as error:
        if error.status != 403:
            raise
    return index(*_lists(kube, namespace), namespace, everywhere=False)


def _lists(kube: Kube, namespace: str | None) -> tuple[t.Iterator[Object], t.Iterator[Object]]:
    return _each(kube, "applications", namespace), _each(kube, "applicationsets", namespace)


def _each(kube: Kube, plural: str, namespace: str | None) -> t.Iterator[Object]:
    """Every object, one by one: of the status of ten thousand Applications nothing is kept."""
    path = f"/apis/{API_VERSION}/{f'namespaces/{namespace}/' if namespace else ''}{plural}"
    try:
        yield from kube.pages(path)
    except ApiError as error:
        if error.status != 404:  # Argo CD's definitions are not there
            raise


# In words


def words(targets: t.Sequence[Target], shown: int = _SHOWN) -> str:
    """Which they are, for a message; the first few by name."""
    applications = [target for target in targets if target.kind == APPLICATION]
    sets = [target for target in targets if target.kind == APPLICATION_SET]
    parts = []
    if applications:
        groups = [
            ", ".join(map(str, group)) + (f" (generated by ApplicationSet {source})" if source else "")
            for source, group in itertools.groupby(applications[:shown], key=lambda target: target.generated_by)
        ]
        parts.append(f"{_noun(APPLICATION, applications)} {'; '.join(groups)}")
    if sets:
        parts.append(f"{_noun(APPLICATION_SET, sets)} {', '.join(map(str, sets[:shown]))}")
    more = len(applications[shown:]) + len(sets[shown:])
    return f"{', '.join(parts)} and {more} more" if more else " and ".join(parts)


def _noun(kind: str, targets: t.Sequence[Target]) -> str:
    return kind if len(targets) == 1 else f"{kind}s"


def consequence(targets: t.Sequence[Target]) -> str:
    """What the removal of these Applications does to what they deployed, as a sentence."""
    applications = [target for target in targets if target.kind == APPLICATION]
    cascading = [target for target in applications if target.cascade]
    if not applications:
        return ""
    they, have, lack = ("it", "has", "lacks") if len(applications) == 1 else ("they", "have", "lack")
    if not cascading:
        return f"What {they} deployed stays, since {they} {lack} Argo CD's finalizer {FINALIZER}."
    if len(cascading) == len(applications):
        return f"What {they} deployed is deleted too, since {they} {have} Argo CD's finalizer {FINALIZER}."
    staying = [target for target in applications if not target.cascade]
    return (
        f"What {words(cascading)} deployed is deleted too, through Argo CD's finalizer {FINALIZER}; "
        f"what {words(staying)} deployed stays, since the finalizer is not there."
    )


# Removal


def remove(kube: Kube, targets: t.Iterable[Target], timeout: float, progress: Progress) -> tuple[Target, ...]:
    """Delete those that are Applications, and wait until they are gone.

    ApplicationSets stay, because they may target other clusters too. What one of them generates comes back as long as
    the cluster is registered: another object, which is not waited for.

    :arg timeout: Seconds to wait.
    :returns: The Applications that were there and are gone.
    :raises HubspokeError: names those that are still there, and what holds them.
    """
    wanted = [target for target in dict.fromkeys(targets) if target.kind == APPLICATION]
    if not wanted:
        return ()
    progress(f"removing {words(wanted)}. {consequence(wanted)}")
    with ThreadPoolExecutor(_CONCURRENCY) as pool:
        deleted = list(pool.map(lambda target: _delete(kube, target), wanted))
        removed = tuple(target for target, there in zip(wanted, deleted, strict=True) if there)
        _wait(kube, removed, timeout, progress, pool)
    return removed


def let_go(kube: Kube, targets: t.Iterable[Target], timeout: float) -> tuple[Target, ...]:
    """Wait until no ApplicationSet generates these any more, now that their cluster is not registered.

    What was removed comes back until then, and the ApplicationSet controller may look at its clusters a moment before
    it has heard of the change, and then not again for hours: so it is asked to.

    :arg timeout: Seconds to wait.
    :returns: Those that are still there.
    """
    left = [target for target in targets if target.kind == APPLICATION and target.generated_by]
    deadline, pause = time.monotonic() + timeout, 0.2
    while left:
        left = [target for target in left if kube.get_path(_path(target))]
        if not left or time.monotonic() > deadline:
            break
        for namespace, name in dict.fromkeys((target.namespace, target.generated_by) for target in left):
            with contextlib.suppress(ApiError):  # it may be gone as well
                kube.merge(_SET.path(namespace, name), {"metadata": {"annotations": {SET_REFRESH: "true"}}})
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)
    return tuple(left)


def _delete(kube: Kube, target: Target) -> bool:
    """Whether this very object was there."""
    options: dict[str, t.Any] = {"propagationPolicy": "Background"}
    if target.uid:
        options["preconditions"] = {"uid": target.uid}
    try:
        kube.request("DELETE", _path(target), options)
    except ApiError as error:
        if error.status in (404, 409):
            return False
        raise
    return True


def _wait(
    kube: Kube, removed: t.Sequence[Target], timeout: float, progress: Progress, pool: ThreadPoolExecutor
) -> None:
    start, pause, said = time.monotonic(), 0.05, ""
    left = list(removed)
    while True:
        found = list(pool.map(lambda target: _live(kube, target), left))
        left = [target for target, live in zip(left, found, strict=True) if live]
        if not left:
            return
        passed = time.monotonic() - start
        if passed >= timeout:
            raise _stuck(left, [live for live in found if live], timeout)
        line = f"waiting until Argo CD has removed {words(left)}"
        if passed > _QUIET and line != said:
            progress(line)
            said = line
        time.sleep(min(pause, max(0.01, timeout - passed)))
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def _live(kube: Kube, target: Target) -> dict[str, t.Any] | None:
    """The object, None where it is gone, and also where another one has taken its place."""
    live = kube.get_path(_path(target))
    return live if live and target.uid in ("", live["metadata"].get("uid")) else None


def _path(target: Target) -> str:
    return _APPLICATION.path(target.namespace, target.name)


def _stuck(left: t.Sequence[Target], live: t.Sequence[dict[str, t.Any]], timeout: float) -> HubspokeError:
    causes = dict.fromkeys(
        f"{kind}: {message}" for item in live for kind, message in error_conditions(item) if kind == "DeletionError"
    )
    why = f" ({'; '.join(list(causes)[:3])})" if causes else ""
    if any(target.cascade for target in left):
        remedy = (
            f"With the finalizer {FINALIZER}, Argo CD first deletes what they deployed, for which its application "
            "controller has to run and to reach the cluster. Repair that and run again; or take the finalizer off "
            "the Applications, and what they deployed stays."
        )
    else:
        remedy = (
            "They have finalizers that are not done; `kubectl get application -o yaml` shows them. Without Argo CD's "
            f"finalizer {FINALIZER} what they deployed stays."
        )
    return HubspokeError(f"Still there after {timeout:.0f} s: {words(left)}{why}.", remedy)
