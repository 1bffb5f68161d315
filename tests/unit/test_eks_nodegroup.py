# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module eks_nodegroup against a backend that knows botocore's model."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.modules import eks_nodegroup

from .eks_backend import ACCOUNT, REGION, Backend, Request, Store, refused
from .eks_walk import Runs

ARM: dict[str, t.Any] = {
    "node_role_arn": f"arn:aws:iam::{ACCOUNT}:role/nodes",
    "subnet_ids": ["subnet-b", "subnet-a"],
    "ami_type": "AL2023_ARM_64_STANDARD",
    "instance_types": ["m7g.large", "m6g.large"],
    "capacity_type": "SPOT",
    "disk_size": 50,
    "scaling": {"min_size": 1, "max_size": 3},
    "labels": {"pool": "general", "old": "yes"},
    "taints": [{"key": "arch", "value": "arm64", "effect": "NO_SCHEDULE"}],
    "update_config": {"max_unavailable": 1},
    "version": "1.33",
    "tags": {"team": "platform"},
}


class Nodegroups(Backend):
    """EKS with one cluster of version 1.34 and its node groups."""

    def __init__(self) -> None:
        super().__init__()
        self.store = Store("node group")

    def tagged(self, arn: str) -> Request:
        return t.cast("Request", self.store.by_arn(arn, "nodegroupArn"))

    @property
    def one(self) -> Request:
        return self.store.items["arm",]

    def do_describe_cluster(self, request: Request) -> Request:
        return {"cluster": {"name": request["name"], "version": "1.34"}}

    def do_create_nodegroup(self, request: Request) -> Request:
        item = {
            "version": "1.34",
            "scalingConfig": {"minSize": 1, "maxSize": 2, "desiredSize": 2},
            "releaseVersion": "1.33.1-20251101",
            **request,
            "nodegroupArn": f"arn:aws:eks:{REGION}:{ACCOUNT}:nodegroup/seoul/arm/1",
            "resources": {"autoScalingGroups": [{"name": "eks-arm-1"}]},
        }
        return {"nodegroup": self.store.add((request["nodegroupName"],), item)}

    def do_describe_nodegroup(self, request: Request) -> Request:
        return {"nodegroup": self.store.look((request["nodegroupName"],))}

    def do_update_nodegroup_config(self, request: Request) -> Request:
        item = self._changed(request)
        sizes = request.get("scalingConfig")
        if sizes:
            assert sizes["minSize"] <= sizes["desiredSize"] <= sizes["maxSize"], sizes
        for part in ("scalingConfig", "updateConfig"):
            item[part] = {**item.get(part, {}), **request.get(part, {})}
        labels = request.get("labels", {})
        item["labels"] = {**item.get("labels", {}), **labels.get("addOrUpdateLabels", {})}
        for key in labels.get("removeLabels", []):
            del item["labels"][key]
        taints = request.get("taints", {})
        touched = [self._taint(each) for part in taints.values() for each in part]
        kept = [each for each in item.get("taints", []) if self._taint(each) not in touched]
        item["taints"] = kept + taints.get("addOrUpdateTaints", [])
        return self.started()

    @staticmethod
    def _taint(taint: Request) -> tuple[str, str]:
        return taint["key"], taint["effect"]

    def do_update_nodegroup_version(self, request: Request) -> Request:
        item = self._changed(request)
        for key in ("version", "releaseVersion"):
            item[key] = request.get(key, item.get(key))
        return self.started("VersionUpdate")

    def _changed(self, request: Request) -> Request:
        item = self.store.get((request["nodegroupName"],))
        if item["status"] != "ACTIVE":
            raise refused("ResourceInUseException", "an update is in progress")
        item["status"] = "UPDATING"
        return item

    def do_delete_nodegroup(self, request: Request) -> Request:
        return {"nodegroup": self.store.remove((request["nodegroupName"],))}


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    return Runs(eks_nodegroup, Nodegroups(), monkeypatch, cluster_name="seoul", name="arm")


@pytest.fixture
def there(runs: Runs) -> Runs:
    """The node group is there already."""
    runs.run(**ARM)
    return runs


def _group(runs: Runs) -> Request:
    return t.cast("Nodegroups", runs.backend).one


