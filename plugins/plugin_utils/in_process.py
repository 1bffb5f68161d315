# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run a module of this collection inside Ansible's worker process.

Every host of an inventory here is an API endpoint, so a module's subprocess is pure cost: it packs,
spawns and imports the same Kubernetes client for every task. The worker has it imported already (an
action plugin is loaded before the workers fork).

Results are those of an ordinary module because almost everything is the ordinary module's: AnsibleModule
validates, censors and serializes, ActionBase._execute_module completes the arguments and reads the result.
Only the two steps between are replaced: packing the module, and running the package.
"""

from __future__ import annotations

import contextlib
import copy
import gc
import io
import json
import os
import shutil
import sys
import typing as t
from types import ModuleType

from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.executor.module_common import _BuiltModule
from ansible.module_utils import basic
from ansible.module_utils.common.json import Direction, get_module_encoder
from ansible.plugins.action import ActionBase

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import (
    Module,
    Progress,
    Result,
    execute,
    no_progress,
)

# The serialization profile of modules written in Python.
_PROFILE = "legacy"


class _Exit(BaseException):
    """Carries a module's result out of exit_json and fail_json; like their SystemExit, no engine catches it."""

    def __init__(self, result: str) -> None:
        super().__init__()
        self.result = result


class _WorkerModule(Module):
    """The module with the two ends exchanged: arguments come from the task, the result goes back to it."""

    def __init__(self, arguments: str, spec: dict[str, t.Any]) -> None:
        self._warnings: list[tuple[str, str | None]] = []
        # Where the wrapper of a packed module puts them. Through JSON as to a subprocess, so without tags, lazy
        # templates and vault objects.
        basic._ANSIBLE_ARGS = arguments.encode()
        basic._ANSIBLE_PROFILE = _PROFILE
        super().__init__(**spec)

    def warn(self, warning: str, *, help_text: str | None = None) -> None:
        # Kept to the end: the context that collects them for the task's result is not seen by threads.
        self._warnings.append((warning, help_text))

    def _record_module_result(self, o: dict[str, t.Any]) -> None:
        result = json.dumps(o, cls=get_module_encoder(_PROFILE, Direction.MODULE_TO_CONTROLLER))
        for warning, help_text in self._warnings:
            super().warn(warning, help_text=help_text)
        raise _Exit(result)

    def remove_tmpdir(self) -> None:
        """What a module leaves to its process's exit handlers, which a forked worker never runs."""
        if self._tmpdir:
            shutil.rmtree(self._tmpdir, ignore_errors=True)


class InProcessAction(ActionBase):
    """Base of the action plugins: subclasses name their module, and may complete its arguments."""

    module: ModuleType

    _supports_check_mode = True
    _supports_async = True

    _here = False
    """Whether the module is run in this process."""
    _arguments: str | None = None
    """Its serialized arguments, from their packing to the run."""

    def complete(self, arguments: dict[str, t.Any]) -> None:
        """Fill in what only the controller knows; the same for both ways of running."""

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        """Run the module here where that is the same thing, else as a module is run."""
        task_vars = task_vars or {}
        result: Result = super().run(None, task_vars)
        arguments = dict(self._task.args)
        self.complete(arguments)
        # ansible-core wants to hear of async only where the connection has none of its own (it dropped that in 2.21).
        wrap_async = bool(self._task.async_val) and not getattr(self._connection, "has_native_async", False)
        self._here = self._can_run_here(task_vars)
        name = self._task.resolved_action or self._task.action
        result.update(self._execute_module(name, arguments, task_vars=task_vars, wrap_async=wrap_async))
        return result

    def _can_run_here(self, task_vars: dict[str, t.Any]) -> bool:
        """Same machine, same Python, same user, same environment: then a subprocess would do just the same."""
        if self._connection.transport != "local" or self._connection.become or self._task.async_val:
            return False
        environment: dict[str, t.Any] = {}
        self._compute_environment_string(environment)
        if environment:
            return False
        if self._task.delegate_to:
            task_vars = task_vars["ansible_delegated_vars"][self._task.delegate_to]
        interpreter = C.config.get_config_value("INTERPRETER_PYTHON", variables=task_vars)
        return _is_this_python(self._templar.template(interpreter))

    # The two steps of _execute_module that differ

    def _is_pipelining_enabled(self, module_style: str, wrap_async: bool = False) -> bool:
        # Nothing is copied to a temporary folder where nothing is spawned.
        return self._here or bool(super()._is_pipelining_enabled(module_style, wrap_async))

    def _configure_module(self, module_name: str, module_args: dict[str, t.Any], task_vars: dict[str, t.Any]) -> t.Any:
        if not self._here:
            return super()._configure_module(module_name, module_args, task_vars)
        try:
            encoder = get_module_encoder(_PROFILE, Direction.CONTROLLER_TO_MODULE)
            self._arguments = json.dumps({"ANSIBLE_MODULE_ARGS": module_args}, cls=encoder)
        except TypeError as error:
            raise AnsibleError(f"Failed to serialize arguments for the {module_name!r} module.") from error
        package = _BuiltModule(
            b_module_data=b"", module_style="new", shebang=f"#!{sys.executable}", serialization_profile=_PROFILE
        )
        return package, str(self.module.__file__)

    def _low_level_execute_command(self, *args: t.Any, **kwargs: t.Any) -> t.Any:
        if self._arguments is None:
            return super()._low_level_execute_command(*args, **kwargs)
        arguments, self._arguments = self._arguments, None
        result = self._run_here(arguments)
        return {"rc": 0, "stdout": result, "stdout_lines": [result], "stderr": "", "stderr_lines": []}

    def _run_here(self, arguments: str) -> str:
        module: _WorkerModule | None = None
        if not gc.get_freeze_count():
            gc.freeze()  # what the worker inherited stays, and need not be looked through over and over
        with (
            # What a module writes besides its result goes nowhere, and relative paths start at the playbook.
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            contextlib.chdir(self._loader.get_basedir()),
        ):
            try:
                # A copy, because the items of a loop share this process and a default may be a list.
                module = _WorkerModule(arguments, copy.deepcopy(self.module.SPEC))
                execute(module, self.module.run, self._progress())
            except _Exit as exit_:
                return exit_.result
            except SystemExit as error:
                raise AnsibleError(f"The module {self._task.action!r} ended without a result.") from error
            finally:
                if module:
                    module.remove_tmpdir()

    def _progress(self) -> Progress:
        if self._task.no_log:
            return no_progress
        host = self._task.delegate_to or self._play_context.remote_addr
        return lambda line: self._display.display(f"  [{host}] {line}")


def _is_this_python(interpreter: t.Any) -> bool:
    """Whether a path is the running Python by one of its names (a virtual environment's python, python3 ...)."""
    if not isinstance(interpreter, str) or os.path.dirname(interpreter) != os.path.dirname(sys.executable):
        return False
    return interpreter == sys.executable or (
        os.path.exists(interpreter) and os.path.samefile(interpreter, sys.executable)
    )
