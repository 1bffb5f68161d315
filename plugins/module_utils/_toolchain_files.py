# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files of a release (manifests, scripts): out of its Go module or from its address, always against their checksum."""

from __future__ import annotations

import shutil
import typing as t
from pathlib import Path

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Progress
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_cache import Cache, sha256_of
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_fetch import Fetcher, Unavailable
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_find import describe, missing_files
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_go import Go, GoFinder
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_pins import FileSet, words_of


class Files:
    """Finds and fetches files of releases.

    :arg go: Where a Go comes from, should one be needed.
    """

    def __init__(self, cache: Cache, fetcher: Fetcher, go: GoFinder, progress: Progress) -> None:
        self._cache = cache
        self._fetcher = fetcher
        self._go = go
        self._progress = progress

    def resolve(self, name: str, files: FileSet, check: bool) -> tuple[Path, str]:
        """Where a file (or a folder) is, and where it came from; fetched if it is missing.

        :arg check: Fetch nothing.
        :raises HubspokeError: it cannot be had in any way.
        """
        folder = self._cache.files(files.folder)
        path, label = folder / files.names[name], f"{name} {files.version}"
        if not missing_files(self._cache, files, name):
            return path, "cache"
        if check:
            return path, "release"
        tried: list[tuple[str, str]] = []
        with self._cache.lock(folder, label, self._progress):
            left = missing_files(self._cache, files, name)
            if not left:
                return path, "cache"
            with self._cache.workshop(folder) as workshop:
                for origin, way in (
                    ("module", self._from_present_module),
                    ("release", self._from_address),
                    ("module", self._from_module),
                ):
                    try:
                        way(files, left, workshop, label)
                    except Unavailable as error:
                        tried.append((origin, str(error)))
                    else:
                        return path, origin
        raise HubspokeError(
            f"{label} cannot be had in any way:\n{describe(tried[1:])}",
            f"\nOpen the way to its release or to a Go module proxy, or put the file at {path}.",
            tried=[{"way": way, "reason": reason} for way, reason in tried[1:]],
        )

    def _from_present_module(self, files: FileSet, left: t.Sequence[str], workshop: Path, label: str) -> None:
        """From a module that a build has downloaded already: the quickest, and it needs no network."""
        go = self._go.at_hand()
        if go is None:
            raise Unavailable("there is no Go yet")
        self._copy(go, files, left, workshop, label, GOPROXY="off")

    def _from_module(self, files: FileSet, left: t.Sequence[str], workshop: Path, label: str) -> None:
        self._copy(self._go.go(), files, left, workshop, label)

    def _copy(
        self, go: Go, files: FileSet, left: t.Sequence[str], workshop: Path, label: str, **environment: str
    ) -> None:
        source = go.module(files.module, files.version, workshop, label, self._progress, **environment)
        for path in left:
            copy = workshop / "file"
            if not (source / path).is_file():
                raise Unavailable(f"{files.module} {files.version} has no {path}")
            with self._cache.writing():
                shutil.copyfile(source / path, copy)
            if sha256_of(copy) != files.sha256[path]:
                raise Unavailable(f"{path} of {files.module} {files.version} has another checksum than versions.yml")
            self._cache.place(copy, self._cache.files(files.folder), path, _mode(path))

    def _from_address(self, files: FileSet, left: t.Sequence[str], workshop: Path, label: str) -> None:
        if not files.url:
            raise Unavailable("no release address is known")
        for path in left:
            url = files.url.format(**words_of(files.version, path=path))
            file = self._fetcher.release(url, files.sha256[path], label)
            self._cache.place(file, self._cache.files(files.folder), path, _mode(path))


def _mode(path: str) -> int:
    """A module's archive keeps no modes."""
    return 0o755 if path.endswith(".sh") else 0o644
