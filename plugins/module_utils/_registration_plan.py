# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a cluster Secret is to be, and what of it has to change. Pure: nothing here asks anybody."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import typing as t
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _registration_secret as secret
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._redact import REDACTED, REDACTED_CHANGED
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_account import digest
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_secret import Registered, claims
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_spec import (
    ALWAYS,
    CLIENT_CERTIFICATE,
    NEVER,
    ON_CHANGE,
    TOKEN,
    Wanted,
)

Object = dict[str, t.Any]

NOT_YET = "<made by the run>"
"""Stands for a token in check mode."""

_SECRETS = ("bearerToken", "password", "keyData")
_PUBLIC_BLOBS = ("caData", "certData")


@dataclass(frozen=True)
class Connection:
    """How Argo CD is to connect.

    :arg ca: PEM, empty for the system's.
    """

    server: str
    ca: str = ""
    server_name: str = ""
    insecure: bool = False


@dataclass(frozen=True)
class Desired:
    """What is to be in the Secret."""

    data: dict[str, str] = field(repr=False)
    labels: dict[str, str]
    annotations: dict[str, str]
    config: Object = field(repr=False)


def renewal(wanted: Wanted, found: Registered | None, now: datetime, rotate: str) -> str:
    """Why a token has to be made, empty where the one that is there may stay."""
    if found is None:
        return "it is not registered yet"
    if found.credential != wanted.credential:
        return f"its credential is of the kind {found.credential}"
    if found.account != str(wanted.account):
        return f"its token is of the account {found.account}"
    if rotate == ALWAYS:
        return "a new token was asked for"
    return _due(wanted, found, now, rotate) if wanted.credential == TOKEN else ""


def _due(wanted: Wanted, found: Registered, now: datetime, rotate: str) -> str:
    """Why a token that ends by itself has to be followed by another one now."""
    if not found.expires or not found.issued:
        return ""
    if now >= found.expires:
        return "its token has expired"
    due = found.issued + (found.expires - found.issued) * wanted.renew_after
    if rotate == NEVER:
        return ""
    if found.annotations.get(secret.LIFETIME, str(wanted.lifetime)) != str(wanted.lifetime):
        return "another lifetime of its token was asked for"
    return f"its token ends in {secret.left(found.expires - now)}" if now >= due else ""


def config_of(wanted: Wanted, connection: Connection, token: str) -> Object:
    """Argo CD's `config` of a cluster."""
    tls: Object = {"insecure": connection.insecure}
    if connection.ca:
        tls["caData"] = _base64(connection.ca)
    if connection.server_name:
        tls["serverName"] = connection.server_name
    found: Object = {"tlsClientConfig": tls}
    if wanted.credential == CLIENT_CERTIFICATE:
        tls["certData"], tls["keyData"] = _base64(wanted.given["certificate"]), _base64(wanted.given["key"])
    else:
        found.update(copy.deepcopy(wanted.given))
    if token:
        found["bearerToken"] = token
    if wanted.proxy:
        found["proxyUrl"] = wanted.proxy
    if wanted.disable_compression:
        found["disableCompression"] = True
    return found


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def desired(wanted: Wanted, connection: Connection, token: str, found: Registered | None, owner: str) -> Desired:
    """What is to be in the Secret.

    :arg token: Of the manager account, NOT_YET in check mode, empty for other credentials.
    """
    config = config_of(wanted, connection, token)
    data = {"name": wanted.name, "server": connection.server}
    if not wanted.by_arn:
        same = found is not None and secret.same_config(found.config, config)
        data["config"] = found.data["config"] if found and same and found.data.get("config") else _compact(config)
    if wanted.namespaces is not None:
        data["namespaces"] = ",".join(wanted.namespaces)
    if wanted.cluster_resources is not None:
        data["clusterResources"] = str(wanted.cluster_resources).lower()
    if wanted.project is not None:
        data["project"] = wanted.project
    if wanted.shard is not None:
        data["shard"] = str(wanted.shard)
    annotations = {**wanted.annotations, secret.MANAGED_BY: secret.ARGOCD}
    if wanted.skip_reconcile is not None:
        annotations[secret.SKIP_RECONCILE] = str(wanted.skip_reconcile).lower()
    if wanted.makes_account:
        annotations[secret.ACCOUNT] = str(wanted.account)
        annotations[secret.RULES] = digest(wanted.account)
    if wanted.credential == TOKEN:
        annotations[secret.LIFETIME] = str(wanted.lifetime)
        annotations[secret.EXPIRES] = _expiry(token)
    labels = {**wanted.labels, secret.SECRET_TYPE: secret.CLUSTER}
    if owner:
        labels[secret.OWNER] = owner
    return Desired(data, labels, annotations, config)


def _compact(config: Object) -> str:
    return json.dumps(config, separators=(",", ":"), sort_keys=True)


