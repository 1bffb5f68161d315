# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The creation rules of `.sops.yaml`: which fits a file, and changes that leave everything else as it is written.

A change is made in the text, then the text is parsed and compared with what was meant: exactly that, or an error.
"""

from __future__ import annotations

import copy
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _sops_rules_text as places
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._sops_rules_text import Node
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._yaml import LOADER, yaml

NAME = ".sops.yaml"
_OTHERS = {
    "kms": "kms",
    "gcp_kms": "gcp_kms",
    "azure_keyvault": "azure_kv",
    "hc_vault_transit_uri": "hc_vault",
    "hc_vault": "hc_vault",
    "pgp": "pgp",
}
Data = dict[str, t.Any]


@dataclass(frozen=True)
class Rule:
    """One creation rule.

    :arg number: Its place, from 1.
    :arg path_regex: Which files it is for; "" for all.
    :arg recipients: age's, of all its key groups.
    :arg others: Whether it has keys of other kinds too.
    """

    number: int
    path_regex: str
    recipients: tuple[str, ...]
    others: bool

    @property
    def label(self) -> str:
        """As a message names it."""
        return f"rule {self.number}" + (f" ({self.path_regex})" if self.path_regex else "")


class Rules:
    """The creation rules of one file.

    :arg text: Its text; "" where there is no file.
    :arg source: What to call it.
    :raises HubspokeError: it is not what sops reads.
    """

    def __init__(self, text: str, source: str = NAME) -> None:
        self.text = text
        self.source = source
        try:
            self._data: t.Any = yaml.load(text, Loader=LOADER) or {}
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f", line {mark.line + 1}" if mark else ""
            raise HubspokeError(f"{source}{where}: this is not YAML.", "Correct it; nothing was changed.") from error
        rules: t.Any = self._data.get("creation_rules") if isinstance(self._data, dict) else "none"
        if not isinstance(rules or [], list) or any(not isinstance(rule, dict) for rule in rules or []):
            raise HubspokeError(f"{source}: creation_rules is no list of rules.", "Correct it; nothing was changed.")
        self.rules = [_rule(number, rule, source) for number, rule in enumerate(rules or [], 1)]

    def matching(self, path: str) -> Rule | None:
        """The rule by which sops encrypts a file: the first that fits its path, relative to the folder of the rules."""
        for rule in self.rules:
            if not rule.path_regex or re.search(rule.path_regex, path):
                return rule
        return None

    # Changes

    def with_rule(self, path_regex: str, recipients: t.Sequence[str], encrypted_regex: str = "") -> Rules:
        """With a rule for that expression which has these recipients, among others perhaps."""
        mine = next((rule for rule in self.rules if rule.path_regex == path_regex), None)
        if mine is not None:
            missing = [each for each in recipients if each not in mine.recipients]
            return self.adding(missing, [mine]) if missing else self
        data: Data = {"path_regex": path_regex}
        if encrypted_regex:
            data["encrypted_regex"] = encrypted_regex
        data["age"] = ",".join(recipients)
        wanted = copy.deepcopy(self._data)
        # Before a rule for everything: sops takes the first that fits.
        index = next((rule.number - 1 for rule in self.rules if not rule.path_regex), len(self.rules))
        wanted["creation_rules"] = [*(wanted.get("creation_rules") or [])]
        wanted["creation_rules"].insert(index, data)
        return self._verified(self._text_with_rule(index, data), wanted)

    def adding(self, recipients: t.Sequence[str], rules: t.Sequence[Rule] | None = None) -> Rules:
        """With further recipients in these rules, or in all that have any of age's.

        :raises HubspokeError: a rule has several key groups, so that it must be said in which.
        """
        current = self
        for rule in self.rules if rules is None else rules:
            for recipient in recipients:
                mine = current.rules[rule.number - 1]
                if recipient not in mine.recipients and (mine.recipients or rules is not None):
                    current = current._with(mine, recipient)
        return current

    def removing(self, recipients: t.Sequence[str]) -> Rules:
        """Without these recipients, wherever they are.

        :raises HubspokeError: a rule would have no key at all.
        """
        current = self
        for rule in self.rules:
            gone = [each for each in recipients if each in rule.recipients]
            if gone and set(rule.recipients) <= set(gone) and not rule.others:
                raise HubspokeError(
                    f"{self.source}, {rule.label}: without {', '.join(gone)} nobody could open its files.",
                    "Add the recipient that takes its place in the same run.",
                )
            for recipient in gone:
                current = current._without(current.rules[rule.number - 1], recipient)
        return current

    def _verified(self, text: str, wanted: Data) -> Rules:
        """The changed text, if it says what was meant and nothing else."""
        try:
            fresh = Rules(text, self.source)
        except HubspokeError:
            fresh = None
        if fresh is None or _meaning(fresh._data) != _meaning(wanted):
            raise HubspokeError(
                f"{self.source} is written in a way that cannot be changed without touching the rest of it.",
                "Change the recipients in it by hand, then run again: the files follow.",
            )
        return fresh

    def _node(self, rule: Rule) -> Node:
        tree = places.compose(self.text)
        if tree is None:
            raise AssertionError("a rule of an empty text")
        return tree.entries["creation_rules"].items[rule.number - 1]

    def _holders(self, rule: Rule) -> list[tuple[Node, list[t.Any]]]:
        """Where a rule's recipients are: the node, and the way to it in the data."""
        node = self._node(rule)
        way = ["creation_rules", rule.number - 1]
        found = [(node.entries["age"], [*way, "age"])] if "age" in node.entries else []
        groups = node.entries["key_groups"].items if "key_groups" in node.entries else []
        return found + [
            (group.entries["age"], [*way, "key_groups", number, "age"])
            for number, group in enumerate(groups)
            if "age" in group.entries
        ]

    def _with(self, rule: Rule, recipient: str) -> Rules:
        holders = self._holders(rule)
        if len(holders) != 1:
            raise HubspokeError(
                f"{self.source}, {rule.label}: {'several key groups have' if holders else 'nothing has'} recipients "
                "of age, and where a further one belongs cannot be known.",
                "Add it by hand, then run again: the files follow.",
            )
        node, way = holders[0]
        wanted = copy.deepcopy(self._data)
        _change(wanted, way, lambda known: [*known, recipient])
        return self._verified(_added(self.text, node, recipient), wanted)

    def _without(self, rule: Rule, recipient: str) -> Rules:
        current = self
        for number, (_node, way) in enumerate(self._holders(rule)):
            # The places are those of the text as it is now.
            node = current._holders(rule)[number][0]
            if recipient not in _recipients(node):
                continue
            wanted = copy.deepcopy(current._data)
            _change(wanted, way, lambda known: [each for each in known if each != recipient])
            current = current._verified(_removed(current.text, node, recipient), wanted)
        return current

    def _text_with_rule(self, index: int, data: Data) -> str:
        lines = [f"{key}: {_quoted(value)}" for key, value in data.items()]
        tree = places.compose(self.text)
        rules = tree.entries.get("creation_rules") if tree else None
        if rules is None or not rules.items:
            block = "creation_rules:\n" + _item(lines, "  ")
            if rules is None:
                rest = self.text if not self.text or self.text.endswith("\n") else f"{self.text}\n"
                return rest + block
            start = places.line_start(self.text, rules.start)
            return self.text[:start] + block + self.text[places.line_end(self.text, rules.end) :]
        text = self.text if self.text.endswith("\n") else f"{self.text}\n"
        indent = re.match(r"[ ]*", text[places.line_start(text, rules.items[0].start) :])
        block = _item(lines, indent[0] if indent else "")
        if index < len(rules.items):
            offset = places.line_start(text, rules.items[index].start)
            # Comments right above a rule are about it.
            while re.match(r"[ ]*#", text[places.line_start(text, offset - 1) : offset]):
                offset = places.line_start(text, offset - 1)
        else:
            offset = places.line_end(text, rules.items[-1].end)
        return text[:offset] + block + text[offset:]


