# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Preflight's judgements of the networks of EKS clusters."""

from __future__ import annotations

import typing as t

import pytest
from unit.preflight_cloud import REGION, Answers, Cloud, cluster, host, short, survey

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_eks_network as network
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_aws import AwsProblem

VPC, PRIVATE, PUBLIC = "eks_cluster_vpc_cidr", "eks_cluster_private_subnets", "eks_cluster_public_subnets"
SERVICE, ACCESS, PEERS = "eks_cluster_service_cidr", "eks_cluster_public_cidrs", "eks_cluster_peers"
ZONES, SUBNETS = "eks_cluster_zones", "eks_cluster_subnet_ids"
OWN = {PUBLIC: ["10.10.0.0/28", "10.10.0.16/28"], PRIVATE: ["10.10.0.32/28", "10.10.0.48/28"], ZONES: ["a", "b"]}
INSIDE = "10.10.1.0/24"


@pytest.mark.parametrize(
    ("values", "expected", "found"),
    [
        ({VPC: "10.10.0.0/16"}, [("ok", "")], "10.10.0.0/16, overlapping with no other one"),
        ({VPC: "10.10.0.0/20"}, [("ok", "")], ""),
        ({VPC: "10.10.0.0/21"}, [("fail", VPC)], "10.10.0.0/21 is too small: 2048 addresses, and a VPC out of which"),
        ({VPC: "10.8.0.0/15"}, [("fail", VPC)], "10.8.0.0/15 is larger than a VPC can be (/16)"),
        ({VPC: "10.10.0.0/26", **OWN}, [("ok", "")], ""),
        ({VPC: "10.10.0.0/29", **OWN}, [("fail", VPC)] + [("fail", PRIVATE)] * 2 + [("fail", PUBLIC)] * 2, "too small"),
        ({VPC: "10.10.0.1/16"}, [("fail", VPC)], "10.10.0.1/16 is an address within a network, not a network"),
        ({VPC: "all"}, [("fail", VPC)], "'all' is no CIDR block of IPv4"),
        ({VPC: "fd00::/48"}, [("fail", VPC)], "is no CIDR block of IPv4"),
        ({}, [("fail", VPC)], "is not given, and eks_cluster_subnet_ids neither"),
        ({SUBNETS: ["subnet-1", "subnet-2"]}, [], ""),
        ({SUBNETS: ["subnet-1", "subnet-2"], VPC: "wrong"}, [], ""),
        ({VPC: "10.10.0.0/16", PRIVATE: [INSIDE]}, [("ok", "")], ""),
        ({VPC: "10.10.0.0/16", PRIVATE: [INSIDE, INSIDE]}, [("fail", PRIVATE)], "overlaps the subnet 10.10.1.0/24"),
        ({VPC: "10.10.0.0/16", PRIVATE: [INSIDE], PUBLIC: ["10.10.1.128/25"]}, [("fail", PUBLIC)], "overlaps the"),
        ({VPC: "10.10.0.0/16", PRIVATE: ["10.11.0.0/24"]}, [("fail", PRIVATE)], "is not within the VPC's 10.10.0.0/16"),
        ({VPC: "10.10.0.0/16", PRIVATE: ["10.10.1.0/29"]}, [("fail", PRIVATE)], "is too small: 8 addresses"),
        ({VPC: "10.10.0.0/16", PRIVATE: ["x"]}, [("fail", PRIVATE)], "'x' is no CIDR block"),
        (
            {VPC: "10.10.0.0/16", PRIVATE: [INSIDE], ZONES: ["a", "b"]},
            [("fail", PRIVATE)],
            "has 1 networks for 2 zones",
        ),
        ({VPC: "10.10.0.0/16", SERVICE: "172.20.0.0/16"}, [("ok", "")], ""),
        ({VPC: "10.10.0.0/16", SERVICE: "10.10.128.0/20"}, [("fail", SERVICE)], "overlaps the VPC's 10.10.0.0/16"),
        ({VPC: "10.10.0.0/16", SERVICE: "100.64.0.0/16"}, [("fail", SERVICE)], "cannot be the network of Services"),
        ({VPC: "10.10.0.0/16", SERVICE: "172.20.0.0/25"}, [("fail", SERVICE)], "cannot be the network of Services"),
        ({VPC: "10.10.0.0/16", SERVICE: "172.20.0.1/16"}, [("fail", SERVICE)], "is an address within a network"),
        ({VPC: "10.10.0.0/16", ACCESS: ["0.0.0.0/0", "203.0.113.7/32"]}, [("ok", "")], ""),
        ({VPC: "10.10.0.0/16", ACCESS: ["203.0.113.7/24"]}, [("fail", ACCESS)], "is an address within a network"),
        ({"cluster_state": "adopted"}, [], ""),
    ],
)
def test_addresses(values: Answers, expected: list[tuple[str, str]], found: str) -> None:
    findings = list(network.addresses(survey(Cloud(), host(**values))))
    assert short(findings) == expected
    assert not findings or found in findings[0].found


def peer(name: str, cidr: str) -> list[dict[str, str]]:
    return [{"name": name, "region": "ap-northeast-1", "cidr": cidr}]


