# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All that the look-alike of EKS knows: its settings, the clusters, and what is to happen to them later."""

from __future__ import annotations

import base64
import datetime
import hashlib
import random
import threading
import typing as t
import uuid
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_errors import AwsError, invalid, not_found
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_model import Params

Shape = dict[str, t.Any]
"""A structure of the API, its members named as botocore names them."""

# Those that an account has without asking.
_REGIONS = (
    *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2"),
    *("ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1"),
    *("us-east-1", "us-east-2", "us-west-1", "us-west-2"),
)
_DELAYS = {"cluster": 5.0, "nodegroup": 2.0, "addon": 1.0, "capability": 1.0, "update": 1.0}
# Ansible censors a secret key wherever its text appears, so the one to use is a text that appears nowhere.
_SECRETS = ("not-a-secret-of-anybody", "rehearsal")
_QUOTAS = {"clusters": 100, "nodegroups": 30}


@dataclass
class Settings:
    """What can be set while it runs.

    :arg delays: Seconds until a cluster, nodegroup, addon, capability or update is done.
    :arg throttle: The part of all calls that is answered with a throttling error, from 0 to 1.
    :arg regions: The regions that are enabled.
    :arg quotas: How many clusters a region, and node groups a cluster, may have.
    :arg accounts: Further accounts of the same organization. Each has the role OrganizationAccountAccessRole, which
        whoever is in the first account may assume, as in AWS.
    :arg secrets: Which secret access keys those may have who come with an access key that IAM did not make.
    """

    delays: dict[str, float] = field(default_factory=lambda: dict(_DELAYS))
    throttle: float = 0.0
    regions: list[str] = field(default_factory=lambda: list(_REGIONS))
    quotas: dict[str, int] = field(default_factory=lambda: dict(_QUOTAS))
    accounts: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=lambda: list(_SECRETS))

    def update(self, given: t.Mapping[str, t.Any]) -> None:
        """Take over what is given, and leave the rest.

        :raises AwsError: it is not known, or of no right type.
        """
        for name, value in given.items():
            have = getattr(self, name, None)
            if isinstance(have, dict) and isinstance(value, dict) and set(value) <= set(have):
                kind = type(next(iter(have.values())))
                have.update({key: kind(item) for key, item in value.items()})
            elif isinstance(have, list) and isinstance(value, list):
                setattr(self, name, [str(item) for item in value])
            elif isinstance(have, float) and isinstance(value, int | float) and 0 <= value <= 1:
                self.throttle = float(value)
            else:
                raise AwsError("BadSetting", f"{name} cannot be {value!r}; there are {sorted(asdict(self))}.")

    def shown(self) -> dict[str, t.Any]:
        """As plain data, without the secrets."""
        return {name: value for name, value in asdict(self).items() if name != "secrets"}


@dataclass(frozen=True)
class Caller:
    """Who calls.

    :arg arn: As STS says it.
    :arg principal: The IAM principal behind it: of a session its role, with its path, as access entries name it.
    :arg user: Its id.
    :arg key: The access key.
    """

    account: str
    arn: str
    principal: str
    user: str
    key: str = ""


@dataclass
class Cluster:
    """A cluster, and all that belongs to it, by name or id.

    :arg shape: As DescribeCluster says it.
    :arg updates: By id, after what they are of ("", "nodegroup/a" ...).
    :arg policies: Access policies by principal, then by ARN.
    :arg broken: Why its control plane could not be made.
    """

    account: str
    region: str
    name: str
    shape: Shape
    nodegroups: dict[str, Shape] = field(default_factory=dict)
    addons: dict[str, Shape] = field(default_factory=dict)
    capabilities: dict[str, Shape] = field(default_factory=dict)
    entries: dict[str, Shape] = field(default_factory=dict)
    policies: dict[str, dict[str, Shape]] = field(default_factory=dict)
    associations: dict[str, Shape] = field(default_factory=dict)
    updates: dict[str, tuple[str, Shape]] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is known by."""
        return self.account, self.region, self.name

    @property
    def identifier(self) -> str:
        """What is in the addresses of a cluster."""
        return hashlib.sha256("/".join(self.key).encode()).hexdigest()[:32].upper()

    @property
    def issuer(self) -> str:
        """Who issues the tokens of its service accounts."""
        return f"https://oidc.eks.{self.region}.amazonaws.com/id/{self.identifier}"

    def arn(self, kind: str, *names: str) -> str:
        """ARN of something in it."""
        return f"arn:aws:eks:{self.region}:{self.account}:{kind}/{'/'.join([self.name, *names])}"

    def start_update(self, of: str, kind: str, params: t.Mapping[str, t.Any]) -> Shape:
        """A new update of it, or of something in it, under way."""
        listed = [{"type": name, "value": str(value)} for name, value in params.items()]
        update: Shape = {"id": str(uuid.uuid4()), "status": "InProgress", "type": kind, "params": listed}
        update |= {"createdAt": now(), "errors": []}
        self.updates[update["id"]] = (of, update)
        return update


class Planes(t.Protocol):
    """The real control planes behind the clusters. Each may take its time, so none is called under the lock."""

    def create(self, cluster: Cluster) -> Shape:
        """Make one, and return what the cluster's shape is to say of it."""

    def delete(self, cluster: Cluster) -> None:
        """Remove it, if there is one."""

    def sync(self, cluster: Cluster) -> None:
        """Bring its nodes and rights to what the cluster says."""

    def verify(self, cluster: Cluster, token: str, audiences: list[str]) -> bool:
        """Whether a token is a service account's of that cluster."""

    def clear(self) -> None:
        """Remove all."""


