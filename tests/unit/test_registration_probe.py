# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The probe of a credential against servers that behave: what it sends, and over how many connections."""

from __future__ import annotations

import base64
import concurrent.futures
import os
import pathlib
import socket
import ssl
import stat
import tempfile
import typing as t

import pytest
from unit import registration_probe_servers as servers

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _registration_probe_context as contexts
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_probe import (
    Endpoint,
    Identity,
    Right,
    Session,
    probe,
)

AUTHORITY = servers.Authority("kubernetes")
PAIR = AUTHORITY.issue("127.0.0.1", "::1", "kubernetes.default.svc", "api.test")
CLIENT = AUTHORITY.issue(common_name="manager")


@pytest.fixture
def api() -> t.Iterator[tuple[servers.Server, list[servers.Request]]]:
    """An API server that allows everything, and what it was asked."""
    requests: list[servers.Request] = []
    with servers.Server(servers.tls(PAIR, servers.http(lambda _: servers.review(True), requests))) as server:
        yield server, requests


def endpoint(server: servers.Server, /, **options: t.Any) -> Endpoint:
    return Endpoint(**{"server": f"https://127.0.0.1:{server.port}", "ca": AUTHORITY.pem, "timeout": 5.0, **options})


def test_all_rights_over_one_connection_and_handshake(api: tuple[servers.Server, list[servers.Request]]) -> None:
    server, requests = api
    rights = [
        Right(),
        Right("get", "", "pods/log", "shop"),
        Right("create", "apps", "deployments"),
    ]
    probe(endpoint(server), Identity(token="some-token"), rights)
    assert server.connections == 1
    assert [(request.method, request.path) for request in requests] == [
        ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
    ] * 3
    assert [request.json["spec"]["resourceAttributes"] for request in requests] == [
        {"verb": "*", "group": "*", "resource": "*", "namespace": ""},
        {"verb": "get", "group": "", "resource": "pods", "subresource": "log", "namespace": "shop"},
        {"verb": "create", "group": "apps", "resource": "deployments", "namespace": ""},
    ]
    assert {request.headers["authorization"] for request in requests} == {"Bearer some-token"}
    assert {request.headers["host"] for request in requests} == {f"127.0.0.1:{server.port}"}


def test_without_rights_it_still_authenticates(api: tuple[servers.Server, list[servers.Request]]) -> None:
    server, requests = api
    probe(endpoint(server), Identity(token="some-token"), [])
    assert [request.headers["authorization"] for request in requests] == ["Bearer some-token"]


def test_a_known_account_without_rights_is_known_even_where_it_may_not_ask() -> None:
    refusal = servers.status_of(403, "Forbidden", 'User "x" cannot create resource "selfsubjectaccessreviews"')
    with servers.Server(servers.tls(PAIR, servers.http(lambda _: servers.Reply(403, refusal)))) as server:
        probe(endpoint(server), Identity(token="t"), [])


def test_a_request_leaves_in_one_piece() -> None:
    pieces: list[bytes] = []

    def handle(sock: socket.socket) -> None:
        pieces.append(sock.recv(65536))
        sock.sendall(servers.review(True).bytes)

    with servers.Server(servers.tls(PAIR, handle)) as server:
        probe(endpoint(server), Identity(token="t"), [])
    head, _, body = pieces[0].partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert body.startswith(b'{"apiVersion"')


def test_user_name_and_password(api: tuple[servers.Server, list[servers.Request]]) -> None:
    server, requests = api
    probe(endpoint(server), Identity(username="admin", password="pass:wörd"), [])
    scheme, _, value = requests[0].headers["authorization"].partition(" ")
    assert (scheme, base64.b64decode(value).decode()) == ("Basic", "admin:pass:wörd")


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_client_certificate(newest: ssl.TLSVersion) -> None:
    shown: list[t.Any] = []

    def handle(sock: socket.socket) -> None:
        assert isinstance(sock, ssl.SSLSocket)
        shown.append(sock.getpeercert())
        servers.http(lambda _: servers.review(True))(sock)

    with servers.Server(servers.tls(PAIR, handle, AUTHORITY.pem, newest)) as server:
        probe(endpoint(server), Identity(certificate=CLIENT.certificate, key=CLIENT.key), [Right()])
    assert [certificate["subject"] for certificate in shown] == [((("commonName", "manager"),),)]


