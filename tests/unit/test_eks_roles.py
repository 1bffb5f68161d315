# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The IAM roles of an EKS cluster: what differs from what they are to be."""

from __future__ import annotations

import typing as t

import pytest
from unit.eks_aws import aws, connection, moto, put_right

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_network_wanted import OWNER
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_roles_plan import Role, canonical, plan
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.modules import eks_roles_info

__all__ = ["aws", "moto"]

Object = dict[str, t.Any]
TRUST: Object = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "pods.eks.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
        }
    ],
}
READ: Object = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": ["arn:aws:s3:::a/*"]},
}
NODE = {"name": "seoul-node", "trust": TRUST, "managed_policies": ["arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy"]}
READER = {"name": "seoul-reader", "trust": TRUST, "managed_policies": [], "inline_policies": {"read": READ}}


def test_policies_are_compared_by_meaning() -> None:
    same = {
        "Statement": [{"Resource": "arn:aws:s3:::a/*", "Action": ["s3:GetObject"], "Effect": "Allow"}],
        "Version": "2012-10-17",
    }
    assert canonical(READ) == canonical(same)
    assert canonical(READ) != canonical({**READ, "Statement": {**READ["Statement"], "Effect": "Deny"}})
    turned = {**TRUST["Statement"][0], "Action": ["sts:TagSession", "sts:AssumeRole"]}
    assert canonical(TRUST) == canonical({**TRUST, "Statement": [turned]})


def test_a_role_of_somebody_else_is_left_alone() -> None:
    with pytest.raises(HubspokeError, match="role seoul-node exists, but its tag"):
        plan("seoul", [Role("seoul-node", TRUST)], {"seoul-node": Role("seoul-node", TRUST)})


def test_what_is_wanted_no_more_goes() -> None:
    tags = {OWNER: "seoul"}
    roles = {
        "old": Role("old", TRUST, tags=tags),
        "foreign": Role("foreign", TRUST),
        "tokyo": Role("tokyo", TRUST, tags={OWNER: "tokyo"}),
    }
    (difference,) = plan("seoul", [], roles)
    assert (difference.name, difference.action) == ("old", "delete")


@pytest.mark.parametrize(
    ("actual", "kinds"),
    [
        (None, ["role", "policy"]),
        (Role("r", TRUST, ("a",), {"read": READ}, {OWNER: "seoul"}), []),
        (Role("r", TRUST, ("a",), {"read": READ}, {OWNER: "seoul", "cost": "low"}), []),
        (Role("r", READ, ("a",), {"read": READ}, {OWNER: "seoul"}), ["role"]),
        (Role("r", TRUST, ("a", "b"), {"read": READ}, {OWNER: "seoul"}), ["role"]),
        (Role("r", TRUST, ("a",), {"read": TRUST}, {OWNER: "seoul"}), ["policy"]),
        (Role("r", TRUST, ("a",), {"read": READ, "more": READ}, {OWNER: "seoul"}), ["policy"]),
    ],
)
def test_differences(actual: Role | None, kinds: list[str]) -> None:
    wanted = Role("r", TRUST, ("a",), {"read": READ}, {OWNER: "seoul"})
    assert [each.kind for each in plan("seoul", [wanted], {"r": actual} if actual else {})] == kinds


@pytest.mark.parametrize("there", [False, True])
def test_a_role_whose_trust_is_not_known_yet_waits(there: bool) -> None:
    tags = {OWNER: "seoul"}
    wanted = Role("r", {}, (), {"read": READ}, tags)
    found = {"r": Role("r", TRUST, (), {}, tags)} if there else {}
    role, policy = plan("seoul", [wanted], found)
    assert (role.kind, role.ready, policy.ready) == ("role", False, there)
    assert role.after is not None
    assert role.after["trust"] == "(known once the cluster is there)"


def test_it_converges(aws: str, make_task: t.Callable[..., t.Any]) -> None:
    def look(*roles: Object) -> Object:
        options = {"inline_policies": {}, "description": "", "path": "/"}
        everything = [{**options, **role} for role in roles]
        task, *_rest = make_task({**connection(), "cluster_name": "seoul", "roles": everything, "tags": {}})
        result: Object = eks_roles_info.run(task)
        return result

    first = look(NODE, READER)
    assert [(each["kind"], each["action"]) for each in first["differences"]] == [
        ("role", "create"),
        ("role", "create"),
        ("policy", "create"),
    ]
    assert "seoul-reader" in first["diff"]["after"]
    put_right(first["differences"])
    again = look(NODE, READER)
    assert again["differences"] == []
    assert again["arns"]["seoul-node"].endswith(":role/seoul-node")
    (gone,) = look(NODE)["differences"]
    assert (gone["name"], gone["action"]) == ("seoul-reader", "delete")
