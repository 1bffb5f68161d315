# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the modules do with an API server that is a dictionary."""

from __future__ import annotations

import copy
import typing as t

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _argocd_application as model
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _argocd_application_wait as waiting
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_application_sync import Step, Syncer, plan_one
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import ApiError, HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube, Resource
from ansible_collections.hubspoke.bootstrap.plugins.modules import argocd_application_info, argocd_application_sync


def application(
    name: str, phase: str = "Succeeded", status: str = "Synced", automated: bool = True
) -> dict[str, t.Any]:
    return {
        "kind": "Application",
        "metadata": {"name": name, "namespace": "argocd", "resourceVersion": "1"},
        "spec": {"source": {"repoURL": "x"}, "syncPolicy": {"automated": {}} if automated else {}},
        "status": {
            "sync": {"status": status, "revision": "a"},
            "health": {"status": "Healthy"},
            "operationState": {"phase": phase, "message": "bad", "syncResult": {"revision": "a"}},
        },
    }


class FakeKube:
    """Lists and merges; every answer to a patch can be an error first."""

    host = "https://fake"

    def __init__(self, *items: dict[str, t.Any], installed: bool = True) -> None:
        self.items = {item["metadata"]["name"]: item for item in items}
        self.installed = installed
        self.patches: list[tuple[str, dict[str, t.Any]]] = []
        self.errors: list[ApiError] = []
        self.on_error: t.Callable[[], None] = lambda: None

    def find(self, api_version: str, kind: str, refresh: bool = False) -> Resource | None:
        return Resource(api_version, kind, f"{kind.lower()}s", True) if self.installed else None

    def resource(self, api_version: str, kind: str) -> Resource:
        return t.cast("Resource", self.find(api_version, kind))

    def list(self, api_version: str, kind: str, namespace: str | None = None, selector: str | None = None) -> t.Any:
        return [copy.deepcopy(item) for item in self.items.values() if item["kind"] == kind]

    def get_path(self, path: str) -> t.Any:
        return copy.deepcopy(self.items.get(path.rpartition("/")[2]))

    def merge(self, path: str, body: dict[str, t.Any]) -> dict[str, t.Any]:
        if self.errors:
            self.on_error()
            raise self.errors.pop(0)
        self.patches.append((path.rpartition("/")[2], body))
        return {}


@pytest.fixture
def run(make_task: t.Callable[..., t.Any], monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., t.Any]:
    """run(module, kube, check_mode=, **arguments) gives the result and the warnings."""

    def call(module: t.Any, kube: FakeKube | None, check_mode: bool = False, **arguments: t.Any) -> t.Any:
        def connect(params: dict[str, t.Any]) -> FakeKube:
            assert kube is not None, "connects although there is nothing"
            return kube

        monkeypatch.setattr(Kube, "from_params", connect)
        defaults = {name: spec.get("default") for name, spec in module.SPEC["argument_spec"].items()}
        task, fake, _lines = make_task({**defaults, **arguments}, check_mode=check_mode)
        return module.run(task), fake.warnings

    return call


Run = t.Callable[..., tuple[dict[str, t.Any], list[str]]]


def test_starts_what_is_used_up_and_only_that(run: Run) -> None:
    kube = FakeKube(application("good"), application("bad", "Failed", "OutOfSync"))
    predicted, _warnings = run(argocd_application_sync, kube, check_mode=True)
    assert kube.patches == []
    result, _warnings = run(argocd_application_sync, kube)
    assert [name for name, _body in kube.patches] == ["bad"]
    assert result["changed"] is predicted["changed"] is True
    assert result["started"] == predicted["started"]
    assert result["started"][0]["name"] == "bad"
    assert result["diff"] == predicted["diff"]


def test_changes_nothing_where_all_is_well(run: Run) -> None:
    kube = FakeKube(application("good"))
    result, warnings = run(argocd_application_sync, kube, wait=True)
    assert not result["changed"]
    assert "diff" not in result
    assert kube.patches == warnings == []


