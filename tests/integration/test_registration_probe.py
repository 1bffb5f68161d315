# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The probe of a credential against a real API server, with accounts and tokens that it made."""

from __future__ import annotations

import base64
import concurrent.futures
import pathlib
import time
import typing as t
import uuid

import pytest
import yaml
from unit import registration_probe_servers as certificates

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_probe import (
    Endpoint,
    Identity,
    ProbeError,
    Right,
    Session,
    probe,
)

RBAC = "rbac.authorization.k8s.io"
NEW_TOKEN = "Set bearer_token to a new token. Another cluster may have made it, or the account was deleted."


class Spoke:
    """The API server, with accounts in a namespace of the test's own."""

    def __init__(self, kubeconfig: str) -> None:
        self.kube = Kube.from_params({"kubeconfig": kubeconfig})
        self.namespace = f"probe-{uuid.uuid4().hex[:8]}"
        self._apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})
        content = yaml.safe_load(pathlib.Path(kubeconfig).read_text())
        cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
        self.endpoint = Endpoint(cluster["server"], ca=_pem(cluster, "certificate-authority"))
        self.admin = Identity(certificate=_pem(user, "client-certificate"), key=_pem(user, "client-key"))

    def _apply(self, *objects: dict[str, t.Any]) -> None:
        for each in objects:
            self.kube.apply(each, "probe-test")

    def account(self, name: str, role: dict[str, str] | None = None, everywhere: bool = False) -> str:
        """A service account, bound to a role where one is given; its token."""
        metadata = {"name": name, "namespace": self.namespace}
        self._apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
        if role:
            binding: dict[str, t.Any] = {
                "apiVersion": f"{RBAC}/v1",
                "kind": "ClusterRoleBinding" if everywhere else "RoleBinding",
                "metadata": {"name": f"{self.namespace}-{name}"} if everywhere else metadata,
                "roleRef": {"apiGroup": RBAC, **role},
                "subjects": [{"kind": "ServiceAccount", **metadata}],
            }
            self._apply(binding)
        path = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{name}/token"
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": 3600},
        }
        return str(self.kube.request("POST", path, body)["status"]["token"])

    def refuses(self, identity: Identity, *rights: Right) -> tuple[str, str, str]:
        """What the error of a probe says."""
        with pytest.raises(ProbeError) as caught:
            probe(self.endpoint, identity, rights)
        return str(caught.value), caught.value.field, caught.value.kind

    def delete(self) -> None:
        """Remove what is left."""
        self.kube.delete_path(f"/api/v1/namespaces/{self.namespace}")
        for binding in self.kube.list(f"{RBAC}/v1", "ClusterRoleBinding"):
            if binding["metadata"]["name"].startswith(self.namespace):
                self.kube.delete_path(f"/apis/{RBAC}/v1/clusterrolebindings/{binding['metadata']['name']}")


def _pem(section: dict[str, str], key: str) -> str:
    """What a kubeconfig holds itself or in a file."""
    if f"{key}-data" in section:
        return base64.b64decode(section[f"{key}-data"]).decode()
    return pathlib.Path(section[key]).read_text()


@pytest.fixture(scope="module")
def spoke(kubeconfig: str) -> t.Iterator[Spoke]:
    made = Spoke(kubeconfig)
    yield made
    made.delete()


def test_full_rights(spoke: Spoke) -> None:
    token = spoke.account("full", {"kind": "ClusterRole", "name": "cluster-admin"}, everywhere=True)
    probe(spoke.endpoint, Identity(token=token), [Right(), Right("delete", "", "nodes"), Right("get", "", "pods/log")])


def test_the_administrators_client_certificate(spoke: Spoke) -> None:
    probe(spoke.endpoint, spoke.admin, [Right()])


def test_no_rights(spoke: Spoke) -> None:
    identity = Identity(token=spoke.account("none"))
    probe(spoke.endpoint, identity, [])
    assert spoke.refuses(identity, Right()) == (
        f"service account {spoke.namespace}/none may not do this on {spoke.endpoint.server}: everything. "
        "Give the account these rights on the cluster, or use another account.",
        "account",
        "forbidden",
    )


def test_rights_in_one_namespace(spoke: Spoke) -> None:
    token = spoke.account("inside", {"kind": "ClusterRole", "name": "cluster-admin"})
    inside, outside = Right(namespace=spoke.namespace), Right("list", "apps", "deployments", "default")
    probe(spoke.endpoint, Identity(token=token), [inside])
    assert spoke.refuses(Identity(token=token), inside, outside, Right("list", "", "namespaces"))[0] == (
        f"service account {spoke.namespace}/inside may not do this on {spoke.endpoint.server}: "
        "list deployments.apps in namespace default, list namespaces. "
        "Give the account these rights on the cluster, or use another account."
    )


