# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Check of what is to be registered in Argo CD: whether the hub can reach it, and whether its options can be."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_spec import KWOK
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import Finding, Host, Survey, counted
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_arguments import (
    CLUSTER_SPEC,
    unknown_options,
    wanted,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_secret import IN_CLUSTER

NAME, ROLE = "registration", "cluster_registration"
OPTIONS = f"{ROLE}_options"
_LIFE = ("token_lifetime", "token_renew_after")
_UNKNOWN = "https://spoke.invalid"  # an address is known only when the cluster is there
_BY_ARN = "arn:aws:eks:us-east-1:123456789012:cluster/any"  # and to an Argo CD that AWS runs no address matters


def registration(survey: Survey) -> Iterator[Finding]:
    """Everything that keeps a host from being registered and can be seen in its variables."""
    if ROLE not in (survey.options.get("roles") or ()):
        return
    hubs = [host for host in survey.hosts if host.name in survey.hubs]
    spokes = [host for host in survey.hosts if host.name not in survey.hubs]
    own, other = (_BY_ARN, _BY_ARN) if any(host.argocd_by_aws for host in hubs) else (IN_CLUSTER, _UNKNOWN)
    wrong = [*_out_of_reach(hubs, spokes), *(finding for host in hubs for finding in _options(host, own))]
    wrong += [finding for host in spokes for finding in _options(host, other)]
    if spokes and not wrong:
        yield Finding(NAME, f"{counted(len(spokes), 'spoke')} to be registered in Argo CD, with options that can be")
    yield from wrong


def _out_of_reach(hubs: list[Host], spokes: list[Host]) -> Iterator[Finding]:
    if len(hubs) == 1 and hubs[0].provider and not hubs[0].simulated:
        for host in spokes:
            if host.provider == KWOK:
                found = f"has simulated nodes, which only this machine reaches, and not the pods of {hubs[0].name}"
                remedy = "Give hub and spokes the same cluster_provider, or take it out of the group spokes."
                yield Finding(NAME, found, "fail", "cluster_provider", remedy, (host.name,))


def _options(host: Host, server: str) -> Iterator[Finding]:
    """What the module would refuse, before anything is changed."""
    given: dict[str, t.Any] = host.get(OPTIONS) or {}
    found, remedy = unknown_options(given)
    if found:
        yield Finding(NAME, found, "fail", OPTIONS, remedy, (host.name,))
        return
    params = {"name": host.cluster, "server": server, "spoke": {}, **given}
    for name in ("labels", "annotations"):
        own = given.get(name)
        params[name] = {**(host.get(f"cluster_{name}") or {}), **(own if isinstance(own, dict) else {})}
    for name in _LIFE:
        value = host.get(f"{ROLE}_{name}")
        if value is not None:
            params.setdefault(name, value)
    checked = ArgumentSpecValidator(CLUSTER_SPEC).validate(params)
    if checked.error_messages:
        found = f"does not fit the module argocd_cluster: {checked.error_messages[0].rstrip('.')}"
        remedy = "See `ansible-doc hubspoke.bootstrap.argocd_cluster`."
        yield Finding(NAME, found, "fail", OPTIONS, remedy, (host.name,))
        return
    try:
        wanted(checked.validated_parameters, hub_is_local=True)
    except HubspokeError as error:
        found = error.message.removeprefix(f"Cluster {host.cluster}: ").rstrip(".")
        option = found.split(" ")[0]
        variables = {"labels": "cluster_labels", "annotations": "cluster_annotations"}
        variables |= {name: f"{ROLE}_{name}" for name in _LIFE}
        variable = OPTIONS if option in given else variables.get(option, OPTIONS)
        yield Finding(NAME, found, "fail", variable, error.remedy, (host.name,))
