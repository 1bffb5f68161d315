# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The chain of roles from the hub's Argo CD to a spoke in another account, as planned and as AWS takes it."""

from __future__ import annotations

import base64
import json
import typing as t

import pytest
from lookalike import ACCOUNT, REGION, Lookalike, bearer, refused, session
from unit.preflight_cloud import Cloud, host, survey

from ansible_collections.hubspoke.bootstrap.plugins.filter.eks_cluster_wanted import eks_cluster_wanted
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_authenticator as authenticator
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_tokens as tokens
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_eks_chain import chain

from .test_eks_cluster_role import SETTINGS

Object = dict[str, t.Any]
OTHER = "210987654321"
FAR = "ap-northeast-1"
SPOKE_ROLE = f"arn:aws:iam::{OTHER}:role/tokyo-argocd-spoke"
HUB: Object = {**SETTINGS, "name": "seoul", "region": REGION, "account": ACCOUNT}
SPOKE: Object = {**SETTINGS, "name": "tokyo", "region": FAR, "account": OTHER}
HUB_HOST = {"cluster_provider": "eks", "cluster_name": "seoul", "cluster_account": ACCOUNT}


class Issuer:
    """In place of control planes: vouches for tokens for STS, whosever they are."""

    def verify(self, cluster: t.Any, token: str, audiences: list[str]) -> bool:
        return audiences == ["sts.amazonaws.com"]

    def sync(self, cluster: t.Any) -> None:
        """Nothing follows what the look-alike knows."""


def _signed(answer: Object) -> t.Any:
    given = answer["Credentials"]
    return session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])


def _make(aws: Lookalike, wanted: Object, names: t.Container[str], signed: t.Any = None) -> None:
    """What role eks_cluster has amazon.aws's modules do."""
    iam = aws.client("iam", REGION, signed)
    for role in wanted["roles"]:
        if role["name"] in names:
            iam.create_role(RoleName=role["name"], AssumeRolePolicyDocument=json.dumps(role["trust"]))
            for name, document in (role.get("inline_policies") or {}).items():
                iam.put_role_policy(RoleName=role["name"], PolicyName=name, PolicyDocument=json.dumps(document))


class Fleet:
    """A hub in one account, and a spoke in another.

    :arg spoke_roles: What the hub's inventory says of them.
    """

    def __init__(self, identity: str = "pod_identity", spoke_roles: t.Sequence[str] = (SPOKE_ROLE,)) -> None:
        self.aws = aws = Lookalike()
        self._irsa = identity == "irsa"
        cluster = aws.cluster("seoul")
        self.issuer = cluster["identity"]["oidc"]["issuer"]
        settings = {**HUB, "spoke_roles": list(spoke_roles), "argocd_identity": identity, "issuer": self.issuer}
        hub = eks_cluster_wanted(settings, hub=HUB_HOST, is_hub=True)
        _make(aws, hub, ["seoul-argocd-hub"])
        if self._irsa:
            aws.client("iam").create_open_id_connect_provider(Url=self.issuer, ClientIDList=["sts.amazonaws.com"])
        for each in hub["pod_identities"]:
            names = {"namespace": each["namespace"], "serviceAccount": each["service_account"]}
            aws.client("eks").create_pod_identity_association(clusterName="seoul", roleArn=each["role_arn"], **names)
        aws.control("POST", "settings", {"accounts": [OTHER]})
        entrance = f"arn:aws:iam::{OTHER}:role/OrganizationAccountAccessRole"
        self.administrator = _signed(aws.client("sts").assume_role(RoleArn=entrance, RoleSessionName="test"))
        self._spoke()
        aws.world.planes = t.cast("t.Any", Issuer())

    def _spoke(self) -> None:
        wanted = eks_cluster_wanted(SPOKE, hub=HUB_HOST, is_spoke=True)
        _make(self.aws, wanted, ["tokyo-cluster", "tokyo-argocd-spoke"], self.administrator)
        self.eks = self.aws.client("eks", FAR, self.administrator)
        ec2 = self.aws.client("ec2", FAR, self.administrator)
        subnets = [each["SubnetId"] for each in ec2.describe_subnets()["Subnets"]]
        self.eks.create_cluster(
            name="tokyo",
            version="1.34",
            roleArn=wanted["cluster_role_arn"],
            resourcesVpcConfig={"subnetIds": subnets[:2]},
            accessConfig={"authenticationMode": "API"},
        )
        self.aws.becomes("ACTIVE", lambda: self.eks.describe_cluster(name="tokyo")["cluster"])
        for each in wanted["access_entries"]:
            self.eks.create_access_entry(clusterName="tokyo", principalArn=each["principal_arn"])

    def argocd(self, account: str = "argocd-application-controller") -> t.Any:
        """The credentials that Argo CD's pod has."""
        if self._irsa:
            subject = f"system:serviceaccount:argocd:{account}"
            claims = {"iss": self.issuer, "aud": ["sts.amazonaws.com"], "sub": subject}
            token = ".".join(["e30", base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("="), "x"])
            role = f"arn:aws:iam::{ACCOUNT}:role/seoul-argocd-hub"
            sts = self.aws.client("sts")
            return _signed(
                sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName=account, WebIdentityToken=token)
            )
        path = f"pod-identity/{REGION}/seoul/argocd/{account}"
        found = self.aws.control("GET", path, headers={"Authorization": "any"})
        return session(found["AccessKeyId"], found["SecretAccessKey"], found["Token"])

    def on_spoke(self, argocd: t.Any) -> t.Any:
        """The same once the spoke's role is assumed."""
        sts = self.aws.client("sts", REGION, argocd)
        return _signed(sts.assume_role(RoleArn=SPOKE_ROLE, RoleSessionName="argocd"))

    def user(self, signed: t.Any) -> Object:
        """Who that is on the spoke. The hub's region signs."""
        cluster = self.aws.world.clusters[OTHER, FAR, "tokyo"]
        return authenticator.authenticate(cluster, bearer("tokyo", REGION, signed), [])


