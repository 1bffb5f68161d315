# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Two regions from their bootstrap to their upgrade, seen through the APIs of AWS and of the clusters, in order."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import typing as t

import bootstrapped
import boto3
import fleet
import pytest
import rehearsed
from rehearsed import HUB, REGIONS, SPOKE

os.environ.update(rehearsed.environment())

MOST_CALLS = 60
LATER = ("--extra-vars=cluster_version=1.35", "--extra-vars=eks_cluster_identity=irsa")
"""An upgrade, and IRSA in place of Pod Identity: in one run, since runs are what takes time here."""
ARGOCD_ACCOUNTS = ("argocd-application-controller", "argocd-applicationset-controller", "argocd-server")
SPOKE_ROLE = f"arn:aws:iam::123456789012:role/{SPOKE}-argocd-spoke"


def _client(service: str, cluster: str) -> t.Any:
    return boto3.client(service, region_name=REGIONS[cluster])


def _applications() -> dict[str, tuple[str, str]]:
    return {
        item["metadata"]["name"]: (item["status"]["sync"]["status"], item["status"]["health"]["status"])
        for item in bootstrapped.objects("argoproj.io/v1alpha1", "Application", cluster=HUB)
    }


@pytest.mark.parametrize("cluster", [HUB, SPOKE])
def test_nodes_are_arm64_in_two_zones(cluster: str) -> None:
    labels = [node["metadata"]["labels"] for node in bootstrapped.objects("v1", "Node", cluster=cluster)]
    assert {each["kubernetes.io/arch"] for each in labels} == {"arm64"}
    assert {each["workload"] for each in labels} == {"general"}
    assert len({each["topology.kubernetes.io/zone"] for each in labels}) == 2


@pytest.mark.parametrize("cluster", [HUB, SPOKE])
def test_encrypted_volumes_are_the_default(cluster: str) -> None:
    mark = "storageclass.kubernetes.io/is-default-class"
    classes = bootstrapped.objects("storage.k8s.io/v1", "StorageClass", cluster=cluster)
    (default,) = [each for each in classes if (each["metadata"].get("annotations") or {}).get(mark) == "true"]
    assert default["metadata"]["name"] == "gp3-encrypted"
    assert default["parameters"] == {"type": "gp3", "encrypted": "true"}


def test_networks_are_peered_both_ways() -> None:
    for cluster, other in ((HUB, "10.20.0.0/16"), (SPOKE, "10.10.0.0/16")):
        ec2 = _client("ec2", cluster)
        ours = [{"Name": "tag:hubspoke.bootstrap/cluster", "Values": [cluster]}]
        tables = ec2.describe_route_tables(Filters=ours)["RouteTables"]
        assert len(tables) == 2
        for table in tables:
            routes = {route.get("DestinationCidrBlock"): route for route in table["Routes"]}
            assert routes[other]["VpcPeeringConnectionId"].startswith("pcx-")


def test_the_spoke_is_registered_without_a_secret() -> None:
    selector = "argocd.argoproj.io/secret-type"
    secrets = bootstrapped.objects("v1", "Secret", "argocd", cluster=HUB)
    clusters = {
        base64.b64decode(each["data"]["name"]).decode(): json.loads(base64.b64decode(each["data"]["config"]))
        for each in secrets
        if (each["metadata"].get("labels") or {}).get(selector) == "cluster"
    }
    assert set(clusters) == {HUB, SPOKE}
    assert clusters[SPOKE]["awsAuthConfig"] == {"clusterName": SPOKE, "roleARN": SPOKE_ROLE}
    assert set(clusters[SPOKE]) == {"awsAuthConfig", "tlsClientConfig"}
    assert set(clusters[SPOKE]["tlsClientConfig"]) <= {"caData", "insecure"}


def test_argo_cd_brought_the_service_to_both_regions() -> None:
    assert _applications() == {"lionpay-seoul": ("Synced", "Healthy"), "lionpay-tokyo": ("Synced", "Healthy")}
    for cluster, region in ((HUB, "seoul"), (SPOKE, "tokyo")):
        names = {each["metadata"]["name"] for each in bootstrapped.objects("apps/v1", "Deployment", "lionpay", cluster)}
        assert names == {"lionpay-auth", "lionpay-wallet"}
        settings = bootstrapped.objects("v1", "ConfigMap", "lionpay", cluster)
        assert {"region": region} in [each.get("data") for each in settings]


def test_another_run_asks_little_and_writes_nothing() -> None:
    _repeat()


def _repeat(*arguments: str) -> None:
    rehearsed.calls("DELETE")
    output, changed = bootstrapped.play("playbooks/rehearse.yml", *arguments)
    assert changed == 0, output
    found = rehearsed.calls()
    assert found["writes"] == 0
    assert 0 < found["total"] <= MOST_CALLS, found


