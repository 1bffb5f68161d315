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

_CLUSTER_POLICIES = ("AmazonEKSClusterPolicy",)
_NODE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly", "AmazonEKS_CNI_Policy")


@dataclass(frozen=True)
class Scope:
    """The cluster that roles are for."""

    cluster: str
    region: str
    account: str
    partition: str = "aws"
    dns_zones: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()

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
    """The roles of service accounts, by EKS Pod Identity. Several accounts may share one.

    :raises HubspokeError: an identity names a policy that nobody knows.
    """
    result: dict[str, Object] = {}
    for identity in identities:
        if identity.get("role_arn"):
            continue  # somebody else looks after it
        name = role_name(scope, identity)
        statement = {"Effect": "Allow", "Principal": {"Service": PODS}, "Action": ASSUME}
        role = {
            "name": name,
            "description": f"Pods of {scope.cluster}",
            "trust": {"Version": VERSION, "Statement": [statement]},
            "managed_policies": [scope.managed(each) for each in identity.get("managed_policies") or []],
            "inline_policies": _inline(scope, name, identity),
        }
        result.setdefault(name, role)
    return list(result.values())


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


def hub_identities(name: str, namespace: str, spokes: t.Sequence[str]) -> list[Object]:
    """Argo CD's service accounts on the hub, with one role that may assume the roles of spokes."""
    return [
        {
            "namespace": namespace,
            "service_account": account,
            "role": name,
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
