# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The registry of preflight's checks, and what it takes to run them. A new check is a function and a line in CHECKS."""

from __future__ import annotations

import difflib
import os
import typing as t
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_argocd as argocd
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_eks as eks
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_eks_addons as eks_addons
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_eks_capability as eks_capability
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_eks_chain as eks_chain
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_eks_network as eks_network
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_eks_nodes as eks_nodes
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_eks_quotas as eks_quotas
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_eks_situation as situation
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_external_secrets as external_secrets
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_git as git
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_inventory as inventory
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_machine as machine
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_ports as ports
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_providers as providers
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_reach as reach
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_repositories as repositories
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_secrets as secrets
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_spokes as spokes
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_values as values
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import (
    Check,
    Finding,
    Host,
    Survey,
    collect,
    counted,
    joined,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_pins import Pins

PURPOSES = ("bootstrap", "teardown")
_ALWAYS = frozenset(PURPOSES)

CHECKS = (
    Check("hub", inventory.hub),
    Check("cluster names", inventory.cluster_names, _ALWAYS),
    Check("provider", providers.providers, _ALWAYS),
    Check("docker", providers.docker),
    Check("cluster", providers.clusters),
    Check(situation.ACCOUNTS, eks.accounts, _ALWAYS),
    Check(situation.REGIONS, eks.regions, _ALWAYS),
    Check(situation.CLUSTERS, eks.clusters, _ALWAYS),
    Check(eks.ROLES, eks.roles, _ALWAYS),
    Check(eks_chain.NAME, eks_chain.chain),
    Check(eks.VERSIONS, eks.versions),
    Check(eks_network.ADDRESSES, eks_network.addresses),
    Check(eks_network.PLACES, eks_network.zones),
    Check(eks_capability.THERE, eks_capability.there),
    Check(eks_addons.NAME, eks_addons.addons),
    Check(eks_nodes.NAME, eks_nodes.nodes),
    Check(eks_quotas.NAME, eks_quotas.quotas),
    Check(ports.NAME, ports.ports),
    Check(spokes.NAME, spokes.registration),
    Check(reach.NAME, reach.clusters),
    Check(argocd.NAME, argocd.argocd),
    Check(eks_capability.NAME, eks_capability.capability),
    Check(git.NAME, repositories.repositories),
    Check(secrets.NAME, secrets.secrets),
    Check(external_secrets.NAME, external_secrets.external_secrets),
    Check("python", machine.python),
    Check("libraries", machine.libraries, _ALWAYS),
    Check("git", machine.git),
    Check("tools", machine.tools),
    Check("state folder", machine.state_folders),
)
NAMES = (values.VALUES, values.NAMES, *(check.name for check in CHECKS))


@dataclass(frozen=True)
class Prepared:
    """Everything is known but what the checks find.

    :arg first: What was found while the variables were read.
    """

    survey: Survey
    first: tuple[Finding, ...]
    skip: frozenset[str]

    def findings(self) -> list[Finding]:
        """Run the checks."""
        found = joined(finding for finding in self.first if finding.check not in self.skip)
        purpose = self.survey.options.get("purpose") or PURPOSES[0]
        checks = (check for check in CHECKS if check.name not in self.skip and purpose in check.purposes)
        return found + collect(checks, self.survey)


def prepare(params: Mapping[str, t.Any], probe: t.Any, censor: Callable[..., None]) -> Prepared:
    """Read the hosts and their variables.

    :arg params: Arguments of the module.
    :arg censor: Called with every secret among the variables, before anything else is done with them.
    :raises HubspokeError: an argument of the module itself is wrong.
    """
    facts: Mapping[str, Mapping[str, t.Any]] = params["hosts"] or {}
    specs = values.load(params["folder"], params["roles"])
    for given in facts.values():
        censor(*values.secrets(given.get("variables") or {}, specs.options))
    _refuse_unknown(params["skip"])
    validation = values.Validation(specs)
    hosts: list[Host] = []
    findings: list[Finding] = []
    for name, given in facts.items():
        host, wrong = validation.host(name, given)
        hosts.append(host)
        findings += wrong
    if not findings:
        number = counted(sum(len(host.given) for host in hosts), "value")
        where = f"{counted(len(hosts), 'cluster')}, {counted(len(params['roles']), 'role')}"
        findings.append(Finding(values.VALUES, f"{number} fit the argument specs ({where})"))
    findings += values.strange_names({name: given.get("strange") or [] for name, given in facts.items()}, specs)
    decided = list(providers.decided(hosts, probe))
    findings += [finding for _host, wrong in decided for finding in wrong]
    survey = Survey(
        hosts=tuple(host for host, _wrong in decided),
        hubs=tuple(params["hubs"] or ()),
        options=params,
        pins=Pins.load(os.path.join(params["folder"], "toolchain")),
        probe=probe,
    )
    return Prepared(survey, tuple(findings), frozenset(params["skip"]))


def _refuse_unknown(skip: list[str]) -> None:
    for name in skip:
        if name not in NAMES:
            close = difflib.get_close_matches(name, NAMES, 1)
            hint = f"Did you mean {close[0]}? " if close else ""
            raise HubspokeError(
                f"preflight_skip names {name!r}, which is no check.", f"{hint}The checks are: {', '.join(NAMES)}."
            )
