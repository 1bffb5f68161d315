# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a team does with encrypted files, seen on the cluster and in the files; in this order."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import subprocess
import typing as t

import bootstrapped
import pytest

FOLDER = pathlib.Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
ROOT, KEY = FOLDER / "platform", FOLDER / "home/keys.txt"
TRIP = ROOT / "config/dev/trip-service.secrets.enc.yaml"
SOPS = str(bootstrapped.ROOT / "toolchain/sops.sh")
CONVERGE = "molecule/secrets/converge.yml"
FILES = ("trip-service", "registry", "checkmate")
CANARIES = ("canary-", base64.b64encode(b"canary-trip").decode()[:12], "AGE-SECRET-KEY-1")


def sops(*arguments: str, key: pathlib.Path = KEY, check: bool = True) -> subprocess.CompletedProcess[str]:
    """The real one, with one key and no other."""
    environment = {**os.environ, "SOPS_AGE_KEY_FILE": str(key), "XDG_CONFIG_HOME": str(FOLDER / "nowhere")}
    command = [SOPS, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=check)


def age_keygen(*arguments: str) -> str:
    """What age-keygen says."""
    (program,) = pathlib.Path(os.environ["HUBSPOKE_CACHE_DIR"]).glob("tools/age@*/age-keygen")
    return subprocess.run([str(program), *arguments], check=True, capture_output=True, text=True).stdout.strip()


def other_key(name: str) -> tuple[pathlib.Path, str]:
    """A key of somebody else's, and its recipient."""
    path = FOLDER / name
    path.unlink(missing_ok=True)
    age_keygen("-o", str(path))
    return path, age_keygen("-y", str(path))


def secret(namespace: str, name: str) -> dict[str, t.Any]:
    """One of the cluster's."""
    (found,) = (item for item in bootstrapped.objects("v1", "Secret", namespace) if item["metadata"]["name"] == name)
    return found


def values(namespace: str, name: str) -> dict[str, str]:
    """What it holds."""
    return {key: base64.b64decode(value).decode() for key, value in secret(namespace, name)["data"].items()}


def play(playbook: str, *arguments: str) -> tuple[str, int]:
    """A run that succeeds and shows nothing secret, however much it is asked to say."""
    output, changed = bootstrapped.play(playbook, "-vvvv", "--diff", *arguments)
    assert [word for word in CANARIES if word in output] == []
    return output, changed


def test_files_are_secrets_of_the_cluster() -> None:
    url = "postgres://trip:canary-trip-1@db/trip"
    assert values("trip-service-dev", "trip-service-secrets") == {"password": "canary-trip-1", "url": url}
    assert values("checkmate", "checkmate-dev") == {"MONGO_URL": "mongodb://canary-checkmate"}
    for namespace in ("trip-service-dev", "ecommerce"):
        assert secret(namespace, "registry")["type"] == "kubernetes.io/dockerconfigjson"
        config = json.loads(values(namespace, "registry")[".dockerconfigjson"])
        assert config["auths"]["registry.example.com"]["password"] == "canary-registry"
        (account,) = (
            item
            for item in bootstrapped.objects("v1", "ServiceAccount", namespace)
            if item["metadata"]["name"] == "default"
        )
        assert {"name": "registry"} in account["imagePullSecrets"]


def test_the_key_is_private_and_on_the_cluster() -> None:
    assert KEY.stat().st_mode & 0o777 == 0o600
    handed = values("argocd", "sops-age")["keys.txt"]
    assert handed.strip() == KEY.read_text().splitlines()[-1]


def test_a_changed_value_arrives() -> None:
    sops("set", str(TRIP), '["password"]', '"canary-trip-2"')
    output, changed = play(CONVERGE)
    assert changed == 1, output
    assert "<redacted, changed>" in output
    assert values("trip-service-dev", "trip-service-secrets")["password"] == "canary-trip-2"


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("foreign", "is encrypted for"),
        ("plaintext", "is not encrypted"),
        ("cut off", "is cut off or damaged"),
        ("open", "others than its owner can get at it"),
    ],
)
def test_preflight_stops_before_anything(case: str, words: str) -> None:
    before, mode = TRIP.read_bytes(), KEY.stat().st_mode
    try:
        if case == "foreign":
            _path, theirs = other_key("stranger.txt")
            TRIP.write_text("password: canary-trip-3\n")
            sops("--config", "/dev/null", "encrypt", "--age", theirs, "--in-place", str(TRIP))
        elif case == "plaintext":
            TRIP.write_text("password: canary-trip-3\n")
        elif case == "cut off":
            TRIP.write_bytes(before[:400])
        else:
            KEY.chmod(0o644)
        code, output, changed = bootstrapped.try_play(CONVERGE, "-vvvv", "--diff")
    finally:
        TRIP.write_bytes(before)
        KEY.chmod(mode)
    assert code
    assert changed == 0
    assert words in " ".join(output.split())
    assert [word for word in CANARIES if word in output] == []
    assert values("trip-service-dev", "trip-service-secrets")["password"] == "canary-trip-2"


def test_a_colleague_joins() -> None:
    path, theirs = other_key("colleague.txt")
    assert sops("decrypt", str(TRIP), key=path, check=False).returncode == 128
    play("playbooks/rotate_secrets.yml", "--extra-vars", json.dumps({"sops_age_add": [theirs]}))
    assert sops("decrypt", str(TRIP), key=path).stdout.startswith("password: canary-trip-2")


def test_a_rotation_leaves_nothing_for_the_old_keys() -> None:
    old = FOLDER / "old.txt"
    old.write_bytes(KEY.read_bytes())
    colleague = FOLDER / "colleague.txt"
    asked = {"sops_age_rotate_key": True, "sops_age_remove": [age_keygen("-y", str(colleague))]}
    play("playbooks/rotate_secrets.yml", "--extra-vars", json.dumps(asked))
    for name in FILES:
        path = f"config/dev/{name}.secrets.enc.yaml"
        assert [sops("decrypt", path, key=key, check=False).returncode for key in (old, colleague)] == [128, 128]
        assert "canary" in sops("decrypt", path).stdout
    assert values("argocd", "sops-age")["keys.txt"].strip() == KEY.read_text().splitlines()[-1]
    assert old.read_text().splitlines()[-1] not in KEY.read_text()
    _output, changed = play(CONVERGE)
    assert changed == 0


def test_nothing_secret_lies_about() -> None:
    """In the state folder, but for the API server's own store, which holds Secrets as every cluster's does."""
    stores = ("etcd", "snap", "wal")
    for path in bootstrapped.STATE.rglob("*"):
        if path.is_file() and not set(stores) & set(path.parts):
            content = path.read_bytes()
            assert [word for word in CANARIES if word.encode() in content] == [], path
