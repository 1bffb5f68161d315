# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Each of preflight's checks, on machines that are only described."""

from __future__ import annotations

import dataclasses
import pathlib
import types
import typing as t

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_inventory as inventory
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_machine as machine
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_ports as ports
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_providers as providers
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_reach as reach
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_spec import Port, Spec
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import ApiError, HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import Finding, Host, Survey
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_probe import Answer, Api, Engine, Folder
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_pins import Pins

PINS = Pins.load(pathlib.Path(__file__).parents[2] / "toolchain")
GIB = 1 << 30
ALL = len(machine.TOOLS) + len(machine.CONTROLLER_TOOLS)
ARGOCD_GIB = PINS.groups["argocd"].disk_gib


@dataclasses.dataclass
class Machine:
    """What the real probe would find."""

    programs: t.Collection[str] = ()
    docker: Engine = Engine("", "nobody listens")  # noqa: RUF009
    taken: t.Collection[int] = ()
    ours: t.Collection[int] = ()
    collection_missing: str = ""
    libraries_missing: t.Collection[str] = ()
    git: Answer = Answer(0, "git version 2.39.5\n")  # noqa: RUF009
    folders: t.Mapping[str, Folder] = dataclasses.field(default_factory=dict)
    sources: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    files: t.Mapping[str, bytes] = dataclasses.field(default_factory=dict)
    apis: t.Mapping[str, Api | Exception] = dataclasses.field(default_factory=dict)
    aws_endpoint: str = ""
    cache_folder: str = "/cache"
    record_found: t.Any = None
    engine_asked: int = 0

    def which(self, program: str) -> str:
        return f"/bin/{program}" if program in self.programs else ""

    def engine(self, tools: t.Mapping[str, str]) -> Engine:
        self.engine_asked += 1
        return self.docker

    def port_taken(self, port: int, address: str = "", protocol: str = "") -> bool:
        return port in self.taken

    def port_holder(self, port: int) -> str:
        return "somebody, process 7"

    def holds(self, port: int, folder: str, name: str) -> bool:
        assert (folder, name) == ("/state/processes/dev", "dev")
        return port in self.ours

    def library(self, module: str, distribution: str) -> str:
        if module in self.libraries_missing:
            raise HubspokeError(f"No module named {module!r}")
        return "1.0"

    def collection_problem(self) -> str:
        return self.collection_missing

    def run(self, command: t.Sequence[str], environment: t.Mapping[str, str] | None = None) -> Answer:
        assert list(command) == ["git", "--version"]
        return self.git

    def folder(self, path: str) -> Folder:
        return self.folders.get(path, Folder(path, free=100 * GIB))

    def check_export(self, path: str, context: str) -> None:
        assert context == "kwok-dev"
        if path in self.files:
            raise HubspokeError(f"cluster_kubeconfig_export is {path}, which is there.", "Give a path of its own.")

    def origins(self, pins: Pins, names: t.Sequence[str]) -> dict[str, str]:
        return {name: self.sources.get(name, "cache") for name in names}

    def go(self, pins: Pins) -> str:
        return "/usr/bin/go" if "go" in self.programs else ""

    def record(self, state_dir: str, cluster: str) -> t.Any:
        return self.record_found

    def read(self, path: str) -> bytes:
        if path not in self.files:
            raise FileNotFoundError(2, "No such file or directory", path)
        return self.files[path]

    def api(self, kubeconfig: str, context: str) -> Api:
        answer = self.apis[kubeconfig]
        if isinstance(answer, Exception):
            raise answer
        return answer


def host(name: str = "dev", provider: str = "kwok", record: t.Any = None, reason: str = "", **values: t.Any) -> Host:
    values = {
        "cluster_provider": provider,
        "cluster_servers": 1,
        "cluster_agents": 0,
        "hubspoke_state_dir": "/state",
    } | values
    return Host(name, values=values, provider=provider, record=record, reason=reason)


def survey(*hosts: Host, hubs: tuple[str, ...] = ("dev",), probe: Machine | None = None, **options: t.Any) -> Survey:
    return Survey(hosts or (host(),), hubs, options, PINS, probe or Machine())


