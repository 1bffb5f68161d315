# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Argo CD's settings as objects."""

from __future__ import annotations

import base64
import typing as t

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _argocd_repositories as repositories
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _argocd_settings as settings

URL = "https://git.example.com/team/apps.git"
SSH = "git@git.example.com:team/apps.git"


def decoded(secret: dict[str, t.Any]) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


def made(entry: dict[str, t.Any], secret_type: str = "repository", existing: t.Any = ()) -> dict[str, t.Any]:
    return repositories.secret(entry, secret_type, "argocd", existing)


# Repositories


@pytest.mark.parametrize(
    ("entry", "data"),
    [
        pytest.param({"url": URL}, {"url": URL}, id="public"),
        pytest.param(
            {"url": URL, "username": "u", "password": "p", "type": "git"},
            {"url": URL, "username": "u", "password": "p", "type": "git"},
            id="password",
        ),
        pytest.param({"url": URL, "token": "t"}, {"url": URL, "username": "git", "password": "t"}, id="token"),
        pytest.param(
            {"url": URL, "token": "t", "username": "oauth2"},
            {"url": URL, "username": "oauth2", "password": "t"},
            id="token with a name",
        ),
        pytest.param(
            {"url": SSH, "ssh_private_key": "KEY"},
            {"url": SSH, "sshPrivateKey": "KEY\n"},
            id="a key ends with a newline",
        ),
        pytest.param(
            {"url": URL, "github_app_id": 1, "github_app_installation_id": 2, "github_app_private_key": "K\n\n"},
            {"url": URL, "githubAppID": "1", "githubAppInstallationID": "2", "githubAppPrivateKey": "K\n"},
            id="GitHub App",
        ),
        pytest.param(
            {"url": URL, "insecure": True, "enable_lfs": False, "project": "p", "proxy": None, "name": ""},
            {"url": URL, "insecure": "true", "project": "p"},
            id="what is not set is not there",
        ),
    ],
)
def test_the_secret_of_a_repository(entry: dict[str, t.Any], data: dict[str, str]) -> None:
    secret = made(entry)
    assert decoded(secret) == data
    assert secret["metadata"]["labels"] == {"argocd.argoproj.io/secret-type": "repository"}
    assert secret["metadata"]["namespace"] == "argocd"


def test_names_are_those_that_argo_cd_gives() -> None:
    # The one that its documentation shows, of the cluster it runs in.
    assert repositories._fnv32a(b"https://kubernetes.default.svc") == 3396314289
    name = made({"url": URL})["metadata"]["name"]
    assert name == f"repo-{repositories._fnv32a(URL.encode())}"
    assert made({"url": URL, "token": "other"})["metadata"]["name"] == name, "it does not follow the credential"
    assert made({"url": URL, "project": "p"})["metadata"]["name"] != name
    assert made({"url": URL}, "repo-creds")["metadata"]["name"].startswith("creds-")


def test_a_repository_that_is_known_keeps_its_secret() -> None:
    existing = [
        {"name": "by-hand", "type": "repository", "url": "https://GIT.example.com/team/apps", "project": ""},
        {"name": "creds", "type": "repo-creds", "url": URL, "project": ""},
        {"name": "of-project", "type": "repository", "url": URL, "project": "p"},
    ]
    assert made({"url": URL}, existing=existing)["metadata"]["name"] == "by-hand"
    assert made({"url": URL, "project": "p"}, existing=existing)["metadata"]["name"] == "of-project"
    assert made({"url": URL}, "repo-creds", existing)["metadata"]["name"] == "creds"
    assert made({"url": f"{URL}x"}, existing=existing)["metadata"]["name"].startswith("repo-")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({}, ["has no url"]),
        ({"url": URL, "token": "t", "ssh_private_key": "hunter2"}, [URL, "token and ssh_private_key"]),
        ({"url": URL, "password": "hunter2", "token": "hunter2"}, [URL, "username and password and token"]),
        ({"url": URL, "github_app_id": "1"}, [URL, "github_app_installation_id, github_app_private_key"]),
        ({"url": URL, "ssh_private_key": "hunter2"}, [URL, "SSH address"]),
        ({"url": SSH, "token": "hunter2"}, [SSH, "https:// address"]),
        ({"url": "ssh://git@h/x", "password": "hunter2"}, ["https:// address"]),
        ({"url": "https://u:hunter2@git.example.com/x"}, ["https://git.example.com/x", "holds a credential"]),
        ({"url": URL, "tls_client_cert": "x"}, [URL, "only of use together"]),
        ({"url": URL, "type": "helm"}, [URL, "needs a name"]),
    ],
)
def test_a_contradiction_is_named_by_its_url(entry: dict[str, t.Any], words: list[str]) -> None:
    found = " ".join(settings.problems({"repositories": [entry]}))
    assert found.startswith("argocd_repositories")
    for word in words:
        assert word in found
    assert "hunter2" not in found


