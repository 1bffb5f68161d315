# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What hangs on a cluster that is there: rules of its security group, Pod Identity, schedules of its node groups.

differences = f(wanted, found), pure; and the few requests that find it.
"""

from __future__ import annotations

import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws import Aws
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws_errors import AwsError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_difference import Difference, Object
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

RULE, IDENTITY, SCHEDULE = "security_rule", "pod_identity", "schedule"
_SIZES = {"min_size": "MinSize", "max_size": "MaxSize", "desired_size": "DesiredCapacity"}
_AT_ONCE = 4

Rule = tuple[str, int, int, str]
"""Protocol, first and last port, source."""


def rules(wanted: t.Iterable[t.Mapping[str, t.Any]]) -> dict[Rule, str]:
    """Rules with their descriptions, one for each source.

    :raises HubspokeError: ports that are none.
    """
    result: dict[Rule, str] = {}
    for each in wanted:
        try:
            first, _hyphen, last = str(each["ports"]).partition("-")
            ports = int(first), int(last or first)
        except ValueError as error:
            raise HubspokeError(
                f"A security rule has the ports {each['ports']}.",
                "Give one port, or the first and the last as 15001-15021.",
            ) from error
        for source in each["sources"]:
            result[each["protocol"], *ports, source] = each.get("description") or ""
    return result


def found_rules(group: t.Mapping[str, t.Any]) -> set[Rule]:
    """Of describe_security_groups; only those whose source is a network."""
    return {
        (permission["IpProtocol"], permission["FromPort"], permission["ToPort"], source["CidrIp"])
        for permission in group.get("IpPermissions") or []
        if "FromPort" in permission
        for source in permission.get("IpRanges") or []
    }


def rule_differences(wanted: t.Mapping[Rule, str], group: t.Mapping[str, t.Any]) -> list[Difference]:
    """The rules that are missing. Others are others'.

    :arg group: Of describe_security_groups, empty while there is none.
    """
    found = found_rules(group)
    names = {"group_id": "GroupId", "group_name": "GroupName", "group_description": "Description"}
    return [
        Difference(
            RULE,
            f"{rule[0]} {rule[1]}-{rule[2]} from {rule[3]}",
            None,
            {"description": description},
            {
                **{name: group.get(key) for name, key in names.items()},
                "protocol": rule[0],
                "from_port": rule[1],
                "to_port": rule[2],
                "source": rule[3],
                "description": description,
            },
        )
        for rule, description in sorted(wanted.items())
        if rule not in found
    ]


def identity_differences(
    wanted: t.Iterable[t.Mapping[str, t.Any]],
    found: t.Mapping[tuple[str, str], str],
    unwanted: t.Iterable[t.Mapping[str, t.Any]] = (),
) -> list[Difference]:
    """Associations that are missing, or have another role; and those that are to be none.

    :arg unwanted: Service accounts that get their roles in another way.
    """
    differences = []
    for each in wanted:
        key = each["namespace"], each["service_account"]
        before = {"role": found[key]} if key in found else None
        after = {"role": each["role_arn"]}
        if before != after:
            differences.append(Difference(IDENTITY, "/".join(key), before, after, dict(each)))
    for each in unwanted:
        key = each["namespace"], each["service_account"]
        if key in found:
            differences.append(Difference(IDENTITY, "/".join(key), {"role": found[key]}, None, dict(each)))
    return differences


def schedule_differences(
    wanted: t.Iterable[t.Mapping[str, t.Any]], found: t.Mapping[tuple[str, str], Object]
) -> list[Difference]:
    """Schedules that are missing or differ.

    :arg wanted: Each with `node_group`, `group` (its Auto Scaling group, empty while there is none) and its own fields.
    :arg found: By Auto Scaling group and name.
    """
    differences = []
    for each in wanted:
        after = {key: each[key] for key in ("recurrence", "time_zone", *_SIZES)}
        before = found.get((each["group"], each["name"]))
        if before != after:
            name = f"{each['name']} of {each['node_group']}"
            arguments = {**after, "name": each["name"], "group": each["group"] or None}
            differences.append(Difference(SCHEDULE, name, before, after, arguments))
    return differences


def schedule(description: t.Mapping[str, t.Any]) -> Object:
    """A scheduled action as it is compared. One without a time zone is in UTC."""
    sizes = {key: description.get(name) for key, name in _SIZES.items()}
    zone = description.get("TimeZone") or "Etc/UTC"
    return {"recurrence": description.get("Recurrence"), "time_zone": zone, **sizes}


class Reader:
    """The requests."""

    def __init__(self, aws: Aws, cluster: str) -> None:
        self._aws = aws
        self._cluster = cluster

    def group(self, group_id: str) -> Object:
        """One request."""
        doing = f"Cluster {self._cluster}: its security group {group_id} cannot be read"
        (group,) = self._aws.service("ec2").pages(
            "describe_security_groups", "SecurityGroups", doing, GroupIds=[group_id]
        )
        return dict(group)

    def identities(self, wanted: t.Collection[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """Roles by namespace and account: one request, and one for each association that is wanted."""
        eks = self._aws.service("eks")
        doing = f"Cluster {self._cluster}: its Pod Identity associations cannot be read"
        try:
            listed = eks.pages("list_pod_identity_associations", "associations", doing, clusterName=self._cluster)
        except AwsError as error:
            if error.code == "ResourceNotFoundException":
                return {}  # in check mode the cluster is yet to be made
            raise
        wanted_ids = [each["associationId"] for each in listed if (each["namespace"], each["serviceAccount"]) in wanted]

        def role(association: str) -> tuple[tuple[str, str], str]:
            answer = eks.call(
                "describe_pod_identity_association", doing, clusterName=self._cluster, associationId=association
            )["association"]
            return (answer["namespace"], answer["serviceAccount"]), answer["roleArn"]

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return dict(pool.map(role, wanted_ids))

    def schedules(self) -> dict[tuple[str, str], Object]:
        """One request for all groups of the region."""
        doing = f"Cluster {self._cluster}: the schedules of its node groups cannot be read"
        listed = self._aws.service("autoscaling").pages(
            "describe_scheduled_actions", "ScheduledUpdateGroupActions", doing
        )
        return {(each["AutoScalingGroupName"], each["ScheduledActionName"]): schedule(each) for each in listed}
