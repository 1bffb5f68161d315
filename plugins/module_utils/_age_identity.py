# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the private key is, looked for as sops does, and which recipients it opens files for.

Private keys reach other programs by standard input, by environment or as the path of a file; never as arguments.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
import subprocess
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _age_bech32
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

FILE, COMMAND, VALUE = "SOPS_AGE_KEY_FILE", "SOPS_AGE_KEY_CMD", "SOPS_AGE_KEY"
SSH, SSH_COMMAND = "SOPS_AGE_SSH_PRIVATE_KEY_FILE", "SOPS_AGE_SSH_PRIVATE_KEY_CMD"
DEFAULT = "sops/age/keys.txt"
_TIMEOUT = 30

IDENTITY = re.compile(r"^AGE-(?:SECRET-KEY|PLUGIN)-[0-9A-Z-]+$")
_SSH_RECIPIENT = re.compile(r"^(ssh-ed25519|ssh-rsa) ([A-Za-z0-9+/=]+)")


@dataclass(frozen=True)
class Key:
    """A private key that is there.

    :arg source: What the user calls the place: a path, or the variable that leads to it.
    :arg path: Its file, "" where it is not in one.
    :arg recipients: For whom it opens files, one for each identity in it.
    :arg environment: What sops needs to find it, and it alone.
    :arg secrets: The identities themselves; never shown.
    """

    source: str
    path: str
    recipients: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


def default_path(environment: Mapping[str, str]) -> Path:
    """Where sops looks where nothing else is said."""
    configured = environment.get("XDG_CONFIG_HOME")
    home = Path(environment.get("HOME") or Path.home())
    return (Path(configured) if configured else home / ".config") / DEFAULT


def place(path: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """Which source counts: its name (path, or one of the variables) and the path, where it is a file."""
    if path:
        return path, path
    for name in (FILE, COMMAND, VALUE):
        if environment.get(name):
            return name, environment[name] if name == FILE else ""
    standard = default_path(environment)
    if not standard.exists():
        for name in (SSH, SSH_COMMAND):
            if environment.get(name):
                return name, environment[name] if name == SSH else ""
    return str(standard), str(standard)


def load(path: str, environment: Mapping[str, str], age_keygen: str = "age-keygen") -> Key | None:
    """The key that sops would use, None where there is none.

    :arg path: A file that is given; "" looks where sops does.
    :raises HubspokeError: it is there, but others can read it, or it is no key.
    """
    source, file = place(path, environment)
    if file:
        if not os.path.exists(file):
            return None
        check_private(file)
        text = _read(file)
        if text.lstrip().startswith("-----BEGIN"):
            return Key(source, file, (_ssh_recipient(file, source),), {SSH: file})
        return _key(source, file, text, age_keygen)
    command = environment[source]
    if source == VALUE:
        return _key(source, "", command, age_keygen)
    if source == SSH_COMMAND:
        raise HubspokeError(
            f"{SSH_COMMAND} is set, and what its key opens cannot be told without writing it to a file.",
            f"Set {SSH} to the file of the key, or keep an age identity.",
        )
    return _key(source, "", _output(shlex.split(command), source), age_keygen)


def _key(source: str, file: str, text: str, age_keygen: str) -> Key:
    identities = parse(text, source)
    found = recipients(identities, source, age_keygen)
    environment = {FILE: file} if file else {VALUE: "\n".join(identities)}
    return Key(source, file, found, environment, identities)


def parse(text: str, source: str) -> tuple[str, ...]:
    """The identities of a key file.

    :raises HubspokeError: it has none, or a line that is none; the message never holds the line.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.strip()
        if not words or words.startswith("#"):
            continue
        if not IDENTITY.match(words) or (words.startswith("AGE-SECRET-KEY-") and not _age_bech32.decode(words)):
            raise HubspokeError(
                f"{source}, line {number}: this is no age identity (AGE-SECRET-KEY-1...).",
                "The key is damaged, or this is another file. Restore it from your backup; it was not changed.",
            )
        found.append(words)
    if not found:
        raise HubspokeError(f"{source} holds no age identity.", "Restore it from your backup, or move it away.")
    return tuple(found)


def recipients(identities: t.Sequence[str], source: str, age_keygen: str) -> tuple[str, ...]:
    """The recipient of each identity."""
    native = [_age_bech32.x25519_recipient(identity) for identity in identities]
    known = [each for each in native if each]
    if len(known) == len(identities):
        return tuple(known)
    said = _output([age_keygen, "-y"], source, "\n".join(identities) + "\n")
    found = tuple(line for line in said.splitlines() if line.startswith("age1"))
    if len(found) != len(identities):
        raise HubspokeError(
            f"{source}: age-keygen knows the recipients of {len(found)} of its {len(identities)} identities.",
            "Identities of plugins have no recipient that can be told; keep them in another file.",
        )
    return found


def valid_recipient(text: str) -> bool:
    """Whether files can be encrypted for it: age, age with post-quantum keys or a plugin, or an SSH key."""
    if text.startswith("age1"):
        found = _age_bech32.decode(text)
        return bool(found and (found[0] != "age" or len(found[1]) == 32))
    return bool(_SSH_RECIPIENT.match(text))


def check_private(path: str) -> None:
    """A private key is its owner's alone.

    :raises HubspokeError: group or others have rights.
    """
    mode = stat.S_IMODE(os.stat(path).st_mode)
    if mode & 0o077:
        raise HubspokeError(
            f"The key file {path} has mode {mode:04o}: others than its owner can get at it.",
            f"If nobody has read it yet: chmod 600 {shlex.quote(path)}. Else rotate the key.",
        )


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise HubspokeError(f"The key file {path} cannot be read: {reason}.", "Correct the path.") from error


def _ssh_recipient(path: str, source: str) -> str:
    """The public half of an SSH key; one with a passphrase cannot be used without somebody to type it."""
    said = _output(["ssh-keygen", "-y", "-P", "", "-f", path], source)
    found = _SSH_RECIPIENT.match(said.strip())
    if not found:
        raise HubspokeError(
            f"{source} is an SSH key that age does not take.", "It takes ssh-ed25519 and ssh-rsa without passphrase."
        )
    return f"{found[1]} {found[2]}"


def _output(command: t.Sequence[str], source: str, given: str | None = None) -> str:
    """What a program says. Its own complaints are not passed on: they could quote the key."""
    name = os.path.basename(command[0]) if command else ""
    try:
        done = subprocess.run(command, input=given or "", capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    except (OSError, IndexError) as error:
        raise HubspokeError(
            f"{source}: {name or 'an empty command'} cannot be run.", "Install it, or correct the command."
        ) from error
    except subprocess.TimeoutExpired as error:
        raise HubspokeError(f"{source}: {name} did not end within {_TIMEOUT} s.", "Does it ask somebody?") from error
    if done.returncode:
        raise HubspokeError(
            f"{source}: {name} failed with exit code {done.returncode}.",
            "Run it by hand; an SSH key must have no passphrase, an age identity must be whole.",
        )
    return done.stdout