def _rule(number: int, rule: Data, source: str) -> Rule:
    expression = str(rule.get("path_regex") or "")
    try:
        re.compile(expression)
    except re.error as error:
        raise HubspokeError(
            f"{source}, rule {number}: path_regex is no regular expression: {error}.", "Correct it."
        ) from error
    groups = [group for group in rule.get("key_groups") or [] if isinstance(group, dict)]
    recipients = [each for holder in (rule, *groups) for each in _split(holder.get("age"))]
    others = any(holder.get(name) for holder in (rule, *groups) for name in _OTHERS)
    return Rule(number, expression, tuple(dict.fromkeys(recipients)), others)


def _split(value: t.Any) -> list[str]:
    """Recipients of a text with commas, or of a list."""
    texts = value if isinstance(value, list) else [value]
    return [part.strip() for text in texts if isinstance(text, str) for part in text.split(",") if part.strip()]


def _recipients(node: Node) -> list[str]:
    return _split([item.scalar for item in node.items] if node.kind == "sequence" else node.scalar)


def _meaning(data: t.Any) -> t.Any:
    """What the rules say, however their recipients are written down."""
    data = copy.deepcopy(data)
    for rule in data.get("creation_rules") or []:
        for holder in (rule, *(rule.get("key_groups") or [])):
            if "age" in holder:
                holder["age"] = _split(holder["age"])
    return data


