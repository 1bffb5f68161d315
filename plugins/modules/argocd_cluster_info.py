#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module argocd_cluster_info: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: argocd_cluster_info
short_description: Read which clusters are registered in Argo CD
version_added: "0.1.0"
description:
  - Reads cluster Secrets through the Kubernetes API of the hub, whoever wrote them, with the kind and the end of their credential,
    the Applications that target them, and what Argo CD itself says about its connection to them.
  - Never returns a credential. Argo CD's own API is not needed.
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options:
  namespace:
    description: Namespace of Argo CD.
    type: str
    default: argocd
  names:
    description:
      - Clusters by name.
      - Where neither this nor O(servers) is given, all of the namespace are meant.
    type: list
    elements: str
    default: []
  servers:
    description: Clusters by the address of their API server; with or without its port, if that is 443, and a slash at its end.
    type: list
    elements: str
    default: []
  label_selector:
    description: Of these clusters, those whose Secret has such labels, as in C(kubectl --selector).
    type: str
  connection:
    description: Also read what Argo CD says about its connections, from the metrics of its application controller.
    type: bool
    default: true
  metrics_url:
    description:
      - Where the metrics of the application controller can be reached from here.
      - By default they are read through the proxies of the hub's API server, for which the account needs the right to C(get)
        C(services/proxy) or C(pods/proxy).
    type: str
  applications:
    description: Also read which Applications and ApplicationSets target the clusters.
    type: bool
    default: true
  cluster_present:
    description: Set to V(false) in check mode while the hub is yet to be made. Nothing is asked of it, and nothing is found.
    type: bool
    default: true
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - hubspoke.bootstrap.attributes.info_module
requirements:
  - kubernetes >= 24.2.0
  - cryptography, for the end of client certificates
seealso:
  - module: hubspoke.bootstrap.argocd_application_info
"""

EXAMPLES = r"""
- name: Every registered cluster
  hubspoke.bootstrap.argocd_cluster_info:
  register: registered

- name: Say which credentials end within a week
  ansible.builtin.debug:
    msg: "{{ item.name }}: {{ item.credential.kind }} until {{ item.credential.expires }}"
  loop: "{{ registered.clusters | selectattr('credential.expires') | selectattr('credential.seconds_left', 'lt', 604800) }}"
  loop_control:
    label: "{{ item.name }}"

- name: One cluster, and nothing but its Secret
  hubspoke.bootstrap.argocd_cluster_info:
    servers: ["https://tokyo.example.com:6443"]
    connection: false
    applications: false
