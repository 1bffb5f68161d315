# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What role eks_cluster makes of an inventory: roles, identities, rules, schedules; kubeconfig and token."""

from __future__ import annotations

import base64
import datetime
import json
import pathlib
import stat
import subprocess
import sys
import typing as t
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
import readmes
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.hubspoke.bootstrap.plugins.filter import eks_cluster_wanted as filter_
from ansible_collections.hubspoke.bootstrap.plugins.filter.eks_cluster_annotations import eks_cluster_annotations
from ansible_collections.hubspoke.bootstrap.plugins.filter.eks_cluster_left import eks_cluster_left
from ansible_collections.hubspoke.bootstrap.plugins.filter.eks_cluster_schedules import eks_cluster_schedules
from ansible_collections.hubspoke.bootstrap.plugins.filter.eks_cluster_wanted import eks_cluster_wanted
from ansible_collections.hubspoke.bootstrap.plugins.filter.registration_clusters import registration_clusters
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _eks_details as details
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _eks_kubeconfig as kubeconfig
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _eks_policies as policies
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _eks_token as token
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.modules import eks_kubeconfig

Object = dict[str, t.Any]
ACCOUNT = "111122223333"
SETTINGS: Object = {
    "name": "tokyo",
    "region": "ap-northeast-1",
    "account": ACCOUNT,
    "partition": "aws",
    "dns_zones": [],
    "secrets": ["prod/*"],
    "role_arn": "",
    "node_role_arn": "",
    "node_policies": [],
    "spoke_roles": [],
    "argocd_namespace": "argocd",
    "argocd_access": [{"policy": "AmazonEKSClusterAdminPolicy"}],
    "identity": "pod_identity",
    "argocd_identity": "pod_identity",
    "issuer": "",
    "pod_identities": [],
    "access_entries": [],
    "peers": [],
    "vpc_cidr": "10.20.0.0/16",
    "node_groups": [],
    "security_rules": [],
}
HUB = {"cluster_provider": "eks", "cluster_name": "seoul", "cluster_account": ACCOUNT}
LARGEST_INLINE_POLICY = 10_240


def wanted(changes: Object | None = None, **options: t.Any) -> Object:
    return eks_cluster_wanted({**SETTINGS, **(changes or {})}, **options)


def _statements(role: Object) -> list[Object]:
    return [statement for policy in role["inline_policies"].values() for statement in policy["Statement"]]


def test_a_cluster_has_its_own_two_roles() -> None:
    made = wanted()
    assert [role["name"] for role in made["roles"]] == ["tokyo-cluster", "tokyo-node"]
    assert made["cluster_role_arn"] == f"arn:aws:iam::{ACCOUNT}:role/tokyo-cluster"
    assert "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly" in made["roles"][1]["managed_policies"]
    given = wanted({"role_arn": "arn:a", "node_role_arn": "arn:b"})
    assert (given["roles"], given["cluster_role_arn"], given["node_role_arn"]) == ([], "arn:a", "arn:b")


def test_the_hub_may_take_on_the_roles_of_spokes() -> None:
    made = wanted({"name": "seoul"}, hub=HUB, is_hub=True)
    accounts = ["argocd-application-controller", "argocd-applicationset-controller", "argocd-server"]
    assert [each["service_account"] for each in made["pod_identities"]] == accounts
    assert {each["role_arn"] for each in made["pod_identities"]} == {f"arn:aws:iam::{ACCOUNT}:role/seoul-argocd-hub"}
    (role,) = [each for each in made["roles"] if each["name"] == "seoul-argocd-hub"]
    assert role["trust"]["Statement"][0]["Action"] == ["sts:AssumeRole", "sts:TagSession"]
    (statement,) = _statements(role)
    assert statement["Resource"] == [f"arn:aws:iam::{ACCOUNT}:role/*-argocd-spoke"]
    assert made["spoke_role_arn"] == ""


def test_a_spoke_lets_exactly_the_hubs_role_in() -> None:
    made = wanted(hub={**HUB, "cluster_account": "444455556666"}, is_spoke=True)
    assert made["spoke_role_arn"] == f"arn:aws:iam::{ACCOUNT}:role/tokyo-argocd-spoke"
    (entry,) = made["access_entries"]
    assert entry == {
        "principal_arn": made["spoke_role_arn"],
        "policies": [{"policy": "AmazonEKSClusterAdminPolicy"}],
    }
    (role,) = [each for each in made["roles"] if each["name"] == "tokyo-argocd-spoke"]
    (statement,) = role["trust"]["Statement"]
    assert statement["Principal"] == {"AWS": "arn:aws:iam::444455556666:root"}
    hub_role = "arn:aws:iam::444455556666:role/seoul-argocd-hub"
    assert statement["Condition"] == {"ArnEquals": {"aws:PrincipalArn": hub_role}}


