# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What supervisord and its processes are given: paths, configuration, environment."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import pwd
import shlex
import sys
import typing as t
from dataclasses import dataclass

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

MARK = "HUBSPOKE_LOCAL_PROCESSES"
"""Variable that every process here carries, so that it is found whatever became of its supervisor."""

# A socket's path may have 107 bytes on Linux, 103 on macOS; supervisord first binds to a path with its pid appended.
_LONGEST_SOCKET = 103 - len(".4194304")


@dataclass(frozen=True)
class Places:
    """Where the files of one supervisord are.

    :arg directory: The folder of them all.
    """

    directory: pathlib.Path

    @property
    def logs(self) -> pathlib.Path:
        """Output of supervisord and of each process."""
        return self.directory / "logs"

    @property
    def run(self) -> pathlib.Path:
        """Descriptions of the processes."""
        return self.directory / "run"

    @property
    def configuration(self) -> pathlib.Path:
        """supervisord's configuration."""
        return self.directory / "supervisord.conf"

    @property
    def launcher(self) -> pathlib.Path:
        """The script that turns into the processes."""
        return self.directory / "launch.py"

    @property
    def record(self) -> pathlib.Path:
        """Which process the last supervisord was."""
        return self.directory / "supervisord.json"

    @property
    def pid(self) -> pathlib.Path:
        """What supervisord itself writes."""
        return self.directory / "supervisord.pid"

    @property
    def lock(self) -> pathlib.Path:
        """Held by the run that is at work."""
        return self.directory / ".lock"

    @property
    def socket(self) -> pathlib.Path:
        """Where supervisord is asked."""
        return socket_path(self.directory)

    def log(self, name: str) -> pathlib.Path:
        """Where a process's output goes."""
        return self.logs / f"{name}.log"

    def description(self, name: str) -> pathlib.Path:
        """What the launcher reads to become the process."""
        return self.run / f"{name}.json"


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


def configuration(places: Places, stop_seconds: t.Mapping[str, int]) -> str:
    """supervisord's configuration.

    :arg stop_seconds: For each process, how long it may take to end.
    """
    lines = [
        "; Written by hubspoke.bootstrap.local_processes; changes here are lost.",
        "[unix_http_server]",
        f"file = {_value(places.socket)}",
        "chmod = 0700",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
        "[supervisord]",
        f"pidfile = {_value(places.pid)}",
        f"logfile = {_value(places.log('supervisord'))}",
        "logfile_maxbytes = 5MB",
        "logfile_backups = 2",
        f"childlogdir = {_value(places.logs)}",
        "umask = 077",
    ]
    for name, seconds in stop_seconds.items():
        command = [sys.executable, "-I", "-S", str(places.launcher), str(places.description(name))]
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
            f"stdout_logfile = {_value(places.log(name))}",
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


def make_folder(path: pathlib.Path) -> None:
    """Make a folder and those above it that are missing, for our eyes only."""
    for folder in reversed([path, *path.parents]):
        if not folder.exists():
            folder.mkdir(mode=0o700, exist_ok=True)


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
