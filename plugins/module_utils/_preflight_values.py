# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The inventory's variables against the argument specs of the roles that will run.

Ansible validates a role's arguments when it comes to that role, which is after the roles before it have
changed things, one role and one error at a time. This reads the same files and uses the same validator
for all of them before the first change.
"""

from __future__ import annotations

import difflib
import functools
import json
import os
import re
import typing as t
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.errors import NoLogError

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import Finding, Host
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._yaml import LOADER, yaml

VALUES = "inventory values"
NAMES = "variable names"

SHARED_FACTS = frozenset(
    f"cluster_{name}"
    for name in ("kubeconfig", "context", "present", "provider_used", "simulated", "address", "hub_address")
)
"""Facts that role dev_cluster sets; none is a misspelt variable."""

_SECRET_NAME = re.compile(r"pass(word|phrase)|secret|token|private_?key", re.IGNORECASE)
_PASSWORD = re.compile(r"://[^/@\s:]*:([^/@\s]+)@")
# Shorter ones are words of every sentence, and would be blotted out in it.
_SHORTEST_SECRET = 6
_SIMILAR = 0.88

Option = dict[str, t.Any]
Options = dict[str, Option]


@dataclass(frozen=True)
class Specs:
    """The options of several roles as one: variables that roles share are in each of them, alike.

    :arg options: Option by variable, of the roles that will run.
    :arg roles: The first role that has the variable.
    :arg known: Every variable of every role of the collection.
    """

    options: Options = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    known: frozenset[str] = frozenset()


def load(folder: str, roles: Iterable[str]) -> Specs:
    """Read the argument specs of a collection.

    :arg folder: Folder of the collection.
    :arg roles: The roles that will run.
    :raises HubspokeError: one of them is not there, or its file does not parse.
    """
    wanted = list(roles)
    root = os.path.join(folder, "roles")
    present = sorted(os.listdir(root)) if os.path.isdir(root) else []
    missing = [role for role in wanted if role not in present]
    if missing:
        raise HubspokeError(
            f"preflight_roles names {', '.join(missing)}, which this collection does not have.",
            f"Its roles are {', '.join(present)}.",
        )
    every = {role: _options(os.path.join(root, role, "meta", "argument_specs.yml")) for role in present}
    return merge({role: every[role] for role in wanted}, every)


def merge(wanted: Mapping[str, Options], every: Mapping[str, Options]) -> Specs:
    """Options of the roles that will run, and the names of all."""
    options: Options = {}
    owners: dict[str, str] = {}
    for role, own in wanted.items():
        for name, option in own.items():
            options.setdefault(name, option)
            owners.setdefault(name, role)
    return Specs(options, owners, frozenset(name for own in every.values() for name in own))


def _options(path: str) -> Options:
    try:
        with open(path, encoding="utf-8") as stream:
            entries = yaml.load(stream, Loader=LOADER)["argument_specs"].values()
            return {name: option for entry in entries for name, option in (entry.get("options") or {}).items()}
    except FileNotFoundError:
        return {}
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise HubspokeError(
            f"{path} does not parse: {' '.join(str(error).split())}.", "Install the collection again."
        ) from error


def interesting(names: Iterable[str], specs: Specs) -> tuple[list[str], list[str]]:
    """Of a host's variables, those to evaluate, and those that look like one but are none."""
    mine, strange = [], []
    for name in names:
        if name in specs.options:
            mine.append(name)
        elif name not in specs.known and name not in SHARED_FACTS and similar(name, specs.known):
            strange.append(name)
    return mine, strange


@functools.lru_cache(maxsize=4096)
def similar(name: str, known: frozenset[str]) -> str:
    """The variable that was probably meant, "" where none is near."""
    return next(iter(difflib.get_close_matches(name, known, 1, _SIMILAR)), "")


def secrets(variables: Mapping[str, t.Any], options: Options) -> Iterator[str]:
    """Every text that must not be shown: of an option that is no_log, or that no spec says anything about.

    Without a spec the name decides; a key that a spec does not have may be the misspelt name of a secret.
    """
    for name, value in variables.items():
        yield from _in_addresses(value)
        if name in options:
            option = options[name]
            if option.get("no_log"):
                yield from _texts(value)
                continue
            inner = option.get("options") or {}
        elif _SECRET_NAME.search(str(name)):
            yield from _texts(value)
            continue
        elif options:
            yield from (text for text in _texts(value) if len(text) >= _SHORTEST_SECRET)
            continue
        else:
            inner = {}
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                yield from secrets(item, inner)


def _in_addresses(value: t.Any) -> Iterator[str]:
    for text in _texts(value):
        yield from _PASSWORD.findall(text)


def _texts(value: t.Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str) and value:
        yield value