BY_AWS = {**HUB, "argocd_provider": "eks_capability"}
CAPABILITY = f"arn:aws:iam::{ACCOUNT}:role/seoul-argocd-capability"


def test_a_hub_whose_argo_cd_is_run_by_aws_has_a_role_for_it() -> None:
    hub = {**BY_AWS, "argocd_capability_policies": ["AmazonEC2ContainerRegistryPullOnly"]}
    made = wanted({"name": "seoul"}, hub=hub, is_hub=True)
    assert (made["capability_role_arn"], made["pod_identities"], made["spoke_role_arn"]) == (CAPABILITY, [], "")
    # AWS makes the access entry on the hub itself.
    assert made["access_entries"] == []
    (role,) = [each for each in made["roles"] if "argocd" in each["name"]]
    (statement,) = role["trust"]["Statement"]
    assert statement["Principal"] == {"Service": "capabilities.eks.amazonaws.com"}
    assert statement["Action"] == ["sts:AssumeRole", "sts:TagSession"]
    assert role["managed_policies"] == ["arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly"]


def test_a_role_for_it_that_is_there_is_not_made() -> None:
    given = f"arn:aws:iam::{ACCOUNT}:role/platform/argocd"
    hub = {**BY_AWS, "argocd_capability_role_arn": given}
    made = wanted({"name": "seoul"}, hub=hub, is_hub=True)
    assert made["capability_role_arn"] == given
    assert [role["name"] for role in made["roles"]] == ["seoul-cluster", "seoul-node"]
    assert wanted(hub=hub, is_spoke=True)["access_entries"][0]["principal_arn"] == given


def test_a_spoke_lets_the_capability_in_and_needs_no_role() -> None:
    access = [{"policy": "AmazonEKSEditPolicy", "scope": "namespace", "namespaces": ["lionpay"]}]
    made = wanted({"argocd_access": access}, hub={**BY_AWS, "cluster_account": "444455556666"}, is_spoke=True)
    role = "arn:aws:iam::444455556666:role/seoul-argocd-capability"
    assert made["access_entries"] == [{"principal_arn": role, "policies": access}]
    assert (made["spoke_role_arn"], [each["name"] for each in made["roles"]]) == ("", ["tokyo-cluster", "tokyo-node"])
    assert made["cluster_arn"] == f"arn:aws:eks:ap-northeast-1:{ACCOUNT}:cluster/tokyo"


@pytest.mark.parametrize("hub", [{}, HUB, {**BY_AWS, "cluster_provider": "kind"}])
def test_without_a_capability_there_is_no_role_for_one(hub: Object) -> None:
    assert wanted(hub=hub, is_spoke=True)["capability_role_arn"] == ""


@pytest.mark.parametrize("hub", [{}, {"cluster_provider": "kind"}])
def test_a_hub_elsewhere_gets_no_role(hub: Object) -> None:
    made = wanted(hub=hub, is_spoke=True)
    assert (made["spoke_role_arn"], made["access_entries"]) == ("", [])


def test_of_two_peers_in_one_run_one_asks() -> None:
    peers = {"peers": [{"name": "seoul", "region": "r", "cidr": "10.10.0.0/16"}]}
    assert wanted(peers)["peers"][0]["requested_here"]
    assert not wanted(peers, play_hosts=["seoul", "tokyo"])["peers"][0]["requested_here"]
    other = {"name": "seoul", "peers": [{"name": "tokyo", "region": "r", "cidr": "10.20.0.0/16"}]}
    assert wanted(other, play_hosts=["seoul", "tokyo"])["peers"][0]["requested_here"]


def test_service_accounts_may_share_a_role_or_bring_one() -> None:
    identities = [
        {"namespace": "a", "service_account": "one", "role": "shared", "policies": ["external-secrets"]},
        {"namespace": "a", "service_account": "two", "role": "shared"},
        {"namespace": "b", "service_account": "three", "role_arn": "arn:given"},
    ]
    made = wanted({"pod_identities": identities})
    assert [role["name"] for role in made["roles"]][2:] == ["shared"]
    arns = [each["role_arn"] for each in made["pod_identities"]]
    assert arns == [f"arn:aws:iam::{ACCOUNT}:role/shared"] * 2 + ["arn:given"]
    read = _statements(made["roles"][2])[0]
    assert read["Resource"] == [f"arn:aws:secretsmanager:ap-northeast-1:{ACCOUNT}:secret:prod/*"]