def short(findings: t.Iterable[Finding]) -> list[tuple[str, str]]:
    """Verdict and variable, and that nobody is left alone with a problem."""
    found = list(findings)
    assert all(bool(finding.remedy) == bool(finding.variable) == (finding.verdict != "ok") for finding in found), found
    return [(finding.verdict, finding.variable) for finding in found]


@pytest.mark.parametrize(
    ("hubs", "required", "expected"),
    [
        (("dev",), True, [("ok", "")]),
        ((), True, [("fail", "group hub")]),
        (("a", "b"), True, [("fail", "group hub")]),
        ((), False, []),
        (("a", "b"), False, []),
    ],
)
def test_hub(hubs: tuple[str, ...], required: bool, expected: list[tuple[str, str]]) -> None:
    assert short(inventory.hub(survey(hubs=hubs, hub_required=required))) == expected


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ([host("dev"), host("one")], [("ok", "")]),
        ([host("dev"), host("one", cluster_name="dev")], [("fail", "cluster_name")]),
        ([host("one", cluster_name="in-cluster")], [("fail", "cluster_name")]),
        ([host("dev", cluster_name="in-cluster")], [("ok", "")]),
        ([host("Dev_1")], [("fail", "cluster_name")]),
        ([host("a" * 33)], [("fail", "cluster_name")]),
        ([host("Dev_1", "eks")], [("ok", "")]),
        ([host("Dev_1", "")], [("ok", "")]),
        ([host("in-cluster"), host("x", cluster_name="in-cluster")], [("fail", "cluster_name")] * 2),
    ],
)
def test_cluster_names(hosts: list[Host], expected: list[tuple[str, str]]) -> None:
    assert short(inventory.cluster_names(survey(*hosts))) == expected


ENGINE = Engine("28.2.2")
RECORD = types.SimpleNamespace(spec=Spec("kind", ports=(Port(8080, 80),)))


def hub(base: int) -> Host:
    return host(local_controllers_port_base=base)


@pytest.mark.parametrize(
    ("values", "probe", "provider"),
    [
        ({"cluster_provider": "auto"}, Machine(), "kwok"),
        ({"cluster_provider": "auto"}, Machine(["kind"], ENGINE), "kind"),
        ({"cluster_provider": "auto"}, Machine(["kind", "k3d"], ENGINE), "k3d"),
        ({"cluster_provider": "auto"}, Machine(["kind", "k3d"]), "kwok"),
        (
            {"cluster_provider": "auto", "dev_cluster_tools": {"kind": "/opt/kind"}},
            Machine(["/opt/kind"], ENGINE),
            "kind",
        ),
        ({"cluster_provider": "existing", "cluster_state": "adopted"}, Machine(["kind"], ENGINE), "existing"),
        ({"cluster_provider": "auto", "hubspoke_state_dir": "/s"}, Machine(record_found=RECORD), "kind"),
        (
            {"cluster_provider": "auto", "hubspoke_state_dir": "/s", "cluster_state": "adopted"},
            Machine(record_found=RECORD),
            "kind",
        ),
        (
            {"cluster_provider": "kwok", "hubspoke_state_dir": "/s", "cluster_state": "adopted"},
            Machine(record_found=RECORD),
            "kind",
        ),
        ({"cluster_provider": "kind"}, Machine(), "kind"),
        ({"cluster_provider": "eks"}, Machine(), "eks"),
        ({}, Machine(), ""),
    ],
)
def test_the_provider_is_decided_as_dev_cluster_decides(
    values: dict[str, t.Any], probe: Machine, provider: str
) -> None:
    ((decided, findings),) = providers.decided([Host("dev", values=values)], probe)
    assert (decided.provider, findings) == (provider, [])


def test_the_engine_is_not_asked_where_nothing_depends_on_it() -> None:
    probe = Machine(["kind", "docker"], ENGINE)
    list(providers.decided([Host("dev", values={"cluster_provider": "kwok"})], probe))
    assert probe.engine_asked == 0


def test_a_record_that_cannot_be_read_is_found() -> None:
    class Broken(Machine):
        def record(self, state_dir: str, cluster: str) -> None:
            raise HubspokeError("The record cannot be read.", "Restore it.")

    ((_decided, findings),) = providers.decided([host()], Broken())
    assert short(findings) == [("fail", "hubspoke_state_dir")]


