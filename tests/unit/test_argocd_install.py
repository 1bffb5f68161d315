# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which Argo CD is there, and what may become of it."""

from __future__ import annotations

import hashlib
import pathlib
import re
import typing as t

import pytest
import yaml

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _argocd_decision as decision
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _argocd_install as install
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_manifest import prepare

OURS = [{"manager": install.FIELD_MANAGER, "operation": "Apply"}]
KUBECTL = [{"manager": "kubectl-client-side-apply", "operation": "Update"}, {"manager": "kube-controller-manager"}]
HELM = {
    "labels": {"app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/component": "server"},
    "annotations": {"meta.helm.sh/release-name": "cd"},
    "managedFields": [{"manager": "helm", "operation": "Update"}],
}


def workload(
    name: str = "argocd-server", image: str = "quay.io/argoproj/argocd:v3.5.6", **fields: t.Any
) -> dict[str, t.Any]:
    kind = fields.pop("kind", "Deployment")
    metadata = {
        "name": name,
        "namespace": fields.pop("namespace", "argocd"),
        "labels": {"app.kubernetes.io/component": "server"},
        **fields,
    }
    pod = {"containers": [{"name": name, "image": image}]}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": metadata,
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": {"spec": pod}},
    }


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("quay.io/argoproj/argocd:v3.5.7", "v3.5.7"),
        ("mirror.example.com:5000/argoproj/argocd:v3.5.7@sha256:0123", "v3.5.7"),
        ("argocd:3.5.7", "v3.5.7"),
        ("argocd:v3.6.0-rc1", "v3.6.0-rc1"),
        ("quay.io/argoproj/argocd:latest", ""),
        ("quay.io/argoproj/argocd@sha256:0123", ""),
        ("mirror.example.com:5000/argocd", ""),
        ("redis:8.2.3", ""),
    ],
)
def test_versions_come_from_image_tags(image: str, version: str) -> None:
    assert install.version_of(image) == version


@pytest.mark.parametrize(
    ("workloads", "expected"),
    [
        pytest.param([], {"installed": False, "version": "", "variant": "", "installed_by": ""}, id="nothing"),
        pytest.param(
            [workload(managedFields=OURS)],
            {"installed": True, "version": "v3.5.6", "ours": True, "installed_by": "hubspoke.bootstrap"},
            id="ours",
        ),
        pytest.param(
            [workload(managedFields=KUBECTL)],
            {"ours": False, "installed_by": "kubectl", "variant": "standard"},
            id="kubectl",
        ),
        pytest.param([workload(**HELM)], {"ours": False, "installed_by": "Helm release cd"}, id="helm"),
        pytest.param(
            [workload(**{**HELM, "managedFields": OURS})],
            {"ours": True, "installed_by": "hubspoke.bootstrap"},
            id="adopted",
        ),
        pytest.param(
            [workload(annotations={"argocd.argoproj.io/tracking-id": "self:apps/Deployment:argocd/argocd-server"})],
            {"managed_by_application": "self", "installed_by": "Application self"},
            id="manages itself",
        ),
        pytest.param(
            [workload("argocd-repo-server", labels={"app.kubernetes.io/component": "repo-server"})],
            {"variant": "core"},
            id="core",
        ),
        pytest.param(
            [workload(), workload("argocd-redis-ha-server", "redis:8", kind="StatefulSet")], {"variant": "ha"}, id="ha"
        ),
        pytest.param(
            [workload(), workload("argocd-repo-server", "quay.io/argoproj/argocd:v3.5.10")],
            {"version": "v3.5.10", "versions": ["v3.5.6", "v3.5.10"]},
            id="half upgraded",
        ),
        pytest.param([workload(namespace="cd")], {"installed": False, "elsewhere": ["cd"]}, id="elsewhere"),
    ],
)
def test_survey(workloads: list[dict[str, t.Any]], expected: dict[str, t.Any]) -> None:
    found = install.survey(workloads, "argocd")
    assert {key: found[key] for key in expected} == expected


def test_a_workload_tells_what_it_reads_at_its_start() -> None:
    item = workload()
    item["spec"]["template"]["spec"]["containers"][0]["env"] = [
        {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "argocd-cmd-params-cm", "key": "log.level"}}},
        {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "argocd-cm", "key": "timeout"}}},
        {"name": "C", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"name": "D", "value": "x"},
    ]
    reads = install.survey([item], "argocd")["workloads"][0]["reads"]
    assert reads == {"argocd-cm": ["timeout"], "argocd-cmd-params-cm": ["log.level"]}


