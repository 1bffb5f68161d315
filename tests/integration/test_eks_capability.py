# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A hub whose Argo CD is run by AWS, and a spoke, from nothing to their end, in the look-alike of AWS; in order."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import typing as t
import urllib.request

import boto3
import pytest
import yaml

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _eks_token
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_settings import HEALTH_KEY
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import ApiError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube

from .conftest import ROOT, STATE, Run, free_ports, run_playbook

pytestmark = [pytest.mark.slow, pytest.mark.ansible]

ACCOUNT = "123456789012"
REGIONS = {"seoul": "ap-northeast-2", "tokyo": "ap-northeast-1"}
ARNS = {name: f"arn:aws:eks:{region}:{ACCOUNT}:cluster/{name}" for name, region in REGIONS.items()}
ROLE = f"arn:aws:iam::{ACCOUNT}:role/seoul-argocd-capability"
SERVICE = {"Service": "capabilities.eks.amazonaws.com"}
POLICY = "arn:aws:eks::aws:cluster-access-policy/"
MOST_CALLS = 60
_PORTS = 20
Object = dict[str, t.Any]

VARIABLES: Object = {
    "ansible_connection": "local",
    "ansible_python_interpreter": sys.executable,
    "cluster_provider": "eks",
    "cluster_account": ACCOUNT,
    "cluster_version": "1.34",
    "cluster_labels": {"environment": "production"},
    "argocd_provider": "eks_capability",
    "argocd_capability_idc_instance": "arn:aws:sso:::instance/ssoins-0123456789abcdef",
    "argocd_capability_role_mappings": [{"role": "ADMIN", "identities": [{"id": "0123-4567", "type": "SSO_GROUP"}]}],
    "argocd_wait": False,  # there are no nodes, and its processes are waited for
    "argocd_config": {"resource.compareoptions": "ignoreAggregatedRoles: true"},
    "argocd_projects": [
        {"name": "platform", "spec": {"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]}}
    ],
    "gitops_root_project": "platform",
    "local_aws_cluster_seconds": 1,
}


@dataclasses.dataclass
class Fleet:
    """Two clusters and the look-alike that they are in."""

    folder: pathlib.Path
    state: pathlib.Path
    environment: dict[str, str]
    ports: int
    subnets: dict[str, list[str]] = dataclasses.field(default_factory=dict)

    def play(self, playbook: str, *arguments: str) -> Run:
        """Run one of our playbooks."""
        inventory = self.folder / "hosts.yml"
        variables = {
            **VARIABLES,
            "hubspoke_state_dir": str(self.state),
            "gitops_root_repository": f"file://{self.folder / 'platform'}",
            "local_controllers_port_base": self.ports,
        }
        hosts = {
            name: {"cluster_region": region, "eks_cluster_subnet_ids": self.subnets.get(name, [])}
            for name, region in REGIONS.items()
        }
        groups = {"hub": {"hosts": {"seoul": hosts["seoul"]}}, "spokes": {"hosts": {"tokyo": hosts["tokyo"]}}}
        inventory.write_text(yaml.safe_dump({"all": {"vars": variables}, **groups}))
        path = ROOT / "playbooks" / f"{playbook}.yml"
        return run_playbook(self.folder, path, *arguments, inventory=str(inventory), environment=self.environment)

    def good(self, playbook: str, *arguments: str) -> list[str]:
        """The same for a run that succeeds: tasks that changed something, each with its host."""
        done = self.play(playbook, *arguments)
        assert done.code == 0, done.output[-8000:]
        return [f"{line['host']}: {line['task']}" for line in done.lines if line["result"].get("changed")]

    def calls(self, method: str = "GET") -> Object:
        """How AWS was called since the last DELETE."""
        request = urllib.request.Request(f"{self.environment['AWS_ENDPOINT_URL']}/local-aws/calls", method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: Object = json.loads(answer.read() or b"{}")
        return found

    def kube(self, cluster: str = "seoul") -> Kube:
        """The API of a cluster, for an administrator."""
        return Kube.from_params({"kubeconfig": str(self.state / "clusters" / cluster / "kubeconfig")})

    def capability(self) -> Object:
        """As AWS describes it."""
        found: Object = _client("eks").describe_capability(clusterName="seoul", capabilityName="argocd")["capability"]
        return found


def _client(service: str, cluster: str = "seoul") -> t.Any:
    return boto3.client(service, region_name=REGIONS[cluster])


def _repository(folder: pathlib.Path) -> None:
    """What the root Application brings up: one object."""
    folder.mkdir()
    item = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "of-the-root"}}
    (folder / "item.yaml").write_text(yaml.safe_dump(item))
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "One object"]):
        who = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
        subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Fleet]:
    """A look-alike with nothing in it; taken down at the end, come what may."""
    # Short: Unix sockets are below it.
    state, ports = STATE / str(os.getpid()) / "cap", free_ports(_PORTS)
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ports + _PORTS - 1}",
        "AWS_ACCESS_KEY_ID": "rehearsal",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret-of-anybody",
    }
    made = Fleet(tmp_path_factory.mktemp("capability"), state, environment, ports)
    _repository(made.folder / "platform")
    with pytest.MonkeyPatch.context() as patched:
        for name, value in environment.items():
            patched.setenv(name, value)
        try:
            made.good("look_alike")
            for name in REGIONS:
                # Those that every account has: networks of our own are another test's.
                found = _client("ec2", name).describe_subnets()["Subnets"]
                made.subnets[name] = sorted(item["SubnetId"] for item in found)
            yield made
        finally:
            made.play("rehearse_teardown")
            shutil.rmtree(state, ignore_errors=True)


