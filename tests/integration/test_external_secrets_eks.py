# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""External Secrets on a cluster of the look-alike of EKS, with the credentials of its service account."""

from __future__ import annotations

import base64
import json
import pathlib
import typing as t

import boto3
import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube

from .conftest import Run
from .test_local_aws import REGION, Apply, Place, address, apply, place, role, seoul, wait

__all__ = ["address", "apply", "place"]

SHARED = {"JWT_SECRET": "a", "DB_PASSWORD": "b"}
VARIABLES: dict[str, t.Any] = {
    "cluster_simulated": True,
    "cluster_provider_used": "eks",
    "cluster_region": REGION,
    "cluster_name": "seoul",
    "external_secrets_service_account": "external-secrets-sa",
    "external_secrets_stores": [{"name": "aws-secrets-store"}],
    "external_secrets_external_secrets": [
        {
            "name": "shared-secrets",
            "namespace": "wealist-prod",
            "store": "aws-secrets-store",
            "target": "wealist-shared-secret",
            "extract": ["wealist/prod/shared"],
        }
    ],
}


@pytest.fixture
def cluster(address: str) -> dict[str, t.Any]:
    """A cluster with a node."""
    eks, subnets = seoul()
    nodes = role("nodes", {"Service": "ec2.amazonaws.com"})
    eks.create_nodegroup(clusterName="seoul", nodegroupName="n", subnets=subnets[:1], nodeRole=nodes)
    wait(eks, "nodegroup_active", clusterName="seoul", nodegroupName="n")
    found: dict[str, t.Any] = eks.describe_cluster(name="seoul")["cluster"]
    return found


@pytest.mark.slow
@pytest.mark.ansible
def test_by_pod_identity(
    place: Place,
    address: str,
    cluster: dict[str, t.Any],
    play: Apply,
    tools: dict[str, str],
    tmp_path: pathlib.Path,
) -> None:
    kubeconfig = str(tmp_path / "kubeconfig")

    def run(*tasks: dict[str, t.Any], **given: t.Any) -> Run:
        state = {"cluster_kubeconfig": kubeconfig, "hubspoke_state_dir": str(place[0].parent / "eso-eks")}
        defaults = {"group/hubspoke.bootstrap.all": {"kubeconfig": kubeconfig}}
        written = {"name": "seoul", "region": REGION, "path": kubeconfig, "cluster": "{{ read.clusters[0] }}"}
        read = {"hubspoke.bootstrap.eks_cluster_info": {"names": ["seoul"], "region": REGION}, "register": "read"}
        found: Run = play(
            [
                {
                    "hosts": "all",
                    "gather_facts": False,
                    "vars": {**VARIABLES, **state, **given},
                    "module_defaults": defaults,
                    "tasks": [read, {"hubspoke.bootstrap.eks_kubeconfig": written}, *tasks],
                }
            ],
            environment={"AWS_ENDPOINT_URL": address},
        )
        return found

    role_task = {"include_role": {"name": "hubspoke.bootstrap.external_secrets"}}
    stop = {"include_role": {"name": "hubspoke.bootstrap.local_controllers", "tasks_from": "absent"}}
    boto3.client("secretsmanager").create_secret(Name="wealist/prod/shared", SecretString=json.dumps(SHARED))
    try:
        without = run(role_task, external_secrets_wait_timeout=30)
        assert without.code != 0
        (message,) = (line["result"]["msg"] for line in without.lines if line["status"] == "failed")
        assert message.startswith("Not every store is ready after 30 s. ClusterSecretStore aws-secrets-store: ")
        assert "EKS Pod Identity association" in message

        boto3.client("eks").create_pod_identity_association(
            clusterName="seoul",
            namespace="external-secrets",
            serviceAccount="external-secrets-sa",
            roleArn=role("secrets", {"Service": "pods.eks.amazonaws.com"}),
        )
        done = run(role_task, external_secrets_wait_timeout=90)
        assert done.code == 0, done.output[-4000:]
        kube = Kube.from_params({"kubeconfig": kubeconfig})
        secret = kube.get("v1", "Secret", "wealist-shared-secret", "wealist-prod")
        assert secret
        assert {key: base64.b64decode(value).decode() for key, value in secret["data"].items()} == SHARED
    finally:
        assert run(stop).code == 0
