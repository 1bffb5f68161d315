# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Encrypted files as Secrets of a real API server: created, repeated, modified, touched by others, pruned, deleted."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import subprocess
import threading
import time
import typing as t
import uuid

import pytest

Module = t.Callable[..., t.Any]
CANARY = "canary-c40f9a"
TRIP, ECR, TWO = "dev/trip.secrets.enc.yaml", "dev/ecr.secrets.enc.yaml", "dev/two.secrets.enc.yaml"


class Watcher:
    """Looks at the arguments of all processes while it lasts."""

    def __init__(self) -> None:
        self.found: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.is_set():
            for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    text = path.read_text(errors="replace")
                except OSError:
                    continue
                if CANARY in text or "AGE-SECRET-KEY-1" in text:
                    self.found.add(text)
            time.sleep(0.01)


class Platform:
    """A folder of encrypted files, and the cluster they are for."""

    def __init__(self, path: pathlib.Path, run_module: Module, tools: dict[str, str], kubeconfig: str) -> None:
        self.path = path
        self.namespace = f"test-{uuid.uuid4().hex[:8]}"
        self.name = self.namespace
        self.key = path / "key"
        self._run_module = run_module
        self._kubectl = [tools["kubectl"], "--kubeconfig", kubeconfig]
        self._tools = tools
        self._connection = {"kubeconfig": kubeconfig}
        made = subprocess.run([tools["age-keygen"], "-o", str(self.key)], capture_output=True, text=True, check=True)
        self.recipient = made.stderr.partition("Public key: ")[2].strip()
        (path / ".sops.yaml").write_text(f"creation_rules:\n  - age: {self.recipient}\n")

    def write(self, file: str, text: str) -> None:
        path = self.path / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        subprocess.run([self._tools["sops"], "encrypt", "-i", file], cwd=self.path, check=True, capture_output=True)

    def run(self, *files: dict[str, t.Any], check: bool = False, **options: t.Any) -> t.Any:
        given = [{"namespaces": [self.namespace], **file} for file in files]
        arguments = {
            "name": self.name,
            "root": str(self.path),
            "age_key_file": str(self.key),
            "sops": self._tools["sops"],
            "age_keygen": self._tools["age-keygen"],
            "files": given,
            **self._connection,
            **options,
        }
        with Watcher() as watcher:
            result = self._run_module("sops_secrets", arguments, check=check)
        for form in (CANARY, base64.b64encode(CANARY.encode()).decode(), "AGE-SECRET-KEY-1"):
            assert form not in result.output
        assert not watcher.found
        return result

    def predicted(self, *files: dict[str, t.Any], **options: t.Any) -> t.Any:
        """Run it in check mode, then in earnest: the same objects meet the same fate."""
        check = self.run(*files, check=True, **options)
        result = self.run(*files, **options)
        assert "msg" not in result, result["msg"]
        assert (check["changed"], fate(check)) == (result["changed"], fate(result))
        return result

    def kubectl(self, *arguments: str, check: bool = True) -> str:
        command = [*self._kubectl, "--namespace", self.namespace, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=check).stdout

    def secret(self, name: str) -> dict[str, t.Any] | None:
        text = self.kubectl("get", "secret", name, "--output=json", "--ignore-not-found")
        return json.loads(text) if text else None

    def data(self, name: str) -> dict[str, str]:
        found = self.secret(name)
        assert found
        return {key: base64.b64decode(value).decode() for key, value in found["data"].items()}


def fate(result: t.Any) -> dict[str, str]:
    return {item["name"]: item["action"] for item in result["objects"]}


@pytest.fixture
def platform(
    tmp_path: pathlib.Path, run_module: Module, tools: dict[str, str], kubeconfig: str
) -> t.Iterator[Platform]:
    folder = tmp_path / "platform"
    folder.mkdir()
    made = Platform(folder, run_module, tools, kubeconfig)
    yield made
    made.kubectl("delete", "namespace", made.namespace, "--wait=false", "--ignore-not-found")
    made.kubectl(
        "--namespace=default", "delete", "configmap", f"manifest-set-secrets-{made.name}", "--ignore-not-found"
    )


