# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Becomes the process that a file describes: run as a script by supervisord, so it stands alone.

The file (mode 0600) holds command, environment and directory. Handing them over here and not in supervisord's own
configuration lets values hold any character, keeps them out of arguments, and gives the process exactly this
environment and nothing of the user's.

With `loopback`, whatever the process listens on is reachable from this machine only. Some servers bind to all
addresses and have no option against it. So bind(2) is intercepted (seccomp user notification, no privileges needed):
a small watcher performs it on the process's behalf, with the loopback address in place of "all".
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import platform
import select
import signal
import socket
import struct
import sys

# Processor → (audit architecture, seccomp(2), bind(2)); pidfd_open(2) and pidfd_getfd(2) are the same everywhere.
_CALLS = {"x86_64": (0xC000003E, 317, 49), "aarch64": (0xC00000B7, 277, 200)}
_PIDFD_OPEN, _PIDFD_GETFD = 434, 438
_SET_NO_NEW_PRIVS, _SET_PTRACER = 38, 0x59616D61
_SET_MODE_FILTER, _NEW_LISTENER = 1, 8
_NOTIFY, _ALLOW = 0x7FC00000, 0x7FFF0000
_RECEIVE, _SEND, _STILL_VALID = 0xC0502100, 0xC0182101, 0x40082102
_CONTINUE = 1
_REQUEST, _ANSWER = struct.Struct("=QIIiIQ6Q"), struct.Struct("=QqiI")
_SOCKET_ADDRESS = 28  # bytes of the longest one that is of interest
_libc = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def main() -> None:
    """Read the description, then be it."""
    with open(sys.argv[1], encoding="utf-8") as file:
        spec = json.load(file)
    os.umask(0o077)
    os.chdir(spec["directory"])
    if spec["loopback"]:
        try:
            _guard()
        except OSError as error:
            print(f"launcher: listening addresses cannot be confined here: {error}", file=sys.stderr, flush=True)  # noqa: T201
    os.execve(spec["command"][0], spec["command"], spec["environment"])  # noqa: S606  (what this script is for)


def _guard() -> None:
    """From here on, bind(2) of this process and its children goes through a watcher."""
    if sys.platform != "linux" or platform.machine() not in _CALLS:
        raise OSError(errno.ENOSYS, "not on this system")
    near, far = socket.socketpair()
    process, child = os.getpid(), os.fork()
    if child == 0:
        if os.fork() == 0:  # not a child of the process, which may wait for its children
            near.close()
            far.sendall(struct.pack("=i", os.getpid()))
            _watch(far, process)
        os._exit(0)
    os.waitpid(child, 0)
    far.close()
    (watcher,) = struct.unpack("=i", near.recv(4))
    # Where only ancestors may look into a process, this one lets its watcher.
    _libc.prctl(_SET_PTRACER, watcher, 0, 0, 0)
    if _libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs")
    architecture, seccomp, bind = _CALLS[platform.machine()]
    steps = (
        (0x20, 0, 0, 4),  # load the architecture
        (0x15, 0, 3, architecture),
        (0x20, 0, 0, 0),  # load the number of the call
        (0x15, 0, 1, bind),
        (0x06, 0, 0, _NOTIFY),
        (0x06, 0, 0, _ALLOW),
    )
    code = b"".join(struct.pack("=HBBI", *step) for step in steps)
    program = _Program(len(steps), code)
    listener = _libc.syscall(seccomp, _SET_MODE_FILTER, _NEW_LISTENER, ctypes.byref(program))
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    socket.send_fds(near, [b"."], [listener])
    os.close(listener)
    near.close()


def _watch(channel: socket.socket, process: int) -> None:
    """Answer until the process has ended."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)  # its group is asked to end before it ends
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    _data, descriptors, _flags, _address = socket.recv_fds(channel, 1, 1)
    channel.close()
    if not descriptors:
        return
    listener, alive = descriptors[0], _libc.syscall(_PIDFD_OPEN, process, 0)
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    poll.register(alive, select.POLLIN)
    while True:
        ready = dict(poll.poll())
        if ready.get(listener, 0) & select.POLLIN:
            with contextlib.suppress(OSError):  # the caller was killed meanwhile
                _answer(listener)
        elif ready:
            return


def _answer(listener: int) -> None:
    request = bytearray(_REQUEST.size)
    fcntl.ioctl(listener, _RECEIVE, request)
    number, thread, _flags, _call, _architecture, _pointer, *arguments = _REQUEST.unpack(request)
    try:
        done = _bind_on_loopback(listener, number, thread, arguments)
        answer = _ANSWER.pack(number, 0, 0, 0 if done else _CONTINUE)
    except OSError as error:
        answer = _ANSWER.pack(number, 0, -(error.errno or errno.EACCES), 0)
    fcntl.ioctl(listener, _SEND, bytearray(answer))


def _bind_on_loopback(listener: int, number: int, thread: int, arguments: list[int]) -> bool:
    """Do the caller's bind(2), if it is one to all addresses of a stream socket; else say that it is not.

    :raises OSError: what the caller is to get as its error.
    """
    try:
        with open(f"/proc/{thread}/mem", "rb", buffering=0) as memory:
            memory.seek(arguments[1])
            address = memory.read(min(arguments[2], _SOCKET_ADDRESS))
        fcntl.ioctl(listener, _STILL_VALID, struct.pack("=Q", number))
        if not _is_all_addresses(address):
            return False
        with open(f"/proc/{thread}/status", encoding="ascii", errors="replace") as status:
            process = next(int(line.split()[1]) for line in status if line.startswith("Tgid:"))
        handle = _checked(_libc.syscall(_PIDFD_OPEN, process, 0))
        try:
            theirs = socket.socket(fileno=_checked(_libc.syscall(_PIDFD_GETFD, handle, arguments[0], 0)))
        finally:
            os.close(handle)
    except (OSError, ValueError, StopIteration):
        return False  # it goes its own way; whoever started it sees what it listens on
    with theirs:
        if theirs.type != socket.SOCK_STREAM:
            return False
        host = "127.0.0.1"
        if theirs.family == socket.AF_INET6:
            only = theirs.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
            host = "::1" if only else "::ffff:127.0.0.1"
        wanted = (host, int.from_bytes(address[2:4], "big"))
        try:
            theirs.bind(wanted)
        except OSError as error:
            # A call that a signal interrupted is made again, though its socket is bound by then.
            if error.errno != errno.EINVAL or theirs.getsockname()[:2] != wanted:
                raise
    return True


def _is_all_addresses(address: bytes) -> bool:
    family = int.from_bytes(address[:2], sys.byteorder)
    if family == socket.AF_INET:
        return len(address) >= 8 and not any(address[4:8])
    return family == socket.AF_INET6 and len(address) >= 24 and not any(address[8:24])


def _checked(descriptor: int) -> int:
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "pidfd")
    return descriptor


if __name__ == "__main__":
    main()
