# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Argo CD's install.yaml on a fresh cluster: the module manifest, and kubectl's server-side apply and diff.

The module's time is that of a play with one such task less that of a play with an empty one: what the task adds.
"""

from __future__ import annotations

import collections.abc
import json
import pathlib
import statistics
import tempfile
import typing as t

from programs import found, playbook, seconds
from run import Figure

ROUNDS = 3
CLUSTER_PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kwok", "kwokctl")


def figures() -> collections.abc.Iterator[Figure]:
    """Three rounds, a fresh cluster for each side of each; the medians count."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        programs = found(*CLUSTER_PROGRAMS, "argocd-install")
        bench = _Bench(folder, programs)
        apply, apply_peer, check, check_peer = [], [], [], []
        for _ in range(ROUNDS):
            with bench.cluster() as kubeconfig:
                apply.append(bench.module(kubeconfig))
                check.append(bench.module(kubeconfig, "--check", "--diff"))
            with bench.cluster() as kubeconfig:
                bench.kubectl(kubeconfig, "create", "namespace", "argocd")
                file = ("--server-side", "-n", "argocd", "-f", programs["argocd-install"])
                apply_peer.append(bench.kubectl(kubeconfig, "apply", *file))
                check_peer.append(bench.kubectl(kubeconfig, "diff", *file))
        median = statistics.median
        yield Figure(
            "manifest_apply", median(apply), median(apply_peer), 1.3, "install.yaml / kubectl apply --server-side"
        )
        yield Figure("manifest_again", median(check), median(check_peer), 1.3, "no change / kubectl diff --server-side")


class _Bench:
    """Clusters, and the two sides' runs on them."""

    def __init__(self, folder: pathlib.Path, programs: dict[str, str]) -> None:
        self._folder = folder
        self._programs = programs

    def cluster(self) -> _Cluster:
        return _Cluster(self._folder, {name: self._programs[name] for name in CLUSTER_PROGRAMS})

    def kubectl(self, kubeconfig: str, *arguments: str) -> float:
        return seconds([self._programs["kubectl"], "--kubeconfig", kubeconfig, *arguments])[0]

    def module(self, kubeconfig: str, *arguments: str) -> float:
        task = {
            "kubeconfig": kubeconfig,
            "name": "argocd",
            "namespace": "argocd",
            "create_namespace": True,
            "files": [self._programs["argocd-install"]],
        }
        # The same without a single object: the start of Ansible, and all else that is not this task's.
        nothing = {**task, "files": [], "create_namespace": False, "namespace": "default", "name": "nothing"}
        empty = statistics.median(self._play(nothing, "--check") for _ in range(2))
        return self._play(task, *arguments) - empty

    def _play(self, task: dict[str, t.Any], *arguments: str) -> float:
        path = self._folder / "play.json"
        plays = [{"hosts": "localhost", "gather_facts": False, "tasks": [{"hubspoke.bootstrap.manifest": task}]}]
        path.write_text(json.dumps(plays))
        return playbook(str(path), *arguments)[0]


class _Cluster:
    """A development cluster that lasts as long as its block."""

    def __init__(self, folder: pathlib.Path, programs: dict[str, str]) -> None:
        self._arguments = {
            "name": "bench-manifest",
            "provider": "kwok",
            "state_dir": str(folder / "state"),
            "tools": programs,
        }
        self._kubeconfig = str(folder / "state/clusters/bench-manifest/kubeconfig")
        self._path = folder / "cluster.json"

    def __enter__(self) -> str:
        self._run("present")
        return self._kubeconfig

    def __exit__(self, *_error: object) -> None:
        self._run("absent")

    def _run(self, state: str) -> None:
        task = {"hubspoke.bootstrap.dev_cluster": {**self._arguments, "state": state}}
        self._path.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]))
        playbook(str(self._path))
