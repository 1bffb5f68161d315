# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Arguments of one cluster, and what is wrong with them before anything is asked."""

from __future__ import annotations

import difflib
import re
import typing as t
from urllib.parse import urlsplit

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import CONNECTION_SPEC
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_secret import IN_CLUSTER, normalized
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_spec import (
    ALWAYS,
    AWS,
    BASIC,
    BEARER_TOKEN,
    CLIENT_CERTIFICATE,
    CREDENTIALS,
    EXEC,
    FULL,
    GIVEN,
    NEVER,
    NONE,
    ON_CHANGE,
    TOKEN,
    WHOLE_NAMESPACE,
    Account,
    Object,
    Wanted,
    WrongCluster,
    check_reachable_from_hub,
)

CLUSTER_SPEC: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "server": {"type": "str"},
    "spoke": {"type": "dict", "no_log": False},
    "spoke_present": {"type": "bool", "default": True},
    "project": {"type": "str"},
    "namespaces": {"type": "list", "elements": "str"},
    "cluster_resources": {"type": "bool"},
    "shard": {"type": "int"},
    "labels": {"type": "dict", "default": {}},
    "annotations": {"type": "dict", "default": {}},
    "skip_reconcile": {"type": "bool"},
    "credential": {"type": "str", "choices": list(CREDENTIALS)},
    "token_lifetime": {"type": "str", "default": "30d", "no_log": False},
    "token_renew_after": {"type": "float", "default": 0.5, "no_log": False},
    "bearer_token": {"type": "str", "no_log": True},
    "basic": {
        "type": "dict",
        "options": {
            "username": {"type": "str", "required": True},
            "password": {"type": "str", "required": True, "no_log": True},
        },
    },
    "client_certificate": {
        "type": "dict",
        "options": {
            "certificate": {"type": "str", "required": True},
            "key": {"type": "str", "required": True, "no_log": True},
        },
    },
    "aws": {
        "type": "dict",
        "options": {
            "cluster_name": {"type": "str", "required": True},
            "role_arn": {"type": "str"},
            "profile": {"type": "str"},
        },
    },
    "exec": {
        "type": "dict",
        "options": {
            "command": {"type": "str", "required": True},
            "args": {"type": "list", "elements": "str", "default": []},
            "env": {"type": "dict", "default": {}, "no_log": True},
            "api_version": {
                "type": "str",
                "choices": ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"],
                "default": "client.authentication.k8s.io/v1",
            },
            "install_hint": {"type": "str"},
            "provide_cluster_info": {"type": "bool", "default": False},
        },
    },
    "ca_data": {"type": "str"},
    "server_name": {"type": "str"},
    "insecure": {"type": "bool", "default": False},
    "proxy_url": {"type": "str"},
    "disable_compression": {"type": "bool", "default": False},
    "account": {
        "type": "dict",
        "default": {},
        "options": {
            "name": {"type": "str", "default": "argocd-manager"},
            "namespace": {"type": "str", "default": "kube-system"},
            "rules": {"type": "list", "elements": "dict"},
        },
    },
    "probe": {"type": "str", "choices": [ALWAYS, ON_CHANGE, NEVER], "default": ALWAYS},
}
"""Argument spec of one cluster."""

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SHORTEST = 600  # seconds: the API server grants no less
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_LABEL_KEY = re.compile(
    r"([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
)
_ARN = re.compile(r"arn:aws[a-z-]*:eks:[a-z0-9-]+:\d{12}:cluster/[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+")
_RESERVED = ("hubspoke.bootstrap/", "argocd.argoproj.io/secret-type")


def unknown_options(given: t.Iterable[str]) -> tuple[str, str]:
    """Options that no cluster has, as half a sentence and its remedy; both empty where there are none."""
    unknown = sorted(set(given) - set(CLUSTER_SPEC))
    if not unknown:
        return "", ""
    near = difflib.get_close_matches(unknown[0], CLUSTER_SPEC, 1)
    remedy = f"Did you mean {near[0]}?" if near else f"It knows {', '.join(CLUSTER_SPEC)}."
    return f"has {', '.join(unknown)}, which the module argocd_cluster does not know", remedy


