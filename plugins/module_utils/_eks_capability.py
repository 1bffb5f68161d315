# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An EKS capability: Argo CD, ACK or KRO, run by AWS outside of the cluster's nodes."""

from __future__ import annotations

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_plan import (
    FIXED,
    TAGS_FIELD,
    Field,
    Kind,
    Live,
    Step,
    View,
    flag,
    unordered,
)

Mapping = dict[str, t.Any]


def _mappings(answer: t.Any) -> list[Mapping]:
    """Who has which role, in order, a role once."""
    roles: dict[str, list[dict[str, str]]] = {}
    for item in answer or []:
        identities = [{"id": each["id"], "type": each["type"]} for each in item.get("identities") or []]
        roles.setdefault(item["role"], []).extend(identities)
    return [{"role": role, "identities": sorted(roles[role], key=_by_id)} for role in sorted(roles)]


def _by_id(identity: dict[str, str]) -> tuple[str, str]:
    return identity["type"], identity["id"]


def _argo(*path: str) -> tuple[str, ...]:
    return ("configuration", "argoCd", *path)


FIELDS = (
    Field("cluster_name", ("clusterName",)),
    Field("name", ("capabilityName",)),
    Field("arn", ("arn",)),
    Field("status", ("status",)),
    Field("version", ("version",)),
    Field("created_at", ("createdAt",)),
    Field("issues", ("health", "issues"), decode=lambda issues: issues or []),
    Field("type", ("type",), FIXED),
    Field("argo_cd.server_url", _argo("serverUrl")),
    Field("argo_cd.idc_application_arn", _argo("awsIdc", "idcManagedApplicationArn")),
    Field("argo_cd.namespace", _argo("namespace"), FIXED),
    Field("argo_cd.endpoint_prefix", _argo("endpointPrefix"), FIXED),
    Field("argo_cd.idc_instance_arn", _argo("awsIdc", "idcInstanceArn"), FIXED),
    Field("argo_cd.idc_region", _argo("awsIdc", "idcRegion"), FIXED),
    Field("role_arn", ("roleArn",), "capability"),
    Field("argo_cd.role_mappings", _argo("rbacRoleMappings"), "capability", _mappings),
    Field("argo_cd.vpce_ids", _argo("networkAccess", "vpceIds"), "capability", unordered),
    Field("ack.enable_cross_namespace", ("configuration", "ack", "enableCrossNamespace"), "capability", flag),
    Field("ack.disabled_services", ("configuration", "ack", "disabledServices"), "capability", unordered),
    Field("delete_propagation_policy", ("deletePropagationPolicy",), "capability", default="RETAIN"),
    TAGS_FIELD,
)


class Capability(Kind):
    """One capability; a cluster has at most one of each type."""

    noun = "capability"
    answer = "capability"
    operations: t.ClassVar = {
        "describe": "describe_capability",
        "create": "create_capability",
        "update": "update_capability",
        "delete": "delete_capability",
    }
    names: t.ClassVar = {"clusterName": "cluster_name", "capabilityName": "name"}
    update_names: t.ClassVar = {"name": "cluster_name", "capabilityName": "name"}
    needed: tuple[str, ...] = ("type", "role_arn")
    fields = FIELDS

    def __init__(self, params: t.Mapping[str, t.Any]) -> None:
        super().__init__(params)
        if self.wanted.get("type") == "ARGOCD":
            # Its users come from an identity centre.
            self.needed = (*self.needed, "argo_cd.idc_instance_arn")

    def view(self, live: Live | None) -> View:
        """What belongs to another type is not spoken of."""
        kind = (live or {}).get("type") or self.wanted.get("type") or "ARGOCD"
        other = {"ARGOCD": ("ack.",), "ACK": ("argo_cd.",)}.get(kind, ("ack.", "argo_cd."))
        return {name: value for name, value in super().view(live).items() if not name.startswith(other)}

    def change(self, group: str, fields: list[Field], actual: View, live: Live) -> list[Step]:
        """Role mappings go as what is added and what is taken away."""
        (step,) = super().change(group, fields, actual, live)
        if any(field.name == "argo_cd.role_mappings" for field in fields):
            changes = _changes(actual["argo_cd.role_mappings"], self.wanted["argo_cd.role_mappings"])
            step.request["configuration"]["argoCd"]["rbacRoleMappings"] = changes
        return [step]


def _changes(actual: list[Mapping], wanted: list[Mapping]) -> dict[str, list[Mapping]]:
    """For a role that loses somebody both: those who go, and the whole of those who stay.

    Whether an update replaces a role's identities or adds to them, the outcome is then the same.
    """
    before = {item["role"]: item["identities"] for item in actual}
    after = {item["role"]: item["identities"] for item in wanted}
    changed = [item for item in wanted if before.get(item["role"]) != item["identities"]]
    gone = []
    for role, identities in before.items():
        left = [identity for identity in identities if identity not in after.get(role, [])]
        if left:
            gone.append({"role": role, "identities": left})
    return {
        **({"addOrUpdateRoleMappings": changed} if changed else {}),
        **({"removeRoleMappings": gone} if gone else {}),
    }
