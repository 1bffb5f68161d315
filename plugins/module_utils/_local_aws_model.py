# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An AWS service of the protocol rest-json, as botocore's own model of it says: which operation a request is, its
parameters, and its answer. Nothing here knows any operation by name.
"""

from __future__ import annotations

import base64
import datetime
import json
import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import parse_qs, unquote, urlsplit

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_errors import AwsError, invalid
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_libraries import ParamValidator, botocore

Params = dict[str, t.Any]

_LABEL = re.compile(r"\{([^}+]+)(\+?)\}")
_TRUE, _FALSE = "true", "false"


@dataclass(frozen=True)
class Asked:
    """A request, understood.

    :arg operation: Its name.
    :arg labels: What its path says.
    """

    operation: str
    labels: Mapping[str, str]
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Model:
    """One service.

    :arg name: botocore's name of it.
    """

    def __init__(self, name: str) -> None:
        self._model = botocore.session.get_session().get_service_model(name)
        self._routes: list[tuple[str, re.Pattern[str], str]] = []
        for operation in self._model.operation_names:
            http = self._model.operation_model(operation).http
            path = urlsplit(http["requestUri"]).path
            self._routes.append((http["method"], _pattern(path), operation))
        # The more of a path is fixed, the more it says.
        self._routes.sort(key=lambda route: -len(re.sub(r"\(.*?\)", "", route[1].pattern)))

    @property
    def operations(self) -> list[str]:
        """The names of all operations."""
        return list(self._model.operation_names)

    def operation(self, name: str) -> t.Any:
        """botocore's model of an operation."""
        return self._model.operation_model(name)

    def route(self, method: str, path: str) -> Asked | None:
        """Which operation is asked for.

        :arg path: As it was sent, percent-encoded: names may hold slashes.
        """
        for wanted, pattern, operation in self._routes:
            match = pattern.fullmatch(path) if wanted == method else None
            if match:
                names = self._labels(operation)
                return Asked(operation, dict(zip(names, map(unquote, match.groups()), strict=True)))
        return None

    def _labels(self, operation: str) -> list[str]:
        return [name for name, _ in _LABEL.findall(urlsplit(self.operation(operation).http["requestUri"]).path)]

    def parse(self, asked: Asked) -> Params:
        """The parameters, validated.

        :raises AwsError: they are not what the model wants.
        """
        shape = self.operation(asked.operation).input_shape
        if shape is None:
            return {}
        sent, queried = _json(asked.body), parse_qs(asked.query, keep_blank_values=True)
        params: Params = {}
        for name, member in shape.members.items():
            place, wire = member.serialization.get("location"), member.serialization.get("name", name)
            value: t.Any = None
            if place == "uri":
                value = _from_text(member, asked.labels[wire])
            elif place == "querystring":
                texts = queried.get(wire)
                if texts and member.type_name == "list":
                    value = [_from_text(member.member, text) for text in texts]
                elif texts:
                    value = _from_text(member, texts[-1])
            elif place == "header":
                value = asked.headers.get(wire)
            elif wire in sent:
                value = _from_json(member, sent[wire])
            if value is not None:
                params[name] = value
        problems = _problems(shape, params)
        if problems:
            raise invalid("; ".join(problems))
        return params

    def render(self, operation: str, result: Params) -> bytes:
        """An answer, which is refused where it is not as the model says.

        :raises ValueError: it is not; a fault of ours, never of the request.
        """
        shape = self.operation(operation).output_shape
        if shape is None:
            return b"{}"
        problems = _problems(shape, result)
        if problems:
            raise ValueError(f"{operation} would answer against the model: {'; '.join(problems)}")
        return json.dumps(_to_json(shape, result)).encode()


@cache
def model(name: str) -> Model:
    """The model of a service, read once."""
    return Model(name)


def _pattern(path: str) -> re.Pattern[str]:
    parts, last = [], 0
    for match in _LABEL.finditer(path):
        parts += [re.escape(path[last : match.start()]), "(.+)" if match[2] else "([^/]+)"]
        last = match.end()
    # A client joins its own address and the path, and may end it with a slash.
    return re.compile("".join([*parts, re.escape(path[last:])]).rstrip("/") + "/?")


