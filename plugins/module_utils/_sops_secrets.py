# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what an encrypted file holds to Kubernetes Secrets. A message names file, object and key, never a value."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

Object = dict[str, t.Any]

SET_LABEL = "hubspoke.bootstrap/secrets"
SOURCE, CHECKSUM, COUNT = (f"hubspoke.bootstrap/source{suffix}" for suffix in ("", "-checksum", "-objects"))
SHAPE = "hubspoke.bootstrap/source-metadata"
OPAQUE, DOCKER, TLS = "Opaque", "kubernetes.io/dockerconfigjson", "kubernetes.io/tls"
TYPES = {"opaque": OPAQUE, "dockerconfigjson": DOCKER, "tls": TLS}
DOCKER_KEY = ".dockerconfigjson"
_LIMIT = 1024 * 1024  # bytes, of all values of a Secret together
_SHORTEST = 8  # characters; a shorter value is a word of ordinary sentences
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_KEY = re.compile(r"[A-Za-z0-9._-]{1,253}")
# How objects are made of a file; another number makes all of them anew.
_VERSION = 1


@dataclass(frozen=True)
class Entry:
    """One file, and where its content goes.

    :arg file: Its path, relative to the root.
    :arg name: Of the Secret, where the file is no manifest; by default the file's name up to its first dot.
    :arg namespaces: Where it goes; a manifest that names its namespace goes there.
    :arg type: Of the Secret, where the file is no manifest.
    :arg service_accounts: Who pulls images with it, where it is a login.
    """

    file: str
    name: str = ""
    namespaces: tuple[str, ...] = ("default",)
    type: str = OPAQUE
    service_accounts: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, given: Mapping[str, t.Any]) -> Entry:
        """From the module's argument."""
        return cls(
            given["file"],
            given.get("name") or "",
            tuple(given.get("namespaces") or ["default"]),
            TYPES.get(given.get("type") or "opaque", given.get("type") or OPAQUE),
            tuple(given.get("service_accounts") or ()),
            dict(given.get("labels") or {}),
            dict(given.get("annotations") or {}),
        )

    def checksum(self, encrypted: bytes) -> str:
        """Of the encrypted file and of how it is applied: says nothing of what is in it."""
        how = [_VERSION, self.file, self.name, self.namespaces, self.type, dict(self.labels), dict(self.annotations)]
        digest = hashlib.sha256(json.dumps(how, sort_keys=True).encode())
        digest.update(encrypted)
        return digest.hexdigest()


def objects(entry: Entry, documents: t.Sequence[t.Any], checksum: str, set_name: str) -> list[Object]:
    """The Secrets of a file.

    :raises HubspokeError: it holds something else, or what the API server would refuse.
    """
    if any(isinstance(item, dict) and "kind" in item and "apiVersion" in item for item in documents):
        found = [made for item in documents for made in _manifest(entry, item)]
    elif len(documents) == 1 and isinstance(documents[0], dict):
        found = [_plain(entry, documents[0], namespace) for namespace in entry.namespaces]
    else:
        raise HubspokeError(
            f"{entry.file} holds neither names with values nor Secrets.", "Write one mapping, or manifests of Secrets."
        )
    for item in found:
        metadata = item["metadata"]
        metadata["labels"] = {**entry.labels, **(metadata.get("labels") or {})}
        metadata["annotations"] = {**entry.annotations, **(metadata.get("annotations") or {}), COUNT: str(len(found))}
        mark(item, set_name, entry.file, checksum)
        _check(entry, item)
    return found


def mark(item: Object, set_name: str, source: str, checksum: str) -> None:
    """Write into a Secret whose it is, and what it was made of."""
    metadata = item["metadata"]
    metadata["labels"] = {**(metadata.get("labels") or {}), SET_LABEL: set_name}
    metadata["annotations"] = {**(metadata.get("annotations") or {}), SOURCE: source, CHECKSUM: checksum}
    metadata["annotations"][SHAPE] = shape(metadata["labels"], metadata["annotations"], item["data"])


def shape(labels: Mapping[str, str], annotations: Mapping[str, str], keys: t.Iterable[str]) -> str:
    """Digest of labels, annotations and keys, by which it is seen whether somebody has changed or removed one."""
    kept = {key: value for key, value in annotations.items() if key != SHAPE}
    return hashlib.sha256(json.dumps([dict(labels), kept, sorted(keys)], sort_keys=True).encode()).hexdigest()[:16]


def values(items: t.Iterable[Object]) -> t.Iterator[str]:
    """What has to be kept out of every output: the values, as they are and as the API carries them."""
    for item in items:
        for encoded in item["data"].values():
            plain = base64.b64decode(encoded).decode(errors="ignore")
            for text in (encoded, plain, plain.strip()):
                if len(text) >= _SHORTEST:
                    yield text


def encoded(value: bytes | str) -> str:
    """As a Secret's data carries it."""
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()


