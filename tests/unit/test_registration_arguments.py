# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with a cluster's arguments is said before anything is asked: one message, cluster and field named."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_arguments import wanted
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_fleet import check

SPOKE = {"kubeconfig": "~/.kube/config"}
SERVER = "https://tokyo.example.com:6443"
PEM = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\n"  # gitleaks:allow
ARN = "arn:aws:eks:ap-northeast-1:111122223333:cluster/tokyo"

WRONG: dict[str, tuple[dict[str, t.Any], str]] = {
    "no name": ({"name": " "}, "name has to have between 1 and 253 characters"),
    "a long name": ({"name": "n" * 254}, "name has to have between 1 and 253 characters"),
    "no address": ({"spoke": None}, "credential token has to be made on the spoke"),
    "no URL": ({"server": "tokyo:6443"}, "server tokyo:6443 is no URL"),
    "no host": ({"server": "https://"}, "server https:// is no URL"),
    "a port of words": ({"server": "https://tokyo:https"}, "server https://tokyo:https is no URL"),
    "plain HTTP": ({"server": "http://tokyo:8080"}, "server http://tokyo:8080 is plain HTTP"),
    "a password in the address": (
        {"server": "https://u:canary@tokyo"},
        "server has more in it than host, port and path",
    ),
    "a user in the address": ({"server": "https://canary@tokyo"}, "server has more in it than host, port and path"),
    "port 0": ({"server": "https://tokyo:0"}, "server https://tokyo:0 is no URL"),
    "a query in the address": ({"server": "https://tokyo/?x=1"}, "server has more in it than host, port and path"),
    "this machine by number": (
        {"server": "https://127.0.0.1:6443"},
        "server https://127.0.0.1:6443 means this machine",
    ),
    "this machine by name": ({"server": "https://localhost:6443"}, "server https://localhost:6443 means this machine"),
    "this machine's domain": ({"server": "https://x.LOCALHOST.:1"}, "server https://x.LOCALHOST.:1 means this machine"),
    "this machine in six": ({"server": "https://[::1]:6443"}, "server https://[::1]:6443 means this machine"),
    "every address": ({"server": "https://0.0.0.0:6443"}, "server https://0.0.0.0:6443 means this machine"),
    "a malformed ARN": ({"server": "arn:aws:eks:tokyo"}, "server arn:aws:eks:tokyo is no ARN of an EKS cluster"),
    "an ARN with a token": (
        {"server": ARN, "bearer_token": "canary"},
        "credential bearer_token cannot be used with an ARN",
    ),
    "two credentials": (
        {"bearer_token": "canary", "basic": {"username": "u", "password": "canary"}},
        "bearer_token and basic exclude each other",
    ),
    "a credential of another kind": (
        {"credential": "token", "bearer_token": "canary"},
        "credential token has no use for bearer_token",
    ),
    "a given credential of another kind": (
        {"credential": "basic", "bearer_token": "canary"},
        "credential basic has no use for bearer_token",
    ),
    "a credential that is not given": ({"credential": "basic"}, "credential basic lacks basic"),
    "no credential": ({"server": SERVER, "credential": "none"}, "credential none is not possible with server"),
    "no credential and no server": ({"credential": "none"}, "credential none is not possible without server"),
    "a credential for nowhere": (
        {"spoke": None, "bearer_token": "canary"},
        "server is not given, and neither is spoke",
    ),
    "a certificate that is none": (
        {"client_certificate": {"certificate": "canary", "key": KEY}},
        "client_certificate.certificate is no PEM with a certificate",
    ),
    "a key that is none": (
        {"client_certificate": {"certificate": PEM, "key": "canary"}},
        "client_certificate.key is no PEM with a private key",
    ),
    "a malformed role": (
        {"aws": {"cluster_name": "tokyo", "role_arn": "argocd"}},
        "aws.role_arn argocd is no ARN of an IAM role",
    ),
    "a CA that is a path": ({"ca_data": "/etc/ssl/ca.pem"}, "ca_data is no PEM certificate"),
    "a CA that is not looked at": ({"ca_data": PEM, "insecure": True}, "insecure and ca_data exclude each other"),
    "a proxy that is none": ({"proxy_url": "proxy:3128"}, "proxy_url is no URL of a proxy"),
    "a label's key": ({"labels": {"a b": "c"}}, "labels has the key 'a b', which Kubernetes does not take"),
    "a label's long prefix": ({"labels": {f"{'a' * 254}/b": "c"}}, "labels has the key 'aaa"),
    "a label's value": ({"labels": {"a": "b c"}}, "labels has the value 'b c' at a, which Kubernetes does not take"),
    "a long label": ({"labels": {"a": "b" * 64}}, "labels has the value"),
    "a label of ours": (
        {"labels": {"hubspoke.bootstrap/owner": "x"}},
        "labels has the key hubspoke.bootstrap/owner, which is not the user's to set",
    ),
    "Argo CD's label": (
        {"labels": {"argocd.argoproj.io/secret-type": "x"}},
        "labels has the key argocd.argoproj.io/secret-type",
    ),
    "an annotation's key": ({"annotations": {"/x": "y"}}, "annotations has the key '/x'"),
    "a namespace's name": ({"namespaces": ["Web"]}, "namespaces has 'Web', which is no name of a namespace"),
    "cluster resources of all": ({"cluster_resources": True}, "cluster_resources has a meaning only with namespaces"),
    "a shard below none": ({"shard": -1}, "shard is -1"),
    "a lifetime in words": ({"token_lifetime": "a month"}, "token_lifetime is 'a month'"),
    "a short lifetime": ({"token_lifetime": "5m"}, "token_lifetime is 300 s"),
    "a renewal too late": ({"token_renew_after": 1.5}, "token_renew_after is 1.5"),
    "a renewal too early": ({"token_renew_after": 0.04}, "token_renew_after is 0.04"),
    "a renewal at once": ({"token_renew_after": 0}, "token_renew_after is 0.0"),
    "an account's name": ({"account": {"name": "Argo CD"}}, "account.name 'Argo CD' is no name in Kubernetes"),
    "an account's namespace": ({"account": {"namespace": "kube_system"}}, "account.namespace 'kube_system' is no name"),
    "a rule that grants nothing": (
        {"account": {"rules": [{"verbs": ["get"]}]}},
        "account.rules has {'verbs': ['get']}",
    ),
    "URLs in a namespace": (
        {"namespaces": ["web"], "account": {"rules": [{"nonResourceURLs": ["/x"], "verbs": ["get"]}]}},
        "account.rules has nonResourceURLs, which no namespace has",
    ),
    "an unknown way to the spoke": ({"spoke": {"kubeconf": "x"}}, "spoke.kubeconf is not known"),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG)
