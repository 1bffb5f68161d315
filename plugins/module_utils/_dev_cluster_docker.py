# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Docker engine, and clusters whose nodes are containers with labels.

kind and k3d make and delete; containers are read, started and stopped through docker itself, whose
answers, unlike theirs, are made for programs.
"""

from __future__ import annotations

import json
import os
import socket
import typing as t
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_run import CommandError, Tools, run
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_spec import Port, Spec
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

_DEFAULT_HOST = "unix:///var/run/docker.sock"


@dataclass(frozen=True)
class Container:
    """A container, running or not."""

    name: str
    state: str
    image: str
    labels: dict[str, str] = field(default_factory=dict)


class Docker:
    """The engine that DOCKER_HOST, or Docker's own context, names."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._version: tuple[str, str] | None = None

    def version(self) -> tuple[str, str]:
        """Version of the engine and an empty text, or an empty text and why it does not answer."""
        if self._version is None:
            self._version = self._ask()
        return self._version

    def _ask(self) -> tuple[str, str]:
        docker = self._tools.find("docker")
        if not docker:
            return "", "the program docker is not on PATH"
        try:
            return run([docker, "version", "--format", "{{.Server.Version}}"], timeout=15).strip(), ""
        except CommandError as error:
            lines = [line.strip() for line in error.output.splitlines() if line.strip()]
            return "", f"{self.host()}: {(lines or ['it does not answer'])[-1].rstrip('.')}"

    @staticmethod
    def host() -> str:
        """The address that is tried, for messages."""
        return os.environ.get("DOCKER_HOST") or os.environ.get("DOCKER_CONTEXT") or _DEFAULT_HOST

    @property
    def is_local(self) -> bool:
        """Whether its containers' ports are ports of this machine."""
        return self.host().startswith(("unix:", "/"))

    def require(self, provider: str) -> None:
        """:raises HubspokeError: no engine answers."""
        _, problem = self.version()
        if problem:
            raise HubspokeError(
                f"cluster_provider {provider} needs a Docker engine, and none answers ({problem}).",
                f"Start Docker, set DOCKER_HOST (tried: {self.host()}), or set cluster_provider to kwok.",
            )

    def __call__(self, *arguments: str, timeout: float = 120, stdin: str | None = None) -> str:
        """Run docker; its output."""
        return run([self._tools.require(["docker"], "kind or k3d")["docker"], *arguments], timeout=timeout, stdin=stdin)

    def containers(self, label: str) -> list[Container]:
        """The containers with a label, `key=value`."""
        lines = self("ps", "--all", "--no-trunc", "--filter", f"label={label}", "--format", "{{json .}}").splitlines()
        found = [json.loads(line) for line in lines if line.strip()]
        return [
            Container(
                item["Names"],
                item["State"],
                item["Image"],
                dict(pair.partition("=")[::2] for pair in item.get("Labels", "").split(",") if pair),
            )
            for item in found
        ]

    def ensure_image(self, image: str, spec: Spec, say: Callable[[str], None]) -> None:
        """Have an image on the engine before anything else is made.

        :raises HubspokeError: there is no such image.
        """
        try:
            self("image", "inspect", "--format", "{{.Id}}", image)
            return
        except CommandError:
            say(f"pulling {image}")
        try:
            self("pull", "--quiet", image, timeout=1800)
        except CommandError as error:
            named = f"cluster_version {spec.version}" if spec.version and not spec.image else f"cluster_image {image}"
            raise HubspokeError(
                f"{named} is not available for {spec.provider}: {error.message}",
                f"Choose a version that has an image, or give another cluster_image (tried: {image}).",
            ) from error


@dataclass(frozen=True)
class Observation:
    """What there is of a cluster, as fields of Actual."""

    exists: bool = False
    complete: bool = False
    running: bool = False
    alive: bool = False
    servers: int = 0
    agents: int = 0


@dataclass(frozen=True)
class Labels:
    """How a cluster's containers are known.

    :arg cluster: Label that all of them have, with the cluster's name.
    :arg role: Label that says what a container is.
    :arg server: Its value on control plane nodes.
    :arg agent: Its value on other nodes.
    """

    cluster: str
    role: str
    server: str
    agent: str


class ContainerCluster:
    """The containers of one cluster."""

    def __init__(self, docker: Docker, name: str, labels: Labels) -> None:
        self.docker = docker
        self._label = f"{labels.cluster}={name}"
        self._role, self._server, self._agent = labels.role, labels.server, labels.agent
        self.containers: list[Container] = []

    def read(self) -> None:
        """Ask the engine."""
        self.containers = self.docker.containers(self._label)

    def nodes(self, *roles: str) -> list[Container]:
        """Its nodes, all or those of a role, control plane first."""
        wanted = roles or (self._server, self._agent)
        found = [container for container in self.containers if container.labels.get(self._role) in wanted]
        return sorted(found, key=lambda node: (node.labels[self._role] != self._server, node.name))

    def observation(self, spec: Spec | None) -> Observation:
        """What the containers amount to.

        :arg spec: As it was made.
        """
        run = [container.state == "running" for container in self.containers]
        servers, agents = len(self.nodes(self._server)), len(self.nodes(self._agent))
        return Observation(
            exists=bool(run),
            complete=spec is not None and (servers, agents) == (spec.servers, spec.agents),
            running=bool(run) and all(run),
            alive=any(run),
            servers=servers,
            agents=agents,
        )

    def stop(self) -> None:
        """Stop every container."""
        names = [container.name for container in self.containers]
        if names:
            self.docker("stop", *names, timeout=300)

    def start(self) -> None:
        """Start every container, control plane first."""
        nodes = [node.name for node in self.nodes()]
        others = [container.name for container in self.containers if container.name not in nodes]
        for name in [*nodes, *others]:
            self.docker("start", name, timeout=300)

    def remove(self) -> None:
        """Remove every container with what it stored, also those that appeared since they were read."""
        self.read()
        names = [container.name for container in self.containers]
        if names:
            self.docker("rm", "--force", "--volumes", *names, timeout=300)


def check_ports(docker: Docker, ports: Iterable[Port], held: Iterable[Port]) -> None:
    """Whether the ports can be had.

    :arg held: Those that a cluster which is about to be replaced has now.
    :raises HubspokeError: something else listens on one of them.
    """
    if not docker.is_local:
        return
    own = {(port.address, port.host_port, port.protocol) for port in held}
    for port in ports:
        if (port.address, port.host_port, port.protocol) in own:
            continue
        kind = socket.SOCK_DGRAM if port.protocol == "udp" else socket.SOCK_STREAM
        family = socket.AF_INET6 if ":" in port.address else socket.AF_INET
        with socket.socket(family, kind) as probe:
            if kind == socket.SOCK_STREAM:
                # A connection that has just ended does not keep the port from being used.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((port.address, port.host_port))
            except PermissionError:
                continue  # not for us, but the engine may
            except OSError as error:
                raise HubspokeError(
                    f"cluster_ports maps {port.address}:{port.host_port}/{port.protocol}, which is not free: "
                    f"{error.strerror}.",
                    "End what listens there (`ss -ltnp` names it), or give another host_port.",
                ) from error


def config_file(content: dict[str, t.Any]) -> str:
    """A configuration as a file's content: JSON, which every reader of YAML reads."""
    return json.dumps(content, indent=2) + "\n"
