# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Waiting for Applications, on a clock that only moves when somebody sleeps."""

from __future__ import annotations

import itertools
import typing as t

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_application import REFRESH
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_application_failing import Finding
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_application_tree import Tree
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_application_wait import Patience, Waiter, pause
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

Status = dict[str, t.Any]
READY: Status = {"sync": {"status": "Synced"}, "health": {"status": "Healthy"}}
PROGRESSING: Status = {"sync": {"status": "Synced"}, "health": {"status": "Progressing"}}
DEGRADED: Status = {"sync": {"status": "Synced"}, "health": {"status": "Degraded", "message": "too old"}}
OUT_OF_SYNC: Status = {"sync": {"status": "OutOfSync"}, "health": {"status": "Missing"}}
NO_REPOSITORY: Status = {
    "sync": {"status": "Unknown"},
    "conditions": [{"type": "ComparisonError", "message": "failed to list refs: repository not found"}],
}
NO_ANSWER: Status = {
    "sync": {"status": "Unknown"},
    "conditions": [{"type": "ComparisonError", "message": "dial tcp: connection refused"}],
}


class World:
    """Applications whose status changes with time, seen on a clock of their own."""

    def __init__(self, **stories: list[tuple[float, Status]]) -> None:
        self.now = 0.0
        self.stories = stories
        self.annotations: dict[str, dict[str, str]] = {name: {} for name in stories}
        self.spec: dict[str, t.Any] = {
            "source": {"repoURL": "https://git.example.com/apps.git", "targetRevision": "main", "path": "apps"},
            "syncPolicy": {"automated": {}},
        }
        self.lines: list[tuple[float, str]] = []
        self.nudged: list[tuple[float, str]] = []
        self.reads = 0
        self.cost = 0.0

    def read(self) -> Tree:
        self.reads += 1
        self.now += self.cost
        tree = Tree()
        for name, story in self.stories.items():
            status = [status for since, status in story if since <= self.now][-1]
            tree.items["Application", "argocd", name] = {
                "kind": "Application",
                "metadata": {"name": name, "namespace": "argocd", "annotations": self.annotations[name]},
                "spec": self.spec,
                "status": status,
            }
        return tree

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def nudge(self, apps: list[dict[str, t.Any]]) -> None:
        self.nudged += [(self.now, app["metadata"]["name"]) for app in apps]

    def waiter(self, findings: t.Sequence[Finding] = (), may_nudge: bool = True, **patience: t.Any) -> Waiter:
        return Waiter(
            self.read,
            lambda _app: list(findings),
            Patience(**patience),
            progress=lambda line: self.lines.append((self.now, line)),
            nudge=self.nudge if may_nudge else None,
            clock=lambda: self.now,
            sleep=self.sleep,
        )

    def failure(self, **options: t.Any) -> HubspokeError:
        with pytest.raises(HubspokeError) as caught:
            self.waiter(**options).wait()
        return caught.value


def test_what_is_ready_is_not_waited_for_and_not_talked_about() -> None:
    world = World(root=[(0, READY)])
    assert len(world.waiter().wait().found) == 1
    assert (world.now, world.reads, world.lines) == (0, 1, [])


def test_tells_what_changes_and_ends_with_the_last() -> None:
    world = World(root=[(0, OUT_OF_SYNC), (3, READY)], web=[(0, PROGRESSING), (5, READY)], other=[(0, READY)])
    world.waiter().wait()
    assert world.now == pytest.approx(5, abs=0.3)
    assert [line for _when, line in world.lines] == [
        "root: OutOfSync, Missing",
        "web: Progressing",
        "root: Synced, Healthy",
        "web: Synced, Healthy",
    ]


def test_speaks_at_most_once_a_second_and_says_that_it_still_waits() -> None:
    story = [(n / 10, {**PROGRESSING, "health": {"status": "Progressing", "message": f"step {n}"}}) for n in range(100)]
    world = World(root=[*story, (90, READY)])
    world.waiter().wait()
    times = [when for when, _line in world.lines]
    assert all(later - earlier >= 1 for earlier, later in itertools.pairwise(times[:-1]))
    assert any("still waiting after" in line for _when, line in world.lines)
    assert len(times) < 20


def test_many_lines_at_once_are_cut() -> None:
    world = World(**{f"app-{n:02d}": [(0, PROGRESSING), (2, READY)] for n in range(20)})
    world.waiter().wait()
    assert [line for _when, line in world.lines].count("and 16 more") == 2


