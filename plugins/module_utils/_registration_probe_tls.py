# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The TLS handshake with an API server, and why it did not come about."""

from __future__ import annotations

import contextlib
import email.utils
import http.client
import re
import ssl
import typing as t
from collections.abc import Iterator
from datetime import UTC, datetime

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import (
    _registration_probe_certificates as certificates,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_probe_context import shared_context
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_probe_types import (
    Endpoint,
    Identity,
    ProbeError,
    moment,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_probe_wire import (
    Wire,
    connect,
    speaks_http,
)

_PATIENCE = 3.0
"""Seconds for finding out why something failed, on a connection of its own that carries no credential."""
_ALERT = re.compile(
    r"ALERT_(BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_REVOKED|CERTIFICATE_EXPIRED|CERTIFICATE_UNKNOWN"
    r"|UNKNOWN_CA|ACCESS_DENIED|DECRYPT_ERROR|CERTIFICATE_REQUIRED)$"
)


def now() -> datetime:
    """The clock of this machine."""
    return datetime.now(UTC)


def parsed_date(text: str | None) -> datetime | None:
    """The moment of a Date header."""
    try:
        return email.utils.parsedate_to_datetime(text).astimezone(UTC) if text else None
    except (ValueError, OverflowError):
        return None


def secure(wire: Wire, endpoint: Endpoint, identity: Identity, context: ssl.SSLContext) -> None:
    """The handshake on a new connection.

    :raises ProbeError: it failed; the connection is then closed.
    """
    try:
        _handshake(wire, endpoint, context)
    except ssl.SSLCertVerificationError as error:
        leaf, clock = _look(endpoint)
        raise certificates.refused(endpoint, error, leaf, now(), clock) from None
    except TimeoutError:
        raise ProbeError(
            f"{endpoint.shown} accepts the connection, but no TLS handshake came about within {endpoint.timeout:g} s.",
            "Correct host and port of server; a load balancer without a working target behind it does this too.",
            field="server",
            kind="timeout",
        ) from None
    except OSError as error:
        reason = str(getattr(error, "reason", "") or "")
        raise rejected(endpoint, identity, reason) or _no_tls(endpoint, reason) from None
    except ValueError:
        raise ProbeError(
            f"{endpoint.name!r} is no host name that a certificate could be for.",
            f"Correct {'server_name' if endpoint.server_name else 'server'}.",
            field="server_name" if endpoint.server_name else "server",
            kind="certificate",
        ) from None


def _handshake(wire: Wire, endpoint: Endpoint, context: ssl.SSLContext) -> None:
    try:
        wire.sock.settimeout(wire.left())
        wire.sock = context.wrap_socket(wire.sock, server_hostname=endpoint.name.rstrip("."))
    except BaseException:
        wire.end()
        raise


def _no_tls(endpoint: Endpoint, reason: str) -> ProbeError:
    """The handshake ended in something else than a doubt about a certificate."""
    remedy = "Correct host and port of server."
    if "UNRECOGNIZED_NAME" in reason:
        return ProbeError(
            f"{endpoint.shown} has no certificate for {endpoint.name}.",
            "Set server_name to a name that it serves.",
            field="server_name" if endpoint.server_name else "server",
            kind="certificate",
        )
    if "ALERT" in reason or "PROTOCOL" in reason:
        return ProbeError(
            f"{endpoint.shown} and this machine have no version or cipher of TLS in common ({reason}).",
            "Let the server offer TLS 1.2 or later.",
            field="server",
            kind="not_tls",
        )
    if speaks_http(endpoint):
        message = f"{endpoint.shown} speaks plain HTTP, not TLS."
    elif reason and "EOF" not in reason:
        message = f"what listens at {endpoint.shown} does not speak TLS."
    else:
        message = f"{endpoint.shown} closes the connection during the TLS handshake."
        remedy += " A load balancer without a working target behind it does this too."
    return ProbeError(message, remedy, field="server", kind="not_tls")


def rejected(endpoint: Endpoint, identity: Identity, reason: str) -> ProbeError | None:
    """The other side's alert about our certificate, None where it is about something else.

    :arg reason: OpenSSL's name of the error.
    """
    alert = _ALERT.search(reason)
    if alert is None:
        return None
    if not identity.certificate:
        return ProbeError(
            f"{endpoint.shown} demands a client certificate, and there is none.",
            "Set client_certificate and client_key.",
            field="client_certificate",
            kind="unauthenticated",
        )
    what = alert[1].lower().replace("_", " ").replace(" ca", " CA")
    problem = client_certificate_time(identity, None)
    return problem or ProbeError(
        f"{endpoint.shown} refuses the client certificate in the TLS handshake ({what}){_signer(identity)}.",
        "Set client_certificate to one that the cluster's own authority signed.",
        field="client_certificate",
        kind="unauthenticated",
    )


def _signer(identity: Identity) -> str:
    held = certificates.read_all(identity.certificate)
    return f"; {held[0].issuer} signed it" if held else ""


def client_certificate_time(identity: Identity, clock: datetime | None) -> ProbeError | None:
    """Whether our certificate is out of its time.

    :arg clock: The server's, where known; it is the one that counts.
    """
    held, here = certificates.read_all(identity.certificate), now()
    if not held or held[0].begins <= (clock or here) <= held[0].ends:
        return None
    expired = held[0].ends < (clock or here)
    found = f"expired at {moment(held[0].ends)}" if expired else ""
    found = found or f"is valid only from {moment(held[0].begins)}"
    return ProbeError(
        f"the client certificate {found} ({certificates.clocks(here, clock)}).",
        "Set client_certificate and client_key to a new pair" + ("." if expired else ", or wait until it is valid."),
        field="client_certificate",
        kind="certificate",
    )


def not_accepted(endpoint: Endpoint, identity: Identity, clock: datetime | None) -> ProbeError:
    """The API server took our certificate in the handshake, but then did not want it."""
    return client_certificate_time(identity, clock) or ProbeError(
        f"{endpoint.shown} does not accept the client certificate{_signer(identity)}.",
        "Set client_certificate to one that the cluster's own authority signed for clients.",
        field="client_certificate",
        kind="unauthenticated",
    )


def _look(endpoint: Endpoint) -> tuple[certificates.Certificate | None, datetime | None]:
    """The certificate that is refused, and the server's clock."""
    with _aside(endpoint, shared_context("", True)) as wire:
        if wire is None:
            return None, None
        der = t.cast("ssl.SSLSocket", wire.sock).getpeercert(True)
        leaf, clock = certificates.read(der) if der else None, None
        with contextlib.suppress(OSError, http.client.HTTPException):
            wire.sendall(f"GET /version HTTP/1.0\r\nHost: {endpoint.address.authority}\r\n\r\n".encode())
            answer = http.client.HTTPResponse(t.cast("t.Any", wire))
            answer.begin()
            clock = parsed_date(answer.getheader("Date"))
        return leaf, clock


def alert(endpoint: Endpoint, identity: Identity, context: ssl.SSLContext) -> ProbeError | None:
    """What the server says to the handshake when nothing follows it.

    In TLS 1.3 it judges our certificate after we are done, and a request under way can make its verdict get lost.
    """
    with _aside(endpoint, context) as wire:
        if wire is None:
            return None
        # It comes with the next packet.
        wire.allow(min(endpoint.timeout, _PATIENCE / 3))
        try:
            wire.makefile("rb").read(1)
        except OSError as error:
            return rejected(endpoint, identity, str(getattr(error, "reason", "") or ""))
    return None


@contextlib.contextmanager
def _aside(endpoint: Endpoint, context: ssl.SSLContext) -> Iterator[Wire | None]:
    """A second connection, only for finding out; None where there is none."""
    wire = None
    try:
        wire = connect(endpoint)
        wire.allow(min(endpoint.timeout, _PATIENCE))
        _handshake(wire, endpoint, context)
    except (OSError, ValueError, ProbeError):
        yield None
    else:
        yield wire
    finally:
        if wire:
            wire.end()
