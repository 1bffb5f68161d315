# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The network of an EKS cluster: what it is to be, and what differs from it."""

from __future__ import annotations

import typing as t

import boto3
import pytest
from unit.eks_aws import OTHER, REGION, aws, connection, moto, put_right

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _eks_network_found as found_
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_network_found import Found
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_network_plan import plan
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_network_wanted import OWNER, wanted
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.modules import eks_network_info

__all__ = ["aws", "moto"]

Object = dict[str, t.Any]
PARAMS: Object = {
    "cluster_name": "seoul",
    "region": REGION,
    "vpc_name": "",
    "vpc_cidr": "10.10.0.0/16",
    "zones": ["ap-northeast-2a", "ap-northeast-2c"],
    "private_subnets": [],
    "public_subnets": [],
    "nat": "single",
    "endpoints": ["s3"],
    "peers": [],
    "tags": {"team": "platform"},
}
TOKYO = {"name": "tokyo", "region": OTHER, "cidr": "10.20.0.0/16", "requested_here": True}
SEOUL = {"name": "seoul", "region": REGION, "cidr": "10.10.0.0/16", "requested_here": False}
OF_TOKYO = {
    "cluster_name": "tokyo",
    "region": OTHER,
    "vpc_cidr": "10.20.0.0/16",
    "zones": ["ap-northeast-1a", "ap-northeast-1c"],
    "peers": [SEOUL],
}


def params(**changes: t.Any) -> Object:
    return {**PARAMS, **changes}


def test_subnets_are_cut_out_of_the_vpc_and_marked_for_load_balancers() -> None:
    subnets = wanted(PARAMS).subnets
    assert [(subnet.name, subnet.cidr) for subnet in subnets] == [
        ("seoul-private-ap-northeast-2a", "10.10.0.0/20"),
        ("seoul-private-ap-northeast-2c", "10.10.16.0/20"),
        ("seoul-public-ap-northeast-2a", "10.10.240.0/24"),
        ("seoul-public-ap-northeast-2c", "10.10.241.0/24"),
    ]
    for subnet in subnets:
        assert ("kubernetes.io/role/elb" in subnet.tags) == subnet.public
        assert ("kubernetes.io/role/internal-elb" in subnet.tags) != subnet.public


@pytest.mark.parametrize(
    ("nat", "tables", "gateways"),
    [
        ("none", ["seoul-public", "seoul-private"], 0),
        ("single", ["seoul-public", "seoul-private"], 1),
        ("zone", ["seoul-public", "seoul-private-ap-northeast-2a", "seoul-private-ap-northeast-2c"], 2),
    ],
)
def test_route_tables_follow_from_the_gateways(nat: str, tables: list[str], gateways: int) -> None:
    network = wanted(params(nat=nat))
    assert [table.name for table in network.route_tables] == tables
    assert len(network.nat_zones) == gateways
    assert ("0.0.0.0/0" in network.route_tables[1].routes) == (nat != "none")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"zones": ["ap-northeast-2a"]}, "two zones"),
        ({"zones": ["ap-northeast-2a", "ap-northeast-2a"]}, "two zones"),
        ({"vpc_cidr": "10.10.0.0/33"}, "vpc_cidr 10.10.0.0/33 is no IPv4 network"),
        ({"vpc_cidr": "10.10.1.0/16"}, "has host bits set"),
        ({"private_subnets": ["10.10.0.0/20"]}, "1 networks for 2 zones"),
        ({"private_subnets": ["10.10.0.0/20", "10.11.0.0/20"]}, "10.11.0.0/20 is not within 10.10.0.0/16"),
        ({"private_subnets": ["10.10.0.0/20", "10.10.240.0/20"]}, "10.10.240.0/20 and 10.10.240.0/24 overlap"),
        ({"peers": [{**TOKYO, "cidr": "10.10.128.0/17"}]}, "overlaps 10.10.128.0/17 of its peer tokyo"),
    ],
)
def test_contradictions_are_refused(changes: Object, message: str) -> None:
    with pytest.raises(HubspokeError, match="Cluster seoul") as caught:
        wanted(params(**changes))
    assert message in str(caught.value)
    assert caught.value.remedy


def _vpc(cidr: str = "10.10.0.0/16", **tags: str) -> found_.Vpc:
    return found_.Vpc("vpc-1", {"Name": "seoul", "team": "platform", **tags}, (cidr,))


