# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Development clusters: read, plan, act. What the providers do is in the files named after them."""

from __future__ import annotations

import os
import typing as t
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _dev_cluster_plan as planning
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _dev_cluster_state as state
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_api import Probe, wait_until_ready
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_docker import Docker
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_plan import Actual, Plan
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_providers import PROVIDERS, Provider
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_run import Tools, processes
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_spec import (
    K3D,
    KIND,
    Choice,
    Spec,
    check_name,
    check_spec,
    choose,
    suit,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube

Say = Callable[[str], None]

_LOCK_TIMEOUT = 1800.0


@dataclass(frozen=True)
class Wanted:
    """The user's wish.

    :arg provider: `auto` or a provider.
    :arg spec: Data for Spec, but for the provider.
    :arg export: Path of the exported kubeconfig, empty for none.
    """

    name: str
    provider: str = "auto"
    spec: t.Mapping[str, t.Any] | None = None
    state_dir: str = "~/.local/state/hubspoke"
    export: str = ""
    recreate: bool = False
    timeout: int = 300


@dataclass
class Outcome:
    """What came of it.

    :arg before: As `describe` says it; `after` alike.
    """

    changed: bool
    cluster: dict[str, t.Any]
    difference: tuple[str, ...] = ()
    before: dict[str, t.Any] | None = None
    after: dict[str, t.Any] | None = None


class DevCluster:
    """One development cluster.

    :arg tools: Where the programs are.
    :arg say: Told what is being done.
    :arg warn: Told what the user should know afterwards.
    """

    def __init__(self, wanted: Wanted, tools: Tools, say: Say, warn: Say, check_mode: bool = False) -> None:
        check_name(wanted.name)
        self._wanted, self._tools, self._say, self._warn = wanted, tools, say, warn
        self._check_mode = check_mode
        self._export = os.path.abspath(os.path.expanduser(wanted.export)) if wanted.export else ""
        self._folder = state.Folder(wanted.state_dir, wanted.name)

    # Verbs

    def present(self) -> Outcome:
        """Have it running."""
        self._folder.check_writable()
        return self._alone(self._present, True)

    def stopped(self) -> Outcome:
        """Have it not running, with all its data."""
        return self._alone(self._stopped, os.path.isdir(self._folder.path))

    def absent(self) -> Outcome:
        """Have nothing of it."""
        return self._alone(self._absent, os.path.isdir(self._folder.path))

    def info(self) -> dict[str, t.Any]:
        """What is there; nothing is changed, not even where it is half-made."""
        record, choice, provider = self._begin()
        try:
            actual = self._read(provider, record)
        except HubspokeError as error:
            # Its engine is away: say so, and what the record knows.
            actual = Actual(phase=record.phase, spec=record.spec, complete=True) if record else Actual()
            return self._describe(choice, provider, actual, problem=str(error))
        busy = actual.state == "half-made" and self._folder.busy()
        return self._describe(choice, provider, actual, problem="a run is working on it" if busy else "")

    # Steps

    def _alone(self, verb: t.Callable[[], Outcome], lock: bool) -> Outcome:
        try:
            if self._check_mode or not lock:
                return verb()
            with self._folder.locked(self._say, _LOCK_TIMEOUT):
                return verb()
        except OSError as error:
            raise HubspokeError(
                f"Cluster {self._wanted.name}: {error.strerror or error} ({error.filename or self._folder.path}).",
                "Put that right and run again; what is half-made is then finished or replaced.",
            ) from error

    def _begin(self) -> tuple[state.Record | None, Choice, Provider]:
        record = self._folder.read()
        available = {name: self._tools.find(name) is not None for name in (K3D, KIND)}
        recorded = record.spec.provider if record else ""
        choice = choose(self._wanted.provider, recorded, available, Docker(self._tools).version)
        # What is there is read, stopped and deleted with what made it, whatever is wanted now.
        return record, choice, self._provider(recorded or choice.provider)

    def _provider(self, name: str) -> Provider:
        return PROVIDERS[name](self._wanted.name, self._folder, self._tools, self._say, self._wanted.timeout)

    def _spec(self, choice: Choice) -> tuple[Spec, Provider]:
        provider = self._provider(choice.provider)
        spec = Spec.load({**(self._wanted.spec or {"servers": 1, "agents": 0}), "provider": choice.provider})
        check_spec(spec)
        spec, notes = suit(spec, provider.traits, strict=self._wanted.provider != "auto")
        for note in notes:
            self._warn(note)
        return spec, provider

    def _read(self, provider: Provider, record: state.Record | None) -> Actual:
        seen = provider.observe(record)
        if record is None:
            return Actual(exists=seen.exists)
        actual = Actual(phase=record.phase, spec=record.spec, version=record.extra.get("version", ""), **asdict(seen))
        path = self._folder.kubeconfig
        config = state.read_kubeconfig(path)
        ours = config is not None and state.is_ours(path, provider.context) and state.is_private(path)
        if seen.complete and seen.running and record.phase in (planning.MADE, planning.READY):
            try:
                found = config if ours and config else provider.kubeconfig()
                kube = Probe.from_params({"kubeconfig": found, "context": provider.context})
                kube.request("GET", "/readyz", timeout=5)
                counted = provider.recount(kube)
                actual = replace(actual, answering=True, version=kube.version(), **asdict(counted or seen))
            except HubspokeError:
                pass  # that it does not answer is what there is to know
        exported = record.export == self._export and (not self._export or state.exported(path, self._export))
        return replace(actual, kubeconfig=ours, exported=exported)

    @staticmethod
    def _kube(config: state.Config, provider: Provider) -> Kube:
        return Kube.from_params({"kubeconfig": config, "context": provider.context})

    def _present(self) -> Outcome:
        record, choice, holder = self._begin()
        spec, provider = self._spec(choice)
        actual = self._read(holder, record)
        plan = planning.plan_present(self._wanted.name, spec, actual, provider.traits, self._wanted.recreate)
        if planning.CREATE not in plan.steps:
            provider = holder
        if self._export:
            state.check_export(self._export, provider.context)
        if planning.CREATE in plan.steps:
            provider.check(spec, actual.spec.ports if actual.spec else ())
        before = self._shown(actual)
        version = provider.version(spec) if planning.CREATE in plan.steps else ""
        after = planning.outcome(plan, spec, actual, provider.traits, version)
        if self._export:
            after["kubeconfig_export"] = self._export
        if plan.difference:
            self._warn(
                f"Cluster {self._wanted.name} is left as it is, though it differs: {'; '.join(plan.difference)}. "
                "Set cluster_recreate to true to have it deleted and made anew."
            )
        if plan.steps and not self._check_mode:
            self._apply(plan, spec, record, holder, provider)
            actual = self._read(provider, self._folder.read())
        usable = not (self._check_mode and (plan.replaces or planning.START in plan.steps))
        cluster = self._describe(choice, provider, actual if usable else replace(actual, answering=False))
        return Outcome(bool(plan.steps), cluster, plan.difference, before, after)

    def _apply(self, plan: Plan, spec: Spec, record: state.Record | None, holder: Provider, provider: Provider) -> None:
        """Take the steps, all of which can be repeated; the record says how far they came."""
        name = self._wanted.name
        if planning.CREATE in plan.steps:
            provider.prepare(spec)
        if record and planning.DELETE in plan.steps:
            self._say(f"replacing cluster {name}: {plan.reason}")
            self._delete(record, holder)
            record = None
        if record is None:
            # Files without a record are what a run left that was killed before it had one.
            self._folder.empty()
            record = state.Record(planning.CREATING, spec)
            provider.reserve(record)
            self._say(f"creating cluster {name} with {provider.name}: {_size(spec)}")
            provider.create(record)
        elif planning.START in plan.steps:
            self._say(f"starting cluster {name}")
            provider.start(record)
        config = provider.kubeconfig() if set(plan.steps) - {planning.EXPORT} else {}
        if {planning.CREATE, planning.START, planning.KUBECONFIG} & set(plan.steps):
            state.write_kubeconfig(self._folder.kubeconfig, config)
        if planning.ADJUST in plan.steps:
            record.spec = replace(record.spec, **{name: getattr(spec, name) for name in provider.traits.live})
        if {planning.CREATE, planning.START, planning.ADJUST} & set(plan.steps):
            self._settle(record, provider, self._kube(config, provider))
        if planning.EXPORT in plan.steps:
            self._put_export(record, provider)

    def _settle(self, record: state.Record, provider: Provider, kube: Kube) -> None:
        """Our own part, once the provider has done its: it can be repeated."""
        if record.phase == planning.CREATING:
            record.phase = planning.MADE
        self._folder.write(record)
        provider.settle(kube, record)
        wait_until_ready(kube, self._wanted.timeout)
        record.phase = planning.READY
        record.extra["version"] = kube.version()
        self._folder.write(record)

    def _put_export(self, record: state.Record, provider: Provider) -> None:
        if record.export and record.export != self._export:
            state.remove_export(record.export, provider.context)
        # First the record: what it does not name is not removed with the cluster.
        record.export = self._export
        self._folder.write(record)
        if self._export:
            state.export(self._folder.kubeconfig, self._export)

    def _stopped(self) -> Outcome:
        record, choice, provider = self._begin()
        actual = self._read(provider, record)
        plan = planning.plan_stopped(actual)
        before = self._shown(actual)
        after = {**before, "state": "stopped"} if plan.steps else before
        if plan.steps and not self._check_mode:
            self._say(f"stopping cluster {self._wanted.name}")
            provider.stop()
            actual = self._read(provider, self._folder.read())
        return Outcome(bool(plan.steps), self._describe(choice, provider, actual), (), before, after)

    def _absent(self) -> Outcome:
        record, choice, provider = self._begin()
        actual = self._read(provider, record)
        left = self._folder.has_files() or bool(processes(self._folder.path))
        plan = planning.plan_absent(actual, left)
        before = self._shown(actual)
        if plan.steps and not self._check_mode:
            self._say(f"deleting cluster {self._wanted.name}")
            self._delete(record, provider)
            self._folder.empty()
            actual = Actual()
        return Outcome(bool(plan.steps), self._describe(choice, provider, actual), (), before, {})

    def _delete(self, record: state.Record | None, provider: Provider) -> None:
        if record:
            record.phase = planning.DELETING
            self._folder.write(record)
        provider.delete()
        for path in {record.export, self._export} - {""} if record else ():
            if not state.remove_export(path, provider.context):
                self._warn(f"{path} holds more than context {provider.context} by now, and is left as it is.")
        self._folder.empty()

    # Saying

    def _shown(self, actual: Actual) -> dict[str, t.Any]:
        spec = planning.current(actual) if actual.spec else None
        shown = planning.describe(spec, actual.state, planning.bare(actual.version))
        record = self._folder.read()
        return {**shown, "kubeconfig_export": record.export} if shown and record and record.export else shown

    def _describe(self, choice: Choice, provider: Provider, actual: Actual, problem: str = "") -> dict[str, t.Any]:
        there = actual.state not in ("absent", "foreign")
        spec = planning.current(actual) if actual.spec else None
        config = state.read_kubeconfig(self._folder.kubeconfig) if there else None
        address = state.server_of(config, provider.context) if config else ""
        name = spec.provider if spec else choice.provider
        return {
            "name": self._wanted.name,
            "provider": name,
            "reason": choice.reason,
            "state": actual.state,
            "problem": problem,
            "present": actual.state == "running",
            "running": actual.state == "running",
            "version": planning.bare(actual.version),
            "servers": spec.servers if spec else 0,
            "agents": spec.agents if spec else 0,
            "kubeconfig": self._folder.kubeconfig,
            "context": provider.context,
            "address": address,
            "hub_address": provider.hub_address(address) if address else "",
            "simulated": provider.simulated,
        }


def _size(spec: Spec) -> str:
    version = f"Kubernetes {spec.version}, " if spec.version else ""
    servers = f"{spec.servers} server{'s' * (spec.servers != 1)}"
    return f"{version}{servers}, {spec.agents} agent{'s' * (spec.agents != 1)}"
