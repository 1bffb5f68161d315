# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module toolchain through Ansible, and the real tools that it gives."""

from __future__ import annotations

import hashlib
import os
import pathlib
import subprocess
import typing as t

import pytest

RunModule = t.Callable[..., dict[str, t.Any]]
VERSIONS = {
    "kube-apiserver": (["--version"], "Kubernetes v1."),
    "kube-controller-manager": (["--version"], "Kubernetes v1."),
    "kube-scheduler": (["--version"], "Kubernetes v1."),
    "kubectl": (["version", "--client"], "Client Version: v1."),
    "etcd": (["--version"], "etcd Version: 3."),
    "kwok": (["--version"], "kwok version v"),
    "kwokctl": (["--version"], "kwokctl version v"),
    "argocd": (["version", "--client", "--short"], "argocd: v3."),
    "argocd-repo-server": (["--help"], "argocd-repo-server [flags]"),
    "metrics-server": (["--version"], "v0."),
    "redis-server": (["--version"], "server v="),
}


@pytest.mark.parametrize("name", VERSIONS)
def test_the_real_tool_runs(tools: dict[str, str], name: str) -> None:
    arguments, words = VERSIONS[name]
    done = subprocess.run([tools[name], *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert words in done.stdout + done.stderr


def test_release_files_are_there(tools: dict[str, str]) -> None:
    assert pathlib.Path(tools["argocd-install"]).read_text().count("\nkind: CustomResourceDefinition") == 3
    assert pathlib.Path(tools["kwok-stages"], "pod/general/pod-ready.yaml").is_file()
    assert os.access(tools["git-ask-pass.sh"], os.X_OK)


def test_a_second_time_nothing_is_made(tools: dict[str, str], run_module: RunModule) -> None:
    names = ["kubectl", "kwokctl", "argocd-install", "git-ask-pass.sh"]
    for check in (True, False):
        result = run_module("toolchain", {"tools": names}, check=check)
        assert (result["changed"], result["diff"]["after"]) == (False, "")
        assert result["tools"] == {name: tools[name] for name in names}


def test_the_same_in_process_and_as_a_subprocess(tools: dict[str, str], run_module: RunModule) -> None:
    results = [
        run_module("toolchain", {"tools": ["etcd", "argocd-core-install"]}, in_process=in_process)
        for in_process in (True, False)
    ]
    for result in results:
        result.pop("ansible_facts", None)
    assert results[0] == results[1]
    path = pathlib.Path(results[0]["tools"]["argocd-core-install"])
    assert results[0]["checksums"] == {"argocd-core-install": hashlib.sha256(path.read_bytes()).hexdigest()}


def test_an_unknown_tool_is_one_message(run_module: RunModule) -> None:
    result = run_module("toolchain", {"tools": ["kubect"]})
    assert result["msg"].startswith(
        "tools asks for kubect, which toolchain/versions.yml does not have. Did you mean kubectl?"
    )


def test_check_mode_on_an_empty_cache(run_module: RunModule, tmp_path: pathlib.Path) -> None:
    arguments = {"tools": ["metrics-server"], "path_lookup": False, "cache_dir": str(tmp_path / "cache")}
    result = run_module("toolchain", arguments, check=True)
    assert result["changed"]
    assert result["tools"]["metrics-server"].startswith(str(tmp_path / "cache/tools/metrics-server@v"))
    assert not (tmp_path / "cache").exists()
