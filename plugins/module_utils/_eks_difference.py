# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One thing that is not as it is wanted, and how a reading module tells of it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._yaml import yaml

Object = dict[str, t.Any]


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it is wanted.

    :arg before: Its state for the diff, None where it is not there.
    :arg after: The state that it is to have, None where it is to go.
    :arg arguments: For the module that makes it so; a value of None is not known yet.
    """

    kind: str
    name: str
    before: Object | None
    after: Object | None
    arguments: Object

    @property
    def ready(self) -> bool:
        """Whether everything that it depends on is there."""
        return all(value is not None for value in _values(self.arguments))

    @property
    def action(self) -> str:
        """What is done to it."""
        if self.after is None:
            return "delete"
        return "create" if self.before is None else "update"


def result_of(differences: t.Sequence[Difference], header: str, diff: bool) -> Object:
    """What a reading module returns of them. It has changed nothing: whoever puts them right says that they changed."""
    result: Object = {
        "changed": False,
        "differences": [
            {
                "kind": each.kind,
                "name": each.name,
                "action": each.action,
                "ready": each.ready,
                "arguments": each.arguments,
            }
            for each in differences
        ],
    }
    if diff:
        result["diff"] = {
            "before_header": header,
            "after_header": header,
            "before": _text({f"{each.kind} {each.name}": each.before for each in differences}),
            "after": _text({f"{each.kind} {each.name}": each.after for each in differences}),
        }
    return result


def _text(states: t.Mapping[str, Object | None]) -> str:
    there = {name: state for name, state in states.items() if state is not None}
    return yaml.safe_dump(there, sort_keys=False, width=120) if there else ""


def _values(value: t.Any) -> t.Iterator[t.Any]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _values(item)
    elif isinstance(value, list):
        for item in value:
            yield from _values(item)
    else:
        yield value