@pytest.mark.parametrize(
    "entry",
    [
        {"url": URL},
        {"url": URL, "token": "t"},
        {"url": SSH, "ssh_private_key": "k"},
        {"url": "ssh://git@h:22/x", "ssh_private_key": "k"},
        {"url": "file:///srv/git/apps"},
        {"url": "https://charts.example.com", "type": "helm", "name": "charts"},
    ],
)
def test_what_can_be_meant_is_no_problem(entry: dict[str, t.Any]) -> None:
    assert settings.problems({"repositories": [entry]}) == []


def test_other_problems() -> None:
    found = settings.problems(
        {
            "repositories": [{"url": URL}, {"url": f"{URL}/"}],
            "repository_credentials": [{"url": URL, "token": "t", "password": "p"}],
            "config": {"dex.config": {"connectors": []}},
            "projects": [{"name": "a", "spec": {}}, {"name": "a", "spec": {}}],
        }
    )
    assert len(found) == 4
    assert "is there twice" in found[0]
    assert found[1].startswith(f"argocd_repository_credentials: {URL}: both")
    assert found[2].startswith("argocd_config: dex.config is a dict")
    assert found[3] == "argocd_projects: a is there twice."


# The objects


def by_name(objects: list[dict[str, t.Any]]) -> dict[str, dict[str, t.Any]]:
    return {item["metadata"]["name"]: item for item in objects}


def test_config_maps_hold_only_what_is_given() -> None:
    objects = by_name(settings.definitions({"config": {"a": 1, "b": True}, "rbac": {"policy.default": "role:x"}}, "cd"))
    assert objects["argocd-cm"]["data"] == {settings.HEALTH_KEY: settings.HEALTH, "a": "1", "b": "true"}
    assert objects["argocd-rbac-cm"]["data"] == {"policy.default": "role:x"}
    assert "data" not in objects["argocd-cmd-params-cm"], "it is there, so that entries that are withdrawn go"
    assert objects["argocd-cm"]["metadata"]["namespace"] == "cd"


def test_the_health_check_can_be_left_out() -> None:
    objects = by_name(settings.definitions({"application_health": False}, "argocd"))
    assert "data" not in objects["argocd-cm"]


def test_projects() -> None:
    objects = by_name(
        settings.definitions({"projects": [{"name": "p", "spec": {"x": 1}, "labels": {"l": "v"}}]}, "argocd")
    )
    assert objects["p"]["kind"] == "AppProject"
    assert objects["p"]["spec"] == {"x": 1}
    assert objects["p"]["metadata"] == {"name": "p", "namespace": "argocd", "labels": {"l": "v"}}


READS = {"argocd-cmd-params-cm": ["reposerver.log.level"], "argocd-cm": ["timeout.reconciliation"]}
FOUND = {
    "workloads": [
        {"kind": "Deployment", "name": "argocd-repo-server", "reads": READS, "settings_checksum": "old"},
        {"kind": "Deployment", "name": "argocd-server", "reads": READS, "settings_checksum": ""},
        {"kind": "Deployment", "name": "argocd-redis", "reads": {}, "settings_checksum": ""},
    ]
}


