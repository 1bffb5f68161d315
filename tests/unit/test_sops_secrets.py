# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From decrypted files to Secrets, and whether a Secret is still what a file made of it."""

from __future__ import annotations

import base64
import copy
import json
import typing as t

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _sops_secrets as secrets
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._sops_cluster import intact
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._sops_secrets import Entry

CANARY = "canary-77aa01"
FILE = "config/dev/trip.secrets.enc.yaml"
PEM = "-----BEGIN X-----\nx\n-----END X-----\n"


def made(documents: list[t.Any], **options: t.Any) -> list[dict[str, t.Any]]:
    return secrets.objects(Entry.of({"file": FILE, **options}), documents, "sum", "secrets")


def data(item: dict[str, t.Any]) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in item["data"].items()}


def manifest(**fields: t.Any) -> dict[str, t.Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, **fields}


def test_names_and_values() -> None:
    (item,) = made([{"password": CANARY, "port": 5432, "tls": True, "ratio": 1.5}], namespaces=["trip"])
    assert data(item) == {"password": CANARY, "port": "5432", "tls": "true", "ratio": "1.5"}
    assert item["metadata"]["name"] == "trip"
    assert item["type"] == "Opaque"
    assert item["metadata"]["labels"] == {"hubspoke.bootstrap/secrets": "secrets"}
    assert item["metadata"]["annotations"]["hubspoke.bootstrap/source"] == FILE


def test_one_for_each_namespace() -> None:
    found = made([{"a": "b"}], name="x", namespaces=["one", "two"], labels={"team": "a"})
    assert [(each["metadata"]["namespace"], each["metadata"]["name"]) for each in found] == [("one", "x"), ("two", "x")]
    assert {each["metadata"]["annotations"]["hubspoke.bootstrap/source-objects"] for each in found} == {"2"}
    assert found[0]["metadata"]["labels"]["team"] == "a"


def test_manifests() -> None:
    encoded = base64.b64encode(b"x").decode()
    one = manifest(data={"a": encoded}, stringData={"b": CANARY}, immutable=True)
    two = manifest(metadata={"name": "c", "namespace": "own"}, type="kubernetes.io/basic-auth", stringData={})
    found = made([one, two], namespaces=["given"])
    assert [each["metadata"]["namespace"] for each in found] == ["given", "own"]
    assert data(found[0]) == {"a": "x", "b": CANARY}
    assert found[0]["immutable"]
    assert found[1]["type"] == "kubernetes.io/basic-auth"


@pytest.mark.parametrize(
    "content",
    [
        {"registries": {"r.example.com": {"username": "u", "password": CANARY}}},
        {"auths": {"r.example.com": {"auth": base64.b64encode(f"u:{CANARY}".encode()).decode()}}},
        {".dockerconfigjson": json.dumps({"auths": {"r.example.com": {"auth": "dTpw"}}})},
    ],
)
def test_logins_to_registries(content: dict[str, t.Any]) -> None:
    (item,) = made([content], type="dockerconfigjson")
    assert item["type"] == "kubernetes.io/dockerconfigjson"
    login = json.loads(data(item)[".dockerconfigjson"])["auths"]["r.example.com"]
    assert base64.b64decode(login["auth"]).startswith(b"u:")


def test_tls() -> None:
    (item,) = made([{"tls.crt": PEM, "tls.key": PEM}], type="tls")
    assert item["type"] == "kubernetes.io/tls"


