#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module eks_cluster_info: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: eks_cluster_info
short_description: Read EKS clusters
version_added: "0.1.0"
description:
  - The clusters of one region of the account, as M(hubspoke.bootstrap.eks_cluster) returns them. One call for each, and one for the
    list where no names are given.
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options:
  names:
    description: Names of the clusters. One that is not there is left out of the result. By default all.
    type: list
    elements: str
extends_documentation_fragment:
  - hubspoke.bootstrap.attributes.info_module
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
seealso:
  - module: hubspoke.bootstrap.eks_cluster
"""

EXAMPLES = r"""
- name: Is it there?
  hubspoke.bootstrap.eks_cluster_info:
    region: ap-northeast-2
    names: [seoul]
  register: found

- name: All of a region
  hubspoke.bootstrap.eks_cluster_info:
    region: ap-northeast-1
"""

RETURN = r"""
clusters:
  description: The clusters that are there, each with the keys of RV(hubspoke.bootstrap.eks_cluster#module:cluster).
  returned: success
  type: list
  elements: dict
  sample:
    - name: seoul
      status: ACTIVE
      version: "1.34"
      endpoint: https://0123456789ABCDEF.gr7.ap-northeast-2.eks.amazonaws.com
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws import CONNECTION_SPEC, Aws
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_cluster import read_clusters
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute

SPEC: dict[str, t.Any] = {
    "argument_spec": {**CONNECTION_SPEC, "names": {"type": "list", "elements": "str"}},
    "supports_check_mode": True,
}


def run(task: Task) -> Result:
    """Wire arguments to the engine."""
    aws = Aws(task.params)
    clusters = read_clusters(aws.service("eks"), task.params["names"])
    return aws.with_calls({"changed": False, "clusters": clusters}, task.params)


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
