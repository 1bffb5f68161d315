# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Other programs, run so that the user sees how far they are and none outlives the set-up that started it."""

from __future__ import annotations

import collections
import ctypes
import os
import re
import selectors
import signal
import subprocess
import sys
import time
import typing as t

_PR_SET_PDEATHSIG = 1
_C = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_FULL = re.compile("no space left on device|disk quota exceeded", re.IGNORECASE)
_CREDENTIALS = re.compile(r"://[^/@\s]+@")


def _die_with_parent() -> None:
    """In the child: end when the process that started it does, however that ends."""
    if _C is not None:
        _C.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def censored(text: str) -> str:
    """A program's words without the credentials that an address in them may carry."""
    return _CREDENTIALS.sub("://***@", text)


def disk_full(text: str) -> bool:
    """Whether a program ended because there was no room."""
    return bool(_FULL.search(text))


def answer(command: t.Sequence[str], timeout: float = 5, environment: t.Mapping[str, str] | None = None) -> str | None:
    """What a program says within that time, None where it says nothing or cannot be run.

    Its exit status does not matter: some print their version and leave with an error.
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**(os.environ if environment is None else environment), "KUBECONFIG": os.devnull},
            start_new_session=True,
        )
    except OSError:
        return None
    with process:
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            # What it has started itself may hold the pipe open.
            os.killpg(process.pid, signal.SIGKILL)
            return None
    return output.decode(errors="replace").strip() or None


class Watched:
    """A program whose output is read line by line.

    :arg on_line: Called with each line.
    :arg on_tick: Called about once a second with the seconds since the start.
    """

    def __init__(
        self,
        command: t.Sequence[str],
        environment: t.Mapping[str, str],
        folder: str | os.PathLike[str],
        on_line: t.Callable[[str], None] | None = None,
        on_tick: t.Callable[[float], None] | None = None,
    ) -> None:
        self._command = command
        self._environment = environment
        self._folder = folder
        self._on_line = on_line
        self._on_tick = on_tick
        self._tail: collections.deque[str] = collections.deque(maxlen=40)

    def run(self) -> tuple[int, str]:
        """Run to the end: exit status and the last lines."""
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=dict(self._environment),
                cwd=self._folder,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 (it calls the kernel and nothing of Python's)
            )
        except OSError as error:
            return 127, f"{self._command[0]} cannot be run: {error.strerror}"
        try:
            self._read(t.cast("t.IO[bytes]", process.stdout))
            return process.wait(), censored("\n".join(self._tail))
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            t.cast("t.IO[bytes]", process.stdout).close()

    def _read(self, pipe: t.IO[bytes]) -> None:
        began = ticked = time.monotonic()
        rest = b""
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while True:
                if selector.select(1):
                    chunk = os.read(pipe.fileno(), 65536)
                    if not chunk:
                        break
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        self._line(line)
                now = time.monotonic()
                if self._on_tick and now - ticked >= 1:
                    ticked = now
                    self._on_tick(now - began)
        if rest:
            self._line(rest)

    def _line(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        self._tail.append(text)
        if self._on_line:
            self._on_line(text)


class Paced:
    """Progress lines, not more often than every few seconds; a first one at once if asked.

    :arg progress: Where they go.
    :arg seconds: The least time between two.
    """

    def __init__(self, progress: t.Callable[[str], None], seconds: float = 5) -> None:
        self._progress = progress
        self._seconds = seconds
        self._said = time.monotonic()

    def __call__(self, line: str) -> None:
        now = time.monotonic()
        if now - self._said >= self._seconds:
            self._said = now
            self._progress(line)
