#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module ecr_pull_secret: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ecr_pull_secret
short_description: A login to ECR in the namespaces of a cluster, renewed before it ends
version_added: "0.1.0"
description:
  - Writes a token of ECR, which lives for twelve hours, as a Secret for pulling images, and has service accounts use it.
  - When the token ends is recorded on the Secret. A run asks AWS for another one only when that is near, when a namespace has
    none, or when somebody has touched one; run it on a schedule, several times within O(renew_before).
  - EKS's own nodes need none of this. It is for clusters elsewhere, a laptop's for example.
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options:
  name:
    description: Name of the Secret in each namespace, and of the set.
    type: str
    default: ecr-pull
  state:
    description: V(absent) deletes the Secrets and takes their name out of the service accounts.
    type: str
    choices: [present, absent]
    default: present
  region:
    description: Region of the registries. Needed unless O(state=absent).
    type: str
  profile:
    description: Profile of AWS's configuration; by default credentials are found by AWS's usual chain.
    type: str
  registries:
    description: Hosts that the token is for; by default the account's own registry.
    type: list
    elements: str
    default: []
  namespaces:
    description: Where images are pulled. Secrets in others, of an earlier run, are deleted.
    type: list
    elements: str
    default: []
  service_accounts:
    description: Service accounts of these namespaces that pull with it. One that is not there is made.
    type: list
    elements: str
    default: [default]
  renew_before:
    description: Hours before its end from which on a token is followed by another.
    type: int
    default: 6
extends_documentation_fragment:
  - hubspoke.bootstrap.secret_set
  - kubernetes.core.k8s_auth_options
  - hubspoke.bootstrap.attributes
requirements:
  - boto3
seealso:
  - module: hubspoke.bootstrap.sops_secrets
"""

EXAMPLES = r"""
- name: Images of the team's registry
  hubspoke.bootstrap.ecr_pull_secret:
    region: ap-northeast-2
    namespaces: [trip-service-dev, ecommerce]

- name: Of another account's
  hubspoke.bootstrap.ecr_pull_secret:
    name: ecr-platform
    region: ap-northeast-2
    registries: [111122223333.dkr.ecr.ap-northeast-2.amazonaws.com]
    namespaces: [platform]
    service_accounts: [default, builder]
"""

RETURN = r"""
objects:
  description: Every object, and those that were pruned or kept.
  returned: success
  type: list
  elements: dict
  sample: [{api_version: v1, kind: Secret, namespace: trip-service-dev, name: ecr-pull, action: created}]
summary:
  description: How many objects each action befell.
  returned: success
  type: dict
  sample: {created: 1, unchanged: 2}
expires:
  description: When the token ends that the cluster has now; empty where it has none.
  returned: success
  type: str
  sample: "2026-11-21T23:10:00+00:00"
renewed:
  description: Whether AWS was asked for a token.
  returned: success
  type: bool
"""

import typing as t
from datetime import UTC, datetime, timedelta

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _ecr_pull_secret as ecr
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _manifest_result, _pull_secrets
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _sops_cluster as cluster
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _sops_secrets as secrets
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws import CONNECTION_SPEC as AWS_SPEC
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws import Aws
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._manifest_plan import Object
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        "name": {"type": "str", "default": "ecr-pull"},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "region": {"type": "str"},
        "profile": {"type": "str"},
        "registries": {"type": "list", "elements": "str", "default": []},
        "namespaces": {"type": "list", "elements": "str", "default": []},
        "service_accounts": {"type": "list", "elements": "str", "default": ["default"]},
        "renew_before": {"type": "int", "default": 6},
        **cluster.SET_SPEC,
    },
    "required_if": [("state", "present", ("region", "namespaces"))],
    "supports_check_mode": True,
}


def run(task: Task) -> Result:
    """Look at what the cluster has, ask for a token if that is not enough, and apply."""
    params = task.params
    present = params["state"] == "present"
    wanted = ecr.Wanted(
        name=params["name"],
        region=params["region"] or "",
        namespaces=tuple(params["namespaces"]) if present else (),
        registries=tuple(params["registries"]),
        renew_before=timedelta(hours=params["renew_before"]),
    )
    ecr.check(wanted)
    kube = cluster.connection(task)
    options = cluster.options(task, wanted.set_name)
    live = kube.list("v1", "Secret", label_selector=f"{secrets.SET_LABEL}={wanted.set_name}") if kube else []
    items = ecr.fresh(live, wanted, options.field_manager, datetime.now(UTC))
    renewed = present and not items
    if renewed:
        items = _asked(task, wanted)
    made = cluster.namespaces(kube, items) if params["create_namespaces"] else []
    untouched = {} if renewed else ecr.identities(items)
    manifests = cluster.SecretSet(kube, [*made, *items], options, untouched)
    if present:
        manifests.apply()
    else:
        manifests.remove()
    accounts = {
        (namespace, name): frozenset([wanted.name])
        for namespace in wanted.namespaces
        for name in params["service_accounts"]
    }
    ours = frozenset((item["metadata"]["namespace"], item["metadata"]["name"]) for item in [*live, *items])
    pulling = _pull_secrets.apply(kube, _pull_secrets.Wanted(accounts, ours), check_mode=task.check_mode)
    return {
        **_manifest_result.result([*manifests.outcomes, *pulling], task.diff),
        "expires": ecr.expires(items) if items else "",
        "renewed": renewed,
    }


def _asked(task: Task, wanted: ecr.Wanted) -> list[Object]:
    defaults = {name: option.get("default") for name, option in AWS_SPEC.items()}
    connection = {**defaults, "region": wanted.region, "profile": task.params["profile"]}
    login = ecr.token(Aws(connection).service("ecr"))
    task.censor(login.authorization)
    items = ecr.made(wanted, login)
    task.censor(*secrets.values(items))
    return items


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
