# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The decisions of a manifest set."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _manifest_plan as plan
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._manifest_plan import Ref


def item(kind: str, name: str = "x", namespace: str = "", api: str = "v1", **fields: t.Any) -> plan.Object:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **fields.pop("metadata", {})}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **fields}


def dump(value: plan.Object) -> str:
    return json.dumps(value, sort_keys=True)


def test_foundations_come_first_and_webhooks_last() -> None:
    kinds = [
        "ValidatingWebhookConfiguration",
        "Deployment",
        "Secret",
        "CustomResourceDefinition",
        "AppProject",
        "Namespace",
    ]
    ordered = [[found["kind"] for found in phase] for phase in plan.phases(item(kind) for kind in kinds)]
    assert ordered == [
        ["CustomResourceDefinition", "Namespace"],
        ["Secret"],
        ["Deployment", "AppProject"],
        ["ValidatingWebhookConfiguration"],
    ]


BEFORE = item("ConfigMap", data={"a": "1"}, metadata={"resourceVersion": "1", "generation": 1, "managedFields": [1]})


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, BEFORE, plan.CREATED),
        (BEFORE, BEFORE, plan.UNCHANGED),
        (BEFORE, {**BEFORE, "metadata": {"name": "x", "resourceVersion": "2", "managedFields": []}}, plan.UNCHANGED),
        (BEFORE, {**BEFORE, "status": {"phase": "new"}}, plan.UNCHANGED),
        (
            BEFORE,
            {**BEFORE, "metadata": {"name": "x", "annotations": {"deployment.kubernetes.io/revision": "1"}}},
            plan.UNCHANGED,
        ),
        (BEFORE, {**BEFORE, "data": {"a": "2"}}, plan.CONFIGURED),
        (BEFORE, {**BEFORE, "metadata": {"name": "x", "labels": {"a": "b"}}}, plan.CONFIGURED),
    ],
)
def test_action(before: plan.Object | None, after: plan.Object, expected: str) -> None:
    assert plan.action(before, after) == expected


def test_prune_takes_what_left_the_set_whatever_its_version_in_reverse_order() -> None:
    recorded = [
        Ref("", "Namespace", "", "gone"),
        Ref("apps", "Deployment", "a", "gone"),
        Ref("", "ConfigMap", "a", "gone"),
        Ref("autoscaling", "HorizontalPodAutoscaler", "a", "stays", "v1"),
    ]
    wanted = [Ref("autoscaling", "HorizontalPodAutoscaler", "a", "stays", "v2")]
    assert [str(ref) for ref in plan.to_prune(recorded, wanted)] == [
        "Deployment a/gone",
        "ConfigMap a/gone",
        "Namespace gone",
    ]


def test_a_record_reads_back_as_written() -> None:
    refs = [Ref("apps", "Deployment", "a", "b"), Ref("", "Namespace", "", "a")]
    assert sorted(plan.from_record(plan.to_record(refs))) == sorted(refs)


@pytest.mark.parametrize("text", ["", "{}}", '[["v1", "ConfigMap"]]', "[1]"])
def test_a_broken_record_is_an_error(text: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        plan.from_record(text)


def entry(manager: str, operation: str = "Apply", **more: str) -> dict[str, str]:
    return {"manager": manager, "operation": operation, **more}


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([entry("ours")], True),
        ([entry("ours"), entry("kube-controller-manager", "Update")], True),
        ([entry("ours"), entry("argocd-controller")], False),
        ([entry("ours"), entry("hpa", subresource="scale")], True),
        ([entry("kubectl")], False),
        ([], False),
    ],
)
def test_only_what_nobody_else_applies_is_ours_to_delete(entries: list[dict[str, str]], expected: bool) -> None:
    assert plan.only_ours(item("ConfigMap", metadata={"managedFields": entries}), "ours") is expected


def test_difference_shows_which_key_of_a_secret_changed_and_no_value() -> None:
    before = item("Secret", data={"same": "c2FtZQ==", "key": "b2xk"})
    after = item("Secret", data={"same": "c2FtZQ==", "key": "bmV3", "more": "bW9yZQ=="})
    shown = plan.difference(Ref.of(after), before, after, dump)
    assert json.loads(shown["before"])["data"] == {"same": "<redacted>", "key": "<redacted>"}
    assert json.loads(shown["after"])["data"] == {
        "same": "<redacted>",
        "key": "<redacted, changed>",
        "more": "<redacted>",
    }


def test_difference_of_a_definition_shows_that_its_schema_changed_but_not_the_schema() -> None:
    def definition(schema: str) -> plan.Object:
        return item("CustomResourceDefinition", spec={"versions": [{"name": "v1", "schema": {"text": schema}}]})

    shown = plan.difference(Ref("", "CustomResourceDefinition", "", "x"), definition("old"), definition("new"), dump)
    assert shown["before"] != shown["after"]
    assert "text" not in shown["before"] + shown["after"]


def test_difference_of_a_new_and_of_a_deleted_object_has_an_empty_side() -> None:
    ref = Ref("", "ConfigMap", "", "x")
    assert plan.difference(ref, None, item("ConfigMap"), dump)["before"] == ""
    assert plan.difference(ref, item("ConfigMap"), None, dump)["after"] == ""


def test_scope_without_a_server() -> None:
    definitions = [
        item("CustomResourceDefinition", spec={"group": "a.io", "scope": scope, "names": {"kind": kind}})
        for kind, scope in (("Wide", "Cluster"), ("Narrow", "Namespaced"))
    ]
    found = {
        kind: plan.namespaced_offline(item(kind, api=api), definitions)
        for kind, api in (("Wide", "a.io/v1"), ("Narrow", "a.io/v1"), ("Node", "v1"), ("Pod", "v1"))
    }
    assert found == {"Wide": False, "Narrow": True, "Node": False, "Pod": True}
