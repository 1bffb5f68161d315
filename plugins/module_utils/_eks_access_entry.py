# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An access entry of an EKS cluster: who of AWS is which user there, and what that user may do."""

from __future__ import annotations

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws import Service
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_plan import (
    FIXED,
    TAGS_FIELD,
    Field,
    Kind,
    Live,
    Plan,
    Step,
    View,
    unordered,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

Policy = dict[str, t.Any]


def _policies(answer: t.Any) -> list[Policy]:
    """What EKS lists, in the form of the option."""
    found = [
        {
            "policy": item["policyArn"],
            "scope": (item.get("accessScope") or {}).get("type"),
            "namespaces": sorted((item.get("accessScope") or {}).get("namespaces") or []),
        }
        for item in answer or []
    ]
    return sorted(found, key=lambda policy: str(policy["policy"]))


def _associated(policies: list[Policy]) -> list[dict[str, t.Any]]:
    """The option in the form of EKS's list."""
    return [{"policyArn": policy["policy"], "accessScope": _scope(policy)} for policy in policies]


def _scope(policy: Policy) -> dict[str, t.Any]:
    namespaces = {"namespaces": policy["namespaces"]} if policy["scope"] == "namespace" else {}
    return {"type": policy["scope"], **namespaces}


FIELDS = (
    Field("cluster_name", ("clusterName",)),
    Field("principal_arn", ("principalArn",)),
    Field("arn", ("accessEntryArn",)),
    Field("created_at", ("createdAt",)),
    Field("type", ("type",), FIXED),
    Field("kubernetes_groups", ("kubernetesGroups",), "identity", unordered),
    Field("username", ("username",), "identity"),
    Field("policies", ("policies",), "policies", _policies, _associated),
    TAGS_FIELD,
)


class AccessEntry(Kind):
    """One identity of AWS on one cluster, with the access policies that are associated with it."""

    noun = "access entry"
    answer = "access_entry"
    operations: t.ClassVar = {
        "describe": "describe_access_entry",
        "create": "create_access_entry",
        "update": "update_access_entry",
        "delete": "delete_access_entry",
    }
    names: t.ClassVar = {"clusterName": "cluster_name", "principalArn": "principal_arn"}
    fields = FIELDS

    def __init__(self, params: t.Mapping[str, t.Any]) -> None:
        principal = params["principal_arn"]
        if ":assumed-role/" in principal:
            account, role = principal.split(":")[4], principal.split("/")[1]
            raise HubspokeError(
                f"{principal} is the session of a role, for which there are no access entries.",
                f"Give the role itself, arn:aws:iam::{account}:role/{role} (with its path, where it has one).",
            )
        policies = params.get("policies")
        if policies is not None:
            policies = [_complete(policy, principal) for policy in policies]
            names = [policy["policy"] for policy in policies]
            if twice := {name for name in names if names.count(name) > 1}:
                raise HubspokeError(
                    f"The access entry {principal} names {' and '.join(sorted(twice))} twice.",
                    "A policy has one scope; list all its namespaces there.",
                )
        super().__init__({**params, "policies": policies})

    def find(self, eks: Service) -> Live | None:
        """The entry, and in a second call its policies."""
        doing = f"The {self} cannot be read"
        live: Live = eks.call("describe_access_entry", doing, **self.key)["accessEntry"]
        live["policies"] = eks.pages("list_associated_access_policies", "associatedAccessPolicies", doing, **self.key)
        return live

    def plan(self, live: Live | None) -> Plan:
        """As for every kind; policies that are not named stay where they are not to be purged."""
        if live is not None and "policies" in self.wanted and not self.params.get("purge_policies", True):
            named = {policy["policy"] for policy in self.wanted["policies"]}
            others = [policy for policy in _policies(live.get("policies")) if policy["policy"] not in named]
            self.wanted["policies"] = sorted([*self.wanted["policies"], *others], key=lambda each: str(each["policy"]))
        return super().plan(live)

    def creation_steps(self, request: dict[str, t.Any]) -> list[Step]:
        """The entry, and then each of its policies."""
        request.pop("policies", None)
        return [*super().creation_steps(request), *self._association([], self.wanted.get("policies") or [])]

    def change(self, group: str, fields: list[Field], actual: View, live: Live) -> list[Step]:
        """Policies are associated and taken away one by one."""
        if group == "policies":
            return self._association(actual["policies"], self.wanted["policies"])
        return super().change(group, fields, actual, live)

    def _association(self, actual: list[Policy], wanted: list[Policy]) -> list[Step]:
        steps = [
            Step(
                "associate_access_policy",
                {**self.key, "policyArn": policy["policy"], "accessScope": _scope(policy)},
                f"policy {_short(policy)}",
            )
            for policy in wanted
            if policy not in actual
        ]
        named = {policy["policy"] for policy in wanted}
        # First what is given, then what is taken: whoever has access keeps it while its policies are exchanged.
        return steps + [
            Step(
                "disassociate_access_policy",
                {**self.key, "policyArn": policy["policy"]},
                f"without policy {policy['policy'].rsplit('/', 1)[-1]}",
            )
            for policy in actual
            if policy["policy"] not in named
        ]


def _complete(policy: Policy, principal: str) -> Policy:
    """With the ARN for a short name, and the scope that follows from the namespaces."""
    name, namespaces = policy["policy"], policy.get("namespaces") or []
    scope = policy.get("scope") or ("namespace" if namespaces else "cluster")
    if (scope == "namespace") is not bool(namespaces):
        raise HubspokeError(
            f"The policy {name} of the access entry {principal} has scope {scope} and "
            f"{'namespaces' if namespaces else 'no namespaces'}.",
            "Scope namespace needs namespaces, scope cluster takes none.",
        )
    if not name.startswith("arn:"):
        partition = principal.split(":")[1] if principal.count(":") > 1 else "aws"
        name = f"arn:{partition}:eks::aws:cluster-access-policy/{name}"
    return {"policy": name, "scope": scope, "namespaces": sorted(namespaces)}


def _short(policy: Policy) -> str:
    where = ", ".join(policy["namespaces"]) if policy["scope"] == "namespace" else "the cluster"
    return f"{policy['policy'].rsplit('/', 1)[-1]} in {where}"
