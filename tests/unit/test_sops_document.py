# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an encrypted file says of itself, and what is wrong with it, without decrypting."""

from __future__ import annotations

import importlib.util
import pathlib
import subprocess
import sys

import pytest
from unit.sops_samples import ONE, TWO, VALUE, encrypted

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _sops_check as check
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _sops_document as document
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._sops_change import (
    ENCRYPT,
    ROTATE,
    UPDATE,
    Change,
    Wanted,
    changed_rules,
    plan,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._sops_rules import Rules

ROOT = pathlib.Path(__file__).parents[2]
NAME = "a.secrets.enc.yaml"
KMS = "    kms:\n        - arn: arn:aws:kms:x\n          enc: x\n"
CANARY = "canary-5f2a"


def rules(*recipients: str) -> Rules:
    return Rules(f"creation_rules:\n  - age: {','.join(recipients)}\n")


def kinds(text: str, *, rule: tuple[str, ...] = (ONE,), mine: tuple[str, ...] | None = (ONE,)) -> list[str]:
    found = check.problems(document.parse(NAME, text), rules(*rule).rules[0] if rule else None, mine)
    return [problem.kind for problem in found]


def test_metadata_is_read() -> None:
    found = document.parse(NAME, encrypted(ONE, TWO, more=KMS))
    assert found.encrypted
    assert found.recipients == (ONE, TWO)
    assert found.others == ("kms arn:aws:kms:x",)
    assert found.mac
    assert not found.plaintext


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.secrets.enc.json", f'{{"a": "{VALUE}", "sops": {{"age": [{{"recipient": "{ONE}"}}], "mac": "{VALUE}"}}}}'),
        ("a.secrets.enc.env", f"a={VALUE}\nsops_age__list_0__map_recipient={ONE}\nsops_mac={VALUE}\n"),
        ("a.secrets.enc.ini", f"[x]\na = {VALUE}\n\n[sops]\nage__list_0__map_recipient = {ONE}\nmac = {VALUE}\n"),
        (NAME, f"a: {VALUE}\nsops:\n  key_groups:\n  - age:\n    - recipient: {ONE}\n  mac: {VALUE}\n"),
    ],
)
def test_other_formats_and_key_groups(name: str, text: str) -> None:
    found = document.parse(name, text)
    assert (found.encrypted, found.recipients, found.mac) == (True, (ONE,), True)


@pytest.mark.parametrize(
    ("body", "more", "plaintext"),
    [
        (f"a: {VALUE}\nb: {CANARY}\n", "", ("b",)),
        (f"a: {{c: ['{VALUE}', 3]}}\n", "", ("a.c",)),
        (f"a: {VALUE}\nb_unencrypted: {CANARY}\nc: ''\nd: null\n", "", ()),
        ("kind: Secret\ndata: {a: x}\n", "    encrypted_regex: ^(data|stringData)$\n", ("data.a",)),
        (f"kind: Secret\ndata: {{a: '{VALUE}'}}\n", "    encrypted_regex: ^(data|stringData)$\n", ()),
        (f"a: x\nb: {VALUE}\n", "    unencrypted_regex: ^a$\n", ()),
        ("a_secret: x\nb: y\n", "    encrypted_suffix: _secret\n", ("a_secret",)),
    ],
)
def test_plaintext_in_an_encrypted_file(body: str, more: str, plaintext: tuple[str, ...]) -> None:
    found = document.parse(NAME, encrypted(ONE, body=body, more=more))
    assert found.plaintext == plaintext
    assert CANARY not in str(found)


def test_what_is_wrong_with_a_file() -> None:
    assert kinds(encrypted(ONE)) == []
    assert kinds(f"password: {CANARY}\n") == [check.PLAINTEXT]
    assert kinds(f"password: {{{CANARY}") == [check.DAMAGED]
    assert kinds(encrypted(ONE), rule=()) == [check.NO_RULE]
    assert kinds(encrypted(ONE, mac=False)) == [check.TAMPERED]
    assert kinds(encrypted(ONE), rule=(ONE, TWO)) == [check.STALE]
    assert kinds(encrypted(TWO), rule=(TWO,)) == [check.MISMATCH]
    assert kinds(encrypted(TWO), rule=(TWO,), mine=()) == [check.MISMATCH]
    assert kinds(encrypted(TWO, more=KMS), rule=(TWO,)) == []
    assert kinds(encrypted(TWO), rule=(TWO,), mine=None) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (NAME, encrypted(ONE).partition("sops:")[0]),
        (NAME, encrypted(ONE).partition("    mac:")[0]),
        ("a.secrets.enc.env", f"a={VALUE}\nsops_age__list_0__map_recipient={ONE}\n"),
    ],
)
def test_a_file_that_ends_before_what_opens_it(name: str, text: str) -> None:
    """Not plaintext: whoever encrypted it once more would have lost it."""
    (problem,) = check.problems(document.parse(name, text), rules(ONE).rules[0], (ONE,))
    assert (problem.kind, problem.found.partition(":")[0]) == (check.DAMAGED, "is cut off or damaged")


