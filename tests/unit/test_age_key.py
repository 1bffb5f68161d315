# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the key is, what it opens, and what is to be done with it."""

from __future__ import annotations

import pathlib

import pytest
from unit.sops_samples import IDENTITY, ONE, TWO

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _age_bech32 as bech32
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _age_identity as identity
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _age_key as key
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._age_key import (
    GENERATE,
    RENEW,
    REPAIR,
    RETIRE,
    Wanted,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError


def keyfile(folder: pathlib.Path, text: str = f"# created: x\n# public key: {ONE}\n{IDENTITY}\n") -> str:
    path = folder / "keys.txt"
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def test_the_recipient_of_an_identity() -> None:
    assert bech32.x25519_recipient(IDENTITY) == ONE
    assert bech32.x25519_recipient(IDENTITY[:-1] + "Q") is None
    decoded = bech32.decode(ONE)
    assert decoded
    assert bech32.encode(*decoded) == ONE


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        (ONE, True),
        (ONE[:-1] + "q", False),
        (f"{ONE} ", False),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample", True),
        (IDENTITY, False),
        ("somebody", False),
    ],
)
def test_recipients_are_looked_at(text: str, valid: bool) -> None:
    assert identity.valid_recipient(text) is valid


@pytest.mark.parametrize(
    ("path", "environment", "place"),
    [
        ("/given", {"SOPS_AGE_KEY_FILE": "/file"}, ("/given", "/given")),
        ("", {"SOPS_AGE_KEY_FILE": "/file", "SOPS_AGE_KEY_CMD": "x"}, ("SOPS_AGE_KEY_FILE", "/file")),
        ("", {"SOPS_AGE_KEY_CMD": "x"}, ("SOPS_AGE_KEY_CMD", "")),
        ("", {"SOPS_AGE_KEY": "x"}, ("SOPS_AGE_KEY", "")),
        ("", {"XDG_CONFIG_HOME": "/xdg"}, ("/xdg/sops/age/keys.txt",) * 2),
        ("", {"HOME": "/home/me"}, ("/home/me/.config/sops/age/keys.txt",) * 2),
        ("", {"HOME": "/home/me", "SOPS_AGE_SSH_PRIVATE_KEY_FILE": "/ssh"}, ("SOPS_AGE_SSH_PRIVATE_KEY_FILE", "/ssh")),
    ],
)
def test_it_is_looked_for_as_sops_does(path: str, environment: dict[str, str], place: tuple[str, str]) -> None:
    assert identity.place(path, environment) == place


def test_a_key_in_a_file_from_a_command_and_as_a_value(tmp_path: pathlib.Path) -> None:
    path = keyfile(tmp_path)
    for environment in ({"SOPS_AGE_KEY_FILE": path}, {"SOPS_AGE_KEY_CMD": f"cat {path}"}, {"SOPS_AGE_KEY": IDENTITY}):
        found = identity.load("", environment)
        assert found
        assert found.recipients == (ONE,)
        assert IDENTITY not in repr(found.recipients)
    assert identity.load(str(tmp_path / "none"), {}) is None


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_key_that_others_can_read(tmp_path: pathlib.Path, mode: int) -> None:
    path = keyfile(tmp_path)
    pathlib.Path(path).chmod(mode)
    with pytest.raises(HubspokeError, match=f"mode 0{mode:o}.*chmod 600"):
        identity.load(path, {})


@pytest.mark.parametrize("text", ["", "# only words\n", f"{IDENTITY[:-4]}\n", f"{IDENTITY}\nsecret-canary\n"])
def test_a_damaged_key_is_not_quoted(tmp_path: pathlib.Path, text: str) -> None:
    with pytest.raises(HubspokeError, match=r"keys\.txt") as caught:
        identity.load(keyfile(tmp_path, text), {})
    assert "AGE-SECRET-KEY-1N" not in str(caught.value)
    assert "canary" not in str(caught.value)


def test_a_command_that_fails_does_not_speak() -> None:
    with pytest.raises(HubspokeError, match="exit code 3") as caught:
        identity.load("", {"SOPS_AGE_KEY_CMD": "sh -c 'echo canary >&2; exit 3'"})
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("wanted", "there", "private", "steps"),
    [
        (Wanted(), None, True, [GENERATE]),
        (Wanted(), (ONE,), True, []),
        (Wanted(), (ONE,), False, [REPAIR]),
        (Wanted(recipient=ONE), (ONE, TWO), True, []),
        (Wanted(renew=True), (ONE,), True, [RENEW]),
        (Wanted(retire=(ONE,)), (ONE, TWO), True, [RETIRE]),
        (Wanted(retire=(TWO,)), (ONE,), True, []),
        (Wanted(renew=True, retire=(ONE,)), (ONE,), True, [RENEW, RETIRE]),
    ],
)
def test_plan(wanted: Wanted, there: tuple[str, ...] | None, private: bool, steps: list[str]) -> None:
    assert key.plan(wanted, there, "keys.txt", private) == steps


@pytest.mark.parametrize(
    ("wanted", "there", "words"),
    [
        (Wanted(generate=False), None, "There is no key"),
        (Wanted(recipient=ONE), None, "restore this one"),
        (Wanted(recipient=TWO), (ONE,), f"that of {ONE}, not of {TWO}"),
        (Wanted(retire=(ONE,)), (ONE,), "Every identity"),
    ],
)
def test_what_is_refused(wanted: Wanted, there: tuple[str, ...] | None, words: str) -> None:
    with pytest.raises(HubspokeError, match=words):
        key.plan(wanted, there, "keys.txt")


def test_an_identity_goes_with_its_comments() -> None:
    text = f"# mine\n\n# created: a\n# public key: {ONE}\n{IDENTITY}\n# created: b\n# public key: {TWO}\nOTHER\n"
    assert key.without(text, {IDENTITY: ONE, "OTHER": TWO}, [ONE]) == (
        f"# mine\n\n# created: b\n# public key: {TWO}\nOTHER\n"
    )


def test_which_of_two_is_meant_is_not_guessed() -> None:
    two = identity.Key("keys.txt", "keys.txt", (ONE, TWO), {})
    with pytest.raises(HubspokeError, match="holds 2 identities"):
        key.chosen(two)
    assert key.chosen(two, TWO).recipients == (TWO, ONE)


def test_a_key_is_written_privately(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "sops/age/keys.txt"
    key.write_private(path, "x\n")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [each.name for each in path.parent.iterdir()] == ["keys.txt"]
