# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Argo CD's components as processes on this machine, each given what its pod is given, on addresses of its own."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import typing as t
from dataclasses import dataclass
from urllib.parse import urlsplit

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_credentials
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_install import version_of
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_roles import ARGOCD_ACCOUNTS
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._supervisor_files import socket_path

REDIS = "argocd-redis"
NOTIFICATIONS = "argocd-notifications"
TOKENS = "argocd-web-identity"
"""What keeps the tokens of service accounts that get their role by IRSA."""

# What listens where, as distances from the first port.
PORTS = {
    "server": 0,
    "server_metrics": 1,
    "repo_server": 2,
    "repo_server_metrics": 3,
    "application_controller_metrics": 4,
    "applicationset_metrics": 5,
    "applicationset_probe": 6,
    "applicationset_webhook": 7,
    "notifications_metrics": 8,
    "redis": 9,
}

# Programs that Argo CD calls, as far as this machine has them.
_HELPERS = ("git", "helm", "kustomize", "gpg", "ssh")
# Where its image keeps what is configured, and the folder that stands for it here.
_MOUNTS = {"/app/config/ssh": "ssh", "/app/config/tls": "tls", "/app/config/gpg/source": "gpg/source"}
_FOLDERS = ["tls", "ssh", "gpg/source", "gpg/keys", "plugins", "home", "tmp"]
_HOST = "127.0.0.1"


@dataclass(frozen=True)
class Component:
    """One program of Argo CD.

    :arg flags: Its addresses, with the names of PORTS in braces.
    :arg health: What tells that it works, in the same way.
    :arg confined: Whether it has to be kept off other addresses, since it has no flag for that.
    """

    flags: tuple[str, ...]
    health: dict[str, str]
    confined: bool = False
    uses_redis: bool = True


COMPONENTS = {
    "argocd-server": Component(
        (
            "--insecure",
            "--address={host}",
            "--port={server}",
            "--metrics-address={host}",
            "--metrics-port={server_metrics}",
            "--repo-server={host}:{repo_server}",
            "--repo-server-plaintext",
        ),
        {"http": "http://{host}:{server}/healthz"},
    ),
    "argocd-repo-server": Component(
        (
            "--disable-tls",
            "--client-ca-path=",
            "--address={host}",
            "--port={repo_server}",
            "--metrics-address={host}",
            "--metrics-port={repo_server_metrics}",
        ),
        {"tcp": "{host}:{repo_server}", "http": "http://{host}:{repo_server_metrics}/healthz"},
    ),
    "argocd-application-controller": Component(
        (
            "--metrics-port={application_controller_metrics}",
            "--repo-server={host}:{repo_server}",
            "--repo-server-plaintext",
        ),
        {"http": "http://{host}:{application_controller_metrics}/healthz"},
        confined=True,
    ),
    "argocd-applicationset-controller": Component(
        (
            "--metrics-addr={host}:{applicationset_metrics}",
            "--probe-addr={host}:{applicationset_probe}",
            "--webhook-addr={host}:{applicationset_webhook}",
            "--argocd-repo-server={host}:{repo_server}",
            "--repo-server-plaintext",
        ),
        {"tcp": "{host}:{applicationset_metrics}"},
        uses_redis=False,
    ),
    NOTIFICATIONS: Component(
        (
            "--metrics-port={notifications_metrics}",
            "--argocd-repo-server={host}:{repo_server}",
            "--argocd-repo-server-plaintext",
        ),
        {"tcp": "{host}:{notifications_metrics}"},
        confined=True,
        uses_redis=False,
    ),
}


