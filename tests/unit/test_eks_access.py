# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Modules eks_access_entry and eks_pod_identity_association against a backend that knows botocore's model."""

from __future__ import annotations

import typing as t

import pytest
import yaml

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.modules import eks_access_entry, eks_pod_identity_association

from .eks_backend import ACCOUNT, REGION, Backend, Request, Store, refused
from .eks_walk import Runs

ROLE = f"arn:aws:iam::{ACCOUNT}:role/argocd"
OTHER = f"arn:aws:iam::{ACCOUNT}:role/other"
POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKS{}Policy"


class Entries(Backend):
    """EKS with access entries."""

    def __init__(self) -> None:
        super().__init__()
        self.store = Store("access entry")
        self.policies: dict[str, Request] = {}

    def tagged(self, arn: str) -> Request:
        return t.cast("Request", self.store.by_arn(arn, "accessEntryArn"))

    def do_create_access_entry(self, request: Request) -> Request:
        defaults = {"type": "STANDARD", "username": request["principalArn"], "kubernetesGroups": []}
        arn = f"arn:aws:eks:{REGION}:{ACCOUNT}:access-entry/tokyo/1"
        self.policies = {}
        item = {**defaults, **request, "accessEntryArn": arn}
        return {"accessEntry": self.store.add((request["principalArn"],), item, status="")}

    def do_describe_access_entry(self, request: Request) -> Request:
        return {"accessEntry": self.store.look((request["principalArn"],))}

    def do_update_access_entry(self, request: Request) -> Request:
        item = self.store.get((request["principalArn"],))
        item.update(request)
        return {"accessEntry": dict(item)}

    def do_delete_access_entry(self, request: Request) -> Request:
        self.store.remove((request["principalArn"],))
        return {}

    def do_list_associated_access_policies(self, request: Request) -> Request:
        self.store.get((request["principalArn"],))
        return {"associatedAccessPolicies": list(self.policies.values())}

    def do_associate_access_policy(self, request: Request) -> Request:
        self.store.get((request["principalArn"],))
        assert (request["accessScope"]["type"] == "namespace") is bool(request["accessScope"].get("namespaces"))
        policy = {key: request[key] for key in ("policyArn", "accessScope")}
        self.policies[request["policyArn"]] = policy
        return {"associatedAccessPolicy": policy}

    def do_disassociate_access_policy(self, request: Request) -> Request:
        del self.policies[request["policyArn"]]
        return {}


class Associations(Backend):
    """EKS with Pod Identity associations."""

    def __init__(self) -> None:
        super().__init__()
        self.store = Store("association")

    def tagged(self, arn: str) -> Request:
        return t.cast("Request", self.store.by_arn(arn, "associationArn"))

    def do_list_pod_identity_associations(self, request: Request) -> Request:
        keys = ("clusterName", "namespace", "serviceAccount", "associationArn", "associationId", "ownerArn")
        found = [item for item in self.store.items.values() if item["namespace"] == request["namespace"]]
        return {"associations": [{key: item[key] for key in keys if key in item} for item in found]}

    def do_create_pod_identity_association(self, request: Request) -> Request:
        number = f"a-{len(self.calls)}"
        arn = f"arn:aws:eks:{REGION}:{ACCOUNT}:podidentityassociation/seoul/{number}"
        item = {**request, "associationId": number, "associationArn": arn}
        return {"association": self.store.add((number,), item, status="")}

    def do_describe_pod_identity_association(self, request: Request) -> Request:
        return {"association": self.store.look((request["associationId"],))}

    def do_update_pod_identity_association(self, request: Request) -> Request:
        item = self.store.get((request["associationId"],))
        item.update(request)
        return {"association": dict(item)}

    def do_delete_pod_identity_association(self, request: Request) -> Request:
        return {"association": self.store.remove((request["associationId"],))}


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> Runs:
    return Runs(eks_access_entry, Entries(), monkeypatch, cluster_name="tokyo", principal_arn=ROLE)


@pytest.fixture
def associations(monkeypatch: pytest.MonkeyPatch) -> Runs:
    names = {"cluster_name": "seoul", "namespace": "argocd", "service_account": "argocd-server"}
    return Runs(eks_pod_identity_association, Associations(), monkeypatch, **names)


def test_the_walk_of_an_access_entry(entries: Runs) -> None:
    policies: list[dict[str, t.Any]] = [
        {"policy": "AmazonEKSViewPolicy"},
        {"policy": POLICY.format("Edit"), "namespaces": ["b", "a"]},
    ]
    made = entries.both(policies=policies, kubernetes_groups=["readers"], tags={"team": "platform"})
    assert made["actions"] == [
        "created",
        "policy AmazonEKSEditPolicy in a, b",
        "policy AmazonEKSViewPolicy in the cluster",
    ]
    assert made["access_entry"]["policies"] == [
        {"policy": POLICY.format("Edit"), "scope": "namespace", "namespaces": ["a", "b"]},
        {"policy": POLICY.format("View"), "scope": "cluster", "namespaces": []},
    ]
    entries.same(2, policies=policies, kubernetes_groups=["readers"], tags={"team": "platform"})
    entries.same(2)

    policies = [{"policy": "AmazonEKSEditPolicy", "namespaces": ["a"]}, {"policy": "AmazonEKSAdminPolicy"}]
    done = entries.both(policies=policies, kubernetes_groups=[], username="argocd", tags={})
    assert done["actions"] == [
        "kubernetes_groups: [readers] → [], username: " + ROLE + " → argocd",
        "policy AmazonEKSAdminPolicy in the cluster",
        "policy AmazonEKSEditPolicy in a",
        "without policy AmazonEKSViewPolicy",
        "tags: without team",
    ]
    assert yaml.safe_load(done["diff"]["after"])["kubernetes_groups"] == []
    entries.same(2, policies=policies, kubernetes_groups=[], username="argocd", tags={})

    assert entries.both(state="absent")["actions"] == ["deleted"]
    entries.same(1, state="absent")


