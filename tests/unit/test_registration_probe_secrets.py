# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every answer that is not the one that was hoped for, and the whole sentence that a user reads."""

from __future__ import annotations

import datetime as dt
import socket
import typing as t

import pytest
from unit import registration_probe_servers as servers
from unit.registration_probe_cases import (
    ACCOUNT,
    ANONYMOUS,
    AUTHORITY,
    PAIR,
    TOKEN,
    UNAUTHORIZED,
    tried,
)
from unit.registration_probe_servers import CANARY, HOUR, NOW, Reply, jwt, status_of

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_probe import (
    Endpoint,
    Identity,
    ProbeError,
    Session,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_probe_types import span

pytestmark = pytest.mark.usefixtures("probe_clock")

NEW_TOKEN = "Set bearer_token to a new token."
OWN_ADDRESS = "Set server to the API server's own address."


# Sessions


def test_what_may_have_been_done_is_not_repeated() -> None:
    requests: list[servers.Request] = []

    def once(sock: socket.socket) -> None:
        with sock.makefile("rb") as file:
            requests.append(t.cast("servers.Request", servers.read_request(file)))
            sock.sendall(servers.review(True).bytes)

    with servers.Server(servers.tls(PAIR, once)) as server:
        endpoint = Endpoint(f"https://127.0.0.1:{server.port}", ca=AUTHORITY.pem)
        with Session(endpoint, TOKEN) as session:
            session.request("POST", "/api/v1/namespaces", {})
            with pytest.raises(ProbeError, match=r"closes the connection without an answer\."):
                session.request("POST", "/api/v1/namespaces", {})
        assert (server.connections, len(requests)) == (1, 1)


def test_nothing_is_ever_sent_without_tls() -> None:
    with servers.Server(servers.tls(PAIR, servers.http(lambda _: servers.review(True)))) as server:
        with Session(Endpoint(f"https://127.0.0.1:{server.port}", ca=AUTHORITY.pem), TOKEN) as session:
            assert session._connection is not None
            # After this http.client would connect by itself.
            session._connection.sock = None
            with pytest.raises(ProbeError):
                session.request("GET", "/version")
        assert server.connections == 1


def test_session_leaves_401_and_403_to_its_caller() -> None:
    script = iter([Reply(401, UNAUTHORIZED), Reply(403, ANONYMOUS)])
    with (
        servers.Server(servers.tls(PAIR, servers.http(lambda _: next(script)))) as server,
        Session(Endpoint(f"https://127.0.0.1:{server.port}", ca=AUTHORITY.pem), TOKEN) as session,
    ):
        assert session.request("GET", "/api") == (401, UNAUTHORIZED)
        assert session.request("POST", "/api", {}) == (403, ANONYMOUS)


# Secrets


def _echo(status: int, kind: str) -> servers.Script:
    """A server that gives back whatever it was sent, wherever an error might quote it."""

    def script(request: servers.Request) -> Reply:
        sent = request.headers.get("authorization", "")
        body: t.Any = {
            "status": status_of(status, sent, f'User "{sent}" {sent}'),
            "html": f"<title>{sent}</title>{sent}",
            "json": {"message": sent},
            "text": sent,
        }[kind]
        return Reply(status, body, {"Location": f"https://{sent.split()[-1] if sent else ''}.test/{sent}"})

    return script


JWT = jwt(sub=ACCOUNT, exp=NOW - HOUR)


@pytest.mark.parametrize("status", [200, 201, 302, 400, 401, 403, 404, 500, 503])
@pytest.mark.parametrize("kind", ["status", "html", "json", "text"])
@pytest.mark.parametrize(
    "identity",
    [TOKEN, Identity(token=JWT), Identity(username="admin", password=CANARY)],
    ids=["token", "jwt", "password"],
)
def test_what_a_server_echoes_stays_hidden(status: int, kind: str, identity: Identity) -> None:
    # The assertion is in `failure`, which every test here goes through.
    found = tried(_echo(status, kind), identity).said[0]
    assert "Cluster tokyo: " in found
    if kind == "html" and status == 404:
        assert '("Bearer <redacted>")' in found or '("Basic <redacted>")' in found


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 seconds"),
        (1, "1 second"),
        (-90, "1 minute 30 seconds"),
        (3600, "1 hour"),
        (90061, "1 day 1 hour"),
        (172800, "2 days"),
    ],
)
def test_spans(seconds: int, words: str) -> None:
    assert span(dt.timedelta(seconds=seconds)) == words
