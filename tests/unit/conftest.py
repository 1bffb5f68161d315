# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What unit tests share: a module without a process around it, and files of the checkout."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from unit import registration_probe_servers as servers
from unit.registration_world import World

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import (
    _registration,
    _registration_probe_tls,
    _registration_trial,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Task

ROOT = pathlib.Path(__file__).parents[2]


class FakeModule:
    """What Task needs of an AnsibleModule, and a record of what it was told."""

    def __init__(self, params: dict[str, t.Any], check_mode: bool = False, diff: bool = True) -> None:
        self.params = params
        self.check_mode = check_mode
        self.no_log_values: set[str] = set()
        self.warnings: list[str] = []
        self.result: dict[str, t.Any] = {}
        self._diff = diff

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def exit_json(self, **result: t.Any) -> None:
        self.result = result

    def fail_json(self, **result: t.Any) -> None:
        self.result = {"failed": True, **result}


@pytest.fixture
def make_task() -> t.Callable[..., tuple[Task, FakeModule, list[str]]]:
    """make_task({params}, check_mode=, diff=) gives a task, its module, and the list of its progress lines."""

    def make(params: dict[str, t.Any] | None = None, **options: bool) -> tuple[Task, FakeModule, list[str]]:
        module, lines = FakeModule(params or {}, **options), list[str]()
        return Task(t.cast("t.Any", module), lines.append), module, lines

    return make


@pytest.fixture
def probe_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's clock stands still for the probe of credentials."""
    monkeypatch.setattr(_registration_probe_tls, "now", lambda: servers.NOW)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A hub and spokes in memory, which the engine of registration takes for real ones."""
    found = World()
    monkeypatch.setattr(_registration, "Api", found.api)
    monkeypatch.setattr(_registration, "probe", found.probe)
    monkeypatch.setattr(_registration_trial, "probe", found.probe)
    monkeypatch.setattr(_registration_trial, "_SETTLING", 0.1)
    return found
