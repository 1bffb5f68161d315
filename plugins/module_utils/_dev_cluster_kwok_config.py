# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What kwokctl is given for a development cluster: components, arguments, ports."""

from __future__ import annotations

import hashlib
import socket
import time
import typing as t
from collections.abc import Callable, Iterable

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_simulation import SERVICE_RANGE
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_spec import Spec
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

# Component to the program that it is, and kwokctl's options for the program and for its ports.
COMPONENTS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "etcd": ("etcd", "etcdBinary", ("etcdPort", "etcdPeerPort")),
    "kube-apiserver": ("kube-apiserver", "kubeApiserverBinary", ("kubeApiserverPort",)),
    "kube-controller-manager": (
        "kube-controller-manager",
        "kubeControllerManagerBinary",
        ("kubeControllerManagerPort",),
    ),
    "kube-scheduler": ("kube-scheduler", "kubeSchedulerBinary", ("kubeSchedulerPort",)),
    "kwok-controller": ("kwok", "kwokControllerBinary", ("kwokControllerPort",)),
    "metrics-server": ("metrics-server", "metricsServerBinary", ("metricsServerPort",)),
}
OPTIONAL = "metrics-server"
# kwokctl would fetch a manifest for metrics-server and take a second to apply it, one object after the other.
# It finds this one in its cache, empty, and leaves the objects to us.
NO_MANIFEST = "none"
TOOLS = (*(program for program, _, _ in COMPONENTS.values()), "kwokctl", "kubectl")

# Below the ports that the system gives to connections, so that a stopped cluster finds its own free again.
_PORTS = range(25000, 30000)
# Given twice, both would hold, and kwokctl's own be the first.
_REPLACED = ("service-account-issuer",)
# Containers are simulated, so nothing would ever answer behind a webhook's Service, and every object that it
# is asked about would be refused. All other admission is as ever.
_WEBHOOKS = "MutatingAdmissionWebhook,ValidatingAdmissionWebhook"


def api_server_args(spec: Spec, pki: str) -> dict[str, str]:
    """The API server's arguments besides kwokctl's own; a user's come before ours, an empty one takes ours away."""
    ours = {
        "service-cluster-ip-range": SERVICE_RANGE,
        "disable-admission-plugins": _WEBHOOKS,
        # metrics-server knows by these who asks, the API server having asked in their name.
        "requestheader-client-ca-file": f"{pki}/ca.crt",
        "requestheader-allowed-names": "kwok-admin",
        "requestheader-username-headers": "X-Remote-User",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
    }
    return {key: value for key, value in {**ours, **spec.api_server_args}.items() if value != ""}


def configuration(
    name: str, spec: Spec, version: str, *, home: str, tools: t.Mapping[str, str], ports: t.Mapping[str, int]
) -> dict[str, t.Any]:
    """What kwokctl is given.

    :arg home: Folder of all that kwokctl makes.
    :arg tools: Program to path; without metrics-server where there is none.
    :arg ports: kwokctl's option to port.
    """
    metrics = OPTIONAL in tools
    pki = f"{home}/clusters/{name}/pki"
    options: dict[str, t.Any] = {
        "runtime": "binary",
        "bindAddress": "127.0.0.1",
        "kubeVersion": version,
        "disableQPSLimits": True,
        "cacheDir": f"{home}/cache",
        "kubectlBinary": tools["kubectl"],
        **{option: tools[program] for program, option, _ in COMPONENTS.values() if program in tools},
        **ports,
    }
    patches = {
        "kube-apiserver": api_server_args(spec, pki),
        "kube-controller-manager": {
            "leader-elect": "false",
            "horizontal-pod-autoscaler-sync-period": "5s",
            "cluster-signing-cert-file": f"{pki}/ca.crt",
            "cluster-signing-key-file": f"{pki}/ca.key",
        },
        # There is one of each: electing it would only take seconds.
        "kube-scheduler": {"leader-elect": "false"},
        # Ours are read besides those that kwokctl writes for nodes and pods.
        "kwok-controller": {"config": f"{home}/stages.yaml"},
    }
    if metrics:
        options |= {"enable": [OPTIONAL], "metricsServerManifests": [NO_MANIFEST]}
    component_patches: list[dict[str, t.Any]] = [
        {"name": component, "extraArgs": [_argument(key, value) for key, value in arguments.items()]}
        for component, arguments in patches.items()
    ]
    if metrics:
        fast = [
            {"key": "metric-resolution", "value": "10s", "override": True},
            {"key": "kubelet-request-timeout", "value": "5s"},
        ]
        component_patches.append({"name": OPTIONAL, "extraArgs": fast})
    return {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokctlConfiguration",
        "metadata": {"name": name},
        "options": options,
        "componentsPatches": component_patches,
    }


def _argument(key: str, value: str) -> dict[str, t.Any]:
    return {"key": key, "value": value, **({"override": True} if key in _REPLACED else {})}


def cached_manifest(home: str) -> str:
    """Path at which kwokctl looks for NO_MANIFEST before anything else."""
    return f"{home}/cache/manifest/{hashlib.sha256(NO_MANIFEST.encode()).hexdigest()}.yaml"


def choose_ports(key: str, taken: Iterable[int], free: Callable[[int], bool]) -> dict[str, int]:
    """A port for each of kwokctl's options; the same for the same cluster as long as they are free.

    :arg key: What the cluster is known by.
    :arg taken: Ports of other clusters, running or not.
    """
    names = [name for _, _, options in COMPONENTS.values() for name in options]
    start = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") % (len(_PORTS) // 10) * 10
    others = set(taken)
    found: dict[str, int] = {}
    for offset in range(len(_PORTS)):
        port = _PORTS[(start + offset) % len(_PORTS)]
        if port not in others and free(port):
            found[names[len(found)]] = port
            if len(found) == len(names):
                return found
    raise HubspokeError("There are not enough free ports for a cluster.", "End other clusters or servers.")


def is_free(port: int) -> bool:
    """Whether a server could listen there."""
    with socket.socket() as probe:
        # As servers do: connections that have just ended do not matter, only what listens does.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def becomes_free(port: int) -> bool:
    """Whether a server could listen there, also if the last threads of the one before are still ending."""
    deadline = time.monotonic() + 3
    while not is_free(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
