# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The look-alike's front door, its settings and counts, its nodes, and the process that it is."""

from __future__ import annotations

import dataclasses
import pathlib
import sys
import typing as t

import pytest
from lookalike import Lookalike, refused

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_installed as installed
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_nodes as machines
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_process
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_kwok_config import configuration
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_spec import KWOK, Spec, check_name
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_calls import writes
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_errors import AwsError, throttled
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_model import model
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_planes import plane_name
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_world import Settings


@pytest.fixture
def aws() -> Lookalike:
    return Lookalike()


# The model


def test_every_path_of_the_model_leads_to_its_operation() -> None:
    eks = model("eks")
    for name in eks.operations:
        http = eks.operation(name).http
        path = http["requestUri"].partition("?")[0]
        asked = eks.route(http["method"], path.replace("{", "").replace("}", ""))
        assert asked, name
        assert asked.operation == name


def test_names_in_a_path_may_hold_slashes() -> None:
    asked = model("eks").route("GET", "/clusters/a/access-entries/arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fb")
    assert asked
    assert asked.labels == {"name": "a", "principalArn": "arn:aws:iam::1:role/b"}
    assert model("eks").route("PATCH", "/clusters") is None


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        (b"{", "SerializationException", "not JSON"),
        (b"[]", "SerializationException", "no JSON object"),
        (b"{}", "InvalidParameterException", "roleArn"),
        (b'{"name": 1, "roleArn": "a", "resourcesVpcConfig": {}}', "InvalidParameterException", "name"),
        (
            b'{"name": "a", "roleArn": "a", "resourcesVpcConfig": {}, "upgradePolicy": {"supportType": "LONG"}}',
            "InvalidParameterException",
            "enum value set",
        ),
    ],
)
def test_a_request_against_the_model_is_refused(body: bytes, code: str, text: str) -> None:
    asked = model("eks").route("POST", "/clusters")
    assert asked
    with pytest.raises(AwsError) as caught:
        model("eks").parse(dataclasses.replace(asked, body=body))
    assert caught.value.code == code
    assert text in caught.value.message


@pytest.mark.parametrize(
    "answer", [{"cluster": {"nme": "a"}}, {"cluster": {"name": 1}}, {"cluster": {"status": "GOOD"}}]
)
def test_an_answer_against_the_model_is_a_fault(answer: dict[str, t.Any]) -> None:
    with pytest.raises(ValueError, match="against the model"):
        model("eks").render("DescribeCluster", answer)


@pytest.mark.parametrize(
    ("protocol", "status", "found"),
    [
        ("ec2", 503, b"<Response><Errors><Error><Code>RequestLimitExceeded</Code>"),
        ("query", 400, b"<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code>"),
        ("rest-json", 429, b'{"__type": "ThrottlingException"'),
    ],
)
def test_an_error_has_the_form_of_its_protocol(protocol: str, status: int, found: bytes) -> None:
    code, _, body = throttled().answer(protocol)
    assert code == status
    assert body.startswith(found)


# Control


def test_calls_are_counted_and_writes_are_told_apart(aws: Lookalike) -> None:
    aws.control("DELETE", "calls")
    aws.client("ec2").describe_vpcs()
    aws.client("iam").create_user(UserName="a")
    aws.client("eks").list_clusters()
    aws.client("eks").list_clusters()
    counts = aws.control("GET", "calls")
    assert (counts["total"], counts["writes"]) == (4, 1)
    assert counts["operations"]["eks.ListClusters"] == {
        "count": 2,
        "write": False,
        "throttled": 0,
        "agents": {"Botocore": 2},
    }
    assert counts["operations"]["iam.CreateUser"]["write"]
    aws.control("DELETE", "calls")
    assert aws.control("GET", "calls")["total"] == 0


@pytest.mark.parametrize(
    ("operation", "write"),
    [
        ("DescribeVpcs", False),
        ("GetCallerIdentity", False),
        ("AssumeRole", False),
        ("CreateTags", True),
        ("PUT /x", True),
    ],
)
def test_operations_that_write(operation: str, write: bool) -> None:
    assert writes(operation) is write


