# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Role local_aws: a real API server behind a cluster, and whom it lets in; started, repeated, killed and removed."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import time
import typing as t
import urllib.error
import urllib.request

import boto3
import pytest

REGION, ACCOUNT, OTHER = "ap-northeast-2", "123456789012", "210987654321"
SECRET = "not-a-secret-of-anybody"
POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKS"
DELAYS = {f"local_aws_{name}_seconds": 0.2 for name in ("cluster", "nodegroup", "addon", "update")}

STATE = pathlib.Path(__file__).parents[2] / ".state/tests"

Apply = t.Callable[..., t.Any]
Place = tuple[pathlib.Path, int]


@pytest.fixture(scope="module")
def place() -> t.Iterator[Place]:
    """Where the look-alike is, and its port. Short: Unix sockets are below it."""
    directory = STATE / str(os.getpid()) / "aws"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    yield directory, port
    kill(directory)
    shutil.rmtree(directory, ignore_errors=True)


def kill(directory: pathlib.Path, *programs: str) -> None:
    """End what a folder is named in, all or only some programs."""
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            command = path.read_text()
            if f"{directory}/" in command and any(name in command for name in programs or [""]):
                os.kill(int(path.parent.name), signal.SIGKILL)


@pytest.fixture
def apply(place: Place, play: Apply) -> Apply:
    """Run the role."""

    def run(*arguments: str, **given: t.Any) -> t.Any:
        directory, port = place
        variables = {"local_aws_directory": str(directory), "local_aws_port": port, **DELAYS, **given}
        done = play(
            [{"hosts": "all", "gather_facts": False, "vars": variables, "roles": ["hubspoke.bootstrap.local_aws"]}],
            *arguments,
        )
        assert done.code == 0, done.output
        return done

    return run


def changed(done: t.Any) -> bool:
    return any(line["result"].get("changed") for line in done.lines)


@pytest.fixture
def address(place: Place, apply: Apply, monkeypatch: pytest.MonkeyPatch) -> str:
    """The look-alike, running, as the environment of this process says."""
    apply()
    url = f"http://127.0.0.1:{place[1]}"
    for name, value in (("ENDPOINT_URL", url), ("ACCESS_KEY_ID", "rehearsal"), ("SECRET_ACCESS_KEY", SECRET)):
        monkeypatch.setenv(f"AWS_{name}", value)
    for name in ("REGION", "DEFAULT_REGION"):
        monkeypatch.setenv(f"AWS_{name}", REGION)
    return url


def processes(place: Place) -> list[str]:
    """The programs of the control planes that run, not those that kwokctl only asks for their version."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_text().split("\0")
        except OSError:
            continue
        if command[0].startswith(str(place[0])) and "--version" not in command:
            found.append(command[0])
    return found


def wait(client: t.Any, waiter: str, **given: t.Any) -> None:
    waiting = client.get_waiter(waiter)
    waiting.config.delay, waiting.config.max_attempts = 0.2, 600
    waiting.wait(**given)


class Api:
    """A cluster's API server, asked with a token."""

    def __init__(self, cluster: dict[str, t.Any]) -> None:
        self._endpoint = cluster["endpoint"]
        authority = base64.b64decode(cluster["certificateAuthority"]["data"]).decode()
        self._tls = ssl.create_default_context(cadata=authority)

    def ask(self, token: str, path: str, body: t.Any = None) -> t.Any:
        """The answer, its status where that is no success."""
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(self._endpoint + path, data, headers)
        try:
            with urllib.request.urlopen(request, context=self._tls, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code

    def becomes(self, token: str, path: str, wanted: t.Callable[[t.Any], bool]) -> None:
        """Wait until an answer is as wanted."""
        deadline = time.monotonic() + 30
        while not wanted(found := self.ask(token, path)):
            assert time.monotonic() < deadline, found
            time.sleep(0.1)


def seoul() -> tuple[t.Any, list[str]]:
    """Make the cluster of that name: the client that did, and all subnets."""
    eks, subnets = boto3.client("eks"), [item["SubnetId"] for item in boto3.client("ec2").describe_subnets()["Subnets"]]
    eks.create_cluster(
        name="seoul",
        version="1.34",
        roleArn=role("cluster", {"Service": "eks.amazonaws.com"}),
        resourcesVpcConfig={"subnetIds": subnets[:3]},
        accessConfig={"authenticationMode": "API"},
    )
    wait(eks, "cluster_active", name="seoul")
    return eks, subnets


def role(name: str, principal: dict[str, str], session: t.Any = boto3) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": ["sts:AssumeRole", "sts:TagSession"]}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return str(session.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"])


