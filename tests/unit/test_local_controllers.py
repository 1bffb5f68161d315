# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the containers of a cluster to processes on this machine."""

from __future__ import annotations

import base64
import json
import pathlib
import typing as t

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_controllers as controllers
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_controllers_tokens as keeper
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _workload
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_controllers_kubeconfig import for_namespace

# What a container is given

OBJECTS: dict[tuple[str, str], dict[str, str]] = {
    ("ConfigMap", "params"): {"level": "debug", "empty": ""},
    ("Secret", "redis"): {"auth": "hunter2"},
}


def lookup(kind: str, name: str) -> dict[str, str] | None:
    return OBJECTS.get((kind, name))


def reference(kind: str, name: str, key: str, **fields: t.Any) -> dict[str, t.Any]:
    return {f"{kind}KeyRef": {"name": name, "key": key, **fields}}


def test_an_environment_is_resolved_as_the_kubelet_does() -> None:
    given = _workload.given(
        {
            "envFrom": [
                {"configMapRef": {"name": "params"}, "prefix": "P_"},
                {"secretRef": {"name": "no", "optional": True}},
            ],
            "env": [
                {"name": "PLAIN", "value": "x"},
                {"name": "LEVEL", "valueFrom": reference("configMap", "params", "level")},
                {"name": "GONE", "valueFrom": reference("configMap", "params", "no", optional=True)},
                {"name": "PASSWORD", "valueFrom": reference("secret", "redis", "auth")},
                {"name": "URL", "value": "redis://:$(PASSWORD)@h/$(PLAIN)"},
                {"name": "TEXT", "value": "$(PLAIN) $(UNKNOWN) $$(PLAIN)"},
                {"name": "NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
                {"name": "EMPTY"},
            ],
        },
        lookup,
        {"metadata.namespace": "argocd"},
    )
    assert given.environment == {
        "P_level": "debug",
        "P_empty": "",
        "PLAIN": "x",
        "LEVEL": "debug",
        "TEXT": "x $(UNKNOWN) $(PLAIN)",
        "NAMESPACE": "argocd",
        "EMPTY": "",
    }
    assert given.secret == {"PASSWORD": "hunter2", "URL": "redis://:hunter2@h/x"}
    assert given.missing == []


def test_what_is_missing_is_listed() -> None:
    given = _workload.given(
        {
            "envFrom": [{"secretRef": {"name": "all"}}],
            "env": [
                {"name": "A", "valueFrom": reference("secret", "none", "k")},
                {"name": "B", "valueFrom": reference("configMap", "params", "no")},
            ],
        },
        lookup,
        {},
    )
    assert given.missing == [
        {"kind": "Secret", "name": "all", "key": ""},
        {"kind": "Secret", "name": "none", "key": "k"},
        {"kind": "ConfigMap", "name": "params", "key": "no"},
    ]


def test_arguments_never_hold_secrets() -> None:
    assert _workload.words(["--x=$(A)", "--requirepass $(P)", "$$(A)"], {"A": "1"}) == [
        "--x=1",
        "--requirepass $(P)",
        "$(A)",
    ]


def test_mounted_config_maps() -> None:
    container = {
        "volumeMounts": [
            {"name": "all", "mountPath": "/a"},
            {"name": "some", "mountPath": "/s"},
            {"name": "file", "mountPath": "/f", "subPath": "level"},
            {"name": "other", "mountPath": "/o"},
        ]
    }
    volumes = [
        {"name": "all", "configMap": {"name": "params"}},
        {
            "name": "some",
            "configMap": {"name": "params", "items": [{"key": "level", "path": "x"}, {"key": "no", "path": "y"}]},
        },
        {"name": "file", "configMap": {"name": "params"}},
        {"name": "other", "emptyDir": {}},
    ]
    assert _workload.mounts(container, volumes, lookup) == [
        {"path": "/a", "config_map": "params", "files": {"level": "debug", "empty": ""}},
        {"path": "/s", "config_map": "params", "files": {"x": "debug"}},
    ]


def test_data_of_secrets_is_text() -> None:
    data = {"a": base64.b64encode(b"x").decode(), "b": base64.b64encode(b"\xff").decode()}
    assert _workload._data({"kind": "Secret", "data": data}) == {"a": "x"}
    assert _workload._data({"kind": "ConfigMap", "data": {"a": "x"}}) == {"a": "x"}
    assert _workload._data(None) is None


# The processes

TOOLS = {
    "redis-server": "/tools/redis/redis-server",
    **{name: f"/tools/argocd/{name}" for name in controllers.COMPONENTS},
}


def container(name: str, **fields: t.Any) -> dict[str, t.Any]:
    return {
        "command": [],
        "args": [f"/usr/local/bin/{name}"],
        "replicas": 1,
        "environment": {},
        "secret_environment": {},
        "mounts": [],
        "missing": [],
        "image": "",
        **fields,
    }


def setting(**fields: t.Any) -> controllers.Setting:
    values: dict[str, t.Any] = {
        "tools": TOOLS,
        "directory": "/set",
        "kubeconfig": "{}",
        "port_base": 24100,
        "environment": {},
        **fields,
    }
    return controllers.Setting(**values)


def processes(*containers: dict[str, t.Any], **fields: t.Any) -> dict[str, dict[str, t.Any]]:
    return {process["name"]: process for process in controllers.processes(containers, setting(**fields))}


ALL = [container(name) for name in controllers.COMPONENTS]


def test_every_component_has_addresses_of_its_own_on_loopback() -> None:
    made = processes(*ALL, container("dex"), notifications=True)
    assert set(made) == {"argocd-redis", *controllers.COMPONENTS}
    words = " ".join(word for process in made.values() for word in process["command"])
    for flag in words.split():
        assert "0.0.0.0" not in flag
        assert not flag.endswith("=:8080")
    used = {int(word.rpartition("=")[2].rpartition(":")[2]) for word in words.split() if word[-5:].isdigit()}
    assert used == {24100 + distance for distance in range(10)}
    for name, process in made.items():
        confined = controllers.COMPONENTS[name].confined if name in controllers.COMPONENTS else False
        addressed = any("address" in flag or "-addr=" in flag for flag in process["command"])
        assert confined or addressed or name == "argocd-redis", f"{name} would listen everywhere"


def test_only_what_the_cluster_has_is_run() -> None:
    core = [container("argocd-repo-server"), container("argocd-application-controller", replicas=0)]
    assert set(processes(*core)) == {"argocd-redis", "argocd-repo-server"}
    assert processes(container("dex")) == {}
    assert "argocd-notifications" not in processes(*ALL)


def test_in_check_mode_before_there_is_a_cluster_all_are_expected() -> None:
    made = controllers.processes(None, setting())
    assert {process["name"] for process in made} == {"argocd-redis", *controllers.COMPONENTS} - {"argocd-notifications"}


def test_the_pods_own_arguments_and_variables_are_kept_and_ours_win() -> None:
    pod = container(
        "argocd-server",
        command=["/usr/local/bin/argocd-server"],
        args=["--port=8080", "--rootpath=/cd"],
        environment={"ARGOCD_SERVER_LOGLEVEL": "debug", "KUBECACHEDIR": "/tmp/kubecache"},
        secret_environment={"REDIS_PASSWORD": 'a"b\\c'},
    )
    made = processes(pod, environment={"HTTPS_PROXY": "http://proxy"})
    server = made["argocd-server"]
    assert server["command"][:3] == ["/tools/argocd/argocd-server", "--port=8080", "--rootpath=/cd"]
    assert server["command"].index("--port=24100") > 1
    environment = server["environment"]
    assert environment["ARGOCD_SERVER_LOGLEVEL"] == "debug"
    assert environment["HTTPS_PROXY"] == "http://proxy"
    assert environment["KUBECACHEDIR"] == "/set/argocd-server/tmp/kubecache"
    assert environment["HOME"] == "/set/argocd-server/home"
    assert server["secret_environment"] == {"REDIS_PASSWORD": 'a"b\\c'}
    assert 'requirepass "a\\"b\\\\c"' in made["argocd-redis"]["files"]["redis.conf"]
    assert 'a"b' not in json.dumps([process["command"] for process in made.values()])


def test_authentication_stays_on() -> None:
    assert not [word for process in processes(*ALL).values() for word in process["command"] if "disable-auth" in word]


def test_known_hosts_come_from_the_cluster() -> None:
    mounts = [
        {"path": "/app/config/ssh", "config_map": "x", "files": {"ssh_known_hosts": "h"}},
        {"path": "/home/argocd/params", "config_map": "y", "files": {"a": "b"}},
    ]
    made = processes(container("argocd-repo-server", mounts=mounts))["argocd-repo-server"]
    assert made["files"] == {"kubeconfig": "{}", "ssh/ssh_known_hosts": "h"}
    assert made["environment"]["ARGOCD_SSH_DATA_PATH"] == "/set/argocd-repo-server/ssh"


POD_IDENTITY = "http://127.0.0.1:24566/local-aws/pod-identity/ap-northeast-2/seoul/argocd"
HUB_ROLE = "arn:aws:iam::123456789012:role/seoul-argocd-hub"
TALKING = {"argocd-application-controller", "argocd-applicationset-controller", "argocd-server"}


def aws_variables(made: dict[str, dict[str, t.Any]]) -> dict[str, dict[str, str]]:
    return {
        name: {key: value for key, value in process.get("environment", {}).items() if key.startswith("AWS_")}
        for name, process in made.items()
    }


def test_by_pod_identity_each_asks_for_its_own_account() -> None:
    made = processes(*ALL, pod_identity=POD_IDENTITY, region="ap-northeast-2")
    found = aws_variables(made)["argocd-server"]
    assert found["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == f"{POD_IDENTITY}/argocd-server"
    assert (found["AWS_ENDPOINT_URL"], found["AWS_REGION"]) == ("http://127.0.0.1:24566", "ap-northeast-2")
    assert controllers.TOKENS not in made


def test_by_irsa_those_that_talk_to_clusters_have_tokens_in_files() -> None:
    made = processes(*ALL, pod_identity=POD_IDENTITY, web_identity=HUB_ROLE, region="ap-northeast-2", namespace="cd")
    found = aws_variables(made)
    assert {name for name, variables in found.items() if "AWS_ROLE_ARN" in variables} == TALKING
    assert not [name for name, variables in found.items() if "AWS_CONTAINER_CREDENTIALS_FULL_URI" in variables]
    variables = found["argocd-server"]
    assert variables["AWS_ROLE_ARN"] == HUB_ROLE
    assert variables["AWS_ENDPOINT_URL"] == variables["AWS_ENDPOINT_URL_STS"] == "http://127.0.0.1:24566"
    folder = f"/set/{controllers.TOKENS}/tokens"
    assert variables["AWS_WEB_IDENTITY_TOKEN_FILE"] == f"{folder}/argocd-server"
    tokens = made[controllers.TOKENS]
    assert tokens["command"][1:3] == ["-m", f"{controllers.__name__}_tokens"]
    assert {*tokens["command"]} > {"--directory", folder, "--namespace", "cd", *TALKING}
    assert tokens["folders"] == ["tokens"]


class Cluster:
    """Gives tokens, after some failures."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.asked: list[tuple[str, str, t.Any]] = []

    def request(self, method: str, path: str, body: t.Any) -> t.Any:
        if self.failures:
            self.failures -= 1
            raise HubspokeError("No answer from the API server.", "")
        self.asked.append((method, path, body))
        return {"status": {"token": f"token-{len(self.asked)}"}}


class Ended(Exception):
    """The process is told to end."""


def test_tokens_are_for_their_owner_only_and_renewed_before_they_end(tmp_path: pathlib.Path) -> None:
    cluster, slept = Cluster(failures=2), list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 4:
            raise Ended

    with pytest.raises(Ended):
        keeper.keep(lambda: cluster, "argocd", ["argocd-server"], str(tmp_path), sleep)
    assert slept[:2] == [2.0, 4.0]
    assert all(seconds < keeper.LIFETIME / 2 for seconds in slept[2:])
    method, path, body = cluster.asked[0]
    assert (method, path) == ("POST", "/api/v1/namespaces/argocd/serviceaccounts/argocd-server/token")
    assert body["spec"] == {"audiences": ["sts.amazonaws.com"], "expirationSeconds": 3600}
    (file,) = tmp_path.iterdir()
    assert (file.name, file.read_text(), file.stat().st_mode & 0o777) == ("argocd-server", "token-2", 0o600)


def test_missing_objects_are_listed_once() -> None:
    entry = {"kind": "Secret", "name": "argocd-redis", "key": "auth"}
    with_it = [container(name, missing=[entry]) for name in ("argocd-server", "argocd-repo-server")]
    assert controllers.missing([*with_it, container("dex", missing=[{"kind": "Secret", "name": "d", "key": "k"}])]) == [
        entry
    ]


def test_differences_from_the_pods_are_told() -> None:
    old = container("argocd-server", image="quay.io/argoproj/argocd:v3.5.6")
    lacking = container("argocd-repo-server", missing=[{"kind": "Secret", "name": "s", "key": "k"}])
    assert controllers.notes([container("argocd-server", image="x/argocd:v3.5.7"), container("dex")], "v3.5.7") == []
    first, second = controllers.notes([old, lacking], "v3.5.7")
    assert "v3.5.6; the programs that run here are v3.5.7" in first
    assert "without Secret s;" in second


def test_a_long_path_leaves_room_for_the_socket() -> None:
    for directory in ("/set", "/" + "x" * 70, "/" + "x" * 200):
        path = controllers._ask_pass_socket(pathlib.Path(directory))
        assert len(str(path)) < 104


# The kubeconfig

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: one
contexts:
  - {name: one, context: {cluster: c1, user: u1}}
  - {name: two, context: {cluster: c2, user: u2, namespace: x}}
clusters:
  - {name: c1, cluster: {server: "https://one", certificate-authority: pki/ca.crt}}
  - {name: c2, cluster: {server: "https://two"}}
users:
  - {name: u1, user: {tokenFile: /abs/token}}
  - {name: u2, user: {token: hunter2}}
"""


@pytest.mark.parametrize(("context", "server"), [("", "https://one"), ("two", "https://two")])
def test_one_context_with_the_namespace(tmp_path: pathlib.Path, context: str, server: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(KUBECONFIG)
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki/ca.crt").write_text("CA")
    made = json.loads(for_namespace(str(path), context, "argocd"))
    assert made["contexts"][0]["context"]["namespace"] == "argocd"
    assert [entry["cluster"]["server"] for entry in made["clusters"]] == [server]
    assert made["current-context"] == (context or "one")
    assert ("hunter2" in json.dumps(made)) == (context == "two"), "only what this context needs"
    if not context:
        assert made["clusters"][0]["cluster"]["certificate-authority-data"] == base64.b64encode(b"CA").decode()
        assert made["users"][0]["user"]["tokenFile"] == "/abs/token"


@pytest.mark.parametrize(
    ("text", "context"), [(KUBECONFIG, "three"), (KUBECONFIG, "one"), ("", ""), ("[]", ""), ("a: b", "")]
)
def test_an_unusable_kubeconfig_is_said_to_be_one(tmp_path: pathlib.Path, text: str, context: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(HubspokeError, match="has no usable context"):
        for_namespace(str(path), context, "argocd")
