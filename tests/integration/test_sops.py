# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keys and encrypted files with the real sops and age: every step in check mode first, which must predict it."""

from __future__ import annotations

import os
import pathlib
import subprocess
import typing as t

import boto3
import pytest
import yaml
from aws_stand_in import StandIn

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _age_bech32 as bech32

Module = t.Callable[..., t.Any]
ROOT = pathlib.Path(__file__).parents[2]
CANARY = "canary-6d0e51"
FILE = "config/dev/trip.secrets.enc.yaml"
RULE = r"\.secrets\.enc\.(ya?ml|json|env|ini)$"


class Folder:
    """A repository's folder of configuration, and a key beside it."""

    def __init__(self, path: pathlib.Path, run_module: Module, tools: dict[str, str]) -> None:
        self.path = path / "platform"
        self.path.mkdir()
        self.home = path / "home"
        self.home.mkdir()
        self.key = path / "keys/age.txt"
        self._run_module = run_module
        self._tools = tools

    @property
    def programs(self) -> dict[str, str]:
        return {"sops": self._tools["sops"], "age_keygen": self._tools["age-keygen"]}

    def run(self, module: str, **options: t.Any) -> t.Any:
        """Run a module; what it shows never has a value or an identity in it."""
        keywords = {name: options.pop(name) for name in ("check", "in_process") if name in options}
        given = {"age_key_file": str(self.key), "root": str(self.path)} if module.startswith("sops") else {}
        if module == "age_key":
            given = {"path": str(self.key)}
        environment = {"XDG_CONFIG_HOME": str(self.home), "HOME": str(self.home), **options.pop("environment", {})}
        arguments = {**given, **self.programs, **options}
        result = self._run_module(module, arguments, environment=environment, **keywords)
        assert CANARY not in result.output
        assert "AGE-SECRET-KEY" not in result.output
        return result

    def predicted(self, module: str, **options: t.Any) -> t.Any:
        """Run it in check mode, which writes nothing, then in earnest."""
        before = self.content()
        check = self.run(module, check=True, **options)
        assert self.content() == before
        result = self.run(module, **options)
        assert "msg" not in result, result["msg"]
        assert check["changed"] == result["changed"]
        return result

    def content(self) -> dict[str, bytes]:
        files = [path for path in [*self.path.rglob("*"), *self.key.parent.glob("*")] if path.is_file()]
        return {str(path): path.read_bytes() for path in files}

    def write(self, text: str, name: str = FILE) -> pathlib.Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def sops(self, *arguments: str, key: pathlib.Path | None = None) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), "SOPS_AGE_KEY_FILE": str(key or self.key)}
        command = [self._tools["sops"], *arguments]
        return subprocess.run(
            command,
            cwd=self.path,
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def keygen(self, *arguments: str) -> str:
        done = subprocess.run([self._tools["age-keygen"], *arguments], capture_output=True, text=True, check=True)
        return done.stdout

    def other_key(self, name: str = "other") -> tuple[pathlib.Path, str]:
        path = self.key.parent / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(self.keygen())
        path.chmod(0o600)
        return path, self.keygen("-y", str(path)).strip()

    def start(self, *names: str) -> str:
        """A key, a rule, and encrypted files; the key's recipient."""
        recipient: str = self.run("age_key")["recipients"][0]
        for name in names or (FILE,):
            self.write(f"# ours\npassword: {CANARY}\nport: 5432\n", name)
        result = self.run("sops_files", rule=RULE, recipients=[recipient], encrypt=True)
        assert "msg" not in result, result["msg"]
        return recipient


@pytest.fixture
def folder(tmp_path: pathlib.Path, run_module: Module, tools: dict[str, str]) -> Folder:
    return Folder(tmp_path, run_module, tools)


def test_recipients_are_those_of_age_keygen(folder: Folder) -> None:
    for _ in range(20):
        text = folder.keygen()
        identity = text.splitlines()[-1]
        assert f"# public key: {bech32.x25519_recipient(identity)}" in text


@pytest.mark.parametrize("in_process", [True, False])
def test_a_key_is_made_once(folder: Folder, in_process: bool) -> None:
    made = folder.predicted("age_key", in_process=in_process)
    assert made["actions"] == ["generate"]
    assert folder.key.stat().st_mode & 0o777 == 0o600
    assert made["recipients"] == [folder.keygen("-y", str(folder.key)).strip()] == [made["added"]]
    again = folder.predicted("age_key", in_process=in_process)
    assert not again["changed"]
    assert again["recipients"] == made["recipients"]


def test_a_key_is_followed_by_another(folder: Folder) -> None:
    first = folder.predicted("age_key")["added"]
    renewed = folder.predicted("age_key", renew=True)
    assert renewed["recipients"] == [first, renewed["added"]]
    retired = folder.predicted("age_key", retire=[first])
    assert retired["recipients"] == [renewed["added"]]
    assert not folder.predicted("age_key", retire=[first])["changed"]
    assert first not in folder.key.read_text()
    assert "Renew it first" in folder.run("age_key", retire=[renewed["added"]])["msg"]


def test_a_post_quantum_key(folder: Folder) -> None:
    made = folder.predicted("age_key", post_quantum=True)
    assert made["added"].startswith("age1pq1")
    folder.write(f"password: {CANARY}\n")
    assert folder.predicted("sops_files", rule=RULE, recipients=[made["added"]], encrypt=True)["changed"]
    assert folder.run("sops_files_info")["problems"] == []


def test_an_ssh_key_opens_files(folder: Folder) -> None:
    folder.key.parent.mkdir()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder.key)], check=True)
    found = folder.run("age_key", generate=False)
    assert found["recipients"][0].startswith("ssh-ed25519 ")
    folder.write(f"password: {CANARY}\n")
    folder.run("sops_files", rule=RULE, recipients=found["recipients"], encrypt=True)
    assert folder.run("sops_files_info")["problems"] == []


