# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a cluster Secret is to be, when a token is renewed, and what of it is shown."""

from __future__ import annotations

import base64
import json
import typing as t
from datetime import UTC, datetime, timedelta

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _registration_plan as planning
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_account import digest
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_arguments import wanted
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_plan import Connection
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_secret import (
    LIFETIME,
    MANAGER,
    OWNER,
    RULES,
    Registered,
    left,
    normalized,
    registered,
    secret_name,
)

NOW = datetime(2027, 1, 1, tzinfo=UTC)
SERVER = "https://tokyo.example.com:6443"
CONNECTION = Connection(SERVER, ca="PEM")


def token(subject: str = "kube-system:argocd-manager", age: float = 1, life: float | None = 30) -> str:
    """A service account's token, its age and life in days."""
    issued = NOW - timedelta(days=age)
    claims = {"sub": f"system:serviceaccount:{subject}", "iat": issued.timestamp()}
    if life is not None:
        claims["exp"] = (issued + timedelta(days=life)).timestamp()
    return ".".join(
        base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in ("{}", json.dumps(claims), "canary")
    )


def cluster(**options: t.Any) -> t.Any:
    return wanted({"name": "tokyo", "spoke": {"kubeconfig": "x"}, **options})


def secret(
    config: t.Any, *, labels: t.Any = None, annotations: t.Any = None, fields: t.Any = (), **data: str
) -> Registered:
    """A cluster Secret."""
    text = config if isinstance(config, str) else json.dumps(config)
    values = {"name": "tokyo", "server": SERVER, "config": text, **data}
    return registered(
        {
            "metadata": {
                "name": "cluster-tokyo",
                "resourceVersion": "7",
                "labels": labels or {},
                "annotations": annotations or {},
                "managedFields": list(fields),
            },
            "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()},
        }
    )


def applied(want: planning.Desired) -> Registered:
    """The Secret after it was applied, as the server would give it back."""
    fields = {
        "f:data": {f"f:{key}": {} for key in want.data},
        "f:metadata": {
            "f:labels": {f"f:{key}": {} for key in want.labels},
            "f:annotations": {f"f:{key}": {} for key in want.annotations},
        },
    }
    body = planning.body(want, None, "argocd")
    body["metadata"]["managedFields"] = [{"manager": MANAGER, "operation": "Apply", "fieldsV1": fields}]
    return registered(body)


@pytest.mark.parametrize(
    ("server", "begin"),
    [
        ("https://Tokyo.Example.com:6443", "cluster-tokyo.example.com-"),
        ("https://[fd00::1]:6443", "cluster-fd00--1-"),
        ("arn:aws:eks:ap-northeast-1:111122223333:cluster/tokyo", "cluster-tokyo-"),
    ],
)
def test_the_name_of_a_secret(server: str, begin: str) -> None:
    assert secret_name(server).startswith(begin)
    assert secret_name(server).removeprefix(begin).isdigit()


def test_the_name_of_the_hubs_secret_is_argo_cds() -> None:
    assert secret_name("https://kubernetes.default.svc") == "cluster-kubernetes.default.svc-3396314289"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://a", "https://A:443/", True),
        ("https://a.", "https://a", True),
        ("https://a:6443", "https://a", False),
        ("https://a/one", "https://a/two", False),
        ("https://[::1]:443", "https://[::1]", True),
        ("arn:aws:eks:x", "arn:aws:eks:x", True),
        ("https://a:port/", "https://a:port", True),
    ],
)
def test_addresses_are_compared_by_meaning(one: str, other: str, same: bool) -> None:
    assert (normalized(one) == normalized(other)) is same


