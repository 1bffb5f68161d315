# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a spoke is reached from here: the connection options of kubernetes.core, read once for a thousand clusters.

What most kubeconfigs hold (an address, a CA, a certificate or a token) is read here, because the Kubernetes client
takes several milliseconds for each, keeps what it read in a global default, and writes keys to files on the way.
Everything else (exec plugins, auth providers, impersonation, proxies) goes through the client.
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
import os
import threading
import typing as t
from dataclasses import dataclass, field
from urllib.parse import quote

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import ApiError, HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube, Paths
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_probe import (
    Endpoint,
    Identity,
    Session,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_secret import Registered, text_of
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._yaml import LOADER, yaml

Object = dict[str, t.Any]

_reading = threading.Lock()
_SIMPLE = ("kubeconfig", "context", "host", "api_key", "ca_cert", "client_cert", "client_key", "validate_certs")
_SIMPLE_CLUSTER = {
    "server",
    "certificate-authority",
    "certificate-authority-data",
    "insecure-skip-tls-verify",
    "tls-server-name",
    "extensions",
}
_SIMPLE_USER = {
    "token",
    "client-certificate",
    "client-certificate-data",
    "client-key",
    "client-key-data",
    "username",
    "password",
}


@dataclass(frozen=True)
class Access:
    """Where a spoke is, and who we are there.

    :arg identity: None where only the Kubernetes client knows how to find out.
    """

    endpoint: Endpoint
    identity: Identity | None
    params: Object = field(repr=False)


def access(params: t.Mapping[str, t.Any], timeout: float) -> Access:
    """Read the connection options of a spoke.

    :arg timeout: Seconds for the connection and for each answer.
    :raises HubspokeError: there is no such file, context or address.
    """
    given = {key: value for key, value in params.items() if value is not None}
    if given.get("host") and not (given.get("kubeconfig") or given.get("context")):
        empty: Object = {}
        cluster, user = empty, empty
    else:
        cluster, user = _kubeconfig(given.get("kubeconfig")).pick(given.get("context"))
    server = str(given.get("host") or cluster.get("server") or "").rstrip("/")
    if not server.startswith("https://"):
        raise HubspokeError(
            f"spoke has the address {server or '(none)'}, which is not https.", "Correct kubeconfig, context or host."
        )
    ca = _file(given["ca_cert"], "ca_cert") if given.get("ca_cert") else _pem(cluster, "certificate-authority")
    insecure = bool(cluster.get("insecure-skip-tls-verify")) or given.get("validate_certs") is False
    endpoint = Endpoint(
        server=server,
        ca="" if insecure else ca,
        server_name=str(cluster.get("tls-server-name") or ""),
        insecure=insecure,
        proxy=str(given.get("proxy") or cluster.get("proxy-url") or ""),
        timeout=timeout,
    )
    simple = set(given) <= set(_SIMPLE) and set(cluster) <= _SIMPLE_CLUSTER and set(user) <= _SIMPLE_USER
    return Access(endpoint, _identity(given, user) if simple else None, dict(params))


def as_registered(found: Registered, timeout: float) -> Access:
    """The way that Argo CD takes, with the token that it has."""
    tls = (found.config or {}).get("tlsClientConfig") or {}
    endpoint = Endpoint(
        server=found.server.rstrip("/"),
        ca=text_of(tls.get("caData")),
        server_name=tls.get("serverName") or "",
        insecure=bool(tls.get("insecure")),
        timeout=timeout,
    )
    return Access(endpoint, Identity(token=found.token), {})


def _identity(given: Object, user: Object) -> Identity:
    """One of them: a server that sees a certificate does not look at a token."""
    if given.get("api_key"):
        return Identity(token=str(given["api_key"]))
    if given.get("client_cert") and given.get("client_key"):
        return Identity(
            certificate=_file(given["client_cert"], "client_cert"), key=_file(given["client_key"], "client_key")
        )
    certificate, key = _pem(user, "client-certificate"), _pem(user, "client-key")
    if certificate and key:
        return Identity(certificate=certificate, key=key)
    if user.get("token"):
        return Identity(token=str(user["token"]))
    return Identity(username=str(user.get("username") or ""), password=str(user.get("password") or ""))


class Kubeconfig:
    """A kubeconfig, its entries by name."""

    def __init__(self, content: t.Any, source: str) -> None:
        self._source = source
        if not isinstance(content, dict):
            raise HubspokeError(f"{source} is no kubeconfig.", "Correct spoke.kubeconfig.")
        self._current = content.get("current-context")
        self._contexts, self._clusters, self._users = (
            {entry.get("name"): entry.get(kind) or {} for entry in content.get(f"{kind}s") or []}
            for kind in ("context", "cluster", "user")
        )

    def pick(self, context: str | None) -> tuple[Object, Object]:
        """Cluster and user of a context, by default of the current one."""
        name = context or self._current
        if name not in self._contexts:
            known = ", ".join(sorted(map(str, self._contexts))[:8]) or "none"
            raise HubspokeError(
                f"{self._source} has no context {name or '(none is current)'}.", f"Its contexts are: {known}."
            )
        found: Object = self._contexts[name]
        cluster = self._clusters.get(found.get("cluster"))
        if cluster is None:
            raise HubspokeError(
                f"Context {name} of {self._source} names the cluster {found.get('cluster')}, which is not in it.",
                "Correct the kubeconfig.",
            )
        return cluster, self._users.get(found.get("user")) or {}


def _kubeconfig(given: t.Any) -> Kubeconfig:
    if isinstance(given, dict):
        return Kubeconfig(given, "spoke.kubeconfig")
    path = os.path.abspath(os.path.expanduser(str(given or os.environ.get("KUBECONFIG") or "~/.kube/config")))
    try:
        stat = os.stat(path)
        # One thread reads it, the others wait: a fleet's kubeconfig takes a second to parse.
        with _reading:
            return _kubeconfig_file(path, stat.st_mtime_ns, stat.st_size)
    except OSError as error:
        raise HubspokeError(
            f"The kubeconfig {path} cannot be read: {error.strerror}.", "Correct spoke.kubeconfig."
        ) from error


@functools.lru_cache(maxsize=32)
def _kubeconfig_file(path: str, _changed: int, _size: int) -> Kubeconfig:
    with open(path, encoding="utf-8") as file:
        text = file.read()
    try:
        # Those that programs write are often JSON, which is read in a hundredth of the time.
        content = json.loads(text) if text.startswith("{") else yaml.load(text, Loader=LOADER)
    except (ValueError, yaml.YAMLError):
        content = None  # the parser's own words may quote a key
    return _with_files(Kubeconfig(content, path), os.path.dirname(path))


def _with_files(config: Kubeconfig, folder: str) -> Kubeconfig:
    """Paths in a kubeconfig are relative to its own folder."""
    for entries in (config._clusters, config._users):
        for entry in entries.values():
            for name in ("certificate-authority", "client-certificate", "client-key"):
                if entry.get(name):
                    entry[name] = os.path.join(folder, entry[name])
    return config


def _pem(entry: Object, name: str) -> str:
    if entry.get(f"{name}-data"):
        try:
            return base64.b64decode(entry[f"{name}-data"], validate=True).decode()
        except (ValueError, binascii.Error):
            raise HubspokeError(f"The kubeconfig's {name}-data is not base64.", "Correct the kubeconfig.") from None
    return _file(entry[name], name) if entry.get(name) else ""


def _file(path: str, option: str) -> str:
    try:
        with open(os.path.expanduser(path), encoding="ascii") as file:
            return file.read()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no PEM file"
        raise HubspokeError(f"{option} {path} cannot be read: {reason}.", "Correct the path.") from None


class Api(Paths):
    """Requests to a spoke, by whichever way it is reached. Used by one thread."""

    def __init__(self, found: Access) -> None:
        self._identity = found.identity
        self._session: Session | None = None
        self._kube: Kube | None = None
        if found.identity is None:
            self._kube = Kube.from_params(found.params, connections=1)
        else:
            self._session = Session(found.endpoint, found.identity)

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._session:
            self._session.__exit__(None, None, None)

    def request(self, method: str, path: str, body: t.Any = None) -> Object:
        """One request; its answer.

        :raises HubspokeError: no answer (ProbeError or ApiError), or one that is not a success (ApiError).
        """
        if self._kube:
            return self._kube.request(method, path, body)
        return self._ask(t.cast("Session", self._session), method, path, body)

    def _ask(self, session: Session, method: str, path: str, body: Object | None) -> Object:
        status, answer = session.request(method, path, body)
        if status < 400:
            return answer
        message = str(answer.get("message") or f"{method} {path} failed").rstrip(".")
        if self._identity:
            message = self._identity.scrubbed(message)  # a server may echo what it was shown
        raise ApiError(f"its API server answered {status}: {message}.", status, str(answer.get("reason", "")))


def segment(text: str) -> str:
    """A name as part of a path."""
    return quote(text, safe="")
