# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How preflight's findings are gathered, joined and shown."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight as preflight
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_checks as checks
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import Check, Finding, Survey


def flat(text: str) -> str:
    return " ".join(text.split())


def test_one_finding_for_the_hosts_that_share_it() -> None:
    findings = [Finding("a", "x", "fail", "v", "r", (host,)) for host in ("one", "two")]
    findings.insert(1, Finding("a", "y", "fail", "v", "r", ("one",)))
    assert preflight.joined(findings) == [
        Finding("a", "x", "fail", "v", "r", ("one", "two")),
        Finding("a", "y", "fail", "v", "r", ("one",)),
    ]


def test_findings_come_in_the_order_of_the_registry_whichever_is_done_first() -> None:
    import threading

    second_is_done = threading.Event()

    def first(survey: Survey) -> list[Finding]:
        assert second_is_done.wait(5)
        return [Finding("first", "x")]

    def second(survey: Survey) -> list[Finding]:
        second_is_done.set()
        return [Finding("second", "x")]

    found = preflight.collect([Check("first", first), Check("second", second)], Survey(()))
    assert [finding.check for finding in found] == ["first", "second"]


@pytest.mark.parametrize(
    ("hosts", "shown"),
    [
        ((), "fine"),
        (("a",), "a: fine"),
        (("a", "b", "c", "d"), "a, b, c, d: fine"),
        (("a", "b", "c", "d", "e"), "a, b, c and 2 more: fine"),
    ],
)
def test_a_row_names_its_hosts_and_counts_the_rest(hosts: tuple[str, ...], shown: str) -> None:
    assert preflight.table([Finding("check", "fine", hosts=hosts)]) == f"OK    check  {shown}"


def test_long_rows_are_folded_below_themselves() -> None:
    lines = preflight.table([Finding("check", "word " * 40, "fail", "variable", "Do " + "this " * 40)]).splitlines()
    assert lines[0].startswith("FAIL  check  variable: word")
    assert all(line.startswith(" " * 13) for line in lines[1:])
    assert max(map(len, lines)) <= 110
    assert sum(line.strip().startswith("->") for line in lines) == 1


def test_the_message_has_everything_that_is_not_well_failures_first() -> None:
    text = preflight.message(
        [
            Finding("a", "doubtful", "warn", "va", "Look."),
            Finding("b", "fine"),
            Finding("c", "wrong", "fail", "vc", "Correct it."),
        ]
    )
    assert flat(text) == (
        "Preflight found 1 problem; nothing was changed. FAIL c vc: wrong -> Correct it. WARN a va: doubtful -> Look."
    )


def test_the_message_counts_problems() -> None:
    assert preflight.message([Finding("a", "x", "fail"), Finding("b", "y", "fail")]).startswith(
        "Preflight found 2 problems"
    )


def test_a_finding_is_plain_data_in_the_result() -> None:
    assert Finding("a", "x", "warn", "v", "r", ("h",)).public() == {
        "check": "a",
        "found": "x",
        "verdict": "warn",
        "variable": "v",
        "remedy": "r",
        "hosts": ["h"],
    }


def params(**more: t.Any) -> dict[str, t.Any]:
    return {"hosts": {}, "hubs": [], "roles": [], "skip": [], "folder": "/nowhere", **more}


def test_a_check_that_does_not_exist_cannot_be_skipped() -> None:
    with pytest.raises(HubspokeError, match=r"preflight_skip names 'port'.*Did you mean ports\?"):
        checks.prepare(params(skip=["port"]), None, lambda *_: None)


def test_a_role_that_does_not_exist_cannot_be_checked() -> None:
    with pytest.raises(HubspokeError, match="preflight_roles names argocdd"):
        checks.prepare(params(roles=["argocdd"]), None, lambda *_: None)


def test_checks_have_names_of_their_own() -> None:
    assert len(set(checks.NAMES)) == len(checks.NAMES)
