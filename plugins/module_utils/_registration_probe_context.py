# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings of TLS as Argo CD's Go has them, from PEM texts."""

from __future__ import annotations

import contextlib
import functools
import os
import ssl
import tempfile
from collections.abc import Iterator

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_probe_types import (
    Endpoint,
    Identity,
    ProbeError,
)


def _new_context(ca: str, insecure: bool) -> ssl.SSLContext:
    # Not create_default_context, which writes the keys of its connections to where SSLKEYLOGFILE says.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    # Two that Go has not: API servers of development tools sign without the extensions that strict checking asks
    # for, and it goes by the alternative names alone. One that it has: any certificate in ca_data is enough.
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.hostname_checks_common_name = False
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca:
        try:
            context.load_verify_locations(cadata=ca)
        except (ssl.SSLError, ValueError, TypeError):
            raise _no_pem(ca) from None
    else:
        context.load_default_certs()
    return context


# Costs as much as a handshake, and with the system's authorities ten times that.
shared_context = functools.lru_cache(maxsize=64)(_new_context)


def _no_pem(ca: str) -> ProbeError:
    message = "ca_data is no PEM certificate."
    if ca.lstrip().startswith("LS0t"):
        message = "ca_data is base64 of a PEM certificate, not the PEM text itself."
    elif "-----BEGIN CERTIFICATE-----" in ca:
        message = "ca_data has the frame of a PEM certificate, but what is in it cannot be read."
    remedy = "Set ca_data to the text of the authority's certificate, from -----BEGIN CERTIFICATE----- on."
    return ProbeError(message, remedy, field="ca_data", kind="certificate")


def context_for(endpoint: Endpoint, identity: Identity) -> ssl.SSLContext:
    """The settings of a connection; with a client certificate they are its own.

    :raises ProbeError: ca_data, certificate or key cannot be used.
    """
    ca = "" if endpoint.insecure else endpoint.ca
    if not (identity.certificate or identity.key):
        return shared_context(ca, endpoint.insecure)
    context = _new_context(ca, endpoint.insecure)
    reason = ""
    with _as_file(f"{identity.certificate}\n{identity.key}\n") as path:
        try:
            # A key with a passphrase must not ask for it on the terminal.
            context.load_cert_chain(path, password=lambda: "")
            return context
        except (ssl.SSLError, ValueError) as error:
            reason = str(getattr(error, "reason", "") or "")
    certificate, key = identity.certificate, identity.key
    if "-----BEGIN CERTIFICATE-----" not in certificate:
        found, remedy = "client_certificate is no PEM certificate.", "Set client_certificate to its PEM text."
    elif "PRIVATE KEY-----" not in key:
        found, remedy = "client_key is no PEM private key.", "Set client_key to the PEM text of the certificate's key."
    elif "ENCRYPTED" in key:
        found = "client_key is protected by a passphrase, for which Argo CD has no field."
        remedy = "Set client_key to a key without passphrase."
    elif reason in {"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"}:
        found = "client_key is not the key of client_certificate."
        remedy = "Set client_certificate and client_key to a pair."
    else:
        found = "client_certificate and client_key cannot be read."
        remedy = "Set both to the PEM texts of a certificate and its key."
    raise ProbeError(found, remedy, field="client_certificate", kind="certificate")


@contextlib.contextmanager
def _as_file(text: str) -> Iterator[str]:
    """A path under which this process, and nobody else, reads the text; in memory where the system can do that."""
    try:
        handle, path = os.memfd_create("client-certificate"), ""
    except (AttributeError, OSError):
        # Made with mode 0600.
        handle, path = tempfile.mkstemp(prefix="hubspoke-")
    try:
        with open(handle, "w", encoding="utf-8", closefd=False) as file:
            file.write(text)
        yield path or f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)
        if path:
            os.unlink(path)
