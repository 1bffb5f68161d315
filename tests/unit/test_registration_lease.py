# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One run at a time: who waits, who takes over, and what a run does that has lost its Lease."""

from __future__ import annotations

import time
import typing as t
from datetime import UTC, datetime, timedelta

import pytest
from unit.registration_world import LEASE, LOCK, UNLOCK, Server

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _registration_lease as leases
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import ApiError, HubspokeError

RENEW = "hub PUT leases/hubspoke-registration"


class Held:
    """A hub's Lease, and this run's hand on it."""

    def __init__(self, patience: float = 0) -> None:
        self.events: list[str] = []
        self.lines: list[str] = []
        self.hub = Server("hub", self.events)
        self.lease = leases.Lease(t.cast("t.Any", self.hub), "argocd", self.lines.append, patience)

    def other(self, age: float = 0, duration: float = 30, **further: t.Any) -> None:
        renewed = (datetime.now(UTC) - timedelta(seconds=age)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {"holderIdentity": "somebody", "renewTime": renewed, "leaseDurationSeconds": duration}
        spec |= {"acquireTime": "2027-01-01T00:00:00.000000Z", **further}
        self.hub.put(LEASE, {"metadata": {"name": leases.NAME}, "spec": spec})

    @property
    def spec(self) -> t.Any:
        return self.hub.items[LEASE]["spec"]


@pytest.fixture
def held() -> t.Iterator[Held]:
    found = Held()
    yield found
    found.lease._end.set()


def until(true: t.Callable[[], t.Any]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_is_taken_once_and_given_back(held: Held) -> None:
    held.lease.take()
    held.lease.take()
    assert held.events == [LOCK]
    assert "process" in held.spec["holderIdentity"]
    held.lease.release()
    assert held.events == [LOCK, UNLOCK]
    assert LEASE not in held.hub.items


@pytest.mark.parametrize(
    ("other", "waits"),
    [
        ({}, True),
        ({"age": 20}, True),
        ({"age": 40}, False),
        ({"age": 40, "duration": 3600}, True),
        ({"renewTime": None}, False),
        ({"holderIdentity": ""}, False),
    ],
)
def test_who_has_it(held: Held, other: t.Any, waits: bool) -> None:
    held.other(**other)
    if waits:
        with pytest.raises(HubspokeError) as caught:
            held.lease.take()
        name = "Another run is registering clusters on this hub: somebody, since 2027-01-01 00:00:00 UTC."
        assert (caught.value.message, held.events) == (name, [])
    else:
        held.lease.take()
        assert held.events == [RENEW]
        assert held.spec["holderIdentity"] != "somebody"


def test_who_waits_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(patience=60)
    held.other()
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            del held.hub.items[LEASE]

    monkeypatch.setattr(leases.time, "sleep", nap)
    held.lease.take()
    held.lease.release()
    assert (len(naps), len(held.lines)) == (3, 1)
    assert held.lines[0].startswith("waiting for another run that registers clusters on this hub: somebody")


@pytest.mark.parametrize(("method", "before"), [("POST", False), ("PUT", True)])
def test_of_two_that_take_it_one_gets_it(held: Held, method: str, before: bool) -> None:
    if before:
        held.other(age=40)
    held.hub.on[method, "leases"] = lambda: held.other(age=0)
    with pytest.raises(HubspokeError, match="Another run is registering"):
        held.lease.take()
    held.hub.fails["GET", "leases"] = 403
    with pytest.raises(ApiError):
        held.lease.take()
    held.hub.fails = {(method, "leases"): 403}
    held.other(age=40)
    held.hub.items.pop(LEASE) if method == "POST" else None
    with pytest.raises(ApiError):
        held.lease.take()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "_SECONDS", 0.15)


@pytest.mark.usefixtures("quick")
def test_it_is_renewed_and_keeps_its_beginning(held: Held) -> None:
    held.lease.take()
    begun = held.spec["acquireTime"]
    held.hub.on["PUT", "leases"] = lambda: held.hub.fails.update({("PUT", "leases"): 500})
    until(lambda: held.hub.fails)
    held.hub.fails.clear()  # what passes is no reason to give it up
    held.events.clear()
    until(lambda: held.events.count(RENEW) > 2)
    assert held.spec["renewTime"] > begun == held.spec["acquireTime"]
    held.lease.take()
    held.lease.release()
    assert LEASE not in held.hub.items


@pytest.mark.usefixtures("quick")
def test_a_run_that_lost_it_stops_and_leaves_it_alone(held: Held) -> None:
    held.lease.take()
    held.other()
    until(lambda: held.lease._lost)
    with pytest.raises(HubspokeError, match=r"Another run took over .* while this one stood still"):
        held.lease.take()
    held.lease.release()
    assert UNLOCK not in held.events


def test_what_somebody_else_took_over_is_not_deleted(held: Held) -> None:
    held.lease.take()
    held.other()
    held.lease.release()
    assert held.spec["holderIdentity"] == "somebody"
