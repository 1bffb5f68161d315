# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The look-alike's front door: whose request it is, for which service and region, and who answers it."""

from __future__ import annotations

import io
import json
import re
import threading
import typing as t
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_eks as eks
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_moto as moto
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_sts as sts
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_calls import (
    Calls,
    operation_of,
    protocol_of,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_errors import (
    AwsError,
    throttled,
    unknown_token,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_world import Caller, World

Environ = dict[str, t.Any]
Start = Callable[..., t.Any]
Wsgi = Callable[[Environ, Start], Iterable[bytes]]

Answer = tuple[int, Mapping[str, str], bytes]
Control = Callable[[str, str, Mapping[str, str], bytes], Answer]
"""Answers method, path, headers and body."""

CONTROL = "/local-aws/"
_SCOPE = re.compile(r"Credential=([^,\s]+)")
_JSON = {"Content-Type": "application/json"}
_XML = {"Content-Type": "text/xml"}
_FAULT = 500


@dataclass(frozen=True)
class Scope:
    """What a request is signed for."""

    key: str
    region: str
    service: str


class Application:
    """The WSGI application.

    :arg control: Answers what is below /local-aws/.
    :arg backend: moto's own application, for all that is not done here.
    """

    def __init__(self, world: World, calls: Calls, security: sts.Sts, control: Control, backend: Wsgi) -> None:
        self._world, self._calls, self._sts, self._control, self._backend = world, calls, security, control, backend
        # moto's backends are plain dictionaries.
        self._one = threading.Lock()

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        """Answer one request."""
        length = environ.get("CONTENT_LENGTH")
        stream = environ["wsgi.input"]
        body = stream.read(int(length)) if length else stream.read() if environ.get("wsgi.input_terminated") else b""
        environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))
        path = environ.get("PATH_INFO", "")
        if path.startswith(CONTROL):
            return _send(start, self._control(environ["REQUEST_METHOD"], path, _headers(environ), body))
        protocol = "rest-json"
        try:
            scope = _scope(environ, body)
            if scope is None:
                return self._pass(environ, start)
            protocol = protocol_of(scope.service)
            answer = self._answer(environ, body, scope)
        except AwsError as error:
            answer = error.answer(protocol)
        except Exception as error:  # a fault of ours: said, and no connection lost
            answer = AwsError("InternalFailure", f"{type(error).__name__}: {error}", _FAULT).answer(protocol)
            raise_quietly(error)
        return self._pass(environ, start) if answer is None else _send(start, answer)

    def _answer(self, environ: Environ, body: bytes, scope: Scope) -> Answer | None:
        """The answer, None where it is moto's to give."""
        path, query = (
            str(environ.get("RAW_URI") or environ["PATH_INFO"]).partition("?")[0],
            environ.get("QUERY_STRING", ""),
        )
        # A client that was given the whole address asks with it.
        path = re.sub(r"^https?://[^/]+", "", path) or "/"
        form = dict(parse_qsl(query)) | (dict(parse_qsl(body.decode("utf-8", "replace"))) if _is_form(environ) else {})
        operation = operation_of(scope.service, environ["REQUEST_METHOD"], path, environ, form)
        settings = self._world.settings
        slow = settings.throttle > self._world.dice.random()
        self._calls.count(scope.service, operation, environ.get("HTTP_USER_AGENT", ""), slow)
        caller: Caller | None = None
        if operation != sts.UNSIGNED:
            caller = moto.caller(scope.key)
        if scope.region not in settings.regions and scope.region != "us-east-1":
            raise unknown_token()
        if slow:
            raise throttled()
        if scope.service == "sts" and operation in sts.OPERATIONS:
            return 200, _XML, self._sts.answer(operation, scope.region, caller, form)
        if scope.service != eks.SERVICE or caller is None:
            return None
        asked = eks.service().route(environ["REQUEST_METHOD"], path)
        if asked is None:
            raise AwsError("UnknownOperationException", f"EKS has no operation {environ['REQUEST_METHOD']} {path}", 404)
        return (
            200,
            _JSON,
            eks.answer(
                self._world, caller, scope.region, replace(asked, query=query, headers=_headers(environ), body=body)
            ),
        )

    def _pass(self, environ: Environ, start: Start) -> Iterable[bytes]:
        with self._one:
            return list(self._backend(environ, start))


def raise_quietly(error: Exception) -> None:
    """Have a fault of ours in the log."""
    threading.excepthook(
        threading.ExceptHookArgs((type(error), error, error.__traceback__, threading.current_thread()))
    )


def _is_form(environ: Environ) -> bool:
    return str(environ.get("CONTENT_TYPE", "")).startswith("application/x-www-form-urlencoded")


def _headers(environ: Environ) -> dict[str, str]:
    names = ((key[5:].replace("_", "-").title(), value) for key, value in environ.items() if key.startswith("HTTP_"))
    return {name: str(value) for name, value in names}


def _scope(environ: Environ, body: bytes) -> Scope | None:
    """Out of the Authorization header, or a presigned address; None of a request that is not signed."""
    match = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    query = dict(parse_qsl(environ.get("QUERY_STRING", "")))
    text = match[1] if match else query.get("X-Amz-Credential", "")
    parts = text.split("/")
    if len(parts) >= 5:
        return Scope("/".join(parts[:-4]), parts[-3], parts[-2])
    form = dict(parse_qsl(body.decode("utf-8", "replace"))) if _is_form(environ) else query
    return Scope("", "us-east-1", "sts") if form.get("Action") == sts.UNSIGNED else None


def _send(start: Start, answer: Answer) -> Iterable[bytes]:
    status, headers, body = answer
    start(f"{status} -", [*headers.items(), ("Content-Length", str(len(body)))])
    return [body]


def as_json(value: t.Any, status: int = 200) -> Answer:
    """An answer in JSON."""
    return status, _JSON, json.dumps(value).encode()
