# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module manifest against a real API server: every step in check mode first, which must predict it."""

from __future__ import annotations

import base64
import pathlib
import typing as t
import uuid

import pytest

Module = t.Callable[..., t.Any]
CANARY = "canary-2b9d41"


def config_map(name: str, data: dict[str, str]) -> dict[str, t.Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def secret(name: str, value: str) -> dict[str, t.Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"password": value}}


def deployment(name: str, image: str = "example.com/app:1") -> dict[str, t.Any]:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": image}]}},
        },
    }


def definition(group: str) -> dict[str, t.Any]:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


class Set:
    """One manifest set in a namespace of the test's own."""

    def __init__(self, run_module: Module, kubeconfig: str) -> None:
        self.namespace = f"test-{uuid.uuid4().hex[:8]}"
        self.group = f"{self.namespace}.example.com"
        self._run = run_module
        self._kubeconfig = kubeconfig

    def run(self, *definitions: dict[str, t.Any], check: bool = False, **options: t.Any) -> t.Any:
        arguments = {
            "kubeconfig": self._kubeconfig,
            "name": "widgets",
            "namespace": self.namespace,
            "definitions": list(definitions),
            "create_namespace": True,
            **options,
        }
        return self._run("manifest", arguments, check=check)

    def walk(self, *definitions: dict[str, t.Any], expected: dict[str, str], **options: t.Any) -> t.Any:
        """Predict, do, repeat."""
        predicted = self.run(*definitions, check=True, **options)
        done = self.run(*definitions, **options)
        again = self.run(*definitions, check=True, **options)
        assert actions(done) == expected
        assert actions(predicted) == expected, "check mode did not predict the run"
        assert predicted["changed"] == done["changed"]
        assert [entry["before_header"] for entry in predicted["diff"]] == [e["before_header"] for e in done["diff"]]
        assert not again["changed"]
        return done


def actions(result: t.Any) -> dict[str, str]:
    assert "objects" in result, result["msg"]
    return {f"{item['kind']}/{item['name']}": item["action"] for item in result["objects"]}


@pytest.fixture
def manifest_set(run_module: Module, kubeconfig: str) -> Set:
    return Set(run_module, kubeconfig)


def test_create_modify_prune_and_remove_each_as_predicted(manifest_set: Set) -> None:
    space = f"Namespace/{manifest_set.namespace}"
    crd = definition(manifest_set.group)
    widget = {
        "apiVersion": f"{manifest_set.group}/v1",
        "kind": "Widget",
        "metadata": {"name": "w"},
        "spec": {"size": 1},
    }
    created = manifest_set.walk(
        widget,
        deployment("app"),
        config_map("first", {"a": "1"}),
        config_map("second", {"a": "1"}),
        crd,
        wait=True,
        expected={
            space: "created",
            f"CustomResourceDefinition/widgets.{manifest_set.group}": "created",
            "ConfigMap/first": "created",
            "ConfigMap/second": "created",
            "Widget/w": "created",
            "Deployment/app": "created",
        },
    )
    assert created["summary"] == {"created": 6}

    rest = (widget, deployment("app"), crd)
    changed = manifest_set.walk(
        *rest,
        config_map("first", {"a": "2"}),
        prune=True,
        expected={
            space: "unchanged",
            f"CustomResourceDefinition/widgets.{manifest_set.group}": "unchanged",
            "ConfigMap/first": "configured",
            "Widget/w": "unchanged",
            "Deployment/app": "unchanged",
            "ConfigMap/second": "deleted",
        },
    )
    shown = next(entry for entry in changed["diff"] if entry["before_header"].endswith("/first"))
    assert "a: '1'" in shown["before"]
    assert "a: '2'" in shown["after"]

    removal = {
        space: "kept",
        f"CustomResourceDefinition/widgets.{manifest_set.group}": "kept",
        "ConfigMap/first": "deleted",
        "Widget/w": "deleted",
        "Deployment/app": "deleted",
    }
    manifest_set.walk(state="absent", wait=True, create_namespace=False, expected=removal)
    final = {space: "deleted", f"CustomResourceDefinition/widgets.{manifest_set.group}": "deleted"}
    manifest_set.walk(state="absent", wait=True, keep=[], create_namespace=False, expected=final)


def test_before_there_is_a_cluster_everything_would_be_created(run_module: Module) -> None:
    arguments = {
        "kubeconfig": "/nowhere/kubeconfig",
        "name": "first",
        "namespace": "apps",
        "create_namespace": True,
        "cluster_present": False,
        "definitions": [config_map("a", {}), {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}],
    }
    predicted = run_module("manifest", arguments, check=True)
    assert actions(predicted) == {"Namespace/apps": "created", "ConfigMap/a": "created", "Node/n": "created"}
    assert {item["namespace"] for item in predicted["objects"] if item["kind"] == "ConfigMap"} == {"apps"}
    real = run_module("manifest", arguments)
    assert "objects" not in real
    assert "kubeconfig" in real["msg"]


