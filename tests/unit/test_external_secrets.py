# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Objects from variables, how objects are, and the process that stands for the controller."""

from __future__ import annotations

import types
import typing as t

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _external_secrets as engine
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _external_secrets_definitions as definitions
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _external_secrets_operator as operator
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _external_secrets_state as state
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_external_secrets as local
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

REGION = "ap-northeast-2"
Object = dict[str, t.Any]

# Objects from variables


def stores(*entries: Object) -> list[Object]:
    assert definitions.problems(entries, [], [], REGION) == []
    return definitions.stores(entries, "external-secrets", REGION)


def test_pod_identity_has_no_auth_block() -> None:
    (made,) = stores({"name": "aws"})
    assert (made["kind"], made["metadata"]) == ("ClusterSecretStore", {"name": "aws"})
    assert made["spec"] == {"provider": {"aws": {"service": "SecretsManager", "region": REGION}}}


def test_a_service_account() -> None:
    account = {"name": "external-secrets-sa"}
    (made,) = stores({"name": "aws-secrets-store", "auth": "service_account", "service_account": account})
    assert made["spec"]["provider"]["aws"]["auth"] == {
        "jwt": {"serviceAccountRef": {"name": "external-secrets-sa", "namespace": "external-secrets"}}
    }
    (made,) = stores({"name": "own", "namespace": "team", "auth": "service_account", "service_account": account})
    assert made["kind"] == "SecretStore"
    assert made["spec"]["provider"]["aws"]["auth"]["jwt"] == {"serviceAccountRef": {"name": "external-secrets-sa"}}


def test_static_keys() -> None:
    keys = {"access_key_id": "AKIA", "secret_access_key": "hunter2"}
    secret, made = stores({"name": "dev", "auth": "static", "credentials": keys, "service": "ParameterStore"})
    assert secret["metadata"] == {"name": "dev-credentials", "namespace": "external-secrets"}
    assert secret["stringData"] == keys
    reference = made["spec"]["provider"]["aws"]["auth"]["secretRef"]
    assert reference == {
        field: {"name": "dev-credentials", "key": key, "namespace": "external-secrets"}
        for field, key in (
            ("accessKeyIDSecretRef", "access_key_id"),
            ("secretAccessKeySecretRef", "secret_access_key"),
        )
    }
    assert "hunter2" not in str(made)
    (alone,) = stores({"name": "dev", "namespace": "x", "auth": "static", "credentials": {"secret": "mine"}})
    used = alone["spec"]["provider"]["aws"]["auth"]["secretRef"]
    assert used["accessKeyIDSecretRef"] == {"name": "mine", "key": "access_key_id"}


def test_what_else_a_store_has() -> None:
    conditions = [{"namespaces": ["wealist-prod"]}]
    (made,) = stores({"name": "a", "conditions": conditions, "refresh_seconds": 60, "role": "arn:r", "prefix": "p/"})
    assert made["spec"]["conditions"] == conditions
    assert made["spec"]["refreshInterval"] == 60
    assert made["spec"]["provider"]["aws"] | {"role": "arn:r", "prefix": "p/"} == made["spec"]["provider"]["aws"]


def test_other_providers_are_passed_through() -> None:
    provider = {"vault": {"server": "https://vault", "auth": {"tokenSecretRef": {"name": "t", "key": "k"}}}}
    (made,) = stores({"name": "vault", "provider": provider, "region": ""})
    assert made["spec"]["provider"] == provider