def wanted(params: t.Mapping[str, t.Any], hub_is_local: bool = False) -> Wanted:
    """A cluster out of its validated arguments.

    :arg hub_is_local: Whether Argo CD runs as processes on this machine, to which loopback addresses mean the same.
    :raises HubspokeError: they contradict themselves or cannot be.
    """
    name = str(params["name"])
    if not name.strip() or len(name) > 253:
        raise WrongCluster(name or "?", "name", "has to have between 1 and 253 characters", "Correct it.")
    server = (params.get("server") or "").strip()
    _check_server(name, server, hub_is_local)
    server = server.rstrip("/")
    _check_metadata(name, params)
    unknown = sorted(set(params.get("spoke") or {}) - set(CONNECTION_SPEC)) if CONNECTION_SPEC else []
    if unknown:
        remedy = f"It takes the connection options of kubernetes.core: {', '.join(CONNECTION_SPEC)}."
        raise WrongCluster(name, f"spoke.{unknown[0]}", "is not known", remedy)
    credential, given = _credential(name, server, params)
    namespaces = params.get("namespaces")
    found = Wanted(
        name=name,
        server=server,
        credential=credential,
        account=_account(name, params),
        state=params.get("state") or "present",
        spoke=params.get("spoke"),
        spoke_present=params.get("spoke_present") is not False,
        project=params.get("project"),
        namespaces=tuple(namespaces) if namespaces is not None else None,
        cluster_resources=params.get("cluster_resources"),
        shard=params.get("shard"),
        labels={str(key): _text(value) for key, value in (params.get("labels") or {}).items()},
        annotations={str(key): _text(value) for key, value in (params.get("annotations") or {}).items()},
        skip_reconcile=params.get("skip_reconcile"),
        given=given,
        lifetime=_lifetime(name, params.get("token_lifetime") or "30d"),
        renew_after=_number(params.get("token_renew_after"), 0.5),
        ca=params.get("ca_data"),
        server_name=params.get("server_name"),
        insecure=bool(params.get("insecure")),
        proxy=params.get("proxy_url") or "",
        disable_compression=bool(params.get("disable_compression")),
        probe=params.get("probe") or ALWAYS,
    )
    _check_whole(found)
    return found


def _number(value: t.Any, default: float) -> float:
    return default if value is None else float(value)


