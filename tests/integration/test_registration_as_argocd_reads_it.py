# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the real Argo CD would connect, out of each kind of registration."""

from __future__ import annotations

import base64
import pathlib
import subprocess
import typing as t

import pytest
import yaml
from hubs import Hub, Object, directly

SERVER = "https://10.99.0.7:6443"
CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
ROLE = "arn:aws:iam::111122223333:role/argocd"
COMMAND: Object = {"env": None, "interactiveMode": "Never", "provideClusterInfo": False}


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


CASES: dict[str, tuple[Object, Object, Object]] = {
    "bearer_token": (
        {"bearer_token": "abc", "ca_data": CA, "server_name": "tokyo.example.com"},
        {"certificate-authority-data": encoded(CA), "tls-server-name": "tokyo.example.com"},
        {"token": "abc"},
    ),
    "basic": (
        {"basic": {"username": "u", "password": "p"}, "insecure": True},
        {"insecure-skip-tls-verify": True},
        {"username": "u", "password": "p"},
    ),
    "proxy": (
        {"bearer_token": "abc", "proxy_url": "http://proxy.example.com:3128"},
        {"proxy-url": "http://proxy.example.com:3128"},
        {"token": "abc"},
    ),
    "aws": (
        {"aws": {"cluster_name": "c", "role_arn": ROLE, "profile": "prod"}},
        {},
        {
            "exec": {
                **COMMAND,
                "apiVersion": "client.authentication.k8s.io/v1beta1",
                "command": "argocd-k8s-auth",
                "args": ["aws", "--cluster-name", "c", "--role-arn", ROLE, "--profile", "prod"],
            }
        },
    ),
    "exec": (
        {
            "exec": {
                "command": "get-token",
                "args": ["--for", "tokyo"],
                "env": {"REGION": "tokyo"},
                "install_hint": "Install it.",
                "provide_cluster_info": True,
            }
        },
        {},
        {
            "exec": {
                "apiVersion": "client.authentication.k8s.io/v1",
                "command": "get-token",
                "args": ["--for", "tokyo"],
                "env": [{"name": "REGION", "value": "tokyo"}],
                "installHint": "Install it.",
                "interactiveMode": "Never",
                "provideClusterInfo": True,
            }
        },
    ),
}


@pytest.fixture
def read(hub: Hub, tools: dict[str, str], tmp_path: pathlib.Path) -> t.Callable[[Object], tuple[Object, Object]]:
    """Registers a cluster and has Argo CD write a kubeconfig of it: the cluster and the user in there."""

    def run(options: Object) -> tuple[Object, Object]:
        cluster = {"name": "tokyo", "server": SERVER, "probe": "never", **options}
        arguments = {"kubeconfig": hub.kubeconfig, "namespace": hub.namespace, "clusters": [cluster]}
        assert directly(arguments).get("changed"), "not registered"
        assert not directly(arguments)["changed"]
        path = tmp_path / "kubeconfig"
        command = [tools["argocd"], "admin", "cluster", "kubeconfig", SERVER, str(path)]
        where = ["--kubeconfig", hub.kubeconfig, "--namespace", hub.namespace]
        done = subprocess.run([*command, *where], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        config = yaml.safe_load(path.read_text())
        (found,), (user,) = config["clusters"], config["users"]
        return found["cluster"], user["user"]

    return run


@pytest.mark.parametrize("case", CASES)
def test_how_argocd_connects(read: t.Callable[[Object], tuple[Object, Object]], case: str) -> None:
    options, cluster, user = CASES[case]
    assert read(options) == ({"server": SERVER, **cluster}, user)


def test_how_argocd_connects_with_a_certificate(
    read: t.Callable[[Object], tuple[Object, Object]], kubeconfig: str
) -> None:
    own = yaml.safe_load(pathlib.Path(kubeconfig).read_text())["users"][0]["user"]
    pair = {
        "certificate": base64.b64decode(own["client-certificate-data"]).decode(),
        "key": base64.b64decode(own["client-key-data"]).decode(),
    }
    assert read({"client_certificate": pair})[1] == own