def test_the_life_of_a_secret(platform: Platform) -> None:
    platform.write(TRIP, f"password: {CANARY}\nport: 5432\n")
    files = [{"file": TRIP, "name": "trip-service-secrets"}]
    created = platform.predicted(*files)
    assert fate(created) == {platform.namespace: "created", "trip-service-secrets": "created"}
    assert platform.data("trip-service-secrets") == {"password": CANARY, "port": "5432"}
    found = platform.secret("trip-service-secrets")
    assert found
    assert found["metadata"]["labels"] == {"hubspoke.bootstrap/secrets": platform.name}

    again = platform.predicted(*files)
    assert (again["changed"], again["decrypted"]) == (False, 0)

    platform.write(TRIP, f"password: {CANARY}-2\nport: 5432\n")
    changed = platform.predicted(*files)
    assert fate(changed)["trip-service-secrets"] == "configured"
    assert changed["diff"][0]["after"].count("redacted, changed") == 1
    assert platform.data("trip-service-secrets")["password"] == f"{CANARY}-2"

    platform.write(TWO, f"a: {CANARY}\n")
    both = platform.predicted(*files, {"file": TWO})
    assert (fate(both)["two"], both["decrypted"]) == ("created", 1)
    pruned = platform.predicted({"file": TWO})
    assert fate(pruned)["trip-service-secrets"] == "deleted"
    assert platform.secret("trip-service-secrets") is None
    gone = platform.predicted(state="absent")
    assert fate(gone)["two"] == "deleted"
    assert not platform.predicted(state="absent")["changed"]


@pytest.mark.parametrize(
    "patch",
    ['{"stringData": {"password": "other"}}', '{"data": {"password": null}}', '{"stringData": {"more": "x"}}'],
    ids=["changed", "deleted", "added"],
)
def test_what_others_do_to_a_secret_is_seen(platform: Platform, patch: str) -> None:
    platform.write(TRIP, f"password: {CANARY}\nuser: trip\n")
    platform.run({"file": TRIP})
    platform.kubectl("patch", "secret", "trip", "--type=merge", f"--patch={patch}")
    seen = platform.predicted({"file": TRIP}, force_conflicts=True)
    assert seen["decrypted"] == 1
    assert platform.data("trip")["password"] == CANARY


def test_logins_certificates_and_manifests(platform: Platform) -> None:
    pem = "|\n  -----BEGIN X-----\n  x\n  -----END X-----\n"
    platform.write(ECR, f"registries:\n  r.example.com:\n    username: AWS\n    password: {CANARY}\n")
    platform.write("dev/tls.secrets.enc.yaml", f"tls.crt: {pem}tls.key: {pem}")
    manifests = "".join(
        f"---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: m{number}\nstringData:\n  a: {CANARY}{number}\n"
        for number in (1, 2)
    )
    platform.write(TWO, manifests)
    files = [
        {"file": ECR, "type": "dockerconfigjson", "name": "pull"},
        {"file": "dev/tls.secrets.enc.yaml", "type": "tls"},
        {"file": TWO},
    ]
    platform.predicted(*files)
    login = json.loads(platform.data("pull")[".dockerconfigjson"])["auths"]["r.example.com"]
    assert base64.b64decode(login["auth"]).decode() == f"AWS:{CANARY}"
    tls = platform.secret("tls")
    assert tls
    assert tls["type"] == "kubernetes.io/tls"
    assert [platform.data(f"m{number}")["a"] for number in (1, 2)] == [f"{CANARY}1", f"{CANARY}2"]
    again = platform.predicted(*files)
    assert (again["changed"], again["decrypted"]) == (False, 0)


def test_nothing_is_applied_by_halves(platform: Platform) -> None:
    platform.write(TRIP, f"password: {CANARY}\n")
    platform.write(TWO, f"password: {{a: {CANARY}}}\n")
    (platform.path / "dev/plain.secrets.enc.yaml").write_text(f"password: {CANARY}\n")
    plain = platform.run({"file": TRIP}, {"file": "dev/plain.secrets.enc.yaml"})
    assert "dev/plain.secrets.enc.yaml: is not encrypted" in plain["msg"]
    nested = platform.run({"file": TRIP}, {"file": TWO})
    assert f"{TWO}: password is a dict" in nested["msg"]
    twice = platform.run({"file": TRIP}, {"file": TRIP})
    assert "asked for twice" in twice["msg"]
    missing = platform.run({"file": TRIP}, {"file": "none.secrets.enc.yaml"})
    assert "none.secrets.enc.yaml: cannot be read" in missing["msg"]
    assert platform.kubectl("get", "namespace", platform.namespace, "--ignore-not-found") == ""


