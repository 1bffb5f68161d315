# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The IAM roles that a cluster is to have, out of what its inventory says of it. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_policies import KNOWN, VERSION, allow, policy
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

Object = dict[str, t.Any]

PODS = "pods.eks.amazonaws.com"
CAPABILITIES = "capabilities.eks.amazonaws.com"
ASSUME = ["sts:AssumeRole", "sts:TagSession"]
"""EKS Pod Identity tags its sessions, and a chain of roles takes the tags along."""
ARGOCD_ACCOUNTS = ("argocd-application-controller", "argocd-applicationset-controller", "argocd-server")
"""The service accounts whose pods talk to clusters."""
HUB_ROLE, SPOKE_ROLE = "-argocd-hub", "-argocd-spoke"
"""How the names of Argo CD's roles end, after that of their cluster."""
AUDIENCE = "sts.amazonaws.com"
"""Whom tokens of service accounts are for that STS takes."""
POD_IDENTITY, IRSA = "pod_identity", "irsa"
"""By which a service account gets its role: by the agent on its node, or by a token of the cluster."""

_ADDONS = {
    ("kube-system", "aws-node"): "vpc-cni",
    ("kube-system", "ebs-csi-controller-sa"): "aws-ebs-csi-driver",
    ("kube-system", "efs-csi-controller-sa"): "aws-efs-csi-driver",
    ("kube-system", "s3-csi-driver-sa"): "aws-mountpoint-s3-csi-driver",
    ("amazon-cloudwatch", "cloudwatch-agent"): "amazon-cloudwatch-observability",
    ("external-dns", "external-dns"): "external-dns",
}
"""Add-ons, by the service account that they annotate themselves with the role that they are given."""

_CLUSTER_POLICIES = ("AmazonEKSClusterPolicy",)
_NODE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly", "AmazonEKS_CNI_Policy")


@dataclass(frozen=True)
class Scope:
    """The cluster that roles are for.

    :arg issuer: Of the tokens of its service accounts, empty until EKS has made it.
    """

    cluster: str
    region: str
    account: str
    partition: str = "aws"
    dns_zones: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    issuer: str = ""

    def arn(self, role: str, account: str = "") -> str:
        """ARN of a role, which is known before it is there."""
        return f"arn:{self.partition}:iam::{account or self.account}:role/{role}"

    def managed(self, name: str) -> str:
        """ARN of a policy that AWS keeps, or that was given as one."""
        return name if name.startswith("arn:") else f"arn:{self.partition}:iam::aws:policy/{name}"


def service(scope: Scope, name: str, principal: str, policies: t.Sequence[str], description: str) -> Object:
    """A role of an AWS service."""
    trust = {"Effect": "Allow", "Principal": {"Service": principal}, "Action": ["sts:AssumeRole"]}
    return {
        "name": name,
        "description": description,
        "trust": {"Version": VERSION, "Statement": [trust]},
        "managed_policies": [scope.managed(each) for each in policies],
    }


def cluster_role(scope: Scope, name: str) -> Object:
    """The role of the control plane."""
    return service(scope, name, "eks.amazonaws.com", _CLUSTER_POLICIES, f"Control plane of {scope.cluster}")


def node_role(scope: Scope, name: str, more: t.Sequence[str] = ()) -> Object:
    """The role of the nodes: with it they join, get addresses, and pull images from ECR."""
    return service(scope, name, "ec2.amazonaws.com", [*_NODE_POLICIES, *more], f"Nodes of {scope.cluster}")


def capability_role(scope: Scope, name: str, policies: t.Sequence[str] = ()) -> Object:
    """The role of an Argo CD that AWS runs. Clusters let it in by access entries; in AWS it needs no rights."""
    statement = {"Effect": "Allow", "Principal": {"Service": CAPABILITIES}, "Action": ASSUME}
    return {
        "name": name,
        "description": f"Argo CD of {scope.cluster}, run by AWS",
        "trust": {"Version": VERSION, "Statement": [statement]},
        "managed_policies": [scope.managed(each) for each in policies],
    }


def pod_roles(scope: Scope, identities: t.Iterable[t.Mapping[str, t.Any]]) -> list[Object]:
    """The roles of service accounts. Several accounts may share one, also where they get it in different ways.

    The trust of a role is empty while it would name an issuer that is not known yet.

    :raises HubspokeError: an identity names a policy that nobody knows.
    """
    sharing: dict[str, list[t.Mapping[str, t.Any]]] = {}
    for identity in identities:
        if not identity.get("role_arn"):  # else somebody else looks after it
            sharing.setdefault(role_name(scope, identity), []).append(identity)
    return [_pod_role(scope, name, several) for name, several in sharing.items()]


