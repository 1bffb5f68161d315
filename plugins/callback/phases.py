# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How long each phase of a run took."""

from __future__ import annotations

DOCUMENTATION = r"""
name: phases
type: aggregate
short_description: Show how long each play took
version_added: "0.1.0"
description:
  - At the end of a run of several plays, prints how long each of them took, and all together.
  - Plays that had nothing to do, and runs of a single play, print nothing.
author:
  - hubspoke.bootstrap contributors (@hubspoke)
requirements:
  - Set C(callbacks_enabled = hubspoke.bootstrap.phases) in the section C(defaults) of the configuration.
"""

import time
import typing as t

from ansible.plugins.callback import CallbackBase

if t.TYPE_CHECKING:
    from ansible.executor.stats import AggregateStats
    from ansible.playbook.play import Play
    from ansible.playbook.task import Task


class CallbackModule(CallbackBase):
    """Listens to plays and tasks."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "hubspoke.bootstrap.phases"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._phases: list[tuple[str, float]] = []
        self._name = ""
        self._since = 0.0
        self._worked = False

    def v2_playbook_on_play_start(self, play: Play) -> None:
        """A phase begins where the one before ends."""
        self._close()
        self._name = play.get_name().strip()
        self._since = time.monotonic()

    def v2_playbook_on_task_start(self, task: Task, is_conditional: bool) -> None:
        """Only plays that come so far have hosts."""
        self._worked = True

    def v2_playbook_on_stats(self, stats: AggregateStats) -> None:
        """The last phase ends with the run."""
        self._close()
        for line in table(self._phases):
            self._display.display(line)
        self._phases = []

    def _close(self) -> None:
        if self._worked:
            self._phases.append((self._name, time.monotonic() - self._since))
        self._worked = False


def table(phases: t.Sequence[tuple[str, float]]) -> list[str]:
    """The lines to print, none for a single phase."""
    if len(phases) < 2:
        return []
    total = ("Total", sum(seconds for _name, seconds in phases))
    width = max(len(name) for name, _seconds in (*phases, total))
    lines = [f"{name:<{width}}  {duration(seconds):>10}" for name, seconds in (*phases, total)]
    return ["PHASES " + "*" * 72, *lines[:-1], "-" * (width + 12), lines[-1]]


def duration(seconds: float) -> str:
    """As people write it."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"
