# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a registration is told, and what becomes of a cluster in it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from datetime import datetime

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_spec import DUE

Object = dict[str, t.Any]

CREATED, UPDATED, UNCHANGED, REMOVED = "created", "updated", "unchanged", "removed"


@dataclass(frozen=True)
class Options:
    """What holds for all clusters of a run.

    :arg owner: Which inventory registers them, empty for none.
    :arg hub_is_local: Whether Argo CD runs as processes on this machine.
    :arg hub_image: Image with which a Pod on the hub tries each new address; empty for none.
    :arg hub_id: What tells the hub from a spoke: the uid of its namespace kube-system.
    :arg timeout: Seconds for a spoke's connection and for each of its answers.
    """

    namespace: str = "argocd"
    owner: str = ""
    take_over: bool = False
    rotate: str = DUE
    check_mode: bool = False
    hub_is_local: bool = False
    hub_id: str = ""
    hub_image: str = ""
    timeout: float = 10.0
    now: datetime = field(default_factory=lambda: datetime.now().astimezone())


@dataclass
class Outcome:
    """What became of a cluster, or would.

    :arg notes: What else there is to know.
    :arg warnings: What of it the user has to see.
    """

    name: str
    server: str = ""
    secret: str = ""
    action: str = UNCHANGED
    changes: list[str] = field(default_factory=list)
    account_changes: list[str] = field(default_factory=list)
    credential: str = ""
    expires: str | None = None
    renewed: str = ""
    adopted: bool = False
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    before: Object = field(default_factory=dict)
    after: Object = field(default_factory=dict)
    error: HubspokeError | None = None

    @property
    def changed(self) -> bool:
        """Whether anything was, or would be, written."""
        return bool(self.changes or self.account_changes) or self.action == REMOVED