def test_a_part_of_the_calls_is_throttled(aws: Lookalike) -> None:
    aws.control("POST", "settings", {"throttle": 1})
    for service, ask, code in (
        ("eks", "list_clusters", "ThrottlingException"),
        ("ec2", "describe_vpcs", "RequestLimitExceeded"),
        ("iam", "list_roles", "Throttling"),
    ):
        with refused(code):
            getattr(aws.client(service), ask)()
    aws.control("POST", "settings", {"throttle": 0.25})
    failed = 0
    for _ in range(40):
        try:
            aws.client("eks").list_clusters()
        except aws.client("eks").exceptions.ClientError:
            failed += 1
    assert 2 < failed < 25


def test_a_region_that_is_not_enabled_knows_nobody(aws: Lookalike) -> None:
    with refused("UnrecognizedClientException"):
        aws.client("eks", region="me-south-1").list_clusters()
    with refused("AuthFailure"):
        aws.client("ec2", region="me-south-1").describe_vpcs()
    aws.control("POST", "settings", {"regions": ["me-south-1"]})
    assert aws.client("eks", region="me-south-1").list_clusters()["clusters"] == []
    with refused("UnrecognizedClientException"):
        aws.client("eks").list_clusters()


@pytest.mark.parametrize("wrong", [{"delay": {}}, {"delays": {"moon": 1}}, {"throttle": 2}, {"regions": "a"}])
def test_a_setting_that_there_is_not_is_refused(aws: Lookalike, wrong: dict[str, t.Any]) -> None:
    status, said = aws.control("POST", "settings", wrong)
    assert (status, said["code"]) == (400, "BadSetting")


def test_a_reset_forgets_clusters_and_roles_but_not_settings(aws: Lookalike) -> None:
    aws.cluster()
    aws.control("POST", "settings", {"throttle": 0.0, "delays": {"cluster": 0.5}})
    aws.control("POST", "reset")
    assert aws.client("eks").list_clusters()["clusters"] == []
    assert aws.client("iam").list_roles()["Roles"] == []
    assert aws.control("GET", "settings")["delays"]["cluster"] == 0.5
    assert aws.control("GET", "health") == {"status": "ok", "real": False, "clusters": {}}


def test_what_is_not_there_is_said(aws: Lookalike) -> None:
    assert aws.control("GET", "nothing")[0] == 404
    assert aws.control("POST", "settings", None)[0] == 400
    assert aws.control("POST", "settings", ["throttle"])[0] == 400
    assert "secrets" not in Settings().shown()


# Nodes

GROUP = machines.Group(
    name="arm",
    cluster="1/ap-northeast-2/seoul",
    region="ap-northeast-2",
    machines=4,
    places=[
        machines.Place("s-a", "ap-northeast-2a", "10.0.0.0/24"),
        machines.Place("s-b", "ap-northeast-2b", "10.0.1.0/24"),
    ],
    instance_type="m7g.large",
    architecture="arm64",
    capacity_type="SPOT",
    image="1.34.9-20261110",
    version="v1.34.9-eks-simulated",
    labels={"team": "lion"},
    taints=[{"key": "arm", "value": "only", "effect": "NO_SCHEDULE"}],
    size=machines.Size(2, 8192, 29),
)


def test_nodes_are_as_eks_labels_them_and_spread_over_the_zones() -> None:
    found = machines.nodes([GROUP])
    assert len(found) == 4
    zones = [node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in found.values()]
    assert zones == ["ap-northeast-2a", "ap-northeast-2b"] * 2
    name, node = next(iter(found.items()))
    assert name.startswith("ip-10-0-0-")
    assert name.endswith(".ap-northeast-2.compute.internal")
    labels = node["metadata"]["labels"]
    assert (labels["eks.amazonaws.com/nodegroup"], labels["eks.amazonaws.com/capacityType"]) == ("arm", "SPOT")
    assert (labels["kubernetes.io/arch"], labels["node.kubernetes.io/instance-type"]) == ("arm64", "m7g.large")
    assert labels["team"] == "lion"
    assert node["spec"]["taints"] == [{"key": "arm", "value": "only", "effect": "NoSchedule"}]
    assert node["status"]["capacity"] == {"cpu": "2", "memory": "8192Mi", "ephemeral-storage": "20Gi", "pods": "29"}