def _change(data: t.Any, way: t.Sequence[t.Any], change: t.Callable[[list[str]], list[str]]) -> None:
    for step in way[:-1]:
        data = data[step]
    data[way[-1]] = change(_split(data[way[-1]]))


def _added(text: str, node: Node, recipient: str) -> str:
    if node.kind == "sequence" and not node.flow:
        last = node.items[-1]
        start, end = places.line_start(text, last.start), places.line_end(text, last.end)
        newline = "" if text[:end].endswith("\n") else "\n"
        dash = re.match(r"[ ]*(?:- )*", text[start:])
        indent = dash[0][: dash[0].rfind("-")].replace("-", " ") if dash else ""
        return f"{text[:end]}{newline}{indent}- {recipient}\n{text[end:]}"
    if node.kind == "sequence":
        offset = node.items[-1].end if node.items else node.end - 1
        return f"{text[:offset]}{', ' if node.items else ''}{recipient}{text[offset:]}"
    raw = text[node.start : node.end]
    known = _recipients(node)
    if not known:
        return text[: node.start] + recipient + text[node.end :]
    offset = node.start + raw.rindex(known[-1]) + len(known[-1])
    between = ",\n" if node.block else ","
    if len(known) > 1:
        before = raw.rindex(known[-2]) + len(known[-2])
        between = raw[before : raw.rindex(known[-1])]
    elif node.block:
        start = places.line_start(text, offset)
        between += re.match(r"[ ]*", text[start:])[0]  # type: ignore[index]
    return text[:offset] + between + recipient + text[offset:]


def _removed(text: str, node: Node, recipient: str) -> str:
    if node.kind == "sequence":
        for item in reversed(node.items):
            if _split(item.scalar) == [recipient]:
                if not node.flow:
                    start, end = places.line_start(text, item.start), places.line_end(text, item.end)
                    return text[:start] + text[end:]
                before, after = text[: item.start].rstrip(), text[item.end :].lstrip()
                if after.startswith(","):
                    return text[: item.start] + after[1:].lstrip()
                return before.removesuffix(",").rstrip() + after
    raw = text[node.start : node.end]
    name = re.escape(recipient)
    changed, count = re.subn(rf",\s*{name}(?=\s*(?:,|$|['\"]))", "", raw, count=1)
    if not count:
        changed = re.sub(rf"{name}\s*,\s*", "", raw, count=1)
    return text[: node.start] + changed + text[node.end :]


def _item(lines: t.Sequence[str], indent: str) -> str:
    return f"{indent}- {lines[0]}\n" + "".join(f"{indent}  {line}\n" for line in lines[1:])


def _quoted(value: str) -> str:
    """A text that YAML takes for nothing else."""
    return value if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9,/+= -]*", value) else "'" + value.replace("'", "''") + "'"
