# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Development clusters by k3d: its configuration, and how its containers are read."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_docker import Labels
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_docker_provider import DockerProvider
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_run import CommandError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_spec import K3D, Spec
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_state import Config, Record, dump, parse
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube

# One network for all of them: in k3d's own, one for each cluster, a hub could not reach its spokes.
NETWORK = "hubspoke-k3d"


def configuration(name: str, spec: Spec, timeout: int) -> dict[str, t.Any]:
    """What k3d is given (k3d.io/v1alpha5)."""
    config: dict[str, t.Any] = {
        "apiVersion": "k3d.io/v1alpha5",
        "kind": "Simple",
        "metadata": {"name": name},
        "servers": spec.servers,
        "agents": spec.agents,
        # k3d itself would listen on every address of the machine.
        "kubeAPI": {"host": "127.0.0.1", "hostIP": "127.0.0.1"},
        "network": NETWORK,
        "options": {
            "k3d": {"wait": True, "timeout": f"{timeout}s"},
            "kubeconfig": {"updateDefaultKubeconfig": False, "switchCurrentContext": False},
        },
    }
    if node_image(spec):
        config["image"] = node_image(spec)
    if spec.ports:
        config["ports"] = [{"port": str(port), "nodeFilters": ["loadbalancer"]} for port in spec.ports]
    if spec.registry_mirrors:
        mirrors = {name: {"endpoint": list(urls)} for name, urls in spec.registry_mirrors.items()}
        config["registries"] = {"config": dump({"mirrors": mirrors})}
    if spec.api_server_args:
        config["options"]["k3s"] = {
            "extraArgs": [
                {"arg": f"--kube-apiserver-arg={key}={value}", "nodeFilters": ["server:*"]}
                for key, value in spec.api_server_args.items()
            ]
        }
    return config


def node_image(spec: Spec) -> str:
    """The image to name; empty where k3d's own default is wanted."""
    return spec.image or (f"rancher/k3s:{spec.version}-k3s1" if spec.version else "")


class K3d(DockerProvider):
    """One k3d cluster."""

    name = K3D
    labels = Labels("k3d.cluster", role="k3d.role", server="server", agent="agent")
    node_image = staticmethod(node_image)

    def create(self, record: Record) -> None:
        """Make it."""
        config = self._configure(configuration(self.cluster, record.spec, self._timeout))
        self._maker("cluster", "create", "--config", config)

    def start(self, record: Record) -> None:
        """Start it."""
        self._maker("cluster", "start", self.cluster, "--wait", "--timeout", f"{self._timeout}s")

    def settle(self, kube: Kube, record: Record) -> None:
        """Nothing is left once k3d is done, and nothing of it can be changed while it runs."""

    def delete(self) -> None:
        """Delete it, or what there is of it, also if a k3d that was left alone is still making it."""
        super().delete()
        # Another cluster's nodes keep the network; it goes with the last of them.
        for rest in (("volume", "rm", f"k3d-{self.cluster}-images"), ("network", "rm", NETWORK)):
            with contextlib.suppress(CommandError):
                self.docker(*rest)

    def kubeconfig(self) -> Config:
        """As k3d gives it."""
        return parse(self._maker("kubeconfig", "get", self.cluster))

    def hub_address(self, address: str) -> str:
        """Address from within another node of the same Docker network, which is where a hub's pods are."""
        return f"https://k3d-{self.cluster}-serverlb:6443"

    def _deletion(self) -> tuple[str, ...]:
        return ("cluster", "delete", self.cluster)
