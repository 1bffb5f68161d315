# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The real control planes behind the look-alike's clusters: kwok's, with simulated nodes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import sys
import threading
import time
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _dev_cluster_plan as planning
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_eks_capabilities as capabilities
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_installed as installed
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_rbac as rbac
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_kwok import Kwok
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_run import Tools, end
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_spec import KWOK, Spec
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_state import (
    Folder,
    Record,
    dump,
    write_kubeconfig,
    write_private,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import ApiError, HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_groups import groups_of
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_nodes import difference, nodes, pod_cidrs
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_world import Cluster, Shape, World

_MANAGER = "local-aws"
_SECONDS = 180
_KEEP_SECONDS = 1.0
_NODES = "/api/v1/nodes"
_ACCESS = "/apis/rbac.authorization.k8s.io/v1"
_GP2 = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "gp2"},
    "provisioner": "kubernetes.io/aws-ebs",
    "parameters": {"type": "gp2", "fsType": "ext4"},
    "volumeBindingMode": "WaitForFirstConsumer",
}


@dataclass
class Plane:
    """One control plane.

    :arg seen: What it was last brought to.
    :arg installed: The namespaces that a capability was put into.
    """

    name: str
    lock: threading.Lock = field(default_factory=threading.Lock)
    kube: Kube | None = None
    seen: t.Any = None
    installed: set[str] = field(default_factory=set)


class KwokPlanes:
    """Control planes, each a kwok cluster in a folder of its own.

    :arg directory: Where the folders are; nothing else may be in it.
    :arg tools: Program to path.
    :arg address: Where the webhook is asked.
    """

    def __init__(self, directory: str, tools: Mapping[str, str], address: str) -> None:
        self._directory, self._tools, self._address = os.path.abspath(directory), Tools(tools), address
        self._manifest = tools.get(installed.TOOL, "")
        self._planes: dict[tuple[str, str, str], Plane] = {}
        self._lock = threading.Lock()

    def keep(self, world: World) -> None:
        """Follow what is not told: Auto Scaling groups that others scale, namespaces and Secrets that come and go."""

        def follow() -> None:
            while True:
                time.sleep(_KEEP_SECONDS)
                with world.lock:
                    clusters = [item for item in world.clusters.values() if item.shape["status"] != "CREATING"]
                for cluster in clusters:
                    # One that does not answer is being deleted, or will answer later.
                    with contextlib.suppress(HubspokeError):
                        self.sync(cluster)
                        self._report(world, cluster)

        threading.Thread(target=follow, daemon=True).start()

    # What a world asks of its planes

    def create(self, cluster: Cluster) -> Shape:
        """Make one, and return what the cluster's shape is to say of it."""
        plane = self._plane(cluster)
        with plane.lock:
            folder, kwok = self._provider(plane)
            with folder.locked(_say, _SECONDS):
                folder.empty()
                record = Record(planning.CREATING, self._spec(cluster, plane))
                kwok.check(record.spec, ())
                kwok.reserve(record)
                kwok.create(record)
                config = kwok.kubeconfig()
                write_kubeconfig(folder.kubeconfig, config)
                record.phase = planning.MADE
                folder.write(record)
                kube = Kube.from_params({"kubeconfig": config, "context": kwok.context})
                kwok.settle(kube, record)
                kube.delete_path("/apis/storage.k8s.io/v1/storageclasses/simulated")
                kube.apply_path("/apis/storage.k8s.io/v1/storageclasses/gp2", _GP2, _MANAGER)
                plane.kube = kube
                self._sync(cluster, plane)
                record.phase = planning.READY
                folder.write(record)
        found = config["clusters"][0]["cluster"]
        return {"endpoint": found["server"], "certificateAuthority": {"data": found["certificate-authority-data"]}}

    def delete(self, cluster: Cluster) -> None:
        """Remove it, if there is one."""
        with self._lock:
            plane = self._planes.pop(cluster.key, None)
        if plane:
            with plane.lock:
                self._remove(plane.name)

    def sync(self, cluster: Cluster) -> None:
        """Bring its nodes and rights to what the cluster says."""
        with self._lock:
            plane = self._planes.get(cluster.key)
        if plane:
            with plane.lock:
                if plane.kube:
                    self._sync(cluster, plane)

    def verify(self, cluster: Cluster, token: str, audiences: list[str]) -> bool:
        """Whether a token is a service account's of that cluster."""
        plane = self._planes.get(cluster.key)
        if not (plane and plane.kube):
            return False
        review = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": audiences},
        }
        status = plane.kube.request("POST", "/apis/authentication.k8s.io/v1/tokenreviews", review)["status"]
        return bool(status.get("authenticated")) and status["user"]["username"].startswith("system:serviceaccount:")

    def clear(self) -> None:
        """Remove all, also those of an earlier life."""
        with self._lock:
            planes = list(self._planes.values())
            self._planes.clear()
        for plane in planes:
            # One that is being made is let become ready first: it would go on starting processes.
            with plane.lock:
                self._remove(plane.name)
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(os.path.join(self._directory, "clusters")):
                self._remove(name)
        shutil.rmtree(self._directory, ignore_errors=True)

    # Steps

    def _report(self, world: World, cluster: Cluster) -> None:
        """Look at the clusters that a capability for Argo CD is given."""
        plane = self._planes.get(cluster.key)
        for namespace in installed.namespaces(cluster):
            if plane and plane.kube and namespace in plane.installed:
                capabilities.report(world, cluster, installed.registered(plane.kube, namespace))

    def _plane(self, cluster: Cluster) -> Plane:
        with self._lock:
            return self._planes.setdefault(cluster.key, Plane(plane_name(*cluster.key)))

    def _provider(self, plane: Plane) -> tuple[Folder, Kwok]:
        folder = Folder(self._directory, plane.name)
        return folder, Kwok(plane.name, folder, self._tools, _say, _SECONDS)

    def _remove(self, name: str) -> None:
        folder = Folder(self._directory, name)
        end(folder.path)
        shutil.rmtree(folder.path, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._webhook(name))

    def _webhook(self, name: str) -> str:
        return os.path.join(self._directory, f"{name}-webhook.yaml")

    def _spec(self, cluster: Cluster, plane: Plane) -> Spec:
        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        webhook = self._webhook(plane.name)
        server = {"server": f"{self._address}/{'/'.join(cluster.key)}"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "authenticator", "cluster": server}],
            "users": [{"name": "api-server", "user": {}}],
            "contexts": [{"name": "webhook", "context": {"cluster": "authenticator", "user": "api-server"}}],
            "current-context": "webhook",
        }
        write_private(webhook, dump(config))
        arguments = {
            "authentication-token-webhook-config-file": webhook,
            "authentication-token-webhook-version": "v1",
            # An access entry that is taken away is soon of no use.
            "authentication-token-webhook-cache-ttl": "2s",
            "service-account-issuer": cluster.issuer,
            "service-cluster-ip-range": cluster.shape["kubernetesNetworkConfig"]["serviceIpv4Cidr"],
        }
        return Spec(KWOK, api_server_args=arguments)

    def _sync(self, cluster: Cluster, plane: Plane) -> None:
        kube = t.cast("Kube", plane.kube)
        for namespace in installed.namespaces(cluster) - plane.installed if self._manifest else ():
            installed.install(kube, self._manifest, namespace)
            plane.installed.add(namespace)
        policies = {name: dict(held) for name, held in list(cluster.policies.items())}
        namespaces: list[str] = []
        if rbac.wants_namespaces(policies):
            namespaces = [item["metadata"]["name"] for item in kube.pages("/api/v1/namespaces")]
        wanted = (nodes(groups_of(cluster)), rbac.objects(policies, namespaces))
        if wanted != plane.seen:
            _sync_nodes(kube, wanted[0])
            _sync_access(kube, wanted[1])
            plane.seen = wanted


