# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Try a credential for an API server as Argo CD would use it, before it is written anywhere.

Everything goes over one connection with one handshake; only a failure opens another, to find out why, and that one
carries no credential but, where it is what was refused, the client certificate.
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
import types
import typing as t
from collections.abc import Iterable
from datetime import datetime

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _registration_probe_answers as answers
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _registration_probe_tls as tls
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_probe_context import context_for
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_probe_types import (
    Endpoint,
    Identity,
    ProbeError,
    Right,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_probe_wire import Wire, connect

__all__ = ["Endpoint", "Identity", "ProbeError", "Right", "Session", "probe"]

_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_ANY = Right("get", "", "namespaces")
_LIMIT = 8 << 20
"""Bytes of an answer; objects of Kubernetes are smaller."""

Answer = dict[str, t.Any]


class Session:
    """A connection to an API server with a credential, for one thread."""

    def __init__(self, endpoint: Endpoint, identity: Identity) -> None:
        self._endpoint = endpoint
        self._identity = identity
        self._address = endpoint.address
        authorization = identity.authorization
        self._headers = {
            "Host": endpoint.server.partition("://")[2].partition("/")[0],
            "Accept": "application/json",
            "User-Agent": "hubspoke.bootstrap",
            **({"Authorization": authorization} if authorization else {}),
        }
        self._context: ssl.SSLContext | None = None
        self._wire: Wire | None = None
        self._connection: http.client.HTTPConnection | None = None
        self._used = False
        self._date: str | None = None

    def __enter__(self) -> Session:
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; a request opens another."""
        if self._wire:
            self._wire.end()
        self._wire = self._connection = None

    @property
    def server_date(self) -> datetime | None:
        """The server's clock at its last answer."""
        return tls.parsed_date(self._date)

    def request(self, method: str, path: str, body: t.Any = None) -> tuple[int, Answer]:
        """One request: status and object of the answer, whatever the status is.

        :arg path: From /api or /apis on; the path of the server's address comes before it.
        :arg body: Object to send as JSON.
        :raises ProbeError: no answer, or one that is not of a Kubernetes API.
        """
        return self._request(method, path, body, repeatable=method == "GET")

    def may(self, right: Right) -> bool:
        """Whether the API server lets this credential do that.

        :raises ProbeError: it does not know the credential, or does not tell.
        """
        status, answer = self._review(right)
        if status == 403:
            raise answers.may_not_ask(self._endpoint, self._identity, answer)
        return (answer.get("status") or {}).get("allowed") is True

    def authenticate(self) -> None:
        """Make sure that the API server knows this credential, whatever it may do.

        :raises ProbeError: it does not.
        """
        self._review(_ANY)

    def _review(self, right: Right) -> tuple[int, Answer]:
        """Ask for a right; 403 where a known account may not ask."""
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": right.attributes},
        }
        status, answer = self._request("POST", _REVIEW, body, repeatable=True)
        if status == 401:
            raise answers.unauthenticated(self._endpoint, self._identity, self.server_date, tls.now())
        if status == 403 and answers.anonymous(answer):
            raise answers.unknown(self._endpoint, self._identity)
        if status != 403 and not (status < 300 and isinstance(answer.get("status"), dict)):
            raise answers.unexpected(self._endpoint, self._identity, status, answer)
        return status, answer

    def _open(self) -> None:
        # Before anything is sent: what is given may be broken in itself.
        self._context = self._context or context_for(self._endpoint, self._identity)
        wire = connect(self._endpoint)
        tls.secure(wire, self._endpoint, self._identity, self._context)
        # Only for the form of HTTP. It must never connect by itself, which would be without TLS.
        connection = http.client.HTTPConnection(self._address.host, self._address.port)
        connection.auto_open = 0
        connection.sock = t.cast("t.Any", wire)
        self._wire, self._connection, self._used = wire, connection, False

    def _request(self, method: str, path: str, body: t.Any, repeatable: bool) -> tuple[int, Answer]:
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        deadline = time.monotonic() + self._endpoint.timeout
        while True:
            status, headers, content = self._exchange(method, self._address.path + path, data, repeatable)
            pause = _pause(status, headers)
            # An API server that is asked by a thousand at once; it has done nothing yet.
            if pause is None or time.monotonic() + pause > deadline:
                break
            time.sleep(pause)
        try:
            parsed: t.Any = json.loads(content)
        except (ValueError, RecursionError):
            parsed = None
        if status in range(300, 400) or not answers.is_kubernetes(parsed):
            location = headers.get("Location") or ""
            raise answers.not_kubernetes(
                self._endpoint, self._identity, status, content, location=location, is_json=parsed is not None
            )
        return status, parsed

    def _exchange(
        self, method: str, path: str, data: bytes | None, repeatable: bool
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        while True:
            if self._connection is None:
                self._open()
            used = self._used
            try:
                return self._once(method, path, data)
            except TimeoutError:
                self.close()
                raise self._no_answer() from None
            except (OSError, http.client.HTTPException) as error:
                self.close()
                # One that was kept open may have been closed meanwhile.
                if not (used and repeatable and isinstance(error, ConnectionError | ssl.SSLEOFError)):
                    raise self._lost(error, used) from None

    def _once(self, method: str, path: str, data: bytes | None) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection, wire = t.cast("http.client.HTTPConnection", self._connection), t.cast("Wire", self._wire)
        wire.allow(self._endpoint.timeout)
        headers = self._headers if data is None else {**self._headers, "Content-Type": "application/json"}
        connection.request(method, path, data, headers)
        with connection.getresponse() as response:
            content = response.read(_LIMIT)
            if response.length:
                raise http.client.IncompleteRead(content)
        self._used, self._date = True, response.getheader("Date")
        if wire.closed:
            self.close()
        return response.status, response.headers, content

    def _no_answer(self) -> ProbeError:
        return ProbeError(
            f"{self._endpoint.shown} gave no complete answer within {self._endpoint.timeout:g} s "
            "after the TLS handshake.",
            "Set server to the API server's own address, or see to the API server, which may be overloaded.",
            field="server",
            kind="timeout",
        )

    def _lost(self, error: Exception, used: bool) -> ProbeError:
        """The connection ended, or what came is not HTTP."""
        reason = str(getattr(error, "reason", "") or "")
        found = tls.rejected(self._endpoint, self._identity, reason)
        if found is None and isinstance(error, OSError) and not used and self._context:
            found = tls.alert(self._endpoint, self._identity, self._context)
        if found:
            return found
        if isinstance(error, http.client.IncompleteRead):
            what = "breaks off in the middle of its answer"
        elif isinstance(error, OSError):
            what = "closes the connection without an answer"
        else:
            what = "does not answer in HTTP"
        return ProbeError(
            f"{self._endpoint.shown} completes the TLS handshake, but {what}.",
            "Set server to the API server's own address.",
            field="server",
            kind="not_kubernetes",
        )


def _pause(status: int, headers: http.client.HTTPMessage) -> float | None:
    """Seconds until a request is worth another try, None where it is not."""
    if status != 429:
        return None
    after = headers.get("Retry-After") or ""
    return max(0.1, float(after)) if after.isdigit() else 1.0


def probe(endpoint: Endpoint, identity: Identity, rights: Iterable[Right]) -> None:
    """Try a credential: address, TLS, authentication, and these rights.

    :raises ProbeError: the first of these that fails; all rights that are missing, together.
    """
    with Session(endpoint, identity) as session:
        wanted = list(rights)
        if not wanted:
            session.authenticate()
        lacking = [right for right in wanted if not session.may(right)]
        if lacking:
            raise answers.missing(endpoint, identity, lacking)
