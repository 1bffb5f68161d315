# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The programs that development clusters are made of: finding, running and ending them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
import typing as t
from collections.abc import Callable, Iterable, Mapping

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._process_table import table

# Programs that go on making a cluster when the run that started them was killed.
_MAKERS = ("k3d", "kind", "kwokctl")
_WATCH_INTERVAL = 0.5


class Tools:
    """Where the programs are.

    :arg paths: Name to path; what is not there is looked for on PATH.
    :arg assume: Whether a path that was given stands for a file that is yet to come, as in check mode.
    """

    def __init__(self, paths: Mapping[str, str] | None = None, assume: bool = False) -> None:
        self._paths = dict(paths or {})
        self._assume = assume

    def find(self, name: str) -> str | None:
        """Path of a program that can be run now."""
        return shutil.which(self._paths.get(name) or name)

    def require(self, names: Iterable[str], provider: str) -> dict[str, str]:
        """Paths of the programs that a provider needs.

        :raises HubspokeError: names those that are missing.
        """
        wanted = list(names)
        found = {name: self.find(name) or (self._assume and self._paths.get(name)) for name in wanted}
        missing = [self._paths.get(name) or name for name in wanted if not found[name]]
        if missing:
            raise HubspokeError(
                f"cluster_provider {provider} needs {', '.join(missing)}, not found on this machine.",
                "Put it on PATH, give its path in dev_cluster_tools, or choose another cluster_provider.",
            )
        return {name: str(path) for name, path in found.items()}


class CommandError(HubspokeError):
    """A program failed.

    :arg output: All it said, for those who look for something in it.
    """

    def __init__(self, command: list[str], code: int | None, output: str) -> None:
        self.output = output
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        end = f"ended with {code}" if code is not None else "took too long"
        super().__init__(f"{os.path.basename(command[0])} {end}: {' | '.join(lines[-4:]) or 'it said nothing'}.")


def run(
    command: list[str],
    environment: Mapping[str, str] | None = None,
    *,
    timeout: float = 60,
    stdin: str | None = None,
    say: Callable[[str], None] | None = None,
    watch: Callable[[], None] | None = None,
    without: Iterable[str] = (),
) -> str:
    """Run a program to its end; its standard output.

    :arg environment: Variables besides our own.
    :arg say: Called with each line that it says on standard error while it runs.
    :arg watch: Called now and then while it runs; what it raises ends the program.
    :arg without: Variables of our own that it is not to have.
    :raises CommandError: it failed or took too long.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in set(without)}
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={**inherited, **(environment or {})},
        # Files that it makes hold keys.
        umask=0o077,
    )
    errors: list[str] = []

    def listen() -> None:
        for line in t.cast("t.IO[str]", process.stderr):
            errors.append(line)
            if say:
                say(line.rstrip())

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    output: list[str] = []
    reader = threading.Thread(target=lambda: output.append(t.cast("t.IO[str]", process.stdout).read()), daemon=True)
    reader.start()
    if process.stdin:
        with contextlib.suppress(BrokenPipeError), process.stdin:
            process.stdin.write(stdin or "")
    code = _wait(process, timeout, watch)
    # A process that it leaves behind may hold the pipes; what it said itself is there already.
    reader.join(2)
    listener.join(2)
    if code != 0:
        raise CommandError(command, code, "".join(errors) + "".join(output))
    return "".join(output)


def _wait(process: subprocess.Popen[str], timeout: float, watch: Callable[[], None] | None) -> int | None:
    """Its exit code, None if it took too long and was ended."""
    deadline = time.monotonic() + timeout
    try:
        while (left := deadline - time.monotonic()) > 0:
            try:
                return process.wait(min(left, _WATCH_INTERVAL) if watch else left)
            except subprocess.TimeoutExpired:
                if watch:
                    watch()
        return None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def processes(folder: str) -> dict[int, tuple[str, ...]]:
    """Processes that belong to a cluster's folder, as pid to command line; none that only mentions it.

    :arg folder: Absolute path.
    """
    prefix = folder.rstrip("/") + "/"
    return {process.pid: process.argv for process in table() if process.argv and _belongs(process.argv, prefix)}


def _belongs(command: tuple[str, ...], prefix: str) -> bool:
    if command[0].startswith(prefix):
        return True
    # Where it is a script, its interpreter comes first, with an option perhaps.
    is_maker = any(os.path.basename(word) in _MAKERS for word in command[:3])
    return is_maker and any(prefix in word for word in command[1:])


def end(folder: str, names: Callable[[str], bool] = lambda name: True, patience: float = 0) -> None:
    """End processes of a cluster's folder, and wait until they are gone.

    :arg names: Which of them, by the name of their program.
    :arg patience: Seconds to let them end by themselves.
    :raises HubspokeError: they cannot be ended.
    """
    deadline = time.monotonic() + patience
    asked: set[int] = set()
    pause = 0.01
    while True:
        alive = {pid for pid, command in processes(folder).items() if names(os.path.basename(command[0]))}
        if not alive:
            return
        late = time.monotonic() >= deadline
        if time.monotonic() > deadline + 15:
            raise HubspokeError(f"Processes {sorted(alive)} of {folder} cannot be ended.", "End them by hand.")
        for pid in alive if late else alive - asked:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
            asked.add(pid)
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)