@pytest.mark.parametrize("identity", ["pod_identity", "irsa"])
def test_argo_cd_of_one_account_is_let_in_to_a_cluster_of_another(identity: str) -> None:
    fleet = Fleet(identity)
    found = fleet.on_spoke(fleet.argocd())
    assert fleet.user(found)["extra"]["canonicalArn"] == [SPOKE_ROLE]
    with pytest.raises(tokens.BadToken, match="seoul-argocd-hub has no access entry"):
        fleet.user(fleet.argocd())
    fleet.eks.delete_access_entry(clusterName="tokyo", principalArn=SPOKE_ROLE)
    with pytest.raises(tokens.BadToken, match="tokyo-argocd-spoke has no access entry"):
        fleet.user(found)


def test_without_the_spokes_role_in_the_hubs_inventory_it_may_not() -> None:
    fleet = Fleet(spoke_roles=[])
    with refused("AccessDenied", f"sts:AssumeRole on resource: {SPOKE_ROLE}"):
        fleet.on_spoke(fleet.argocd())


def test_the_spoke_trusts_no_other_role_of_the_hubs_account() -> None:
    fleet = Fleet()
    role = fleet.aws.role("curious", {"Service": "pods.eks.amazonaws.com"})
    everything = {"Effect": "Allow", "Action": "sts:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    fleet.aws.client("iam").put_role_policy(RoleName="curious", PolicyName="all", PolicyDocument=document)
    names = {"namespace": "argocd", "serviceAccount": "curious"}
    fleet.aws.client("eks").create_pod_identity_association(clusterName="seoul", roleArn=role, **names)
    with refused("AccessDenied"):
        fleet.on_spoke(fleet.argocd("curious"))


def test_by_tokens_no_other_service_account_gets_the_hubs_role() -> None:
    fleet = Fleet("irsa")
    with refused("AccessDenied", "AssumeRoleWithWebIdentity"):
        fleet.argocd("argocd-repo-server")


def test_an_account_outside_of_the_organization_is_closed() -> None:
    aws = Lookalike()
    with refused("AccessDenied"):
        aws.client("sts").assume_role(
            RoleArn=f"arn:aws:iam::{OTHER}:role/OrganizationAccountAccessRole", RoleSessionName="test"
        )


# Preflight


def test_what_is_no_arn_of_a_role_is_said() -> None:
    (found,) = chain(survey(Cloud(), host("seoul", eks_cluster_spoke_roles=[SPOKE_ROLE, "tokyo-argocd-spoke"])))
    assert (found.verdict, found.found) == ("fail", "'tokyo-argocd-spoke' is no ARN of a role")


@pytest.mark.parametrize(
    ("hub", "spoke", "verdicts"),
    [
        ({}, {}, []),
        ({}, {"cluster_account": OTHER}, ["fail"]),
        ({"cluster_state": "adopted"}, {"cluster_account": OTHER}, ["warn"]),
        ({"eks_cluster_spoke_roles": [SPOKE_ROLE]}, {"cluster_account": OTHER}, ["ok"]),
        ({"eks_cluster_spoke_roles": [SPOKE_ROLE]}, {}, ["fail"]),
        ({"eks_cluster_spoke_roles": ["arn:aws:iam::*:role/*-argocd-spoke"]}, {"cluster_account": OTHER}, ["ok"]),
        ({"argocd_provider": "eks_capability"}, {"cluster_account": OTHER}, []),
        ({}, {"cluster_account": OTHER, "cluster_registration_options": {"credential": "bearer_token"}}, []),
    ],
)
def test_the_chain_is_checked_before_a_run(hub: Object, spoke: Object, verdicts: list[str]) -> None:
    found = list(chain(survey(Cloud(), host("seoul", **hub), host("tokyo", **spoke))))
    assert [each.verdict for each in found] == verdicts
    for each in found:
        if each.verdict != "ok":
            account = spoke.get("cluster_account", "123456789012")
            assert f"arn:aws:iam::{account}:role/tokyo-argocd-spoke" in each.remedy
            assert each.variable == "eks_cluster_spoke_roles"