@pytest.mark.parametrize(
    ("found", "rotate", "options", "reason"),
    [
        (None, "due", {}, "it is not registered yet"),
        ({"bearerToken": token()}, "due", {}, ""),
        ({"bearerToken": token(age=14.9)}, "due", {}, ""),
        ({"bearerToken": token(age=15.1)}, "due", {}, "its token ends in 14 d"),
        ({"bearerToken": token(age=15.1)}, "never", {}, ""),
        ({"bearerToken": token(age=15.1)}, "due", {"token_renew_after": 0.9}, ""),
        ({"bearerToken": token(age=31)}, "due", {}, "its token has expired"),
        ({"bearerToken": token(age=31)}, "never", {}, "its token has expired"),
        ({"bearerToken": token()}, "always", {}, "a new token was asked for"),
        ({"bearerToken": token("default:other")}, "due", {}, "its token is of the account default/other"),
        ({"bearerToken": token(life=None)}, "due", {}, "its credential is of the kind token_secret"),
        ({"bearerToken": token(life=None)}, "due", {"credential": "token_secret"}, ""),
        ({"bearerToken": "opaque"}, "due", {}, "its credential is of the kind bearer_token"),
        ({"username": "u", "password": "p"}, "due", {}, "its credential is of the kind basic"),
        ({"tlsClientConfig": {"certData": "x"}}, "due", {}, "its credential is of the kind client_certificate"),
        ({}, "due", {}, "its credential is of the kind none"),
    ],
)
def test_when_a_token_is_made(found: t.Any, rotate: str, options: t.Any, reason: str) -> None:
    there = None if found is None else secret(found)
    assert planning.renewal(cluster(**options), there, NOW, rotate) == reason


def test_another_lifetime_makes_another_token() -> None:
    there = secret({"bearerToken": token()}, annotations={LIFETIME: "2592000"})
    assert planning.renewal(cluster(), there, NOW, "due") == ""
    assert "lifetime" in planning.renewal(cluster(token_lifetime="7d"), there, NOW, "due")


def test_what_was_applied_needs_no_change() -> None:
    options = {"namespaces": ["web"], "project": "p", "shard": 2, "labels": {"a": "b"}, "skip_reconcile": True}
    want = planning.desired(cluster(**options), CONNECTION, token(), None, "me")
    there = applied(want)
    assert planning.changes(planning.desired(cluster(**options), CONNECTION, token(), there, "me"), there) == []


def test_every_field_reaches_the_secret() -> None:
    options = {
        "namespaces": ["web", "db"],
        "cluster_resources": True,
        "project": "p",
        "shard": 0,
        "labels": {"a": "b", "on": True},
        "annotations": {"c": 1},
        "skip_reconcile": True,
        "proxy_url": "http://u:canary@proxy:1",
        "disable_compression": True,
    }
    want = planning.desired(cluster(**options), Connection(SERVER, "PEM", "name"), "t", None, "me")
    assert {**want.data, "config": json.loads(want.data["config"])} == {
        "name": "tokyo",
        "server": SERVER,
        "namespaces": "web,db",
        "clusterResources": "true",
        "project": "p",
        "shard": "0",
        "config": {
            "bearerToken": "t",
            "tlsClientConfig": {"insecure": False, "caData": "UEVN", "serverName": "name"},
            "proxyUrl": "http://u:canary@proxy:1",
            "disableCompression": True,
        },
    }
    assert want.labels == {"a": "b", "on": "true", "argocd.argoproj.io/secret-type": "cluster", OWNER: "me"}
    assert want.annotations["argocd.argoproj.io/skip-reconcile"] == "true"
    assert {key: value for key, value in want.annotations.items() if key != RULES} == {
        "argocd.argoproj.io/skip-reconcile": "true",
        "c": "1",
        "managed-by": "argocd.argoproj.io",
        "hubspoke.bootstrap/account": "kube-system/argocd-manager",
        LIFETIME: "2592000",
        "hubspoke.bootstrap/token-expires": "<made by the run>",
    }
    assert want.annotations[RULES] == digest(cluster(**options).account)