def test_an_adopted_cluster_has_to_be_known() -> None:
    given = Host("dev", values={"cluster_provider": "auto", "hubspoke_state_dir": "/s", "cluster_state": "adopted"})
    ((decided, findings),) = providers.decided([given], Machine())
    assert short(findings) == [("fail", "cluster_state")]
    assert decided.provider == ""


@pytest.mark.parametrize(
    ("given", "probe", "expected"),
    [
        (host(), Machine(), [("ok", "")]),
        (host(provider=""), Machine(), []),
        (host(provider="k3d"), Machine(["k3d"]), [("ok", "")]),
        (host(provider="k3d"), Machine(["kind"]), [("fail", "cluster_provider")]),
        (host(provider="kind"), Machine(["kind"]), [("ok", "")]),
        (
            host(provider="kind", dev_cluster_tools={"kind": "/opt/kind"}),
            Machine(["kind"]),
            [("fail", "cluster_provider")],
        ),
    ],
)
def test_provider(given: Host, probe: Machine, expected: list[tuple[str, str]]) -> None:
    assert short(providers.providers(survey(given, probe=probe))) == expected


def test_eks_needs_its_role() -> None:
    given = host(provider="eks")
    assert short(providers.providers(survey(given, roles=["argocd"]))) == [("fail", "cluster_provider")]
    assert short(providers.providers(survey(given, roles=["eks_cluster"]))) == [("ok", "")]


@pytest.mark.parametrize(
    ("endpoint", "simulated"),
    [
        ("", False),
        ("https://vpce.example.com", False),
        ("http://127.0.0.1:24566", True),
        ("http://localhost:24566", True),
        ("http://[::1]:24566", True),
    ],
)
def test_a_cluster_of_a_look_alike_is_simulated(endpoint: str, simulated: bool) -> None:
    ((decided, _),) = providers.decided([Host("dev", {"cluster_provider": "eks"})], Machine(aws_endpoint=endpoint))
    assert (decided.provider, decided.simulated) == ("eks", simulated)


def test_what_is_simulated_needs_its_programs_and_ports() -> None:
    rehearsed = dataclasses.replace(host(provider="eks", local_controllers_port_base=24100), in_look_alike=True)
    assert [finding.found for finding in machine.tools(survey(rehearsed))] == [
        f"{ALL} programs of toolchain/versions.yml at hand ({ALL} cache)"
    ]
    assert [finding.verdict for finding in ports.ports(survey(rehearsed, probe=Machine(taken=[24100])))] == ["fail"]
    in_production = dataclasses.replace(rehearsed, in_look_alike=False)
    assert list(machine.tools(survey(in_production))) == list(ports.ports(survey(in_production))) == []


@pytest.mark.parametrize(
    ("provider", "engine", "expected"),
    [
        ("kwok", Engine("", "x"), []),
        ("k3d", ENGINE, [("ok", "")]),
        ("k3d", Engine("", "x"), [("fail", "cluster_provider")]),
        ("kind", Engine("", "x"), [("fail", "cluster_provider")]),
    ],
)
def test_docker(provider: str, engine: Engine, expected: list[tuple[str, str]]) -> None:
    assert short(providers.docker(survey(host(provider=provider), probe=Machine(docker=engine)))) == expected


KUBERNETES = PINS.groups["kubernetes"].version


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (host(), [("ok", "")]),
        (host(cluster_version=KUBERNETES), [("ok", "")]),
        (host(cluster_version="v1.0.0"), [("fail", "cluster_version")]),
        (host(cluster_version="v1.0.0", dev_cluster_tools={"kube-apiserver": "/opt/kube-apiserver"}), [("ok", "")]),
        (host(provider="kind", cluster_version="v1.0.0"), [("ok", "")]),
        (host(provider="kind", cluster_version="1.33"), [("fail", "cluster_version")]),
        (host(provider="existing", cluster_version="v1.0.0"), []),
        (host(cluster_kubeconfig_export="/new"), [("ok", "")]),
        (host(cluster_kubeconfig_export="/mine"), [("fail", "cluster_kubeconfig_export")]),
        (host(cluster_servers=3), [("fail", "cluster_servers")]),
        (host(provider="kind", cluster_servers=0), [("fail", "cluster_servers")]),
        (host(cluster_ports=[{"host_port": 80, "container_port": 80}]), [("warn", "cluster_ports")]),
        (
            host(provider="kind", cluster_ports=[{"host_port": 80, "container_port": 99999}]),
            [("fail", "cluster_ports")],
        ),
        (
            host(provider="kind", cluster_ports=[{"host_port": 80, "container_port": 80}] * 2),
            [("fail", "cluster_ports")],
        ),
    ],
)
def test_cluster(given: Host, expected: list[tuple[str, str]]) -> None:
    assert short(providers.clusters(survey(given, probe=Machine(files={"/mine": b""})))) == expected


