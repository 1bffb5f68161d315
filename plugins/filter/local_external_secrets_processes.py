# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter local_external_secrets_processes: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
name: local_external_secrets_processes
short_description: The process that stands for the controller of External Secrets
version_added: "0.1.0"
description:
  - Makes of the containers of External Secrets what M(hubspoke.bootstrap.local_processes) takes. The process gets the arguments
    and the environment of the controller's container, and the AWS credentials that its pod would get.
author:
  - hubspoke.bootstrap contributors
positional: _input
options:
  _input:
    description: RV(hubspoke.bootstrap.workload_info#module:containers), or null where that is not known yet.
    type: list
    elements: dict
    required: true
  program:
    description: Path of C(external-secrets).
    type: path
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
    description: Namespace of the controller.
    type: str
    default: external-secrets
  port:
    description: The first of two ports.
    type: int
    required: true
  environment:
    description: Further environment variables.
    type: dict
    default: {}
  endpoint:
    description: Address of what stands for AWS.
    type: str
    default: ""
  pod_identity:
    description: Address under which the process gets the AWS credentials of its service account, by appending its name.
    type: str
    default: ""
  web_identity:
    description:
      - ARN of the role that it gets by tokens of its service account instead, as IRSA gives it to pods. A process of its own keeps
        the tokens. With it O(pod_identity) only tells where AWS is.
    type: str
    default: ""
  region:
    description: Region of its requests to AWS where a store names none.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: External Secrets on this machine
  hubspoke.bootstrap.local_processes:
    name: external-secrets
    directory: ~/.local/state/external-secrets
    processes: >-
      {{ found.containers
         | hubspoke.bootstrap.local_external_secrets_processes(program='/opt/external-secrets', port=24150,
                                                               directory='~/.local/state/external-secrets',
                                                               kubeconfig='~/.kube/config') }}
"""

RETURN = r"""
_value:
  description: The process, after the one that keeps its tokens where it needs them; none where there is no controller.
  type: list
  elements: dict
"""

import pathlib
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_external_secrets as engine
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_controllers_kubeconfig import for_processes


def local_external_secrets_processes(
    containers: list[dict[str, t.Any]] | None,
    *,
    program: str,
    directory: str,
    kubeconfig: str,
    port: int,
    context: str = "",
    namespace: str = engine.NAME,
    environment: t.Mapping[str, t.Any] | None = None,
    endpoint: str = "",
    pod_identity: str = "",
    web_identity: str = "",
    region: str = "",
) -> list[dict[str, t.Any]]:
    """The process, as local_processes takes it."""
    setting = engine.Setting(
        program=program,
        directory=str(pathlib.Path(directory).expanduser().absolute()),
        kubeconfig=for_processes(containers, kubeconfig, context, namespace),
        port=int(port),
        environment=environment or {},
        endpoint=endpoint,
        pod_identity=pod_identity,
        web_identity=web_identity,
        namespace=namespace,
        region=region,
    )
    return engine.processes(containers, setting)


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name and function."""
        return {"local_external_secrets_processes": local_external_secrets_processes}
