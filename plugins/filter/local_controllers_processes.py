# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter local_controllers_processes: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
name: local_controllers_processes
short_description: The processes that stand for Argo CD's pods
version_added: "0.1.0"
description:
  - Makes of the containers of Argo CD's workloads what M(hubspoke.bootstrap.local_processes) takes. Each process gets the
    arguments, environment and configuration of its container, and its own addresses on the loopback interface.
author:
  - hubspoke.bootstrap contributors
positional: _input
options:
  _input:
    description: RV(hubspoke.bootstrap.workload_info#module:containers), or null where that is not known yet.
    type: list
    elements: dict
    required: true
  tools:
    description: Paths of C(redis-server) and of the programs of Argo CD by name.
    type: dict
    required: true
  directory:
    description: Folder of the set of processes.
    type: path
    required: true
  kubeconfig:
    description: Path of the cluster's kubeconfig.
    type: path
    required: true
  context:
    description: Context in it, by default the current one.
    type: str
    default: ""
  namespace:
    description: Namespace of Argo CD.
    type: str
    default: argocd
  port_base:
    description: The first of the ports.
    type: int
    required: true
  environment:
    description: Further environment variables.
    type: dict
    default: {}
  notifications:
    description: Whether the notifications controller runs too.
    type: bool
    default: false
  pod_identity:
    description: Address under which each process gets the AWS credentials of its service account, by appending its name.
    type: str
    default: ""
  web_identity:
    description:
      - ARN of the role that the processes that talk to clusters get by tokens of their service accounts, as IRSA gives it to pods,
        and not by O(pod_identity), which then only tells where AWS is.
    type: str
    default: ""
  region:
    description: Region that signs the requests of the processes to AWS.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Argo CD on this machine
  hubspoke.bootstrap.local_processes:
    name: hub
    directory: ~/.local/state/hub
    processes: >-
      {{ argocd.containers | hubspoke.bootstrap.local_controllers_processes(tools=toolchain.tools, port_base=24100,
                                                                            directory='~/.local/state/hub',
                                                                            kubeconfig='~/.kube/config') }}
"""

RETURN = r"""
_value:
  description: The processes.
  type: list
  elements: dict
"""

import pathlib
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_controllers as engine
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_controllers_kubeconfig import for_processes


def local_controllers_processes(
    containers: list[dict[str, t.Any]] | None,
    *,
    tools: t.Mapping[str, str],
    directory: str,
    kubeconfig: str,
    port_base: int,
    context: str = "",
    namespace: str = "argocd",
    environment: t.Mapping[str, t.Any] | None = None,
    notifications: bool = False,
    pod_identity: str = "",
    web_identity: str = "",
    region: str = "",
) -> list[dict[str, t.Any]]:
    """The processes, as local_processes takes them."""
    setting = engine.Setting(
        tools=tools,
        directory=str(pathlib.Path(directory).expanduser().absolute()),
        kubeconfig=for_processes(containers, kubeconfig, context, namespace),
        port_base=int(port_base),
        environment=environment or {},
        notifications=notifications,
        pod_identity=pod_identity,
        region=region,
        web_identity=web_identity,
        namespace=namespace,
    )
    return engine.processes(containers, setting)


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name and function."""
        return {"local_controllers_processes": local_controllers_processes}
