# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Waiting for a tree of Applications: says what it waits for, and gives up where waiting cannot help."""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass, field

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _argocd_application_cause as causes
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_application import (
    APPLICATION,
    APPLICATION_SET,
    ERROR,
    FAILED,
    HEALTHY,
    HELD,
    NOT_REFRESHED,
    NOT_SEEN,
    READY,
    REFRESH,
    SET_REFRESH,
    SYNCED,
    WAITING,
    Key,
    Object,
    Verdict,
    verdict,
    wave,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_application_failing import Finding, shorten
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_application_tree import Tree
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Progress, no_progress

Verdicts = dict[Key, Verdict]

_HELD_FOR_GOOD = 2.0
_FIRST_NUDGE, _NEXT_NUDGE = 1.0, 8.0
_SAY_EVERY, _SAY_AGAIN = 1.0, 30.0
_LINES = 4
_WIDTH = 200


@dataclass(frozen=True)
class Patience:
    """For how long, and for what.

    :arg timeout: Seconds in all.
    :arg error_timeout: Seconds for which nothing may move while all that is left has failed for good.
    :arg variables: Names of the variables by which the user set things, for messages.
    """

    timeout: float = 600
    error_timeout: float = 15
    wait_for: tuple[str, ...] = (SYNCED, HEALTHY)
    variables: t.Mapping[str, str] = field(default_factory=dict)


class Waiter:
    """Waits until every Application of a tree is ready, or left to people.

    :arg read: Reads the tree.
    :arg findings: What holds an Application up, asked only about those that are named in a failure.
    :arg step_in: Shown the tree at every look, may do what brings it forward; None where nothing may be written.
    :arg nudge: Asks Argo CD to look again at those that have an error; None as above.
    """

    def __init__(
        self,
        read: t.Callable[[], Tree],
        findings: t.Callable[[Object], list[Finding]],
        patience: Patience,
        *,
        progress: Progress = no_progress,
        step_in: t.Callable[[Tree], None] | None = None,
        nudge: t.Callable[[list[Object]], None] | None = None,
        clock: t.Callable[[], float] = time.monotonic,
        sleep: t.Callable[[float], None] = time.sleep,
    ) -> None:
        self._read = read
        self._findings = findings
        self._patience = patience
        self._narrator = Narrator(progress)
        self._step_in = step_in
        self._nudge = nudge
        self._nudged: dict[Key, float] = {}
        self._held: dict[Key, float] = {}
        self._clock = clock
        self._sleep = sleep

    def wait(self) -> Tree:
        """Wait, and return the tree as it was last seen.

        :raises HubspokeError: names each Application that is not ready, its condition and its failing resources.
        """
        start = quiet_since = self._clock()
        picture: t.Any = None
        while True:
            asked = self._clock()
            tree = self._read()
            now = self._clock()
            verdicts = judge(tree, self._patience.wait_for)
            left = {item: found for item, found in verdicts.items() if not self._is_done(item, found, now)}
            self._narrator.tell(tree, verdicts, now - start)
            if not left:
                return tree
            if picture != (picture := _picture(verdicts)):
                quiet_since = now
            if now - quiet_since >= self._patience.error_timeout and hopeless(tree, left):
                raise self._error(tree, left, "Waiting longer would not help")
            if now - start >= self._patience.timeout:
                raise self._error(tree, left, f"Not {' and '.join(self._patience.wait_for)} after {now - start:.0f} s")
            if self._step_in is not None:
                self._step_in(tree)
            self._look_again(tree, left, now)
            # Never more than a fifth of the time is spent on asking, however large the fleet is.
            self._sleep(max(pause(now - start), 4 * (now - asked)))

    def _is_done(self, item: Key, found: Verdict, now: float) -> bool:
        if found.state != HELD:
            self._held.pop(item, None)
            return found.state == READY
        # Right after a sync that somebody started, the status still is that from before.
        return now - self._held.setdefault(item, now) >= _HELD_FOR_GOOD

    def _look_again(self, tree: Tree, left: Verdicts, now: float) -> None:
        """Argo CD repeats a failed comparison after minutes; what was repaired since is seen at once this way."""
        if self._nudge is None:
            return
        due = []
        for item, found in left.items():
            app = tree.items[item]
            if found.state != ERROR or app is None or is_looked_at(app):
                continue
            if now >= self._nudged.setdefault(item, now + _FIRST_NUDGE):
                self._nudged[item] = now + _NEXT_NUDGE
                due.append(app)
        if due:
            self._nudge(due)

    def _error(self, tree: Tree, left: Verdicts, headline: str) -> HubspokeError:
        lines, remedies, stuck = [], [], []
        for item in sorted(left, key=lambda item: left[item].state not in (ERROR, FAILED)):
            app, found = tree.items[item], left[item]
            findings = self._findings(app) if app is not None and item[0] == APPLICATION else []
            text = _stuck(app, found, findings)
            lines.append(f"{label(item, app)}: {text}")
            stuck.append({"kind": item[0], "namespace": item[1], "name": item[2], "message": text})
            if found.text in (NOT_SEEN, NOT_REFRESHED):
                remedies.append("See whether Argo CD's application controller runs: it does not react.")
            if app is not None and found.state == ERROR:
                # The variables say how the roots are defined, not what a repository defines in turn.
                variables = {} if item in tree.parents else self._patience.variables
                remedies.append(causes.remedy(app, found.text, variables))
        timeout = self._patience.variables.get("wait_timeout", "wait_timeout")
        more_time = f"Repair that, or raise {timeout} if it only needs time."
        advice = list(dict.fromkeys(filter(None, remedies))) or [more_time]
        if len(lines) == 1:
            return HubspokeError(f"{headline}: {lines[0]}.", " ".join(advice), stuck=stuck)
        listed = "\n".join(f"- {line}" for line in lines)
        return HubspokeError(f"{headline}:\n{listed}\n", "\n".join(advice), stuck=stuck)


def judge(tree: Tree, wait_for: t.Collection[str]) -> Verdicts:
    """The verdict of each item of the tree."""
    verdicts = {}
    for item, found in tree.items.items():
        if found is not None:
            verdicts[item] = verdict(found, wait_for)
        elif item in tree.parents:
            verdicts[item] = Verdict(WAITING, "not created yet")
        else:
            verdicts[item] = Verdict(ERROR, "does not exist")
    return verdicts


def hopeless(tree: Tree, left: Verdicts) -> bool:
    """Whether everything that is left has failed for good, or waits for something that has."""
    failed = {item for item, found in left.items() if _is_final(tree.items[item], found)}
    blocked = set(failed)
    for item in failed:
        blocked.update(tree.ancestors(item))
    for item in left:
        # A later wave of a parent that is blocked itself.
        if tree.items[item] is None and tree.parents.get(item) in blocked:
            blocked.add(item)
    return bool(failed) and set(left) <= blocked


def _is_final(item: Object | None, found: Verdict) -> bool:
    if found.state == FAILED:
        return True
    return found.state == ERROR and not causes.may_pass(found.text) and not (item and is_looked_at(item))


def is_looked_at(item: Object) -> bool:
    """Whether Argo CD was asked to look at it again and has not finished."""
    annotations = item["metadata"].get("annotations") or {}
    return REFRESH in annotations or SET_REFRESH in annotations


def _picture(verdicts: Verdicts) -> t.Any:
    """What has to change for anything to have moved. Error texts carry names of temporary folders."""
    return {item: (v.state, None if v.state in (ERROR, FAILED) else v.text) for item, v in verdicts.items()}


def _stuck(app: Object | None, found: Verdict, findings: list[Finding]) -> str:
    text = causes.shown_verdict(found.text)
    if app is not None and found.state == ERROR and app.get("kind") == APPLICATION:
        text += f" ({causes.place(app)})"
    told = []
    for finding in findings:
        # A failed sync repeats what its resources say, without their names.
        if finding.text in text and str(finding) not in text:
            text = text.replace(finding.text, str(finding), 1)
        elif finding.text not in text:
            told.append(finding)
    return "; ".join(filter(None, (text, shorten(told))))


def pause(elapsed: float) -> float:
    """Seconds until the next look: most of what is small is done within seconds."""
    for until, seconds in ((10, 0.2), (30, 0.5), (120, 1.0), (300, 2.0)):
        if elapsed < until:
            return seconds
    return 5.0


def label(item: Key, app: Object | None) -> str:
    """Its name, and its wave where it has one."""
    name = item[2] if item[0] == APPLICATION else f"{APPLICATION_SET} {item[2]}"
    number = wave(app) if app is not None else 0
    return f"{name} (wave {number})" if number else name


class Narrator:
    """Tells the user what changed, at most once a second, and now and then that it still waits."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._told: dict[Key, str] = {}
        self._last = 0.0

    def tell(self, tree: Tree, verdicts: Verdicts, elapsed: float) -> None:
        """Say what is new since the last time."""
        lines = {
            item: f"{label(item, tree.items[item])}: {causes.shown_verdict(found.text)}"
            for item, found in verdicts.items()
        }
        # What was never told to lack something is no news when it is ready.
        news = [
            item
            for item, line in lines.items()
            if line != self._told.get(item) and (item in self._told or verdicts[item].state != READY)
        ]
        done = all(found.state in (READY, HELD) for found in verdicts.values())
        waited = elapsed - self._last
        if news and (done or waited >= _SAY_EVERY):
            self._say([lines[item] for item in news], elapsed)
            self._told.update({item: lines[item] for item in news})
        elif not done and self._told and waited >= _SAY_AGAIN:
            left = [lines[item] for item, found in verdicts.items() if found.state not in (READY, HELD)]
            self._say([f"still waiting after {elapsed:.0f} s, {line}" for line in left], elapsed)

    def _say(self, lines: list[str], elapsed: float) -> None:
        for line in lines[:_LINES]:
            # The end tells which attempt it is.
            self._progress(line if len(line) <= _WIDTH else f"{line[: _WIDTH - 60]} ... {line[-50:]}")
        if len(lines) > _LINES:
            self._progress(f"and {len(lines) - _LINES} more")
        self._last = elapsed