def found(*versions: str, **fields: t.Any) -> dict[str, t.Any]:
    return {
        "installed": True,
        "version": versions[-1] if versions else "",
        "versions": list(versions),
        "variant": "standard",
        "ours": True,
        "installed_by": "hubspoke.bootstrap",
        "managed_by_application": "",
        "elsewhere": [],
        **fields,
    }


def wish(version: str = "v3.5.7", **fields: t.Any) -> decision.Wish:
    return decision.Wish(**{"version": version, "variant": "standard", "namespace": "argocd", **fields})


FOREIGN = {"ours": False, "installed_by": "Helm release cd"}
SELF = {"managed_by_application": "self"}


@pytest.mark.parametrize(
    ("there", "wanted", "action"),
    [
        pytest.param({"installed": False}, wish(), "install", id="new"),
        pytest.param({"changed": False, "skipped": True}, wish(), "install", id="no cluster yet"),
        pytest.param({"skipped": True}, wish(install=False, cluster_present=False), "leave", id="no cluster, settings"),
        pytest.param(found("v3.5.7"), wish(), "keep", id="as wanted"),
        pytest.param(found("v3.5.6"), wish(), "upgrade", id="patch"),
        pytest.param(found("v3.4.9"), wish(), "upgrade", id="next minor"),
        pytest.param(found("v3.5.6", "v3.5.7"), wish(), "keep", id="finish an upgrade"),
        pytest.param(found("v3.5.7", variant="ha"), wish(), "change", id="variant"),
        pytest.param(found(), wish(), "keep", id="version unknown"),
        pytest.param(found("v3.5.7", **FOREIGN), wish(adopt=True), "adopt", id="adopt"),
        pytest.param(found("v3.5.7", **FOREIGN), wish(install=False), "leave", id="leave"),
        pytest.param(found("v3.5.7", **SELF), wish(), "leave", id="manages itself"),
        pytest.param(found("v3.5.6", **SELF), wish(adopt=True), "upgrade", id="take it from itself"),
        pytest.param(found("v3.5.7"), wish("v3.5.6", allow_downgrade=True), "downgrade", id="downgrade"),
        pytest.param(found("v3.3.0"), wish(allow_skip=True), "upgrade", id="skip"),
    ],
)
def test_what_is_done(there: dict[str, t.Any], wanted: decision.Wish, action: str) -> None:
    made = decision.decide(there, wanted)
    assert (made.action, made.refused) == (action, "")
    assert made.apply == (action != "leave")


@pytest.mark.parametrize(
    ("there", "wanted", "words"),
    [
        pytest.param(
            found("v3.5.7", **FOREIGN), wish(), ["Helm release cd", "argocd_adopt", "argocd_install"], id="foreign"
        ),
        pytest.param(found("v3.5.7"), wish("v3.5.6"), ["v3.5.7", "v3.5.6", "argocd_allow_downgrade"], id="downgrade"),
        pytest.param(found("v3.5.6", "v3.5.8"), wish(), ["v3.5.8", "argocd_allow_downgrade"], id="half a downgrade"),
        pytest.param(found("v3.3.0"), wish(), ["v3.3.0", "argocd_allow_skip"], id="skip"),
        pytest.param(found("v2.14.0"), wish(), ["v2.14.0", "argocd_allow_skip"], id="major"),
        pytest.param(found("v3.3.0", **FOREIGN), wish(adopt=True), ["argocd_allow_skip"], id="adopt and skip"),
        pytest.param({"installed": False}, wish(install=False), ["no Argo CD", "argocd_install"], id="nothing to set"),
        pytest.param({"installed": False, "elsewhere": ["cd"]}, wish(), ["argocd_namespace: cd"], id="a second one"),
    ],
)
def test_what_is_refused(there: dict[str, t.Any], wanted: decision.Wish, words: list[str]) -> None:
    made = decision.decide(there, wanted)
    assert not made.apply
    for word in words:
        assert word in made.refused


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ({"installed": False, "nodes": 1}, True),
        (found("v3.5.7", variant="ha", nodes=2), True),
        ({"nodes": 3}, False),
        ({}, False),
    ],
)
def test_too_few_nodes_are_said_not_refused(there: dict[str, t.Any], said: bool) -> None:
    made = decision.decide(there, wish(variant="ha"))
    assert made.refused == ""
    assert ("on 3 nodes" in made.message) == said
    assert "on 3 nodes" not in decision.decide(there, wish()).message


# The manifests

CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm"}, "data": {"a": "1", "b": "2"}}
BINDING = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": "argocd-server"},
    "subjects": [
        {"kind": "ServiceAccount", "name": "argocd-server", "namespace": "argocd"},
        {"kind": "User", "name": "u"},
    ],
}


