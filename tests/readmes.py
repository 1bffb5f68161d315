# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write each role's README.md out of its argument specification (`make docs`); with --check only say which are old."""

from __future__ import annotations

import json
import pathlib
import re
import sys
import textwrap
import typing as t

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[1]
Options = dict[str, dict[str, t.Any]]

_MARKUP = (
    (re.compile(r"\b[COVEP]\(((?:[^()\\]|\\.|\([^()]*\))*)\)"), r"`\1`"),
    (re.compile(r"\bM\(([^)]*)\)"), r"`\1`"),
    (re.compile(r"\bI\(([^)]*)\)"), r"*\1*"),
    (re.compile(r"\bB\(([^)]*)\)"), r"**\1**"),
    (re.compile(r"\bL\(([^,)]*), *([^)]*)\)"), r"[\1](\2)"),
    (re.compile(r"\bU\(([^)]*)\)"), r"<\1>"),
)


def roles() -> list[pathlib.Path]:
    """Every role that has a specification."""
    return sorted(path.parents[1] for path in ROOT.glob("roles/*/meta/argument_specs.yml"))


def load(path: pathlib.Path) -> t.Any:
    """A YAML file, None where there is none."""
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None


def specification(role: pathlib.Path) -> dict[str, t.Any]:
    """Entry points of a role, by name."""
    return t.cast("dict[str, t.Any]", load(role / "meta/argument_specs.yml")["argument_specs"])


def markdown(text: str) -> str:
    """Ansible's markup as Markdown, on one line."""
    text = " ".join(str(text).split())
    for pattern, replacement in _MARKUP:
        text = pattern.sub(replacement, text)
    return text.replace("\\)", ")")


def paragraphs(value: str | list[str]) -> list[str]:
    """A description, which is a string or a list of them."""
    return [markdown(item) for item in ([value] if isinstance(value, str) else value or [])]


def rows(options: Options, prefix: str = "") -> t.Iterator[tuple[str, str, str, str]]:
    """Name, type, default and description of every option, nested ones after their parent."""
    for name, option in options.items():
        kind = str(option.get("type", "str"))
        if option.get("elements"):
            kind += f" of {option['elements']}"
        default = "required" if option.get("required") else _default(option)
        words = paragraphs(option.get("description", ""))
        if option.get("choices"):
            words.append("One of " + ", ".join(f"`{choice}`" for choice in option["choices"]) + ".")
        yield prefix + name, kind, default, " ".join(words)
        yield from rows(option.get("options") or {}, f"{prefix}{name}.")


def _default(option: dict[str, t.Any]) -> str:
    if "default" not in option:
        return ""
    value = option["default"]
    return f"`{value}`" if isinstance(value, str) and value else f"`{json.dumps(value, ensure_ascii=False)}`"


def table(options: Options) -> str:
    """A Markdown table of options."""
    cells = [("variable", "type", "default", "what it is"), ("---", "---", "---", "---")]
    cells += [(f"`{name}`", kind, default, words) for name, kind, default, words in rows(options)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells)


def readme(role: pathlib.Path) -> str:
    """The whole text."""
    parts = [f"# hubspoke.bootstrap.{role.name}"]
    entries = specification(role)
    for name, entry in entries.items():
        if name != "main":
            parts.append(f"## Entry point {name}\n\n`include_role: {{name: {role.name}, tasks_from: {name}}}`")
        parts.append(f"**{markdown(entry['short_description'])}.**")
        parts += [textwrap.fill(text, 120, break_long_words=False) for text in paragraphs(entry.get("description", []))]
        if entry.get("options"):
            parts.append(("## Variables\n\n" if name == "main" else "") + table(entry["options"]))
    parts.append("---\nMade from `meta/argument_specs.yml` by `make docs`.")
    return "\n\n".join(parts) + "\n"


def main() -> int:
    """Write, or compare."""
    old = [role for role in roles() if not _is_current(role)]
    if "--check" in sys.argv:
        for role in old:
            print(f"roles/{role.name}/README.md is not what meta/argument_specs.yml says. Run `make docs`.")
        return int(bool(old))
    for role in old:
        (role / "README.md").write_text(readme(role), encoding="utf-8")
        print(f"written: roles/{role.name}/README.md")
    return 0


def _is_current(role: pathlib.Path) -> bool:
    path = role / "README.md"
    return path.exists() and path.read_text(encoding="utf-8") == readme(role)


if __name__ == "__main__":
    sys.exit(main())