def test_without_its_access_entry_argo_cd_is_locked_out_until_a_run_brings_it_back() -> None:
    eks = _client("eks", SPOKE)
    eks.delete_access_entry(clusterName=SPOKE, principalArn=SPOKE_ROLE)
    output, changed = bootstrapped.play("bootstrap.yml", "--check")
    assert changed == 1, output
    assert SPOKE_ROLE not in eks.list_access_entries(clusterName=SPOKE)["accessEntries"]
    output, changed = bootstrapped.play("bootstrap.yml")
    assert changed == 1, output
    assert SPOKE_ROLE in eks.list_access_entries(clusterName=SPOKE)["accessEntries"]
    fleet.wait_for(lambda: set(_applications().values()) == {("Synced", "Healthy")})


def test_tokyo_runs_alone_into_the_hub_that_is_there() -> None:
    inventory = pathlib.Path(bootstrapped.ROOT) / "inventories/tokyo"
    output, changed = bootstrapped.play("bootstrap.yml", f"--inventory={inventory}", inventory=inventory)
    assert changed == 0, output


def test_a_skipped_version_is_refused_with_the_way() -> None:
    code, output, changed = bootstrapped.try_play("bootstrap.yml", "--extra-vars=cluster_version=1.36")
    assert (code != 0, changed) == (True, 0), output
    assert "1.35" in output


def test_an_upgrade_takes_everything_along() -> None:
    output, changed = bootstrapped.play("bootstrap.yml", *LATER, "--check", "--diff")
    assert changed >= 2, output
    assert "1.35" in output
    assert _versions() == {HUB: {"1.34"}, SPOKE: {"1.34"}}
    output, changed = bootstrapped.play("bootstrap.yml", *LATER)
    assert changed >= 2, output
    assert _versions() == {HUB: {"1.35"}, SPOKE: {"1.35"}}
    _repeat(*LATER)


def _versions() -> dict[str, set[str]]:
    """Of control planes and nodes."""
    found = {}
    for cluster in REGIONS:
        eks = _client("eks", cluster)
        nodes = eks.describe_nodegroup(clusterName=cluster, nodegroupName="general")["nodegroup"]
        found[cluster] = {eks.describe_cluster(name=cluster)["cluster"]["version"], nodes["version"]}
    return found


def test_service_accounts_have_their_roles_by_tokens_since() -> None:
    issuers = {
        _client("eks", each).describe_cluster(name=each)["cluster"]["identity"]["oidc"]["issuer"] for each in REGIONS
    }
    providers = _client("iam", HUB).list_open_id_connect_providers()["OpenIDConnectProviderList"]
    assert {f"https://{each['Arn'].partition('/')[2]}" for each in providers} == issuers
    for cluster in REGIONS:
        eks = _client("eks", cluster)
        assert eks.list_pod_identity_associations(clusterName=cluster)["associations"] == []
        addon = eks.describe_addon(clusterName=cluster, addonName="aws-ebs-csi-driver")["addon"]
        assert addon["serviceAccountRoleArn"].endswith(f":role/{cluster}-ebs-csi-controller-sa")
    tokens = bootstrapped.STATE / "processes" / HUB / "argocd-web-identity/tokens"
    modes = {path.name: path.stat().st_mode & 0o777 for path in tokens.iterdir() if not path.name.startswith(".")}
    assert modes == dict.fromkeys(ARGOCD_ACCOUNTS, 0o600)
    named = {
        each["metadata"]["name"]: (each["metadata"].get("annotations") or {}).get("eks.amazonaws.com/role-arn")
        for each in bootstrapped.objects("v1", "ServiceAccount", "argocd", HUB)
    }
    role = f"arn:aws:iam::123456789012:role/{HUB}-argocd-hub"
    assert {name for name, arn in named.items() if arn == role} == set(ARGOCD_ACCOUNTS)


def test_with_that_argo_cd_still_reaches_tokyo() -> None:
    deployments = bootstrapped.api(SPOKE).resources.get(api_version="apps/v1", kind="Deployment")
    before = deployments.get(name="lionpay-auth", namespace="lionpay").metadata.uid
    deployments.delete(name="lionpay-auth", namespace="lionpay")

    def made_anew() -> bool:
        found = bootstrapped.objects("apps/v1", "Deployment", "lionpay", SPOKE)
        return any(each["metadata"]["name"] == "lionpay-auth" and each["metadata"]["uid"] != before for each in found)

    fleet.wait_for(made_anew)
    fleet.wait_for(lambda: set(_applications().values()) == {("Synced", "Healthy")})
