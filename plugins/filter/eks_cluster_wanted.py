# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter eks_cluster_wanted: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
name: eks_cluster_wanted
short_description: The IAM roles, identities, access entries and peers that an EKS cluster is to have
version_added: "0.1.0"
description:
  - Puts together what the variables of role C(hubspoke.bootstrap.eks_cluster) say of one cluster, and what follows from the
    other hosts of the inventory - a spoke lets the hub's Argo CD in, the hub may use the spokes' roles, and of two peers in
    one run one asks for the connection.
author:
  - hubspoke.bootstrap contributors
positional: _input
options:
  _input:
    description: The variables of the role, without the role's prefix.
    type: dict
    required: true
  hub:
    description: Variables of the hub's host; empty where the inventory has none.
    type: dict
  is_hub:
    description: Whether this cluster is the hub.
    type: bool
    default: false
  is_spoke:
    description: Whether it is one of the spokes.
    type: bool
    default: false
  play_hosts:
    description: Hosts that this run works on.
    type: list
    elements: str
"""

EXAMPLES = r"""
- name: Which roles are made?
  ansible.builtin.debug:
    msg: "{{ settings | hubspoke.bootstrap.eks_cluster_wanted(is_hub=true) }}"
"""

RETURN = r"""
_value:
  description:
    - C(roles) as M(hubspoke.bootstrap.eks_roles_info) takes them, C(pod_identities) and C(access_entries) with the ARNs of their
      roles, C(node_groups) with everything that they leave out, C(security_rules) with networks for the words, C(peers) as
      M(hubspoke.bootstrap.eks_network_info) takes them, C(cluster_arn), C(cluster_role_arn), C(node_role_arn), C(spoke_role_arn),
      which Argo CD uses on this cluster, and C(capability_role_arn), which it has on the hub where AWS runs it.
    - Of service accounts that get their roles by IRSA, C(web_identities) with the ARNs of these, C(no_pod_identities) without,
      C(annotations) those that something else makes and has to annotate, C(addon_roles) the roles of add-ons by their names,
      empty for those that get theirs by Pod Identity, and C(argocd_role_arn), which Argo CD's own name on the hub.
  type: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _eks_roles as roles
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

Object = dict[str, t.Any]

_CAPABILITY = "-argocd-capability"
"""How the name of the role of an Argo CD which AWS runs ends."""
_BY_AWS = "eks_capability"
"""What argocd_provider of the hub then is."""
_NODE_GROUP: Object = {
    "ami_type": "AL2023_ARM_64_STANDARD",
    "capacity_type": "ON_DEMAND",
    "disk_size": 50,
    "min_size": 1,
    "max_size": 3,
    "desired_size": 2,
    "labels": {},
    "taints": [],
    "subnet_ids": [],
    "release_version": "",
    "schedules": [],
}
"""What the role's specification says of a node group that leaves it out."""


def eks_cluster_wanted(
    settings: t.Mapping[str, t.Any],
    *,
    hub: t.Mapping[str, t.Any] | None = None,
    is_hub: bool = False,
    is_spoke: bool = False,
    play_hosts: t.Sequence[str] = (),
) -> Object:
    """Everything that follows from variables alone."""
    scope = roles.Scope(
        cluster=settings["name"],
        region=settings["region"],
        account=str(settings["account"]),
        partition=settings["partition"],
        dns_zones=tuple(settings["dns_zones"]),
        secrets=tuple(settings["secrets"]),
        issuer=str(settings.get("issuer") or ""),
    )
    try:
        result = _wanted(scope, settings, hub or {}, is_hub=is_hub, is_spoke=is_spoke and not is_hub)
    except HubspokeError as error:
        raise AnsibleFilterError(str(error)) from error
    return {
        **result,
        "node_groups": [{**_NODE_GROUP, **each} for each in settings["node_groups"]],
        "security_rules": _security_rules(settings),
        "peers": [_peer(scope.cluster, each, play_hosts) for each in settings["peers"]],
    }


