# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What may be wrong with certificates, the server's and the client's, and the whole sentence that a user reads."""

from __future__ import annotations

import errno
import ssl
import typing as t

import pytest
from unit import registration_probe_servers as servers
from unit.registration_probe_cases import (
    ALLOW,
    AUTHORITY,
    CLIENT,
    PAIR,
    TOKEN,
    at,
)
from unit.registration_probe_servers import HOUR, NOW, failure, said

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _registration_probe_certificates as certificates
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_probe import Identity
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_probe_types import moment

pytestmark = pytest.mark.usefixtures("probe_clock")

# ca_data and server_name by themselves


@pytest.mark.parametrize(
    ("ca", "message"),
    [
        ("nothing", "ca_data is no PEM certificate."),
        ("ünd", "ca_data is no PEM certificate."),
        (PAIR.key, "ca_data is no PEM certificate."),
        ("LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t", "ca_data is base64 of a PEM certificate, not the PEM text itself."),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "ca_data has the frame of a PEM certificate, but what is in it cannot be read.",
        ),
    ],
)
def test_ca_data_that_is_none(ca: str, message: str) -> None:
    with servers.Server(servers.tls(PAIR, ALLOW)) as server:
        assert said(failure(at(server, ca=ca), TOKEN)) == (
            f"Cluster tokyo: {message} "
            "Set ca_data to the text of the authority's certificate, from -----BEGIN CERTIFICATE----- on.",
            "ca_data",
            "certificate",
        )
        assert server.connections == 0


def test_server_name_that_is_none() -> None:
    with servers.Server(servers.tls(PAIR, ALLOW)) as server:
        assert said(failure(at(server, server_name=".test"), TOKEN)) == (
            "Cluster tokyo: '.test' is no host name that a certificate could be for. Correct server_name.",
            "server_name",
            "certificate",
        )


# The server's certificate


def test_another_authority() -> None:
    with servers.Server(servers.tls(servers.Authority("tokyo-ca").issue("127.0.0.1"), ALLOW)) as server:
        assert said(failure(at(server), TOKEN)) == (
            f"Cluster tokyo: ca_data is not the authority that signed the certificate of https://127.0.0.1:{server.port}"
            ": that is CN=tokyo-ca, ca_data holds CN=kubernetes. "
            "Set ca_data to the certificate of the authority that signed the server's.",
            "ca_data",
            "certificate",
        )


def test_another_authority_of_the_same_name() -> None:
    with servers.Server(servers.tls(servers.Authority("kubernetes").issue("127.0.0.1"), ALLOW)) as server:
        assert said(failure(at(server), TOKEN)) == (
            f"Cluster tokyo: ca_data is not the authority that signed the certificate of https://127.0.0.1:{server.port}"
            ": it is another one of the same name, CN=kubernetes. "
            "Set ca_data to the certificate of the authority that signed the server's.",
            "ca_data",
            "certificate",
        )


def test_an_authority_that_this_machine_does_not_know() -> None:
    with servers.Server(servers.tls(PAIR, ALLOW)) as server:
        assert said(failure(at(server, ca=""), TOKEN)) == (
            f"Cluster tokyo: the certificate of https://127.0.0.1:{server.port} is signed by CN=kubernetes, "
            "which this machine does not trust. "
            "Set ca_data to the certificate of the authority that signed the server's.",
            "ca_data",
            "certificate",
        )


@pytest.mark.parametrize(("ca", "store"), [(AUTHORITY.pem, "ca_data"), ("", "the certificate store of this machine")])
def test_self_signed(ca: str, store: str) -> None:
    with servers.Server(servers.tls(servers.self_signed("127.0.0.1"), ALLOW)) as server:
        assert said(failure(at(server, ca=ca), TOKEN)) == (
            f"Cluster tokyo: the certificate of https://127.0.0.1:{server.port} is self-signed, and is not in {store}. "
            "Set ca_data to that certificate, if the server is the one that you mean.",
            "ca_data",
            "certificate",
        )


def test_expired() -> None:
    ends = NOW - HOUR
    with servers.Server(servers.tls(AUTHORITY.issue("127.0.0.1", ends=ends), ALLOW)) as server:
        assert said(failure(at(server), TOKEN)) == (
            f"Cluster tokyo: the certificate of https://127.0.0.1:{server.port} expired at {moment(ends)} "
            f"(this machine's clock says {moment(NOW)}, the server's {moment(NOW)}). Renew it on the cluster.",
            "server",
            "certificate",
        )


def test_not_yet_valid() -> None:
    begins = NOW + HOUR
    with servers.Server(servers.tls(AUTHORITY.issue("127.0.0.1", begins=begins), ALLOW)) as server:
        assert said(failure(at(server), TOKEN)) == (
            f"Cluster tokyo: the certificate of https://127.0.0.1:{server.port} is valid only from {moment(begins)} "
            f"(this machine's clock says {moment(NOW)}, the server's {moment(NOW)}). "
            "Renew it on the cluster, or wait until it is valid.",
            "server",
            "certificate",
        )


