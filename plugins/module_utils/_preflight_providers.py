# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks of what each cluster's provider needs: its programs, a Docker engine, a version it has."""

from __future__ import annotations

import functools
import os
import re
import typing as t
from collections.abc import Iterable, Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_k3d import K3d
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_kind import Kind
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_kwok import Kwok
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_spec import (
    K3D,
    KIND,
    KWOK,
    Spec,
    check_spec,
    choose,
    suit,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import Finding, Host, Survey
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_eks_wanted import PROVIDER as EKS

ON_DOCKER = (K3D, KIND)
MADE_HERE = (*ON_DOCKER, KWOK)

_VARIABLE = re.compile(r"cluster_\w+")
TRAITS = {provider.name: provider.traits for provider in (K3d, Kind, Kwok)}

_SERVER = "kube-apiserver"
_SPEC = ("version", "servers", "agents", "image", "ports", "registry_mirrors", "api_server_args")


def decided(hosts: Iterable[Host], probe: t.Any) -> Iterator[tuple[Host, list[Finding]]]:
    """The hosts with their providers and records, chosen as role dev_cluster will choose.

    The Docker engine is asked at most once, and only where the choice depends on it.
    """
    for host in hosts:
        wanted, folder, who = host.text("cluster_provider"), state_folder(host), (host.name,)
        try:
            record = probe.record(folder, host.cluster) if folder else None
        except HubspokeError as error:
            found = error.message.rstrip(".")
            yield host, [Finding("state folder", found, "fail", "hubspoke_state_dir", error.remedy, who)]
            continue
        if host.adopted and wanted in ("auto", *MADE_HERE):
            yield _adopted(host, record, folder)
            continue
        choice = choose(
            wanted,
            record.spec.provider if record else "",
            {name: bool(probe.which(program(host, name))) for name in ON_DOCKER},
            functools.partial(_ask_engine, probe, host),
        )
        reason = choice.reason if wanted == "auto" else ""
        look_alike = choice.provider == EKS and _is_local(probe.aws_endpoint)
        yield (
            replace(host, provider=choice.provider, reason=reason, record=record, in_look_alike=look_alike),
            [],
        )


def _is_local(endpoint: str) -> bool:
    """Whether an address of AWS is one of this machine."""
    name = urlsplit(endpoint).hostname or ""
    return name in {"localhost", "::1"} or name.startswith("127.")


def _adopted(host: Host, record: t.Any, folder: str) -> tuple[Host, list[Finding]]:
    """A cluster that is used as it is, and so has to be in the state folder."""
    if record:
        return replace(host, provider=record.spec.provider, reason="adopted", record=record), []
    found = f"it is adopted, but {folder or 'the state folder'} has no cluster {host.cluster}"
    remedy = (
        "Set hubspoke_state_dir to the folder of whoever made it, or cluster_provider to existing and "
        "cluster_kubeconfig to how it is reached; or this to present, to have it made."
    )
    return host, [Finding("reachability", found, "fail", "cluster_state", remedy, (host.name,))]


def _ask_engine(probe: t.Any, host: Host) -> tuple[str, str]:
    engine = probe.engine(host.get("dev_cluster_tools") or {})
    return engine.version, engine.problem


def program(host: Host, name: str) -> str:
    """Path or name of one of the provider's programs."""
    return str((host.get("dev_cluster_tools") or {}).get(name) or name)


def state_folder(host: Host) -> str:
    """The folder of the host's state, "" where its variable cannot be used."""
    text = host.text("hubspoke_state_dir")
    return os.path.abspath(os.path.expanduser(text)) if text else ""


def providers(survey: Survey) -> Iterator[Finding]:
    """Which provider makes which cluster, and whether its programs are here."""
    for host in survey.hosts:
        name, who = host.provider, (host.name,)
        if name in ON_DOCKER and not host.adopted and not survey.probe.which(program(host, name)):
            found = f"{program(host, name)} is not there"
            remedy = f"Install {name} on PATH, or give its path in dev_cluster_tools, or set it to kwok or auto."
            yield Finding("provider", found, "fail", "cluster_provider", remedy, who)
        elif name == EKS and "eks_cluster" not in survey.options.get("roles", ()):
            remedy = "Set it to existing, and cluster_kubeconfig to how the cluster is reached."
            found = "no role of this playbook makes EKS clusters"
            yield Finding("provider", found, "fail", "cluster_provider", remedy, who)
        elif name:
            yield Finding("provider", f"{name} ({host.reason})" if host.reason else name, hosts=who)


def docker(survey: Survey) -> Iterator[Finding]:
    """A Docker engine that answers, where a provider is on one."""
    for host in survey.hosts:
        if host.provider not in ON_DOCKER or host.adopted:
            continue
        engine = survey.probe.engine(host.get("dev_cluster_tools") or {})
        if engine.version:
            yield Finding("docker", f"the engine answers, version {engine.version}")
        else:
            found = f"{host.provider} needs a Docker engine, and none answers ({engine.problem})"
            remedy = "Start Docker, or set DOCKER_HOST to where its engine listens, or set it to kwok or auto."
            yield Finding("docker", found, "fail", "cluster_provider", remedy, (host.name,))


def clusters(survey: Survey) -> Iterator[Finding]:
    """Values that fit their types, and still make no cluster: out of range, twice the same, or not pinned."""
    fine: list[str] = []
    for host in survey.hosts:
        if host.provider not in MADE_HERE or host.adopted:
            continue
        wrong = [*_cluster(host), *_version(host, survey.pins), *_export(host, survey.probe)]
        yield from wrong
        if not wrong:
            fine.append(host.name)
    if fine:
        yield Finding("cluster", "versions, nodes and ports can be had", hosts=tuple(fine))


def _cluster(host: Host) -> Iterator[Finding]:
    who, spec = (host.name,), cluster_spec(host)
    try:
        check_spec(spec)
        # Which provider it is matters only where the user says so: auto takes one that can do less.
        _, notes = suit(spec, TRAITS[host.provider], strict=host.text("cluster_provider") != "auto")
    except HubspokeError as error:
        yield Finding("cluster", error.message.rstrip("."), "fail", _variable(str(error)), error.remedy, who)
        return
    for note in notes:
        remedy = f"Leave it out, or choose another provider than {host.provider}."
        yield Finding("cluster", note.rstrip("."), "warn", _variable(note), remedy, who)


def _variable(text: str) -> str:
    return next(iter(_VARIABLE.findall(text)), "cluster_provider")


def cluster_spec(host: Host) -> Spec:
    """The cluster as its variables want it, those of them that can be used."""
    given = {name: value for name in _SPEC if (value := host.get(f"cluster_{name}")) is not None}
    return Spec.load({"servers": 1, "agents": 0, **given, "provider": host.provider})


def _export(host: Host, probe: t.Any) -> Iterator[Finding]:
    path = host.text("cluster_kubeconfig_export")
    try:
        if path:
            probe.check_export(os.path.abspath(os.path.expanduser(path)), f"{host.provider}-{host.cluster}")
    except HubspokeError as error:
        variable = "cluster_kubeconfig_export"
        found = error.message.removeprefix(f"{variable} is ").rstrip(".")
        yield Finding("cluster", found, "fail", variable, error.remedy, (host.name,))


def _version(host: Host, pins: t.Any) -> Iterator[Finding]:
    """A kwok cluster is made of pinned binaries; the others take whatever node image there is."""
    version, pinned = host.text("cluster_version"), pins.groups["kubernetes"].version
    if host.provider == KWOK and version and version != pinned and program(host, _SERVER) == _SERVER:
        remedy = f"Leave it empty or set it to {pinned}, the one in toolchain/versions.yml, or use k3d or kind."
        yield Finding("cluster", f"{version} is not pinned", "fail", "cluster_version", remedy, (host.name,))
