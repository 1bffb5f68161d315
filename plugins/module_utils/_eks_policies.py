# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""IAM policies of the controllers that run in a cluster, each as narrow as its controller allows."""

from __future__ import annotations

import typing as t

Object = dict[str, t.Any]

VERSION = "2012-10-17"
_OWNED = "elbv2.k8s.aws/cluster"
"""Tag that the AWS Load Balancer Controller puts on everything it makes; it may change nothing else."""

_DESCRIBE_EC2 = (
    "AccountAttributes Addresses AvailabilityZones CoipPools Instances InternetGateways IpamPools NetworkInterfaces "
    "RouteTables SecurityGroups Subnets Tags VpcPeeringConnections Vpcs"
)
_DESCRIBE_ELB = (
    "CapacityReservation ListenerAttributes ListenerCertificates Listeners LoadBalancerAttributes LoadBalancers Rules "
    "SSLPolicies Tags TargetGroupAttributes TargetGroups TargetHealth TrustStores"
)


def policy(*statements: Object) -> Object:
    """A document."""
    return {"Version": VERSION, "Statement": list(statements)}


def allow(actions: t.Sequence[str], resources: t.Any = "*", condition: Object | None = None) -> Object:
    """A statement."""
    statement: Object = {"Effect": "Allow", "Action": list(actions), "Resource": resources}
    return {**statement, "Condition": condition} if condition else statement


def load_balancer_controller(partition: str, **_scope: t.Any) -> Object:
    """What the AWS Load Balancer Controller publishes for itself, put together by what a statement is for."""
    ec2, elb = f"arn:{partition}:ec2:*:*:", f"arn:{partition}:elasticloadbalancing:*:*:"
    groups = f"{ec2}security-group/*"
    balancers = [f"{elb}targetgroup/*/*", f"{elb}loadbalancer/net/*/*", f"{elb}loadbalancer/app/*/*"]
    parts = [f"{elb}{kind}/{type_}/*/*/*" for kind in ("listener", "listener-rule") for type_ in ("net", "app")]
    new = {"Null": {f"aws:RequestTag/{_OWNED}": "false"}}
    ours = {"Null": {f"aws:ResourceTag/{_OWNED}": "false"}}
    retag = {"Null": {f"aws:RequestTag/{_OWNED}": "true", f"aws:ResourceTag/{_OWNED}": "false"}}
    made = {**new, "StringEquals": {"elasticloadbalancing:CreateAction": ["CreateTargetGroup", "CreateLoadBalancer"]}}
    tags = [f"elasticloadbalancing:{verb}Tags" for verb in ("Add", "Remove")]
    linked = {"StringEquals": {"iam:AWSServiceName": "elasticloadbalancing.amazonaws.com"}}
    create = {"StringEquals": {"ec2:CreateAction": "CreateSecurityGroup"}}
    return policy(
        allow(["iam:CreateServiceLinkedRole"], condition=linked),
        allow(
            [
                *(f"ec2:Describe{name}" for name in _DESCRIBE_EC2.split()),
                "ec2:GetCoipPoolUsage",
                "ec2:GetSecurityGroupsForVpc",
                *(f"elasticloadbalancing:Describe{name}" for name in _DESCRIBE_ELB.split()),
            ]
        ),
        allow(
            [
                "acm:DescribeCertificate",
                "acm:ListCertificates",
                "cognito-idp:DescribeUserPoolClient",
                "iam:GetServerCertificate",
                "iam:ListServerCertificates",
                *(f"shield:{verb}" for verb in ("GetSubscriptionState", "DescribeProtection", "CreateProtection")),
                "shield:DeleteProtection",
                *(
                    f"{service}:{verb}"
                    for service in ("waf-regional", "wafv2")
                    for verb in ("GetWebACL", "GetWebACLForResource", "AssociateWebACL", "DisassociateWebACL")
                ),
            ]
        ),
        allow(["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress", "ec2:CreateSecurityGroup"]),
        allow(["ec2:CreateTags"], groups, {**new, **create}),
        allow(["ec2:CreateTags", "ec2:DeleteTags"], groups, retag),
        allow(["ec2:DeleteSecurityGroup"], condition=ours),
        allow([f"elasticloadbalancing:Create{name}" for name in ("LoadBalancer", "TargetGroup")], condition=new),
        allow([f"elasticloadbalancing:{verb}{name}" for verb in ("Create", "Delete") for name in ("Listener", "Rule")]),
        allow(tags, balancers, retag),
        allow(tags, parts),
        allow(["elasticloadbalancing:AddTags"], balancers, made),
        allow(
            [
                *(f"elasticloadbalancing:Modify{name}" for name in ("LoadBalancerAttributes", "TargetGroup")),
                *(f"elasticloadbalancing:Modify{name}" for name in ("TargetGroupAttributes", "ListenerAttributes")),
                *(f"elasticloadbalancing:Modify{name}" for name in ("CapacityReservation", "IpPools")),
                *(f"elasticloadbalancing:Set{name}" for name in ("IpAddressType", "SecurityGroups", "Subnets")),
                *(f"elasticloadbalancing:Delete{name}" for name in ("LoadBalancer", "TargetGroup")),
            ],
            condition=ours,
        ),
        allow([f"elasticloadbalancing:{verb}Targets" for verb in ("Register", "Deregister")], f"{elb}targetgroup/*/*"),
        allow(
            [
                "elasticloadbalancing:SetWebAcl",
                "elasticloadbalancing:ModifyListener",
                "elasticloadbalancing:AddListenerCertificates",
                "elasticloadbalancing:RemoveListenerCertificates",
                "elasticloadbalancing:ModifyRule",
                "elasticloadbalancing:SetRulePriorities",
            ]
        ),
    )


def external_dns(partition: str, dns_zones: t.Sequence[str], **_scope: t.Any) -> Object:
    """Records of the zones named; which zones there are it has to see itself."""
    zones = [f"arn:{partition}:route53:::hostedzone/{zone}" for zone in dns_zones or ["*"]]
    read = ["route53:ListHostedZones", "route53:ListHostedZonesByName", "route53:ListTagsForResources"]
    return policy(
        allow(
            ["route53:ChangeResourceRecordSets", "route53:ListResourceRecordSets", "route53:ListTagsForResource"], zones
        ),
        allow(read),
    )


def external_secrets(partition: str, region: str, account: str, secrets: t.Sequence[str], **_scope: t.Any) -> Object:
    """Reading the secrets whose names match."""
    names = [f"arn:{partition}:secretsmanager:{region}:{account}:secret:{name}" for name in secrets or ["*"]]
    read = ("GetSecretValue", "DescribeSecret", "GetResourcePolicy", "ListSecretVersionIds")
    return policy(
        allow([f"secretsmanager:{verb}" for verb in read], names), allow(["secretsmanager:BatchGetSecretValue"])
    )


KNOWN: dict[str, t.Callable[..., Object]] = {
    "aws-load-balancer-controller": load_balancer_controller,
    "external-dns": external_dns,
    "external-secrets": external_secrets,
}
"""By the names that an inventory gives."""
