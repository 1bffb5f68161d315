# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a cluster with simulated nodes is given beyond kwok's own stages, so that real applications turn Healthy.

A stage is what kwok does to an object that matches. Everything else is the real control plane's work: a
claim is bound, and its volume released, by the real volume controller; a stage only makes the volume.
"""

from __future__ import annotations

import platform
import typing as t

Object = dict[str, t.Any]

DRIVER = "simulated.hubspoke.bootstrap"
STORAGE_CLASS = "simulated"
METRICS_API = "v1beta1.metrics.k8s.io"
SERVICE_RANGE = "10.96.0.0/16"

# Addresses are of 198.18.0.0/15, which is set aside for tests and leads nowhere. A Service's is its cluster
# address in that network, so that no two are the same. A volume for a claim that asks for no class ("") is
# made late: its own volume may be on its way. Pods that are not a Job's and do not restart would run for ever.
STAGES = r"""
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata:
  name: hubspoke-claim
spec:
  resourceRef: {apiGroup: v1, kind: PersistentVolumeClaim}
  selector:
    matchExpressions:
    - {key: .metadata.deletionTimestamp, operator: DoesNotExist}
    - {key: .spec.volumeName, operator: DoesNotExist}
  delay:
    durationMilliseconds: 0
    durationFrom:
      expressionFrom: 'if .spec.storageClassName == "" then "5s" else "0s" end'
  steps:
  - apply:
      template: |
        apiVersion: v1
        kind: PersistentVolume
        metadata:
          name: pvc-{{ .metadata.uid }}
          annotations: {pv.kubernetes.io/provisioned-by: simulated.hubspoke.bootstrap}
        spec:
          accessModes: {{ .spec.accessModes | toJson }}
          capacity: {storage: {{ .spec.resources.requests.storage | toJson }}}
          persistentVolumeReclaimPolicy: Delete
          storageClassName: {{ default "" .spec.storageClassName | toJson }}
          volumeMode: {{ default "Filesystem" .spec.volumeMode }}
          claimRef:
            apiVersion: v1
            kind: PersistentVolumeClaim
            name: {{ .metadata.name }}
            namespace: {{ .metadata.namespace }}
            uid: {{ .metadata.uid }}
          csi: {driver: simulated.hubspoke.bootstrap, volumeHandle: "pvc-{{ .metadata.uid }}"}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata:
  name: hubspoke-volume-delete
spec:
  resourceRef: {apiGroup: v1, kind: PersistentVolume}
  selector:
    matchExpressions:
    - {key: .metadata.deletionTimestamp, operator: DoesNotExist}
    - {key: .spec.csi.driver, operator: In, values: [simulated.hubspoke.bootstrap]}
    - {key: .spec.persistentVolumeReclaimPolicy, operator: In, values: [Delete]}
    - {key: .status.phase, operator: In, values: [Released, Failed]}
  steps:
  - delete: true
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata:
  name: hubspoke-service-address
spec:
  resourceRef: {apiGroup: v1, kind: Service}
  selector:
    matchExpressions:
    - {key: .metadata.deletionTimestamp, operator: DoesNotExist}
    - {key: .spec.type, operator: In, values: [LoadBalancer]}
    - {key: .status.loadBalancer.ingress, operator: DoesNotExist}
  steps:
  - patch:
      subresource: status
      root: status
      template: |
        loadBalancer:
          ingress:
          - ip: {{ default (regexReplaceAll "^[0-9]+[.][0-9]+" .spec.clusterIP "198.18") .spec.loadBalancerIP }}
            ipMode: VIP
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata:
  name: hubspoke-ingress-address
spec:
  resourceRef: {apiGroup: networking.k8s.io/v1, kind: Ingress}
  selector:
    matchExpressions:
    - {key: .metadata.deletionTimestamp, operator: DoesNotExist}
    - {key: .status.loadBalancer.ingress, operator: DoesNotExist}
  steps:
  - patch:
      subresource: status
      root: status
      template: |
        loadBalancer:
          ingress:
          - ip: 198.19.0.1
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata:
  name: hubspoke-pod-complete
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchExpressions:
    - {key: .metadata.deletionTimestamp, operator: DoesNotExist}
    - {key: .status.phase, operator: In, values: [Running]}
    - {key: .spec.restartPolicy, operator: In, values: [Never, OnFailure]}
    - {key: '.metadata.ownerReferences.[].kind', operator: NotIn, values: [Job]}
  delay: {durationMilliseconds: 1000}
  next:
    statusTemplate: |
      {{ $now := Now }}
      {{ $root := . }}
      containerStatuses:
      {{ range $index, $item := .spec.containers }}
      - image: {{ $item.image | Quote }}
        name: {{ $item.name | Quote }}
        ready: false
        restartCount: 0
        started: false
        state:
          terminated:
            exitCode: 0
            finishedAt: {{ $now | Quote }}
            reason: Completed
            startedAt: {{ $now | Quote }}
      {{ end }}
      phase: Succeeded
