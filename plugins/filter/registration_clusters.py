# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter registration_clusters: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
name: registration_clusters
short_description: The clusters of an inventory, as Argo CD is to have them
version_added: "0.1.0"
description:
  - Makes the C(clusters) of M(hubspoke.bootstrap.argocd_clusters) out of the variables and facts of an inventory's hosts.
author:
  - hubspoke.bootstrap contributors
positional: _input
options:
  _input:
    description: Names of the hosts that are spokes.
    type: list
    elements: str
    required: true
  hostvars:
    description: C(hostvars).
    type: dict
    required: true
  hub:
    description: Name of the host that is the hub.
    type: str
    required: true
  hub_is_local:
    description: Whether Argo CD runs as processes on this machine, for which addresses of this machine are right.
    type: bool
    default: false
  with_hub:
    description: Whether the hub itself is one of the clusters.
    type: bool
    default: true
  by_arn:
    description: Whether AWS runs Argo CD, as an EKS capability, which knows clusters by their ARNs, the hub too.
    type: bool
    default: false
  defaults:
    description: Options of clusters with an account of their own, for hosts that do not set C(cluster_registration_<option>).
    type: dict
  check_mode:
    description: Whether clusters may be missing that are only about to be made.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: What is to be registered?
  ansible.builtin.debug:
    msg: "{{ groups['spokes'] | hubspoke.bootstrap.registration_clusters(hostvars=hostvars, hub=inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description:
    - C(clusters), as M(hubspoke.bootstrap.argocd_clusters) takes them; and C(unknown) and C(unknown_names), the hosts of which
      this run does not know how they are reached, and their names as clusters.
  type: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_arguments import unknown_options
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_secret import IN_CLUSTER

Object = dict[str, t.Any]
Variables = t.Mapping[str, t.Any]

PREFIX = "cluster_registration_"
OPTIONS = f"{PREFIX}options"
_ON_THIS_MACHINE = ("kind", "k3d")
"""Providers whose clusters have an address for this machine, and another one for each other."""


def registration_clusters(
    spokes: t.Sequence[str],
    *,
    hostvars: t.Mapping[str, Variables],
    hub: str,
    hub_is_local: bool = False,
    with_hub: bool = True,
    by_arn: bool = False,
    defaults: Object | None = None,
    check_mode: bool = False,
) -> Object:
    """What is to be registered, and what this run does not know enough of."""
    found: Object = {"clusters": [], "unknown": [], "unknown_names": []}
    hosts: dict[str, str] = {}
    if with_hub:
        server = _arn(hub, hostvars[hub]) if by_arn else IN_CLUSTER
        cluster = {**_common(hub, hostvars[hub]), "server": server}
        found["clusters"].append(_completed(hub, hostvars[hub], cluster))
        hosts[found["clusters"][0]["name"]] = hub
    for host in spokes:
        variables = hostvars[host]
        if host == hub:
            continue  # it is its own cluster, whatever other groups it is in
        cluster = _completed(host, variables, _common(host, variables))
        other = hosts.setdefault(cluster["name"], host)
        if other != host:
            raise AnsibleFilterError(
                f"The hosts {other} and {host} are both to be registered as cluster {cluster['name']}. "
                "Give each a cluster_name of its own, in its host variables and not in a group's."
            )
        if "cluster_present" in variables and by_arn:
            found["clusters"].append({"server": _arn(host, variables), **cluster})
        elif "cluster_present" in variables:
            reached = _reached(host, variables, hub, hub_is_local, check_mode)
            given = {option: _own(variables, option, value) for option, value in (defaults or {}).items()}
            found["clusters"].append({**(_by_role(variables, cluster) or given), **reached, **cluster})
        else:
            found["unknown"].append(host)
            found["unknown_names"].append(cluster["name"])
    return found


def _common(host: str, variables: Variables) -> Object:
    """What the inventory says of any cluster."""
    return {
        "name": variables.get("cluster_name") or host,
        "labels": _mapping(host, variables, "cluster_labels"),
        "annotations": _mapping(host, variables, "cluster_annotations"),
    }


def _own(variables: Variables, option: str, value: t.Any) -> t.Any:
    """What a host or its groups say, else the role."""
    own = variables.get(f"{PREFIX}{option}")
    return value if own is None else own


def _by_role(variables: Variables, cluster: Object) -> Object:
    """The credential of an EKS cluster that lets an IAM role of the hub in: nothing is stored, and nothing expires."""
    role = variables.get("cluster_argocd_role_arn")
    # Whoever names another credential has a reason.
    if not role or "credential" in cluster:
        return {}
    return {
        "credential": "aws",
        "aws": {"cluster_name": str(variables.get("cluster_name") or cluster["name"]), "role_arn": role},
    }


def _arn(host: str, variables: Variables) -> str:
    """What an Argo CD that AWS runs knows a cluster by. It needs neither an address nor a credential."""
    arn = str(variables.get("cluster_arn") or "")
    if variables.get("cluster_provider_used") != "eks" or not arn:
        raise AnsibleFilterError(
            f"Argo CD is run by AWS (argocd_provider is eks_capability), which reaches EKS clusters only, and {host} is not known "
            "as one. Set its cluster_provider to eks, take it out of the inventory, or set argocd_provider to self_managed."
        )
    return arn


def _reached(host: str, variables: Variables, hub: str, hub_is_local: bool, check_mode: bool) -> Object:
    """How a spoke is reached: from here, and by the hub."""
    provider = variables.get("cluster_provider_used")
    if provider == "kwok" and not hub_is_local:
        raise AnsibleFilterError(
            f"The spoke {host} has simulated nodes (kwok) and can be reached only from this machine, but Argo CD runs as pods "
            f"in the cluster of {hub}, which cannot. Give both the same cluster_provider, or take {host} out of the group spokes."
        )
    address = variables.get("cluster_address") or ""
    near = hub_is_local and provider in _ON_THIS_MACHINE
    server = address if near else variables.get("cluster_hub_address") or address
    connection = {name: variables.get(f"cluster_{name}") for name in ("kubeconfig", "context")}
    return {
        "spoke": {name: value for name, value in connection.items() if value},
        # A real run does not make it any more: then it has to be there.
        "spoke_present": bool(variables["cluster_present"]) or not check_mode,
        **({"server": server} if server else {}),
    }


def _completed(host: str, variables: Variables, cluster: Object) -> Object:
    """With the host's own options, whose labels and annotations come on top of the others."""
    options = _mapping(host, variables, OPTIONS)
    unknown, remedy = unknown_options(options)
    if unknown:
        raise AnsibleFilterError(f"{OPTIONS} of {host} {unknown}. {remedy}")
    merged = {name: {**cluster[name], **_inner(host, options, name)} for name in ("labels", "annotations")}
    return {**cluster, **options, **merged}


def _inner(host: str, options: Object, name: str) -> Object:
    value = options.get(name)
    if value is not None and not isinstance(value, dict):
        raise AnsibleFilterError(f"{OPTIONS} of {host} has {name} that are no mapping. Give keys and values.")
    return dict((value or {}).items())


def _mapping(host: str, variables: Variables, name: str) -> Object:
    value = variables.get(name)
    if value is not None and not isinstance(value, dict):
        raise AnsibleFilterError(f"{name} of {host} is no mapping. Give keys and values.")
    # Item by item: Ansible evaluates templates when it is asked for a value.
    return dict((value or {}).items())


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name and function."""
        return {"registration_clusters": registration_clusters}
