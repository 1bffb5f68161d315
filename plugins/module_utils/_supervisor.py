# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One supervisord of our own: its files, its life, and talking to it through its Unix socket."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import importlib.util
import inspect
import json
import os
import pathlib
import pwd
import shlex
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

MARK = "HUBSPOKE_LOCAL_PROCESSES"
"""Variable that every process here carries, so that it is found whatever became of its supervisor."""

# A socket's path may have 107 bytes on Linux, 103 on macOS; supervisord first binds to a path with its pid appended.
_LONGEST_SOCKET = 103 - len(".4194304")
_STOP_SECONDS = 10
_START_SECONDS = 15


class Supervisor:
    """The supervisord of one folder.

    :arg directory: Where its configuration, socket and logs are.
    :arg name: What to call it in messages.
    """

    def __init__(self, directory: str, name: str) -> None:
        self.name = name
        self.directory = pathlib.Path(os.path.abspath(directory))
        self.logs = self.directory / "logs"
        self.run = self.directory / "run"
        self.configuration = self.directory / "supervisord.conf"
        self.launcher = self.directory / "launch.py"
        self.socket = socket_path(self.directory)
        self._record = self.directory / "supervisord.json"
        self._proxy = xmlrpc.client.ServerProxy("http://localhost", transport=_Transport(str(self.socket)))

    # What is there

    def process(self, processes: list[Process]) -> Process | None:
        """The living supervisord among these processes: found by its arguments, whatever became of its files."""
        for process in processes:
            argv = process.argv
            if "supervisor.supervisord" in argv and str(self.configuration) in (*argv, " ".join(argv[-1:])):
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
            and (process.session in sessions or process.has_environment(MARK, str(self.directory)))
        ]

    def _recorded_session(self, processes: list[Process]) -> int | None:
        """The session of the last supervisord, unless that number has meanwhile become another's.

        A pid is not given again while a session of that number has members, so only a living leader can be a stranger.
        """
        try:
            record = json.loads(self._record.read_text())
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
                f"Its log is {self.logs / 'supervisord.log'}.",
            ) from error
        except (OSError, xmlrpc.client.Error, http.client.HTTPException) as error:
            raise HubspokeError(
                f"supervisord of {self.name} does not answer on {self.socket}: {error}.",
                f"Its log is {self.logs / 'supervisord.log'}; run again to start it anew.",
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
        environment = base_environment(str(self.directory))
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self.configuration)]
        done = subprocess.run(
            command,
            env=environment,
            cwd="/",
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
        text = (done.stdout + done.stderr).strip() or tail(self.logs / "supervisord.log", 5)
        raise HubspokeError(f"supervisord of {self.name} does not start: {text}", f"Its files are in {self.directory}.")

    def _remember(self, pid: int) -> None:
        started = next((process.started for process in _process_table.table() if process.pid == pid), "")
        write(self._record, json.dumps({"pid": pid, "started": started, "boot": _process_table.boot()}))

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
                f"{len(left)} processes of {self.name} cannot be ended: {', '.join(str(process.pid) for process in left)}.",
                "Look at them with `ps`; a process that waits for a disk ends when the disk answers.",
            )

    def _members(self, supervisor: Process) -> list[Process]:
        return [process for process in _process_table.table() if process.session == supervisor.session]

    # Its files

    def prepare_socket(self) -> None:
        """The socket's folder is ours alone, and nothing is left of an earlier socket."""
        folder = self.socket.parent
        if folder != self.directory:
            folder.mkdir(mode=0o700, exist_ok=True)
            found = folder.lstat()
            if found.st_uid != os.getuid() or found.st_mode & 0o077 or folder.is_symlink():
                raise HubspokeError(
                    f"{folder}, the place for the socket of {self.name}, belongs to someone else.",
                    "Remove it, or choose a state folder with a shorter path: then none is needed there.",
                )
        self.socket.unlink(missing_ok=True)

    def write_launcher(self) -> None:
        """The script that turns into the processes."""
        write(self.launcher, inspect.getsource(_local_launcher))

    def remove_files(self) -> None:
        """Everything that is ours in the folder, and the folder if that leaves it empty."""
        own_socket_folder = [self.socket.parent] if self.socket.parent != self.directory else []
        for path in (self.run, self.logs, *own_socket_folder):
            shutil.rmtree(path, ignore_errors=True)
        for path in (
            self.configuration,
            self.launcher,
            self._record,
            self.socket,
            self.directory / "supervisord.pid",
            self.directory / ".lock",
        ):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.directory.rmdir()


