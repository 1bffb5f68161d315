# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Waiting for objects: until each has what its check wants, or until none is there any more."""

from __future__ import annotations

import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._manifest_plan import Object, Ref
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Progress
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._ready import NeverReady

Check = t.Callable[[Object], str | None]
"""What a live object lacks, None when nothing; raises NeverReady where waiting cannot help."""

_CONCURRENCY = 8
_QUIET = 0.5  # seconds: what is ready sooner is not worth a line


def until_ready(
    read: t.Callable[[Ref], Object | None], checks: dict[Ref, Check], timeout: float, say: Progress
) -> None:
    """Ask until every object has what its check wants.

    :arg read: The live object, None where there is none.
    :arg timeout: Seconds.
    :raises HubspokeError: names each object that has not, and what it lacks.
    """
    pending, said = list(checks), ""
    for pause in _pauses(timeout):
        lacks = {ref: lack for ref, lack in _each(pending, lambda ref: _lack(read(ref), ref, checks[ref])) if lack}
        pending = list(lacks)
        if not pending:
            return
        if pause is None:
            text = "; ".join(f"{ref}: {lack}" for ref, lack in lacks.items())
            raise HubspokeError(
                f"Not ready after {timeout:.0f} s: {text}.",
                "Look at its events (`kubectl describe`), or raise wait_timeout.",
            )
        line = ", ".join(f"{ref} ({lack})" for ref, lack in list(lacks.items())[:3])
        if line != said and pause > _QUIET:
            more = f" and {len(lacks) - 3} more" if len(lacks) > 3 else ""
            say(f"waiting for {line}{more}")
            said = line
        time.sleep(pause)


def until_gone(read: t.Callable[[Ref], Object | None], refs: t.Iterable[Ref], timeout: float) -> None:
    """Ask until none of the objects is there.

    :raises HubspokeError: names those that still are.
    """
    left = list(refs)
    for pause in _pauses(timeout):
        left = [ref for ref, live in _each(left, read) if live is not None]
        if not left:
            return
        if pause is None:
            raise HubspokeError(
                f"Still there after {timeout:.0f} s: {', '.join(map(str, left))}.",
                "Their finalizers are not done; the controller that owns them may be gone.",
            )
        time.sleep(pause)


def _pauses(timeout: float) -> t.Iterator[float | None]:
    """Seconds to sleep after each question, longer and longer; None after the last."""
    deadline, pause = time.monotonic() + timeout, 0.05
    while time.monotonic() < deadline:
        yield pause
        pause = min(pause * 1.5, 2.0)
    yield None


def _each(refs: t.Iterable[Ref], ask: t.Callable[[Ref], t.Any]) -> list[tuple[Ref, t.Any]]:
    asked = list(refs)
    with ThreadPoolExecutor(_CONCURRENCY) as pool:
        return list(zip(asked, pool.map(ask, asked), strict=True))


def _lack(live: Object | None, ref: Ref, check: Check) -> str | None:
    if live is None:
        return "not there"
    try:
        return check({**live, "apiVersion": ref.api_version, "kind": ref.kind})
    except NeverReady as error:
        raise HubspokeError(f"{ref} {error}.", "Waiting longer would not help; look at its events.") from error