def test_a_check_of_nothing_predicts_the_run(fleet: Fleet) -> None:
    predicted = fleet.good("bootstrap", "--check", "--diff")
    assert "seoul: Have AWS run Argo CD" in predicted
    assert _client("eks").list_clusters()["clusters"] == []


def test_from_nothing(fleet: Fleet) -> None:
    fleet.good("rehearse")
    found = fleet.capability()
    assert (found["status"], found["roleArn"], found["health"]["issues"]) == ("ACTIVE", ROLE, [])
    assert found["configuration"]["argoCd"]["awsIdc"]["idcInstanceArn"] == VARIABLES["argocd_capability_idc_instance"]
    assert found["configuration"]["argoCd"]["rbacRoleMappings"] == VARIABLES["argocd_capability_role_mappings"]
    workloads = [*fleet.kube().list("apps/v1", "Deployment", "argocd"), *fleet.kube().list("v1", "Pod", "argocd")]
    assert workloads == []


def test_clusters_are_registered_by_their_arns(fleet: Fleet) -> None:
    assert _registered(fleet) == {name: {"server": arn} for name, arn in ARNS.items()}


def _registered(fleet: Fleet) -> Object:
    found = {}
    for item in fleet.kube().list("v1", "Secret", "argocd", "argocd.argoproj.io/secret-type=cluster"):
        data = {key: base64.b64decode(value).decode() for key, value in item["data"].items()}
        found[data.pop("name")] = data
        assert item["metadata"]["labels"]["environment"] == "production"
    return found


def test_settings_and_applications_are_real_objects(fleet: Fleet) -> None:
    kube, api = fleet.kube(), "argoproj.io/v1alpha1"
    (root,) = kube.list(api, "Application", "argocd")
    assert root["spec"]["destination"] == {"name": "seoul", "namespace": "argocd"}
    projects = {item["metadata"]["name"]: item["spec"] for item in kube.list(api, "AppProject", "argocd")}
    assert sorted(projects) == ["default", "platform"]
    assert projects["platform"]["sourceNamespaces"] == ["argocd"]
    settings = {item["metadata"]["name"]: item.get("data") for item in kube.list("v1", "ConfigMap", "argocd")}
    assert sorted(settings["argocd-cm"]) == ["resource.compareoptions", HEALTH_KEY]
    assert {"argocd-rbac-cm", "argocd-cmd-params-cm"} & set(settings) == set()


def test_its_role_is_let_in_everywhere(fleet: Fleet) -> None:
    policies = {}
    for cluster in REGIONS:
        eks = _client("eks", cluster)
        held = eks.list_associated_access_policies(clusterName=cluster, principalArn=ROLE)["associatedAccessPolicies"]
        policies[cluster] = {item["policyArn"].removeprefix(POLICY) for item in held}
    assert policies["tokyo"] == {"AmazonEKSClusterAdminPolicy"}
    assert policies["seoul"] > policies["tokyo"]  # and AWS's own
    for cluster in REGIONS:
        kube = _as_the_capability(fleet, cluster)
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "made-by-it"}}
        assert kube.request("POST", "/api/v1/namespaces", body)["metadata"]["name"] == "made-by-it"


