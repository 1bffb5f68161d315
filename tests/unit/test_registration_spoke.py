# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a spoke is reached from here, as its kubeconfig or the other connection options say."""

from __future__ import annotations

import base64
import pathlib
import typing as t

import pytest
import yaml

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_spoke import access

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
    for server in (SERVER, "https://10.0.0.2:16443"):
        path.write_text(yaml.safe_dump(kubeconfig({"server": server})))
        assert access({"kubeconfig": str(path)}, 3).endpoint.server == server
