# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the module argocd_clusters in process."""

from __future__ import annotations

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Result
from ansible_collections.hubspoke.bootstrap.plugins.modules import argocd_clusters
from ansible_collections.hubspoke.bootstrap.plugins.plugin_utils.in_process import InProcessAction


class ActionModule(InProcessAction):
    """In process where possible."""

    module = argocd_clusters

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        """As all others, and without sending the clusters back to where they came from."""
        result = super().run(tmp, task_vars)
        if not self._task.until:  # the next attempt needs them
            # Ansible returns a task's arguments with its result, each string with where it comes from: for a thousand
            # clusters that takes longer than all the rest of it. Nothing reads them.
            self._task.args = {name: value for name, value in self._task.args.items() if name != "clusters"}
        return result
