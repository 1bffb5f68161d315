# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks of what each host's provider needs on this machine: its programs, a Docker engine, free ports."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import Finding, Host, Survey

ON_DOCKER = ("k3d", "kind")
# kind calls docker itself; k3d speaks to the engine.
PROGRAMS = {"k3d": ("k3d",), "kind": ("kind", "docker")}


def choose(provider: str, state: str, recorded: str, engine: bool, programs: frozenset[str]) -> tuple[str, str]:
    """The provider of a cluster, and why.

    :arg provider: cluster_provider; "" where it cannot be used.
    :arg state: cluster_state.
    :arg recorded: Provider of the cluster that the state folder knows.
    :arg engine: Whether a Docker engine answers.
    :arg programs: Those of PROGRAMS that are on PATH.
    """
    if provider != "auto":
        return provider, ""
    if state == "adopted":
        return "existing", "it is adopted"
    if recorded:
        return recorded, "it was made so"
    if not engine:
        return "kwok", "no Docker engine answers"
    for name in ON_DOCKER:
        if set(PROGRAMS[name]) <= programs:
            return name, "a Docker engine answers"
    return "kwok", "a Docker engine answers, but neither k3d nor kind is on PATH"


def wants_engine(hosts: tuple[Host, ...]) -> bool:
    """Whether any host's provider is on a Docker engine, or would be if there were one."""
    return any(host.text("cluster_provider") in ("auto", *ON_DOCKER) for host in hosts)


def with_provider(host: Host, recorded: str, engine: bool, programs: frozenset[str]) -> Host:
    """The host with its provider decided."""
    name, reason = choose(host.text("cluster_provider"), host.text("cluster_state"), recorded, engine, programs)
    return replace(host, provider=name, reason=reason)


def providers(survey: Survey) -> Iterator[Finding]:
    """Which provider makes which cluster, and whether its programs are here."""
    by_choice: dict[tuple[str, str], list[str]] = defaultdict(list)
    for host in survey.hosts:
        if host.provider:
            by_choice[host.provider, host.reason].append(host.name)
    for (name, reason), hosts in by_choice.items():
        missing = [program for program in PROGRAMS.get(name, ()) if not survey.probe.which(program)]
        if missing:
            found = f"{name} needs {' and '.join(missing)}, which PATH does not have"
            remedy = f"Install {' and '.join(missing)}, or set it to kwok, which needs neither Docker nor programs."
            yield Finding("provider", found, "fail", "cluster_provider", remedy, tuple(hosts))
        else:
            because = f" ({reason})" if reason else ""
            yield Finding("provider", f"{name}{because}", hosts=tuple(hosts))


def docker(survey: Survey) -> Iterator[Finding]:
    """A Docker engine that answers, where a provider is on one."""
    needed = {host.provider: host for host in survey.hosts if host.provider in ON_DOCKER}
    hosts = tuple(host.name for host in survey.hosts if host.provider in ON_DOCKER)
    if survey.engine is None:
        return
    if survey.engine.code == 0:
        yield Finding("docker", f"the engine answers {survey.engine.output}".rstrip())
    elif needed:
        found = f"{' and '.join(needed)} needs a Docker engine, and none answers ({survey.engine.error.rstrip('.')})"
        remedy = "Start Docker, or set DOCKER_HOST to where its engine listens, or set cluster_provider to kwok or auto."
        yield Finding("docker", found, "fail", "cluster_provider", remedy, hosts)
    else:
        yield Finding("docker", "no engine answers, and none is needed")
