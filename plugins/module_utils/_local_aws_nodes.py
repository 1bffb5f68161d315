# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The nodes of a node group, as EKS's machines would register them. Pure."""

from __future__ import annotations

import hashlib
import ipaddress
import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Object = dict[str, t.Any]

_EFFECTS = {"NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute", "PREFER_NO_SCHEDULE": "PreferNoSchedule"}
# The simulated kubelets serve every pod out of such a network; no two nodes' may be the same.
_POD_NETWORK = ipaddress.ip_network("100.64.0.0/10")


@dataclass(frozen=True)
class Place:
    """A subnet that machines are in."""

    id: str
    zone: str
    cidr: str


@dataclass(frozen=True)
class Size:
    """What a machine has."""

    cpus: int
    memory: int
    """In MiB."""
    pods: int


@dataclass(frozen=True)
class Group:
    """A node group, as far as its nodes show it.

    :arg machines: How many there are to be.
    :arg architecture: As Kubernetes names it.
    :arg version: Of the kubelet.
    """

    name: str
    cluster: str
    region: str
    machines: int
    places: Sequence[Place]
    instance_type: str
    architecture: str
    capacity_type: str
    image: str
    version: str
    labels: Mapping[str, str]
    taints: Sequence[Mapping[str, str]]
    size: Size


def nodes(groups: Sequence[Group]) -> dict[str, Object]:
    """All nodes by name. A machine of another image is another machine, with a name of its own."""
    found: dict[str, Object] = {}
    for group in groups:
        for index in range(group.machines):
            place = group.places[index % len(group.places)]
            address = _address(group, index, place, found)
            name = f"{address}.{group.region}.compute.internal"
            found[name] = _node(group, index, place, name, address)
    return found


def pod_cidrs(wanted: Sequence[str], taken: set[str]) -> dict[str, str]:
    """A network for the pods of each new node."""
    free = (str(net) for net in _POD_NETWORK.subnets(new_prefix=24) if str(net) not in taken)
    return dict(zip(wanted, free, strict=False))


def difference(node: Object, wanted: Object) -> Object | None:
    """What to patch into a node that is there, None where nothing is. Labels and taints of others stay."""
    patch: Object = {}
    have, want = node["metadata"].get("labels", {}), wanted["metadata"]["labels"]
    ours = set(filter(None, node["metadata"].get("annotations", {}).get(_LABELS, "").split(",")))
    labels: dict[str, str | None] = {key: value for key, value in want.items() if have.get(key) != value}
    labels |= dict.fromkeys(ours - set(want))
    if labels:
        annotation = {_LABELS: wanted["metadata"]["annotations"][_LABELS]}
        patch["metadata"] = {"labels": labels, "annotations": annotation}
    theirs = [item for item in node.get("spec", {}).get("taints", []) if item["key"].startswith("node.kubernetes.io/")]
    have_taints = [item for item in node.get("spec", {}).get("taints", []) if item not in theirs]
    if have_taints != wanted["spec"]["taints"]:
        patch["spec"] = {"taints": theirs + wanted["spec"]["taints"]}
    return patch or None


_LABELS = "local-aws.hubspoke.bootstrap/labels"


def _address(group: Group, index: int, place: Place, taken: Mapping[str, Object]) -> str:
    """`ip-10-0-1-23`: the same for the same machine, and free."""
    network = ipaddress.ip_network(place.cidr)
    key = f"{group.cluster}/{group.name}/{group.image}/{index}".encode()
    start, room = int.from_bytes(hashlib.sha256(key).digest()[:4], "big"), max(network.num_addresses - 6, 1)
    names = {name.partition(".")[0] for name in taken}
    for offset in range(room):
        # The first four addresses of a subnet, and its last, are AWS's own.
        address = "ip-" + str(network[4 + (start + offset) % room]).replace(".", "-")
        if address not in names:
            return address
    raise ValueError(f"subnet {place.id} has no free address")


def _node(group: Group, index: int, place: Place, name: str, address: str) -> Object:
    machine = "i-" + hashlib.sha256(f"{group.cluster}/{name}".encode()).hexdigest()[:17]
    capacity = {
        "cpu": str(group.size.cpus),
        "memory": f"{group.size.memory}Mi",
        "ephemeral-storage": "20Gi",
        "pods": str(group.size.pods),
    }
    labels = {
        **group.labels,
        "eks.amazonaws.com/nodegroup": group.name,
        "eks.amazonaws.com/nodegroup-image": group.image,
        "eks.amazonaws.com/capacityType": group.capacity_type,
        "kubernetes.io/arch": group.architecture,
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": group.instance_type,
        "topology.kubernetes.io/region": group.region,
        "topology.kubernetes.io/zone": place.zone,
        "topology.ebs.csi.aws.com/zone": place.zone,
        "type": "kwok",
    }
    taints = [
        {
            "key": item["key"],
            "effect": _EFFECTS[item["effect"]],
            **({"value": item["value"]} if item.get("value") else {}),
        }
        for item in group.taints
    ]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {"kwok.x-k8s.io/node": "fake", _LABELS: ",".join(sorted(group.labels))},
            "labels": labels,
        },
        "spec": {"providerID": f"aws:///{place.zone}/{machine}", "taints": taints},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": address.removeprefix("ip-").replace("-", ".")},
                {"type": "Hostname", "address": name},
                {"type": "InternalDNS", "address": name},
            ],
            "allocatable": capacity,
            "capacity": capacity,
            "nodeInfo": {
                "architecture": group.architecture,
                "bootID": "",
                "containerRuntimeVersion": "containerd://simulated",
                "kernelVersion": "simulated",
                "kubeProxyVersion": group.version,
                "kubeletVersion": group.version,
                "machineID": "",
                "operatingSystem": "linux",
                "osImage": "Amazon Linux 2023 (simulated)",
                "systemUUID": "",
            },
        },
    }
