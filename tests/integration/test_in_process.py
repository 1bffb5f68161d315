# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A module run in the worker process and one run as a subprocess give identical results."""

from __future__ import annotations

import pathlib
import sys
import typing as t

import pytest

from .conftest import Run, make_other_python, run_playbook

PROBE = "hubspoke_tests.probe.probe"
SECRET = "pa55-of-the-test"
VAULTED = "vaulted text"

# Every one is run on two hosts, which differ only in the name of their Python.
CASES: dict[str, dict[str, t.Any]] = {
    "ok": {PROBE: {"do": "ok", "value": {"a": [1, 2.5, True, None, "text"]}}},
    "nothing returned": {PROBE: {"do": "nothing"}},
    "changed": {PROBE: {"do": "changed"}},
    "changed, check mode": {PROBE: {"do": "changed"}, "check_mode": True},
    "changed, no diff": {PROBE: {"do": "changed"}, "diff": False},
    "failed": {PROBE: {"do": "failed"}},
    "failed with a cause": {PROBE: {"do": "chained"}},
    "failed where a fault was expected": {PROBE: {"do": "failed"}, "failed_when": False},
    "crashed": {PROBE: {"do": "crashed", "secret": SECRET}},
    "secrets": {PROBE: {"do": "secrets", "secret": SECRET, "nested": {"name": "n", "token": "t0ken"}}},
    "secret in a failure": {PROBE: {"do": "secret_failure", "secret": SECRET}},
    "secret that is a number": {PROBE: {"do": "secrets", "secret": "12345", "nested": {"name": "n", "token": "x"}}},
    "no_log": {PROBE: {"do": "ok", "value": SECRET}, "no_log": True},
    "no_log, failed": {PROBE: {"do": "secret_failure", "secret": SECRET}, "no_log": True},
    "warnings": {PROBE: {"do": "warnings"}},
    "deprecated option": {PROBE: {"do": "ok", "old": "x"}},
    "alias": {PROBE: {"action": "ok"}},
    "noise of libraries": {PROBE: {"do": "noise"}},
    "missing argument": {PROBE: {"value": 1}},
    "unknown argument": {PROBE: {"do": "ok", "unknown": 1}},
    "wrong type": {PROBE: {"do": "ok", "number": "many", "choice": "one"}},
    "wrong choice": {PROBE: {"do": "ok", "number": 1, "choice": "three"}},
    "converted type": {PROBE: {"do": "ok", "number": "7", "choice": "one", "items": "a,b"}},
    "wrong type in a nested option": {PROBE: {"do": "ok", "nested": {"token": "t0ken"}}},
    "mutually exclusive": {PROBE: {"do": "ok", "a": "1", "b": "2"}},
    "required together": {PROBE: {"do": "ok", "number": 1}},
    "several errors": {PROBE: {"a": "1", "b": "2", "number": "x", "unknown": 1, "secret": SECRET}},
    "unsafe string": {PROBE: {"do": "ok", "value": ["{{ unsafe_value }}", {"key": "{{ unsafe_value }}"}]}},
    "template": {PROBE: {"do": "ok", "value": "{{ [inventory_hostname_short[:0], {'a': 1} | combine({'b': 2})] }}"}},
    "vaulted value": {PROBE: {"do": "ok", "value": {"deep": ["{{ vaulted_value }}"]}}},
    "vaulted secret": {
        PROBE: {"do": "secrets", "secret": "{{ vaulted_value }}", "nested": {"name": "n", "token": "y"}}
    },
    "omitted": {PROBE: {"do": "ok", "value": "{{ omit }}"}},
    "values of many types": {PROBE: {"do": "json_values"}},
    "a value that is no JSON": {PROBE: {"do": "bad_value"}},
    "a path as value": {PROBE: {"do": "bad_path"}},
    "keys that are Ansible's": {PROBE: {"do": "internal_keys"}},
    "facts": {PROBE: {"do": "facts"}},
    "surroundings": {PROBE: {"do": "surroundings"}},
    "loop": {PROBE: {"do": "append", "value": "{{ item }}"}, "loop": ["x", "y"]},
    "module_defaults": {PROBE: {"do": "ok"}, "module_defaults": {PROBE: {"value": "by default"}}},
    "registered": {PROBE: {"do": "warnings"}, "register": "registered"},
    "read back": {PROBE: {"do": "ok", "value": "{{ registered }}"}},
    "condition": {PROBE: {"do": "changed"}, "changed_when": False},
    "until": {PROBE: {"do": "failed"}, "until": "r is success", "register": "r", "retries": 1, "delay": 0},
}
# Where each one must hand over, and how a subprocess shows.
HANDED_OVER: dict[str, dict[str, t.Any]] = {
    "environment": {"environment": {"ADDED": "yes"}},
    "become": {"become": True, "vars": {"ansible_become_exe": "{{ fake_sudo }}"}},
    "become by a variable": {"vars": {"ansible_become": True, "ansible_become_exe": "{{ fake_sudo }}"}},
    "async": {"async": 30, "poll": 1},
    "delegated to another Python": {"delegate_to": "there"},
    "another Python": {"vars": {"ansible_python_interpreter": "{{ other_python }}"}},
}