def test_what_is_not_made_here_is_not_noted() -> None:
    arn = "arn:aws:eks:ap-northeast-1:111122223333:cluster/tokyo"
    for options in ({"bearer_token": "b"}, {"server": arn}):
        want = planning.desired(cluster(**options), Connection(options.get("server", SERVER)), "", None, "")
        assert want.annotations == {"managed-by": "argocd.argoproj.io"}
        assert ("config" in want.data) is ("server" not in options)


@pytest.mark.parametrize(
    ("options", "config"),
    [
        ({"basic": {"username": "u", "password": "p"}}, {"username": "u", "password": "p"}),
        ({"bearer_token": "b"}, {"bearerToken": "b"}),
        (
            {"aws": {"cluster_name": "c", "role_arn": "arn:aws:iam::111122223333:role/r", "profile": "/p"}},
            {"awsAuthConfig": {"clusterName": "c", "roleARN": "arn:aws:iam::111122223333:role/r", "profile": "/p"}},
        ),
        (
            {"exec": {"command": "c", "args": ["a"], "env": {"k": "v"}, "api_version": "v", "install_hint": "h"}},
            {
                "execProviderConfig": {
                    "command": "c",
                    "args": ["a"],
                    "env": {"k": "v"},
                    "apiVersion": "v",
                    "installHint": "h",
                }
            },
        ),
    ],
)
def test_credentials_of_the_user(options: t.Any, config: t.Any) -> None:
    found = planning.config_of(cluster(**options), Connection(SERVER, insecure=True), "")
    assert found == {**config, "tlsClientConfig": {"insecure": True}}


def test_labels_of_others_stay_and_ours_go() -> None:
    there = applied(planning.desired(cluster(labels={"a": "1", "b": "2"}), CONNECTION, token(), None, "me"))
    there.labels["theirs"] = "x"
    want = planning.desired(cluster(labels={"a": "1"}), CONNECTION, token(), there, "me")
    assert planning.changes(want, there) == ["labels.b"]
    _, after = planning.shown(want, there)
    assert after["labels"]["theirs"] == "x"
    assert "b" not in after["labels"]


