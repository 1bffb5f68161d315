# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one family of errors that the engine raises; a module turns them into its failure in one place."""

from __future__ import annotations

import typing as t


class HubspokeError(Exception):
    """Something the user can act on.

    :arg message: One sentence that names the thing (cluster, variable, object, file) and what was found.
    :arg remedy: What to do about it, as a sentence; appended to the message.
    :arg details: Further keys for the module's result, for machines to read.
    """

    def __init__(self, message: str, remedy: str = "", **details: t.Any) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.details = details

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".rstrip()


class ApiError(HubspokeError):
    """The Kubernetes API answered with a failure.

    :arg status: HTTP status code, 0 where no answer came at all.
    :arg reason: The `reason` of the returned Status object (NotFound, Conflict, Invalid ...).
    """

    def __init__(self, message: str, status: int, reason: str = "", remedy: str = "", **details: t.Any) -> None:
        super().__init__(message, remedy, **details)
        self.status = status
        self.reason = reason
