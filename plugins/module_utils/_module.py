# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every module of this collection shares: one way from arguments to engine to result.

A module is a `SPEC` (keyword arguments of AnsibleModule), a `run(task)` that calls the engine and
returns the result, and `main()`, which is `execute(Module(**SPEC), run)`. The action plugin of
the same name runs the same two in the worker process (see plugin_utils/in_process.py).
"""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.parameters import remove_values

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._redact import REDACTED, without_secrets

Result = dict[str, t.Any]
Progress = t.Callable[[str], None]


def no_progress(message: str) -> None:
    """Where nobody watches (a module in a subprocess has no way to speak before its end)."""


class Module(AnsibleModule):
    """AnsibleModule that never echoes a Secret or a way into a spoke, not even when its arguments are refused."""

    def _return_formatted(self, kwargs: dict[str, t.Any]) -> None:
        kwargs.setdefault("invocation", {"module_args": _without_ways(without_secrets(self.params))})
        super()._return_formatted(kwargs)


def _without_ways(value: dict[str, t.Any]) -> dict[str, t.Any]:
    """Without the connection options of spokes. Marked no_log, they would censor their addresses everywhere else.

    Of a list of clusters only the names are kept: a thousand with thirty options each take longer to censor, to write
    and to read than to check.
    """
    return {
        key: REDACTED if key in _HIDDEN else [_shown(each) for each in item] if isinstance(item, list) else item
        for key, item in value.items()
    }


# The value of a secret, for one: marked no_log, the words in it would be censored everywhere else too.
_HIDDEN = ("spoke", "value")


def _shown(item: t.Any) -> t.Any:
    if not isinstance(item, dict):
        return item
    if "spoke" in item:
        return item.get("name")
    # Of a chart.
    return {**item, "values": REDACTED} if item.get("values") and "release" in item else item


class Task:
    """What an engine sees of the task that called it.

    :arg module: The validated module.
    :arg progress: Called with one line for the user while the task runs.
    """

    def __init__(self, module: Module, progress: Progress = no_progress) -> None:
        self._module = module
        self._progress = progress

    @property
    def params(self) -> dict[str, t.Any]:
        """The validated arguments."""
        return t.cast("dict[str, t.Any]", self._module.params)

    @property
    def check_mode(self) -> bool:
        """Whether nothing may be changed."""
        return bool(self._module.check_mode)

    @property
    def diff(self) -> bool:
        """Whether the user asked for differences (they can be costly to write down)."""
        return bool(self._module._diff)

    def progress(self, line: str) -> None:
        """Tell the user what is being done or waited for; may be called from any thread, as `warn` may."""
        self._progress(self._censored(line))

    def warn(self, message: str) -> None:
        """Add a warning to the result."""
        self._module.warn(self._censored(message))

    def censor(self, *values: str | None) -> None:
        """Keep these values out of the result wherever they appear, as a no_log argument's are."""
        self._module.no_log_values.update(value for value in values if value)

    def _censored(self, text: str) -> str:
        """Warnings and progress do not pass through the result, where AnsibleModule censors."""
        return str(remove_values(text, frozenset(self._module.no_log_values)))


def execute(module: Module, run: t.Callable[[Task], Result], progress: Progress = no_progress) -> t.NoReturn:
    """Run the engine and leave through the module's exit: the only place where an error becomes a failure."""
    try:
        module.exit_json(**run(Task(module, progress)))
    except HubspokeError as error:
        module.fail_json(msg=str(error), **error.details)
    except Exception as error:
        # As a failure of the module: its text is then censored, and the same wherever the module ran.
        module.fail_json(
            msg=f"Unexpected {type(error).__name__}: {error}. This is a fault of the module, not of its arguments. "
            "Run again with ANSIBLE_DISPLAY_TRACEBACK=error and report what it shows."
        )
