# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From short forms to what Argo CD is given."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.hubspoke.bootstrap.plugins.filter.gitops_definitions import gitops_definitions

URL = "https://git.example.com/apps.git"
ROOT = {
    "name": "root",
    "repository": URL,
    "revision": "",
    "path": "",
    "source": {},
    "project": "default",
    "sync_policy": {"automated": {"prune": True}},
}
SAMPLE = {"url": "file:///srv/sample", "branch": "main"}


def test_root_in_full() -> None:
    found = gitops_definitions(
        {**ROOT, "revision": "v1", "path": "clusters/dev", "source": {"directory": {"recurse": True}}}
    )
    assert found["applications"] == [
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": "root", "namespace": "argocd"},
            "spec": {
                "project": "default",
                "source": {
                    "repoURL": URL,
                    "targetRevision": "v1",
                    "path": "clusters/dev",
                    "directory": {"recurse": True},
                },
                "destination": {"server": "https://kubernetes.default.svc", "namespace": "argocd"},
                "syncPolicy": {"automated": {"prune": True}},
            },
        }
    ]
    assert found["names"] == ["root"]


@pytest.mark.parametrize(
    ("root", "sample", "expected"),
    [
        ({}, None, {"repoURL": URL, "targetRevision": "HEAD", "path": "."}),
        ({"repository": ""}, SAMPLE, {"repoURL": "file:///srv/sample", "targetRevision": "main", "path": "apps"}),
        (
            {"repository": "", "path": "more"},
            SAMPLE,
            {"repoURL": "file:///srv/sample", "targetRevision": "main", "path": "more"},
        ),
        # One's own repository goes before the sample.
        ({}, SAMPLE, {"repoURL": URL, "targetRevision": "HEAD", "path": "."}),
        (
            {"chart": "apps", "revision": "1.2.3", "path": ""},
            None,
            {"repoURL": URL, "targetRevision": "1.2.3", "chart": "apps"},
        ),
    ],
)
def test_what_the_root_reads(root: dict[str, t.Any], sample: dict[str, str] | None, expected: dict[str, t.Any]) -> None:
    (application,) = gitops_definitions({**ROOT, **root}, sample=sample)["applications"]
    assert application["spec"]["source"] == expected


def test_without_a_repository_there_is_no_root() -> None:
    found = gitops_definitions({**ROOT, "repository": ""}, sample={})
    assert found["applications"] == found["names"] == []


def test_further_applications_inherit_from_the_root() -> None:
    found = gitops_definitions(
        {**ROOT, "path": "clusters/dev", "source": {"directory": {"recurse": True}}},
        namespace="gitops",
        applications=[{"name": "shop", "path": "shop", "labels": {"team": "a"}, "destination": {"name": "spoke"}}],
    )
    shop = found["applications"][1]
    assert shop["metadata"] == {"name": "shop", "namespace": "gitops", "labels": {"team": "a"}}
    assert shop["spec"]["source"] == {"repoURL": URL, "targetRevision": "HEAD", "path": "shop"}
    assert shop["spec"]["destination"] == {"name": "spoke"}
    assert shop["spec"]["syncPolicy"] == {"automated": {"prune": True}}


def test_applications_without_a_root_name_their_repository() -> None:
    root = {**ROOT, "repository": ""}
    found = gitops_definitions(root, applications=[{"name": "shop", "repository": URL}])
    assert found["names"] == ["shop"]
    with pytest.raises(AnsibleFilterError, match="shop has no repository"):
        gitops_definitions(root, applications=[{"name": "shop"}])


def test_full_definitions_are_only_completed() -> None:
    spec = {"project": "x", "sources": [{"repoURL": URL, "ref": "values"}]}
    found = gitops_definitions({}, applications=[{"metadata": {"name": "shop", "finalizers": ["f"]}, "spec": spec}])
    assert found["applications"] == [
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": "shop", "namespace": "argocd", "finalizers": ["f"]},
            "spec": spec,
        }
    ]


