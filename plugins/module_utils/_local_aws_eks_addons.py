# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""EKS in the look-alike: add-ons."""

from __future__ import annotations

import json
import typing as t
import uuid

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_eks_pod_identity as pod_identity
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_eks_catalogue import (
    addon_namespace,
    addon_versions,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_errors import in_use, invalid, not_found
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_world import (
    Call,
    Cluster,
    Operations,
    Shape,
    now,
)

OPERATIONS = Operations()


def _check_configuration(params: Shape, **fields: t.Any) -> None:
    values = params.get("configurationValues")
    if not values:
        return
    try:
        if isinstance(json.loads(values), dict):
            return
    except ValueError:
        # YAML is taken too; what is neither would be no mapping.
        if ":" in values:
            return
    raise invalid("ConfigurationValue is not in valid JSON or YAML format.", **fields)


def _check_version(cluster: Cluster, addon: str, version: str, **fields: t.Any) -> None:
    if version not in addon_versions(addon, cluster.shape["version"]):
        raise invalid("Addon version specified is not supported", **fields)


@OPERATIONS
def create_addon(call: Call) -> Shape:
    """Install an add-on, which takes its time."""
    cluster, params, name = call.active_cluster(), call.params, call.params["addonName"]
    fields = {"clusterName": cluster.name, "addonName": name}
    if name in cluster.addons:
        raise in_use("Addon already exists.", **fields)
    versions = addon_versions(name, cluster.shape["version"])
    if not versions:
        text = f"Addon {name} specified is not supported in {cluster.shape['version']} kubernetes version"
        raise invalid(text, **fields)
    version = params.get("addonVersion", versions[0])
    _check_version(cluster, name, version, **fields)
    _check_configuration(params, **fields)
    arn = cluster.arn("addon", name, str(uuid.uuid4()))
    addon = {
        "addonName": name,
        "clusterName": cluster.name,
        "status": "CREATING",
        "addonVersion": version,
        "health": {"issues": []},
        "addonArn": arn,
        "createdAt": now(),
        "modifiedAt": now(),
        "tags": params.get("tags", {}),
        "publisher": "eks",
        "owner": "aws",
        "namespaceConfig": params.get("namespaceConfig", {"namespace": addon_namespace(name)}),
        **{key: params[key] for key in ("serviceAccountRoleArn", "configurationValues") if params.get(key)},
    }
    _associate(call, cluster, addon, params.get("podIdentityAssociations"))
    cluster.addons[name] = addon
    call.world.after("addon", lambda: addon.update(status="ACTIVE"))
    return {"addon": addon}


def _associate(call: Call, cluster: Cluster, addon: Shape, wanted: list[Shape] | None) -> None:
    """Make an add-on's Pod Identity associations those that are wanted; None leaves them."""
    if wanted is None:
        return
    namespace = addon["namespaceConfig"]["namespace"]
    have = {
        item["serviceAccount"]: item
        for item in cluster.associations.values()
        if item.get("ownerArn") == addon["addonArn"]
    }
    for item in wanted:
        account, role = item["serviceAccount"], item["roleArn"]
        found = have.pop(account, None)
        if found:
            found.update(roleArn=role, modifiedAt=now())
        else:
            have_not = {"namespace": namespace, "serviceAccount": account, "roleArn": role}
            pod_identity.add(call, cluster, have_not, owner=addon["addonArn"])
    for item in have.values():
        del cluster.associations[item["associationId"]]
    addon["podIdentityAssociations"] = [
        item["associationArn"] for item in cluster.associations.values() if item.get("ownerArn") == addon["addonArn"]
    ]


def _addon(call: Call) -> tuple[Cluster, Shape]:
    cluster, name = call.cluster(), call.params["addonName"]
    if name not in cluster.addons:
        text = f"No addon: {name} found in cluster: {cluster.name}"
        raise not_found(text, clusterName=cluster.name, addonName=name)
    return cluster, cluster.addons[name]


@OPERATIONS
def describe_addon(call: Call) -> Shape:
    """An add-on."""
    return {"addon": _addon(call)[1]}


@OPERATIONS
def list_addons(call: Call) -> Shape:
    """The names of a cluster's add-ons."""
    return call.page("addons", sorted(call.cluster().addons))


@OPERATIONS
def update_addon(call: Call) -> Shape:
    """Give an add-on another version, configuration or role."""
    cluster, addon = _addon(call)
    name, params = addon["addonName"], call.params
    fields = {"clusterName": cluster.name, "addonName": name}
    if addon["status"] not in ("ACTIVE", "DEGRADED", "UPDATE_FAILED", "CREATE_FAILED"):
        raise in_use(f"Addon {name} cannot be updated as it is currently in {addon['status']} state", **fields)
    version = str(params.get("addonVersion", addon["addonVersion"]))
    if version != addon["addonVersion"]:
        _check_version(cluster, name, version, **fields)
    _check_configuration(params, **fields)
    said = {
        wire: str(params[key])
        for key, wire in (
            ("addonVersion", "AddonVersion"),
            ("serviceAccountRoleArn", "ServiceAccountRoleArn"),
            ("resolveConflicts", "ResolveConflicts"),
            ("configurationValues", "ConfigurationValues"),
            ("podIdentityAssociations", "PodIdentityAssociations"),
        )
        if key in params
    }
    _associate(call, cluster, addon, params.get("podIdentityAssociations"))
    update = cluster.start_update(f"addon/{name}", "AddonUpdate", said)
    addon["status"] = "UPDATING"
    kept = ("serviceAccountRoleArn", "configurationValues")

    def end() -> None:
        addon.update(status="ACTIVE", addonVersion=version, modifiedAt=now())
        # As with EKS, a role or configuration that is not given again is gone.
        for key in kept:
            addon.pop(key, None)
        addon.update({key: params[key] for key in kept if params.get(key)})
        update["status"] = "Successful"

    call.world.after("update", end)
    return {"update": update}


@OPERATIONS
def delete_addon(call: Call) -> Shape:
    """Remove an add-on."""
    cluster, addon = _addon(call)
    name = addon["addonName"]
    if addon["status"] in ("CREATING", "UPDATING", "DELETING"):
        text = f"Addon {name} cannot be deleted as it is currently in {addon['status']} state"
        raise in_use(text, clusterName=cluster.name, addonName=name)
    addon["status"] = "DELETING"

    def remove() -> None:
        if cluster.addons.get(name) is addon:
            _associate(call, cluster, addon, [])
            del cluster.addons[name]

    call.world.after("addon", remove)
    return {"addon": addon}
