# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What becomes of a secret that is to be seeded, and that a newer value stays."""

from __future__ import annotations

import typing as t

import boto3
import pytest
from unit.eks_aws import REGION, aws, connection, moto

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _secretsmanager_seed as engine
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws import Aws
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._secretsmanager_seed import Found

__all__ = ["aws", "moto"]

NAME = "wealist/prod/shared"
OWN = f"{engine.PREFIX}{'0' * 32}"


@pytest.mark.parametrize(
    ("found", "text", "action"),
    [
        (None, "a", engine.CREATE),
        (Found("arn"), "a", engine.UPDATE),
        (Found("arn", OWN, "a"), "a", engine.UNCHANGED),
        (Found("arn", OWN, "a"), "b", engine.UPDATE),
        (Found("arn", "another", "a"), "a", engine.UNCHANGED),
        (Found("arn", "another", "a"), "b", engine.KEEP),
        (Found("arn", "another", None), "b", engine.KEEP),
        (Found("arn", OWN, None), "b", engine.UPDATE),
        (Found("arn", OWN, '{"a": 1, "b": 2}'), '{"b":2,"a":1}', engine.UNCHANGED),
        (Found("arn", OWN, "1.0"), "1.00", engine.UPDATE),
    ],
)
def test_plan(found: Found | None, text: str, action: str) -> None:
    assert engine.plan(found, text) == action


def test_values_as_they_are_stored() -> None:
    assert engine.text_of('{"b":1}') == '{"b":1}'
    assert engine.text_of({"b": 1, "a": "x"}) == '{"a": "x", "b": 1}'


@pytest.mark.parametrize("text", ["", "x" * 65537])
def test_what_cannot_be_a_value(text: str) -> None:
    with pytest.raises(HubspokeError, match=NAME):
        engine.checked(NAME, text)


# Against moto, which without a stage answers with the version that was written last


def current(client: t.Any) -> dict[str, t.Any]:
    answer: dict[str, t.Any] = client.get_secret_value(SecretId=NAME, VersionStage="AWSCURRENT")
    return answer


@pytest.fixture
def client(aws: str) -> t.Any:
    return boto3.client("secretsmanager", endpoint_url=aws, region_name=REGION)


def seed(value: t.Any, *, check: bool = False, **options: t.Any) -> tuple[str, Found | None]:
    service = Aws(connection()).service("secretsmanager")
    return engine.Seed(service, NAME, engine.text_of(value), options).apply(check)


def test_create_repeat_modify_repeat(client: t.Any) -> None:
    assert seed({"a": "1"}, check=True) == (engine.CREATE, None)
    assert seed({"a": "1"}, tags={"team": "x"}, description="d")[0] == engine.CREATE
    described = client.describe_secret(SecretId=NAME)
    assert (described["Description"], described["Tags"]) == ("d", [{"Key": "team", "Value": "x"}])
    assert seed({"a": "1"}, check=True)[0] == seed({"a": "1"})[0] == engine.UNCHANGED
    assert seed({"a": "2"}, check=True)[0] == engine.UPDATE
    assert current(client)["SecretString"] == '{"a": "1"}'
    action, found = seed({"a": "2"})
    assert action == engine.UPDATE
    now = current(client)
    assert found
    assert (now["SecretString"], now["VersionId"]) == ('{"a": "2"}', found.version)
    assert seed({"a": "2"})[0] == engine.UNCHANGED


def test_a_newer_value_stays(client: t.Any) -> None:
    seed("first")
    client.put_secret_value(SecretId=NAME, SecretString="rotated")
    assert seed("second", check=True)[0] == seed("second")[0] == engine.KEEP
    assert current(client)["SecretString"] == "rotated"
    assert seed("rotated")[0] == engine.UNCHANGED


def test_one_that_becomes_newer_meanwhile_stays(client: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seed("first")
    update = engine.Seed._update

    def overtaken(self: engine.Seed, found: Found) -> Found:
        client.put_secret_value(SecretId=NAME, SecretString="rotated")
        return update(self, found)

    monkeypatch.setattr(engine.Seed, "_update", overtaken)
    assert seed("second")[0] == engine.KEEP
    assert current(client)["SecretString"] == "rotated"


def test_one_that_is_made_meanwhile_stays(client: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    create = engine.Seed._create

    def overtaken(self: engine.Seed) -> Found:
        client.create_secret(Name=NAME, SecretString="theirs")
        return create(self)

    monkeypatch.setattr(engine.Seed, "_create", overtaken)
    assert seed("ours")[0] == engine.KEEP


def test_one_without_a_value_gets_it(client: t.Any) -> None:
    client.create_secret(Name=NAME)
    assert seed("first")[0] == engine.UPDATE
    assert current(client)["SecretString"] == "first"


def test_one_that_is_about_to_be_deleted(client: t.Any) -> None:
    seed("first")
    client.delete_secret(SecretId=NAME, RecoveryWindowInDays=7)
    with pytest.raises(HubspokeError, match=r"scheduled for deletion.*restore-secret"):
        seed("second")
