# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""External Secrets on a cluster that has nothing, up to the first synced Secret: role external_secrets, and a script.

Both start the same controller as a process. Ours is the whole time of the playbook.
"""

from __future__ import annotations

import collections.abc
import json
import os
import pathlib
import signal
import socket
import statistics
import sys
import tempfile
import typing as t

import boto3
from programs import CLUSTER_PROGRAMS, clusters, found, on_path, play, seconds
from run import ROOT, Figure

sys.path.insert(0, str(ROOT / "tests"))
from aws_stand_in import StandIn

ROUNDS = 3
OURS, BY_HAND = "bench-first-synced", "bench-first-synced-by-hand"
PROGRAMS = ("external-secrets", "helm")
MANIFESTS = ("external-secrets-crds", "external-secrets-chart")
REGION = "ap-northeast-2"
KEYS = {"access_key_id": "rehearsal", "secret_access_key": "not-a-secret-of-anybody"}


def figures() -> collections.abc.Iterator[Figure]:
    """Each round on new clusters; the medians count."""
    programs = found(*CLUSTER_PROGRAMS, *PROGRAMS, *MANIFESTS)
    aws = StandIn()
    aws.start()
    try:
        keys = {"aws_access_key_id": KEYS["access_key_id"], "aws_secret_access_key": KEYS["secret_access_key"]}
        client = boto3.client("secretsmanager", endpoint_url=aws.address, region_name=REGION, **keys)
        client.create_secret(Name="wealist/prod/shared", SecretString=json.dumps({"JWT_SECRET": "value"}))
        rounds = [_round(programs, aws.address) for _number in range(ROUNDS)]
    finally:
        aws.stop()
    ours, peer = (statistics.median(side) for side in zip(*rounds, strict=True))
    yield Figure(
        "secrets_first_synced", ours, peer, 1.3, "cold cluster to a synced Secret / helm, kubectl apply and wait"
    )


def _round(programs: dict[str, str], endpoint: str) -> tuple[float, float]:
    """Seconds of ours, and of the script."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        kubeconfigs = clusters(folder, (OURS, BY_HAND), programs)
        try:
            peer = _by_hand(folder, kubeconfigs[BY_HAND], programs, endpoint)
            return _role(folder, kubeconfigs[OURS], endpoint), peer
        finally:
            clusters(folder, (OURS, BY_HAND), programs, "absent")


def _role(folder: pathlib.Path, kubeconfig: str, endpoint: str) -> float:
    role = {"name": "hubspoke.bootstrap.external_secrets"}
    variables: dict[str, t.Any] = {
        "cluster_name": OURS,
        "cluster_kubeconfig": kubeconfig,
        "cluster_simulated": True,
        "hubspoke_state_dir": str(folder / "state"),
        "local_controllers_aws_endpoint": endpoint,
        "external_secrets_stores": [
            {"name": "aws-secrets-store", "region": REGION, "auth": "static", "credentials": KEYS}
        ],
        "external_secrets_external_secrets": [
            {
                "name": "shared-secrets",
                "namespace": "wealist-prod",
                "store": "aws-secrets-store",
                "target": "wealist-shared-secret",
                "extract": ["wealist/prod/shared"],
                "refresh_interval": "1h",
            }
        ],
    }
    try:
        return play(folder, [{"ansible.builtin.include_role": role}], {OURS: variables})[0]
    finally:
        stop = {"name": "hubspoke.bootstrap.local_controllers", "tasks_from": "absent"}
        play(folder, [{"ansible.builtin.include_role": stop}], {OURS: variables})


def _by_hand(folder: pathlib.Path, kubeconfig: str, programs: dict[str, str], endpoint: str) -> float:
    environment = {
        **on_path({name: programs[name] for name in ("kubectl", *PROGRAMS)}),
        "KUBECONFIG": kubeconfig,
        "CRDS": programs["external-secrets-crds"],
        "CHART": programs["external-secrets-chart"],
        "VERSION": "v0.20.4",
        "ENDPOINT": endpoint,
        "PORT": str(_free_port()),
    }
    script = pathlib.Path(__file__).with_name("first_synced_by_hand.sh")
    try:
        return seconds([str(script), str(folder / "by-hand")], environment)[0]
    finally:
        pid = folder / "by-hand/pid"
        if pid.exists():
            os.kill(int(pid.read_text()), signal.SIGTERM)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