@pytest.fixture
def manifest(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "install.yaml"
    path.write_text(yaml.safe_dump_all([CONFIG, BINDING, workload(image="quay.io/argoproj/argocd:v3.5.7")]))
    return path


def digest(path: pathlib.Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def test_a_manifest_is_applied_as_it_is_where_it_can_be(manifest: pathlib.Path) -> None:
    prepared = prepare(str(manifest), settings={"config": {"c": "3"}}, found={"installed": True, "ours": True})
    assert (prepared["files"], prepared["definitions"], prepared["refused"]) == ([str(manifest)], [], "")


def test_an_entry_has_one_owner(manifest: pathlib.Path) -> None:
    prepared = prepare(str(manifest), settings={"config": {"b": "mine"}})
    assert prepared["files"] == []
    assert prepared["definitions"][0]["data"] == {"a": "1"}


def test_accounts_are_those_of_the_namespace(manifest: pathlib.Path) -> None:
    definitions = prepare(str(manifest), namespace="cd")["definitions"]
    assert definitions[1]["subjects"] == [
        {"kind": "ServiceAccount", "name": "argocd-server", "namespace": "cd"},
        {"kind": "User", "name": "u"},
    ]


def test_a_local_manifest_is_checked_and_tells_its_version(manifest: pathlib.Path) -> None:
    prepared = prepare(str(manifest), local=True, checksum=digest(manifest))
    assert (prepared["refused"], prepared["version"]) == ("", "v3.5.7")


@pytest.mark.parametrize(
    ("checksum", "words"),
    [
        ("", "argocd_manifest_checksum is empty"),
        ("md5:0123", "Write sha256: and 64 hexadecimal digits"),
        ("sha256:" + "0" * 64, "has the checksum sha256:"),
    ],
)
def test_a_wrong_checksum_is_refused(manifest: pathlib.Path, checksum: str, words: str) -> None:
    assert words in prepare(str(manifest), local=True, checksum=checksum)["refused"]


def test_what_is_no_manifest_is_refused(tmp_path: pathlib.Path) -> None:
    for text, words in (
        ("a: b: c", "this is not YAML"),
        ("- 1\n- 2\n", "where a Kubernetes object should be"),
        ("kind: x", "an object without apiVersion"),
        ("{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}}", "a workload in it is incomplete"),
    ):
        path = tmp_path / "bad.yaml"
        path.write_text(text)
        assert words in prepare(str(path), local=True, checksum=digest(path))["refused"]
    assert "No such file" in prepare(str(tmp_path / "none"), local=True, checksum="x")["refused"]


def test_workloads_that_cannot_be_changed_are_made_anew(manifest: pathlib.Path) -> None:
    other = workload(**HELM)
    other["spec"]["selector"]["matchLabels"]["app.kubernetes.io/instance"] = "cd"
    there = install.survey([other], "argocd")
    prepared = prepare(str(manifest), found=there)
    metadata = {"name": "argocd-server", "namespace": "argocd"}
    assert prepared["replace"] == [{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata}]
    assert prepared["files"] == [str(manifest)]
    checked = prepare(str(manifest), found=there, check_mode=True)
    assert [item["kind"] for item in checked["definitions"]] == ["ConfigMap", "ClusterRoleBinding"]
    same = install.survey([workload(**HELM)], "argocd")
    assert prepare(str(manifest), found=same)["replace"] == []


@pytest.mark.parametrize(
    ("there", "wish", "refused"),
    [
        pytest.param(found("v3.5.6"), {}, "", id="ours"),
        pytest.param(found("v3.5.6"), {"install": False}, "set argocd_install: true", id="not our business"),
        pytest.param(
            found("v3.5.6", ours=False, installed_by="kubectl"), {}, "installed by kubectl.*argocd_adopt", id="theirs"
        ),
        pytest.param(found("v3.5.6", ours=False), {"adopt": True}, "", id="theirs, adopted"),
        pytest.param(
            found("v3.5.6", managed_by_application="self"), {}, "Take self out.*or it comes back", id="manages itself"
        ),
    ],
)
def test_one_that_aws_runs_takes_its_place(there: dict[str, t.Any], wish: dict[str, t.Any], refused: str) -> None:
    made = decision.decide(there, decision.Wish("v3.5.7", "standard", "argocd", by_aws=True, **wish))
    assert (made.action, made.apply) == ("remove", False)
    assert re.search(refused, made.refused) if refused else not made.refused
    assert bool(made.message) != bool(made.refused)


def test_without_one_nothing_is_removed() -> None:
    made = decision.decide({"skipped": True}, decision.Wish("v3.5.7", "standard", "argocd", by_aws=True))
    assert made == decision.Decision("leave")