def test_timeout_names_each_one_with_its_resources_and_the_variable() -> None:
    findings = [Finding("Deployment", "web", "infra", "0 of 2 replicas available")]
    world = World(infra=[(0, DEGRADED)], root=[(0, READY)])
    error = world.failure(findings=findings, timeout=60, variables={"wait_timeout": "gitops_root_wait_timeout"})
    assert world.now == pytest.approx(60, abs=2)
    assert error.message == (
        "Not Synced and Healthy after 60 s: infra: Degraded: too old; Deployment web: 0 of 2 replicas available."
    )
    assert "gitops_root_wait_timeout" in error.remedy
    assert error.details["stuck"][0]["name"] == "infra"


def test_timeout_with_several_puts_errors_first() -> None:
    world = World(a=[(0, PROGRESSING)], b=[(0, NO_REPOSITORY)])
    error = world.failure(timeout=30)
    assert error.message.splitlines()[1].startswith(
        "- b: ComparisonError: repository not found (https://git.example.com"
    )
    assert error.message.splitlines()[2] == "- a: Progressing"


def test_a_failed_sync_names_the_resource_that_it_speaks_of() -> None:
    failed = {
        "sync": {"status": "OutOfSync", "revision": "a"},
        "operationState": {
            "phase": "Failed",
            "message": "failed to apply, reason: it is bad",
            "syncResult": {"revision": "a"},
        },
    }
    world = World(web=[(0, failed)])
    error = world.failure(findings=[Finding("Service", "web", "web", "it is bad")])
    assert "web: sync failed: failed to apply, reason: Service web: it is bad." in error.message


def test_gives_up_early_where_time_does_not_help() -> None:
    world = World(root=[(0, NO_REPOSITORY)])
    error = world.failure(timeout=600, error_timeout=15, variables={"repository": "gitops_root_repository"})
    assert world.now == pytest.approx(15, abs=1)
    assert error.message.startswith("Waiting longer would not help: root: ComparisonError: repository not found")
    assert "https://git.example.com/apps.git" in error.remedy
    assert "gitops_root_repository" in error.remedy
    # It has looked again by then, and more than once.
    assert [round(when) for when, _name in world.nudged] == [1, 9]


def test_does_not_give_up_early_while_nobody_answered() -> None:
    world = World(root=[(0, NO_ANSWER), (40, READY)])
    world.waiter(timeout=60, error_timeout=5).wait()
    assert world.now >= 40


def test_does_not_give_up_early_while_something_moves() -> None:
    steps = [(n, {**PROGRESSING, "health": {"status": "Progressing", "message": str(n)}}) for n in range(0, 40, 4)]
    world = World(a=[(0, NO_REPOSITORY), (38, READY)], b=[*steps, (39, READY)])
    world.waiter(timeout=60, error_timeout=5).wait()
    assert world.now >= 38


def test_does_not_ask_again_while_it_is_looked_at() -> None:
    world = World(root=[(0, NO_REPOSITORY)])
    world.annotations["root"][REFRESH] = "hard"
    world.failure(timeout=30, error_timeout=5)
    assert world.nudged == []
    assert world.now >= 30


def test_asks_nothing_where_nothing_may_be_written() -> None:
    world = World(root=[(0, NO_REPOSITORY)])
    world.failure(may_nudge=False, error_timeout=10)
    assert world.nudged == []
    assert world.now == pytest.approx(10, abs=1)


def test_a_controller_that_does_not_react_is_named() -> None:
    assert "application controller" in World(root=[(0, {})]).failure(timeout=5).remedy


def test_variables_belong_to_the_roots_only() -> None:
    world = World(root=[(0, READY)], web=[(0, NO_REPOSITORY)])
    read = world.read

    def with_parent() -> Tree:
        tree = read()
        tree.parents["Application", "argocd", "web"] = ("Application", "argocd", "root")
        return tree

    world.read = with_parent  # type: ignore[method-assign]
    error = world.failure(variables={"repository": "gitops_root_repository"})
    assert "gitops_root_repository" not in str(error)
    assert "spec.source.repoURL of Application web" in str(error)


def test_asking_never_takes_more_than_a_fifth_of_the_time() -> None:
    world = World(root=[(0, PROGRESSING), (100, READY)])
    world.cost = 2
    world.waiter(timeout=200).wait()
    assert world.reads * world.cost <= 100 / 5 + 2 * world.cost


def test_what_is_left_to_people_is_believed_only_after_a_while() -> None:
    world = World(root=[(0, OUT_OF_SYNC), (1, READY)])
    world.spec = {"source": world.spec["source"]}
    world.waiter().wait()
    assert world.now == pytest.approx(1, abs=0.3)
    held = World(root=[(0, OUT_OF_SYNC)])
    held.spec = {"source": held.spec["source"]}
    held.waiter().wait()
    assert held.now == pytest.approx(2, abs=0.3)


def test_pauses_grow() -> None:
    pauses = [pause(elapsed) for elapsed in (0, 9, 11, 31, 121, 301, 10000)]
    assert pauses == sorted(pauses)
    assert pauses[0] == 0.2
