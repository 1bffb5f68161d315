# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what is wanted of an EKS resource and what EKS answers to the calls that lead from one to the other. Pure.

A kind of resource is a table of fields: under one name the module's option, the key of its result, and a place in EKS's
requests and answers. What is the same for all kinds is done from that table: what differs, what cannot be changed,
the request that creates, those that change, the tags, the diff.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws import Service, tag_changes, tag_text
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

Live = dict[str, t.Any]
"""A resource as EKS describes it."""
View = dict[str, t.Any]
"""The same under the names of the options."""

FIXED = "fixed"
"""Can be chosen at the creation only; another value is refused later."""
CREATION = "creation"
"""Heard at the creation only, and without meaning later."""
ANSWER = "answer"
"""EKS says it; there is no option for it."""
TAGS = "tags"


def _same(value: t.Any) -> t.Any:
    return value


def flag(value: t.Any) -> bool:
    """What EKS leaves out of an answer is off."""
    return bool(value)


def unordered(value: t.Any) -> t.Any:
    """A list whose order says nothing."""
    return sorted(value or [])


@dataclass(frozen=True)
class Field:
    """One property.

    :arg name: Name of the option, and key of the result; with a dot that of a suboption.
    :arg path: Where it is in EKS's answers and requests.
    :arg update: Which change carries it (the fields of one change go into one request), or one of the words above.
    :arg decode: From what EKS answers (None where it answers nothing) to the option's form, in which it is compared.
    :arg encode: From that form to what EKS is sent.
    :arg default: What is created where the option is not given.
    :arg clears: Whether an empty text says that there is to be none, instead of saying nothing; EKS is then sent none.
    """

    name: str
    path: tuple[str, ...]
    update: str = ANSWER
    decode: t.Callable[[t.Any], t.Any] = _same
    encode: t.Callable[[t.Any], t.Any] = _same
    default: t.Any = None
    clears: bool = False

    def read(self, live: Live) -> t.Any:
        """Its value, in the option's form."""
        value: t.Any = live
        for key in self.path:
            value = value.get(key) if isinstance(value, dict) else None
        return self.decode(value)

    def write(self, request: dict[str, t.Any], value: t.Any) -> None:
        """Put a value where it belongs in a request."""
        if self.clears and not value:
            return
        *folders, last = self.path
        for key in folders:
            request = request.setdefault(key, {})
        request[last] = self.encode(value)


TAGS_FIELD = Field("tags", ("tags",), TAGS, lambda tags: tags or {})
"""The tags of any resource."""


@dataclass(frozen=True)
class Step:
    """One call that changes something.

    :arg operation: As boto3 names it.
    :arg does: The same for people; among the module's RV(actions).
    """

    operation: str
    request: dict[str, t.Any]
    does: str


@dataclass(frozen=True)
class Plan:
    """What leads from what there is to what is wanted; without steps where that is the same.

    :arg before: The fields that are spoken of, as they are; empty where there is no resource.
    :arg after: The same as they should be.
    """

    steps: tuple[Step, ...]
    before: View
    after: View