"""

_NAMESPACE = "kube-system"
_METRICS_LABELS = {"k8s-app": "metrics-server"}

Post = tuple[str, Object]
"""An object, after the path of its collection."""

_ALWAYS: list[Post] = [
    # The controller that makes it starts a second or two after all else, and no pod can be made before.
    (
        "/api/v1/namespaces/default/serviceaccounts",
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}},
    ),
    (
        "/apis/storage.k8s.io/v1/storageclasses",
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": STORAGE_CLASS,
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": DRIVER,
            "reclaimPolicy": "Delete",
            "allowVolumeExpansion": True,
        },
    ),
    # Without it the real controllers would wait for somebody to attach the volumes.
    (
        "/apis/storage.k8s.io/v1/csidrivers",
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "CSIDriver",
            "metadata": {"name": DRIVER},
            "spec": {"attachRequired": False},
        },
    ),
]


def objects(metrics_port: int | None) -> list[Post]:
    """What a cluster has from its beginning.

    :arg metrics_port: Where metrics-server listens, which reads the usage that kwok simulates; None without one.
    """
    if metrics_port is None:
        return list(_ALWAYS)
    service: Object = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "metrics-server", "namespace": _NAMESPACE, "labels": _METRICS_LABELS},
        "spec": {"type": "ExternalName", "externalName": "127.0.0.1"},
    }
    api_service: Object = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": METRICS_API, "labels": _METRICS_LABELS},
        "spec": {
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
            "service": {"name": "metrics-server", "namespace": _NAMESPACE, "port": metrics_port},
        },
    }
    # `kubectl top` is for whoever may view.
    role: Object = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {
            "name": "system:aggregated-metrics-reader",
            "labels": {
                **_METRICS_LABELS,
                **{f"rbac.authorization.k8s.io/aggregate-to-{role}": "true" for role in ("admin", "edit", "view")},
            },
        },
        "rules": [{"apiGroups": ["metrics.k8s.io"], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]}],
    }
    return [
        *_ALWAYS,
        (f"/api/v1/namespaces/{_NAMESPACE}/services", service),
        ("/apis/apiregistration.k8s.io/v1/apiservices", api_service),
        ("/apis/rbac.authorization.k8s.io/v1/clusterroles", role),
    ]


_CAPACITY = {"cpu": "32", "memory": "128Gi", "ephemeral-storage": "500Gi", "pods": "250"}
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def node_name(cluster: str, index: int) -> str:
    """Name of a simulated node."""
    return f"{cluster}-agent-{index}"


def node_index(cluster: str, name: str) -> int | None:
    """The index in a simulated node's name, None for a node that is not ours."""
    index = name.removeprefix(f"{cluster}-agent-")
    return int(index) if index != name and index.isdigit() else None


def node(cluster: str, index: int, version: str) -> Object:
    """A simulated node of a common size. Its address is where kwok plays the kubelet, for metrics-server."""
    name = node_name(cluster, index)
    machine = platform.machine()
    architecture = _MACHINES.get(machine, machine)
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {
                "kwok.x-k8s.io/node": "fake",
                "metrics.k8s.io/resource-metrics-path": f"/metrics/nodes/{name}/metrics/resource",
            },
            "labels": {
                "kubernetes.io/arch": architecture,
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "node.kubernetes.io/instance-type": "simulated",
                "topology.kubernetes.io/region": "simulated",
                "topology.kubernetes.io/zone": f"simulated-{'abc'[index % 3]}",
                "type": "kwok",
            },
        },
        "spec": {"podCIDR": f"10.{244 + index // 256}.{index % 256}.0/24"},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": name}],
            "allocatable": _CAPACITY,
            "capacity": _CAPACITY,
            "nodeInfo": {
                "architecture": architecture,
                "bootID": "",
                "containerRuntimeVersion": "kwok://simulated",
                "kernelVersion": "simulated",
                "kubeProxyVersion": version,
                "kubeletVersion": version,
                "machineID": "",
                "operatingSystem": "linux",
                "osImage": "simulated",
                "systemUUID": "",
            },
        },
    }
