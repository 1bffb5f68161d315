# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Clusters that something else made and looks after: all that is asked of them is where they are."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_plan import bare
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_state import read_kubeconfig, server_of
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube


def read_existing(name: str, kubeconfig: str, context: str | None, hub_address: str | None) -> dict[str, t.Any]:
    """What DevCluster.info says of one of its own.

    :arg context: Empty for the kubeconfig's current one.
    :arg hub_address: Empty where the hub uses the same address.
    :raises HubspokeError: the kubeconfig does not name such a cluster.
    """
    path = os.path.abspath(kubeconfig)
    config = read_kubeconfig(path)
    if config is None:
        raise HubspokeError(
            f"cluster_kubeconfig of {name} is {path}, which is no kubeconfig that can be read.",
            "Give the path of the kubeconfig with which kubectl reaches the cluster.",
        )
    chosen = context or str(config.get("current-context") or "")
    address = server_of(config, chosen)
    if not address:
        names = ", ".join(str(item.get("name")) for item in config["contexts"]) or "none"
        wanted = f"context {chosen}" if chosen else "a current context"
        raise HubspokeError(f"{path} does not have {wanted}.", f"Set cluster_context to one that it has: {names}.")
    version, problem = "", ""
    try:
        version = Kube.from_params({"kubeconfig": path, "context": chosen}).version()
    except HubspokeError as error:
        problem = str(error)
    return {
        "name": name,
        "provider": "existing",
        "reason": "cluster_provider is existing",
        "state": "unreachable" if problem else "running",
        "problem": problem,
        "present": not problem,
        "running": not problem,
        "version": bare(version),
        "servers": 0,
        "agents": 0,
        "kubeconfig": path,
        "context": chosen,
        "address": address,
        "hub_address": hub_address or address,
        "simulated": False,
    }
