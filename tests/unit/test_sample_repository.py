# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The sample repository: its plan as a table, and its life with the real git."""

from __future__ import annotations

import base64
import os
import pathlib
import subprocess
import typing as t

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.filter.sample_server import sample_server
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _sample_repository as engine
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.modules import sample_repository as module

FILES = {"README.md": b"hello\n", "apps/web.yaml": b"kind: Application\n"}
HASHES = {path: engine.blob_hash(content) for path, content in FILES.items()}
OTHER = engine.blob_hash(b"other\n")


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (None, engine.CREATE),
        (engine.State(), engine.UPDATE),
        (engine.State("c1", HASHES), engine.NOTHING),
        (engine.State("c1", {"README.md": OTHER}), engine.UPDATE),
        (engine.State("c1", {**HASHES, "more": OTHER}), engine.UPDATE),
        (engine.State("c1", HASHES, others=True), engine.KEEP),
        (engine.State("c1", {"README.md": OTHER}, others=True), engine.KEEP),
        # Edited, but nothing of ours is to be changed.
        (engine.State("c1", HASHES, edited={"README.md": OTHER}), engine.NOTHING),
        (engine.State("c1", {"README.md": OTHER}, edited={"apps/x.yaml": OTHER}), engine.KEEP),
        (engine.State("c1", {"README.md": OTHER}, edited={"apps/x.yaml": ""}), engine.UPDATE),
        # A run was killed before its commit.
        (engine.State("c1", {"README.md": OTHER}, edited={"apps/web.yaml": HASHES["apps/web.yaml"]}), engine.UPDATE),
    ],
)
def test_plan(state: engine.State | None, expected: str) -> None:
    assert engine.plan(FILES, state) == expected


Run = t.Callable[..., dict[str, t.Any]]


