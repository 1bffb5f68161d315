# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Development clusters by kwok: a real control plane as processes on loopback, with simulated nodes.

kwokctl writes certificates and starts processes; it is told every port, since two of them at once would
choose the same. Stopping and deleting are done here: kwokctl trusts process ids from files, which after a
restart of the machine are somebody else's.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import time
import typing as t
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _dev_cluster_simulation as simulation
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_api import Probe, create, wait_until_ready
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_docker import Observation, config_file
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_kwok_config import (
    COMPONENTS,
    OPTIONAL,
    TOOLS,
    becomes_free,
    cached_manifest,
    choose_ports,
    configuration,
    is_free,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_run import Tools, end, processes, run
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_spec import KWOK, Port, Spec, Traits
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_state import (
    Config,
    Folder,
    Record,
    write_private,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube

_PATIENCE = 10.0
_SERVERS = ("etcd", "kube-apiserver")
# How a component's last words begin: cobra's, klog's, etcd's.
_FATAL = re.compile(r'Error:|F\d{4} |\{"level":"fatal"')


class Kwok:
    """One cluster of kwok's.

    :arg folder: Its folder.
    :arg say: Told what is being done.
    :arg timeout: Seconds for it to become ready.
    """

    name: t.ClassVar[str] = KWOK
    simulated: t.ClassVar[bool] = True
    traits: t.ClassVar[Traits] = Traits(
        unsupported={
            "ports": "its nodes are simulated, and nothing listens in them",
            "registry_mirrors": "no image is ever pulled",
            "image": "its nodes are simulated",
        },
        live=("agents",),
        single_server=True,
        least_agents=1,
    )

    def __init__(self, name: str, folder: Folder, tools: Tools, say: Callable[[str], None], timeout: int) -> None:
        self.cluster = name
        self.context = f"kwok-{name}"
        self._folder, self._tools, self._say, self._timeout = folder, tools, say, timeout
        self._home = folder.file("kwok")
        self._work = folder.file("kwok", "clusters", name)
        self._binaries_version: str | None = None

    # Reading

    def components(self, record: Record) -> list[str]:
        """The components that it was made with."""
        return [name for name in COMPONENTS if name != OPTIONAL or record.extra.get("metrics")]

    def alive(self) -> set[str]:
        """The components that run."""
        return {os.path.basename(command[0]) for command in processes(self._work).values()}

    def observe(self, record: Record | None) -> Observation:
        """What there is of it."""
        if record is None:
            return Observation()  # processes of this very folder are a leftover of ours, and nobody's cluster
        files = (("kwok.yaml",), ("pki", "admin.crt"))
        alive = self.alive()
        return Observation(
            exists=True,
            complete=all(os.path.exists(os.path.join(self._work, *path)) for path in files),
            running=alive >= set(self.components(record)),
            alive=bool(alive),
            servers=1,
            agents=record.spec.agents,
        )

    def recount(self, kube: Kube) -> Observation | None:
        """Its nodes are only objects."""
        names = [item["metadata"]["name"] for item in kube.request("GET", "/api/v1/nodes")["items"]]
        count = sum(simulation.node_index(self.cluster, name) is not None for name in names)
        return Observation(exists=True, complete=True, running=True, alive=True, servers=1, agents=count)

    # Making

    def check(self, spec: Spec, held: Iterable[Port]) -> None:
        """:raises HubspokeError: it cannot be made on this machine."""
        self._tools.require([tool for tool in TOOLS if tool != OPTIONAL], KWOK)
        version = self.version(Spec(KWOK))
        if spec.version and version and spec.version != version:
            raise HubspokeError(
                f"cluster_version {spec.version} is not available for kwok: the kube-apiserver here is {version}.",
                f"Set cluster_version to {version} or leave it empty, or give other programs in dev_cluster_tools.",
            )

    def version(self, spec: Spec) -> str:
        """Version of a cluster that would be made now, empty where its programs are yet to come."""
        if spec.version:
            return spec.version
        if self._binaries_version is None:
            program = self._tools.find("kube-apiserver")
            answer = re.search(r"v\d+\.\d+\.\d+\S*", run([program, "--version"])) if program else None
            self._binaries_version = answer[0] if answer else ""
        return self._binaries_version

    def prepare(self, spec: Spec) -> None:
        """Nothing can fail before the first process does."""

    def reserve(self, record: Record) -> None:
        """Choose the ports, and keep them from clusters that are being made at the same time."""
        end(self._folder.path)
        with self._folder.neighbours() as others:
            taken = [port for other in others for port in other.extra.get("ports", {}).values()]
            ports = choose_ports(self._folder.path, taken, is_free)
            record.extra = {"ports": ports, "metrics": self._tools.find(OPTIONAL) is not None}
            self._folder.write(record)

    def create(self, record: Record) -> None:
        """Make it, and start it."""
        wanted = [tool for tool in TOOLS if tool != OPTIONAL or record.extra["metrics"]]
        tools = self._tools.require(wanted, KWOK)
        version = self.version(record.spec)
        ports = record.extra["ports"]
        config = configuration(self.cluster, record.spec, version, home=self._home, tools=tools, ports=ports)
        os.makedirs(os.path.dirname(cached_manifest(self._home)), mode=0o700)
        write_private(cached_manifest(self._home), "")
        write_private(os.path.join(self._home, "kwokctl.yaml"), config_file(config))
        write_private(os.path.join(self._home, "stages.yaml"), simulation.STAGES)
        self._kwokctl("create", "cluster", "--kubeconfig", "")
        self._revive(record)

    def start(self, record: Record) -> None:
        """Start what does not run; all of it, if it runs and does not answer."""
        missing = set(self.components(record)) - self.alive()
        if not missing:
            if self._answers():
                return
            self._say("it does not answer, so it is started again")
            self.stop()
            missing = set(self.components(record))
        self._mend(missing, record)
        self._kwokctl("start", "cluster")
        self._revive(record)

    def _revive(self, record: Record) -> None:
        """Start again what gave up waiting for an API server that took its time, as it may on a busy machine."""
        missing = set(self.components(record)) - self.alive()
        if missing:
            self._mend(missing, record)
            self._kwokctl("start", "cluster")

    def _answers(self) -> bool:
        try:
            wait_until_ready(Probe.from_params({"kubeconfig": self.kubeconfig(), "context": self.context}), _PATIENCE)
        except HubspokeError:
            return False
        return True

    def _mend(self, missing: set[str], record: Record) -> None:
        """Put right what keeps kwokctl from starting components again."""
        for component in missing:
            program, _, options = COMPONENTS[component]
            for port in (record.extra["ports"][option] for option in options):
                if not becomes_free(port):
                    raise HubspokeError(
                        f"Port {port}, which cluster {self.cluster} was made with for its {component}, is in use.",
                        f"End what listens there (`ss -ltnp sport = :{port}` names it), or delete the cluster.",
                    )
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self._work, "pids", f"{component}.pid"))
            link = os.path.join(self._work, "bin", component)
            if not os.path.exists(link):
                path = self._tools.require([program], KWOK)[program]
                os.makedirs(os.path.dirname(link), exist_ok=True)
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(link)
                os.symlink(path, link)

    def _kwokctl(self, *arguments: str) -> None:
        kwokctl = self._tools.require(["kwokctl"], KWOK)["kwokctl"]
        config = os.path.join(self._home, "kwokctl.yaml")
        # Variables of the user's would come before the configuration.
        strange = [name for name in os.environ if name.startswith("KWOK_")]
        run(
            [kwokctl, "--config", config, "--name", self.cluster, *arguments],
            # Its client would keep what it discovers in the user's ~/.kube/cache.
            {"KWOK_WORKDIR": self._home, "KUBECACHEDIR": os.path.join(self._home, "cache")},
            timeout=self._timeout,
            # kwokctl itself would wait for minutes for a server that has ended at once.
            watch=self._check_servers,
            without=strange,
        )

    def settle(self, kube: Kube, record: Record) -> None:
        """Nodes as many as wanted, what every cluster has, and wait until pods could run.

        The API server takes objects while it is still getting ready, so none of it waits for that.
        """
        agents, deadline = record.spec.agents, time.monotonic() + self._timeout
        version = kube.version()
        names = [item["metadata"]["name"] for item in kube.request("GET", "/api/v1/nodes")["items"]]
        present = {index for name in names if (index := simulation.node_index(self.cluster, name)) is not None}
        wanted = set(range(agents))
        posts = simulation.objects(record.extra["ports"]["metricsServerPort"] if record.extra["metrics"] else None)
        posts += [("/api/v1/nodes", simulation.node(self.cluster, i, version)) for i in sorted(wanted - present)]
        gone = [simulation.node_name(self.cluster, index) for index in present - wanted]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda post: create(kube, post[0], post[1], deadline), posts))
            list(pool.map(lambda name: kube.delete_path(f"/api/v1/nodes/{name}"), gone))
        wait_until_ready(kube, self._timeout)
        # The controllers give up on a server that takes more than ten seconds.
        self._revive(record)
        self._check_alive(record)
        while (ready := self._ready_nodes(kube)) < agents:
            if time.monotonic() > deadline:
                raise HubspokeError(
                    f"Of the {agents} nodes of cluster {self.cluster}, {ready} are Ready after {self._timeout} s.",
                    f"Look at the logs in {self._work}/logs.",
                )
            time.sleep(0.05)

    def _ready_nodes(self, kube: Kube) -> int:
        ready = 0
        for node in kube.request("GET", "/api/v1/nodes")["items"]:
            conditions = {item["type"]: item["status"] for item in node.get("status", {}).get("conditions", ())}
            ours = simulation.node_index(self.cluster, node["metadata"]["name"]) is not None
            ready += ours and conditions.get("Ready") == "True"
        return ready

    def _check_alive(self, record: Record) -> None:
        """:raises HubspokeError: a component ended by itself."""
        alive = self.alive()
        for component in self.components(record):
            if component not in alive:
                self._ended_by_itself(component)

    def _check_servers(self) -> None:
        """:raises HubspokeError: a server without which nothing can start ended by itself."""
        # First the files, then the processes: what is only just being started is in neither.
        started = [name for name in _SERVERS if os.path.exists(os.path.join(self._work, "pids", f"{name}.pid"))]
        alive = self.alive()
        for component in started:
            if component not in alive:
                self._ended_by_itself(component)

    def _ended_by_itself(self, component: str) -> t.NoReturn:
        path = os.path.join(self._work, "logs", f"{component}.log")
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in file if line.strip()]
        said = next((line for line in lines if _FATAL.match(line)), lines[-1] if lines else "nothing")
        raise HubspokeError(
            f"{component} of cluster {self.cluster} ended by itself, and said: {said[:300]}.",
            f"Put that right (cluster_api_server_args, perhaps) and run again; the whole log is {path}.",
        )

    # Ending

    def stop(self) -> None:
        """End its processes, etcd last."""
        end(self._folder.path, lambda program: program != "etcd", _PATIENCE)
        end(self._folder.path, patience=_PATIENCE)

    def delete(self) -> None:
        """End its processes, also a kwokctl that was left alone; its files are its folder's."""
        end(self._folder.path)

    # Addresses

    def kubeconfig(self) -> Config:
        """With the certificates in it, so that it can be copied."""
        pki = os.path.join(self._work, "pki")

        def data(name: str) -> str:
            with open(os.path.join(pki, name), "rb") as file:
                return base64.b64encode(file.read()).decode()

        record = self._folder.read()
        if record is None:
            raise HubspokeError(f"There is no cluster {self.cluster}.")
        server = f"https://127.0.0.1:{record.extra['ports']['kubeApiserverPort']}"
        cluster = {"server": server, "certificate-authority-data": data("ca.crt")}
        user = {"client-certificate-data": data("admin.crt"), "client-key-data": data("admin.key")}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": self.context, "cluster": cluster}],
            "users": [{"name": self.context, "user": user}],
            "contexts": [{"name": self.context, "context": {"cluster": self.context, "user": self.context}}],
            "current-context": self.context,
            "preferences": {},
        }

    def hub_address(self, address: str) -> str:
        """The same: a hub whose pods are simulated runs as processes on this machine."""
        return address
