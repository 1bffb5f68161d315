# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What preflight finds out about git repositories: what git's answers mean, and real repositories asked."""

from __future__ import annotations

import base64
import http.server
import pathlib
import subprocess
import threading
import typing as t
from collections.abc import Iterator

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_git as git
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_probe import Answer, Probe

REFERENCES = "1\tHEAD\n2\trefs/heads/main\n3\trefs/heads/k8s-deploy-prod\n4\trefs/tags/v1.2.3\n"


def target(url: str = "https://git.example.com/a.git", **more: t.Any) -> git.Target:
    return git.Target(
        "dev", "root_repository", url, **{"revision_variable": "root_revision", "local_reader": True, **more}
    )


@pytest.mark.parametrize(
    ("local", "code", "error", "verdict", "found"),
    [
        (True, 0, "", "ok", "https://git.example.com/a.git answers"),
        (
            True,
            128,
            "remote: Repository not found.\nfatal: repository 'https://x/' not found",
            "fail",
            "no git repository",
        ),
        (
            True,
            128,
            "fatal: '/a' does not appear to be a git repository\nfatal: Could not read",
            "fail",
            "no git repository",
        ),
        (False, 128, "ERROR: Repository not found.\nfatal: Could not read from remote", "fail", "no git repository"),
        (
            True,
            128,
            "fatal: could not read Username for 'https://x': terminal prompts disabled",
            "fail",
            "refuses Argo CD",
        ),
        (False, 128, "git@x: Permission denied (publickey).\nfatal: Could not read", "fail", "refuses Argo CD"),
        (True, 128, "fatal: unable to access 'https://x/': The requested URL returned error: 403", "fail", "refuses"),
        (
            True,
            128,
            "fatal: unable to access 'https://x/': Could not resolve host: x",
            "fail",
            "cannot be reached (unable",
        ),
        (
            False,
            128,
            "fatal: unable to access 'https://x/': Could not resolve host: x",
            "warn",
            "cannot be reached from here",
        ),
        (
            True,
            128,
            "fatal: unable to access 'https://x/': SSL certificate problem: self-signed",
            "warn",
            "is not trusted",
        ),
        (True, None, "no answer within 5 s", "fail", "cannot be reached (no answer within 5 s)"),
        (False, None, "no answer within 5 s", "warn", "cannot be reached from here"),
        (True, 1, "", "fail", "cannot be reached (it says nothing)"),
    ],
)
def test_outcome(local: bool, code: int | None, error: str, verdict: str, found: str) -> None:
    finding = git.outcome(target(local_reader=local), code, REFERENCES if code == 0 else "", error)
    assert finding.verdict == verdict
    assert finding.variable == ("" if verdict == "ok" else "root_repository")
    assert bool(finding.remedy) == (verdict != "ok")
    assert found in finding.found


@pytest.mark.parametrize(
    ("revision", "verdict"),
    [
        ("", "ok"),
        ("HEAD", "ok"),
        ("main", "ok"),
        ("refs/heads/main", "ok"),
        ("v1.2.3", "ok"),
        ("0123abc", "ok"),
        ("v1.2.*", "ok"),
        (">=1.0.0", "ok"),
        ("1.2", "ok"),
        ("1.x", "ok"),
        ("mian", "fail"),
        ("v1.2.4", "fail"),
        ("k8s-deploy-dev", "fail"),
    ],
)
def test_revision(revision: str, verdict: str) -> None:
    finding = git.outcome(target(revision=revision), 0, REFERENCES, "")
    assert finding.verdict == verdict
    if verdict == "fail":
        assert finding.variable == "root_revision"
        assert finding.remedy.endswith("Its branches are: main, k8s-deploy-prod.")


def test_a_misspelt_revision_is_recognized() -> None:
    assert git.outcome(target(revision="mian"), 0, REFERENCES, "").remedy.startswith("Did you mean main?")


def test_an_empty_repository_is_found() -> None:
    finding = git.outcome(target(), 0, "", "")
    assert (finding.verdict, finding.variable) == ("fail", "root_repository")


class Unasked:
    """Nothing is run."""

    timeout = 5.0

    def run(self, *_: t.Any) -> Answer:
        raise AssertionError("was asked")


