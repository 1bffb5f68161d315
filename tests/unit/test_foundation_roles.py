# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A role's interface is a contract: its defaults are its argument specification, and its names are its own."""

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest
import readmes

ROLES = readmes.roles()
SHARED = ("cluster_", "hubspoke_")
"""Begin the variables that an inventory states once for a cluster, and all roles read."""

TYPES: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "dict": (dict,),
    "float": (float, int),
    "int": (int,),
    "list": (list,),
    "path": (str,),
    "str": (str,),
}


def _options(role: pathlib.Path, entry: str = "main") -> dict[str, dict[str, t.Any]]:
    options: dict[str, dict[str, t.Any]] = readmes.specification(role)[entry].get("options") or {}
    return options


def _defaults(role: pathlib.Path) -> dict[str, t.Any]:
    defaults: dict[str, t.Any] = readmes.load(role / "defaults/main.yml") or {}
    return defaults


def test_there_are_roles() -> None:
    assert {path.name for path in readmes.ROOT.glob("roles/*") if (path / "tasks").exists()} == {
        role.name for role in ROLES
    }


@pytest.fixture(params=ROLES, ids=lambda role: role.name)
def role(request: pytest.FixtureRequest) -> pathlib.Path:
    path: pathlib.Path = request.param
    return path


def test_it_has_the_one_shape(role: pathlib.Path) -> None:
    for name in ("defaults/main.yml", "meta/main.yml", "tasks/main.yml", "README.md"):
        assert (role / name).is_file(), f"{name} is missing"


def test_defaults_are_the_specification(role: pathlib.Path) -> None:
    specified = {name: option["default"] for name, option in _options(role).items() if "default" in option}
    assert _defaults(role) == specified


def test_what_is_required_has_no_default(role: pathlib.Path) -> None:
    for entry in readmes.specification(role):
        for name, option in _options(role, entry).items():
            assert not (option.get("required") and "default" in option), name


def test_entry_points_agree_about_an_option(role: pathlib.Path) -> None:
    main = _options(role)
    for entry in readmes.specification(role):
        for name, option in _options(role, entry).items():
            if name in main and "default" in option:
                assert option["default"] == main[name].get("default"), f"{entry}: {name}"


def test_every_entry_point_has_its_tasks(role: pathlib.Path) -> None:
    for entry in readmes.specification(role):
        assert (role / f"tasks/{entry}.yml").is_file(), entry


def test_every_option_is_described_and_typed(role: pathlib.Path) -> None:
    for entry in readmes.specification(role).values():
        assert entry["short_description"]
        for name, kind, _default, words in readmes.rows(entry.get("options") or {}):
            assert words, f"{name} has no description"
            assert kind.split(" of ")[0] in {*TYPES, "raw"}, f"{name} has the type {kind}"


def test_defaults_have_the_type(role: pathlib.Path) -> None:
    for name, option in _options(role).items():
        default = option.get("default")
        if default is None or (isinstance(default, str) and "{{" in default) or option.get("type") == "raw":
            continue
        assert isinstance(default, TYPES[option.get("type", "str")]), f"{name}: {default!r}"
        assert default in option.get("choices", [default]), f"{name}: {default!r}"


def test_variables_begin_with_the_name_of_the_role(role: pathlib.Path) -> None:
    """Stands in for the rule that .ansible-lint-ignore sets aside for the shared variables."""
    allowed = (f"{role.name}_", *SHARED)
    for name in (*_options(role), *_defaults(role)):
        assert name.startswith(allowed), name
    for path in [*role.glob("tasks/*.yml"), *role.glob("handlers/*.yml")]:
        for name in _variables_set(readmes.load(path) or []):
            assert name.lstrip("_").startswith(allowed), f"{path.name} sets {name}"


def _variables_set(tasks: t.Any) -> t.Iterator[str]:
    """Names that tasks register, set as facts or loop with."""
    if isinstance(tasks, list):
        for task in tasks:
            yield from _variables_set(task)
    elif isinstance(tasks, dict):
        if isinstance(tasks.get("register"), str):
            yield tasks["register"]
        yield from (name for name in tasks.get("ansible.builtin.set_fact") or {} if name != "cacheable")
        control = tasks.get("loop_control") or {}
        yield from (control[name] for name in ("loop_var", "index_var") if name in control)
        for key in ("block", "rescue", "always"):
            yield from _variables_set(tasks.get(key))


def test_true_and_false_may_be_words(role: pathlib.Path) -> None:
    """`--extra-vars wait=false` gives text, which is true to Python and no condition to Ansible.

    A module's parameter converts it; everywhere else the filter `bool` has to.
    """
    names = [
        name
        for entry in readmes.specification(role)
        for name, option in _options(role, entry).items()
        if option.get("type") == "bool"
    ]
    for path in [*role.glob("tasks/*.yml"), *role.glob("vars/*.yml")]:
        for name in names:
            for line in re.findall(rf".*\b{name}\b.*", path.read_text(encoding="utf-8")):
                whole = path.parent.name == "tasks" and re.fullmatch(rf'\s+\w+: "{{{{ {name} }}}}"', line)
                assert whole or f"{name} | bool" in line, f"{path.name}: {line.strip()}"
