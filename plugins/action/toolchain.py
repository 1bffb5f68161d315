# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the module toolchain in process, and tells it where the collection's pinned versions are."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.hubspoke.bootstrap.plugins.modules import toolchain
from ansible_collections.hubspoke.bootstrap.plugins.plugin_utils.in_process import InProcessAction


class ActionModule(InProcessAction):
    """In process where possible."""

    module = toolchain

    def complete(self, arguments: dict[str, t.Any]) -> None:
        """Only the controller knows where the collection is."""
        arguments.setdefault("folder", str(Path(__file__).resolve().parents[2] / "toolchain"))
