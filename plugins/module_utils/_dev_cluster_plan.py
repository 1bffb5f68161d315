# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a development cluster is to be, what it is, and what leads from one to the other. Pure: nothing here looks or acts."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

K3D, KIND, KWOK = "k3d", "kind", "kwok"
PROVIDERS = (K3D, KIND, KWOK)

# Steps of a plan, in the order in which they are taken.
DELETE, CREATE, START, STOP, ADJUST, KUBECONFIG, EXPORT = (
    "delete",
    "create",
    "start",
    "stop",
    "adjust",
    "kubeconfig",
    "export",
)

# Phases of the record that a cluster's folder holds; `made` says that the provider is done and only our own part is left.
CREATING, MADE, READY, DELETING = "creating", "made", "ready", "deleting"

Phase = t.Literal["", "creating", "made", "ready", "deleting"]

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LONGEST_NAME = 32
_VERSION = re.compile(r"v\d+\.\d+\.\d+")


@dataclass(frozen=True)
class Port:
    """A port of this machine that leads into the cluster."""

    host_port: int
    container_port: int
    address: str = "127.0.0.1"
    protocol: str = "tcp"

    def __str__(self) -> str:
        return f"{self.address}:{self.host_port}:{self.container_port}/{self.protocol}"


@dataclass(frozen=True)
class Spec:
    """A cluster as it is wanted, or as it was made.

    :arg version: Empty where the choice is the provider's.
    """

    provider: str
    version: str = ""
    servers: int = 1
    agents: int = 0
    image: str = ""
    ports: tuple[Port, ...] = ()
    registry_mirrors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    api_server_args: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, data: Mapping[str, t.Any]) -> Spec:
        """From what `dump` made, or from a module's arguments."""
        return cls(
            provider=data["provider"],
            version=data.get("version") or "",
            servers=data["servers"],
            agents=data["agents"],
            image=data.get("image") or "",
            ports=tuple(Port(**port) for port in data.get("ports") or ()),
            registry_mirrors={
                str(name): tuple(map(str, [urls] if isinstance(urls, str) else urls or ()))
                for name, urls in (data.get("registry_mirrors") or {}).items()
            },
            api_server_args={str(key): _argument(value) for key, value in (data.get("api_server_args") or {}).items()},
        )

    def dump(self) -> dict[str, t.Any]:
        """As plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Actual:
    """What is there.

    :arg phase: Of our record; empty where there is none.
    :arg spec: What the record says it was made as.
    :arg exists: Whether the provider has anything of that name.
    :arg complete: Whether every part of it is there.
    :arg running: Whether every part of it runs.
    :arg answering: Whether its API answers.
    :arg kubeconfig: Whether our kubeconfig is there, private, and for this cluster.
    :arg exported: Whether the exported kubeconfig is where it should be, and nowhere else.
    """

    phase: Phase = ""
    spec: Spec | None = None
    exists: bool = False
    complete: bool = False
    running: bool = False
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
class Traits:
    """What a provider cannot do, or can do to a cluster that runs.

    :arg unsupported: Field of Spec to the reason why the provider has no use for it.
    :arg live: Fields that a running cluster can be adjusted to.
    :arg single_server: Whether there is only ever one control plane node.
    :arg least_agents: The fewest agents it can have.
    """

    unsupported: Mapping[str, str] = field(default_factory=dict)
    live: tuple[str, ...] = ()
    single_server: bool = False
    least_agents: int = 0


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


@dataclass(frozen=True)
class Choice:
    """A provider, and why."""

    provider: str
    reason: str


def check_name(name: str) -> None:
    """:raises HubspokeError: a name that some provider could not make host names of."""
    if not (_NAME.fullmatch(name) and len(name) <= _LONGEST_NAME):
        raise HubspokeError(
            f"{name!r} is no name for a cluster.",
            f"Set cluster_name to at most {_LONGEST_NAME} lower case letters, digits and hyphens.",
        )


def check_spec(spec: Spec) -> None:
    """:raises HubspokeError: values that no provider could use."""
    if spec.version and not _VERSION.fullmatch(spec.version):
        raise HubspokeError(
            f"cluster_version {spec.version!r} is no Kubernetes version.", "Give it as v1.36.3, or leave it empty."
        )
    if spec.servers < 1 or spec.agents < 0:
        raise HubspokeError(
            f"A cluster cannot have {spec.servers} servers and {spec.agents} agents.",
            "Set cluster_servers to 1 or more, and cluster_agents to 0 or more.",
        )
    seen: set[tuple[str, int, str]] = set()
    for port in spec.ports:
        if not (0 < port.host_port < 65536 and 0 < port.container_port < 65536):
            raise HubspokeError(f"cluster_ports has {port}, which is out of range.", "Ports go from 1 to 65535.")
        key = (port.address, port.host_port, port.protocol)
        if key in seen:
            raise HubspokeError(
                f"cluster_ports maps {port.address}:{port.host_port}/{port.protocol} twice.", "Give each a port of its own."
            )
        seen.add(key)


def choose(
    wanted: str, recorded: str, available: Mapping[str, bool], engine: t.Callable[[], tuple[str, str]]
) -> Choice:
    """The provider to use.

    :arg wanted: `auto` or a provider.
    :arg recorded: Provider of a cluster of that name which is there already, empty where none is.
    :arg available: Whether k3d and kind are on this machine.
    :arg engine: Asks the Docker engine: its version and an empty text, or an empty text and why it does not answer.
    """
    if wanted != "auto":
        return Choice(wanted, f"cluster_provider is {wanted}")
    if recorded:
        return Choice(recorded, f"it was made with {recorded}")
    if not (available.get(K3D) or available.get(KIND)):
        return Choice(KWOK, "neither k3d nor kind is on PATH")
    version, problem = engine()
    if not version:
        return Choice(KWOK, f"no Docker engine answers ({problem})")
    found = K3D if available.get(K3D) else KIND
    return Choice(found, f"{found} is on PATH and a Docker engine answers ({version})")


def suit(spec: Spec, traits: Traits, strict: bool) -> tuple[Spec, list[str]]:
    """The spec as its provider can have it, and a sentence for each thing it cannot.

    :arg strict: Whether the user chose this very provider; then a control plane that it cannot have is an error.
    """
    notes = []
    for name, why in traits.unsupported.items():
        value = getattr(spec, name)
        if value:
            notes.append(f"cluster_{name} has no effect with {spec.provider}: {why}.")
            spec = replace(spec, **{name: type(value)()})
    if traits.single_server and spec.servers != 1:
        if strict:
            raise HubspokeError(
                f"{spec.provider} has one control plane, not {spec.servers}.",
                "Set cluster_servers to 1, or cluster_provider to kind or k3d.",
            )
        notes.append(f"cluster_servers is 1 with {spec.provider}, not {spec.servers}.")
        spec = replace(spec, servers=1)
    return replace(spec, agents=max(spec.agents, traits.least_agents)), notes


def differences(wanted: Spec, actual: Actual) -> dict[str, str]:
    """What differs, as field of Spec to a phrase; only the provider where that is another one."""
    made = actual.spec
    if made is None:
        return {}
    if wanted.provider != made.provider:
        return {"provider": f"provider: {made.provider}, not {wanted.provider}"}
    found = {}
    version = bare(actual.version or made.version)
    if wanted.version and version and wanted.version != version:
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
        raise HubspokeError(
            f"There is a {wanted.provider} cluster named {name} already, which something else made.",
            f"Give another cluster_name; or delete it (`{wanted.provider} delete cluster --name {name}`, for k3d "
            f"`k3d cluster delete {name}`); or use it as it is, with cluster_provider existing and cluster_kubeconfig.",
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
    return Plan((STOP,) if actual.state in ("running", "unreachable") else ())


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
    return {key: list(map(str, spec.ports)) if key == "ports" else value for key, value in shown.items() if value != ""}


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
    assert actual.spec is not None
    counted = {"servers": actual.servers, "agents": actual.agents} if actual.servers else {}
    return replace(actual.spec, **counted)


def bare(version: str) -> str:
    """v1.36.3 out of v1.36.3+k3s1."""
    return version.split("+", 1)[0]


def _argument(value: t.Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def _plain(value: t.Any) -> t.Any:
    return sorted(map(str, value)) if isinstance(value, tuple) else dict(value)


def _shown(value: t.Any) -> str:
    if not value:
        return "none"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return ", ".join(f"{key}={','.join(item) if isinstance(item, tuple) else item}" for key, item in value.items())
