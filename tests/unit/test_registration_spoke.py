# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a spoke is reached from here, as its kubeconfig or the other connection options say."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import typing as t

import pytest
import yaml

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _registration_spoke
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import ApiError, HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_probe import Identity
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_secret import registered
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_spoke import Api, access, as_registered

SERVER = "https://10.0.0.1:6443"


def kubeconfig(cluster: t.Any = None, user: t.Any = None, **further: t.Any) -> dict[str, t.Any]:
    return {
        "current-context": "a",
        "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": SERVER, **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {}}],
        **further,
    }


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_an_address_with_a_certificate() -> None:
    cluster = {"certificate-authority-data": encoded("CA"), "tls-server-name": "name"}
    user = {"client-certificate-data": encoded("CERT"), "client-key-data": encoded("KEY"), "token": "not used"}
    found = access({"kubeconfig": kubeconfig(cluster, user)}, 3)
    assert (found.endpoint.server, found.endpoint.ca, found.endpoint.server_name) == (SERVER, "CA", "name")
    assert found.identity
    assert (found.identity.certificate, found.identity.key, found.identity.token) == ("CERT", "KEY", "")


def test_files_are_relative_to_the_kubeconfig(tmp_path: pathlib.Path) -> None:
    (tmp_path / "ca.pem").write_text("CA")
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(kubeconfig({"certificate-authority": "ca.pem"}, {"token": "canary"})))
    found = access({"kubeconfig": str(path)}, 3)
    assert found.endpoint.ca == "CA"
    assert found.identity
    assert found.identity.token == "canary"
    assert "canary" not in repr(found)


def test_options_without_a_kubeconfig(tmp_path: pathlib.Path) -> None:
    (tmp_path / "ca.pem").write_text("CA")
    found = access({"host": SERVER, "api_key": "t", "ca_cert": str(tmp_path / "ca.pem")}, 3)
    assert (found.endpoint.ca, found.endpoint.insecure) == ("CA", False)
    assert found.identity
    assert found.identity.token == "t"
    assert access({"host": SERVER, "api_key": "t", "validate_certs": False}, 3).endpoint.insecure


@pytest.mark.parametrize(
    ("cluster", "user", "options"),
    [
        ({}, {"exec": {"command": "x"}}, {}),
        ({}, {"auth-provider": {"name": "oidc"}}, {}),
        ({}, {"as": "someone"}, {}),
        ({"proxy-url": "http://p"}, {}, {}),
        ({}, {}, {"impersonate_user": "someone"}),
    ],
)
def test_what_only_the_kubernetes_client_knows(cluster: t.Any, user: t.Any, options: t.Any) -> None:
    assert access({"kubeconfig": kubeconfig(cluster, user), **options}, 3).identity is None


CERTIFICATE = Identity(certificate="CERT", key="KEY")


@pytest.mark.parametrize(
    ("options", "user", "expected"),
    [
        ({"host": "https://other"}, {"token": "t"}, (("https://other", ""), Identity(token="t"))),
        ({"api_key": "k"}, {"token": "t"}, ((SERVER, ""), Identity(token="k"))),
        ({"client_cert": "cert", "client_key": "key"}, {"token": "t"}, ((SERVER, ""), CERTIFICATE)),
        ({}, {"username": "u", "password": "p"}, ((SERVER, ""), Identity(username="u", password="p"))),
        ({"context": None, "proxy": None, "api_key": None}, {"token": "t"}, ((SERVER, ""), Identity(token="t"))),
        ({"proxy": "http://p"}, {"token": "t"}, ((SERVER, "http://p"), None)),
        ({"no_proxy": "x"}, {"token": "t"}, ((SERVER, ""), None)),
    ],
)
def test_options_go_before_the_kubeconfig(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, options: t.Any, user: t.Any, expected: t.Any
) -> None:
    (tmp_path / "cert").write_text("CERT")
    (tmp_path / "key").write_text("KEY")
    monkeypatch.chdir(tmp_path)
    found = access({"kubeconfig": kubeconfig(user=user), **options}, 3)
    assert ((found.endpoint.server, found.endpoint.proxy), found.identity) == expected


