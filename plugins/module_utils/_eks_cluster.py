# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An EKS cluster: its fields, its upgrades, and what protects it."""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws import Service
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws_errors import AwsError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_plan import (
    CREATION,
    FIXED,
    TAGS_FIELD,
    Field,
    Kind,
    Live,
    Plan,
    Step,
    View,
    flag,
    told,
    unordered,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_version import (
    minor,
    newest_first,
    refuse_unless_next,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
MODES = ("CONFIG_MAP", "API_AND_CONFIG_MAP", "API")
"""Ways of authentication, each of which can only be followed by the next."""


def _logs(value: t.Any) -> list[str]:
    return sorted(kind for item in value or [] if item.get("enabled") for kind in item.get("types") or [])


def _logging(kinds: list[str]) -> list[dict[str, t.Any]]:
    """EKS changes only the kinds that it is told of, so it is told of all."""
    off = [kind for kind in LOGS if kind not in kinds]
    parts = ((sorted(kinds), True), (off, False))
    return [{"types": types, "enabled": enabled} for types, enabled in parts if types]


def _networks(value: t.Any) -> list[str]:
    """EKS keeps the network that an address with its mask belongs to."""
    return sorted(_network(text) for text in value or [])


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return text  # For EKS to refuse.


def _key_arn(value: t.Any) -> t.Any:
    return value[0].get("provider", {}).get("keyArn") if value else None


def _encryption(arn: str) -> list[dict[str, t.Any]]:
    return [{"resources": ["secrets"], "provider": {"keyArn": arn}}]


FIELDS = (
    Field("name", ("name",)),
    Field("arn", ("arn",)),
    Field("status", ("status",)),
    Field("platform_version", ("platformVersion",)),
    Field("endpoint", ("endpoint",)),
    Field("certificate_authority", ("certificateAuthority", "data")),
    Field("oidc_issuer", ("identity", "oidc", "issuer")),
    Field("vpc_id", ("resourcesVpcConfig", "vpcId")),
    Field("cluster_security_group_id", ("resourcesVpcConfig", "clusterSecurityGroupId")),
    Field("created_at", ("createdAt",)),
    Field("role_arn", ("roleArn",), FIXED),
    Field("service_ipv4_cidr", ("kubernetesNetworkConfig", "serviceIpv4Cidr"), FIXED),
    Field("bootstrap_creator_admin", ("accessConfig", "bootstrapClusterCreatorAdminPermissions"), CREATION),
    Field("self_managed_addons", ("bootstrapSelfManagedAddons",), CREATION),
    Field("authentication_mode", ("accessConfig", "authenticationMode"), "access", default="API"),
    Field("subnet_ids", ("resourcesVpcConfig", "subnetIds"), "network", unordered),
    Field("security_group_ids", ("resourcesVpcConfig", "securityGroupIds"), "network", unordered),
    Field("endpoint_public_access", ("resourcesVpcConfig", "endpointPublicAccess"), "endpoint", flag),
    Field("endpoint_private_access", ("resourcesVpcConfig", "endpointPrivateAccess"), "endpoint", flag),
    Field("public_access_cidrs", ("resourcesVpcConfig", "publicAccessCidrs"), "endpoint", _networks),
    Field("logging", ("logging", "clusterLogging"), "logging", _logs, _logging),
    Field("upgrade_policy", ("upgradePolicy", "supportType"), "upgrade policy"),
    Field("deletion_protection", ("deletionProtection",), "protection", flag),
    Field("zonal_shift", ("zonalShiftConfig", "enabled"), "zonal shift", flag),
    Field("encryption_key_arn", ("encryptionConfig",), "encryption", _key_arn, _encryption),
    # Last: what else there is to change need not wait for it.
    Field("version", ("version",), "version"),
    TAGS_FIELD,
)


class Cluster(Kind):
    """The control plane."""

    noun = "cluster"
    answer = "cluster"
    operations: t.ClassVar = {
        "describe": "describe_cluster",
        "create": "create_cluster",
        "update": "update_cluster_config",
        "delete": "delete_cluster",
    }
    names: t.ClassVar = {"name": "name"}
    needed = ("role_arn", "subnet_ids")
    update_names: t.ClassVar = {"name": "name"}
    fields = FIELDS

    def __init__(self, params: t.Mapping[str, t.Any]) -> None:
        super().__init__(params)
        if "version" in self.wanted:
            minor(self.wanted["version"])
        if self.wanted.get("endpoint_public_access") is False:
            # EKS keeps some list for an address that nobody can use.
            self.wanted.pop("public_access_cidrs", None)

    def change(self, group: str, fields: list[Field], actual: View, live: Live) -> list[Step]:
        """The operations that EKS has for a single thing, and the ways that lead in one direction only."""
        does = told(fields, actual, self.wanted)
        if group == "version":
            refuse_unless_next(str(self), actual["version"], self.wanted["version"])
            return [Step("update_cluster_version", {**self.key, "version": self.wanted["version"]}, does)]
        if group == "encryption":
            if actual["encryption_key_arn"]:
                self.refuse(fields, actual)
            config = _encryption(self.wanted["encryption_key_arn"])
            return [
                Step(
                    "associate_encryption_config",
                    {"clusterName": str(self.key["name"]), "encryptionConfig": config},
                    does,
                )
            ]
        if group == "access":
            return self._modes(fields, actual)
        return super().change(group, fields, actual, live)

    def verify(self, eks: Service, live: Live | None, plan: Plan) -> None:
        """Whether EKS has the version that is asked for."""
        wanted = self.wanted.get("version")
        if wanted is None or (live is not None and live.get("version") == wanted):
            return
        try:
            found = eks.pages("describe_cluster_versions", "clusterVersions", "The versions of EKS cannot be read")
        except AwsError as error:
            if error.code in ("AccessDenied", "AccessDeniedException"):
                return  # A courtesy, for which nobody needs the right.
            raise
        known = newest_first(str(item["clusterVersion"]) for item in found)
        if wanted not in known:
            raise HubspokeError(
                f"EKS in {eks.region} has no version {wanted} for the {self}.",
                f"It has {', '.join(known)}.",
                known=known,
            )

    def removal(self, live: Live | None) -> Plan:
        """A protected cluster is only deleted by one who says that it is not to be protected."""
        plan = super().removal(live)
        if live is None or not live.get("deletionProtection"):
            return plan
        if self.wanted.get("deletion_protection") is not False:
            raise HubspokeError(
                f"The {self} has deletion protection.",
                "Set deletion_protection to false where it is to be deleted all the same.",
            )
        unprotect = Step(
            self.operations["update"], {**self.key, "deletionProtection": False}, "deletion_protection: true → false"
        )
        return Plan((unprotect, *plan.steps), plan.before, plan.after)

    def _modes(self, fields: list[Field], actual: View) -> list[Step]:
        here, there = (
            MODES.index(actual["authentication_mode"] or MODES[0]),
            MODES.index(self.wanted["authentication_mode"]),
        )
        if there < here:
            self.refuse(fields, actual)
        return [
            Step(
                self.operations["update"],
                {**self.key, "accessConfig": {"authenticationMode": MODES[number]}},
                f"authentication_mode: {MODES[number - 1]} → {MODES[number]}",
            )
            for number in range(here + 1, there + 1)
        ]


def read_clusters(eks: Service, names: list[str] | None) -> list[View]:
    """Clusters by name, or all of the region; those that are not there are left out."""
    if names is None:
        names = eks.pages("list_clusters", "clusters", f"The clusters of {eks.region} cannot be listed")
    found = []
    for name in names:
        cluster = Cluster({"name": name})
        try:
            found.append(cluster.view(cluster.find(eks)))
        except AwsError as error:
            if error.code != "ResourceNotFoundException":
                raise
    return found


def cluster_version(eks: Service, name: str) -> str:
    """The Kubernetes version of a cluster, empty where there is none of that name (yet)."""
    try:
        return str(eks.call("describe_cluster", f"The cluster {name} cannot be read", name=name)["cluster"]["version"])
    except AwsError as error:
        if error.code == "ResourceNotFoundException":
            return ""
        raise
