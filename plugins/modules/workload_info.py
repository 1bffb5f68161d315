#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module workload_info: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: workload_info
short_description: See what the containers of workloads are given
version_added: "0.1.0"
description:
  - For each container of the Deployments, StatefulSets and DaemonSets of a namespace, works out what the kubelet would give it,
    which is arguments, environment variables and mounted ConfigMaps, all references resolved against the live objects.
  - With it a controller runs outside of the cluster just as its pod would.
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options:
  namespace:
    description: Namespace of the workloads.
    type: str
    required: true
  label_selector:
    description: Which workloads. By default all.
    type: str
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - hubspoke.bootstrap.attributes.info_module
requirements:
  - kubernetes >= 24.2.0
notes:
  - The result holds the values of Secrets that containers get as variables. Use C(no_log) on the task.
seealso:
  - module: hubspoke.bootstrap.local_processes
"""

EXAMPLES = r"""
- name: What are Argo CD's containers given?
  hubspoke.bootstrap.workload_info:
    namespace: argocd
    label_selector: app.kubernetes.io/part-of=argocd
  register: argocd_containers
  no_log: true
"""

RETURN = r"""
containers:
  description: Every container that is not an init container.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: Kind of the workload.
      type: str
    workload:
      description: Name of the workload.
      type: str
    replicas:
      description: How many pods it wants.
      type: int
    service_account:
      description: The service account of its pods.
      type: str
    name:
      description: Name of the container.
      type: str
    image:
      description: Its image.
      type: str
    command:
      description: Command, variables replaced unless they are secret.
      type: list
      elements: str
    args:
      description: Arguments, variables replaced unless they are secret.
      type: list
      elements: str
    environment:
      description: Variables and their values.
      type: dict
    secret_environment:
      description: Variables whose values come from Secrets.
      type: dict
    mounts:
      description: Folders that a ConfigMap fills, with C(path), C(config_map) and C(files) (contents by name).
      type: list
      elements: dict
    missing:
      description: ConfigMaps and Secrets without which it cannot start, with C(kind), C(name) and C(key).
      type: list
      elements: dict
  sample:
    - kind: Deployment
      workload: argocd-repo-server
      replicas: 1
      name: argocd-repo-server
      image: quay.io/argoproj/argocd:v3.5.7
      command: []
      args: [/usr/local/bin/argocd-repo-server]
      environment: {ARGOCD_REPO_SERVER_LOGLEVEL: debug}
      secret_environment: {}
      mounts: []
      missing: [{kind: Secret, name: argocd-redis, key: auth}]
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _workload
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import CONNECTION_SPEC, Kube
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        "namespace": {"type": "str", "required": True},
        "label_selector": {"type": "str"},
        **CONNECTION_SPEC,
    },
    "supports_check_mode": True,
}


def run(task: Task) -> Result:
    """Wire arguments to the engine."""
    kube = Kube.from_params(task.params)
    containers = _workload.read(kube, task.params["namespace"], task.params["label_selector"])
    return {"changed": False, "containers": containers}


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
