# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""EKS in the look-alike: managed node groups."""

from __future__ import annotations

import json
import re
import typing as t
import uuid

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_eks_access as access
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_moto as moto
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_eks_catalogue import (
    VERSIONS,
    check_version,
    minor,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_errors import (
    in_use,
    invalid,
    limit,
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

_NAME = re.compile(r"[0-9A-Za-z][A-Za-z0-9_-]{0,62}")
_ARM = re.compile(r"ARM_64|BOTTLEROCKET_ARM")
_DEFAULT_IMAGE = "AL2023_x86_64_STANDARD"
_DEFAULT_SCALING = {"minSize": 1, "maxSize": 2, "desiredSize": 2}
_LARGEST_SPREAD = 3
"""How many minor versions nodes may be behind their control plane."""


def architecture(group: Shape) -> str:
    """What its machines run, as Kubernetes names it."""
    if group["amiType"] != "CUSTOM":
        return "arm64" if _ARM.search(group["amiType"]) else "amd64"
    region = group["nodegroupArn"].split(":")[3]
    return "arm64" if moto.architectures(region, group["instanceTypes"][0]) == ["arm64"] else "amd64"


def release(version: str) -> str:
    """The newest machine image of a Kubernetes version."""
    return f"{VERSIONS[version][3]}-20261110"


@OPERATIONS
def create_nodegroup(call: Call) -> Shape:
    """Make a node group, which takes its time."""
    cluster, params = call.active_cluster(), call.params
    name = params["nodegroupName"]
    fields = {"clusterName": cluster.name, "nodegroupName": name}
    if not _NAME.fullmatch(name):
        raise invalid("The nodegroup name must match the pattern ^[0-9A-Za-z][A-Za-z0-9\\-_]*.", **fields)
    if name in cluster.nodegroups:
        raise in_use(f"NodeGroup already exists with name {name} and cluster name {cluster.name}", **fields)
    if len(cluster.nodegroups) >= call.world.settings.quotas["nodegroups"]:
        raise limit(f"Nodegroup limit exceeded for cluster {cluster.name}.", **fields)
    version = str(params.get("version", cluster.shape["version"]))
    _check_version(cluster, version, **fields)
    moto.check_role(params["nodeRole"], "ec2.amazonaws.com", **fields)
    places = moto.subnets(call.account, call.region, params["subnets"], **fields)
    if {place.vpc for place in places} != {cluster.shape["resourcesVpcConfig"]["vpcId"]}:
        raise invalid("Subnets are not in the VPC of the cluster.", **fields)
    template = params.get("launchTemplate", {})
    custom = params.get("amiType") == "CUSTOM"
    if template and ("diskSize" in params or "remoteAccess" in params):
        raise invalid("Disk size and remote access must be specified within the launch template.", **fields)
    types = params.get("instanceTypes", [] if template else ["t3.medium"])
    image = params.get("amiType", _DEFAULT_IMAGE)
    _check_types(call.region, types, image, **fields)
    scaling = _DEFAULT_SCALING | params.get("scalingConfig", {})
    _check_scaling(scaling, **fields)
    asg = f"eks-{name}-{uuid.uuid4()}"
    group: Shape = {
        "nodegroupName": name,
        "nodegroupArn": cluster.arn("nodegroup", name, str(uuid.uuid4())),
        "clusterName": cluster.name,
        "createdAt": now(),
        "modifiedAt": now(),
        "status": "CREATING",
        "capacityType": params.get("capacityType", "ON_DEMAND"),
        "scalingConfig": scaling,
        "instanceTypes": types,
        "subnets": params["subnets"],
        "amiType": image,
        "nodeRole": params["nodeRole"],
        "labels": params.get("labels", {}),
        "taints": params.get("taints", []),
        "resources": {"autoScalingGroups": []},
        "health": {"issues": []},
        "updateConfig": params.get("updateConfig", {"maxUnavailable": 1}),
        "tags": params.get("tags", {}),
        **({} if template else {"diskSize": params.get("diskSize", 20)}),
        **({} if custom else {"version": version, "releaseVersion": params.get("releaseVersion", release(version))}),
        **{key: params[key] for key in ("remoteAccess", "nodeRepairConfig", "launchTemplate") if key in params},
    }
    cluster.nodegroups[name] = group
    if (
        cluster.shape["accessConfig"]["authenticationMode"] != "CONFIG_MAP"
        and params["nodeRole"] not in cluster.entries
    ):
        access.add_entry(cluster, params["nodeRole"], "EC2_LINUX", {})

    def made() -> None:
        if cluster.nodegroups.get(name) is not group:
            return
        tags = {"eks:cluster-name": cluster.name, "eks:nodegroup-name": name}
        tags |= {f"kubernetes.io/cluster/{cluster.name}": "owned", "Name": f"{cluster.name}-{name}-Node"}
        instance = types[0] if types else "t3.medium"
        try:
            moto.make_scaling_group(call.account, call.region, asg, scaling, places, instance, tags)
        except Exception as error:  # whatever it is, the group has failed, and says so
            issue = {"code": "AsgInstanceLaunchFailures", "message": str(error), "resourceIds": [asg]}
            group.update(status="CREATE_FAILED", health={"issues": [issue]})
            return
        group["resources"] = {"autoScalingGroups": [{"name": asg}]}
        # ACTIVE is a group whose machines are nodes.
        call.world.sync(cluster, lambda: group.update(status="ACTIVE"))

    call.world.after("nodegroup", made)
    return {"nodegroup": group}


def _check_version(cluster: Cluster, version: str, **fields: t.Any) -> None:
    check_version(version, **fields)
    newest = cluster.shape["version"]
    if not 0 <= minor(newest) - minor(version) <= _LARGEST_SPREAD:
        raise invalid(
            f"Requested Nodegroup release version {version} is invalid. Allowed kubernetes version - {newest}", **fields
        )


def _check_types(region: str, types: list[str], image: str, **fields: t.Any) -> None:
    for instance in types:
        offered = moto.architectures(region, instance)
        if not offered:
            raise invalid(f"The following supplied instance types do not exist: [{instance}]", **fields)
        if image != "CUSTOM" and ("arm64" if _ARM.search(image) else "x86_64") not in offered:
            raise invalid(f"[{instance}] is not a valid instance type for requested amiType {image}", **fields)


def _check_scaling(scaling: t.Mapping[str, int], **fields: t.Any) -> None:
    if scaling["minSize"] > scaling["maxSize"]:
        raise invalid("Minimum capacity can't be greater than maximum capacity.", **fields)
    if scaling["desiredSize"] < scaling["minSize"]:
        raise invalid(f"Desired capacity {scaling['desiredSize']} can't be less than minimum capacity.", **fields)
    if scaling["desiredSize"] > scaling["maxSize"]:
        raise invalid(f"Desired capacity {scaling['desiredSize']} can't be greater than maximum capacity.", **fields)


def _group(call: Call) -> tuple[Cluster, Shape]:
    cluster, name = call.cluster(), call.params["nodegroupName"]
    if name not in cluster.nodegroups:
        raise not_found(f"No node group found for name: {name}.", clusterName=cluster.name, nodegroupName=name)
    return cluster, cluster.nodegroups[name]


def _idle_group(call: Call) -> tuple[Cluster, Shape]:
    cluster, group = _group(call)
    if group["status"] not in ("ACTIVE", "DEGRADED"):
        name, status = group["nodegroupName"], group["status"]
        text = f"Nodegroup {name} is in status {status}, and cannot be updated"
        raise in_use(text, clusterName=cluster.name, nodegroupName=name)
    return cluster, group


@OPERATIONS
def describe_nodegroup(call: Call) -> Shape:
    """A node group."""
    _, group = _group(call)
    asg = next((item["name"] for item in group["resources"]["autoScalingGroups"]), None)
    wanted = moto.wanted_machines(call.account, call.region, asg) if asg else None
    if wanted is not None:
        # Whoever scales the Auto Scaling group scales the node group.
        group["scalingConfig"]["desiredSize"] = wanted
    return {"nodegroup": group}


@OPERATIONS
def list_nodegroups(call: Call) -> Shape:
    """The names of a cluster's node groups."""
    return call.page("nodegroups", sorted(call.cluster().nodegroups))


@OPERATIONS
def delete_nodegroup(call: Call) -> Shape:
    """Remove a node group with its machines."""
    cluster, group = _group(call)
    name = group["nodegroupName"]
    if group["status"] in ("DELETING", "UPDATING"):
        text = f"Nodegroup {name} is in status {group['status']}, and cannot be deleted"
        raise in_use(text, clusterName=cluster.name, nodegroupName=name)
    group["status"] = "DELETING"

    def remove() -> None:
        if cluster.nodegroups.get(name) is not group:
            return
        for item in group["resources"]["autoScalingGroups"]:
            moto.delete_scaling_group(call.account, call.region, item["name"])
        del cluster.nodegroups[name]
        role = group["nodeRole"]
        entry = cluster.entries.get(role)
        used = any(other["nodeRole"] == role for other in cluster.nodegroups.values())
        if entry and entry["type"] == "EC2_LINUX" and not used:
            del cluster.entries[role], cluster.policies[role]
        call.world.sync(cluster)

    call.world.after("nodegroup", remove)
    return {"nodegroup": group}


def _begin(call: Call, kind: str, said: t.Mapping[str, str], changed: Shape) -> Shape:
    cluster, group = _idle_group(call)
    update = cluster.start_update(f"nodegroup/{group['nodegroupName']}", kind, said)
    group["status"] = "UPDATING"

    def end() -> None:
        group.update(changed, modifiedAt=now())
        if "scalingConfig" in changed:
            for item in group["resources"]["autoScalingGroups"]:
                moto.scale_group(call.account, call.region, item["name"], changed["scalingConfig"])
        call.world.sync(cluster, done)

    def done() -> None:
        group["status"], update["status"] = "ACTIVE", "Successful"

    call.world.after("update", end)
    return {"update": update}


@OPERATIONS
def update_nodegroup_config(call: Call) -> Shape:
    """Change sizes, labels, taints and ways of updating."""
    cluster, group = _idle_group(call)
    fields, params = {"clusterName": cluster.name, "nodegroupName": group["nodegroupName"]}, call.params
    changed: Shape = {}
    said: dict[str, str] = {}
    if "scalingConfig" in params:
        changed["scalingConfig"] = {**group["scalingConfig"], **params["scalingConfig"]}
        _check_scaling(changed["scalingConfig"], **fields)
        said |= {key[0].upper() + key[1:]: str(value) for key, value in params["scalingConfig"].items()}
    if labels := params.get("labels"):
        gone, more = labels.get("removeLabels", []), labels.get("addOrUpdateLabels", {})
        changed["labels"] = {key: value for key, value in {**group["labels"], **more}.items() if key not in gone}
        said |= {"LabelsToAdd": json.dumps(more)} if more else {}
        said |= {"LabelsToRemove": json.dumps(gone)} if gone else {}
    if taints := params.get("taints"):
        more, gone = taints.get("addOrUpdateTaints", []), taints.get("removeTaints", [])
        touched = {_taint(item) for item in (*more, *gone)}
        changed["taints"] = [item for item in group["taints"] if _taint(item) not in touched] + more
        said |= {"TaintsToAdd": json.dumps(more)} if more else {}
        said |= {"TaintsToRemove": json.dumps(gone)} if gone else {}
    if "updateConfig" in params:
        changed["updateConfig"] = params["updateConfig"]
        named = {key: str(value) for key, value in params["updateConfig"].items()}
        said |= {key[0].upper() + key[1:]: value for key, value in named.items()}
    if "nodeRepairConfig" in params:
        changed["nodeRepairConfig"] = params["nodeRepairConfig"]
        said["NodeRepairEnabled"] = json.dumps(params["nodeRepairConfig"].get("enabled", False))
    if not changed:
        raise invalid("No changes were given.", **fields)
    return _begin(call, "ConfigUpdate", said, changed)


def _taint(item: Shape) -> tuple[str, str]:
    return item.get("key", ""), item.get("effect", "")


@OPERATIONS
def update_nodegroup_version(call: Call) -> Shape:
    """Go on to the control plane's Kubernetes version, or to another machine image."""
    cluster, group = _idle_group(call)
    fields = {"clusterName": cluster.name, "nodegroupName": group["nodegroupName"]}
    if group["amiType"] == "CUSTOM":
        if "launchTemplate" not in call.params:
            raise invalid("A node group of amiType CUSTOM is updated by its launch template.", **fields)
        changed = {"launchTemplate": call.params["launchTemplate"]}
        return _begin(call, "VersionUpdate", {"LaunchTemplateVersion": changed["launchTemplate"]["version"]}, changed)
    version = str(call.params.get("version", cluster.shape["version"]))
    _check_version(cluster, version, **fields)
    if minor(version) < minor(group["version"]):
        raise refused(f"Nodegroup {group['nodegroupName']} cannot go back to {version}", **fields)
    image = str(call.params.get("releaseVersion", release(version)))
    if not image.startswith(f"{version}."):
        text = f"Requested Nodegroup release version {image} is invalid. Allowed release version is {release(version)}"
        raise invalid(text, **fields)
    said = {"Version": version, "ReleaseVersion": image}
    return _begin(call, "VersionUpdate", said, {"version": version, "releaseVersion": image})
