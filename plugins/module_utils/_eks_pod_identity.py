# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An EKS Pod Identity association: a service account and the role that its pods get."""

from __future__ import annotations

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws import Service
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_plan import (
    TAGS_FIELD,
    Field,
    Kind,
    Live,
    Plan,
    flag,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

FIELDS = (
    Field("cluster_name", ("clusterName",)),
    Field("namespace", ("namespace",)),
    Field("service_account", ("serviceAccount",)),
    Field("id", ("associationId",)),
    Field("arn", ("associationArn",)),
    Field("owner_arn", ("ownerArn",)),
    Field("external_id", ("externalId",)),
    Field("created_at", ("createdAt",)),
    Field("role_arn", ("roleArn",), "association"),
    Field("target_role_arn", ("targetRoleArn",), "association"),
    Field("disable_session_tags", ("disableSessionTags",), "association", flag),
    TAGS_FIELD,
)


class PodIdentityAssociation(Kind):
    """EKS gives it an id; people name it by its service account."""

    noun = "Pod Identity association"
    answer = "association"
    operations: t.ClassVar = {
        "describe": "describe_pod_identity_association",
        "create": "create_pod_identity_association",
        "update": "update_pod_identity_association",
        "delete": "delete_pod_identity_association",
    }
    names: t.ClassVar = {
        "clusterName": "cluster_name",
        "namespace": "namespace",
        "serviceAccount": "service_account",
    }
    needed = ("role_arn",)
    fields = FIELDS

    def __str__(self) -> str:
        key = self.key
        return f"{self.noun} of {key['namespace']}/{key['serviceAccount']} on {key['clusterName']}"

    def find(self, eks: Service) -> Live | None:
        """By its service account in the list, which says no role, and then itself."""
        doing = f"The {self} cannot be read"
        for item in eks.pages("list_pod_identity_associations", "associations", doing, **self.key):
            if all(item.get(key) == value for key, value in self.key.items()):
                return t.cast("Live", eks.call(self.operations["describe"], doing, **self.live_key(item))[self.answer])
        return None

    def live_key(self, live: Live) -> dict[str, t.Any]:
        """By its id, once it has one."""
        return {"clusterName": self.key["clusterName"], "associationId": live["associationId"]}

    def plan(self, live: Live | None) -> Plan:
        """As for every kind, unless an add-on made it and would put it back."""
        return self._unless_owned(live, super().plan(live))

    def removal(self, live: Live | None) -> Plan:
        """As for every kind, unless an add-on made it and would put it back."""
        return self._unless_owned(live, super().removal(live))

    def _unless_owned(self, live: Live | None, plan: Plan) -> Plan:
        owner = (live or {}).get("ownerArn")
        if owner and plan.steps:
            raise HubspokeError(
                f"The {self} belongs to {owner}.", "Change it there (pod_identity_associations of the add-on)."
            )
        return plan
