#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module preflight: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Check everything that can be known before the first change
version_added: "0.1.0"
description:
  - Checks this machine, the inventory's variables and what they point at, for all clusters of a play in one call, and reports
    everything at once.
  - Looks at programs, Python libraries, the Docker engine, ports, folders and space; at the variables against the argument
    specs of the roles that will run, near misses of their names, clashes of cluster names, and versions that are not pinned;
    at adopted clusters, git repositories and manifests.
  - Of EKS clusters it looks at credentials, account, region, quotas, versions, networks, zones, add-ons and instance types by
    reading from AWS with boto3's chain of credentials. What a cluster that is there already shows by itself is not asked for.
  - Fails once, with every problem, the variable that causes it and the remedy. Changes nothing.
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options:
  roles:
    description:
      - Names of this collection's roles that will run. The inventory's variables are validated against their argument specs.
    type: list
    elements: str
    default: []
  purpose:
    description:
      - What is about to be done. Before V(teardown) only that is checked which deleting depends on; of EKS clusters their account,
        whether something else made them, and whether deletion protection is on.
    type: str
    default: bootstrap
    choices: [bootstrap, teardown]
  hub_required:
    description: Whether exactly one host must be in group C(hub).
    type: bool
    default: true
  skip:
    description: Names of checks to leave out, as the table shows them.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds that anything on the network may take.
    type: float
    default: 5
  space:
    description: MiB that must be free in each folder of state, whatever is in it.
    type: int
    default: 64
  cluster_space:
    description: MiB that must be free there besides, for each cluster with simulated nodes that is yet to be made.
    type: int
    default: 320
  hosts:
    description:
      - The clusters, by inventory name. Each has C(variables), and may have C(errors), messages about variables that cannot be
        evaluated, and C(strange), names of further variables that look like one of the roles'.
      - The default is every host of the play with what the inventory says of it.
      - Values that the argument specs call C(no_log), and those whose names say that they are secret, are kept out of all output.
    type: dict
  secrets:
    description: Texts in O(hosts) that must not be shown. The default is what the argument specs and the variables' names tell.
    type: list
    elements: str
    default: []
  hubs:
    description: Names of the hosts in group C(hub), in the play or not. The default is what the inventory says.
    type: list
    elements: str
  folder:
    description: Folder of the collection whose argument specs and pinned versions count. The default is this one.
    type: path
extends_documentation_fragment:
  - hubspoke.bootstrap.attributes.info_module
requirements:
  - kubernetes >= 24.2.0
  - PyYAML >= 5.4
  - boto3 and the collection amazon.aws, for EKS clusters
notes:
  - An inventory's variables are seen as the inventory gives them, with facts and extra variables; variables of the play are not.
"""

EXAMPLES = r"""
- name: Check everything that can be known before the first change
  hubspoke.bootstrap.preflight:
    roles: [dev_cluster, argocd, gitops_root]
  run_once: true

- name: The same on a machine whose git repositories only the clusters can reach
  hubspoke.bootstrap.preflight:
    roles: [dev_cluster, argocd, gitops_root]
    skip: [git repositories]
  run_once: true
"""

RETURN = r"""
findings:
  description: What each check found, in the order of the table.
  returned: success
  type: list
  elements: dict
  contains:
    check:
      description: Name of the check.
      type: str
    found:
      description: What was found.
      type: str
    verdict:
      description: V(ok) or V(warn). With a V(fail) the module fails, and its message holds everything that is not ok.
      type: str
    variable:
      description: The variable that decides it.
      type: str
    remedy:
      description: What to do about it.
      type: str
    hosts:
      description: The hosts it is about; none where it is about the machine or the whole inventory.
      type: list
      elements: str
  sample:
    - {check: provider, found: kwok (no Docker engine answers), verdict: ok, variable: "", remedy: "", hosts: [dev]}
table:
  description: The findings as text.
  returned: success
  type: str
  sample: "OK    provider  dev: kwok (no Docker engine answers)"
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight, _preflight_checks
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_probe import Probe

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        "roles": {"type": "list", "elements": "str", "default": []},
        "purpose": {"type": "str", "default": "bootstrap", "choices": list(_preflight_checks.PURPOSES)},
        "hub_required": {"type": "bool", "default": True},
        "skip": {"type": "list", "elements": "str", "default": []},
        "timeout": {"type": "float", "default": 5},
        "space": {"type": "int", "default": 64},
        "cluster_space": {"type": "int", "default": 320},
        "hosts": {"type": "dict"},
        "secrets": {"type": "list", "elements": "str", "default": [], "no_log": True},
        "hubs": {"type": "list", "elements": "str"},
        "folder": {"type": "path"},
    },
    "supports_check_mode": True,
}


def run(task: Task) -> Result:
    """Wire arguments to the checks and their findings to the result."""
    prepared = _preflight_checks.prepare(task.params, Probe(task.params["timeout"]), task.censor)
    findings = prepared.findings()
    if any(finding.verdict == "fail" for finding in findings):
        raise HubspokeError(_preflight.message(findings))
    text = _preflight.table(findings)
    for line in text.splitlines():
        task.progress(line)
    return {"changed": False, "findings": [finding.public() for finding in findings], "table": text}


def main() -> None:
    """Run as an ordinary module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
