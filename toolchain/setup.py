# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Set-up of the checkout: virtual environment, collections, and the checkout itself under its collection's name.

Repeatable: what is there is kept, a second run takes a few hundredths of a second. Two at once wait for each other.
One that was killed is seen by its missing stamp, which is written last, and done anew. Standard library only, until
the packages are in.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import typing as t
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin/python"
COLLECTIONS = VENV / "collections/ansible_collections"
STAMP = VENV / "setup.json"
LOCK = ROOT / ".cache/setup.lock"
# Out of the `ansible` wheel, which carries a hundred and more.
WANTED = ("kubernetes/core", "amazon/aws", "community/aws", "community/sops")


def main() -> int:
    """Do what is missing."""
    if sys.argv[1:] == ["--collections"]:
        unpack_collections()
        return 0
    with lock():
        wanted = {
            "root": str(ROOT),
            "requirements": digest("requirements.txt"),
            "versions": digest("toolchain/versions.yml"),
        }
        found = read_stamp()
        if found == wanted:
            return 0
        if found is None or found.get("root") != wanted["root"]:
            make_environment()
            found = {"root": wanted["root"]}
        if found.get("requirements") != wanted["requirements"]:
            # A pip that is killed leaves packages half installed, and takes them for whole later: begin anew then.
            STAMP.unlink(missing_ok=True)
            install_packages()
            found = {"root": wanted["root"], "requirements": wanted["requirements"]}
            write_stamp(found)
        if found.get("versions") != wanted["versions"]:
            run("collections", [str(PYTHON), __file__, "--collections"])
        link_checkout()
        write_stamp(wanted)
    return 0


@contextlib.contextmanager
def lock() -> t.Iterator[None]:
    """One set-up at a time; the lock goes with the last process that holds it."""
    LOCK.parent.mkdir(exist_ok=True)
    with open(LOCK, "w", encoding="utf-8") as stream:
        # Inherited by what is started here: a pip that outlives a killed set-up still writes into the environment.
        os.set_inheritable(stream.fileno(), True)
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another set-up of this checkout to end")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def read_stamp() -> dict[str, str] | None:
    """What the last complete set-up made; None where there was none, or where its Python is gone."""
    try:
        stamp: dict[str, str] = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    running = pathlib.Path(sys.prefix) == VENV
    works = running or subprocess.run([PYTHON, "-c", ""], capture_output=True, check=False).returncode == 0
    return stamp if works else None


def write_stamp(stamp: dict[str, str]) -> None:
    """Appears whole or not at all."""
    part = STAMP.with_suffix(".part")
    part.write_text(json.dumps(stamp, indent=2) + "\n", encoding="utf-8")
    part.replace(STAMP)


def make_environment() -> None:
    """A new virtual environment; one that is there is incomplete, broken, or was copied from another path."""
    if VENV.exists():
        say("the virtual environment is incomplete or was made elsewhere: making it anew")
        shutil.rmtree(VENV)
    # Not the environment's own Python, which was just removed.
    python = getattr(sys, "_base_executable", None) or sys.executable
    run(f"virtual environment with Python {sys.version.split()[0]}", [python, "-m", "venv", str(VENV)])


def install_packages() -> None:
    """Exactly the files whose checksums requirements.txt holds."""
    run(
        "Python packages (about a minute the first time)",
        [*pip("install"), "--require-hashes", "--requirement", str(ROOT / "requirements.txt")],
    )


def unpack_collections() -> None:
    """Take the collections out of the pinned wheel, so that neither Galaxy nor GitHub is needed."""
    import yaml

    pin = yaml.safe_load((ROOT / "toolchain/versions.yml").read_text(encoding="utf-8"))["wheels"]["ansible"]
    version = str(pin["version"])
    checksums = pin["sha256"].get(version)
    if not checksums:
        sys.exit("setup: toolchain/versions.yml has no checksum for the wheel of ansible. Run `make pins`.")
    marker = COLLECTIONS / ".unpacked"
    if marker.exists() and marker.read_text(encoding="utf-8") == version:
        return
    marker.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=VENV, prefix="wheel-") as folder:
        requirement = pathlib.Path(folder) / "requirement.txt"
        hashes = " ".join(f"--hash=sha256:{value}" for value in checksums)
        requirement.write_text(f"ansible=={version} {hashes}\n", encoding="utf-8")
        options = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--dest", folder]
        subprocess.run([*pip("download"), *options, "--requirement", str(requirement)], check=True)
        (wheel,) = pathlib.Path(folder).glob("ansible-*.whl")
        prefixes = tuple(f"ansible_collections/{name}/" for name in WANTED)
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder, [name for name in archive.namelist() if name.startswith(prefixes)])
        for name in WANTED:
            target = COLLECTIONS / name
            shutil.rmtree(target, ignore_errors=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            (pathlib.Path(folder) / "ansible_collections" / name).replace(target)
    marker.write_text(version, encoding="utf-8")


def link_checkout() -> None:
    """Make hubspoke.bootstrap resolve to this checkout."""
    link = COLLECTIONS / "hubspoke/bootstrap"
    target = os.path.relpath(ROOT, link.parent)
    if not link.is_symlink() or os.readlink(link) != target:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(target)


def pip(command: str) -> list[str]:
    """A pip command that asks nothing and says little."""
    quiet = ["--quiet", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    return [str(PYTHON), "-m", "pip", command, *quiet]


def run(what: str, command: list[str]) -> None:
    """Run one step, saying what it is and how long it took."""
    say(f"{what} ...")
    start = time.monotonic()
    done = subprocess.run(command, check=False, close_fds=False)
    if done.returncode != 0:
        sys.exit(f"setup: {what} failed. What is above says why; the next run starts this step again.")
    say(f"{what}: done in {time.monotonic() - start:.0f} s")


def digest(path: str) -> str:
    """Checksum of a file of the checkout."""
    return hashlib.sha256((ROOT / path).read_bytes()).hexdigest()


def say(message: str) -> None:
    """One line for the user."""
    print(f"setup: {message}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