def test_wrong_arguments(arguments: dict[str, t.Any], message: str) -> None:
    with pytest.raises(HubspokeError) as caught:
        wanted({"name": "tokyo", "spoke": SPOKE, **arguments})
    assert caught.value.message.startswith(f"Cluster {arguments.get('name', 'tokyo')}: {message}")
    assert caught.value.message.endswith(".")
    assert caught.value.remedy
    assert "canary" not in str(caught.value)


RIGHT: dict[str, tuple[dict[str, t.Any], dict[str, t.Any]]] = {
    "the longest name": ({"name": "n" * 253}, {"name": "n" * 253}),
    "a slash at the end": ({"server": f" {SERVER}/ "}, {"server": SERVER}),
    "the shortest life": ({"token_lifetime": "10m"}, {"lifetime": 600}),
    "a life in weeks": ({"token_lifetime": "2w"}, {"lifetime": 1209600}),
    "a life in seconds": ({"token_lifetime": "900"}, {"lifetime": 900}),
    "an early renewal": ({"token_renew_after": 0.05}, {"renew_after": 0.05}),
    "a late renewal": ({"token_renew_after": 0.95}, {"renew_after": 0.95}),
    "a proxy": ({"proxy_url": "socks5://proxy:1080"}, {"proxy": "socks5://proxy:1080"}),
    "a long prefix": ({"labels": {f"{'a' * 253}/b": "c"}}, {"labels": {f"{'a' * 253}/b": "c"}}),
    "the first shard": ({"shard": 0}, {"shard": 0}),
    "no trial": ({"probe": "never"}, {"probe": "never"}),
    "no spoke yet": ({"spoke": None, "spoke_present": False}, {"spoke_present": False}),
    "nothing but a name to remove": ({"spoke": None, "state": "absent"}, {"state": "absent"}),
    "no credential to remove": ({"spoke": None, "state": "absent", "credential": "none"}, {"credential": "none"}),
    "a token with a newline": ({"bearer_token": " x\n"}, {"given": {"bearerToken": "x"}}),
    "URLs beside namespaces": (
        {
            "namespaces": ["web"],
            "cluster_resources": True,
            "account": {"rules": [{"nonResourceURLs": ["/x"], "verbs": ["get"]}]},
        },
        {"namespaces": ("web",)},
    ),
    "a command that is told of its cluster": (
        {"exec": {"command": "x", "provide_cluster_info": True}},
        {"given": {"execProviderConfig": {"command": "x", "provideClusterInfo": True}}},
    ),
}


