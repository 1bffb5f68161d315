#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Find or make the real binaries and release files that a bootstrap needs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: toolchain
short_description: Find or make the pinned tools and release files that a bootstrap needs
version_added: 0.1.0
author:
  - hubspoke.bootstrap contributors (@hubspoke)
description:
  - Gives paths of tools (C(kubectl), C(kube-apiserver), C(etcd), C(kwokctl), C(argocd) ...) and of release files (Argo CD's
    manifests, KWOK's stages) at the versions that C(toolchain/versions.yml) of this collection pins.
  - A tool is taken from E(PATH) where its version fits, else from the cache, else downloaded from its release if the
    checksum is pinned for this platform, else built from its Go module with Go from E(PATH) or from a Python wheel of it.
    If none of these ways leads there, the message lists them with what failed in each.
  - Release files come from the cache, from a Go module that is on this machine already, from their release address or from
    a Go module proxy, always against their checksum.
  - The cache has one folder for each version and is shared by all set-ups of a user. Two at once do not disturb each other,
    and one that is killed leaves nothing half-made.
extends_documentation_fragment:
  - hubspoke.bootstrap.attributes
options:
  tools:
    description:
      - What is needed. Each element is the name of a tool or a file in C(toolchain/versions.yml), or a dictionary with C(name)
        and C(version), which must be one that is pinned there.
      - Where several versions are pinned, the one that is listed first is taken by default.
      - By default everything that is pinned.
    type: list
    elements: raw
    default: []
  path_lookup:
    description: Whether tools, and Go, may come from E(PATH).
    type: bool
    default: true
  folder:
    description: Folder with C(versions.yml) and the Go modules. By default that of this collection.
    type: path
    required: true
  cache_dir:
    description:
      - Folder where tools and files are kept.
      - By default E(HUBSPOKE_CACHE_DIR), else C(hubspoke) in E(XDG_CACHE_HOME), else C(~/.cache/hubspoke).
    type: path
notes:
  - In check mode nothing is fetched or built. The paths are those where tools would be, and RV(origins) says what would be
    tried first.
seealso:
  - name: Toolchain
    description: What is pinned, how, and how to pin something else.
    link: https://github.com/hubspoke/bootstrap/blob/main/docs/toolchain.md
"""

EXAMPLES = r"""
- name: Have what a simulated cluster consists of
  hubspoke.bootstrap.toolchain:
    tools: [kube-apiserver, kube-controller-manager, kube-scheduler, kubectl, etcd, kwok, kwokctl]
  register: toolchain

- name: Say where kubectl is
  ansible.builtin.debug:
    var: toolchain.tools.kubectl

- name: Have Argo CD's manifests at the version before
  hubspoke.bootstrap.toolchain:
    tools:
      - name: argocd-install
        version: v3.5.6
"""

RETURN = r"""
tools:
  description: Absolute path of each tool and file, by its name.
  returned: success
  type: dict
  sample:
    kubectl: /home/me/.cache/hubspoke/tools/kubernetes@v1.36.3/kubectl
origins:
  description:
    - Where each came from, by its name. One of V(PATH), V(cache), V(release), V(built) (from its Go module), V(module) (a file
      out of a Go module) or V(wheel).
  returned: success
  type: dict
  sample:
    kubectl: cache
versions:
  description: Version of each, as pinned, by its name.
  returned: success
  type: dict
  sample:
    kubectl: v1.36.3
checksums:
  description: SHA-256 of each single file (not of tools and folders), by its name.
  returned: success
  type: dict
  sample:
    argocd-install: 3d8e41cd2ba56cc1a7a4f1c5ac4c8a3ef0ee6a2c34f2a5fb2e7cd5bd5b5a2cf0
tried:
  description: The ways that were tried, in their order.
  returned: if something cannot be had
  type: list
  elements: dict
  contains:
    way:
      description: One of V(PATH), V(release), V(build), V(wheel) and V(module).
      type: str
      returned: always
    reason:
      description: What failed.
      type: str
      returned: always
  sample:
    - way: PATH
      reason: there is no etcd on PATH
"""

import os
import typing as t
from pathlib import Path

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain import Toolchain
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_cache import Cache, default_folder
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._toolchain_pins import Pins

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        "tools": {"type": "list", "elements": "raw", "default": []},
        "path_lookup": {"type": "bool", "default": True},
        "folder": {"type": "path", "required": True},
        "cache_dir": {"type": "path"},
    },
    "supports_check_mode": True,
}


def run(task: Task) -> Result:
    """Give the paths, make what is missing."""
    params = task.params
    cache = Cache(Path(params["cache_dir"]) if params["cache_dir"] else default_folder(os.environ))
    toolchain = Toolchain(
        Pins.load(params["folder"]), cache, task.progress, path_lookup=params["path_lookup"], check=task.check_mode
    )
    found = toolchain.resolve(params["tools"])
    after = "".join(f"{line}\n" for line in found.made)
    return {
        "changed": bool(found.made),
        "diff": {"before": "", "after": after, "before_header": str(cache.root), "after_header": str(cache.root)},
        "tools": found.tools,
        "origins": found.origins,
        "versions": found.versions,
        "checksums": found.checksums,
    }


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