def _as_the_capability(fleet: Fleet, cluster: str) -> Kube:
    """The API of a cluster for the role, which for a moment trusts us as well."""
    iam, name = _client("iam"), ROLE.rsplit("/", 1)[-1]
    document = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    assert document["Statement"][0]["Principal"] == SERVICE
    us = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    both = {**document, "Statement": [*document["Statement"], us]}
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(both))
    try:
        credentials = _eks_token.find(REGIONS["seoul"], "", ROLE, fleet.environment)
    finally:
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(document))
    address = fleet.environment["AWS_ENDPOINT_URL"]
    token = _eks_token.token(credentials, REGIONS["seoul"], cluster, address, datetime.datetime.now(datetime.UTC))
    found = yaml.safe_load((fleet.state / "clusters" / cluster / "kubeconfig").read_text())
    server, authority = (found["clusters"][0]["cluster"][key] for key in ("server", "certificate-authority-data"))
    ca = fleet.folder / f"{cluster}.crt"
    ca.write_bytes(base64.b64decode(authority))
    return Kube.from_params({"host": server, "ca_cert": str(ca), "api_key": token})


def test_another_run_asks_little_and_writes_nothing(fleet: Fleet) -> None:
    fleet.calls("DELETE")
    assert fleet.good("rehearse") == []
    found = fleet.calls()
    assert found["writes"] == 0
    assert 0 < found["total"] <= MOST_CALLS, found


def test_status_shows_it(fleet: Fleet) -> None:
    done = fleet.play("status")
    assert done.code == 0
    assert "run by AWS as capability argocd: ACTIVE" in done.output
    assert ARNS["tokyo"] in done.output


def test_a_spoke_that_locks_it_out_is_told(fleet: Fleet) -> None:
    eks = _client("eks", "tokyo")
    kube = _as_the_capability(fleet, "tokyo")
    eks.delete_access_entry(clusterName="tokyo", principalArn=ROLE)
    _becomes([("AccessDenied", f"{ROLE} has no access entry on {ARNS['tokyo']}.")], fleet)
    _locked_out(kube)


def _becomes(issues: list[tuple[str, str]], fleet: Fleet) -> None:
    deadline = time.monotonic() + 30
    while (found := [(item["code"], item["message"]) for item in fleet.capability()["health"]["issues"]]) != issues:
        assert time.monotonic() < deadline, found
        time.sleep(0.2)


def _locked_out(kube: Kube) -> None:
    deadline = time.monotonic() + 30
    while _asked(kube) != 401:
        assert time.monotonic() < deadline, "the role is let in"
        time.sleep(0.2)


def _asked(kube: Kube) -> int | None:
    try:
        kube.request("GET", "/api/v1/namespaces")
    except ApiError as error:
        return error.status
    return None


def test_an_installed_argo_cd_takes_its_place(fleet: Fleet) -> None:
    changed = fleet.good("rehearse", "--extra-vars=argocd_provider=self_managed")
    assert "seoul: Delete the capability that uses one of them" in changed
    assert _client("eks").list_capabilities(clusterName="seoul")["capabilities"] == []
    assert ROLE not in [role["Arn"] for role in _client("iam").list_roles()["Roles"]]
    found = _registered(fleet)
    assert {name: data["server"].split(":")[0] for name, data in found.items()} == dict.fromkeys(REGIONS, "https")
    # The Application is the one that was there, and now somebody does what it says.
    (root,) = fleet.kube().list("argoproj.io/v1alpha1", "Application", "argocd")
    assert root["status"]["sync"]["status"] == "Synced"
    assert "of-the-root" in [item["metadata"]["name"] for item in fleet.kube().list("v1", "ConfigMap", "argocd")]


def test_and_gives_it_back_what_it_worked_on(fleet: Fleet) -> None:
    (before,) = fleet.kube().list("argoproj.io/v1alpha1", "Application", "argocd")
    # As Argo CD itself makes the project; this one was AWS's before.
    default = "/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects/default"
    fleet.kube().merge(default, {"spec": {"sourceNamespaces": None}})
    changed = fleet.good("rehearse")
    assert "seoul: Have AWS run Argo CD" in changed
    kube = fleet.kube()
    workloads = [kube.list("apps/v1", kind, "argocd") for kind in ("Deployment", "StatefulSet")]
    assert workloads == [[], []]
    (after,) = kube.list("argoproj.io/v1alpha1", "Application", "argocd")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert kube.request("GET", default)["spec"]["sourceNamespaces"] == ["argocd"]
    assert "of-the-root" in [item["metadata"]["name"] for item in kube.list("v1", "ConfigMap", "argocd")]
    assert _registered(fleet) == {name: {"server": arn} for name, arn in ARNS.items()}
    # The spoke that locked it out lets it in again.
    _becomes([], fleet)


def test_nothing_is_left(fleet: Fleet) -> None:
    assert "seoul: Argo CD that AWS runs" in fleet.good("teardown")
    for cluster in REGIONS:
        assert _client("eks", cluster).list_clusters()["clusters"] == []
    assert [role["RoleName"] for role in _client("iam").list_roles()["Roles"]] == []