PORTS = [{"host_port": 8080, "container_port": 80}, {"host_port": 8443, "container_port": 443}]
FREE = "8443: free, or held by what an earlier run started"


@pytest.mark.parametrize(
    ("given", "engine", "expected"),
    [
        (host(provider="kind", cluster_ports=PORTS), ENGINE, [("fail", "cluster_ports"), ("ok", "")]),
        (host(provider="kind", cluster_ports=PORTS[1:]), ENGINE, [("ok", "")]),
        (host(provider="kind", cluster_ports=PORTS, record=RECORD), ENGINE, []),
        (host(provider="kind", cluster_ports=PORTS, record=RECORD, cluster_recreate=True), ENGINE, [("ok", "")]),
        (host(provider="kind", cluster_ports=PORTS, record=RECORD, cluster_state="adopted"), ENGINE, []),
        (host(provider="kind", cluster_ports=PORTS), Engine("28", is_local=False), []),
        (host(provider="kwok", cluster_ports=PORTS), ENGINE, []),
        (host(provider="kind"), ENGINE, []),
    ],
)
def test_ports_of_clusters(given: Host, engine: Engine, expected: list[tuple[str, str]]) -> None:
    findings = list(ports.ports(survey(given, probe=Machine(docker=engine, taken=[8080]))))
    assert short(findings) == expected
    assert [finding.found for finding in findings if finding.verdict == "ok"] == [FREE] * expected.count(("ok", ""))


@pytest.mark.parametrize(
    ("given", "taken", "ours", "expected", "found"),
    [
        (hub(24100), [], [], [("ok", "")], "24100 to 24109: free"),
        (hub(24100), [24099, 24110], [], [("ok", "")], "24100 to 24109"),
        (hub(24100), [24109], [], [("fail", ports.BASE)], "port 24109 (by somebody, process 7) is in use"),
        (hub(24100), [24100, 24101], [], [("fail", ports.BASE)], "ports 24100 (by somebody, process 7), 24101"),
        (hub(24100), [24100], [24100], [("ok", "")], ""),
        (hub(24100), [24100, 24101], [24100], [("fail", ports.BASE)], "port 24101 "),
        (hub(65530), [], [], [("fail", ports.BASE)], "do not all exist"),
        (hub(-5), [], [], [("fail", ports.BASE)], "do not all exist"),
        (dataclasses.replace(hub(24100), name="spoke"), [24100], [], [], ""),
        (dataclasses.replace(hub(24100), provider="kind"), [24100], [], [], ""),
    ],
)
def test_ports_of_controllers(
    given: Host, taken: list[int], ours: list[int], expected: list[tuple[str, str]], found: str
) -> None:
    findings = list(ports.ports(survey(given, probe=Machine(taken=taken, ours=ours))))
    assert short(findings) == expected
    assert all(found in finding.found for finding in findings)


def test_two_clusters_cannot_have_the_same_port() -> None:
    hosts = [host(name, "kind", cluster_ports=PORTS[1:]) for name in ("dev", "b")]
    findings = list(ports.ports(survey(*hosts, probe=Machine(docker=ENGINE))))
    assert [(finding.verdict, finding.hosts) for finding in findings] == [("fail", ("b",)), ("ok", ())]


def test_two_hubs_cannot_have_the_same_ports() -> None:
    hosts = [dataclasses.replace(hub(base), name=name) for name, base in (("dev", 24100), ("b", 24105), ("c", 24200))]
    findings = list(ports.ports(survey(*hosts, hubs=("dev", "b", "c"), hub_required=False)))
    assert [(finding.verdict, finding.hosts) for finding in findings] == [("fail", ("b",)), ("ok", ())]