def test_wrong_token(spoke: Spoke) -> None:
    assert spoke.refuses(Identity(token="wrong"), Right()) == (
        f"{spoke.endpoint.server} does not accept bearer_token. Set bearer_token to a new token.",
        "bearer_token",
        "unauthenticated",
    )
    # Also where nothing but the credential is tried.
    assert spoke.refuses(Identity(token="wrong"))[1:] == ("bearer_token", "unauthenticated")


def test_token_that_was_changed(spoke: Spoke) -> None:
    head, _, _ = spoke.account("changed").rpartition(".")
    assert spoke.refuses(Identity(token=f"{head}.{'A' * 342}"), Right())[0] == (
        f"{spoke.endpoint.server} does not accept bearer_token of service account {spoke.namespace}/changed. "
        f"{NEW_TOKEN}"
    )


def test_token_of_a_deleted_account(spoke: Spoke) -> None:
    identity = Identity(token=spoke.account("deleted"))
    spoke.kube.delete_path(f"/api/v1/namespaces/{spoke.namespace}/serviceaccounts/deleted")
    # It may take the API server a moment to notice, and it remembers a token that it took for ten seconds.
    found, deadline = "", time.monotonic() + 20
    while not found and time.monotonic() < deadline:
        try:
            probe(spoke.endpoint, identity, [])
            time.sleep(0.2)
        except ProbeError as error:
            found = str(error)
    assert found == (
        f"{spoke.endpoint.server} does not accept bearer_token of service account {spoke.namespace}/deleted. "
        f"{NEW_TOKEN}"
    )


def test_password(spoke: Spoke) -> None:
    assert spoke.refuses(Identity(username="admin", password="wrong"))[1:] == ("password", "unauthenticated")


def test_nobody(spoke: Spoke) -> None:
    assert spoke.refuses(Identity(), Right()) == (
        f"{spoke.endpoint.server} wants a credential, and there is none. Set bearer_token, or another credential.",
        "bearer_token",
        "unauthenticated",
    )


def test_client_certificate_of_another_cluster(spoke: Spoke) -> None:
    pair = certificates.Authority("other").issue(common_name="kubernetes-admin")
    assert spoke.refuses(Identity(certificate=pair.certificate, key=pair.key), Right()) == (
        f"{spoke.endpoint.server} does not accept the client certificate; CN=other signed it. "
        "Set client_certificate to one that the cluster's own authority signed for clients.",
        "client_certificate",
        "unauthenticated",
    )


def test_another_authority(spoke: Spoke) -> None:
    endpoint = Endpoint(spoke.endpoint.server, ca=certificates.Authority("other").pem)
    with pytest.raises(ProbeError, match=r"^ca_data is not the authority that signed the certificate of .*CN=other"):
        probe(endpoint, Identity(token="t"), [])


def test_a_name_that_is_not_in_the_certificate(spoke: Spoke) -> None:
    endpoint = Endpoint("https://api.test:6443", via=spoke.endpoint.server, ca=spoke.endpoint.ca)
    with pytest.raises(ProbeError, match=r"is not for api\.test, but for .*localhost.*127\.0\.0\.1"):
        probe(endpoint, Identity(token="t"), [])
    named = Endpoint("https://api.test:6443", via=spoke.endpoint.server, ca=spoke.endpoint.ca, server_name="localhost")
    probe(named, Identity(token=spoke.account("named")), [])


def test_a_path_that_the_api_does_not_have(spoke: Spoke) -> None:
    endpoint = Endpoint(f"{spoke.endpoint.server}/k8s/clusters/c-1", ca=spoke.endpoint.ca)
    with pytest.raises(ProbeError) as caught:
        probe(endpoint, spoke.admin, [])
    assert (caught.value.field, caught.value.kind) == ("server", "not_kubernetes")


def test_session(spoke: Spoke) -> None:
    with Session(spoke.endpoint, spoke.admin) as session:
        status, version = session.request("GET", "/version")
        assert (status, version["gitVersion"][:2]) == (200, "v1")
        assert session.server_date is not None
        assert session.may(Right())
        status, made = session.request(
            "POST",
            f"/api/v1/namespaces/{spoke.namespace}/configmaps",
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "made"}},
        )
        assert (status, made["kind"]) == (201, "ConfigMap")
        assert session.request("GET", "/api/v1/namespaces/none")[0] == 404


def test_many_at_once(spoke: Spoke) -> None:
    token = spoke.account("many", {"kind": "ClusterRole", "name": "cluster-admin"}, everywhere=True)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: probe(spoke.endpoint, Identity(token=token), [Right()]), range(64)))
