# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A credential tried as Argo CD will use it: where it is tried, and how long a new one may take to be known."""

from __future__ import annotations

import time
from dataclasses import replace

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_account import rights
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_plan import Connection
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_probe import (
    Endpoint,
    Identity,
    ProbeError,
    probe,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_secret import normalized
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_spec import Wanted
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_spoke import Access

_SETTLING = 5.0  # seconds in which a spoke's API server comes to know new rights
_UNREACHABLE = ("dns", "refused", "timeout", "unreachable")


class Trial:
    """Tries credentials.

    :arg timeout: Seconds for a connection and for each answer.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout

    def endpoint(self, wanted: Wanted, connection: Connection) -> Endpoint:
        """Where the hub will connect to."""
        return Endpoint(
            server=connection.server,
            ca=connection.ca,
            server_name=connection.server_name,
            insecure=connection.insecure,
            proxy=wanted.proxy,
            timeout=self._timeout,
        )

    def probe(self, wanted: Wanted, connection: Connection, way: Access | None, identity: Identity) -> list[str]:
        """Try a credential at the address that the hub will use, or else at the one that is used here.

        :returns: What was not tried.
        :raises ProbeError: it does not do what it is for.
        """
        endpoint, wanted_rights = self.endpoint(wanted, connection), rights(wanted.account)
        elsewhere = way is not None and normalized(way.endpoint.server) != normalized(connection.server)
        try:
            probe(endpoint, identity, wanted_rights)
        except ProbeError as error:
            if not (elsewhere and way and error.kind in _UNREACHABLE):
                raise
            probe(replace(endpoint, via=way.endpoint.server), identity, wanted_rights)
            return [f"tried at {way.endpoint.server}, since from here {error.message.rstrip('.')}"]
        return []

    def prove(self, wanted: Wanted, connection: Connection, way: Access | None, token: str) -> list[str]:
        """The same for a token that was just made: its rights take a moment to be known everywhere."""
        deadline, pause = time.monotonic() + _SETTLING, 0.02
        while True:
            try:
                return self.probe(wanted, connection, way, Identity(token=token))
            except ProbeError as error:
                if error.kind not in ("forbidden", "unauthenticated") or time.monotonic() > deadline:
                    raise
            time.sleep(pause)
            pause = min(pause * 2, 1)
