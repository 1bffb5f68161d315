# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What argocd_cluster_info says of cluster Secrets in every state, and that it never says a credential."""

from __future__ import annotations

import base64
import json
import typing as t
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _registration_info as info
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _registration_targets as targets
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import ApiError, HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_connection import Connection
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_secret import Registered, registered
from ansible_collections.hubspoke.bootstrap.plugins.modules import argocd_cluster_info

Object = dict[str, t.Any]
CANARY = "canary-7f3e55"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
TOKYO = "https://tokyo.example.com:6443"
IN_CLUSTER = "https://kubernetes.default.svc"


def encoded(text: str | bytes) -> str:
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def token(**claims: t.Any) -> str:
    parts = [json.dumps(part).encode() for part in ({"alg": "RS256"}, claims)] + [CANARY.encode()]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def secret(
    name: str = "tokyo", server: str = TOKYO, config: t.Any = None, labels: t.Any = None, **data: t.Any
) -> Object:
    text = config if isinstance(config, str) else json.dumps(config or {"bearerToken": CANARY})
    values = {"name": name, "server": server, "config": text, **data}
    return {
        "metadata": {
            "name": data.pop("secret", f"cluster-{name}"),
            "resourceVersion": "1",
            "labels": {"argocd.argoproj.io/secret-type": "cluster", **(labels or {})},
            "annotations": {"managed-by": "argocd.argoproj.io", "region": "tokyo"},
        },
        "data": {key: encoded(value) for key, value in values.items() if value is not None},
    }


def described(item: Object, **options: t.Any) -> Object:
    return info.describe(registered(item), NOW, **options)


ACCOUNT = "system:serviceaccount:kube-system:argocd-manager"
MANAGER = "kube-system/argocd-manager"
CERTIFICATE = {"certData": encoded(CANARY), "keyData": encoded(CANARY)}


@pytest.mark.parametrize(
    ("config", "kind", "account", "days"),
    [
        ({"bearerToken": token(sub=ACCOUNT, exp=NOW.timestamp() + 86400 * 12)}, "token", MANAGER, 12),
        ({"bearerToken": token(sub=ACCOUNT, exp=NOW.timestamp() - 86400)}, "token", MANAGER, -1),
        ({"bearerToken": token(sub=ACCOUNT)}, "token_secret", MANAGER, None),
        ({"bearerToken": CANARY}, "bearer_token", "", None),
        ({"username": "admin", "password": CANARY}, "basic", "", None),
        ({"awsAuthConfig": {"clusterName": "tokyo", "roleARN": CANARY}}, "aws", "", None),
        ({"execProviderConfig": {"command": "x", "args": [CANARY], "env": {"A": CANARY}}}, "exec", "", None),
        ({"tlsClientConfig": CERTIFICATE}, "client_certificate", "", None),
        ({"tlsClientConfig": {"caData": encoded(CANARY)}}, "none", "", None),
    ],
)
def test_kinds_of_credentials(config: Object, kind: str, account: str, days: int | None) -> None:
    shown = described(secret(config=config))
    assert shown["credential"]["kind"] == kind
    assert shown["credential"]["account"] == account
    assert shown["credential"]["seconds_left"] == (None if days is None else days * 86400)
    assert shown["credential"]["expired"] is (days is not None and days < 0)
    expected = None if days is None else f"{NOW + timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}"
    assert shown["credential"]["expires"] == expected
    assert CANARY not in json.dumps(shown)
    assert encoded(CANARY) not in json.dumps(shown)


