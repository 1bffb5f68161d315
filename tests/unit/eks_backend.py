# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A small EKS for tests of its modules: every request and answer is held against botocore's own model.

What it keeps is what EKS keeps. A creation, a change and a deletion take a look or two to be done, an update is under
way until it is asked for, and what is not there, or is there already, is refused with EKS's own codes.
"""

from __future__ import annotations

import re
import typing as t

import botocore.session
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

REGION = "ap-northeast-2"
ACCOUNT = "111122223333"
WRITES = ("create_", "update_", "delete_", "associate_", "disassociate_", "tag_", "untag_")
_SESSION = botocore.session.get_session()

Request = dict[str, t.Any]


def refused(code: str, message: str, operation: str = "Operation", **members: t.Any) -> ClientError:
    """A refusal as botocore raises it."""
    return ClientError(t.cast("t.Any", {"Error": {"Code": code, "Message": message}, **members}), operation)


class Backend:
    """Stands in for boto3's client. Subclasses have a method for every operation they know."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Request]] = []
        self.failures: dict[str, list[Exception | None]] = {}
        """Operation to the errors that its next calls end with, None for those that go well."""
        self.update_failure: list[dict[str, str]] = []
        """Errors that the next update ends with."""
        self.updates: dict[str, str] = {}
        self._client = _SESSION.create_client(
            "eks", region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test"
        )

    def __getattr__(self, operation: str) -> t.Callable[..., t.Any]:
        if operation not in self._client.meta.method_to_api_mapping:
            raise AttributeError(operation)
        return lambda **request: self.call(operation, request)

    def get_paginator(self, operation: str) -> t.Any:
        backend = self

        class Paginator:
            def paginate(self, **request: t.Any) -> t.Iterator[t.Any]:
                assert backend._client.can_paginate(operation), operation
                yield backend.call(operation, request)

        return Paginator()

    def call(self, operation: str, request: Request) -> Request:
        self.calls.append((operation, request))
        model = self._client.meta.service_model.operation_model(self._client.meta.method_to_api_mapping[operation])
        _valid(request, model.input_shape)
        failures = self.failures.get(operation)
        if failures and (failure := failures.pop(0)):
            raise failure
        answer: Request = getattr(self, f"do_{operation}")(request)
        _valid(answer, model.output_shape)
        return answer

    @property
    def writes(self) -> list[str]:
        return [operation for operation, _ in self.calls if operation.startswith(WRITES)]

    # Updates

    def started(self, kind: str = "ConfigUpdate") -> Request:
        number = f"update-{len(self.updates)}"
        self.updates[number] = "InProgress"
        return {"update": {"id": number, "status": "InProgress", "type": kind}}

    def do_describe_update(self, request: Request) -> Request:
        status = self.updates[request["updateId"]]
        update: Request = {"id": request["updateId"], "status": status}
        if self.update_failure and status == "InProgress":
            update |= {"status": "Failed", "errors": self.update_failure}
        self.updates[request["updateId"]] = "Successful"
        return {"update": update}

    # Tags

    def tagged(self, arn: str) -> Request:
        """What has this ARN."""
        raise NotImplementedError

    def do_tag_resource(self, request: Request) -> Request:
        self.tagged(request["resourceArn"]).setdefault("tags", {}).update(request["tags"])
        return {}

    def do_untag_resource(self, request: Request) -> Request:
        for key in request["tagKeys"]:
            del self.tagged(request["resourceArn"])["tags"][key]
        return {}


class Store:
    """Resources of one kind with states, as EKS keeps them.

    :arg noun: As EKS names it in its refusals.
    """

    def __init__(self, noun: str) -> None:
        self.noun = noun
        self.items: dict[tuple[str, ...], Request] = {}

    def add(self, key: tuple[str, ...], item: Request, status: str = "CREATING") -> Request:
        if key in self.items:
            raise refused("ResourceInUseException", f"{self.noun} already exists: {'/'.join(key)}")
        self.items[key] = {**item, **({"status": status} if status else {})}
        return dict(self.items[key])

    def get(self, key: tuple[str, ...]) -> Request:
        if key not in self.items:
            raise refused("ResourceNotFoundException", f"No {self.noun} found: {'/'.join(key)}")
        return self.items[key]

    def look(self, key: tuple[str, ...]) -> Request:
        """What it is, after which it is a step further."""
        item = self.get(key)
        answer = dict(item)
        if item.get("status") in ("CREATING", "UPDATING"):
            item["status"] = "ACTIVE"
        elif item.get("status") == "DELETING":
            del self.items[key]
        return answer

    def remove(self, key: tuple[str, ...]) -> Request:
        item = self.get(key)
        if "status" in item:
            item["status"] = "DELETING"
        else:
            del self.items[key]
        return dict(item)

    def by_arn(self, arn: str, field: str) -> Request | None:
        return next((item for item in self.items.values() if item[field] == arn), None)


def _valid(value: Request, shape: t.Any) -> None:
    if shape is None:
        return
    # What boto3 makes itself is none of the caller's business.
    report = ParamValidator().validate(value, shape)
    assert not report.has_errors(), report.generate_report()
    _no_others(value, shape, shape.name)
    for name, member in shape.members.items():
        pattern = member.metadata.get("pattern") if name in value else None
        assert not pattern or re.match(pattern, value[name]), f"{name}: {value[name]}"


def _no_others(value: t.Any, shape: t.Any, where: str) -> None:
    """Values of enumerations and names of members: the validator leaves the former to the service."""
    if shape.type_name == "structure":
        for key, item in value.items():
            _no_others(item, shape.members[key], f"{where}.{key}")
    elif shape.type_name == "list":
        for item in value:
            _no_others(item, shape.member, where)
    elif shape.type_name == "string" and shape.enum:
        assert value in shape.enum, f"{where}: {value}"
