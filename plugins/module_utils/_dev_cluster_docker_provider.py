# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the providers k3d and kind do alike."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Iterable

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_docker import (
    ContainerCluster,
    Docker,
    Labels,
    Observation,
    check_ports,
    config_file,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_run import Tools, end, run
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_spec import Port, Spec, Traits
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_state import Folder, Record, write_private
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube


class DockerProvider:
    """What k3d and kind do alike: all there is of a cluster is containers with labels.

    :arg folder: Its folder.
    :arg say: Told what is being done.
    :arg timeout: Seconds for it to become ready.
    """

    name: t.ClassVar[str]
    traits: t.ClassVar[Traits] = Traits()
    simulated: t.ClassVar[bool] = False
    labels: t.ClassVar[Labels]

    def __init__(self, name: str, folder: Folder, tools: Tools, say: Callable[[str], None], timeout: int) -> None:
        self.cluster = name
        self.context = f"{self.name}-{name}"
        self._folder, self._tools, self._say, self._timeout = folder, tools, say, timeout
        self.docker = Docker(tools)
        self.nodes = ContainerCluster(self.docker, name, self.labels)

    def node_image(self, spec: Spec) -> str:
        """The image to name; empty where the maker's own default is wanted."""
        raise NotImplementedError

    def observe(self, record: Record | None) -> Observation:
        """What there is of it.

        :raises HubspokeError: it was made with an engine that does not answer now.
        """
        if record or not self.docker.version()[1]:
            self.docker.require(self.name)
            self.nodes.read()
        return self.nodes.observation(record.spec if record else None)

    def recount(self, kube: Kube) -> Observation | None:
        """Its containers are all there is to count."""

    def reserve(self, record: Record) -> None:
        """Write the record: from here on there may be something of it."""
        self._folder.write(record)

    def check(self, spec: Spec, held: Iterable[Port]) -> None:
        """:raises HubspokeError: it cannot be made on this machine."""
        self._tools.require([self.name], self.name)
        self.docker.require(self.name)
        check_ports(self.docker, spec.ports, held)

    def prepare(self, spec: Spec) -> None:
        """Whatever may fail before anything of the cluster is there."""
        if self.node_image(spec):
            self.docker.ensure_image(self.node_image(spec), spec, self._say)

    def version(self, spec: Spec) -> str:
        """Version of a cluster that would be made now, empty where only its maker knows it."""
        return spec.version

    def stop(self) -> None:
        """Stop its containers."""
        self.nodes.read()
        self.nodes.stop()

    def delete(self) -> None:
        """Delete it, or what there is of it, also if a maker that was left alone is still making it."""
        end(self._folder.path)
        self.nodes.read()
        if self.nodes.containers and self._tools.find(self.name):
            self._maker(*self._deletion())
        self.nodes.remove()

    def _deletion(self) -> tuple[str, ...]:
        raise NotImplementedError

    def _configure(self, config: dict[str, t.Any]) -> str:
        """Write its configuration; the path."""
        path = self._folder.file(f"{self.name}.yaml")
        write_private(path, config_file(config))
        return path

    def _maker(self, *arguments: str) -> str:
        """Run k3d or kind; its output."""
        maker = self._tools.require([self.name], self.name)[self.name]
        return run([maker, *arguments], timeout=self._timeout + 1800, say=_told(self.name, self._say))


def _told(prefix: str, say: Callable[[str], None]) -> Callable[[str], None]:
    """What a maker says while it works, as progress: the beginning of each step, without its ornaments."""

    def tell(line: str) -> None:
        text = "".join(letter for letter in line if ord(letter) < 0x2000).strip(" .\r")
        if line.lstrip().startswith(("•", "INFO")) and text:
            say(f"{prefix}: {text}")

    return tell
