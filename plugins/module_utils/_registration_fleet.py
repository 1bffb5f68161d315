# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All clusters of a hub in one process: read once, done side by side, one result each."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _registration_targets as targeting
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_application import APPLICATION_SET
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import ApiError, HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Progress
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration import Registrar, reread
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_hub_probe import image_of
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_lease import Lease
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_outcome import (
    UNCHANGED,
    Options,
    Outcome,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_secret import (
    SELECTOR,
    Registered,
    normalized,
    registered,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_spec import Account, Wanted

_SAID_EVERY = 100
_LETTING_GO = 30.0  # seconds for Argo CD to see that a cluster is gone


@dataclass(frozen=True)
class Fleet:
    """What is to be done with all clusters.

    :arg clusters: Those to have registered, or not.
    :arg prune: Whether others of the same owner are removed.
    :arg protected: Names that are never removed.
    :arg remove_applications: Whether Applications on a removed cluster are removed first.
    :arg probe_from_hub: Whether a Pod on the hub tries each new address before it is written.
    :arg concurrency: How many clusters are worked on at once.
    """

    clusters: tuple[Wanted, ...]
    options: Options
    prune: bool = False
    protected: frozenset[str] = frozenset()
    remove_applications: bool = False
    removal_timeout: float = 300
    probe_from_hub: bool = False
    concurrency: int = 16


def check(clusters: Sequence[Wanted]) -> None:
    """:raises HubspokeError: two of them are the same."""
    names: set[str] = set()
    servers: dict[str, str] = {}
    for wanted in clusters:
        if wanted.name in names:
            raise HubspokeError(f"Cluster {wanted.name}: name is given twice.", "Give each cluster its own.")
        names.add(wanted.name)
        server = normalized(wanted.server) if wanted.server else ""
        if server and servers.setdefault(server, wanted.name) != wanted.name:
            raise HubspokeError(
                f"Cluster {wanted.name}: server {wanted.server} is that of {servers[server]} too.",
                "Register it once, under one name.",
            )


class Index:
    """What is registered on the hub, by address and by name."""

    def __init__(self, secrets: Iterable[Registered], options: Options) -> None:
        self._options = options
        self.all = tuple(secrets)
        self.matched: set[str] = set()
        """Secrets that are some cluster's of this run."""
        self._lock, self._claimed = threading.Lock(), dict[str, str]()
        self._servers: dict[str, list[Registered]] = {}
        self._names: dict[str, list[Registered]] = {}
        for secret in self.all:
            self._servers.setdefault(normalized(secret.server), []).append(secret)
            self._names.setdefault(secret.name, []).append(secret)

    def claim(self, wanted: Wanted, server: str) -> None:
        """:raises HubspokeError: another cluster of this run has that address."""
        with self._lock:
            other = self._claimed.setdefault(normalized(server), wanted.name) if server else wanted.name
        if other != wanted.name:
            raise HubspokeError(f"server {server} is that of {other} too.", "Register it once, under one name.")

    def match(self, wanted: Wanted, server: str) -> Registered | None:
        """The Secret of a cluster, None where there is none; it is marked as matched.

        :raises HubspokeError: there are several, or its name is another cluster's.
        """
        found = self._find(wanted, server)
        if found:
            self.matched.add(found.secret)
        return found

    def _find(self, wanted: Wanted, server: str) -> Registered | None:
        found = self._servers.get(normalized(server), []) if server else []
        named = self._names.get(wanted.name, [])
        if len(found) > 1:
            secrets = ", ".join(sorted(secret.secret for secret in found))
            raise HubspokeError(
                f"server {server} is registered more than once, by the Secrets {secrets}.",
                "Delete those that are too many; Argo CD takes whichever it finds first.",
            )
        if found:
            others = [secret for secret in named if secret is not found[0]]
            if others and wanted.state == "present":
                raise _taken(others[0])
            return found[0]
        if len(named) == 1 and (wanted.state == "absent" or (named[0].owner and named[0].owner == self._options.owner)):
            return named[0]  # ours, at an address that it has no longer
        if named and wanted.state == "present":
            raise _taken(named[0])
        return None


def _taken(other: Registered) -> HubspokeError:
    return HubspokeError(
        f"name is that of Secret {other.secret}, which registers {other.server}.",
        "Choose another name, or delete that Secret; two clusters of one name cannot be told apart by Applications.",
    )


class FleetRun:
    """One run over all clusters.

    :arg hub: None in check mode, where the hub is yet to be made.
    """

    def __init__(self, hub: Kube | None, fleet: Fleet, progress: Progress) -> None:
        self._hub, self._fleet, self._progress = hub, fleet, progress
        self._lease = Lease(hub, fleet.options.namespace, progress) if hub else None
        self._options = fleet.options

    def run(self) -> list[Outcome]:
        """What became of each cluster, in the order of the clusters, pruned ones after them.

        :raises HubspokeError: the hub cannot be used, or two clusters are the same; what goes wrong with one cluster is
            in its outcome.
        """
        check(self._fleet.clusters)
        if self._hub:
            self._options = replace(self._options, hub_id=self._hub_id(self._hub), hub_image=self._hub_image(self._hub))
        take = self._lease.take if self._lease else lambda: None
        work = _Work(self._hub, replace(self._fleet, options=self._options), self._progress, take, self._secrets())
        try:
            return work.all()
        finally:
            if self._lease:
                self._lease.release()

    def _hub_id(self, hub: Kube) -> str:
        namespace = self._options.namespace
        if hub.get_path(f"/api/v1/namespaces/{namespace}") is None:
            raise HubspokeError(
                f"The hub has no namespace {namespace}.", "Install Argo CD there first, or correct namespace."
            )
        if hub.get_path("/apis/argoproj.io/v1alpha1") is None:
            raise HubspokeError(
                "The hub has no Argo CD: it does not know Applications.",
                "Install Argo CD first (role argocd), or correct kubeconfig and context.",
            )
        try:
            found = hub.get_path("/api/v1/namespaces/kube-system")
        except ApiError:
            return ""
        return str(found["metadata"]["uid"]) if found else ""

    def _hub_image(self, hub: Kube) -> str:
        if not self._fleet.probe_from_hub or self._options.hub_is_local:
            return ""  # where Argo CD runs on this machine, what is seen from here is what it sees
        image = image_of(hub, self._options.namespace)
        if not image:
            namespace = self._options.namespace
            raise HubspokeError(
                f"probe_from_hub needs the image of Argo CD's repo server, which is not in namespace {namespace}.",
                "Install Argo CD first, or leave it out.",
            )
        return image

    def _secrets(self) -> list[Registered]:
        if not self._hub:
            return []
        path = f"/api/v1/namespaces/{self._options.namespace}/secrets"
        return [registered(item) for item in self._hub.pages(path, SELECTOR)]


class _Work:
    """The clusters of a run, one after another or side by side, once the hub has been read.

    :arg before_write: Called before each change.
    :arg secrets: What is registered.
    """

    def __init__(
        self,
        hub: Kube | None,
        fleet: Fleet,
        progress: Progress,
        before_write: Callable[[], None],
        secrets: Iterable[Registered],
    ) -> None:
        self._hub, self._fleet, self._progress = hub, fleet, progress
        self._options = fleet.options
        self._registrar = Registrar(hub, fleet.options, before_write)
        self._index = Index(secrets, fleet.options)
        self._targets = _Targets(hub, fleet.options.namespace)

    def all(self) -> list[Outcome]:
        """What became of each cluster; pruned ones come last."""
        done = _Counter(len(self._fleet.clusters), self._progress)

        def one(wanted: Wanted) -> Outcome:
            outcome = _guarded(wanted.name, wanted.server, partial(self._one, wanted))
            done.count(outcome)
            return outcome

        with ThreadPoolExecutor(max(1, self._fleet.concurrency), thread_name_prefix="cluster") as pool:
            outcomes = list(pool.map(one, self._fleet.clusters))
        if self._fleet.prune:
            for secret in self._superfluous():
                remove = partial(self._remove, secret, None, _account(secret))
                outcomes.append(_guarded(secret.name, secret.server, remove))
        return outcomes

    def _superfluous(self) -> list[Registered]:
        """What this inventory registered and does not have any more."""
        owner = self._options.owner
        keep = self._fleet.protected | {wanted.name for wanted in self._fleet.clusters}
        return [
            secret
            for secret in self._index.all
            if owner and secret.owner == owner and secret.secret not in self._index.matched and secret.name not in keep
        ]

    def _one(self, wanted: Wanted) -> Outcome:
        if wanted.state == "absent":
            return self._absent(wanted)
        place = self._registrar.locate(wanted)
        self._index.claim(wanted, place[0].server)
        found = self._index.match(wanted, place[0].server)
        try:
            return self._registrar.present(wanted, place, found)
        except ApiError as error:
            if error.status != 409 or not found or not self._hub:
                raise
            # Somebody changed the Secret since it was read: once more, with what it is now.
            return self._registrar.present(wanted, place, reread(self._hub, self._options.namespace, found.secret))

    def _absent(self, wanted: Wanted) -> Outcome:
        server = wanted.server
        with contextlib.suppress(HubspokeError):  # what is to go may well be out of reach
            server = self._registrar.locate(wanted)[0].server
        found = self._index.match(wanted, server)
        if found is None:
            return Outcome(wanted.name, server, action=UNCHANGED)
        return self._remove(found, wanted, wanted.account)

    def _remove(self, secret: Registered, wanted: Wanted | None, account: Account) -> Outcome:
        if secret.name in self._fleet.protected:
            raise HubspokeError("it is protected.", "Take it out of protected first.")
        found = self._targets.of(secret)
        self._check_targets(found)
        acting = self._hub if found and not self._options.check_mode else None
        if acting:
            targeting.remove(acting, found, self._fleet.removal_timeout, self._progress)
        outcome = self._registrar.absent(secret, wanted, account)
        if acting:
            back = targeting.let_go(acting, found, _LETTING_GO)
            outcome.warnings += [f"{targeting.words(back)} came back and could not be removed for good"] if back else []
        outcome.changes = [f"removed {targeting.words(found)}"] if found else []
        return outcome

    def _check_targets(self, found: Sequence[targeting.Target]) -> None:
        """:raises HubspokeError: something targets the cluster that may not be removed with it."""
        sets = [target for target in found if target.kind == APPLICATION_SET]
        if sets:
            raise HubspokeError(
                f"{targeting.words(sets)} name{'s' if len(sets) == 1 else ''} it.", "Take it out of there first."
            )
        if found and not self._fleet.remove_applications:
            raise HubspokeError(
                f"{targeting.words(found)} still target{'s' if len(found) == 1 else ''} it.",
                "Move or delete them first, or set remove_applications: true to have the Applications removed with it. "
                f"{targeting.consequence(found)}",
            )


def _guarded(name: str, server: str, work: Callable[[], Outcome]) -> Outcome:
    """Whatever goes wrong with a cluster is its own affair."""
    try:
        return work()
    except HubspokeError as error:
        text = error.message if error.message.startswith("Cluster ") else f"Cluster {name}: {error.message}"
        return Outcome(name, server, error=HubspokeError(text, error.remedy))


def _account(secret: Registered) -> Account:
    """The account as its Secret remembers it."""
    namespace, _slash, name = secret.account.partition("/")
    places = secret.namespaces if secret.namespaces and not secret.cluster_resources else ()
    return Account(namespace, name, (), places)


class _Targets:
    """Read when they are first asked for: most runs remove nothing."""

    def __init__(self, hub: Kube | None, namespace: str) -> None:
        self._hub, self._namespace = hub, namespace
        self._read: targeting.Targets | None = None
        self._lock = threading.Lock()

    def of(self, secret: Registered) -> tuple[targeting.Target, ...]:
        if not self._hub:
            return ()
        with self._lock:
            if self._read is None:
                self._read = targeting.read(self._hub, self._namespace)
        return self._read.of(secret.server, secret.name)


class _Counter:
    """Tells how far a large fleet is."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._total, self._progress, self._done, self._failed = total, progress, 0, 0

    def count(self, outcome: Outcome) -> None:
        self._done += 1
        self._failed += outcome.error is not None
        if self._total >= _SAID_EVERY and self._done % _SAID_EVERY == 0:
            told = f", {self._failed} of them failed" if self._failed else ""
            self._progress(f"{self._done} of {self._total} clusters{told}")