def k8s_auth(program: str, *arguments: str, cluster: str = "seoul", **environment: str) -> str:
    """A token by Argo CD's own program."""
    command = [program, "aws", "--cluster-name", cluster, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=False)
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["status"]["token"])


@pytest.mark.slow
@pytest.mark.ansible
def test_a_cluster_lets_in_whom_an_access_entry_names(
    place: Place, apply: Apply, address: str, tools: dict[str, str]
) -> None:
    eks, subnets = seoul()
    cluster = eks.describe_cluster(name="seoul")["cluster"]
    api = Api(cluster)
    admin = k8s_auth(tools["argocd-k8s-auth"])
    assert api.ask(admin, "/api/v1/nodes")["items"] == []
    assert api.ask(k8s_auth(tools["argocd-k8s-auth"], AWS_REGION="ap-northeast-1"), "/api/v1/nodes")["items"] == []
    assert api.ask("k8s-aws-v1.bm9uc2Vuc2U", "/api/v1/nodes") == 401

    # The way of a hub's Argo CD: its service account's role, and with it the spoke's.
    hub = role("hub", {"Service": "pods.eks.amazonaws.com"})
    spoke = role("spoke", {"AWS": hub})
    eks.create_pod_identity_association(clusterName="seoul", namespace="argocd", serviceAccount="server", roleArn=hub)
    agent = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{address}/local-aws/pod-identity/{REGION}/seoul/argocd/server",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "any",
        "AWS_ACCESS_KEY_ID": "",
        "AWS_SECRET_ACCESS_KEY": "",
    }
    token = k8s_auth(tools["argocd-k8s-auth"], "--role-arn", spoke, **agent)
    assert api.ask(token, "/api/v1/namespaces/default/configmaps") == 401
    eks.create_access_entry(clusterName="seoul", principalArn=spoke)
    assert api.ask(token, "/api/v1/namespaces/default/configmaps") == 403
    scope = {"type": "namespace", "namespaces": ["default", "late-*"]}
    eks.associate_access_policy(
        clusterName="seoul", principalArn=spoke, policyArn=f"{POLICY}EditPolicy", accessScope=scope
    )
    api.becomes(token, "/api/v1/namespaces/default/configmaps", lambda found: isinstance(found, dict))
    assert api.ask(token, "/api/v1/namespaces/kube-system/configmaps") == 403
    late = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "late-one"}}
    assert isinstance(api.ask(admin, "/api/v1/namespaces", late), dict)
    api.becomes(token, "/api/v1/namespaces/late-one/configmaps", lambda found: isinstance(found, dict))
    eks.delete_access_entry(clusterName="seoul", principalArn=spoke)
    api.becomes(token, "/api/v1/namespaces/default/configmaps", lambda found: found == 401)

    _service_accounts(api, admin, cluster["identity"]["oidc"]["issuer"], tools["argocd-k8s-auth"], place[0] / "token")
    _nodes(api, eks, admin, subnets)
    running = processes(place)
    assert running
    assert not changed(apply())
    assert processes(place) == running

    eks.delete_nodegroup(clusterName="seoul", nodegroupName="arm")
    wait(eks, "nodegroup_deleted", clusterName="seoul", nodegroupName="arm")
    assert api.ask(admin, "/api/v1/nodes")["items"] == []
    eks.delete_cluster(name="seoul")
    wait(eks, "cluster_deleted", name="seoul")
    assert processes(place) == []


