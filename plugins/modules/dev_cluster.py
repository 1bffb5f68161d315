#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module dev_cluster: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: dev_cluster
short_description: Make, start, stop and delete a development cluster
version_added: "0.1.0"
description:
  - One cluster on this machine, by k3d, kind or kwok.
  - A cluster that is stopped is started. One that an interrupted run left half-made is finished or replaced.
  - A cluster that differs from what is wanted is left as it is, with its differences in RV(difference) and in a warning, unless
    O(recreate) allows to delete it and make it anew. What can be changed while it runs is changed without that - the nodes
    (O(agents)) of kwok, and O(registry_mirrors) of kind.
  - The kubeconfig is in the state folder, for its owner only. C(~/.kube/config) is left alone.
  - With kwok the API server, its admission, the controllers and the scheduler are real, and listen on loopback only. Nodes and
    containers are simulated - pods run and Jobs complete by themselves, claims of any StorageClass are bound, Services of type
    LoadBalancer and Ingresses get an address, and HorizontalPodAutoscalers have metrics. Admission webhooks are not called, as
    nothing could answer; set C(disable-admission-plugins) in O(api_server_args) to an empty text to have them called.
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options:
  name:
    description: Name of the cluster, at most 32 lower case letters, digits and hyphens.
    type: str
    required: true
  state:
    description:
      - V(present) has it running.
      - V(stopped) ends it without losing its data; a cluster that is not there stays so.
      - V(absent) deletes it with all its files. A cluster of that name which something else made is left alone.
    type: str
    choices: [present, stopped, absent]
    default: present
  provider:
    description:
      - What makes the cluster.
      - V(auto) keeps the provider of a cluster that is there; else it is k3d, then kind, if it is on PATH and a Docker engine
        answers, else kwok. RV(cluster.reason) says why.
    type: str
    choices: [auto, k3d, kind, kwok]
    default: auto
  version:
    description:
      - Kubernetes version, V(v1.36.3) for example.
      - The default is what the provider brings - kind's or k3d's own default, or the version of kwok's kube-apiserver.
    type: str
    default: ""
  servers:
    description: Control plane nodes. kwok always has one.
    type: int
    default: 1
  agents:
    description: Other nodes; on kwok the simulated nodes, at least one.
    type: int
    default: 0
  image:
    description: Node image for kind and k3d, instead of the one that follows from O(version).
    type: str
    default: ""
  ports:
    description:
      - Ports of this machine that lead into the cluster - with kind into its first control plane node, with k3d into its load
        balancer. They have no effect with kwok, which a warning says.
    type: list
    elements: dict
    default: []
    suboptions:
      host_port:
        description: Port of this machine.
        type: int
        required: true
      container_port:
        description: Port of the node or the load balancer.
        type: int
        required: true
      address:
        description: Address of this machine to listen on.
        type: str
        default: 127.0.0.1
      protocol:
        description: Transport protocol.
        type: str
        choices: [tcp, udp]
        default: tcp
  registry_mirrors:
    description:
      - For the name of an image registry, a list of addresses to ask before it. They have no effect with kwok, which a warning
        says. kind needs a node image of kind 0.27 or later.
    type: dict
    default: {}
  api_server_args:
    description:
      - Extra arguments of the API server, without their hyphens.
      - With kwok an empty value takes away an argument that this module would give.
    type: dict
    default: {}
  state_dir:
    description: Folder of all state; this cluster's is C(clusters/) and its name below it.
    type: path
    default: ~/.local/state/hubspoke
  kubeconfig_export:
    description:
      - Path of a further copy of the kubeconfig, mode 0600, which goes with the cluster.
      - What is at that path already is only replaced if it is a kubeconfig of this cluster and nothing else.
    type: path
  recreate:
    description: Delete and make anew a cluster that differs from what is wanted.
    type: bool
    default: false
  tools:
    description: Paths of programs by their names; the others are looked for on PATH.
    type: dict
    default: {}
  wait_timeout:
    description: Seconds to wait until the API and the nodes are ready.
    type: int
    default: 300
extends_documentation_fragment:
  - hubspoke.bootstrap.attributes
requirements:
  - kubernetes >= 24.2.0
  - PyYAML >= 5.4
  - docker, and kind or k3d; or kwokctl, kwok, etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubectl and (for metrics)
    metrics-server
notes:
  - E(DOCKER_HOST) is respected.
seealso:
  - module: hubspoke.bootstrap.dev_cluster_info
"""

EXAMPLES = r"""
- name: A cluster by whatever this machine has
  hubspoke.bootstrap.dev_cluster:
    name: dev
    agents: 2
  register: dev

- name: A kind cluster of a certain version, with an ingress port and a mirror
  hubspoke.bootstrap.dev_cluster:
    name: dev
    provider: kind
    version: v1.36.3
    ports:
      - {host_port: 8080, container_port: 80}
    registry_mirrors:
      docker.io: ["http://172.17.0.1:5000"]
    kubeconfig_export: environments/dev/kubeconfig/config