def test_client_certificate_where_there_are_no_files_in_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    modes: list[int] = []
    load = ssl.SSLContext.load_cert_chain

    def loading(self: ssl.SSLContext, path: str, **options: t.Any) -> None:
        modes.append(stat.S_IMODE(os.stat(path).st_mode))
        assert pathlib.Path(path).parent == tmp_path
        load(self, path, **options)

    with servers.Server(servers.tls(PAIR, servers.http(lambda _: servers.review(True)), AUTHORITY.pem)) as server:
        monkeypatch.delattr(os, "memfd_create", raising=False)
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", loading)
        probe(endpoint(server), Identity(certificate=CLIENT.certificate, key=CLIENT.key), [])
    assert modes == [0o600]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="this system has no files in memory")
def test_client_certificate_touches_no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "mkstemp", lambda **_: pytest.fail("a file was made"))
    before = set(os.listdir("/proc/self/fd"))
    with servers.Server(servers.tls(PAIR, servers.http(lambda _: servers.review(True)), AUTHORITY.pem)) as server:
        context = contexts.context_for(endpoint(server), Identity(certificate=CLIENT.certificate, key=CLIENT.key))
    assert context is not contexts.context_for(endpoint(server), Identity())
    targets = [os.readlink(f"/proc/self/fd/{fd}") for fd in set(os.listdir("/proc/self/fd")) - before if _is_open(fd)]
    assert not [target for target in targets if "memfd" in target]


