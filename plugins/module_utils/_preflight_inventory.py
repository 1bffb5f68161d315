# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks of the inventory alone: its shape, its names, and the versions that it asks for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_spec import check_name
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import Finding, Host, Survey, counted
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_providers import MADE_HERE

IN_CLUSTER = "in-cluster"


def hub(survey: Survey) -> Iterator[Finding]:
    """One hub, and only one."""
    count = len(survey.hubs)
    if count == 1:
        yield Finding("hub", f"{survey.hubs[0]}; this play is about {counted(len(survey.hosts), 'cluster')}")
    elif survey.options.get("hub_required", True):
        found = f"holds {', '.join(survey.hubs)}" if count else "has no host"
        remedy = "Put the one host whose cluster runs Argo CD into group hub, and the others into group spokes."
        yield Finding("hub", found, "fail", "group hub", remedy)


def cluster_names(survey: Survey) -> Iterator[Finding]:
    """Names that Argo CD, the providers and the state folder can tell apart."""
    named: dict[str, list[Host]] = defaultdict(list)
    for host in survey.hosts:
        named[host.cluster].append(host)
    wrong = [finding for name, hosts in named.items() for finding in _name_findings(survey, name, hosts)]
    shown = ", ".join(sorted(named)[:8]) + (" ..." if len(named) > 8 else "")
    yield from wrong or [Finding("cluster names", f"{shown}: valid, and different from each other")]


def _name_findings(survey: Survey, name: str, hosts: list[Host]) -> Iterator[Finding]:
    names = tuple(host.name for host in hosts)
    if len(hosts) > 1:
        remedy = "Give each host a cluster_name of its own, in its host variables and not in a group's."
        yield Finding("cluster names", f"all of them are named {name}", "fail", "cluster_name", remedy, names)
    if name == IN_CLUSTER and not set(names) <= set(survey.hubs):
        remedy = f"Give it another cluster_name: {IN_CLUSTER} is Argo CD's name for the cluster that it runs in."
        yield Finding("cluster names", f"a spoke is named {IN_CLUSTER}", "fail", "cluster_name", remedy, names)
    made = tuple(host.name for host in hosts if host.provider in MADE_HERE)
    try:
        check_name(name)
    except HubspokeError as error:
        if made:
            yield Finding("cluster names", error.message.rstrip("."), "fail", "cluster_name", error.remedy, made)
