# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which service accounts pull with which Secrets, and when a login to ECR is asked for anew."""

from __future__ import annotations

import base64
import copy
import json
import typing as t
from datetime import UTC, datetime, timedelta

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _ecr_pull_secret as ecr
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _pull_secrets as pulling
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _sops_secrets as secrets
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HOST = "111122223333.dkr.ecr.ap-northeast-2.amazonaws.com"
OTHER = "444455556666.dkr.ecr.ap-northeast-2.amazonaws.com"
MANAGER = "hubspoke"


def account(namespace: str, name: str, *names: str) -> dict[str, t.Any]:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"namespace": namespace, "name": name, "resourceVersion": "7"},
        "imagePullSecrets": [{"name": each} for each in names],
    }


def names(item: dict[str, t.Any]) -> list[str]:
    return [each["name"] for each in item["imagePullSecrets"]]


def planned(
    live: list[dict[str, t.Any]], accounts: dict[pulling.Place, set[str]], ours: set[pulling.Place]
) -> dict[str, list[str]]:
    wanted = pulling.Wanted({place: frozenset(each) for place, each in accounts.items()}, frozenset(ours))
    return {after["metadata"]["name"]: names(after) for _before, after in pulling.plan(live, wanted)}


@pytest.mark.parametrize(
    ("live", "wanted", "result"),
    [
        ([], {"pull"}, ["pull"]),
        ([account("trip", "default")], {"pull"}, ["pull"]),
        ([account("trip", "default", "theirs")], {"pull"}, ["theirs", "pull"]),
        ([account("trip", "default", "pull", "theirs")], {"pull"}, ["pull", "theirs"]),
        ([account("trip", "default", "old", "theirs")], {"pull"}, ["theirs", "pull"]),
        ([account("trip", "default", "old", "theirs")], set(), ["theirs"]),
    ],
    ids=["made", "given", "beside others", "has it", "instead of an old one", "taken away"],
)
def test_names_of_others_are_kept(live: list[dict[str, t.Any]], wanted: set[str], result: list[str]) -> None:
    accounts = {("trip", "default"): wanted} if wanted else {}
    assert planned(live, accounts, {("trip", "old"), ("trip", "pull")}) == {"default": result}


def test_accounts_that_are_not_ours_to_look_after() -> None:
    others = [account("shop", "default", "pull"), account("trip", "builder", "theirs"), account("trip", "idle")]
    assert planned(others, {}, {("trip", "pull")}) == {}


def wanted(**options: t.Any) -> ecr.Wanted:
    given: dict[str, t.Any] = {
        "name": "ecr-pull",
        "region": "ap-northeast-2",
        "namespaces": ("trip", "shop"),
        "registries": (),
        "renew_before": timedelta(hours=6),
    }
    return ecr.Wanted(**{**given, **options})


def on_the_cluster(asked: ecr.Wanted, hours: float = 12) -> list[dict[str, t.Any]]:
    """As the server keeps them."""
    items = ecr.made(asked, ecr.Token("QVdTOnRva2Vu", HOST, NOW + timedelta(hours=hours)))
    for item in items:
        metadata = item["metadata"]
        fields = {f"f:{name}": {f"f:{key}": {} for key in metadata[name]} for name in ("labels", "annotations")}
        owned = {"f:metadata": fields, "f:data": {f"f:{key}": {} for key in item["data"]}}
        item["metadata"]["managedFields"] = [{"manager": MANAGER, "operation": "Apply", "fieldsV1": owned}]
    return items


def test_a_login_as_docker_reads_it() -> None:
    first, second = ecr.made(wanted(registries=(HOST, OTHER)), ecr.Token("QVdTOnRva2Vu", HOST, NOW))
    assert {first["metadata"]["namespace"], second["metadata"]["namespace"]} == {"trip", "shop"}
    config = json.loads(base64.b64decode(first["data"][secrets.DOCKER_KEY]))
    assert config == {"auths": {HOST: {"auth": "QVdTOnRva2Vu"}, OTHER: {"auth": "QVdTOnRva2Vu"}}}
    assert ecr.expires([first]) == "2026-11-21T12:00:00+00:00"


def test_a_token_that_lasts_is_kept() -> None:
    live = on_the_cluster(wanted())
    assert ecr.fresh(live, wanted(), MANAGER, NOW) == live


@pytest.mark.parametrize("case", ["soon over", "one is missing", "touched", "no end", "other registries"])
def test_when_a_token_is_asked_for(case: str) -> None:
    asked = wanted()
    live = on_the_cluster(asked, 5.9 if case == "soon over" else 12)
    if case == "one is missing":
        live.pop()
    elif case == "touched":
        live[0]["metadata"]["managedFields"].append({"manager": "x", "operation": "Update", "fieldsV1": {"f:data": {}}})
    elif case == "no end":
        live[0] = copy.deepcopy(live[0])
        del live[0]["metadata"]["annotations"][ecr.EXPIRES]
    elif case == "other registries":
        asked = wanted(registries=(OTHER,))
    assert ecr.fresh(live, asked, MANAGER, NOW) == []


def test_a_registry_of_another_region() -> None:
    with pytest.raises(HubspokeError, match="is not in ap-northeast-1"):
        ecr.check(wanted(region="ap-northeast-1", registries=(HOST,)))