HOST = "oidc.eks.ap-northeast-1.amazonaws.com/id/0123456789ABCDEF"
IRSA: Object = {"identity": "irsa", "argocd_identity": "irsa", "issuer": f"https://{HOST}"}


def test_a_role_trusts_exactly_its_service_accounts_by_their_tokens() -> None:
    identities = [
        {"namespace": "a", "service_account": "one", "role": "shared"},
        {"namespace": "b", "service_account": "two", "role": "shared"},
        {"namespace": "b", "service_account": "agent", "role": "shared", "identity": "pod_identity"},
        {"namespace": "kube-system", "service_account": "ebs-csi-controller-sa", "role_arn": "arn:given"},
    ]
    made = wanted({**IRSA, "pod_identities": identities})
    (role,) = [each for each in made["roles"] if each["name"] == "shared"]
    by_agent, by_token = role["trust"]["Statement"]
    assert by_agent["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert by_token["Principal"] == {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{HOST}"}
    assert by_token["Action"] == ["sts:AssumeRoleWithWebIdentity"]
    subjects = ["system:serviceaccount:a:one", "system:serviceaccount:b:two"]
    assert by_token["Condition"] == {
        "StringEquals": {f"{HOST}:aud": "sts.amazonaws.com", f"{HOST}:sub": subjects},
    }
    shared = f"arn:aws:iam::{ACCOUNT}:role/shared"
    assert [each["service_account"] for each in made["pod_identities"]] == ["agent"]
    assert made["no_pod_identities"][0] == {"namespace": "a", "service_account": "one"}
    assert made["addon_roles"] == {"aws-ebs-csi-driver": "arn:given"}
    assert eks_cluster_annotations(made["annotations"]) == f"a/one: {shared}; b/two: {shared}"


def test_an_addon_that_gets_its_role_by_pod_identity_has_no_other() -> None:
    identity = {"namespace": "kube-system", "service_account": "ebs-csi-controller-sa", "role_arn": "arn:given"}
    assert wanted({"pod_identities": [identity]})["addon_roles"] == {"aws-ebs-csi-driver": ""}


def test_the_trust_waits_for_the_issuer() -> None:
    identities = [{"namespace": "a", "service_account": "one", "statements": [{"Effect": "Allow"}]}]
    made = wanted({**IRSA, "issuer": "", "pod_identities": identities})
    assert made["roles"][-1]["trust"] == {}
    assert wanted({"pod_identities": identities})["roles"][-1]["trust"] != {}


@pytest.mark.parametrize("identity", ["pod_identity", "irsa"])
def test_argo_cd_has_a_choice_of_its_own(identity: str) -> None:
    made = wanted({**IRSA, "name": "seoul", "argocd_identity": identity}, hub=HUB, is_hub=True)
    by_token, by_agent = made["web_identities"], made["pod_identities"]
    assert (len(by_token), len(by_agent)) == ((3, 0) if identity == "irsa" else (0, 3))
    role = f"arn:aws:iam::{ACCOUNT}:role/seoul-argocd-hub"
    assert made["argocd_role_arn"] == (role if identity == "irsa" else "")
    # The collection makes these accounts, and annotates them itself.
    assert made["annotations"] == []


def test_an_unknown_policy_is_refused_with_those_there_are() -> None:
    identity = {"namespace": "a", "service_account": "one", "policies": ["external-dn"]}
    with pytest.raises(AnsibleFilterError, match=r"unknown policy external-dn\. .*external-dns"):
        wanted({"pod_identities": [identity]})


@pytest.mark.parametrize("name", sorted(policies.KNOWN))
def test_policies_fit_into_a_role(name: str) -> None:
    scope: Object = {"partition": "aws", "region": "r", "account": ACCOUNT, "dns_zones": (), "secrets": ()}
    document = policies.KNOWN[name](**scope)
    assert len(json.dumps(document, separators=(",", ":"))) < LARGEST_INLINE_POLICY
    for statement in document["Statement"]:
        assert statement["Effect"] == "Allow"
        assert "*" not in statement["Action"]


