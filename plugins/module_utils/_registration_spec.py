# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One cluster as the user wants it registered."""

from __future__ import annotations

import ipaddress
import typing as t
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_secret import IN_CLUSTER, normalized

Object = dict[str, t.Any]

TOKEN, TOKEN_SECRET, BEARER_TOKEN, BASIC = "token", "token_secret", "bearer_token", "basic"
CLIENT_CERTIFICATE, AWS, EXEC, NONE = "client_certificate", "aws", "exec", "none"
CREDENTIALS = (TOKEN, TOKEN_SECRET, BEARER_TOKEN, BASIC, CLIENT_CERTIFICATE, AWS, EXEC, NONE)
GIVEN = (BEARER_TOKEN, BASIC, CLIENT_CERTIFICATE, AWS, EXEC)
"""Credentials of the user's, which are options of the same names."""
MADE_HERE = (TOKEN, TOKEN_SECRET)
"""Credentials of an account that is made on the spoke."""

DUE, ALWAYS, ON_CHANGE, NEVER = "due", "always", "on_change", "never"
"""When something is done: a token renewed, a credential tried."""

FULL: tuple[Object, ...] = (
    {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
    {"nonResourceURLs": ["*"], "verbs": ["*"]},
)
WHOLE_NAMESPACE: tuple[Object, ...] = FULL[:1]


@dataclass(frozen=True)
class Account:
    """The manager account on the spoke.

    :arg namespaces: Where its rights are; empty for the whole cluster.
    """

    namespace: str
    name: str
    rules: tuple[Object, ...]
    namespaces: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Wanted:
    """One cluster as it is to be registered.

    :arg server: As the hub is to use it; empty where the connection to the spoke says it.
    :arg spoke: Connection options by which the spoke is reached from here, None where it is not to be reached.
    :arg given: The credential as the user gave it, as fields of Argo CD's config.
    :arg lifetime: Of a bounded token, in seconds.
    :arg probe: When its credential is tried from here: ALWAYS, ON_CHANGE or NEVER.
    """

    name: str
    server: str
    credential: str
    account: Account
    state: str = "present"
    spoke: Object | None = field(default=None, repr=False)
    spoke_present: bool = True
    project: str | None = None
    namespaces: tuple[str, ...] | None = None
    cluster_resources: bool | None = None
    shard: int | None = None
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    skip_reconcile: bool | None = None
    given: Object = field(default_factory=dict, repr=False)
    lifetime: int = 2592000
    renew_after: float = 0.5
    ca: str | None = None
    server_name: str | None = None
    insecure: bool = False
    proxy: str = ""
    disable_compression: bool = False
    probe: str = ALWAYS

    @property
    def in_cluster(self) -> bool:
        """Whether it is the hub itself, by the address that only its own pods have."""
        return bool(self.server) and normalized(self.server) == normalized(IN_CLUSTER)

    @property
    def by_arn(self) -> bool:
        """Whether EKS's own capability is to find it by its ARN."""
        return self.server.startswith("arn:")

    @property
    def makes_account(self) -> bool:
        """Whether its credential is that of an account which is made on the spoke."""
        return self.credential in MADE_HERE


class WrongCluster(HubspokeError):
    """What is wrong with one cluster's arguments."""

    def __init__(self, name: str, option: str, found: str, remedy: str) -> None:
        super().__init__(f"Cluster {name}: {option} {found}.", remedy)


def is_loopback(server: str) -> bool:
    """Whether an address means the machine of whoever uses it."""
    host = (urlsplit(server).hostname or "").lower().rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return False
    return found.is_loopback or found.is_unspecified


def check_reachable_from_hub(name: str, server: str, hub_is_local: bool) -> None:
    """:raises HubspokeError: to the hub's pods the address would mean themselves."""
    if is_loopback(server) and not hub_is_local:
        raise WrongCluster(
            name,
            "server",
            f"{server} means this machine, and to the hub's pods it would mean themselves",
            "Give the address that the hub can use; nodes of kind and k3d have one on their Docker network, "
            "https://<cluster>-control-plane:6443 for example.",
        )
