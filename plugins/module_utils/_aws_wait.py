# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Waiting for AWS: asking again and again until something is as it should be, and saying so from time to time."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Progress

_sleep = time.sleep
_SHORTEST, _LONGEST = 0.25, 15.0
_SHARE = 0.1
"""The pause grows with the time already waited, so that what takes seconds and what takes a quarter of an hour are both
noticed within a tenth of that, by few questions."""
_EVERY = 60.0
"""Seconds after which a line is said although nothing changed."""


def pause(seconds: float) -> None:
    """Sleep."""
    _sleep(seconds)


class Deadline:
    """The end of a task's patience, for all that it waits for.

    :arg seconds: wait_timeout.
    """

    def __init__(self, seconds: float, clock: t.Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = clock() + seconds

    def left(self) -> float:
        """Seconds until then, 0 after it."""
        return max(self._end - self._clock(), 0.0)


def wait_until(look: t.Callable[[], str], noun: str, deadline: Deadline, say: Progress) -> None:
    """Look until there is nothing left to wait for.

    :arg look: What it is still doing (its status), empty when it is done; raises where waiting cannot help.
    :arg noun: What is waited for.
    :raises HubspokeError: it took longer than allowed.
    """
    begin, said, said_at = deadline.left(), "", 0.0
    while status := look():
        waited = begin - deadline.left()
        if status != said or waited - said_at >= _EVERY:
            say(f"{noun}: {status}" + (f" for {waited:.0f} s" if status == said else ""))
            said, said_at = status, waited
        if not deadline.left():
            raise HubspokeError(
                f"The {noun} is still {status} after {deadline.seconds:.0f} s.",
                "AWS goes on with it: run again to wait for it, or raise wait_timeout.",
            )
        pause(min(max(waited * _SHARE, _SHORTEST), _LONGEST, max(deadline.left(), 0.01)))
