# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Role cluster_registration where no cluster is there: what it predicts, and what it says of wrong inventories."""

from __future__ import annotations

import json
import pathlib
import sys
import typing as t

import pytest

ROLE = "hubspoke.bootstrap.cluster_registration"
TASK = "Register the clusters in Argo CD"
SECRET = "pa55-of-the-test"
FACTS: dict[str, t.Any] = {
    "cluster_kubeconfig": "/nowhere/kubeconfig",
    "cluster_context": "x",
    "cluster_present": False,
    "cluster_provider_used": "kwok",
    "cluster_simulated": True,
    "cluster_address": "",
    "cluster_hub_address": "",
}
Roll = t.Callable[..., t.Any]


@pytest.fixture
def roll(play: t.Callable[..., t.Any], tmp_path: pathlib.Path) -> Roll:
    """Run the role in check mode for these spokes: roll({host: variables}, {variables of the hub})."""

    def run(spokes: dict[str, dict[str, t.Any]], hub: dict[str, t.Any] | None = None, *arguments: str) -> t.Any:
        path = tmp_path / "hosts.json"
        variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        groups = {"hub": {"hosts": {"seoul": {**FACTS, **(hub or {})}}}, "spokes": {"hosts": spokes}}
        path.write_text(json.dumps({"all": {"vars": variables, "children": groups}}))
        return play(
            [{"hosts": "hub", "gather_facts": False, "roles": [{"role": ROLE}]}],
            "--check",
            "--diff",
            *arguments,
            inventory=str(path),
        )

    return run


def test_a_run_on_nothing_is_predicted(roll: Roll) -> None:
    run = roll({"tokyo": {**FACTS, "cluster_labels": {"region": "{{ region }}"}, "region": "east"}})
    assert run.code == 0, run.output
    found = run.result(TASK)
    assert [(each["name"], each["action"]) for each in found["clusters"]] == [
        ("seoul", "created"),
        ("tokyo", "created"),
    ]
    assert "region: east" in run.output


def test_without_spokes_there_is_the_hub_and_without_the_hub_nothing_to_do(roll: Roll) -> None:
    assert [each["name"] for each in roll({}).result(TASK)["clusters"]] == ["seoul"]
    for variables in ({"cluster_registration_hub": "no"}, {"cluster_state": "adopted"}):
        run = roll({}, variables)
        assert run.code == 0
        assert {line["task"]: line["status"] for line in run.lines}[TASK] == "skipped"


def test_a_spoke_without_connection_facts_is_named_and_the_others_are_done(roll: Roll) -> None:
    run = roll({"osaka": {"cluster_kubeconfig": "/nowhere"}, "tokyo": FACTS})
    assert run.code == 0, run.output
    message = run.result("Say which spokes are left as they are")["msg"]
    assert "does not know how osaka can be reached" in message
    assert "dev_cluster" in message
    assert [each["name"] for each in run.result(TASK)["clusters"]] == ["seoul", "tokyo"]


@pytest.mark.parametrize(
    ("spokes", "hub", "words"),
    [
        (
            {"a": {**FACTS, "cluster_name": "tokyo"}, "b": {**FACTS, "cluster_name": "tokyo"}},
            {},
            ["The hosts a and b are both to be registered as cluster tokyo.", "cluster_name"],
        ),
        (
            {"tokyo": {**FACTS, "cluster_registration_options": {"namespace": ["web"]}}},
            {},
            ["cluster_registration_options of tokyo has namespace", "Did you mean namespaces?"],
        ),
        ({"tokyo": {**FACTS, "cluster_registration_options": {"shard": "many"}}}, {}, ["shard", "many"]),
        (
            {"tokyo": {**FACTS, "cluster_labels": {"team": "not a label"}}},
            {},
            ["Cluster tokyo: labels has the value 'not a label' at team"],
        ),
        (
            {
                "tokyo": {
                    **FACTS,
                    "cluster_registration_options": {
                        "bearer_token": SECRET,
                        "basic": {"username": "x", "password": SECRET},
                    },
                }
            },
            {},
            ["Cluster tokyo: bearer_token and basic exclude each other"],
        ),
        ({"tokyo": FACTS}, {"cluster_simulated": False}, ["The spoke tokyo has simulated nodes", "cluster of seoul"]),
        ({"tokyo": FACTS}, {"cluster_registration_rotate": "sometimes"}, ["cluster_registration_rotate", "sometimes"]),
    ],
    ids=["one name twice", "unknown option", "wrong type", "bad label", "two credentials", "out of reach", "rotate"],
)
def test_wrong_inventories(
    roll: Roll, spokes: dict[str, dict[str, t.Any]], hub: dict[str, t.Any], words: list[str]
) -> None:
    run = roll(spokes, hub)
    assert run.code == 2, run.output
    (failed,) = (line for line in run.lines if line["status"] == "failed")
    message = " ".join(failed["result"]["msg"].split())
    for word in words:
        assert word in message
    assert SECRET not in run.output
