# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module eks_addon against a backend that knows botocore's model."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.modules import eks_addon

from .eks_backend import ACCOUNT, REGION, Backend, Request, Store, refused
from .eks_walk import Runs

ROLE = f"arn:aws:iam::{ACCOUNT}:role/ebs"
OTHER = f"arn:aws:iam::{ACCOUNT}:role/other"
VERSIONS = ("v1.9.0-eksbuild.1", "v1.10.1-eksbuild.2", "v1.10.1-eksbuild.1")
DEFAULT = VERSIONS[2]
ACCOUNTS = [{"service_account": "b", "role_arn": ROLE}, {"service_account": "a", "role_arn": ROLE}]


class Addons(Backend):
    """EKS with one cluster of version 1.34 and its add-ons; it has versions of one add-on only."""

    def __init__(self) -> None:
        super().__init__()
        self.store = Store("add-on")
        self.cluster = True
        self.associations: dict[str, Request] = {}

    def tagged(self, arn: str) -> Request:
        return t.cast("Request", self.store.by_arn(arn, "addonArn"))

    @property
    def one(self) -> Request:
        return self.store.items["ebs",]

    def do_describe_cluster(self, request: Request) -> Request:
        if not self.cluster:
            raise refused("ResourceNotFoundException", "No cluster found")
        return {"cluster": {"name": request["name"], "version": "1.34"}}

    def do_describe_addon_versions(self, request: Request) -> Request:
        assert request["kubernetesVersion"] == "1.34"
        versions = [
            {
                "addonVersion": version,
                "compatibilities": [{"clusterVersion": "1.34", "defaultVersion": version == DEFAULT}],
            }
            for version in VERSIONS
        ]
        return {"addons": [{"addonName": "ebs", "addonVersions": versions}] if request["addonName"] == "ebs" else []}

    def _associate(self, accounts: list[Request]) -> list[str]:
        self.associations = {f"a-{account['serviceAccount']}": account for account in accounts}
        return [f"arn:aws:eks:{REGION}:{ACCOUNT}:podidentityassociation/seoul/{number}" for number in self.associations]

    def do_describe_pod_identity_association(self, request: Request) -> Request:
        return {"association": self.associations[request["associationId"]]}

    def do_create_addon(self, request: Request) -> Request:
        assert request["resolveConflicts"] != "PRESERVE"
        if not self.cluster:
            raise refused("ResourceNotFoundException", "No cluster found")
        item = {"addonVersion": DEFAULT, **request, "addonArn": f"arn:aws:eks:{REGION}:{ACCOUNT}:addon/seoul/ebs/1"}
        del item["resolveConflicts"]
        if "podIdentityAssociations" in request:
            item["podIdentityAssociations"] = self._associate(request["podIdentityAssociations"])
        return {"addon": self.store.add((request["addonName"],), item)}

    def do_describe_addon(self, request: Request) -> Request:
        return {"addon": self.store.look((request["addonName"],))}

    def do_update_addon(self, request: Request) -> Request:
        item = self.store.get((request["addonName"],))
        item["addonVersion"] = request.get("addonVersion", item["addonVersion"])
        for key in ("configurationValues", "serviceAccountRoleArn"):
            item.pop(key, None)
            if key in request:
                item[key] = request[key]
        if "podIdentityAssociations" in request:
            item["podIdentityAssociations"] = self._associate(request["podIdentityAssociations"])
        item["status"] = "UPDATING"
        return self.started("AddonUpdate")

    def do_delete_addon(self, request: Request) -> Request:
        return {"addon": self.store.remove((request["addonName"],))}


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    return Runs(eks_addon, Addons(), monkeypatch, cluster_name="seoul", name="ebs")


def _backend(runs: Runs) -> Addons:
    return t.cast("Addons", runs.backend)


def test_the_walk(runs: Runs) -> None:
    first: dict[str, t.Any] = {
        "version": VERSIONS[0],
        "configuration": {"controller": {"replicas": 1}},
        "service_account_role_arn": ROLE,
        "tags": {"team": "platform"},
    }
    created = runs.both(**first)
    assert created["actions"] == ["created"]
    assert created["addon"]["status"] == "ACTIVE"
    runs.same(**first)
    runs.same()

    second: dict[str, t.Any] = {
        "version": DEFAULT,
        "configuration": {"controller": {"replicas": 2}},
        "service_account_role_arn": OTHER,
        "resolve_conflicts": "PRESERVE",
        "tags": {"team": "pay"},
    }
    done = runs.both(**second)
    assert done["actions"] == [
        f"version: {VERSIONS[0]} → {DEFAULT}, configuration: {{controller: {{replicas: 1}}}} → "
        f"{{controller: {{replicas: 2}}}}, service_account_role_arn: {ROLE} → {OTHER}",
        "tags: team=pay",
    ]
    update = next(request for operation, request in runs.backend.calls if operation == "update_addon")
    assert update["resolveConflicts"] == "PRESERVE"
    runs.same(**second)
    assert runs.both(state="absent", preserve=True)["actions"] == ["deleted"]
    assert ("delete_addon", {"clusterName": "seoul", "addonName": "ebs", "preserve": True}) in runs.backend.calls
    runs.same(state="absent")


