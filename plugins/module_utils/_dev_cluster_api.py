# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asking API servers that may not be there yet, or not any more."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import ApiError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube, Object


class Probe(Kube):
    """A client that asks once, and not for long: whether it is answered at all is the question."""

    def __init__(self, configuration: t.Any, headers: dict[str, t.Any] | None = None, connections: int = 4) -> None:
        super().__init__(configuration, headers, connections)
        self._pool.connection_pool_kw["retries"] = False


def wait_until_ready(kube: Kube, timeout: float) -> None:
    """Wait for an API server.

    :raises HubspokeError: it does not become ready.
    """
    start, pause = time.monotonic(), 0.02
    while True:
        try:
            kube.request("GET", "/readyz", timeout=5)
            return
        except ApiError as error:
            # A server that has just started may know neither users nor roles yet; later they are really wrong.
            patience = min(timeout, 30) if error.status in (401, 403) else timeout
            if time.monotonic() - start > patience:
                raise
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)


def create(kube: Kube, path: str, body: Object, deadline: float) -> None:
    """Create an object that may be there; in the first moments its namespace may not be, or admission not be ready."""
    while True:
        try:
            kube.request("POST", path, body)
            return
        except ApiError as error:
            if error.status == 409:
                return
            if error.status not in (403, 404, 500, 503) or time.monotonic() > deadline:
                raise
        time.sleep(0.05)