def test_policies_that_are_not_named_can_stay(entries: Runs) -> None:
    entries.run(policies=[{"policy": "AmazonEKSViewPolicy"}])
    kept = entries.both(policies=[{"policy": "AmazonEKSEditPolicy"}], purge_policies=False)
    assert len(kept["access_entry"]["policies"]) == 2
    entries.same(2, policies=[{"policy": "AmazonEKSEditPolicy"}], purge_policies=False)
    assert len(entries.both(policies=[])["actions"]) == 2


def test_the_partition_is_that_of_the_principal(entries: Runs) -> None:
    made = entries.both(principal_arn="arn:aws-cn:iam::1:role/x", policies=[{"policy": "AmazonEKSViewPolicy"}])
    assert made["access_entry"]["policies"][0]["policy"].startswith("arn:aws-cn:eks::aws:cluster-access-policy/")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"principal_arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/argocd/me"}, f"Give the role itself, {ROLE}"),
        ({"policies": [{"policy": "A", "scope": "namespace"}]}, "has scope namespace and no namespaces"),
        ({"policies": [{"policy": "A", "scope": "cluster", "namespaces": ["a"]}]}, "scope cluster and namespaces"),
        ({"policies": [{"policy": "A"}, {"policy": "A", "namespaces": ["a"]}]}, "cluster-access-policy/A twice"),
        ({"type": "EC2_LINUX"}, "cannot be changed in type: type: STANDARD → EC2_LINUX"),
    ],
)
def test_entries_that_cannot_be(entries: Runs, params: dict[str, t.Any], message: str) -> None:
    entries.run()
    assert message in entries.refused(**params)


def test_a_cluster_that_is_yet_to_be_made(entries: Runs) -> None:
    """Check mode of a whole bootstrap goes on; a run says what is missing."""
    missing = refused("ResourceNotFoundException", "No cluster found for name: tokyo.")
    entries.backend.failures = {"describe_access_entry": [missing, missing], "create_access_entry": [missing]}
    assert entries.run(check_mode=True)["actions"] == ["created"]
    with pytest.raises(HubspokeError, match=r"No cluster found for name: tokyo\. Make what it names first"):
        entries.run()


def test_a_role_that_iam_does_not_know_everywhere_yet(entries: Runs) -> None:
    new = refused("InvalidParameterException", "The specified principalArn is invalid: invalid principal.")
    entries.backend.failures["create_access_entry"] = [new, new]
    assert entries.run()["changed"]
    assert entries.slept == [4.0, 4.0]
    assert "waiting for IAM" in entries.progress[1]
    entries.backend.failures["delete_access_entry"] = [new] * 5
    with pytest.raises(HubspokeError, match="cannot be deleted: InvalidParameterException"):
        entries.run(state="absent")


def test_the_walk_of_an_association(associations: Runs) -> None:
    made = associations.both(role_arn=ROLE, tags={"team": "platform"})
    assert made["actions"] == ["created"]
    assert made["association"]["id"].startswith("a-")
    associations.same(2, role_arn=ROLE, disable_session_tags=False, tags={"team": "platform"})
    changed = {"role_arn": OTHER, "target_role_arn": ROLE, "disable_session_tags": True, "tags": {"team": "pay"}}
    done = associations.both(**changed)
    assert done["actions"] == [
        f"role_arn: {ROLE} → {OTHER}, target_role_arn: none → {ROLE}, disable_session_tags: false → true",
        "tags: team=pay",
    ]
    associations.same(2, **changed)
    assert associations.both(state="absent")["actions"] == ["deleted"]
    associations.same(1, state="absent")


def test_an_association_needs_its_role(associations: Runs) -> None:
    assert associations.refused() == (
        "There is no Pod Identity association of argocd/argocd-server on seoul, and to create it role_arn must be "
        "given. Give them, or check the names and the region."
    )


def test_another_service_account_is_another_association(associations: Runs) -> None:
    associations.run(role_arn=ROLE)
    assert associations.both(role_arn=ROLE, service_account="argocd-ser")["actions"] == ["created"]


def test_an_association_of_an_addon_is_left_to_it(associations: Runs) -> None:
    associations.run(role_arn=ROLE)
    for item in t.cast("Associations", associations.backend).store.items.values():
        item["ownerArn"] = "arn:addon"
    associations.same(2, role_arn=ROLE)
    for params in ({"role_arn": OTHER}, {"state": "absent"}):
        assert "belongs to arn:addon. Change it there" in associations.refused(**params)
