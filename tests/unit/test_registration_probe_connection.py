# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every way in which no connection comes about, and the whole sentence that a user reads."""

from __future__ import annotations

import contextlib
import errno
import socket
import time
import typing as t

import pytest
from unit import registration_probe_servers as servers
from unit.registration_probe_cases import (
    ALLOW,
    PAIR,
    TOKEN,
    at,
)
from unit.registration_probe_servers import CANARY, failure, said

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _registration_probe_wire as wire
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_probe import Identity, probe

pytestmark = pytest.mark.usefixtures("probe_clock")

# Addresses


@pytest.mark.parametrize("server", ["api.test:6443", "https://", "https://api.test:port", "https://api.test:99999",
                                    "https://a b", "https://api.test?x=1", "ftp://api.test", ""])  # fmt: skip
def test_server_that_is_no_address(server: str) -> None:
    assert said(failure(at(server), TOKEN)) == (
        f"Cluster tokyo: server {server!r} is no address of the form https://host:port. Correct server.",
        "server",
        "unreachable",
    )


def test_server_that_is_plain_http() -> None:
    assert said(failure(at("http://api.test:8080"), TOKEN)) == (
        "Cluster tokyo: server http://api.test:8080 is plain HTTP, on which everyone between could read the "
        "credential. Set server to the https:// address of the API server.",
        "server",
        "not_tls",
    )


def test_server_with_a_password_in_it() -> None:
    assert said(failure(at(f"https://admin:{CANARY}@api.test"), TOKEN)) == (
        "Cluster tokyo: server holds a user name or password. "
        "Set server to https://host:port alone, and give the credential in its own option.",
        "server",
        "unreachable",
    )


def test_token_with_a_line_break() -> None:
    assert said(failure(at("https://127.0.0.1:1"), Identity(token=f"{CANARY}\n"))) == (
        "Cluster tokyo: bearer_token holds a line break, a blank or another character that no token has. "
        "Set bearer_token to the token alone.",
        "bearer_token",
        "unauthenticated",
    )


def test_unknown_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: t.Any, **__: t.Any) -> t.Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert said(failure(at("https://api.tokyo.test:6443"), TOKEN)) == (
        "Cluster tokyo: the name api.tokyo.test cannot be resolved on this machine (Name or service not known). "
        "Correct server, or make the name known here.",
        "server",
        "dns",
    )


def test_impossible_name() -> None:
    name = "x" * 64 + ".test"
    assert said(failure(at(f"https://{name}"), TOKEN)) == (
        f"Cluster tokyo: the name {name} cannot be resolved on this machine (it is no host name). "
        "Correct server, or make the name known here.",
        "server",
        "dns",
    )


# Connecting


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        return int(unused.getsockname()[1])


def test_refused() -> None:
    port = unused_port()
    assert said(failure(at(port), TOKEN)) == (
        f"Cluster tokyo: nothing listens at https://127.0.0.1:{port} (connection refused). "
        "Start the API server, or correct host and port of server.",
        "server",
        "refused",
    )
    via = f"https://127.0.0.1:{port}"
    assert str(failure(at("https://api.test:6443", via=via), TOKEN)).startswith(
        f"nothing listens at https://api.test:6443 (from here {via}) (connection refused)."
    )


def test_no_route() -> None:
    # Linux has no route for TCP to a group of machines.
    assert said(failure(at("https://224.0.0.1:6443"), TOKEN)) == (
        "Cluster tokyo: https://224.0.0.1:6443 cannot be reached from this machine (Network is unreachable). "
        "Correct server, or set up the route (VPN, peering) from here to there.",
        "server",
        "unreachable",
    )