def test_a_key_that_others_can_read(folder: Folder) -> None:
    folder.run("age_key")
    folder.key.chmod(0o644)
    assert "mode 0644" in folder.run("age_key")["msg"]
    assert folder.predicted("age_key", repair_permissions=True)["actions"] == ["repair"]
    assert folder.key.stat().st_mode & 0o777 == 0o600


def test_the_key_of_somebody_else(folder: Folder) -> None:
    mine = folder.start()
    folder.key, theirs = folder.other_key()
    refused = folder.run("age_key", files=[str(folder.path / FILE)])
    assert f"is encrypted for {mine}; your key is that of {theirs}" in refused["msg"]
    assert FILE in refused["msg"]


def test_a_file_is_encrypted_and_the_rules_are_kept(folder: Folder) -> None:
    recipient = folder.run("age_key")["added"]
    rules = folder.write(
        "# the team's\ncreation_rules:\n  # production\n  - path_regex: ^prod/\n    pgp: FBC7\n", ".sops.yaml"
    )
    before = rules.read_text()
    folder.write(f"password: {CANARY}\n")
    refused = folder.run("sops_files", rule=RULE, recipients=[recipient])
    assert f"{FILE}: is not encrypted" in refused["msg"]
    assert rules.read_text() == before
    made = folder.predicted("sops_files", rule=RULE, recipients=[recipient], encrypt=True)
    assert made["files"] == {FILE: ["encrypt"]}
    assert rules.read_text().startswith(before)
    assert CANARY not in (folder.path / FILE).read_text()
    assert yaml.safe_load(folder.sops("decrypt", FILE).stdout) == {"password": CANARY}
    assert not folder.predicted("sops_files", rule=RULE, recipients=[recipient])["changed"]
    assert [path.name for path in folder.path.iterdir() if path.name.startswith(".sops-change")] == []