def certificate(end: datetime) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "argocd")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW - timedelta(days=400)).not_valid_after(end)
    return encoded(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


def test_the_end_of_a_client_certificate() -> None:
    config = {"tlsClientConfig": {"certData": certificate(NOW + timedelta(days=3)), "keyData": encoded(CANARY)}}
    shown = described(secret(config=config))["credential"]
    assert (shown["kind"], shown["expires"], shown["seconds_left"]) == (
        "client_certificate", "2026-11-24T12:00:00Z", 3 * 86400
    )  # fmt: skip
    # A token does not end with the certificates beside it.
    for field in ("caData", "certData"):
        beside = {"bearerToken": CANARY, "tlsClientConfig": {field: certificate(NOW)}}
        assert described(secret(config=beside))["credential"]["expires"] is None


def test_a_certificate_that_is_not_checked() -> None:
    assert described(secret(config={"tlsClientConfig": {"insecure": True}}))["tls"] == {
        "insecure": True, "server_name": "", "has_ca": False
    }  # fmt: skip


def test_everything_else_of_a_secret() -> None:
    config = {
        "bearerToken": CANARY,
        "tlsClientConfig": {"insecure": False, "serverName": "kubernetes", "caData": encoded("x")},
        "proxyUrl": f"http://user:{CANARY}@proxy.example.com:3128",
    }
    labels = {"hubspoke.bootstrap/owner": "fleet", "env": "prod"}
    shown = described(
        secret(config=config, labels=labels, namespaces="a, b", clusterResources="true", project="team", shard="2")
    )
    assert shown == {
        "name": "tokyo",
        "server": TOKYO,
        "secret": "cluster-tokyo",
        "implicit": False,
        "in_cluster": False,
        "project": "team",
        "namespaces": ["a", "b"],
        "cluster_resources": True,
        "shard": 2,
        "labels": labels,
        "annotations": {"region": "tokyo"},
        "owner": "fleet",
        "credential": {"kind": "bearer_token", "account": "", "expires": None, "seconds_left": None, "expired": False},
        "tls": {"insecure": False, "server_name": "kubernetes", "has_ca": True},
        "proxy_url": "http://proxy.example.com:3128",
        "connection": None,
        "applications": None,
        "application_sets": None,
        "problem": "",
    }


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://proxy:3128", "http://proxy:3128"),
        ("http://user@proxy:3128/a@b", "http://proxy:3128/a@b"),
        ("http://user:pa@ss@proxy:3128", "http://proxy:3128"),
        ("socks5://u:p@proxy", "socks5://proxy"),
        ("arn:aws:eks:x", "arn:aws:eks:x"),
    ],
)
def test_addresses_lose_user_and_password(url: str, expected: str) -> None:
    assert info.without_userinfo(url) == expected


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        (secret(config='{"bearerToken": "' + CANARY), "its config is not a JSON object"),
        (secret(config=f'["{CANARY}"]'), "its config is not a JSON object"),
        (secret(server=None), "it has no server"),
        (
            secret(name=None, server=None, secret="x", config="{"),
            "its config is not a JSON object, it has no name, it has no server",
        ),
        (secret(config={"tlsClientConfig": CANARY}), "its config has a tlsClientConfig that is no object"),
        (secret(config={"bearerToken": [CANARY]}), "its config has a bearerToken that is no text"),
        (secret(shard="many"), "its shard is 'many', which is no number"),
        ({"metadata": {"name": "x"}}, "it has no name, it has no server"),
        (
            {"metadata": {"name": "x"}, "data": {"name": "dG9reW8=", "server": "%", "config": "/w=="}},
            "its server is not text, its config is not text, it has no server",
        ),
        (secret(shard="²"), "its shard is '²', which is no number"),
    ],
)
def test_broken_secrets_are_shown_with_their_problem(item: Object, problem: str) -> None:
    shown = described(item, connections={}, targets=targets.Targets())
    assert shown["problem"] == problem
    assert CANARY not in json.dumps(shown)


@pytest.mark.parametrize(
    "config",
    [
        {"tlsClientConfig": "x", "proxyUrl": 5, "bearerToken": CANARY},
        {"tlsClientConfig": {"certData": 5, "insecure": "yes", "serverName": 5}},
        {"tlsClientConfig": {"certData": "%%%"}},
        {"bearerToken": "a.NQ.c"},
        {"bearerToken": "a.WyJzdWIiXQ.c"},
        {"bearerToken": token(sub=ACCOUNT, exp=1e30)},
        {"bearerToken": token(sub=5, exp="tomorrow")},
        {"bearerToken": {"a": CANARY}},
    ],
)
def test_values_of_other_types_break_nothing(config: Object) -> None:
    shown = described(secret(config=config))
    assert CANARY not in json.dumps(shown)
    assert shown["credential"]["expires"] is None


