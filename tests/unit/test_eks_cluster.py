# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Modules eks_cluster and eks_cluster_info against a backend that knows botocore's model."""

from __future__ import annotations

import typing as t

import pytest
import yaml

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.modules import eks_cluster, eks_cluster_info

from .eks_backend import ACCOUNT, REGION, Backend, Request, Store, refused
from .eks_walk import Runs

KEY_ARN = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
SEOUL: dict[str, t.Any] = {
    "role_arn": f"arn:aws:iam::{ACCOUNT}:role/seoul",
    "subnet_ids": ["subnet-b", "subnet-a"],
    "version": "1.33",
    "tags": {"team": "platform"},
}


class Clusters(Backend):
    """EKS with clusters."""

    def __init__(self) -> None:
        super().__init__()
        self.store = Store("cluster")

    def tagged(self, arn: str) -> Request:
        found = self.store.by_arn(arn, "arn")
        assert found
        return found

    def do_create_cluster(self, request: Request) -> Request:
        name, vpc = request["name"], request["resourcesVpcConfig"]
        item = {
            "version": "1.35",
            "upgradePolicy": {"supportType": "EXTENDED"},
            **{key: value for key, value in request.items() if key not in ("logging", "bootstrapSelfManagedAddons")},
            "arn": f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/{name}",
            "endpoint": "https://example.eks.amazonaws.com",
            "certificateAuthority": {"data": "Q0E="},
            "identity": {"oidc": {"issuer": "https://oidc.example.com"}},
            "resourcesVpcConfig": {
                "endpointPublicAccess": True,
                "publicAccessCidrs": ["0.0.0.0/0"],
                **vpc,
                **({} if vpc.get("endpointPublicAccess", True) else {"publicAccessCidrs": []}),
                "vpcId": "vpc-1",
                "clusterSecurityGroupId": "sg-1",
            },
            "logging": self._logging({}, request.get("logging", {})),
        }
        return {"cluster": self.store.add((name,), item)}

    @staticmethod
    def _logging(actual: Request, wanted: Request) -> Request:
        state = {kind: item["enabled"] for item in actual.get("clusterLogging", []) for kind in item["types"]}
        state |= {kind: item["enabled"] for item in wanted.get("clusterLogging", []) for kind in item["types"]}
        return {
            "clusterLogging": [
                {"types": [kind for kind in state if state[kind] is enabled], "enabled": enabled}
                for enabled in (True, False)
            ]
        }

    def do_describe_cluster(self, request: Request) -> Request:
        return {"cluster": self.store.look((request["name"],))}

    def do_list_clusters(self, request: Request) -> Request:
        return {"clusters": [name for (name,) in self.store.items]}

    def do_delete_cluster(self, request: Request) -> Request:
        if self.store.get((request["name"],)).get("deletionProtection"):
            raise refused("InvalidRequestException", "protected")
        return {"cluster": self.store.remove((request["name"],))}

    def do_describe_cluster_versions(self, request: Request) -> Request:
        return {"clusterVersions": [{"clusterVersion": f"1.{number}"} for number in (33, 34, 35, 36)]}

    def _changed(self, name: str) -> Request:
        item = self.store.get((name,))
        if item["status"] != "ACTIVE":
            raise refused("ResourceInUseException", "an update is in progress")
        item["status"] = "UPDATING"
        return item

    def do_update_cluster_config(self, request: Request) -> Request:
        parts = set(request) - {"name", "clientRequestToken"}
        assert len(parts) == 1, f"EKS takes one kind of change at a time: {parts}"
        vpc = set(request.get("resourcesVpcConfig", {}))
        assert not (vpc & {"subnetIds", "securityGroupIds"} and vpc - {"subnetIds", "securityGroupIds"}), vpc
        item = self._changed(request["name"])
        for part in parts:
            value = request[part]
            if part == "logging":
                value = self._logging(item["logging"], value)
            item[part] = {**item.get(part, {}), **value} if isinstance(value, dict) else value
        return self.started()

    def do_update_cluster_version(self, request: Request) -> Request:
        self._changed(request["name"])["version"] = request["version"]
        return self.started("VersionUpdate")

    def do_associate_encryption_config(self, request: Request) -> Request:
        self._changed(request["clusterName"])["encryptionConfig"] = request["encryptionConfig"]
        return self.started("AssociateEncryptionConfig")


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    return Runs(eks_cluster, Clusters(), monkeypatch, name="seoul")


@pytest.fixture
def there(runs: Runs) -> Runs:
    """The cluster is there already."""
    runs.run(**SEOUL)
    return runs


