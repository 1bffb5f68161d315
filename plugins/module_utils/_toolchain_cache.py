# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where tools are kept: one folder for each version, outside the checkout, shared by every set-up of this user.

What is being made lies in a folder of its own beside its place, and is moved there whole. So a tool that is there
is complete, whoever was killed meanwhile, and a lock for each folder lets one set-up work while the others wait.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
import typing as t
from pathlib import Path

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Progress

_RECORD = ".made.json"
_GIB = 1 << 30


def default_folder(environment: t.Mapping[str, str]) -> Path:
    """The cache's folder where none is given."""
    if environment.get("HUBSPOKE_CACHE_DIR"):
        return Path(environment["HUBSPOKE_CACHE_DIR"]).expanduser()
    base = environment.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "hubspoke"


def sha256_of(path: Path) -> str:
    """Checksum of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


class Cache:
    """The folder and its rules.

    :arg root: Its path; made when first something is to be written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def tools(self, folder: str) -> Path:
        """Folder of one group's binaries at one version; it can stand in a PATH."""
        return self.root / "tools" / folder

    def files(self, folder: str) -> Path:
        """Folder of one release's files at one version."""
        return self.root / "files" / folder

    def make(self, folder: Path) -> Path:
        """A folder of the cache, made where it is missing.

        :raises HubspokeError: it cannot be written.
        """
        with self.writing():
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return folder

    @contextlib.contextmanager
    def writing(self) -> t.Iterator[None]:
        """What goes wrong while the cache is written, as one message."""
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise self.full(str(error.strerror)) from error
            raise HubspokeError(
                f"The tool cache {self.root} cannot be written: {error.strerror or error}.",
                "Make it writable, or name another folder (`cache_dir`, or HUBSPOKE_CACHE_DIR of the shell).",
            ) from error

    def need(self, gib: float, what: str, *others: Path) -> None:
        """Refuse before the disk is full.

        :arg others: Folders outside the cache that grow too.
        :raises HubspokeError: less than that is free.
        """
        for folder in (self.root, *others):
            there = next(path for path in (folder, *folder.parents) if path.exists())
            free = shutil.disk_usage(there).free / _GIB
            if free < gib:
                raise self.full(f"{what} needs about {gib:g} GB below {folder}, {free:.1f} GB are free")

    def full(self, what: str) -> HubspokeError:
        """The error of a full disk."""
        return HubspokeError(
            f"The disk is full: {what}.",
            f"Make room, or move the tool cache from {self.root} (`cache_dir`, or HUBSPOKE_CACHE_DIR of the shell).",
        )

    @contextlib.contextmanager
    def lock(self, folder: Path, label: str, progress: Progress) -> t.Iterator[None]:
        """Be the only one who makes what goes into that folder; the kernel frees the lock of one who dies."""
        path = self.make(self.root / "locks") / f"{folder.parent.name}-{folder.name}.lock"
        with self.writing():
            file = path.open("a+", encoding="utf-8")
        with file:
            self._wait(file, label, progress)
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            self._sweep(folder)
            yield

    @staticmethod
    def _wait(file: t.TextIO, label: str, progress: Progress) -> None:
        began = told = time.monotonic()
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                now = time.monotonic()
                if told == began or now - told >= 10:
                    file.seek(0)
                    owner = file.read().strip()
                    who = f"another set-up (process {owner})" if owner else "another set-up"
                    progress(f"{label}: {who} is making it; waiting, {now - began:.0f} s")
                    told = now
                time.sleep(0.2)
            else:
                return

    @staticmethod
    def _sweep(folder: Path) -> None:
        """Take away what set-ups left behind that were killed: under the lock no living one has such a folder."""
        for path in folder.parent.glob(f".{folder.name}.*"):
            remove(path)

    @contextlib.contextmanager
    def workshop(self, folder: Path) -> t.Iterator[Path]:
        """A folder beside that one to make things in; gone in the end."""
        self.make(folder.parent)
        with self.writing():
            path = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            with self.writing():
                yield path
        finally:
            remove(path)

    def place(self, made: Path, folder: Path, name: str, mode: int = 0o644, **record: t.Any) -> Path:
        """Move a finished file to its place, whole or not at all.

        :arg record: What is to be remembered of it (how it was made).
        """
        self.make(folder)
        target = folder / name
        with self.writing():
            target.parent.mkdir(parents=True, exist_ok=True)
            made.chmod(mode)
            with made.open("rb") as file:
                os.fsync(file.fileno())
            size = made.stat().st_size
            os.replace(made, target)
            if record:
                self._remember(folder, name, {**record, "size": size})
        return target

    def _remember(self, folder: Path, name: str, entry: dict[str, t.Any]) -> None:
        path = folder / f"{_RECORD}.new"
        path.write_text(json.dumps({**self.record(folder), name: entry}, indent=1, sort_keys=True), encoding="utf-8")
        os.replace(path, folder / _RECORD)

    @staticmethod
    def record(folder: Path) -> dict[str, t.Any]:
        """What is remembered of the files in a folder."""
        try:
            found = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def has(self, folder: Path, name: str, recipes: t.Collection[str]) -> bool:
        """Whether a tool is there, whole, and made as it would be made today."""
        entry = self.record(folder).get(name, {})
        path = folder / name
        return entry.get("recipe") in recipes and path.is_file() and path.stat().st_size == entry.get("size")

    def link(self, path: Path, target: str) -> bool:
        """Make a symbolic link; says whether it was not there already."""
        if path.is_symlink() and os.readlink(path) == target:
            return False
        self.make(path.parent)
        with self.writing():
            new = path.with_name(f".{path.name}.{os.getpid()}")
            new.unlink(missing_ok=True)
            new.symlink_to(target)
            os.replace(new, path)
        return True


def remove(path: Path) -> None:
    """Take a file or a folder away, Go's read-only folders too."""
    if path.is_dir() and not path.is_symlink():
        for folder, _, _ in os.walk(path):
            with contextlib.suppress(OSError):
                os.chmod(folder, 0o700)
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
