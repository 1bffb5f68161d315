# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What of a network EKS holds on to: moto would let it be deleted from under a cluster, AWS does not."""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_errors import AwsError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_world import Caller, Cluster, World

_SAID = {
    "DeleteSubnet": ("SubnetId", "The subnet '{}' has dependencies and cannot be deleted."),
    "DeleteSecurityGroup": ("GroupId", "resource {} has a dependent object"),
}


def check(world: World, caller: Caller, region: str, operation: str, form: Mapping[str, str]) -> None:
    """:raises AwsError: EC2 is to delete what a cluster's or node group's network interfaces are in."""
    if operation not in _SAID:
        return
    parameter, text = _SAID[operation]
    wanted = form.get(parameter, "")
    with world.lock:
        mine = [item for item in world.clusters.values() if (item.account, item.region) == (caller.account, region)]
        if any(wanted in _held(cluster) for cluster in mine):
            raise AwsError("DependencyViolation", text.format(wanted))


def _held(cluster: Cluster) -> set[str]:
    network = cluster.shape["resourcesVpcConfig"]
    groups = {*network["securityGroupIds"], network["clusterSecurityGroupId"]}
    return groups.union(network["subnetIds"], *(group["subnets"] for group in cluster.nodegroups.values()))
