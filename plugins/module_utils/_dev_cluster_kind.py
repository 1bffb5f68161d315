# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Development clusters by kind: its configuration, and the few things that kind itself leaves to others."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_docker import Labels
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_docker_provider import DockerProvider
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_spec import KIND, Spec, Traits
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_state import Config, Record, parse
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube

_ROLE = "io.x-k8s.kind.role"
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


class Kind(DockerProvider):
    """One kind cluster."""

    name = KIND
    traits = Traits(live=("registry_mirrors",))
    labels = Labels("io.x-k8s.kind.cluster", role=_ROLE, server=_CONTROL_PLANE, agent=_WORKER)
    node_image = staticmethod(node_image)

    def create(self, record: Record) -> None:
        """Make it."""
        config = self._configure(configuration(self.cluster, record.spec))
        self._maker(
            *("create", "cluster", "--name", self.cluster, "--config", config),
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

    def kubeconfig(self) -> Config:
        """As kind gives it."""
        return parse(self._maker("get", "kubeconfig", "--name", self.cluster))

    def hub_address(self, address: str) -> str:
        """Address from within another node of the same Docker network, which is where a hub's pods are."""
        balanced = any(node.labels.get(_ROLE) == _BALANCER for node in self.nodes.containers)
        return f"https://{self.cluster}-{_BALANCER if balanced else _CONTROL_PLANE}:6443"

    def _deletion(self) -> tuple[str, ...]:
        return ("delete", "cluster", "--name", self.cluster, "--kubeconfig", self._folder.kubeconfig)