def plane_name(account: str, region: str, name: str) -> str:
    """A name that kwok can take, of its own for each cluster."""
    short = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:20].strip("-") or "eks"
    return f"{short}-{hashlib.sha256(f'{account}/{region}/{name}'.encode()).hexdigest()[:8]}"


def _sync_nodes(kube: Kube, wanted: Mapping[str, Shape]) -> None:
    have = {item["metadata"]["name"]: item for item in kube.pages(_NODES)}
    new = [name for name in wanted if name not in have]
    networks = pod_cidrs(new, {item.get("spec", {}).get("podCIDR", "") for item in have.values()})
    for name in new:
        node = wanted[name]
        kube.request("POST", _NODES, {**node, "spec": {**node["spec"], "podCIDR": networks[name]}})
    for name, node in have.items():
        if name not in wanted:
            kube.delete_path(f"{_NODES}/{name}")
        elif patch := difference(node, wanted[name]):
            kube.merge(f"{_NODES}/{name}", patch)


def _sync_access(kube: Kube, wanted: list[Shape]) -> None:
    paths = {rbac.path(item) for item in wanted}
    for kind, plural in (
        ("ClusterRoleBinding", "clusterrolebindings"),
        ("RoleBinding", "rolebindings"),
        ("ClusterRole", "clusterroles"),
    ):
        for item in kube.pages(f"{_ACCESS}/{plural}", rbac.LABEL):
            there = rbac.path({**item, "kind": kind})
            if there not in paths:
                kube.delete_path(there)
    for item in wanted:
        with contextlib.suppress(_Gone):
            _apply(kube, item)


class _Gone(Exception):
    """The namespace went away meanwhile."""


def _apply(kube: Kube, item: Shape) -> None:
    try:
        kube.apply_path(rbac.path(item), item, _MANAGER)
    except ApiError as error:
        if error.status in (403, 404) and "namespace" in item["metadata"]:
            raise _Gone from error
        raise


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201
