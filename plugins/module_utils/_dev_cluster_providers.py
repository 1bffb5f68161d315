# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What all providers have in common, and the list of them."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_docker import Observation
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_k3d import K3d
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_kind import Kind
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_kwok import Kwok
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_kwok_config import TOOLS
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_spec import (
    K3D,
    KIND,
    KWOK,
    Port,
    Spec,
    Traits,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_state import Config, Record
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube


class Provider(t.Protocol):
    """What makes a cluster."""

    name: t.ClassVar[str]
    traits: t.ClassVar[Traits]
    simulated: t.ClassVar[bool]
    context: str

    def observe(self, record: Record | None) -> Observation: ...
    def recount(self, kube: Kube) -> Observation | None: ...
    def check(self, spec: Spec, held: Iterable[Port]) -> None: ...
    def version(self, spec: Spec) -> str: ...
    def prepare(self, spec: Spec) -> None: ...
    def reserve(self, record: Record) -> None: ...
    def create(self, record: Record) -> None: ...
    def start(self, record: Record) -> None: ...
    def settle(self, kube: Kube, record: Record) -> None: ...
    def stop(self) -> None: ...
    def delete(self) -> None: ...
    def kubeconfig(self) -> Config: ...
    def hub_address(self, address: str) -> str: ...


PROVIDERS: dict[str, t.Callable[..., Provider]] = {K3D: K3d, KIND: Kind, KWOK: Kwok}
NEEDS: dict[str, tuple[str, ...]] = {
    K3D: ("k3d", "docker"),
    KIND: ("kind", "docker"),
    KWOK: TOOLS,
}
"""The programs that each provider is made with."""
