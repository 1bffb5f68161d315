# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the hub's own pods can reach a spoke: asked by a short-lived Pod with the image of Argo CD, which has git.

It resolves the name, connects, and checks the certificate, all with git's HTTPS client. It is given no credential: that
one works has been seen from here, and so a refusal (401, 403) or a "not found" is what success looks like.
"""

from __future__ import annotations

import time
import typing as t
import uuid
from urllib.parse import urlsplit

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_plan import Connection

Object = dict[str, t.Any]

_PATIENCE = 90.0  # seconds for the Pod to be scheduled and its image to be there
_ANSWERED = (
    "returned error: 401",
    "returned error: 403",
    "returned error: 404",
    "not found",
    "could not read Username",
    "Authentication failed",
    "terminal prompts disabled",
)
_SCRIPT = r"""
if [ -n "$CA" ]; then printf '%s' "$CA" >/tmp/ca.pem && export GIT_SSL_CAINFO=/tmp/ca.pem; fi
if [ -n "$NAME" ]; then
  found=$(getent ahosts "$HOST" | awk 'NR == 1 {print $1}')
  [ -n "$found" ] || { echo "Could not resolve host: $HOST" >/dev/termination-log; exit 1; }
  set -- -c "http.curloptResolve=$NAME:$PORT:$found"
fi
timeout "$SECONDS_TO_WAIT" git "$@" ls-remote "$URL" >/tmp/said 2>&1
code=$?
[ "$code" != 124 ] || echo "timed out" >>/tmp/said
tail -c 1000 /tmp/said >/dev/termination-log
"""


def image_of(hub: Kube, namespace: str) -> str:
    """The image that Argo CD runs, empty where there are no pods of it."""
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    found = hub.request("GET", path, query={"labelSelector": "app.kubernetes.io/name=argocd-repo-server"})
    for item in found.get("items") or []:
        return str(item["spec"]["template"]["spec"]["containers"][0]["image"])
    return ""


def pod(connection: Connection, namespace: str, image: str, timeout: float) -> Object:
    """The Pod that asks."""
    parts = urlsplit(connection.server)
    host, port = parts.hostname or "", parts.port or 443
    name = connection.server_name
    shown = f"[{host}]" if ":" in host else host
    environment = {
        "CA": connection.ca,
        "HOST": host,
        "PORT": str(port),
        "NAME": name,
        "URL": f"https://{name or shown}:{port}{parts.path}/reachable",
        "SECONDS_TO_WAIT": str(max(1, int(timeout))),
        "GIT_TERMINAL_PROMPT": "0",
        "HOME": "/tmp",  # noqa: S108 - in the Pod
        **({"GIT_SSL_NO_VERIFY": "1"} if connection.insecure else {}),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"hubspoke-probe-{uuid.uuid4().hex[:8]}",
            "namespace": namespace,
            "labels": {"app.kubernetes.io/name": "hubspoke-probe"},
        },
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": int(_PATIENCE + timeout),
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 999,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "probe",
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["sh", "-c", _SCRIPT, "probe"],
                    "env": [{"name": key, "value": value} for key, value in environment.items()],
                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - in the Pod
                    "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                        "readOnlyRootFilesystem": True,
                    },
                }
            ],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    }


def verdict(connection: Connection, said: str) -> None:
    """What git said, as an error that tells the user what to do.

    :raises HubspokeError: the hub does not reach the spoke, or does not trust it.
    """
    if any(text in said for text in _ANSWERED):
        return
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    fatal = next((line for line in reversed(lines) if line.startswith("fatal:")), (lines or ["it said nothing"])[-1])
    reason = fatal.removeprefix("fatal:").strip().rstrip(".")
    if "SSL" in said or "certificate" in said:
        remedy = "Correct ca_data or server_name: its certificate is checked by the hub just so."
    elif "resolve" in said:
        remedy = "Give a server whose name the hub's DNS knows, or its number."
    else:
        remedy = "Open the way from the hub's nodes to it (routes, security groups), or give another server."
    raise HubspokeError(f"from the hub, {connection.server} cannot be used: {reason}.", remedy)


def probe(hub: Kube, namespace: str, connection: Connection, image: str, timeout: float) -> None:
    """Ask.

    :arg timeout: Seconds for the spoke to answer the Pod.
    :raises HubspokeError: the Pod does not run, or the spoke does not answer it.
    """
    body = pod(connection, namespace, image, timeout)
    collection = f"/api/v1/namespaces/{namespace}/pods"
    path = f"{collection}/{body['metadata']['name']}"
    hub.request("POST", collection, body)
    try:
        verdict(connection, _ended(hub, path, timeout))
    finally:
        hub.delete_path(path)


def _ended(hub: Kube, path: str, timeout: float) -> str:
    """What the Pod left behind."""
    deadline = time.monotonic() + _PATIENCE + timeout
    while time.monotonic() < deadline:
        status = (hub.get_path(path) or {}).get("status") or {}
        for container in status.get("containerStatuses") or []:
            ended = (container.get("state") or {}).get("terminated")
            if ended:
                return str(ended.get("message") or "")
        time.sleep(0.3)
    waiting = [
        str((container.get("state") or {}).get("waiting", {}).get("reason") or "")
        for container in status.get("containerStatuses") or []
    ]
    raise HubspokeError(
        f"the Pod that was to try it from the hub did not run: {', '.join(filter(None, waiting)) or 'not scheduled'}.",
        "See `kubectl describe` of Pods in Argo CD's namespace, or leave probe_from_hub out.",
    )