def _text(value: t.Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check_server(name: str, server: str, hub_is_local: bool) -> None:
    if not server:
        return
    if server.startswith("arn:"):
        if not _ARN.fullmatch(server):
            remedy = "An EKS cluster's ARN looks like arn:aws:eks:ap-northeast-2:111122223333:cluster/name."
            raise WrongCluster(name, "server", f"{server} is no ARN of an EKS cluster", remedy)
        return
    try:
        parts = urlsplit(server)
        good = parts.scheme in ("https", "http") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good:
        raise WrongCluster(name, "server", f"{server} is no URL", "Give it as https://host:port.")
    if parts.scheme == "http":
        remedy = "Give the address at which its API server answers with TLS, https://host:port."
        raise WrongCluster(name, "server", f"{server} is plain HTTP, over which a credential could be read", remedy)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise WrongCluster(name, "server", "has more in it than host, port and path", "Give it as https://host:port.")
    check_reachable_from_hub(name, server, hub_is_local)


def _check_metadata(name: str, params: t.Mapping[str, t.Any]) -> None:
    for key, value in (params.get("labels") or {}).items():
        _check_key(name, "labels", str(key))
        if not _LABEL_VALUE.fullmatch(_text(value)):
            raise WrongCluster(
                name,
                "labels",
                f"has the value {_text(value)!r} at {key}, which Kubernetes does not take",
                "Up to 63 letters, digits, dots, dashes and underscores; longer texts go into annotations.",
            )
    for key in params.get("annotations") or {}:
        _check_key(name, "annotations", str(key))
    for namespace in params.get("namespaces") or []:
        if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", namespace):
            raise WrongCluster(name, "namespaces", f"has {namespace!r}, which is no name of a namespace", "Correct it.")
    shard = params.get("shard")
    if shard is not None and shard < 0:
        raise WrongCluster(name, "shard", f"is {shard}", "Shards count from 0.")


def _check_key(name: str, option: str, key: str) -> None:
    if not _LABEL_KEY.fullmatch(key) or len(key.partition("/")[0]) > 253:
        remedy = "A key is [prefix/]name; the name has up to 63 letters, digits, dots, dashes and underscores."
        raise WrongCluster(name, option, f"has the key {key!r}, which Kubernetes does not take", remedy)
    if key.startswith(_RESERVED):
        remedy = "Leave it out: this collection sets it."
        raise WrongCluster(name, option, f"has the key {key}, which is not the user's to set", remedy)


def _lifetime(name: str, text: str) -> int:
    found = re.fullmatch(r"(\d+)([smhdw]?)", text.strip())
    if not found:
        remedy = "Give a number with s, m, h, d or w, as in 30d or 12h."
        raise WrongCluster(name, "token_lifetime", f"is {text!r}", remedy)
    seconds = int(found[1]) * _UNITS[found[2] or "s"]
    if seconds < _SHORTEST:
        raise WrongCluster(name, "token_lifetime", f"is {seconds} s", "The shortest that an API server grants is 10m.")
    return seconds


def _credential(name: str, server: str, params: t.Mapping[str, t.Any]) -> tuple[str, Object]:
    """Which credential it is to have, and what of it the user gave."""
    named = [kind for kind in GIVEN if params.get(kind)]
    asked = params.get("credential")
    if len(named) > 1:
        raise WrongCluster(name, " and ".join(named), "exclude each other", "Keep one kind of credential.")
    if asked and named and asked != named[0]:
        raise WrongCluster(name, f"credential {asked}", f"has no use for {named[0]}", "Leave one of the two out.")
    local = bool(server) and (server.startswith("arn:") or normalized(server) == normalized(IN_CLUSTER))
    kind = asked or (named[0] if named else NONE if local else TOKEN)
    if kind in GIVEN and not named:
        raise WrongCluster(name, f"credential {kind}", f"lacks {kind}", "Give it.")
    if server.startswith("arn:") and kind != NONE:
        remedy = "Leave the credential out: EKS's capability reaches the cluster through an access entry."
        raise WrongCluster(name, f"credential {kind}", "cannot be used with an ARN as server", remedy)
    if kind == NONE and not local and params.get("state") != "absent":
        remedy = "Choose one; only the hub itself and clusters named by their ARN go without."
        which = f"with server {server}" if server else "without server"
        raise WrongCluster(name, "credential none", f"is not possible {which}", remedy)
    return kind, _given(name, kind, params)


def _given(name: str, kind: str, params: t.Mapping[str, t.Any]) -> Object:
    if kind == BEARER_TOKEN:
        return {"bearerToken": params["bearer_token"].strip()}
    if kind == BASIC:
        return {"username": params["basic"]["username"], "password": params["basic"]["password"]}
    if kind == CLIENT_CERTIFICATE:
        for option, word in (("certificate", "CERTIFICATE"), ("key", "PRIVATE KEY")):
            if f"{word}-----" not in params[kind][option]:
                found = f"is no PEM with a {word.lower()}"
                raise WrongCluster(name, f"client_certificate.{option}", found, "Give the file's content.")
        return dict(params[kind])
    if kind == AWS:
        aws = params["aws"]
        if aws.get("role_arn") and not _ROLE_ARN.fullmatch(aws["role_arn"]):
            remedy = "A role's ARN looks like arn:aws:iam::111122223333:role/name."
            raise WrongCluster(name, "aws.role_arn", f"{aws['role_arn']} is no ARN of an IAM role", remedy)
        names = {"clusterName": "cluster_name", "roleARN": "role_arn", "profile": "profile"}
        return {"awsAuthConfig": {key: aws[option] for key, option in names.items() if aws.get(option)}}
    if kind == EXEC:
        names = {"command": "command", "args": "args", "env": "env", "apiVersion": "api_version"}
        names |= {"installHint": "install_hint", "provideClusterInfo": "provide_cluster_info"}
        command = {key: params["exec"].get(option) for key, option in names.items()}
        return {"execProviderConfig": {key: value for key, value in command.items() if value}}
    return {}


def _account(name: str, params: t.Mapping[str, t.Any]) -> Account:
    options = params.get("account") or {}
    namespace, account = options.get("namespace") or "kube-system", options.get("name") or "argocd-manager"
    for option, value in (("account.name", account), ("account.namespace", namespace)):
        if not _NAME.fullmatch(value):
            raise WrongCluster(name, option, f"{value!r} is no name in Kubernetes", "Correct it.")
    namespaces = tuple(params.get("namespaces") or ())
    restricted = bool(namespaces) and not params.get("cluster_resources")
    rules = options.get("rules")
    if rules is not None:
        for rule in rules:
            if not rule.get("verbs") or not (rule.get("resources") or rule.get("nonResourceURLs")):
                remedy = "A rule has apiGroups, resources and verbs, or nonResourceURLs and verbs."
                raise WrongCluster(name, "account.rules", f"has {rule}, which grants nothing", remedy)
            if restricted and rule.get("nonResourceURLs"):
                remedy = "Leave it out, or set cluster_resources."
                raise WrongCluster(name, "account.rules", "has nonResourceURLs, which no namespace has", remedy)
    granted = tuple(rules) if rules is not None else WHOLE_NAMESPACE if restricted else FULL
    return Account(namespace, account, granted, namespaces if restricted else ())


def _check_whole(found: Wanted) -> None:
    """What several options say together."""
    if found.cluster_resources is not None and not found.namespaces:
        remedy = "Leave it out; without namespaces Argo CD manages the whole cluster."
        raise WrongCluster(found.name, "cluster_resources", "has a meaning only with namespaces", remedy)
    if found.insecure and found.ca:
        raise WrongCluster(found.name, "insecure", "and ca_data exclude each other", "Leave one of the two out.")
    if found.ca and "BEGIN CERTIFICATE" not in found.ca:
        raise WrongCluster(found.name, "ca_data", "is no PEM certificate", "Give the file's content, not its path.")
    if not 0.05 <= found.renew_after <= 0.95:
        remedy = "Give the part of its life after which a token is renewed, between 0.05 and 0.95."
        raise WrongCluster(found.name, "token_renew_after", f"is {found.renew_after}", remedy)
    if found.proxy:
        parts = urlsplit(found.proxy)
        if parts.scheme not in ("http", "https", "socks5") or not parts.hostname:
            raise WrongCluster(found.name, "proxy_url", "is no URL of a proxy", "Give it as http://host:port.")
    if found.state == "absent":
        return
    if found.makes_account and found.spoke is None and found.spoke_present:
        remedy = "Give spoke (kubeconfig and context, say), or a credential that is there already."
        raise WrongCluster(found.name, f"credential {found.credential}", "has to be made on the spoke", remedy)
    if not found.server and found.spoke is None and found.spoke_present:
        raise WrongCluster(found.name, "server", "is not given, and neither is spoke", "Give one of the two.")
