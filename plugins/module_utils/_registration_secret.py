# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Cluster Secrets: how Argo CD keeps a cluster, read and compared by meaning.

The format is that of Argo CD's documentation ("Declarative setup: clusters") and of its util/db/cluster.go.
"""

from __future__ import annotations

import base64
import binascii
import functools
import ipaddress
import json
import re
import typing as t
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from urllib.parse import urlsplit

Object = dict[str, t.Any]

MANAGER = "hubspoke.bootstrap-registration"
"""The field manager of cluster Secrets: what it owns, and nothing else, is ours."""
SECRET_TYPE, CLUSTER = "argocd.argoproj.io/secret-type", "cluster"
SELECTOR = f"{SECRET_TYPE}={CLUSTER}"
MANAGED_BY, ARGOCD = "managed-by", "argocd.argoproj.io"
SKIP_RECONCILE = "argocd.argoproj.io/skip-reconcile"
OWNER = "hubspoke.bootstrap/owner"
EXPIRES = "hubspoke.bootstrap/token-expires"
LIFETIME = "hubspoke.bootstrap/token-lifetime"
ACCOUNT = "hubspoke.bootstrap/account"
RULES = "hubspoke.bootstrap/account-rules"
IN_CLUSTER = "https://kubernetes.default.svc"

_CONFIG_TYPES: dict[str, type] = {
    **dict.fromkeys(("username", "password", "bearerToken", "proxyUrl"), str),
    **dict.fromkeys(("tlsClientConfig", "awsAuthConfig", "execProviderConfig"), dict),
}
SERVICE_ACCOUNT = "system:serviceaccount:"
"""Begins the name of a service account as a user, before namespace and name."""
IN_SECRET = "kubernetes.io/serviceaccount/secret.name"  # noqa: S105 - the name of a claim
"""Claim of a token without an end: its Secret (kubernetes/pkg/serviceaccount/legacy.go)."""

_USERINFO = re.compile(r"(?<=://)[^/?#]*@")
_SYSTEM = ("kubectl.kubernetes.io/last-applied-configuration",)
_NONE: t.Mapping[str, t.Any] = MappingProxyType({})
_DEFAULT_PORTS = {"https": 443, "http": 80}


@functools.lru_cache(maxsize=8192)
def normalized(server: str) -> str:
    """An address for comparing: lower-case, with its port, without a slash at its end. An ARN stays as it is."""
    if "://" not in server:
        return server.strip()
    try:
        parts = urlsplit(server.strip())
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme.lower(), 0)
    except ValueError:
        return server.strip().rstrip("/")
    host = (parts.hostname or "").rstrip(".")
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme.lower()}://{shown}:{port}{parts.path.rstrip('/')}"


def secret_name(server: str) -> str:
    """The name that Argo CD gives to the Secret of a cluster: its host and FNV-1a (32 bits) of its address."""
    host = urlsplit(server).netloc if "://" in server else server.rpartition("/")[2]
    if host.startswith("["):
        host = str(ipaddress.ip_address(host[1 : host.index("]")])).replace(":", "-")
    else:
        host = host.partition(":")[0]
    value = 0x811C9DC5
    for byte in server.encode():
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return f"cluster-{host.lower()}-{value}"


@dataclass(frozen=True)
class Registered:
    """One cluster Secret as it is.

    :arg config: Its parsed JSON, None where it cannot be parsed; then `problem` says why.
    :arg owned: What the field manager of this collection set: `data`, `labels` and `annotations`, by name.
    :arg shared: The same for all other managers.
    """

    secret: str
    resource_version: str
    name: str
    server: str
    config: Object | None = field(repr=False)
    namespaces: tuple[str, ...] = ()
    cluster_resources: bool = False
    project: str = ""
    shard: int | None = None
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    owned: frozenset[tuple[str, str]] = frozenset()
    shared: frozenset[tuple[str, str]] = frozenset()
    problem: str = ""
    data: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def credential(self) -> str:
        """Its kind."""
        return credential_of(self.config or {})

    @property
    def token(self) -> str:
        """The bearer token, empty where there is none."""
        return str((self.config or {}).get("bearerToken") or "")

    @property
    def expires(self) -> datetime | None:
        """When its token ends, as the token itself says."""
        return _moment(claims(self.token).get("exp"))

    @property
    def issued(self) -> datetime | None:
        """When its token was made."""
        return _moment(claims(self.token).get("iat"))

    @property
    def account(self) -> str:
        """Namespace and name of the service account whose token it is, empty where it is none."""
        subject = str(claims(self.token).get("sub") or "")
        ours = subject.startswith(SERVICE_ACCOUNT)
        return subject.removeprefix(SERVICE_ACCOUNT).replace(":", "/") if ours else ""

    @property
    def owner(self) -> str:
        """Which inventory registered it."""
        return self.labels.get(OWNER, "")


def credential_of(config: t.Mapping[str, t.Any]) -> str:
    """The kind of credential that a config holds, the first where it holds several, as Argo CD takes it."""
    held = {
        "aws": config.get("awsAuthConfig"),
        "exec": config.get("execProviderConfig"),
        "bearer_token": config.get("bearerToken"),
        "basic": config.get("username") or config.get("password"),
        "client_certificate": (config.get("tlsClientConfig") or {}).get("certData"),
    }
    kind = next((kind for kind, value in held.items() if value), "none")
    found = claims(str(config["bearerToken"])) if kind == "bearer_token" else _NONE
    if str(found.get("sub") or "").startswith(SERVICE_ACCOUNT):
        return "token" if found.get("exp") else "token_secret"
    return kind


@functools.lru_cache(maxsize=4096)
def claims(token: str) -> t.Mapping[str, t.Any]:
    """What a JSON web token says of itself (RFC 7519), without a look at its signature; empty for any other."""
    parts = token.split(".")
    if len(parts) != 3:
        return _NONE
    try:
        found = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error):
        return _NONE
    if not isinstance(found, dict):
        return _NONE
    return MappingProxyType({name: found[name] for name in ("sub", "exp", "iat", "nbf", IN_SECRET) if name in found})


def _moment(seconds: t.Any) -> datetime | None:
    if not isinstance(seconds, (int, float)):
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def without_userinfo(url: str) -> str:
    """An address without user name and password."""
    return _USERINFO.sub("", url)


def text_of(encoded: t.Any) -> str:
    """Text out of base64, empty where there is none."""
    try:
        return base64.b64decode(encoded or "").decode()
    except ValueError:
        return ""


def left(span: timedelta) -> str:
    """A time to go, in one unit."""
    seconds = max(int(span.total_seconds()), 0)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def registered(secret: Object) -> Registered:
    """Read a cluster Secret, however broken it is."""
    metadata, problems = secret.get("metadata") or {}, []
    data: dict[str, str] = {}
    for key, value in (secret.get("data") or {}).items():
        try:
            data[key] = base64.b64decode(value or "", validate=True).decode()
        except (ValueError, binascii.Error):
            problems.append(f"its {key} is not text")
    config: Object | None = {}
    if data.get("config"):
        try:
            config = json.loads(data["config"])
        except ValueError:
            config = None
        if not isinstance(config, dict):
            config = None
            problems.append("its config is not a JSON object")
    for name, kind in _CONFIG_TYPES.items():
        # Argo CD reads none of it then.
        if config and not isinstance(config.get(name) or kind(), kind):
            config = None
            problems.append(f"its config has a {name} that is no {'text' if kind is str else 'object'}")
    shard = data.get("shard")
    if shard is not None and not re.fullmatch(r"[+-]?[0-9]+", shard):
        problems.append(f"its shard is {shard!r}, which is no number")
        shard = None
    owned, shared = _owners(metadata.get("managedFields") or [])
    annotations = metadata.get("annotations") or {}
    return Registered(
        secret=str(metadata.get("name", "")),
        resource_version=str(metadata.get("resourceVersion", "")),
        name=data.get("name", ""),
        server=data.get("server", ""),
        config=config,
        namespaces=tuple(part.strip() for part in data.get("namespaces", "").split(",") if part.strip()),
        cluster_resources=data.get("clusterResources") == "true",
        project=data.get("project", ""),
        shard=int(shard) if shard is not None else None,
        labels=dict(metadata.get("labels") or {}),
        annotations={key: value for key, value in annotations.items() if key not in _SYSTEM},
        owned=owned,
        shared=shared,
        problem=", ".join(problems),
        data=data,
    )


def _owners(fields: list[Object]) -> tuple[frozenset[tuple[str, str]], frozenset[tuple[str, str]]]:
    """What our manager set, and what others did."""
    owned: set[tuple[str, str]] = set()
    shared: set[tuple[str, str]] = set()
    for entry in fields:
        ours = entry.get("manager") == MANAGER and entry.get("operation") == "Apply"
        tree = entry.get("fieldsV1") or {}
        metadata = tree.get("f:metadata") or {}
        for place, part in (
            ("data", tree.get("f:data")),
            ("labels", metadata.get("f:labels")),
            ("annotations", metadata.get("f:annotations")),
        ):
            names = {(place, key[2:]) for key in part or {} if key.startswith("f:")}
            (owned if ours else shared).update(names)
    return frozenset(owned), frozenset(shared)


def same_config(before: Object | None, after: Object) -> bool:
    """Whether two configs mean the same: an absent field is its zero value."""
    return bool(_meaning(before) == _meaning(after))


def _meaning(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        found = {key: _meaning(item) for key, item in value.items()}
        return {key: item for key, item in found.items() if item not in (None, "", False, {}, [])}
    return [_meaning(item) for item in value] if isinstance(value, list) else value