def _expiry(token: str) -> str:
    end = claims(token).get("exp")
    return datetime.fromtimestamp(end, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if end else NOT_YET


def to_try(wanted: Wanted, connection: Connection, token: str, found: Registered | None) -> bool:
    """Whether the credential that a cluster is to have is tried from here.

    :arg token: Of the manager account, empty for other credentials.
    :arg found: The cluster as it is registered; a new token is none of its.
    """
    if wanted.probe != ON_CHANGE or found is None:
        return wanted.probe != NEVER
    moved = secret.normalized(found.server) != secret.normalized(connection.server)
    return moved or not secret.same_config(found.config, config_of(wanted, connection, token))


def removed(want: Desired, found: Registered) -> dict[str, set[str]]:
    """What this collection once set in the Secret and is not to be there any more, unless others set it too."""
    places = {"data": want.data, "labels": want.labels, "annotations": want.annotations}
    gone: dict[str, set[str]] = {place: set() for place in places}
    for place, key in found.owned - found.shared:
        if key not in places[place]:
            gone[place].add(key)
    return gone


def changes(want: Desired, found: Registered | None) -> list[str]:
    """What changes, by name and without values, in the order of the Secret."""
    if found is None:
        return ["created"]
    named = []
    gone = removed(want, found)
    for place, after, before in (
        ("", want.data, found.data),
        ("labels.", want.labels, found.labels),
        ("annotations.", want.annotations, found.annotations),
    ):
        for key, value in after.items():
            if before.get(key) != value:
                named += _config_changes(found, want) if not place and key == "config" else [f"{place}{key}"]
        named += [f"{place}{key}" for key in sorted(gone[place.rstrip(".") or "data"]) if key in before]
    return named


def _config_changes(found: Registered, want: Desired) -> list[str]:
    before, after = _flat(found.config or {}), _flat(want.config)
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    return [f"config.{key}" for key in keys] or ["config"]


def _flat(value: Object, prefix: str = "") -> dict[str, t.Any]:
    result: dict[str, t.Any] = {}
    for key, item in value.items():
        if isinstance(item, dict):
            result |= _flat(item, f"{prefix}{key}.")
        elif item not in (None, "", False, []):
            result[f"{prefix}{key}"] = item
    return result


def body(want: Desired, found: Registered | None, namespace: str) -> Object:
    """What is applied: with the version that was read, so that what came between is not overwritten."""
    metadata: Object = {
        "name": found.secret if found else secret.secret_name(want.data["server"]),
        "namespace": namespace,
        "labels": want.labels,
        "annotations": want.annotations,
    }
    if found:
        metadata["resourceVersion"] = found.resource_version
    data = {key: _base64(value) for key, value in want.data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data}


def shown(want: Desired, found: Registered | None) -> tuple[Object, Object]:
    """Before and after for people: every value but credentials, and of those whether they change."""
    before = _document(found.data, found.config, found.labels, found.annotations) if found else {}
    gone = removed(want, found) if found else {"data": set(), "labels": set(), "annotations": set()}

    def merged(place: str, old: dict[str, str], new: dict[str, str]) -> dict[str, str]:
        return {**{key: value for key, value in old.items() if key not in gone[place]}, **new}

    if found:
        after = _document(
            merged("data", found.data, want.data),
            want.config if "config" in want.data else None,
            merged("labels", found.labels, want.labels),
            merged("annotations", found.annotations, want.annotations),
        )
        _mark(before.get("config"), after.get("config"), found.config or {}, want.config)
    else:
        after = _document(want.data, want.config if "config" in want.data else None, want.labels, want.annotations)
    return before, after


def _document(data: t.Mapping[str, str], config: Object | None, labels: Object, annotations: Object) -> Object:
    result: Object = {key: value for key, value in data.items() if key != "config"}
    if config is not None:
        result["config"] = _redacted(config)
    elif "config" in data:
        result["config"] = "<not a JSON object>"
    return {**result, "labels": dict(labels), "annotations": dict(annotations)}


def _redacted(config: Object) -> Object:
    result: Object = {}
    for key, value in config.items():
        if key in _SECRETS and value:
            result[key] = REDACTED
        elif key in _PUBLIC_BLOBS and value:
            result[key] = f"sha256:{hashlib.sha256(str(value).encode()).hexdigest()[:12]}"
        elif key == "env" and isinstance(value, dict):
            result[key] = dict.fromkeys(value, REDACTED)
        elif key == "proxyUrl" and value:
            result[key] = secret.without_userinfo(str(value))
        else:
            result[key] = _redacted(value) if isinstance(value, dict) else value
    return result


def _mark(before: t.Any, after: t.Any, old: t.Any, new: t.Any) -> None:
    """Say of a hidden value that it changes."""
    if not (isinstance(before, dict) and isinstance(after, dict) and isinstance(old, dict) and isinstance(new, dict)):
        return
    for key, value in after.items():
        if value == REDACTED and key in before and old.get(key) != new.get(key):
            after[key] = REDACTED_CHANGED
        else:
            _mark(before.get(key), value, old.get(key), new.get(key))