def test_not_yet_valid_by_this_machines_clock_alone() -> None:
    begins, theirs = NOW + HOUR, NOW + 3 * HOUR
    reply = servers.review(True)
    reply.date = theirs
    pair = AUTHORITY.issue("127.0.0.1", begins=begins)
    with servers.Server(servers.tls(pair, servers.http(lambda _: reply))) as server:
        assert said(failure(at(server), TOKEN)) == (
            f"Cluster tokyo: the certificate of https://127.0.0.1:{server.port} is valid only from {moment(begins)} "
            f"(this machine's clock says {moment(NOW)}, the server's {moment(theirs)}). "
            "Set the clock: this machine's clock is 3 hours behind the server's.",
            "server",
            "clock",
        )


def test_expired_where_the_server_tells_no_time() -> None:
    ends = NOW - HOUR
    with servers.Server(servers.tls(AUTHORITY.issue("127.0.0.1", ends=ends), servers.hang)) as server:
        assert said(failure(at(server, timeout=1.5), TOKEN)) == (
            f"Cluster tokyo: the certificate of https://127.0.0.1:{server.port} expired at {moment(ends)} "
            f"(this machine's clock says {moment(NOW)}). Renew it on the cluster.",
            "server",
            "certificate",
        )


def test_expired_authority() -> None:
    ends = NOW - HOUR
    authority = servers.Authority("old-ca", ends=ends)
    with servers.Server(servers.tls(authority.issue("127.0.0.1"), ALLOW)) as server:
        assert said(failure(at(server, ca=authority.pem), TOKEN)) == (
            f"Cluster tokyo: the authority CN=old-ca in ca_data expired at {moment(ends)} "
            f"(this machine's clock says {moment(NOW)}, the server's {moment(NOW)}). "
            "Renew it, and set ca_data to the new one.",
            "ca_data",
            "certificate",
        )


def test_foreign_name() -> None:
    pair = AUTHORITY.issue("kubernetes.default.svc", "api.test", "10.96.0.1")
    with servers.Server(servers.tls(pair, ALLOW)) as server:
        assert said(failure(at(server), TOKEN)) == (
            f"Cluster tokyo: the certificate of https://127.0.0.1:{server.port} is not for 127.0.0.1, "
            "but for kubernetes.default.svc, api.test, 10.96.0.1. "
            "Set server_name to a name that is in it, or add 127.0.0.1 to the certificate on the cluster.",
            "server",
            "certificate",
        )
        assert said(failure(at(server, server_name="other.test"), TOKEN)) == (
            f"Cluster tokyo: the certificate of https://127.0.0.1:{server.port} is not for server_name other.test, "
            "but for kubernetes.default.svc, api.test, 10.96.0.1. Set server_name to a name that is in it.",
            "server_name",
            "certificate",
        )


def test_the_name_of_the_address_used_from_here_does_not_count() -> None:
    with servers.Server(servers.tls(PAIR, ALLOW)) as server:
        via = f"https://127.0.0.1:{server.port}"
        assert said(failure(at("https://10.9.9.9:6443", via=via), TOKEN)) == (
            f"Cluster tokyo: the certificate of https://10.9.9.9:6443 (from here {via}) is not for 10.9.9.9, "
            "but for 127.0.0.1, api.test. "
            "Set server_name to a name that is in it, or add 10.9.9.9 to the certificate on the cluster.",
            "server",
            "certificate",
        )


def test_common_name_alone() -> None:
    with servers.Server(servers.tls(AUTHORITY.issue(common_name="api.test"), ALLOW)) as server:
        assert said(failure(at(server, server_name="api.test"), TOKEN)) == (
            f"Cluster tokyo: the certificate of https://127.0.0.1:{server.port} is not for server_name api.test, "
            "but for no name at all (a common name alone does not count). Set server_name to a name that is in it.",
            "server_name",
            "certificate",
        )


def test_many_names() -> None:
    names = [f"name-{number}.test" for number in range(15)]
    with servers.Server(servers.tls(AUTHORITY.issue(*names), ALLOW)) as server:
        message = failure(at(server), TOKEN).message
        assert message.endswith(f"but for {', '.join(names[:12])} and 3 more.")