def test_security_rules_name_networks() -> None:
    settings = {
        "peers": [{"name": "seoul", "region": "r", "cidr": "10.10.0.0/16"}],
        "security_rules": [
            {"ports": "15001-15021"},
            {"ports": "53", "protocol": "udp", "sources": ["vpc", "peers", "192.168.0.0/24"]},
        ],
    }
    rules = details.rules(wanted(settings)["security_rules"])
    assert set(rules) == {
        ("tcp", 443, 443, "10.10.0.0/16"),
        ("tcp", 15001, 15021, "10.20.0.0/16"),
        ("udp", 53, 53, "10.20.0.0/16"),
        ("udp", 53, 53, "10.10.0.0/16"),
        ("udp", 53, 53, "192.168.0.0/24"),
    }
    with pytest.raises(HubspokeError, match="ports https"):
        details.rules([{"ports": "https", "protocol": "tcp", "sources": []}])


def test_only_missing_rules_are_differences() -> None:
    rules = {("tcp", 443, 443, "10.10.0.0/16"): "API", ("tcp", 53, 53, "10.20.0.0/16"): ""}
    permission = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.10.0.0/16"}]}
    group = {
        "GroupId": "sg-1",
        "GroupName": "g",
        "Description": "d",
        "IpPermissions": [permission, {"IpProtocol": "-1"}],
    }
    (difference,) = details.rule_differences(rules, group)
    assert (difference.arguments["group_id"], difference.arguments["to_port"], difference.ready) == ("sg-1", 53, True)
    assert [each.ready for each in details.rule_differences(rules, {})] == [False, False]


def test_identities_are_compared_by_their_role() -> None:
    wanted_ = [{"namespace": "a", "service_account": "one", "role_arn": "arn:1"}]
    assert details.identity_differences(wanted_, {("a", "one"): "arn:1"}) == []
    assert [each.action for each in details.identity_differences(wanted_, {("a", "one"): "arn:2"})] == ["update"]
    assert [each.action for each in details.identity_differences(wanted_, {})] == ["create"]
    there: dict[tuple[str, str], str] = {("a", "one"): "arn:1"}
    assert [each.action for each in details.identity_differences([], there, wanted_)] == ["delete"]
    assert details.identity_differences([], {}, wanted_) == []


UP: Object = {
    "name": "up",
    "recurrence": "0 8 * * 1-5",
    "time_zone": "Asia/Seoul",
    "min_size": 1,
    "max_size": 3,
    "desired_size": 1,
}


def test_schedules_follow_their_groups() -> None:
    group = {"item": {"name": "spot", "schedules": [UP]}, "nodegroup": {"autoscaling_groups": ["eks-spot-1"]}}
    planned = {"item": {"name": "later", "schedules": [{**UP, "name": "down"}]}}
    schedules = eks_cluster_schedules({"results": [group, planned]})
    assert [(each["node_group"], each["group"]) for each in schedules] == [("spot", "eks-spot-1"), ("later", "")]
    described = {
        "Recurrence": "0 8 * * 1-5",
        "TimeZone": "Asia/Seoul",
        "MinSize": 1,
        "MaxSize": 3,
        "DesiredCapacity": 1,
    }
    found = {("eks-spot-1", "up"): details.schedule(described)}
    differences = details.schedule_differences(schedules, found)
    assert [(each.name, each.action, each.ready) for each in differences] == [("down of later", "create", False)]
    moved = {("eks-spot-1", "up"): details.schedule({**described, "TimeZone": None})}
    assert [each.action for each in details.schedule_differences(schedules[:1], moved)] == ["update"]


def test_what_is_left_is_named() -> None:
    interfaces = [{"id": "eni-1", "description": "ELB app/k8s-a"}, {"network_interface_id": "eni-2", "description": ""}]
    assert eks_cluster_left(interfaces) == "eni-1 (ELB app/k8s-a), eni-2"


def test_node_groups_leave_out_what_the_role_specifies() -> None:
    options = readmes.specification(readmes.ROOT / "roles/eks_cluster")["main"]["options"]
    fields = options["eks_cluster_node_groups"]["options"]
    specified = {name: field["default"] for name, field in fields.items() if "default" in field}
    assert {**specified, "release_version": "", "subnet_ids": []} == filter_._NODE_GROUP