@pytest.fixture
def source(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "source"
    (folder / "apps").mkdir(parents=True)
    (folder / "README.md").write_text("hello\n")
    (folder / "apps/web.yaml").write_text('url: "@repository@"\nimage: "@image@"\n')
    return folder


@pytest.fixture
def run(tmp_path: pathlib.Path, source: pathlib.Path, make_task: t.Callable[..., t.Any]) -> Run:
    """Run the module on one repository; the result holds warnings as well."""
    arguments = {name: spec.get("default") for name, spec in module.SPEC["argument_spec"].items()}

    def call(check_mode: bool = False, **more: t.Any) -> dict[str, t.Any]:
        params = {
            **arguments,
            "path": str(tmp_path / "state/sample"),
            "source": str(source),
            "values": {"image": "web:1"},
        }
        task, fake, _lines = make_task({**params, **more}, check_mode=check_mode)
        return {"warnings": fake.warnings, **module.run(task)}

    return call


def git(tmp_path: pathlib.Path, *arguments: str) -> str:
    """As the user would, with a name of their own."""
    command = ["git", "-c", "user.name=Somebody", "-c", "user.email=somebody@example.com", *arguments]
    folder = tmp_path / "state/sample"
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout


def test_check_mode_on_nothing_predicts_the_run(run: Run, tmp_path: pathlib.Path) -> None:
    predicted = run(check_mode=True)
    assert predicted["changed"]
    assert not (tmp_path / "state").exists()
    made = run()
    assert made["diff"] == predicted["diff"]
    assert made["repository"]["url"] == predicted["repository"]["url"] == (tmp_path / "state/sample").as_uri()


def test_it_is_a_real_repository_with_an_author_of_its_own(
    run: Run, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in a hook of another repository, whose variables git passes on.
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Somebody")
    made = run()
    monkeypatch.undo()
    assert git(tmp_path, "log", "--format=%an <%ae> %H").split("\n") == [
        f"hubspoke.bootstrap <hubspoke@localhost> {made['repository']['revision']}",
        "",
    ]
    assert git(tmp_path, "show", "main:apps/web.yaml") == f'url: "{made["repository"]["url"]}"\nimage: "web:1"\n'
    assert git(tmp_path, "status", "--porcelain") == ""
    assert os.listdir(tmp_path / "state") == ["sample"]


def test_a_repeat_changes_nothing(run: Run) -> None:
    first = run()
    again = run()
    assert not again["changed"]
    assert again["repository"] == first["repository"]
    assert "diff" not in again


def test_other_files_make_another_commit(run: Run, source: pathlib.Path, tmp_path: pathlib.Path) -> None:
    first = run()["repository"]["revision"]
    (source / "README.md").unlink()
    (source / "new.yaml").write_text("a: 1\n")
    predicted = run(check_mode=True)
    assert predicted["changed"]
    changed = run()
    assert changed["diff"] == predicted["diff"]
    assert [entry["before_header"] for entry in changed["diff"]] == ["README.md", "new.yaml"]
    assert changed["repository"]["revision"] != first
    assert git(tmp_path, "ls-files").split() == ["apps/web.yaml", "new.yaml"]
    assert git(tmp_path, "status", "--porcelain") == ""
    assert not run()["changed"]


def test_commits_of_others_are_kept(run: Run, source: pathlib.Path, tmp_path: pathlib.Path) -> None:
    run()
    (tmp_path / "state/sample/README.md").write_text("mine\n")
    git(tmp_path, "commit", "--quiet", "--all", "--message=mine")
    head = git(tmp_path, "rev-parse", "HEAD").strip()
    (source / "README.md").write_text("new from upstream\n")
    kept = run()
    assert not kept["changed"]
    assert kept["repository"]["kept"]
    assert kept["repository"]["revision"] == head
    assert kept["warnings"] == []


def test_commits_of_others_that_read_from_elsewhere_are_warned_about(run: Run, tmp_path: pathlib.Path) -> None:
    run()
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message=mine")
    assert "git://elsewhere" in run(url="git://elsewhere/sample.git")["warnings"][0]


def test_edits_that_are_not_committed_are_kept(run: Run, source: pathlib.Path, tmp_path: pathlib.Path) -> None:
    run()
    (tmp_path / "state/sample/README.md").write_text("on it\n")
    (source / "README.md").write_text("new from upstream\n")
    assert run()["repository"]["kept"]
    assert (tmp_path / "state/sample/README.md").read_text() == "on it\n"


def test_another_branch_is_somebodys_work(run: Run, source: pathlib.Path, tmp_path: pathlib.Path) -> None:
    run()
    git(tmp_path, "checkout", "--quiet", "-b", "mine")
    (source / "README.md").write_text("new from upstream\n")
    assert run()["repository"]["kept"]


def test_a_killed_run_is_finished(run: Run, source: pathlib.Path, tmp_path: pathlib.Path) -> None:
    run()
    (source / "README.md").write_text("new\n")
    (tmp_path / "state/sample/README.md").write_text("new\n")
    lock = tmp_path / "state/sample/.git/index.lock"
    lock.touch()
    os.utime(lock, (0, 0))
    left = tmp_path / "state/.sample.killed"
    left.mkdir()
    assert run()["changed"]
    assert git(tmp_path, "show", "main:README.md") == "new\n"
    assert not run()["changed"]


def test_a_repository_without_commits_is_finished(run: Run, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "state/sample"
    folder.mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", str(folder)], check=True)
    assert run()["changed"]
    assert not run()["changed"]


def test_something_else_in_its_place_is_left_alone(run: Run, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "state/sample"
    folder.mkdir(parents=True)
    (folder / "thesis.txt").touch()
    for check_mode in (True, False):
        with pytest.raises(HubspokeError, match="no git repository"):
            run(check_mode=check_mode)
    assert os.listdir(folder) == ["thesis.txt"]


def test_an_empty_folder_is_taken(run: Run, tmp_path: pathlib.Path) -> None:
    (tmp_path / "state/sample").mkdir(parents=True)
    assert run()["changed"]
    assert not run()["changed"]


def test_no_git(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HubspokeError, match="no git on PATH"):
        run()
    assert not (tmp_path / "state/sample").exists()


def test_a_place_that_cannot_be_written_names_the_variable(run: Run, tmp_path: pathlib.Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(HubspokeError, match="hubspoke_state_dir"):
        run()


def test_it_is_deleted_with_what_is_empty_then(run: Run, tmp_path: pathlib.Path) -> None:
    run()
    assert run(check_mode=True, state="absent")["changed"]
    assert run(state="absent")["changed"]
    assert not (tmp_path / "state").exists()
    assert not run(state="absent")["changed"]


def test_work_of_others_is_deleted_only_by_force(run: Run, tmp_path: pathlib.Path) -> None:
    run()
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message=mine")
    kept = run(state="absent")
    assert not kept["changed"]
    assert kept["repository"]["kept"]
    assert "work of yours" in kept["warnings"][0]
    assert run(state="absent", force=True)["changed"]
    assert not (tmp_path / "state/sample").exists()


def test_a_bundle_can_be_cloned_and_stays_the_same(run: Run, tmp_path: pathlib.Path) -> None:
    assert run(check_mode=True, bundle=True)["repository"]["bundle"] == ""
    bundle = run(bundle=True)["repository"]["bundle"]
    assert run(bundle=True)["repository"]["bundle"] == bundle
    (tmp_path / "file.bundle").write_bytes(base64.b64decode(bundle))
    command = ["git", "clone", "--quiet", "--bare", str(tmp_path / "file.bundle"), str(tmp_path / "clone")]
    subprocess.run(command, check=True)
    assert (tmp_path / "clone/HEAD").read_text() == "ref: refs/heads/main\n"


# Its server in a cluster


def test_the_server_is_replaced_by_another_commit_only() -> None:
    def template(revision: str) -> t.Any:
        definitions = sample_server({"bundle": "YQ==", "revision": revision}, "argocd:1", "samples")
        return definitions[3]["spec"]["template"]

    assert template("a") == template("a")
    assert template("a") != template("b")


def test_the_server_fits_into_a_restricted_namespace() -> None:
    namespace, config, service, deployment = sample_server({"bundle": "YQ==", "revision": "a"}, "argocd:1", "samples")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert {item["metadata"].get("namespace") for item in (config, service, deployment)} == {"samples"}
    pod = deployment["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    for container in (*pod["initContainers"], *pod["containers"]):
        assert container["image"] == "argocd:1"
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert not container["securityContext"]["allowPrivilegeEscalation"]


def test_a_repository_too_large_for_a_config_map_is_refused() -> None:
    with pytest.raises(Exception, match="gitops_root_repository"):
        sample_server({"bundle": "a" * 1_500_000, "path": "/srv/sample"}, "argocd:1")
