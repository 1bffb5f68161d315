# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pod Identity for processes on this machine: what the agent on a node answers to the SDKs in a pod.

A process is given AWS_CONTAINER_CREDENTIALS_FULL_URI, which names its cluster and service account where in a pod the
token would.
"""

from __future__ import annotations

import typing as t
import uuid
from collections.abc import Callable, Mapping

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_moto as moto
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_app import Answer, as_json
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_eks_pod_identity import SERVICE, find
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_errors import AwsError, not_found
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_sts import Sts
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_world import Cluster, Shape, World

PATH = "pod-identity"


def credentials(world: World, sts: Sts) -> Callable[[str, list[str], Mapping[str, str], bytes], Answer]:
    """The endpoint below /local-aws/pod-identity/region/cluster/namespace/service account."""

    def answer(method: str, rest: list[str], headers: Mapping[str, str], body: bytes) -> Answer:
        if not headers.get("Authorization"):
            raise AwsError("InvalidTokenException", "Service account token cannot be empty", 400)
        if len(rest) != 4:
            raise AwsError("InvalidRequestException", "The path is region/cluster/namespace/service account.", 400)
        region, name, namespace, account = rest
        cluster = next((item for key, item in world.clusters.items() if key[1:] == (region, name)), None)
        if cluster is None:
            raise not_found(f"No cluster found for name: {name}.")
        association = find(cluster, namespace, account)
        if association is None:
            raise not_found(f"No pod identity association for service account {account} in namespace {namespace}")
        return as_json(_shown(_assume(sts, cluster, association)))

    return answer


def _assume(sts: Sts, cluster: Cluster, association: Shape) -> t.Any:
    namespace, account = association["namespace"], association["serviceAccount"]
    tags = {
        "eks-cluster-arn": cluster.shape["arn"],
        "eks-cluster-name": cluster.name,
        "kubernetes-namespace": namespace,
        "kubernetes-service-account": account,
        "kubernetes-pod-name": f"{account}-process",
        "kubernetes-pod-uid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{cluster.shape['arn']}/{namespace}/{account}")),
    }
    session = f"eks-{cluster.name}-{account}"[:64]
    given = {} if association.get("disableSessionTags") else tags
    taken = sts.assume_for_service(SERVICE, cluster.shape["arn"], association["roleArn"], session, given)
    if target := association.get("targetRoleArn"):
        first = moto.caller(taken.access_key_id)
        return sts.assume(
            first, cluster.region, target, session, external_id=association.get("externalId", ""), tags=given
        )
    return taken


def _shown(taken: t.Any) -> Shape:
    return {
        "AccessKeyId": taken.access_key_id,
        "SecretAccessKey": taken.secret_access_key,
        "Token": taken.session_token,
        "AccountId": taken.account_id,
        "Expiration": taken.expiration.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