def _is_open(fd: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{fd}")


def test_the_certificate_must_be_the_servers_own_however_it_is_reached(
    api: tuple[servers.Server, list[servers.Request]],
) -> None:
    server, requests = api
    via = f"https://127.0.0.1:{server.port}"
    probe(endpoint(server, server="https://api.test:6443", via=via), Identity(token="t"), [])
    probe(endpoint(server, server="https://10.9.9.9:6443", via=via, server_name="api.test"), Identity(token="t"), [])
    # A name may end in a dot where no certificate does.
    probe(endpoint(server, server="https://api.test.:6443", via=via), Identity(token="t"), [])
    assert [request.headers["host"] for request in requests] == ["api.test:6443", "10.9.9.9:6443", "api.test.:6443"]


def test_server_name_is_what_is_asked_for() -> None:
    names: list[str | None] = []
    pair = AUTHORITY.issue("api.test")
    with servers.Server(servers.tls(pair, servers.http(lambda _: servers.review(True)), names=names)) as server:
        probe(endpoint(server, server_name="api.test"), Identity(token="t"), [])
        probe(endpoint(server, server_name="api.test", ca="", insecure=True), Identity(token="t"), [])
    assert names == ["api.test", "api.test"]


def test_insecure_takes_any_certificate() -> None:
    pair = servers.self_signed("elsewhere")
    with servers.Server(servers.tls(pair, servers.http(lambda _: servers.review(True)))) as server:
        probe(endpoint(server, ca="", insecure=True), Identity(token="t"), [])


@pytest.mark.parametrize("ca", [servers.self_signed("127.0.0.1"), "intermediate"])
def test_any_certificate_in_ca_data_is_enough(ca: servers.Pair | str) -> None:
    pair = PAIR if isinstance(ca, str) else ca
    with servers.Server(servers.tls(pair, servers.http(lambda _: servers.review(True)))) as server:
        probe(endpoint(server, ca=pair.certificate), Identity(token="t"), [])


def test_a_path_stands_before_every_request(api: tuple[servers.Server, list[servers.Request]]) -> None:
    server, requests = api
    address = f"https://127.0.0.1:{server.port}/k8s/clusters/c-1/"
    probe(endpoint(server, server=address), Identity(token="t"), [])
    assert requests[0].path == "/k8s/clusters/c-1/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    assert requests[0].headers["host"] == f"127.0.0.1:{server.port}"


def test_a_server_that_ends_each_connection_is_connected_to_again() -> None:
    reply = servers.review(True)
    reply.headers["Connection"] = "close"
    with servers.Server(servers.tls(PAIR, servers.http(lambda _: reply))) as server:
        probe(endpoint(server), Identity(token="t"), [Right(), Right("get")])
        assert server.connections == 2


def test_a_connection_that_was_closed_meanwhile_is_made_anew_for_what_can_be_repeated() -> None:
    def once(sock: socket.socket) -> None:
        """Answers one request, and closes without a word about it."""
        with sock.makefile("rb") as file:
            requests.append(t.cast("servers.Request", servers.read_request(file)))
            sock.sendall(servers.review(True).bytes)

    requests: list[servers.Request] = []
    with servers.Server(servers.tls(PAIR, once)) as server:
        probe(endpoint(server), Identity(token="t"), [Right(), Right("get")])
        assert (server.connections, len(requests)) == (2, 2)


def test_a_server_that_asks_for_patience_gets_it() -> None:
    replies = [
        servers.Reply(429, servers.status_of(429, "TooManyRequests", "later"), {"Retry-After": "0"}),
        servers.review(True),
    ]
    with servers.Server(servers.tls(PAIR, servers.http(lambda _: replies.pop(0)))) as server:
        probe(endpoint(server), Identity(token="t"), [Right()])
    assert replies == []


def test_session_answers_with_status_and_object_and_the_servers_clock() -> None:
    def script(request: servers.Request) -> servers.Reply:
        if request.method == "GET":
            return servers.Reply(404, servers.status_of(404, "NotFound", "no"), date=servers.NOW - servers.DAY)
        return servers.Reply(201, {"kind": "TokenRequest", "apiVersion": "v1", "sent": request.json})

    with (
        servers.Server(servers.tls(PAIR, servers.http(script))) as server,
        Session(endpoint(server), Identity(token="t")) as session,
    ):
        assert session.server_date is None
        assert session.request("GET", "/api/v1/namespaces/x")[0] == 404
        assert session.server_date == servers.NOW - servers.DAY
        status, answer = session.request("POST", "/api/v1/namespaces/x", {"spec": 1})
        assert (status, answer["sent"]) == (201, {"spec": 1})
        assert session.server_date == servers.NOW


def test_version_is_an_answer_of_kubernetes_although_it_has_no_kind() -> None:
    reply = servers.Reply(200, {"major": "1", "gitVersion": "v1.36.3"})
    with (
        servers.Server(servers.tls(PAIR, servers.http(lambda _: reply))) as server,
        Session(endpoint(server), Identity()) as session,
    ):
        assert session.request("GET", "/version") == (200, {"major": "1", "gitVersion": "v1.36.3"})


def test_answers_in_chunks() -> None:
    body = servers.review(True).bytes.partition(b"\r\n\r\n")[2]

    def handle(sock: socket.socket) -> None:
        with sock.makefile("rb") as file:
            while servers.read_request(file):
                sock.sendall(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n")
                sock.sendall(b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (9, body[:9], len(body) - 9, body[9:]))

    with servers.Server(servers.tls(PAIR, handle)) as server:
        probe(endpoint(server), Identity(token="t"), [Right(), Right("get")])
        assert server.connections == 1


def test_proxy_passes_the_connection_and_sees_no_credential(api: tuple[servers.Server, list[servers.Request]]) -> None:
    server, requests = api
    seen: list[servers.Request] = []
    with servers.Server(servers.proxy(seen)) as proxy:
        url = f"http://user:secret@127.0.0.1:{proxy.port}"
        probe(endpoint(server, proxy=url), Identity(token="some-token"), [Right(), Right("get")])
        assert proxy.connections == 1
    assert [(request.method, request.path) for request in seen] == [("CONNECT", f"127.0.0.1:{server.port}")]
    assert set(seen[0].headers) == {"host", "accept-encoding"}
    assert [request.headers["authorization"] for request in requests] == ["Bearer some-token"] * 2


def test_what_is_reached_from_here_needs_no_proxy(api: tuple[servers.Server, list[servers.Request]]) -> None:
    server, _ = api
    via = f"https://127.0.0.1:{server.port}"
    probe(
        endpoint(server, server="https://api.test:6443", via=via, proxy="http://127.0.0.1:1"), Identity(token="t"), []
    )
    assert server.connections == 1


def test_a_name_with_a_dead_address_first(
    api: tuple[servers.Server, list[servers.Request]], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, _ = api
    with socket.create_server(("127.0.0.2", 0)) as other:
        dead = other.getsockname()
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in (dead, ("127.0.0.1", server.port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    probe(endpoint(server, server=f"https://api.test:{server.port}"), Identity(token="t"), [])


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("through_proxy", [False, True])
def test_ipv6(through_proxy: bool) -> None:
    requests: list[servers.Request] = []
    seen: list[servers.Request] = []
    handler = servers.tls(PAIR, servers.http(lambda _: servers.review(True), requests))
    with servers.Server(handler, "::1") as server, servers.Server(servers.proxy(seen), "::1") as proxy:
        options = {"proxy": f"http://[::1]:{proxy.port}"} if through_proxy else {}
        probe(endpoint(server, server=f"https://[::1]:{server.port}", **options), Identity(token="t"), [])
        assert requests[0].headers["host"] == f"[::1]:{server.port}"
        assert [request.path for request in seen] == ([f"[::1]:{server.port}"] if through_proxy else [])


def test_settings_are_shared_by_those_with_the_same_authority(
    api: tuple[servers.Server, list[servers.Request]],
) -> None:
    server, _ = api
    mine, other = endpoint(server), endpoint(server, server_name="api.test")
    # As two Secrets hold it: equal, but not the same object.
    copy = endpoint(server, ca="".join(list(AUTHORITY.pem)))
    assert contexts.context_for(mine, Identity()) is contexts.context_for(other, Identity())
    assert contexts.context_for(mine, Identity()) is contexts.context_for(copy, Identity())
    assert contexts.context_for(mine, Identity()) is not contexts.context_for(
        endpoint(server, insecure=True), Identity()
    )
    assert contexts.shared_context.cache_info().maxsize == 64


def test_many_at_once(api: tuple[servers.Server, list[servers.Request]]) -> None:
    server, requests = api

    def one(number: int) -> None:
        probe(endpoint(server), Identity(token=f"token-{number}"), [Right(), Right("get")])

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(one, range(64)))
    assert server.connections == 64
    sent = sorted(request.headers["authorization"] for request in requests)
    assert sent == sorted([f"Bearer token-{number}" for number in range(64)] * 2)


def test_identity_shows_nothing_of_itself() -> None:
    assert repr(Identity(token="canary")) == "Identity(token)"
    assert str(Identity(username="admin", password="canary")) == "Identity(username, password)"
    assert f"{Identity(certificate='canary', key='canary')}" == "Identity(certificate, key)"


def test_identity_is_one_credential() -> None:
    with pytest.raises(ValueError, match=r"^more than one credential$"):
        Identity(token="a", password="b")


@pytest.mark.parametrize(
    ("right", "words"),
    [
        (Right(), "everything"),
        (Right(namespace="shop"), "everything in namespace shop"),
        (Right("get", "", "pods"), "get pods"),
        (Right("create", "apps", "deployments", "shop"), "create deployments.apps in namespace shop"),
    ],
)
def test_rights_in_words(right: Right, words: str) -> None:
    assert str(right) == words