def test_connections_and_targets() -> None:
    connections = {f"{TOKYO}": Connection("Failed", "1.36")}
    item = {"kind": "Application", "metadata": {"name": "web", "namespace": "argocd"}}
    item["spec"] = {"destination": {"name": "tokyo"}}
    owners = [{"kind": "ApplicationSet", "name": "s"}]
    owned = {**item, "metadata": {"name": "db", "namespace": "team", "ownerReferences": owners}}
    later = {"metadata": {"name": "later", "namespace": "argocd"}, "spec": {"template": {"spec": item["spec"]}}}
    found = targets.index([item, owned], [later], "argocd")
    shown = described(secret(server=f"{TOKYO}/"), connections=connections, targets=found)
    assert shown["connection"] == {"status": "Failed", "kubernetes": "1.36"}
    assert shown["applications"] == ["web", "team/db"]
    assert shown["application_sets"] == ["later", "s"]
    other = described(secret("seoul", "https://seoul"), connections=connections, targets=found)
    # Argo CD does not look at clusters without Applications.
    assert other["connection"] == {"status": "Unknown", "kubernetes": ""}
    assert (other["applications"], other["application_sets"]) == ([], [])


def known(*clusters: tuple[str, str, str]) -> list[Registered]:
    return [registered(secret(name, server, secret=item)) for item, name, server in clusters]


def test_duplicates() -> None:
    found = info.duplicates(
        known(
            ("a", "tokyo", TOKYO),
            ("b", "tokyo-2", f"{TOKYO}/"),
            ("c", "seoul", "https://seoul"),
            ("d", "seoul", "https://SEOUL:443"),
            ("e", "osaka", "https://osaka"),
            ("f", "", ""),
            ("g", "", ""),
        )
    )
    assert found == [
        {"field": "server", "value": TOKYO, "secrets": ["a", "b"]},
        {"field": "server", "value": "https://seoul", "secrets": ["c", "d"]},
        {"field": "name", "value": "seoul", "secrets": ["c", "d"]},
    ]


class FakeKube:
    """Cluster Secrets of which a selector finds some, and Argo CD's settings."""

    pages = Kube.pages

    def __init__(self, *items: Object, settings: t.Any = None) -> None:
        self.items = items
        self.settings = {"data": {}} if settings is None else settings
        self.asked: list[str] = []

    def list(self, api_version: str, kind: str, namespace: str, selector: str) -> list[Object]:
        assert (api_version, kind, namespace) == ("v1", "Secret", "argocd")
        wanted = dict(part.split("=") for part in selector.split(","))
        assert wanted["argocd.argoproj.io/secret-type"] == "cluster"
        return [item for item in self.items if wanted.items() <= item["metadata"]["labels"].items()]

    def get_path(self, path: str) -> Object | None:
        self.asked.append(path)
        if path.endswith("/configmaps/argocd-cm"):
            if isinstance(self.settings, int) and self.settings:
                raise ApiError("no", self.settings)
            return self.settings or None
        return None

    def request(self, method: str, path: str, query: t.Any = None) -> Object:
        self.asked.append(path)
        raise ApiError("forbidden", 403)


@pytest.fixture
def run(make_task: t.Callable[..., t.Any], monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., t.Any]:
    """run(kube, check_mode=, **arguments) gives the result and the warnings."""

    def call(kube: FakeKube | None, check_mode: bool = False, **arguments: t.Any) -> t.Any:
        def connect(params: Object) -> FakeKube:
            assert kube is not None, "connects although there is nothing"
            return kube

        monkeypatch.setattr(Kube, "from_params", connect)
        spec = argocd_cluster_info.SPEC["argument_spec"]
        defaults = {name: option.get("default") for name, option in spec.items()}
        quiet = {"connection": False, "applications": False}
        task, fake, _lines = make_task({**defaults, **quiet, **arguments}, check_mode=check_mode)
        return argocd_cluster_info.run(task), fake.warnings

    return call


