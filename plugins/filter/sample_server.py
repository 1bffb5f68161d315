# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A git server inside a cluster, for a repository that is small enough for a ConfigMap."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: sample_server
short_description: Write out a git server for a repository
version_added: "0.1.0"
description:
  - Definitions of a namespace, a ConfigMap with the repository, and a Deployment and Service that serve it read-only
    inside the cluster, as C(git://sample-repository.NAMESPACE.svc/sample.git).
options:
  _input:
    description: What M(hubspoke.bootstrap.sample_repository) returns with C(bundle) as C(repository).
    type: dict
    required: true
  image:
    description: An image that has git in it; that of Argo CD has, and is on the nodes already.
    type: str
    required: true
  namespace:
    description: Namespace to put it into.
    type: str
    default: hubspoke-sample
author:
  - hubspoke.bootstrap contributors
"""

EXAMPLES = r"""
- name: Serve it
  hubspoke.bootstrap.manifest:
    name: sample-repository
    definitions: "{{ sample.repository | hubspoke.bootstrap.sample_server(image='quay.io/argoproj/argocd:v3.5.7') }}"
    wait: true
"""

RETURN = r"""
_value:
  description: The definitions.
  type: list
  elements: dict
"""

NAME = "sample-repository"
PORT = 9418

_LABELS = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/managed-by": "hubspoke.bootstrap"}
_PATH = "/srv/git/sample.git"
_MOST = 1_300_000  # bytes in Base64: a ConfigMap holds a mebibyte
_CONTAINER = {
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    },
    "resources": {"requests": {"cpu": "5m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
    "env": [{"name": "HOME", "value": "/srv/git"}],
}


def sample_server(
    repository: dict[str, t.Any], image: str, namespace: str = "hubspoke-sample"
) -> list[dict[str, t.Any]]:
    """Definitions of a server for the repository."""
    bundle = repository.get("bundle") or ""
    if len(bundle) > _MOST:
        raise AnsibleFilterError(
            f"The repository {repository.get('path')} is too large to be handed to the cluster in a ConfigMap. "
            "Push it to a git server, and set gitops_root_repository to its address."
        )
    metadata = {"name": NAME, "namespace": namespace, "labels": _LABELS}
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": namespace,
                "labels": {**_LABELS, "pod-security.kubernetes.io/enforce": "restricted"},
            },
        },
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "binaryData": {"sample.bundle": bundle}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": _selector(), "ports": [{"name": "git", "port": PORT, "targetPort": "git"}]},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": _selector()},
                "template": {
                    "metadata": {
                        "labels": _LABELS,
                        # Another commit, another pod: the server clones it when it starts.
                        "annotations": {"hubspoke.bootstrap/revision": str(repository.get("revision") or "")},
                    },
                    "spec": _pod(image),
                },
            },
        },
    ]


def _selector() -> dict[str, str]:
    return {"app.kubernetes.io/name": NAME}


def _pod(image: str) -> dict[str, t.Any]:
    storage = {"name": "repository", "mountPath": "/srv/git"}
    return {
        "automountServiceAccountToken": False,
        # Nothing there takes notice of being asked to end.
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 999,
            "runAsGroup": 999,
            "fsGroup": 999,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [
            {
                "name": "clone",
                "image": image,
                # When a node comes back, the pod starts again with what it had.
                "command": ["sh", "-euc", f"rm -rf {_PATH}; git clone --quiet --bare /bundle/sample.bundle {_PATH}"],
                "volumeMounts": [storage, {"name": "bundle", "mountPath": "/bundle", "readOnly": True}],
                **_CONTAINER,
            }
        ],
        "containers": [
            {
                "name": "git",
                "image": image,
                "command": ["git", "daemon", "--export-all", "--reuseaddr", "--base-path=/srv/git", "/srv/git"],
                "ports": [{"name": "git", "containerPort": PORT}],
                "readinessProbe": {"tcpSocket": {"port": "git"}, "periodSeconds": 2},
                "volumeMounts": [{**storage, "readOnly": True}],
                **_CONTAINER,
            }
        ],
        "volumes": [
            {"name": "bundle", "configMap": {"name": NAME}},
            {"name": "repository", "emptyDir": {}},
        ],
    }


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter of this file."""
        return {"sample_server": sample_server}
