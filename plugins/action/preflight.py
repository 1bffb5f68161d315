# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the module preflight in process, and gathers for it what only the controller knows: the inventory."""

from __future__ import annotations

import os
import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleError
from ansible.template import Templar

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_values
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Result
from ansible_collections.hubspoke.bootstrap.plugins.modules import preflight
from ansible_collections.hubspoke.bootstrap.plugins.plugin_utils.in_process import InProcessAction

_COLLECTION = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class ActionModule(InProcessAction):
    """In process where possible."""

    module = preflight

    _task_vars: Mapping[str, t.Any]

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        """Keep the variables for `complete`."""
        self._task_vars = task_vars or {}
        return super().run(tmp, task_vars)

    def complete(self, arguments: dict[str, t.Any]) -> None:
        """The clusters are the hosts of the play, each with those of its variables that matter."""
        if not arguments.get("folder"):
            arguments["folder"] = _COLLECTION
        if arguments.get("hubs") is None:
            arguments["hubs"] = list(self._task_vars.get("groups", {}).get("hub", []))
        if arguments.get("hosts") is not None:
            return
        try:
            specs = _preflight_values.load(arguments["folder"], arguments.get("roles") or [])
        except HubspokeError:
            # The module will say so, in the one place where failures are made.
            arguments["hosts"] = {}
            return
        names = self._task_vars.get("ansible_play_hosts_all", [])
        hosts = {name: self._facts(name, specs) for name in names}
        arguments["hosts"] = hosts
        # Known to the module before it looks at anything, so that they are kept even out of complaints about arguments.
        arguments["secrets"] = sorted(
            {text for facts in hosts.values() for text in _preflight_values.secrets(facts["variables"], specs.options)}
        )

    def _facts(self, name: str, specs: _preflight_values.Specs) -> dict[str, t.Any]:
        hostvars = self._task_vars["hostvars"]
        raw = {**hostvars.raw_get(name), "hostvars": hostvars}
        mine, strange = _preflight_values.interesting(raw, specs)
        templar: Templar = self._templar.copy_with_new_env(available_variables=raw)
        variables: dict[str, t.Any] = {}
        errors: dict[str, str] = {}
        for variable in mine:
            try:
                variables[variable] = templar.template(raw[variable])
            except AnsibleError as error:
                errors[variable] = str(error)
        return {"variables": variables, "errors": errors, "strange": strange}
