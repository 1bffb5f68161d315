# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Registering clusters: ours, `argocd cluster add` one by one and eight at once, and kubernetes.core over hosts.

Ours is the time of a play less that of the same one told to register none: what the task adds to the start of Ansible
and to its reading of the inventory. Of both the shortest of all rounds counts: all else only adds.
All on the same two API servers, one of which answers as a thousand spokes: at every address of 127.1.0.0/16. So that
none of this can be reached from elsewhere, everything runs in a network namespace with nothing but a loopback device.
Every spoke has a manager account of its own in ours and in kubernetes.core's; the CLI's are all the same one.
"""

from __future__ import annotations

import collections.abc
import concurrent.futures
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import typing as t

import yaml
from programs import found, seconds
from run import ROOT, Figure

SMALL, LARGE, TASKS = 100, 1000, 20
SETTLING = 10
"""Seconds for the API servers to be done with what was deleted before the next contestant begins."""
ROUNDS, REPEATS = 3, 2
"""Of ours, the large ones with repeats after each, so that both see the same changing machine."""
TIMEOUT = 5
"""Seconds that ours waits for a spoke."""
CLUSTERS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kwok", "kwokctl")
SERVER_PORT, REDIS_PORT, HANGING_PORT = 25301, 25302, 25303
MEMORY = "import resource,subprocess,sys\nsubprocess.run(sys.argv[2:], check=False)\n"
MEMORY += "open(sys.argv[1], 'w').write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))"


def figures() -> collections.abc.Iterator[Figure]:
    """Measured in a namespace of their own; this process only reads what comes out."""
    if not shutil.which("unshare"):
        sys.exit("The benchmark of registration needs unshare(1), of util-linux, and the right to use it.")
    command = ["unshare", "--net", sys.executable, __file__]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            yield Figure(*json.loads(line))
    assert process.returncode == 0, f"exit code {process.returncode}"


class Bench:
    """Hub and spokes, and each contestant's way to register some of them."""

    def __init__(self, folder: pathlib.Path, programs: dict[str, str]) -> None:
        self.folder, self.programs = folder, programs
        self.hub = folder / "state/clusters/bench-hub/kubeconfig"
        self.spokes = folder / "fleet.json"
        self.memory = 0.0

    def set_up(self) -> None:
        """Two clusters, Argo CD's objects on the hub, and a kubeconfig that knows a thousand spokes."""
        seconds(["ip", "link", "set", "lo", "up"])
        seconds(["ip", "address", "add", "10.99.0.1/32", "dev", "lo"])
        # The API server looks for a default route, though it is told its address.
        seconds(["ip", "route", "add", "default", "dev", "lo"])
        every = {"bind-address": "0.0.0.0", "advertise-address": "10.99.0.1"}
        self._clusters("present", {"api_server_args": every})
        seconds([*self.kubectl, "create", "namespace", "argocd"])
        seconds([*self.kubectl, "apply", "--server-side", "-n", "argocd", "-f", self.programs["argocd-install"]])
        self.write_fleet(self.spokes, {number: address(number) for number in range(LARGE)})

    def write_fleet(self, path: pathlib.Path, hosts: dict[int, str]) -> None:
        """A kubeconfig of spokes, at the port of their API server unless the host names another; and of the hub."""
        spoke = yaml.safe_load((self.folder / "state/clusters/bench-spokes/kubeconfig").read_text())
        content = yaml.safe_load(self.hub.read_text())
        content["contexts"][0]["context"]["namespace"] = "argocd"
        cluster = {**spoke["clusters"][0]["cluster"], "tls-server-name": "localhost"}
        port = cluster["server"].rpartition(":")[2]
        content["users"].append({**spoke["users"][0], "name": "spokes"})
        for number, host in hosts.items():
            name, server = f"spoke-{number}", f"https://{host}" if ":" in host else f"https://{host}:{port}"
            content["clusters"].append({"name": name, "cluster": {**cluster, "server": server}})
            content["contexts"].append({"name": name, "context": {"cluster": name, "user": "spokes"}})
        path.touch(mode=0o600)
        path.write_text(json.dumps(content))

    def tear_down(self) -> None:
        """Leave nothing."""
        self._clusters("absent", {})

    def _clusters(self, state: str, options: dict[str, t.Any]) -> None:
        tools = {name: self.programs[name] for name in CLUSTERS}
        module = {
            "provider": "kwok",
            "state": state,
            "state_dir": str(self.folder / "state"),
            "tools": tools,
            **options,
        }
        tasks = [{"hubspoke.bootstrap.dev_cluster": {"name": f"bench-{name}", **module}} for name in ("hub", "spokes")]
        self.play([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}])

    @property
    def kubectl(self) -> list[str]:
        """kubectl on the hub."""
        return [self.programs["kubectl"], "--kubeconfig", str(self.hub)]

    def play(self, plays: t.Any, *arguments: str) -> tuple[float, str]:
        """Seconds of a play, and what it says; its memory's peak is kept."""
        path, peak = self.folder / "play.json", self.folder / "peak"
        path.write_text(json.dumps(plays))
        command = [sys.executable, "-m", "ansible", "playbook", str(path), *arguments]
        taken, said = seconds([sys.executable, "-c", MEMORY, str(peak), *command])
        assert "unreachable=0" in said, said
        self.memory = int(peak.read_text()) / 1024
        return taken, said

    # Contestants

    def ours(
        self,
        numbers: collections.abc.Iterable[int],
        dead: dict[int, str] | None = None,
        probe: str = "always",
    ) -> tuple[float, float]:
        """The module argocd_clusters, in a play as users have it, and in one that is told to register none.

        :arg dead: Hosts of those that are not what they were.
        :arg probe: Whether a repeat tries what is registered already ("always"), or asks the hub alone ("on_change").
        """
        broken = self.folder / "dead.json"
        self.write_fleet(broken, dead or {})
        clusters = [
            {
                "name": f"spoke-{number}",
                "spoke": {
                    "kubeconfig": str(broken if dead and number in dead else self.spokes),
                    "context": f"spoke-{number}",
                },
                "account": {"name": f"argocd-{number}"},
                "probe": probe,
            }
            for number in numbers
        ]
        fleet = self.folder / "clusters.json"
        fleet.write_text(json.dumps({"fleet": clusters}))
        module = {"kubeconfig": str(self.hub), "owner": "bench", "hub_is_local": True, "timeout": TIMEOUT}
        task: dict[str, t.Any] = {"hubspoke.bootstrap.argocd_clusters": {**module, "clusters": "{{ fleet[:0] }}"}}
        given = f"--extra-vars=@{fleet}"
        empty = self.play([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}], given)[0]
        task = {"hubspoke.bootstrap.argocd_clusters": {**module, "clusters": "{{ fleet }}"}, "register": "done"}
        tasks = [task]
        if dead:
            task["ignore_errors"] = True
            failed = "{{ done.clusters | selectattr('failed') | map(attribute='name') | sort }}"
            names = sorted(f"spoke-{number}" for number in dead)
            tasks.append({"ansible.builtin.assert": {"that": f"names == {names}"}, "vars": {"names": failed}})
        taken, said = self.play([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}], given)
        assert "failed=0" in said, said[-3000:]
        return taken, empty

    def count(self) -> int:
        """How many clusters are registered."""
        selector = "--selector=argocd.argoproj.io/secret-type=cluster"
        return len(seconds([*self.kubectl, "-n", "argocd", "get", "secrets", selector, "--output=name"])[1].split())

    def forget(self) -> None:
        """Take all of them out again, and their accounts, each kind with one request."""
        selector = "?labelSelector=argocd.argoproj.io%2Fsecret-type%3Dcluster"
        seconds([*self.kubectl, "delete", "--raw", f"/api/v1/namespaces/argocd/secrets{selector}"])
        spoke = [self.programs["kubectl"], "--kubeconfig", str(self.folder / "state/clusters/bench-spokes/kubeconfig")]
        ours, group = "?labelSelector=hubspoke.bootstrap%2Fowner%3Dbench", "/apis/rbac.authorization.k8s.io/v1"
        for path in (
            f"{group}/clusterroles",
            f"{group}/clusterrolebindings",
            "/api/v1/namespaces/kube-system/serviceaccounts",
        ):
            seconds([*spoke, "delete", "--raw", f"{path}{ours}"])
        while self.count():
            time.sleep(0.2)
        time.sleep(SETTLING)

    def cli(self, count: int, at_once: int) -> float:
        """`argocd cluster add` against a running argocd-server."""

        def add(number: int) -> None:
            arguments = ["cluster", "add", f"spoke-{number}", "--yes", "--name", f"spoke-{number}"]
            server = ["--server", f"127.0.0.1:{SERVER_PORT}", "--plaintext"]
            environment = {"KUBECONFIG": str(self.spokes), "ARGOCD_CONFIG_DIR": str(self.folder / "cli")}
            seconds([self.programs["argocd"], *arguments, *server], environment)

        with argocd_server(self):
            add(0)  # the account, which all of them share, is not what is measured
            start = time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
                list(pool.map(add, range(1, count + 1)))
            return time.monotonic() - start

    def tasks(self, count: int) -> float:
        """kubernetes.core's modules over inventory hosts, forks 5."""
        inventory = self.folder / "tasks.json"
        hosts = {f"spoke-{number}": {} for number in range(count)}
        variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        inventory.write_text(json.dumps({"all": {"hosts": hosts, "vars": variables}}))
        values = json.dumps({"fleet": str(self.spokes), "hub": str(self.hub)})
        path = ROOT / "tests/benchmarks/registration_by_tasks.yml"
        command = [sys.executable, "-m", "ansible", "playbook", str(path), "-i", str(inventory), "--forks=5"]
        taken, said = seconds([*command, "--extra-vars", values])
        assert "failed=0" in said, said
        return taken


