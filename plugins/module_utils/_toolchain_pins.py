# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What toolchain/versions.yml says: which tools and files there are, at which versions, with which checksums."""

from __future__ import annotations

import difflib
import hashlib
import platform
import re
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from ansible.module_utils.common.yaml import HAS_YAML, yaml_load

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
# Whichever `check` is asked, its answer holds one version: v1.2.3, 1.2.3 or v=1.2.3, perhaps with a suffix.
VERSION = re.compile(r"\bv?=?(\d+)\.(\d+)(?:\.(\d+))?((?:-[0-9A-Za-z.-]+)?)(?:\+[0-9A-Za-z.-]+)?")


def this_platform() -> tuple[str, str]:
    """Operating system and architecture of this machine, as Go names them."""
    machine = platform.machine().lower()
    return platform.system().lower(), _ARCHITECTURES.get(machine, machine)


def parse_version(text: str) -> tuple[int, int, int, str] | None:
    """The first version in a text: its three numbers and its pre-release suffix."""
    found = VERSION.search(text)
    if not found:
        return None
    return int(found[1]), int(found[2]), int(found[3] or 0), found[4]


def words_of(version: str, **more: str) -> dict[str, str]:
    """What the placeholders of versions.yml stand for at one version."""
    numbers = parse_version(version) or (0, 0, 0, "")
    os_name, arch = this_platform()
    return {
        "version": version,
        "number": version.lstrip("v"),
        "major": str(numbers[0]),
        "minor": str(numbers[1]),
        "patch": str(numbers[2]),
        "os": os_name,
        "arch": arch,
        **more,
    }


@dataclass(frozen=True)
class Wheel:
    """A Python wheel that is fetched for what is inside it."""

    name: str
    version: str
    sha256: tuple[str, ...]
    python: str | None = None


@dataclass(frozen=True)
class Tool:
    """One program of a group."""

    name: str
    names: tuple[str, ...]
    check: tuple[str, ...]
    package: str | None
    aliases: tuple[str, ...]
    release: str | None
    sha256: t.Mapping[str, str]
    member: str | None


