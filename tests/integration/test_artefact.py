# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The built collection holds what it should, and runs from where it was installed."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import typing as t

import pytest

from .conftest import ROOT, ansible_environment

COLLECTION = pathlib.Path("ansible_collections/hubspoke/bootstrap")
DEPENDENCIES = ROOT / ".venv/collections/ansible_collections"
# A line that a private key or a password in clear text would have.
SECRET = re.compile(rb"BEGIN [A-Z ]*PRIVATE KEY|AGE-SECRET-KEY-(PQ-)?1[0-9A-Z]{20}|gh[pousr]_[A-Za-z0-9]{36}")


def _galaxy(folder: pathlib.Path, *arguments: str, cwd: pathlib.Path = ROOT) -> str:
    # Only that folder's collections are known: what is installed in this checkout would be "nothing to do".
    environment = {**ansible_environment(folder), "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections")}
    command = [sys.executable, "-m", "ansible", "galaxy", "collection", *arguments]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The tarball, built from what a clone would have: not from what happens to lie about in this checkout."""
    folder = tmp_path_factory.mktemp("build")
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    source = folder / "source"
    for name in filter(None, listing.stdout.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    # Lying about, and not to be packed.
    (source / ".state/clusters").mkdir(parents=True)
    (source / ".state/clusters/kubeconfig").write_text("a secret")
    _galaxy(folder, "build", "--output-path", str(folder), cwd=source)
    (path,) = folder.glob("hubspoke-bootstrap-*.tar.gz")
    return path


@pytest.fixture(scope="module")
def installed(artefact: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """An empty place with the artefact and the collections it depends on, nothing of this checkout."""
    folder = tmp_path_factory.mktemp("installed")
    _galaxy(folder, "install", str(artefact), "--no-deps", "--collections-path", str(folder / "collections"))
    for dependency in ("kubernetes", "amazon", "community"):
        (folder / "collections/ansible_collections" / dependency).symlink_to(DEPENDENCIES / dependency)
    return folder


def _names(artefact: pathlib.Path) -> set[str]:
    with tarfile.open(artefact) as archive:
        return {member.name for member in archive.getmembers() if member.isfile()}


def test_it_holds_what_is_needed(artefact: pathlib.Path) -> None:
    names = _names(artefact)
    assert {"MANIFEST.json", "FILES.json", "README.md", "LICENSE", "meta/runtime.yml"} <= names
    assert {"toolchain/versions.yml", "toolchain/kubernetes/go.mod", "toolchain/kubernetes/go.sum"} <= names
    assert {"playbooks/bootstrap.yml", "plugins/modules/manifest.py", "plugins/action/manifest.py"} <= names
    for kind in ("modules", "action"):
        here = {f"plugins/{kind}/{path.name}" for path in (ROOT / "plugins" / kind).glob("*.py")}
        assert here <= names
    for role in (path.name for path in (ROOT / "roles").iterdir() if (path / "tasks/main.yml").exists()):
        assert f"roles/{role}/tasks/main.yml" in names


def test_it_holds_nothing_else(artefact: pathlib.Path) -> None:
    allowed = {"changelogs", "docs", "inventories", "meta", "playbooks", "plugins", "roles", "toolchain"}
    files = {
        "bootstrap.yml",
        "CHANGELOG.rst",
        "FILES.json",
        "LICENSE",
        "MANIFEST.json",
        "README.md",
        "requirements.yml",
    }
    strange = {name for name in _names(artefact) if name.split("/")[0] not in allowed | files}
    assert not strange
    assert not {name for name in _names(artefact) if "__pycache__" in name or name.endswith((".pyc", ".log"))}


def test_it_holds_no_secret(artefact: pathlib.Path) -> None:
    with tarfile.open(artefact) as archive:
        for member in archive.getmembers():
            stream = archive.extractfile(member)
            assert not (stream and SECRET.search(stream.read())), member.name


def _play(folder: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **ansible_environment(folder),
        "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections"),
    }
    del environment["ANSIBLE_CALLBACKS_ENABLED"]
    return subprocess.run(
        [sys.executable, "-m", "ansible", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_every_module_and_role_resolves(installed: pathlib.Path) -> None:
    for kind, folder in (("module", "plugins/modules"), ("role", "roles")):
        names = [path.stem for path in (ROOT / folder).iterdir() if not path.name.startswith("_")]
        done = _play(installed, "doc", "-t", kind, *(f"hubspoke.bootstrap.{name}" for name in names))
        assert done.returncode == 0, done.stderr
        assert "not found" not in done.stderr
        assert str(installed) in done.stdout


def test_modules_run_from_there(installed: pathlib.Path) -> None:
    """In process, with the toolchain's pins of the installed collection."""
    done = _play(
        installed, "adhoc", "localhost", "-m", "hubspoke.bootstrap.toolchain", "-a", "tools=kubectl", "--check"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "kubectl" in done.stdout


def test_a_playbook_runs_from_there(installed: pathlib.Path) -> None:
    """Status of a fleet that does not exist yet: says so, and is no failure."""
    inventory = installed / "inventory"
    shutil.copytree(ROOT / "inventories/dev", inventory)
    done = _play(
        installed,
        "playbook",
        "hubspoke.bootstrap.status",
        "-i",
        str(inventory),
        "-e",
        f"hubspoke_state_dir={installed / 'state'} cluster_provider=kwok",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"failed=0", done.stdout)
    assert not os.path.lexists(installed / "state/clusters")


def test_dependencies_are_those_of_requirements_yml() -> None:
    import yaml

    galaxy: dict[str, t.Any] = yaml.safe_load((ROOT / "galaxy.yml").read_text())
    wanted = yaml.safe_load((ROOT / "requirements.yml").read_text())["collections"]
    assert galaxy["dependencies"] == {entry["name"]: entry["version"] for entry in wanted}
