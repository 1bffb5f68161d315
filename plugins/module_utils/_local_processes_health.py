# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether processes on this machine do their work, and waiting until they do."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
import typing as t
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_processes_plan import CRASHING, State
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Progress

_CRASHES = 3  # one may be bad luck (what it needs was not up yet), three are its way
_QUIET = 3.0  # seconds without a word
_PATIENCE = 2.0  # seconds for one answer


@dataclass(frozen=True)
class Health:
    """What tells that a process works; each that is given must be so.

    :arg tcp: host:port that takes connections.
    :arg http: URL that answers with success.
    """

    tcp: str | None = None
    http: str | None = None

    def addresses(self) -> list[tuple[str, int]]:
        """Host and port of each.

        :raises ValueError: one is not an address.
        """
        return [_split(value) for value in (f"tcp://{self.tcp}" if self.tcp else None, self.http) if value]

    def missing(self) -> str | None:
        """What is not so yet, None when all is."""
        if self.tcp:
            try:
                socket.create_connection(_split(f"tcp://{self.tcp}"), timeout=_PATIENCE).close()
            except OSError as error:
                return f"{self.tcp}: {_reason(error)}"
        if self.http:
            lack = _http(self.http)
            return f"{self.http}: {lack}" if lack else None
        return None


def _split(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    if not parts.hostname or not port:
        raise ValueError(url)
    return parts.hostname, port


def _http(url: str) -> str | None:
    """Asked directly: a proxy of the user's is not for this machine, and a certificate here is seldom signed."""
    parts = urlsplit(url)
    host, port = _split(url)
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl._create_unverified_context()  # noqa: S323
        connection = http.client.HTTPSConnection(host, port, timeout=_PATIENCE, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=_PATIENCE)
    try:
        connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
        status = connection.getresponse().status
        return None if status < 400 else f"status {status}"
    except (OSError, http.client.HTTPException) as error:
        return _reason(error)
    finally:
        connection.close()


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__).lower()


def taken(host: str, port: int) -> bool:
    """Whether something takes connections there."""
    try:
        socket.create_connection((host, port), timeout=_PATIENCE).close()
    except OSError:
        return False
    return True


@dataclass
class _Watched:
    health: Health
    crashes: int = 0
    seen: State = field(default_factory=lambda: State(""))
    lack: str = ""

    def note(self, state: State) -> None:
        """Count how often it ended by itself."""
        if (state.name in CRASHING and self.seen.name not in CRASHING) or (
            state.pid and self.seen.pid and state.pid != self.seen.pid
        ):
            self.crashes += 1
        self.seen = state


def wait(
    healths: t.Mapping[str, Health],
    states: t.Callable[[], dict[str, State]],
    *,
    ending: t.Callable[[str], str],
    last_lines: t.Callable[[str], str],
    timeout: float,
    say: Progress,
) -> None:
    """Wait until every process works.

    :arg states: Asks supervisord.
    :arg ending: How a process last ended.
    :arg last_lines: End of a process's log.
    :arg timeout: Seconds.
    :raises HubspokeError: names each process that does not work, and shows the end of its log.
    """
    begun = time.monotonic()
    waiting = {name: _Watched(health) for name, health in healths.items()}
    said = begun
    while True:
        current = states()
        for name, watched in list(waiting.items()):
            watched.note(current.get(name, State("STOPPED")))
            watched.lack = _lack(name, watched, ending) or ""
            if not watched.lack:
                del waiting[name]
        if not waiting:
            return
        elapsed = time.monotonic() - begun
        crashed = [name for name, watched in waiting.items() if _hopeless(watched)]
        if crashed or elapsed > timeout:
            raise _failure({name: waiting[name] for name in crashed or waiting}, last_lines, elapsed)
        if time.monotonic() - said > _QUIET:
            said = time.monotonic()
            text = ", ".join(f"{name} ({watched.lack})" for name, watched in waiting.items())
            say(f"waiting for {text}, {elapsed:.0f} s")
        time.sleep(0.05 if elapsed < 2 else 0.2)


def _lack(name: str, watched: _Watched, ending: t.Callable[[str], str]) -> str | None:
    if watched.seen.name in CRASHING:
        return f"ended ({ending(name)})"
    if watched.health == Health():
        return None if watched.seen.name == "RUNNING" else "starting"
    return watched.health.missing()


def _hopeless(watched: _Watched) -> bool:
    return watched.seen.name == "FATAL" or watched.crashes >= _CRASHES


def _failure(waiting: t.Mapping[str, _Watched], last_lines: t.Callable[[str], str], elapsed: float) -> HubspokeError:
    texts = []
    for name, watched in waiting.items():
        times = f", {watched.crashes} times" if watched.crashes else ""
        log = last_lines(name)
        texts.append(
            f"{name}: {watched.lack}{times}" + (f". The last lines of its log:\n{log}" if log else ", its log is empty")
        )
    return HubspokeError(
        f"Not working after {elapsed:.0f} s: " + "\n".join(texts),
        "\nCorrect the cause and run again; only what does not work is started anew.",
        failed_processes=sorted(waiting),
    )
