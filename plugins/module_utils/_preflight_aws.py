# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Preflight's way to AWS: it only reads, asks each question once for all hosts that need its answer, and is impatient.

What goes wrong has a kind, because what the user has to do depends on it: credentials that are not there,
that have expired, that AWS does not know, a right that is missing, a thing that is not there.
"""

from __future__ import annotations

import random
import threading
import typing as t
from collections.abc import Callable, Mapping
from concurrent.futures import Future

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _aws
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws_errors import AwsError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

try:
    from botocore import exceptions as failures
    from botocore.session import Session
except ImportError:
    pass  # `_aws` knows

Kind = t.Literal[
    "library", "none", "expired", "invalid", "clock", "role", "denied", "absent", "region", "unreachable", "other"
]
Answer = dict[str, t.Any]

_KINDS: Mapping[Kind, tuple[str, ...]] = {
    "none": (
        "NoCredentialsError",
        "PartialCredentialsError",
        "ProfileNotFound",
        "CredentialRetrievalError",
        "ConfigParseError",
        "InvalidConfigError",
        "InfiniteLoopConfigError",
        "UnknownCredentialError",
    ),
    "expired": (
        "ExpiredToken",
        "ExpiredTokenException",
        "LoginTokenLoadError",
        "PendingAuthorizationExpiredError",
        "RequestExpired",
        "SSOTokenLoadError",
        "TokenRetrievalError",
        "UnauthorizedSSOTokenError",
    ),
    "invalid": (
        "AuthFailure",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    ),
    "denied": ("AccessDenied", "AccessDeniedException", "ForbiddenException", "UnauthorizedOperation"),
    "absent": ("InvalidSubnetID.NotFound", "NoSuchEntity", "NoSuchResourceException", "ResourceNotFoundException"),
    "region": ("InvalidRegionError", "NoRegionError", "OptInRequired", "UnknownRegionError"),
    "unreachable": (
        "ConnectTimeoutError",
        "ConnectionClosedError",
        "ConnectionError",
        "EndpointConnectionError",
        "HTTPClientError",
        "ProxyConnectionError",
        "ReadTimeoutError",
        "SSLError",
    ),
}
_KIND_OF: dict[str, Kind] = {code: kind for kind, codes in _KINDS.items() for code in codes}
_PERSONAL: frozenset[Kind] = frozenset({"library", "none", "expired", "clock", "role"})
_THROTTLED = frozenset(
    {
        "RequestLimitExceeded",
        "Throttling",
        "ThrottledException",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_ATTEMPTS, _ATTEMPTS_OF_FAILURES = 8, 2
_LONGEST_TEXT = 200


class AwsProblem(HubspokeError):
    """AWS did not give an answer.

    :arg kind: What the user has to do something about.
    :arg code: AWS's own name of the error, or the library's where it never came to AWS.
    """

    def __init__(self, message: str, kind: Kind, code: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.code = code

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" if self.message else self.code


class Aws:
    """Everything that preflight asks AWS.

    :arg timeout: Seconds that one answer may take.
    """

    def __init__(self, timeout: float = 5) -> None:
        self._timeout = timeout
        self._lock = threading.Lock()
        self._made: dict[t.Hashable, Future[t.Any]] = {}
        self._personal: dict[str, AwsProblem] = {}

    def call(self, region: str, service: str, operation: str, profile: str = "", **params: t.Any) -> Answer:
        """The answer to a request, with all of its pages.

        :arg operation: As boto3 names it.
        :arg profile: Profile of the AWS configuration; that of the environment where none is given.
        :raises AwsProblem: there is none.
        """
        key = (profile, region, service, operation, repr(sorted(params.items())))
        return t.cast("Answer", self._once(key, lambda: self._ask(profile, region, service, operation, params)))

    def default_region(self, region: str) -> str:
        """A region of the same partition that no account has to enable.

        :raises AwsProblem: there is no partition with such a region.
        """
        _need_library()
        try:
            partition = Session().get_partition_for_region(region)
        except failures.UnknownRegionError as error:
            raise AwsProblem("", "region", "UnknownRegionError") from error
        return {"aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}.get(partition, "us-east-1")

    def known_regions(self, region: str) -> tuple[str, ...]:
        """The regions with EKS that the library has heard of, of the same partition if there is one."""
        if _aws.IMPORT_ERROR:
            return ()
        session = Session()
        try:
            partition = session.get_partition_for_region(region)
        except failures.UnknownRegionError:
            partition = "aws"
        return tuple(session.get_available_regions("eks", partition))

    def _ask(self, profile: str, region: str, service: str, operation: str, params: Mapping[str, t.Any]) -> Answer:
        _need_library()
        if profile in self._personal:
            raise self._personal[profile]
        try:
            client = self._once(("client", profile, region, service), lambda: self._client(profile, region, service))
            if client.can_paginate(operation):
                answer = client.get_paginator(operation).paginate(**params).build_full_result()
            else:
                answer = getattr(client, operation)(**params)
        except (AwsError, failures.ClientError, failures.BotoCoreError) as error:
            trouble = problem(error)
            if trouble.kind in _PERSONAL and operation != "assume_role":
                # Whatever is asked next, the answer is the same; and looking for credentials takes its time.
                self._personal[profile] = trouble
            raise trouble from error
        return t.cast("Answer", answer)

    def _client(self, profile: str, region: str, service: str) -> t.Any:
        config = {
            "connect_timeout": self._timeout,
            "read_timeout": self._timeout * 2,
            # What is sent again is for `_patience` to say.
            "retries": {"mode": "standard", "total_max_attempts": 1},
        }
        aws = _aws.Aws({"region": region, "profile": profile or None, "aws_config": config})
        client = aws.service(service).client
        client.meta.events.register("needs-retry", _patience)
        return client

    def _once(self, key: t.Hashable, make: Callable[[], t.Any]) -> t.Any:
        """What was made for this key, by whoever came first; its failure too is everybody's."""
        with self._lock:
            future = self._made.get(key)
            mine = future is None
            if future is None:
                future = self._made[key] = Future()
        if mine:
            try:
                future.set_result(make())
            except BaseException as error:
                future.set_exception(error)
        return future.result()