def test_a_mismatch_names_all_that_matters() -> None:
    problem = next(check.problems(document.parse(NAME, encrypted(TWO)), rules(TWO).rules[0], (ONE,)))
    assert str(problem) == (
        f"{NAME}: is encrypted for {TWO}; your key is that of {ONE}. Use the key of one of them, or let one of them "
        f"add you: make secrets-rotate ADD={ONE}."
    )


def test_all_problems_are_one_message() -> None:
    found = [check.Problem(f"{number}.yaml", check.PLAINTEXT, "is not encrypted", "Encrypt it.") for number in range(2)]
    with pytest.raises(HubspokeError, match=r"2 problems(.|\n)*0\.yaml: is not(.|\n)*1\.yaml: is not"):
        check.refuse(found)


def test_files_are_found_by_name(tmp_path: pathlib.Path) -> None:
    for path in ("config/dev/b.secrets.enc.yaml", "a.secrets.enc.json", ".hidden/c.secrets.enc.yaml", "d.secrets.yaml"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("a: b\n")
    assert document.found(tmp_path, document.PATTERNS) == ["a.secrets.enc.json", "config/dev/b.secrets.enc.yaml"]


@pytest.mark.parametrize(
    ("text", "rule", "wanted", "steps"),
    [
        (encrypted(ONE), (ONE,), Wanted(), {}),
        (encrypted(ONE), (ONE,), Wanted(rotate=True), {NAME: [ROTATE]}),
        (encrypted(ONE), (ONE, TWO), Wanted(), {NAME: [UPDATE]}),
        (encrypted(ONE, TWO), (ONE,), Wanted(), {NAME: [UPDATE, ROTATE]}),
        ("a: b\n", (ONE,), Wanted(), {}),
        ("a: b\n", (ONE,), Wanted(encrypt=True), {NAME: [ENCRYPT]}),
    ],
    ids=["as it is", "rotation", "somebody joins", "somebody leaves", "plaintext", "to be encrypted"],
)
def test_plan(text: str, rule: tuple[str, ...], wanted: Wanted, steps: dict[str, list[str]]) -> None:
    assert plan([document.parse(NAME, text)], rules(*rule), wanted) == steps


def test_a_rule_of_ours_only_where_none_fits() -> None:
    wanted = Wanted(rule=r"\.enc\.", recipients=(ONE,))
    theirs = Rules(f"creation_rules:\n  - path_regex: ^prod/\n    age: {TWO}\n")
    assert changed_rules(theirs, wanted, [f"prod/{NAME}"]).text == theirs.text
    assert len(changed_rules(theirs, wanted, [f"dev/{NAME}"]).rules) == 2
    assert len(changed_rules(None, wanted, []).rules) == 1


def test_a_change_is_refused_before_it_begins() -> None:
    survey = check.Survey(pathlib.Path(), rules(TWO), [document.parse(NAME, encrypted(TWO))])
    with pytest.raises(HubspokeError, match=f"encrypted for {TWO}; your key is that of {ONE}"):
        Change(survey, Wanted(add=(ONE,)), (ONE,))


# The hook, which needs nothing but Python


def _hook() -> object:
    spec = importlib.util.spec_from_file_location("no_plaintext", ROOT / "toolchain/no_plaintext.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_hook_knows_the_same_names() -> None:
    assert _hook().PATTERNS == document.PATTERNS  # type: ignore[attr-defined]


@pytest.mark.parametrize("staged", [True, False])
def test_the_hook_stops_plaintext(tmp_path: pathlib.Path, staged: bool) -> None:
    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    hook = [sys.executable, str(ROOT / "toolchain/no_plaintext.py"), *(["--staged"] if staged else [])]
    run("git", "init", "--quiet")
    (tmp_path / NAME).write_text(encrypted(ONE))
    (tmp_path / "other.yaml").write_text("a: b\n")
    run("git", "add", ".")
    assert run(*hook).returncode == 0
    (tmp_path / NAME).write_text(f"password: {CANARY}\n")
    assert run(*hook).returncode == int(not staged)
    run("git", "add", ".")
    done = run(*hook)
    assert done.returncode == 1
    assert NAME in done.stderr
    assert CANARY not in done.stderr + done.stdout
