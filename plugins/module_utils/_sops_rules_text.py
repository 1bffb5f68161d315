# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A YAML text with the places of its values, so that one can be changed and all else stays as somebody wrote it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._yaml import yaml


@dataclass
class Node:
    """A value and where it stands.

    :arg start: Offset of its first character; of an alias that of the asterisk.
    :arg end: Offset behind its last character that means something.
    :arg flow: Whether it is written in brackets.
    :arg block: Whether it is a scalar of several lines, behind | or >.
    """

    start: int
    end: int
    scalar: str = ""
    items: list[Node] = field(default_factory=list)
    entries: dict[str, Node] = field(default_factory=dict)
    kind: str = "scalar"
    flow: bool = False
    block: bool = False


def compose(text: str) -> Node | None:
    """The first document of a text, None where it is empty.

    :raises yaml.YAMLError: it does not parse.
    """
    events = yaml.parse(text, Loader=yaml.SafeLoader)  # the one in Python: it counts in characters
    anchors: dict[str, Node] = {}
    for event in events:
        if isinstance(event, (yaml.ScalarEvent, yaml.SequenceStartEvent, yaml.MappingStartEvent, yaml.AliasEvent)):
            return _node(event, events, anchors)
    return None


def _node(event: t.Any, events: t.Iterator[t.Any], anchors: dict[str, Node]) -> Node:
    if isinstance(event, yaml.AliasEvent):
        known = anchors[event.anchor]
        return Node(event.start_mark.index, event.end_mark.index, known.scalar, known.items, known.entries, known.kind)
    node = Node(event.start_mark.index, event.end_mark.index)
    if event.anchor:
        anchors[event.anchor] = node
    if isinstance(event, yaml.ScalarEvent):
        node.scalar, node.block = event.value, event.style in ("|", ">")
        return node
    node.flow = bool(event.flow_style)
    node.kind = "sequence" if isinstance(event, yaml.SequenceStartEvent) else "mapping"
    closing = yaml.SequenceEndEvent if node.kind == "sequence" else yaml.MappingEndEvent
    parts: list[Node] = []
    for inner in events:
        if isinstance(inner, closing):
            # Where a block ends is only seen at what follows it; it is over where its last part is.
            node.end = inner.end_mark.index if node.flow else max([node.end, *(part.end for part in parts)])
            break
        parts.append(_node(inner, events, anchors))
    if node.kind == "sequence":
        node.items = parts
    else:
        node.entries = {key.scalar: value for key, value in zip(parts[::2], parts[1::2], strict=True)}
    return node


def line_start(text: str, offset: int) -> int:
    """Where the line begins in which an offset is."""
    return text.rfind("\n", 0, offset) + 1


def line_end(text: str, offset: int) -> int:
    """Where the line after that of an offset begins; an offset at the very end of a line is in that line."""
    if offset and text[offset - 1 : offset] == "\n":
        return offset
    end = text.find("\n", offset)
    return len(text) if end < 0 else end + 1