def test_a_vpc_of_somebody_else_is_left_alone() -> None:
    with pytest.raises(HubspokeError, match="somebody else made it"):
        plan(wanted(PARAMS), Found(vpc=_vpc()))


def test_what_cannot_be_changed_is_refused() -> None:
    with pytest.raises(HubspokeError, match="first network cannot be changed"):
        plan(wanted(PARAMS), Found(vpc=_vpc("10.9.0.0/16", **{OWNER: "seoul"})))
    subnet = found_.FoundSubnet("subnet-1", {}, "10.10.0.0/20", "ap-northeast-2c", False)
    with pytest.raises(HubspokeError, match="A subnet stays in its zone"):
        plan(wanted(PARAMS), Found(vpc=_vpc(**{OWNER: "seoul"}), subnets=(subnet,)))


def test_on_nothing_only_the_vpc_can_be_made() -> None:
    differences = plan(wanted(params(peers=[TOKYO])), Found()).differences
    assert [each.kind for each in differences if each.ready] == ["vpc"]
    assert {each.action for each in differences} == {"create"}


def test_tags_of_others_are_no_difference() -> None:
    vpc = _vpc(**{OWNER: "seoul", "cost": "high"})
    assert "vpc" not in [each.kind for each in plan(wanted(PARAMS), Found(vpc=vpc)).differences]
    changed = plan(wanted(params(tags={"team": "other"})), Found(vpc=vpc)).differences[0]
    assert (changed.kind, changed.action) == ("vpc", "update")


class Network:
    """The module against a server, and the differences put right in rounds as the role does."""

    def __init__(self, make_task: t.Callable[..., t.Any], **changes: t.Any) -> None:
        self._params = params(**changes)
        self._make_task = make_task

    def look(self) -> Object:
        task, *_rest = self._make_task({**connection(self._params["region"]), **self._params})
        result: Object = eks_network_info.run(task)
        return result

    def rounds(self) -> int:
        for number in range(8):
            differences = self.look()["differences"]
            if not any(each["ready"] for each in differences):
                return number
            put_right(differences, self._params["region"])
        raise AssertionError(self.look()["differences"])


def test_it_converges(aws: str, make_task: t.Callable[..., t.Any]) -> None:
    network = Network(make_task, nat="zone", endpoints=["s3", "sts", "ecr.api"])
    first = network.look()
    assert "seoul-private-ap-northeast-2a" in first["diff"]["after"]
    assert first["diff"]["before"] == ""
    assert network.rounds() <= 5
    result = network.look()
    assert (result["differences"], result["pending"]) == ([], [])
    assert result["diff"]["before"] == result["diff"]["after"] == ""
    assert len(result["private_subnet_ids"]) == len(result["public_subnet_ids"]) == 2
    assert [each["kind"] for each in result["found"]][-1] == "vpc"


def test_both_sides_are_peered_with_routes_both_ways(aws: str, make_task: t.Callable[..., t.Any]) -> None:
    seoul = Network(make_task, peers=[TOKYO], endpoints=[])
    tokyo = Network(make_task, **OF_TOKYO, endpoints=[])
    seoul.rounds()
    assert "is not there yet" in seoul.look()["pending"][0]
    tokyo.rounds()
    assert "requested by seoul" in tokyo.look()["pending"][0]
    for network in (seoul, tokyo):
        network.rounds()
        assert (network.look()["differences"], network.look()["pending"]) == ([], [])
    for region, other in ((REGION, "10.20.0.0/16"), (OTHER, "10.10.0.0/16")):
        ec2 = boto3.client("ec2", region_name=region)
        tables = [each for each in ec2.describe_route_tables()["RouteTables"] if each.get("Tags")]
        for table in tables:
            route = next(each for each in table["Routes"] if each.get("DestinationCidrBlock") == other)
            assert route["VpcPeeringConnectionId"].startswith("pcx-")
        assert len(tables) == 2


def test_a_route_that_somebody_took_away_comes_back(aws: str, make_task: t.Callable[..., t.Any]) -> None:
    network = Network(make_task, endpoints=[])
    network.rounds()
    ec2 = boto3.client("ec2", region_name=REGION)
    table = next(each for each in ec2.describe_route_tables()["RouteTables"] if each.get("Tags"))
    ec2.delete_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0")
    (difference,) = network.look()["differences"]
    assert (difference["kind"], difference["action"], difference["ready"]) == ("route_table", "update", True)
    network.rounds()
    assert network.look()["differences"] == []
