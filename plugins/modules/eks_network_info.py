#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module eks_network_info: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: eks_network_info
short_description: Compare the network of an EKS cluster with what it is to be
version_added: "0.1.0"
description:
  - Reads the VPC of a cluster with its subnets, gateways, route tables, endpoints and peering connections, and says in what
    they differ from the network that the options describe.
  - It writes nothing. A difference carries the arguments of the amazon.aws module that removes it, as role
    C(hubspoke.bootstrap.eks_cluster) calls it.
  - A network has a public and a private subnet in each zone. Where no networks are given for them, private subnets are the
    first sixteenths of the VPC, and public ones are cut out of its last sixteenth.
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options:
  cluster_name:
    description: Name of the cluster, with which everything of it is tagged C(hubspoke.bootstrap/cluster).
    type: str
    required: true
  vpc_name:
    description: Name of the VPC, by default that of the cluster.
    type: str
    default: ""
  vpc_cidr:
    description: Its IPv4 network.
    type: str
    required: true
  zones:
    description: The availability zones, two at least. Their order decides which networks subnets get.
    type: list
    elements: str
    required: true
  private_subnets:
    description: Networks of the private subnets, one for each zone.
    type: list
    elements: str
    default: []
  public_subnets:
    description: Networks of the public subnets, one for each zone.
    type: list
    elements: str
    default: []
  nat:
    description: How private subnets reach the internet - through one NAT gateway for all, one for each zone, or not at all.
    type: str
    choices: [single, zone, none]
    default: single
  endpoints:
    description:
      - Services of AWS to be reached without the internet, as in V(s3), V(ecr.api) or V(sts). V(s3) and V(dynamodb) are entries
        of the route tables and cost nothing; each other one is a network interface in every private subnet.
    type: list
    elements: str
    default: []
  peers:
    description: VPCs of other clusters that routes are to lead to.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the other cluster.
        type: str
        required: true
      region:
        description: Its region.
        type: str
        required: true
      cidr:
        description: Network of its VPC.
        type: str
        required: true
      vpc_name:
        description: Name of its VPC, by default that of the cluster.
        type: str
      vpc_id:
        description: Id of its VPC, where it is another account's.
        type: str
      account:
        description: Id of its account, where it is another one, which then has to accept the connection itself.
        type: str
      requested_here:
        description: Whether this side asks for the connection. Of two clusters that are made at the same time one does.
        type: bool
        default: true
  tags:
    description: Further tags of everything.
    type: dict
    default: {}
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - hubspoke.bootstrap.attributes.info_module
requirements:
  - boto3 >= 1.34.0
  - botocore >= 1.34.0
seealso:
  - module: hubspoke.bootstrap.eks_roles_info
"""

EXAMPLES = r"""
- name: What is still to be made?
  hubspoke.bootstrap.eks_network_info:
    cluster_name: seoul
    region: ap-northeast-2
    vpc_cidr: 10.10.0.0/16
    zones: [ap-northeast-2a, ap-northeast-2c]
    endpoints: [s3]
    peers:
      - {name: tokyo, region: ap-northeast-1, cidr: 10.20.0.0/16}
  register: network

- name: Say it
  ansible.builtin.debug:
    msg: "{{ network.differences | map(attribute='name') }}"
"""

RETURN = r"""
differences:
  description: What differs, in an order in which it can be put right.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description:
        - V(vpc), V(subnet), V(internet_gateway), V(security_group), V(nat_gateway), V(route_table), V(endpoint), V(peering) or
          V(peering_acceptance).
      type: str
    name:
      description: Its name.
      type: str
    action:
      description: V(create) or V(update).
      type: str
    ready:
      description: Whether everything that it depends on is there.
      type: bool
    arguments:
      description: For the module that makes it. What is not known yet is null.
      type: dict
pending:
  description: What waits for another run or another account.
  returned: success
  type: list
  elements: str
vpc_id:
  description: Id of the VPC, empty where there is none.
  returned: success
  type: str