def test_python(monkeypatch: pytest.MonkeyPatch) -> None:
    assert short(machine.python(survey())) == [("ok", "")]
    monkeypatch.setattr(machine, "ansible_version", "2.18.1")
    assert short(machine.python(survey())) == [("fail", "ansible-core")]
    monkeypatch.setattr(machine, "PYTHON_MINIMUM", (4, 0))
    assert short(machine.python(survey())) == [("fail", "ansible_python_interpreter")]


@pytest.mark.parametrize(
    ("missing", "provider", "expected"),
    [
        ([], "kwok", [("ok", "")]),
        (["kubernetes"], "kwok", [("fail", "ansible_python_interpreter"), ("ok", "")]),
        (["yaml._yaml"], "kwok", [("ok", ""), ("warn", "ansible_python_interpreter")]),
        (["supervisor.supervisord"], "kwok", [("fail", "ansible_python_interpreter"), ("ok", "")]),
        (["supervisor.supervisord"], "kind", [("ok", "")]),
        (["boto3"], "kind", [("ok", "")]),
        (["boto3"], "eks", [("fail", "ansible_python_interpreter"), ("ok", "")]),
    ],
)
def test_libraries(missing: list[str], provider: str, expected: list[tuple[str, str]]) -> None:
    probe = Machine(libraries_missing=missing)
    assert short(machine.libraries(survey(host(provider=provider), probe=probe))) == expected


def test_the_collection_that_knows_the_ways_to_a_cluster() -> None:
    probe = Machine(collection_missing="No module named 'ansible_collections.kubernetes'")
    assert short(machine.libraries(survey(probe=probe))) == [("fail", "ANSIBLE_COLLECTIONS_PATH"), ("ok", "")]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(0, "git version 2.39.5\n"), [("ok", "")]),
        (Answer(0, "git version 2.54.0 (Apple Git-200)\n"), [("ok", "")]),
        (Answer(0, "git version 1.9.1\n"), [("fail", "PATH")]),
        (Answer(None, error="No such file or directory"), [("fail", "PATH")]),
    ],
)
def test_git(answer: Answer, expected: list[tuple[str, str]]) -> None:
    assert short(machine.git(survey(probe=Machine(git=answer)))) == expected


@pytest.mark.parametrize(
    ("given", "probe", "expected", "found"),
    [
        (host(), Machine(), [("ok", "")], f"{ALL} programs of toolchain/versions.yml at hand ({ALL} cache)"),
        (host("spoke"), Machine(), [("ok", "")], f"{ALL - 2} programs"),
        (host(provider="kind"), Machine(), [], ""),
        (
            host(),
            Machine(["go"], sources={"etcd": "built"}),
            [("ok", "")],
            f"etcd (1 built, {ALL - 1} cache; to be built with /usr/bin/go)",
        ),
        (host(), Machine(sources={"etcd": "built"}), [("ok", "")], "a Go that is fetched first"),
        (host(), Machine(sources={"kubectl": "release"}), [("ok", "")], f"kubectl ({ALL - 1} cache, 1 release)"),
        (
            host(),
            Machine(sources={"argocd": "built"}, folders={"/cache": Folder("/", free=int((ARGOCD_GIB - 1) * GIB))}),
            [("fail", "HUBSPOKE_CACHE_DIR")],
            f"GiB free, {ARGOCD_GIB:g} GiB needed for argocd",
        ),
        (
            host(),
            Machine(sources={"kubectl": "release"}, folders={"/cache": Folder("/", "/: Read-only file system")}),
            [("fail", "HUBSPOKE_CACHE_DIR")],
            "Read-only file system",
        ),
        (host(), Machine(folders={"/cache": Folder("/", "/: Read-only file system")}), [("ok", "")], "at hand"),
    ],
)
def test_tools(given: Host, probe: Machine, expected: list[tuple[str, str]], found: str) -> None:
    findings = list(machine.tools(survey(given, probe=probe)))
    assert short(findings) == expected
    assert all(found in finding.found for finding in findings)


MIB = 1 << 20


