# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the tests of the probe's failures share: certificates, and one way to try."""

from __future__ import annotations

import typing as t

from unit import registration_probe_servers as servers
from unit.registration_probe_servers import CANARY, Reply, failure, said, status_of

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_probe import Endpoint, Identity, Right

AUTHORITY = servers.Authority("kubernetes")
PAIR = AUTHORITY.issue("127.0.0.1", "api.test")
CLIENT = AUTHORITY.issue(common_name="manager")
TOKEN = Identity(token=CANARY)
ALLOW = servers.http(lambda _: servers.review(True))
UNAUTHORIZED = status_of(401, "Unauthorized", "Unauthorized")
ACCOUNT = "system:serviceaccount:argocd:manager"
ANONYMOUS = status_of(
    403, "Forbidden", 'selfsubjectaccessreviews is forbidden: User "system:anonymous" cannot create resource'
)


class Outcome(t.NamedTuple):
    """What became of one probe."""

    where: str
    said: tuple[str, str, str]
    connections: int


def tried(
    script: servers.Script | Reply,
    identity: Identity = TOKEN,
    *rights: Right,
    path: str = "",
    timeout: float = 5.0,
    handler: servers.Handler | None = None,
) -> Outcome:
    """The error of a probe against a server that answers so."""
    answer: servers.Script = (lambda _: script) if isinstance(script, Reply) else script
    with servers.Server(servers.tls(PAIR, handler or servers.http(answer))) as server:
        where = f"https://127.0.0.1:{server.port}{path}"
        error = failure(Endpoint(where, ca=AUTHORITY.pem, timeout=timeout), identity, rights or (Right(),))
        return Outcome(where, said(error), server.connections)


def at(server: servers.Server | int | str, /, **options: t.Any) -> Endpoint:
    """An endpoint by server, port or address."""
    if isinstance(server, servers.Server):
        server = server.port
    if isinstance(server, int):
        server = f"https://127.0.0.1:{server}"
    return Endpoint(**{"server": server, "ca": AUTHORITY.pem, "timeout": 5.0, **options})