@dataclass(frozen=True)
class Setting:
    """What the processes are made of here.

    :arg tools: Paths of the programs, by name.
    :arg directory: Folder of the set of processes.
    :arg kubeconfig: Contents of the kubeconfig that they get.
    :arg environment: Further variables for each of them.
    :arg pod_identity: Where each gets the AWS credentials of its service account, by appending its name; with the
        region that signs its requests.
    :arg web_identity: ARN of the role that those that talk to clusters get by tokens of their service accounts instead.
    :arg namespace: Of the service accounts.
    """

    tools: t.Mapping[str, str]
    directory: str
    kubeconfig: str
    port_base: int
    environment: t.Mapping[str, t.Any]
    notifications: bool = False
    pod_identity: str = ""
    region: str = ""
    web_identity: str = ""
    namespace: str = "argocd"


def ports(port_base: int) -> dict[str, int]:
    """Every port that may be used, by what listens there."""
    return {name: port_base + distance for name, distance in PORTS.items()}


def processes(containers: t.Iterable[t.Mapping[str, t.Any]] | None, setting: Setting) -> list[dict[str, t.Any]]:
    """The processes that stand for Argo CD's pods, as the module `local_processes` takes them.

    :arg containers: What `workload_info` found; None where that is not known yet (in check mode).
    """
    if containers is None:
        containers = [_unknown(name) for name in COMPONENTS]
    found = []
    password = ""
    for container in containers:
        name = _program(container)
        component = COMPONENTS.get(name)
        if component and container["replicas"] > 0 and (name != NOTIFICATIONS or setting.notifications):
            found.append(_process(name, component, container, setting))
            password = password or container["secret_environment"].get("REDIS_PASSWORD", "")
    users = [process["name"] for process in found if process["name"] in ARGOCD_ACCOUNTS]
    by_token = setting.web_identity and setting.pod_identity
    tokens = (
        [_local_credentials.keeper(TOKENS, setting.directory, setting.kubeconfig, setting.namespace, users)]
        if by_token and users
        else []
    )
    return [_redis(setting, password), *tokens, *found] if found else []


def missing(containers: t.Iterable[t.Mapping[str, t.Any]]) -> list[dict[str, str]]:
    """What components cannot start without and the cluster does not have."""
    found: dict[str, dict[str, str]] = {}
    for container in containers:
        if _program(container) in COMPONENTS:
            found.update({json.dumps(entry, sort_keys=True): entry for entry in container["missing"]})
    return list(found.values())


def notes(containers: t.Iterable[t.Mapping[str, t.Any]], version: str) -> list[str]:
    """What differs from what the pods would do, for people.

    :arg version: Of the programs here.
    """
    everything = list(containers)
    found = []
    others = sorted(
        {version_of(entry["image"]) for entry in everything if _program(entry) in COMPONENTS} - {"", version}
    )
    if others:
        found.append(
            f"The cluster has the manifests of Argo CD {', '.join(others)}; the programs that run here are {version}, "
            "the version that is pinned for them."
        )
    lacks = [f"{entry['kind']} {entry['name']}" for entry in missing(everything)]
    if lacks:
        found.append(f"Pods would not start without {', '.join(lacks)}; the programs here go without.")
    return found


def _program(container: t.Mapping[str, t.Any]) -> str:
    words = [*container["command"], *container["args"]]
    return pathlib.PurePath(words[0]).name if words else ""


def _unknown(name: str) -> dict[str, t.Any]:
    return {"command": [name], "args": [], "replicas": 1, "environment": {}, "secret_environment": {}, "mounts": []}


def _process(name: str, component: Component, container: t.Mapping[str, t.Any], setting: Setting) -> dict[str, t.Any]:
    folder = pathlib.Path(setting.directory) / name
    words = {"host": _HOST, **ports(setting.port_base)}
    flags = [flag.format(**words) for flag in component.flags]
    if component.uses_redis:
        flags.append(f"--redis={_HOST}:{words['redis']}")
    files = {"kubeconfig": setting.kubeconfig}
    for mount in container["mounts"]:
        if mount["path"] in _MOUNTS:
            files.update({f"{_MOUNTS[mount['path']]}/{file}": text for file, text in mount["files"].items()})
    return {
        "name": name,
        # The pod's own flags first: of two that say the same the last one counts.
        "command": [setting.tools[name], *[*container["command"], *container["args"]][1:], *flags],
        "environment": {
            **container["environment"],
            **_own_environment(folder, setting),
            **_aws_environment(name, setting),
            **{str(key): value for key, value in setting.environment.items()},
        },
        "secret_environment": dict(container["secret_environment"]),
        "files": files,
        "folders": _FOLDERS,
        "health": {key: text.format(**words) for key, text in component.health.items()},
        "loopback": component.confined,
    }


