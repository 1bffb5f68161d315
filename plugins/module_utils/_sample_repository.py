# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A git repository on this machine that holds a few files of ours, until somebody commits to it."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._sample_repository_git import AUTHOR, Git

BRANCH = "main"

# What a plan says
CREATE = "create"
UPDATE = "update"
KEEP = "keep"  # somebody works in it
NOTHING = "nothing"

_STALE_LOCK = 10.0  # seconds: a commit here takes milliseconds


@dataclass(frozen=True)
class State:
    """A repository as it is.

    :arg revision: Its last commit, empty where there is none.
    :arg blobs: Hash of each file of that commit.
    :arg others: Whether somebody else has commits in it, or has checked out another branch.
    :arg edited: Files that differ from the commit, with the hash of what they hold now, empty where they are gone.
    """

    revision: str = ""
    blobs: dict[str, str] = field(default_factory=dict)
    others: bool = False
    edited: dict[str, str] = field(default_factory=dict)


def plan(wanted: t.Mapping[str, bytes], state: State | None) -> str:
    """What is to be done.

    :arg wanted: Content of each file.
    :arg state: None where there is no repository.
    """
    if state is None:
        return CREATE
    hashes = {path: blob_hash(content) for path, content in wanted.items()}
    if state.others:
        return KEEP
    if state.blobs == hashes and state.revision:
        return NOTHING
    # What is already as it shall be was left by a run that was killed before its commit.
    if any(content != hashes.get(path, "") for path, content in state.edited.items()):
        return KEEP
    return UPDATE


def blob_hash(content: bytes) -> str:
    """The name git gives to this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def render(folder: Path, values: t.Mapping[str, str]) -> dict[str, bytes]:
    """The files below a folder, with each @name@ replaced by its value."""
    files = {}
    try:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                text = path.read_text(encoding="utf-8")
                for name, value in values.items():
                    text = text.replace(f"@{name}@", value)
                files[path.relative_to(folder).as_posix()] = text.encode()
    except (OSError, ValueError) as error:
        raise HubspokeError(f"The files of {folder} cannot be read: {error}.") from error
    if not files:
        raise HubspokeError(f"{folder} holds no files.", "The repository has to hold at least one.")
    return files


class Repository:
    """The engine of the module `sample_repository`.

    :arg path: Its folder.
    :arg message: Of the commits.
    """

    def __init__(self, path: Path, message: str) -> None:
        self.path = path
        self._message = message
        self._git = Git(path)

    def state(self) -> State | None:
        """The repository as it is, None where there is none.

        :raises HubspokeError: something else is in its place.
        """
        if not self.path.exists():
            return None
        if not (self.path / ".git").is_dir():
            if self.path.is_dir() and not any(self.path.iterdir()):
                return None
            raise HubspokeError(
                f"{self.path} is there already, and is no git repository.", "Move it away, or name another folder."
            )
        branch = self._git.text("symbolic-ref", "--quiet", "--short", "HEAD", check=False)
        revision = self._git.text("rev-parse", "--verify", "--quiet", BRANCH, check=False)
        if not revision:
            return State(others=branch != BRANCH, edited=self._edited())
        authors = set(self._git.text("log", "--format=%ae", BRANCH).split())
        return State(revision, self._blobs(), branch != BRANCH or authors != {AUTHOR[1]}, self._edited())

    def _blobs(self) -> dict[str, str]:
        entries = self._git.text("ls-tree", "-r", "-z", BRANCH).split("\0")
        return {path: meta.split()[2] for meta, _tab, path in (entry.partition("\t") for entry in entries) if path}

    def _edited(self) -> dict[str, str]:
        listed = self._git.text("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", strip=False)
        edited = {}
        for entry in filter(None, listed.split("\0")):
            file = self.path / entry[3:]
            edited[entry[3:]] = blob_hash(file.read_bytes()) if file.is_file() else ""
        return edited

    def content(self, path: str) -> str:
        """A file of the last commit."""
        return self._git.text("cat-file", "blob", f"{BRANCH}:{path}", strip=False)

    def mentions(self, text: str) -> bool:
        """Whether a file of the last commit has that in it."""
        return bool(self._git.text("grep", "--fixed-strings", "--files-with-matches", "-e", text, BRANCH, check=False))

    def create(self, files: t.Mapping[str, bytes]) -> str:
        """Make it: aside first, so that it is there whole or not at all.

        :returns: The commit.
        """
        aside = ""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            aside = tempfile.mkdtemp(prefix=f".{self.path.name}.", dir=self.path.parent)
            Path(aside).chmod(0o755)
            repository = Repository(Path(aside), self._message)
            repository._git.text("init", "--quiet", f"--initial-branch={BRANCH}", "--object-format=sha1")
            revision = repository._commit(files, {})
            if self.path.exists():
                self.path.rmdir()
            Path(aside).rename(self.path)
        except OSError as error:
            raise _unwritable(self.path, error) from error
        finally:
            if aside:
                shutil.rmtree(aside, ignore_errors=True)
            self._remove_leftovers()
        return revision

    def update(self, files: t.Mapping[str, bytes], state: State) -> str:
        """Commit other files; those that are not named any more go.

        :returns: The commit.
        """
        try:
            return self._commit(files, state.blobs)
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def _commit(self, files: t.Mapping[str, bytes], before: t.Mapping[str, str]) -> str:
        lock = self.path / ".git" / "index.lock"
        if lock.exists() and time.time() - lock.stat().st_mtime > _STALE_LOCK:
            lock.unlink()
        for path, content in files.items():
            self._write(self.path / path, content)
        for path in set(before) - set(files):
            (self.path / path).unlink(missing_ok=True)
        self._git.text("add", "--all", ".")
        self._git.text("commit", "--quiet", "--no-verify", "--allow-empty", f"--message={self._message}")
        return self._git.text("rev-parse", BRANCH)

    @staticmethod
    def _write(path: Path, content: bytes) -> None:
        if path.is_file() and path.read_bytes() == content:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.new")
        aside.write_bytes(content)
        aside.replace(path)

    def _remove_leftovers(self) -> None:
        """What earlier runs made aside and were killed over."""
        if self.path.parent.is_dir():
            for left in self.path.parent.glob(f".{self.path.name}.*"):
                if time.time() - left.stat().st_mtime > _STALE_LOCK:
                    shutil.rmtree(left, ignore_errors=True)

    def bundle(self) -> bytes:
        """The branch as one file, from which git can clone."""
        return self._git.data("-c", "pack.threads=1", "bundle", "create", "--quiet", "-", "HEAD", BRANCH)

    def remove(self) -> None:
        """Delete it, and the folder above it if nothing else is in there."""
        try:
            if self.path.exists():
                shutil.rmtree(self.path)
            self._remove_leftovers()
            if self.path.parent.is_dir() and not any(self.path.parent.iterdir()):
                self.path.parent.rmdir()
        except OSError as error:
            raise _unwritable(self.path, error) from error


def _unwritable(path: Path, error: OSError) -> HubspokeError:
    return HubspokeError(
        f"The repository {path} cannot be written: {error.strerror or error}.",
        "Make room or give write permission there, or set the variable hubspoke_state_dir to another folder.",
    )
