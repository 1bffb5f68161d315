# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What keeps a cluster from being registered is said before anything is made."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import Finding, Host, Survey
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_spokes import registration

ROLES = ["dev_cluster", "cluster_registration"]


def found(
    spoke: dict[str, t.Any], provider: str = "kind", hub: str = "kind", roles: list[str] | None = None
) -> list[Finding]:
    hosts = (Host("seoul", {"cluster_labels": {"a": "b"}}, provider=hub), Host("tokyo", spoke, provider=provider))
    return list(registration(Survey(hosts, ("seoul",), {"roles": ROLES if roles is None else roles})))


def test_a_spoke_that_can_be_registered() -> None:
    values = {"cluster_registration_options": {"project": "web"}, "cluster_registration_token_lifetime": "12h"}
    (finding,) = found(values)
    assert (finding.verdict, finding.found) == ("ok", "1 spoke to be registered in Argo CD, with options that can be")


def test_nothing_is_said_where_nothing_is_registered() -> None:
    assert found({"cluster_registration_options": {"xyzzy": 1}}, roles=["dev_cluster"]) == []
    alone = Survey((Host("seoul", provider="kwok"),), ("seoul",), {"roles": ROLES})
    assert list(registration(alone)) == []


@pytest.mark.parametrize(
    ("provider", "hub", "good"), [("kwok", "kwok", True), ("kind", "kwok", True), ("kwok", "kind", False)]
)
def test_simulated_nodes_need_a_hub_on_this_machine(provider: str, hub: str, good: bool) -> None:
    (finding,) = found({}, provider, hub)
    assert (finding.verdict == "ok") is good
    if not good:
        assert (finding.hosts, finding.variable) == (("tokyo",), "cluster_provider")
        assert "not the pods of seoul" in finding.found


@pytest.mark.parametrize(
    ("values", "variable", "words"),
    [
        ({"cluster_registration_options": {"namespace": ["web"]}}, "cluster_registration_options", "has namespace,"),
        ({"cluster_registration_options": {"shard": "many"}}, "cluster_registration_options", "shard"),
        ({"cluster_labels": {"team": "not a label"}}, "cluster_labels", "'not a label' at team"),
        ({"cluster_annotations": {"a b": "x"}}, "cluster_annotations", "'a b'"),
        (
            {"cluster_registration_token_lifetime": "soon"},
            "cluster_registration_token_lifetime",
            "token_lifetime is 'soon'",
        ),
        (
            {"cluster_registration_options": {"bearer_token": "pa55", "basic": {"username": "x", "password": "pa55"}}},
            "cluster_registration_options",
            "bearer_token and basic exclude each other",
        ),
        ({"cluster_registration_options": {"server": "http://x"}}, "cluster_registration_options", "plain HTTP"),
    ],
)
def test_what_the_module_would_refuse(values: dict[str, t.Any], variable: str, words: str) -> None:
    (finding,) = found(values)
    assert (finding.verdict, finding.hosts, finding.variable) == ("fail", ("tokyo",), variable)
    assert words in finding.found
    assert finding.remedy
    assert "pa55" not in f"{finding.found}{finding.remedy}"
