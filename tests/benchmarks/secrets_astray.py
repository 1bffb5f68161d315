# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A whole bootstrap, a rotation and a status are watched for secrets where they do not belong."""

from __future__ import annotations

import base64
import collections.abc
import json
import pathlib
import sys
import tempfile
import typing as t

from canaries import Scan
from programs import dev_inventory, playbook, seconds
from run import ROOT, Figure

sys.path.insert(0, str(ROOT / "tests"))
from aws_stand_in import StandIn

PORT = 25400
REGION = "ap-northeast-2"
CANARIES = (
    "canary-of-a-file-4c81",
    "canary-of-a-login-77d0",
    "canary-of-a-manifest-19ae",
    "canary-of-a-variable-e5b2",
    "canary-of-a-seed-0f36",
    "canary-of-a-store-a81d",
)
RUNS = (
    ("bootstrap.yml", "--check"),
    ("bootstrap.yml",),
    ("bootstrap.yml",),
    ("playbooks/rotate_secrets.yml", "-e", "sops_age_rotate_key=true"),
    ("playbooks/status.yml",),
)


def figures() -> collections.abc.Iterator[Figure]:
    """How many places."""
    aws = StandIn()
    aws.start()
    try:
        found = _astray(aws.address)
    finally:
        aws.stop()
    yield Figure("secrets_astray", len(found), None, 0, "places with a secret that does not belong there")


def _astray(endpoint: str) -> set[str]:
    """Where a secret was found that does not belong there, while a bootstrap on kwok took secrets of every kind."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        repository, key = folder, folder / "home/keys.txt"
        inventory = dev_inventory(folder, "bench-canary", PORT, **_variables(repository, key, endpoint))
        places = {each: folder / each for each in ("tmp", "cache", "logs")}
        for place in places.values():
            place.mkdir()
        environment = {
            "SOPS_AGE_KEY_FILE": str(key),
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "rehearsal",
            "AWS_SECRET_ACCESS_KEY": "not-a-secret-of-anybody",
            "TMPDIR": str(places["tmp"]),
            "ANSIBLE_LOCAL_TEMP": str(places["tmp"] / "local"),
            "ANSIBLE_REMOTE_TEMP": str(places["tmp"] / "remote"),
            "ANSIBLE_CACHE_PLUGIN": "jsonfile",
            "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(places["cache"]),
            "ANSIBLE_LOG_PATH": str(places["logs"] / "ansible.log"),
        }
        plain = _written(repository, inventory)
        encrypt = ("playbooks/secrets.yml", "-e", "secrets_task=encrypt", "-e", json.dumps({"sops_age_encrypt": plain}))
        root = ("-e", f"sops_age_root={repository}", "-e", f"sops_age_key_file={key}")
        playbook("-i", "localhost,", *encrypt, *root, environment=environment)
        with Scan([*CANARIES, "AGE-SECRET-KEY-1"], list(places.values())) as scan:
            _control(scan, places["tmp"])
            try:
                for run in RUNS:
                    _taken, said = playbook("-i", str(inventory), "-vvvv", "--diff", *run, environment=environment)
                    scan.text(f"output of {' '.join(run)}", said.encode())
            finally:
                scan.folder(folder / "state")
                playbook("playbooks/teardown.yml", "-i", str(inventory), environment=environment)
            found = scan.found.copy()
            scan.found.clear()
            # It still looks: what fails in a thread fails in silence.
            _control(scan, places["tmp"])
        # The cache is empty as long as no role puts facts there.
        assert (places["logs"] / "ansible.log").stat().st_size, "nothing was logged"
        return found


def _control(scan: Scan, folder: pathlib.Path) -> None:
    """Show the scan what it has to find."""
    path = folder / "control"
    path.write_bytes(base64.b64encode(f"a: {CANARIES[0]}\n".encode()))
    seconds([sys.executable, "-c", "import time; time.sleep(0.3)", CANARIES[1]])
    path.unlink()
    assert scan.found == {str(path), "arguments of a process"}, f"the scan found {scan.found}"
    scan.found.clear()


def _variables(repository: pathlib.Path, key: pathlib.Path, endpoint: str) -> dict[str, t.Any]:
    """Of the inventory: secrets of every kind."""
    keys = {"access_key_id": "rehearsal", "secret_access_key": "{{ store_key }}"}
    credentials = {"url": "https://git.example.com", "username": "ci", "password": "{{ repository_password }}"}
    return {
        "sops_age_root": str(repository),
        "sops_age_key_file": str(key),
        "sops_age_secrets": [
            {"file": "values.secrets.enc.yaml", "namespaces": ["shop"]},
            {"file": "login.secrets.enc.yaml", "namespaces": ["shop"], "type": "dockerconfigjson"},
            {"file": "manifest.secrets.enc.yaml"},
        ],
        "sops_age_cluster_keys": [{"name": "sops-age", "namespace": "argocd"}],
        "argocd_repository_credentials": [credentials],
        "external_secrets_region": REGION,
        "external_secrets_seeds": [{"name": "shop/shared", "value": {"password": "{{ seed }}"}}],
        "external_secrets_stores": [{"name": "aws", "auth": "static", "credentials": keys}],
        "external_secrets_external_secrets": [
            {"name": "shared", "namespace": "shop", "store": "aws", "extract": ["shop/shared"]}
        ],
        "local_controllers_aws_endpoint": endpoint,
    }


def _written(repository: pathlib.Path, inventory: pathlib.Path) -> list[str]:
    """The files, still in plaintext: three that become Secrets, and one of variables."""
    login = {"registry.example.com": {"username": "ci", "password": CANARIES[1]}}
    manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "manifest", "namespace": "shop"}}
    (inventory / "group_vars").mkdir(exist_ok=True)
    contents = {
        repository / "values": {"password": CANARIES[0]},
        repository / "login": {"registries": login},
        repository / "manifest": {**manifest, "stringData": {"password": CANARIES[2]}},
        repository / "inventory/group_vars/all": dict(
            zip(("repository_password", "seed", "store_key"), CANARIES[3:], strict=True)
        ),
    }
    paths = []
    for place, content in contents.items():
        paths.append(place.with_name(f"{place.name}.secrets.enc.yaml"))
        paths[-1].parent.mkdir(parents=True, exist_ok=True)
        paths[-1].write_text(json.dumps(content))
    return list(map(str, paths))
