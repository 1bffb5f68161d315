# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The registered clusters as the hub has them, and other ways to register one."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import pathlib
import subprocess
import time
import typing as t

import bootstrapped
import urllib3
import yaml

NAMESPACE = "argocd"
LABEL = "argocd.argoproj.io/secret-type"


@dataclasses.dataclass(frozen=True)
class Cluster:
    """One cluster Secret."""

    secret: str
    version: str
    data: dict[str, str] = dataclasses.field(repr=False)
    labels: dict[str, str]
    annotations: dict[str, str]

    @property
    def server(self) -> str:
        """Its address."""
        return self.data["server"]

    @property
    def config(self) -> dict[str, t.Any]:
        """How it is reached."""
        return t.cast("dict[str, t.Any]", json.loads(self.data.get("config") or "{}"))

    @property
    def token(self) -> str:
        """Its bearer token, empty where it has none."""
        return str(self.config.get("bearerToken", ""))

    @property
    def claims(self) -> dict[str, t.Any]:
        """What the token says of itself."""
        part = self.token.split(".")[1]
        return t.cast("dict[str, t.Any]", json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def clusters() -> dict[str, Cluster]:
    """All of the hub, by name; that there are no two of one name is seen to here."""
    found = {}
    for item in bootstrapped.objects("v1", "Secret", NAMESPACE):
        metadata = item["metadata"]
        if (metadata.get("labels") or {}).get(LABEL) != "cluster":
            continue
        data = {key: base64.b64decode(value).decode() for key, value in item["data"].items()}
        assert data["name"] not in found
        labels, annotations = metadata["labels"], metadata.get("annotations") or {}
        found[data["name"]] = Cluster(metadata["name"], metadata["resourceVersion"], data, labels, annotations)
    return found


def versions() -> dict[str, str]:
    """What changes with every write."""
    return {name: cluster.version for name, cluster in clusters().items()}


def _kubeconfig(cluster: str) -> tuple[dict[str, str], dict[str, str]]:
    config = yaml.safe_load(bootstrapped.kubeconfig(cluster).read_text(encoding="utf-8"))
    return config["clusters"][0]["cluster"], config["users"][0]["user"]


def address(cluster: str) -> str:
    """Where its API server is."""
    return _kubeconfig(cluster)[0]["server"].rstrip("/")


def accounts(cluster: str) -> list[str]:
    """Service accounts where that of Argo CD is made."""
    return [item["metadata"]["name"] for item in bootstrapped.objects("v1", "ServiceAccount", "kube-system", cluster)]


def private_keys() -> list[str]:
    """Private keys of the kubeconfigs, as they stand there and as they are."""
    found = [
        _kubeconfig(path.parent.name)[1]["client-key-data"] for path in bootstrapped.STATE.glob("clusters/*/kubeconfig")
    ]
    assert len(found) == 3
    return [*found, *(base64.b64decode(key).decode().splitlines()[1] for key in found)]


def works(cluster: Cluster) -> bool:
    """Whether its API server knows the token, and lets it see everything."""
    with urllib3.PoolManager(
        ca_cert_data=base64.b64decode(cluster.config["tlsClientConfig"]["caData"]).decode()
    ) as pool:
        answer = pool.request(
            "GET",
            f"{cluster.server.rstrip('/')}/api/v1/secrets?limit=1",
            headers={"Authorization": f"Bearer {cluster.token}"},
            retries=False,
        )
    return answer.status == 200


def wait_for(condition: t.Callable[[], bool], seconds: float = 40) -> None:
    """Until Argo CD has come round."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, bootstrapped.applications()
        time.sleep(0.5)


def add_with_command_line(cluster: str) -> None:
    """`argocd cluster add`, by Argo CD's server as people use it."""
    (program,) = {
        pathlib.Path(command.split(" ")[0]).resolve()
        for command in bootstrapped.processes().values()
        if pathlib.Path(command.split(" ")[0]).name == "argocd-server"
    }
    folder = bootstrapped.STATE / "command-line"
    folder.mkdir(exist_ok=True)
    path = bootstrapped.kubeconfig(cluster)
    context = yaml.safe_load(path.read_text(encoding="utf-8"))["current-context"]
    words = ["cluster", "add", context, "--name", cluster, "--kubeconfig", str(path), "--yes"]
    words += ["--server", f"127.0.0.1:{_port()}", "--plaintext", "--config", str(folder / "config")]
    done = subprocess.run(
        ["argocd", *words],
        executable=program,
        env={**os.environ, "HOME": str(folder), "ARGOCD_AUTH_TOKEN": _session()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert cluster in clusters()


def as_argocd_reads(cluster: str) -> dict[str, t.Any]:
    """What Argo CD's own API says of a cluster."""
    url = f"http://127.0.0.1:{_port()}/api/v1/clusters/{cluster}?id.type=name"
    answer = urllib3.request("GET", url, headers={"Authorization": f"Bearer {_session()}"})
    assert answer.status == 200, answer.data
    return t.cast("dict[str, t.Any]", answer.json())


def _session() -> str:
    """A token of Argo CD's administrator."""
    (secret,) = [
        item
        for item in bootstrapped.objects("v1", "Secret", NAMESPACE)
        if item["metadata"]["name"] == "argocd-initial-admin-secret"
    ]
    password = base64.b64decode(secret["data"]["password"]).decode()
    url = f"http://127.0.0.1:{_port()}/api/v1/session"
    return str(urllib3.request("POST", url, json={"username": "admin", "password": password}).json()["token"])


def _port() -> int:
    path = bootstrapped.ROOT / "molecule" / bootstrapped.SCENARIO / "inventory/group_vars/hub.yml"
    words = path.read_text(encoding="utf-8").partition("local_controllers_port_base:")[2]
    return int(words.split()[0])


def add_by_hand(cluster: str, name: str) -> None:
    """A Secret with the credential of the kubeconfig, an address with a slash at its end and a name of its own."""
    there, user = _kubeconfig(cluster)
    tls = {
        "caData": there["certificate-authority-data"],
        "certData": user["client-certificate-data"],
        "keyData": user["client-key-data"],
    }
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {LABEL: "cluster"}},
        "stringData": {
            "name": cluster,
            "server": f"{address(cluster)}/",
            "config": json.dumps({"tlsClientConfig": tls}),
        },
    }
    bootstrapped.api().resources.get(api_version="v1", kind="Secret").create(body=body, namespace=NAMESPACE)