class World:
    """The look-alike's memory.

    :arg planes: Where clusters are real; None where they are only described.
    """

    def __init__(self, settings: Settings | None = None, planes: Planes | None = None) -> None:
        self.lock = threading.RLock()
        self.settings = settings or Settings()
        self.planes = planes
        self.clusters: dict[tuple[str, str, str], Cluster] = {}
        self.answers: dict[tuple[str, ...], tuple[Params, Shape]] = {}
        """What was answered to requests with a token of idempotency."""
        self.dice = random.Random(0)  # noqa: S311  (the same calls are throttled in every life)
        self._timers: set[threading.Timer] = set()

    def later(self, delay: float, work: Callable[[], None]) -> None:
        """Do something after a while; not, if all is reset meanwhile."""

        def run() -> None:
            with self.lock:
                if timer not in self._timers:
                    return
                self._timers.discard(timer)
            work()

        timer = threading.Timer(delay, run)
        timer.daemon = True
        with self.lock:
            self._timers.add(timer)
        timer.start()

    def after(self, kind: str, work: Callable[[], None]) -> None:
        """Do something under the lock, after the time that such a thing takes."""

        def locked() -> None:
            with self.lock:
                work()

        self.later(self.settings.delays[kind], locked)

    def sync(self, cluster: Cluster, then: Callable[[], None] = lambda: None) -> None:
        """Have the control plane follow, by and by.

        :arg then: What is done under the lock once it has, or cannot.
        """

        def follow() -> None:
            try:
                if self.planes:
                    self.planes.sync(cluster)
            finally:
                with self.lock:
                    then()

        self.later(0, follow)

    def forget(self) -> None:
        """Begin anew, but for the settings."""
        with self.lock:
            for timer in self._timers:
                timer.cancel()
            self._timers.clear()
            self.clusters.clear()
            self.answers.clear()
        if self.planes:
            self.planes.clear()


@dataclass(frozen=True)
class Call:
    """One call of an operation.

    :arg caller: Who calls.
    """

    world: World
    operation: str
    region: str
    caller: Caller
    params: Params

    @property
    def account(self) -> str:
        """The account that it is about."""
        return self.caller.account

    def cluster(self) -> Cluster:
        """The cluster that it names.

        :raises AwsError: there is none.
        """
        name = self.params.get("clusterName") or self.params["name"]
        found = self.world.clusters.get((self.account, self.region, name))
        if not found:
            raise not_found(f"No cluster found for name: {name}.", clusterName=name)
        return found

    def active_cluster(self) -> Cluster:
        """The cluster that it names, which must be able to take changes.

        :raises AwsError: it is not, or is busy.
        """
        cluster = self.cluster()
        if cluster.shape["status"] != "ACTIVE":
            text = f"Cluster '{cluster.name}' is not in ACTIVE status: it is {cluster.shape['status']}."
            raise AwsError("ResourceInUseException", text, 409, clusterName=cluster.name)
        return cluster

    def page(self, key: str, items: Iterable[t.Any], largest: int = 100) -> Shape:
        """One page of a list, and the token of the next.

        :raises AwsError: the token is none of ours.
        """
        listed, start = list(items), 0
        if token := self.params.get("nextToken"):
            try:
                start = int(base64.urlsafe_b64decode(token))
            except ValueError as error:
                raise invalid("The nextToken is not valid.") from error
        end = start + self.params.get("maxResults", largest)
        following = {"nextToken": base64.urlsafe_b64encode(str(end).encode()).decode()} if end < len(listed) else {}
        return {key: listed[start:end], **following}


Handler = Callable[[Call], Shape]


class Operations(dict[str, Handler]):
    """Handlers by the name of their operation."""

    def __call__(self, handler: Handler) -> Handler:
        """Take a function under the name of the operation: create_cluster is CreateCluster."""
        self["".join(word.capitalize() for word in handler.__name__.split("_"))] = handler
        return handler


def now() -> datetime.datetime:
    """The time, as fine as AWS tells it."""
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)
