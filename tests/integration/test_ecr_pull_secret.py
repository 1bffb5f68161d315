# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Logins to ECR on a real API server, with moto for AWS: created, repeated, renewed, moved, deleted."""

from __future__ import annotations

import base64
import json
import subprocess
import typing as t
import uuid
from collections.abc import Iterator

import pytest
from aws_stand_in import ACCOUNT, Behaviour, StandIn

REGION = "ap-northeast-2"
HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
TOKEN = base64.b64encode(f"AWS:{ACCOUNT}-auth-token".encode()).decode()


@pytest.fixture(scope="module")
def server() -> Iterator[StandIn]:
    running = StandIn()
    running.start()
    yield running
    running.stop()


class Registry:
    """A cluster with two namespaces of the test's own, and the module's runs on it."""

    def __init__(self, server: StandIn, run_module: t.Callable[..., t.Any], kubectl: str, kubeconfig: str) -> None:
        self.server = server
        self.server.behaviour = Behaviour()
        self.first, self.second = (f"test-{uuid.uuid4().hex[:8]}" for _ in range(2))
        self._run_module = run_module
        self._kubectl = [kubectl, "--kubeconfig", kubeconfig]
        self._given = {"kubeconfig": kubeconfig, "name": f"pull-{self.first}", "region": REGION}
        self._environment = {
            "AWS_ENDPOINT_URL": server.address,
            "AWS_ACCESS_KEY_ID": "A" * 20,
            "AWS_SECRET_ACCESS_KEY": "not-a-secret-of-anybody",
        }

    @property
    def name(self) -> str:
        return self._given["name"]

    def run(self, *, check: bool = False, **options: t.Any) -> t.Any:
        """One run, and what it asked of AWS; it shows no token."""
        self.server.behaviour.calls.clear()
        given = {**self._given, "namespaces": [self.first], **options}
        result = self._run_module("ecr_pull_secret", given, check=check, environment=self._environment)
        assert TOKEN not in result.output
        assert base64.b64encode(TOKEN.encode()).decode() not in result.output
        return result

    def predicted(self, **options: t.Any) -> t.Any:
        """In check mode first, which predicts it."""
        check = self.run(check=True, **options)
        result = self.run(**options)
        assert "msg" not in result, result["msg"]
        assert (check["changed"], check["renewed"]) == (result["changed"], result["renewed"])
        return result

    def kubectl(self, *arguments: str) -> str:
        return subprocess.run([*self._kubectl, *arguments], check=True, capture_output=True, text=True).stdout

    def config(self, namespace: str) -> t.Any:
        """What a kubelet would read."""
        found = json.loads(self.kubectl("get", "secret", self.name, "--namespace", namespace, "--output=json"))
        assert found["type"] == "kubernetes.io/dockerconfigjson"
        return json.loads(base64.b64decode(found["data"][".dockerconfigjson"]))

    def pulls(self, namespace: str, account: str = "default") -> list[str]:
        """Names of Secrets that an account pulls with."""
        found = json.loads(self.kubectl("get", "serviceaccount", account, "--namespace", namespace, "--output=json"))
        return [each["name"] for each in found.get("imagePullSecrets") or []]


@pytest.fixture
def registry(server: StandIn, run_module: t.Callable[..., t.Any], kubectl: str, kubeconfig: str) -> Iterator[Registry]:
    made = Registry(server, run_module, kubectl, kubeconfig)
    yield made
    made.kubectl("delete", "namespace", made.first, made.second, "--wait=false", "--ignore-not-found")
    made.kubectl("delete", "configmap", f"manifest-set-pull-{made.name}", "--ignore-not-found")


def test_the_life_of_a_login(registry: Registry) -> None:
    made = registry.predicted(service_accounts=["default", "builder"])
    assert registry.config(registry.first) == {"auths": {HOST: {"auth": TOKEN}}}
    assert [registry.pulls(registry.first, name) for name in ("default", "builder")] == [[registry.name]] * 2

    again = registry.predicted(service_accounts=["default", "builder"])
    assert (again["changed"], again["renewed"], again["expires"]) == (False, False, made["expires"])
    assert registry.server.behaviour.calls == []

    patch = {"imagePullSecrets": [{"name": "theirs"}, {"name": registry.name}]}
    registry.kubectl(
        "patch", "serviceaccount", "default", "--namespace", registry.first, f"--patch={json.dumps(patch)}"
    )
    fewer = registry.predicted()
    assert (fewer["changed"], fewer["renewed"]) == (True, False)
    assert registry.pulls(registry.first) == ["theirs", registry.name]
    assert registry.pulls(registry.first, "builder") == []

    registry.predicted(namespaces=[registry.second])
    assert registry.pulls(registry.first) == ["theirs"]
    assert registry.pulls(registry.second) == [registry.name]
    assert registry.name not in registry.kubectl("get", "secrets", "--namespace", registry.first)

    gone = registry.predicted(state="absent", region=None, namespaces=[])
    assert gone["changed"]
    assert registry.pulls(registry.second) == []
    assert not registry.predicted(state="absent", region=None, namespaces=[])["changed"]


def test_a_token_that_soon_ends_is_followed_by_another(registry: Registry) -> None:
    registry.server.behaviour.token_hours = 5
    first = registry.run()
    registry.server.behaviour.token_hours = 12
    second = registry.predicted()
    assert second["renewed"]
    assert second["expires"] > first["expires"]
    assert registry.server.behaviour.calls == ["ecr.GetAuthorizationToken"]


def test_aws_refuses(registry: Registry) -> None:
    registry.server.behaviour.denied = ("GetAuthorizationToken",)
    refused = registry.run()
    assert f"No login to ECR in {REGION}" in refused["msg"]
    assert "AccessDeniedException" in refused["msg"]
    assert registry.kubectl("get", "namespace", registry.first, "--ignore-not-found") == ""
