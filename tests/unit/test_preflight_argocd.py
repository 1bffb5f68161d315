# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Preflight on Argo CD's installation, and on which repositories the inventory names."""

from __future__ import annotations

import hashlib
import pathlib
import typing as t

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_argocd as argocd
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_repositories as repositories
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import Host, Survey
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_pins import Pins

PINS = Pins.load(pathlib.Path(__file__).parents[2] / "toolchain")
PINNED = next(iter(PINS.files["argo-cd"]))
GOOD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm}\n"


def found(name: str = "dev", **values: t.Any) -> list[tuple[str, str, str, str]]:
    host = Host(name, values={f"argocd_{key}": value for key, value in values.items()})
    findings = argocd.argocd(Survey((host,), ("dev",), pins=PINS))
    return [(finding.verdict, finding.variable, finding.found, finding.remedy) for finding in findings]


@pytest.mark.parametrize(
    ("values", "verdict", "variable"),
    [
        ({"version": PINNED}, "ok", ""),
        ({"version": "v0.0.1"}, "fail", "argocd_version"),
        ({"version": PINNED.removeprefix("v")}, "fail", "argocd_version"),
        ({"version": "v0.0.1", "install": False}, "ok", ""),
        ({}, "ok", ""),
        ({"config": {"url": {"a": 1}}}, "fail", "argocd_config"),
        (
            {"repositories": [{"url": "https://x/a.git", "token": "t", "password": "p"}]},
            "fail",
            "argocd_repositories",
        ),
        ({"projects": [{"name": "a"}, {"name": "a"}]}, "fail", "argocd_projects"),
    ],
)
def test_version_and_settings(values: dict[str, t.Any], verdict: str, variable: str) -> None:
    ((is_verdict, is_variable, _, remedy),) = found(**values)
    assert (is_verdict, is_variable, bool(remedy)) == (verdict, variable, verdict == "fail")


def test_only_a_hub_has_an_argo_cd() -> None:
    assert found("spoke", version="v0.0.1") == []


@pytest.mark.parametrize(
    ("content", "checksum", "expected", "words"),
    [
        (GOOD, "right", ("ok", ""), ""),
        (GOOD, "", ("fail", "argocd_manifest_checksum"), "is empty"),
        (GOOD, "sha256:" + "0" * 64, ("fail", "argocd_manifest_checksum"), "has the checksum"),
        (GOOD, "md5:1", ("fail", "argocd_manifest_checksum"), "md5"),
        ("a: [", "right", ("fail", "argocd_manifest"), "this is not YAML"),
        (None, "", ("fail", "argocd_manifest"), "No such file or directory"),
    ],
)
def test_manifest(
    tmp_path: pathlib.Path, content: str | None, checksum: str, expected: tuple[str, str], words: str
) -> None:
    path = tmp_path / "argocd_config.yaml"
    if content is not None:
        path.write_text(content)
    if checksum == "right":
        checksum = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    ((verdict, variable, is_found, remedy),) = found(version="v0.0.1", manifest=str(path), manifest_checksum=checksum)
    assert (verdict, variable) == expected
    assert bool(remedy) == (verdict == "fail")
    assert words in is_found


def named(provider: str = "kwok", **values: t.Any) -> list[tuple[str, str, str]]:
    host = Host("dev", values=values, provider=provider)
    return [(target.variable, target.url, target.revision) for target in repositories.wanted(host)]


A, B = "https://git.example.com/a.git", "https://git.example.com/b.git"
ROOT, APPS, SETS, REPOS = (
    "gitops_root_repository",
    "gitops_root_applications",
    "gitops_root_application_sets",
    "argocd_repositories",
)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, []),
        ({ROOT: ""}, []),
        ({ROOT: A}, [(ROOT, A, "HEAD")]),
        ({ROOT: A, "gitops_root_revision": "main"}, [(ROOT, A, "main")]),
        ({ROOT: A, APPS: [{"name": "x", "path": "y"}]}, [(ROOT, A, "HEAD")]),
        ({ROOT: A, APPS: [{"name": "x", "revision": "v1"}]}, [(ROOT, A, "HEAD"), (APPS, A, "v1")]),
        ({ROOT: A, APPS: [{"name": "x", "repository": B}]}, [(ROOT, A, "HEAD"), (APPS, B, "HEAD")]),
        ({APPS: [{"name": "x", "repository": "https://charts.example.com", "chart": "c"}]}, []),
        (
            {APPS: [{"kind": "Application", "spec": {"source": {"repoURL": B, "targetRevision": "v1"}}}]},
            [(APPS, B, "v1")],
        ),
        (
            {APPS: [{"spec": {"sources": [{"repoURL": B}, {"repoURL": "oci://x", "chart": "c"}]}, "name": "x"}]},
            [(APPS, B, "HEAD")],
        ),
        (
            {
                SETS: [
                    {
                        "name": "x",
                        "generators": [{"matrix": {"generators": [{"git": {"repoURL": A, "revision": "main"}}]}}],
                        "template": {"spec": {"source": {"repoURL": "{{ .url }}", "targetRevision": "v1"}}},
                    }
                ]
            },
            [(SETS, A, "main")],
        ),
        ({ROOT: A, REPOS: [{"url": A.replace("git.e", "GIT.E")}, {"url": B}]}, [(ROOT, A, "HEAD"), (REPOS, B, "")]),
        ({REPOS: [{"url": "https://me:hunter2@git.example.com/a.git"}]}, []),
        ({REPOS: [{"url": "https://charts.example.com", "type": "helm"}]}, []),
        ({APPS: "not a list", REPOS: ["not a mapping"]}, []),
    ],
)
def test_which_repositories_are_named(values: dict[str, t.Any], expected: list[tuple[str, str, str]]) -> None:
    assert named(**values) == expected


@pytest.mark.parametrize(("provider", "local"), [("kwok", True), ("kind", False), ("existing", False)])
def test_only_simulated_clusters_have_an_argo_cd_on_this_machine(provider: str, local: bool) -> None:
    (target,) = repositories.wanted(Host("dev", values={ROOT: A}, provider=provider))
    assert target.local_reader == local


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (A, "own"),
        (A.removesuffix(".git"), "own"),
        (B, "longer"),
        ("https://git.example.org/c.git", "shorter"),
        ("https://elsewhere.example.com/c.git", None),
    ],
)
def test_the_credential_of_a_repository(url: str, expected: str | None) -> None:
    host = Host(
        "dev",
        values={
            REPOS: [{"url": A, "password": "own"}],
            "argocd_repository_credentials": [
                {"url": "https://git.example.", "password": "shorter"},
                {"url": "https://git.example.com/", "password": "longer"},
            ],
        },
    )
    assert repositories.credential(host, url).get("password") == expected
