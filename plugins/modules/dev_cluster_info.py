#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module dev_cluster_info: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: dev_cluster_info
short_description: Read a development cluster
version_added: "0.1.0"
description:
  - What M(hubspoke.bootstrap.dev_cluster) returns, without changing anything, and what it would need.
  - With a kubeconfig the same of a cluster that something else made.
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options:
  name:
    description: Name of the cluster.
    type: str
    required: true
  provider:
    description: As M(hubspoke.bootstrap.dev_cluster) has it; V(existing) reads the cluster of O(kubeconfig).
    type: str
    choices: [auto, k3d, kind, kwok, existing]
    default: auto
  state_dir:
    description: Folder of all state.
    type: path
    default: ~/.local/state/hubspoke
  kubeconfig:
    description: Kubeconfig of a cluster with O(provider=existing).
    type: path
  context:
    description: Context in O(kubeconfig); its current one by default.
    type: str
  hub_address:
    description: Address of a cluster with O(provider=existing) from the hub, where it is not that of the kubeconfig.
    type: str
  tools:
    description: Paths of programs by their names; the others are looked for on PATH.
    type: dict
    default: {}
extends_documentation_fragment:
  - hubspoke.bootstrap.attributes.info_module
requirements:
  - kubernetes >= 24.2.0
  - PyYAML >= 5.4
seealso:
  - module: hubspoke.bootstrap.dev_cluster
"""

EXAMPLES = r"""
- name: Is it running, and where?
  hubspoke.bootstrap.dev_cluster_info:
    name: dev
  register: dev

- name: A cluster that somebody else looks after
  hubspoke.bootstrap.dev_cluster_info:
    name: shared
    provider: existing
    kubeconfig: ~/.kube/config
    context: shared-admin
"""

RETURN = r"""
cluster:
  description: The cluster, as M(hubspoke.bootstrap.dev_cluster) returns it. With no cluster, the provider that one would be made with.
  returned: success
  type: dict
  sample: {name: dev, provider: kwok, state: running, present: true, version: v1.36.3}
needs:
  description: The programs that the provider works with.
  returned: success
  type: list
  elements: str
  sample: [kind, docker]
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster import DevCluster, Wanted
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_existing import read_existing
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_providers import NEEDS
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_run import Tools
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        "name": {"type": "str", "required": True},
        "provider": {"type": "str", "choices": ["auto", "k3d", "kind", "kwok", "existing"], "default": "auto"},
        "state_dir": {"type": "path", "default": "~/.local/state/hubspoke"},
        "kubeconfig": {"type": "path"},
        "context": {"type": "str"},
        "hub_address": {"type": "str"},
        "tools": {"type": "dict", "default": {}},
    },
    "supports_check_mode": True,
    "required_if": [("provider", "existing", ["kubeconfig"])],
}


def run(task: Task) -> Result:
    """Wire arguments to the engine and its answer to the result."""
    params = task.params
    if params["provider"] == "existing":
        found = read_existing(params["name"], params["kubeconfig"], params["context"], params["hub_address"])
        return {"changed": False, "cluster": found, "needs": []}
    wanted = Wanted(name=params["name"], provider=params["provider"], state_dir=params["state_dir"])
    cluster = DevCluster(wanted, Tools(params["tools"]), task.progress, task.warn).info()
    return {"changed": False, "cluster": cluster, "needs": list(NEEDS[cluster["provider"]])}


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
