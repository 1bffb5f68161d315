# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A managed node group of an EKS cluster: how it is made, what of it can be changed, and its versions."""

from __future__ import annotations

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws import Service
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_cluster import cluster_version
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_plan import (
    FIXED,
    TAGS_FIELD,
    Field,
    Kind,
    Live,
    Plan,
    Step,
    View,
    option,
    told,
    unordered,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_version import minor
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

_DESIRED = "scaling.desired_size"
_SCALING = ("scaling.min_size", "scaling.max_size", _DESIRED)


def _labels(value: t.Any) -> dict[str, str]:
    return {str(key): str(item) for key, item in (value or {}).items()}


def _taints(value: t.Any) -> list[dict[str, str]]:
    """Taints in order; one without a value has an empty one."""
    found = [{key: str(item.get(key) or "") for key in ("key", "value", "effect")} for item in value or []]
    return sorted(found, key=lambda taint: (taint["key"], taint["effect"]))


def _groups(value: t.Any) -> list[str]:
    return [group["name"] for group in value or []]


FIELDS = (
    Field("cluster_name", ("clusterName",)),
    Field("name", ("nodegroupName",)),
    Field("arn", ("nodegroupArn",)),
    Field("status", ("status",)),
    Field("created_at", ("createdAt",)),
    Field("autoscaling_groups", ("resources", "autoScalingGroups"), decode=_groups),
    Field("node_role_arn", ("nodeRole",), FIXED),
    Field("subnet_ids", ("subnets",), FIXED, unordered),
    Field("ami_type", ("amiType",), FIXED),
    # Their order says which is to be taken first.
    Field("instance_types", ("instanceTypes",), FIXED),
    Field("capacity_type", ("capacityType",), FIXED),
    Field("disk_size", ("diskSize",), FIXED),
    Field("scaling.min_size", ("scalingConfig", "minSize"), "configuration"),
    Field("scaling.max_size", ("scalingConfig", "maxSize"), "configuration"),
    Field(_DESIRED, ("scalingConfig", "desiredSize"), "configuration"),
    Field("labels", ("labels",), "configuration", _labels),
    Field("taints", ("taints",), "configuration", _taints),
    Field("update_config.max_unavailable", ("updateConfig", "maxUnavailable"), "configuration"),
    Field("update_config.max_unavailable_percentage", ("updateConfig", "maxUnavailablePercentage"), "configuration"),
    Field("version", ("version",), "version"),
    Field("release_version", ("releaseVersion",), "version"),
    TAGS_FIELD,
)
_BY_NAME = {field.name: field for field in FIELDS}


class Nodegroup(Kind):
    """A managed node group."""

    noun = "node group"
    answer = "nodegroup"
    operations: t.ClassVar = {
        "describe": "describe_nodegroup",
        "create": "create_nodegroup",
        "update": "update_nodegroup_config",
        "delete": "delete_nodegroup",
    }
    names: t.ClassVar = {"clusterName": "cluster_name", "nodegroupName": "name"}
    update_names: t.ClassVar = {"name": "cluster_name", "nodegroupName": "name"}
    needed = ("node_role_arn", "subnet_ids")
    fields = FIELDS

    def __init__(self, params: t.Mapping[str, t.Any]) -> None:
        super().__init__(params)
        self._given = dict(self.wanted)
        if "version" in self.wanted:
            minor(self.wanted["version"])

    def plan(self, live: Live | None) -> Plan:
        """As for every kind, after it is settled how many nodes there should be."""
        self.wanted = {**self._given, **self._size(live)}
        if live is not None and _DESIRED not in self._size(live):
            self.wanted.pop(_DESIRED, None)
        return super().plan(live)

    def _size(self, live: Live | None) -> View:
        """What follows for the desired size.

        Of a new group all three sizes are known. That of a group that is there belongs to those who scale it
        (schedules, autoscalers), unless it must be moved into new bounds, or it is asked for.
        """
        given = self._given
        least, most, desired = (given.get(name) for name in _SCALING)
        if live is None:
            if least is most is desired is None:
                return {}
            least = least if least is not None else desired if desired is not None else 1
            desired = desired if desired is not None else least
            sizes = (least, most if most is not None else max(desired, 1), desired)
            return dict(zip(_SCALING, sizes, strict=True))
        if desired is not None and option(self.params, "scaling.force_desired"):
            return {_DESIRED: desired}
        actual = _BY_NAME[_DESIRED].read(live)
        if actual is None:
            return {}
        bound = max(actual, least if least is not None else actual)
        bound = min(bound, most if most is not None else bound)
        return {_DESIRED: bound} if bound != actual else {}

    def change(self, group: str, fields: list[Field], actual: View, live: Live) -> list[Step]:
        """Labels and taints go as what is added and what is taken away, versions by an operation of their own."""
        if group == "version":
            return [self._upgrade(fields, actual)]
        (step,) = super().change(group, fields, actual, live)
        names = [field.name for field in fields]
        if any(name in _SCALING for name in names):
            for name in _SCALING:
                _BY_NAME[name].write(step.request, self.wanted.get(name, actual[name]))
        if "labels" in names:
            step.request["labels"] = _label_changes(actual["labels"], self.wanted["labels"])
        if "taints" in names:
            step.request["taints"] = _taint_changes(actual["taints"], self.wanted["taints"])
        return [step]

    def _upgrade(self, fields: list[Field], actual: View) -> Step:
        wanted = self.wanted.get("version")
        if wanted is not None and actual["version"] and minor(wanted) < minor(actual["version"]):
            raise HubspokeError(
                f"The {self} has version {actual['version']}, and cannot go back to {wanted}.",
                f'Set version to "{actual["version"]}", or leave it out.',
                version=actual["version"],
            )
        request = {**self.key, "force": True} if self.params.get("force_update") else {**self.key}
        for name, key in (("version", "version"), ("release_version", "releaseVersion")):
            if name in self.wanted:
                request[key] = self.wanted[name]
        return Step("update_nodegroup_version", request, told(fields, actual, self.wanted))

    def verify(self, eks: Service, live: Live | None, plan: Plan) -> None:
        """Nodes may not be newer than the control plane."""
        wanted = self.wanted.get("version")
        if wanted is None or (live is not None and live.get("version") == wanted):
            return
        actual = self.params.get("cluster_version") or cluster_version(eks, self.params["cluster_name"])
        if actual and minor(wanted) > minor(actual):
            raise HubspokeError(
                f"The {self} cannot have version {wanted}, as its control plane has {actual}.",
                "Upgrade the cluster first.",
                version=actual,
            )


def _label_changes(actual: dict[str, str], wanted: dict[str, str]) -> dict[str, t.Any]:
    changed = {key: value for key, value in wanted.items() if actual.get(key) != value}
    gone = sorted(key for key in actual if key not in wanted)
    return {
        **({"addOrUpdateLabels": changed} if changed else {}),
        **({"removeLabels": gone} if gone else {}),
    }


def _taint_changes(actual: list[dict[str, str]], wanted: list[dict[str, str]]) -> dict[str, t.Any]:
    """EKS knows a taint by key and effect."""
    kept = [(taint["key"], taint["effect"]) for taint in wanted]
    changed = [taint for taint in wanted if taint not in actual]
    gone = [taint for taint in actual if (taint["key"], taint["effect"]) not in kept]
    return {
        **({"addOrUpdateTaints": changed} if changed else {}),
        **({"removeTaints": gone} if gone else {}),
    }
