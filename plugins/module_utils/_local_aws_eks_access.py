# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""EKS in the look-alike: access entries and access policies."""

from __future__ import annotations

import typing as t
import uuid

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_moto as moto
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_eks_catalogue import POLICIES
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_errors import (
    in_use,
    invalid,
    not_found,
    refused,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_world import (
    Call,
    Cluster,
    Operations,
    Shape,
    now,
)

OPERATIONS = Operations()

# Entries of machines: their users and groups are EKS's own.
_NODES = {
    "EC2_LINUX": ["system:nodes"],
    "EC2_WINDOWS": ["system:nodes", "eks:kube-proxy-windows"],
    "FARGATE_LINUX": ["system:nodes"],
    "EC2": ["system:nodes"],
    "HYBRID_LINUX": ["system:nodes"],
    "HYPERPOD_LINUX": ["system:nodes"],
}


def default_username(principal: str) -> str:
    """The user that a principal is, where its entry names none."""
    kind, _, name = principal.split(":", 5)[5].partition("/")
    if kind != "role":
        return principal
    account = principal.split(":")[4]
    return f"arn:aws:sts::{account}:assumed-role/{name.rsplit('/', 1)[-1]}/{{{{SessionName}}}}"


def admit_creator(cluster: Cluster, principal: str) -> None:
    """The entry that the creator of a cluster is given."""
    add_entry(cluster, principal, "STANDARD", {})
    associate(cluster, principal, POLICIES["AmazonEKSClusterAdminPolicy"], {"type": "cluster", "namespaces": []})


def add_entry(cluster: Cluster, principal: str, kind: str, params: Shape) -> Shape:
    """Add an access entry."""
    role = principal.split(":", 5)[5]
    username = params.get("username") or default_username(principal)
    entry = {
        "clusterName": cluster.name,
        "principalArn": principal,
        "kubernetesGroups": params.get("kubernetesGroups", []),
        "accessEntryArn": cluster.arn("access-entry", *_arn_parts(principal, role), str(uuid.uuid4())),
        "createdAt": now(),
        "modifiedAt": now(),
        "tags": params.get("tags", {}),
        "username": username if kind not in _NODES else "system:node:{{EC2PrivateDNSName}}",
        "type": kind,
    }
    if kind in _NODES:
        entry["kubernetesGroups"] = _NODES[kind]
    cluster.entries[principal], cluster.policies[principal] = entry, {}
    return entry


def _arn_parts(principal: str, role: str) -> list[str]:
    return [role.partition("/")[0], principal.split(":")[4], role.rsplit("/", 1)[-1]]


def associate(cluster: Cluster, principal: str, arn: str, scope: Shape) -> Shape:
    """Give a principal that has an entry the rights of an access policy."""
    before = cluster.policies[principal].get(arn, {})
    associated = {"policyArn": arn, "accessScope": scope, "associatedAt": before.get("associatedAt", now())}
    cluster.policies[principal][arn] = associated | {"modifiedAt": now()}
    return cluster.policies[principal][arn]


def _check_mode(cluster: Cluster) -> None:
    if cluster.shape["accessConfig"]["authenticationMode"] == "CONFIG_MAP":
        raise refused(
            "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this "
            "operation.",
            clusterName=cluster.name,
        )


def _entry(call: Call) -> tuple[Cluster, Shape]:
    cluster, principal = call.cluster(), call.params["principalArn"]
    _check_mode(cluster)
    if principal not in cluster.entries:
        raise not_found(
            "The specified principalArn could not be found. You can view your available access entries with "
            "'list-access-entries'.",
            clusterName=cluster.name,
        )
    return cluster, cluster.entries[principal]


def _check_texts(params: Shape, **fields: t.Any) -> None:
    groups = params.get("kubernetesGroups", [])
    ours = ("system:", "eks:", "aws:", "amazon:", "iam:")
    for group in groups:
        if group.startswith(ours):
            raise invalid(f"The kubernetes group name {group} is invalid, it cannot start with {ours}", **fields)
    name = params.get("username", "")
    if name.startswith(ours):
        raise invalid(f"The username {name} is invalid, it cannot start with {ours}", **fields)
    if ":assumed-role/" in name and "{{SessionName}}" not in name and "{{SessionNameRaw}}" not in name:
        raise invalid("The username of an assumed role must contain {{SessionName}}", **fields)


@OPERATIONS
def create_access_entry(call: Call) -> Shape:
    """Let a principal in."""
    cluster, params = call.cluster(), call.params
    _check_mode(cluster)
    fields, principal = {"clusterName": cluster.name}, params["principalArn"]
    # Who calls is there, also without an IAM user behind the key.
    if not (principal == call.caller.principal or moto.principal_exists(principal)):
        raise invalid("The specified principalArn is invalid: invalid principal.", **fields)
    if principal in cluster.entries:
        raise in_use("The specified access entry resource is already in use on this cluster.", **fields)
    kind = params.get("type", "STANDARD")
    if kind not in ("STANDARD", *_NODES):
        raise invalid(f"The specified type {kind} is not supported", **fields)
    if kind != "STANDARD" and (params.get("kubernetesGroups") or params.get("username")):
        raise invalid("Groups and username can only be specified for access entries of type STANDARD.", **fields)
    _check_texts(params, **fields)
    entry = add_entry(cluster, principal, kind, params)
    call.world.sync(cluster)
    return {"accessEntry": entry}


@OPERATIONS
def describe_access_entry(call: Call) -> Shape:
    """An access entry."""
    return {"accessEntry": _entry(call)[1]}


@OPERATIONS
def list_access_entries(call: Call) -> Shape:
    """The principals that are let in."""
    cluster, policy = call.cluster(), call.params.get("associatedPolicyArn")
    _check_mode(cluster)
    return call.page(
        "accessEntries", [name for name in cluster.entries if not policy or policy in cluster.policies[name]]
    )


@OPERATIONS
def update_access_entry(call: Call) -> Shape:
    """Give a principal other groups, or another user."""
    cluster, entry = _entry(call)
    if entry["type"] != "STANDARD":
        text = "Groups and username can only be specified for access entries of type STANDARD."
        raise invalid(text, clusterName=cluster.name)
    _check_texts(call.params, clusterName=cluster.name)
    changed = {key: call.params[key] for key in ("kubernetesGroups", "username") if key in call.params}
    entry |= changed | {"modifiedAt": now()}
    call.world.sync(cluster)
    return {"accessEntry": entry}


@OPERATIONS
def delete_access_entry(call: Call) -> Shape:
    """Let a principal in no longer."""
    cluster, entry = _entry(call)
    del cluster.entries[entry["principalArn"]], cluster.policies[entry["principalArn"]]
    call.world.sync(cluster)
    return {}


@OPERATIONS
def associate_access_policy(call: Call) -> Shape:
    """Give a principal rights."""
    cluster, entry = _entry(call)
    fields = {"clusterName": cluster.name}
    arn, scope = call.params["policyArn"], call.params["accessScope"]
    if arn not in POLICIES.values():
        raise invalid(
            "The policyArn could not be found. View available policies with 'list-access-policies'.", **fields
        )
    if entry["type"] != "STANDARD":
        raise refused(f"Access policies cannot be associated with an access entry of type {entry['type']}.", **fields)
    names = scope.get("namespaces", [])
    kind = scope.get("type", "cluster")
    if (kind == "namespace") != bool(names):
        raise invalid("Namespaces must be given for a scope of type namespace, and only for it.", **fields)
    policy = associate(cluster, entry["principalArn"], arn, {"type": kind, "namespaces": names})
    call.world.sync(cluster)
    return {"clusterName": cluster.name, "principalArn": entry["principalArn"], "associatedAccessPolicy": policy}


@OPERATIONS
def disassociate_access_policy(call: Call) -> Shape:
    """Take rights from a principal."""
    cluster, entry = _entry(call)
    if cluster.policies[entry["principalArn"]].pop(call.params["policyArn"], None) is None:
        raise not_found("The specified policyArn is not associated with the principal.", clusterName=cluster.name)
    call.world.sync(cluster)
    return {}


@OPERATIONS
def list_associated_access_policies(call: Call) -> Shape:
    """The rights of a principal."""
    cluster, entry = _entry(call)
    page = call.page("associatedAccessPolicies", cluster.policies[entry["principalArn"]].values())
    return {"clusterName": cluster.name, "principalArn": entry["principalArn"], **page}