def _vaulted(folder: pathlib.Path) -> str:
    from ansible.parsing.vault import VaultLib, VaultSecret

    (folder / "vault-password").write_text("password of the test")
    secret = VaultSecret(b"password of the test")
    encrypted: str = VaultLib([("default", secret)]).encrypt(VAULTED, secret).decode()
    return encrypted


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """All cases in one run, side by side."""
    folder = tmp_path_factory.mktemp("in_process")
    other = make_other_python(folder)
    sudo = folder / "sudo"
    sudo.write_text('#!/bin/sh\nwhile [ "$1" != /bin/sh ]; do shift; done\nexec "$@"\n')
    sudo.chmod(0o755)
    encrypted = _vaulted(folder).replace("\n", "\n          ")
    (folder / "inventory.yml").write_text(f"""
all:
  hosts:
    here: {{ansible_python_interpreter: "{{{{ ansible_playbook_python }}}}"}}
    there: {{ansible_python_interpreter: "{other}"}}
  vars:
    ansible_connection: local
    ansible_pipelining: true
    other_python: "{other}"
    fake_sudo: "{sudo}"
    unsafe_value: !unsafe "{{{{ never templated }}}}"
    vaulted_value: !vault |
          {encrypted}
""")
    same = [{"name": name, "ignore_errors": True, **task} for name, task in CASES.items()]
    where = [{"name": "in process", PROBE: {"do": "where"}}]
    where += [{"name": name, PROBE: {"do": "where"}, **keywords} for name, keywords in HANDED_OVER.items()]
    where += [
        {"name": "by another name", PROBE: {"do": "where"}, "vars": {"ansible_python_interpreter": _other_name()}},
        {"name": "environment reaches it", PROBE: {"do": "surroundings"}, "environment": {"ADDED": "yes"}},
        {"name": "times out", PROBE: {"do": "wait", "value": 20}, "timeout": 1, "ignore_errors": True},
        {"name": "ends without a result", PROBE: {"do": "left"}, "ignore_errors": True},
        {"name": "temporary folder", PROBE: {"do": "temporary_folder"}},
    ]
    plays = [
        {"hosts": "here,there", "gather_facts": False, "strategy": "free", "tasks": same},
        {"hosts": "here", "gather_facts": False, "tasks": where},
        {
            "hosts": "there",
            "gather_facts": False,
            "tasks": [{"name": "delegated from a subprocess", PROBE: {"do": "where"}, "delegate_to": "here"}],
        },
    ]
    return run_playbook(
        folder,
        plays,
        "--diff",
        "--vault-password-file",
        str(folder / "vault-password"),
        inventory=str(folder / "inventory.yml"),
    )