@contextlib.contextmanager
def deaf() -> t.Iterator[int]:
    """A port whose queue is full, so that the system answers no further connection."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            assert waiting.connect_ex(listener.getsockname()) == errno.EINPROGRESS
        yield listener.getsockname()[1]


def test_no_answer_to_the_connection() -> None:
    with deaf() as port:
        assert said(failure(at(port, timeout=0.3), TOKEN)) == (
            f"Cluster tokyo: no connection to https://127.0.0.1:{port} within 0.3 s. "
            "Correct server, or let a firewall between here and there pass the connection.",
            "server",
            "timeout",
        )


def test_an_address_that_does_not_answer_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "_SHORTEST_TRY", 0.1)
    with deaf() as port, servers.Server(servers.tls(PAIR, ALLOW)) as server:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", each)) for each in (port, server.port)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        probe(at("https://127.0.0.1", timeout=3.0), TOKEN, [])


def test_of_several_addresses_the_one_that_says_most_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    port = unused_port()
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in ("224.0.0.1", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert failure(at("https://api.test"), TOKEN).kind == "refused"


@pytest.mark.parametrize(
    "handler", [servers.hang, lambda sock: servers.drip(sock, b"\x16\x03\x03\x10\x00" + b"x" * 99)]
)
def test_no_handshake(handler: servers.Handler) -> None:
    with servers.Server(handler) as server:
        started = time.monotonic()
        assert said(failure(at(server, timeout=0.3), TOKEN)) == (
            f"Cluster tokyo: https://127.0.0.1:{server.port} accepts the connection, but no TLS handshake came about "
            "within 0.3 s. Correct host and port of server; a load balancer without a working target behind it does "
            "this too.",
            "server",
            "timeout",
        )
        assert time.monotonic() - started < 4


def test_no_time_left_is_a_timeout() -> None:
    with socket.socket() as sock, pytest.raises(TimeoutError):
        wire.Wire(sock, 0).left()


# Not TLS


def _bad_request(sock: socket.socket) -> None:
    sock.recv(65536)
    sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def test_plain_http_behind_the_port() -> None:
    with servers.Server(_bad_request) as server:
        assert said(failure(at(server), TOKEN)) == (
            f"Cluster tokyo: https://127.0.0.1:{server.port} speaks plain HTTP, not TLS. "
            "Correct host and port of server.",
            "server",
            "not_tls",
        )


def test_another_protocol_behind_the_port() -> None:
    def greet(sock: socket.socket) -> None:
        sock.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
        servers.hang(sock)

    with servers.Server(greet) as server:
        assert said(failure(at(server), TOKEN)) == (
            f"Cluster tokyo: what listens at https://127.0.0.1:{server.port} does not speak TLS. "
            "Correct host and port of server.",
            "server",
            "not_tls",
        )


@pytest.mark.parametrize("reads", [False, True])
def test_closes_during_the_handshake(reads: bool) -> None:
    with servers.Server((lambda sock: sock.recv(65536)) if reads else (lambda _: None)) as server:
        assert said(failure(at(server), TOKEN)) == (
            f"Cluster tokyo: https://127.0.0.1:{server.port} closes the connection during the TLS handshake. "
            "Correct host and port of server. A load balancer without a working target behind it does this too.",
            "server",
            "not_tls",
        )


def test_nothing_in_common() -> None:
    def alert(sock: socket.socket) -> None:
        sock.recv(65536)
        # Fatal: protocol version.
        sock.sendall(b"\x15\x03\x03\x00\x02\x02\x46")

    with servers.Server(alert) as server:
        assert said(failure(at(server), TOKEN)) == (
            f"Cluster tokyo: https://127.0.0.1:{server.port} and this machine have no version or cipher of TLS in "
            "common (TLSV1_ALERT_PROTOCOL_VERSION). Let the server offer TLS 1.2 or later.",
            "server",
            "not_tls",
        )


def test_name_that_the_server_does_not_serve() -> None:
    def alert(sock: socket.socket) -> None:
        sock.recv(65536)
        # Fatal: unrecognized name.
        sock.sendall(b"\x15\x03\x03\x00\x02\x02\x70")

    with servers.Server(alert) as server:
        assert said(failure(at(server, server_name="api.test"), TOKEN)) == (
            f"Cluster tokyo: https://127.0.0.1:{server.port} has no certificate for api.test. "
            "Set server_name to a name that it serves.",
            "server_name",
            "certificate",
        )


# Proxies


@pytest.mark.parametrize("scheme", ["https", "socks5"])
def test_proxy_of_another_kind(scheme: str) -> None:
    assert said(failure(at("https://api.test", proxy=f"{scheme}://user:{CANARY}@proxy:1"), TOKEN)) == (
        f"Cluster tokyo: proxy_url begins with {scheme}://, and such a proxy cannot be tried from this machine. "
        "Set proxy_url to an http:// proxy, or switch off the probe from this machine.",
        "proxy_url",
        "proxy",
    )


def test_proxy_that_is_no_address() -> None:
    assert said(failure(at("https://api.test", proxy=f"user:{CANARY}@proxy"), TOKEN)) == (
        "Cluster tokyo: proxy_url is no address of the form http://host:port. Correct proxy_url.",
        "proxy_url",
        "proxy",
    )


PROXY_REMEDY = "Correct proxy_url, or let the proxy pass connections to the server."


def test_proxy_that_is_not_there() -> None:
    port = unused_port()
    assert said(failure(at("https://api.test", proxy=f"http://user:{CANARY}@127.0.0.1:{port}"), TOKEN)) == (
        f"Cluster tokyo: the proxy http://127.0.0.1:{port} cannot be used: nothing listens there (connection refused). "
        "Correct proxy_url, or remove it if the server needs none.",
        "proxy_url",
        "proxy",
    )


def test_proxy_of_an_unknown_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: t.Any, **__: t.Any) -> t.Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert failure(at("https://api.test", proxy="http://proxy.test"), TOKEN).message == (
        "the proxy http://proxy.test:80 cannot be used: its name cannot be resolved on this machine."
    )


def test_proxy_without_a_route() -> None:
    assert failure(at("https://api.test", proxy="http://224.0.0.1:3128"), TOKEN).message == (
        "the proxy http://224.0.0.1:3128 cannot be used: Network is unreachable."
    )


def test_proxy_that_takes_no_connection() -> None:
    with deaf() as port:
        assert failure(at("https://api.test", proxy=f"http://127.0.0.1:{port}", timeout=0.3), TOKEN).message == (
            f"the proxy http://127.0.0.1:{port} cannot be used: no connection within 0.3 s."
        )


@pytest.mark.parametrize("handler", [servers.hang, servers.drip])
def test_proxy_that_says_nothing(handler: servers.Handler) -> None:
    with servers.Server(handler) as proxy:
        assert said(failure(at("https://api.test", proxy=f"http://127.0.0.1:{proxy.port}", timeout=0.3), TOKEN)) == (
            f"Cluster tokyo: the proxy http://127.0.0.1:{proxy.port} cannot be used: it gave no answer within 0.3 s. "
            f"{PROXY_REMEDY}",
            "proxy_url",
            "proxy",
        )


def test_proxy_that_is_none() -> None:
    with servers.Server(lambda sock: sock.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")) as proxy:
        assert said(failure(at("https://api.test", proxy=f"http://127.0.0.1:{proxy.port}"), TOKEN)) == (
            f"Cluster tokyo: the proxy http://127.0.0.1:{proxy.port} cannot be used: it does not answer as an HTTP "
            f"proxy. {PROXY_REMEDY}",
            "proxy_url",
            "proxy",
        )


@pytest.mark.parametrize(
    ("status", "words"),
    [(403, "403 Forbidden to a connection to api.test:443"), (599, "599 to a connection to api.test:443")],
)
def test_proxy_that_refuses(status: int, words: str) -> None:
    with servers.Server(servers.proxy([], servers.Reply(status))) as proxy:
        assert said(failure(at("https://api.test", proxy=f"http://127.0.0.1:{proxy.port}"), TOKEN)) == (
            f"Cluster tokyo: the proxy http://127.0.0.1:{proxy.port} cannot be used: it answered {words}. "
            f"{PROXY_REMEDY}",
            "proxy_url",
            "proxy",
        )


def test_proxy_that_wants_a_password_gets_none() -> None:
    seen: list[servers.Request] = []
    with servers.Server(servers.proxy(seen, servers.Reply(407))) as proxy:
        url = f"http://user:{CANARY}@127.0.0.1:{proxy.port}"
        assert said(failure(at("https://api.test", proxy=url), TOKEN)) == (
            f"Cluster tokyo: the proxy http://127.0.0.1:{proxy.port} cannot be used: it answered 407 Proxy "
            "Authentication Required to a connection to api.test:443, and the probe never sends it a credential. "
            "Use a proxy that knows this machine by its address, or switch off the probe from this machine.",
            "proxy_url",
            "proxy",
        )
    assert CANARY not in str(seen)