def test_check_mode_trusts_that_earlier_steps_bring_what_is_missing_and_says_so(manifest_set: Set) -> None:
    foreign = {"apiVersion": "later.example.com/v1", "kind": "Later", "metadata": {"name": "l"}}
    predicted = manifest_set.run(foreign, config_map("a", {}), check=True, create_namespace=False)
    assert actions(predicted) == {"Later/l": "created", "ConfigMap/a": "created"}
    warning = str(predicted["warnings"])
    assert "kind Later" in warning
    assert f"namespace {manifest_set.namespace}" in warning
    real = manifest_set.run(foreign)
    assert "has no kind Later in later.example.com/v1" in real["msg"]


def test_secrets_are_applied_and_never_shown(manifest_set: Set, run_module: Module, kubeconfig: str) -> None:
    first = manifest_set.run(secret("s", f"{CANARY}-old"))
    second = manifest_set.run(secret("s", f"{CANARY}-new"))
    assert actions(second)["Secret/s"] == "configured"
    assert "<redacted, changed>" in str(second["diff"])
    wrong = manifest_set.run(secret("s", CANARY), prune="nonsense")
    assert "objects" not in wrong
    encoded = base64.b64encode(CANARY.encode()).decode().rstrip("=")[:-1]
    for result in (first, second, wrong):
        assert CANARY not in str(result) + result.output
        assert encoded not in str(result) + result.output
    info = run_module(
        "kubernetes.core.k8s_info",
        {"kubeconfig": kubeconfig, "kind": "Secret", "namespace": manifest_set.namespace, "name": "s"},
    )
    assert base64.b64decode(info["resources"][0]["data"]["password"]).decode() == f"{CANARY}-new"


def test_anothers_keys_stay_and_anothers_values_are_not_taken_unasked(manifest_set: Set) -> None:
    manifest_set.run(config_map("shared", {"ours": "1"}))
    other = manifest_set.run(config_map("shared", {"theirs": "1"}), name="other")
    assert actions(other)["ConfigMap/shared"] == "configured"
    assert not manifest_set.run(config_map("shared", {"ours": "1"}), check=True)["changed"]
    refused = manifest_set.run(config_map("shared", {"ours": "2"}), name="other")
    assert "objects" not in refused
    assert f"ConfigMap {manifest_set.namespace}/shared was refused" in refused["msg"]
    assert "hubspoke.bootstrap-widgets" in refused["msg"]
    assert "force_conflicts" in refused["msg"]
    taken = manifest_set.run(config_map("shared", {"ours": "2"}), name="other", force_conflicts=True)
    assert actions(taken)["ConfigMap/shared"] == "configured"
    manifest_set.run(config_map("shared", {"more": "1"}))
    kept = manifest_set.run(state="absent", name="other", create_namespace=False)
    assert actions(kept)["ConfigMap/shared"] == "kept"


def test_what_is_not_ready_in_time_is_named_with_what_it_lacks(manifest_set: Set) -> None:
    app = deployment("stuck")
    app["spec"]["template"]["spec"]["nodeSelector"] = {"no-such": "node"}
    late = manifest_set.run(app, wait=True, wait_timeout=2)
    assert "objects" not in late
    assert f"Deployment {manifest_set.namespace}/stuck: 0 of 2 replicas available" in late["msg"]
    wanted = {"api_version": "apps/v1", "kind": "Deployment", "name": "stuck", "type": "Progressing", "status": "False"}
    condition = manifest_set.run(wait=True, wait_timeout=1, create_namespace=False, conditions=[wanted])
    assert "condition Progressing is True" in condition["msg"]


def test_all_that_was_refused_is_reported_and_the_others_are_applied(manifest_set: Set) -> None:
    bad = [{**config_map(f"bad-{n}", {}), "data": {"key": ["not", "a", "string"]}} for n in (1, 2)]
    failed = manifest_set.run(*bad, config_map("good", {}))
    assert "2 of 3 objects were not applied" in failed["msg"]
    assert "bad-1" in failed["msg"]
    assert "bad-2" in failed["msg"]
    assert actions(manifest_set.run(config_map("good", {})))["ConfigMap/good"] == "unchanged"


def test_files_directories_and_kustomizations(manifest_set: Set, tmp_path: pathlib.Path, kubectl: str) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: from-%s}\n"
    (tmp_path / "file.yaml").write_text(text % "file")
    for name in ("directory", "base"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.yaml").write_text(text % name)
    (tmp_path / "base/kustomization.yaml").write_text("resources: [a.yaml]\nnamePrefix: kustomized-\n")
    result = manifest_set.run(
        files=[str(tmp_path / "file.yaml")],
        directories=[str(tmp_path / "directory")],
        kustomizations=[str(tmp_path / "base")],
        kubectl=kubectl,
    )
    assert set(actions(result)) == {
        f"Namespace/{manifest_set.namespace}",
        "ConfigMap/from-file",
        "ConfigMap/from-directory",
        "ConfigMap/kustomized-from-base",
    }


def test_a_record_that_someone_else_wrote_is_refused(manifest_set: Set) -> None:
    manifest_set.run(config_map("a", {}))
    manifest_set.run(config_map("manifest-set-widgets", {"objects": "nonsense"}), name="vandal", force_conflicts=True)
    refused = manifest_set.run(config_map("a", {}))
    assert "manifest-set-widgets, cannot be read" in refused["msg"]
