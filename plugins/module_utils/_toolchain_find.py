# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is there already: tools on PATH whose version fits, tools and files in the cache."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_cache import Cache, sha256_of
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_pins import (
    FileSet,
    Group,
    Pins,
    Tool,
    parse_version,
    this_platform,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_process import answer


@dataclass
class OnPath:
    """What PATH has of a tool: one that fits, or why none does."""

    path: Path | None
    reasons: list[str]


def on_path(group: Group, tool: Tool, search: str) -> OnPath:
    """Look a tool up in every folder of PATH, by asking each one found for its version.

    :arg search: The value of PATH.
    """
    reasons: list[str] = []
    seen: set[str] = set()
    for folder in filter(None, search.split(os.pathsep)):
        for name in tool.names:
            path = Path(folder, name)
            real = os.path.realpath(path)
            if real in seen or not (path.is_file() and os.access(path, os.X_OK)):
                continue
            seen.add(real)
            words = answer([str(path), *tool.check])
            if group.fits(parse_version(words or "")):
                return OnPath(path.absolute(), reasons)
            reasons.append(f"{path} is {_version_text(words)}, {group.wanted} is needed")
    return OnPath(None, reasons or [f"there is no {' or '.join(tool.names)} on PATH"])


def _version_text(words: str | None) -> str:
    found = parse_version(words or "")
    return "v{}.{}.{}{}".format(*found) if found else "of no known version"


def release_of(group: Group, tool: Tool) -> str | None:
    """Pinned checksum of the tool's release for this machine, None where none is."""
    return tool.sha256.get("/".join(this_platform())) if tool.release else None


def in_cache(pins: Pins, cache: Cache, group: Group, tool: Tool) -> Path | None:
    """The tool in the cache, made as it would be made now."""
    recipes = [pins.recipe(group, tool), *filter(None, [release_of(group, tool)])]
    folder = cache.tools(group.folder)
    return folder / tool.name if cache.has(folder, tool.name, recipes) else None


def missing_files(cache: Cache, files: FileSet, name: str) -> list[str]:
    """Which files that a name stands for are not in the cache as they should be.

    :raises HubspokeError: their checksums are not known.
    """
    folder = cache.files(files.folder)
    paths = files.paths(name)
    if not paths:
        raise HubspokeError(
            f"toolchain/versions.yml has no checksum of {name} {files.version}.", "Run `make pins`, which adds it."
        )
    return [path for path in paths if not _is(folder / path, files.sha256[path])]


def _is(path: Path, sha256: str) -> bool:
    try:
        return sha256_of(path) == sha256
    except OSError:
        return False


def describe(reasons: t.Iterable[tuple[str, str]]) -> str:
    """The ways that were tried, one a line."""
    return "\n".join(f"  - {way}: {reason}" for way, reason in reasons)