@pytest.mark.parametrize("code", [18, 62, 10, 20])
def test_what_is_said_without_the_library_that_reads_certificates(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    monkeypatch.setattr(certificates, "read", lambda _: None)
    pairs = {
        18: servers.self_signed("127.0.0.1"),
        62: AUTHORITY.issue("api.test"),
        10: AUTHORITY.issue("127.0.0.1", ends=NOW - HOUR),
        20: servers.Authority("other").issue("127.0.0.1"),
    }
    with servers.Server(servers.tls(pairs[code], ALLOW)) as server:
        where = f"https://127.0.0.1:{server.port}"
        assert (
            failure(at(server), TOKEN).message
            == {
                18: f"the certificate of {where} is self-signed, and is not in ca_data.",
                62: f"the certificate of {where} is not for 127.0.0.1, but for other names.",
                10: f"the certificate of {where} has expired "
                f"(this machine's clock says {moment(NOW)}, the server's {moment(NOW)}).",
                20: f"ca_data is not the authority that signed the certificate of {where}.",
            }[code]
        )


def test_nothing_secret_is_sent_to_a_server_that_was_not_trusted() -> None:
    requests: list[servers.Request] = []
    handler = servers.tls(servers.self_signed("127.0.0.1"), servers.http(lambda _: servers.review(True), requests))
    with servers.Server(handler) as server:
        failure(at(server), TOKEN)
    assert [(request.path, set(request.headers), request.body) for request in requests] == [("/version", {"host"}, b"")]


# Client certificates


@pytest.mark.parametrize(
    ("certificate", "key", "message"),
    [
        ("nothing", CLIENT.key, "client_certificate is no PEM certificate. Set client_certificate to its PEM text."),
        ("", CLIENT.key, "client_certificate is no PEM certificate. Set client_certificate to its PEM text."),
        (
            CLIENT.certificate,
            "nothing",
            "client_key is no PEM private key. Set client_key to the PEM text of the certificate's key.",
        ),
        (
            CLIENT.certificate,
            "",
            "client_key is no PEM private key. Set client_key to the PEM text of the certificate's key.",
        ),
        (
            CLIENT.certificate,
            PAIR.key,
            "client_key is not the key of client_certificate. Set client_certificate and client_key to a pair.",
        ),
        (
            CLIENT.certificate,
            servers.encrypted(CLIENT.key, "canary"),
            "client_key is protected by a passphrase, for which Argo CD has no field. "
            "Set client_key to a key without passphrase.",
        ),
        (
            CLIENT.certificate,
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "client_certificate and client_key cannot be read. Set both to the PEM texts of a certificate and its key.",
        ),
    ],
)
def test_client_certificate_that_is_none(certificate: str, key: str, message: str) -> None:
    with servers.Server(servers.tls(PAIR, ALLOW, AUTHORITY.pem)) as server:
        assert said(failure(at(server), Identity(certificate=certificate, key=key))) == (
            f"Cluster tokyo: {message}",
            "client_certificate",
            "certificate",
        )
        assert server.connections == 0


VERSIONS = pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


@VERSIONS
def test_client_certificate_that_the_server_refuses(newest: ssl.TLSVersion) -> None:
    pair = servers.Authority("old-ca").issue(common_name="manager")
    with servers.Server(servers.tls(PAIR, ALLOW, AUTHORITY.pem, newest)) as server:
        assert said(failure(at(server), Identity(certificate=pair.certificate, key=pair.key))) == (
            f"Cluster tokyo: https://127.0.0.1:{server.port} refuses the client certificate in the TLS handshake "
            "(unknown CA); CN=old-ca signed it. "
            "Set client_certificate to one that the cluster's own authority signed.",
            "client_certificate",
            "unauthenticated",
        )


@VERSIONS
def test_client_certificate_that_is_expired(newest: ssl.TLSVersion) -> None:
    pair = AUTHORITY.issue(common_name="manager", ends=NOW - HOUR)
    with servers.Server(servers.tls(PAIR, ALLOW, AUTHORITY.pem, newest)) as server:
        assert said(failure(at(server), Identity(certificate=pair.certificate, key=pair.key))) == (
            f"Cluster tokyo: the client certificate expired at {moment(NOW - HOUR)} "
            f"(this machine's clock says {moment(NOW)}). Set client_certificate and client_key to a new pair.",
            "client_certificate",
            "certificate",
        )


def test_client_certificate_is_demanded() -> None:
    with servers.Server(servers.tls(PAIR, ALLOW, AUTHORITY.pem)) as server:
        assert said(failure(at(server), TOKEN)) == (
            f"Cluster tokyo: https://127.0.0.1:{server.port} demands a client certificate, and there is none. "
            "Set client_certificate and client_key.",
            "client_certificate",
            "unauthenticated",
        )


def test_the_verdict_on_a_client_certificate_is_found_where_it_got_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the system drops what was received because the other side closed with our request unread."""
    pair = servers.Authority("old-ca").issue(common_name="manager")

    def receive(self: ssl.SSLSocket, buffer: t.Any, *rest: t.Any) -> int:
        try:
            return original(self, buffer, *rest)
        except ssl.SSLError:
            if server.connections > 1:
                raise
            raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer") from None

    original = ssl.SSLSocket.recv_into
    monkeypatch.setattr(ssl.SSLSocket, "recv_into", receive)
    with servers.Server(servers.tls(PAIR, servers.hang, AUTHORITY.pem)) as server:
        found = failure(at(server), Identity(certificate=pair.certificate, key=pair.key))
        assert server.connections == 2
    assert "refuses the client certificate in the TLS handshake (unknown CA)" in found.message
