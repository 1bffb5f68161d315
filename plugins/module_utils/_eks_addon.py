# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An add-on of an EKS cluster: the versions there are for it, its configuration, the roles of its service accounts."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws import Service
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws_errors import AwsError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_cluster import cluster_version
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_plan import (
    CREATION,
    TAGS_FIELD,
    Field,
    Kind,
    Live,
    Plan,
    Step,
    View,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_version import newest_first
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._yaml import LOADER, yaml

CHOSEN = ("default", "latest")
"""Words for a version that EKS is asked for."""


def _configuration(text: t.Any) -> dict[str, t.Any]:
    """EKS keeps the text that it was given, JSON or YAML; two texts that say the same are the same."""
    return yaml.load(text, Loader=LOADER) or {} if text else {}


def _json(configuration: dict[str, t.Any]) -> str:
    return json.dumps(configuration, sort_keys=True)


def _accounts(answer: t.Any) -> list[dict[str, str]] | None:
    """Service accounts and their roles; unknown where EKS only answered ARNs of associations."""
    if answer and isinstance(answer[0], str):
        return None
    found = [{"service_account": item["serviceAccount"], "role_arn": item["roleArn"]} for item in answer or []]
    return sorted(found, key=lambda item: item["service_account"])


def _role(answer: t.Any) -> str:
    """Of the service account, empty where it has none."""
    return str(answer or "")


def _associations(accounts: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{"serviceAccount": item["service_account"], "roleArn": item["role_arn"]} for item in accounts]


FIELDS = (
    Field("cluster_name", ("clusterName",)),
    Field("name", ("addonName",)),
    Field("arn", ("addonArn",)),
    Field("status", ("status",)),
    Field("created_at", ("createdAt",)),
    Field("namespace", ("namespaceConfig", "namespace"), CREATION),
    Field("version", ("addonVersion",), "addon"),
    Field("configuration", ("configurationValues",), "addon", _configuration, _json),
    Field("service_account_role_arn", ("serviceAccountRoleArn",), "addon", _role, clears=True),
    Field("pod_identity_associations", ("podIdentityAssociations",), "addon", _accounts, _associations),
    TAGS_FIELD,
)
# An update that leaves these out takes them away.
_SENT_AGAIN = ("configuration", "service_account_role_arn")


class Addon(Kind):
    """An add-on."""

    noun = "add-on"
    answer = "addon"
    operations: t.ClassVar = {
        "describe": "describe_addon",
        "create": "create_addon",
        "update": "update_addon",
        "delete": "delete_addon",
    }
    names: t.ClassVar = {"clusterName": "cluster_name", "addonName": "name"}
    update_names: t.ClassVar = {"name": "cluster_name", "addonName": "name"}
    fields = FIELDS

    def __init__(self, params: t.Mapping[str, t.Any]) -> None:
        super().__init__(params)
        self._versions: list[dict[str, t.Any]] | None = None
        self._kubernetes = ""

    def find(self, eks: Service) -> Live | None:
        """The add-on, and where roles of service accounts are spoken of, those too: EKS answers their ARNs only."""
        live = super().find(eks)
        if live and self.params.get("pod_identity_associations") is not None:
            live["podIdentityAssociations"] = [
                eks.call(
                    "describe_pod_identity_association",
                    f"The Pod Identity associations of the {self} cannot be read",
                    clusterName=self.key["clusterName"],
                    associationId=arn.rsplit("/", 1)[-1],
                )["association"]
                for arn in live.get("podIdentityAssociations") or []
            ]
        return live

    def prepare(self, eks: Service, live: Live | None) -> None:
        """Which version `default` and `latest` are now."""
        chosen = self.params.get("version")
        if chosen not in CHOSEN:
            return
        versions = self._known(eks)
        if chosen == "latest" and versions:
            self.wanted["version"] = newest_first(str(item["addonVersion"]) for item in versions)[0]
        default = [item["addonVersion"] for item in versions if self._is_default(item)]
        if chosen == "default" and default:
            self.wanted["version"] = default[0]

    def verify(self, eks: Service, live: Live | None, plan: Plan) -> None:
        """Whether EKS has the add-on, and the version that is asked for."""
        wanted = self.wanted.get("version")
        if live is not None and wanted in (None, live.get("addonVersion")):
            return
        known = newest_first(str(item["addonVersion"]) for item in self._known(eks))
        if not self._kubernetes:
            return  # The cluster is yet to be made.
        if not known:
            raise HubspokeError(
                f"EKS in {eks.region} has no add-on {self.key['addonName']} for Kubernetes {self._kubernetes}.",
                "`aws eks describe-addon-versions --query addons[].addonName` names those it has.",
            )
        if wanted is not None and wanted not in known:
            raise HubspokeError(
                f"The {self} has no version {wanted} for Kubernetes {self._kubernetes}.",
                f"There are {', '.join(known)}.",
                known=known,
            )

    def creation_steps(self, request: dict[str, t.Any]) -> list[Step]:
        """With what is to be done about objects that are there already."""
        if request.get("addonVersion") in CHOSEN:
            del request["addonVersion"]  # EKS was not asked, as there is no cluster yet.
        resolve = self.params.get("resolve_conflicts") or "OVERWRITE"
        request["resolveConflicts"] = "NONE" if resolve == "PRESERVE" else resolve
        return super().creation_steps(request)

    def change(self, group: str, fields: list[Field], actual: View, live: Live) -> list[Step]:
        """With what is to be done about objects that were changed by hand, and with all that should stay."""
        (step,) = super().change(group, fields, actual, live)
        for field in self.fields:
            if field.name in _SENT_AGAIN and field not in fields and actual[field.name]:
                field.write(step.request, actual[field.name])
        step.request["resolveConflicts"] = self.params.get("resolve_conflicts") or "OVERWRITE"
        return [step]

    def removal_options(self) -> dict[str, t.Any]:
        """Whether its objects stay on the cluster."""
        return {"preserve": True} if self.params.get("preserve") else {}

    def _known(self, eks: Service) -> list[dict[str, t.Any]]:
        """Versions of the add-on for the cluster's Kubernetes, asked for once; none where there is no cluster yet."""
        if self._versions is None:
            self._kubernetes = self.params.get("cluster_version") or cluster_version(eks, self.key["clusterName"])
            self._versions = self._asked(eks) if self._kubernetes else []
        return self._versions

    def _asked(self, eks: Service) -> list[dict[str, t.Any]]:
        name = self.key["addonName"]
        try:
            addons = eks.pages(
                "describe_addon_versions",
                "addons",
                f"The versions of the {self} cannot be read",
                addonName=name,
                kubernetesVersion=self._kubernetes,
            )
        except AwsError as error:
            if error.code == "ResourceNotFoundException":
                return []
            raise
        return [version for addon in addons if addon["addonName"] == name for version in addon["addonVersions"]]

    def _is_default(self, version: dict[str, t.Any]) -> bool:
        return any(
            item.get("defaultVersion") and item.get("clusterVersion") == self._kubernetes
            for item in version.get("compatibilities") or []
        )