def test_the_walk(runs: Runs) -> None:
    created = runs.both(**SEOUL)
    assert created["actions"] == ["created"]
    assert created["cluster"]["status"] == "ACTIVE"
    assert created["cluster"]["subnet_ids"] == ["subnet-a", "subnet-b"]
    assert created["cluster"]["authentication_mode"] == "API"
    assert created["cluster"]["tags"] == {"team": "platform"}
    assert created["diff"]["before"] == ""
    assert yaml.safe_load(created["diff"]["after"])["version"] == "1.33"
    runs.same(**SEOUL)

    modified: dict[str, t.Any] = {
        **SEOUL,
        "subnet_ids": ["subnet-a", "subnet-c"],
        "security_group_ids": ["sg-2"],
        "endpoint_private_access": True,
        "public_access_cidrs": ["203.0.113.0/24"],
        "logging": ["audit", "api"],
        "encryption_key_arn": KEY_ARN,
        "upgrade_policy": "STANDARD",
        "deletion_protection": True,
        "zonal_shift": True,
        "version": "1.34",
        "tags": {"stage": "prod"},
    }
    done = runs.both(**modified)
    assert done["actions"] == [
        "subnet_ids: [subnet-a, subnet-b] → [subnet-a, subnet-c], security_group_ids: [] → [sg-2]",
        "endpoint_private_access: false → true, public_access_cidrs: [0.0.0.0/0] → [203.0.113.0/24]",
        "logging: [] → [api, audit]",
        "upgrade_policy: EXTENDED → STANDARD",
        "deletion_protection: false → true",
        "zonal_shift: false → true",
        f"encryption_key_arn: none → {KEY_ARN}",
        "version: 1.33 → 1.34",
        "tags: stage=prod",
        "tags: without team",
    ]
    assert {key: done["cluster"][key] for key in ("version", "logging", "tags")} == {
        "version": "1.34",
        "logging": ["api", "audit"],
        "tags": {"stage": "prod"},
    }
    runs.same(**modified)
    assert runs.run(logging=[])["actions"] == ["logging: [api, audit] → []"]
    runs.same(logging=[])

    gone = runs.both(state="absent", deletion_protection=False)
    assert gone["actions"] == ["deletion_protection: true → false", "deleted"]
    assert gone["cluster"] == {}
    assert gone["diff"]["after"] == ""
    runs.same(state="absent", deletion_protection=False)


def test_a_private_cluster_that_ignores_its_list(runs: Runs) -> None:
    private = {**SEOUL, "endpoint_public_access": False, "public_access_cidrs": ["203.0.113.0/24"]}
    runs.both(**private)
    runs.same(**private)


def test_networks_are_compared_as_such(there: Runs) -> None:
    there.run(public_access_cidrs=["203.0.113.0/24", "198.51.100.7/32"])
    there.same(public_access_cidrs=["198.51.100.7", "203.0.113.9/24"])
    assert there.run(check_mode=True, public_access_cidrs=["office"])["changed"]


def test_what_is_left_out_is_left_alone(there: Runs) -> None:
    there.run(logging=["api"], zonal_shift=True)
    there.same()
    there.same(tags={}, purge_tags=False)
    assert there.run(tags={})["actions"] == ["tags: without team"]


def test_only_a_creation_hears_of_its_creator(there: Runs) -> None:
    there.same(bootstrap_creator_admin=False, self_managed_addons=True)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"version": "1.32"}, "has version 1.33, and cannot go back to 1.32."),
        ({"version": "1.35"}, "one minor version at a time: 1.33 → 1.34 → 1.35."),
        ({"version": "1.36"}, 'one minor version at a time: 1.33 → 1.34 → 1.35 → 1.36. Set version to "1.34" first'),
        ({"version": "1.3"}, "'1.3' is not a Kubernetes version of EKS. Write it as"),
        ({"version": "v1.34"}, "'v1.34' is not a Kubernetes version"),
        (
            {"role_arn": "arn:other"},
            f"changed in role_arn: role_arn: {SEOUL['role_arn']} → arn:other. Give what it has",
        ),
        ({"authentication_mode": "CONFIG_MAP"}, "authentication_mode: API → CONFIG_MAP"),
        ({"state": "absent", "deletion_protection": True}, ""),
    ],
)
def test_what_cannot_be(there: Runs, params: dict[str, t.Any], message: str) -> None:
    if params.get("state"):
        there.run(deletion_protection=True)
        message = "has deletion protection. Set deletion_protection to false"
    assert message in there.refused(**params)


def test_a_key_cannot_be_changed(there: Runs) -> None:
    there.run(encryption_key_arn=KEY_ARN)
    assert "encryption_key_arn" in there.refused(encryption_key_arn=KEY_ARN + "2")


def test_an_unknown_version_is_refused_with_those_there_are(runs: Runs) -> None:
    assert runs.refused(**{**SEOUL, "version": "1.40"}) == (
        f"EKS in {REGION} has no version 1.40 for the cluster seoul. It has 1.36, 1.35, 1.34, 1.33."
    )


def test_who_may_not_read_versions_is_not_kept_from_creating(runs: Runs) -> None:
    runs.backend.failures["describe_cluster_versions"] = [refused("AccessDeniedException", "no")]
    assert runs.run(**SEOUL)["changed"]


def test_nothing_there_and_too_little_said(runs: Runs) -> None:
    assert "to create it role_arn and subnet_ids must be given" in runs.refused(version="1.34")


