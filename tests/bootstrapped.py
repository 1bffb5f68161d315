# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What tests of a scenario look at: the cluster's API, the processes and files of this machine, and further runs."""

from __future__ import annotations

import hashlib
import os
import pathlib
import re
import subprocess
import sys
import typing as t

import kubernetes
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[1]
SCENARIO = os.environ.get("MOLECULE_SCENARIO_NAME", "default")
CLUSTER = f"molecule-{SCENARIO}"
STATE = ROOT / ".state/molecule" / SCENARIO
KUBECONFIG = STATE / "clusters" / CLUSTER / "kubeconfig"
"""Of the hub."""
RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)", re.M)
Object = dict[str, t.Any]


def arguments() -> list[str]:
    """What Molecule gives to ansible-playbook for this scenario."""
    files = (ROOT / "molecule" / SCENARIO / "molecule.yml", ROOT / ".config/molecule/config.yml")
    settings = [yaml.safe_load(file.read_text(encoding="utf-8")) or {} for file in files]
    executors = [setting.get("ansible", {}).get("executor") for setting in settings]
    words: list[str] = next(executor["args"]["ansible_playbook"] for executor in executors if executor)
    values = {
        "${MOLECULE_PROJECT_DIRECTORY}": str(ROOT),
        "${MOLECULE_SCENARIO_DIRECTORY}": str(ROOT / "molecule" / SCENARIO),
        "${MOLECULE_SCENARIO_NAME}": SCENARIO,
    }
    for name, value in values.items():
        words = [word.replace(name, value) for word in words]
    return words


def play(playbook: str, *further: str, inventory: pathlib.Path | None = None) -> tuple[str, int]:
    """Run one of our playbooks on the scenario's clusters: its output, and how many tasks changed anything.

    :arg inventory: Instead of the scenario's.
    """
    code, output, changed = try_play(playbook, *further, inventory=inventory)
    assert code == 0, output
    return output, changed


def try_play(playbook: str, *further: str, inventory: pathlib.Path | None = None) -> tuple[int, str, int]:
    """The same for one that may fail; its exit code comes first."""
    words = [word for word in arguments() if not (inventory and word.startswith("--inventory="))]
    words += [f"--inventory={inventory}"] if inventory else []
    done = subprocess.run(
        [str(pathlib.Path(sys.executable).with_name("ansible-playbook")), str(ROOT / playbook), *words, *further],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    recap = dict(RECAP.findall(done.stdout))
    assert {"dev", CLUSTER, "lionpay-seoul"} & set(recap), done.stdout
    return done.returncode, done.stdout, sum(map(int, recap.values()))


def kubeconfig(cluster: str) -> pathlib.Path:
    """Of one of the scenario's clusters."""
    return STATE / "clusters" / cluster / "kubeconfig"


def api(cluster: str = CLUSTER) -> t.Any:
    """A cluster's API, any kind of it."""
    client = kubernetes.config.new_client_from_config(str(kubeconfig(cluster)))
    # By default it keeps what it discovers in the temporary folder, by the address, whatever cluster that was.
    cache = pathlib.Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / f"{cluster}-api.json"
    return kubernetes.dynamic.DynamicClient(client, cache_file=str(cache))


def objects(api_version: str, kind: str, namespace: str | None = None, cluster: str = CLUSTER) -> list[Object]:
    """All objects of a kind, as dictionaries."""
    resource = api(cluster).resources.get(api_version=api_version, kind=kind)
    return [item.to_dict() for item in resource.get(namespace=namespace).items]


def applications() -> dict[str, tuple[str, str]]:
    """Sync status and health of every Application, by its name."""
    found = {}
    for item in objects("argoproj.io/v1alpha1", "Application"):
        status = item.get("status") or {}  # none until Argo CD has seen it
        found[item["metadata"]["name"]] = tuple(
            str((status.get(part) or {}).get("status", "")) for part in ("sync", "health")
        )
    return found


def processes() -> dict[int, str]:
    """Command lines of all processes that run in the scenario's state folder or name it."""
    found = {}
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            directory = os.readlink(folder / "cwd")
        except OSError:
            continue
        if int(folder.name) not in _ancestors() and (str(STATE) in command or directory.startswith(str(STATE))):
            found[int(folder.name)] = command
    return found


def _ancestors() -> set[int]:
    """This process and what called it: Molecule's command line names the folder too."""
    found, pid = set(), os.getpid()
    while pid > 1:
        found.add(pid)
        pid = int(pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    return found


def listening(pids: t.Iterable[int]) -> set[str]:
    """Addresses (hexadecimal, as the kernel shows them) on which these processes listen."""
    sockets = set()
    for pid in pids:
        for descriptor in pathlib.Path(f"/proc/{pid}/fd").glob("*"):
            try:
                sockets.update(re.findall(r"socket:\[(\d+)\]", os.readlink(descriptor)))
            except OSError:
                continue
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in pathlib.Path(table).read_text(encoding="utf-8").splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in sockets:
                found.add(fields[1].split(":")[0])
    return found


def digest(path: pathlib.Path) -> str:
    """Checksum of a file, empty where there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""