def test_a_colleague_joins_and_a_laptop_is_lost(folder: Folder) -> None:
    names = ["a.secrets.enc.yaml", "b/c.secrets.enc.json", "d.secrets.enc.env"]
    mine = folder.run("age_key")["added"]
    folder.write(f"password: {CANARY}\n", names[0])
    folder.write(f'{{"password": "{CANARY}"}}', names[1])
    folder.write(f"PASSWORD={CANARY}\n", names[2])
    folder.run("sops_files", rule=RULE, recipients=[mine], encrypt=True)
    other, theirs = folder.other_key()
    assert folder.sops("decrypt", names[0], key=other).returncode == 128
    joined = folder.predicted("sops_files", add=[theirs])
    assert joined["files"] == {name: ["update"] for name in names}
    assert all(folder.sops("decrypt", name, key=other).returncode == 0 for name in names)
    assert not folder.predicted("sops_files", add=[theirs])["changed"]
    left = folder.predicted("sops_files", remove=[theirs])
    assert left["files"] == {name: ["update", "rotate"] for name in names}
    assert all(folder.sops("decrypt", name, key=other).returncode == 128 for name in names)
    assert all(CANARY in folder.sops("decrypt", name).stdout for name in names)
    assert theirs not in (folder.path / ".sops.yaml").read_text()


def test_all_files_or_none(folder: Folder) -> None:
    folder.start("a.secrets.enc.yaml", "b.secrets.enc.yaml")
    _, theirs = folder.other_key()
    path = folder.path / "b.secrets.enc.yaml"
    path.write_text(path.read_text().replace("password: ENC[AES256_GCM,data:", "password: ENC[AES256_GCM,data:AAAA"))
    before = folder.content()
    refused = folder.run("sops_files", add=[theirs], rotate=True)
    assert "b.secrets.enc.yaml" in refused["msg"]
    assert folder.content() == before


def test_what_is_wrong_with_files_is_one_message(folder: Folder) -> None:
    names = [f"{name}.secrets.enc.yaml" for name in ("fine", "tampered", "cut", "foreign", "plain")]
    folder.start(*names)
    paths = {name.partition(".")[0]: folder.path / name for name in names}
    assert folder.run("sops_files_info")["problems"] == []
    # A value in the place of another: each decrypts, only the MAC tells.
    text = paths["tampered"].read_text()
    paths["tampered"].write_text("".join(line for line in text.splitlines(True) if not line.startswith("port:")))
    paths["cut"].write_text(paths["cut"].read_text()[:200])
    paths["plain"].write_text(f"password: {CANARY}\n")
    _other, theirs = folder.other_key()
    paths["foreign"].write_text(f"a: {CANARY}\n")
    folder.sops("encrypt", "--age", theirs, "--in-place", paths["foreign"].name)
    found = folder.run("sops_files_info", fail=False)["problems"]
    kinds = {(problem["path"].partition(".")[0], problem["kind"]) for problem in found}
    assert kinds >= {("tampered", "tampered"), ("foreign", "key"), ("plain", "plaintext")}
    assert "fine" not in {name for name, _kind in kinds}
    assert "cut" in {name for name, _kind in kinds}
    refused = folder.run("sops_files_info")
    assert all(name in refused["msg"] for name in names[1:])


def test_another_key_is_not_tried_in_silence(folder: Folder) -> None:
    folder.start()
    standard = folder.home / "sops/age/keys.txt"
    standard.parent.mkdir(parents=True)
    standard.write_text(folder.key.read_text())
    standard.chmod(0o600)
    folder.key, _theirs = folder.other_key()
    assert "your key is that of" in folder.run("sops_files_info")["msg"]


def test_a_sops_that_is_not_there_or_too_old(folder: Folder, tmp_path: pathlib.Path) -> None:
    folder.start()
    assert "/nowhere/sops is not there" in folder.run("sops_files_info", sops="/nowhere/sops")["msg"]
    old = tmp_path / "sops"
    old.write_text("#!/bin/sh\necho sops 3.7.3\n")
    old.chmod(0o755)
    assert "3.9 or later" in folder.run("sops_files_info", sops=str(old))["msg"]


def test_there_is_no_key(folder: Folder) -> None:
    refused = folder.run("age_key", generate=False)
    assert f"There is no key at {folder.key}" in refused["msg"]
    assert f"There is no key at {folder.key}" in folder.run("sops_files_info")["msg"]


