# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the variables and facts of an inventory to the clusters that are registered."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.hubspoke.bootstrap.plugins.filter.registration_clusters import registration_clusters

HERE = "https://127.0.0.1:28552"
ON_THE_NETWORK = "https://tokyo-control-plane:6443"
IN_CLUSTER = "https://kubernetes.default.svc"
FACTS = {
    "cluster_kubeconfig": "/state/tokyo/kubeconfig",
    "cluster_context": "tokyo",
    "cluster_present": True,
    "cluster_provider_used": "existing",
    "cluster_address": "https://tokyo.example.com:6443",
    "cluster_hub_address": "https://tokyo.example.com:6443",
}


def made(
    spokes: dict[str, dict[str, t.Any]], hub: dict[str, t.Any] | None = None, **options: t.Any
) -> dict[str, t.Any]:
    return registration_clusters(
        list(spokes), hostvars={"seoul": hub or {}, **spokes}, hub="seoul", **{"with_hub": False, **options}
    )


def only(variables: dict[str, t.Any], **options: t.Any) -> dict[str, t.Any]:
    (cluster,) = made({"tokyo": {**FACTS, **variables}}, **options)["clusters"]
    return t.cast("dict[str, t.Any]", cluster)


def test_a_spoke() -> None:
    variables = {"cluster_labels": {"environment": "prod"}, "cluster_annotations": {"addons_repo": "https://x"}}
    assert only(variables) == {
        "name": "tokyo",
        "server": "https://tokyo.example.com:6443",
        "spoke": {"kubeconfig": "/state/tokyo/kubeconfig", "context": "tokyo"},
        "spoke_present": True,
        "labels": {"environment": "prod"},
        "annotations": {"addons_repo": "https://x"},
    }


def test_nothing_is_invented() -> None:
    assert (only({})["labels"], only({"cluster_labels": None})["annotations"]) == ({}, {})


def test_the_hub_comes_first_and_needs_no_facts() -> None:
    hub = {"cluster_name": "seoul-1", "cluster_labels": {"a": "b"}}
    found = made({"tokyo": FACTS}, hub, with_hub=True)["clusters"]
    assert found[0] == {"name": "seoul-1", "server": IN_CLUSTER, "labels": {"a": "b"}, "annotations": {}}
    assert [cluster["name"] for cluster in found] == ["seoul-1", "tokyo"]


def test_a_hub_that_is_among_the_spokes_is_one_cluster() -> None:
    assert [cluster["server"] for cluster in made({"seoul": FACTS}, FACTS, with_hub=True)["clusters"]] == [IN_CLUSTER]


@pytest.mark.parametrize(
    ("provider", "hub_is_local", "expected"),
    [
        ("existing", False, ON_THE_NETWORK),
        ("existing", True, ON_THE_NETWORK),  # the user said so
        ("kind", False, ON_THE_NETWORK),
        ("kind", True, HERE),  # a process of this machine does not know the names of Docker's network
        ("k3d", True, HERE),
        ("", False, HERE),
    ],
)
def test_the_address_is_the_one_that_the_hub_can_use(provider: str, hub_is_local: bool, expected: str) -> None:
    facts = {
        "cluster_provider_used": provider,
        "cluster_address": HERE,
        "cluster_hub_address": ON_THE_NETWORK if provider else "",
    }
    assert only(facts, hub_is_local=hub_is_local)["server"] == expected


def test_simulated_nodes_beside_a_hub_of_the_same_kind() -> None:
    facts = {"cluster_provider_used": "kwok", "cluster_address": HERE, "cluster_hub_address": HERE}
    assert only(facts, hub_is_local=True)["server"] == HERE
    with pytest.raises(AnsibleFilterError, match=r"spoke tokyo has simulated nodes .* pods in the cluster of seoul"):
        only(facts)


@pytest.mark.parametrize(
    ("present", "check_mode", "expected"), [(True, True, True), (False, True, False), (False, False, True)]
)
def test_a_cluster_may_be_missing_in_check_mode_only(present: bool, check_mode: bool, expected: bool) -> None:
    found = only({"cluster_present": present, "cluster_address": "", "cluster_hub_address": ""}, check_mode=check_mode)
    assert found["spoke_present"] is expected
    assert "server" not in found


def test_defaults_give_way_to_the_hosts_and_these_to_its_options() -> None:
    defaults = {"token_lifetime": "30d", "token_renew_after": 0.5}
    variables = {
        "cluster_registration_token_lifetime": "12h",
        "cluster_registration_options": {"token_renew_after": 0.8, "project": "web", "server": "https://other:1"},
    }
    found = only(variables, defaults=defaults)
    assert {name: found[name] for name in (*defaults, "project", "server")} == {
        "token_lifetime": "12h",
        "token_renew_after": 0.8,
        "project": "web",
        "server": "https://other:1",
    }
    assert only({}, defaults=defaults)["token_lifetime"] == "30d"
    assert only({"cluster_registration_probe": False}, defaults={"probe": True})["probe"] is False


def test_labels_of_the_options_are_added() -> None:
    variables = {"cluster_labels": {"a": "1", "b": "2"}, "cluster_registration_options": {"labels": {"b": "3"}}}
    assert only(variables)["labels"] == {"a": "1", "b": "3"}


def test_hosts_of_which_nothing_is_known_are_told_apart() -> None:
    existing = {"cluster_kubeconfig": "/home/me/kubeconfig", "cluster_name": "osaka-1"}  # variables and no facts
    found = made({"osaka": existing, "tokyo": FACTS})
    assert (found["unknown"], found["unknown_names"]) == (["osaka"], ["osaka-1"])
    assert [cluster["name"] for cluster in found["clusters"]] == ["tokyo"]


@pytest.mark.parametrize(
    ("spokes", "message"),
    [
        (
            {"a": {**FACTS, "cluster_name": "tokyo"}, "b": {**FACTS, "cluster_name": "tokyo"}},
            "hosts a and b are both to be registered as cluster tokyo",
        ),
        ({"a": {**FACTS, "cluster_name": "seoul"}}, "hosts seoul and a are both to be registered as cluster seoul"),
        (
            {"a": {**FACTS, "cluster_registration_options": {"namespace": ["web"]}}},
            "cluster_registration_options of a has namespace, .* Did you mean namespaces?",
        ),
        ({"a": {**FACTS, "cluster_registration_options": {"xyzzy": 1}}}, "has xyzzy, .* It knows name, state, server"),
        ({"a": {**FACTS, "cluster_registration_options": ["x"]}}, "cluster_registration_options of a is no mapping"),
        ({"a": {**FACTS, "cluster_labels": "a=b"}}, "cluster_labels of a is no mapping"),
        (
            {"a": {**FACTS, "cluster_registration_options": {"labels": "a=b"}}},
            "cluster_registration_options of a has labels that are no mapping",
        ),
    ],
)
def test_wrong_input(spokes: dict[str, dict[str, t.Any]], message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        made(spokes, with_hub=True)