class Validation:
    """Hosts and findings out of variables; equal values of a group are validated once.

    :arg specs: The argument specs.
    """

    def __init__(self, specs: Specs) -> None:
        self._specs = specs
        self._checked: dict[tuple[str, str], tuple[t.Any, tuple[Finding, ...]]] = {}
        self._defaults = {name: option["default"] for name, option in specs.options.items() if _literal(option)}

    def host(self, name: str, facts: Mapping[str, t.Any]) -> tuple[Host, list[Finding]]:
        """One host with its usable values, and what is wrong with the others.

        :arg facts: `variables` (evaluated), `errors` (variable to message, where it could not be evaluated).
        """
        variables, errors = facts.get("variables") or {}, facts.get("errors") or {}
        values: dict[str, t.Any] = dict(self._defaults)
        findings = [
            Finding(
                VALUES,
                f"cannot be evaluated: {_sentence(error)}",
                "fail",
                variable,
                "Define what it refers to, or give the value itself.",
                (name,),
            )
            for variable, error in errors.items()
        ]
        for variable in errors:
            values.pop(variable, None)
        for variable, raw in variables.items():
            if raw is None or variable not in self._specs.options:
                continue
            value, wrong = self._check(variable, raw)
            if wrong:
                values.pop(variable, None)
            else:
                values[variable] = value
            findings += [Finding(f.check, f.found, f.verdict, f.variable, f.remedy, (name,)) for f in wrong]
        findings += self._missing(name, {*variables, *errors})
        return Host(name, values, frozenset(set(variables) & set(self._specs.options))), findings

    def _missing(self, host: str, given: set[str]) -> Iterator[Finding]:
        for name, option in self._specs.options.items():
            if option.get("required") and name not in given:
                remedy = f"Give {_described(option)} ({self._specs.roles[name]}: {_first_sentence(option)})."
                yield Finding(VALUES, "is not given", "fail", name, remedy, (host,))

    def _check(self, name: str, raw: t.Any) -> tuple[t.Any, tuple[Finding, ...]]:
        key = (name, json.dumps(raw, sort_keys=True, default=repr))
        if key not in self._checked:
            option = self._specs.options[name]
            try:
                result = ArgumentSpecValidator(_evaluable({name: option})).validate({name: raw})
            except (TypeError, AttributeError):  # it stumbles over some of what it is to refuse
                self._checked[key] = (None, (self._wrong(name, option, raw, []),))
            else:
                wrong = (self._wrong(name, option, raw, result.errors.errors),) if result.errors.errors else ()
                self._checked[key] = (result.validated_parameters.get(name), wrong)
        return self._checked[key]

    def _wrong(self, name: str, option: Option, raw: t.Any, errors: list[t.Any]) -> Finding:
        telling = [error for error in errors if not isinstance(error, NoLogError)]
        if option.get("no_log"):
            # A message of the validator may carry the value, which a secret must not get into.
            found = "has the wrong type"
        elif not isinstance(raw, (list, dict)):
            found = (
                f"{raw!r} is not one of its choices"
                if option.get("choices")
                else f"{raw!r} is not {_described(option)}"
            )
        elif not telling or not _is_of_type(raw, option):
            found = f"{'a list' if isinstance(raw, list) else 'a mapping'} is not {_described(option)}"
        else:
            found = "; ".join(_sentence(error.msg) for error in telling)
        meaning = f"{self._specs.roles[name]}: {_first_sentence(option)}"
        return Finding(VALUES, found, "fail", name, f"Give {_described(option)} ({meaning}).")


def _is_of_type(raw: t.Any, option: Option) -> bool:
    """Whether a list or mapping is at least that, where one is asked for."""
    return isinstance(raw, {"list": list, "dict": dict}.get(option.get("type", ""), ()))


def strange_names(strange: Mapping[str, Iterable[str]], specs: Specs) -> Iterator[Finding]:
    """Warnings for variables that no role has, but that look like one some role has.

    :arg strange: Host to such names.
    """
    for host, names in strange.items():
        for name in names:
            meant = similar(name, specs.known)
            remedy = f"Did you mean {meant}? Rename it, or ignore this if it is a variable of your own."
            yield Finding(NAMES, "no role has a variable of this name", "warn", name, remedy, (host,))


def _literal(option: Option) -> bool:
    """Whether an option has a default that is no template, which only Ansible could evaluate."""
    return option.get("default") is not None and "{{" not in str(option["default"])


def _evaluable(options: Options) -> Options:
    """Options without the defaults that are templates."""
    return {
        name: {
            **{key: value for key, value in option.items() if key != "default" or _literal(option)},
            **({"options": _evaluable(option["options"])} if option.get("options") else {}),
        }
        for name, option in options.items()
    }


_TYPES = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "dict": "a mapping",
    "list": "a list",
    "path": "a path",
}


def _described(option: Option) -> str:
    if option.get("choices"):
        return f"one of {', '.join(map(str, option['choices']))}"
    kind = _TYPES.get(option.get("type", "str"), str(option.get("type")))
    elements = _TYPES.get(option.get("elements", ""), "")
    return f"{kind}, each element {elements}" if elements else kind


def _first_sentence(option: Option) -> str:
    description = option.get("description") or ""
    text = " ".join((description[0] if isinstance(description, list) and description else str(description)).split())
    text = re.sub(r"\b[A-Z]\(([^)]*)\)", r"\1", text)
    return text.split(". ")[0].rstrip(".") or "see its README"


def _sentence(text: str) -> str:
    text = " ".join(str(text).split()).rstrip(".")
    return f"has keys that it does not know: {text}" if ". Supported parameters include" in text else text