def _service_accounts(api: Api, admin: str, issuer: str, program: str, file: pathlib.Path) -> None:
    """A service account takes the role that trusts it, by a token of the cluster's own issuer."""
    host = issuer.removeprefix("https://")
    provider = boto3.client("iam").create_open_id_connect_provider(Url=issuer, ClientIDList=["sts.amazonaws.com"])
    own = {f"{host}:sub": "system:serviceaccount:default:default", f"{host}:aud": "sts.amazonaws.com"}
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": provider["OpenIDConnectProviderArn"]},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": own},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    irsa = boto3.client("iam").create_role(RoleName="irsa", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    asked = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": ["sts.amazonaws.com"]},
    }
    token = api.ask(admin, "/api/v1/namespaces/default/serviceaccounts/default/token", asked)["status"]["token"]
    sts = boto3.client("sts")
    taken = sts.assume_role_with_web_identity(RoleArn=irsa, RoleSessionName="pod", WebIdentityToken=token)
    assert taken["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/irsa/pod"
    with pytest.raises(sts.exceptions.ClientError, match="InvalidIdentityToken"):
        sts.assume_role_with_web_identity(RoleArn=irsa, RoleSessionName="pod", WebIdentityToken=token[:-6] + "AAAAAA")
    # So Argo CD's own program comes to a cluster, given what a pod is given.
    file.write_text(token)
    given = {"AWS_ROLE_ARN": irsa, "AWS_WEB_IDENTITY_TOKEN_FILE": str(file), "AWS_ROLE_SESSION_NAME": "pod"}
    given["AWS_ENDPOINT_URL_STS"] = os.environ["AWS_ENDPOINT_URL"]
    given |= {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    bearer = k8s_auth(program, **given)
    assert api.ask(bearer, "/api/v1/namespaces/default/configmaps") == 401
    boto3.client("eks").create_access_entry(clusterName="seoul", principalArn=irsa)
    assert api.ask(bearer, "/api/v1/namespaces/default/configmaps") == 403
    _other_account(irsa, lambda *arguments: k8s_auth(program, *arguments, cluster="tokyo", **given))
    file.unlink()


def _other_account(irsa: str, argocd: t.Callable[..., str]) -> None:
    """With that role, and the region that it is in, to a cluster of another account in another region.

    :arg argocd: Gives tokens for that cluster, by the service account's role and by what its arguments say.
    """
    body = json.dumps({"accounts": [OTHER]}).encode()
    with urllib.request.urlopen(f"{os.environ['AWS_ENDPOINT_URL']}/local-aws/settings", body, timeout=10):
        pass
    entrance = f"arn:aws:iam::{OTHER}:role/OrganizationAccountAccessRole"
    inside = boto3.client("sts").assume_role(RoleArn=entrance, RoleSessionName="test")["Credentials"]
    there = boto3.Session(inside["AccessKeyId"], inside["SecretAccessKey"], inside["SessionToken"], "ap-northeast-1")
    eks, subnets = there.client("eks"), there.client("ec2").describe_subnets()["Subnets"]
    eks.create_cluster(
        name="tokyo",
        version="1.34",
        roleArn=role("cluster", {"Service": "eks.amazonaws.com"}, there),
        resourcesVpcConfig={"subnetIds": [item["SubnetId"] for item in subnets[:2]]},
        accessConfig={"authenticationMode": "API"},
    )
    spoke = role("spoke", {"AWS": irsa}, there)
    eks.create_access_entry(clusterName="tokyo", principalArn=spoke)
    # Its account trusts the role; the role's own has to let it go there, too.
    with pytest.raises(AssertionError, match="AccessDenied"):
        argocd("--role-arn", spoke)
    allowed = {"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"], "Resource": spoke}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    boto3.client("iam").put_role_policy(RoleName="irsa", PolicyName="spokes", PolicyDocument=document)
    wait(eks, "cluster_active", name="tokyo")
    api = Api(eks.describe_cluster(name="tokyo")["cluster"])
    assert api.ask(argocd(), "/api/v1/namespaces/default/configmaps") == 401
    assert api.ask(argocd("--role-arn", spoke), "/api/v1/namespaces/default/configmaps") == 403
    eks.delete_cluster(name="tokyo")
    wait(eks, "cluster_deleted", name="tokyo")


def _nodes(api: Api, eks: t.Any, admin: str, subnets: list[str]) -> None:
    """A node group's machines are nodes, as many as its Auto Scaling group wants."""
    eks.create_nodegroup(
        clusterName="seoul",
        nodegroupName="arm",
        subnets=subnets[:3],
        nodeRole=role("nodes", {"Service": "ec2.amazonaws.com"}),
        instanceTypes=["m7g.large"],
        amiType="AL2023_ARM_64_STANDARD",
        capacityType="SPOT",
        scalingConfig={"minSize": 0, "maxSize": 4, "desiredSize": 3},
        labels={"tier": "apps"},
    )
    wait(eks, "nodegroup_active", clusterName="seoul", nodegroupName="arm")
    nodes = api.ask(admin, "/api/v1/nodes?labelSelector=eks.amazonaws.com/nodegroup%3Darm,tier%3Dapps")["items"]
    assert len({node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in nodes}) == 3
    assert {node["metadata"]["labels"]["kubernetes.io/arch"] for node in nodes} == {"arm64"}

    def ready(count: int) -> t.Callable[[t.Any], bool]:
        return lambda found: (
            sorted(
                condition["status"]
                for node in found["items"]
                for condition in node["status"].get("conditions", [])
                if condition["type"] == "Ready"
            )
            == ["True"] * count
            and len(found["items"]) == count
        )

    api.becomes(admin, "/api/v1/nodes", ready(3))
    group = eks.describe_nodegroup(clusterName="seoul", nodegroupName="arm")["nodegroup"]
    scaling = group["resources"]["autoScalingGroups"][0]["name"]
    boto3.client("autoscaling").set_desired_capacity(AutoScalingGroupName=scaling, DesiredCapacity=1)
    api.becomes(admin, "/api/v1/nodes", ready(1))


@pytest.mark.slow
@pytest.mark.ansible
def test_the_role_repeats_predicts_and_leaves_nothing(place: Place, apply: Apply, address: str) -> None:
    assert not changed(apply())
    assert not changed(apply("--check"))
    assert changed(apply("--check", local_aws_throttle=0.1))
    assert changed(apply(local_aws_throttle=0.1))
    apply()
    boto3.client("iam").create_role(
        RoleName="kept", AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": []}'
    )
    assert not changed(apply())
    assert boto3.client("iam").get_role(RoleName="kept")
    _kill(address, place)
    assert changed(apply("--check", local_aws_state="absent"))
    assert changed(apply(local_aws_state="absent"))
    assert not place[0].exists()
    assert processes(place) == []
    assert not changed(apply("--check", local_aws_state="absent"))
    assert not changed(apply(local_aws_state="absent"))
    assert changed(apply("--check"))
    assert not place[0].exists()


def _kill(address: str, place: Place) -> None:
    """End it and who supervises it so that neither can clean up, while it makes a cluster."""
    subnets = [item["SubnetId"] for item in boto3.client("ec2").describe_subnets()["Subnets"]]
    boto3.client("eks").create_cluster(
        name="left",
        roleArn=role("left", {"Service": "eks.amazonaws.com"}),
        resourcesVpcConfig={"subnetIds": subnets[:2]},
    )
    deadline = time.monotonic() + 60
    while not any("kube-apiserver" in command for command in processes(place)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    # The supervisor, and the process itself.
    kill(place[0], "supervisor", "_local_aws_server")
    assert processes(place)