FLEET = (
    secret("tokyo", TOKYO, labels={"env": "prod"}),
    secret("seoul", "https://seoul.example.com/", labels={"env": "test"}),
    secret("tokyo", f"{TOKYO}/", labels={"env": "test"}, secret="by-hand"),
)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, ["in-cluster", "cluster-seoul", "cluster-tokyo", "by-hand"]),
        ({"names": ["tokyo"]}, ["cluster-tokyo", "by-hand"]),
        ({"names": ["in-cluster"]}, ["in-cluster"]),
        ({"servers": ["https://SEOUL.example.com:443"]}, ["cluster-seoul"]),
        ({"servers": [IN_CLUSTER]}, ["in-cluster"]),
        ({"names": ["tokyo"], "servers": ["https://seoul.example.com"]}, ["cluster-seoul", "cluster-tokyo", "by-hand"]),
        ({"label_selector": "env=test"}, ["cluster-seoul", "by-hand"]),
        ({"label_selector": "env=test", "names": ["tokyo"]}, ["by-hand"]),
        ({"names": ["osaka"]}, []),
    ],
)
def test_selection(run: t.Callable[..., t.Any], arguments: Object, expected: list[str]) -> None:
    result, _warnings = run(FakeKube(*FLEET), **arguments)
    assert [cluster["secret"] or cluster["name"] for cluster in result["clusters"]] == expected
    # What is registered twice is said whatever was asked for.
    assert [entry["field"] for entry in result["duplicates"]] == ["server", "name"]
    assert CANARY not in json.dumps(result)


@pytest.mark.parametrize(
    ("items", "settings", "there"),
    [
        ([], None, True),
        ([], {"data": {"cluster.inClusterEnabled": "true"}}, True),
        ([], {"data": None}, True),
        ([], {"data": {"cluster.inClusterEnabled": "false"}}, False),
        ([], False, False),
        ([], 403, True),
        ([secret("hub", f"{IN_CLUSTER}/")], None, False),
    ],
)
def test_the_hub_itself_without_a_secret(
    run: t.Callable[..., t.Any], items: list[Object], settings: t.Any, there: bool
) -> None:
    result, _warnings = run(FakeKube(*items, settings=settings))
    assert [cluster["name"] for cluster in result["clusters"] if cluster["implicit"]] == ["in-cluster"] * there
    assert all(cluster["in_cluster"] for cluster in result["clusters"])
    if there:
        entry = result["clusters"][0]
        assert (entry["secret"], entry["problem"], entry["credential"]["kind"]) == (None, "", "none")


def test_other_failures_to_read_the_settings_are_failures(run: t.Callable[..., t.Any]) -> None:
    with pytest.raises(HubspokeError):
        run(FakeKube(settings=500))


def test_targets_that_may_not_be_read_are_not_known(run: t.Callable[..., t.Any]) -> None:
    result, warnings = run(FakeKube(*FLEET), applications=True, connection=True)
    assert {json.dumps(cluster["applications"]) for cluster in result["clusters"]} == {"null"}
    assert {json.dumps(cluster["connection"]) for cluster in result["clusters"]} == {"null"}
    assert len(warnings) == 1
    assert "forbidden" in warnings[0]


def test_nothing_is_asked_for_what_is_not_wanted(run: t.Callable[..., t.Any]) -> None:
    kube = FakeKube(*FLEET)
    run(kube, names=["tokyo"])
    assert kube.asked == []


def test_a_hub_that_is_yet_to_be_made(run: t.Callable[..., t.Any]) -> None:
    result, _warnings = run(None, check_mode=True, cluster_present=False)
    assert result == {"changed": False, "clusters": [], "duplicates": []}
    assert run(FakeKube(), check_mode=False, cluster_present=False)[0]["clusters"]
