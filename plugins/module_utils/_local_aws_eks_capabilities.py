# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""EKS in the look-alike: capabilities, which are described, prepared on their clusters, and not run; and all tags."""

from __future__ import annotations

import functools
import hashlib
import json
import typing as t
import uuid

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_eks_access as access
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_moto as moto
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_eks_catalogue import POLICIES
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_errors import (
    AwsError,
    in_use,
    invalid,
    not_found,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_world import (
    Call,
    Cluster,
    Operations,
    Shape,
    World,
    now,
)

OPERATIONS = Operations()

_SERVICE, _TAG = "capabilities.eks.amazonaws.com", "sts:TagSession"
_VERSIONS = {"ARGOCD": "3.1", "ACK": "1.0", "KRO": "0.5"}
_ACK = {"enableCrossNamespace": False, "disabledServices": list[str]()}
# What the role of a capability may do on the cluster, without anybody asking for it.
_RIGHTS = {
    "ARGOCD": ("AmazonEKSArgoCDPolicy", "AmazonEKSArgoCDClusterPolicy"),
    "ACK": ("AmazonEKSACKPolicy",),
    "KRO": ("AmazonEKSKROPolicy",),
}
_IN_NAMESPACE = "AmazonEKSArgoCDPolicy"
"""This one holds in the capability's namespace only, the others in the whole cluster."""


@OPERATIONS
def create_capability(call: Call) -> Shape:
    """Have EKS run something for the cluster, which takes its time."""
    cluster, params = call.active_cluster(), call.params
    name, kind = params["capabilityName"], params["type"]
    if name in cluster.capabilities:
        raise in_use(f"Capability already exists with name {name}", clusterName=cluster.name)
    if any(item["type"] == kind for item in cluster.capabilities.values()):
        raise in_use(f"Cluster {cluster.name} has a capability of type {kind} already", clusterName=cluster.name)
    moto.check_role(params["roleArn"], _SERVICE, _TAG, clusterName=cluster.name)
    given = params.get("configuration", {})
    if (kind == "ARGOCD") != ("argoCd" in given) or ("ack" in given and kind != "ACK"):
        raise invalid(f"The configuration is not one of type {kind}", clusterName=cluster.name)
    item = {
        "capabilityName": name,
        "arn": cluster.arn("capability", kind.lower(), name, str(uuid.uuid4())),
        "clusterName": cluster.name,
        "type": kind,
        "roleArn": params["roleArn"],
        "status": "CREATING",
        "version": _VERSIONS[kind],
        "tags": params.get("tags", {}),
        "health": {"issues": []},
        "createdAt": now(),
        "modifiedAt": now(),
        "deletePropagationPolicy": params["deletePropagationPolicy"],
    }
    if "argoCd" in given:
        item["configuration"] = {"argoCd": _argocd(call, name, given["argoCd"])}
    elif kind == "ACK":
        item["configuration"] = {"ack": _ACK | given.get("ack", {})}
    cluster.capabilities[name] = item
    _admit(cluster, item)
    call.world.sync(cluster)
    # Once what belongs to it is on the cluster.
    active = functools.partial(call.world.sync, cluster, lambda: item.update(status="ACTIVE"))
    call.world.later(call.world.settings.delays["capability"], active)
    return {"capability": item}


def _argocd(call: Call, name: str, given: Shape) -> Shape:
    host = given.get("endpointPrefix") or hashlib.sha256(f"{call.account}{call.region}{name}".encode()).hexdigest()[:16]
    return {
        "namespace": given.get("namespace", "argocd"),
        "awsIdc": {"idcRegion": call.region, **given["awsIdc"]},
        "rbacRoleMappings": given.get("rbacRoleMappings", []),
        "networkAccess": given.get("networkAccess", {}),
        **{key: given[key] for key in ("endpointPrefix",) if key in given},
        "serverUrl": f"https://{host}.eks-capabilities.{call.region}.amazonaws.com",
    }


def _admit(cluster: Cluster, item: Shape) -> None:
    role, kind = item["roleArn"], item["type"]
    if cluster.shape["accessConfig"]["authenticationMode"] == "CONFIG_MAP":
        return
    if role not in cluster.entries:
        access.add_entry(cluster, role, "STANDARD", {})
    for policy in _RIGHTS[kind]:
        scope: Shape = {"type": "cluster", "namespaces": []}
        if policy == _IN_NAMESPACE:
            scope = {"type": "namespace", "namespaces": [item["configuration"]["argoCd"]["namespace"]]}
        access.associate(cluster, role, POLICIES[policy], scope)


def report(world: World, cluster: Cluster, registered: t.Iterable[str]) -> None:
    """Say in the health of a capability for Argo CD which of the clusters that it is given do not let it in.

    :arg registered: ARNs of the clusters, as Argo CD's Secrets have them.
    """
    with world.lock:
        for item in cluster.capabilities.values():
            if item["type"] == "ARGOCD":
                found = (_issue(world, item["roleArn"], arn) for arn in registered)
                item["health"] = {"issues": [issue for issue in found if issue]}


def _issue(world: World, role: str, arn: str) -> Shape | None:
    place, _, name = arn.partition(":cluster/")
    account, region = ([*place.split(":"), *[""] * 5][index] for index in (4, 3))
    target = world.clusters.get((account, region, name))
    if target is None:
        return {"code": "ClusterUnreachable", "message": f"There is no cluster {arn}."}
    entry = target.entries.get(role)
    if entry is None:
        return {"code": "AccessDenied", "message": f"{role} has no access entry on {arn}."}
    policies = {policy for policy in target.policies.get(role, {}) if policy not in _own("ARGOCD")}
    if not policies and not entry["kubernetesGroups"]:
        return {"code": "AccessDenied", "message": f"{role} has no rights on {arn}."}
    return None


def _own(kind: str) -> set[str]:
    """What it may do without anybody asking for it, which is to look after its own objects."""
    return {POLICIES[name] for name in _RIGHTS[kind]}


def _capability(call: Call) -> tuple[Cluster, Shape]:
    cluster, name = call.cluster(), call.params["capabilityName"]
    if name not in cluster.capabilities:
        raise not_found(f"No capability found for name: {name}.", clusterName=cluster.name)
    return cluster, cluster.capabilities[name]


@OPERATIONS
def describe_capability(call: Call) -> Shape:
    """A capability."""
    return {"capability": _capability(call)[1]}


@OPERATIONS
def list_capabilities(call: Call) -> Shape:
    """The capabilities of a cluster, in short."""
    shown = ("capabilityName", "arn", "type", "status", "version", "createdAt", "modifiedAt")
    items = call.cluster().capabilities.values()
    return call.page("capabilities", [{key: item[key] for key in shown} for item in items])


def _check_idle(cluster: Cluster, item: Shape) -> None:
    if item["status"] in ("CREATING", "UPDATING", "DELETING"):
        raise in_use(f"Capability {item['capabilityName']} is {item['status']}", clusterName=cluster.name)


@OPERATIONS
def update_capability(call: Call) -> Shape:
    """Give a capability another role or configuration."""
    cluster, item = _capability(call)
    _check_idle(cluster, item)
    params = call.params
    changed: Shape = {key: params[key] for key in ("roleArn", "deletePropagationPolicy") if key in params}
    said = {"RoleArn": params["roleArn"]} if "roleArn" in params else {}
    if "roleArn" in params:
        moto.check_role(params["roleArn"], _SERVICE, _TAG, clusterName=cluster.name)
    asked = params.get("configuration", {}).get("argoCd")
    if asked:
        before = item["configuration"]["argoCd"]
        argocd = {**before, **{key: asked[key] for key in ("networkAccess",) if key in asked}}
        mappings = asked.get("rbacRoleMappings", {})
        argocd["rbacRoleMappings"] = _mappings(before["rbacRoleMappings"], mappings)
        changed["configuration"] = {"argoCd": argocd}
        said |= {"NetworkAccess": json.dumps(asked["networkAccess"])} if "networkAccess" in asked else {}
        for key, wire in (
            ("addOrUpdateRoleMappings", "RoleMappingsToAddOrUpdate"),
            ("removeRoleMappings", "RoleMappingsToRemove"),
        ):
            said |= {wire: json.dumps(mappings[key])} if key in mappings else {}
    if ack := params.get("configuration", {}).get("ack"):
        changed["configuration"] = {"ack": item["configuration"]["ack"] | ack}
        said |= {key[0].upper() + key[1:]: json.dumps(value) for key, value in ack.items()}
    update = cluster.start_update(f"capability/{item['capabilityName']}", "CapabilityUpdate", said)
    item["status"] = "UPDATING"

    def end() -> None:
        item.update(changed, status="ACTIVE", modifiedAt=now())
        update["status"] = "Successful"
        if "roleArn" in changed:
            _admit(cluster, item)
            call.world.sync(cluster)

    call.world.after("update", end)
    return {"update": update}


def _mappings(before: list[Shape], asked: Shape) -> list[Shape]:
    """One mapping for each role: identities that are given take the place of the role's, or are taken from them."""
    held = {item["role"]: item["identities"] for item in before}
    for item in asked.get("addOrUpdateRoleMappings", []):
        held[item["role"]] = item["identities"]
    for item in asked.get("removeRoleMappings", []):
        held[item["role"]] = [one for one in held.get(item["role"], []) if one not in item["identities"]]
    return [{"role": role, "identities": identities} for role, identities in held.items() if identities]


@OPERATIONS
def delete_capability(call: Call) -> Shape:
    """Remove a capability."""
    cluster, item = _capability(call)
    _check_idle(cluster, item)
    item["status"] = "DELETING"

    def remove() -> None:
        cluster.capabilities.pop(item["capabilityName"], None)

    call.world.after("capability", remove)
    return {"capability": item}


def _tags(call: Call) -> dict[str, str]:
    """The tags of the thing that an ARN names.

    :raises AwsError: there is no such thing.
    """
    arn = call.params["resourceArn"]
    for cluster in call.world.clusters.values():
        for arn_key, items in _tagged(cluster):
            for item in items:
                if item[arn_key] == arn and cluster.account == call.account:
                    tags: dict[str, str] = item["tags"]
                    return tags
    raise AwsError("NotFoundException", f"No resource found for ARN {arn}", 404)


def _tagged(cluster: Cluster) -> list[tuple[str, t.Iterable[Shape]]]:
    return [
        ("arn", [cluster.shape]),
        ("nodegroupArn", cluster.nodegroups.values()),
        ("addonArn", cluster.addons.values()),
        ("accessEntryArn", cluster.entries.values()),
        ("associationArn", cluster.associations.values()),
        ("arn", cluster.capabilities.values()),
    ]


@OPERATIONS
def tag_resource(call: Call) -> Shape:
    """Add tags, or change them."""
    if any(key.startswith("aws:") for key in call.params["tags"]):
        raise AwsError("BadRequestException", "Tags that begin with aws: are AWS's own.")
    _tags(call).update(call.params["tags"])
    return {}


@OPERATIONS
def untag_resource(call: Call) -> Shape:
    """Remove tags."""
    tags = _tags(call)
    for key in call.params["tagKeys"]:
        tags.pop(key, None)
    return {}


@OPERATIONS
def list_tags_for_resource(call: Call) -> Shape:
    """The tags of something."""
    return {"tags": _tags(call)}