def least(runs: list[tuple[float, float]]) -> float:
    """Seconds that the task takes, by several runs of ours."""
    return min(taken for taken, _empty in runs) - min(empty for _taken, empty in runs)


def address(number: int) -> str:
    """Of a spoke."""
    return f"127.1.{number // 250}.{number % 250 + 1}"


@contextlib.contextmanager
def argocd_server(bench: Bench) -> collections.abc.Iterator[None]:
    """A real one, for the CLI to talk to, and the cache that it needs."""
    folder = bench.folder / "server"
    folder.mkdir(exist_ok=True)
    (folder / "redis.conf").write_text(f"bind 127.0.0.1\nport {REDIS_PORT}\nsave ''\n")
    config = yaml.safe_load(bench.hub.read_text())
    config["contexts"][0]["context"]["namespace"] = "argocd"
    (folder / "kubeconfig").touch(mode=0o600)
    (folder / "kubeconfig").write_text(json.dumps(config))
    environment = {**os.environ, "KUBECONFIG": str(folder / "kubeconfig"), "ARGOCD_FAKE_IN_CLUSTER": "true"}
    options = ["--address=127.0.0.1", f"--port={SERVER_PORT}", "--metrics-address=127.0.0.1", "--metrics-port=25304"]
    options += ["--insecure", "--disable-auth", f"--redis=127.0.0.1:{REDIS_PORT}", "--repo-server=127.0.0.1:25305"]
    commands = [
        [bench.programs["redis-server"], str(folder / "redis.conf")],
        [bench.programs["argocd-server"], *options],
    ]
    with (folder / "log").open("w", encoding="utf-8") as log, contextlib.ExitStack() as stack:
        for command in commands:
            process = stack.enter_context(
                subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
            )
            stack.callback(process.terminate)
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", SERVER_PORT), 1):
                break
            assert time.monotonic() < deadline, (folder / "log").read_text()[-2000:]
            time.sleep(0.2)
        yield