def test_an_eks_spoke_is_registered_by_its_role() -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/tokyo-argocd-spoke"
    spoke = {
        "cluster_name": "tokyo",
        "cluster_present": True,
        "cluster_provider_used": "eks",
        "cluster_hub_address": "https://a.eks.amazonaws.com",
        "cluster_argocd_role_arn": role,
    }

    def registered(**more: t.Any) -> Object:
        hosts: Object = {"seoul": {"cluster_name": "seoul"}, "tokyo": {**spoke, **more}}
        clusters = registration_clusters(["tokyo"], hostvars=hosts, hub="seoul", defaults={"token_lifetime": "30d"})
        result: Object = clusters["clusters"][1]
        return result

    found = registered()
    assert (found["credential"], found["aws"]) == ("aws", {"cluster_name": "tokyo", "role_arn": role})
    assert "token_lifetime" not in found
    assert registered(cluster_registration_options={"credential": "bearer_token"})["credential"] == "bearer_token"
    assert "aws" not in registered(cluster_argocd_role_arn="")


def test_argo_cd_that_aws_runs_knows_clusters_by_their_arns() -> None:
    arns = {name: f"arn:aws:eks:r:{ACCOUNT}:cluster/{name}" for name in ("seoul", "tokyo")}
    hosts = {
        name: {"cluster_name": name, "cluster_present": True, "cluster_provider_used": "eks", "cluster_arn": arn}
        for name, arn in arns.items()
    }
    options: Object = {"hub": "seoul", "by_arn": True, "defaults": {"token_lifetime": "30d"}}
    found = registration_clusters(["tokyo"], hostvars=hosts, **options)["clusters"]
    assert [each["server"] for each in found] == list(arns.values())
    assert [sorted(each) for each in found] == [["annotations", "labels", "name", "server"]] * 2
    without_hub = registration_clusters(["tokyo"], hostvars=hosts, with_hub=False, **options)["clusters"]
    assert [each["name"] for each in without_hub] == ["tokyo"]
    hosts["tokyo"]["cluster_provider_used"] = "kind"
    with pytest.raises(AnsibleFilterError, match="which reaches EKS clusters only, and tokyo is not known as one"):
        registration_clusters(["tokyo"], hostvars=hosts, **options)


# Inventories

INVENTORIES = pathlib.Path(readmes.ROOT) / "inventories"


def test_both_inventories_say_the_same_of_all() -> None:
    common = [
        (INVENTORIES / region / "group_vars/all.yml").read_text(encoding="utf-8") for region in ("seoul", "tokyo")
    ]
    assert common[0] == common[1]


def test_tokyo_alone_adopts_the_hub_and_seoul_overrides_that() -> None:
    hub = yaml.safe_load((INVENTORIES / "tokyo/group_vars/hub.yml").read_text(encoding="utf-8"))
    hosts = yaml.safe_load((INVENTORIES / "seoul/hosts.yml").read_text(encoding="utf-8"))
    own = hosts["hub"]["hosts"]["lionpay-seoul"]
    assert (hub["cluster_state"], own["cluster_state"]) == ("adopted", "present")
    assert {name for name in hub if hub[name] != own.get(name)} == {*own, "cluster_region"}


# Kubeconfig and token

CLUSTER = {
    "endpoint": "https://a.eks.amazonaws.com",
    "certificate_authority": "Q0E=",
    "arn": "arn:aws:eks:r:1:cluster/c",
}


def _kubeconfig(make_task: t.Callable[..., t.Any], path: pathlib.Path, check: bool = False, **changes: t.Any) -> Object:
    params = {
        "path": str(path),
        "state": "present",
        "cluster": CLUSTER,
        "name": "c",
        "region": "ap-northeast-1",
        "profile": "",
        "role_arn": "",
        "python": sys.executable,
        "program": "",
        "endpoint_url": "",
        **changes,
    }
    task, *_rest = make_task(params, check_mode=check)
    result: Object = eks_kubeconfig.run(task)
    return result