@dataclass(frozen=True)
class Group:
    """Programs of one version that are built, and cached, together."""

    name: str
    version: str
    module: str | None
    wheel: Wheel | None
    at_least: str | None
    stamp: t.Mapping[str, str]
    disk_gib: float
    tools: t.Mapping[str, Tool]
    staging: str | None = None
    replace: t.Mapping[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What the user reads: name and version."""
        return f"{self.name} {self.version}"

    @property
    def folder(self) -> str:
        """Its folder below the cache's tools."""
        return f"{self.name}@{self.version}"

    @property
    def wanted(self) -> str:
        """Which versions serve, in words."""
        return f"{self.at_least} or later" if self.at_least else self.version

    def fits(self, found: tuple[int, int, int, str] | None) -> bool:
        """Whether a program of that version may be used; a pre-release or a vendor's variant may not."""
        wanted = parse_version(self.at_least or self.version)
        if found is None or wanted is None or found[3]:
            return False
        return found[:3] >= wanted[:3] if self.at_least else found[:3] == wanted[:3]

    def import_path(self, tool: Tool) -> str:
        """The Go package of a tool."""
        return f"{self.module}/{tool.package}".rstrip("/")

    def linker_flags(self) -> str:
        """Stripped, with the version where the upstream's own build puts it."""
        words = words_of(self.version)
        return " ".join(["-s", "-w", *(f"-X {name}={value.format(**words)}" for name, value in self.stamp.items())])


@dataclass(frozen=True)
class FileSet:
    """Files of one release at one version.

    :arg sha256: Checksum by path, of every file that any of its names stands for.
    """

    name: str
    version: str
    module: str
    url: str | None
    names: t.Mapping[str, str]
    sha256: t.Mapping[str, str]

    @property
    def folder(self) -> str:
        """Its folder below the cache's files."""
        return f"{self.name}@{self.version}"

    def paths(self, name: str) -> list[str]:
        """The files that one name stands for."""
        root = self.names[name]
        return [path for path in self.sha256 if path == root or path.startswith(root + "/")]


@dataclass(frozen=True)
class Request:
    """What is asked for: a tool (or an alias of one) or a file, at its version."""

    name: str
    version: str
    group: Group | None = None
    tool: Tool | None = None
    files: FileSet | None = None


class Pins:
    """The content of versions.yml.

    :arg folder: Folder of versions.yml and of the Go modules.
    :arg data: Its parsed content.
    """

    def __init__(self, folder: Path, data: dict[str, t.Any]) -> None:
        self.folder = folder
        self.data = data
        self.go_minimum = str(data["go"]["minimum"])
        self.go_binary = str(data["go"]["binary"])
        self.wheels = {name: _wheel(name, entry) for name, entry in data["wheels"].items()}
        self.groups = {name: self._group(name, entry) for name, entry in data["groups"].items()}
        self.files = {
            name: {version: _files(name, entry, version) for version in entry["versions"]}
            for name, entry in data["files"].items()
        }

    @classmethod
    def load(cls, folder: str | Path) -> Pins:
        """Read versions.yml of a toolchain folder.

        :raises HubspokeError: it is not there, or not what it should be.
        """
        path = Path(folder) / "versions.yml"
        if not HAS_YAML:
            raise HubspokeError("PyYAML is missing.", "Install it into the Python that runs this module.")
        try:
            return cls(Path(folder), yaml_load(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise HubspokeError(
                f"{path} cannot be read: {error.strerror}.", "`folder` must be the collection's own folder toolchain/."
            ) from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise HubspokeError(
                f"{path} is not a list of pinned versions: {type(error).__name__} {error}.",
                "Restore it from the collection.",
            ) from error

    @property
    def go_wheel(self) -> Wheel:
        """The wheel with a Go toolchain inside."""
        return self.wheels[self.data["go"]["wheel"]]

    def names(self) -> list[str]:
        """Everything that can be asked for."""
        tools = [
            name
            for group in self.groups.values()
            for tool in group.tools.values()
            for name in (tool.name, *tool.aliases)
        ]
        return tools + [name for entry in self.data["files"].values() for name in entry["names"]]

    def request(self, asked: str | t.Mapping[str, t.Any]) -> Request:
        """What an element of the module's `tools` means.

        :raises HubspokeError: there is no such tool or file, or not at that version.
        """
        entry = asked if isinstance(asked, dict) else {"name": asked}
        name, version = entry.get("name"), entry.get("version")
        if not isinstance(name, str) or not isinstance(version, (str, type(None))):
            raise HubspokeError(f"tools holds {asked!r}.", "Give a name, or a mapping with name and version.")
        for group in self.groups.values():
            for tool in group.tools.values():
                if name == tool.name or name in tool.aliases:
                    self._check_version(name, version, [group.version])
                    return Request(name, group.version, group=group, tool=tool)
        for sets in self.files.values():
            for files in sets.values():
                if name in files.names and version in (None, files.version):
                    return Request(name, files.version, files=files)
            if any(name in files.names for files in sets.values()):
                self._check_version(name, version, list(sets))
        close = difflib.get_close_matches(name, self.names(), 1)
        raise HubspokeError(
            f"tools asks for {name}, which toolchain/versions.yml does not have.",
            (f"Did you mean {close[0]}? " if close else "") + f"It has: {', '.join(self.names())}.",
        )

    @staticmethod
    def _check_version(name: str, version: str | None, pinned: list[str]) -> None:
        if version is not None and version not in pinned:
            raise HubspokeError(
                f"{name} is asked for at version {version}, which is not pinned.",
                f"Pinned in toolchain/versions.yml: {', '.join(pinned)}. Ask for one of these, or pin another there.",
            )

    def _group(self, name: str, entry: dict[str, t.Any]) -> Group:
        wheel = self.wheels[entry["wheel"]] if "wheel" in entry else None
        return Group(
            name=name,
            version=wheel.version if wheel else str(entry["version"]),
            module=entry.get("module"),
            wheel=wheel,
            at_least=entry.get("at_least"),
            stamp=entry.get("stamp", {}),
            disk_gib=float(entry.get("disk_gib", 1)),
            tools={tool: _tool(tool, options) for tool, options in entry["tools"].items()},
            staging=entry.get("staging"),
            replace=entry.get("replace", {}),
        )

    def recipe(self, group: Group, tool: Tool) -> str:
        """A digest of everything that decides what a built tool is: a cached one of another recipe is made anew."""
        digest = hashlib.sha256()
        parts = [
            group.linker_flags(),
            tool.package or "",
            tool.member or "",
            *(group.wheel.sha256 if group.wheel else ()),
        ]
        digest.update("\n".join(parts).encode())
        try:
            for name in ("go.mod", "go.sum") if group.module else ():
                digest.update((self.folder / group.name / name).read_bytes())
        except OSError as error:
            raise HubspokeError(
                f"{error.filename} cannot be read: {error.strerror}.",
                "Restore it from the collection, or run `make pins`.",
            ) from error
        return digest.hexdigest()


def _wheel(name: str, entry: dict[str, t.Any]) -> Wheel:
    version = str(entry["version"])
    return Wheel(name, version, tuple((entry.get("sha256") or {}).get(version, ())), entry.get("python"))


def _tool(name: str, entry: dict[str, t.Any]) -> Tool:
    return Tool(
        name=name,
        names=tuple(entry.get("names", [name])),
        check=tuple(entry["check"]),
        package=entry.get("package"),
        aliases=tuple(entry.get("aliases", [])),
        release=entry.get("release"),
        sha256=entry.get("sha256", {}),
        member=entry.get("member"),
    )


def _files(name: str, entry: dict[str, t.Any], version: str) -> FileSet:
    return FileSet(
        name=name,
        version=version,
        module=entry["module"],
        url=entry.get("url"),
        names=entry["names"],
        sha256=entry["versions"][version] or {},
    )