@contextlib.contextmanager
def dead_spokes(count: int) -> collections.abc.Iterator[list[str]]:
    """Addresses that refuse, and as many that take a connection and say nothing."""
    held = []
    with socket.create_server(("0.0.0.0", HANGING_PORT), backlog=256) as server:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    held.append(server.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        half = count // 2
        yield [f"127.2.0.{number + 1}:1" for number in range(half)] + [
            f"127.3.0.{number + 1}:{HANGING_PORT}" for number in range(count - half)
        ]


def inside() -> collections.abc.Iterator[tuple[t.Any, ...]]:
    """All measurements, as arguments of Figure."""
    with tempfile.TemporaryDirectory() as name:
        names = (*CLUSTERS, "argocd", "argocd-server", "redis-server", "argocd-install")
        bench = Bench(pathlib.Path(name), found(*names))
        try:
            bench.set_up()
            yield from measured(bench)
        finally:
            bench.tear_down()


def measured(bench: Bench) -> collections.abc.Iterator[tuple[t.Any, ...]]:
    """The peers first, on as many spokes as their speed allows; theirs are then scaled to as many as ours."""
    one_by_one = bench.cli(SMALL, 1) / SMALL
    bench.forget()
    eight = bench.cli(SMALL, 8) / SMALL
    bench.forget()
    tasks = bench.tasks(TASKS) / TASKS
    bench.forget()
    each: dict[int, float] = {}
    peak: dict[int, float] = {}
    whole: dict[int, float] = {}
    again: dict[str, list[tuple[float, float]]] = {"always": [], "on_change": []}
    for count in (SMALL, LARGE):
        rounds = []
        for _round in range(ROUNDS):
            bench.forget()
            rounds.append(bench.ours(range(count)))
            assert bench.count() == count
            peak[count] = bench.memory
            if count == LARGE:
                for probe, runs in again.items():
                    runs += [bench.ours(range(count), probe=probe) for _repeat in range(REPEATS)]
        whole[count] = least(rounds)
        each[count] = whole[count] / count
        for label, peer, times in (("cli", one_by_one, 12), ("cli_eight", eight, 5), ("tasks", tasks, 150)):
            note = {"cli": "argocd cluster add", "cli_eight": "the same, eight at once", "tasks": "kubernetes.core"}[
                label
            ]
            note = f"{count} clusters, seconds each / {note}"
            yield f"registration_{count}_{label}", each[count], peer, round(1 / times, 4), note
    note = f"{LARGE} clusters, nothing to do / first registration"
    yield "registration_again", least(again["always"]), whole[LARGE], 0.15, f"{note}; every credential tried again"
    yield "registration_again_on_change", least(again["on_change"]), whole[LARGE], 0.15, f"{note}; the hub alone asked"
    yield "registration_memory", peak[LARGE], None, 200, f"MiB at {LARGE} clusters"
    growth = (peak[LARGE] - peak[SMALL]) * 1024 / (LARGE - SMALL)
    yield "registration_growth", growth, None, 100, "KiB of memory a cluster"
    yield "registration_scale", each[LARGE], each[SMALL], 1.2, f"seconds each at {LARGE} / at {SMALL}"
    bench.forget()
    with dead_spokes(LARGE // 20) as addresses:
        dead = {number * 20: host for number, host in enumerate(addresses)}
        taken = least([bench.ours(range(LARGE), dead)])
        assert bench.count() == LARGE - len(dead)
    note = f"{LARGE} clusters, {len(dead)} dead: less one timeout of {TIMEOUT} s / all living"
    yield "registration_dead", taken - TIMEOUT, whole[LARGE], 1.5, note


if __name__ == "__main__":
    for figure in inside():
        print(json.dumps(figure), flush=True)