@pytest.mark.parametrize(
    ("asked", "verdict"),
    [
        (target("file:///srv/a.git", local_reader=False), "fail"),
        (target("/srv/a.git", local_reader=False), "fail"),
        (target("http://gitea.gitea.svc:3000/a.git"), "ok"),
        (target("https://gitea.gitea.svc.cluster.local/a.git"), "ok"),
        (target("http://localhost:3000/a.git", local_reader=False), "fail"),
        (target("git://127.0.0.1/a.git", local_reader=False), "fail"),
        (target(credential={"github_app_id": 1}), "ok"),
        (target(credential={"tls_client_cert": "x"}), "ok"),
        (target("https://me:hunter2@git.example.com/a.git"), "fail"),
    ],
)
def test_what_is_known_without_asking(asked: git.Target, verdict: str) -> None:
    (finding,) = git.ask(asked, Unasked())
    assert (finding.verdict, bool(finding.remedy)) == (verdict, verdict == "fail")
    assert "hunter2" not in str(finding)


# Real repositories


def made(folder: pathlib.Path, *arguments: str) -> None:
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "init.defaultBranch=main")
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    made(folder, "init")
    made(folder, "commit", "--allow-empty", "-m", "x")
    return folder


def verdict(url: str, **more: t.Any) -> str:
    (finding,) = git.ask(target(url, **more), Probe(10))
    return f"{finding.verdict} {finding.variable}".strip()


def test_a_local_repository_is_asked(repository: pathlib.Path) -> None:
    assert verdict(f"file://{repository}", revision="main") == "ok"
    assert verdict(str(repository), revision="main") == "ok"
    assert verdict(f"file://{repository}", revision="nope") == "fail root_revision"
    assert verdict(f"file://{repository}/nope") == "fail root_repository"
    assert verdict("file:///") == "fail root_repository"
    assert verdict("--upload-pack=touch /tmp/x") == "fail root_repository"


@pytest.fixture
def server() -> Iterator[str]:
    """A repository over HTTP that only `me` with `hunter2` may read."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            expected = "Basic " + base64.b64encode(b"me:hunter2").decode()
            if self.headers.get("Authorization") != expected:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="x"')
                self.end_headers()
                return
            known = {"/a.git/info/refs": f"{'1' * 40}\trefs/heads/main\n", "/a.git/HEAD": "ref: refs/heads/main\n"}
            text = known.get(self.path.split("?")[0])
            self.send_response(200 if text else 404)
            self.end_headers()
            self.wfile.write((text or "").encode())

        def log_message(self, *_: t.Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}"
        httpd.shutdown()


def test_a_repository_is_asked_with_argo_cds_credential_and_no_other(
    server: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the user's own git knows must not help.
    config = tmp_path / "gitconfig"
    config.write_text('[credential]\n\thelper = "!f() { echo username=me; echo password=hunter2; }; f"\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    url = f"{server}/a.git"
    assert verdict(url, credential={"username": "me", "password": "hunter2"}, revision="main") == "ok"
    assert verdict(url, credential={"username": "me", "token": "hunter2"}, revision="main") == "ok"
    assert verdict(url) == "fail root_repository"
    assert verdict(url, credential={"username": "me", "password": "wrong"}) == "fail root_repository"
    assert verdict(f"{server}/b.git", credential={"username": "me", "password": "hunter2"}) == "fail root_repository"


def test_a_secret_is_in_no_argument() -> None:
    class Watching(Probe):
        def run(self, command: t.Sequence[str], environment: t.Mapping[str, str] | None = None) -> Answer:
            assert not any("hunter2" in word or "PRIVATE" in word for word in command)
            assert "PRIVATE" not in str(environment)
            seen.append(str((environment or {})["GIT_SSH_COMMAND"]))
            return Answer(0, REFERENCES)

    seen: list[str] = []
    list(git.ask(target("git@x:a.git", credential={"token": "hunter2", "ssh_private_key": "PRIVATE"}), Watching()))
    list(git.ask(target(credential={"bearer_token": "hunter2"}), Watching()))
    assert "IdentitiesOnly=yes" in seen[0]
    assert "IdentitiesOnly=yes" not in seen[1]