def test_a_secret_of_somebody_else(platform: Platform) -> None:
    platform.write(TRIP, f"password: {CANARY}\n")
    platform.kubectl("create", "namespace", platform.namespace)
    platform.kubectl("create", "secret", "generic", "trip", "--from-literal=password=theirs")
    refused = platform.run({"file": TRIP})
    assert f"Secret {platform.namespace}/trip" in refused["msg"]
    assert "force_conflicts" in refused["msg"]
    assert platform.data("trip") == {"password": "theirs"}


def test_the_key_is_handed_over_and_proven(platform: Platform) -> None:
    keys = [{"name": "sops-age", "namespace": platform.namespace}]
    handed = platform.predicted(keys=keys)
    assert handed["proven"]
    assert platform.data("sops-age")["keys.txt"].startswith("AGE-SECRET-KEY-1")
    assert not platform.predicted(keys=keys)["changed"]


def test_before_there_is_a_cluster(platform: Platform) -> None:
    platform.write(TRIP, f"password: {CANARY}\n")
    predicted = platform.run({"file": TRIP}, check=True, cluster_present=False, kubeconfig="/nonexistent")
    assert fate(predicted) == {platform.namespace: "created", "trip": "created"}


def test_the_role(
    tmp_path: pathlib.Path, play: t.Callable[..., t.Any], platform: Platform, tools: dict[str, str], kubeconfig: str
) -> None:
    """From no key to a Secret, then a rotation of key and files: the old key opens nothing any more."""
    root, key = tmp_path / "config", tmp_path / "home/keys.txt"
    (root / "dev").mkdir(parents=True)
    variables = {
        "sops_age_root": str(root),
        "sops_age_key_file": str(key),
        "sops_age_tools": {name: tools[name] for name in ("sops", "age-keygen")},
        "sops_age_secrets_name": platform.name,
        "sops_age_secrets": [],
        "sops_age_cluster_keys": [{"name": "sops-age", "namespace": platform.namespace}],
    }
    connection = {"group/hubspoke.bootstrap.all": {"kubeconfig": kubeconfig}}

    def run(entry: str = "main", *arguments: str, **more: t.Any) -> t.Any:
        role = {
            "name": entry,
            "ansible.builtin.include_role": {"name": "hubspoke.bootstrap.sops_age", "tasks_from": entry},
        }
        book = [{"hosts": "all", "gather_facts": False, "module_defaults": connection, "tasks": [role]}]
        given = json.dumps({**variables, **more})
        done = play(book, *arguments, "-e", given, environment={"XDG_CONFIG_HOME": str(tmp_path / "home")})
        assert done.code == 0, done.output
        assert CANARY not in done.output
        assert "AGE-SECRET-KEY-1" not in done.output
        return done

    run("main", "--check", "--diff")
    assert not key.exists()
    assert "A key was made" in run().output
    (root / TRIP).write_text(f"password: {CANARY}\n")
    run("encrypt", sops_age_encrypt=[str(root / TRIP)])
    variables["sops_age_secrets"] = [{"file": TRIP, "namespaces": [platform.namespace]}]
    run("main", "--diff")
    assert platform.data("trip") == {"password": CANARY}
    again = run("main", "--diff")
    assert not [line for line in again.lines if line["result"].get("changed")]
    old, before = key.read_text(), (root / TRIP).read_bytes()
    run("rotate", "--diff", sops_age_rotate_key=True)
    assert key.read_text() != old
    assert old.splitlines()[-1] not in key.read_text()
    assert (root / TRIP).read_bytes() != before
    platform.key.write_text(old)
    opened = subprocess.run(
        [tools["sops"], "decrypt", TRIP],
        cwd=root,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SOPS_AGE_KEY_FILE": str(platform.key)},
        capture_output=True,
        check=False,
    )
    assert opened.returncode == 128
    run("main", "--diff")
    assert platform.data("trip") == {"password": CANARY}
    assert platform.data("sops-age")["keys.txt"].strip() == key.read_text().splitlines()[-1]
    run("main", "--diff", sops_age_cluster_keys=[])
    assert platform.secret("sops-age") is None
