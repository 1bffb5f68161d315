# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which service accounts pull images with which Secrets: names of ours in `imagePullSecrets`, those of others kept.

That list is one field to the API server, so that server-side apply would take the names of others out: it is read,
changed and written back at the version that was read.
"""

from __future__ import annotations

import time
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import ApiError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._manifest import Outcome
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._manifest_plan import (
    CONFIGURED,
    CREATED,
    UNCHANGED,
    Object,
    Ref,
)

_PATIENCE = 10.0  # seconds for others to stop writing the same account
Place = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True)
class Wanted:
    """What the accounts shall have.

    :arg accounts: Names of Secrets for each service account.
    :arg ours: Secrets that are ours to take away: those that there are, and those that there were.
    """

    accounts: Mapping[Place, frozenset[str]]
    ours: frozenset[Place]


def plan(live: t.Iterable[Object], wanted: Wanted) -> list[tuple[Object | None, Object]]:
    """Every account that is ours to look after, as it is (None where it is not there) and as it shall be."""
    found = {(item["metadata"]["namespace"], item["metadata"]["name"]): item for item in live}
    result: list[tuple[Object | None, Object]] = []
    for place in sorted(found.keys() | wanted.accounts.keys()):
        before, names = found.get(place), wanted.accounts.get(place, frozenset())
        listed = [entry.get("name", "") for entry in (before or {}).get("imagePullSecrets") or []]
        kept = [name for name in listed if name in names or (place[0], name) not in wanted.ours]
        after = [*kept, *sorted(names - set(kept))]
        if names or after != listed:
            result.append((before, _account(before, place, after)))
    return result


def _account(before: Object | None, place: Place, names: t.Sequence[str]) -> Object:
    made = before or {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"namespace": place[0], "name": place[1]},
    }
    return {**made, "imagePullSecrets": [{"name": name} for name in names]}


def apply(kube: Kube | None, wanted: Wanted, *, check_mode: bool) -> list[Outcome]:
    """Bring it about; one that is not there is made.

    :arg kube: None stands for a cluster that is yet to be made.
    """
    deadline = time.monotonic() + _PATIENCE
    done: dict[Place, Outcome] = {}
    while True:
        live = kube.list("v1", "ServiceAccount") if kube and (wanted.accounts or wanted.ours) else []
        try:
            for before, after in plan(live, wanted):
                ref = Ref.of(after)
                if (ref.namespace, ref.name) in done:
                    continue
                action = CREATED if before is None else UNCHANGED if before == after else CONFIGURED
                if kube and not check_mode and action != UNCHANGED:
                    _write(kube, before, after)
                done[ref.namespace, ref.name] = Outcome(ref, action, before, after)
        except ApiError as error:
            # A namespace's default account is just being made, or somebody else has changed one.
            if error.status != 409 or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
            continue
        return list(done.values())


def _write(kube: Kube, before: Object | None, after: Object) -> None:
    metadata = after["metadata"]
    resource = kube.resource("v1", "ServiceAccount")
    if before is None:
        kube.request("POST", resource.path(metadata["namespace"]), after)
        return
    patch = {
        "metadata": {"resourceVersion": metadata["resourceVersion"]},
        "imagePullSecrets": after["imagePullSecrets"],
    }
    kube.merge(resource.path(metadata["namespace"], metadata["name"]), patch)
