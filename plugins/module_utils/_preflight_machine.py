# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks of the machine that runs Ansible: its programs and libraries, the Docker engine, folders and space."""

from __future__ import annotations

import re
import sys
import typing as t
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from ansible.module_utils.ansible_release import __version__ as ansible_version

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_kwok_config import TOOLS
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_spec import KWOK
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import Finding, Host, Survey, counted
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_eks_wanted import PROVIDER as EKS
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_providers import state_folder

ANSIBLE_MINIMUM = (2, 19)
PYTHON_MINIMUM = (3, 11)
GIT_MINIMUM = (2, 32)

CONTROLLER_TOOLS = ("argocd", "redis-server")
AT_HAND = ("PATH", "cache")

_MIB = 1024 * 1024
_FETCHED_GIB = 0.5


def python(survey: Survey) -> Iterator[Finding]:
    """Python and ansible-core, where Ansible itself looks only at its own needs."""
    variable, wanted = "ansible_python_interpreter", ".".join(map(str, PYTHON_MINIMUM))
    found = f"Python {'.'.join(map(str, sys.version_info[:3]))}, ansible-core {ansible_version}"
    if sys.version_info[:2] < PYTHON_MINIMUM:
        remedy = f"Run Ansible from a Python of at least {wanted}, and set it to {{{{ ansible_playbook_python }}}}."
        yield Finding("python", found, "fail", variable, remedy)
    elif _numbers(ansible_version) < ANSIBLE_MINIMUM:
        remedy = f"Install ansible-core {'.'.join(map(str, ANSIBLE_MINIMUM))} or later."
        yield Finding("python", found, "fail", "ansible-core", remedy)
    else:
        yield Finding("python", found)


def libraries(survey: Survey) -> Iterator[Finding]:
    """The Python libraries that modules import when it is too late."""
    wanted = [("kubernetes", "kubernetes"), ("yaml", "PyYAML"), ("urllib3", "urllib3")]
    if any(host.simulated for host in survey.hosts):
        wanted.append(("supervisor.supervisord", "supervisor"))
    if any(host.provider == EKS for host in survey.hosts):
        wanted += [("boto3", "boto3"), ("botocore", "botocore")]
    found: list[str] = []
    for module, distribution in wanted:
        try:
            found.append(f"{distribution} {survey.probe.library(module, distribution)}")
        except HubspokeError as error:
            remedy = f"Install {distribution} into {sys.executable}, or set the Python that has it."
            yield Finding("libraries", f"{error}", "fail", "ansible_python_interpreter", remedy)
    if survey.probe.collection_problem():
        remedy = "Install it: `ansible-galaxy collection install kubernetes.core`."
        yield Finding("libraries", survey.probe.collection_problem(), "fail", "ANSIBLE_COLLECTIONS_PATH", remedy)
    if found:
        yield Finding("libraries", ", ".join(found))
    try:
        survey.probe.library("yaml._yaml", "PyYAML")
    except HubspokeError:
        remedy = "Install a PyYAML that is built with libyaml: manifests are read ten times faster."
        yield Finding("libraries", "PyYAML has no libyaml", "warn", "ansible_python_interpreter", remedy)


def git(survey: Survey) -> Iterator[Finding]:
    """Git makes the sample repository, and reads repositories for us and for a local Argo CD."""
    answer = survey.probe.run(["git", "--version"])
    version = _numbers(answer.output)
    if answer.code != 0:
        yield Finding("git", answer.error or "does not run", "fail", "PATH", "Install git, and put it on PATH.")
    elif version < GIT_MINIMUM:
        wanted = ".".join(map(str, GIT_MINIMUM))
        yield Finding("git", answer.output.strip(), "fail", "PATH", f"Install git {wanted} or later.")
    else:
        yield Finding("git", answer.output.strip().removeprefix("git version "))


def tools(survey: Survey) -> Iterator[Finding]:
    """What a simulated cluster consists of: at hand, or to be had, with room for it."""
    simulated = [host for host in survey.hosts if host.simulated and not host.adopted]
    if not simulated:
        return
    hubs = any(host.name in survey.hubs and not host.argocd_by_aws for host in simulated)
    wanted = [tool for tool in TOOLS if any(tool not in (host.get("dev_cluster_tools") or {}) for host in simulated)]
    try:
        origins = survey.probe.origins(survey.pins, [*wanted, *(CONTROLLER_TOOLS if hubs else ())])
    except HubspokeError as error:
        yield Finding("tools", error.message.rstrip("."), "fail", "HUBSPOKE_CACHE_DIR", error.remedy)
        return
    missing = [name for name, origin in origins.items() if origin not in AT_HAND]
    if not missing:
        yield Finding("tools", f"{len(origins)} programs of toolchain/versions.yml at hand ({_counts(origins)})")
        return
    built = [name for name in missing if origins[name] == "built"]
    groups = [g for g in survey.pins.groups.values() if set(g.tools) & set(missing)]
    need = max(g.disk_gib if set(g.tools) & set(built) else _FETCHED_GIB for g in groups)
    cache = survey.probe.folder(survey.probe.cache_folder)
    remedy = "Set this environment variable to a folder where there is room and that you can write to."
    if cache.problem or cache.free < need * 1024 * _MIB:
        found = f"{cache.problem or f'{_size(cache.free)} free'}, {need:g} GiB needed for {', '.join(missing)}"
        yield Finding("tools", f"{survey.probe.cache_folder}: {found}", "fail", "HUBSPOKE_CACHE_DIR", remedy)
        return
    how = f"; to be built with {survey.probe.go(survey.pins) or 'a Go that is fetched first'}" if built else ""
    found = f"to be had first: {', '.join(missing)} ({_counts(origins)}{how})"
    yield Finding("tools", found)


def _counts(origins: Mapping[str, str]) -> str:
    return ", ".join(f"{count} {origin}" for origin, count in sorted(Counter(origins.values()).items()))


def state_folders(survey: Survey) -> Iterator[Finding]:
    """Whether state can be written, and is likely to fit."""
    users: dict[str, list[Host]] = defaultdict(list)
    for host in survey.hosts:
        if state_folder(host):
            users[state_folder(host)].append(host)
    for folder, hosts in users.items():
        state = survey.probe.folder(folder)
        names = tuple(host.name for host in hosts)
        need = _state_need(hosts, survey.options)
        if state.full or (not state.problem and state.free < need):
            left = "nothing" if state.full else _size(state.free)
            found = f"{folder} has {left} left; {counted(len(hosts), 'cluster')} may take {_size(need)}"
            remedy = "Free space on that file system, or set it to a folder on another one."
            yield Finding("state folder", found, "fail", "hubspoke_state_dir", remedy, names)
        elif state.problem:
            found = f"{folder} cannot be written to ({state.problem})"
            remedy = "Set it to a folder that you can write to, or give yourself that right."
            yield Finding("state folder", found, "fail", "hubspoke_state_dir", remedy, names)
        else:
            yield Finding("state folder", f"{folder}: writable, {_size(state.free)} free, {_size(need)} needed")


def _state_need(hosts: list[Host], options: Mapping[str, t.Any]) -> int:
    """Bytes that a run may add: the data of a cluster with simulated nodes is in the state folder, others' is not."""
    new = sum(host.provider == KWOK and not host.record for host in hosts)
    return (int(options.get("space", 64)) + new * int(options.get("cluster_space", 320))) * _MIB


def _size(count: int) -> str:
    return f"{count / _MIB / 1024:.1f} GiB" if count >= 1024 * _MIB else f"{count // _MIB} MiB"


def _numbers(text: str) -> tuple[int, ...]:
    found = re.search(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)
