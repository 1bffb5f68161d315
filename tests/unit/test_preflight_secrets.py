# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Preflight's look at the encrypted files."""

from __future__ import annotations

import dataclasses
import pathlib
import typing as t

import pytest
from unit.sops_samples import IDENTITY, ONE, TWO, encrypted

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_secrets as secrets
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import Finding, Host, Survey
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_probe import Probe
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._sops_document import PATTERNS

FILE = "dev/trip.secrets.enc.yaml"
CANARY = "canary-91c3"


@dataclasses.dataclass
class Folder:
    """A folder of configuration with one file, and a key."""

    path: pathlib.Path

    def write(self, text: str, *, rule: str = ONE, name: str = FILE) -> None:
        (self.path / name).parent.mkdir(exist_ok=True)
        (self.path / name).write_text(text)
        (self.path / ".sops.yaml").write_text(f"creation_rules:\n  - path_regex: enc\n    age: {rule}\n")

    def key(self, mode: int = 0o600) -> None:
        (self.path / "key").write_text(f"{IDENTITY}\n")
        (self.path / "key").chmod(mode)

    def found(self, spoke: dict[str, t.Any] | None = None, **variables: t.Any) -> list[Finding]:
        values = {
            "sops_age_root": str(self.path),
            "sops_age_key_file": str(self.path / "key"),
            "sops_age_patterns": list(PATTERNS),
            "sops_age_secrets": [{"file": FILE}],
            **variables,
        }
        hosts = tuple(Host(name, {**values, **more}) for name, more in (("hub", {}), ("spoke", spoke or {})))
        return list(secrets.secrets(Survey(hosts, probe=Probe())))


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> Folder:
    return Folder(tmp_path)


def said(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.verdict, finding.found) for finding in findings]


def test_nothing_where_there_are_no_files(folder: Folder) -> None:
    assert folder.found(sops_age_root="") == []


@pytest.mark.parametrize(
    ("variable", "value", "words"), [("sops_age_root", "", "hub {}, spoke none"), ("sops_age_key_file", "/k", "spoke /k")]
)
def test_clusters_that_do_not_share_them(folder: Folder, variable: str, value: str, words: str) -> None:
    folder.key()
    folder.write(encrypted(ONE))
    (finding,) = folder.found(spoke={variable: value})
    assert (finding.verdict, finding.variable) == ("fail", variable)
    assert finding.found.startswith(f"one run has one {variable}, not several: hub {folder.path}")
    assert finding.found.endswith(words.format(folder.path))


def test_all_is_well(folder: Folder) -> None:
    folder.key()
    folder.write(encrypted(ONE))
    ((verdict, words),) = said(folder.found())
    assert verdict == "ok"
    assert words.startswith("1 encrypted file in ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (encrypted(TWO), f"is encrypted for {TWO}; your key is that of {ONE}"),
        (f"password: {CANARY}\n", "is not encrypted"),
        (f"password: {{{CANARY}", "is cut off or damaged"),
        (encrypted(ONE, body=f"password: {CANARY}\n"), "has values in plaintext: password"),
    ],
    ids=["for somebody else", "plaintext", "cut off", "a value in plaintext"],
)
def test_a_file_that_would_stop_the_run(folder: Folder, text: str, words: str) -> None:
    folder.key()
    folder.write(text, rule=TWO if TWO in text else ONE)
    findings = [each for each in folder.found() if each.verdict == "fail"]
    assert len(findings) == 1
    assert findings[0].found.startswith(f"{FILE}: {words}")
    assert findings[0].remedy
    assert CANARY not in str(findings)


def test_no_key_yet(folder: Folder) -> None:
    folder.path.joinpath(".sops.yaml").write_text("creation_rules: []\n")
    assert said(folder.found(sops_age_secrets=[])) == [("ok", "there is no private key yet; one is made")]
    ((verdict, words),) = said(folder.found(sops_age_secrets=[], sops_age_generate=False))
    assert (verdict, words) == ("fail", "there is no private key")


def test_no_key_and_files_that_need_one(folder: Folder) -> None:
    folder.write(encrypted(TWO), rule=TWO)
    (finding,) = folder.found()
    assert finding.verdict == "fail"
    assert finding.found == f"there is no private key, and {FILE} is encrypted for {TWO}"


def test_a_key_that_others_can_read(folder: Folder) -> None:
    folder.key(0o644)
    folder.write(encrypted(ONE))
    (finding,) = folder.found()
    assert "mode 0644" in finding.found
    assert finding.variable == "sops_age_key_file"


def test_the_key_of_somebody_else(folder: Folder) -> None:
    folder.key()
    folder.write(encrypted(ONE))
    found = [each.found for each in folder.found(sops_age_recipient=TWO) if each.verdict == "fail"]
    assert found == [f"the key at {folder.path}/key is that of {ONE}, not of {TWO}"]


def test_a_file_that_is_not_there(folder: Folder) -> None:
    folder.key()
    folder.write(encrypted(ONE))
    findings = [each for each in folder.found(sops_age_secrets=[{"file": "none.yaml"}]) if each.verdict == "fail"]
    assert [finding.hosts for finding in findings] == [("hub",), ("spoke",)]
    assert findings[0].found == f"there is no none.yaml in {folder.path}"


def test_no_rule_fits(folder: Folder) -> None:
    folder.key()
    folder.write(encrypted(ONE), rule=ONE)
    (folder.path / ".sops.yaml").write_text(f"creation_rules:\n  - path_regex: ^prod/\n    age: {ONE}\n")
    assert ("fail", f"{FILE}: no rule of .sops.yaml fits it") in said(folder.found())


def test_rules_that_do_not_parse_and_a_folder_that_is_not_there(folder: Folder) -> None:
    (folder.path / ".sops.yaml").write_text("creation_rules: [")
    assert "this is not YAML" in folder.found()[0].found
    assert folder.found(sops_age_root="/nonexistent")[0].found == "there is no folder /nonexistent"
