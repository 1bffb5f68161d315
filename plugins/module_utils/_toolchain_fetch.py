# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fetching: release files over HTTP, wheels through pip. Nothing passes without its checksum."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import shutil
import sys
import tarfile
import typing as t
import urllib.error
import zipfile
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from ansible.module_utils.urls import ConnectionError as UrlConnectionError
from ansible.module_utils.urls import SSLValidationError, open_url

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Progress
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_cache import Cache, sha256_of
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_pins import Wheel
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_process import (
    Paced,
    Watched,
    disk_full,
)

_MB = 1_000_000
_CHUNK = 1 << 18
_NO_ANSWER = (OSError, urllib.error.URLError, http.client.HTTPException, UrlConnectionError, SSLValidationError)


class Unavailable(Exception):
    """One way did not lead there; the text says why."""


class Fetcher:
    """Fetches into the cache's downloads, and remembers hosts that did not answer.

    :arg cache: Where what is under way is kept, so that a broken download is continued.
    """

    def __init__(self, cache: Cache, progress: Progress) -> None:
        self._cache = cache
        self._progress = progress
        self._silent: dict[str, str] = {}

    def release(self, url: str, sha256: str, label: str, timeout: float = 20) -> Path:
        """Fetch a file whose checksum is known; what an earlier try left is continued.

        :raises Unavailable: no answer, or not this file.
        """
        host = urlsplit(url).netloc
        if host in self._silent:
            raise Unavailable(f"{url}: {self._silent[host]}")
        name = hashlib.sha256(f"{url} {sha256}".encode()).hexdigest()[:32]
        part = self._cache.make(self._cache.root / "downloads") / f"{name}.part"
        continued = _size(part) > 0
        self._download(url, part, label, timeout)
        found = sha256_of(part)
        if found != sha256 and continued:
            # What was there need not have been the beginning of this file.
            part.unlink()
            self._download(url, part, label, timeout)
            found = sha256_of(part)
        if found != sha256:
            part.unlink()
            raise Unavailable(f"{url} has checksum sha256:{found}, pinned is sha256:{sha256}")
        return part

    def _download(self, url: str, part: Path, label: str, timeout: float) -> None:
        """Fetch what is missing of a file; a broken connection is taken up again as long as that brings something."""
        while True:
            size = _size(part)
            try:
                self._fetch(url, part, label, timeout)
            except urllib.error.HTTPError as error:
                raise Unavailable(f"{url}: HTTP {error.code} {error.reason}") from error
            except _NO_ANSWER as error:
                if _size(part) > size:
                    continue
                reason = str(getattr(error, "reason", None) or error) or type(error).__name__
                self._silent[urlsplit(url).netloc] = reason
                raise Unavailable(f"{url}: {reason}") from error
            return

    def _fetch(self, url: str, part: Path, label: str, timeout: float) -> None:
        offset = _size(part)
        headers = {"Range": f"bytes={offset}-"} if offset else None
        try:
            with open_url(url, headers=headers, timeout=timeout, decompress=False) as answer:
                self._store(answer, part, offset if answer.status == http.client.PARTIAL_CONTENT else 0, label)
        except urllib.error.HTTPError as error:
            # Nothing is missing: the checksum says whether it is the file.
            if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise

    def _store(self, answer: t.Any, part: Path, offset: int, label: str) -> None:
        length = answer.headers.get("Content-Length")
        whole = offset + int(length) if length else None
        of = f" of {whole / _MB:.1f} MB" if whole else " MB"
        say = Paced(self._progress)
        if offset:
            self._progress(f"{label}: continuing after {offset / _MB:.1f}{of} of {answer.geturl()}")
        elif whole is None or whole > 5 * _MB:
            self._progress(f"{label}: fetching {answer.geturl()}{f', {whole / _MB:.1f} MB' if whole else ''}")
        with self._cache.writing():
            # Unbuffered: what cannot be written is said here, and not once more when the file is closed.
            file = part.open("r+b" if offset else "wb", buffering=0)
        with file:
            file.seek(offset)
            while chunk := memoryview(answer.read(_CHUNK)):
                offset += len(chunk)
                with self._cache.writing():
                    while chunk:
                        chunk = chunk[file.write(chunk) :]
                say(f"{label}: fetched {offset / _MB:.1f}{of}")
            if whole and offset < whole:
                raise http.client.IncompleteRead(b"", whole - offset)

    def wheel(self, wheel: Wheel, workshop: Path) -> Path:
        """Fetch a wheel for this machine with pip, as pip is set up here.

        :arg workshop: A folder of the cache's to work in.
        :raises Unavailable: pip is missing, finds none for this platform, or gets another file.
        """
        label = f"{wheel.name} {wheel.version}"
        if not wheel.sha256:
            raise Unavailable(f"the wheel {label} has no checksum in versions.yml: run `make pins`")
        requirement = workshop / "requirement.txt"
        store, temporary = workshop / "wheel", workshop / "tmp"
        store.mkdir()
        temporary.mkdir()
        hashes = " ".join(f"--hash=sha256:{value}" for value in wheel.sha256)
        requirement.write_text(f"{wheel.name}=={wheel.version} {hashes}\n", encoding="utf-8")
        self._pip(wheel, requirement, store, temporary)
        found = next(store.glob("*.whl"), None)
        if found is None or sha256_of(found) not in wheel.sha256:
            raise Unavailable(f"the wheel {label} that pip brought has another checksum than versions.yml")
        return found

    def _pip(self, wheel: Wheel, requirement: Path, store: Path, temporary: Path) -> None:
        label = f"{wheel.name} {wheel.version}"
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes"]
        command += ["--disable-pip-version-check", "--no-input", "--progress-bar=off", "--retries=2"]
        if wheel.python:
            command += ["--implementation=cp", f"--python-version={wheel.python[2:]}", f"--abi={wheel.python}"]
        say = Paced(self._progress, 3)

        def tick(seconds: float) -> None:
            size = _size_below(temporary)
            say(f"{label}: fetched {size / _MB:.0f} MB, {seconds:.0f} s")

        self._progress(f"{label}: fetching its wheel")
        environment = {**os.environ, "TMPDIR": str(temporary)}
        command += ["-d", str(store), "-r", str(requirement)]
        status, words = Watched(command, environment, store, on_tick=tick).run()
        if status and disk_full(words):
            raise self._cache.full(f"there is no room for the wheel {label}")
        if status:
            lines = words.splitlines()
            errors = [line.partition(": ")[2] for line in lines if line.startswith("ERROR: ")] or lines[-1:]
            raise Unavailable(f"the wheel {label} cannot be fetched: {'; '.join(errors[:2])}")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _size_below(folder: Path) -> int:
    """Size of everything below a folder that another process is writing to."""
    size = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                size += Path(root, name).stat().st_size
    return size