def test_external_secrets() -> None:
    known = [{"name": "aws"}, {"name": "own", "namespace": "team"}]
    first, second = definitions.external_secrets(
        [
            {
                "name": "shared-secrets",
                "namespace": "wealist-prod",
                "store": "aws",
                "target": "wealist-shared-secret",
                "extract": ["wealist/prod/shared"],
                "refresh_interval": "1h",
                "refresh_policy": "Periodic",
            },
            {
                "name": "one",
                "namespace": "team",
                "store": "own",
                "data": {"password": {"key": "db", "property": "password"}, "all": "db"},
                "spec": {"refreshInterval": "0s"},
            },
        ],
        known,
    )
    assert first == {
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": {"name": "shared-secrets", "namespace": "wealist-prod"},
        "spec": {
            "secretStoreRef": {"name": "aws", "kind": "ClusterSecretStore"},
            "refreshInterval": "1h0m0s",
            "refreshPolicy": "Periodic",
            "target": {"name": "wealist-shared-secret"},
            "dataFrom": [{"extract": {"key": "wealist/prod/shared"}}],
        },
    }
    assert second["spec"] == {
        "secretStoreRef": {"name": "own", "kind": "SecretStore"},
        "refreshInterval": "0s",
        "data": [
            {"secretKey": "password", "remoteRef": {"key": "db", "property": "password"}},
            {"secretKey": "all", "remoteRef": {"key": "db"}},
        ],
    }
    assert [item["metadata"]["name"] for item in definitions.namespaces([first, second])] == ["team", "wealist-prod"]
    assert definitions.awaited([first]) == [
        {"kind": "ExternalSecret", "name": "shared-secrets", "namespace": "wealist-prod"}
    ]


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("1h", "1h0m0s"),
        ("90m", "1h30m0s"),
        ("1h0m0s", "1h0m0s"),
        ("300s", "5m0s"),
        ("15s", "15s"),
        ("0s", "0s"),
        # What is refused by the API server is not ours to correct.
        ("1 hour", "1 hour"),
        ("500ms", "500ms"),
    ],
)
def test_intervals_as_the_controller_writes_them(given: str, written: str) -> None:
    entry = {"name": "e", "namespace": "n", "store": "aws", "extract": ["k"], "refresh_interval": given}
    (made,) = definitions.external_secrets([entry], [])
    assert made["spec"]["refreshInterval"] == written


def test_push_secrets() -> None:
    entry = {"name": "p", "namespace": "n", "store": "aws", "secret": "s", "data": {"k": "remote"}}
    (made,) = definitions.push_secrets([entry | {"update_policy": "IfNotExists"}], [])
    assert made["apiVersion"] == "external-secrets.io/v1alpha1"
    assert made["spec"] == {
        "secretStoreRefs": [{"name": "aws", "kind": "ClusterSecretStore"}],
        "selector": {"secret": {"name": "s"}},
        "updatePolicy": "IfNotExists",
        "data": [{"match": {"secretKey": "k", "remoteRef": {"remoteKey": "remote"}}}],
    }


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"name": "a", "namespace": "n", "conditions": [{"namespaces": ["x"]}]}, "only a ClusterSecretStore"),
        ({"name": "a", "provider": {"aws": {}, "vault": {}}}, "exactly one"),
        ({"name": "a", "auth": "service_account"}, "service_account.name"),
        (
            {
                "name": "a",
                "namespace": "n",
                "auth": "service_account",
                "service_account": {"name": "s", "namespace": "m"},
            },
            "so has to be its service account",
        ),
        ({"name": "a", "auth": "static"}, "credentials needs"),
        ({"name": "a", "auth": "static", "credentials": {"access_key_id": "x"}}, "credentials needs"),
    ],
)
def test_stores_that_contradict_themselves(entry: Object, words: str) -> None:
    (problem,) = definitions.problems([entry], [], [], REGION)
    assert words in problem


def test_other_contradictions() -> None:
    assert "no region" in definitions.problems([{"name": "a"}], [], [], "")[0]
    assert "twice" in definitions.problems([{"name": "a"}, {"name": "a"}], [], [], REGION)[0]
    two = [{"name": "a"}, {"name": "a", "namespace": "n"}]
    assert definitions.problems(two, [], [], REGION) == []
    assert len(definitions.problems([], [{"name": "e", "namespace": "n"}], [], REGION)) == 2
    assert len(definitions.problems([], [], [{"name": "e", "namespace": "n"}], REGION)) == 3