def test_the_walk(runs: Runs) -> None:
    created = runs.both(**ARM)
    assert created["actions"] == ["created"]
    assert created["nodegroup"]["autoscaling_groups"] == ["eks-arm-1"]
    assert created["nodegroup"]["scaling"] == {"min_size": 1, "max_size": 3, "desired_size": 1}
    assert created["nodegroup"]["subnet_ids"] == ["subnet-a", "subnet-b"]
    runs.same(**ARM)

    modified: dict[str, t.Any] = {
        **ARM,
        "scaling": {"min_size": 2, "max_size": 5},
        "labels": {"pool": "web"},
        "taints": [
            {"key": "arch", "value": "arm", "effect": "NO_SCHEDULE"},
            {"key": "spot", "effect": "PREFER_NO_SCHEDULE"},
        ],
        "version": "1.34",
        "release_version": "1.34.2-20251112",
        "tags": {},
    }
    done = runs.both(**modified)
    assert done["actions"] == [
        "scaling.min_size: 1 → 2, scaling.max_size: 3 → 5, scaling.desired_size: 1 → 2, "
        "labels: {pool: general, old: yes} → {pool: web}, "
        "taints: [{key: arch, value: arm64, effect: NO_SCHEDULE}] → [{key: arch, value: arm, effect: NO_SCHEDULE}, "
        "{key: spot, value: none, effect: PREFER_NO_SCHEDULE}]",
        "version: 1.33 → 1.34, release_version: 1.33.1-20251101 → 1.34.2-20251112",
        "tags: without team",
    ]
    assert done["nodegroup"]["labels"] == {"pool": "web"}
    runs.same(**modified)
    runs.same()
    assert runs.both(labels={}, taints=[])["nodegroup"]["taints"] == []
    assert runs.both(state="absent")["actions"] == ["deleted"]
    runs.same(state="absent")


@pytest.mark.parametrize(
    ("given", "sizes"),
    [
        ({}, (1, 2, 2)),  # EKS's own
        ({"min_size": 2}, (2, 2, 2)),
        ({"max_size": 4}, (1, 4, 1)),
        ({"desired_size": 3}, (3, 3, 3)),
        ({"min_size": 0}, (0, 1, 0)),
        ({"min_size": 0, "desired_size": 2, "max_size": 4}, (0, 4, 2)),
    ],
)
def test_sizes_of_a_new_group(runs: Runs, given: dict[str, int], sizes: tuple[int, int, int]) -> None:
    made = runs.both(**{**ARM, "scaling": given})["nodegroup"]["scaling"]
    assert made == dict(zip(("min_size", "max_size", "desired_size"), sizes, strict=True))


def test_how_many_nodes_there_are_belongs_to_those_who_scale(there: Runs) -> None:
    _group(there)["scalingConfig"]["desiredSize"] = 3
    there.same(scaling={"min_size": 1, "max_size": 3, "desired_size": 1})
    assert there.both(scaling={"max_size": 2})["nodegroup"]["scaling"]["desired_size"] == 2
    forced = {"scaling": {"desired_size": 1, "force_desired": True}}
    assert there.both(**forced)["actions"] == ["scaling.desired_size: 2 → 1"]
    there.same(**forced)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"version": "1.35"}, "The node group arm of seoul cannot have version 1.35, as its control plane has 1.34."),
        ({"version": "1.32"}, "has version 1.33, and cannot go back to 1.32"),
        ({"instance_types": ["m6g.large", "m7g.large"]}, "cannot be changed in instance_types"),
        ({"capacity_type": "ON_DEMAND", "disk_size": 20}, "cannot be changed in capacity_type and disk_size"),
    ],
)
def test_what_cannot_be(there: Runs, params: dict[str, t.Any], message: str) -> None:
    assert message in there.refused(**params)


def test_a_new_group_is_not_newer_than_its_control_plane(runs: Runs) -> None:
    assert "control plane has 1.34" in runs.refused(**{**ARM, "version": "1.35"})
    assert "node_role_arn and subnet_ids must be given" in runs.refused(version="1.34")


def test_an_upgrade_in_spite_of_budgets(there: Runs) -> None:
    there.run(version="1.34", force_update=True)
    request = next(request for operation, request in there.backend.calls if operation == "update_nodegroup_version")
    assert request == {"clusterName": "seoul", "nodegroupName": "arm", "version": "1.34", "force": True}


def test_an_upgrade_that_eks_gives_up(there: Runs) -> None:
    there.backend.update_failure = [{"errorCode": "PodEvictionFailure", "errorMessage": "web cannot be moved"}]
    with pytest.raises(HubspokeError, match="failed: PodEvictionFailure: web cannot be moved"):
        there.run(version="1.34")


def test_a_degraded_group_is_told(there: Runs) -> None:
    issue = {"code": "AsgInstanceLaunchFailures", "message": "no capacity"}
    _group(there).update(status="DEGRADED", health={"issues": [issue]})
    there.same(**ARM)
    assert there.warnings == ["The node group arm of seoul is DEGRADED: AsgInstanceLaunchFailures: no capacity."]


def test_one_that_cannot_be_deleted(there: Runs) -> None:
    def stays(request: Request) -> Request:
        _group(there).update(status="DELETE_FAILED", health={"issues": [{"code": "Ec2SecurityGroupDeletionFailure"}]})
        return {}

    t.cast("t.Any", there.backend).do_delete_nodegroup = stays
    with pytest.raises(HubspokeError, match="cannot be deleted: Ec2SecurityGroupDeletionFailure"):
        there.run(state="absent")
