# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Development clusters by kind: its configuration, and the few things that kind itself leaves to others."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Callable, Iterable

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_docker import (
    ContainerCluster,
    Docker,
    Observation,
    check_ports,
    config_file,
    told,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_run import Tools, end, run
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_spec import KIND, Port, Spec, Traits
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_state import (
    Config,
    Folder,
    Record,
    parse,
    write_private,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube

_CONTROL_PLANE = "control-plane"
_WORKER = "worker"
_BALANCER = "external-load-balancer"
_MIRRORS = "/etc/containerd/certs.d"
# What is ours is marked, since a node image may bring its own.
_TELL = 'mkdir -p "$0" && cat > "$0/hosts.toml" && touch "$0/.hubspoke"'
_FORGET = (
    f'for mark in {_MIRRORS}/*/.hubspoke; do [ -e "$mark" ] || continue; folder=${{mark%/.hubspoke}}; '
    'case " $0 " in *" ${folder##*/} "*) ;; *) rm -r "$folder" ;; esac; done'
)


def configuration(name: str, spec: Spec) -> dict[str, t.Any]:
    """What kind is given (kind.x-k8s.io/v1alpha4)."""
    image = {"image": node_image(spec)} if node_image(spec) else {}
    servers: list[dict[str, t.Any]] = [{"role": _CONTROL_PLANE, **image} for _ in range(spec.servers)]
    if spec.ports:
        servers[0]["extraPortMappings"] = [
            {
                "containerPort": port.container_port,
                "hostPort": port.host_port,
                "listenAddress": port.address,
                "protocol": port.protocol.upper(),
            }
            for port in spec.ports
        ]
    config: dict[str, t.Any] = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "name": name,
        "networking": {"apiServerAddress": "127.0.0.1"},
        "nodes": [*servers, *({"role": _WORKER, **image} for _ in range(spec.agents))],
    }
    if spec.api_server_args:
        # Without an apiVersion kind fits it to the kubeadm configuration of the version at hand.
        patch = {"kind": "ClusterConfiguration", "apiServer": {"extraArgs": dict(spec.api_server_args)}}
        config["kubeadmConfigPatches"] = [json.dumps(patch)]
    return config


def node_image(spec: Spec) -> str:
    """The image to name; empty where kind's own default is wanted."""
    return spec.image or (f"kindest/node:{spec.version}" if spec.version else "")


def mirror_hosts(registry: str, urls: tuple[str, ...]) -> str:
    """containerd's hosts.toml of one registry."""
    server = "https://registry-1.docker.io" if registry == "docker.io" else f"https://{registry}"
    hosts = [f'[host."{url}"]\n  capabilities = ["pull", "resolve"]\n' for url in urls]
    return "\n".join([f'server = "{server}"\n', *hosts])


class Kind:
    """One kind cluster.

    :arg folder: Its folder.
    :arg say: Told what is being done.
    :arg timeout: Seconds for it to become ready.
    """

    name: t.ClassVar[str] = KIND
    traits: t.ClassVar[Traits] = Traits(live=("registry_mirrors",))
    simulated: t.ClassVar[bool] = False

    def __init__(self, name: str, folder: Folder, tools: Tools, say: Callable[[str], None], timeout: int) -> None:
        self.cluster = name
        self.context = f"kind-{name}"
        self._folder, self._tools, self._say, self._timeout = folder, tools, say, timeout
        self.docker = Docker(tools)
        label = f"io.x-k8s.kind.cluster={name}"
        self.nodes = ContainerCluster(
            self.docker, label, role="io.x-k8s.kind.role", server=_CONTROL_PLANE, agent=_WORKER
        )

    def observe(self, record: Record | None) -> Observation:
        """What there is of it.

        :raises HubspokeError: it was made with an engine that does not answer now.
        """
        if record or not self.docker.version()[1]:
            self.docker.require(KIND)
            self.nodes.read()
        return self.nodes.observation(record.spec if record else None)

    def recount(self, kube: Kube) -> Observation | None:
        """Its containers are all there is to count."""

    def reserve(self, record: Record) -> None:
        """Write the record: from here on there may be something of it."""
        self._folder.write(record)

    def check(self, spec: Spec, held: Iterable[Port]) -> None:
        """:raises HubspokeError: it cannot be made on this machine."""
        self._tools.require(["kind"], KIND)
        self.docker.require(KIND)
        check_ports(self.docker, spec.ports, held)

    def prepare(self, spec: Spec) -> None:
        """Whatever may fail before anything of the cluster is there."""
        if node_image(spec):
            self.docker.ensure_image(node_image(spec), spec, self._say)

    def version(self, spec: Spec) -> str:
        """Version of a cluster that would be made now, empty where only kind knows it."""
        return spec.version

    def create(self, record: Record) -> None:
        """Make it."""
        write_private(self._folder.file("kind.yaml"), config_file(configuration(self.cluster, record.spec)))
        self._kind(
            *("create", "cluster", "--name", self.cluster, "--config", self._folder.file("kind.yaml")),
            *("--kubeconfig", self._folder.kubeconfig, "--wait", f"{self._timeout}s"),
        )

    def start(self, record: Record) -> None:
        """Start its containers."""
        self.nodes.read()
        self.nodes.start()

    def settle(self, kube: Kube, record: Record) -> None:
        """Tell the nodes' containerd where the mirrors are: it reads these files at each pull."""
        self.nodes.read()
        for node in self.nodes.nodes():
            self.docker("exec", node.name, "sh", "-c", _FORGET, " ".join(record.spec.registry_mirrors))
            for name, urls in record.spec.registry_mirrors.items():
                path = f"{_MIRRORS}/{name}"
                content = mirror_hosts(name, urls)
                self.docker("exec", "--interactive", node.name, "sh", "-c", _TELL, path, stdin=content)

    def stop(self) -> None:
        """Stop its containers."""
        self.nodes.read()
        self.nodes.stop()

    def delete(self) -> None:
        """Delete it, or what there is of it, also if a kind that was left alone is still making it."""
        end(self._folder.path)
        if not self.nodes.containers:
            self.nodes.read()
        if self.nodes.containers and self._tools.find("kind"):
            self._kind("delete", "cluster", "--name", self.cluster, "--kubeconfig", self._folder.kubeconfig)
        self.nodes.remove()

    def kubeconfig(self) -> Config:
        """As kind gives it."""
        return parse(self._kind("get", "kubeconfig", "--name", self.cluster))

    def hub_address(self, address: str) -> str:
        """Address from within another node of the same Docker network, which is where a hub's pods are."""
        balanced = any(node.labels.get("io.x-k8s.kind.role") == _BALANCER for node in self.nodes.containers)
        return f"https://{self.cluster}-{_BALANCER if balanced else _CONTROL_PLANE}:6443"

    def _kind(self, *arguments: str) -> str:
        kind = self._tools.require(["kind"], KIND)["kind"]
        return run([kind, *arguments], timeout=self._timeout + 1800, say=told("kind", self._say))