private_subnet_ids:
  description: Ids of the private subnets that are there, in the order of the zones.
  returned: success
  type: list
  elements: str
public_subnet_ids:
  description: Ids of the public subnets that are there, in the order of the zones.
  returned: success
  type: list
  elements: str
nat_gateways:
  description: The NAT gateways that are there, with C(id) and C(state).
  returned: success
  type: list
  elements: dict
found:
  description: Everything of the cluster's that is there, for its removal.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: As in RV(differences).
      type: str
    id:
      description: Its id.
      type: str
    name:
      description: Its name.
      type: str
    cidr:
      description: Network of a subnet.
      type: str
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _eks_network_found as found_
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _eks_network_plan as planning
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws import CONNECTION_SPEC
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_difference import result_of
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_network import connector, read
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_network_found import GONE, Found
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_network_wanted import OWNER, Wanted, wanted
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        **CONNECTION_SPEC,
        "cluster_name": {"type": "str", "required": True},
        "vpc_name": {"type": "str", "default": ""},
        "vpc_cidr": {"type": "str", "required": True},
        "zones": {"type": "list", "elements": "str", "required": True},
        "private_subnets": {"type": "list", "elements": "str", "default": []},
        "public_subnets": {"type": "list", "elements": "str", "default": []},
        "nat": {"type": "str", "choices": ["single", "zone", "none"], "default": "single"},
        "endpoints": {"type": "list", "elements": "str", "default": []},
        "peers": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "name": {"type": "str", "required": True},
                "region": {"type": "str", "required": True},
                "cidr": {"type": "str", "required": True},
                "vpc_name": {"type": "str"},
                "vpc_id": {"type": "str"},
                "account": {"type": "str"},
                "requested_here": {"type": "bool", "default": True},
            },
        },
        "tags": {"type": "dict", "default": {}},
    },
    "supports_check_mode": True,
}


def run(task: Task) -> Result:
    """Wire arguments to the plan."""
    target = wanted(task.params)
    found = read(target, connector(task.params))
    plan = planning.plan(target, found)
    result = result_of(plan.differences, f"network of cluster {target.cluster}", task.diff)
    return {**result, "pending": plan.pending, **_ids(target, found)}


def _ids(target: Wanted, found: Found) -> Result:
    """What the rest of the cluster is made in, and what there is to remove."""
    by_cidr = {subnet.cidr: subnet.id for subnet in found.subnets}
    subnets = [(subnet.public, by_cidr[subnet.cidr]) for subnet in target.subnets if subnet.cidr in by_cidr]
    mine = [each for each in (*found.tables, *found.subnets, *found.gateways) if each.tags.get(OWNER) == target.cluster]
    kinds = {found_.Table: planning.TABLE, found_.FoundSubnet: planning.SUBNET, found_.Thing: planning.GATEWAY}
    things: list[tuple[str, found_.Thing]] = [
        *((planning.PEERING, each) for each in found.peerings if each.status not in GONE),
        *((planning.ENDPOINT, each) for each in found.endpoints if each.state not in GONE),
        *((planning.NAT, each) for each in found.nats if each.state not in GONE),
        *((kinds[type(each)], each) for each in mine),
        *(
            (planning.GROUP, found_.Thing(id_, {"Name": name}))
            for name, id_ in found.groups.items()
            if name == target.group
        ),
        *((planning.VPC, each) for each in (found.vpc,) if each),
    ]
    return {
        "vpc_id": found.vpc.id if found.vpc else "",
        "private_subnet_ids": [id_ for public, id_ in subnets if not public],
        "public_subnet_ids": [id_ for public, id_ in subnets if public],
        "nat_gateways": [{"id": nat.id, "state": nat.state} for nat in found.nats],
        "found": [
            {"kind": kind, "id": each.id, "name": each.name, "cidr": getattr(each, "cidr", "")} for kind, each in things
        ],
    }


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