def test_a_kubeconfig_walks(make_task: t.Callable[..., t.Any], tmp_path: pathlib.Path) -> None:
    path = tmp_path / "clusters/c/kubeconfig"
    assert _kubeconfig(make_task, path, check=True)["changed"]
    assert not path.exists()
    assert _kubeconfig(make_task, path)["changed"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not _kubeconfig(make_task, path)["changed"]
    path.chmod(0o644)
    assert _kubeconfig(make_task, path)["changed"]
    changed = _kubeconfig(make_task, path, role_arn="arn:role")
    assert changed["changed"]
    assert "+" not in changed["diff"]["before"]
    assert "--role=arn:role" in changed["diff"]["after"]
    assert _kubeconfig(make_task, path, state="absent", check=True)["changed"]
    assert _kubeconfig(make_task, path, state="absent")["changed"]
    assert not path.parent.exists()
    assert not _kubeconfig(make_task, path, state="absent")["changed"]


def test_without_a_cluster_nothing_is_written(make_task: t.Callable[..., t.Any], tmp_path: pathlib.Path) -> None:
    result = _kubeconfig(make_task, tmp_path / "kubeconfig", cluster={"endpoint": None})
    assert (result["changed"], result["connection"]["present"]) == (False, False)
    assert not (tmp_path / "kubeconfig").exists()


def test_only_a_rehearsal_is_told_its_credentials(make_task: t.Callable[..., t.Any], tmp_path: pathlib.Path) -> None:
    path = tmp_path / "kubeconfig"
    _kubeconfig(make_task, path)
    (user,) = yaml.safe_load(path.read_text())["users"]
    assert "env" not in user["user"]["exec"]
    local = {**CLUSTER, "endpoint": "https://127.0.0.1:6443"}
    result = _kubeconfig(make_task, path, cluster=local, endpoint_url="http://127.0.0.1:24566")
    assert result["connection"]["simulated"]
    (user,) = yaml.safe_load(path.read_text())["users"]
    names = {each["name"]: each["value"] for each in user["user"]["exec"]["env"]}
    assert names["AWS_ENDPOINT_URL"] == "http://127.0.0.1:24566"
    assert names["AWS_ACCESS_KEY_ID"] == "rehearsal"


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("https://127.0.0.1:1", True),
        ("http://localhost", True),
        ("https://[::1]:1", True),
        ("https://10.0.0.1", False),
        ("https://a.eks.amazonaws.com", False),
        ("", False),
    ],
)
def test_loopback(url: str, loopback: bool) -> None:
    assert kubeconfig.is_loopback(url) is loopback


def _run_token(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(token.__file__), "--region=ap-northeast-1", "--cluster=tokyo", *arguments]
    clean = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true"}
    return subprocess.run(command, env={**clean, **environment}, capture_output=True, text=True, check=False)


def test_a_token_is_a_presigned_question_to_sts_about_this_cluster() -> None:
    done = _run_token({"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "not-a-secret"})
    assert done.returncode == 0, done.stderr
    text = json.loads(done.stdout)["status"]["token"]
    assert text.startswith("k8s-aws-v1.")
    assert "=" not in text
    encoded = text.removeprefix("k8s-aws-v1.")
    url = urllib.parse.urlsplit(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode())
    assert (url.scheme, url.netloc) == ("https", "sts.ap-northeast-1.amazonaws.com")
    query = dict(urllib.parse.parse_qsl(url.query))
    assert query["Action"] == "GetCallerIdentity"
    assert query["X-Amz-SignedHeaders"] == "host;x-k8s-aws-id"
    assert query["X-Amz-Credential"].endswith("/ap-northeast-1/sts/aws4_request")
    assert query["X-Amz-Expires"] == "60"
    assert "not-a-secret" not in done.stdout


@pytest.mark.parametrize("session", ["", "a+token/with=signs"])
def test_it_is_signed_as_botocore_signs(session: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.datetime(2026, 3, 1, 12, 0, 0, tzinfo=datetime.UTC)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda remove_tzinfo=True: now.replace(tzinfo=None))
    address = "https://sts.ap-northeast-1.amazonaws.com"
    request = botocore.awsrequest.AWSRequest(
        method="GET", url=f"{address}/?Action=GetCallerIdentity&Version=2011-06-15", headers={"x-k8s-aws-id": "tokyo"}
    )
    credentials = botocore.credentials.Credentials("AKIAEXAMPLE", "secret", session or None)
    botocore.auth.SigV4QueryAuth(credentials, "sts", "ap-northeast-1", expires=60).add_auth(request)
    ours = token.token(token.Credentials("AKIAEXAMPLE", "secret", session), "ap-northeast-1", "tokyo", address, now)
    encoded = ours.removeprefix("k8s-aws-v1.")
    url = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()

    def parts(text: str) -> Object:
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(text).query))

    assert parts(url) == parts(request.url)


def test_without_credentials_one_line_says_so() -> None:
    done = _run_token({})
    assert done.returncode != 0
    assert "No AWS credentials were found" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_region_of_china_has_its_own_address() -> None:
    assert token.endpoint("cn-north-1", {}) == "https://sts.cn-north-1.amazonaws.com.cn"
    assert token.endpoint("eu-west-1", {"AWS_ENDPOINT_URL": "http://127.0.0.1:1/"}) == "http://127.0.0.1:1"
