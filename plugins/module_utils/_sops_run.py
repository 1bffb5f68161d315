# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The program sops: what it decrypts stays in memory, and what it says of a failure is told in words of our own.

Its own words are never passed on: a parser's complaint quotes the line it fails at, which may be a secret.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import typing as t
from collections.abc import Mapping
from pathlib import Path

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _age_identity as identity
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._age_identity import Key
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._yaml import LOADER, yaml

MINIMUM = (3, 9)
MAC_MISMATCH, MAC_MISSING, NO_KEY = 51, 52, 128
_TIMEOUT = 120
_NOWHERE = "/nonexistent"

# Would take the place of the rules of .sops.yaml.
_OVERRULING = frozenset(
    [
        "SOPS_AGE_RECIPIENTS",
        "SOPS_AZURE_KEYVAULT_URLS",
        "SOPS_CONFIG",
        "SOPS_GCP_KMS_IDS",
        "SOPS_HUAWEICLOUD_KMS_IDS",
        "SOPS_KMS_ARN",
        "SOPS_PGP_FP",
        "SOPS_VAULT_URIS",
    ]
)

# What of its words tells the cause, in the order of looking.
_CAUSES = (
    ("no matching creation rules", "no rule of .sops.yaml fits it", "Add a rule with a path_regex that does."),
    ("config file not found", "there is no .sops.yaml above it", "Make one: role sops_age does."),
    ("sops metadata not found", "it is not encrypted", "Encrypt it: make secrets-encrypt FILE=..."),
    ("already encrypted", "it is encrypted already", "Edit it: make secrets-edit FILE=..."),
    ("authentication failed", "a value in it was changed without sops", "Take it back out of git."),
    ("unmarshal", "it is cut off or damaged", "Take it back out of git."),
)
_BY_CODE = {
    MAC_MISMATCH: (
        "it was changed without sops: its MAC does not match",
        "Take it back out of git, and make the change by make secrets-edit FILE=...",
    ),
    MAC_MISSING: ("it has no MAC", "Take it back out of git."),
    NO_KEY: ("no key that is there opens it", "Use the key of one of its recipients, or have yours added to it."),
}


class SopsError(HubspokeError):
    """sops failed.

    :arg code: Its exit code.
    :arg cause: Why, as a clause.
    """

    def __init__(self, path: str, code: int, cause: str, remedy: str) -> None:
        super().__init__(f"{path}: {cause}.", remedy)
        self.path = path
        self.code = code
        self.cause = cause


