# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A look-alike of EC2 and IAM for unit tests, and what does to it what differences say."""

from __future__ import annotations

import json
import os
import typing as t
import uuid

import boto3
import pytest

REGION, OTHER = "ap-northeast-2", "ap-northeast-1"
Object = dict[str, t.Any]


def _free_server() -> t.Any:
    # Read when moto is imported; without it attaching one of AWS's own policies would fail.
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
    from moto.server import ThreadedMotoServer

    return ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)


@pytest.fixture(scope="module")
def moto() -> t.Iterator[str]:
    """Address of a server of this module's own."""
    server = _free_server()
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(moto: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The same, empty, as what the environment names."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    account = {"AWS_ACCESS_KEY_ID": uuid.uuid4().hex, "AWS_SECRET_ACCESS_KEY": "rehearsal"}
    for name, value in {**account, "AWS_ENDPOINT_URL": moto, "AWS_DEFAULT_REGION": REGION}.items():
        monkeypatch.setenv(name, value)
    import urllib.request

    urllib.request.urlopen(urllib.request.Request(f"{moto}/moto-api/reset", method="POST"))
    return moto


def connection(region: str = REGION) -> Object:
    """The connection options that a task has when it sets only its region."""
    from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws import CONNECTION_SPEC

    return {**dict.fromkeys(CONNECTION_SPEC), "region": region, "validate_certs": True}


def _tags(tags: Object, kind: str) -> list[Object]:
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]


def put_right(differences: t.Iterable[Object], region: str = REGION) -> None:
    """What role eks_cluster does with amazon.aws's modules."""
    ec2, iam = boto3.client("ec2", region_name=region), boto3.client("iam", region_name=region)
    for each in differences:
        if each["ready"]:
            _HANDLERS[each["kind"]](ec2 if each["kind"] not in ("role", "policy") else iam, each["arguments"])


def _vpc(ec2: t.Any, to: Object) -> None:
    ec2.create_vpc(CidrBlock=to["cidr"], TagSpecifications=_tags(to["tags"], "vpc"))


def _subnet(ec2: t.Any, to: Object) -> None:
    made = ec2.create_subnet(
        VpcId=to["vpc_id"],
        CidrBlock=to["cidr"],
        AvailabilityZone=to["zone"],
        TagSpecifications=_tags(to["tags"], "subnet"),
    )
    value = {"Value": to["public_addresses"]}
    ec2.modify_subnet_attribute(SubnetId=made["Subnet"]["SubnetId"], MapPublicIpOnLaunch=value)


def _gateway(ec2: t.Any, to: Object) -> None:
    made = ec2.create_internet_gateway(TagSpecifications=_tags(to["tags"], "internet-gateway"))
    ec2.attach_internet_gateway(VpcId=to["vpc_id"], InternetGatewayId=made["InternetGateway"]["InternetGatewayId"])


def _group(ec2: t.Any, to: Object) -> None:
    ec2.create_security_group(GroupName=to["name"], Description="test", VpcId=to["vpc_id"])


def _nat(ec2: t.Any, to: Object) -> None:
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    ec2.create_nat_gateway(
        SubnetId=to["subnet_id"], AllocationId=address, TagSpecifications=_tags(to["tags"], "natgateway")
    )


def _table(ec2: t.Any, to: Object) -> None:
    id_ = to["id"]
    if not id_:
        made = ec2.create_route_table(VpcId=to["vpc_id"], TagSpecifications=_tags(to["tags"], "route-table"))
        id_ = made["RouteTable"]["RouteTableId"]
        for subnet in to["subnets"]:
            ec2.associate_route_table(RouteTableId=id_, SubnetId=subnet)
    (found,) = ec2.describe_route_tables(RouteTableIds=[id_])["RouteTables"]
    there = {route.get("DestinationCidrBlock") for route in found["Routes"]}
    for route in to["routes"]:
        target = route.get("gateway_id") or route["vpc_peering_connection_id"]
        names = {"igw": "GatewayId", "nat": "NatGatewayId", "pcx": "VpcPeeringConnectionId"}
        if route["dest"] not in there:
            option = {names[target.split("-")[0]]: target}
            ec2.create_route(RouteTableId=id_, DestinationCidrBlock=route["dest"], **option)


def _endpoint(ec2: t.Any, to: Object) -> None:
    ec2.create_vpc_endpoint(
        VpcId=to["vpc_id"],
        ServiceName=to["service"],
        VpcEndpointType=to["type"],
        RouteTableIds=to["route_tables"],
        SubnetIds=to["subnets"],
        SecurityGroupIds=to["groups"],
        TagSpecifications=_tags(to["tags"], "vpc-endpoint"),
    )


def _peering(ec2: t.Any, to: Object) -> None:
    ec2.create_vpc_peering_connection(VpcId=to["vpc_id"], PeerVpcId=to["peer_vpc_id"], PeerRegion=to["peer_region"])


def _acceptance(_ec2: t.Any, to: Object) -> None:
    other = boto3.client("ec2", region_name=to["region"])
    other.accept_vpc_peering_connection(VpcPeeringConnectionId=to["peering_id"])


def _role(iam: t.Any, to: Object) -> None:
    tags = [{"Key": key, "Value": value} for key, value in to["tags"].items()]
    iam.create_role(RoleName=to["name"], Path=to["path"], AssumeRolePolicyDocument=json.dumps(to["trust"]), Tags=tags)
    for arn in to["managed"]:
        iam.attach_role_policy(RoleName=to["name"], PolicyArn=arn)


def _policy(iam: t.Any, to: Object) -> None:
    if to["document"]:
        iam.put_role_policy(RoleName=to["role"], PolicyName=to["name"], PolicyDocument=json.dumps(to["document"]))
    else:
        iam.delete_role_policy(RoleName=to["role"], PolicyName=to["name"])


_HANDLERS: dict[str, t.Callable[[t.Any, Object], None]] = {
    "vpc": _vpc,
    "subnet": _subnet,
    "internet_gateway": _gateway,
    "security_group": _group,
    "nat_gateway": _nat,
    "route_table": _table,
    "endpoint": _endpoint,
    "peering": _peering,
    "peering_acceptance": _acceptance,
    "role": _role,
    "policy": _policy,
}
