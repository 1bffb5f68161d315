# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a development cluster is to be, and which provider can have it so. Pure: nothing here looks or acts."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

K3D, KIND, KWOK = "k3d", "kind", "kwok"

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
                f"cluster_ports maps {port.address}:{port.host_port}/{port.protocol} twice.",
                "Give each a port of its own.",
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


def _argument(value: t.Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