def _need_library() -> None:
    if _aws.IMPORT_ERROR:
        raise AwsProblem(f"{_aws.IMPORT_ERROR}", "library", "ImportError")


def _patience(response: t.Any = None, attempts: int = 1, **ignored: t.Any) -> float | None:
    """Seconds until a request is sent again, None where its answer, or that there is none, is to stay as it is."""
    http, parsed = t.cast("tuple[t.Any, Answer]", response or (None, {}))
    if (parsed.get("Error") or {}).get("Code") in _THROTTLED:
        # What AWS asks to be repeated; with jitter, since the others are told the same.
        return random.uniform(0.05, min(2.0, 0.1 * 2**attempts)) if attempts < _ATTEMPTS else None  # noqa: S311
    failed = http is None or http.status_code >= 500
    return 0.2 if failed and attempts < _ATTEMPTS_OF_FAILURES else None


def problem(error: Exception) -> AwsProblem:
    """What the library raised, as one kind of problem."""
    if isinstance(error, AwsError) and isinstance(error.__cause__, Exception):
        return problem(error.__cause__)
    if isinstance(error, failures.ClientError):
        return _refusal(error)
    names = [kind.__name__ for kind in type(error).__mro__]
    kind: Kind = next((_KIND_OF[name] for name in names if name in _KIND_OF), "other")
    return AwsProblem(_short(error), kind, names[0])


def _refusal(error: t.Any) -> AwsProblem:
    """What AWS itself said no to."""
    body = error.response.get("Error") or {}
    code, text = str(body.get("Code") or "Unknown"), str(body.get("Message") or "")
    kind: Kind = _KIND_OF.get(code, "other")
    if kind == "invalid" and ("Signature expired" in text or "Signature not yet current" in text):
        kind = "clock"
    if kind == "denied" and error.operation_name.startswith("AssumeRole"):
        kind = "role"
    # How AWS calculated a signature is of no use, and more than is to be shown.
    return AwsProblem("" if kind in ("invalid", "clock") else _short(text), kind, code)


def _short(error: object) -> str:
    """The first line of a text, without what only AWS can decode."""
    lines = str(error).split("Encoded authorization failure message", 1)[0].strip().splitlines()
    text = lines[0].strip().rstrip(".") if lines else ""
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT].rstrip()} ..."
