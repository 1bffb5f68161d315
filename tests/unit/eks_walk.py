# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Running an EKS module against a backend, in both modes: check mode must say what the run then does."""

from __future__ import annotations

import typing as t
from types import ModuleType

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _aws, _aws_wait
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Task

from .conftest import FakeModule
from .eks_backend import REGION, Backend

Result = dict[str, t.Any]


class Runs:
    """Runs of one module.

    :arg base: Arguments of every run.
    """

    def __init__(self, module: ModuleType, backend: Backend, monkeypatch: pytest.MonkeyPatch, **base: t.Any) -> None:
        self.module = module
        self.backend = backend
        self.base = base
        self.warnings: list[str] = []
        self.progress: list[str] = []
        self.slept: list[float] = []
        monkeypatch.setattr(_aws.Aws, "service", lambda aws, name: _aws.Service(backend, name, aws.region, aws.calls))
        monkeypatch.setattr(_aws_wait, "_sleep", self.slept.append)

    def run(self, check_mode: bool = False, **params: t.Any) -> Result:
        """One run, its arguments validated and completed as a module's are."""
        given = {"region": REGION, **self.base, **params}
        validated = ArgumentSpecValidator(
            self.module.SPEC["argument_spec"],
            **{key: value for key, value in self.module.SPEC.items() if key.startswith(("required", "mutually"))},
        ).validate(given)
        assert not validated.error_messages, validated.error_messages
        module = FakeModule(validated.validated_parameters, check_mode=check_mode)
        result: Result = self.module.run(Task(t.cast("t.Any", module), self.progress.append))
        self.warnings = module.warnings
        return result

    def both(self, **params: t.Any) -> Result:
        """Check mode and then the run; the first writes nothing and says the same."""
        before = list(self.backend.writes)
        predicted = self.run(check_mode=True, **params)
        assert self.backend.writes == before
        done = self.run(**params)
        for key in ("changed", "actions", "diff"):
            assert predicted[key] == done[key], key
        return done

    def same(self, calls: int = 1, **params: t.Any) -> Result:
        """A repeat, in both modes: nothing changes, nothing is written, and little is asked."""
        before, asked = list(self.backend.writes), len(self.backend.calls)
        done = self.both(**params)
        assert not done["changed"]
        assert done["actions"] == []
        assert done["diff"]["before"] == done["diff"]["after"]
        assert self.backend.writes == before
        assert len(self.backend.calls) - asked == 2 * calls, self.backend.calls[asked:]
        return done

    def refused(self, **params: t.Any) -> str:
        """A run that is refused in both modes with one message, before anything is written."""
        before = list(self.backend.writes)
        messages = set()
        for check_mode in (True, False):
            with pytest.raises(HubspokeError) as error:
                self.run(check_mode=check_mode, **params)
            messages.add(str(error.value))
        assert self.backend.writes == before
        assert len(messages) == 1, messages
        return messages.pop()