# How objects are


def external_secret(status: str = "True", synced: str = "3-abc", **spec: t.Any) -> Object:
    return {
        "kind": "ExternalSecret",
        "metadata": {"name": "e", "namespace": "n", "generation": 3, "uid": "u"},
        "spec": spec,
        "status": {
            "syncedResourceVersion": synced,
            "conditions": [{"type": "Ready", "status": status, "reason": "R", "message": "could not get secret data"}],
        },
    }


def event(message: str, at: str, kind: str = "Warning") -> Object:
    return {"type": kind, "message": message, "lastTimestamp": at}


def no_events(live: Object) -> list[Object]:
    raise AssertionError("events are asked for where they are not needed")


def test_ready_means_its_present_form() -> None:
    assert state.of_object(external_secret(), no_events).ready
    assert not state.of_object(external_secret(synced="2-abc"), no_events).ready
    assert state.of_object(external_secret(synced="2-abc", refreshPolicy="CreatedOnce"), no_events).ready


def test_the_reason_is_in_the_last_warning() -> None:
    events = [
        event("older", "2026-01-01T00:00:01Z"),
        event("AccessDeniedException: not authorized,\n RequestID: 1-2, GetSecretValue", "2026-01-01T00:00:02Z"),
        event("fine", "2026-01-01T00:00:03Z", "Normal"),
    ]
    found = state.of_object(external_secret("False"), lambda _live: events)
    assert found.sentence == "ExternalSecret n/e: R: AccessDeniedException: not authorized, GetSecretValue."
    assert "Allow that" in found.remedy
    without = state.of_object(external_secret("False"), lambda _live: [])
    assert without.message == "could not get secret data"


def test_one_that_nobody_has_looked_at() -> None:
    live = {"kind": "SecretStore", "metadata": {"name": "s", "namespace": "n"}}
    assert "no controller" in state.of_object(live, no_events).sentence
    live["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert "being deleted" in state.of_object(live, no_events).sentence


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("an IAM role must be associated with service account x (namespace: y)", "eks.amazonaws.com/role-arn"),
        ("api error AccessDenied: User: arn is not authorized to perform: sts:AssumeRole on resource", "trust policy"),
        (
            "api error AccessDeniedException: not authorized to perform: secretsmanager:GetSecretValue",
            "role of the store",
        ),
        (
            "InvalidRequestException: You can't perform this operation: it was marked for deletion",
            "restore",
        ),
        (
            "failed to refresh cached credentials, ResourceNotFoundException: No pod identity association for service",
            "EKS Pod Identity association",
        ),
        ("key password does not exist in secret db", "property"),
        ("unable to unmarshal secret db: invalid character 'h'", "JSON"),
        ("Secret does not exist", "region"),
        ('using cluster store "a" is not allowed from namespace "b": denied by spec.condition', "conditions"),
        ("api error SignatureDoesNotMatch: Signature expired: 2026", "clocks"),
        ("dial tcp 127.0.0.1:1: connect: connection refused", "cannot be reached"),
    ],
)
def test_remedies(message: str, words: str) -> None:
    assert words in state.remedy(message)


def test_nothing_is_said_about_what_is_not_known() -> None:
    assert state.remedy("a message of tomorrow") == ""
    assert len(state.tidy("x" * 5000)) < 700


def webhook(bundle: str = "Y2E=", group: str = "external-secrets.io") -> Object:
    client = {"service": {"namespace": "es", "name": "w"}, **({"caBundle": bundle} if bundle else {})}
    webhooks = [{"name": "v", "clientConfig": client, "rules": [{"apiGroups": [group]}]}]
    return {"kind": "ValidatingWebhookConfiguration", "metadata": {"name": "c"}, "webhooks": webhooks}


