#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module eks_kubeconfig: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: eks_kubeconfig
short_description: A kubeconfig for an EKS cluster, without credentials in it
version_added: "0.1.0"
description:
  - Writes a kubeconfig whose user is a program of this collection. It makes a token out of the credentials of the AWS chain each
    time that one is needed, so the file itself holds no secret. It is for its owner only all the same.
  - A cluster on a loopback address belongs to a look-alike of AWS on this machine. Its kubeconfig names that, and what it takes for
    credentials.
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options:
  path:
    description: Path of the kubeconfig.
    type: path
    required: true
  state:
    description: Whether it is there.
    type: str
    choices: [present, absent]
    default: present
  cluster:
    description:
      - The cluster as M(hubspoke.bootstrap.eks_cluster) returns it. Empty, or without an endpoint, while there is none, then
        nothing is written.
    type: dict
    default: {}
  name:
    description: Name of the cluster.
    type: str
    required: true
  region:
    description: Region of the cluster, which also signs the tokens.
    type: str
  profile:
    description: AWS profile for the tokens, instead of that of the environment.
    type: str
    default: ""
  role_arn:
    description: Role to assume for the tokens.
    type: str
    default: ""
  python:
    description: Python that has botocore; by default the one that runs Ansible.
    type: str
    default: ""
  program:
    description: The program. It is found by itself.
    type: str
    default: ""
  endpoint_url:
    description: Address of the look-alike of AWS, E(AWS_ENDPOINT_URL) by default.
    type: str
    default: ""
extends_documentation_fragment:
  - hubspoke.bootstrap.attributes
requirements:
  - botocore >= 1.34.0
seealso:
  - module: hubspoke.bootstrap.eks_cluster_info
"""

EXAMPLES = r"""
- name: Read the cluster
  hubspoke.bootstrap.eks_cluster_info:
    names: [seoul]
    region: ap-northeast-2
  register: found

- name: Connect to it
  hubspoke.bootstrap.eks_kubeconfig:
    path: ~/.kube/seoul
    name: seoul
    region: ap-northeast-2
    cluster: "{{ found.clusters | first }}"
"""

RETURN = r"""
connection:
  description: How the cluster is reached.
  returned: success
  type: dict
  contains:
    kubeconfig:
      description: Path of the file.
      type: str
    context:
      description: Its context.
      type: str
    address:
      description: Address of the API, empty while there is none.
      type: str
    arn:
      description: ARN of the cluster, empty while there is none.
      type: str
    present:
      description: Whether the cluster can be reached by it now.
      type: bool
    simulated:
      description: Whether it is a look-alike's, on this machine.
      type: bool
"""

import os
import pathlib
import sys
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _eks_kubeconfig as kubeconfig
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _eks_token
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        "path": {"type": "path", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "cluster": {"type": "dict", "default": {}},
        "name": {"type": "str", "required": True},
        "region": {"type": "str"},
        "profile": {"type": "str", "default": ""},
        "role_arn": {"type": "str", "default": ""},
        "python": {"type": "str", "default": ""},
        "program": {"type": "str", "default": ""},
        "endpoint_url": {"type": "str", "default": ""},
    },
    "supports_check_mode": True,
    "required_if": [("state", "present", ["region"])],
}


def run(task: Task) -> Result:
    """Wire arguments to the file."""
    params = task.params
    path = str(pathlib.Path(params["path"]).absolute())
    if params["state"] == "absent":
        return {"changed": kubeconfig.remove(path, task.check_mode)}
    cluster = params["cluster"]
    address = cluster.get("endpoint") or ""
    there = bool(address and cluster.get("certificate_authority"))
    endpoint_url = params["endpoint_url"] or os.environ.get("AWS_ENDPOINT_URL", "")
    options = {
        "region": params["region"],
        "cluster": params["name"],
        "role": params["role_arn"],
        "profile": params["profile"],
    }
    connection = kubeconfig.Connection(
        context=params["name"],
        address=address,
        authority=cluster.get("certificate_authority") or "",
        command=(
            params["python"] or sys.executable,
            params["program"] or str(pathlib.Path(_eks_token.__file__).resolve()),
            *(f"--{option}={value}" for option, value in options.items() if value),
        ),
        endpoint_url=endpoint_url,
    )
    result: Result = {
        "changed": False,
        "connection": {
            "kubeconfig": path,
            "context": params["name"],
            "address": address,
            "arn": cluster.get("arn") or "",
            "present": there,
            "simulated": kubeconfig.is_loopback(address or endpoint_url),
        },
    }
    if there:
        text = connection.text()
        result["changed"], before = kubeconfig.write(path, text, task.check_mode)
        if task.diff:
            after = text if result["changed"] else before
            result["diff"] = {"before_header": path, "after_header": path, "before": before, "after": after}
    return result


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
