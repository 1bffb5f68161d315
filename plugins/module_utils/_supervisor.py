# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One supervisord of our own: its files, its life, and talking to it through its Unix socket."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import inspect
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time
import typing as t
import xmlrpc.client

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_launcher, _process_table
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._process_table import Process
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._supervisor_files import (
    MARK,
    Places,
    base_environment,
    tail,
    write,
)

_STOP_SECONDS = 10
_START_SECONDS = 15


class Supervisor:
    """The supervisord of one folder.

    :arg directory: Where its configuration, socket and logs are.
    :arg name: What to call it in messages.
    """

    def __init__(self, directory: str, name: str) -> None:
        self.name = name
        self.places = Places(pathlib.Path(os.path.abspath(directory)))
        self._proxy = xmlrpc.client.ServerProxy("http://localhost", transport=_Transport(str(self.places.socket)))

    # What is there

    def process(self, processes: list[Process]) -> Process | None:
        """The living supervisord among these processes: found by its arguments, whatever became of its files."""
        for process in processes:
            argv = process.argv
            if "supervisor.supervisord" in argv and str(self.places.configuration) in (*argv, " ".join(argv[-1:])):
                return process
        return None

    def orphans(self, processes: list[Process]) -> list[Process]:
        """What a supervisord that is gone has left running."""
        living = self.process(processes)
        sessions = {self._recorded_session(processes)} - {None}
        return [
            process
            for process in processes
            if process != living
            and (living is None or process.session != living.session)
            and (process.session in sessions or process.has_environment(MARK, str(self.places.directory)))
        ]

    def _recorded_session(self, processes: list[Process]) -> int | None:
        """The session of the last supervisord, unless that number has meanwhile become another's.

        A pid is not given again while a session of that number has members, so only a living leader can be a stranger.
        """
        try:
            record = json.loads(self.places.record.read_text())
            pid, started, boot = record["pid"], record["started"], record["boot"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        leader = next((process for process in processes if process.pid == pid), None)
        if boot != _process_table.boot() or (leader and leader.started != started):
            return None
        return int(pid)

    def answers(self) -> bool:
        """Whether one listens on the socket."""
        try:
            self.call("supervisor.getState")
        except HubspokeError:
            return False
        return True

    def call(self, method: str, *arguments: t.Any) -> t.Any:
        """One remote procedure of supervisord's.

        :raises HubspokeError: it refused, or does not answer.
        """
        try:
            return getattr(self._proxy, method)(*arguments)
        except xmlrpc.client.Fault as error:
            raise HubspokeError(
                f"supervisord of {self.name} refused {method}{arguments}: {error.faultString}.",
                f"Its log is {self.places.log('supervisord')}.",
            ) from error
        except (OSError, xmlrpc.client.Error, http.client.HTTPException) as error:
            raise HubspokeError(
                f"supervisord of {self.name} does not answer on {self.places.socket}: {error}.",
                f"Its log is {self.places.log('supervisord')}; run again to start it anew.",
            ) from error

    # Its life

    def start(self) -> None:
        """Start it, with every program of its configuration.

        :raises HubspokeError: it is not installed, or does not start.
        """
        if importlib.util.find_spec("supervisor") is None:
            raise HubspokeError(
                f"The Python package supervisor is not installed for {sys.executable}.",
                "Install the packages of this collection's requirements into the Python that runs Ansible.",
            )
        self.prepare_socket()
        environment = base_environment(str(self.places.directory))
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self.places.configuration)]
        done = subprocess.run(
            command,
            env=environment,
            cwd="/",
            umask=0o077,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        deadline = time.monotonic() + _START_SECONDS
        while done.returncode == 0 and time.monotonic() < deadline:
            if self.answers():
                self._remember(int(self.call("supervisor.getPID")))
                return
            time.sleep(0.02)
        text = (done.stdout + done.stderr).strip() or tail(self.places.log("supervisord"), 5)
        raise HubspokeError(
            f"supervisord of {self.name} does not start: {text}", f"Its files are in {self.places.directory}."
        )

    def _remember(self, pid: int) -> None:
        started = next((process.started for process in _process_table.table() if process.pid == pid), "")
        write(self.places.record, json.dumps({"pid": pid, "started": started, "boot": _process_table.boot()}))

    def stop(self) -> None:
        """Stop it and all that it started, by its own means and then by signals.

        :raises HubspokeError: something does not even end when it is killed.
        """
        processes = _process_table.table()
        living = self.process(processes)
        if living:
            with contextlib.suppress(HubspokeError):
                self.call("supervisor.stopAllProcesses", False)
                deadline = time.monotonic() + _STOP_SECONDS + 2
                while time.monotonic() < deadline and self._members(living) != [living]:
                    self.call("supervisor.getState")  # wakes it up: it looks after its processes when it is asked
                    time.sleep(0.03)
                self.call("supervisor.shutdown")
            left = _process_table.end([living])
            left += _process_table.end(self._members(living), 2)
        else:
            left = []
        left += _process_table.end(self.orphans(_process_table.table()), 3)
        if left:
            raise HubspokeError(
                f"Processes of {self.name} cannot be ended: {', '.join(str(process.pid) for process in left)}.",
                "Look at them with `ps`; a process that waits for a disk ends when the disk answers.",
            )

    def _members(self, supervisor: Process) -> list[Process]:
        return [process for process in _process_table.table() if process.session == supervisor.session]

    # Its files

    def prepare_socket(self) -> None:
        """The socket's folder is ours alone, and nothing is left of an earlier socket."""
        folder = self.places.socket.parent
        if folder != self.places.directory:
            folder.mkdir(mode=0o700, exist_ok=True)
            found = folder.lstat()
            if found.st_uid != os.getuid() or found.st_mode & 0o077 or folder.is_symlink():
                raise HubspokeError(
                    f"{folder}, the place for the socket of {self.name}, belongs to someone else.",
                    "Remove it, or choose a state folder with a shorter path: then none is needed there.",
                )
        self.places.socket.unlink(missing_ok=True)

    def write_launcher(self) -> None:
        """The script that turns into the processes."""
        write(self.places.launcher, inspect.getsource(_local_launcher))

    def remove_files(self) -> None:
        """Everything that is ours in the folder, and the folder and the one of all sets if that leaves them empty."""
        places = self.places
        own_socket_folder = [places.socket.parent] if places.socket.parent != places.directory else []
        for folder in (places.run, places.logs, *own_socket_folder):
            shutil.rmtree(folder, ignore_errors=True)
        for file in (places.configuration, places.launcher, places.record, places.socket, places.pid, places.lock):
            file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            places.directory.rmdir()
            places.directory.parent.rmdir()


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _Transport(xmlrpc.client.Transport):
    """XML-RPC over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: t.Any) -> http.client.HTTPConnection:
        """A new connection for each call: supervisord closes them."""
        return _Connection(self._path)
