# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The table of phases."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.callback import phases


class Play:
    def __init__(self, name: str) -> None:
        self.name = name

    def get_name(self) -> str:
        return self.name


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., list[str]]:
    """shown((name, seconds, tasks), ...): what is printed after plays of that length with that many tasks."""

    def run(*plays: tuple[str, float, int]) -> list[str]:
        now = 100.0
        monkeypatch.setattr(phases.time, "monotonic", lambda: now)
        plugin = phases.CallbackModule()
        lines: list[str] = []
        monkeypatch.setattr(plugin._display, "display", lines.append)
        for name, seconds, tasks in plays:
            plugin.v2_playbook_on_play_start(t.cast("t.Any", Play(name)))
            for _task in range(tasks):
                plugin.v2_playbook_on_task_start(t.cast("t.Any", None), is_conditional=False)
            now += seconds
        plugin.v2_playbook_on_stats(t.cast("t.Any", None))
        return lines

    return run


def test_plays_and_their_sum(shown: t.Callable[..., list[str]]) -> None:
    lines = shown(("Preflight", 0.44, 3), ("GitOps root", 75.6, 1))
    assert lines[0].startswith("PHASES ***")
    assert lines[1:] == [
        "Preflight         0.4 s",
        "GitOps root  1 min 16 s",
        "-----------------------",
        "Total        1 min 16 s",
    ]


def test_plays_without_hosts_are_left_out(shown: t.Callable[..., list[str]]) -> None:
    lines = shown(("Preflight", 1, 1), ("Spokes", 1, 0), ("Summary", 1, 1))
    assert not [line for line in lines if "Spokes" in line]
    assert lines[-1].split() == ["Total", "2.0", "s"]


@pytest.mark.parametrize("plays", [[], [("Status", 1.0, 5)], [("Status", 1.0, 5), ("Nobody", 1.0, 0)]])
def test_a_single_play_says_nothing(shown: t.Callable[..., list[str]], plays: list[tuple[str, float, int]]) -> None:
    assert shown(*plays) == []