@pytest.mark.parametrize(
    ("hosts", "folder", "verdict", "found"),
    [
        ([host()], Folder("/", free=400 * MIB), "ok", "/state: writable, 400 MiB free, 384 MiB needed"),
        ([host()], Folder("/", free=380 * MIB), "fail", "has 380 MiB left; 1 cluster may take 384 MiB"),
        (
            [host("a"), host("b")],
            Folder("/", free=400 * MIB),
            "fail",
            "has 400 MiB left; 2 clusters may take 704 MiB",
        ),
        ([host(provider="kind")], Folder("/", free=100 * MIB), "ok", "64 MiB needed"),
        ([host(record=RECORD)], Folder("/", free=100 * MIB), "ok", "64 MiB needed"),
        ([host()], Folder("/", "/: No space left on device", full=True), "fail", "has nothing left"),
        ([host()], Folder("/f", "/f is not a folder"), "fail", "cannot be written to (/f is not a folder)"),
    ],
)
def test_state_folder(hosts: list[Host], folder: Folder, verdict: str, found: str) -> None:
    (finding,) = machine.state_folders(survey(*hosts, probe=Machine(folders={"/state": folder})))
    assert (finding.verdict, finding.variable) == (verdict, "hubspoke_state_dir" if verdict == "fail" else "")
    assert found in finding.found


def test_each_state_folder_is_checked_once_and_none_where_the_variable_is_unusable() -> None:
    hosts = [
        host("a", hubspoke_state_dir="/one"),
        host("b", hubspoke_state_dir="/two/"),
        host("c", hubspoke_state_dir="/one"),
    ]
    found = [finding.found.split(":")[0] for finding in machine.state_folders(survey(*hosts, Host("d")))]
    assert found == ["/one", "/two"]


CONFIG = b"{current-context: one, contexts: [{name: one, context: {}}, {name: two, context: {}}]}"
NO_CURRENT = b"{contexts: [{name: one, context: {}}]}"
GOOD = Api("v1.33.1", True)


@pytest.mark.parametrize(
    ("content", "context", "api", "expected", "found"),
    [
        (CONFIG, "", GOOD, [("ok", "")], "its API answers, Kubernetes v1.33.1"),
        (CONFIG, "two", GOOD, [("ok", "")], "its API answers"),
        (CONFIG, "three", GOOD, [("fail", "cluster_context")], "/k has no context three"),
        (NO_CURRENT, "", GOOD, [("fail", "cluster_context")], "names no current context"),
        (b"{}", "", GOOD, [("fail", "cluster_kubeconfig")], "is no kubeconfig"),
        (b"a: [", "", GOOD, [("fail", "cluster_kubeconfig")], "is no kubeconfig"),
        (b"- 1", "", GOOD, [("fail", "cluster_kubeconfig")], "is no kubeconfig"),
        (None, "", GOOD, [("fail", "cluster_kubeconfig")], "/k cannot be read (No such file or directory)"),
        (CONFIG, "", ApiError("No answer from it.", 0), [("fail", "cluster_kubeconfig")], "No answer from it"),
        (
            CONFIG,
            "",
            ApiError("It answered 401.", 401),
            [("fail", "cluster_kubeconfig")],
            "does not accept the credential",
        ),
        (CONFIG, "", HubspokeError("Bad file.", "Mend it."), [("fail", "cluster_kubeconfig")], "Bad file"),
        (CONFIG, "", Api("v1.33.1", False), [("warn", "cluster_context"), ("ok", "")], ""),
        (CONFIG, "", Api("v1.20.0", True), [("warn", "cluster_kubeconfig"), ("ok", "")], "v1.20.0"),
    ],
)
def test_reachability(
    content: bytes | None, context: str, api: Api | Exception, expected: list[tuple[str, str]], found: str
) -> None:
    given = host(provider="existing", cluster_kubeconfig="/k", cluster_context=context)
    probe = Machine(files={} if content is None else {"/k": content}, apis={"/k": api})
    findings = list(reach.clusters(survey(given, probe=probe)))
    assert short(findings) == expected
    assert found in findings[0].found


def test_an_adopted_cluster_is_reached_by_what_the_state_folder_knows() -> None:
    given = host(provider="kind", record=RECORD, cluster_state="adopted")
    path = "/state/clusters/dev/kubeconfig"
    assert short(reach.clusters(survey(given, probe=Machine(apis={path: GOOD})))) == [("ok", "")]
    away = Machine(apis={path: ApiError("No answer from it.", 0)})
    assert short(reach.clusters(survey(given, probe=away))) == [("fail", "cluster_kubeconfig")]


def test_only_clusters_that_are_there_already_must_answer() -> None:
    assert list(reach.clusters(survey(host(), host("b", "kind"), host("c", "eks"), host("d", "")))) == []
