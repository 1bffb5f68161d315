# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A laptop on kwok, programs at hand, from nothing to all Applications Healthy: the playbook, and a shell script."""

from __future__ import annotations

import collections.abc
import pathlib
import shutil
import sys
import tempfile

import yaml
from programs import dev_inventory, found, on_path, playbook, seconds
from run import ROOT, Figure

PROGRAMS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubectl",
    "kwok",
    "kwokctl",
    "redis-server",
    "argocd-server",
    "git-ask-pass.sh",
)
SCRIPT = str(ROOT / "tests/benchmarks/dev_by_hand.sh")
PORT = 25100
ROUNDS = 2


def figures() -> collections.abc.Iterator[Figure]:
    """Each from nothing, in turn; the better of two rounds counts. Then the playbook once more."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        arguments = ("-i", str(dev_inventory(folder, "bench-dev", PORT)))
        programs = found(*PROGRAMS, "argocd-install")
        manifest = programs.pop("argocd-install")
        pins = yaml.safe_load((ROOT / "toolchain/versions.yml").read_text())
        by_hand = {
            **on_path(programs),
            "MANIFEST": manifest,
            "SAMPLE": str(folder / "sample"),
            "PORT": str(PORT + 100),
            "LAUNCHER": f"{sys.executable} {ROOT / 'plugins/module_utils/_local_launcher.py'}",
            "KUBERNETES_VERSION": pins["groups"]["kubernetes"]["version"],
        }
        ours, theirs, again = [], [], 0.0
        try:
            for number in range(ROUNDS):
                ours.append(playbook("bootstrap.yml", *arguments)[0])
                shutil.copytree(folder / "state/sample-repository/bench-dev", folder / "sample", dirs_exist_ok=True)
                again, said = playbook("bootstrap.yml", *arguments)
                assert "changed=0" in said, said
                playbook("playbooks/teardown.yml", *arguments)
                theirs.append(seconds([SCRIPT, str(folder / f"hand{number}"), "up"], by_hand)[0])
                seconds([SCRIPT, str(folder / f"hand{number}"), "down"], by_hand)
        finally:
            playbook("playbooks/teardown.yml", *arguments)
            for number in range(ROUNDS):
                seconds([SCRIPT, str(folder / f"hand{number}"), "down"], by_hand)
        yield Figure("dev", min(ours), min(theirs), 2, "from nothing to Healthy: bootstrap.yml / a shell script")
        yield Figure("dev_again", again, None, 10, "seconds of a second bootstrap.yml, changed=0")
