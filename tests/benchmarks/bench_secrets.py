# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Two hundred encrypted files on two clusters: role sops_age, and `sops -d` of each with one `kubectl apply` a cluster.

Ours is the whole time of the playbook: the key proven, every file looked at and decrypted to compare its MAC, and then
applied. The peer decrypts each file once and keeps what it holds in a shell's memory for the second cluster.
External Secrets is in first_synced.py, the look for secrets that went astray in secrets_astray.py.
"""

from __future__ import annotations

import collections.abc
import concurrent.futures
import json
import os
import pathlib
import statistics
import tempfile

import first_synced
import secrets_astray
from programs import CLUSTER_PROGRAMS, clusters, found, play, seconds
from run import Figure

FILES, ROUNDS = 200, 3
CLUSTERS = ("bench-secrets-a", "bench-secrets-b")
BY_HAND = 'all=$(for file in *.yaml; do "$SOPS" -d "$file" || exit 1; echo ---; done) || exit 1\n'
BY_HAND += (
    'for config in "$@"; do echo "$all" | "$KUBECTL" --kubeconfig "$config" -n "$NAMESPACE" apply -f - || exit 1; done'
)


def figures() -> collections.abc.Iterator[Figure]:
    """Three rounds, each in a namespace of its own; the medians count."""
    with tempfile.TemporaryDirectory() as name:
        bench = _Bench(pathlib.Path(name), found(*CLUSTER_PROGRAMS, "sops", "age-keygen"))
        bench.clusters("present")
        try:
            bench.write()
            ours, again, peer = [], [], []
            for number in range(ROUNDS):
                peer.append(bench.by_hand(f"peer-{number}"))
                taken, changed = bench.role(f"ours-{number}")
                assert changed, "nothing was applied"
                ours.append(taken)
                taken, changed = bench.role(f"ours-{number}")
                assert not changed, f"{changed} tasks of a repeat changed something"
                again.append(taken)
        finally:
            bench.clusters("absent")
    median = statistics.median
    yield Figure(
        "secrets_first", median(ours), median(peer), 2.0, f"{FILES} files, 2 clusters / sops -d, kubectl apply"
    )
    yield Figure("secrets_again", median(again), median(ours), 0.5, "a repeat, changed=0 / the first")
    yield from first_synced.figures()
    yield from secrets_astray.figures()


class _Bench:
    """Files, clusters, and the two sides' runs."""

    def __init__(self, folder: pathlib.Path, programs: dict[str, str]) -> None:
        self._folder = folder
        self._programs = programs
        self._files = folder / "files"
        self._key = folder / "key"
        self._kubeconfigs: list[str] = []
        self._secret = {"SOPS_AGE_KEY_FILE": str(self._key), "XDG_CONFIG_HOME": str(folder / "nowhere")}

    def clusters(self, state: str) -> None:
        """Make both, or delete them."""
        self._kubeconfigs = list(clusters(self._folder, CLUSTERS, self._programs, state).values())

    def write(self) -> None:
        """The files, each a manifest of one Secret."""
        self._files.mkdir()
        seconds([self._programs["age-keygen"], "-o", str(self._key)])
        recipient = seconds([self._programs["age-keygen"], "-y", str(self._key)])[1].strip()
        (self._files / ".sops.yaml").write_text(
            f"creation_rules:\n  - age: {recipient}\n    encrypted_regex: ^stringData$\n"
        )

        def one(number: int) -> None:
            path = self._files / f"s{number}.secrets.enc.yaml"
            values = {f"KEY_{key}": f"value-{number}-{key}" for key in range(10)}
            metadata = {"name": f"secret-{number}"}
            path.write_text(
                json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": values})
            )
            config = ["--config", str(self._files / ".sops.yaml")]
            seconds([self._programs["sops"], *config, "encrypt", "--input-type", "json", "--in-place", str(path)])

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(one, range(FILES)))

    def by_hand(self, namespace: str) -> float:
        """The peer; the namespaces are there already."""
        kubectl = self._programs["kubectl"]
        for config in self._kubeconfigs:
            seconds([kubectl, "--kubeconfig", config, "create", "namespace", namespace])
        environment = {"SOPS": self._programs["sops"], "KUBECTL": kubectl, "NAMESPACE": namespace, **self._secret}
        command = ["env", "-C", str(self._files), "sh", "-c", BY_HAND, "sh", *self._kubeconfigs]
        return seconds(command, environment)[0]

    def role(self, namespace: str) -> tuple[float, int]:
        """Ours: seconds, and how many tasks changed something."""
        names = [f"s{number}.secrets.enc.yaml" for number in range(FILES)]
        variables = {
            "sops_age_root": str(self._files),
            "sops_age_key_file": str(self._key),
            "sops_age_generate": False,
            "sops_age_secrets": [{"file": name, "namespaces": [namespace]} for name in names],
            "sops_age_secrets_name": namespace,
            "sops_age_tools": {name: self._programs[name] for name in ("sops", "age-keygen")},
        }
        hosts = {
            name: {"cluster_kubeconfig": config, **variables}
            for name, config in zip(CLUSTERS, self._kubeconfigs, strict=True)
        }
        role = {"ansible.builtin.include_role": {"name": "hubspoke.bootstrap.sops_age"}}
        taken, said = play(self._folder, [role], hosts)
        changed = [int(line.partition("changed=")[2].split()[0]) for line in said.splitlines() if "changed=" in line]
        return taken, sum(changed)
