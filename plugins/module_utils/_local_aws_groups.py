# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From a cluster's node groups to what their nodes are to be."""

from __future__ import annotations

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_moto as moto
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_eks_nodegroups import architecture
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_nodes import Group, Place, Size
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_world import Cluster, Shape


def groups_of(cluster: Cluster) -> list[Group]:
    """Those groups that have machines, as many as their Auto Scaling groups want."""
    return [group for shape in list(cluster.nodegroups.values()) if (group := _group(cluster, shape))]


def _group(cluster: Cluster, shape: Shape) -> Group | None:
    scaling = next((item["name"] for item in shape["resources"]["autoScalingGroups"]), None)
    machines = moto.wanted_machines(cluster.account, cluster.region, scaling) if scaling else None
    if not machines:
        return None
    instance = shape["instanceTypes"][0] if shape["instanceTypes"] else "t3.medium"
    image = shape.get("releaseVersion", f"custom-{shape.get('launchTemplate', {}).get('version', '')}".rstrip("-"))
    patch = image.split("-")[0] if "releaseVersion" in shape else f"{cluster.shape['version']}.0"
    return Group(
        name=shape["nodegroupName"],
        cluster="/".join(cluster.key),
        region=cluster.region,
        machines=machines,
        places=[
            Place(item.id, item.zone, item.cidr)
            for item in moto.subnets(cluster.account, cluster.region, shape["subnets"])
        ],
        instance_type=instance,
        architecture=architecture(shape),
        capacity_type=shape["capacityType"],
        image=image,
        version=f"v{patch}-eks-simulated",
        labels=shape["labels"],
        taints=shape["taints"],
        size=Size(*moto.size(cluster.region, instance)),
    )
