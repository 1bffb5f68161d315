# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""weAlist's store and ExternalSecret with the real External Secrets, seen on the cluster; in this order."""

from __future__ import annotations

import base64
import json
import time
import typing as t

import bootstrapped
import boto3
import yaml

VARIABLES = yaml.safe_load((bootstrapped.ROOT / "molecule/secrets/vars.yml").read_text(encoding="utf-8"))
GROUP = "external-secrets.io/v1"
CONVERGE = "molecule/secrets/converge.yml"
FIRST = {"JWT_SECRET": "canary-jwt-1", "DB_PASSWORD": "canary-pässword"}


def values() -> dict[str, str]:
    """What the Secret holds."""
    (found,) = (
        item
        for item in bootstrapped.objects("v1", "Secret", "wealist-prod")
        if item["metadata"]["name"] == "wealist-shared-secret"
    )
    return {key: base64.b64decode(value).decode() for key, value in found["data"].items()}


def one(kind: str) -> dict[str, t.Any]:
    """The only one of its kind."""
    (found,) = bootstrapped.objects(GROUP, kind)
    return found


def test_the_store_is_the_teams() -> None:
    account = {"name": "external-secrets-sa", "namespace": "external-secrets"}
    store = one("ClusterSecretStore")
    assert store["metadata"]["name"] == "aws-secrets-store"
    assert store["spec"]["provider"]["aws"] == {
        "service": "SecretsManager",
        "region": "ap-northeast-2",
        "auth": {"jwt": {"serviceAccountRef": account}},
    }


def test_the_secret_has_the_right_bytes() -> None:
    assert one("ExternalSecret")["spec"]["refreshInterval"] == "1h0m0s"
    assert values() == FIRST


def test_a_changed_value_arrives() -> None:
    changed = {**FIRST, "JWT_SECRET": "canary-jwt-2"}
    keys = {"aws_access_key_id": "rehearsal", "aws_secret_access_key": "not-a-secret-of-anybody"}
    endpoint = VARIABLES["local_controllers_aws_endpoint"]
    aws = boto3.client("secretsmanager", endpoint_url=endpoint, region_name="ap-northeast-2", **keys)
    aws.put_secret_value(SecretId="wealist/prod/shared", SecretString=json.dumps(changed))
    # An hour is too long for a test: a changed annotation has it read at once.
    resource = bootstrapped.api().resources.get(api_version=GROUP, kind="ExternalSecret")
    now = {"metadata": {"annotations": {"force-sync": str(time.time())}}}
    resource.patch(
        name="shared-secrets", namespace="wealist-prod", body=now, content_type="application/merge-patch+json"
    )
    deadline = time.monotonic() + 20
    while values() != changed:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_denied_role_shows_the_reason() -> None:
    (wanted,) = VARIABLES["external_secrets_external_secrets"]
    denied = {
        "external_secrets_role_arn": "arn:aws:iam::123456789012:role/closed",
        # What was read already is not read again before its hour is over.
        "external_secrets_external_secrets": [wanted, {**wanted, "name": "denied", "target": "denied"}],
        "external_secrets_wait_timeout": 8,
    }
    code, output, _changed = bootstrapped.try_play(CONVERGE, "-vvvv", "--diff", "--extra-vars", json.dumps(denied))
    said = " ".join(output.split())
    assert code
    assert (
        "Not every ExternalSecret is synced after 8 s. ExternalSecret wealist-prod/denied: SecretSyncedError: " in said
    )
    assert "AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity" in said
    assert "The role's trust policy has to admit the service account" in said
    assert "canary-" not in output
    assert values()["JWT_SECRET"] == "canary-jwt-2"
    bootstrapped.play(CONVERGE)
    assert one("ExternalSecret")["metadata"]["name"] == "shared-secrets"