def test_webhooks() -> None:
    serving = [{"endpoints": [{"conditions": {"ready": False}}, {"conditions": {"ready": True}}]}]
    assert state.of_webhook(webhook(), lambda *_: serving).ready
    assert "caBundle" in state.of_webhook(webhook(""), lambda *_: serving).message
    assert "no ready endpoint" in state.of_webhook(webhook(), lambda *_: []).message
    waiting = [{"endpoints": [{"conditions": {"ready": False}}]}, {"endpoints": None}]
    assert not state.of_webhook(webhook(), lambda *_: waiting).ready
    assert state.of_webhook(webhook("", "other"), lambda *_: []).ready


@pytest.mark.parametrize(
    ("provider", "words"),
    [
        ({"aws": {"service": "SecretsManager", "region": "us-east-1"}}, "SecretsManager of us-east-1"),
        ({"vault": {"server": "https://vault"}}, "vault"),
    ],
)
def test_where_an_external_secret_reads_from(provider: Object, words: str) -> None:
    live = external_secret("False", secretStoreRef={"name": "s", "kind": "ClusterSecretStore"})
    store = {"metadata": {"name": "s"}, "spec": {"provider": provider}}
    known = {("ExternalSecret", "n"): live, ("ClusterSecretStore", ""): store}

    class Cluster:
        def find(self, *_kind: t.Any, refresh: bool) -> t.Any:
            return types.SimpleNamespace(path=lambda *_names: "path")

        def get_path(self, _path: str) -> Object:
            return live

        def get(self, _version: str, kind: str, _name: str, namespace: str) -> Object:
            return known[kind, namespace]

        def request(self, *_request: t.Any, query: Object) -> Object:
            return {"items": [event("Secret does not exist", "2026-01-01T00:00:01Z")]}

    found = engine.ExternalSecrets(
        t.cast("t.Any", Cluster()), [{"kind": "ExternalSecret", "name": "e", "namespace": "n"}]
    )
    with pytest.raises(HubspokeError) as caught:
        found.wait(["external_secrets"], -1, lambda line: None)
    assert f"n/e: R: Secret does not exist (read from ClusterSecretStore s, {words}). Make it" in str(caught.value)


def test_waiting_stops_at_the_first_stage_that_is_not_ready() -> None:
    asked: list[str] = []
    lacking = [state.State("ClusterSecretStore", "", f"s{n}", False, "R", "why", "Do this.") for n in range(12)]

    class World(engine.ExternalSecrets):
        def __init__(self) -> None:
            pass

        def read(self, stage: str) -> list[state.State]:
            asked.append(stage)
            return lacking if stage == "stores" else []

    with pytest.raises(HubspokeError) as caught:
        World().wait(engine.STAGES, 0, lambda line: None)
    assert asked[:2] == ["definitions", "webhooks"]
    assert set(asked[2:]) == {"stores"}
    text = str(caught.value)
    assert text.startswith("Not every store is ready after 0 s. ClusterSecretStore s0: R: why. ")
    assert text.endswith("And 2 more. Do this.")
    assert len(caught.value.details["not_ready"]) == 12


# Whose it is


def deployment(manager: str, operation: str = "Apply", **annotations: str) -> Object:
    fields = [{"manager": manager, "operation": operation}]
    return {
        "metadata": {"name": "es", "namespace": "es", "annotations": annotations, "managedFields": fields},
        "spec": {"template": {"spec": {"containers": [{"image": "r.io:5000/es/external-secrets:v0.20.4@sha256:0"}]}}},
    }


@pytest.mark.parametrize(
    ("item", "by"),
    [
        (
            deployment("argocd-controller", **{"argocd.argoproj.io/tracking-id": "es:apps/Deployment:es/es"}),
            "Application es",
        ),
        (deployment("helm", "Update", **{"meta.helm.sh/release-name": "rel"}), "Helm release rel"),
        (deployment("kubectl"), "kubectl"),
    ],
)
def test_somebody_elses_is_left_alone(item: Object, by: str) -> None:
    found = operator.described(item)
    text = operator.refusal([found], "es")
    assert text.startswith("External Secrets v0.20.4 is in namespace es already, installed by ")
    assert by in text
    assert "external_secrets_install" in text