def test_a_certificate_that_is_not_looked_at_needs_no_authority() -> None:
    cluster = {"certificate-authority-data": encoded("CA"), "insecure-skip-tls-verify": True}
    found = access({"kubeconfig": kubeconfig(cluster)}, 3).endpoint
    assert (found.insecure, found.ca) == (True, "")


def test_the_kubeconfig_of_the_environment(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").write_text(yaml.safe_dump(kubeconfig()))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    assert access({}, 3).endpoint.server == SERVER


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        ({"caData": encoded("CA"), "serverName": "name"}, ("CA", "name", False)),
        ({"insecure": True}, ("", "", True)),
        (None, ("", "", False)),
    ],
)
def test_the_way_that_argo_cd_takes(tls: t.Any, expected: t.Any) -> None:
    data = {"server": f"{SERVER}/", "config": json.dumps({"bearerToken": "t", "tlsClientConfig": tls})}
    found = as_registered(registered({"data": {key: encoded(value) for key, value in data.items()}}), 3)
    at = found.endpoint
    assert (at.server, (at.ca, at.server_name, at.insecure), found.identity) == (SERVER, expected, Identity(token="t"))


class _Session:
    """Answers with a status and the credential that it was shown."""

    def __init__(self, _endpoint: t.Any, identity: Identity) -> None:
        self.identity, self.closed = identity, False

    def request(self, _method: str, path: str, _body: t.Any) -> t.Any:
        return int(path), {"message": f"{self.identity.token} is bad", "reason": "Because"}

    def __exit__(self, *_error: object) -> None:
        self.closed = True


def test_an_answer_that_echoes_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_registration_spoke, "Session", _Session)
    with Api(access({"host": SERVER, "api_key": "canary-token"}, 3)) as api:
        assert api.request("GET", "201")
        for status in (400, 503):
            with pytest.raises(ApiError) as caught:
                api.request("GET", str(status))
            assert (caught.value.status, caught.value.reason) == (status, "Because")
            assert "canary" not in str(caught.value)
        assert api.get_path("404") is None
    assert t.cast("t.Any", api)._session.closed


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"kubeconfig": "/nowhere/config"},
            "The kubeconfig /nowhere/config cannot be read: No such file or directory.",
        ),
        ({"kubeconfig": kubeconfig(), "context": "b"}, "spoke.kubeconfig has no context b."),
        ({"kubeconfig": kubeconfig(**{"current-context": None})}, "spoke.kubeconfig has no context (none is current)."),
        ({"kubeconfig": kubeconfig(clusters=[])}, "Context a of spoke.kubeconfig names the cluster c, which is not in"),
        ({"kubeconfig": kubeconfig({"server": "http://x"})}, "spoke has the address http://x, which is not https."),
        ({"host": "x", "api_key": "t"}, "spoke has the address x, which is not https."),
        ({"kubeconfig": ["x"]}, "The kubeconfig"),
        (
            {"kubeconfig": kubeconfig({"certificate-authority-data": "%"})},
            "The kubeconfig's certificate-authority-data is not base64.",
        ),
        ({"host": SERVER, "api_key": "t", "ca_cert": "/nowhere/ca"}, "ca_cert /nowhere/ca cannot be read"),
    ],
)
def test_what_cannot_be_used(params: t.Any, message: str) -> None:
    with pytest.raises(HubspokeError) as caught:
        access(params, 3)
    assert caught.value.message.startswith(message)
    assert caught.value.remedy


def test_a_kubeconfig_that_does_not_parse_is_not_quoted(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "config"
    path.write_text("token: canary: canary")
    with pytest.raises(HubspokeError, match="is no kubeconfig") as caught:
        access({"kubeconfig": str(path)}, 3)
    assert "canary" not in str(caught.value)


def test_a_kubeconfig_that_changes_is_read_again(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "config"
    for server in (SERVER, "https://10.0.0.2:6443"):
        path.write_text(yaml.safe_dump(kubeconfig({"server": server})))
        os.utime(path, (len(server), int(server[-6])))  # of the same length, too
        assert access({"kubeconfig": str(path)}, 3).endpoint.server == server