def unpack(wheel: Path, folder: Path, members: t.Sequence[str] = ()) -> None:
    """Unpack a wheel with the modes of its files; of it all, or what lies at or below the given paths.

    :raises Unavailable: nothing of the kind is in it.
    """
    count = 0
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            name = info.filename
            wanted = not members or any(name == member or name.startswith(f"{member}/") for member in members)
            if not wanted or info.is_dir():
                continue
            target = Path(archive.extract(info, folder))
            target.chmod(0o755 if (info.external_attr >> 16) & 0o111 else 0o644)
            count += 1
    if not count:
        raise Unavailable(f"{wheel.name} holds no {', '.join(members)}")


def member_of(archive: Path, member: str, workshop: Path) -> Path:
    """One file out of a tar or zip archive.

    :raises Unavailable: it is not in there.
    """
    out = workshop / PurePosixPath(member).name
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed, packed.open(member) as zipped, out.open("wb") as file:
                shutil.copyfileobj(zipped, file)
        else:
            with tarfile.open(archive) as tar:
                inner = tar.extractfile(member)
                if inner is None:
                    raise KeyError(member)
                with inner, out.open("wb") as file:
                    shutil.copyfileobj(inner, file)
    except (KeyError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise Unavailable(f"the archive of the release holds no {member}") from error
    return out
