# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One key file: made, taken as it is, followed by a new identity, rid of an old one."""

from __future__ import annotations

import os
import subprocess
import tempfile
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _age_identity as identity
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._age_identity import Key
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

# What a plan says
GENERATE, RENEW, RETIRE, REPAIR = "generate", "renew", "retire", "repair"

_TIMEOUT = 30


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    :arg path: Of the key file; "" where sops looks.
    :arg generate: Make a key where there is none.
    :arg post_quantum: Make it a hybrid one.
    :arg renew: Put a new identity beside those that are there.
    :arg retire: Recipients whose identities are to go.
    :arg recipient: The one recipient that is meant, where the file holds several identities.
    :arg repair_permissions: Take away the rights of others instead of refusing the file.
    """

    path: str = ""
    generate: bool = True
    post_quantum: bool = False
    renew: bool = False
    retire: tuple[str, ...] = ()
    recipient: str = ""
    repair_permissions: bool = False


def plan(wanted: Wanted, recipients: t.Sequence[str] | None, source: str, private: bool = True) -> list[str]:
    """What is to be done, in order.

    :arg recipients: Those of the identities that are there, None where there is no key.
    :arg private: Whether nobody else can read it.
    :raises HubspokeError: what is asked for is not possible.
    """
    if recipients is None:
        if not wanted.generate:
            raise HubspokeError(
                f"There is no key at {source}.",
                "Put your key there (mode 0600), set SOPS_AGE_KEY_FILE, or let one be generated.",
            )
        if wanted.recipient:
            raise HubspokeError(
                f"There is no key at {source}, and {short(wanted.recipient)} is asked for.",
                "A new key would be another one: restore this one from your backup.",
            )
        return [GENERATE]
    steps = [] if private else [REPAIR]
    if wanted.recipient and wanted.recipient not in recipients:
        names = ", ".join(map(short, recipients))
        raise HubspokeError(
            f"The key at {source} is that of {names}, not of {short(wanted.recipient)}.",
            "Name the right key file, or restore the key from your backup; nothing was changed.",
        )
    left = [each for each in recipients if each not in wanted.retire]
    if wanted.renew:
        steps.append(RENEW)
    elif not left:
        raise HubspokeError(
            f"Every identity of {source} is to be retired.", "Renew it first, so that one is left to open files with."
        )
    if len(left) != len(recipients):
        steps.append(RETIRE)
    return steps


def short(recipient: str) -> str:
    """A recipient as a sentence can hold it: those with post-quantum keys have 2,000 characters."""
    return recipient if len(recipient) <= 100 else f"{recipient[:24]}...{recipient[-8:]}"


class KeyFile:
    """The engine of the module `age_key`.

    :arg environment: In which sops would look for the key.
    """

    def __init__(self, wanted: Wanted, environment: Mapping[str, str], age_keygen: str = "age-keygen") -> None:
        self._wanted = wanted
        self._environment = environment
        self._age_keygen = age_keygen
        self.source, self.path = identity.place(wanted.path, environment)

    def apply(self, check_mode: bool) -> tuple[list[str], Key | None]:
        """Bring it about.

        :returns: What was done or would be, and the key; None in check mode where it is yet to be made.
        """
        private = True
        if self.path and self._wanted.repair_permissions and os.path.exists(self.path):
            private = not os.stat(self.path).st_mode & 0o077
            if not private and not check_mode:
                os.chmod(self.path, 0o600)
        key = None if not private and check_mode else self._load()
        there = key.recipients if key else () if not private else None
        steps = plan(self._wanted, there, self.source, private) if private or key else [REPAIR]
        if steps and not self.path:
            raise HubspokeError(
                f"The key comes from {self.source}, which cannot be changed from here.",
                "Change it where it is kept, or name a file (path).",
            )
        if check_mode:
            return steps, key
        if GENERATE in steps or RENEW in steps or RETIRE in steps:
            self._write(steps, key)
            key = self._load()
        return steps, key

    def _load(self) -> Key | None:
        return identity.load(self._wanted.path, self._environment, self._age_keygen)

    def _write(self, steps: t.Sequence[str], key: Key | None) -> None:
        kept = Path(self.path).read_text(encoding="utf-8") if key else ""
        if RETIRE in steps and key:
            kept = without(kept, dict(zip(key.secrets, key.recipients, strict=True)), self._wanted.retire)
        if GENERATE in steps or RENEW in steps:
            made = generated(self._age_keygen, self._wanted.post_quantum)
            kept = f"{kept.rstrip()}\n{made}".lstrip() if kept else made
        write_private(Path(self.path), kept)


def without(text: str, known: Mapping[str, str], retired: t.Iterable[str]) -> str:
    """A key file without the identities of some recipients, nor the comments that age-keygen wrote above them."""
    gone = {secret for secret, recipient in known.items() if recipient in set(retired)}
    lines: list[str] = []
    for line in text.splitlines():
        if line.strip() not in gone:
            lines.append(line)
            continue
        while lines and lines[-1].startswith(("# public key:", "# created:")):
            lines.pop()
    return "\n".join(lines).strip() + "\n"


def generated(age_keygen: str, post_quantum: bool) -> str:
    """A new identity as age-keygen writes it, with its comments.

    :raises HubspokeError: age-keygen is not there, or does not know this kind.
    """
    command = [age_keygen, *(["-pq"] if post_quantum else [])]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HubspokeError(
            f"{age_keygen} cannot be run.", "Install age, or set age_keygen to it (module toolchain returns a path)."
        ) from error
    if done.returncode:
        kind = "a post-quantum key, for which it must be 1.3 or later" if post_quantum else "a key"
        raise HubspokeError(f"{age_keygen} did not make {kind} (exit code {done.returncode}).", "Install age 1.3.2.")
    identity.parse(done.stdout, "What age-keygen made")
    return done.stdout


def write_private(path: Path, text: str) -> None:
    """Whole or not at all, and never readable for others, not even for a moment.

    :raises HubspokeError: it cannot be written.
    """
    aside = ""
    try:
        # sops' own folder; what is above it keeps its rights.
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        number, aside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError as error:
        if aside:
            Path(aside).unlink(missing_ok=True)
        raise HubspokeError(
            f"The key file {path} cannot be written: {error.strerror}.", "Make room there, or name another path."
        ) from error


def chosen(key: Key, recipient: str = "") -> Key:
    """The key with the one recipient that is meant first.

    :raises HubspokeError: it holds several identities, and which one is meant is not said.
    """
    if recipient:
        rest = [each for each in key.recipients if each != recipient]
        return replace(key, recipients=(recipient, *rest))
    if len(key.recipients) > 1:
        names = ", ".join(map(short, key.recipients))
        raise HubspokeError(
            f"{key.source} holds {len(key.recipients)} identities ({names}): for which of them new files are encrypted "
            "cannot be known.",
            "Name it by `recipient` (sops_age_recipient in role sops_age), or end a rotation that was broken off: "
            "make secrets-rotate KEY=new.",
        )
    return key
