# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller of External Secrets as a process on this machine, given what its pod is given."""

from __future__ import annotations

import hashlib
import pathlib
import sys
import typing as t
from dataclasses import dataclass

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_credentials

NAME = "external-secrets"
TOKENS = "external-secrets-web-identity"
_LOCALHOST = "127.0.0.1"
# The other programs of the same image.
_OTHERS = ("webhook", "certcontroller")
# It knows these by names of its own beside the one that all SDKs read.
_ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_SECRETSMANAGER_ENDPOINT", "AWS_SSM_ENDPOINT", "AWS_STS_ENDPOINT")

Container = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Setting:
    """What the process is made of here.

    :arg program: Path of external-secrets.
    :arg directory: Folder of the set of processes.
    :arg kubeconfig: Contents of the kubeconfig that it gets.
    :arg port: The first of two ports.
    :arg endpoint: Address of what stands for AWS, empty for AWS itself.
    :arg pod_identity: Where it gets the AWS credentials of its service account, by appending its name.
    :arg web_identity: ARN of the role that it gets by tokens of its service account instead.
    """

    program: str
    directory: str
    kubeconfig: str
    port: int
    environment: t.Mapping[str, t.Any]
    endpoint: str = ""
    pod_identity: str = ""
    web_identity: str = ""
    namespace: str = NAME
    region: str = ""


def processes(containers: t.Iterable[Container] | None, setting: Setting) -> list[dict[str, t.Any]]:
    """The process that stands for the controller's pod, as the module `local_processes` takes it; none without a pod.

    Before it the one that keeps its tokens, where it gets its role by these.

    :arg containers: What `workload_info` found; None where that is not known yet (in check mode).
    """
    found = [{"args": [], "service_account": NAME}] if containers is None else list(filter(_is_controller, containers))
    if not found:
        return []
    account = str(found[0].get("service_account") or NAME)
    by_token = setting.web_identity and setting.pod_identity
    kept = _local_credentials.keeper(TOKENS, setting.directory, setting.kubeconfig, setting.namespace, [account])
    return [*([kept] if by_token else []), _process(found[0], account, setting)]


def _is_controller(container: Container) -> bool:
    words = [*container["command"], *container["args"]]
    return container["replicas"] > 0 and NAME in container["image"] and not any(word in _OTHERS for word in words)


def _process(container: Container, account: str, setting: Setting) -> dict[str, t.Any]:
    folder = pathlib.Path(setting.directory) / NAME
    host = address(setting.directory)
    live, metrics = f"{host}:{setting.port}", f"{host}:{setting.port + 1}"
    # The pod's own flags first: of two that say the same the last one counts.
    flags = [word for word in [*container.get("command", []), *container["args"]] if word.startswith("-")]
    flags += [f"--live-addr={live}", f"--metrics-addr={metrics}", "--enable-leader-election=false"]
    return {
        "name": NAME,
        "command": [setting.program, *flags],
        "environment": {
            **container.get("environment", {}),
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "tmp"),
            "KUBECONFIG": str(folder / "kubeconfig"),
            **_aws_environment(account, setting),
            **{str(key): str(value) for key, value in setting.environment.items()},
        },
        "secret_environment": dict(container.get("secret_environment", {})),
        "files": {"kubeconfig": setting.kubeconfig},
        "folders": ["home", "tmp"],
        "health": {"http": f"http://{live}/healthz"},
    }


def address(directory: str) -> str:
    """Where it listens. On Linux every address of 127/8 is this machine's, so that each cluster gets one of its own."""
    if not sys.platform.startswith("linux"):
        return _LOCALHOST
    digest = hashlib.sha256(directory.encode()).digest()
    # Neither the network's own address nor its last one, and not the one that others use.
    return f"127.{digest[0] % 254 + 1}.{digest[1]}.{digest[2] % 254 + 1}"


def _aws_environment(account: str, setting: Setting) -> dict[str, str]:
    """Nothing of this machine's own credentials; those of the service account where something gives them out."""
    found = {"AWS_EC2_METADATA_DISABLED": "true"}
    if setting.endpoint:
        found |= dict.fromkeys(_ENDPOINTS, setting.endpoint)
    if setting.region:
        found["AWS_REGION"] = setting.region
    if setting.pod_identity and setting.web_identity:
        found |= _local_credentials.by_token(TOKENS, setting.directory, account, setting.web_identity, setting.endpoint)
    elif setting.pod_identity:
        found |= _local_credentials.by_agent(setting.pod_identity, account)
    return found
