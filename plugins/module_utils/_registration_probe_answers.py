# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the answers of an API server, or of something that is none, mean for the one who registers it."""

from __future__ import annotations

import http
import re
import typing as t
from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import urlsplit

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_probe_certificates import (
    TOLERANCE,
    clocks,
    difference,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_probe_tls import not_accepted
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_probe_types import (
    Endpoint,
    Identity,
    ProbeError,
    Right,
    moment,
    span,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_secret import SERVICE_ACCOUNT, claims

_MOST_RIGHTS = 8


def is_kubernetes(answer: t.Any) -> bool:
    """Whether it looks like an object of Kubernetes, or like its /version, which has no kind."""
    if not isinstance(answer, dict):
        return False
    if isinstance(answer.get("gitVersion"), str):
        return True
    return isinstance(answer.get("kind"), str) and isinstance(answer.get("apiVersion"), str)


def not_kubernetes(
    endpoint: Endpoint, identity: Identity, status: int, data: bytes, *, location: str, is_json: bool
) -> ProbeError:
    """An answer that no API server gives.

    :arg location: Where it redirects to.
    """
    remedy = "Set server to the API server's own address"
    remedy += ", path included." if endpoint.address.path else "."
    text = data[:65536].decode(errors="replace")
    if status in range(300, 400):
        found = f"redirects to {_host(identity.scrubbed(location))}, which an API server does not do"
    elif status in {502, 503, 504}:
        return ProbeError(
            f"{endpoint.shown} answers {status} {http.HTTPStatus(status).phrase}, and not as a Kubernetes API.",
            "Start the API server behind the load balancer there, or set server to its own address.",
            field="server",
            kind="unreachable",
        )
    elif re.match(r"\s*<", text):
        title = re.search(r"<title[^>]*>(.*?)</title>", text, re.DOTALL | re.IGNORECASE)
        named = identity.scrubbed(title[1])[:80] if title else ""
        found = "answers with a web page" + (f' ("{named}")' if named else "") + f" and status {status}"
    elif is_json:
        found = f"answers with JSON that is not Kubernetes', and status {status}"
    else:
        found = f"answers with something that is not JSON, and status {status}"
    if status == 401:
        remedy += " If a gateway in front of it answered, it does not accept the credential."
    return ProbeError(f"{endpoint.shown} {found}.", remedy, field="server", kind="not_kubernetes")


def _host(location: str) -> str:
    """Where a redirect leads. What follows the host can hold anything, and what stands before it too."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return "another path"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else "another path"


def unauthenticated(endpoint: Endpoint, identity: Identity, clock: datetime | None, now: datetime) -> ProbeError:
    """The API server does not know who we are.

    :arg clock: The server's.
    """
    if identity.certificate:
        return not_accepted(endpoint, identity, clock)
    if identity.token:
        return _token(endpoint, claims(identity.token), clock, now)
    if identity.username or identity.password:
        return ProbeError(
            f"{endpoint.shown} does not accept user name {identity.username} with this password.",
            "Correct username and password; since 1.19 Kubernetes itself knows no passwords, so bearer_token is usual.",
            field="password",
            kind="unauthenticated",
        )
    return ProbeError(
        f"{endpoint.shown} wants a credential, and there is none.",
        "Set bearer_token, or another credential.",
        field="bearer_token",
        kind="unauthenticated",
    )


def _token(endpoint: Endpoint, claim: t.Mapping[str, t.Any], clock: datetime | None, now: datetime) -> ProbeError:
    """Why a token is not accepted, from what it says of itself and the clocks."""
    there = clock or now
    ends = _moment(claim.get("exp"))
    begins = max((when for when in (_moment(claim.get("nbf")), _moment(claim.get("iat"))) if when), default=None)
    apart = clock is not None and abs(now - clock) > TOLERANCE
    remedy = "Set bearer_token to a new token."
    if ends and ends <= there:
        message = f"bearer_token expired at {moment(ends)}, {span(there - ends)} ago ({clocks(now, clock)})."
        if clock is None or ends <= now or not apart:
            return ProbeError(message, remedy, field="bearer_token", kind="unauthenticated")
    elif begins and begins > there + TOLERANCE:
        message = f"bearer_token is valid only from {moment(begins)} ({clocks(now, clock)})."
        if clock is None or begins > now or not apart:
            remedy = "Set bearer_token to one that is valid now, or wait until it is."
            return ProbeError(message, remedy, field="bearer_token", kind="unauthenticated")
    else:
        subject = str(claim.get("sub") or "")
        if subject.startswith(SERVICE_ACCOUNT):
            whose = f" of service account {subject.removeprefix(SERVICE_ACCOUNT).replace(':', '/')}"
            remedy += " Another cluster may have made it, or the account was deleted."
        else:
            whose = ""
        message = f"{endpoint.shown} does not accept bearer_token{whose}."
        if not apart or not (ends or begins):
            return ProbeError(message, remedy, field="bearer_token", kind="unauthenticated")
        message = message.removesuffix(".") + f", and the clocks differ ({clocks(now, clock)})."
    told = difference(now, clock or now)
    remedy = f"Set the clocks: {told}. Then set bearer_token to a new token, if it is still refused."
    return ProbeError(message, remedy, field="bearer_token", kind="clock")


def _moment(seconds: t.Any) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def anonymous(answer: dict[str, t.Any]) -> bool:
    """Whether a refusal was meant for nobody in particular."""
    return '"system:anonymous"' in str(answer.get("message"))


def unknown(endpoint: Endpoint, identity: Identity) -> ProbeError:
    """The API server took us for nobody, although we showed something."""
    field: t.Literal["client_certificate", "password", "bearer_token"] = "bearer_token"
    if identity.certificate:
        field, what = "client_certificate", "the client certificate"
        remedy = "Set server to the API server's own address: what ends TLS before it does not pass certificates on."
    elif identity.password or identity.username:
        field, what, remedy = "password", "user name and password", "Set bearer_token, or another credential."
    elif identity.token:
        what, remedy = "bearer_token", "Set server to the API server's own address: what is before it drops the token."
    else:
        return ProbeError(
            f"{endpoint.shown} wants a credential, and there is none.",
            "Set bearer_token, or another credential.",
            field=field,
            kind="unauthenticated",
        )
    return ProbeError(
        f"{endpoint.shown} does not see {what}: it answers as to an anonymous user.",
        remedy,
        field=field,
        kind="unauthenticated",
    )


def may_not_ask(endpoint: Endpoint, identity: Identity, answer: dict[str, t.Any]) -> ProbeError:
    """The account may not even ask what it may do."""
    said = identity.scrubbed(str(answer.get("message") or "")).rstrip(".")
    return ProbeError(
        f"{_account(identity)} may not ask {endpoint.shown} for its own rights" + (f" ({said})." if said else "."),
        "Bind ClusterRole system:basic-user to the account on the cluster.",
        field="account",
        kind="forbidden",
    )


def unexpected(endpoint: Endpoint, identity: Identity, status: int, answer: dict[str, t.Any]) -> ProbeError:
    """An answer of Kubernetes, but not to this question."""
    said = identity.scrubbed(str(answer.get("message") or "")).rstrip(".")[:300]
    return ProbeError(
        f"{endpoint.shown} answers {status} to a question for rights" + (f": {said}." if said else "."),
        "Set server to the address of a Kubernetes API server that is in working order.",
        field="server",
        kind="unreachable" if status == 429 or status >= 500 else "not_kubernetes",
    )


def missing(endpoint: Endpoint, identity: Identity, rights: Iterable[Right]) -> ProbeError:
    """The account may not do what Argo CD will."""
    names = [str(right) for right in rights]
    more = len(names) - _MOST_RIGHTS
    listed = ", ".join(names[:_MOST_RIGHTS]) + (f" and {more} more" if more > 0 else "")
    return ProbeError(
        f"{_account(identity)} may not do this on {endpoint.shown}: {listed}.",
        "Give the account these rights on the cluster, or use another account.",
        field="account",
        kind="forbidden",
    )


def _account(identity: Identity) -> str:
    subject = str(claims(identity.token).get("sub") or "") if identity.token else identity.username
    if subject.startswith(SERVICE_ACCOUNT):
        return f"service account {subject.removeprefix(SERVICE_ACCOUNT).replace(':', '/')}"
    return f"user {identity.scrubbed(subject)}" if subject else "the account"
