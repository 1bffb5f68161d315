# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module eks_capability against a backend that knows botocore's model."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.modules import eks_capability

from .eks_backend import ACCOUNT, REGION, Backend, Request, Store
from .eks_walk import Runs

ROLE = f"arn:aws:iam::{ACCOUNT}:role/argocd"
GROUP = {"id": "g-1", "type": "SSO_GROUP"}
USER = {"id": "u-1", "type": "SSO_USER"}
ARGOCD: dict[str, t.Any] = {
    "type": "ARGOCD",
    "role_arn": ROLE,
    "argo_cd": {
        "namespace": "argocd",
        "idc_instance_arn": "arn:aws:sso:::instance/ssoins-1",
        "idc_region": REGION,
        "role_mappings": [{"role": "ADMIN", "identities": [USER, GROUP]}, {"role": "VIEWER", "identities": [USER]}],
    },
    "tags": {"team": "platform"},
}


class Capabilities(Backend):
    """EKS with capabilities."""

    def __init__(self, replaces: bool) -> None:
        super().__init__()
        self.store = Store("capability")
        self.replaces = replaces
        """Whether an update replaces a role's identities or adds to them: its documentation does not say."""

    def tagged(self, arn: str) -> Request:
        return t.cast("Request", self.store.by_arn(arn, "arn"))

    def do_create_capability(self, request: Request) -> Request:
        item = {
            **request,
            "arn": f"arn:aws:eks:{REGION}:{ACCOUNT}:capability/seoul/argocd/1",
            "version": "3.1",
        }
        argo = item.get("configuration", {}).get("argoCd")
        if argo:
            argo["serverUrl"] = "https://argocd.example.com"
        return {"capability": self.store.add((request["capabilityName"],), item)}

    def do_describe_capability(self, request: Request) -> Request:
        return {"capability": self.store.look((request["capabilityName"],))}

    def do_update_capability(self, request: Request) -> Request:
        item = self.store.get((request["capabilityName"],))
        item["status"] = "UPDATING"
        item["roleArn"] = request.get("roleArn", item["roleArn"])
        configuration = request.get("configuration", {})
        if "ack" in configuration:
            item["configuration"]["ack"] |= configuration["ack"]
        argo = configuration.get("argoCd", {})
        if "networkAccess" in argo:
            item["configuration"]["argoCd"]["networkAccess"] = argo["networkAccess"]
        if "rbacRoleMappings" in argo:
            self._mapped(item["configuration"]["argoCd"], argo["rbacRoleMappings"])
        return self.started("CapabilityUpdate")

    def _mapped(self, argo: Request, changes: Request) -> None:
        roles = {item["role"]: list(item["identities"]) for item in argo.get("rbacRoleMappings", [])}
        for item in changes.get("removeRoleMappings", []):
            roles[item["role"]] = [each for each in roles[item["role"]] if each not in item["identities"]]
        for item in changes.get("addOrUpdateRoleMappings", []):
            had = [] if self.replaces else roles.get(item["role"], [])
            roles[item["role"]] = had + [each for each in item["identities"] if each not in had]
        argo["rbacRoleMappings"] = [
            {"role": role, "identities": identities} for role, identities in roles.items() if identities
        ]

    def do_delete_capability(self, request: Request) -> Request:
        return {"capability": self.store.remove((request["capabilityName"],))}


@pytest.fixture(params=[True, False], ids=["replaces", "adds"])
def runs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Runs:
    return Runs(eks_capability, Capabilities(request.param), monkeypatch, cluster_name="seoul", name="argocd")


def test_the_walk(runs: Runs) -> None:
    created = runs.both(**ARGOCD)
    assert created["actions"] == ["created"]
    assert created["capability"]["argo_cd"]["server_url"] == "https://argocd.example.com"
    assert created["capability"]["delete_propagation_policy"] == "RETAIN"
    assert "ack" not in created["capability"]
    runs.same(**ARGOCD)
    runs.same(argo_cd={"namespace": "argocd"})

    modified = {
        "role_arn": ROLE + "2",
        "argo_cd": {
            "role_mappings": [{"role": "ADMIN", "identities": [GROUP]}, {"role": "EDITOR", "identities": [USER]}],
            "vpce_ids": ["vpce-2", "vpce-1"],
        },
        "tags": {},
    }
    done = runs.both(**modified)
    assert len(done["actions"]) == 2
    assert done["capability"]["argo_cd"]["role_mappings"] == modified["argo_cd"]["role_mappings"]  # type: ignore[index]
    assert done["capability"]["argo_cd"]["vpce_ids"] == ["vpce-1", "vpce-2"]
    runs.same(**modified)
    assert runs.both(argo_cd={"role_mappings": []})["capability"]["argo_cd"]["role_mappings"] == []

    assert runs.both(state="absent")["actions"] == ["deleted"]
    runs.same(state="absent")


def test_ack(runs: Runs) -> None:
    made = runs.both(type="ACK", role_arn=ROLE, ack={"enable_cross_namespace": True, "disabled_services": []})
    assert made["capability"]["ack"] == {"enable_cross_namespace": True, "disabled_services": []}
    assert "argo_cd" not in made["capability"]
    assert runs.both(ack={"disabled_services": ["s3", "ec2"]})["capability"]["ack"]["disabled_services"] == [
        "ec2",
        "s3",
    ]
    runs.same(ack={"disabled_services": ["s3", "ec2"]})


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "to create it type and role_arn must be given"),
        ({"type": "ARGOCD", "role_arn": ROLE}, "to create it argo_cd.idc_instance_arn must be given"),
    ],
)
def test_what_a_creation_needs(runs: Runs, params: dict[str, str], message: str) -> None:
    assert message in runs.refused(**params)


def test_what_cannot_be_changed(runs: Runs) -> None:
    runs.run(**ARGOCD)
    message = runs.refused(type="ACK", argo_cd={"idc_region": "us-east-1"})
    assert "cannot be changed in type and argo_cd.idc_region" in message


def test_one_that_cannot_be_made(runs: Runs) -> None:
    backend = t.cast("t.Any", runs.backend)

    def fails(request: t.Any) -> t.Any:
        issue = {"code": "AccessDenied", "message": "the role may not"}
        backend.store.items["argocd",] = {**request, "status": "CREATE_FAILED", "health": {"issues": [issue]}}
        return {"capability": dict(request)}

    backend.do_create_capability = fails
    with pytest.raises(HubspokeError, match=r"became CREATE_FAILED: AccessDenied: the role may not\. Delete it"):
        runs.run(**ARGOCD)