def test_our_own_may_be_applied_again_where_it_is() -> None:
    found = operator.described(deployment(operator.FIELD_MANAGER))
    assert operator.refusal([], "es") == operator.refusal([found], "es") == ""
    assert operator.refusal([found], "elsewhere")


# The process

POD = {
    "image": "oci.external-secrets.io/external-secrets/external-secrets:v0.20.4",
    "command": [],
    "args": ["--concurrent=1", "--metrics-addr=:8080"],
    "replicas": 1,
    "environment": {"HTTPS_PROXY": "p"},
    "secret_environment": {},
    "service_account": "external-secrets-sa",
}


def setting(**fields: t.Any) -> local.Setting:
    values: dict[str, t.Any] = {
        "program": "/es",
        "directory": "/set",
        "kubeconfig": "{}",
        "port": 24150,
        "environment": {},
    }
    return local.Setting(**{**values, **fields})


def test_the_controller_and_no_other_pod() -> None:
    others = [{**POD, "args": [word]} for word in ("webhook", "certcontroller")]
    (made,) = local.processes([*others, POD], setting())
    host = local.address("/set")
    assert made["command"] == [
        "/es",
        "--concurrent=1",
        "--metrics-addr=:8080",
        f"--live-addr={host}:24150",
        f"--metrics-addr={host}:24151",
        "--enable-leader-election=false",
    ]
    assert made["environment"]["HTTPS_PROXY"] == "p"
    assert made["environment"]["HOME"] == "/set/external-secrets/home"
    assert local.processes(others, setting()) == []
    assert local.processes([{**POD, "replicas": 0}], setting()) == []
    assert len(local.processes(None, setting())) == 1


def test_every_cluster_has_an_address_of_its_own() -> None:
    found = {local.address(f"/state/processes/{name}-external-secrets") for name in ("seoul", "tokyo", "dev")}
    assert len(found) == 3
    assert all(address.startswith("127.") for address in found)


def test_credentials_are_those_of_the_service_account() -> None:
    endpoint = "http://127.0.0.1:24566"
    given = {"endpoint": endpoint, "pod_identity": f"{endpoint}/local-aws/pod-identity/r/c/es", "region": "r"}
    environment = local.processes([POD], setting(**given))[0]["environment"]
    assert environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == f"{given['pod_identity']}/external-secrets-sa"
    for name in ("SECRETSMANAGER_ENDPOINT", "SSM_ENDPOINT", "STS_ENDPOINT", "ENDPOINT_URL"):
        assert environment[f"AWS_{name}"] == endpoint
    alone = local.processes([POD], setting(environment={"AWS_ACCESS_KEY_ID": "x"}))[0]["environment"]
    assert {name for name in alone if name.startswith("AWS_")} == {"AWS_ACCESS_KEY_ID", "AWS_EC2_METADATA_DISABLED"}


def test_a_role_by_tokens_of_the_service_account() -> None:
    endpoint, role = "http://127.0.0.1:24566", "arn:aws:iam::123456789012:role/es"
    given = {"endpoint": endpoint, "pod_identity": f"{endpoint}/local-aws/pod-identity/r/c/es", "web_identity": role}
    keeper, made = local.processes([POD], setting(namespace="es", **given))
    assert keeper["command"][-5:] == [
        "--namespace",
        "es",
        "--directory",
        f"/set/{local.TOKENS}/tokens",
        "external-secrets-sa",
    ]
    assert made["environment"]["AWS_ROLE_ARN"] == role
    assert made["environment"]["AWS_WEB_IDENTITY_TOKEN_FILE"] == f"/set/{local.TOKENS}/tokens/external-secrets-sa"
    assert "AWS_CONTAINER_CREDENTIALS_FULL_URI" not in made["environment"]
    # Without what stands for AWS there is nobody that would take the tokens.
    assert len(local.processes([POD], setting(web_identity=role))) == 1
