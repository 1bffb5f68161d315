# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The manager account on a spoke: a service account, its rights, and its tokens.

Names are those of `argocd cluster add`, so that an account which it made is taken over and not doubled. The role owns
the binding and the service account: when it goes, the cluster's own garbage collection takes them along, which matters
when an account has to be removed with its own rights.
"""

from __future__ import annotations

import hashlib
import json
import time
import typing as t
from dataclasses import dataclass

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import ApiError, HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_probe import Right
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_secret import (
    MANAGER,
    OWNER,
    Registered,
    text_of,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_spec import FULL, Account
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_spoke import Api, segment

Object = dict[str, t.Any]

_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_GROUP = "rbac.authorization.k8s.io"
_NOT_WANTED = "it is not wanted any more"
_SECRET_PATIENCE = 15.0  # seconds, for the controller that fills a token Secret
_MOST_RIGHTS = 24  # questions about rights to ask of one cluster


@dataclass(frozen=True)
class Part:
    """One object of an account.

    :arg path: Of its collection.
    """

    path: str
    body: Object

    @property
    def at(self) -> str:
        """Its own path."""
        return f"{self.path}/{segment(self.body['metadata']['name'])}"

    def __str__(self) -> str:
        metadata = self.body["metadata"]
        place = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
        return f"{self.body['kind']} {place}{metadata['name']}"


def parts(account: Account) -> tuple[Part, ...]:
    """The objects, those first that others belong to."""
    service_account = Part(
        f"/api/v1/namespaces/{segment(account.namespace)}/serviceaccounts",
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": account.name, "namespace": account.namespace},
        },
    )
    if not account.namespaces:
        role, binding = _role_and_binding(account, "Cluster", None)
        return role, service_account, binding
    pairs = [_role_and_binding(account, "", namespace) for namespace in account.namespaces]
    return service_account, *(part for pair in pairs for part in pair)


def _role_and_binding(account: Account, prefix: str, namespace: str | None) -> tuple[Part, Part]:
    place = f"{_RBAC}/namespaces/{segment(namespace)}" if namespace else _RBAC
    where = {"namespace": namespace} if namespace else {}
    role, binding = f"{account.name}-role", f"{account.name}-role-binding"
    return (
        Part(
            f"{place}/{prefix.lower()}roles",
            {
                "apiVersion": f"{_GROUP}/v1",
                "kind": f"{prefix}Role",
                "metadata": {"name": role, **where},
                "rules": [dict(rule) for rule in account.rules],
            },
        ),
        Part(
            f"{place}/{prefix.lower()}rolebindings",
            {
                "apiVersion": f"{_GROUP}/v1",
                "kind": f"{prefix}RoleBinding",
                "metadata": {"name": binding, **where},
                "roleRef": {"apiGroup": _GROUP, "kind": f"{prefix}Role", "name": role},
                "subjects": [{"kind": "ServiceAccount", "name": account.name, "namespace": account.namespace}],
            },
        ),
    )


def digest(account: Account) -> str:
    """What an account may do, as a short text to compare."""
    content = json.dumps([account.rules, account.namespaces], sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()[:16]


def rights(account: Account) -> tuple[Right, ...]:
    """What to ask for, to see that an account has what it was given; subresources and URLs are not asked for."""
    places = tuple(account.namespaces) or ("",)
    found = [
        Right(verb, group, resource, place)
        for rule in (account.rules if account.rules != FULL else FULL[:1])
        for group in rule.get("apiGroups") or ("",)
        for resource in rule.get("resources") or ()
        for verb in rule.get("verbs") or ()
        for place in places
        if "/" not in resource and not rule.get("resourceNames")
    ]
    return tuple(found[:_MOST_RIGHTS])


def differs(live: Object | None, part: Part) -> str:
    """How an object differs from what it is to be, empty where it does not."""
    if live is None:
        return "it is not there"
    body = part.body
    if body["kind"].endswith("Role") and _rules(live.get("rules")) != _rules(body["rules"]):
        return "its rules differ"
    if body["kind"].endswith("Binding"):
        reference = live.get("roleRef") or {}
        if reference != body["roleRef"]:
            return f"it is bound to {reference.get('kind')} {reference.get('name')}"
        names = {(entry.get("kind"), entry.get("namespace"), entry.get("name")) for entry in live.get("subjects") or []}
        wanted = body["subjects"][0]
        if (wanted["kind"], wanted["namespace"], wanted["name"]) not in names:
            return "it does not name the service account"
    return ""


def _rules(rules: t.Any) -> list[str]:
    cleaned: list[Object] = [{key: sorted(value) for key, value in rule.items() if value} for rule in rules or []]
    return sorted(json.dumps(rule, sort_keys=True) for rule in cleaned)


@dataclass(frozen=True)
class Found:
    """An account as it is: each part with what is live, and how that differs.

    :arg superfluous: Parts of the account as it was, which would leave it more rights than it is to have.
    :arg left: The same, but made by others.
    """

    items: tuple[tuple[Part, Object | None, str], ...]
    superfluous: tuple[Part, ...] = ()
    left: tuple[Part, ...] = ()

    @property
    def changes(self) -> tuple[str, ...]:
        """What has to be made or put right, for people."""
        wrong = [f"{part}: {how}" for part, _live, how in self.items if how]
        return (*wrong, *(f"{part}: {_NOT_WANTED}" for part in self.superfluous))

    @property
    def notes(self) -> list[str]:
        """What is not as it should be and stays so, for people."""
        left = ", ".join(map(str, self.left))
        return [f"rights are left to its account, since others gave them: {left}"] if left else []


def account_of(secret: Registered) -> Account:
    """The account as a cluster Secret remembers it, but for its rules."""
    namespace, _slash, name = secret.account.partition("/")
    places = secret.namespaces if secret.namespaces and not secret.cluster_resources else ()
    return Account(namespace, name, (), places)


def read(api: Api, account: Account, former: Account | None = None, owner: str = "") -> Found:
    """What there is of an account.

    :arg former: The same account with the namespaces that it had.
    :raises HubspokeError: a namespace that it needs is missing.
    """
    found = []
    for part in parts(account):
        live = api.get_path(part.at)
        namespace = part.body["metadata"].get("namespace")
        if live is None and namespace not in (None, "kube-system"):
            _check_namespace(api, namespace, part)
        found.append((part, live, differs(live, part)))
    kept = {part.at for part, _live, _how in found}
    there = [(part, _owner(api, part)) for part in (parts(former) if former else ()) if part.at not in kept]
    ours = tuple(part for part, whose in reversed(there) if whose == owner)  # a binding before its role
    return Found(tuple(found), ours, tuple(part for part, whose in there if whose not in (None, owner)))


def _owner(api: Api, part: Part) -> str | None:
    """Which inventory made it, None where it is not there."""
    try:
        live = api.get_path(part.at)
    except ApiError as error:
        if error.status == 403:
            return "?"  # whoever may not look did not make it
        raise
    return None if live is None else str((live["metadata"].get("labels") or {}).get(OWNER, ""))


def _check_namespace(api: Api, namespace: str, part: Part) -> None:
    try:
        found = api.get_path(f"/api/v1/namespaces/{segment(namespace)}")
    except ApiError as error:
        if error.status == 403:
            return  # whoever may not look may still be allowed to write there
        raise
    if found is None:
        raise HubspokeError(
            f"{part} cannot be made: its cluster has no namespace {namespace}.",
            "Make the namespace first, or correct namespaces and account.namespace.",
        )


def unseen(account: Account) -> Found:
    """An account that most likely is not there, and so need not be looked for before it is made."""
    return Found(tuple((part, None, "it is not there") for part in parts(account)))


def write(api: Api, found: Found, owner: str) -> tuple[str, ...]:
    """Make of an account what it is to be.

    :returns: What was made or put right, for people.
    :raises HubspokeError: a namespace is missing, or the right to do so.
    """
    root: Object | None = None
    done = []
    for part, seen, how_seen in found.items:
        live, how = seen, how_seen
        body = {**part.body, "metadata": dict(part.body["metadata"])}
        if root:
            body["metadata"]["ownerReferences"] = [root]
        if live is None:
            body["metadata"]["labels"] = {OWNER: owner} if owner else {}
            live = _create(api, part, body)
            if live is None:  # it was there, or another run was quicker
                live = api.get_path(part.at)
                how = differs(live, part)
            else:
                done.append(f"{part}: {how}")
                how = ""
        if how and live:
            done.append(f"{part}: {how}")
            live = _update(api, part, live, body)
        if part.body["kind"] == "ClusterRole" and live and live["metadata"].get("labels", {}).get(OWNER) == owner != "":
            metadata = live["metadata"]
            root = {"apiVersion": f"{_GROUP}/v1", "kind": "ClusterRole", "name": metadata["name"]}
            root["uid"] = metadata["uid"]
    for part in found.superfluous:
        if part.body["kind"] == "ClusterRole":
            _let_go(api, found)
        api.delete_path(part.at)
        done.append(f"{part}: {_NOT_WANTED}")
    return tuple(done)


def _let_go(api: Api, found: Found) -> None:
    """What stays must not go with the role that it belonged to."""
    for part, live, _how in found.items:
        if live and live["metadata"].get("ownerReferences"):
            metadata = {**live["metadata"], "ownerReferences": []}
            api.request("PUT", f"{part.at}?fieldManager={MANAGER}", {**live, "metadata": metadata})


def _create(api: Api, part: Part, body: Object) -> Object | None:
    """What was made, None where there was something already."""
    try:
        return api.request("POST", f"{part.path}?fieldManager={MANAGER}", body)
    except ApiError as error:
        if error.status == 409:
            return None
        if error.status == 404:
            _check_namespace(api, body["metadata"].get("namespace", ""), part)
        raise


def _update(api: Api, part: Part, live: Object, body: Object) -> Object:
    changed: Object = {**live, **({"rules": body["rules"]} if "rules" in body else {})}
    if "subjects" in body:
        others = [entry for entry in live.get("subjects") or [] if entry.get("name") != body["subjects"][0]["name"]]
        changed["subjects"] = [*others, *body["subjects"]]
    if (live.get("roleRef") or {}) != body.get("roleRef", live.get("roleRef") or {}):
        # A binding's role cannot be changed.
        api.delete_path(part.at)
        return _create(api, part, body) or live
    return api.request("PUT", f"{part.at}?fieldManager={MANAGER}", changed)


def request_token(api: Api, account: Account, lifetime: int) -> str:
    """A new token of the account (TokenRequest), which ends by itself.

    :arg lifetime: Seconds to ask for; the server may grant less.
    """
    path = f"/api/v1/namespaces/{segment(account.namespace)}/serviceaccounts/{segment(account.name)}/token"
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": lifetime}}
    answer = api.request("POST", path, body)
    return str(answer["status"]["token"])


def token_secret(api: Api, account: Account, replaced: str = "") -> str:
    """A token without an end, in a Secret on the spoke.

    :arg replaced: Token that is not to be taken again, so that a new Secret is made.
    :raises HubspokeError: the spoke's controllers do not fill the Secret.
    """
    paths = _token_secrets(account)
    for path in paths:
        live = api.get_path(path)
        token = _token_in(live)
        if live is None:
            collection, _slash, name = path.rpartition("/")
            annotations = {"kubernetes.io/service-account.name": account.name}
            metadata = {"name": name, "namespace": account.namespace, "annotations": annotations}
            kind = "kubernetes.io/service-account-token"
            api.request("POST", collection, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind})
            token = _filled(api, path)
        if token and token != replaced:
            return token
    names = " and ".join(path.rpartition("/")[2] for path in paths)
    raise HubspokeError(f"The Secrets {names} of {account.namespace} hold no other token.", "Delete one of them.")


def _filled(api: Api, path: str) -> str:
    deadline = time.monotonic() + _SECRET_PATIENCE
    while time.monotonic() < deadline:
        token = _token_in(api.get_path(path))
        if token:
            return token
        time.sleep(0.1)
    raise HubspokeError(
        f"No token was put into {path.rpartition('/')[2]} within {_SECRET_PATIENCE:.0f} s.",
        "See whether the spoke's controller manager runs.",
    )


def _token_in(secret: Object | None) -> str:
    return text_of(((secret or {}).get("data") or {}).get("token"))


def _token_secrets(account: Account) -> tuple[str, str]:
    """The paths of an account's token Secret, and of the one that follows it and is followed by it in turn."""
    collection = f"/api/v1/namespaces/{segment(account.namespace)}/secrets"
    return f"{collection}/{account.name}-long-lived-token", f"{collection}/{account.name}-long-lived-token-2"


def forget_token(api: Api, account: Account, token: str) -> None:
    """Delete the token Secret that a proven successor replaced."""
    for path in _token_secrets(account):
        if _token_in(api.get_path(path)) == token:
            api.delete_path(path)


def remove(api: Api, account: Account, owner: str) -> tuple[str, ...]:
    """Delete what this inventory made of an account.

    :returns: What is left because somebody else made it.
    """
    left = []
    items = read(api, account).items
    if items[0][0].body["kind"] == "ServiceAccount":
        items = (*items[1:], items[0])  # else the rights to delete the rest would go first
    for part, live, _how in items:
        if live is None:
            continue
        if (live["metadata"].get("labels") or {}).get(OWNER, "") != owner:
            left.append(str(part))
            continue
        try:
            api.delete_path(part.at)
        except ApiError as error:
            if error.status not in (401, 403):  # with its own rights: the rest follows by itself
                raise
    return tuple(left)