@pytest.mark.parametrize(
    ("seoul", "tokyo", "expected", "hosts"),
    [
        ("10.10.0.0/16", "10.20.0.0/16", [], ()),
        ("10.10.0.0/16", "10.10.0.0/16", [("fail", VPC)], ("seoul", "tokyo")),
        ("10.10.0.0/16", "10.10.240.0/20", [("fail", VPC)], ("seoul", "tokyo")),
    ],
)
def test_peers_of_one_run(seoul: str, tokyo: str, expected: list[tuple[str, str]], hosts: tuple[str, ...]) -> None:
    both = [
        host("seoul", **{VPC: seoul, PEERS: peer("lionpay-tokyo", tokyo)}),
        host("tokyo", cluster_name="lionpay-tokyo", **{VPC: tokyo, PEERS: peer("seoul", seoul)}),
    ]
    wrong = [finding for finding in network.addresses(survey(Cloud(), *both)) if finding.verdict != "ok"]
    assert short(wrong) == expected
    assert [finding.hosts for finding in wrong] == [hosts] * len(expected)


@pytest.mark.parametrize(
    ("cidr", "expected", "found"),
    [
        ("10.20.0.0/16", ("ok", ""), ""),
        ("10.10.128.0/17", ("fail", VPC), "10.10.0.0/16 of seoul overlaps 10.10.128.0/17 of tokyo, its peer"),
        ("10.20.0.0", ("fail", PEERS), "'10.20.0.0' is no CIDR block"),
        ("10.20", ("fail", PEERS), "'10.20' is no CIDR block"),
    ],
)
def test_a_peer_of_another_run(cidr: str, expected: tuple[str, str], found: str) -> None:
    given = host(**{VPC: "10.10.0.0/16", PEERS: peer("tokyo", cidr)})
    findings = list(network.addresses(survey(Cloud(), given)))
    assert short(findings) == [expected]
    assert found in findings[0].found


def test_peers_that_say_different_things_of_each_other() -> None:
    both = [
        host("seoul", **{VPC: "10.10.0.0/16", PEERS: peer("tokyo", "10.30.0.0/16")}),
        host("tokyo", **{VPC: "10.20.0.0/16"}),
    ]
    (finding,) = network.addresses(survey(Cloud(), *both))
    assert finding.found == "says that tokyo has 10.30.0.0/16, and tokyo says 10.20.0.0/16"
    assert (finding.variable, finding.hosts) == (PEERS, ("seoul",))


def zone(name: str, **more: str) -> dict[str, str]:
    return {"ZoneName": name, "ZoneId": f"id-{name}", "State": "available", **more}


THERE = [
    zone("a"),
    zone("b"),
    zone("full", ZoneId="use1-az3"),
    zone("local", ZoneType="local-zone"),
    zone("x", State="impaired"),
]


@pytest.mark.parametrize(
    ("names", "expected", "found"),
    [
        (["a", "b"], [("ok", "")], "a, b"),
        (["a"], [("fail", ZONES)], "a is the only zone, and EKS wants subnets in two"),
        (["a", "a"], [("fail", ZONES)], "a is the only zone"),
        (["a", "b", "a"], [("fail", ZONES)], "a is named twice"),
        ([], [("fail", ZONES)], "no zone is named"),
        (["a", "c"], [("fail", ZONES)], f"c is no zone of {REGION}"),
        (["a", "full"], [("fail", ZONES)], "full (use1-az3) cannot have a control plane (UnsupportedAvailabilityZone"),
        (["a", "local"], [("fail", ZONES)], "local (id-local) cannot have a control plane"),
        (["a", "x"], [("fail", ZONES)], "x (id-x) cannot have a control plane"),
    ],
)
def test_zones(names: list[str], expected: list[tuple[str, str]], found: str) -> None:
    cloud = Cloud(describe_availability_zones={"AvailabilityZones": THERE})
    findings = list(network.zones(survey(cloud, host(**{ZONES: names}))))
    assert short(findings) == expected
    assert found in findings[0].found


def test_zones_of_a_cluster_that_is_there_are_not_asked_for() -> None:
    cloud = Cloud(**cluster())
    assert list(network.zones(survey(cloud, host(**{ZONES: ["a", "b"]})))) == []
    assert cloud.asked == ["describe_cluster"]


def subnet(name: str, zone: str, vpc: str = "vpc-1", zone_id: str = "") -> dict[str, str]:
    return {"SubnetId": name, "AvailabilityZone": zone, "VpcId": vpc, "AvailabilityZoneId": zone_id}


@pytest.mark.parametrize(
    ("there", "expected", "found"),
    [
        ([subnet("s-1", "a"), subnet("s-2", "b")], ("ok", ""), "a, b, by the subnets"),
        ([subnet("s-1", "a"), subnet("s-2", "a")], ("fail", SUBNETS), "all subnets are in a, and EKS wants two zones"),
        ([subnet("s-1", "a")], ("fail", SUBNETS), "has no subnet s-2 (InvalidSubnetID.NotFound)"),
        ([subnet("s-1", "a"), subnet("s-2", "b", "vpc-2")], ("fail", SUBNETS), "of several VPCs: vpc-1, vpc-2"),
        ([subnet("s-1", "a"), subnet("s-2", "b", "vpc-1", "use1-az3")], ("fail", SUBNETS), "b cannot have a control"),
        (AwsProblem("No", "denied", "UnauthorizedOperation"), ("warn", SUBNETS), "the subnets could not be read"),
    ],
)
def test_subnets_that_are_there(there: t.Any, expected: tuple[str, str], found: str) -> None:
    answer = there if isinstance(there, Exception) else {"Subnets": there}
    findings = list(network.zones(survey(Cloud(describe_subnets=answer), host(**{SUBNETS: ["s-1", "s-2"]}))))
    assert short(findings) == [expected]
    assert found in findings[0].found