def test_a_refresh_is_no_change(run: Run) -> None:
    kube = FakeKube(application("good"))
    result, _warnings = run(argocd_application_sync, kube, refresh=True)
    assert not result["changed"]
    assert result["refreshed"] == ["good"]
    assert kube.patches == [("good", {"metadata": {"annotations": {model.REFRESH: "normal"}}})]
    kube.patches.clear()
    run(argocd_application_sync, kube, refresh=True, check_mode=True)
    assert kube.patches == []


def test_force_is_for_what_was_named(run: Run) -> None:
    root = application("root")
    root["status"]["resources"] = [
        {"group": "argoproj.io", "kind": "Application", "name": "web", "namespace": "argocd"}
    ]
    kube = FakeKube(root, application("web"))
    run(argocd_application_sync, kube, names=["root"], descend=True, force=True)
    assert [name for name, _body in kube.patches] == ["root"]


def test_what_people_sync_is_warned_about_and_not_waited_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_HELD_FOR_GOOD", 0)
    kube = FakeKube(application("prod", status="OutOfSync", automated=False))
    for module in (argocd_application_sync, argocd_application_info):
        result, warnings = run(module, kube, wait=True)
        assert "prod" in warnings[0]
        assert result["applications"][0]["state"] == "held"
    assert kube.patches == []


@pytest.mark.parametrize("module", [argocd_application_sync, argocd_application_info])
def test_no_argo_cd(run: Run, module: t.Any) -> None:
    kube = FakeKube(installed=False)
    with pytest.raises(HubspokeError, match="has no Applications"):
        run(module, kube, wait=True)
    result, _warnings = run(module, kube, wait=module is argocd_application_sync, check_mode=True)
    assert result["applications"] == []


def test_no_cluster_in_check_mode(run: Run) -> None:
    result, _warnings = run(argocd_application_sync, None, check_mode=True, cluster_present=False, wait=True)
    assert not result["changed"]


def conflict() -> ApiError:
    return ApiError("conflict", 409, "Conflict")


def test_a_conflict_is_decided_anew() -> None:
    kube = FakeKube(application("bad", "Failed", "OutOfSync"))
    step = t.cast("Step", plan_one(kube.items["bad"]))
    kube.errors = [conflict()]
    kube.on_error = lambda: kube.items["bad"]["metadata"].update(resourceVersion="2")
    done = Syncer(t.cast("Kube", kube)).begin(step)
    assert done is not None
    assert kube.patches[0][1]["metadata"] == {"resourceVersion": "2"}


def test_after_a_conflict_nothing_is_started_that_runs_already() -> None:
    kube = FakeKube(application("bad", "Failed", "OutOfSync"))
    step = t.cast("Step", plan_one(kube.items["bad"]))
    kube.errors = [conflict()]
    kube.on_error = lambda: kube.items["bad"].update(operation={"sync": {}})
    assert Syncer(t.cast("Kube", kube)).begin(step) is None
    assert kube.patches == []


def test_conflicts_without_end_are_an_error() -> None:
    kube = FakeKube(application("bad", "Failed", "OutOfSync"))
    step = t.cast("Step", plan_one(kube.items["bad"]))
    kube.errors = [conflict() for _ in range(20)]
    with pytest.raises(HubspokeError, match="Application bad changes too fast"):
        Syncer(t.cast("Kube", kube)).begin(step)


def test_other_refusals_are_passed_on() -> None:
    kube = FakeKube(application("bad", "Failed", "OutOfSync"))
    kube.errors = [ApiError("forbidden", 403, "Forbidden")]
    with pytest.raises(ApiError, match="forbidden"):
        Syncer(t.cast("Kube", kube)).begin(t.cast("Step", plan_one(kube.items["bad"])))
    # Something that went away in the meantime needs no refresh.
    kube.errors = [ApiError("gone", 404, "NotFound")]
    assert Syncer(t.cast("Kube", kube)).refresh([application("bad")]) == []
