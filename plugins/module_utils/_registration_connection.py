# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How Argo CD itself sees its connection to each cluster: from the metrics of its application controller.

Its API would tell too, but needs an address and a password. The API server's own proxies need neither. What cannot be
read is not known, and nothing depends on it.
"""

from __future__ import annotations

import contextlib
import re
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import ApiError, HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_secret import normalized

with contextlib.suppress(ImportError):  # Kube tells the user
    import urllib3

SUCCESSFUL, FAILED, UNKNOWN = "Successful", "Failed", "Unknown"

TIMEOUT = 5.0
_LARGEST = 256 * 2**20  # ten thousand Applications are some 20 MiB of metrics, of which a few lines are kept
_LONGEST_LINE = 2**16
_CHUNK = 2**16

# Names and labels are those of controller/metrics/clustercollector.go.
_STATUS, _AGE, _INFO = "argocd_cluster_connection_status", "argocd_cluster_cache_age_seconds", "argocd_cluster_info"
_SAMPLE = re.compile(rf"({_STATUS}|{_AGE}|{_INFO})\{{(.*)\}}\s+(\S+)")
_LABEL = re.compile(r'([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")

_CONTROLLER = "app.kubernetes.io/name=argocd-application-controller"
_SERVICE = "argocd-metrics"
_PORT = 8082
_PODS = 32

Open = t.Callable[[], t.Any]


class _Unreadable(Exception):
    """No metrics of Argo CD."""


@dataclass(frozen=True)
class Connection:
    """Argo CD's view of a cluster.

    :arg status: Successful, Failed, or Unknown while its cache of the cluster is not filled yet.
    :arg kubernetes: The cluster's version as Argo CD saw it, empty where it has not.
    """

    status: str
    kubernetes: str = ""


def parsed(lines: t.Iterable[str]) -> dict[str, Connection] | None:
    """Connections by normalized server out of Prometheus' text format, None where it is not that."""
    values: dict[str, dict[str, float]] = {}
    versions: dict[str, str] = {}
    is_metrics = False
    for line in lines:
        is_metrics = is_metrics or line.startswith("# TYPE ")
        # Most lines are about something else, and there are many.
        found = _SAMPLE.match(line) if line.startswith("argocd_cluster_") else None
        if not found:
            continue
        labels = {name: _ESCAPED.sub(_unescaped, value) for name, value in _LABEL.findall(found[2])}
        server = normalized(labels.get("server", ""))
        try:
            values.setdefault(server, {})[found[1]] = float(found[3])
        except ValueError:
            continue
        versions[server] = versions.get(server) or labels.get("k8s_version", "")
    if not is_metrics:
        return None
    return {
        server: Connection(_status(found), versions[server])
        for server, found in values.items()
        if server and _STATUS in found
    }


def _unescaped(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]


def _status(found: dict[str, float]) -> str:
    """As Argo CD's own API puts it (controller/clusterinfoupdater.go): a cache never filled is no success yet."""
    if found.get(_AGE, 0) < 0:
        return UNKNOWN
    return SUCCESSFUL if found[_STATUS] else FAILED


def read(
    kube: Kube | None, namespace: str, url: str | None = None, timeout: float = TIMEOUT
) -> dict[str, Connection] | None:
    """Connections by normalized server, None where they cannot be read.

    Controllers that share the clusters (shards) each know their own, so each is asked.

    :arg namespace: Argo CD's.
    :arg url: Where the metrics are, if they can be reached directly; then nothing else is tried.
    :arg timeout: Seconds for all of it.
    :raises HubspokeError: the URL is none.
    """
    deadline = time.monotonic() + timeout
    if url:
        if not url.lower().startswith(("http://", "https://")):
            raise HubspokeError(f"metrics_url {url} is no URL.", "Give it as http://host:port/metrics.")
        return _read_one(lambda: _open(url, timeout), deadline)
    if kube is None:
        return None
    proxies = _proxies(kube, namespace)
    with ThreadPoolExecutor(max(1, min(len(proxies), 8))) as pool:
        found = list(pool.map(lambda path: _read_one(lambda: kube.open(path, timeout), deadline), proxies))
    known = [connections for connections in found if connections is not None]
    return {server: one for connections in known for server, one in connections.items()} if known else None


def _proxies(kube: Kube, namespace: str) -> list[str]:
    """Paths of the metrics: of each controller's pod where they are told apart, else of the Service before them."""
    root = f"/api/v1/namespaces/{namespace}"
    try:
        pods = kube.request("GET", f"{root}/pods", query={"labelSelector": _CONTROLLER, "limit": _PODS})["items"]
    except (ApiError, KeyError):
        pods = []
    running = [pod for pod in pods if (pod.get("status") or {}).get("phase") == "Running"]
    if len(running) < 2 and _is_there(kube, f"{root}/services/{_SERVICE}"):
        return [f"{root}/services/{_SERVICE}:{_PORT}/proxy/metrics"]
    return [f"{root}/pods/{pod['metadata']['name']}:{_port(pod)}/proxy/metrics" for pod in running]


def _is_there(kube: Kube, path: str) -> bool:
    try:
        return kube.get_path(path) is not None
    except ApiError:
        return True  # Not to be read is not the same as not there


def _port(pod: dict[str, t.Any]) -> int:
    ports = [port for one in pod["spec"].get("containers") or [] for port in one.get("ports") or []]
    named = [port for port in ports if port.get("name") == "metrics"]
    return int((named or ports or [{"containerPort": _PORT}])[0]["containerPort"])


def _open(url: str, timeout: float) -> t.Any:
    manager = urllib3.PoolManager(timeout=urllib3.Timeout(connect=timeout, read=timeout), retries=False)
    return manager.request("GET", url, redirect=False, preload_content=False)


def _read_one(open_: Open, deadline: float) -> dict[str, Connection] | None:
    try:
        response = open_()
        try:
            return parsed(_lines(response, deadline)) if response.status == 200 else None
        finally:
            response.close()
            response.release_conn()
    except (urllib3.exceptions.HTTPError, ApiError, OSError, ValueError, _Unreadable):
        return None


def _lines(response: t.Any, deadline: float) -> t.Iterator[str]:
    """Its lines as they come, so that little of a large answer is kept, and an endless one ends."""
    # An older urllib3 has no read1 and waits for whole chunks.
    more = getattr(response, "read1", response.read)
    rest, size = b"", 0
    while chunk := more(_CHUNK):
        size += len(chunk)
        if size > _LARGEST or len(rest) > _LONGEST_LINE or time.monotonic() > deadline:
            raise _Unreadable
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line.decode(errors="replace") for line in lines)
    yield rest.decode(errors="replace")
