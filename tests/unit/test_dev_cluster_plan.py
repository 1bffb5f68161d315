# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what a development cluster is to what it is to be: one table for each verb."""

from __future__ import annotations

import json
import typing as t
from dataclasses import replace

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _dev_cluster_plan as planning
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_k3d import K3d
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_kind import Kind
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_kwok import Kwok
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_plan import Actual, Plan
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_spec import Port, Spec
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

KIND = Spec("kind", version="v1.36.3", servers=1, agents=2)
RUNNING = Actual(
    phase="ready",
    spec=KIND,
    exists=True,
    complete=True,
    running=True,
    alive=True,
    answering=True,
    version="v1.36.3",
    servers=1,
    agents=2,
    kubeconfig=True,
)
TRAITS = {"kind": Kind.traits, "k3d": K3d.traits, "kwok": Kwok.traits}


def plan(actual: Actual, wanted: Spec = KIND, recreate: bool = False) -> Plan:
    return planning.plan_present("dev", wanted, actual, TRAITS[wanted.provider], recreate)


@pytest.mark.parametrize(
    ("actual", "steps"),
    [
        pytest.param(Actual(), ("create", "export"), id="nothing"),
        pytest.param(RUNNING, (), id="as wanted"),
        pytest.param(replace(RUNNING, phase="creating"), ("delete", "create", "export"), id="killed while it was made"),
        pytest.param(
            replace(RUNNING, phase="deleting"), ("delete", "create", "export"), id="killed while it was deleted"
        ),
        pytest.param(replace(RUNNING, complete=False), ("delete", "create", "export"), id="a part of it is gone"),
        pytest.param(replace(RUNNING, phase="made"), ("start",), id="killed when only our part was left"),
        pytest.param(replace(RUNNING, running=False, answering=False), ("start",), id="stopped"),
        pytest.param(replace(RUNNING, answering=False), ("start",), id="does not answer"),
        pytest.param(replace(RUNNING, kubeconfig=False), ("kubeconfig",), id="no kubeconfig"),
        pytest.param(
            replace(RUNNING, kubeconfig=False, running=False), ("start",), id="starting writes the kubeconfig anyway"
        ),
        pytest.param(replace(RUNNING, exported=False), ("export",), id="not exported"),
        pytest.param(
            replace(RUNNING, running=False, exported=False), ("start", "export"), id="stopped and not exported"
        ),
    ],
)
def test_from_any_state_to_running(actual: Actual, steps: tuple[str, ...]) -> None:
    assert plan(actual).steps == steps
    assert plan(actual).difference == ()


def test_what_something_else_made_is_refused() -> None:
    with pytest.raises(HubspokeError, match=r"There is a kind cluster named dev already.*existing"):
        plan(Actual(exists=True))
    assert planning.plan_absent(Actual(exists=True), leftovers=False) == Plan()
    assert planning.plan_stopped(Actual(exists=True, alive=True)) == Plan()


PORT = Port(8080, 80)


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (replace(KIND, version="v1.35.1"), "version: v1.36.3, not v1.35.1"),
        (replace(KIND, version="v1.36.4"), "version: v1.36.3, not v1.36.4"),
        (replace(KIND, servers=3), "servers: 1, not 3"),
        (replace(KIND, agents=0), "agents: 2, not 0"),
        (replace(KIND, image="example.test/node:1"), "image: the default, not example.test/node:1"),
        (replace(KIND, ports=(PORT,)), "ports: none, not 127.0.0.1:8080:80/tcp"),
        (replace(KIND, api_server_args={"v": "2", "audit-log-maxage": "3"}), "none, not v=2, audit-log-maxage=3"),
        (Spec("kwok", version="v1.30.0", agents=9), "provider: kind, not kwok"),
    ],
)
def test_a_difference_is_reported_and_made_good_only_if_allowed(wanted: Spec, text: str) -> None:
    left = plan(RUNNING, wanted)
    assert left.steps == ()
    assert len(left.difference) == 1
    assert text in left.difference[0]
    anew = plan(RUNNING, wanted, recreate=True)
    assert anew.steps == ("delete", "create", "export")
    assert anew.difference == ()
    assert text in anew.reason


