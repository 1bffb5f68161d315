# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a simulated cluster does for real applications what they wait for: the real control plane says so."""

from __future__ import annotations

import re
import time
import typing as t

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._process_table import listeners, table

NAMESPACE = "simulated-workloads"
WITHIN = 60.0

Object = dict[str, t.Any]


def _pod(**spec: t.Any) -> Object:
    container = {"name": "main", "image": "example.test/app:1", "resources": {"requests": {"cpu": "100m"}}}
    return {"containers": [container], **spec}


def _claim_spec(**spec: t.Any) -> Object:
    return {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}


def _claim(name: str, **spec: t.Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": _claim_spec(**spec),
    }


def _workload(kind: str, name: str, **spec: t.Any) -> Object:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": _pod()}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
    }


def _job(**spec: t.Any) -> Object:
    return {"template": {"spec": _pod(restartPolicy="Never")}, **spec}


MANIFESTS: list[Object] = [
    _claim("default"),
    _claim("gp3", storageClassName="gp3", accessModes=["ReadWriteMany"]),
    _claim("late", storageClassName="waits-for-a-pod"),
    _claim("block", storageClassName="standard", volumeMode="Block"),
    _claim("without-class", storageClassName=""),
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "balanced"},
        "spec": {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": [{"port": 80}]},
    },
    {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "web"},
        "spec": {"defaultBackend": {"service": {"name": "balanced", "port": {"number": 80}}}},
    },
    {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once"}, "spec": _job(completions=2)},
    {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "often"},
        "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": _job()}},
    },
    {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "hook"}, "spec": _pod(restartPolicy="Never")},
    _workload("Deployment", "web", replicas=2),
    _workload("Deployment", "scaled", replicas=2),
    _workload("DaemonSet", "agent"),
    _workload(
        "StatefulSet",
        "database",
        replicas=2,
        serviceName="balanced",
        volumeClaimTemplates=[{"metadata": {"name": "data"}, "spec": _claim_spec(storageClassName="local-path")}],
    ),
    {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
    },
    {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "scaled"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "scaled"},
            "minReplicas": 2,
            "maxReplicas": 4,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
                }
            ],
        },
    },
]

BLOCKING_WEBHOOK: Object = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingWebhookConfiguration",
    "metadata": {"name": "simulated-workloads"},
    "webhooks": [
        {
            "name": "nobody.answers.test",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "failurePolicy": "Fail",
            "timeoutSeconds": 1,
            "clientConfig": {"service": {"namespace": NAMESPACE, "name": "balanced"}, "caBundle": ""},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}},
            "rules": [
                {"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"], "operations": ["CREATE", "UPDATE"]}
            ],
        }
    ],
}

LATE_CLASS: Object = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "waits-for-a-pod"},
    "provisioner": "somebody.else.test",
    "volumeBindingMode": "WaitForFirstConsumer",
}


@pytest.fixture(scope="module")
def kube(kubeconfig: str) -> t.Iterator[Kube]:
    """The cluster, with all manifests applied."""
    kube = Kube.from_params({"kubeconfig": kubeconfig})
    extra = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        LATE_CLASS,
        BLOCKING_WEBHOOK,
    ]
    for body in extra:
        kube.apply(body, "test")
    for body in MANIFESTS:
        kube.apply({**body, "metadata": {**body["metadata"], "namespace": NAMESPACE}}, "test")
    yield kube
    for body in reversed(extra):
        resource = kube.resource(body["apiVersion"], body["kind"])
        kube.delete_path(resource.path(None, body["metadata"]["name"]))


def eventually(kube: Kube, api_version: str, kind: str, name: str, what: t.Callable[[Object], t.Any]) -> t.Any:
    """What a function says of an object as soon as that is something."""
    path = kube.resource(api_version, kind).path(NAMESPACE, name)
    deadline = time.monotonic() + WITHIN
    while True:
        live = kube.get_path(path) or {}
        found = what(live)
        if found:
            return found
        assert time.monotonic() < deadline, f"{kind} {name} after {WITHIN} s: {live.get('status')}"
        time.sleep(0.2)


def test_claims_of_every_class_are_bound_by_the_real_controller(kube: Kube) -> None:
    volumes = {}
    for name in ("default", "gp3", "late", "block", "without-class"):
        claim = eventually(kube, "v1", "PersistentVolumeClaim", name, lambda live: _phase(live, "Bound"))
        volume = kube.get("v1", "PersistentVolume", claim["spec"]["volumeName"])
        assert volume is not None
        assert volume["status"]["phase"] == "Bound"
        assert volume["spec"].get("storageClassName", "") == claim["spec"]["storageClassName"]
        assert claim["status"]["capacity"] == {"storage": "1Gi"}
        volumes[name] = volume
    assert volumes["default"]["spec"]["storageClassName"] == "simulated"
    assert volumes["block"]["spec"]["volumeMode"] == "Block"
    assert len({volume["metadata"]["name"] for volume in volumes.values()}) == 5


