# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is to be done to IAM roles: differences = f(wanted, found). Pure, and what unit tests test."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, field

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_difference import Difference, Object
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_network_wanted import OWNER
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

ROLE, POLICY = "role", "policy"
_LATER = "(known once the cluster is there)"


@dataclass(frozen=True)
class Role:
    """One IAM role.

    :arg trust: Document that says who may assume it; empty where that is not known yet.
    :arg managed: ARNs of managed policies.
    :arg inline: Documents of its own policies, by their names.
    """

    name: str
    trust: Object
    managed: tuple[str, ...] = ()
    inline: dict[str, Object] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    path: str = "/"
    description: str = ""
    arn: str = ""


def found(description: t.Mapping[str, t.Any]) -> Role:
    """A role of get_account_authorization_details."""
    return Role(
        name=description["RoleName"],
        trust=document(description.get("AssumeRolePolicyDocument") or {}),
        managed=tuple(sorted(each["PolicyArn"] for each in description.get("AttachedManagedPolicies") or [])),
        inline={
            each["PolicyName"]: document(each["PolicyDocument"]) for each in description.get("RolePolicyList") or []
        },
        tags={each["Key"]: each["Value"] for each in description.get("Tags") or []},
        path=description.get("Path") or "/",
        arn=description["Arn"],
    )


def document(value: t.Any) -> Object:
    """A policy, which APIs give as JSON or as an object."""
    result: Object = json.loads(value) if isinstance(value, str) else dict(value)
    return result


def plan(cluster: str, wanted: t.Iterable[Role], roles: t.Mapping[str, Role]) -> list[Difference]:
    """Everything in which the cluster's roles differ, those that are wanted no more included.

    :arg roles: All roles of the account, by name.
    :raises HubspokeError: a role of that name is somebody else's.
    """
    differences: list[Difference] = []
    everything = list(wanted)
    for role in everything:
        actual = roles.get(role.name)
        owner = actual.tags.get(OWNER) if actual else cluster
        if owner != cluster:
            raise HubspokeError(
                f"Cluster {cluster}: the IAM role {role.name} exists, but its tag {OWNER} is "
                f"{owner or 'missing'}, so somebody "
                "else made it.",
                "Give the role of this cluster another name, or name the existing one as it is to be used.",
            )
        differences.extend(_of(role, actual))
    names = {role.name for role in everything}
    for name, actual in sorted(roles.items()):
        if actual.tags.get(OWNER) == cluster and name not in names:
            differences.append(
                Difference(ROLE, name, _state(actual, actual), None, {"name": name, "path": actual.path})
            )
    return differences


def _of(role: Role, actual: Role | None) -> t.Iterator[Difference]:
    arguments = {
        "name": role.name,
        "path": role.path,
        "description": role.description,
        "trust": role.trust or None,
        "managed": list(role.managed),
        "tags": role.tags,
    }
    after = _state(role, role)
    before = _state(actual, role) if actual else None
    if before != after:
        yield Difference(ROLE, role.name, before, after, arguments)
    there = actual.inline if actual else {}
    for name in sorted({*role.inline, *there}):
        have, want = there.get(name), role.inline.get(name)
        if have is None or want is None or canonical(have) != canonical(want):
            # A role that has to wait is not there to be given a policy.
            there_by_then = role.name if role.trust or actual else None
            policy = {"role": there_by_then, "name": name, "document": want or {}}
            yield Difference(
                POLICY, f"{name} of {role.name}", have and canonical(have), want and canonical(want), policy
            )


def _state(role: Role, wanted: Role) -> Object:
    return {
        "trust": canonical(role.trust) if role.trust else _LATER,
        "managed_policies": sorted(role.managed),
        # Only the tags that are wanted: others belong to others.
        "tags": {key: role.tags[key] for key in sorted(wanted.tags) if key in role.tags},
    }


def canonical(value: t.Any) -> t.Any:
    """A policy's meaning: one text or a list of one are the same, the order of lists says nothing."""
    if isinstance(value, dict):
        return {key: _listed(key, item) for key, item in sorted(value.items())}
    if isinstance(value, list):
        return sorted((canonical(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    return value


def _listed(key: str, value: t.Any) -> t.Any:
    result = canonical(value)
    if isinstance(result, list) and len(result) == 1 and key != "Statement":
        return result[0]
    return [result] if key == "Statement" and not isinstance(result, list) else result
