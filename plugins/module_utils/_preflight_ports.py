# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks of the ports of this machine that a run will listen on, but for those that its own processes hold already."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_controllers
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import Finding, Host, Survey
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_providers import (
    ON_DOCKER,
    cluster_spec,
    state_folder,
)

NAME = "ports"
BASE = "local_controllers_port_base"


def ports(survey: Survey) -> Iterator[Finding]:
    """Of clusters on a Docker engine, and of Argo CD where it runs as processes."""
    findings = [*_of_clusters(survey), *_of_controllers(survey)]
    yield from (finding for finding in findings if finding.verdict != "ok")
    free = [finding.found for finding in findings if finding.verdict == "ok"]
    if free:
        yield Finding(NAME, f"{', '.join(free)}: free, or held by what an earlier run started")


def _of_clusters(survey: Survey) -> Iterator[Finding]:
    users: dict[tuple[int, str], str] = {}
    for host in survey.hosts:
        # A cluster that is there and stays holds its ports itself.
        if host.provider not in ON_DOCKER or host.adopted or (host.record and not host.get("cluster_recreate")):
            continue
        wanted = set(cluster_spec(host).ports) - set(host.record.spec.ports if host.record else ())
        if not wanted or not survey.probe.engine(host.get("dev_cluster_tools") or {}).is_local:
            continue
        for port in sorted(wanted, key=str):
            other = users.setdefault((port.host_port, port.protocol), host.name)
            if other != host.name:
                found = f"port {port.host_port} is given to {other} too"
                yield Finding(NAME, found, "fail", "cluster_ports", "Give each a host_port of its own.", (host.name,))
            elif survey.probe.port_taken(port.host_port, port.address, port.protocol):
                found = f"port {port.host_port} of {port.address} is in use{_by(survey, port.host_port)}"
                remedy = "Stop what listens there, or give another host_port."
                yield Finding(NAME, found, "fail", "cluster_ports", remedy, (host.name,))
            else:
                yield Finding(NAME, str(port.host_port))


def _of_controllers(survey: Survey) -> Iterator[Finding]:
    hosts = [
        host
        for host in survey.hosts
        if host.name in survey.hubs and host.simulated and not host.argocd_by_aws and host.get(BASE)
    ]
    users: dict[int, str] = {}
    for host in hosts:
        base = host.get(BASE)
        numbers = sorted(_local_controllers.ports(base).values())
        remedy = f"Stop what listens there, or set it to the first of {len(numbers)} free ports."
        if numbers[0] < 1 or numbers[-1] > 65535:
            found = f"ports {numbers[0]} to {numbers[-1]} do not all exist"
            yield Finding(NAME, found, "fail", BASE, "Set it to a port between 1024 and 65000.", (host.name,))
            continue
        # Where there may be only one hub, that there are more is the problem, and another check's.
        several = not survey.options.get("hub_required", True)
        other = next((users[number] for number in numbers if several and number in users), "")
        users |= dict.fromkeys(numbers, host.name)
        if other:
            found = f"ports {numbers[0]} to {numbers[-1]} are partly those of {other}"
            yield Finding(NAME, found, "fail", BASE, f"Set it at least {len(numbers)} away from that.", (host.name,))
            continue
        held = [number for number in numbers if survey.probe.port_taken(number)]
        strange = [number for number in held if not survey.probe.holds(number, controllers_folder(host), host.cluster)]
        if strange:
            shown = ", ".join(f"{number}{_by(survey, number)}" for number in strange)
            found = f"port{'s' * (len(strange) > 1)} {shown} {'are' if len(strange) > 1 else 'is'} in use"
            yield Finding(NAME, found, "fail", BASE, remedy, (host.name,))
        else:
            yield Finding(NAME, f"{numbers[0]} to {numbers[-1]}")


def controllers_folder(host: Host) -> str:
    """Where the processes of the host's Argo CD are kept."""
    return host.text("local_controllers_directory") or f"{state_folder(host)}/processes/{host.cluster}"


def _by(survey: Survey, port: int) -> str:
    holder = survey.probe.port_holder(port)
    return f" (by {holder})" if holder else ""
