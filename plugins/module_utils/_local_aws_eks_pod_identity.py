# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""EKS in the look-alike: Pod Identity associations."""

from __future__ import annotations

import random
import string

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_moto as moto
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

SERVICE = "pods.eks.amazonaws.com"


def find(cluster: Cluster, namespace: str, account: str) -> Shape | None:
    """The association of a service account."""
    for item in cluster.associations.values():
        if (item["namespace"], item["serviceAccount"]) == (namespace, account):
            return item
    return None


def add(call: Call, cluster: Cluster, params: Shape, owner: str = "") -> Shape:
    """Add an association.

    :arg owner: ARN of the add-on that it is of.
    :raises AwsError: the service account has one, or its role may not be taken.
    """
    fields = {"clusterName": cluster.name}
    there = find(cluster, params["namespace"], params["serviceAccount"])
    if there:
        raise in_use(f"Association already exists: {there['associationId']}", **fields)
    moto.check_role(params["roleArn"], SERVICE, **fields)
    letters = string.ascii_lowercase + string.digits
    number = "a-" + "".join(random.choices(letters, k=17))  # noqa: S311  (a name)
    item = {
        "clusterName": cluster.name,
        "namespace": params["namespace"],
        "serviceAccount": params["serviceAccount"],
        "roleArn": params["roleArn"],
        "associationArn": cluster.arn("podidentityassociation", number),
        "associationId": number,
        "tags": params.get("tags", {}),
        "createdAt": now(),
        "modifiedAt": now(),
        "disableSessionTags": params.get("disableSessionTags", False),
    }
    if owner:
        item["ownerArn"] = owner
    _target(call, cluster, item, params.get("targetRoleArn"))
    cluster.associations[number] = item
    return item


def _target(call: Call, cluster: Cluster, item: Shape, role: str | None) -> None:
    """Set the second role of a chain, and what identifies it to that role's trust policy; empty takes it away."""
    if role is None:
        return
    if role and not role.startswith("arn:aws:iam::"):
        raise invalid(f"The targetRoleArn {role} is not valid", clusterName=cluster.name)
    for key in ("targetRoleArn", "externalId"):
        item.pop(key, None)
    if role:
        place = f"{call.region}/{call.account}/{cluster.name}"
        item.update(targetRoleArn=role, externalId=f"{place}/{item['namespace']}/{item['serviceAccount']}")


@OPERATIONS
def create_pod_identity_association(call: Call) -> Shape:
    """Give a service account a role."""
    return {"association": add(call, call.cluster(), call.params)}


def _association(call: Call) -> tuple[Cluster, Shape]:
    cluster, number = call.cluster(), call.params["associationId"]
    if number not in cluster.associations:
        raise not_found(f"Association not found: {number}", clusterName=cluster.name)
    return cluster, cluster.associations[number]


@OPERATIONS
def describe_pod_identity_association(call: Call) -> Shape:
    """An association."""
    return {"association": _association(call)[1]}


@OPERATIONS
def list_pod_identity_associations(call: Call) -> Shape:
    """The associations of a cluster, a namespace or a service account."""
    wanted = {key: call.params[key] for key in ("namespace", "serviceAccount") if key in call.params}
    shown = ("clusterName", "namespace", "serviceAccount", "associationArn", "associationId", "ownerArn")
    found = [
        {key: item[key] for key in shown if key in item}
        for item in call.cluster().associations.values()
        if all(item[key] == value for key, value in wanted.items())
    ]
    return call.page("associations", found)


@OPERATIONS
def update_pod_identity_association(call: Call) -> Shape:
    """Give a service account another role."""
    cluster, item = _association(call)
    _check_owner(cluster, item)
    if "roleArn" in call.params:
        moto.check_role(call.params["roleArn"], SERVICE, clusterName=cluster.name)
    _target(call, cluster, item, call.params.get("targetRoleArn"))
    changed: Shape = {key: call.params[key] for key in ("roleArn", "disableSessionTags") if key in call.params}
    item.update(changed, modifiedAt=now())
    return {"association": item}


@OPERATIONS
def delete_pod_identity_association(call: Call) -> Shape:
    """Take a service account's role."""
    cluster, item = _association(call)
    _check_owner(cluster, item)
    del cluster.associations[item["associationId"]]
    return {"association": item}


def _check_owner(cluster: Cluster, item: Shape) -> None:
    if item.get("ownerArn"):
        text = f"The association {item['associationId']} is owned by the add-on {item['ownerArn']}; change it there."
        raise refused(text, clusterName=cluster.name)
