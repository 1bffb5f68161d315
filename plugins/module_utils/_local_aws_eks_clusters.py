# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""EKS in the look-alike: clusters and their updates."""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_eks_access as access
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_moto as moto
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_eks_catalogue import (
    DEFAULT_VERSION,
    VERSIONS,
    check_version,
    minor,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_errors import (
    AwsError,
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

_NAME = re.compile(r"[0-9A-Za-z][A-Za-z0-9_-]{0,99}")
_LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")
# What UpdateClusterConfig can be asked for, and the kind of update that each is; one at a time.
_CONFIG = {
    "logging": "LoggingUpdate",
    "accessConfig": "AccessConfigUpdate",
    "upgradePolicy": "UpgradePolicyUpdate",
    "zonalShiftConfig": "ZonalShiftConfigUpdate",
    "deletionProtection": "DeletionProtectionUpdate",
    "computeConfig": "AutoModeUpdate",
    "storageConfig": "AutoModeUpdate",
    "kubernetesNetworkConfig": "AutoModeUpdate",
    "remoteNetworkConfig": "RemoteNetworkConfigUpdate",
    "controlPlaneScalingConfig": "ControlPlaneScalingConfigUpdate",
}
_MODES = ("CONFIG_MAP", "API_AND_CONFIG_MAP", "API")


@OPERATIONS
def create_cluster(call: Call) -> Shape:
    """Make a cluster, which takes its time."""
    params, world, name = call.params, call.world, call.params["name"]
    fields = {"clusterName": name}
    if not _NAME.fullmatch(name):
        raise invalid("The cluster name must match the pattern ^[0-9A-Za-z][A-Za-z0-9\\-_]*.", **fields)
    key = (call.account, call.region, name)
    if key in world.clusters:
        raise in_use(f"Cluster already exists with name: {name}", **fields)
    if sum(other[:2] == key[:2] for other in world.clusters) >= world.settings.quotas["clusters"]:
        raise limit(f"Cluster limit exceeded: {world.settings.quotas['clusters']} in {call.region}.", **fields)
    version = params.get("version", DEFAULT_VERSION)
    check_version(version, **fields)
    moto.check_role(params["roleArn"], "eks.amazonaws.com", **fields)
    network = _network(call, params["resourcesVpcConfig"])
    cluster = Cluster(call.account, call.region, name, {})
    group = moto.make_group(
        call.account,
        call.region,
        f"eks-cluster-sg-{name}-{cluster.identifier[:10]}",
        network["vpcId"],
        {"Name": f"eks-cluster-sg-{name}", f"kubernetes.io/cluster/{name}": "owned", "aws:eks:cluster-name": name},
    )
    asked_access = params.get("accessConfig", {})
    mode = asked_access.get("authenticationMode", "CONFIG_MAP")
    cluster.shape = {
        "name": name,
        "arn": f"arn:aws:eks:{call.region}:{call.account}:cluster/{name}",
        "createdAt": now(),
        "version": version,
        "roleArn": params["roleArn"],
        "resourcesVpcConfig": network | {"clusterSecurityGroupId": group},
        "kubernetesNetworkConfig": _service_network(params.get("kubernetesNetworkConfig", {}), network["vpcId"], call),
        "logging": _logging(params.get("logging", {})),
        "status": "CREATING",
        "platformVersion": VERSIONS[version][4],
        "tags": params.get("tags", {}),
        "encryptionConfig": params.get("encryptionConfig", []),
        "health": {"issues": []},
        "accessConfig": {
            "authenticationMode": mode,
            "bootstrapClusterCreatorAdminPermissions": asked_access.get(
                "bootstrapClusterCreatorAdminPermissions", True
            ),
        },
        "upgradePolicy": params.get("upgradePolicy", {"supportType": "EXTENDED"}),
        "deletionProtection": params.get("deletionProtection", False),
        "certificateAuthority": {},
        **{key: params[key] for key in ("zonalShiftConfig", "remoteNetworkConfig", "computeConfig") if key in params},
    }
    world.clusters[key] = cluster
    if cluster.shape["accessConfig"]["bootstrapClusterCreatorAdminPermissions"]:
        access.admit_creator(cluster, call.caller.principal)
    _become_active(call, cluster)
    return {"cluster": cluster.shape}


def _become_active(call: Call, cluster: Cluster) -> None:
    """ACTIVE when the time is over and the control plane is there, whichever comes last."""
    world, waits = call.world, {"time", "plane"}
    made: Shape = {}

    def done(what: str) -> None:
        waits.discard(what)
        if waits or cluster.shape["status"] != "CREATING":
            return
        cluster.shape |= made | {"identity": {"oidc": {"issuer": cluster.issuer}}, "status": "ACTIVE"}

    def make() -> None:
        problem = ""
        try:
            made.update(world.planes.create(cluster) if world.planes else _described(cluster))
        except Exception as error:  # whatever it is, the cluster has failed, and says so
            problem = str(error)
        with world.lock:
            gone = world.clusters.get(cluster.key) is not cluster
            if gone:
                pass
            elif problem:
                issue = {"code": "InternalFailure", "message": problem, "resourceIds": [cluster.name]}
                cluster.shape |= {"status": "FAILED", "health": {"issues": [issue]}}
            else:
                done("plane")
        if gone and world.planes:
            # All was reset meanwhile.
            world.planes.delete(cluster)

    world.after("cluster", lambda: done("time"))
    world.later(0, make)


def _described(cluster: Cluster) -> Shape:
    """A cluster that is not real: where nothing answers, and a certificate that is none."""
    host = f"{cluster.identifier}.gr7.{cluster.region}.eks.amazonaws.com"
    return {"endpoint": f"https://{host}", "certificateAuthority": {"data": "bm8gcmVhbCBjbHVzdGVy"}}


def _network(call: Call, asked: Shape) -> Shape:
    fields = {"clusterName": call.params["name"]}
    ids = asked.get("subnetIds", [])
    if len(ids) < 2:
        raise invalid("Subnets specified must be in at least two different AZs", **fields)
    places = moto.subnets(call.account, call.region, ids, **fields)
    _check_zones(places, **fields)
    groups = asked.get("securityGroupIds", [])
    moto.check_groups(call.account, call.region, groups, **fields)
    public, private = asked.get("endpointPublicAccess", True), asked.get("endpointPrivateAccess", False)
    _check_endpoint(public, private, **fields)
    return {
        "subnetIds": ids,
        "securityGroupIds": groups,
        "vpcId": places[0].vpc,
        "endpointPublicAccess": public,
        "endpointPrivateAccess": private,
        "publicAccessCidrs": asked.get("publicAccessCidrs", ["0.0.0.0/0"] if public else []),
    }


def _check_zones(places: list[moto.Subnet], **fields: t.Any) -> None:
    if len({place.vpc for place in places}) > 1:
        raise invalid("Subnets specified must belong to the same VPC", **fields)
    if len({place.zone for place in places}) < 2:
        raise invalid("Subnets specified must be in at least two different AZs", **fields)
    # EKS has no room for control planes there.
    closed = [place.zone for place in places if place.zone in ("us-east-1e", "ca-central-1d", "us-west-1b")]
    if closed:
        raise AwsError(
            "UnsupportedAvailabilityZoneException",
            f"Cannot create cluster because {closed[0]}, the targeted availability zone, does not currently have "
            "sufficient capacity to support the cluster.",
            **fields,
        )


def _check_endpoint(public: bool, private: bool, **fields: t.Any) -> None:
    if not public and not private:
        raise invalid("Private and public endpoint access cannot both be disabled", **fields)


def _service_network(asked: Shape, vpc: str, call: Call) -> Shape:
    return {
        "ipFamily": asked.get("ipFamily", "ipv4"),
        "serviceIpv4Cidr": asked.get("serviceIpv4Cidr", "172.20.0.0/16"),
        "elasticLoadBalancing": asked.get("elasticLoadBalancing", {"enabled": False}),
    }


def _logging(asked: Shape, before: Shape | None = None) -> Shape:
    on = {kind for item in (before or {}).get("clusterLogging", []) if item["enabled"] for kind in item["types"]}
    for item in asked.get("clusterLogging", []):
        change = set(item.get("types", []))
        on = on | change if item.get("enabled") else on - change
    parts = [
        (True, [kind for kind in _LOG_TYPES if kind in on]),
        (False, [kind for kind in _LOG_TYPES if kind not in on]),
    ]
    return {"clusterLogging": [{"types": types, "enabled": enabled} for enabled, types in parts if types]}


@OPERATIONS
def describe_cluster(call: Call) -> Shape:
    """A cluster as it is."""
    return {"cluster": call.cluster().shape}


@OPERATIONS
def list_clusters(call: Call) -> Shape:
    """The names of the clusters of a region."""
    mine = (call.account, call.region)
    return call.page("clusters", sorted(name for *where, name in call.world.clusters if tuple(where) == mine))


@OPERATIONS
def delete_cluster(call: Call) -> Shape:
    """Remove a cluster that nothing is left in."""
    cluster, world = call.cluster(), call.world
    fields = {"clusterName": cluster.name}
    if cluster.shape["status"] in ("DELETING", "CREATING", "UPDATING"):
        status = cluster.shape["status"]
        raise in_use(f"Cluster '{cluster.name}' is in {status} status and cannot be deleted.", **fields)
    if cluster.nodegroups:
        raise in_use("Cluster has nodegroups attached", **fields)
    if cluster.capabilities:
        raise in_use("Cluster has capabilities attached", **fields)
    if cluster.shape["deletionProtection"]:
        raise refused("Cluster cannot be deleted because deletion protection is enabled", **fields)
    cluster.shape["status"] = "DELETING"

    def remove() -> None:
        if world.planes:
            world.planes.delete(cluster)
        with world.lock:
            if world.clusters.get(cluster.key) is cluster:
                del world.clusters[cluster.key]
                group = cluster.shape["resourcesVpcConfig"]["clusterSecurityGroupId"]
                moto.delete_group(call.account, call.region, group)

    world.later(world.settings.delays["cluster"] / 2, remove)
    return {"cluster": cluster.shape}


@OPERATIONS
def update_cluster_config(call: Call) -> Shape:
    """Change one thing of a cluster."""
    cluster = call.active_cluster()
    fields = {"clusterName": cluster.name}
    asked = {key: value for key, value in call.params.items() if key in (*_CONFIG, "resourcesVpcConfig")}
    kinds = {_CONFIG.get(key, "") for key in asked}
    if not asked:
        raise invalid("Nothing to update was given", **fields)
    if len(kinds) > 1:
        raise invalid("Only one type of update can be allowed.", **fields)
    if "resourcesVpcConfig" in asked:
        return _update_network(call, cluster, asked["resourcesVpcConfig"])
    key, value = next(iter(asked.items()))
    changed: Shape = {}
    for key, value in asked.items():
        if key == "logging":
            changed[key] = _logging(value, cluster.shape["logging"])
        elif key == "accessConfig":
            changed[key] = _access_mode(cluster, value)
        elif isinstance(value, dict):
            changed[key] = {**cluster.shape.get(key, {}), **value}
        else:
            changed[key] = value
    if all(cluster.shape.get(key) == value for key, value in changed.items()):
        raise invalid(f"No changes needed for the {key} update: it is already at the desired configuration", **fields)
    names = {"logging": "ClusterLogging", "accessConfig": "AuthenticationMode"}
    said = {names.get(key, key[0].upper() + key[1:]): json.dumps(value) for key, value in asked.items()}
    return {"update": _begin(call, cluster, kinds.pop(), said, changed)}


def _access_mode(cluster: Cluster, asked: Shape) -> Shape:
    before, mode = cluster.shape["accessConfig"], asked.get("authenticationMode")
    if mode and _MODES.index(mode) < _MODES.index(before["authenticationMode"]):
        text = f"Unsupported authentication mode update from {before['authenticationMode']} to {mode}"
        raise invalid(text, clusterName=cluster.name)
    return {**before, **({"authenticationMode": mode} if mode else {})}


def _update_network(call: Call, cluster: Cluster, asked: Shape) -> Shape:
    before, fields = cluster.shape["resourcesVpcConfig"], {"clusterName": cluster.name}
    places, reach = {"subnetIds", "securityGroupIds"} & set(asked), set(asked) - {"subnetIds", "securityGroupIds"}
    if places and reach:
        raise invalid("Only one type of update can be allowed.", **fields)
    after = {**before, **asked}
    if "subnetIds" in asked:
        _check_zones(moto.subnets(call.account, call.region, asked["subnetIds"], **fields), **fields)
    moto.check_groups(call.account, call.region, asked.get("securityGroupIds", []), **fields)
    _check_endpoint(after["endpointPublicAccess"], after["endpointPrivateAccess"], **fields)
    if after["endpointPublicAccess"] and not after["publicAccessCidrs"]:
        after["publicAccessCidrs"] = ["0.0.0.0/0"]
    if after == before:
        raise invalid("Cluster is already at the desired configuration", **fields)
    names = {"subnetIds": "Subnets", "securityGroupIds": "SecurityGroups"}
    said = {names.get(key, key[0].upper() + key[1:]): json.dumps(value) for key, value in asked.items()}
    kind = "VpcConfigUpdate" if places else "EndpointAccessUpdate"
    return {"update": _begin(call, cluster, kind, said, {"resourcesVpcConfig": after})}


def _begin(call: Call, cluster: Cluster, kind: str, said: t.Mapping[str, str], changed: Shape) -> Shape:
    """Start an update of the cluster, after which it is as changed."""
    update = cluster.start_update("", kind, said)
    cluster.shape["status"] = "UPDATING"

    def end() -> None:
        cluster.shape |= changed | {"status": "ACTIVE"}
        update["status"] = "Successful"

    call.world.after("update", end)
    return update


@OPERATIONS
def update_cluster_version(call: Call) -> Shape:
    """Go on to the next Kubernetes version."""
    cluster, wanted = call.active_cluster(), call.params["version"]
    fields = {"clusterName": cluster.name}
    check_version(wanted, **fields)
    have = cluster.shape["version"]
    if wanted == have:
        raise invalid(f"Cluster is already at the desired version {wanted}", **fields)
    if minor(wanted) != minor(have) + 1:
        raise invalid(f"Unsupported Kubernetes minor version update from {have} to {wanted}", **fields)
    late = [group for group in cluster.nodegroups.values() if minor(wanted) - minor(group["version"]) > 3]
    if late and not call.params.get("force"):
        text = f"Nodegroup {late[0]['nodegroupName']} of version {late[0]['version']} would be too old"
        raise refused(f"{text} for a control plane of {wanted}", **fields)
    platform = VERSIONS[wanted][4]
    said = {"Version": wanted, "PlatformVersion": platform}
    return {"update": _begin(call, cluster, "VersionUpdate", said, {"version": wanted, "platformVersion": platform})}


@OPERATIONS
def associate_encryption_config(call: Call) -> Shape:
    """Have secrets encrypted; never undone, never changed."""
    cluster, config = call.active_cluster(), call.params["encryptionConfig"]
    if cluster.shape["encryptionConfig"]:
        raise refused("Encryption is already enabled on the cluster", clusterName=cluster.name)
    said, changed = {"EncryptionConfig": json.dumps(config)}, {"encryptionConfig": config}
    return {"update": _begin(call, cluster, "AssociateEncryptionConfig", said, changed)}


def _updated(call: Call) -> tuple[Cluster, str]:
    """Of what the updates are asked for."""
    cluster = call.cluster()
    kinds = {"nodegroup": cluster.nodegroups, "addon": cluster.addons, "capability": cluster.capabilities}
    for kind, things in kinds.items():
        name = call.params.get(f"{kind}Name")
        if name is not None:
            if name not in things:
                raise not_found(f"No {kind} found for name: {name}.", clusterName=cluster.name)
            return cluster, f"{kind}/{name}"
    return cluster, ""


@OPERATIONS
def describe_update(call: Call) -> Shape:
    """An update of a cluster, or of something in it."""
    cluster, of = _updated(call)
    found = cluster.updates.get(call.params["updateId"])
    if not found or found[0] != of:
        raise not_found(f"No update found for ID: {call.params['updateId']}.", clusterName=cluster.name)
    return {"update": found[1]}


@OPERATIONS
def list_updates(call: Call) -> Shape:
    """The ids of all updates of a cluster, or of something in it."""
    cluster, of = _updated(call)
    return call.page("updateIds", [name for name, (owner, _) in cluster.updates.items() if owner == of])
