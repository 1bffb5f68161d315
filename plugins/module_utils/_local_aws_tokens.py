# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tokens with which clients come to an EKS API server: reading them, and whether the signature is right. Pure.

A token is a presigned GetCallerIdentity of STS. The cluster's name is not in it; it is only signed with it, so that
a token of one cluster is worth nothing to another.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import hashlib
import hmac
import typing as t
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlsplit

_PREFIX = "k8s-aws-v1."
_CLUSTER = "x-k8s-aws-id"
_LIFE = datetime.timedelta(minutes=15)
_SKEW = datetime.timedelta(minutes=5)
_TIME = "%Y%m%dT%H%M%SZ"


class BadToken(Exception):
    """It lets nobody in; says why."""


@dataclass(frozen=True)
class Presigned:
    """What a token says.

    :arg key: The access key of whoever signed.
    :arg session: The session's token, empty of a user.
    """

    key: str
    session: str
    host: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: tuple[str, ...]
    time: str
    scope: str
    signature: str


def read(token: str, now: datetime.datetime) -> Presigned:
    """Take a token apart.

    :raises BadToken: it is none, or too old.
    """
    if not token.startswith(_PREFIX):
        raise BadToken(f"it does not begin with {_PREFIX}")
    text = token.removeprefix(_PREFIX)
    try:
        url = urlsplit(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode())
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise BadToken("it is not base64url of an address") from error
    pairs = tuple(parse_qsl(url.query, keep_blank_values=True))
    query = {name.lower(): value for name, value in pairs}
    if query.get("action") != "GetCallerIdentity":
        raise BadToken("it is no presigned GetCallerIdentity")
    key, _, scope = query.get("x-amz-credential", "").partition("/")
    headers = tuple(query.get("x-amz-signedheaders", "").lower().split(";"))
    if not scope.endswith("/sts/aws4_request"):
        raise BadToken("it is not signed for STS")
    if _CLUSTER not in headers:
        raise BadToken(f"header {_CLUSTER} is not signed")
    _check_time(query.get("x-amz-date", ""), now)
    return Presigned(
        key=key,
        session=query.get("x-amz-security-token", ""),
        host=url.netloc,
        path=url.path or "/",
        query=tuple((name, value) for name, value in pairs if name.lower() != "x-amz-signature"),
        headers=headers,
        time=query["x-amz-date"],
        scope=scope,
        signature=query.get("x-amz-signature", ""),
    )


def _check_time(text: str, now: datetime.datetime) -> None:
    try:
        signed = datetime.datetime.strptime(text, _TIME).replace(tzinfo=datetime.UTC)
    except ValueError as error:
        raise BadToken("it has no date") from error
    if signed + _LIFE < now:
        raise BadToken(f"it expired at {signed + _LIFE:%H:%M:%S} UTC")
    if signed > now + _SKEW:
        raise BadToken("its date is in the future")


def check(token: Presigned, cluster: str, secret: str) -> None:
    """:raises BadToken: it was not signed with that secret for that cluster."""
    known = {"host": token.host, _CLUSTER: cluster}
    strange = [name for name in token.headers if name not in known]
    if strange:
        raise BadToken(f"headers are signed that it does not hold: {', '.join(strange)}")
    if not hmac.compare_digest(signature(token, known, secret), token.signature):
        raise BadToken(f"it is not signed for cluster {cluster}, or not with the secret of {token.key}")


def signature(token: Presigned, headers: t.Mapping[str, str], secret: str) -> str:
    """AWS's signature, version 4, of the address in a token."""
    request = "\n".join(
        [
            "GET",
            quote(token.path, safe="/-_.~"),
            "&".join(sorted(f"{_quote(name)}={_quote(value)}" for name, value in token.query)),
            *(f"{name}:{headers[name].strip()}" for name in token.headers),
            "",
            ";".join(token.headers),
            hashlib.sha256(b"").hexdigest(),
        ]
    )
    hashed = hashlib.sha256(request.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", token.time, token.scope, hashed])
    key = f"AWS4{secret}".encode()
    for part in token.scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _quote(text: str) -> str:
    return quote(text, safe="-_.~")