def socket_path(directory: pathlib.Path) -> pathlib.Path:
    """In the folder itself, or where that path is too long for a socket, in a short folder that it names."""
    path = directory / "supervisord.sock"
    if len(os.fsencode(path)) <= _LONGEST_SOCKET:
        return path
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]
    # Not where TMPDIR says, which differs from shell to shell: the next run must find it.
    return pathlib.Path("/tmp") / f"hubspoke-{os.getuid()}-{digest}" / "supervisord.sock"  # noqa: S108


def base_environment(directory: str) -> dict[str, str]:
    """What every process is given. Nothing of Ansible's own environment, which differs from shell to shell."""
    try:
        user = pwd.getpwuid(os.getuid())
        name, home = user.pw_name, user.pw_dir
    except KeyError:  # a container may run as a number that has no name
        name, home = str(os.getuid()), "/"
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "HOME": home,
        "USER": name,
        "LOGNAME": name,
        MARK: directory,
    }


def configuration(supervisor: Supervisor, stop_seconds: t.Mapping[str, int]) -> str:
    """supervisord's configuration.

    :arg stop_seconds: For each process, how long it may take to end.
    """
    lines = [
        "; Written by hubspoke.bootstrap.local_processes; changes here are lost.",
        "[unix_http_server]",
        f"file = {_value(supervisor.socket)}",
        "chmod = 0700",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
        "[supervisord]",
        f"pidfile = {_value(supervisor.directory / 'supervisord.pid')}",
        f"logfile = {_value(supervisor.logs / 'supervisord.log')}",
        "logfile_maxbytes = 5MB",
        "logfile_backups = 2",
        f"childlogdir = {_value(supervisor.logs)}",
        "umask = 077",
    ]
    for name, seconds in stop_seconds.items():
        command = [sys.executable, "-I", "-S", str(supervisor.launcher), str(supervisor.run / f"{name}.json")]
        lines += [
            f"[program:{name}]",
            f"command = {_value(shlex.join(command))}",
            "autostart = true",
            "autorestart = true",
            "startsecs = 1",
            # With a pause that grows by a second each time; a run that finds it crashing starts it at once.
            "startretries = 100",
            f"stopwaitsecs = {seconds}",
            "stopasgroup = true",
            "killasgroup = true",
            "redirect_stderr = true",
            f"stdout_logfile = {_value(supervisor.logs / f'{name}.log')}",
            "stdout_logfile_maxbytes = 10MB",
            "stdout_logfile_backups = 3",
        ]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    """A value as supervisord's configuration parser gives it back."""
    text = str(value)
    if any(mark in text for mark in (" ;", " #", "\n")):
        raise HubspokeError(
            f"supervisord cannot use the path {text!r}: it takes what follows for a comment.",
            "Choose a folder without a semicolon or number sign after a space.",
        )
    return text.replace("%", "%%")


def write(path: pathlib.Path, text: str) -> None:
    """Write a file at once or not at all, for our eyes only.

    :raises HubspokeError: there is no space, or no right to.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise HubspokeError(
            f"{path} cannot be written: {error.strerror}.", "Make space, or choose another folder."
        ) from error


def tail(path: pathlib.Path, lines: int) -> str:
    """The last lines of a log, empty where there is none."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 16384))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


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
