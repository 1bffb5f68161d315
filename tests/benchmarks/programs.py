# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the benchmarks run: the same programs for both sides, and one way to time a command."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import typing as t

import yaml
from run import ROOT

CLUSTER_PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kwok", "kwokctl")


def found(*names: str) -> dict[str, str]:
    """Paths of programs and files of toolchain/versions.yml, made if they are not there yet."""
    arguments = json.dumps({"tools": list(names)})
    command = [sys.executable, "-m", "ansible", "adhoc", "localhost", "-m", "hubspoke.bootstrap.toolchain"]
    said = seconds([*command, "-a", arguments], {"ANSIBLE_CALLBACK_RESULT_FORMAT": "json"})[1]
    return t.cast("dict[str, str]", json.loads(said[said.index("=> {") + 3 :])["tools"])


def on_path(programs: dict[str, str]) -> dict[str, str]:
    """An environment that finds these programs first."""
    folders = {str(pathlib.Path(path).parent) for path in programs.values()}
    return {"PATH": ":".join([*sorted(folders), _environment()["PATH"]])}


def seconds(command: list[str], environment: dict[str, str] | None = None) -> tuple[float, str]:
    """How long a command takes that must succeed, and what it says."""
    start = time.monotonic()
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**_environment(), **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    taken = time.monotonic() - start
    assert done.returncode == 0, f"{command}: exit code {done.returncode}\n{done.stdout}"
    return taken, done.stdout


def playbook(*arguments: str, environment: dict[str, str] | None = None) -> tuple[float, str]:
    """The same for ansible-playbook."""
    return seconds([sys.executable, "-m", "ansible", "playbook", *arguments], environment)


def dev_inventory(folder: pathlib.Path, name: str, port: int, **values: t.Any) -> pathlib.Path:
    """The development inventory with a state folder, a name and ports of its own, on kwok."""
    target = folder / "inventory"
    shutil.copytree(ROOT / "inventories/dev", target)
    own = {
        "cluster_provider": "kwok",
        "cluster_name": name,
        "hubspoke_state_dir": str(folder / "state"),
        "local_controllers_port_base": port,
    }
    (target / "host_vars").mkdir()
    (target / "host_vars/dev.yml").write_text(yaml.safe_dump({**own, **values}))
    hosts = yaml.safe_load((target / "hosts.yml").read_text())
    del hosts["hub"]["hosts"]["dev"]["cluster_provider"]
    (target / "hosts.yml").write_text(yaml.safe_dump(hosts))
    return target


def play(folder: pathlib.Path, tasks: list[t.Any], hosts: dict[str, t.Any]) -> tuple[float, str]:
    """The same for tasks on hosts with variables; `cluster_kubeconfig` is the cluster that modules are about."""
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory, path = folder / "hosts.json", folder / "play.json"
    inventory.write_text(json.dumps({"all": {"hosts": hosts, "vars": local}}))
    defaults = {"group/hubspoke.bootstrap.all": {"kubeconfig": "{{ cluster_kubeconfig }}"}}
    entry = {"hosts": "all", "gather_facts": False, "module_defaults": defaults, "tasks": tasks}
    path.write_text(json.dumps([entry]))
    return playbook(str(path), "-i", str(inventory))


def clusters(
    folder: pathlib.Path, names: t.Iterable[str], programs: dict[str, str], state: str = "present"
) -> dict[str, str]:
    """Make clusters with simulated nodes, or delete them: their kubeconfigs."""
    tools = {name: programs[name] for name in CLUSTER_PROGRAMS}
    options = {"provider": "kwok", "state": state, "state_dir": str(folder / "state"), "tools": tools}
    play(folder, [{"hubspoke.bootstrap.dev_cluster": {"name": name, **options}} for name in names], {"localhost": {}})
    return {name: str(folder / f"state/clusters/{name}/kubeconfig") for name in names}


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "KUBECONFIG"))}
    return {**kept, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
