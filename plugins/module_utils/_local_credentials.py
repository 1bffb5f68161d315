# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Credentials of AWS for processes that stand for pods: what EKS puts into a pod, and what keeps its token fresh."""

from __future__ import annotations

import pathlib
import sys
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_process

_KEEPER = f"{__name__.rpartition('.')[0]}._local_controllers_tokens"


def keeper(name: str, directory: str, kubeconfig: str, namespace: str, accounts: t.Sequence[str]) -> dict[str, t.Any]:
    """What the kubelet does for pods, as module `local_processes` takes it: tokens for STS in files, renewed in time.

    :arg name: Of the process.
    :arg directory: Folder of the set of processes.
    :arg kubeconfig: Contents of its kubeconfig.
    """
    folder = _folder(directory, name)
    options = ["--kubeconfig", str(folder.parent / "kubeconfig"), "--namespace", namespace]
    return {
        "name": name,
        "command": [sys.executable, "-m", _KEEPER, *options, "--directory", str(folder), *accounts],
        "environment": {"PYTHONPATH": _local_aws_process.python_path()},
        "files": {"kubeconfig": kubeconfig},
        "folders": ["tokens"],
    }


def by_agent(address: str, account: str) -> dict[str, str]:
    """For the process of one account, as EKS Pod Identity gives it.

    :arg address: Under which credentials are, by appending the account.
    """
    return {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{address}/{account}",
        # Whoever reaches the address of a pod has no secret to show; the SDKs want something.
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": account,
    }


def by_token(name: str, directory: str, account: str, role_arn: str, endpoint: str) -> dict[str, str]:
    """The same as IRSA gives it.

    :arg name: Of the process that keeps the tokens.
    :arg endpoint: Address of what stands for AWS.
    """
    return {
        "AWS_ROLE_ARN": role_arn,
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(_folder(directory, name) / account),
        "AWS_ROLE_SESSION_NAME": account,
        # Before it has credentials the SDK looks for STS by this name alone.
        "AWS_ENDPOINT_URL_STS": endpoint,
    }


def _folder(directory: str, name: str) -> pathlib.Path:
    return pathlib.Path(directory) / name / "tokens"