def _wanted(
    scope: roles.Scope,
    settings: t.Mapping[str, t.Any],
    hub: t.Mapping[str, t.Any],
    *,
    is_hub: bool,
    is_spoke: bool,
) -> Object:
    default = settings.get("identity") or roles.POD_IDENTITY
    identities = [{**each, "identity": each.get("identity") or default} for each in settings["pod_identities"]]
    entries = [dict(each) for each in settings["access_entries"]]
    capability = _capability(scope, hub)
    made: list[Object] = []
    if not settings["role_arn"]:
        made.append(roles.cluster_role(scope, f"{scope.cluster}-cluster"))
    if not settings["node_role_arn"]:
        made.append(roles.node_role(scope, f"{scope.cluster}-node", settings["node_policies"]))
    if is_hub and not capability:
        spokes = settings["spoke_roles"] or [scope.arn(f"*{roles.SPOKE_ROLE}")]
        argocd = settings.get("argocd_identity") or default
        identities += roles.hub_identities(
            f"{scope.cluster}{roles.HUB_ROLE}", settings["argocd_namespace"], spokes, argocd
        )
    spoke_role_arn = ""
    if capability:
        if is_hub and not hub.get("argocd_capability_role_arn"):
            policies = hub.get("argocd_capability_policies") or []
            made.append(roles.capability_role(scope, f"{scope.cluster}{_CAPABILITY}", policies))
        if is_spoke:
            entries.append({"principal_arn": capability, "policies": settings["argocd_access"]})
    elif is_spoke and hub.get("cluster_provider") == "eks":
        name = f"{scope.cluster}{roles.SPOKE_ROLE}"
        spoke_role_arn = scope.arn(name)
        hub_role = f"{_name(hub)}{roles.HUB_ROLE}"
        made.append(roles.spoke_role(scope, name, hub_role, str(hub.get("cluster_account") or "")))
        entries.append({"principal_arn": spoke_role_arn, "policies": settings["argocd_access"]})
    return {
        "roles": [*made, *roles.pod_roles(scope, identities)],
        **_identities(scope, identities, settings["argocd_namespace"] if is_hub else ""),
        "access_entries": entries,
        "cluster_role_arn": settings["role_arn"] or scope.arn(f"{scope.cluster}-cluster"),
        "node_role_arn": settings["node_role_arn"] or scope.arn(f"{scope.cluster}-node"),
        "spoke_role_arn": spoke_role_arn,
        "capability_role_arn": capability,
        "cluster_arn": f"arn:{scope.partition}:eks:{scope.region}:{scope.account}:cluster/{scope.cluster}",
    }


def _identities(scope: roles.Scope, identities: t.Sequence[Object], argocd: str) -> Object:
    """The service accounts with their roles, by the way in which they get them.

    :arg argocd: Namespace of Argo CD, empty where this cluster has none.
    """

    def shown(each: Object) -> Object:
        arn = each.get("role_arn") or scope.arn(roles.role_name(scope, each))
        return {"namespace": each["namespace"], "service_account": each["service_account"], "role_arn": arn}

    by_token = [shown(each) for each in identities if roles.is_irsa(each)]
    # One that has a role by the cluster's tokens does not look at its association.
    addons = {
        name: shown(each)["role_arn"] if roles.is_irsa(each) else ""
        for each in identities
        if (name := roles.addon_of(each))
    }
    ours = [
        each for each in by_token if each["namespace"] == argocd and each["service_account"] in roles.ARGOCD_ACCOUNTS
    ]
    return {
        "pod_identities": [shown(each) for each in identities if not roles.is_irsa(each)],
        "web_identities": by_token,
        "no_pod_identities": [{key: each[key] for key in ("namespace", "service_account")} for each in by_token],
        "addon_roles": addons,
        "annotations": [each for each in by_token if each not in ours and not roles.addon_of(each)],
        "argocd_role_arn": ours[0]["role_arn"] if ours else "",
    }


def _name(hub: t.Mapping[str, t.Any]) -> str:
    return str(hub.get("cluster_name") or hub.get("inventory_hostname") or "")


def _capability(scope: roles.Scope, hub: t.Mapping[str, t.Any]) -> str:
    """ARN of the role of the hub's Argo CD, empty where AWS does not run it."""
    if hub.get("cluster_provider") != "eks" or hub.get("argocd_provider") != _BY_AWS:
        return ""
    given = str(hub.get("argocd_capability_role_arn") or "")
    return given or scope.arn(f"{_name(hub)}{_CAPABILITY}", str(hub.get("cluster_account") or ""))


def _security_rules(settings: t.Mapping[str, t.Any]) -> list[Object]:
    """With networks in place of the words for them; and the peers' way to the API."""
    peers = [each["cidr"] for each in settings["peers"]]
    words = {"vpc": [settings["vpc_cidr"]], "peers": peers}
    api = [{"ports": "443", "sources": peers, "description": "API for peers"}] if peers else []
    result = []
    for rule in [*api, *settings["security_rules"]]:
        sources = [network for source in rule.get("sources") or ["vpc"] for network in words.get(source, [source])]
        result.append(
            {**rule, "protocol": rule.get("protocol") or "tcp", "sources": [each for each in sources if each]}
        )
    return result


def _peer(cluster: str, peer: t.Mapping[str, t.Any], play_hosts: t.Sequence[str]) -> Object:
    """With who of the two asks for the connection: this one, unless the other is in the same run and comes first."""
    return {**peer, "requested_here": peer["name"] not in play_hosts or cluster < peer["name"]}


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name and function."""
        return {"eks_cluster_wanted": eks_cluster_wanted}
