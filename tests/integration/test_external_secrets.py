# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Role external_secrets with the real External Secrets, on a real API server, against a stand-in of AWS."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import pathlib
import shutil
import time
import typing as t

import boto3
import pytest
from aws_stand_in import StandIn

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube

from .conftest import STATE, Run, run_playbook

REGION = "ap-northeast-2"
KEYS = {"access_key_id": "rehearsal", "secret_access_key": "not-a-secret-of-anybody"}
CANARY = "canary-8c1f0e57"
STORE = "aws-secrets-store"
SHARED = {"JWT_SECRET": CANARY, "DB_PASSWORD": "pässword"}
Object = dict[str, t.Any]

DEVELOPMENT: Object = {"name": STORE, "auth": "static", "credentials": KEYS}
SECRET: Object = {
    "name": "shared-secrets",
    "namespace": "wealist-prod",
    "store": STORE,
    "target": "wealist-shared-secret",
    "extract": ["wealist/prod/shared"],
    "refresh_interval": "1s",
}


@dataclasses.dataclass
class World:
    """A cluster, a stand-in of AWS, and the role between them."""

    kubeconfig: str
    aws: StandIn
    folder: pathlib.Path
    state: pathlib.Path

    @property
    def client(self) -> t.Any:
        keys = {"aws_access_key_id": "rehearsal", "aws_secret_access_key": "x", "region_name": REGION}
        return boto3.client("secretsmanager", endpoint_url=self.aws.address, **keys)

    @property
    def kube(self) -> Kube:
        return Kube.from_params({"kubeconfig": self.kubeconfig})

    def play(self, tasks: list[Object], *arguments: str, **variables: t.Any) -> Run:
        given = {
            "cluster_kubeconfig": self.kubeconfig,
            "cluster_simulated": True,
            "cluster_region": REGION,
            "cluster_name": "eso",
            "hubspoke_state_dir": str(self.state),
            "external_secrets_wait_timeout": 60,
            **variables,
        }
        play = {
            "hosts": "all",
            "gather_facts": False,
            "vars": given,
            "module_defaults": {"group/hubspoke.bootstrap.all": {"kubeconfig": self.kubeconfig}},
            "tasks": tasks,
        }
        environment = {
            "AWS_ENDPOINT_URL": self.aws.address,
            "AWS_ACCESS_KEY_ID": "rehearsal",
            "AWS_SECRET_ACCESS_KEY": "not-a-secret-of-anybody",
        }
        return run_playbook(self.folder, [play], "--diff", *arguments, environment=environment)

    def apply(self, *arguments: str, entry: str = "main", **variables: t.Any) -> Run:
        """Run an entry point of the role with external_secrets_*."""
        role = {"name": "role", "include_role": {"name": "hubspoke.bootstrap.external_secrets", "tasks_from": entry}}
        given = {
            (name if name.startswith("local_") else f"external_secrets_{name}"): value
            for name, value in variables.items()
        }
        return self.play([role], *arguments, **given)

    def secret(self, namespace: str, name: str) -> dict[str, str] | None:
        found = self.kube.get("v1", "Secret", name, namespace)
        return found and {key: base64.b64decode(value).decode() for key, value in found["data"].items()}

    def until(self, read: t.Callable[[], t.Any], wanted: t.Any, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while read() != wanted:
            assert time.monotonic() < deadline, read()
            time.sleep(0.2)


@pytest.fixture(scope="module")
def world(kubeconfig: str, tools: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[World]:
    assert tools["external-secrets"]
    aws = StandIn()
    aws.start()
    state = STATE / str(os.getpid()) / "eso"
    made = World(kubeconfig, aws, tmp_path_factory.mktemp("eso"), state)
    yield made
    done = stop(made)
    aws.stop()
    shutil.rmtree(state, ignore_errors=True)
    assert done.code == 0, done.output


def stop(world: World) -> Run:
    role = {"name": "hubspoke.bootstrap.local_controllers", "tasks_from": "absent"}
    return world.play([{"name": "stop", "include_role": role}])


def changed(run: Run) -> list[str]:
    assert run.code == 0, run.output[-6000:]
    return [line["task"] for line in run.lines if line["result"].get("changed")]


def failure(run: Run) -> str:
    assert run.code != 0, run.output[-6000:]
    (failed,) = (line for line in run.lines if line["status"] == "failed")
    return str(failed["result"]["msg"])


@pytest.fixture(scope="module")
def bootstrapped(world: World) -> World:
    """After one run from nothing, before which check mode told what it would do."""
    wanted = {
        "seeds": [{"name": "wealist/prod/shared", "value": SHARED}],
        "stores": [DEVELOPMENT],
        "external_secrets": [SECRET],
    }
    predicted = world.apply("--check", **wanted)
    assert "Apply definitions and operator" in changed(predicted)
    assert world.kube.get("v1", "Namespace", "external-secrets") is None
    run = world.apply(**wanted)
    assert changed(run) == changed(predicted)
    for each in (predicted, run):
        assert CANARY not in each.output
    return world


def test_from_nothing_to_a_synced_secret(bootstrapped: World) -> None:
    assert bootstrapped.secret("wealist-prod", "wealist-shared-secret") == SHARED


def test_a_repeat_changes_nothing(bootstrapped: World) -> None:
    wanted = {
        "seeds": [{"name": "wealist/prod/shared", "value": SHARED}],
        "stores": [DEVELOPMENT],
        "external_secrets": [SECRET],
    }
    assert changed(bootstrapped.apply(**wanted)) == []
    assert changed(bootstrapped.apply("--check", **wanted)) == []


def test_a_newer_value_arrives_and_stays(bootstrapped: World) -> None:
    newer = {**SHARED, "JWT_SECRET": "rotated"}
    bootstrapped.client.put_secret_value(SecretId="wealist/prod/shared", SecretString=json.dumps(newer))
    bootstrapped.until(lambda: bootstrapped.secret("wealist-prod", "wealist-shared-secret"), newer)
    run = bootstrapped.apply(
        seeds=[{"name": "wealist/prod/shared", "value": SHARED}], stores=[DEVELOPMENT], external_secrets=[SECRET]
    )
    assert changed(run) == []
    assert "it stays" in run.output
    assert bootstrapped.secret("wealist-prod", "wealist-shared-secret") == newer


def static(name: str, key: str = KEYS["access_key_id"], **fields: t.Any) -> Object:
    return {**DEVELOPMENT, "name": name, "credentials": {**KEYS, "access_key_id": key}, **fields}


STORES = [
    DEVELOPMENT,
    static("elsewhere", region="us-east-1"),
    static("skewed", "SKEWED"),
    static("expired", "EXPIRED"),
]
BROKEN = {
    "missing": ({"extract": ["none/such"]}, "Secret does not exist"),
    "text": ({"extract": ["plain"]}, "unable to unmarshal secret plain"),
    "lacking": (
        {"data": {"a": {"key": "wealist/prod/shared", "property": "no"}}},
        "key no does not exist in secret wealist/prod/shared",
    ),
    "deleted": ({"extract": ["deleted"]}, "marked deleted"),
    "region": (
        {"store": "elsewhere", "extract": ["wealist/prod/shared"]},
        "Secret does not exist (read from ClusterSecretStore elsewhere, SecretsManager of us-east-1)",
    ),
    "clock": ({"store": "skewed", "extract": ["plain"]}, "Signature expired"),
    "token": ({"store": "expired", "extract": ["plain"]}, "ExpiredToken"),
}
REMEDIES = (
    "or correct its name or the store's region",
    "The value is no JSON object",
    "Correct the property",
    "restore-secret",
    "compare the clocks",
)


def test_the_reason_is_told(bootstrapped: World) -> None:
    bootstrapped.client.create_secret(Name="plain", SecretString="hello")
    bootstrapped.client.create_secret(Name="deleted", SecretString="{}")
    bootstrapped.client.delete_secret(SecretId="deleted", RecoveryWindowInDays=7)
    common = {"namespace": "wealist-prod", "store": STORE}
    broken = [{**common, "name": name, **entry} for name, (entry, _reason) in BROKEN.items()]
    run = bootstrapped.apply(stores=STORES, external_secrets=[SECRET, *broken], wait_timeout=8)
    message = failure(run)
    assert message.startswith("Not every ExternalSecret is synced after 8 s. ExternalSecret wealist-prod/")
    sentences = message.split("ExternalSecret wealist-prod/")[1:]
    told = {sentence.partition(":")[0]: sentence for sentence in sentences}
    assert {name: reason for name, (_entry, reason) in BROKEN.items() if reason not in told.get(name, "")} == {}
    assert set(told) == set(BROKEN)
    assert [words for words in REMEDIES if words not in message] == []
    assert CANARY not in run.output


def test_a_store_whose_role_is_denied(bootstrapped: World) -> None:
    store = static("closed", role="arn:aws:iam::123456789012:role/closed")
    message = failure(bootstrapped.apply(stores=[store], wait_timeout=6))
    assert message.startswith("Not every store is ready after 6 s. ClusterSecretStore closed: InvalidProviderConfig: ")
    assert "sts:AssumeRole" in message
    assert "trust policy has to admit" in message


def test_a_denied_role_shows_why(bootstrapped: World) -> None:
    bootstrapped.aws.behaviour.denied = ("GetSecretValue",)
    denied = {**SECRET, "name": "denied", "target": "denied"}
    try:
        run = bootstrapped.apply(stores=[DEVELOPMENT], external_secrets=[denied], wait_timeout=6)
    finally:
        bootstrapped.aws.behaviour.denied = ()
    message = failure(run)
    assert "wealist-prod/denied" in message
    assert "AccessDenied" in message
    assert "Allow that to the role of the store" in message
    # What left the variables is gone, and its Secret with it.
    bootstrapped.until(lambda: bootstrapped.secret("wealist-prod", "wealist-shared-secret"), None)


def test_a_store_by_a_service_account(bootstrapped: World) -> None:
    store = {"name": "by-role", "auth": "service_account", "service_account": {"name": "external-secrets"}}
    message = failure(bootstrapped.apply(stores=[store], wait_timeout=6))
    assert message.startswith("Not every store is ready after 6 s. ClusterSecretStore by-role: InvalidProviderConfig: ")
    assert "eks.amazonaws.com/role-arn" in message
    run = bootstrapped.apply(
        stores=[store],
        external_secrets=[{**SECRET, "store": "by-role"}],
        role_arn="arn:aws:iam::123456789012:role/external-secrets",
    )
    assert "Apply definitions and operator" in changed(run)
    assert bootstrapped.secret("wealist-prod", "wealist-shared-secret")


def test_conditions_limit_namespaces(bootstrapped: World) -> None:
    store = {**DEVELOPMENT, "conditions": [{"namespaces": ["wealist-prod"]}]}
    elsewhere = {**SECRET, "name": "elsewhere", "namespace": "wealist-dev"}
    run = bootstrapped.apply(stores=[store], external_secrets=[elsewhere], wait_timeout=6)
    message = failure(run)
    assert "wealist-dev/elsewhere" in message
    assert "conditions of the store" in message


def test_left_to_gitops(bootstrapped: World) -> None:
    wanted = {"install": False, "stores": [DEVELOPMENT], "external_secrets": [SECRET]}
    seeded = bootstrapped.apply(seeds=[{"name": "by-gitops", "value": "first"}], **wanted)
    assert changed(seeded) == ["Give secrets their first values"]
    after = bootstrapped.apply(entry="gates", **wanted)
    assert changed(after) == ["Apply the stores", "Apply what comes out of them"]
    assert bootstrapped.secret("wealist-prod", "wealist-shared-secret")
    assert changed(bootstrapped.apply(entry="gates", **wanted)) == []
    # By default whatever else there is counts as well.
    lost = {"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret"}
    lost |= {"metadata": {"name": "of-git", "namespace": "wealist-prod"}}
    reference = {"name": STORE, "kind": "ClusterSecretStore"}
    lost |= {"spec": {"secretStoreRef": reference, "dataFrom": [{"extract": {"key": "none/such"}}]}}
    bootstrapped.kube.apply(lost, "test")
    message = failure(bootstrapped.apply(entry="gates", wait_timeout=4, **wanted))
    kind = bootstrapped.kube.resource("external-secrets.io/v1", "ExternalSecret")
    bootstrapped.kube.delete_path(kind.path("wealist-prod", "of-git"))
    assert message.startswith("Not every ExternalSecret is synced after 4 s. ExternalSecret wealist-prod/of-git: ")


def test_pushed_secrets(bootstrapped: World) -> None:
    pushed = {
        "name": "push",
        "namespace": "wealist-prod",
        "store": STORE,
        "secret": "made-here",
        "data": {"k": "pushed"},
    }
    made = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "made-here", "namespace": "wealist-prod"}}
    bootstrapped.kube.apply({**made, "stringData": {"k": "value"}}, "test")
    run = bootstrapped.apply(stores=[DEVELOPMENT], push_secrets=[pushed])
    assert "Apply what comes out of them" in changed(run)
    assert bootstrapped.client.get_secret_value(SecretId="pushed", VersionStage="AWSCURRENT")


def test_contradictions_stop_before_anything(bootstrapped: World) -> None:
    run = bootstrapped.apply(stores=[{"name": "a", "auth": "static"}])
    assert "Store a in external_secrets_stores has auth static" in failure(run)
    assert not any("Apply" in line["task"] for line in run.lines)


def test_the_controller_is_stopped_and_nothing_left(bootstrapped: World) -> None:
    assert changed(stop(bootstrapped)) == ["Stop External Secrets too"]
    assert changed(stop(bootstrapped)) == []
    assert not list(bootstrapped.state.glob("processes/*"))