def test_what_is_made_before_it_has_no_id_in_check_mode(runs: Runs) -> None:
    early = {**SEOUL, "role_arn": "", "subnet_ids": []}
    assert runs.run(check_mode=True, **early)["actions"] == ["created"]
    with pytest.raises(HubspokeError, match="to create it role_arn and subnet_ids must be given"):
        runs.run(**early)
    runs.run(**SEOUL)
    runs.same(**early)


def test_access_modes_go_one_by_one(runs: Runs) -> None:
    runs.run(**SEOUL, authentication_mode="CONFIG_MAP")
    assert runs.both(authentication_mode="API")["actions"] == [
        "authentication_mode: CONFIG_MAP → API_AND_CONFIG_MAP",
        "authentication_mode: API_AND_CONFIG_MAP → API",
    ]
    runs.same(authentication_mode="API")


def test_an_update_that_eks_gives_up_fails(there: Runs) -> None:
    there.backend.update_failure = [{"errorCode": "SubnetNotFound", "errorMessage": "subnet-x is gone"}]
    with pytest.raises(HubspokeError, match=r"\(zonal_shift: .*\) failed: SubnetNotFound: subnet-x is gone") as error:
        there.run(zonal_shift=True)
    assert error.value.details["aws_code"] == "SubnetNotFound"


def test_a_refusal_names_thing_code_and_remedy(runs: Runs) -> None:
    runs.backend.failures["create_cluster"] = [
        refused("UnsupportedAvailabilityZoneException", "not in this zone", validZones=["2a", "2c"])
    ]
    with pytest.raises(HubspokeError) as error:
        runs.run(**SEOUL)
    assert str(error.value) == (
        "The cluster seoul cannot be created: UnsupportedAvailabilityZoneException: not in this zone. "
        "Take subnets in other availability zones. AWS names 2a, 2c."
    )
    assert error.value.details == {
        "aws_code": "UnsupportedAvailabilityZoneException",
        "aws_action": "eks:CreateCluster",
    }


def test_one_that_failed_is_not_built_on(there: Runs) -> None:
    there.backend.store.items["seoul",]["status"] = "FAILED"
    issue = {"code": "IamRoleNotFound", "message": "no role"}
    there.backend.store.items["seoul",]["health"] = {"issues": [issue]}
    assert "is FAILED: IamRoleNotFound: no role. Delete it" in there.refused(**SEOUL)
    assert there.both(state="absent")["changed"]


def test_without_waiting(runs: Runs) -> None:
    assert runs.run(**SEOUL, wait=False)["cluster"]["status"] == "CREATING"
    assert runs.slept == []
    # What is under way is waited for before it is changed.
    assert runs.run(zonal_shift=True, wait=False)["changed"]


def test_what_is_under_way_is_waited_for(there: Runs) -> None:
    there.backend.store.items["seoul",]["status"] = "UPDATING"
    asked = len(there.backend.calls)
    there.run(**SEOUL)
    assert len(there.backend.calls) == asked + 2
    # What goes away is waited for too, and made anew; check mode waits for nothing.
    for check_mode in (True, False):
        there.backend.store.items["seoul",] = {"name": "seoul", "status": "DELETING"}
        there.backend.calls.clear()
        assert there.run(check_mode=check_mode, **SEOUL)["actions"] == ["created"]
        looks = [operation for operation, _ in there.backend.calls].count("describe_cluster")
        assert (looks == 1) is check_mode


def test_what_is_not_read_everywhere_yet(runs: Runs) -> None:
    lost = refused("ResourceNotFoundException", "No cluster found")
    runs.backend.failures["describe_cluster"] = [lost] * 4
    assert runs.run(**SEOUL)["cluster"]["status"] == "ACTIVE"
    assert "cluster seoul: not to be seen" in runs.progress
    runs.backend.failures["describe_cluster"] = [None, *[lost] * 9]
    with pytest.raises(HubspokeError, match="went away while it was waited for"):
        runs.run(zonal_shift=True)


def test_what_belongs_to_it_goes_first(there: Runs) -> None:
    there.backend.failures["delete_cluster"] = [refused("ResourceInUseException", "Cluster has nodegroups attached")]
    with pytest.raises(HubspokeError, match=r"has nodegroups attached\. Delete what belongs to it first: node groups"):
        there.run(state="absent")


def test_it_takes_too_long(runs: Runs) -> None:
    with pytest.raises(HubspokeError, match="The cluster seoul is still CREATING after 0 s"):
        runs.run(**SEOUL, wait_timeout=0)


def test_reading(monkeypatch: pytest.MonkeyPatch, there: Runs) -> None:
    info = Runs(eks_cluster_info, there.backend, monkeypatch)
    assert [cluster["name"] for cluster in info.run()["clusters"]] == ["seoul"]
    (cluster,) = info.run(names=["seoul", "busan"])["clusters"]
    assert cluster == there.run()["cluster"]
    logged = info.run(debug_botocore_endpoint_logs=True)
    assert logged["resource_actions"] == ["eks:DescribeCluster", "eks:ListClusters"]