@pytest.mark.parametrize(
    ("wanted", "actual"),
    [
        pytest.param(replace(KIND, version=""), RUNNING, id="any version will do"),
        pytest.param(KIND, replace(RUNNING, version="v1.36.3+k3s1"), id="a build of the same version"),
        pytest.param(KIND, replace(RUNNING, version="v0.0.0-master"), id="made as that version, under another name"),
        pytest.param(
            replace(KIND, ports=(PORT, Port(1, 1))),
            replace(RUNNING, spec=replace(KIND, ports=(Port(1, 1), PORT))),
            id="ports in another order",
        ),
        pytest.param(
            replace(KIND, image=""),
            replace(RUNNING, spec=replace(KIND, image="example.test/a")),
            id="any image will do",
        ),
    ],
)
def test_what_is_no_difference(wanted: Spec, actual: Actual) -> None:
    assert plan(actual, wanted, recreate=True) == Plan()


def test_a_stopped_cluster_that_differs_is_started_as_it_is() -> None:
    found = plan(replace(RUNNING, running=False, answering=False), replace(KIND, agents=0))
    assert found.steps == ("start",)
    assert found.difference == ("agents: 2, not 0",)


def test_what_can_be_changed_while_it_runs_is() -> None:
    kwok = Spec("kwok", agents=2)
    actual = replace(RUNNING, spec=kwok)
    assert plan(actual, replace(kwok, agents=5)) == Plan(("adjust",))
    assert plan(actual, replace(kwok, agents=5), recreate=True) == Plan(("adjust",))
    mirrored = replace(KIND, registry_mirrors={"docker.io": ("http://mirror.test",)})
    assert plan(RUNNING, mirrored) == Plan(("adjust",))
    # k3d's cannot be.
    k3d = replace(mirrored, provider="k3d")
    assert plan(replace(RUNNING, spec=replace(KIND, provider="k3d")), k3d).difference


def test_both_kinds_of_difference_at_once() -> None:
    kwok = Spec("kwok", agents=2)
    found = plan(replace(RUNNING, spec=kwok), replace(kwok, agents=5, api_server_args={"v": "2"}))
    assert found.steps == ("adjust",)
    assert found.difference == ("api_server_args: none, not v=2",)


def test_stopping() -> None:
    assert planning.plan_stopped(RUNNING) == Plan(("stop",))
    assert planning.plan_stopped(replace(RUNNING, running=False)) == Plan(("stop",)), "a part of it still runs"
    assert planning.plan_stopped(replace(RUNNING, running=False, alive=False)) == Plan()
    assert planning.plan_stopped(Actual()) == Plan()


def test_deleting() -> None:
    assert planning.plan_absent(RUNNING, leftovers=True) == Plan(("delete",))
    assert planning.plan_absent(replace(RUNNING, exists=False), leftovers=False) == Plan(("delete",))
    assert planning.plan_absent(Actual(), leftovers=True) == Plan(("delete",)), "files without a record"
    assert planning.plan_absent(Actual(), leftovers=False) == Plan()


@pytest.mark.parametrize(
    ("actual", "state"),
    [
        (Actual(), "absent"),
        (Actual(exists=True), "foreign"),
        (replace(RUNNING, phase="creating"), "half-made"),
        (replace(RUNNING, complete=False), "half-made"),
        (replace(RUNNING, running=False), "stopped"),
        (replace(RUNNING, answering=False), "unreachable"),
        (RUNNING, "running"),
    ],
)
def test_one_word_for_each_state(actual: Actual, state: str) -> None:
    assert actual.state == state


def test_the_difference_shown_is_what_the_plan_leads_to() -> None:
    made = planning.outcome(plan(Actual()), KIND, Actual(), Kind.traits, "v1.36.3")
    assert made == planning.describe(KIND, RUNNING.state, RUNNING.version)
    assert made["agents"] == 2
    assert "image" not in made
    wanted = replace(KIND, agents=0)
    unchanged = planning.outcome(plan(RUNNING, wanted), wanted, RUNNING, Kind.traits, "")
    assert unchanged == made, "what is only reported is not shown as done"
    kwok = replace(RUNNING, spec=Spec("kwok", agents=2))
    more = Spec("kwok", agents=5)
    assert planning.outcome(plan(kwok, more), more, kwok, Kwok.traits, "")["agents"] == 5
    assert planning.describe(None, "absent") == {}


def test_a_spec_survives_its_record() -> None:
    spec = replace(KIND, ports=(PORT,), registry_mirrors={"docker.io": ("http://a",)}, api_server_args={"v": "2"})
    data: dict[str, t.Any] = json.loads(json.dumps(spec.dump()))
    assert Spec.load(data) == spec
