# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A hub as tests of registration need it: a real API server with Argo CD's definitions, and nothing running."""

from __future__ import annotations

import base64
import copy
import json
import subprocess
import typing as t
import uuid

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import execute
from ansible_collections.hubspoke.bootstrap.plugins.modules import argocd_clusters
from ansible_collections.hubspoke.bootstrap.plugins.plugin_utils import in_process

Object = dict[str, t.Any]


class Hub:
    """A namespace of Argo CD's with its settings and definitions, but without its programs."""

    def __init__(self, kubeconfig: str, kubectl: str) -> None:
        self.namespace = f"argocd-{uuid.uuid4().hex[:8]}"
        self.kubeconfig = kubeconfig
        self.kube = Kube.from_params({"kubeconfig": kubeconfig})
        self._kubectl = kubectl

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        command = [self._kubectl, "--kubeconfig", self.kubeconfig, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def apply(self, *items: Object) -> None:
        stdin = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        self.kubectl("apply", "--server-side", "--filename=-", stdin=stdin)

    def application(
        self, name: str, destination: Object, finalizers: t.Sequence[str] = (), namespace: str = "", owner: str = ""
    ) -> Object:
        metadata: Object = {"name": name, "namespace": namespace or self.namespace, "finalizers": list(finalizers)}
        if owner:
            found = self.kube.get_path(f"{self.path('applicationsets')}/{owner}")
            assert found
            one = {"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": owner}
            metadata["ownerReferences"] = [{**one, "uid": found["metadata"]["uid"]}]
        source = {"repoURL": "https://git.example.com/apps.git", "path": "."}
        return {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": metadata,
            "spec": {"project": "default", "source": source, "destination": destination},
        }

    def application_set(self, name: str, destination: Object, *generators: Object) -> Object:
        spec = self.application("x", destination)["spec"]
        return {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "ApplicationSet",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "goTemplate": True,
                "generators": generators,
                "template": {"metadata": {"name": "{{ .name }}"}, "spec": spec},
            },
        }

    def secret(self, name: str, data: dict[str, str], labels: t.Any = None) -> Object:
        """As `argocd cluster add` writes it."""
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "labels": {"argocd.argoproj.io/secret-type": "cluster", **(labels or {})},
                "annotations": {"managed-by": "argocd.argoproj.io"},
            },
            "type": "Opaque",
            "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
        }

    def path(self, plural: str) -> str:
        return f"/apis/argoproj.io/v1alpha1/namespaces/{self.namespace}/{plural}"

    def token(self, account: str, seconds: int = 3600) -> str:
        path = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{account}/token"
        body = {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "spec": {"expirationSeconds": seconds},
        }
        answer: Object = self.kube.request("POST", path, body)
        return str(answer["status"]["token"])


class Result(dict[str, t.Any]):
    """Of a module, and all that it said."""

    output = ""


def directly(arguments: Object, check: bool = False) -> t.Any:
    """The module argocd_clusters as its action plugin runs it; Ansible around it would take a second and a half."""
    given = {**arguments, "_ansible_check_mode": check, "_ansible_diff": True}
    module = in_process._WorkerModule(json.dumps({"ANSIBLE_MODULE_ARGS": given}), copy.deepcopy(argocd_clusters.SPEC))
    with pytest.raises(in_process._Exit) as caught:
        execute(module, argocd_clusters.run)
    result = Result(json.loads(caught.value.result))
    result.output = caught.value.result
    return result
