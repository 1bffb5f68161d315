# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The look-alike of EKS through botocore's own client: every operation, every answer as botocore's model has it."""

from __future__ import annotations

import time
import typing as t
import uuid

import pytest
from botocore.exceptions import ClientError
from lookalike import ACCOUNT, Lookalike, refused

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_eks as eks_engine
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_eks_capabilities as capabilities

POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
IDC = {"awsIdc": {"idcInstanceArn": "arn:aws:sso:::instance/ssoins-1234567890abcdef"}}


@pytest.fixture
def aws() -> Lookalike:
    return Lookalike()


OF = {"clusterName": "seoul"}
GROUP = {"nodegroupName": "arm", **OF}
ADDON = {"addonName": "vpc-cni", **OF}
CAPABLE = {"capabilityName": "argocd", **OF}


def gone(read: t.Callable[[], t.Any]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            read()
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return
            raise
        assert time.monotonic() < deadline
        time.sleep(0.01)


def walk_cluster(aws: Lookalike, eks: t.Any, cluster: dict[str, t.Any]) -> None:
    assert cluster["arn"] == f"arn:aws:eks:ap-northeast-2:{ACCOUNT}:cluster/seoul"
    assert cluster["logging"]["clusterLogging"][0] == {"types": ["api"], "enabled": True}
    assert eks.list_clusters()["clusters"] == ["seoul"]
    assert {item["clusterVersion"] for item in eks.describe_cluster_versions()["clusterVersions"]} >= {"1.34", "1.35"}
    update = eks.update_cluster_config(name="seoul", deletionProtection=True)["update"]
    found = aws.becomes("Successful", lambda: eks.describe_update(name="seoul", updateId=update["id"])["update"])
    assert found["type"] == "DeletionProtectionUpdate"
    eks.associate_encryption_config(
        encryptionConfig=[{"resources": ["secrets"], "provider": {"keyArn": "arn:aws:kms:x:1:key/a"}}], **OF
    )
    aws.becomes("ACTIVE", lambda: eks.describe_cluster(name="seoul")["cluster"])
    eks.update_cluster_version(name="seoul", version="1.35")
    assert aws.becomes("ACTIVE", lambda: eks.describe_cluster(name="seoul")["cluster"])["version"] == "1.35"
    assert len(eks.list_updates(name="seoul")["updateIds"]) == 3


def walk_nodegroup(aws: Lookalike, eks: t.Any, nodes: str) -> None:
    size = {"minSize": 1, "maxSize": 4, "desiredSize": 2}
    asked = {
        "instanceTypes": ["m7g.large"],
        "amiType": "AL2023_ARM_64_STANDARD",
        "version": "1.34",
        "scalingConfig": size,
    }
    eks.create_nodegroup(subnets=aws.subnets()[:3], nodeRole=nodes, **GROUP, **asked)
    made = aws.becomes("ACTIVE", lambda: eks.describe_nodegroup(**GROUP)["nodegroup"])
    assert made["releaseVersion"].startswith("1.34.")
    assert eks.list_nodegroups(**OF)["nodegroups"] == ["arm"]
    scaling = made["resources"]["autoScalingGroups"][0]["name"]
    machines = aws.client("autoscaling")
    machines.put_scheduled_update_group_action(
        AutoScalingGroupName=scaling, ScheduledActionName="down", Recurrence="0 16 * * 1-5", DesiredCapacity=0
    )
    machines.set_desired_capacity(AutoScalingGroupName=scaling, DesiredCapacity=3)
    assert eks.describe_nodegroup(**GROUP)["nodegroup"]["scalingConfig"]["desiredSize"] == 3
    taint = {"key": "arm", "value": "only", "effect": "NO_SCHEDULE"}
    eks.update_nodegroup_config(
        labels={"addOrUpdateLabels": {"a": "b"}},
        taints={"addOrUpdateTaints": [taint]},
        scalingConfig={"desiredSize": 4},
        **GROUP,
    )
    changed = aws.becomes("ACTIVE", lambda: eks.describe_nodegroup(**GROUP)["nodegroup"])
    assert (changed["labels"], changed["taints"], changed["scalingConfig"]["desiredSize"]) == ({"a": "b"}, [taint], 4)
    eks.update_nodegroup_version(**GROUP)
    assert aws.becomes("ACTIVE", lambda: eks.describe_nodegroup(**GROUP)["nodegroup"])["version"] == "1.35"


def walk_addon(aws: Lookalike, eks: t.Any, pods: str) -> None:
    versions = eks.describe_addon_versions(kubernetesVersion="1.35", addonName="vpc-cni")["addons"][0]["addonVersions"]
    defaults = [item["addonVersion"] for item in versions if item["compatibilities"][0]["defaultVersion"]]
    assert len(defaults) == 1
    schema = eks.describe_addon_configuration(addonName="vpc-cni", addonVersion=defaults[0])["configurationSchema"]
    assert "draft" in schema
    eks.create_addon(podIdentityAssociations=[{"serviceAccount": "aws-node", "roleArn": pods}], **ADDON)
    first = aws.becomes("ACTIVE", lambda: eks.describe_addon(**ADDON)["addon"])
    assert (first["addonVersion"], len(first["podIdentityAssociations"])) == (defaults[0], 1)
    newer = next(item["addonVersion"] for item in versions if item["addonVersion"] != defaults[0])
    eks.update_addon(addonVersion=newer, configurationValues='{"env": {"A": "b"}}', podIdentityAssociations=[], **ADDON)
    second = aws.becomes("ACTIVE", lambda: eks.describe_addon(**ADDON)["addon"])
    assert (second["addonVersion"], second["podIdentityAssociations"]) == (newer, [])
    assert eks.list_addons(**OF)["addons"] == ["vpc-cni"]


def walk_access(eks: t.Any, pods: str, nodes: str) -> None:
    entry = {"principalArn": pods, **OF}
    assert "AmazonEKSClusterAdminPolicy" in [item["name"] for item in eks.list_access_policies()["accessPolicies"]]
    eks.create_access_entry(kubernetesGroups=["readers"], **entry)
    eks.update_access_entry(kubernetesGroups=["writers"], **entry)
    assert eks.describe_access_entry(**entry)["accessEntry"]["kubernetesGroups"] == ["writers"]
    eks.associate_access_policy(policyArn=POLICY, accessScope={"type": "namespace", "namespaces": ["a"]}, **entry)
    policies = eks.list_associated_access_policies(**entry)["associatedAccessPolicies"]
    assert [item["policyArn"] for item in policies] == [POLICY]
    assert eks.list_access_entries(associatedPolicyArn=POLICY, **OF)["accessEntries"] == [pods]
    assert nodes in eks.list_access_entries(**OF)["accessEntries"]
    eks.disassociate_access_policy(policyArn=POLICY, **entry)
    eks.delete_access_entry(**entry)
    gone(lambda: eks.describe_access_entry(**entry))


def walk_pod_identity(eks: t.Any, pods: str, nodes: str) -> None:
    account = {"namespace": "argocd", "serviceAccount": "argocd-server"}
    number = eks.create_pod_identity_association(roleArn=pods, **account, **OF)["association"]["associationId"]
    assert eks.list_pod_identity_associations(namespace="argocd", **OF)["associations"][0]["associationId"] == number
    target = eks.update_pod_identity_association(associationId=number, targetRoleArn=nodes, **OF)["association"]
    assert target["externalId"] == f"ap-northeast-2/{ACCOUNT}/seoul/argocd/argocd-server"
    assert eks.describe_pod_identity_association(associationId=number, **OF)["association"]["targetRoleArn"] == nodes
    eks.delete_pod_identity_association(associationId=number, **OF)
    gone(lambda: eks.describe_pod_identity_association(associationId=number, **OF))


def walk_capability(aws: Lookalike, eks: t.Any, role: str) -> None:
    eks.create_capability(
        type="ARGOCD", roleArn=role, configuration={"argoCd": IDC}, deletePropagationPolicy="RETAIN", **CAPABLE
    )
    made = aws.becomes("ACTIVE", lambda: eks.describe_capability(**CAPABLE)["capability"])
    assert made["configuration"]["argoCd"]["namespace"] == "argocd"
    assert eks.list_capabilities(**OF)["capabilities"][0]["type"] == "ARGOCD"
    mapping = {"role": "ADMIN", "identities": [{"id": "u-1", "type": "SSO_USER"}]}
    eks.update_capability(
        configuration={"argoCd": {"rbacRoleMappings": {"addOrUpdateRoleMappings": [mapping]}}}, **CAPABLE
    )
    made = aws.becomes("ACTIVE", lambda: eks.describe_capability(**CAPABLE)["capability"])
    assert made["configuration"]["argoCd"]["rbacRoleMappings"] == [mapping]


def test_a_capability_tells_which_clusters_do_not_let_it_in(aws: Lookalike) -> None:
    eks, role = aws.client("eks"), aws.role("capability", {"Service": "capabilities.eks.amazonaws.com"})
    arn = aws.cluster()["arn"]
    eks.create_capability(
        type="ARGOCD", roleArn=role, configuration={"argoCd": IDC}, deletePropagationPolicy="RETAIN", **CAPABLE
    )
    aws.becomes("ACTIVE", lambda: eks.describe_capability(**CAPABLE)["capability"])
    (seoul,) = aws.world.clusters.values()

    def told(*registered: str) -> list[tuple[str, str]]:
        capabilities.report(aws.world, seoul, registered)
        issues = eks.describe_capability(**CAPABLE)["capability"]["health"]["issues"]
        return [(issue["code"], issue["message"]) for issue in issues]

    held = eks.list_associated_access_policies(principalArn=role, **OF)["associatedAccessPolicies"]
    scopes = {item["policyArn"].rpartition("/")[2]: item["accessScope"]["namespaces"] for item in held}
    assert scopes == {"AmazonEKSArgoCDPolicy": ["argocd"], "AmazonEKSArgoCDClusterPolicy": []}
    assert told() == []
    assert told(arn) == [("AccessDenied", f"{role} has no rights on {arn}.")]
    assert [code for code, _ in told("https://kubernetes.default.svc", f"{arn}2")] == ["ClusterUnreachable"] * 2
    policy = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy"
    eks.associate_access_policy(principalArn=role, policyArn=policy, accessScope={"type": "cluster"}, **OF)
    assert told(arn) == []
    eks.delete_access_entry(principalArn=role, **OF)
    assert told(arn) == [("AccessDenied", f"{role} has no access entry on {arn}.")]


def walk_tags(eks: t.Any, cluster: dict[str, t.Any]) -> None:
    eks.tag_resource(resourceArn=cluster["arn"], tags={"cost": "low"})
    eks.untag_resource(resourceArn=cluster["arn"], tagKeys=["team"])
    assert eks.list_tags_for_resource(resourceArn=cluster["arn"])["tags"] == {"cost": "low"}


def walk_away(aws: Lookalike, eks: t.Any, nodes: str) -> None:
    eks.delete_capability(**CAPABLE)
    gone(lambda: eks.describe_capability(**CAPABLE))
    eks.delete_addon(**ADDON)
    gone(lambda: eks.describe_addon(**ADDON))
    eks.delete_nodegroup(**GROUP)
    gone(lambda: eks.describe_nodegroup(**GROUP))
    assert aws.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"] == []
    assert nodes not in eks.list_access_entries(**OF)["accessEntries"]
    eks.update_cluster_config(name="seoul", deletionProtection=False)
    aws.becomes("ACTIVE", lambda: eks.describe_cluster(name="seoul")["cluster"])
    eks.delete_cluster(name="seoul")
    gone(lambda: eks.describe_cluster(name="seoul"))


def test_a_whole_life_by_every_operation(aws: Lookalike) -> None:
    """An answer that is not as the model says would be an error 500."""
    eks = aws.client("eks")
    nodes = aws.role("nodes", {"Service": "ec2.amazonaws.com"})
    pods = aws.role("pods", {"Service": "pods.eks.amazonaws.com"})
    capability = aws.role("capability", {"Service": "capabilities.eks.amazonaws.com"})
    cluster = aws.cluster(tags={"team": "lion"}, logging={"clusterLogging": [{"types": ["api"], "enabled": True}]})
    walk_cluster(aws, eks, cluster)
    walk_nodegroup(aws, eks, nodes)
    walk_addon(aws, eks, pods)
    walk_access(eks, pods, nodes)
    walk_pod_identity(eks, pods, nodes)
    walk_capability(aws, eks, capability)
    walk_tags(eks, cluster)
    walk_away(aws, eks, nodes)
    called = {
        name.removeprefix("eks.") for name in aws.control("GET", "calls")["operations"] if name.startswith("eks.")
    }
    assert called == set(eks_engine.OPERATIONS)


def test_there_is_no_operation_that_eks_does_not_have() -> None:
    assert set(eks_engine.OPERATIONS) <= set(eks_engine.service().operations)


Ask = t.Callable[[Lookalike, t.Any], t.Any]

NO_SUCH: list[tuple[str, str, Ask]] = [
    (
        "ResourceNotFoundException",
        "No cluster found for name: tokyo",
        lambda _, eks: eks.describe_cluster(name="tokyo"),
    ),
    ("ResourceInUseException", "already exists with name: seoul", lambda aws, _: aws.cluster()),
    ("InvalidParameterException", "at least two different AZs", lambda aws, _: one_subnet(aws, "b")),
    (
        "InvalidParameterException",
        "'subnet-none' does not exist",
        lambda aws, _: aws.cluster("b", resourcesVpcConfig={"subnetIds": ["subnet-none", "subnet-no"]}),
    ),
    (
        "InvalidParameterException",
        "could not be assumed because it does not exist or the trusted entity is not correct",
        lambda aws, _: aws.cluster("b", roleArn=aws.role("wrong", {"Service": "ec2.amazonaws.com"})),
    ),
    (
        "InvalidParameterException",
        "unsupported Kubernetes version 1.99",
        lambda aws, _: aws.cluster("b", version="1.99"),
    ),
    (
        "InvalidParameterException",
        "Unsupported Kubernetes minor version update from 1.34 to 1.36",
        lambda _, eks: eks.update_cluster_version(name="seoul", version="1.36"),
    ),
    (
        "InvalidParameterException",
        "Unsupported Kubernetes minor version update from 1.34 to 1.33",
        lambda _, eks: eks.update_cluster_version(name="seoul", version="1.33"),
    ),
    (
        "InvalidParameterException",
        "already at the desired configuration",
        lambda _, eks: eks.update_cluster_config(name="seoul", deletionProtection=False),
    ),
    (
        "InvalidParameterException",
        "Only one type of update",
        lambda _, eks: eks.update_cluster_config(
            name="seoul", deletionProtection=True, upgradePolicy={"supportType": "STANDARD"}
        ),
    ),
    (
        "InvalidParameterException",
        "Addon version specified is not supported",
        lambda _, eks: eks.create_addon(clusterName="seoul", addonName="vpc-cni", addonVersion="v0.0.1-eksbuild.1"),
    ),
    (
        "InvalidParameterException",
        "not supported in 1.34 kubernetes version",
        lambda _, eks: eks.create_addon(clusterName="seoul", addonName="nothing"),
    ),
    (
        "InvalidParameterException",
        "invalid principal",
        lambda _, eks: eks.create_access_entry(clusterName="seoul", principalArn=f"arn:aws:iam::{ACCOUNT}:role/none"),
    ),
    (
        "ResourceInUseException",
        "already in use on this cluster",
        lambda _, eks: eks.create_access_entry(
            clusterName="seoul", principalArn=f"arn:aws:iam::{ACCOUNT}:user/rehearsal"
        ),
    ),
    (
        "InvalidParameterException",
        "cannot start with",
        lambda aws, eks: eks.create_access_entry(
            clusterName="seoul",
            principalArn=aws.role("any", {"AWS": ACCOUNT}),
            kubernetesGroups=["system:masters"],
        ),
    ),
    (
        "InvalidParameterException",
        "not a valid instance type for requested amiType AL2023_x86_64_STANDARD",
        lambda aws, _: nodegroup(aws, instanceTypes=["m7g.large"]),
    ),
    (
        "InvalidParameterException",
        "instance types do not exist: [m99.large]",
        lambda aws, _: nodegroup(aws, instanceTypes=["m99.large"]),
    ),
    (
        "InvalidParameterException",
        "can't be greater than maximum capacity",
        lambda aws, _: nodegroup(aws, scalingConfig={"minSize": 1, "maxSize": 2, "desiredSize": 3}),
    ),
    ("InvalidParameterException", "release version 1.35 is invalid", lambda aws, _: nodegroup(aws, version="1.35")),
    (
        "InvalidParameterException",
        "enum value set",
        lambda aws, _: nodegroup(aws, capacityType="CHEAP"),
    ),
    (
        "NotFoundException",
        "No resource found",
        lambda _, eks: eks.list_tags_for_resource(resourceArn="arn:aws:eks:a:1:b/c"),
    ),
    ("NotImplementedException", "not in the look-alike", lambda _, eks: eks.list_insights(clusterName="seoul")),
]


def one_subnet(aws: Lookalike, name: str) -> t.Any:
    first = aws.subnets()[0]
    return aws.cluster(name, resourcesVpcConfig={"subnetIds": [first, first]})


def nodegroup(aws: Lookalike, name: str = "group", **given: t.Any) -> t.Any:
    role = aws.role(f"nodes-{uuid.uuid4()}", {"Service": "ec2.amazonaws.com"})
    asked = {"clusterName": "seoul", "nodegroupName": name, "subnets": aws.subnets()[:2], "nodeRole": role}
    return aws.client("eks").create_nodegroup(**{**asked, **given})


def test_what_cannot_be_is_refused_as_eks_refuses_it(aws: Lookalike) -> None:
    aws.cluster()
    wrong = []
    for code, text, ask in NO_SUCH:
        try:
            ask(aws, aws.client("eks"))
        except ClientError as error:
            said = error.response["Error"]
            if said["Code"] != code or text not in said["Message"]:
                wrong.append(f"{text}: {said}")
        else:
            wrong.append(f"{text}: no error")
    assert not wrong, "\n".join(wrong)


def test_a_cluster_with_a_node_group_or_protection_is_not_deleted(aws: Lookalike) -> None:
    aws.cluster(deletionProtection=True)
    eks = aws.client("eks")
    with refused("InvalidRequestException", "deletion protection"):
        eks.delete_cluster(name="seoul")
    nodegroup(aws)
    with refused("ResourceInUseException", "nodegroups attached"):
        eks.delete_cluster(name="seoul")


def test_what_is_under_way_is_busy(aws: Lookalike) -> None:
    aws.cluster()
    aws.control("POST", "settings", {"delays": {"update": 60, "addon": 60}})
    eks = aws.client("eks")
    eks.create_addon(clusterName="seoul", addonName="coredns")
    with refused("ResourceInUseException", "CREATING"):
        eks.update_addon(clusterName="seoul", addonName="coredns", resolveConflicts="OVERWRITE")
    eks.update_cluster_version(name="seoul", version="1.35")
    for ask in (
        lambda: eks.delete_cluster(name="seoul"),
        lambda: eks.update_cluster_version(name="seoul", version="1.35"),
    ):
        with refused("ResourceInUseException", "UPDATING"):
            ask()


def test_a_token_of_idempotency_makes_one_thing(aws: Lookalike) -> None:
    aws.cluster()
    eks, role = aws.client("eks"), aws.role("pods", {"Service": "pods.eks.amazonaws.com"})
    asked = {"clusterName": "seoul", "namespace": "a", "roleArn": role, "clientRequestToken": "once"}
    first = eks.create_pod_identity_association(serviceAccount="a", **asked)["association"]["associationId"]
    assert eks.create_pod_identity_association(serviceAccount="a", **asked)["association"]["associationId"] == first
    with refused("InvalidParameterException", "used before"):
        eks.create_pod_identity_association(serviceAccount="b", **asked)


def test_lists_come_in_pages(aws: Lookalike) -> None:
    for name in "abc":
        aws.cluster(name)
    eks = aws.client("eks")
    first = eks.list_clusters(maxResults=2)
    assert first["clusters"] == ["a", "b"]
    assert eks.list_clusters(maxResults=2, nextToken=first["nextToken"])["clusters"] == ["c"]
    assert [name for page in eks.get_paginator("list_clusters").paginate() for name in page["clusters"]] == [
        "a",
        "b",
        "c",
    ]


def test_a_quota_can_be_used_up(aws: Lookalike) -> None:
    aws.cluster()
    aws.control("POST", "settings", {"quotas": {"clusters": 1}})
    with refused("ResourceLimitExceededException"):
        aws.cluster("tokyo")


def test_a_cluster_whose_control_plane_cannot_be_made_has_failed(aws: Lookalike) -> None:
    class Broken:
        def __getattr__(self, name: str) -> t.Any:
            def fail(*_: t.Any) -> t.Any:
                if name == "create":
                    raise RuntimeError("no etcd here")

            return fail

    aws.world.planes = t.cast("t.Any", Broken())
    found = aws.cluster(becomes="FAILED")
    assert found["health"]["issues"][0]["message"] == "no etcd here"


def test_nothing_stays_in_the_way_of_deleting_the_network(aws: Lookalike) -> None:
    ec2, eks = aws.client("ec2"), aws.client("eks")
    vpc = ec2.create_vpc(CidrBlock="10.10.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.10.{number}.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"]
        for number, zone in enumerate(("ap-northeast-2a", "ap-northeast-2b"))
    ]
    aws.cluster(resourcesVpcConfig={"subnetIds": subnets})
    nodegroup(aws, subnets=subnets)
    group = {"clusterName": "seoul", "nodegroupName": "group"}
    aws.becomes("ACTIVE", lambda: eks.describe_nodegroup(**group)["nodegroup"])
    with refused("DependencyViolation"):
        ec2.delete_subnet(SubnetId=subnets[0])
    eks.delete_nodegroup(**group)
    gone(lambda: eks.describe_nodegroup(**group))
    eks.delete_cluster(name="seoul")
    gone(lambda: eks.describe_cluster(name="seoul"))
    for subnet in subnets:
        ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_vpc(VpcId=vpc)
    states = [
        item["State"]["Name"] for group in ec2.describe_instances()["Reservations"] for item in group["Instances"]
    ]
    assert set(states) == {"terminated"}