def test_a_volume_goes_with_its_claim(kube: Kube) -> None:
    path = kube.resource("v1", "PersistentVolumeClaim").path(NAMESPACE, "short")
    body = _claim("short")
    kube.apply({**body, "metadata": {"name": "short", "namespace": NAMESPACE}}, "test")
    claim = eventually(kube, "v1", "PersistentVolumeClaim", "short", lambda live: _phase(live, "Bound"))
    kube.delete_path(path)
    deadline = time.monotonic() + WITHIN
    while kube.get("v1", "PersistentVolume", claim["spec"]["volumeName"]):
        assert time.monotonic() < deadline, "the volume is still there"
        time.sleep(0.2)


def test_services_and_ingresses_get_an_address(kube: Kube) -> None:
    service = eventually(kube, "v1", "Service", "balanced", lambda live: live if _address(live) else None)
    assert _address(service) == "198.18." + ".".join(service["spec"]["clusterIP"].split(".")[2:])
    ingress = eventually(kube, "networking.k8s.io/v1", "Ingress", "web", _address)
    assert ingress.startswith("198.19.")


def test_jobs_and_bare_pods_complete(kube: Kube) -> None:
    eventually(kube, "batch/v1", "Job", "once", lambda live: live.get("status", {}).get("succeeded") == 2)
    eventually(kube, "batch/v1", "Job", "once", lambda live: _condition(live, "Complete"))
    eventually(kube, "v1", "Pod", "hook", lambda live: _phase(live, "Succeeded"))


def test_workloads_become_ready(kube: Kube) -> None:
    eventually(kube, "apps/v1", "Deployment", "web", lambda live: live.get("status", {}).get("readyReplicas") == 2)
    eventually(
        kube, "apps/v1", "StatefulSet", "database", lambda live: live.get("status", {}).get("readyReplicas") == 2
    )
    nodes = len(kube.list("v1", "Node"))
    eventually(kube, "apps/v1", "DaemonSet", "agent", lambda live: live.get("status", {}).get("numberReady") == nodes)
    eventually(
        kube, "policy/v1", "PodDisruptionBudget", "web", lambda live: live.get("status", {}).get("currentHealthy") == 2
    )


def test_workloads_roll(kube: Kube) -> None:
    """A new revision replaces the pods of all three kinds."""
    for kind, name in (("Deployment", "web"), ("StatefulSet", "database"), ("DaemonSet", "agent")):
        resource = kube.resource("apps/v1", kind)
        annotations = {"revision": "second"}
        changed = kube.merge(
            resource.path(NAMESPACE, name), {"spec": {"template": {"metadata": {"annotations": annotations}}}}
        )
        generation = changed["metadata"]["generation"]
        eventually(kube, "apps/v1", kind, name, lambda live, generation=generation: _rolled(live, generation))
        pods = kube.list("v1", "Pod", NAMESPACE, f"app={name}")
        alive = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        assert {pod["metadata"]["annotations"]["revision"] for pod in alive} == {"second"}


def test_the_api_of_metrics_is_available(kube: Kube) -> None:
    """An API that is registered and does not answer would keep namespaces from being deleted."""
    eventually(
        kube,
        "apiregistration.k8s.io/v1",
        "APIService",
        "v1beta1.metrics.k8s.io",
        lambda live: _condition(live, "Available"),
    )


def test_it_listens_on_loopback_only(kubeconfig: str) -> None:
    folder = kubeconfig.rpartition("/")[0]
    pids = [process.pid for process in table() if process.argv[0].startswith(folder)]
    found = listeners(pids)
    assert {listener.pid for listener in found} == set(pids)
    assert len(pids) == 6
    assert [str(listener) for listener in found if not listener.loopback] == []


def test_autoscalers_have_metrics(kube: Kube) -> None:
    def usage(live: Object) -> t.Any:
        metrics = live.get("status", {}).get("currentMetrics") or []
        return [metric["resource"]["current"]["averageValue"] for metric in metrics if metric.get("resource")]

    found = eventually(kube, "autoscaling/v2", "HorizontalPodAutoscaler", "scaled", usage)
    assert re.fullmatch(r"[1-5]m", found[0])
    eventually(
        kube, "autoscaling/v2", "HorizontalPodAutoscaler", "scaled", lambda live: _condition(live, "ScalingActive")
    )


def test_cron_jobs_start_jobs_that_complete(kube: Kube) -> None:
    eventually(kube, "batch/v1", "CronJob", "often", lambda live: live.get("status", {}).get("lastSuccessfulTime"))


def _phase(live: Object, phase: str) -> Object | None:
    return live if live.get("status", {}).get("phase") == phase else None


def _address(live: Object) -> str:
    addresses = live.get("status", {}).get("loadBalancer", {}).get("ingress") or [{}]
    return str(addresses[0].get("ip", ""))


def _condition(live: Object, name: str) -> bool:
    conditions = live.get("status", {}).get("conditions") or []
    return any(condition["type"] == name and condition["status"] == "True" for condition in conditions)


def _rolled(live: Object, generation: int) -> bool:
    status = live.get("status", {})
    if status.get("observedGeneration", 0) < generation:
        return False
    if live["kind"] == "DaemonSet":
        wanted = status["desiredNumberScheduled"]
        return bool(status.get("updatedNumberScheduled") == wanted == status.get("numberReady"))
    wanted = live["spec"]["replicas"]
    return bool(status.get("updatedReplicas") == wanted == status.get("readyReplicas") == status.get("replicas"))
