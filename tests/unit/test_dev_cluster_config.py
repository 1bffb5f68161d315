# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the providers' programs are given."""

from __future__ import annotations

import json
import tomllib
import typing as t

import pytest
import yaml

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _dev_cluster_k3d as k3d
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _dev_cluster_kind as kind
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _dev_cluster_kwok_config as kwok
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _dev_cluster_simulation as simulation
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_docker import config_file
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_spec import Port, Spec
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

PORTS = (Port(8080, 80), Port(5353, 53, "0.0.0.0", "udp"))
MIRRORS = {"docker.io": ("http://172.17.0.1:5000", "http://second.test"), "quay.io": ("http://172.17.0.1:5000",)}


def full(provider: str) -> Spec:
    return Spec(
        provider,
        version="v1.36.3",
        servers=3,
        agents=2,
        ports=PORTS,
        registry_mirrors=MIRRORS,
        api_server_args={"audit-log-maxage": "7", "v": "2"},
    )


def test_kind_v1alpha4() -> None:
    config = kind.configuration("dev", full("kind"))
    assert (config["kind"], config["apiVersion"], config["name"]) == ("Cluster", "kind.x-k8s.io/v1alpha4", "dev")
    assert config["networking"] == {"apiServerAddress": "127.0.0.1"}
    assert [node["role"] for node in config["nodes"]] == ["control-plane"] * 3 + ["worker"] * 2
    assert {node["image"] for node in config["nodes"]} == {"kindest/node:v1.36.3"}
    assert config["nodes"][0]["extraPortMappings"] == [
        {"containerPort": 80, "hostPort": 8080, "listenAddress": "127.0.0.1", "protocol": "TCP"},
        {"containerPort": 53, "hostPort": 5353, "listenAddress": "0.0.0.0", "protocol": "UDP"},
    ]
    assert all("extraPortMappings" not in node for node in config["nodes"][1:])
    patch = yaml.safe_load(config["kubeadmConfigPatches"][0])
    # No apiVersion, and a map: kind converts that to what each version of kubeadm wants.
    assert patch == {"kind": "ClusterConfiguration", "apiServer": {"extraArgs": {"audit-log-maxage": "7", "v": "2"}}}


def test_kind_at_its_least_leaves_the_image_to_kind() -> None:
    config = kind.configuration("dev", Spec("kind"))
    assert config["nodes"] == [{"role": "control-plane"}]
    assert "kubeadmConfigPatches" not in config
    image = kind.configuration("dev", Spec("kind", version="v1.36.3", image="example.test/node:1"))["nodes"][0]["image"]
    assert image == "example.test/node:1"


def test_mirrors_as_containerd_reads_them() -> None:
    docker = tomllib.loads(kind.mirror_hosts("docker.io", MIRRORS["docker.io"]))
    assert docker["server"] == "https://registry-1.docker.io"
    assert list(docker["host"]) == list(MIRRORS["docker.io"])
    assert docker["host"]["http://second.test"] == {"capabilities": ["pull", "resolve"]}
    assert tomllib.loads(kind.mirror_hosts("quay.io", MIRRORS["quay.io"]))["server"] == "https://quay.io"


def test_k3d_v1alpha5() -> None:
    config = k3d.configuration("dev", full("k3d"), 300)
    assert (config["kind"], config["apiVersion"]) == ("Simple", "k3d.io/v1alpha5")
    assert config["metadata"] == {"name": "dev"}
    assert (config["servers"], config["agents"]) == (3, 2)
    assert config["image"] == "rancher/k3s:v1.36.3-k3s1"
    assert config["kubeAPI"]["hostIP"] == "127.0.0.1"
    assert config["options"]["kubeconfig"] == {"updateDefaultKubeconfig": False, "switchCurrentContext": False}
    assert config["ports"] == [
        {"port": "127.0.0.1:8080:80/tcp", "nodeFilters": ["loadbalancer"]},
        {"port": "0.0.0.0:5353:53/udp", "nodeFilters": ["loadbalancer"]},
    ]
    assert yaml.safe_load(config["registries"]["config"]) == {
        "mirrors": {name: {"endpoint": list(urls)} for name, urls in MIRRORS.items()}
    }
    assert config["options"]["k3s"]["extraArgs"] == [
        {"arg": "--kube-apiserver-arg=audit-log-maxage=7", "nodeFilters": ["server:*"]},
        {"arg": "--kube-apiserver-arg=v=2", "nodeFilters": ["server:*"]},
    ]