def _other_name() -> str:
    """The running Python by another of its names in the same folder."""
    names = [path for path in pathlib.Path(sys.executable).parent.glob("python3*") if str(path) != sys.executable]
    return str(names[0])


@pytest.mark.parametrize("case", CASES)
def test_identical(runs: Run, case: str) -> None:
    here, there = runs.result(case, "here"), runs.result(case, "there")
    assert here == there


def test_the_two_ways_were_taken(runs: Run) -> None:
    assert runs.result("in process")["in_process"] is True
    assert runs.result("another Python")["in_process"] is False


@pytest.mark.parametrize("case", HANDED_OVER)
def test_handed_over(runs: Run, case: str) -> None:
    result = runs.result(case)
    assert result.get("in_process") is False, result


def test_handed_over_from_elsewhere(runs: Run) -> None:
    """A delegated task looks at the Python of the host it is delegated to."""
    assert runs.result("delegated from a subprocess")["in_process"] is True
    assert runs.result("by another name")["in_process"] is True
    assert runs.result("environment reaches it")["added"] == "yes"


def test_the_cases_do_what_they_are_named_for(runs: Run) -> None:
    """Two ways that both do nothing would be identical too."""
    assert runs.result("changed, check mode", "here")["check"] is True
    assert runs.result("changed", "here")["diff"][0]["after"] == "a: 2\n"
    assert runs.result("changed, no diff", "here")["diff"] == []
    failed = runs.result("failed", "here")
    assert (failed["msg"], failed["cluster"]) == ("The cluster hub was not found. Create it first.", "hub")
    assert "ZeroDivisionError" in runs.result("crashed", "here")["msg"]
    assert runs.result("warnings", "here")["warnings"] == ["one", "two", "from a thread"]
    assert runs.result("deprecated option", "here")["deprecations"][0]["version"] == "9.0.0"
    assert "required arguments: do" in runs.result("missing argument", "here")["msg"]
    assert "Unsupported parameters for (hubspoke_tests.probe.probe)" in runs.result("unknown argument", "here")["msg"]
    assert "mutually exclusive" in runs.result("mutually exclusive", "here")["msg"]
    assert "unable to convert to int" in runs.result("wrong type", "here")["msg"]
    assert runs.result("unsafe string", "here")["value"][0] == "{{ never templated }}"
    assert runs.result("vaulted value", "here")["value"] == {"deep": [VAULTED]}
    assert runs.result("no_log", "here")["censored"]
    assert "complex" in runs.result("a value that is no JSON", "here")["msg"]
    loop = runs.result("loop", "here")["results"]
    assert [item["settings"] for item in loop] == [{"first": 1, "x": 2}, {"first": 1, "y": 2}]


def test_secrets_are_nowhere(runs: Run) -> None:
    censored = runs.result("secrets", "here")
    assert censored["plain"] == "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
    assert censored["within"] == "Bearer ********, ********"
    assert censored["warnings"] == ["the secret is ********"]
    assert runs.result("secret in a failure", "here")["msg"] == "refused ********"
    assert runs.result("secret that is a number", "here")["number"] == "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
    for secret in (SECRET, "t0ken", "learnt-later"):
        assert secret not in runs.output
        assert secret not in str(runs.lines)


def test_progress_is_shown_where_it_may_be(runs: Run) -> None:
    assert "  [here] working on it" in runs.output
    assert "  [here] the secret is ********" in runs.output
    assert "[there] working on it" not in runs.output


def test_ends_that_are_no_result(runs: Run) -> None:
    assert "imed out" in str(runs.result("times out"))
    assert "ended without a result" in runs.result("ends without a result")["msg"]


def test_nothing_is_left_behind(runs: Run) -> None:
    assert not pathlib.Path(runs.result("temporary folder")["path"]).exists()