def test_what_is_not_spoken_of_outlives_an_update(runs: Runs) -> None:
    """EKS takes away what an update leaves out."""
    runs.run(version=VERSIONS[0], configuration={"a": 1}, service_account_role_arn=ROLE)
    addon = runs.both(version=DEFAULT)["addon"]
    assert (addon["configuration"], addon["service_account_role_arn"]) == ({"a": 1}, ROLE)
    assert runs.both(configuration={})["addon"]["service_account_role_arn"] == ROLE


def test_an_empty_role_takes_the_role_away(runs: Runs) -> None:
    runs.both(version=VERSIONS[0], configuration={"a": 1}, service_account_role_arn="")
    runs.same(service_account_role_arn="")
    runs.both(service_account_role_arn=ROLE)
    addon = runs.both(service_account_role_arn="")["addon"]
    assert (addon["configuration"], addon["service_account_role_arn"]) == ({"a": 1}, "")
    assert "serviceAccountRoleArn" not in runs.backend.calls[-1][1]
    runs.same(service_account_role_arn="")


def test_a_configuration_is_compared_by_what_it_says(runs: Runs) -> None:
    runs.run(configuration={"a": {"b": True}})
    _backend(runs).one["configurationValues"] = "a:\n  b: true\n"
    runs.same(configuration={"a": {"b": True}})
    _backend(runs).one["configurationValues"] = json.dumps({"a": {"b": False}})
    assert runs.both(configuration={"a": {"b": True}})["actions"] == ["configuration: {a: {b: false}} → {a: {b: true}}"]


@pytest.mark.parametrize(("chosen", "version"), [("default", DEFAULT), ("latest", VERSIONS[1])])
def test_versions_that_eks_chooses(runs: Runs, chosen: str, version: str) -> None:
    assert runs.both(version=chosen)["addon"]["version"] == version
    runs.same(3, version=chosen)
    runs.same(2, version=chosen, cluster_version="1.34")
    _backend(runs).one["addonVersion"] = VERSIONS[0]
    assert runs.both(version=chosen)["actions"] == [f"version: {VERSIONS[0]} → {version}"]


def test_an_unknown_version_is_refused_with_those_there_are(runs: Runs) -> None:
    message = runs.refused(version="v2")
    assert message == (
        "The add-on ebs of seoul has no version v2 for Kubernetes 1.34. "
        "There are v1.10.1-eksbuild.2, v1.10.1-eksbuild.1, v1.9.0-eksbuild.1."
    )
    runs.run()
    assert runs.refused(version="v2") == message


def test_an_unknown_addon_is_refused(runs: Runs) -> None:
    assert "has no add-on ebz for Kubernetes 1.34" in runs.refused(name="ebz")
    lost = refused("ResourceNotFoundException", "no such add-on")
    runs.backend.failures["describe_addon_versions"] = [lost, lost]
    assert "has no add-on ebs for Kubernetes 1.34" in runs.refused(version="latest")


def test_roles_by_pod_identity(runs: Runs) -> None:
    made = runs.both(pod_identity_associations=ACCOUNTS)
    assert made["addon"]["pod_identity_associations"] == [ACCOUNTS[1], ACCOUNTS[0]]
    runs.same(3, pod_identity_associations=ACCOUNTS)
    assert runs.same()["addon"]["pod_identity_associations"] is None
    other = [{"service_account": "a", "role_arn": OTHER}]
    assert runs.both(pod_identity_associations=other)["addon"]["pod_identity_associations"] == other
    assert runs.both(pod_identity_associations=[])["changed"]
    runs.same(pod_identity_associations=[])


@pytest.mark.parametrize("version", ["default", "latest", VERSIONS[0], None])
def test_a_cluster_that_is_yet_to_be_made(runs: Runs, version: str | None) -> None:
    _backend(runs).cluster = False
    params = {"version": version} if version else {}
    assert runs.run(check_mode=True, **params)["actions"] == ["created"]
    with pytest.raises(HubspokeError, match="cannot be created: ResourceNotFoundException: No cluster found"):
        runs.run(**params)
    _backend(runs).cluster = True
    assert runs.run(**params)["changed"]


def test_what_has_too_few_nodes_is_a_warning(runs: Runs) -> None:
    runs.run()
    issue = {"code": "InsufficientNumberOfReplicas", "message": "no nodes"}
    _backend(runs).one.update(status="DEGRADED", health={"issues": [issue]})
    runs.same()
    assert runs.warnings == ["The add-on ebs of seoul is DEGRADED: InsufficientNumberOfReplicas: no nodes."]


def test_a_new_addon_has_nothing_to_preserve(runs: Runs) -> None:
    assert runs.run(resolve_conflicts="PRESERVE", namespace="storage")["addon"]["namespace"] == "storage"
    runs.same(resolve_conflicts="PRESERVE", namespace="elsewhere")
