# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Stores, ExternalSecrets and PushSecrets, from what the variables of role external_secrets say."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._external_secrets import API

Object = dict[str, t.Any]
Entry = t.Mapping[str, t.Any]

CLUSTER_STORE, STORE = "ClusterSecretStore", "SecretStore"
POD_IDENTITY, SERVICE_ACCOUNT, STATIC = "pod_identity", "service_account", "static"
_KEYS = {
    "access_key_id": "accessKeyIDSecretRef",
    "secret_access_key": "secretAccessKeySecretRef",
    "session_token": "sessionTokenSecretRef",
}


def store_kind(entry: Entry) -> str:
    """A store with a namespace is that namespace's own."""
    return STORE if entry.get("namespace") else CLUSTER_STORE


# Stores


def stores(entries: t.Iterable[Entry], namespace: str, region: str) -> list[Object]:
    """The stores, and the Secrets with the static credentials of some.

    :arg namespace: Of the operator, where credentials of ClusterSecretStores are kept.
    :arg region: Of stores that name none.
    """
    found: list[Object] = []
    for entry in entries:
        if entry.get("auth") == STATIC and _given(entry):
            found.append(_credentials(entry, namespace))
        spec: Object = {"provider": dict(entry.get("provider") or {}) or {"aws": _aws(entry, namespace, region)}}
        if entry.get("conditions"):
            spec["conditions"] = [dict(condition) for condition in entry["conditions"]]
        if entry.get("refresh_seconds"):
            spec["refreshInterval"] = int(entry["refresh_seconds"])
        found.append(_object(store_kind(entry), entry, spec))
    return found


def _aws(entry: Entry, namespace: str, region: str) -> Object:
    provider: Object = {
        "service": entry.get("service") or "SecretsManager",
        "region": entry.get("region") or region,
    }
    for key, field in (("role", "role"), ("external_id", "externalID"), ("prefix", "prefix")):
        if entry.get(key):
            provider[field] = entry[key]
    auth = _auth(entry, namespace)
    return provider | ({"auth": auth} if auth else {})


def _auth(entry: Entry, namespace: str) -> Object:
    """None at all for Pod Identity: the controller's own credentials are used."""
    if entry.get("auth") == SERVICE_ACCOUNT:
        account = entry.get("service_account") or {}
        reference = {"name": account.get("name", "")}
        if not entry.get("namespace"):
            # That of a SecretStore is in its own namespace.
            reference["namespace"] = account.get("namespace") or namespace
        return {"jwt": {"serviceAccountRef": reference}}
    if entry.get("auth") == STATIC:
        home = {} if entry.get("namespace") else {"namespace": namespace}
        keys = [key for key in _KEYS if key != "session_token" or (entry.get("credentials") or {}).get(key)]
        return {"secretRef": {_KEYS[key]: {"name": _secret_name(entry), "key": key, **home} for key in keys}}
    return {}


def _given(entry: Entry) -> dict[str, str]:
    credentials = entry.get("credentials") or {}
    return {key: str(credentials[key]) for key in _KEYS if credentials.get(key)}


def _secret_name(entry: Entry) -> str:
    return str((entry.get("credentials") or {}).get("secret") or f"{entry['name']}-credentials")


def _credentials(entry: Entry, namespace: str) -> Object:
    metadata = {"name": _secret_name(entry), "namespace": entry.get("namespace") or namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": _given(entry)}


# ExternalSecrets and PushSecrets


def external_secrets(entries: t.Iterable[Entry], known: t.Sequence[Entry]) -> list[Object]:
    """The ExternalSecrets.

    :arg known: The stores that are declared, by which the kind of a store is known.
    """
    return [_object("ExternalSecret", entry, _external_spec(entry, known)) for entry in entries]


def _external_spec(entry: Entry, known: t.Sequence[Entry]) -> Object:
    target = {key: value for key, value in (("name", entry.get("target")),) if value}
    spec: Object = {
        "secretStoreRef": _reference(entry.get("store"), entry, known),
        "refreshInterval": entry.get("refresh_interval"),
        "refreshPolicy": entry.get("refresh_policy"),
        "target": {**target, **(entry.get("target_options") or {})},
        "data": [
            {"secretKey": key, "remoteRef": remote if isinstance(remote, dict) else {"key": remote}}
            for key, remote in (entry.get("data") or {}).items()
        ],
        "dataFrom": [{"extract": {"key": key}} for key in entry.get("extract") or []],
    }
    return _canonical({**_filled(spec), **(entry.get("spec") or {})})


def push_secrets(entries: t.Iterable[Entry], known: t.Sequence[Entry]) -> list[Object]:
    """The PushSecrets."""
    return [_object("PushSecret", entry, _push_spec(entry, known)) for entry in entries]


def _push_spec(entry: Entry, known: t.Sequence[Entry]) -> Object:
    spec: Object = {
        "secretStoreRefs": [_reference(entry.get("store"), entry, known)],
        "selector": {"secret": {"name": entry.get("secret")}} if entry.get("secret") else None,
        "refreshInterval": entry.get("refresh_interval"),
        "updatePolicy": entry.get("update_policy"),
        "deletionPolicy": entry.get("deletion_policy"),
        "data": [
            {"match": {"secretKey": key, "remoteRef": _remote(remote)}}
            for key, remote in (entry.get("data") or {}).items()
        ],
    }
    return _canonical({**_filled(spec), **(entry.get("spec") or {})})


def _remote(remote: t.Any) -> Object:
    """PushSecrets say `remoteKey` where ExternalSecrets say `key`."""
    if not isinstance(remote, dict):
        return {"remoteKey": remote}
    return {("remoteKey" if key == "key" else key): value for key, value in remote.items()}


def _reference(name: t.Any, entry: Entry, known: t.Sequence[Entry]) -> Object | None:
    if not name:
        return None
    own = any(each["name"] == name and each.get("namespace") == entry.get("namespace") for each in known)
    kind = entry.get("store_kind") or (STORE if own else CLUSTER_STORE)
    return {"name": name, "kind": kind}


def _filled(spec: Object) -> Object:
    return {key: value for key, value in spec.items() if value not in (None, "", [], {}, [None])}


def _canonical(spec: Object) -> Object:
    """With its interval as the controller writes it back: another text would be a conflict with it for ever."""
    interval = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", str(spec.get("refreshInterval") or ""))
    if not interval or not interval[0]:
        return spec
    hours, minutes, seconds = (int(part or 0) for part in interval.groups())
    minutes, seconds = minutes + seconds // 60, seconds % 60
    hours, minutes = hours + minutes // 60, minutes % 60
    text = f"{hours}h{minutes}m{seconds}s" if hours else f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
    return {**spec, "refreshInterval": text}


def _object(kind: str, entry: Entry, spec: Object) -> Object:
    metadata: Object = {"name": entry["name"]}
    for key in ("namespace", "labels", "annotations"):
        if entry.get(key):
            metadata[key] = entry[key]
    return {"apiVersion": API[kind], "kind": kind, "metadata": metadata, "spec": spec}


def namespaces(objects: t.Iterable[Object]) -> list[Object]:
    """The namespaces that the objects are in."""
    names = sorted({item["metadata"]["namespace"] for item in objects if item["metadata"].get("namespace")})
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in names]