def checksum(variables: dict[str, t.Any], name: str = "argocd-repo-server") -> str | None:
    workload = by_name(settings.definitions(variables, "argocd", FOUND)).get(name)
    if workload is None:
        return "left alone"
    if "spec" not in workload:
        return None
    assert workload["spec"].keys() == {"template"}
    return t.cast("str", workload["spec"]["template"]["metadata"]["annotations"][settings.CHECKSUM])


ROLE = "arn:aws:iam::123456789012:role/seoul-argocd-hub"


def accounts(variables: dict[str, t.Any], found: dict[str, t.Any]) -> dict[str, t.Any]:
    return {
        each["metadata"]["name"]: each["metadata"].get("annotations")
        for each in settings.definitions(variables, "argocd", found)
        if each["kind"] == "ServiceAccount"
    }


def workloads(*names: str, checksum: str = "") -> dict[str, t.Any]:
    return {
        "workloads": [
            {"kind": "Deployment", "name": name, "reads": {}, "settings_checksum": checksum} for name in names
        ]
    }


def test_service_accounts_name_the_role_that_they_get_by_irsa() -> None:
    role = {"eks.amazonaws.com/role-arn": ROLE}
    assert set(accounts({"aws_role_arn": ROLE}, {})) == {
        "argocd-application-controller",
        "argocd-applicationset-controller",
        "argocd-server",
    }
    there = workloads("argocd-server", "argocd-repo-server")
    assert accounts({"aws_role_arn": ROLE}, there) == {"argocd-server": role}
    assert accounts({}, there) == {}
    started = [
        each["metadata"]["name"]
        for each in settings.definitions({"aws_role_arn": ROLE}, "argocd", there)
        if each["kind"] == "Deployment"
    ]
    assert started == ["argocd-server"], "its pods are given it when they are made"
    withdrawn = workloads("argocd-server", checksum="old")
    assert accounts({"aws_role_arn": ""}, withdrawn) == {"argocd-server": None}


def test_a_workload_starts_again_when_what_it_reads_changes_and_only_then() -> None:
    debug = checksum({"params": {"reposerver.log.level": "debug"}})
    assert debug
    assert checksum({}) is None, "withdrawn, it starts again once more"
    assert checksum({"params": {"reposerver.log.level": "info"}}) not in (debug, None)
    assert checksum({"params": {"reposerver.log.level": "debug", "server.log.level": "debug"}}) == debug
    assert checksum({"config": {"timeout.reconciliation": "60s"}}) not in (debug, None)
    assert checksum({"config": {"url": "https://x"}}) is None
    assert checksum({"params": {"reposerver.log.level": "debug"}}, "argocd-server") == debug
    assert checksum({}, "argocd-server") == "left alone"
    assert checksum({"params": {"reposerver.log.level": "debug"}}, "argocd-redis") == "left alone"


def test_what_an_argo_cd_reads_that_aws_runs() -> None:
    variables = {
        "config": {"a": 1},
        "rbac": {"policy.default": "role:x"},
        "params": {"b": 2},
        "projects": [{"name": "p", "spec": {}}, {"name": "q", "spec": {"sourceNamespaces": ["cd", "other"]}}],
    }
    objects = by_name(settings.definitions(variables, "cd", FOUND, capability=True))
    assert sorted(objects) == ["argocd-cm", "p", "q"]
    assert objects["argocd-cm"]["data"] == {"a": "1", settings.HEALTH_KEY: settings.HEALTH}
    assert [objects[name]["spec"]["sourceNamespaces"] for name in ("p", "q")] == [["cd"], ["cd", "other"]]
    assert settings.definitions({"application_health": False}, "cd", {}, capability=True) == []
    (_, _, _, ordinary) = settings.definitions({"projects": [{"name": "p", "spec": {}}]}, "cd", {})
    assert ordinary["spec"] == {}
