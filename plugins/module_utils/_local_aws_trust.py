# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whom a role's trust policy admits, and what an identity's policies allow. Pure.

As much of IAM's language as trust between roles, services and issuers of tokens needs. What it does not know
(an operator of a condition, say) admits nobody.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

Document = Mapping[str, t.Any]

_ACCOUNT = 4
"""Where an ARN says the account."""


@dataclass(frozen=True)
class Subject:
    """Who wants to be admitted.

    :arg arn: Of an AWS principal; of a session the session's.
    :arg role: The role that a session is of, with its path.
    :arg service: Of a service, its name.
    :arg issuer: Of a token, the ARN of the provider that issued it.
    :arg context: Keys of conditions, and their values.
    """

    arn: str = ""
    role: str = ""
    service: str = ""
    issuer: str = ""
    context: Mapping[str, str] = field(default_factory=dict)


ADMITTED, BY_ACCOUNT, REFUSED = "admitted", "by account", "refused"


def admits(document: Document, action: str, subject: Subject, *, unconditionally: bool = False) -> str:
    """What a trust policy says.

    :arg unconditionally: Take conditions as met: nothing is assumed yet.

    Returns ADMITTED, BY_ACCOUNT where it admits the subject's whole account, which is then to say for itself whether
    the subject may, or REFUSED.
    """
    verdicts = [
        (statement.get("Effect"), verdict)
        for statement in _list(document.get("Statement"))
        if _matches(_list(statement.get("Action")), action)
        and (unconditionally or _conditions(statement.get("Condition") or {}, subject.context))
        and (verdict := _principal(statement.get("Principal"), subject)) != REFUSED
    ]
    allowed = {verdict for effect, verdict in verdicts if effect == "Allow"}
    if any(effect == "Deny" for effect, _ in verdicts) or not allowed:
        return REFUSED
    return ADMITTED if ADMITTED in allowed else BY_ACCOUNT


def allows(documents: Iterable[Document], action: str, resource: str, context: Mapping[str, str] | None = None) -> bool:
    """Whether an identity's policies allow it to do something to a resource."""
    effects = {
        str(statement.get("Effect"))
        for document in documents
        for statement in _list(document.get("Statement"))
        if _matches(_list(statement.get("Action")), action)
        and any(fnmatchcase(resource, pattern) for pattern in map(str, _list(statement.get("Resource"))))
        and _conditions(statement.get("Condition") or {}, context or {})
    }
    return effects == {"Allow"}


def _list(value: t.Any) -> list[t.Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _matches(patterns: Iterable[t.Any], action: str) -> bool:
    return any(fnmatchcase(action.lower(), str(pattern).lower()) for pattern in patterns)


def _principal(principal: t.Any, subject: Subject) -> str:
    if principal == "*":
        return ADMITTED if subject.arn else REFUSED
    if not isinstance(principal, Mapping):
        return REFUSED
    if subject.service and subject.service in _list(principal.get("Service")):
        return ADMITTED
    if subject.issuer and subject.issuer in _list(principal.get("Federated")):
        return ADMITTED
    named = [str(item) for item in _list(principal.get("AWS"))]
    if subject.arn and {"*", subject.arn, subject.role} & set(named):
        return ADMITTED
    account = subject.arn.split(":")[_ACCOUNT] if subject.arn else ""
    return BY_ACCOUNT if account and {account, f"arn:aws:iam::{account}:root"} & set(named) else REFUSED


def _conditions(conditions: Mapping[str, t.Any], context: Mapping[str, str]) -> bool:
    known = {key.lower(): value for key, value in context.items()}
    return all(
        _condition(operator, known.get(key.lower()), [str(item) for item in _list(wanted)])
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


def _condition(operator: str, value: str | None, wanted: list[str]) -> bool:  # noqa: PLR0911  (one for each operator)
    name = operator.removeprefix("ForAllValues:").removeprefix("ForAnyValue:")
    if name == "Null":
        return (value is None) == (wanted == ["true"])
    if name.endswith("IfExists"):
        if value is None:
            return True
        name = name.removesuffix("IfExists")
    if name in ("StringNotEquals", "ArnNotEquals"):
        return value not in wanted
    if name in ("StringNotLike", "ArnNotLike"):
        return value is None or not any(fnmatchcase(value, pattern) for pattern in wanted)
    if value is None:
        return False
    if name in ("StringEquals", "Bool"):
        return value in wanted
    if name == "StringEqualsIgnoreCase":
        return value.lower() in [item.lower() for item in wanted]
    return name in ("StringLike", "ArnLike", "ArnEquals") and any(fnmatchcase(value, item) for item in wanted)
