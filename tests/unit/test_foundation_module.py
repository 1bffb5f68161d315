# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The way from arguments to engine to result."""

from __future__ import annotations

import sys
import typing as t

import pytest
from ansible.module_utils.basic import AnsibleModule

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Task, execute
from ansible_collections.hubspoke.bootstrap.plugins.plugin_utils.in_process import _is_this_python

from .conftest import FakeModule


def test_what_is_censored_shows_neither_in_warnings_nor_in_progress(make_task: t.Callable[..., t.Any]) -> None:
    task, module, lines = make_task()
    task.warn("token abc")
    task.censor("abc", None, "")
    task.warn("token abc")
    task.progress("sending abc")
    assert module.warnings == ["token abc", "token ********"]
    assert lines == ["sending ********"]
    assert module.no_log_values == {"abc"}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (HubspokeError("It is gone.", "Make it.", cluster="hub"), {"msg": "It is gone. Make it.", "cluster": "hub"}),
        (HubspokeError("It is gone."), {"msg": "It is gone."}),
    ],
)
def test_an_error_becomes_a_failure(error: Exception, expected: dict[str, str]) -> None:
    def run(task: Task) -> dict[str, t.Any]:
        raise error

    module = FakeModule({})
    execute(t.cast("t.Any", module), run)
    assert module.result == {"failed": True, **expected}


def test_a_fault_becomes_a_failure_that_names_it() -> None:
    def run(task: Task) -> dict[str, t.Any]:
        return {}[task.params["key"]]  # type: ignore[no-any-return]

    module = FakeModule({"key": "missing"})
    execute(t.cast("t.Any", module), run)
    assert module.result["msg"].startswith("Unexpected KeyError: 'missing'.")


def test_which_python_is_this_one() -> None:
    assert _is_this_python(sys.executable)
    for other in (None, "", "auto_silent", "python3", "/nowhere/python", sys.executable + "-other", 3):
        assert not _is_this_python(other)


def test_what_was_given_shows_no_way_into_a_spoke(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: dict[str, t.Any] = {}
    monkeypatch.setattr(AnsibleModule, "_return_formatted", lambda _self, result: shown.update(result["invocation"]))
    module = object.__new__(Module)
    spoke = {"api_key": "abc"}
    module.params = {"clusters": [{"name": "tokyo", "spoke": spoke}], "spoke": spoke, "protected": ["seoul"]}
    module._return_formatted({})
    assert shown == {"module_args": {"clusters": ["tokyo"], "spoke": "<redacted>", "protected": ["seoul"]}}