def test_a_group_that_grows_keeps_its_nodes_and_another_image_brings_others() -> None:
    found = set(machines.nodes([GROUP]))
    assert found < set(machines.nodes([dataclasses.replace(GROUP, machines=6)]))
    assert not found & set(machines.nodes([dataclasses.replace(GROUP, image="1.35.6-20261110")]))


def test_no_two_nodes_have_one_address() -> None:
    small = [machines.Place("s", "a", "10.0.0.0/28")]
    both = [
        dataclasses.replace(GROUP, places=small, machines=5),
        dataclasses.replace(GROUP, name="b", places=small, machines=5),
    ]
    assert len(machines.nodes(both)) == 10
    with pytest.raises(ValueError, match="no free address"):
        machines.nodes([dataclasses.replace(GROUP, places=small, machines=11)])


def test_labels_and_taints_follow_and_those_of_others_stay() -> None:
    name, node = next(iter(machines.nodes([GROUP]).items()))
    assert machines.difference(node, node) is None
    node["metadata"]["labels"]["mine"] = "stays"
    pressure = {"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule"}
    node["spec"]["taints"].append(pressure)
    wanted = machines.nodes([dataclasses.replace(GROUP, labels={"tier": "a"}, taints=[])])[name]
    patch = machines.difference(node, wanted)
    assert patch
    assert patch["metadata"]["labels"] == {"tier": "a", "team": None}
    assert patch["spec"]["taints"] == [pressure]


def test_pod_networks_are_free_ones() -> None:
    assert machines.pod_cidrs(["a", "b"], {"100.64.0.0/24"}) == {"a": "100.64.1.0/24", "b": "100.64.2.0/24"}


# The process


@pytest.mark.parametrize("name", ["seoul", "Lion_Pay", "a" * 100, "--", "seoul-production-blue-green"])
def test_control_planes_have_names_of_their_own_that_can_be(name: str) -> None:
    check_name(plane_name("1", "ap-northeast-2", name))
    assert plane_name("1", "ap-northeast-2", name) != plane_name("1", "ap-northeast-1", name)


def test_the_process_finds_the_collections_and_holds_nothing_that_changes_while_it_runs(tmp_path: pathlib.Path) -> None:
    made = _local_aws_process.document({"etcd": "/bin/etcd"}, 24566, str(tmp_path))
    assert made["command"][:2] == [sys.executable, "-m"]
    assert "--settings" not in made["command"]
    for root in made["environment"]["PYTHONPATH"].split(":"):
        assert (pathlib.Path(root) / "ansible_collections").is_dir()


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_local_aws_process, "NEEDED", ("moto", "no_such_library"))
    with pytest.raises(HubspokeError, match=r"missing: no_such_library\. Install moto\[server\]"):
        _local_aws_process.document({}, 1, "/tmp")


def test_an_issuer_takes_the_place_of_kwoks_own() -> None:
    names = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "kubectl")
    spec = Spec(KWOK, api_server_args={"service-account-issuer": "https://oidc.example.com", "v": "2"})
    made = configuration("a", spec, "v1.36.3", home="/h", tools=dict.fromkeys(names, "/bin/x"), ports={})
    (patch,) = [item for item in made["componentsPatches"] if item["name"] == "kube-apiserver"]
    arguments = {item["key"]: item for item in patch["extraArgs"]}
    assert arguments["service-account-issuer"]["override"]
    assert "override" not in arguments["v"]


def test_of_a_manifest_only_definitions_are_put_on_a_cluster(tmp_path: pathlib.Path) -> None:
    kinds = ("CustomResourceDefinition", "ServiceAccount", "CustomResourceDefinition")
    documents = [f"apiVersion: v1\nkind: {kind}\nmetadata:\n  name: n{number}\n" for number, kind in enumerate(kinds)]
    manifest = tmp_path / "install.yaml"
    manifest.write_text("---\n".join(documents))
    assert [item["metadata"]["name"] for item in installed.definitions(str(manifest))] == ["n0", "n2"]