def _json(body: bytes) -> Params:
    if not body.strip():
        return {}
    try:
        sent = json.loads(body)
    except ValueError as error:
        raise AwsError("SerializationException", f"The request is not JSON: {error}.") from error
    if not isinstance(sent, dict):
        raise AwsError("SerializationException", "The request is no JSON object.")
    return sent


def _from_text(shape: t.Any, text: str) -> t.Any:
    """A value of a path or query."""
    if shape.type_name == "boolean":
        return {_TRUE: True, _FALSE: False}.get(text.lower(), text)
    if shape.type_name in ("integer", "long"):
        try:
            return int(text)
        except ValueError:
            return text
    return text


def _from_json(shape: t.Any, value: t.Any) -> t.Any:  # noqa: PLR0911  (one for each kind)
    """A value of a body in Python's types; what is of no right type stays as it is, for the validation to find."""
    kind = shape.type_name
    if value is None:
        return None
    if kind == "structure" and isinstance(value, dict):
        members = ((name, member.serialization.get("name", name), member) for name, member in shape.members.items())
        return {name: _from_json(member, value[wire]) for name, wire, member in members if value.get(wire) is not None}
    if kind == "list" and isinstance(value, list):
        return [_from_json(shape.member, item) for item in value]
    if kind == "map" and isinstance(value, dict):
        return {key: _from_json(shape.value, item) for key, item in value.items()}
    if kind == "timestamp" and isinstance(value, int | float):
        return datetime.datetime.fromtimestamp(value, datetime.UTC)
    if kind == "blob" and isinstance(value, str):
        return base64.b64decode(value)
    return value


def _to_json(shape: t.Any, value: t.Any) -> t.Any:
    kind = shape.type_name
    if kind == "structure":
        return {
            shape.members[name].serialization.get("name", name): _to_json(shape.members[name], item)
            for name, item in value.items()
            if item is not None
        }
    if kind == "list":
        return [_to_json(shape.member, item) for item in value]
    if kind == "map":
        return {key: _to_json(shape.value, item) for key, item in value.items()}
    if kind == "timestamp":
        return value.timestamp()
    if kind == "blob":
        return base64.b64encode(value).decode()
    return value


def _problems(shape: t.Any, value: t.Any) -> list[str]:
    """What is wrong with it, after botocore's own validation and what that leaves to the service."""
    report = ParamValidator().validate(_without_nothing(value), shape)
    if report.has_errors():
        return [line for line in str(report.generate_report()).splitlines() if line]
    return list(_constraints(shape, value, ""))


def _without_nothing(value: t.Any) -> t.Any:
    """Members that are None are members that are not there."""
    if isinstance(value, dict):
        return {key: _without_nothing(item) for key, item in value.items() if item is not None}
    return [_without_nothing(item) for item in value] if isinstance(value, list) else value


def _constraints(shape: t.Any, value: t.Any, path: str) -> t.Iterator[str]:
    """Values that are none of an enumeration's, too long, of no right pattern, or of members that the model lacks."""
    kind = shape.type_name
    if value is None:
        return
    if kind == "structure":
        for name, item in value.items():
            if name not in shape.members:
                yield f"Unknown member {path}{name}"
            else:
                yield from _constraints(shape.members[name], item, f"{path}{name}.")
    elif kind == "list":
        for item in value:
            yield from _constraints(shape.member, item, path)
    elif kind == "map":
        for key, item in value.items():
            yield from _constraints(shape.key, key, path)
            yield from _constraints(shape.value, item, path)
    elif kind == "string":
        yield from _text_constraints(shape, value, path.rstrip("."))
    elif kind in ("integer", "long") and value > shape.metadata.get("max", value):
        yield f"Value {value} at '{path.rstrip('.')}' must be at most {shape.metadata['max']}"


def _text_constraints(shape: t.Any, value: str, path: str) -> t.Iterator[str]:
    enum, pattern, longest = shape.enum, shape.metadata.get("pattern"), shape.metadata.get("max")
    if enum and value not in enum:
        yield f"Value '{value}' at '{path}' failed to satisfy constraint: Member must satisfy enum value set: {enum}"
    if pattern and not re.match(pattern, value):
        yield f"Value '{value}' at '{path}' failed to satisfy constraint: pattern {pattern}"
    if longest and len(value) > longest:
        yield f"Value '{value}' at '{path}' failed to satisfy constraint: at most {longest} characters"
