# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an encrypted file says of itself, read without decrypting it: for whom it is, and what in it is plaintext."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._yaml import LOADER, yaml

PATTERNS = ("*.secrets.enc.yaml", "*.secrets.enc.yml", "*.secrets.enc.json", "*.secrets.enc.env", "*.secrets.enc.ini")
"""Names of files that have to be encrypted."""

_ENCRYPTED = "ENC[AES256_GCM,"
# Not "is not encrypted": to encrypt it, as one would then be told, would be the end of it.
_CUT_OFF = "is cut off or damaged: it has encrypted values, and not what opens them"
_DEFAULT_SUFFIX = "_unencrypted"
# Key groups in the file's metadata, with what names one key of that kind.
_KINDS = {"kms": "arn", "gcp_kms": "resource_id", "azure_kv": "vault_url", "hc_vault": "vault_address", "pgp": "fp"}
# Formats without structure write it into the names: sops_age__list_0__map_recipient=, age__list_0__map_recipient = .
_FLAT = re.compile(r"^(?:sops_)?(\w+?)__list_\d+__map_(\w+)\s*=\s*(.*)$", re.MULTILINE)
_FLAT_MAC = re.compile(r"^(?:sops_)?mac\s*=\s*\S", re.MULTILINE)
_SKIPPED = frozenset({"node_modules", "__pycache__"})


@dataclass(frozen=True)
class Document:
    """A file as it is.

    :arg path: Relative to the root.
    :arg encrypted: Whether sops has written it.
    :arg recipients: age's, of all key groups.
    :arg others: Keys of other kinds that open it too, as `kms arn:...`.
    :arg mac: Whether a change to it would be noticed.
    :arg plaintext: Values in it that ought to be encrypted and are not.
    :arg documents: How many YAML documents it has.
    :arg problem: Why it cannot be read; "" where it can.
    """

    path: str
    encrypted: bool = False
    recipients: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    mac: bool = False
    plaintext: tuple[str, ...] = ()
    documents: int = 1
    problem: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        """Everything that opens it."""
        return (*self.recipients, *self.others)


def found(root: Path, patterns: t.Iterable[str]) -> list[str]:
    """The files below a folder with such a name, relative to it, in order; not those in hidden folders.

    :raises HubspokeError: there is no such folder.
    """
    if not root.is_dir():
        raise HubspokeError(f"There is no folder {root}.", "Name the folder of your configuration.")
    wanted, result = tuple(patterns), []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _SKIPPED)
        result += [
            os.path.relpath(os.path.join(folder, name), root)
            for name in files
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in wanted)
        ]
    return sorted(result)


def read(root: Path, path: str) -> Document:
    """Read one file; what is wrong with it is in the result."""
    try:
        text = (root / path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return Document(path, problem=f"cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}")
    return parse(path, text)


def parse(path: str, text: str) -> Document:
    """What the text of a file says of itself."""
    if path.endswith((".env", ".ini")):
        return _flat(path, text)
    try:
        if path.endswith(".json"):
            documents = [json.loads(text)]
        else:
            documents = [item for item in yaml.load_all(text, Loader=LOADER) if item is not None]
    except (yaml.YAMLError, ValueError) as error:
        # Neither the parser's words nor the line: it may be a plaintext that was to be encrypted.
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else getattr(error, "lineno", 0)
        return Document(path, problem=f"is cut off or damaged{f' (line {line})' if line else ''}")
    metadata = next((item["sops"] for item in documents if isinstance(item, dict) and "sops" in item), None)
    # sops writes its version last.
    if not isinstance(metadata, dict) or not {"mac", "version"} & metadata.keys():
        return Document(path, documents=len(documents), problem=_CUT_OFF if _ENCRYPTED in text else "")
    # With several key groups each is in a list; with one they stand in the metadata itself.
    groups = [metadata, *(group for group in metadata.get("key_groups") or [] if isinstance(group, dict))]
    recipients = [str(key["recipient"]) for group in groups for key in _keys(group, "age") if "recipient" in key]
    others = [
        f"{kind} {key[name]}" for group in groups for kind, name in _KINDS.items() for key in _keys(group, kind, name)
    ]
    values = [{k: v for k, v in item.items() if k != "sops"} for item in documents if isinstance(item, dict)]
    return Document(
        path,
        encrypted=True,
        recipients=tuple(dict.fromkeys(recipients)),
        others=tuple(dict.fromkeys(others)),
        mac=bool(metadata.get("mac")),
        plaintext=tuple(dict.fromkeys(name for item in values for name in _plaintext(item, metadata))),
        documents=len(documents),
    )


def _keys(group: t.Mapping[str, t.Any], kind: str, name: str = "") -> list[dict[str, t.Any]]:
    return [key for key in group.get(kind) or [] if isinstance(key, dict) and (not name or key.get(name))]


def _flat(path: str, text: str) -> Document:
    keys = [(kind, name, value.strip()) for kind, name, value in _FLAT.findall(text)]
    recipients = [value for kind, name, value in keys if (kind, name) == ("age", "recipient")]
    others = [f"{kind} {value}" for kind, name, value in keys if _KINDS.get(kind) == name]
    mac = bool(_FLAT_MAC.search(text))
    encrypted = bool(keys and mac)
    problem = _CUT_OFF if not encrypted and _ENCRYPTED in text else ""
    return Document(path, encrypted, tuple(recipients), tuple(others), mac, problem=problem)


def _plaintext(value: t.Any, metadata: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    """Where a value ought to be encrypted, by the file's own rule of what is, and is not."""
    try:
        belongs = _rule(metadata)
    except re.error:
        return
    for path, leaf in _leaves(value, ()):
        if belongs(path) and not (isinstance(leaf, str) and leaf.startswith(_ENCRYPTED)) and leaf not in (None, ""):
            yield ".".join(path)


def _rule(metadata: t.Mapping[str, t.Any]) -> t.Callable[[tuple[str, ...]], bool]:
    """Whether what is at a path is to be encrypted: it counts for everything below a key."""
    if metadata.get("encrypted_comment_regex") or metadata.get("unencrypted_comment_regex"):
        return lambda path: False
    for name, inverted in (("encrypted_regex", False), ("unencrypted_regex", True)):
        if metadata.get(name):
            expression = re.compile(metadata[name])
            return lambda path: any(expression.search(key) for key in path) != inverted
    if metadata.get("encrypted_suffix"):
        return lambda path: any(key.endswith(metadata["encrypted_suffix"]) for key in path)
    suffix = metadata.get("unencrypted_suffix") or _DEFAULT_SUFFIX
    return lambda path: not any(key.endswith(suffix) for key in path)


def _leaves(value: t.Any, path: tuple[str, ...]) -> t.Iterator[tuple[tuple[str, ...], t.Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, (*path, str(key)))
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item, path)
    else:
        yield path, value