@pytest.mark.parametrize(("arguments", "expected"), RIGHT.values(), ids=RIGHT)
def test_right_arguments(arguments: dict[str, t.Any], expected: dict[str, t.Any]) -> None:
    found = wanted({"name": "tokyo", "spoke": SPOKE, **arguments})
    assert {name: getattr(found, name) for name in expected} == expected


def test_the_same_cluster_twice() -> None:
    one, other = ({"name": name, "server": SERVER, "bearer_token": "x"} for name in ("a", "b"))
    with pytest.raises(HubspokeError, match=r"^Cluster b: server .* is that of a too"):
        check([wanted(one), wanted({**other, "server": "https://TOKYO.example.com:6443/"})])
    with pytest.raises(HubspokeError, match=r"^Cluster a: name is given twice"):
        check([wanted(one), wanted({**other, "name": "a", "server": "https://b"})])


@pytest.mark.parametrize(
    ("arguments", "credential"),
    [
        ({"spoke": SPOKE}, "token"),
        ({"spoke": SPOKE, "credential": "token_secret"}, "token_secret"),
        ({"server": SERVER, "bearer_token": "x"}, "bearer_token"),
        ({"server": SERVER, "basic": {"username": "u", "password": "p"}}, "basic"),
        ({"server": SERVER, "client_certificate": {"certificate": PEM, "key": KEY}}, "client_certificate"),
        ({"server": SERVER, "aws": {"cluster_name": "tokyo"}}, "aws"),
        ({"server": SERVER, "exec": {"command": "token-for"}}, "exec"),
        ({"server": "https://kubernetes.default.svc/"}, "none"),
        ({"server": "https://Kubernetes.default.svc:443"}, "none"),
        ({"server": ARN}, "none"),
    ],
)
def test_the_credential_follows_from_what_is_given(arguments: dict[str, t.Any], credential: str) -> None:
    found = wanted({"name": "tokyo", **arguments})
    assert (found.credential, found.in_cluster or found.by_arn) == (credential, credential == "none")


def test_addresses_of_this_machine_are_fine_where_argo_cd_runs_on_it() -> None:
    assert wanted({"name": "a", "spoke": SPOKE, "server": "https://127.0.0.1:6443"}, True).server


def test_rights_follow_from_namespaces() -> None:
    whole = wanted({"name": "a", "spoke": SPOKE})
    some = wanted({"name": "a", "spoke": SPOKE, "namespaces": ["web"]})
    both = wanted({"name": "a", "spoke": SPOKE, "namespaces": ["web"], "cluster_resources": True})
    assert (whole.account.namespaces, some.account.namespaces, both.account.namespaces) == ((), ("web",), ())
    assert len(whole.account.rules) == len(both.account.rules) == 2
    assert some.account.rules == ({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},)


def test_a_secret_is_not_shown_by_chance() -> None:
    shown = repr(wanted({"name": "a", "server": SERVER, "bearer_token": "canary", "spoke": {"api_key": "canary"}}))
    assert "canary" not in shown
