# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What has to be done so that exactly the wanted processes run as they should."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._redact import REDACTED, REDACTED_CHANGED

Document = dict[str, t.Any]
"""A process as the file in run/ describes it, with the contents of its own files."""

START, RESTART, STOP, KEEP = "start", "restart", "stop", "keep"

UP = frozenset({"RUNNING", "STARTING"})
CRASHING = frozenset({"BACKOFF", "FATAL", "EXITED"})
_WORDS = {
    "RUNNING": "running",
    "STARTING": "running",
    "STOPPING": "stopped",
    "STOPPED": "stopped",
    "BACKOFF": "crashing",
    "EXITED": "crashing",
    "FATAL": "crashing",
}
# Values of these are shown only as "there is one" or "it changed"; their names are shown.
_HIDDEN = ("environment", "files")


@dataclass(frozen=True)
class State:
    """How supervisord sees a process."""

    name: str
    pid: int | None = None
    started: int = 0

    @property
    def word(self) -> str:
        """In one word for the user."""
        return _WORDS.get(self.name, "unknown")


@dataclass
class Found:
    """What is there.

    :arg supervised: Whether a supervisord with the right configuration answers.
    :arg states: The processes it knows.
    :arg documents: What the files say, also of processes that no supervisord knows (any more).
    :arg stale: Processes that supervisord still runs by an older configuration.
    :arg orphans: How many processes are left of a supervisord that is gone.
    """

    supervised: bool = False
    states: dict[str, State] = field(default_factory=dict)
    documents: dict[str, Document] = field(default_factory=dict)
    stale: frozenset[str] = frozenset()
    orphans: int = 0


@dataclass(frozen=True)
class Step:
    """What becomes of one process."""

    name: str
    verb: str
    before: Document | None = None
    after: Document | None = None


def plan(wanted: t.Mapping[str, Document], found: Found) -> list[Step]:
    """One step for each process that is wanted or there."""
    steps = []
    for name, document in wanted.items():
        before = found.documents.get(name)
        state = found.states.get(name) if found.supervised else None
        if state is None or (before == document and name not in found.stale and state.name not in UP):
            verb = START
        elif before != document or name in found.stale:
            verb = RESTART
        else:
            verb = KEEP
        steps.append(Step(name, verb, _with_state(before, state), {**document, "state": "running"}))
    for name in sorted({*found.states, *found.documents} - {*wanted}):
        steps.append(Step(name, STOP, _with_state(found.documents.get(name, {}), found.states.get(name)), None))
    return steps


def _with_state(document: Document | None, state: State | None) -> Document | None:
    if document is None:
        return None
    return {**document, "state": state.word if state else "stopped"}


def difference(step: Step, set_name: str, dump: t.Callable[[Document], str]) -> dict[str, str]:
    """One entry of the diff, values of variables and files hidden.

    :arg dump: Writes a document as text.
    """
    before, after = redacted_pair(step.before, step.after)
    header = f"process {step.name} of {set_name}"
    return {
        "before_header": header,
        "after_header": f"{header} ({step.verb})",
        "before": dump(before) if before is not None else "",
        "after": dump(after) if after is not None else "",
    }


def redacted_pair(before: Document | None, after: Document | None) -> tuple[Document | None, Document | None]:
    """Both sides without values, but with a mark on those that change."""
    shown_before, shown_after = _hidden(before, None), _hidden(after, before)
    return shown_before, shown_after


def _hidden(document: Document | None, other: Document | None) -> Document | None:
    if document is None:
        return None
    shown = dict(document)
    for part in _HIDDEN:
        theirs = (other or {}).get(part, {})
        shown[part] = {
            name: REDACTED_CHANGED if name in theirs and theirs[name] != value else REDACTED
            for name, value in document.get(part, {}).items()
        }
    return shown