def _manifest(entry: Entry, item: t.Any) -> t.Iterator[Object]:
    kind = item.get("kind") if isinstance(item, dict) else type(item).__name__
    if kind == "SecretList":
        for inner in item.get("items") or []:
            yield from _manifest(entry, {"apiVersion": "v1", "kind": "Secret", **inner})
        return
    if kind != "Secret" or item.get("apiVersion") != "v1":
        raise HubspokeError(
            f"{entry.file} holds a {kind} (apiVersion {item.get('apiVersion') if isinstance(item, dict) else ''}).",
            "Only v1 Secrets are applied out of encrypted files; leave the rest to Argo CD.",
        )
    metadata = item.get("metadata")
    if not isinstance(metadata, dict) or not metadata.get("name"):
        raise HubspokeError(f"{entry.file}: a Secret without metadata.name.", "Name it.")
    data = {}
    for key, value in (item.get("data") or {}).items():
        try:
            data[str(key)] = encoded(base64.b64decode(str(value), validate=True))
        except (binascii.Error, ValueError) as error:
            where = f"{entry.file}: Secret {metadata['name']}, data.{key}"
            raise HubspokeError(f"{where} is not Base64.", "Encode it, or move it to stringData.") from error
    for key, value in (item.get("stringData") or {}).items():
        data[str(key)] = encoded(_text(entry, str(key), value))
    kept = {key: metadata[key] for key in ("name", "labels", "annotations") if metadata.get(key)}
    shape: Object = {"apiVersion": "v1", "kind": "Secret", "type": item.get("type") or OPAQUE, "data": data}
    if item.get("immutable"):
        shape["immutable"] = True
    for namespace in [metadata["namespace"]] if metadata.get("namespace") else entry.namespaces:
        yield {**shape, "data": dict(data), "metadata": {**kept, "namespace": namespace}}


def _plain(entry: Entry, content: Mapping[str, t.Any], namespace: str) -> Object:
    name = entry.name or PurePath(entry.file).name.partition(".")[0].replace("_", "-").lower()
    if entry.type == DOCKER:
        data = {DOCKER_KEY: encoded(_docker(entry, content))}
    else:
        data = {str(key): encoded(_text(entry, str(key), value)) for key, value in content.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": entry.type,
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


def _docker(entry: Entry, content: Mapping[str, t.Any]) -> str:
    """A Docker configuration: as it is, or made from registries with user name and password."""
    given = content.get(DOCKER_KEY)
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError as error:
            raise HubspokeError(
                f"{entry.file}: {DOCKER_KEY} is not JSON.", "Take it from ~/.docker/config.json."
            ) from error
    if given is None and "auths" in content:
        given = {"auths": content["auths"]}
    if given is None and isinstance(content.get("registries"), dict):
        auths = {}
        for host, login in content["registries"].items():
            if not isinstance(login, dict) or not {"username", "password"} <= set(login):
                raise HubspokeError(
                    f"{entry.file}: registry {host} has no username and password.", "Give both, as texts."
                )
            pair = f"{login['username']}:{login['password']}"
            auths[str(host)] = {**{str(k): str(v) for k, v in login.items()}, "auth": encoded(pair)}
        given = {"auths": auths}
    if not isinstance(given, dict) or not isinstance(given.get("auths"), dict) or not given["auths"]:
        raise HubspokeError(
            f"{entry.file} holds no logins to registries.",
            f"Write registries: {{host: {{username, password}}}}, or {DOCKER_KEY} with a Docker configuration.",
        )
    return json.dumps(given, sort_keys=True, separators=(",", ":"))


def _text(entry: Entry, key: str, value: t.Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return json.dumps(value)
    raise HubspokeError(
        f"{entry.file}: {key} is {'empty' if value is None else f'a {type(value).__name__}'}, where a text should be.",
        "A Secret has texts only; write a document as a text of several lines (key: |).",
    )


def _check(entry: Entry, item: Object) -> None:
    name = item["metadata"]["name"]
    where = f"{entry.file}: Secret {item['metadata']['namespace']}/{name}"
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise HubspokeError(f"{where} has a name that is none for Kubernetes.", "Set `name`: a-z, 0-9, - and dots.")
    wrong = next((key for key in item["data"] if not _KEY.fullmatch(key)), None)
    if wrong is not None:
        raise HubspokeError(f"{where}: the key {wrong!r} is none for a Secret.", "Use letters, digits, -, _ and dots.")
    size = sum(len(base64.b64decode(value)) for value in item["data"].values())
    if size > _LIMIT:
        raise HubspokeError(
            f"{where} has {size / _LIMIT:.1f} MiB; Kubernetes takes 1 MiB at most.", "Split it, or keep it elsewhere."
        )
    needed = {TLS: ("tls.crt", "tls.key"), DOCKER: (DOCKER_KEY,)}.get(item["type"], ())
    missing = [key for key in needed if key not in item["data"]]
    if missing:
        raise HubspokeError(f"{where} of type {item['type']} has no {' and no '.join(missing)}.", "Add it to the file.")
    if item["type"] == TLS:
        for key in needed:
            if b"-----BEGIN" not in base64.b64decode(item["data"][key]):
                raise HubspokeError(f"{where}: {key} is not PEM.", "Write it with its BEGIN and END lines.")
