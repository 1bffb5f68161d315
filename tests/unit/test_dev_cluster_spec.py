# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which provider, and what it can have of what is wanted."""

from __future__ import annotations

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_kind import Kind
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_kwok import Kwok
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_spec import (
    Port,
    Spec,
    check_name,
    check_spec,
    choose,
    suit,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

UP = ("28.2.2", "")
DOWN = ("", "unix:///var/run/docker.sock: Cannot connect")


@pytest.mark.parametrize(
    ("wanted", "recorded", "programs", "engine", "choice"),
    [
        ("auto", "", {"k3d", "kind"}, UP, ("k3d", "k3d is on PATH and a Docker engine answers (28.2.2)")),
        ("auto", "", {"kind"}, UP, ("kind", "kind is on PATH and a Docker engine answers (28.2.2)")),
        ("auto", "", {"k3d", "kind"}, DOWN, ("kwok", f"no Docker engine answers ({DOWN[1]})")),
        ("auto", "", set(), UP, ("kwok", "neither k3d nor kind is on PATH")),
        ("auto", "kind", {"k3d", "kind"}, UP, ("kind", "it was made with kind")),
        ("auto", "kind", set(), DOWN, ("kind", "it was made with kind")),
        ("kwok", "kind", {"k3d"}, UP, ("kwok", "cluster_provider is kwok")),
        ("k3d", "", set(), DOWN, ("k3d", "cluster_provider is k3d")),
    ],
)
def test_the_provider_and_why(
    wanted: str, recorded: str, programs: set[str], engine: tuple[str, str], choice: tuple[str, str]
) -> None:
    available = {name: name in programs for name in ("k3d", "kind")}
    found = choose(wanted, recorded, available, lambda: engine)
    assert (found.provider, found.reason) == choice


def test_the_engine_is_only_asked_where_it_matters() -> None:
    def never() -> tuple[str, str]:
        raise AssertionError("asked")

    choose("auto", "", {}, never)
    choose("auto", "kind", {"kind": True}, never)
    choose("kind", "", {"kind": True}, never)


@pytest.mark.parametrize("name", ["dev", "a", "seoul-1", "x" * 32])
def test_good_names(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", "Dev", "dev_1", "-dev", "dev-", "x" * 33, "a/b", "..", "dev\n"])
def test_bad_names(name: str) -> None:
    with pytest.raises(HubspokeError, match="cluster_name"):
        check_name(name)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (Spec("kind", version="1.36.3"), "cluster_version"),
        (Spec("kind", version="v1.36"), "cluster_version"),
        (Spec("kind", servers=0), "cluster_servers"),
        (Spec("kind", agents=-1), "cluster_agents"),
        (Spec("kind", ports=(Port(0, 80),)), "cluster_ports"),
        (Spec("kind", ports=(Port(80, 70000),)), "cluster_ports"),
        (Spec("kind", ports=(Port(80, 80), Port(80, 81))), "twice"),
    ],
)
def test_values_that_nobody_can_have(spec: Spec, message: str) -> None:
    with pytest.raises(HubspokeError, match=message):
        check_spec(spec)


def test_the_same_port_twice_with_two_protocols_or_addresses() -> None:
    check_spec(Spec("kind", ports=(Port(53, 53), Port(53, 53, protocol="udp"), Port(53, 53, address="127.0.0.2"))))


def test_kwok_says_what_it_cannot_have() -> None:
    spec = Spec("kwok", ports=(Port(80, 80),), registry_mirrors={"docker.io": ("http://a",)}, image="a", servers=3)
    suited, notes = suit(spec, Kwok.traits, strict=False)
    assert suited == Spec("kwok", servers=1, agents=1)
    for name in ("cluster_ports", "cluster_registry_mirrors", "cluster_image", "cluster_servers"):
        assert [name in note and "kwok" in note for note in notes].count(True) == 1


def test_kwok_by_choice_has_one_server() -> None:
    with pytest.raises(HubspokeError, match="cluster_servers to 1"):
        suit(Spec("kwok", servers=3), Kwok.traits, strict=True)


def test_kind_has_everything() -> None:
    spec = Spec("kind", ports=(Port(80, 80),), registry_mirrors={"docker.io": ("http://a",)}, image="a", servers=3)
    assert suit(spec, Kind.traits, strict=True) == (spec, [])


def test_arguments_become_text() -> None:
    data = {
        "provider": "kind",
        "servers": 1,
        "agents": 0,
        "api_server_args": {"v": 2, "profiling": False, "empty": None},
        "registry_mirrors": {"docker.io": "http://a", "quay.io": ["http://b", "http://c"]},
    }
    spec = Spec.load(data)
    assert spec.api_server_args == {"v": "2", "profiling": "false", "empty": ""}
    assert spec.registry_mirrors == {"docker.io": ("http://a",), "quay.io": ("http://b", "http://c")}