@pytest.mark.parametrize(
    ("documents", "options", "words"),
    [
        ([{"a": {"b": CANARY}}], {}, "a is a dict"),
        ([{"a": None}], {}, "a is empty"),
        ([["x"]], {}, "neither names with values"),
        ([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}], {}, "holds a ConfigMap"),
        ([manifest(metadata={})], {}, r"without metadata\.name"),
        ([manifest(data={"a": f"{CANARY}!"})], {}, r"data\.a is not Base64"),
        ([{"a b": CANARY}], {}, "key 'a b'"),
        ([{"a": "b"}], {"name": "Not_Good"}, "name that is none"),
        ([{"a": CANARY * 90000}], {}, "1.1 MiB; Kubernetes takes 1 MiB"),
        ([{"tls.crt": PEM}], {"type": "tls"}, r"has no tls\.key"),
        ([{"tls.crt": CANARY, "tls.key": CANARY}], {"type": "tls"}, "is not PEM"),
        ([{"a": CANARY}], {"type": "dockerconfigjson"}, "no logins"),
        ([{"registries": {"r": CANARY}}], {"type": "dockerconfigjson"}, "registry r has no username"),
        ([{".dockerconfigjson": CANARY}], {"type": "dockerconfigjson"}, "is not JSON"),
    ],
)
def test_what_the_server_would_refuse(documents: list[t.Any], options: dict[str, t.Any], words: str) -> None:
    with pytest.raises(HubspokeError, match=words) as caught:
        made(documents, **options)
    assert FILE in str(caught.value)
    assert CANARY not in str(caught.value)


def test_values_to_be_kept_out_of_output() -> None:
    hidden = set(secrets.values(made([{"a": CANARY, "b": "short"}])))
    assert hidden == {CANARY, base64.b64encode(CANARY.encode()).decode(), base64.b64encode(b"short").decode()}


def test_the_checksum_is_of_file_and_use() -> None:
    entry = Entry(FILE)
    assert entry.checksum(b"x") == Entry(FILE).checksum(b"x")
    others = (
        Entry(FILE, "name"),
        Entry(FILE, namespaces=("a",)),
        Entry(FILE, type="x"),
        Entry(FILE, labels={"a": "b"}),
    )
    assert len({entry.checksum(b"x"), entry.checksum(b"y"), *(each.checksum(b"x") for each in others)}) == 6


MANAGER = "hubspoke.bootstrap-secrets-secrets"


def live() -> dict[str, t.Any]:
    (item,) = made([{"a": "b", "c": "d"}])
    metadata = {f"f:{kind}": {f"f:{key}": {} for key in item["metadata"][kind]} for kind in ("labels", "annotations")}
    fields = {"f:data": {"f:a": {}, "f:c": {}}, "f:metadata": metadata, "f:type": {}}
    item["metadata"]["managedFields"] = [{"manager": MANAGER, "operation": "Apply", "fieldsV1": fields}]
    return item


def test_a_secret_that_nobody_touched() -> None:
    assert intact(live(), FILE, "sum", MANAGER)
    assert not intact(live(), FILE, "other", MANAGER)
    assert not intact(live(), "other", "sum", MANAGER)
    assert not intact(live(), FILE, "sum", "somebody")


@pytest.mark.parametrize("change", ["value", "deleted", "added", "our label", "label"])
def test_a_secret_that_somebody_touched(change: str) -> None:
    item = copy.deepcopy(live())
    managed = item["metadata"]["managedFields"]
    other = {"manager": "kubectl-edit", "operation": "Update"}
    if change == "value":
        del managed[0]["fieldsV1"]["f:data"]["f:a"]
        managed.append({**other, "fieldsV1": {"f:data": {"f:a": {}}}})
    elif change == "deleted":
        # The server forgets who owned it.
        del item["data"]["a"], managed[0]["fieldsV1"]["f:data"]["f:a"]
    elif change == "added":
        item["data"]["e"] = "eA=="
        managed.append({**other, "fieldsV1": {"f:data": {"f:e": {}}}})
    elif change == "our label":
        item["metadata"]["labels"]["hubspoke.bootstrap/secrets"] = "other"
        del managed[0]["fieldsV1"]["f:metadata"]["f:labels"]["f:hubspoke.bootstrap/secrets"]
    else:
        # Metadata of others is no matter of ours.
        item["metadata"]["labels"]["x"] = "y"
        managed.append({**other, "fieldsV1": {"f:metadata": {"f:labels": {"f:x": {}}}}})
    assert intact(item, FILE, "sum", MANAGER) is (change == "label")
