# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What holds for all files of the checkout."""

from __future__ import annotations

import pathlib
import re
import subprocess
import typing as t

import pytest
import run
import yaml

ROOT = pathlib.Path(run.ROOT)
# What belongs to one machine or one network has no place in here. Written in pieces, so that this file passes.
FORBIDDEN = re.compile(
    r"(?<![\w.}])/(?:ro" + r"ot|wo" + r"rk)/|artif" + r"actory|/opt/wh" + r"eels|proxy\.gol" + r"ang\.org",
    re.IGNORECASE,
)
PLUGINS = sorted(path for kind in ("modules", "action") for path in (ROOT / "plugins" / kind).glob("*.py"))


def _files() -> list[pathlib.Path]:
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = [ROOT / name for name in listing.stdout.split("\0") if name]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def test_nothing_names_one_machine() -> None:
    found = []
    for path in _files():
        if path.suffix in {".sum", ".txt"} or path.name == "LICENSE":
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if FORBIDDEN.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("line", ["cd /ro" + "ot/x", "see /wo" + "rk/main/x", "https://artif" + "actory.example.com"])
def test_the_search_finds(line: str) -> None:
    assert FORBIDDEN.search(line)


def test_python_files_say_whose_they_are() -> None:
    for path in _files():
        if path.suffix == ".py" and path.stat().st_size:
            head = path.read_text(encoding="utf-8")[:300]
            assert "# Copyright: hubspoke.bootstrap contributors\n# GNU General Public License v3.0+" in head, path


def test_files_are_small_enough_to_read() -> None:
    """About 300 lines; a module's documentation does not count, and tables of tests run long."""
    long = []
    for path in _files():
        if path.suffix == ".py":
            text = re.sub(r'^ *[A-Z]+ = r?""".*?^"""$', "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
            if text.count("\n") > (600 if "tests" in path.parts else 400):
                long.append(f"{path.relative_to(ROOT)}: {text.count(chr(10))} lines")
    assert not long, "\n".join(long)


def test_pre_commit_runs_the_checks_of_make() -> None:
    """The same list in both, so that neither knows a check that the other does not."""
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]
    assert all(repository["repo"] == "local" for repository in config["repos"])
    wanted = [step.name for step in run.STEPS if step.group in ("lint", "unit")]
    assert [hook["id"] for hook in hooks] == wanted
    assert all(hook["entry"] == f"make check ONLY={hook['id']}" for hook in hooks)


def test_ci_calls_exactly_make_test() -> None:
    lines = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    assert [line.strip() for line in lines if re.match(r"\s*make\b", line)] == ["make test"]


@pytest.mark.parametrize(
    ("group", "options"),
    [("all", {"kubeconfig", "validate_certs"}), ("aws", {"access_key", "region"})],
)
def test_the_action_groups_have_every_module_with_their_options(group: str, options: set[str]) -> None:
    """`module_defaults: group/hubspoke.bootstrap.all` gives them kubeconfig and context, and nobody else."""
    import importlib

    runtime: dict[str, t.Any] = yaml.safe_load((ROOT / "meta/runtime.yml").read_text(encoding="utf-8"))
    connected = []
    for path in (ROOT / "plugins/modules").glob("*.py"):
        module = importlib.import_module(f"ansible_collections.hubspoke.bootstrap.plugins.modules.{path.stem}")
        if options <= set(module.SPEC["argument_spec"]):
            connected.append(path.stem)
    assert sorted(runtime["action_groups"][group]) == sorted(connected)


def test_every_module_has_its_action_plugin() -> None:
    modules = {path.stem for path in (ROOT / "plugins/modules").glob("*.py")}
    assert modules <= {path.stem for path in (ROOT / "plugins/action").glob("*.py")}