- name: A control plane with three simulated nodes
  hubspoke.bootstrap.dev_cluster:
    name: rehearsal
    provider: kwok
    agents: 3

- name: Nothing of it left
  hubspoke.bootstrap.dev_cluster:
    name: dev
    state: absent
"""

RETURN = r"""
cluster:
  description: The cluster as it is now.
  returned: success
  type: dict
  contains:
    name:
      description: Its name.
      type: str
    provider:
      description: What it is made with.
      type: str
    reason:
      description: Why that provider.
      type: str
    state:
      description:
        - V(absent), V(half-made), V(stopped), V(unreachable) (it runs, and its API does not answer), V(running), or V(foreign)
          (something else made it).
      type: str
    problem:
      description: Why its state is not known better, empty where it is.
      type: str
    present:
      description:
        - Whether its API can be used now. In check mode also V(false) where the run would make it anew.
      type: bool
    running:
      description: Whether it runs and its API answers.
      type: bool
    version:
      description: Kubernetes version, empty where there is none yet.
      type: str
    servers:
      description: How many control plane nodes it has.
      type: int
    agents:
      description: How many other nodes it has.
      type: int
    kubeconfig:
      description: Path of its kubeconfig.
      type: str
    context:
      description: Its context there.
      type: str
    address:
      description: Address of its API server from here.
      type: str
    hub_address:
      description:
        - Address of its API server from the pods of a cluster of the same provider, the hub. With kwok the same as RV(cluster.address),
          as such a hub runs as processes on this machine.
      type: str
    simulated:
      description: Whether its nodes and containers are simulated.
      type: bool
  sample:
    name: dev
    provider: kwok
    reason: neither k3d nor kind is on PATH
    state: running
    problem: ""
    present: true
    running: true
    version: v1.36.3
    servers: 1
    agents: 2
    kubeconfig: /home/me/.local/state/hubspoke/clusters/dev/kubeconfig
    context: kwok-dev
    address: https://127.0.0.1:18470
    hub_address: https://127.0.0.1:18470
    simulated: true
difference:
  description: In what the cluster differs from what is wanted, since it was not to be made anew.
  returned: success
  type: list
  elements: str
  sample: ["version: v1.35.0, not v1.36.3"]
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster import DevCluster, Outcome, Wanted
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_run import Tools
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_state import dump
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "stopped", "absent"], "default": "present"},
        "provider": {"type": "str", "choices": ["auto", "k3d", "kind", "kwok"], "default": "auto"},
        "version": {"type": "str", "default": ""},
        "servers": {"type": "int", "default": 1},
        "agents": {"type": "int", "default": 0},
        "image": {"type": "str", "default": ""},
        "ports": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "host_port": {"type": "int", "required": True},
                "container_port": {"type": "int", "required": True},
                "address": {"type": "str", "default": "127.0.0.1"},
                "protocol": {"type": "str", "choices": ["tcp", "udp"], "default": "tcp"},
            },
        },
        "registry_mirrors": {"type": "dict", "default": {}},
        "api_server_args": {"type": "dict", "default": {}},
        "state_dir": {"type": "path", "default": "~/.local/state/hubspoke"},
        "kubeconfig_export": {"type": "path"},
        "recreate": {"type": "bool", "default": False},
        "tools": {"type": "dict", "default": {}},
        "wait_timeout": {"type": "int", "default": 300},
    },
    "supports_check_mode": True,
}

_SPEC_OPTIONS = ("version", "servers", "agents", "image", "ports", "registry_mirrors", "api_server_args")


def run(task: Task) -> Result:
    """Wire arguments to the engine and its outcome to the result."""
    params = task.params
    wanted = Wanted(
        name=params["name"],
        provider=params["provider"],
        spec={option: params[option] for option in _SPEC_OPTIONS},
        state_dir=params["state_dir"],
        export=params["kubeconfig_export"] or "",
        recreate=params["recreate"],
        timeout=params["wait_timeout"],
    )
    cluster = DevCluster(
        wanted, Tools(params["tools"], assume=task.check_mode), task.progress, task.warn, task.check_mode
    )
    verbs: dict[str, t.Callable[[], Outcome]] = {
        "present": cluster.present,
        "stopped": cluster.stopped,
        "absent": cluster.absent,
    }
    outcome = verbs[params["state"]]()
    result: Result = {
        "changed": outcome.changed,
        "cluster": outcome.cluster,
        "difference": list(outcome.difference),
    }
    if task.diff:
        header = f"cluster {params['name']}"
        result["diff"] = {
            "before_header": header,
            "after_header": header,
            "before": dump(outcome.before),
            "after": dump(outcome.after if outcome.changed else outcome.before),
        }
    return result


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
