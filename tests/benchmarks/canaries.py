# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A look for secrets where they do not belong: arguments of processes, and files while something runs and after it."""

from __future__ import annotations

import base64
import collections.abc
import contextlib
import os
import pathlib
import threading
import typing as t

PAUSE = 0.003
"""Seconds between two looks; the shortest process that gets a secret, sops, lives for ten times as long."""
STORES = frozenset({"etcd"})
"""An API server's own store holds Secrets as every cluster's does."""


class Scan:
    """Looks at every process and at folders again and again, from `with` to its end.

    :arg words: What is secret.
    :arg temporary: Folders whose files come and go.
    """

    def __init__(self, words: collections.abc.Iterable[str], temporary: list[pathlib.Path]) -> None:
        self._words = [form for word in words for form in _forms(word)]
        self._temporary = temporary
        self._seen: dict[pathlib.Path, tuple[int, int]] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.found: set[str] = set()

    def __enter__(self) -> Scan:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def text(self, where: str, content: bytes) -> None:
        """Look at something."""
        if any(word in content for word in self._words):
            self.found.add(where)

    def folder(self, path: pathlib.Path) -> None:
        """Look at every file of a folder, but for stores of API servers."""
        # Not rglob, which gives up over a folder that goes away meanwhile.
        for place, folders, names in os.walk(path):
            folders[:] = [name for name in folders if name not in STORES]
            for name in names:
                self._file(pathlib.Path(place, name))

    def _look(self) -> None:
        while not self._end.wait(PAUSE):
            for path in pathlib.Path("/proc").iterdir():
                # It may have ended meanwhile.
                with contextlib.suppress(OSError):
                    if path.name.isdigit():
                        self.text("arguments of a process", (path / "cmdline").read_bytes())
            for folder in self._temporary:
                self.folder(folder)

    def _file(self, path: pathlib.Path) -> None:
        # It may have gone meanwhile; a socket or a pipe is no file.
        with contextlib.suppress(OSError):
            state = path.stat()
            if path.is_file() and self._seen.get(path) != (state.st_mtime_ns, state.st_size):
                self._seen[path] = (state.st_mtime_ns, state.st_size)
                self.text(str(path), path.read_bytes())


def _forms(word: str) -> t.Iterator[bytes]:
    """As it is, and what of it is the same in Base64 wherever in a text it begins."""
    plain = word.encode()
    yield plain
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + plain)
        yield whole[(0, 2, 3)[before] : len(whole) - 4]
