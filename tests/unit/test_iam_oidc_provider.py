# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module iam_oidc_provider against a backend that knows botocore's model of IAM."""

from __future__ import annotations

import typing as t

import botocore.session
import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.modules import iam_oidc_provider

from .eks_backend import ACCOUNT, REGION, WRITES, Backend, Request, refused
from .eks_walk import Runs

HOST = f"oidc.eks.{REGION}.amazonaws.com/id/0123456789ABCDEF"
URL = f"https://{HOST}"
ARN = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{HOST}"
OWNED = {"hubspoke.bootstrap/cluster": "seoul"}
_IAM = botocore.session.get_session().create_client(
    "iam", region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test"
)


class Iam(Backend):
    """IAM with OpenID Connect providers."""

    def __init__(self) -> None:
        super().__init__()
        self._client = _IAM
        self.providers: dict[str, Request] = {}

    @property
    def meta(self) -> t.Any:
        return self._client.meta

    @property
    def writes(self) -> list[str]:
        return [operation for operation, _ in self.calls if operation.startswith((*WRITES, "add_", "remove_"))]

    def _get(self, request: Request) -> Request:
        arn = request["OpenIDConnectProviderArn"]
        if arn not in self.providers:
            raise refused("NoSuchEntity", f"OpenIDConnect Provider not found for arn {arn}")
        return self.providers[arn]

    def do_list_open_id_connect_providers(self, request: Request) -> Request:
        return {"OpenIDConnectProviderList": [{"Arn": arn} for arn in self.providers]}

    def do_get_open_id_connect_provider(self, request: Request) -> Request:
        return dict(self._get(request))

    def do_create_open_id_connect_provider(self, request: Request) -> Request:
        name = request["Url"].removeprefix("https://")
        arn = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{name}"
        if arn in self.providers:
            raise refused("EntityAlreadyExists", "Provider exists")
        self.providers[arn] = {"Tags": [], "ThumbprintList": ["a" * 40], **request, "Url": name}
        return {"OpenIDConnectProviderArn": arn}

    def do_add_client_id_to_open_id_connect_provider(self, request: Request) -> Request:
        self._get(request)["ClientIDList"].append(request["ClientID"])
        return {}

    def do_remove_client_id_from_open_id_connect_provider(self, request: Request) -> Request:
        self._get(request)["ClientIDList"].remove(request["ClientID"])
        return {}

    def do_update_open_id_connect_provider_thumbprint(self, request: Request) -> Request:
        self._get(request)["ThumbprintList"] = request["ThumbprintList"]
        return {}

    def do_tag_open_id_connect_provider(self, request: Request) -> Request:
        new = {each["Key"] for each in request["Tags"]}
        item = self._get(request)
        item["Tags"] = [each for each in item["Tags"] if each["Key"] not in new] + request["Tags"]
        return {}

    def do_untag_open_id_connect_provider(self, request: Request) -> Request:
        item = self._get(request)
        item["Tags"] = [each for each in item["Tags"] if each["Key"] not in request["TagKeys"]]
        return {}

    def do_delete_open_id_connect_provider(self, request: Request) -> Request:
        self._get(request)
        del self.providers[request["OpenIDConnectProviderArn"]]
        return {}


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    return Runs(iam_oidc_provider, Iam(), monkeypatch)


def test_create_repeat_modify_repeat_delete_delete(runs: Runs) -> None:
    wanted = {"url": URL, "account_id": ACCOUNT, "tags": OWNED}
    made = runs.both(**wanted)
    assert made["actions"] == ["created"]
    assert (made["provider"]["arn"], made["provider"]["url"]) == (ARN, URL)
    assert made["provider"]["client_ids"] == ["sts.amazonaws.com"]
    runs.same(1, **wanted)
    runs.same(2, url=f"{URL}/", tags=OWNED)
    changes = {**wanted, "client_ids": ["other"], "thumbprints": ["b" * 40], "tags": {"team": "a"}}
    changed = runs.both(**changes)
    assert changed["actions"] == [
        "audience other",
        f"thumbprints: {'b' * 40}",
        "tags: team=a",
        "tags: without hubspoke.bootstrap/cluster",
    ]
    assert changed["provider"]["client_ids"] == ["other", "sts.amazonaws.com"]
    assert changed["provider"]["tags"] == {"team": "a"}
    runs.same(1, **changes)
    purged = runs.both(**{**changes, "purge_client_ids": True})
    assert purged["actions"] == ["without audience sts.amazonaws.com"]
    gone = runs.both(url=URL, account_id=ACCOUNT, state="absent")
    assert (gone["actions"], gone["provider"]) == (["deleted"], {})
    runs.same(1, url=URL, account_id=ACCOUNT, state="absent")


def test_everything_of_a_cluster_goes_by_its_tags(runs: Runs) -> None:
    for number, tags in enumerate([OWNED, {**OWNED, "more": "x"}, {"hubspoke.bootstrap/cluster": "tokyo"}, {}]):
        runs.run(url=f"{URL}{number}", account_id=ACCOUNT, tags=tags)
    gone = runs.both(match_tags=OWNED, state="absent")
    assert gone["actions"] == ["deleted", f"deleted {ARN}1"]
    assert sorted(t.cast("Iam", runs.backend).providers) == [f"{ARN}2", f"{ARN}3"]
    runs.same(3, match_tags=OWNED, state="absent")


def test_before_its_cluster_it_can_only_be_predicted(runs: Runs) -> None:
    predicted = runs.run(check_mode=True, url="", account_id=ACCOUNT)
    assert predicted["actions"] == ["created"]
    assert runs.backend.calls == []
    with pytest.raises(HubspokeError, match="to create it url must be given"):
        runs.run(url="", account_id=ACCOUNT)


def test_a_refusal_is_told_with_its_code(runs: Runs) -> None:
    failure = refused("AccessDenied", "not authorized", "CreateOpenIDConnectProvider")
    runs.backend.failures["create_open_id_connect_provider"] = [failure]
    with pytest.raises(HubspokeError, match=f"OIDC provider {URL} cannot be created: AccessDenied") as error:
        runs.run(url=URL, account_id=ACCOUNT)
    assert "iam:CreateOpenIdConnectProvider" in str(error.value.remedy)
