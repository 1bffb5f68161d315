#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module sops_secrets: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sops_secrets
short_description: Files encrypted with SOPS as Secrets of a cluster
version_added: "0.1.0"
description:
  - Decrypts files into memory and applies what they hold as Secrets, by server-side apply under a field manager of its own.
    Neither output nor differences, arguments of programs nor files ever have a value of them.
  - All files are read, and those that changed decrypted, before the first Secret is written. One that has not changed since,
    and whose data nobody else has touched, is neither decrypted nor written.
  - Secrets of files that are not given any more are deleted. All of the set carry the label C(hubspoke.bootstrap/secrets).
  - Can also hand the private key to a cluster in which something decrypts, and prove there that it opens files.
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options:
  name:
    description: Name of the set, a DNS label. What it applied before is recorded under it.
    type: str
    default: secrets
  namespace:
    description: Namespace of that record.
    type: str
    default: default
  state:
    description:
      - V(present) applies the files.
      - V(absent) deletes every Secret of the set; no file is read and no key needed.
    type: str
    choices: [present, absent]
    default: present
  files:
    description:
      - Files with names and values, or with manifests of Secrets. Only these are decrypted.
    type: list
    elements: dict
    default: []
    suboptions:
      file:
        description: Path, relative to O(root).
        type: path
        required: true
      name:
        description: Name of the Secret, where the file is no manifest; by default the file's own name up to its first dot.
        type: str
      namespaces:
        description: Namespaces it goes to. A manifest that names one goes there.
        type: list
        elements: str
        default: [default]
      type:
        description:
          - Type of the Secret, where the file is no manifest. V(opaque), V(dockerconfigjson), V(tls), or any type as Kubernetes
            writes it.
          - >-
            A file for V(dockerconfigjson) has C(registries), a mapping with C(username) and C(password) for each host, or a
            Docker configuration as C(.dockerconfigjson).
        type: str
        default: opaque
      service_accounts:
        description: Service accounts of these namespaces that pull images with a V(dockerconfigjson). One that is not there is made.
        type: list
        elements: str
        default: []
      labels:
        description: Further labels.
        type: dict
        default: {}
      annotations:
        description: Further annotations.
        type: dict
        default: {}
  keys:
    description: Secrets that hold the private key.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the Secret.
        type: str
        required: true
      namespace:
        description: Its namespace.
        type: str
        required: true
      field:
        description: Key of its data, V(keys.txt) for KSOPS, V(age.agekey) for Flux, V(key) for sops-secrets-operator.
        type: str
        default: keys.txt
  prune:
    description: Delete Secrets that the set applied before and that no file asks for any more.
    type: bool
    default: true
extends_documentation_fragment:
  - hubspoke.bootstrap.sops
  - hubspoke.bootstrap.secret_set
  - kubernetes.core.k8s_auth_options
  - hubspoke.bootstrap.attributes
seealso:
  - module: hubspoke.bootstrap.manifest
"""

EXAMPLES = r"""
- name: What the applications need before their first sync
  hubspoke.bootstrap.sops_secrets:
    root: /srv/platform
    files:
      - file: config/dev/trip.secrets.enc.yaml
        name: trip-service-secrets
        namespaces: [trip-service-dev]
      - file: config/dev/ecr.secrets.enc.yaml
        type: dockerconfigjson
        namespaces: [trip-service-dev, ecommerce]

- name: The key, for KSOPS in Argo CD
  hubspoke.bootstrap.sops_secrets:
    name: sops-key
    namespace: argocd
    root: /srv/platform
    keys:
      - name: sops-age
        namespace: argocd
"""

RETURN = r"""
objects:
  description: Every object, and those that were pruned or kept.
  returned: success
  type: list
  elements: dict
  sample: [{api_version: v1, kind: Secret, namespace: trip-service-dev, name: trip-service-secrets, action: created}]
summary:
  description: How many objects each action befell.
  returned: success
  type: dict
  sample: {created: 1, unchanged: 12}
decrypted:
  description: How many files had to be decrypted.
  returned: success
  type: int
proven:
  description: Whether the key opened something with what the cluster has of it.
  returned: success
  type: bool
