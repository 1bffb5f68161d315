# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Logins to ECR as Secrets of a cluster: a token of twelve hours, asked for when the one that is there soon ends."""

from __future__ import annotations

import hashlib
import json
import typing as t
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _sops_cluster as cluster
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _sops_secrets as secrets
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws import Service
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._manifest_plan import Object, Ref

EXPIRES = "hubspoke.bootstrap/expires"


@dataclass(frozen=True)
class Token:
    """A login.

    :arg authorization: User and password, as Docker's configuration has them.
    :arg registry: Host of the account's own registry.
    """

    authorization: str = field(repr=False)
    registry: str
    expires: datetime


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    :arg name: Of the Secret in each of the namespaces.
    :arg region: Of the registries.
    :arg registries: Hosts that the token is for; empty stands for the account's own.
    :arg renew_before: How long before its end a token is followed by another.
    """

    name: str
    region: str
    namespaces: tuple[str, ...]
    registries: tuple[str, ...]
    renew_before: timedelta

    @property
    def set_name(self) -> str:
        """Of the set of Secrets, which no set of encrypted files has."""
        return f"pull-{self.name}"

    @property
    def source(self) -> str:
        """What the Secrets say they were made of."""
        return f"ECR in {self.region}"

    @property
    def checksum(self) -> str:
        """Of all that decides what is in them, but for the token."""
        return hashlib.sha256(json.dumps([self.source, self.name, self.registries]).encode()).hexdigest()


def fresh(live: t.Iterable[Object], wanted: Wanted, field_manager: str, now: datetime) -> list[Object]:
    """The Secrets that are wanted and as they should be, if all of them are and no token ends soon; else none."""
    places = {(namespace, wanted.name) for namespace in wanted.namespaces}
    found = [
        item
        for item in live
        if (item["metadata"]["namespace"], item["metadata"]["name"]) in places
        and cluster.intact(item, wanted.source, wanted.checksum, field_manager)
        and _expires(item) - wanted.renew_before > now
    ]
    return found if len(found) == len(places) else []


def _expires(item: Object) -> datetime:
    """When a Secret's token ends; long ago, where it does not say."""
    try:
        return datetime.fromisoformat(item["metadata"]["annotations"][EXPIRES])
    except (KeyError, ValueError):
        return datetime.min.replace(tzinfo=UTC)


def expires(items: t.Iterable[Object]) -> str:
    """When the first of their tokens ends."""
    return min(map(_expires, items)).isoformat()


def token(ecr: Service) -> Token:
    """Ask for one.

    :raises HubspokeError: AWS refuses.
    """
    answer = ecr.call("get_authorization_token", f"No login to ECR in {ecr.region}")["authorizationData"][0]
    moment = datetime.fromisoformat(answer["expiresAt"]).astimezone(UTC).replace(microsecond=0)
    return Token(answer["authorizationToken"], answer["proxyEndpoint"].removeprefix("https://"), moment)


def made(wanted: Wanted, login: Token) -> list[Object]:
    """The Secrets with that token."""
    hosts = wanted.registries or (login.registry,)
    config = {"auths": {host: {"auth": login.authorization} for host in hosts}}
    data = {secrets.DOCKER_KEY: secrets.encoded(json.dumps(config, sort_keys=True, separators=(",", ":")))}
    found: list[Object] = []
    for namespace in sorted(set(wanted.namespaces)):
        item: Object = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": secrets.DOCKER,
            "metadata": {
                "name": wanted.name,
                "namespace": namespace,
                "annotations": {EXPIRES: login.expires.isoformat()},
            },
            "data": dict(data),
        }
        secrets.mark(item, wanted.set_name, wanted.source, wanted.checksum)
        found.append(item)
    return found


def check(wanted: Wanted) -> None:
    """Refuse registries that no token of that region is for.

    :raises HubspokeError: one is elsewhere.
    """
    for host in wanted.registries:
        if ".dkr.ecr." in host and f".dkr.ecr.{wanted.region}." not in host:
            raise HubspokeError(
                f"{host} is not in {wanted.region}, and a token is for the registries of one region.",
                "Give each region a set of its own (name).",
            )


def identities(items: t.Iterable[Object]) -> dict[t.Any, Object]:
    """Objects by what makes them the same object."""
    return {Ref.of(item).identity: item for item in items}