def test_k3d_at_its_least_leaves_the_image_to_k3d() -> None:
    config = k3d.configuration("dev", Spec("k3d"), 300)
    assert not {"image", "ports", "registries"} & set(config)
    assert "k3s" not in config["options"]


def test_k3d_clusters_share_a_network() -> None:
    networks = {k3d.configuration(name, Spec("k3d"), 300)["network"] for name in ("hub", "spoke")}
    assert len(networks) == 1


def _kwok(spec: Spec, **tools: str) -> dict[str, t.Any]:
    paths = {name: f"/tools/{name}" for name in kwok.TOOLS if tools.get(name, "yes") == "yes"}
    ports = kwok.choose_ports("dev", [], lambda port: True)
    return kwok.configuration("dev", spec, "v1.36.3", home="/state", tools=paths, ports=ports)


def _arguments(config: dict[str, t.Any], component: str) -> dict[str, str]:
    patches = [patch for patch in config["componentsPatches"] if patch["name"] == component]
    return {item["key"]: item["value"] for patch in patches for item in patch["extraArgs"]}


def test_kwok_listens_on_loopback_with_every_port_chosen() -> None:
    options = _kwok(Spec("kwok"))["options"]
    assert options["bindAddress"] == "127.0.0.1"
    ports = {name: value for name, value in options.items() if name.endswith("Port")}
    assert set(ports) == {option for _, _, names in kwok.COMPONENTS.values() for option in names}
    assert len(set(ports.values())) == len(ports) == 7
    assert options["etcdBinary"] == "/tools/etcd"
    assert options["kwokControllerBinary"] == "/tools/kwok"


def test_kwok_arguments_of_the_user_come_first_and_an_empty_one_takes_ours_away() -> None:
    ours = _arguments(_kwok(Spec("kwok")), "kube-apiserver")
    assert "Webhook" in ours["disable-admission-plugins"]
    spec = Spec(
        "kwok", api_server_args={"disable-admission-plugins": "", "service-cluster-ip-range": "10.1.0.0/16", "v": "2"}
    )
    found = _arguments(_kwok(spec), "kube-apiserver")
    assert "disable-admission-plugins" not in found
    assert (found["service-cluster-ip-range"], found["v"]) == ("10.1.0.0/16", "2")


def test_kwok_without_metrics_server() -> None:
    config = _kwok(Spec("kwok"), **{"metrics-server": "no"})
    assert "enable" not in config["options"]
    assert _arguments(config, "metrics-server") == {}
    assert simulation.objects(None) == simulation.objects(18000)[:3]


def test_ports_stay_the_same_and_are_nobody_elses() -> None:
    first = kwok.choose_ports("/state/clusters/a", [], lambda port: True)
    assert kwok.choose_ports("/state/clusters/a", [], lambda port: True) == first
    second = kwok.choose_ports("/state/clusters/a", first.values(), lambda port: port % 2 == 0)
    assert not set(second.values()) & set(first.values())
    assert all(port % 2 == 0 for port in second.values())


def test_every_port_taken() -> None:
    with pytest.raises(HubspokeError, match="not enough free ports"):
        kwok.choose_ports("a", [], lambda port: False)


def test_configuration_files_are_yaml_and_json() -> None:
    config = _kwok(full("kwok"))
    assert yaml.safe_load(config_file(config)) == json.loads(config_file(config)) == config


def test_stages_are_what_kwok_reads() -> None:
    stages = list(yaml.safe_load_all(simulation.STAGES))
    assert {stage["kind"] for stage in stages} == {"Stage"}
    assert {stage["spec"]["resourceRef"]["kind"] for stage in stages} == {
        "PersistentVolumeClaim",
        "PersistentVolume",
        "Service",
        "Ingress",
        "Pod",
    }
    names = [stage["metadata"]["name"] for stage in stages]
    assert len(set(names)) == len(names)
    assert simulation.DRIVER in simulation.STAGES


def test_nodes_by_name() -> None:
    nodes = [simulation.node("dev", index, "v1.36.3") for index in range(300)]
    names = [node["metadata"]["name"] for node in nodes]
    assert [simulation.node_index("dev", name) for name in names] == list(range(300))
    assert simulation.node_index("dev", "dev-agent-x") is None
    assert simulation.node_index("dev", "prod-agent-1") is None
    assert len({node["spec"]["podCIDR"] for node in nodes}) == 300
    assert nodes[0]["status"]["nodeInfo"]["kubeletVersion"] == "v1.36.3"