"""

import os
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _manifest_result, _pull_secrets
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _sops_arguments as arguments
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _sops_cluster as cluster
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _sops_secrets as secrets
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._manifest import Options
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._manifest_plan import Ref
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._sops_check import Survey, load_rules

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        **arguments.SPEC,
        "name": {"type": "str", "default": "secrets"},
        "namespace": {"type": "str", "default": "default"},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "files": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "file": {"type": "path", "required": True},
                "name": {"type": "str"},
                "namespaces": {"type": "list", "elements": "str", "default": ["default"]},
                "type": {"type": "str", "default": "opaque"},
                "service_accounts": {"type": "list", "elements": "str", "default": []},
                "labels": {"type": "dict", "default": {}},
                "annotations": {"type": "dict", "default": {}},
            },
        },
        "keys": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "no_log": False,
            "options": {
                "name": {"type": "str", "required": True},
                "namespace": {"type": "str", "required": True},
                "field": {"type": "str", "default": "keys.txt"},
            },
        },
        "prune": {"type": "bool", "default": True},
        **cluster.SET_SPEC,
    },
    "supports_check_mode": True,
}


def run(task: Task) -> Result:
    """Wire files and key to the manifest set, and its outcomes to the result."""
    params = task.params
    kube = cluster.connection(task)
    options = cluster.options(task, f"secrets-{params['name']}", params["namespace"], prune=params["prune"])
    live = kube.list("v1", "Secret", label_selector=f"{secrets.SET_LABEL}={params['name']}") if kube else []
    if params["state"] == "absent":
        manifests = cluster.SecretSet(kube, [], options, ())
        manifests.remove()
        pulling = _pull_secrets.apply(kube, cluster.pulling((), (), live), check_mode=task.check_mode)
        outcomes = [*manifests.outcomes, *pulling]
        return {**_manifest_result.result(outcomes, task.diff), "decrypted": 0, "proven": False}
    loaded, made, proof = _wanted(task, live, options)
    objects = [*(cluster.namespaces(kube, [*made, *loaded.objects]) if params["create_namespaces"] else []), *made]
    manifests = cluster.SecretSet(kube, _once([*objects, *loaded.objects]), options, loaded.untouched)
    manifests.apply()
    accounts = cluster.pulling(loaded.entries, loaded.objects, live)
    pulling = _pull_secrets.apply(kube, accounts, check_mode=task.check_mode)
    if manifests.assumed:
        task.warn(f"Not there yet, assumed to come from an earlier step: {', '.join(sorted(manifests.assumed))}.")
    if kube and not task.check_mode:
        for wanted in proof:
            cluster.prove(kube, wanted, params["sops"], params["age_keygen"], os.environ)
    return {
        **_manifest_result.result([*manifests.outcomes, *pulling], task.diff),
        "decrypted": loaded.decrypted,
        "proven": bool(proof) and not task.check_mode,
    }


def _wanted(
    task: Task, live: list[secrets.Object], options: Options
) -> tuple[cluster.Loaded, list[secrets.Object], list[cluster.KeySecret]]:
    """The Secrets of the files, those of the key, and where the key has to be proven."""
    params = task.params
    found = arguments.tools(task)
    entries = [
        secrets.Entry.of({**given, "file": arguments.relative(found.root, given["file"])}) for given in params["files"]
    ]
    survey = Survey(found.root, load_rules(found.root) if entries else None)
    recipients = found.recipients if found.key else None
    way = cluster.Way(found.sops, recipients, params["name"], options.field_manager)
    loaded = cluster.load(survey, entries, way, live)
    fresh = [item for item in loaded.objects if Ref.of(item).identity not in loaded.untouched]
    task.censor(*secrets.values(fresh))
    keys = [cluster.KeySecret(**given) for given in params["keys"]]
    if keys and not found.key:
        raise HubspokeError("There is no key that could be handed to the cluster.", "Make one: module age_key does.")
    made = [cluster.key_object(wanted, found.key, params["name"]) for wanted in keys if found.key]
    task.censor(*secrets.values(made))
    return loaded, made, keys


def _once(objects: list[secrets.Object]) -> list[secrets.Object]:
    """Every object, if none is there twice.

    :raises HubspokeError: two files make the same Secret.
    """
    seen: dict[tuple[str, str, str], str] = {}
    for item in objects:
        metadata = item["metadata"]
        key = (item["kind"], metadata.get("namespace") or "", metadata["name"])
        source = (metadata.get("annotations") or {}).get(secrets.SOURCE, "the key")
        if key in seen:
            raise HubspokeError(
                f"Secret {key[1]}/{key[2]} is asked for twice, by {seen[key]} and by {source}.",
                "Give one of them another name or namespace.",
            )
        seen[key] = source
    return objects


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
