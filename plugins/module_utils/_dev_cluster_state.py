# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The folder of one development cluster: its lock, its record, its kubeconfig, and the kubeconfig's export.

The folder itself is the lock (flock, which ends with the process that holds it), so that nothing but the
cluster's own files is in it, and nothing at all once the cluster is gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import stat
import tempfile
import time
import typing as t
from collections.abc import Callable, Iterator

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_plan import Phase
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_spec import Spec
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._yaml import DUMPER, LOADER, yaml

Config = dict[str, t.Any]


class Record:
    """What we know of a cluster that we made, or are making.

    :arg extra: What only its provider understands.
    """

    def __init__(self, phase: Phase, spec: Spec, export: str = "", extra: dict[str, t.Any] | None = None) -> None:
        self.phase = phase
        self.spec = spec
        self.export = export
        self.extra = extra or {}


class Folder:
    """Where a cluster's files are.

    :arg state_dir: Folder of all state.
    :arg name: The cluster.
    """

    def __init__(self, state_dir: str, name: str) -> None:
        self.parent = os.path.join(os.path.abspath(os.path.expanduser(state_dir)), "clusters")
        self.path = os.path.join(self.parent, name)
        self.kubeconfig = os.path.join(self.path, "kubeconfig")
        self._record = os.path.join(self.path, "cluster.json")

    def file(self, *names: str) -> str:
        """Path of a file in it."""
        return os.path.join(self.path, *names)

    def check_writable(self) -> None:
        """:raises HubspokeError: it cannot be made, or not be written to."""
        path = self.path
        while not os.path.lexists(path):
            path = os.path.dirname(path)
        if not os.path.isdir(path):
            self._unwritable(f"{path} is not a folder")
        if not os.access(path, os.W_OK | os.X_OK):
            self._unwritable(f"no right to write to {path}")

    def _unwritable(self, why: str) -> t.NoReturn:
        raise HubspokeError(
            f"The state folder {self.path} cannot be used: {why}.",
            "Set hubspoke_state_dir to a folder that you can write to.",
        )

    @contextlib.contextmanager
    def locked(self, say: Callable[[str], None], timeout: float) -> Iterator[None]:
        """Only one run works on a cluster at a time; an empty folder does not outlive the run.

        :raises HubspokeError: the folder cannot be made, or another run does not end.
        """
        deadline = time.monotonic() + timeout
        handle, said = self._try_lock(), False
        while handle is None:
            if not said:
                say("waiting for another run that is working on this cluster")
                said = True
            if time.monotonic() > deadline:
                raise HubspokeError(
                    f"Another run has been working on {self.path} for {timeout:.0f} s.", "Let it end, or end it."
                )
            time.sleep(0.2)
            handle = self._try_lock()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                os.rmdir(self.path)
                os.rmdir(self.parent)
            os.close(handle)

    def _try_lock(self) -> int | None:
        try:
            os.makedirs(self.parent, mode=0o700, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                os.mkdir(self.path, 0o700)
            handle = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return None  # another run has just removed it
        except OSError as error:
            self._unwritable(error.strerror or str(error))
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), os.stat(self.path)):
                return handle
        except (BlockingIOError, FileNotFoundError):
            pass
        os.close(handle)
        return None

    def busy(self) -> bool:
        """Whether a run is working on it."""
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False

    @contextlib.contextmanager
    def neighbours(self) -> Iterator[list[Record]]:
        """The records of the other clusters of this state folder, none of which is added meanwhile."""
        handle = os.open(self.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            others = [name for name in os.listdir(self.parent) if name != os.path.basename(self.path)]
            yield [record for name in others if (record := Folder(os.path.dirname(self.parent), name).read())]
        finally:
            os.close(handle)

    # The record

    def read(self) -> Record | None:
        """The record, None where there is none.

        :raises HubspokeError: it cannot be understood.
        """
        try:
            with open(self._record, encoding="utf-8") as file:
                data = json.load(file)
            return Record(data["phase"], Spec.load(data["spec"]), data["export"], data["extra"])
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise HubspokeError(
                f"The record {self._record} cannot be read: {error}.",
                "Restore it, or delete the cluster by hand and then its folder.",
            ) from error

    def write(self, record: Record) -> None:
        """Keep the record."""
        data = {"phase": record.phase, "spec": record.spec.dump(), "export": record.export, "extra": record.extra}
        write_private(self._record, json.dumps(data, indent=2, sort_keys=True) + "\n")

    def empty(self) -> None:
        """Remove all but the folder, the record last: until then it says that this is under way."""
        with contextlib.suppress(FileNotFoundError):
            for name in sorted(os.listdir(self.path), key=lambda name: name == os.path.basename(self._record)):
                path = self.file(name)
                if os.path.isdir(path) and not os.path.islink(path):
                    shutil.rmtree(path)
                else:
                    os.unlink(path)

    def has_files(self) -> bool:
        """Whether anything is in it."""
        try:
            return bool(os.listdir(self.path))
        except OSError:
            return False


def write_private(path: str, content: str) -> None:
    """Write a file of mode 0600 that is never half there."""
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=f".{os.path.basename(path)}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def write_kubeconfig(path: str, config: Config) -> None:
    """Write a kubeconfig, mode 0600."""
    write_private(path, yaml.dump(config, Dumper=DUMPER, sort_keys=False))


def dump(data: Config | None) -> str:
    """As YAML, for people; empty where there is nothing."""
    # Tuples become lists by way of JSON.
    return str(yaml.dump(json.loads(json.dumps(data)), Dumper=DUMPER, sort_keys=False)) if data else ""


def parse(text: str) -> Config:
    """A configuration out of YAML."""
    config: Config = yaml.load(text, Loader=LOADER)
    return config


def read_kubeconfig(path: str) -> Config | None:
    """A kubeconfig, None where there is no such file, or nothing in it that could be one."""
    try:
        with open(path, encoding="utf-8") as file:
            config = yaml.load(file, Loader=LOADER)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    return config if isinstance(config, dict) and isinstance(config.get("contexts"), list) else None


def is_private(path: str) -> bool:
    """Whether only its owner can read it."""
    try:
        return stat.S_IMODE(os.stat(path).st_mode) & 0o077 == 0
    except OSError:
        return False


def server_of(config: Config, context: str) -> str:
    """The API server's address in a context of a kubeconfig, empty where there is none."""
    name = next((item["context"]["cluster"] for item in config["contexts"] if item.get("name") == context), None)
    found: Config = next((item["cluster"] for item in config.get("clusters") or () if item.get("name") == name), {})
    return str(found.get("server", ""))


# The export


def is_ours(path: str, context: str) -> bool:
    """Whether a file is a kubeconfig that holds this context and no other."""
    config = read_kubeconfig(path)
    return config is not None and [item.get("name") for item in config["contexts"]] == [context]


def check_export(path: str, context: str) -> None:
    """:raises HubspokeError: what is at that path is not ours to overwrite."""
    if os.path.lexists(path) and not is_ours(path, context):
        raise HubspokeError(
            f"cluster_kubeconfig_export is {path}, which is there already and holds more than context {context}.",
            "Give a path of its own, and read both with KUBECONFIG=first:second.",
        )


def exported(source: str, path: str) -> bool:
    """Whether the export is the same as the kubeconfig, and private."""
    try:
        with open(source, "rb") as ours, open(path, "rb") as copy:
            return ours.read() == copy.read() and is_private(path)
    except OSError:
        return False


def export(source: str, path: str) -> None:
    """Copy the kubeconfig."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(source, encoding="utf-8") as file:
        write_private(path, file.read())


def remove_export(path: str, context: str) -> bool:
    """Remove an exported kubeconfig if it is still only ours; False where something else is there."""
    if not os.path.lexists(path):
        return True
    if not is_ours(path, context):
        return False
    os.unlink(path)
    return True