"""

RETURN = r"""
clusters:
  description: The clusters, by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the cluster.
      type: str
      sample: tokyo
    server:
      description: Address of its API server, or its ARN.
      type: str
      sample: https://tokyo.example.com:6443
    secret:
      description: Name of its Secret, null where it has none.
      type: str
      sample: cluster-tokyo.example.com-3735928559
    implicit:
      description: Whether it is the hub itself, which Argo CD knows without a Secret.
      type: bool
    in_cluster:
      description: Whether it is the hub itself, C(https://kubernetes.default.svc).
      type: bool
    project:
      description: The AppProject that it belongs to, empty where it is for all.
      type: str
    namespaces:
      description: Namespaces that Argo CD manages, empty for all.
      type: list
      elements: str
    cluster_resources:
      description: Whether Argo CD manages resources without namespace, too, where RV(clusters[].namespaces) is not empty.
      type: bool
    shard:
      description: Number of the application controller that takes care of it, null where Argo CD chooses.
      type: int
    labels:
      description: Labels of its Secret without that of its type.
      type: dict
    annotations:
      description: Annotations of its Secret without those of the system.
      type: dict
    owner:
      description: Which inventory registered it, empty where this collection did not.
      type: str
    credential:
      description: How Argo CD authenticates.
      type: dict
      contains:
        kind:
          description:
            - V(token) (a service account's, with an end), V(token_secret) (a service account's, without one), V(bearer_token) (any
              other), V(basic), V(client_certificate), V(aws), V(exec) or V(none).
          type: str
        account:
          description: Namespace and name of the service account on the cluster, empty where it is not known.
          type: str
          sample: kube-system/argocd-manager
        expires:
          description: When it ends, null where it does not or where that is not known.
          type: str
          sample: "2026-12-21T09:00:00Z"
        seconds_left:
          description: Seconds until then, negative after it.
          type: int
        expired:
          description: Whether it has ended.
          type: bool
    tls:
      description: How Argo CD checks the cluster's certificate.
      type: dict
      contains:
        insecure:
          description: Whether it does not.
          type: bool
        server_name:
          description: The name that the certificate has to have, empty for that of the address.
          type: str
        has_ca:
          description: Whether a CA is given for it.
          type: bool
    proxy_url:
      description: The proxy before it, without user name and password.
      type: str
    connection:
      description: What Argo CD says about its connection, null where that cannot be read or O(connection=false).
      type: dict
      contains:
        status:
          description:
            - V(Successful), V(Failed) or V(Unknown). Argo CD connects only to clusters that Applications target, so that it knows
              of no other.
          type: str
        kubernetes:
          description: Version of the cluster, empty where Argo CD has not seen it.
          type: str
    applications:
      description:
        - The Applications that target it, with their namespace where it is not Argo CD's.
        - Null where they cannot be read or O(applications=false).
      type: list
      elements: str
    application_sets:
      description:
        - The ApplicationSets that have generated such Applications, or that name the cluster literally.
        - Null where they cannot be read or O(applications=false).
      type: list
      elements: str
    problem:
      description: What is wrong with its Secret, as half a sentence; empty where nothing is.
      type: str
      sample: its config is not a JSON object
duplicates:
  description:
    - Servers and names that more than one Secret of the namespace has. Argo CD expects each only once.
    - A slash at the end and the port 443 make no difference.
  returned: success
  type: list
  elements: dict
  contains:
    field:
      description: V(server) or V(name).
      type: str
    value:
      description: The server or name.
      type: str
    secrets:
      description: The Secrets that have it.
      type: list
      elements: str
"""

import typing as t
from datetime import UTC, datetime

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _registration_connection as connection
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _registration_info as info
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _registration_targets as targets
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import ApiError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import CONNECTION_SPEC, Kube
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        "namespace": {"type": "str", "default": "argocd"},
        "names": {"type": "list", "elements": "str", "default": []},
        "servers": {"type": "list", "elements": "str", "default": []},
        "label_selector": {"type": "str"},
        "connection": {"type": "bool", "default": True},
        "metrics_url": {"type": "str"},
        "applications": {"type": "bool", "default": True},
        "cluster_present": {"type": "bool", "default": True},
        **CONNECTION_SPEC,
    },
    "supports_check_mode": True,
}


def run(task: Task) -> Result:
    """Wire arguments to the engine."""
    params = task.params
    if task.check_mode and not params["cluster_present"]:
        return {"changed": False, "clusters": [], "duplicates": []}
    kube, namespace = Kube.from_params(params), params["namespace"]
    known = info.secrets(kube, namespace)
    selector = params["label_selector"]
    selection = info.Selection(
        tuple(params["names"]),
        tuple(params["servers"]),
        info.labelled(kube, namespace, selector) if selector else None,
    )
    shown = [one for one in known if selection.holds(one.name, one.server, one.secret)]
    implicit = info.implicit()
    if selection.holds(implicit.name, implicit.server, None) and info.has_implicit(kube, namespace, known):
        shown.insert(0, implicit)
    connections = connection.read(kube, namespace, params["metrics_url"]) if params["connection"] and shown else None
    on_them = _targets(task, kube) if params["applications"] and shown else None
    now = datetime.now(UTC)
    return {
        "changed": False,
        "clusters": [info.describe(one, now, connections, on_them) for one in shown],
        "duplicates": info.duplicates(known),
    }


def _targets(task: Task, kube: Kube) -> targets.Targets | None:
    try:
        return targets.read(kube, task.params["namespace"])
    except ApiError as error:
        if error.status != 403:
            raise
        task.warn(f"Which Applications target the clusters is not known. {error}")
        return None


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