def test_what_others_set_too_stays() -> None:
    other = {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:metadata": {"f:labels": {"f:b": {}}}}}
    ours = {"manager": MANAGER, "operation": "Apply", "fieldsV1": {"f:metadata": {"f:labels": {"f:b": {}}}}}
    want = planning.desired(cluster(), CONNECTION, token(), None, "")
    assert planning.removed(want, secret({}, labels={"b": "1"}, fields=[ours]))["labels"] == {"b"}
    assert planning.removed(want, secret({}, labels={"b": "1"}, fields=[ours, other]))["labels"] == set()


def test_a_config_that_means_the_same_is_left_as_it_is() -> None:
    text = json.dumps({"bearerToken": token(), "tlsClientConfig": {"caData": "UEVN", "insecure": False}}, indent=3)
    there = secret(text)
    assert planning.desired(cluster(), CONNECTION, token(), there, "").data["config"] == text


def test_a_broken_config_is_replaced() -> None:
    there = secret("{canary")
    want = planning.desired(cluster(), CONNECTION, token(), there, "")
    assert there.problem == "its config is not a JSON object"
    assert planning.changes(want, there)[0].startswith("config.")
    assert "canary" not in json.dumps(planning.shown(want, there))


def test_nothing_secret_is_shown_and_changes_are() -> None:
    old = {
        "bearerToken": "canary-1",
        "password": "canary-2",
        "tlsClientConfig": {"keyData": "canary-3"},
        "proxyUrl": "http://u:canary-4@proxy:1",
        "execProviderConfig": {"env": {"A": "canary-5"}},
    }
    want = planning.desired(cluster(bearer_token="canary-6"), CONNECTION, "", secret(old), "")
    before, after = planning.shown(want, secret(old))
    assert "canary" not in json.dumps([before, after, planning.changes(want, secret(old)), repr(want)])
    assert before["config"]["bearerToken"] == "<redacted>"
    assert after["config"]["bearerToken"] == "<redacted, changed>"
    assert before["config"]["proxyUrl"] == "http://proxy:1"


def test_what_is_new_or_stays_is_not_said_to_change() -> None:
    want = planning.desired(cluster(bearer_token="canary"), CONNECTION, "", None, "")
    for old in ({}, {"bearerToken": "canary"}):
        after = planning.shown(want, secret(old))[1]
        assert after["config"]["bearerToken"] == "<redacted>"
        assert after["config"]["tlsClientConfig"] == {"insecure": False, "caData": "sha256:2c4edb317907"}


def test_a_broken_config_is_shown_as_one() -> None:
    here = wanted({"name": "tokyo", "server": "https://kubernetes.default.svc"})
    there = secret("{canary", server="https://kubernetes.default.svc")
    want = planning.desired(here, Connection("https://kubernetes.default.svc"), "", there, "")
    assert planning.changes(want, there)[0] == "config"
    assert planning.shown(want, there)[0]["config"] == "<not a JSON object>"


def test_a_config_changes_by_its_meaning() -> None:
    old = {"bearerToken": "b", "tlsClientConfig": {"insecure": False, "serverName": ""}, "username": "", "x": []}
    want = planning.desired(cluster(bearer_token="b"), CONNECTION, "", secret(old), "")
    assert planning.changes(want, secret(old))[0] == "config.tlsClientConfig.caData"
    assert [change for change in planning.changes(want, secret(old)) if change.startswith("config")][1:] == []


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"execProviderConfig": {"command": "x"}, "bearerToken": "b"}, "exec"),
        ({"awsAuthConfig": {"clusterName": "x"}, "execProviderConfig": {"command": "x"}}, "aws"),
        ({"bearerToken": "b", "username": "u"}, "bearer_token"),
        ({"execProviderConfig": {"args": []}, "bearerToken": "b"}, "exec"),
    ],
)
def test_of_several_credentials_the_first_counts(config: t.Any, kind: str) -> None:
    assert secret(config).credential == kind


def test_what_is_broken_in_a_secret_is_said_and_the_rest_read() -> None:
    found = secret({"bearerToken": ["canary"]}, shard="one", namespaces="a, ,b,", clusterResources="TRUE")
    assert found.problem == "its config has a bearerToken that is no text, its shard is 'one', which is no number"
    assert (found.config, found.shard, found.namespaces, found.cluster_resources) == (None, None, ("a", "b"), False)
    assert secret({}, shard="+3").shard == 3


def test_what_others_note_is_not_ours() -> None:
    system = {"kubectl.kubernetes.io/last-applied-configuration": "canary", "a": "b"}
    assert secret({}, annotations=system).annotations == {"a": "b"}
    once = {"manager": MANAGER, "operation": "Update", "fieldsV1": {"f:data": {"f:x": {}}}}
    assert (secret({}, fields=[once]).owned, len(secret({}, fields=[once]).shared)) == (frozenset(), 1)


@pytest.mark.parametrize("claims", [{"sub": "me", "exp": 1}, {"sub": "me", "exp": 1e30}, {}])
def test_a_token_of_nobodys_account(claims: t.Any) -> None:
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    found = secret({"bearerToken": f"x.{part}.x"})
    assert (found.account, found.credential, found.expires is None) == ("", "bearer_token", claims.get("exp") != 1)


@pytest.mark.parametrize(
    ("hours", "text"), [(48, "2 d"), (47.9, "47 h"), (2, "2 h"), (1.5, "90 min"), (0.02, "72 s"), (-1, "0 s")]
)
def test_a_time_to_go(hours: float, text: str) -> None:
    assert left(timedelta(hours=hours)) == text


def test_the_same_rights_have_the_same_digest() -> None:
    assert digest(cluster().account) == digest(cluster().account)
    assert len({digest(cluster(namespaces=names).account) for names in (None, ["web"], ["db"])}) == 3
