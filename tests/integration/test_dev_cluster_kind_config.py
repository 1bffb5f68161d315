# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The configuration that kind is given, read and validated by kind itself, for which it needs no engine."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import typing as t

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_docker import config_file
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_kind import configuration
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_spec import Port, Spec

KIND = shutil.which("kind")
# Says that there is an engine without clusters, and fails at the first node: by then the configuration is accepted.
DOCKER = r"""#!/bin/sh
case $1 in
  info) echo '{"CgroupVersion": "2", "MemoryLimit": true, "PidsLimit": true, "CPUShares": true}' ;;
  ps) ;;
  version) echo 28.2.2 ;;
  *) echo "no more than that" >&2; exit 1 ;;
esac
"""
FULL = Spec(
    "kind",
    version="v1.36.3",
    servers=3,
    agents=2,
    ports=(Port(8080, 80), Port(5353, 53, "0.0.0.0", "udp")),
    registry_mirrors={"docker.io": ("http://172.17.0.1:5000",)},
    api_server_args={"audit-log-maxage": "7"},
)

pytestmark = pytest.mark.skipif(not KIND, reason="kind is not on PATH")


def _said_by_kind(folder: pathlib.Path, config: dict[str, t.Any]) -> str:
    (folder / "docker").write_text(DOCKER)
    (folder / "docker").chmod(0o755)
    (folder / "kind.yaml").write_text(config_file(config))
    done = subprocess.run(
        [str(KIND), "create", "cluster", "--config", "kind.yaml", "--kubeconfig", "kubeconfig"],
        cwd=folder,
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "KIND_EXPERIMENTAL_PROVIDER": "docker"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("spec", [FULL, Spec("kind")], ids=["everything", "nothing"])
def test_kind_accepts_it(tmp_path: pathlib.Path, spec: Spec) -> None:
    assert 'Creating cluster "dev"' in _said_by_kind(tmp_path, configuration("dev", spec))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"nodes": [{"role": "server"}]}, "role"),
        ({"nodes": [{"role": "control-plane", "extraPortMappings": [{"containerPort": 80, "port": 1}]}]}, "port"),
        ({"network": {}}, "network"),
    ],
)
def test_what_it_would_not_accept(tmp_path: pathlib.Path, change: dict[str, t.Any], complaint: str) -> None:
    """The test above can fail."""
    said = _said_by_kind(tmp_path, {**json.loads(json.dumps(configuration("dev", FULL))), **change})
    assert "Creating cluster" not in said
    assert complaint in said