def _pod_role(scope: Scope, name: str, identities: t.Sequence[t.Mapping[str, t.Any]]) -> Object:
    """Of those that share a role the first says what it may do; that of the others is checked all the same."""
    documents = [_inline(scope, name, each) for each in identities]
    return {
        "name": name,
        "description": f"Pods of {scope.cluster}",
        "trust": _trust(scope, identities),
        "managed_policies": [scope.managed(each) for each in identities[0].get("managed_policies") or []],
        "inline_policies": documents[0],
    }


def is_irsa(identity: t.Mapping[str, t.Any]) -> bool:
    """Whether a service account gets its role by a token of the cluster."""
    return identity.get("identity") == IRSA


def addon_of(identity: t.Mapping[str, t.Any]) -> str:
    """The add-on whose service account it is, empty where it is none's."""
    return _ADDONS.get((identity["namespace"], identity["service_account"]), "")


def _trust(scope: Scope, identities: t.Sequence[t.Mapping[str, t.Any]]) -> Object:
    """Who may assume a role: the agents of nodes for pods, or exactly these service accounts."""
    by_token = [each for each in identities if is_irsa(each)]
    if by_token and not scope.issuer:
        return {}
    statements: list[Object] = []
    if len(by_token) < len(identities):
        statements.append({"Effect": "Allow", "Principal": {"Service": PODS}, "Action": ASSUME})
    if by_token:
        host = scope.issuer.removeprefix("https://")
        subjects = {f"system:serviceaccount:{each['namespace']}:{each['service_account']}" for each in by_token}
        statements.append(
            {
                "Effect": "Allow",
                "Principal": {"Federated": f"arn:{scope.partition}:iam::{scope.account}:oidc-provider/{host}"},
                "Action": ["sts:AssumeRoleWithWebIdentity"],
                "Condition": {"StringEquals": {f"{host}:aud": AUDIENCE, f"{host}:sub": sorted(subjects)}},
            }
        )
    return {"Version": VERSION, "Statement": statements}


def role_name(scope: Scope, identity: t.Mapping[str, t.Any]) -> str:
    """Name of the role of a service account."""
    return str(identity.get("role") or f"{scope.cluster}-{identity['service_account']}")


def _inline(scope: Scope, role: str, identity: t.Mapping[str, t.Any]) -> dict[str, Object]:
    values = {
        "partition": scope.partition,
        "region": scope.region,
        "account": scope.account,
        "dns_zones": scope.dns_zones,
        "secrets": scope.secrets,
    }
    result: dict[str, Object] = {}
    for each in identity.get("policies") or []:
        if each not in KNOWN:
            raise HubspokeError(
                f"Cluster {scope.cluster}: the pod identity with role {role} names the unknown policy {each}.",
                f"Known are {', '.join(sorted(KNOWN))}; managed_policies takes ARNs, and statements your own.",
            )
        result[each] = KNOWN[each](**values)
    if identity.get("statements"):
        result["statements"] = policy(*identity["statements"])
    return result


def hub_identities(name: str, namespace: str, spokes: t.Sequence[str], identity: str = POD_IDENTITY) -> list[Object]:
    """Argo CD's service accounts on the hub, with one role that may assume the roles of spokes.

    :arg identity: How they get it.
    """
    return [
        {
            "namespace": namespace,
            "service_account": account,
            "role": name,
            "identity": identity,
            "statements": [allow(ASSUME, list(spokes))],
        }
        for account in ARGOCD_ACCOUNTS
    ]


def spoke_role(scope: Scope, name: str, hub: str, hub_account: str) -> Object:
    """The role on a spoke that the hub's role assumes.

    Its account is trusted under the condition that it is that role: naming the role itself would need it to be there
    first, and would be void once it was made anew.
    """
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:{scope.partition}:iam::{hub_account or scope.account}:root"},
        "Action": ASSUME,
        "Condition": {"ArnEquals": {"aws:PrincipalArn": scope.arn(hub, hub_account)}},
    }
    return {
        "name": name,
        "description": f"Argo CD on {scope.cluster}",
        "trust": {"Version": VERSION, "Statement": [statement]},
        "managed_policies": [],
    }
