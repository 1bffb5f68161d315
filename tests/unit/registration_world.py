# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A hub and spokes in memory, on which the engine of registration runs as a whole."""

from __future__ import annotations

import base64
import copy
import itertools
import json
import time
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _registration_fleet as fleets
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import ApiError, HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube, Paths
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_arguments import wanted
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_outcome import Options, Outcome
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_probe import (
    Endpoint,
    Identity,
    ProbeError,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_secret import Registered, registered
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_spoke import Access

Object = dict[str, t.Any]

SECRETS = "/api/v1/namespaces/argocd/secrets"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/argocd/leases/hubspoke-registration"
SYSTEM = "/api/v1/namespaces/kube-system"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
ROLE, BINDING = f"{RBAC}/clusterroles/argocd-manager-role", f"{RBAC}/clusterrolebindings/argocd-manager-role-binding"
ACCOUNT = f"{SYSTEM}/serviceaccounts/argocd-manager"
RULES = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
LOCK, UNLOCK = "hub POST leases", "hub DELETE leases/hubspoke-registration"


def jwt(**claims: t.Any) -> str:
    return ".".join(
        base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in ("{}", json.dumps(claims), "s")
    )


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class Server(Paths):
    """An API server: objects by path. What is written is noted; what is to fail is told by method and part of the path.

    A path ends with a dollar sign there.
    """

    pages, apply_path, merge = Kube.pages, Kube.apply_path, Kube.merge

    def __init__(self, name: str, events: list[str]) -> None:
        self.name, self.events = name, events
        self.items: dict[str, Object] = {}
        self.fails: dict[tuple[str, str], int] = {}
        self.on: dict[tuple[str, str], t.Callable[[], t.Any]] = {}
        self.granted: float | None = None
        self._numbers = itertools.count(1)
        for namespace in ("kube-system", "argocd"):
            self.put(f"/api/v1/namespaces/{namespace}", {"metadata": {"name": namespace}})

    def put(self, path: str, item: Object) -> Object:
        number = next(self._numbers)
        old = self.items.get(path, {}).get("metadata", {})
        metadata = {**item.get("metadata", {}), "resourceVersion": str(number)}
        metadata["uid"] = old.get("uid") or metadata.get("uid") or f"{self.name}-{number}"
        self.items[path] = {**copy.deepcopy(item), "metadata": metadata}
        return copy.deepcopy(self.items[path])

    def request(
        self, method: str, path: str, body: t.Any = None, *, query: t.Any = None, content_type: str = ""
    ) -> Object:
        path = path.partition("?")[0]
        if method != "GET":
            self.events.append(f"{self.name} {method} {'/'.join(path.split('/')[-1 if method == 'POST' else -2 :])}")
        for table in (self.on, self.fails):
            found = next((key for key in table if key[0] == method and key[1] in f"{path}$"), None)
            if found and table is self.on:
                self.on.pop(found)()
            elif found:
                raise ApiError(f"no {method}", self.fails[found])
        answer: Object = getattr(self, f"_{method.lower()}")(path, body, query or {})
        return answer

    def _live(self, path: str, version: str | None = None) -> Object:
        if path not in self.items:
            raise ApiError(f"{path} not found", 404)
        live = self.items[path]
        if version and version != live["metadata"]["resourceVersion"]:
            raise ApiError("it was changed", 409)
        return live

    def _get(self, path: str, _body: t.Any, query: Object) -> Object:
        if path in self.items:
            return copy.deepcopy(self.items[path])
        kind = path.rpartition("/")[2]
        if kind in ("applications", "applicationsets"):  # of all namespaces
            return copy.deepcopy({"items": [item for at, item in self.items.items() if at.split("/")[-2] == kind]})
        if kind not in ("secrets", "deployments"):
            self._live(path)
        key, _equals, value = query.get("labelSelector", "").partition("=")
        found = [item for at, item in sorted(self.items.items()) if at.rpartition("/")[0] == path]
        return copy.deepcopy(
            {"items": [item for item in found if not key or item["metadata"].get("labels", {}).get(key) == value]}
        )

    def _post(self, path: str, body: Object, _query: Object) -> Object:
        if path.endswith("/token"):
            return self._token(path.removesuffix("/token"), body["spec"]["expirationSeconds"])
        if "/namespaces/" in path:
            self._live("/api/v1/namespaces/" + path.split("/namespaces/")[1].partition("/")[0])
        at = f"{path}/{body['metadata']['name']}"
        if at in self.items:
            raise ApiError(f"{at} exists", 409)
        if body.get("type") == "kubernetes.io/service-account-token":
            name = body["metadata"]["annotations"]["kubernetes.io/service-account.name"]
            account = f"{path.removesuffix('secrets')}serviceaccounts/{name}"
            self._live(account)
            body = {**body, "data": {"token": encoded(self._jwt(account))}}
        return self.put(at, body)

    def _jwt(self, account: str, **claims: t.Any) -> str:
        namespace, _kind, name = account.split("/")[4:]
        return jwt(sub=f"system:serviceaccount:{namespace}:{name}", jti=next(self._numbers), **claims)

    def _token(self, account: str, seconds: float) -> Object:
        self._live(account)
        now = int(time.time())
        return {"status": {"token": self._jwt(account, iat=now, exp=now + int(self.granted or seconds))}}

    def _put(self, path: str, body: Object, _query: Object) -> Object:
        self._live(path, body["metadata"].get("resourceVersion"))
        return self.put(path, body)

    def _patch(self, path: str, body: Object, query: Object) -> Object:
        """Server-side apply of a Secret; or a merge, of which nothing is kept."""
        if "fieldManager" not in query:
            return self._live(path)
        metadata, live = body["metadata"], self.items.get(path, {"metadata": {}})
        if metadata.get("resourceVersion"):
            self._live(path, metadata["resourceVersion"])
        old = registered(live)
        new: Object = {"metadata": {"name": metadata["name"]}, "type": body["type"]}
        for place, there, value in (
            (new, live.get("data"), ("data", body["data"])),
            (new["metadata"], live["metadata"].get("labels"), ("labels", metadata["labels"])),
            (new["metadata"], live["metadata"].get("annotations"), ("annotations", metadata["annotations"])),
        ):
            name, wanted_ = value
            gone = {key for kind, key in old.owned if kind == name}
            place[name] = {**{key: item for key, item in (there or {}).items() if key not in gone}, **wanted_}
        fields = {
            "f:data": {f"f:{key}": {} for key in body["data"]},
            "f:metadata": {
                f"f:{name}": {f"f:{key}": {} for key in metadata[name]} for name in ("labels", "annotations")
            },
        }
        new["metadata"]["managedFields"] = [
            {"manager": query["fieldManager"], "operation": "Apply", "fieldsV1": fields}
        ]
        return self.put(path, new)

    def _delete(self, path: str, body: Object, _query: Object) -> Object:
        wanted_ = body.get("preconditions") or {}
        live = self._live(path, wanted_.get("resourceVersion"))
        if wanted_.get("uid", live["metadata"]["uid"]) != live["metadata"]["uid"]:
            raise ApiError("another", 409)
        del self.items[path]
        for at, item in list(self.items.items()):
            owners = item["metadata"].get("ownerReferences") or []
            if any(owner.get("uid") == live["metadata"]["uid"] for owner in owners):
                self.items.pop(at, None)
        return {}


class World:
    """One hub, and spokes by name; `events` are what was written and tried, in order."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.lines: list[str] = []
        self.hub = Server("hub", self.events)
        self.hub.put("/apis/argoproj.io/v1alpha1", {})
        self.spokes: dict[str, Server] = {}
        self.tried: list[tuple[Endpoint, Identity, tuple[t.Any, ...]]] = []
        self.refuses: list[ProbeError | None] = []
        """What the next attempts meet."""

    def spoke(self, name: str = "tokyo") -> Server:
        return self.spokes.setdefault(name, Server(name, self.events))

    def wanted(self, name: str = "tokyo", **options: t.Any) -> Object:
        self.spoke(name)
        return {"name": name, "spoke": {"host": f"https://{name}:6443", "api_key": "admin"}, **options}

    def api(self, way: Access) -> t.Any:
        """In the place of a connection to a spoke."""
        server = self.spokes.get(way.endpoint.server.removeprefix("https://").partition(":")[0])
        if server is None:
            raise HubspokeError(f"{way.endpoint.server} cannot be reached.", "Repair it.")
        return _Opened(server, "" if not way.identity else way.identity.token)

    def probe(self, endpoint: Endpoint, identity: Identity, rights: t.Iterable[t.Any]) -> None:
        """In the place of an attempt."""
        self.events.append("probe")
        self.tried.append((endpoint, identity, tuple(rights)))
        error = self.refuses.pop(0) if self.refuses else None
        if error:
            raise error

    def run(self, *clusters: Object, check: bool = False, fleet: t.Any = None, **options: t.Any) -> list[Outcome]:
        """All of them registered; `events` are those of this run."""
        self.events.clear()
        self.tried.clear()
        given = Options(**{"owner": "here", "check_mode": check, **options})
        every = tuple(wanted(cluster, given.hub_is_local) for cluster in clusters)
        hub = t.cast("Kube", self.hub)
        return fleets.FleetRun(hub, fleets.Fleet(every, given, **(fleet or {})), self.lines.append).run()

    def one(self, *clusters: Object, **options: t.Any) -> Outcome:
        """The same for one cluster, which is not to fail."""
        (outcome,) = self.run(*clusters, **options)
        assert outcome.error is None, outcome.error
        return outcome

    def error(self, *clusters: Object, **options: t.Any) -> str:
        """The same for one that fails."""
        (outcome,) = self.run(*clusters, **options)
        assert outcome.error
        return str(outcome.error)

    @property
    def written(self) -> list[str]:
        """What was written or tried, with the names of Secrets cut off."""
        return [event.partition("/cluster-")[0] for event in self.events if " as " not in event]

    @property
    def secrets(self) -> dict[str, Registered]:
        found = self.hub._get(SECRETS, None, {})["items"]
        return {one.name: one for one in map(registered, found)}

    def by_hand(self, name: str, server: str = "", owner: str = "", **config: t.Any) -> None:
        """A Secret that something else wrote."""
        data = {"name": name, "server": server or f"https://{name}:6443", "config": json.dumps(config)}
        labels = {"argocd.argoproj.io/secret-type": "cluster", **({"hubspoke.bootstrap/owner": owner} if owner else {})}
        item = {"metadata": {"name": f"by-hand-{name}", "labels": labels}}
        self.hub.put(f"{SECRETS}/by-hand-{name}", {**item, "data": {key: encoded(text) for key, text in data.items()}})


class _Opened:
    def __init__(self, server: Server, token: str) -> None:
        self._server, self._token = server, token

    def __enter__(self) -> Server:
        self._server.events.append(f"{self._server.name} as {'us' if self._token == 'admin' else 'its account'}")
        return self._server

    def __exit__(self, *_error: object) -> None:
        pass


def refusal(kind: t.Any, message: str = "it is refused.") -> ProbeError:
    return ProbeError(message, "Correct it.", field="bearer_token", kind=kind)