def awaited(objects: t.Iterable[Object]) -> list[dict[str, str]]:
    """As module external_secrets_info takes them."""
    return [
        {key: value for key in ("name", "namespace") if (value := item["metadata"].get(key))} | {"kind": item["kind"]}
        for item in objects
        if item["kind"] in API
    ]


# What contradicts itself


def problems(
    store_entries: t.Sequence[Entry], external: t.Sequence[Entry], push: t.Sequence[Entry], region: str
) -> list[str]:
    """What can be known to be wrong before anything is asked, one sentence each."""
    found = [text for entry in store_entries for text in _of_store(entry, region)]
    found += [text for entry in external for text in _of_external(entry)]
    found += [text for entry in push for text in _of_push(entry)]
    for variable, entries in (
        ("external_secrets_stores", store_entries),
        ("external_secrets_external_secrets", external),
        ("external_secrets_push_secrets", push),
    ):
        names = [(entry.get("namespace") or "", entry["name"]) for entry in entries]
        found += [
            f"{variable} has {'/'.join(filter(None, name))} twice."
            for name in sorted(set(names))
            if names.count(name) > 1
        ]
    return found


def _of_store(entry: Entry, region: str) -> t.Iterator[str]:
    what = f"Store {entry['name']} in external_secrets_stores"
    if entry.get("conditions") and entry.get("namespace"):
        yield f"{what} has conditions, which only a ClusterSecretStore can have: leave them or the namespace out."
    if entry.get("provider"):
        if len(entry["provider"]) != 1:
            yield f"{what}: provider has to name exactly one, it has {', '.join(entry['provider'])}."
        return
    if not (entry.get("region") or region):
        yield f"{what} has no region: set it, or external_secrets_region."
    if entry.get("auth") == SERVICE_ACCOUNT:
        account = entry.get("service_account") or {}
        if not account.get("name"):
            yield f"{what} has auth service_account and names none: set service_account.name."
        if entry.get("namespace") and account.get("namespace") not in (None, "", entry["namespace"]):
            yield f"{what} is of namespace {entry['namespace']}, and so has to be its service account."
    if entry.get("auth") == STATIC:
        credentials = entry.get("credentials") or {}
        pair = bool(credentials.get("access_key_id")) + bool(credentials.get("secret_access_key"))
        if pair == 1 or (pair == 0 and not credentials.get("secret")):
            yield (
                f"{what} has auth static: credentials needs access_key_id and secret_access_key, or the name of a "
                "secret that holds them under these keys."
            )


def _of_external(entry: Entry) -> t.Iterator[str]:
    what = f"ExternalSecret {entry.get('namespace')}/{entry['name']}"
    spec = entry.get("spec") or {}
    if not (entry.get("store") or spec.get("secretStoreRef") or spec.get("data") or spec.get("dataFrom")):
        yield f"{what} names no store."
    if not (entry.get("data") or entry.get("extract") or spec.get("data") or spec.get("dataFrom")):
        yield f"{what} takes nothing: give it extract or data."


def _of_push(entry: Entry) -> t.Iterator[str]:
    what = f"PushSecret {entry.get('namespace')}/{entry['name']}"
    spec = entry.get("spec") or {}
    if not (entry.get("store") or spec.get("secretStoreRefs")):
        yield f"{what} names no store."
    if not (entry.get("secret") or spec.get("selector")):
        yield f"{what} names no secret."
    if not (entry.get("data") or spec.get("data")):
        yield f"{what} pushes nothing: give it data."