def test_what_argo_cd_does_not_write_back_is_left_out() -> None:
    spec = {
        "project": "x",
        "source": {
            "repoURL": URL,
            "path": "",
            "directory": {"recurse": False, "jsonnet": {}},
            "helm": {"skipCrds": False, "valuesObject": {"replicas": 0, "on": False}, "releaseName": "a"},
        },
        "syncPolicy": {"automated": {"prune": False}, "retry": {"limit": 0}, "syncOptions": []},
    }
    (written,) = gitops_definitions({}, applications=[{"name": "shop", "spec": spec}])["applications"]
    assert written["spec"] == {
        "project": "x",
        "source": {
            "repoURL": URL,
            "directory": {"jsonnet": {}},
            "helm": {"valuesObject": {"replicas": 0, "on": False}, "releaseName": "a"},
        },
        # The fields of `automated` are written back as they are.
        "syncPolicy": {"automated": {"prune": False}, "retry": {}},
    }


def test_a_short_project_permits_what_it_does_not_restrict() -> None:
    (project,) = gitops_definitions({}, projects=[{"name": "team", "sourceRepos": [URL], "description": "d"}])[
        "projects"
    ]
    assert project["kind"] == "AppProject"
    assert project["spec"] == {
        "sourceRepos": [URL],
        "destinations": [{"server": "*", "namespace": "*"}],
        "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
        "description": "d",
    }


@pytest.mark.parametrize(
    ("projects", "names"),
    [
        ([], ["default"]),
        ([{"name": "a"}], ["default", "a"]),
        ([{"metadata": {"name": "default"}, "spec": {}}], ["default"]),
    ],
)
def test_the_default_project_where_no_server_makes_it(projects: list[dict[str, t.Any]], names: list[str]) -> None:
    found = gitops_definitions({}, default_project=True, projects=projects)
    assert [item["metadata"]["name"] for item in found["projects"]] == names


def test_a_short_application_set_is_strict_about_its_template() -> None:
    item = {"name": "services", "generators": [{"clusters": {}}], "template": {"metadata": {}}, "goTemplate": False}
    found = gitops_definitions({}, application_sets=[item])
    assert found["set_names"] == ["services"]
    assert found["application_sets"][0]["spec"] == {
        "goTemplate": False,
        "goTemplateOptions": ["missingkey=error"],
        "generators": [{"clusters": {}}],
        "template": {"metadata": {}},
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"applications": [{"name": "a", "repository": URL, "repo": "x"}]}, "a has repo, which its short form"),
        ({"applications": [{"repository": URL}]}, "has no name"),
        ({"applications": [{"kind": "AppProject", "metadata": {"name": "a"}}]}, "kind AppProject stands among"),
        ({"applications": [{"name": "a", "repository": URL}] * 2}, "Application a is defined twice"),
        ({"application_sets": [{"name": "a", "template": {}}]}, "a has no generators"),
        ({"projects": [{"description": "x"}]}, "has no name"),
    ],
)
def test_mistakes_are_named(given: dict[str, t.Any], message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        gitops_definitions({}, **given)


def test_a_root_that_is_defined_again_is_named() -> None:
    with pytest.raises(AnsibleFilterError, match="root is defined twice"):
        gitops_definitions(ROOT, applications=[{"name": "root"}])


def test_variables_are_not_changed() -> None:
    given = {"metadata": {"name": "shop"}, "spec": {"project": "x"}}
    gitops_definitions({}, applications=[given])
    assert given == {"metadata": {"name": "shop"}, "spec": {"project": "x"}}


def test_applications_that_name_no_cluster_are_the_hubs() -> None:
    further = [{"name": "web"}, {"name": "there", "destination": {"name": "tokyo", "namespace": "web"}}]
    for cluster, expected in (
        ("", {"server": "https://kubernetes.default.svc", "namespace": "cd"}),
        ("seoul", {"name": "seoul", "namespace": "cd"}),
    ):
        found = gitops_definitions(ROOT, namespace="cd", cluster=cluster, applications=further)["applications"]
        destinations = [item["spec"]["destination"] for item in found]
        assert destinations == [expected, expected, {"name": "tokyo", "namespace": "web"}]


def test_projects_of_an_argo_cd_that_aws_runs_name_its_namespace() -> None:
    given = [{"name": "a"}, {"name": "b", "spec": {"sourceNamespaces": ["cd", "other"]}}]
    for cluster, expected in (("", [None, ["cd", "other"]]), ("seoul", [["cd"], ["cd", "other"]])):
        projects = gitops_definitions({}, namespace="cd", cluster=cluster, projects=given)["projects"]
        assert [item["spec"].get("sourceNamespaces") for item in projects] == expected
