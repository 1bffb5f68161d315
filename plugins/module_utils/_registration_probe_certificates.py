# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Certificates in words: why one is not accepted. Only read once something has failed."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_probe_types import (
    Endpoint,
    ProbeError,
    moment,
    printable,
    span,
)

TOLERANCE = timedelta(seconds=60)
"""Clocks that differ by less are the same; API servers grant as much."""
_MOST_NAMES = 12
_NO_NAME = "an authority without a name"
# X509_V_ERR_* of OpenSSL's x509_vfy.h.
_NOT_YET_VALID, _EXPIRED, _SELF_SIGNED, _WRONG_NAME = {9}, {10}, {18}, {62, 64}
_UNKNOWN_AUTHORITY = {2, 7, 19, 20, 21, 24, 79}


@dataclass(frozen=True)
class Certificate:
    """What there is to say about one."""

    subject: str
    issuer: str
    begins: datetime
    ends: datetime
    names: tuple[str, ...]


def read(certificate: bytes) -> Certificate | None:
    """Read a certificate in DER; None where it is broken, or where the library is not there."""
    try:
        # Takes a tenth of a second, which only those pay who get an error.
        from cryptography import x509  # noqa: PLC0415
    except ImportError:
        return None
    try:
        found = x509.load_der_x509_certificate(certificate)
        names: tuple[str, ...] = ()
        try:
            held = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            names = tuple(
                printable(str(name.value)) for name in held if isinstance(name, x509.DNSName | x509.IPAddress)
            )
        except x509.ExtensionNotFound:
            pass
        return Certificate(
            printable(found.subject.rfc4514_string()) or _NO_NAME,
            printable(found.issuer.rfc4514_string()) or _NO_NAME,
            # Those without time zone are the only ones that old releases have.
            getattr(found, "not_valid_before_utc", None) or found.not_valid_before.replace(tzinfo=UTC),
            getattr(found, "not_valid_after_utc", None) or found.not_valid_after.replace(tzinfo=UTC),
            names,
        )
    except ValueError:
        return None


def read_all(pem: str) -> list[Certificate]:
    """Every certificate of a PEM text that can be read."""
    blocks = re.findall(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", pem, re.DOTALL)
    found = []
    for block in blocks:
        try:
            found.append(read(ssl.PEM_cert_to_DER_cert(block)))
        except ValueError:
            continue
    return [certificate for certificate in found if certificate]


def clocks(now: datetime, server: datetime | None) -> str:
    """What both clocks say."""
    if server is None:
        return f"this machine's clock says {moment(now)}"
    return f"this machine's clock says {moment(now)}, the server's {moment(server)}"


def difference(now: datetime, server: datetime) -> str:
    """How this machine's clock stands against the server's."""
    return f"this machine's clock is {span(now - server)} {'ahead of' if now > server else 'behind'} the server's"


def refused(
    endpoint: Endpoint,
    error: ssl.SSLCertVerificationError,
    leaf: Certificate | None,
    now: datetime,
    server: datetime | None,
) -> ProbeError:
    """Why the server's certificate is not accepted.

    :arg leaf: The certificate it showed, None where that is not known.
    :arg now: This machine's clock.
    :arg server: The server's clock, None where it is not known.
    """
    code = error.verify_code
    if code in _WRONG_NAME:
        return _wrong_name(endpoint, leaf)
    if code in _NOT_YET_VALID | _EXPIRED:
        return _wrong_time(endpoint, code, leaf, now, server)
    if code in _SELF_SIGNED:
        return ProbeError(
            f"the certificate of {endpoint.shown} is self-signed, and is not in "
            f"{'ca_data' if endpoint.ca else 'the certificate store of this machine'}.",
            "Set ca_data to that certificate, if the server is the one that you mean.",
            field="ca_data",
            kind="certificate",
        )
    if code in _UNKNOWN_AUTHORITY:
        return _unknown_authority(endpoint, leaf)
    return ProbeError(
        f"the certificate of {endpoint.shown} is not accepted: {error.verify_message}.",
        "Renew it on the cluster, or correct ca_data.",
        field="ca_data",
        kind="certificate",
    )


def _unknown_authority(endpoint: Endpoint, leaf: Certificate | None) -> ProbeError:
    signer = leaf.issuer if leaf else "another authority"
    remedy = "Set ca_data to the certificate of the authority that signed the server's."
    if not endpoint.ca:
        message = f"the certificate of {endpoint.shown} is signed by {signer}, which this machine does not trust."
        return ProbeError(message, remedy, field="ca_data", kind="certificate")
    message = f"ca_data is not the authority that signed the certificate of {endpoint.shown}"
    held = _listed(tuple(dict.fromkeys(authority.subject for authority in read_all(endpoint.ca))))
    if leaf and held == signer:
        message += f": it is another one of the same name, {signer}."
    elif leaf and held:
        message += f": that is {signer}, ca_data holds {held}."
    else:
        message += "."
    return ProbeError(message, remedy, field="ca_data", kind="certificate")


def _wrong_name(endpoint: Endpoint, leaf: Certificate | None) -> ProbeError:
    wanted = endpoint.name
    if leaf is None:
        names = "other names"
    else:
        names = _listed(leaf.names) or "no name at all (a common name alone does not count)"
    if endpoint.server_name:
        return ProbeError(
            f"the certificate of {endpoint.shown} is not for server_name {wanted}, but for {names}.",
            "Set server_name to a name that is in it.",
            field="server_name",
            kind="certificate",
        )
    return ProbeError(
        f"the certificate of {endpoint.shown} is not for {wanted}, but for {names}.",
        f"Set server_name to a name that is in it, or add {wanted} to the certificate on the cluster.",
        field="server",
        kind="certificate",
    )


def _wrong_time(
    endpoint: Endpoint, code: int, leaf: Certificate | None, now: datetime, server: datetime | None
) -> ProbeError:
    """The certificate itself, or the authority's, is not valid at this time."""
    expired = code in _EXPIRED
    certificate, whose = leaf, f"the certificate of {endpoint.shown}"
    if leaf and leaf.begins <= now <= leaf.ends:
        # Then it is one above it in the chain.
        wrong = [found for found in read_all(endpoint.ca) if not found.begins <= now <= found.ends]
        certificate = wrong[0] if wrong else None
        whose = f"the authority {certificate.subject} in ca_data" if certificate else f"an authority above {whose}"
    if certificate is None:
        message = f"{whose} {'has expired' if expired else 'is not valid yet'} ({clocks(now, server)})."
    elif expired:
        message = f"{whose} expired at {moment(certificate.ends)} ({clocks(now, server)})."
    else:
        message = f"{whose} is valid only from {moment(certificate.begins)} ({clocks(now, server)})."
    if certificate and server and abs(now - server) > TOLERANCE and certificate.begins <= server <= certificate.ends:
        return ProbeError(message, f"Set the clock: {difference(now, server)}.", field="server", kind="clock")
    if certificate is not leaf:
        return ProbeError(message, "Renew it, and set ca_data to the new one.", field="ca_data", kind="certificate")
    remedy = "Renew it on the cluster" + ("." if expired else ", or wait until it is valid.")
    return ProbeError(message, remedy, field="server", kind="certificate")


def _listed(names: tuple[str, ...]) -> str:
    """Names in a sentence, however many."""
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