class Sops:
    """sops with one key and no other.

    :arg binary: Its path.
    :arg key: The key; None leaves everything to sops and the environment.
    :arg environment: What it is run in, KMS credentials for example.
    """

    def __init__(self, binary: str, key: Key | None, environment: Mapping[str, str]) -> None:
        self._binary = binary
        kept = {name: value for name, value in environment.items() if name not in _OVERRULING}
        if key is not None:
            for name in (identity.FILE, identity.COMMAND, identity.VALUE, identity.SSH, identity.SSH_COMMAND):
                kept.pop(name, None)
            kept.update(key.environment)
            # Else the standard key file would be tried as well, and a wrong key not be noticed.
            kept["XDG_CONFIG_HOME"] = _NOWHERE
        self._environment = {**kept, "SOPS_DISABLE_VERSION_CHECK": "1", "LC_ALL": "C"}

    def check_version(self) -> None:
        """Whether it has the commands that are used here.

        :raises HubspokeError: it is not there, or too old.
        """
        said = self._run(["--disable-version-check", "--version"], "sops", None, None).decode(errors="replace")
        found = re.search(r"(\d+)\.(\d+)\.\d+", said)
        if not found or (int(found[1]), int(found[2])) < MINIMUM:
            raise HubspokeError(
                f"{self._binary} is version {found[0] if found else 'unknown'}; "
                f"{'.'.join(map(str, MINIMUM))} or later is needed.",
                "Install a newer one, or take it from the module toolchain.",
            )

    def decrypt(self, root: Path, path: str, *, as_json: bool = False) -> bytes:
        """What a file holds."""
        return self._run(["decrypt", *(["--output-type", "json"] if as_json else []), path], path, root, None)

    def documents(self, root: Path, path: str, count: int) -> list[t.Any]:
        """What a YAML or JSON file holds, parsed.

        :arg count: How many documents it has.
        """
        if count == 1:
            # Not YAML, whose texts may be read as numbers or dates by another reader than the writer.
            return [json.loads(self.decrypt(root, path, as_json=True))]
        return [item for item in yaml.load_all(self.decrypt(root, path), Loader=LOADER) if item is not None]

    def encrypted(self, root: Path, path: str, plaintext: bytes) -> bytes:
        """A file's content encrypted as the rules say, without the plaintext being written anywhere."""
        return self._run(["encrypt", "--filename-override", path, "/dev/stdin"], path, root, plaintext)

    def update_keys(self, root: Path, path: str) -> None:
        """Bring a file's recipients to what the rules say; its data key stays."""
        self._run(["updatekeys", "--yes", path], path, root, None)

    def rotate(self, root: Path, path: str) -> None:
        """A new data key, and all values encrypted by it."""
        self._run(["rotate", "--in-place", path], path, root, None)

    def round_trip(self, recipient: str) -> None:
        """Encrypt something worthless for a recipient, and get it back with the key.

        :raises HubspokeError: it does not come back.
        """
        probe = json.dumps({"probe": "round trip"})
        arguments = ["encrypt", "--age", recipient, "--input-type", "json", "--output-type", "json"]
        names = ["--filename-override", "probe.json", "/dev/stdin"]
        # Not below a .sops.yaml of anybody's, whose rules would have a say in it.
        encrypted = self._run([*arguments, *names], "round trip", Path("/"), probe.encode(), config="/dev/null")
        kinds = ["--input-type", "json", "--output-type", "json"]
        back = self._run(["decrypt", *kinds, "/dev/stdin"], "round trip", Path("/"), encrypted)
        with contextlib.suppress(ValueError):
            if json.loads(back) == json.loads(probe):
                return
        raise HubspokeError("What was encrypted for the key came back as something else.", "Is this sops whole?")

    def _run(
        self, arguments: t.Sequence[str], path: str, folder: Path | None, given: bytes | None, config: str = ""
    ) -> bytes:
        command = [self._binary, *(["--config", config] if config else []), *arguments]
        try:
            done = subprocess.run(
                command,
                input=given if given is not None else b"",
                capture_output=True,
                cwd=folder,
                env=self._environment,
                timeout=_TIMEOUT,
                check=False,
            )
        except FileNotFoundError as error:
            if folder is not None and not folder.is_dir():
                raise HubspokeError(f"There is no folder {folder}.", "Correct the path.") from error
            raise HubspokeError(
                f"{self._binary} is not there.", "Install sops, or take it from the module toolchain."
            ) from error
        except OSError as error:
            raise HubspokeError(f"{self._binary} cannot be run: {error.strerror}.", "Install sops.") from error
        except subprocess.TimeoutExpired as error:
            raise HubspokeError(
                f"{path}: sops did not end within {_TIMEOUT} s.", "Does a key command or a KMS not answer?"
            ) from error
        if done.returncode:
            raise _explained(path, done.returncode, done.stderr.decode(errors="replace"))
        return done.stdout


def _explained(path: str, code: int, said: str) -> SopsError:
    """The failure by its exit code, or by what of its words is known to be harmless."""
    if code in _BY_CODE:
        return SopsError(path, code, *_BY_CODE[code])
    for words, cause, remedy in _CAUSES:
        if words in said.lower():
            return SopsError(path, code, cause, remedy)
    return SopsError(path, code, f"sops failed with exit code {code}", f"Run by hand: sops {os.path.basename(path)}.")
