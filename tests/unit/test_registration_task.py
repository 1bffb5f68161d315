# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From a module's arguments to a run, and from what became of its clusters to a result."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _registration_task as tasks
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_outcome import Options, Outcome

MakeTask = t.Callable[..., t.Any]
DEFAULTS = {name: option.get("default") for name, option in tasks.RUN_SPEC.items()}
GIVEN = {
    "namespace": "cd",
    "owner": "me",
    "take_over": True,
    "rotate": "always",
    "hub_is_local": True,
    "timeout": 3.0,
}
FLEET = {"remove_applications": True, "removal_timeout": 7, "probe_from_hub": True}
CLUSTER = {"name": "a", "server": "https://a", "bearer_token": "x"}


@pytest.fixture
def fleets(monkeypatch: pytest.MonkeyPatch) -> list[tuple[t.Any, t.Any]]:
    """Hub and fleet of each run that would have been."""
    seen: list[tuple[t.Any, t.Any]] = []

    class Run:
        def __init__(self, hub: t.Any, fleet: t.Any, _progress: t.Any) -> None:
            seen.append((hub, fleet))

        def run(self) -> list[Outcome]:
            return []

    monkeypatch.setattr(tasks, "FleetRun", Run)
    monkeypatch.setattr(tasks.Kube, "from_params", lambda _params, connections: f"{connections} connections")
    return seen


def test_every_option_reaches_the_run(make_task: MakeTask, fleets: list[t.Any]) -> None:
    tasks.register(make_task(DEFAULTS)[0], [CLUSTER])
    tasks.register(
        make_task({**DEFAULTS, **GIVEN, **FLEET, "protected": ["x"]}, check_mode=True)[0], [CLUSTER], prune=True
    )
    (_hub, plain), (hub, fleet) = fleets
    assert plain.options == Options(now=plain.options.now)
    assert plain == tasks.Fleet(plain.clusters, plain.options)
    assert fleet.options == Options(**GIVEN, check_mode=True, now=fleet.options.now)
    assert fleet == tasks.Fleet(fleet.clusters, fleet.options, **FLEET, protected=frozenset({"x"}), prune=True)
    assert hub == "16 connections"


@pytest.mark.parametrize(("check", "present", "there"), [
    (True, True, True), (True, False, False), (False, True, True), (False, False, True),
])  # fmt: skip
def test_only_a_check_may_speak_of_clusters_that_are_not_there(
    make_task: MakeTask, fleets: list[t.Any], check: bool, present: bool, there: bool
) -> None:
    task = make_task({**DEFAULTS, "cluster_present": present}, check_mode=check)[0]
    tasks.register(task, [{**CLUSTER, "spoke_present": present}])
    ((hub, fleet),) = fleets
    assert (hub is not None, fleet.clusters[0].spoke_present) == (there, there)


def test_all_that_is_wrong_is_said_at_once(make_task: MakeTask, fleets: list[t.Any]) -> None:
    wrong = [{**CLUSTER, "name": f"c{number}", "shard": -1} for number in range(12)]
    for count, more in ((10, ""), (12, "\nand 2 more")):
        with pytest.raises(HubspokeError) as caught:
            tasks.register(make_task(DEFAULTS)[0], [CLUSTER, *wrong[:count]])
        lines = "\n".join(f"Cluster c{number}: shard is -1. Shards count from 0." for number in range(10))
        assert str(caught.value) == lines + more
    assert fleets == []


FINE = Outcome("a", action="unchanged", notes=["so"])
NEW = Outcome("b", action="created", changes=["created"], warnings=["take care"], after={"name": "b"})
BAD = Outcome("c", changes=["created"], error=HubspokeError("Cluster c: no.", "Do it."))


def test_what_became_of_them(make_task: MakeTask) -> None:
    task, module, _lines = make_task()
    assert tasks.finish(task, [FINE], {}) == {"changed": False, "diff": []}
    result = tasks.finish(task, [FINE, NEW], {"clusters": []})
    header = {"before_header": "cluster b", "after_header": "cluster b"}
    assert result == {"clusters": [], "changed": True, "diff": [{**header, "before": "", "after": "name: b\n"}]}
    assert module.warnings == ["Cluster b: take care."]
    assert "diff" not in tasks.finish(make_task(diff=False)[0], [NEW], {})


@pytest.mark.parametrize(
    ("outcomes", "text", "changed"),
    [
        ([BAD], "Cluster c: no. Do it.", False),
        ([FINE, BAD], "1 of 2 clusters failed, the others are done:\nCluster c: no. Do it.", False),
        ([NEW, BAD], "1 of 2 clusters failed, the others are done:\nCluster c: no. Do it.", True),
        ([BAD] * 11, "11 of 11 clusters failed, the others are done:" + "\nCluster c: no. Do it." * 10, False),
    ],
)
def test_failures_come_with_the_result(make_task: MakeTask, outcomes: t.Any, text: str, changed: bool) -> None:
    with pytest.raises(HubspokeError) as caught:
        tasks.finish(make_task()[0], outcomes, {"clusters": [1]})
    assert str(caught.value) == text + ("\nand 1 more" if len(outcomes) > 10 else "")
    details = caught.value.details
    assert (details["changed"], details["clusters"], len(details["diff"])) == (changed, [1], int(changed))


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (FINE, {"action": "unchanged", "changed": False, "failed": False, "notes": ["so"]}),
        (NEW, {"action": "created", "changed": True, "failed": False, "notes": ["take care"]}),
        (BAD, {"action": "failed", "changed": False, "failed": True, "msg": "Cluster c: no. Do it."}),
        (Outcome("d", action="removed"), {"action": "removed", "changed": True}),
        (Outcome("e", action="updated", account_changes=["x"]), {"changed": True, "account_changes": ["x"]}),
    ],
)
def test_one_clusters_part(outcome: Outcome, expected: dict[str, t.Any]) -> None:
    result = tasks.as_result(outcome)
    assert {key: result[key] for key in expected} == expected
    assert ("msg" in result) is result["failed"]
