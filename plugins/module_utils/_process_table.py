# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The processes of this user on this machine: who they are, what they listen on, and ending them for certain."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import pathlib
import signal
import subprocess
import time
import typing as t
from dataclasses import dataclass

PROC = pathlib.Path("/proc")
_LISTENING = "0A"


@dataclass(frozen=True)
class Process:
    """One process; pid and start together are its identity, since pids are used again."""

    pid: int
    group: int
    session: int
    started: str
    argv: tuple[str, ...]

    def has_environment(self, name: str, value: str) -> bool:
        """Whether it was started with that variable (False where that cannot be read, or it wrote over it)."""
        try:
            block = (PROC / str(self.pid) / "environ").read_bytes()
        except OSError:
            return False
        return f"{name}={value}".encode() in block.split(b"\0")


@dataclass(frozen=True)
class Listener:
    """A TCP address that a process accepts connections on."""

    pid: int
    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect."""
        return ipaddress.ip_address(self.host).is_loopback

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def table() -> list[Process]:
    """Every living process of this user."""
    return _from_proc() if (PROC / "self/stat").exists() else _from_ps()


def _from_proc() -> list[Process]:
    found = []
    for entry in os.scandir(PROC):
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, IndexError, ValueError):  # it ended meanwhile
            if entry.stat().st_uid != os.getuid():
                continue
            folder = pathlib.Path(entry.path)
            # The name, in parentheses, may itself hold any character.
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            if fields[0] in "ZX":
                continue
            argv = (folder / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
            found.append(Process(int(entry.name), int(fields[2]), int(fields[3]), fields[19], tuple(argv)))
    return found


def _from_ps() -> list[Process]:
    """Where there is no /proc. Arguments with spaces come apart, which those who compare them allow for."""
    listed = subprocess.run(
        ["ps", "-x", "-o", "pid=,pgid=,stat=,lstart=,command="],
        capture_output=True,
        text=True,
        env={"PATH": os.defpath, "LC_ALL": "C"},
        check=False,
    )
    found = []
    for line in listed.stdout.splitlines():
        fields = line.split()
        if len(fields) > 8 and not fields[2].startswith("Z"):
            with contextlib.suppress(OSError):
                session = os.getsid(int(fields[0]))
                started = " ".join(fields[3:8])
                found.append(Process(int(fields[0]), int(fields[1]), session, started, tuple(fields[8:])))
    return found


def boot() -> str:
    """What tells this boot of the machine from another: pids from before it mean nothing."""
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def is_alive(process: Process) -> bool:
    """Whether this very process still runs."""
    return any(other.pid == process.pid and other.started == process.started for other in table())


def end(processes: t.Iterable[Process], patience: float = 10) -> list[Process]:
    """Ask processes to end, and kill those that have not after some seconds; returns what even that did not end."""
    left = list(processes)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in left:
            with contextlib.suppress(OSError):
                os.kill(process.pid, number)
        deadline = time.monotonic() + patience
        while left and time.monotonic() < deadline:
            living = {(process.pid, process.started) for process in table()}
            left = [process for process in left if (process.pid, process.started) in living]
            if left:
                time.sleep(0.05)
        if not left:
            break
    return left


def listeners(pids: t.Collection[int] | None = None) -> list[Listener]:
    """What processes listen on, as far as the system tells: of those given, or of all that may be looked at."""
    sockets: dict[str, tuple[str, int]] = {}
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (PROC / "self/net" / name).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING:
                    sockets[fields[9]] = _address(fields[1])
    found = set()
    for pid in (process.pid for process in table()) if pids is None else pids:
        with contextlib.suppress(OSError):
            for entry in os.scandir(PROC / str(pid) / "fd"):
                with contextlib.suppress(OSError):
                    target = os.readlink(entry.path)
                    if target.startswith("socket:[") and target[8:-1] in sockets:
                        found.add(Listener(pid, *sockets[target[8:-1]]))
    return sorted(found, key=lambda listener: (listener.port, listener.host, listener.pid))


def _address(text: str) -> tuple[str, int]:
    """The kernel writes addresses as words in its own byte order, in hexadecimal."""
    words, port = text.split(":")
    raw = bytes.fromhex(words)
    ordered = b"".join(raw[start : start + 4][::-1] for start in range(0, len(raw), 4))
    address = ipaddress.ip_address(ordered)
    return str(getattr(address, "ipv4_mapped", None) or address), int(port, 16)
