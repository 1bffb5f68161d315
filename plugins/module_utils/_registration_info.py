# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What of the registered clusters may be shown: everything but their credentials."""

from __future__ import annotations

import base64
import binascii
import typing as t
from dataclasses import dataclass
from datetime import UTC, datetime

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_application import APPLICATION
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import ApiError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_connection import UNKNOWN, Connection
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_secret import (
    ACCOUNT,
    IN_CLUSTER,
    MANAGED_BY,
    SECRET_TYPE,
    SELECTOR,
    Registered,
    normalized,
    registered,
    without_userinfo,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_targets import (
    IN_CLUSTER_NAME,
    Target,
    Targets,
)

try:
    from cryptography import x509
except ImportError:  # Then the end of client certificates is not known
    x509 = None  # type: ignore[assignment]

Entry = dict[str, t.Any]

_SETTINGS = "argocd-cm"


@dataclass(frozen=True)
class Selection:
    """Which clusters are meant: those of these names or servers, and all where there is neither.

    :arg labelled: Names of the Secrets that the label selector finds, None where there is no selector.
    """

    names: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    labelled: frozenset[str] | None = None

    def holds(self, name: str, server: str, secret: str | None) -> bool:
        """Whether this cluster is meant."""
        if self.labelled is not None and secret not in self.labelled:
            return False
        if not self.names and not self.servers:
            return True
        return name in self.names or normalized(server) in map(normalized, self.servers)


def secrets(kube: Kube, namespace: str) -> list[Registered]:
    """Every cluster Secret, by name of the cluster."""
    found = [registered(item) for item in kube.list("v1", "Secret", namespace, SELECTOR)]
    return sorted(found, key=lambda one: (one.name, one.server, one.secret))


def labelled(kube: Kube, namespace: str, label_selector: str) -> frozenset[str]:
    """Names of the cluster Secrets that a selector finds."""
    found = kube.list("v1", "Secret", namespace, f"{SELECTOR},{label_selector}")
    return frozenset(str(item["metadata"]["name"]) for item in found)


def has_implicit(kube: Kube, namespace: str, clusters: t.Iterable[Registered]) -> bool:
    """Whether Argo CD knows the hub itself without a Secret."""
    if any(normalized(one.server) == normalized(IN_CLUSTER) for one in clusters):
        return False
    try:
        settings = kube.get_path(f"/api/v1/namespaces/{namespace}/configmaps/{_SETTINGS}")
    except ApiError as error:
        if error.status != 403:
            raise
        return True
    return settings is not None and (settings.get("data") or {}).get("cluster.inClusterEnabled") != "false"


def implicit() -> Registered:
    """The hub itself as Argo CD has it without a Secret."""
    return Registered(secret="", resource_version="", name=IN_CLUSTER_NAME, server=IN_CLUSTER, config={})


def duplicates(clusters: t.Sequence[Registered]) -> list[Entry]:
    """Servers and names that more than one Secret has: Argo CD then takes any of them, or none."""
    found: dict[tuple[str, str], list[Registered]] = {}
    for one in clusters:
        if one.server:
            found.setdefault(("server", normalized(one.server)), []).append(one)
        if one.name:
            found.setdefault(("name", one.name), []).append(one)
    return [
        {
            "field": field,
            "value": without_userinfo(ones[0].name if field == "name" else ones[0].server.rstrip("/")),
            "secrets": sorted(one.secret for one in ones),
        }
        for (field, _value), ones in sorted(found.items(), reverse=True)
        if len(ones) > 1
    ]


def describe(
    one: Registered,
    now: datetime,
    connections: dict[str, Connection] | None = None,
    targets: Targets | None = None,
) -> Entry:
    """One cluster in the words of the result."""
    config = one.config or {}
    on_it = targets.of(one.server, one.name) if targets is not None else None
    return {
        "name": without_userinfo(one.name),
        "server": without_userinfo(one.server),
        "secret": one.secret or None,
        "implicit": not one.secret,
        "in_cluster": normalized(one.server) == normalized(IN_CLUSTER),
        "project": one.project,
        "namespaces": list(one.namespaces),
        "cluster_resources": one.cluster_resources,
        "shard": one.shard,
        "labels": {key: value for key, value in one.labels.items() if key != SECRET_TYPE},
        "annotations": {key: value for key, value in one.annotations.items() if key != MANAGED_BY},
        "owner": one.owner,
        "credential": _credential(one, now),
        "tls": _tls(config),
        "proxy_url": without_userinfo(_text(config.get("proxyUrl"))),
        "connection": _connection(one.server, connections),
        "applications": _names(on_it, APPLICATION),
        "application_sets": _sets(on_it),
        "problem": _problem(one),
    }


def _text(value: t.Any) -> str:
    return value if isinstance(value, str) else ""


def _credential(one: Registered, now: datetime) -> Entry:
    expires = one.expires or _certificate_end(one)
    return {
        "kind": one.credential,
        "account": one.account or one.annotations.get(ACCOUNT, ""),
        "expires": expires.strftime("%Y-%m-%dT%H:%M:%SZ") if expires else None,
        "seconds_left": int((expires - now).total_seconds()) if expires else None,
        "expired": expires <= now if expires else False,
    }


def _certificate_end(one: Registered) -> datetime | None:
    """When the client certificate ends."""
    if one.credential != "client_certificate" or x509 is None:
        return None
    try:
        pem = base64.b64decode(_tls_config(one.config or {})["certData"])
        certificate = x509.load_pem_x509_certificate(pem)
    except (ValueError, TypeError, KeyError, binascii.Error):
        return None
    # Without a time zone it is UTC, as older versions of the library give it.
    end = getattr(certificate, "not_valid_after_utc", None) or certificate.not_valid_after
    return t.cast("datetime", end).replace(tzinfo=UTC)


def _tls_config(config: Entry) -> Entry:
    found = config.get("tlsClientConfig")
    return found if isinstance(found, dict) else {}


def _tls(config: Entry) -> Entry:
    found = _tls_config(config)
    return {
        "insecure": found.get("insecure") is True,
        "server_name": _text(found.get("serverName")),
        "has_ca": bool(found.get("caData")),
    }


def _connection(server: str, connections: dict[str, Connection] | None) -> Entry | None:
    """Argo CD connects only to clusters that Applications target; of the others it does not know."""
    if connections is None:
        return None
    found = connections.get(normalized(server), Connection(UNKNOWN))
    return {"status": found.status, "kubernetes": found.kubernetes}


def _names(targets: t.Sequence[Target] | None, kind: str) -> list[str] | None:
    return None if targets is None else [str(target) for target in targets if target.kind == kind]


def _sets(targets: t.Sequence[Target] | None) -> list[str] | None:
    if targets is None:
        return None
    generating = [target.generated_by for target in targets if target.generated_by]
    naming = [str(target) for target in targets if target.kind != APPLICATION]
    return sorted({*generating, *naming})


def _problem(one: Registered) -> str:
    lacks = [f"it has no {field}" for field in ("name", "server") if not getattr(one, field)]
    return ", ".join([one.problem, *lacks] if one.problem else lacks)
