# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the module secretsmanager_seed in process."""

from __future__ import annotations

from ansible_collections.hubspoke.bootstrap.plugins.modules import secretsmanager_seed
from ansible_collections.hubspoke.bootstrap.plugins.plugin_utils.in_process import InProcessAction


class ActionModule(InProcessAction):
    """In process where possible."""

    module = secretsmanager_seed
