# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which clusters an ApplicationSet names literally: in its template, or in the elements of its list generators.

A templatePatch and elementsYaml are YAML only once they are filled in, and a patch may set any destination. So whoever
is named anywhere in them counts.

What comes out of other generators (clusters, git ...) is not known here. It need not be: without the Secret the cluster
generator gives nothing, and what is generated already exists as Applications.
"""

from __future__ import annotations

import re
import typing as t

Object = dict[str, t.Any]
Place = tuple[str, str]
"""`server` or `name`, and its value."""

_CALCULATED = "{{ any . }}"
"""Stands for what may come to any value of an element."""
_EXPRESSION = re.compile(r"\{\{.*?\}\}")
_ADDRESS = re.compile(r"(?:https?://(?:\[[\da-f:.]+\])?|arn:)[^\s\"'`{}\[\],<>\\]*", re.IGNORECASE)
_PARAMETER = re.compile(r"\{\{-?\s*\.?([\w-]+(?:\.[\w-]+)*)\s*-?\}\}")


def destinations(item: Object) -> set[Place]:
    """The clusters that an ApplicationSet names literally."""
    spec = item.get("spec") or {}
    base = _destination(spec.get("template"))
    if "destination" in str(spec.get("templatePatch") or ""):
        base["patch"] = _CALCULATED
    found = set(_filled(base, {}))
    for generator in spec.get("generators") or []:
        found.update(_generated(generator, base))
    for text in texts(item):
        found.update(("server", address) for address in _ADDRESS.findall(text))
    return found


def texts(item: Object) -> tuple[str, ...]:
    """What of an ApplicationSet is not YAML yet."""
    spec = item.get("spec") or {}
    found = [spec.get("templatePatch")]
    for generator in spec.get("generators") or []:
        found += _unparsed(generator)
    return tuple(text for text in found if text and isinstance(text, str))


def _unparsed(generator: t.Any) -> t.Iterator[t.Any]:
    for body in generator.values() if isinstance(generator, dict) else ():
        if isinstance(body, dict):
            yield body.get("elementsYaml")
            for each in body.get("generators") or []:
                yield from _unparsed(each)


def mentions(text: str, name: str) -> bool:
    """Whether a name is in a text, and not just as a part of another one."""
    return name in text and bool(re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", text))


def _generated(generator: t.Any, base: dict[str, str]) -> t.Iterator[Place]:
    """Of one generator, whose own template overrides that of the ApplicationSet."""
    for kind, body in generator.items() if isinstance(generator, dict) else ():
        if not isinstance(body, dict):
            continue
        template = {**base, **_destination(body.get("template"))}
        for element in [{}, *(body.get("elements") or [])]:
            yield from _filled(template, element)
        if kind in ("matrix", "merge"):
            # All but the first generator of a merge only add to what that one gives.
            nested = body.get("generators") or []
            for each in nested if kind == "matrix" else nested[:1]:
                yield from _generated(each, template)


def _destination(template: t.Any) -> dict[str, str]:
    destination = ((template or {}).get("spec") or {}).get("destination") or {}
    return {field: str(destination[field]) for field in ("server", "name") if destination.get(field)}


def _filled(template: dict[str, str], element: t.Any) -> t.Iterator[Place]:
    """The template with an element's values; where it calculates, any value of the element may be the result."""
    for field, text in template.items():
        filled = _PARAMETER.sub(lambda match: _value(element, match[1]) or match[0], text)
        left = _EXPRESSION.findall(filled)
        if not left:
            yield field, filled
        elif not all(map(_PARAMETER.fullmatch, left)):
            for value in _strings(element):
                yield "server", value
                yield "name", value


def _value(element: t.Any, path: str) -> str:
    for part in path.split("."):
        element = element.get(part) if isinstance(element, dict) else None
    return element if isinstance(element, str) else ""


def _strings(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)
