# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is tried by the probe of a credential: where, as whom, for which rights; and how it says that it failed."""

from __future__ import annotations

import base64
import functools
import re
import typing as t
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from urllib.parse import quote, urlsplit

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._redact import REDACTED

Field = t.Literal[
    "server", "ca_data", "server_name", "proxy_url", "bearer_token", "password", "client_certificate", "account"
]
Kind = t.Literal[
    "dns",
    "refused",
    "timeout",
    "unreachable",
    "not_tls",
    "certificate",
    "not_kubernetes",
    "unauthenticated",
    "forbidden",
    "clock",
    "proxy",
]


class ProbeError(HubspokeError):
    """Argo CD could not use this credential at this address.

    :arg message: A half sentence that fits behind "Cluster tokyo: ", with its full stop.
    :arg field: The field of the cluster that is to be changed.
    :arg kind: The class of failure.
    """

    def __init__(self, message: str, remedy: str, *, field: Field, kind: Kind) -> None:
        super().__init__(message, remedy)
        self.field = field
        self.kind = kind


@dataclass(frozen=True)
class Address:
    """The parts of an address."""

    host: str
    port: int
    path: str = ""

    @property
    def authority(self) -> str:
        """Host and port, as in the request of a proxy."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Endpoint:
    """An API server, and how it is reached.

    :arg server: https://host:port[/path], as the hub will use it.
    :arg via: https://host:port, the same server as seen from here; the certificate must still be that of `server`.
    :arg ca: PEM; empty: the system's.
    :arg server_name: The name to check the certificate against instead of the server's host.
    :arg proxy: http://host:port that leads to `server`; `via` needs none.
    :arg timeout: Seconds for the connection (TLS included), and again for each answer as a whole.
    """

    server: str
    via: str = ""
    ca: str = ""
    server_name: str = ""
    insecure: bool = False
    proxy: str = ""
    timeout: float = 10.0

    @property
    def shown(self) -> str:
        """How messages call it."""
        return f"{self.server} (from here {self.via})" if self.via else self.server

    @property
    def name(self) -> str:
        """What the certificate must be for."""
        return self.server_name or self.address.host

    @functools.cached_property
    def address(self) -> Address:
        """The parts of `server`.

        :raises ProbeError: it is no address, or not one of TLS.
        """
        return _https(self.server, "server")

    @functools.cached_property
    def reached(self) -> Address:
        """Where to connect to from here."""
        return _https(self.via, "the address to use from here") if self.via else self.address

    @functools.cached_property
    def proxied(self) -> Address | None:
        """The proxy on the way from here.

        :raises ProbeError: it is no address of an HTTP proxy.
        """
        if not self.proxy or self.via:
            return None
        scheme = self.proxy.partition("://")[0].lower()
        if scheme in {"https", "socks5", "socks5h"}:
            raise ProbeError(
                f"proxy_url begins with {scheme}://, and such a proxy cannot be tried from this machine.",
                "Set proxy_url to an http:// proxy, or switch off the probe from this machine.",
                field="proxy_url",
                kind="proxy",
            )
        found = _parts(self.proxy, {"http": 80})
        if found is None:
            # Its text may hold a password.
            raise ProbeError(
                "proxy_url is no address of the form http://host:port.",
                "Correct proxy_url.",
                field="proxy_url",
                kind="proxy",
            )
        return found


def _https(url: str, what: str) -> Address:
    """The parts of an https:// address."""
    if "@" in url:
        raise ProbeError(
            f"{what} holds a user name or password.",
            "Set server to https://host:port alone, and give the credential in its own option.",
            field="server",
            kind="unreachable",
        )
    if url.lower().startswith("http://"):
        raise ProbeError(
            f"{what} {url} is plain HTTP, on which everyone between could read the credential.",
            "Set server to the https:// address of the API server.",
            field="server",
            kind="not_tls",
        )
    found = _parts(url, {"https": 443})
    if found is None:
        raise ProbeError(
            f"{what} {url!r} is no address of the form https://host:port.",
            "Correct server.",
            field="server",
            kind="unreachable",
        )
    return found


def _parts(url: str, ports: dict[str, int]) -> Address | None:
    """The parts of a URL with one of these schemes, None where it is none."""
    if not re.fullmatch(r"[^\s\x00-\x1f\x7f?#\\]+", url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ports or not parts.hostname:
        return None
    # Percent signs stay: a path that is escaped already is not escaped again.
    path = quote(parts.path.rstrip("/"), safe="/%:@!$&'()*+,;=~-._")
    return Address(parts.hostname, ports[parts.scheme] if port is None else port, path)


@dataclass(frozen=True, repr=False)
class Identity:
    """What is presented to the API server: one token, or user name and password, or a certificate with its key."""

    token: str = ""
    username: str = ""
    password: str = ""
    certificate: str = ""
    key: str = ""

    def __post_init__(self) -> None:
        if sum(map(bool, (self.token, self.username or self.password, self.certificate or self.key))) > 1:
            raise ValueError("more than one credential")

    def __repr__(self) -> str:
        """Which it is, but nothing of it."""
        return f"Identity({', '.join(field.name for field in fields(self) if getattr(self, field.name))})"

    @property
    def authorization(self) -> str:
        """The value of the header.

        :raises ProbeError: the token cannot stand in a header.
        """
        if self.token:
            # Also because http.client quotes what it refuses.
            if not re.fullmatch(r"[\x21-\x7e]+", self.token):
                raise ProbeError(
                    "bearer_token holds a line break, a blank or another character that no token has.",
                    "Set bearer_token to the token alone.",
                    field="bearer_token",
                    kind="unauthenticated",
                )
            return f"Bearer {self.token}"
        if self.username or self.password:
            return f"Basic {self._basic}"
        return ""

    @property
    def _basic(self) -> str:
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode()

    def scrubbed(self, text: str) -> str:
        """What another side wrote, fit to be shown: without what we sent, should it echo that."""
        for secret in (self.token, self.password, self._basic if self.password else ""):
            if secret:
                text = text.replace(secret, REDACTED)
        return printable(text)


@dataclass(frozen=True)
class Right:
    """Something the account must be allowed to do.

    :arg resource: Plural, with /subresource where meant.
    :arg namespace: Empty: in all.
    """

    verb: str = "*"
    group: str = "*"
    resource: str = "*"
    namespace: str = ""

    def __str__(self) -> str:
        if self.verb == self.group == self.resource == "*":
            what = "everything"
        else:
            what = f"{self.verb} {self.resource}" + (f".{self.group}" if self.group else "")
        return what + (f" in namespace {self.namespace}" if self.namespace else "")

    @property
    def attributes(self) -> dict[str, str]:
        """The resourceAttributes of a review."""
        resource, _, subresource = self.resource.partition("/")
        found = {"verb": self.verb, "group": self.group, "resource": resource, "namespace": self.namespace}
        return {**found, "subresource": subresource} if subresource else found


def printable(text: str) -> str:
    """Foreign text in one line, without what a terminal would obey."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def moment(when: datetime) -> str:
    """A time as messages show it; always UTC."""
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"


def span(length: timedelta) -> str:
    """A length of time in its two largest units."""
    seconds = int(abs(length.total_seconds()))
    parts = []
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}{'' if count == 1 else 's'}")
    return " ".join(parts[:2]) or "0 seconds"