class Kind:
    """One kind of EKS resource, and what a task wants of one of them. Subclasses describe; almost all is in the fields.

    :arg params: The task's arguments.
    """

    noun = ""
    """Its name for people."""
    answer = ""
    """Where EKS's answers have it."""
    operations: t.ClassVar[dict[str, str]] = {}
    """boto3's names of describe, create, update and delete."""
    names: t.ClassVar[dict[str, str]] = {}
    """Keys of every request to the options that name the resource."""
    update_names: t.ClassVar[dict[str, str]] = {}
    """The same for DescribeUpdate, where it knows updates of this kind."""
    needed: tuple[str, ...] = ()
    """Options without which none can be created; an empty one is as good as none."""
    fields: tuple[Field, ...] = ()

    def __init__(self, params: t.Mapping[str, t.Any]) -> None:
        self.params = params
        self.predicting = False
        """In check mode: what is made before it in the same play may have no id yet."""
        self.key = {key: params[option] for key, option in self.names.items()}
        self.wanted: View = {
            field.name: field.decode(field.encode(value))
            for field in self.fields
            if field.update not in (ANSWER, TAGS) and self._said(field, value := option(params, field.name))
        }
        """The options that are given, in the form in which they are compared."""

    def __str__(self) -> str:
        return f"{self.noun} {' of '.join(str(value) for value in reversed(self.key.values()))}"

    # What there is

    def find(self, eks: Service) -> Live | None:
        """What EKS says of it, in one call where possible; None or ResourceNotFoundException where it is not there.

        :raises AwsError: among others that.
        """
        answer = eks.call(self.operations["describe"], f"The {self} cannot be read", **self.key)
        return t.cast("Live", answer[self.answer])

    def live_key(self, live: Live) -> dict[str, t.Any]:
        """What the requests that change and delete it know it by."""
        return self.key

    def update_key(self) -> dict[str, t.Any]:
        """What DescribeUpdate knows it by."""
        return {key: self.params[option] for key, option in self.update_names.items()}

    def view(self, live: Live | None) -> View:
        """All fields; those of a resource that is not there are None."""
        return {field.name: field.read(live) if live is not None else None for field in self.fields}

    def status(self, live: Live) -> str:
        """EKS's word for its state; kinds that are made at once have none."""
        return str(live.get("status") or "")

    def issues(self, live: Live) -> str:
        """What EKS finds wrong with it."""
        issues = (live.get("health") or {}).get("issues") or []
        return "; ".join(f"{issue.get('code')}: {issue.get('message')}".strip(": ") for issue in issues)

    # What leads to what is wanted

    def prepare(self, eks: Service, live: Live | None) -> None:
        """Look up what `wanted` leaves open, before the plan."""

    def plan(self, live: Live | None) -> Plan:
        """What to do so that it is as wanted.

        :raises HubspokeError: it cannot become so.
        """
        if live is None:
            return self._creation()
        actual = self.view(live)
        groups: dict[str, list[Field]] = {}
        for field in self.fields:
            if field.update not in (CREATION, TAGS) and self.differs(field, actual):
                groups.setdefault(field.update, []).append(field)
        self.refuse(groups.get(FIXED, []), actual)
        steps: list[Step] = []
        for group, fields in groups.items():
            steps += self.change(group, fields, actual, live)
        named = [field.name for fields in groups.values() for field in fields]
        before = {name: actual[name] for name in self.wanted}
        after = {**before, **{name: self.wanted[name] for name in named}}
        steps += self._tagging(live, before, after)
        return Plan(tuple(steps), before, after)

    def verify(self, eks: Service, live: Live | None, plan: Plan) -> None:
        """Look up what a change needs to be known, in check mode too; only called where there is one.

        :raises HubspokeError: EKS would refuse it.
        """

    def removal(self, live: Live | None) -> Plan:
        """What to do so that it is gone.

        :raises HubspokeError: it is protected.
        """
        if live is None:
            return Plan((), {}, {})
        request = {**self.live_key(live), **self.removal_options()}
        return Plan((Step(self.operations["delete"], request, "deleted"),), self.view(live), {})

    def removal_options(self) -> dict[str, t.Any]:
        """What the request that deletes carries besides the names."""
        return {}

    def change(self, group: str, fields: list[Field], actual: View, live: Live) -> list[Step]:
        """The calls that carry one group of changes; where it is one update, subclasses need nothing of their own.

        :arg fields: Those of the group that differ.
        """
        request: dict[str, t.Any] = {**self.live_key(live)}
        for field in fields:
            field.write(request, self.wanted[field.name])
        return [Step(self.operations["update"], request, told(fields, actual, self.wanted))]

    def creation_steps(self, request: dict[str, t.Any]) -> list[Step]:
        """The calls that make it, given the request of all its fields."""
        return [Step(self.operations["create"], request, "created")]

    def _creation(self) -> Plan:
        lacking = [name for name in self.needed if name not in self.wanted and not self._to_come(name)]
        if lacking:
            raise HubspokeError(
                f"There is no {self}, and to create it {' and '.join(lacking)} must be given.",
                "Give them, or check the names and the region.",
            )
        request: dict[str, t.Any] = {**self.key}
        wanted = dict(self.wanted)
        for field in self.fields:
            if field.default is not None:
                wanted.setdefault(field.name, field.default)
            if field.name in wanted:
                field.write(request, wanted[field.name])
        if self.params.get("tags"):
            request["tags"] = {str(key): tag_text(value) for key, value in self.params["tags"].items()}
        after = {**wanted, **({"tags": request["tags"]} if "tags" in request else {})}
        return Plan(tuple(self.creation_steps(request)), {}, after)

    def differs(self, field: Field, actual: View) -> bool:
        """Whether it is to be changed."""
        return field.name in self.wanted and self.wanted[field.name] != actual[field.name]

    def refuse(self, fields: list[Field], actual: View) -> None:
        """Say that these cannot be changed, where there are any.

        :raises HubspokeError: there are.
        """
        if fields:
            raise HubspokeError(
                f"The {self} cannot be changed in {' and '.join(field.name for field in fields)}: "
                f"{told(fields, actual, self.wanted)}.",
                "Give what it has, leave the option out, or delete it and make it anew.",
                fields=[field.name for field in fields],
            )

    def _said(self, field: Field, value: t.Any) -> bool:
        if value == "":
            return field.clears
        return value is not None and not (field.name in self.needed and value == [])

    def _to_come(self, name: str) -> bool:
        return self.predicting and option(self.params, name) is not None

    def _tagging(self, live: Live, before: View, after: View) -> list[Step]:
        tags = live.get("tags") or {}
        to_set, to_remove = tag_changes(tags, self.params.get("tags"), bool(self.params.get("purge_tags")))
        if self.params.get("tags") is not None:
            before["tags"] = tags
            after["tags"] = {**{key: value for key, value in tags.items() if key not in to_remove}, **to_set}
        arn, steps = self.view(live).get("arn"), []
        if to_set:
            does = "tags: " + ", ".join(f"{key}={value}" for key, value in sorted(to_set.items()))
            steps.append(Step("tag_resource", {"resourceArn": arn, "tags": to_set}, does))
        if to_remove:
            request = {"resourceArn": arn, "tagKeys": to_remove}
            steps.append(Step("untag_resource", request, f"tags: without {', '.join(to_remove)}"))
        return steps


def option(params: t.Mapping[str, t.Any], name: str) -> t.Any:
    """An option, or the suboption that its name leads to; None where it is not given."""
    value: t.Any = params
    for part in name.split("."):
        value = value.get(part) if isinstance(value, t.Mapping) else None
    return value


def nested(view: View) -> View:
    """A view with suboptions where they belong: `scaling.min_size` within `scaling`."""
    result: View = {}
    for name, value in view.items():
        *folders, last = name.split(".")
        place = result
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = value
    return result


def told(fields: t.Iterable[Field], before: View, after: View) -> str:
    """Changes, for people."""
    return ", ".join(f"{field.name}: {_text(before[field.name])} → {_text(after[field.name])}" for field in fields)


def _text(value: t.Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_text(item)}" for key, item in value.items()) + "}"
    return "none" if value in (None, "") else str(value)
