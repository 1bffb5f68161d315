# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What follows from versions.yml (requirements.txt, go.mod, go.sum) agrees with it: `make pins` was not forgotten."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_go import BUILD_FLAGS, program_name
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_pins import (
    Group,
    Pins,
    Tool,
    parse_version,
    words_of,
)

ROOT = Path(__file__).resolve().parents[3]
PINS = Pins.load(ROOT / "toolchain")
BUILT = [group for group in PINS.groups.values() if group.module]
SHA256 = re.compile(r"[0-9a-f]{64}")


def locked() -> dict[str, str]:
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    return {
        name.lower(): version for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, re.MULTILINE)
    }


def go_mod(group: Group) -> str:
    return (ROOT / "toolchain" / group.name / "go.mod").read_text(encoding="utf-8")


@pytest.mark.parametrize("requirement", PINS.data["python"]["requirements"])
def test_requirements_are_locked(requirement: str) -> None:
    name, _, version = requirement.partition("==")
    assert version, f"{requirement}: versions.yml pins no version"
    assert locked()[name.lower()] == version


def test_every_locked_requirement_has_checksums() -> None:
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    entries = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(entries) == len(locked()) > len(PINS.data["python"]["requirements"])
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_no_direct_requirement_that_versions_does_not_have() -> None:
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    entries = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    direct = {entry.partition("==")[0].lower() for entry in entries if "toolchain/versions.yml" in entry}
    assert direct == {entry.partition("==")[0].lower() for entry in PINS.data["python"]["requirements"]}


@pytest.mark.parametrize("group", BUILT, ids=lambda group: group.name)
def test_go_mod_pins_the_version(group: Group) -> None:
    lines = [line.split(" // ")[0].strip().removeprefix("require ") for line in go_mod(group).splitlines()]
    assert f"{group.module} {group.version}" in lines


@pytest.mark.parametrize("group", BUILT, ids=lambda group: group.name)
def test_go_mod_has_the_tools(group: Group) -> None:
    block = re.findall(r"^tool (?:\(\n(.*?)^\)|(\S+))", go_mod(group), re.MULTILINE | re.DOTALL)
    named = {name for entry in block for name in " ".join(entry).split()}
    assert named == {group.import_path(tool) for tool in group.tools.values()}


@pytest.mark.parametrize("group", BUILT, ids=lambda group: group.name)
def test_the_minimum_of_go_is_enough(group: Group) -> None:
    found = re.search(r"^go (\S+)$", go_mod(group), re.MULTILINE)
    assert found
    wanted, minimum = parse_version(found[1]), parse_version(PINS.go_minimum)
    bundled = parse_version(PINS.go_wheel.version)
    assert wanted
    assert minimum
    assert bundled
    assert wanted[:3] <= minimum[:3] <= bundled[:3], f"{group.name} wants Go {found[1]}"


@pytest.mark.parametrize("group", BUILT, ids=lambda group: group.name)
def test_replacements(group: Group) -> None:
    text = go_mod(group)
    for module, version in group.replace.items():
        assert f"replace {module} => {module} {version}\n" in text
    if group.staging:
        version = group.staging.format(**words_of(group.version))
        assert len(re.findall(rf"^replace k8s\.io/\S+ => \S+ {re.escape(version)}$", text, re.MULTILINE)) > 20
    assert "=> ." not in text


@pytest.mark.parametrize("group", BUILT, ids=lambda group: group.name)
def test_go_sum_knows_the_module(group: Group) -> None:
    text = (ROOT / "toolchain" / group.name / "go.sum").read_text(encoding="utf-8")
    assert f"{group.module} {group.version} h1:" in text


def test_checksums_are_there() -> None:
    sums = [value for wheel in PINS.wheels.values() for value in wheel.sha256]
    sums += [value for group in PINS.groups.values() for tool in group.tools.values() for value in tool.sha256.values()]
    sums += [value for sets in PINS.files.values() for files in sets.values() for value in files.sha256.values()]
    assert [value for value in sums if not SHA256.fullmatch(value)] == []
    assert [wheel.name for wheel in PINS.wheels.values() if not wheel.sha256] == []
    for sets in PINS.files.values():
        for files in sets.values():
            assert [name for name in files.names if not files.paths(name)] == [], f"{files.name} {files.version}"


def test_names_are_unique_and_mean_something() -> None:
    names = PINS.names()
    assert len(names) == len(set(names))
    assert [PINS.request(name).name for name in names] == names


def test_the_manifests_are_those_of_the_binary() -> None:
    assert PINS.request("argocd-install").version == PINS.request("argocd").version
    assert PINS.request("kwok-stages").version == PINS.request("kwok").version
    assert PINS.request({"name": "argocd-install", "version": "v3.5.6"}).version == "v3.5.6"


def test_how_it_is_built() -> None:
    assert BUILD_FLAGS == ("-mod=readonly", "-trimpath", "-buildvcs=false")
    assert PINS.groups["etcd"].linker_flags() == "-s -w"
    flags = PINS.groups["kubernetes"].linker_flags()
    version = PINS.groups["kubernetes"].version
    assert flags.startswith("-s -w -X ")
    assert f"-X k8s.io/component-base/version.gitVersion={version} " in flags
    assert "-X k8s.io/component-base/version.gitMajor=1 " in flags
    assert f"common.version={PINS.groups['argocd'].version.removeprefix('v')}" in PINS.groups["argocd"].linker_flags()


def test_no_group_builds_two_programs_of_one_name() -> None:
    for group in BUILT:
        names = [program_name(group.import_path(tool)) for tool in group.tools.values()]
        assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("k8s.io/kubernetes/cmd/kubectl", "kubectl"),
        ("go.etcd.io/etcd/server/v3", "server"),
        ("github.com/argoproj/argo-cd/v3/cmd", "cmd"),
        ("hello", "hello"),
    ],
)
def test_program_name(path: str, name: str) -> None:
    assert program_name(path) == name


@pytest.mark.parametrize(
    ("words", "version"),
    [
        ("Client Version: v1.36.3\nKustomize Version: v5.8.1", (1, 36, 3, "")),
        ("Client Version: v1.32.4-dispatcher", (1, 32, 4, "-dispatcher")),
        ("Kubernetes v1.36.3", (1, 36, 3, "")),
        ("kwok version v0.8.0 go1.26.8 (linux/amd64)", (0, 8, 0, "")),
        ("etcd Version: 3.6.8\nGit SHA: abc", (3, 6, 8, "")),
        ("argocd: v3.5.7+unknown", (3, 5, 7, "")),
        ("Redis server v=6.2.14 sha=40305114:0 malloc=libc bits=64", (6, 2, 14, "")),
        ("Valkey server v=8.0", (8, 0, 0, "")),
        ("v0.0.0-master+$Format:%H$", (0, 0, 0, "-master")),
        ("usage: kubectl COMMAND", None),
    ],
)
def test_versions_that_programs_say(words: str, version: tuple[int, int, int, str] | None) -> None:
    assert parse_version(words) == version


def test_every_tool_can_be_checked() -> None:
    tools: list[Tool] = [tool for group in PINS.groups.values() for tool in group.tools.values()]
    assert [tool.name for tool in tools if not tool.check] == []
    assert [tool.name for tool in tools if tool.package is None and tool.member is None] == []