def _own_environment(folder: pathlib.Path, setting: Setting) -> dict[str, str]:
    """What stands for the file system of the image, so that nothing of the user's is read or written."""
    return {
        "PATH": _path(setting.tools),
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "KUBECONFIG": str(folder / "kubeconfig"),
        "KUBECACHEDIR": str(folder / "tmp/kubecache"),
        "HELM_CACHE_HOME": str(folder / "home/helm"),
        "HELM_CONFIG_HOME": str(folder / "home/helm"),
        "HELM_DATA_HOME": str(folder / "home/helm"),
        "ARGOCD_TLS_DATA_PATH": str(folder / "tls"),
        "ARGOCD_SSH_DATA_PATH": str(folder / "ssh"),
        "ARGOCD_GPG_DATA_PATH": str(folder / "gpg/source"),
        "ARGOCD_GNUPGHOME": str(folder / "gpg/keys"),
        "ARGOCD_PLUGINSOCKFILEPATH": str(folder / "plugins"),
        "ARGOCD_ASK_PASS_SOCK": str(_ask_pass_socket(pathlib.Path(setting.directory))),
        # A key ring would be made at each start, and its agent would stay behind.
        "ARGOCD_GPG_ENABLED": "false",
        # The API server is reached through the kubeconfig, and stays `https://kubernetes.default.svc` to Applications.
        "ARGOCD_FAKE_IN_CLUSTER": "true",
        "ARGOCD_CONTROLLER_REPLICAS": "1",
    }


def _aws_environment(name: str, setting: Setting) -> dict[str, str]:
    """What EKS puts into a pod, by Pod Identity or by IRSA: its service account is called as the program is."""
    if not setting.pod_identity:
        return {}
    address = urlsplit(setting.pod_identity)
    by_agent = _local_credentials.by_agent(setting.pod_identity, name)
    endpoint = f"{address.scheme}://{address.netloc}"
    by_token = _local_credentials.by_token(TOKENS, setting.directory, name, setting.web_identity, endpoint)
    given = by_agent if not setting.web_identity else by_token if name in ARGOCD_ACCOUNTS else {}
    return {
        **given,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        # Argo CD has no setting for the region that signs tokens: it is this one, for the clusters of all regions.
        "AWS_REGION": setting.region,
    }


def _ask_pass_socket(directory: pathlib.Path) -> pathlib.Path:
    """Where the repo server hands credentials to git: as short a path as that of supervisord's own socket."""
    supervisor = socket_path(directory)
    return (directory / "run" if supervisor.parent == directory else supervisor.parent) / "ask-pass.sock"


def _path(tools: t.Mapping[str, str]) -> str:
    folders = [str(pathlib.PurePath(path).parent) for path in tools.values()]
    folders += [str(pathlib.PurePath(path).parent) for path in map(shutil.which, _HELPERS) if path]
    folders += ["/usr/local/bin", "/usr/bin", "/bin"]
    return os.pathsep.join(dict.fromkeys(folders))


def _redis(setting: Setting, password: str) -> dict[str, t.Any]:
    port = ports(setting.port_base)["redis"]
    lines = [f"bind {_HOST}", f"port {port}", "protected-mode yes", 'save ""', "appendonly no"]
    if password:
        quoted = password.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'requirepass "{quoted}"')
    return {
        "name": REDIS,
        "command": [setting.tools["redis-server"], "redis.conf"],
        "files": {"redis.conf": "\n".join(lines) + "\n"},
        "health": {"tcp": f"{_HOST}:{port}"},
    }
