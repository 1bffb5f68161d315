# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every answer that is not the one that was hoped for, and the whole sentence that a user reads."""

from __future__ import annotations

import datetime as dt
import socket
import time
import typing as t

import pytest
from unit import registration_probe_servers as servers
from unit.registration_probe_cases import (
    ACCOUNT,
    ANONYMOUS,
    AUTHORITY,
    CLIENT,
    PAIR,
    TOKEN,
    UNAUTHORIZED,
    tried,
)
from unit.registration_probe_servers import CANARY, HOUR, NOW, Reply, failure, jwt, said, status_of

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _registration_probe as engine
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_probe import (
    Endpoint,
    Identity,
    Right,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_probe_types import moment

pytestmark = pytest.mark.usefixtures("probe_clock")

NEW_TOKEN = "Set bearer_token to a new token."
OWN_ADDRESS = "Set server to the API server's own address."


# No Kubernetes


@pytest.mark.parametrize(
    ("body", "title"),
    [
        ("<!DOCTYPE html><html><head><title>\n Sign in </title></head></html>", ' ("Sign in")'),
        ("<html><body>Welcome</body></html>", ""),
    ],
)
def test_login_page(body: str, title: str) -> None:
    where, found, _ = tried(Reply(200, body, {"Content-Type": "text/html"}))
    assert found == (
        f"Cluster tokyo: {where} answers with a web page{title} and status 200. {OWN_ADDRESS}",
        "server",
        "not_kubernetes",
    )


def test_login_page_behind_a_path() -> None:
    where, found, _ = tried(Reply(200, "<html>"), path="/k8s/clusters/c-1")
    assert found == (
        f"Cluster tokyo: {where} answers with a web page and status 200. "
        "Set server to the API server's own address, path included.",
        "server",
        "not_kubernetes",
    )


@pytest.mark.parametrize(
    ("location", "target"),
    [
        (f"https://{CANARY}@login.test/sign?token={CANARY}", "https://login.test"),
        (f"/login?back={CANARY}", "another path"),
        (f"https://[{CANARY}", "another path"),
        ("", "another path"),
    ],
)
@pytest.mark.parametrize("body", ["", status_of(302, "Found", "elsewhere")])
def test_redirect(location: str, target: str, body: str | dict[str, t.Any]) -> None:
    where, found, connections = tried(Reply(302, body, {"Location": location}))
    assert found == (
        f"Cluster tokyo: {where} redirects to {target}, which an API server does not do. {OWN_ADDRESS}",
        "server",
        "not_kubernetes",
    )
    assert connections == 1


@pytest.mark.parametrize("body", ['{"items": []}', "[]", "7", '{"kind": 1, "apiVersion": "v1"}'])
def test_json_of_something_else(body: str) -> None:
    where, found, _ = tried(Reply(200, body))
    assert found == (
        f"Cluster tokyo: {where} answers with JSON that is not Kubernetes', and status 200. {OWN_ADDRESS}",
        "server",
        "not_kubernetes",
    )


@pytest.mark.parametrize("body", ["ok", "", "[" * 100000, b"\xff\xfe"])
def test_no_json(body: str | bytes) -> None:
    where, found, _ = tried(Reply(200, body))
    assert found == (
        f"Cluster tokyo: {where} answers with something that is not JSON, and status 200. {OWN_ADDRESS}",
        "server",
        "not_kubernetes",
    )


def test_401_of_a_gateway() -> None:
    where, found, _ = tried(Reply(401, {"type": "error", "status": "401"}))
    assert found == (
        f"Cluster tokyo: {where} answers with JSON that is not Kubernetes', and status 401. {OWN_ADDRESS} "
        "If a gateway in front of it answered, it does not accept the credential.",
        "server",
        "not_kubernetes",
    )


def test_load_balancer_without_a_target() -> None:
    where, found, _ = tried(Reply(503, "<html>no healthy upstream"))
    assert found == (
        f"Cluster tokyo: {where} answers 503 Service Unavailable, and not as a Kubernetes API. "
        "Start the API server behind the load balancer there, or set server to its own address.",
        "server",
        "unreachable",
    )


def test_no_http_after_the_handshake() -> None:
    def greet(sock: socket.socket) -> None:
        sock.sendall(b"+OK POP3 ready\r\n")
        servers.hang(sock)

    where, found, _ = tried(Reply(), handler=greet)
    assert found == (
        f"Cluster tokyo: {where} completes the TLS handshake, but does not answer in HTTP. {OWN_ADDRESS}",
        "server",
        "not_kubernetes",
    )


def test_no_answer_after_the_handshake() -> None:
    def end(sock: socket.socket) -> None:
        with sock.makefile("rb") as file:
            servers.read_request(file)

    where, found, _ = tried(Reply(), timeout=1.5, handler=end)
    assert found == (
        f"Cluster tokyo: {where} completes the TLS handshake, but closes the connection without an answer. "
        f"{OWN_ADDRESS}",
        "server",
        "not_kubernetes",
    )


def test_half_an_answer() -> None:
    where, found, _ = tried(Reply(200, '{"kind": "Sta', length=1000))
    assert found == (
        f"Cluster tokyo: {where} completes the TLS handshake, but breaks off in the middle of its answer. "
        f"{OWN_ADDRESS}",
        "server",
        "not_kubernetes",
    )


def test_an_answer_without_end_is_not_read_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_LIMIT", 1000)
    where, found, _ = tried(Reply(200, "{" + " " * 5000 + "}"))
    assert found[0].startswith(f"Cluster tokyo: {where} completes the TLS handshake, but breaks off")


@pytest.mark.parametrize("handler", [servers.hang, servers.drip])
def test_hangs_after_the_handshake(handler: servers.Handler) -> None:
    started = time.monotonic()
    where, found, connections = tried(Reply(), timeout=1.0, handler=handler)
    assert found == (
        f"Cluster tokyo: {where} gave no complete answer within 1 s after the TLS handshake. "
        "Set server to the API server's own address, or see to the API server, which may be overloaded.",
        "server",
        "timeout",
    )
    assert time.monotonic() - started < 8
    assert connections == 1


def test_a_body_that_drips() -> None:
    def handle(sock: socket.socket) -> None:
        servers.drip(sock, b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + b"x" * 900)

    assert tried(Reply(), timeout=1.0, handler=handle).said[1:] == ("server", "timeout")


def test_an_api_that_knows_no_reviews() -> None:
    where, found, _ = tried(Reply(404, status_of(404, "NotFound", "the server could not find\x1b[31m it")))
    assert found == (
        f"Cluster tokyo: {where} answers 404 to a question for rights: the server could not find [31m it. "
        "Set server to the address of a Kubernetes API server that is in working order.",
        "server",
        "not_kubernetes",
    )


def test_an_api_that_is_too_busy_for_too_long() -> None:
    reply = Reply(429, status_of(429, "TooManyRequests", "later."), {"Retry-After": "0"})
    replies = iter([reply] * 9 + [servers.review(True)])
    where, found, connections = tried(lambda _: next(replies), timeout=0.5)
    assert found == (
        f"Cluster tokyo: {where} answers 429 to a question for rights: later. "
        "Set server to the address of a Kubernetes API server that is in working order.",
        "server",
        "unreachable",
    )
    assert connections == 1


def test_a_review_without_a_verdict() -> None:
    kind = {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1"}
    where, found, _ = tried(Reply(201, kind))
    assert found[0].startswith(f"Cluster tokyo: {where} answers 201 to a question for rights.")


def test_only_true_is_allowed() -> None:
    kind = {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1"}
    assert tried(Reply(201, {**kind, "status": {"allowed": "yes"}})).said[1:] == ("account", "forbidden")


# Credentials


def test_token_that_is_not_accepted() -> None:
    where, found, _ = tried(Reply(401, UNAUTHORIZED))
    assert found == (
        f"Cluster tokyo: {where} does not accept bearer_token. {NEW_TOKEN}",
        "bearer_token",
        "unauthenticated",
    )


def test_token_of_a_service_account_that_is_not_accepted() -> None:
    token = jwt(sub=ACCOUNT, iat=NOW - HOUR, exp=NOW + HOUR)
    where, found, _ = tried(Reply(401, UNAUTHORIZED), Identity(token=token))
    assert found == (
        f"Cluster tokyo: {where} does not accept bearer_token of service account argocd/manager. "
        f"{NEW_TOKEN} Another cluster may have made it, or the account was deleted.",
        "bearer_token",
        "unauthenticated",
    )


def test_token_that_is_expired() -> None:
    token = jwt(sub=ACCOUNT, iat=NOW - 30 * HOUR, exp=NOW - 26 * HOUR)
    _, found, _ = tried(Reply(401, UNAUTHORIZED), Identity(token=token))
    assert found == (
        f"Cluster tokyo: bearer_token expired at {moment(NOW - 26 * HOUR)}, 1 day 2 hours ago "
        f"(this machine's clock says {moment(NOW)}, the server's {moment(NOW)}). {NEW_TOKEN}",
        "bearer_token",
        "unauthenticated",
    )


def test_token_that_is_expired_where_the_server_tells_no_time() -> None:
    _, found, _ = tried(Reply(401, UNAUTHORIZED, date=None), Identity(token=jwt(exp=NOW - HOUR)))
    assert found == (
        f"Cluster tokyo: bearer_token expired at {moment(NOW - HOUR)}, 1 hour ago "
        f"(this machine's clock says {moment(NOW)}). {NEW_TOKEN}",
        "bearer_token",
        "unauthenticated",
    )


def test_token_that_is_expired_by_the_servers_clock_alone() -> None:
    theirs = NOW + 3 * HOUR
    _, found, _ = tried(Reply(401, UNAUTHORIZED, date=theirs), Identity(token=jwt(exp=NOW + HOUR)))
    assert found == (
        f"Cluster tokyo: bearer_token expired at {moment(NOW + HOUR)}, 2 hours ago "
        f"(this machine's clock says {moment(NOW)}, the server's {moment(theirs)}). "
        "Set the clocks: this machine's clock is 3 hours behind the server's. "
        "Then set bearer_token to a new token, if it is still refused.",
        "bearer_token",
        "clock",
    )


def test_token_that_is_expired_by_both_clocks_although_they_differ() -> None:
    theirs = NOW + 3 * HOUR
    _, found, _ = tried(Reply(401, UNAUTHORIZED, date=theirs), Identity(token=jwt(exp=NOW - HOUR)))
    assert found[0].endswith(f"the server's {moment(theirs)}). {NEW_TOKEN}")
    assert found[1:] == ("bearer_token", "unauthenticated")


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_token_that_is_not_yet_valid(claim: str) -> None:
    token = jwt(**{claim: NOW + HOUR, "exp": NOW + 2 * HOUR})
    _, found, _ = tried(Reply(401, UNAUTHORIZED), Identity(token=token))
    assert found == (
        f"Cluster tokyo: bearer_token is valid only from {moment(NOW + HOUR)} "
        f"(this machine's clock says {moment(NOW)}, the server's {moment(NOW)}). "
        "Set bearer_token to one that is valid now, or wait until it is.",
        "bearer_token",
        "unauthenticated",
    )


def test_token_that_is_not_yet_valid_by_the_servers_clock_alone() -> None:
    theirs = NOW - HOUR - dt.timedelta(minutes=5)
    token = jwt(iat=NOW - dt.timedelta(minutes=1), exp=NOW + HOUR)
    _, found, _ = tried(Reply(401, UNAUTHORIZED, date=theirs), Identity(token=token))
    assert found == (
        f"Cluster tokyo: bearer_token is valid only from {moment(NOW - dt.timedelta(minutes=1))} "
        f"(this machine's clock says {moment(NOW)}, the server's {moment(theirs)}). "
        "Set the clocks: this machine's clock is 1 hour 5 minutes ahead of the server's. "
        "Then set bearer_token to a new token, if it is still refused.",
        "bearer_token",
        "clock",
    )


def test_token_that_no_clock_explains_while_the_clocks_differ() -> None:
    theirs = NOW - HOUR
    token = jwt(sub=ACCOUNT, iat=NOW - 5 * HOUR, exp=NOW - HOUR / 2)
    where, found, _ = tried(Reply(401, UNAUTHORIZED, date=theirs), Identity(token=token))
    assert found == (
        f"Cluster tokyo: {where} does not accept bearer_token of service account argocd/manager, and the clocks "
        f"differ (this machine's clock says {moment(NOW)}, the server's {moment(theirs)}). "
        "Set the clocks: this machine's clock is 1 hour ahead of the server's. "
        "Then set bearer_token to a new token, if it is still refused.",
        "bearer_token",
        "clock",
    )


def test_clocks_that_differ_by_less_than_a_minute_are_the_same() -> None:
    token = jwt(iat=NOW - HOUR, exp=NOW + HOUR)
    where, found, _ = tried(Reply(401, UNAUTHORIZED, date=NOW + dt.timedelta(seconds=59)), Identity(token=token))
    assert found[0] == f"Cluster tokyo: {where} does not accept bearer_token. {NEW_TOKEN}"


@pytest.mark.parametrize("claims", [{"exp": "soon"}, {"exp": 1e30}, {"exp": True, "iat": None}, {"sub": 5}])
def test_token_with_strange_claims(claims: dict[str, t.Any]) -> None:
    token = jwt(**{"iat": NOW, **claims}) if claims.get("exp") is not True else jwt(exp=[1])
    where, found, _ = tried(Reply(401, UNAUTHORIZED), Identity(token=token))
    assert found[0] == f"Cluster tokyo: {where} does not accept bearer_token. {NEW_TOKEN}"


def test_password_that_is_not_accepted() -> None:
    where, found, _ = tried(Reply(401, UNAUTHORIZED), Identity(username="admin", password=CANARY))
    assert found == (
        f"Cluster tokyo: {where} does not accept user name admin with this password. "
        "Correct username and password; since 1.19 Kubernetes itself knows no passwords, so bearer_token is usual.",
        "password",
        "unauthenticated",
    )


def test_no_credential() -> None:
    where, found, _ = tried(Reply(401, UNAUTHORIZED), Identity())
    assert found == (
        f"Cluster tokyo: {where} wants a credential, and there is none. Set bearer_token, or another credential.",
        "bearer_token",
        "unauthenticated",
    )


def test_client_certificate_that_the_api_does_not_accept() -> None:
    where, found, _ = tried(Reply(401, UNAUTHORIZED), Identity(certificate=CLIENT.certificate, key=CLIENT.key))
    assert found == (
        f"Cluster tokyo: {where} does not accept the client certificate; CN=kubernetes signed it. "
        "Set client_certificate to one that the cluster's own authority signed for clients.",
        "client_certificate",
        "unauthenticated",
    )


def test_client_certificate_that_is_expired() -> None:
    pair = AUTHORITY.issue(ends=NOW - HOUR)
    _, found, _ = tried(Reply(401, UNAUTHORIZED), Identity(certificate=pair.certificate, key=pair.key))
    assert found == (
        f"Cluster tokyo: the client certificate expired at {moment(NOW - HOUR)} "
        f"(this machine's clock says {moment(NOW)}, the server's {moment(NOW)}). "
        "Set client_certificate and client_key to a new pair.",
        "client_certificate",
        "certificate",
    )


def test_client_certificate_that_is_not_yet_valid_by_the_servers_clock() -> None:
    theirs = NOW - 30 * HOUR
    _, found, _ = tried(Reply(401, UNAUTHORIZED, date=theirs), Identity(certificate=CLIENT.certificate, key=CLIENT.key))
    assert found == (
        f"Cluster tokyo: the client certificate is valid only from {moment(NOW - 24 * HOUR)} "
        f"(this machine's clock says {moment(NOW)}, the server's {moment(theirs)}). "
        "Set client_certificate and client_key to a new pair, or wait until it is valid.",
        "client_certificate",
        "certificate",
    )


@pytest.mark.parametrize(
    ("identity", "what", "remedy", "field"),
    [
        (
            Identity(certificate=CLIENT.certificate, key=CLIENT.key),
            "the client certificate",
            "Set server to the API server's own address: what ends TLS before it does not pass certificates on.",
            "client_certificate",
        ),
        (
            TOKEN,
            "bearer_token",
            "Set server to the API server's own address: what is before it drops the token.",
            "bearer_token",
        ),
        (
            Identity(username="admin", password=CANARY),
            "user name and password",
            "Set bearer_token, or another credential.",
            "password",
        ),
    ],
)
@pytest.mark.parametrize("rights", [[], [Right()]])
def test_credential_that_the_api_does_not_see(
    identity: Identity, what: str, remedy: str, field: str, rights: list[Right]
) -> None:
    with servers.Server(servers.tls(PAIR, servers.http(lambda _: Reply(403, ANONYMOUS)))) as server:
        where = f"https://127.0.0.1:{server.port}"
        assert said(failure(Endpoint(where, ca=AUTHORITY.pem), identity, rights)) == (
            f"Cluster tokyo: {where} does not see {what}: it answers as to an anonymous user. {remedy}",
            field,
            "unauthenticated",
        )


def test_no_credential_where_anonymous_users_get_an_answer() -> None:
    where, found, _ = tried(Reply(403, ANONYMOUS), Identity())
    assert found == (
        f"Cluster tokyo: {where} wants a credential, and there is none. Set bearer_token, or another credential.",
        "bearer_token",
        "unauthenticated",
    )


# Rights


def test_account_that_may_not_ask() -> None:
    refusal = status_of(403, "Forbidden", f'User "{ACCOUNT}" cannot create resource "selfsubjectaccessreviews"')
    token = jwt(sub=ACCOUNT, exp=NOW + HOUR)
    where, found, _ = tried(Reply(403, refusal), Identity(token=token))
    assert found == (
        f"Cluster tokyo: service account argocd/manager may not ask {where} for its own rights "
        f'(User "{ACCOUNT}" cannot create resource "selfsubjectaccessreviews"). '
        "Bind ClusterRole system:basic-user to the account on the cluster.",
        "account",
        "forbidden",
    )


def _allows(*verbs: str) -> servers.Script:
    def script(request: servers.Request) -> Reply:
        return servers.review(request.json["spec"]["resourceAttributes"]["verb"] in verbs)

    return script


def test_missing_rights_are_named_together() -> None:
    wanted = (
        Right(),
        Right("get", "", "pods"),
        Right("create", "apps", "deployments", "shop"),
        Right("delete", "", "secrets"),
    )
    where, found, connections = tried(_allows("get"), TOKEN, *wanted)
    assert found == (
        f"Cluster tokyo: the account may not do this on {where}: everything, "
        "create deployments.apps in namespace shop, delete secrets. "
        "Give the account these rights on the cluster, or use another account.",
        "account",
        "forbidden",
    )
    assert connections == 1


def test_many_missing_rights() -> None:
    wanted = [Right("list", "", f"kind{number}") for number in range(10)]
    where, found, _ = tried(_allows(), TOKEN, *wanted)
    listed = ", ".join(f"list kind{number}" for number in range(8))
    assert f"may not do this on {where}: {listed} and 2 more. " in found[0]


@pytest.mark.parametrize(
    ("identity", "who"),
    [
        (Identity(token=jwt(sub=ACCOUNT)), "service account argocd/manager"),
        (Identity(token=jwt(sub="alice")), "user alice"),
        (Identity(username="bob", password=CANARY), "user bob"),
        (Identity(certificate=CLIENT.certificate, key=CLIENT.key), "the account"),
    ],
)
def test_whose_rights_are_missing(identity: Identity, who: str) -> None:
    assert tried(_allows(), identity).said[0].startswith(f"Cluster tokyo: {who} may not do this on ")
