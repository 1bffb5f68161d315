# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Development clusters by k3d: its configuration, and how its containers are read."""

from __future__ import annotations

import contextlib
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
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_run import (
    CommandError,
    Tools,
    end,
    run,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_spec import K3D, Port, Spec, Traits
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_state import (
    Config,
    Folder,
    Record,
    dump,
    parse,
    write_private,
)
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


class K3d:
    """One k3d cluster.

    :arg folder: Its folder.
    :arg say: Told what is being done.
    :arg timeout: Seconds for it to become ready.
    """

    name: t.ClassVar[str] = K3D
    traits: t.ClassVar[Traits] = Traits()
    simulated: t.ClassVar[bool] = False

    def __init__(self, name: str, folder: Folder, tools: Tools, say: Callable[[str], None], timeout: int) -> None:
        self.cluster = name
        self.context = f"k3d-{name}"
        self._folder, self._tools, self._say, self._timeout = folder, tools, say, timeout
        self.docker = Docker(tools)
        self.nodes = ContainerCluster(
            self.docker, f"k3d.cluster={name}", role="k3d.role", server="server", agent="agent"
        )

    def observe(self, record: Record | None) -> Observation:
        """What there is of it.

        :raises HubspokeError: it was made with an engine that does not answer now.
        """
        if record or not self.docker.version()[1]:
            self.docker.require(K3D)
            self.nodes.read()
        return self.nodes.observation(record.spec if record else None)

    def recount(self, kube: Kube) -> Observation | None:
        """Its containers are all there is to count."""

    def reserve(self, record: Record) -> None:
        """Write the record: from here on there may be something of it."""
        self._folder.write(record)

    def check(self, spec: Spec, held: Iterable[Port]) -> None:
        """:raises HubspokeError: it cannot be made on this machine."""
        self._tools.require(["k3d"], K3D)
        self.docker.require(K3D)
        check_ports(self.docker, spec.ports, held)

    def prepare(self, spec: Spec) -> None:
        """Whatever may fail before anything of the cluster is there."""
        if node_image(spec):
            self.docker.ensure_image(node_image(spec), spec, self._say)

    def version(self, spec: Spec) -> str:
        """Version of a cluster that would be made now, empty where only k3d knows it."""
        return spec.version

    def create(self, record: Record) -> None:
        """Make it."""
        config = configuration(self.cluster, record.spec, self._timeout)
        write_private(self._folder.file("k3d.yaml"), config_file(config))
        self._k3d("cluster", "create", "--config", self._folder.file("k3d.yaml"))

    def start(self, record: Record) -> None:
        """Start it."""
        self._k3d("cluster", "start", self.cluster, "--wait", "--timeout", f"{self._timeout}s")

    def settle(self, kube: Kube, record: Record) -> None:
        """Nothing is left once k3d is done, and nothing of it can be changed while it runs."""

    def stop(self) -> None:
        """Stop its containers."""
        self.nodes.read()
        self.nodes.stop()

    def delete(self) -> None:
        """Delete it, or what there is of it, also if a k3d that was left alone is still making it."""
        end(self._folder.path)
        self.nodes.read()
        if self.nodes.containers and self._tools.find("k3d"):
            self._k3d("cluster", "delete", self.cluster)
        self.nodes.remove()
        # Another cluster's nodes keep the network; it goes with the last of them.
        for rest in (("volume", "rm", f"k3d-{self.cluster}-images"), ("network", "rm", NETWORK)):
            with contextlib.suppress(CommandError):
                self.docker(*rest)

    def kubeconfig(self) -> Config:
        """As k3d gives it."""
        return parse(self._k3d("kubeconfig", "get", self.cluster))

    def hub_address(self, address: str) -> str:
        """Address from within another node of the same Docker network, which is where a hub's pods are."""
        return f"https://k3d-{self.cluster}-serverlb:6443"

    def _k3d(self, *arguments: str) -> str:
        k3d = self._tools.require(["k3d"], K3D)["k3d"]
        return run([k3d, *arguments], timeout=self._timeout + 1800, say=told("k3d", self._say))