def test_two_keys_in_a_file(folder: Folder) -> None:
    first = folder.run("age_key")["added"]
    second = folder.run("age_key", renew=True)["added"]
    refused = folder.run("age_key")
    assert f"{folder.key} holds 2 identities ({first}, {second})" in refused["msg"]
    assert folder.run("age_key", recipient=second)["recipients"] == [second, first]
    assert folder.run("age_key", several=True)["recipients"] == [first, second]


def test_no_rule_fits(folder: Folder) -> None:
    folder.start()
    (folder.path / ".sops.yaml").write_text("creation_rules:\n  - path_regex: ^prod/\n    pgp: FBC7\n")
    refused = folder.run("sops_files_info")
    assert f"{FILE}: no rule of .sops.yaml fits it" in refused["msg"]
    folder.write(f"password: {CANARY}\n", "config/new.secrets.enc.yaml")
    refused = folder.run("sops_files", encrypt=True)
    assert "config/new.secrets.enc.yaml: no rule of .sops.yaml fits it" in refused["msg"]


def test_a_recipient_with_a_slip(folder: Folder) -> None:
    mine = folder.start()
    assert "is no recipient" in folder.run("sops_files", add=[mine[:-1] + ("q" if mine[-1] != "q" else "p")])["msg"]


def test_a_kms_beside_age(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a KMS opens needs no key of age's; who joins and leaves does not touch it."""
    server = StandIn()
    server.start()
    try:
        settings = {
            "AWS_ENDPOINT_URL": server.address,
            "AWS_ACCESS_KEY_ID": "A" * 20,
            "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_REGION": "us-east-1",
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        arn = boto3.client("kms", region_name="us-east-1").create_key()["KeyMetadata"]["Arn"]
        mine = folder.run("age_key")["added"]
        folder.write(f"creation_rules:\n  - kms: {arn}\n    age: {mine}\n", ".sops.yaml")
        folder.write(f"password: {CANARY}\n")
        made = folder.predicted("sops_files", encrypt=True, environment=settings)
        assert made["files"] == {FILE: ["encrypt"]}
        _other, theirs = folder.other_key()
        joined = folder.predicted("sops_files", add=[theirs], environment=settings)
        assert joined["files"] == {FILE: ["update"]}
        (found,) = folder.run("sops_files_info", environment=settings)["files"]
        assert (found["recipients"], found["others"]) == ([mine, theirs], [f"kms {arn}"])
        folder.key.unlink()
        folder.key = folder.key.parent / "stranger"
        folder.run("age_key")
        assert folder.run("sops_files_info", environment=settings)["problems"] == []
    finally:
        server.stop()


def test_variables_of_an_inventory(folder: Folder, play: t.Callable[..., t.Any]) -> None:
    """Encrypted beside plain ones, and decrypted by community.sops as the checkout's ansible.cfg has it."""
    names = ("group_vars/all/db.secrets.enc.yaml", "host_vars/dev.secrets.enc.yaml")
    folder.run("age_key")
    for name in names:
        folder.write(f"{pathlib.Path(name).parts[0]}_password: {CANARY}\n", name)
    recipient = folder.run("age_key")["recipients"]
    folder.run("sops_files", rule=RULE, recipients=recipient, encrypt=True)
    folder.write("plain: 1\n", "group_vars/all/main.yml")
    inventory = folder.write("all: {hosts: {dev: {ansible_connection: local}}}\n", "hosts.yml")
    wanted = [f"group_vars_password == '{CANARY}'", f"host_vars_password == '{CANARY}'", "plain == 1"]
    task = {"name": "the task", "ansible.builtin.assert": {"that": wanted, "quiet": True}, "no_log": True}
    book = [{"hosts": "dev", "gather_facts": False, "tasks": [task]}]
    environment = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "SOPS_AGE_KEY_FILE": str(folder.key)}
    done = play(book, inventory=str(inventory), environment=environment)
    assert done.code == 0, done.output
    assert CANARY not in done.output
