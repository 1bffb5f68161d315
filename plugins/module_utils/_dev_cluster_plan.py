# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what a development cluster is to what it is to be. Pure: nothing here looks or acts."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_spec import K3D, Spec, Traits
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

# Steps of a plan, in the order in which they are taken.
DELETE = "delete"
CREATE = "create"
START = "start"
STOP = "stop"
ADJUST = "adjust"
KUBECONFIG = "kubeconfig"
EXPORT = "export"

# Phases of a cluster's record; `made` says that the provider is done and only our own part is left.
Phase = t.Literal["", "creating", "made", "ready", "deleting"]
CREATING: t.Final = "creating"
MADE: t.Final = "made"
READY: t.Final = "ready"
DELETING: t.Final = "deleting"


@dataclass(frozen=True)
class Actual:
    """What is there.

    :arg phase: Of our record; empty where there is none.
    :arg spec: What the record says it was made as.
    :arg exists: Whether the provider has anything of that name.
    :arg complete: Whether every part of it is there.
    :arg running: Whether every part of it runs.
    :arg alive: Whether some part of it runs.
    :arg answering: Whether its API answers.
    :arg kubeconfig: Whether our kubeconfig is there, private, and for this cluster.
    :arg exported: Whether the exported kubeconfig is where it should be, and nowhere else.
    """

    phase: Phase = ""
    spec: Spec | None = None
    exists: bool = False
    complete: bool = False
    running: bool = False
    alive: bool = False
    answering: bool = False
    version: str = ""
    servers: int = 0
    agents: int = 0
    kubeconfig: bool = False
    exported: bool = True

    @property
    def state(self) -> str:
        """One word for the user: absent, foreign, half-made, stopped, unreachable or running."""
        if not self.phase:
            return "foreign" if self.exists else "absent"
        if self.phase in (CREATING, DELETING) or not self.complete:
            return "half-made"
        if not self.running:
            return "stopped"
        return "running" if self.answering else "unreachable"


@dataclass(frozen=True)
class Plan:
    """What to do.

    :arg steps: In this order.
    :arg difference: What stays different from what is wanted, since nobody allowed to make the cluster anew.
    :arg reason: Why a cluster is made anew, for the user.
    """

    steps: tuple[str, ...] = ()
    difference: tuple[str, ...] = ()
    reason: str = ""

    @property
    def replaces(self) -> bool:
        """Whether what is there now will not be there afterwards."""
        return DELETE in self.steps


def differences(wanted: Spec, actual: Actual) -> dict[str, str]:
    """What differs, as field of Spec to a phrase; only the provider where that is another one."""
    made = actual.spec
    if made is None:
        return {}
    if wanted.provider != made.provider:
        return {"provider": f"provider: {made.provider}, not {wanted.provider}"}
    found = {}
    version = bare(actual.version or made.version)
    # Made as this version it will not become more so by being made anew, whatever its server calls itself.
    if wanted.version and version and wanted.version not in (version, made.version):
        found["version"] = f"version: {version}, not {wanted.version}"
    for name in ("servers", "agents"):
        want, have = getattr(wanted, name), getattr(actual, name)
        if want != have:
            found[name] = f"{name}: {have}, not {want}"
    if wanted.image and wanted.image != made.image:
        found["image"] = f"image: {made.image or 'the default'}, not {wanted.image}"
    for name in ("ports", "registry_mirrors", "api_server_args"):
        want, have = getattr(wanted, name), getattr(made, name)
        if _plain(want) != _plain(have):
            found[name] = f"{name}: {_shown(have)}, not {_shown(want)}"
    return found


def plan_present(name: str, wanted: Spec, actual: Actual, traits: Traits, recreate: bool) -> Plan:
    """From what is there to a running cluster.

    :raises HubspokeError: the name is taken by a cluster that is not ours.
    """
    state = actual.state
    if state == "foreign":
        delete = f"k3d cluster delete {name}" if wanted.provider == K3D else f"kind delete cluster --name {name}"
        raise HubspokeError(
            f"There is a {wanted.provider} cluster named {name} already, which something else made.",
            f"Give another cluster_name; or delete it (`{delete}`); or use it as it is, with cluster_provider existing "
            "and cluster_kubeconfig.",
        )
    made = (CREATE, EXPORT)
    if state == "absent":
        return Plan(made)
    if state == "half-made":
        return Plan((DELETE, *made), reason="an earlier run left it half-made")
    found = differences(wanted, actual)
    fixed = {field_name: text for field_name, text in found.items() if field_name not in traits.live}
    if fixed and recreate:
        return Plan((DELETE, *made), reason="; ".join(fixed.values()))
    steps = []
    if actual.phase != READY or state != "running":
        steps.append(START)
    if len(found) > len(fixed):
        steps.append(ADJUST)
    if not actual.kubeconfig and START not in steps:
        steps.append(KUBECONFIG)
    if not actual.exported:
        steps.append(EXPORT)
    return Plan(tuple(steps), tuple(fixed.values()))


def plan_stopped(actual: Actual) -> Plan:
    """From what is there to a cluster that keeps its data and does not run."""
    return Plan((STOP,) if actual.phase and actual.alive else ())


def plan_absent(actual: Actual, leftovers: bool) -> Plan:
    """From what is there to nothing; what something else made stays.

    :arg leftovers: Whether there are files or processes without a record.
    """
    return Plan((DELETE,) if actual.phase or leftovers else ())


def describe(spec: Spec | None, state: str, version: str = "") -> dict[str, t.Any]:
    """What the user sees of a cluster in a difference: nothing where there is none."""
    if spec is None or state in ("absent", "foreign"):
        return {}
    shown = {"state": state, **spec.dump(), "version": version or spec.version or "the provider's default"}
    return {
        key: list(map(str, spec.ports)) if key == "ports" else value
        for key, value in shown.items()
        if value or value == 0
    }


def outcome(plan: Plan, wanted: Spec, actual: Actual, traits: Traits, version: str) -> dict[str, t.Any]:
    """What `describe` will say after a plan for a running cluster.

    :arg version: Of a cluster that is made now, where it is known beforehand.
    """
    if actual.spec is None or CREATE in plan.steps:
        return describe(wanted, "running", version)
    live = {name: getattr(wanted, name) for name in traits.live} if ADJUST in plan.steps else {}
    return describe(replace(current(actual), **live), "running", bare(actual.version))


def current(actual: Actual) -> Spec:
    """What the cluster was made as, with its nodes as they are."""
    if actual.spec is None:
        raise AssertionError("a cluster without a record has no specification")
    if not actual.servers:
        return actual.spec
    return replace(actual.spec, servers=actual.servers, agents=actual.agents)


def bare(version: str) -> str:
    """v1.36.3 out of v1.36.3+k3s1."""
    return version.split("+", 1)[0]


def _plain(value: t.Any) -> t.Any:
    return sorted(map(str, value)) if isinstance(value, tuple) else dict(value)


def _shown(value: t.Any) -> str:
    if not value:
        return "none"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return ", ".join(f"{key}={','.join(item) if isinstance(item, tuple) else item}" for key, item in value.items())
