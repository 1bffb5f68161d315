# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An OpenID Connect provider in IAM: whose tokens an account takes for an identity, as those of a cluster."""

from __future__ import annotations

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws import Service, tag_text
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws_errors import AwsError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_plan import (
    CREATION,
    TAGS_FIELD,
    Field,
    Kind,
    Live,
    Plan,
    Step,
    View,
    unordered,
)

_MISSING = "NoSuchEntity"
_ARN = "OpenIDConnectProviderArn"


def _url(value: t.Any) -> t.Any:
    """IAM answers without the scheme."""
    return f"https://{str(value).removeprefix('https://').rstrip('/')}" if value else value


FIELDS = (
    Field("arn", ("arn",)),
    Field("created_at", ("CreateDate",)),
    Field("url", ("Url",), CREATION, _url),
    Field("client_ids", ("ClientIDList",), "client_ids", unordered),
    Field("thumbprints", ("ThumbprintList",), "thumbprints", unordered),
    TAGS_FIELD,
)


class OidcProvider(Kind):
    """IAM knows it by an ARN that is made of its URL."""

    noun = "OIDC provider"
    answer = "provider"
    operations: t.ClassVar = {
        "create": "create_open_id_connect_provider",
        "delete": "delete_open_id_connect_provider",
    }
    needed = ("url",)
    fields = FIELDS

    def __str__(self) -> str:
        url, tags = self.params.get("url"), self.params.get("match_tags") or {}
        named = _url(url) or ", ".join(f"{key}={value}" for key, value in sorted(tags.items())) or "of no URL yet"
        return f"{self.noun} {named}"

    def find(self, eks: Service) -> Live | None:
        """By its ARN where the account is given, which is one request; else among all of them."""
        if self.params.get("url"):
            return self._of_url(eks, _url(self.params["url"]).removeprefix("https://"))
        matching = self._tagged(eks) if self.params.get("match_tags") else []
        return {**matching[0], "others": [each["arn"] for each in matching[1:]]} if matching else None

    def live_key(self, live: Live) -> dict[str, t.Any]:
        """By its ARN."""
        return {_ARN: live["arn"]}

    def plan(self, live: Live | None) -> Plan:
        """As for every kind; audiences of others stay where that is wanted."""
        if live is not None and "client_ids" in self.wanted and not self.params["purge_client_ids"]:
            self.wanted["client_ids"] = sorted({*self.wanted["client_ids"], *self.view(live)["client_ids"]})
        return super().plan(live)

    def change(self, group: str, fields: list[Field], actual: View, live: Live) -> list[Step]:
        """IAM takes audiences one by one, and certificates all at once."""
        key, wanted = self.live_key(live), self.wanted[group]
        if group == "thumbprints":
            request = {**key, "ThumbprintList": wanted}
            return [Step("update_open_id_connect_provider_thumbprint", request, f"thumbprints: {', '.join(wanted)}")]
        new = [each for each in wanted if each not in actual[group]]
        old = [each for each in actual[group] if each not in wanted]
        add, remove = (f"{verb}_client_id_{way}_open_id_connect_provider" for verb, way in _WAYS)
        return [
            *(Step(add, {**key, "ClientID": each}, f"audience {each}") for each in new),
            *(Step(remove, {**key, "ClientID": each}, f"without audience {each}") for each in old),
        ]

    def creation_steps(self, request: dict[str, t.Any]) -> list[Step]:
        """IAM has tags as pairs."""
        tags = request.pop("tags", None)
        return super().creation_steps({**request, **({"Tags": _pairs(tags)} if tags else {})})

    def removal(self, live: Live | None) -> Plan:
        """Everything that the tags match, which after a cluster was made anew may be several."""
        plan = super().removal(live)
        more = [
            Step(self.operations["delete"], {_ARN: arn}, f"deleted {arn}") for arn in (live or {}).get("others", [])
        ]
        return Plan((*plan.steps, *more), plan.before, plan.after)

    def _tagging(self, live: Live, before: View, after: View) -> list[Step]:
        key = self.live_key(live)
        return [
            Step("tag_open_id_connect_provider", {**key, "Tags": _pairs(step.request["tags"])}, step.does)
            if "tags" in step.request
            else Step("untag_open_id_connect_provider", {**key, "TagKeys": step.request["tagKeys"]}, step.does)
            for step in super()._tagging(live, before, after)
        ]

    def _of_url(self, iam: Service, name: str) -> Live | None:
        account = self.params.get("account_id")
        if account:
            partition = iam.client.meta.partition
            return self._read(iam, f"arn:{partition}:iam::{account}:oidc-provider/{name}")
        arns = (arn for arn in self._arns(iam) if arn.partition(":oidc-provider/")[2] == name)
        arn = next(arns, None)
        return self._read(iam, arn) if arn else None

    def _tagged(self, iam: Service) -> list[Live]:
        wanted = {str(key): tag_text(value) for key, value in self.params["match_tags"].items()}
        found = (self._read(iam, arn) for arn in sorted(self._arns(iam)))
        return [live for live in found if live and wanted.items() <= live["tags"].items()]

    def _arns(self, iam: Service) -> list[str]:
        listed = iam.call("list_open_id_connect_providers", f"The {self} cannot be read")
        return [each["Arn"] for each in listed.get("OpenIDConnectProviderList") or []]

    def _read(self, iam: Service, arn: str) -> Live | None:
        try:
            live = iam.call("get_open_id_connect_provider", f"The {self} cannot be read", **{_ARN: arn})
        except AwsError as error:
            if error.code == _MISSING:
                return None
            raise
        return {**live, "arn": arn, "tags": {each["Key"]: each["Value"] for each in live.get("Tags") or []}}


_WAYS = (("add", "to"), ("remove", "from"))


def _pairs(tags: t.Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
