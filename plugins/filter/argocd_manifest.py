# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter argocd_manifest: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
name: argocd_manifest
short_description: Argo CD's manifests as they are to be applied
version_added: "0.1.0"
description:
  - Checks a manifest against its checksum and makes of it what M(hubspoke.bootstrap.manifest) is to apply. That is the file itself
    wherever nothing in it has to be changed.
  - Entries of ConfigMaps that the settings set are taken out, and accounts of another namespace than C(argocd) are put in.
author:
  - hubspoke.bootstrap contributors
positional: _input
options:
  _input:
    description: Path of the manifest.
    type: path
    required: true
  checksum:
    description: C(sha256:) and the checksum of a local manifest.
    type: str
    default: ""
  local:
    description: Whether the user named the manifest. Then O(checksum) is required; else the toolchain has checked it.
    type: bool
    default: false
  namespace:
    description: Namespace of Argo CD.
    type: str
    default: argocd
  settings:
    description: The variables C(application_health), C(config), C(rbac), C(params) of the role.
    type: dict
    default: {}
  found:
    description: Result of M(hubspoke.bootstrap.argocd_info).
    type: dict
    default: {}
  check_mode:
    description: Whether this is for check mode, in which workloads that have to be made anew cannot be tried.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Which version is it?
  ansible.builtin.debug:
    msg: "{{ ('install.yaml' | hubspoke.bootstrap.argocd_manifest(local=true, checksum='sha256:09bf...')).version }}"
"""

RETURN = r"""
_value:
  description:
    - C(version) of Argo CD in it, empty where nothing made it be read.
    - C(files) and C(definitions) are for M(hubspoke.bootstrap.manifest).
    - C(replace) lists workloads that have to be deleted first.
    - C(refused) says why it must not be applied.
  type: dict
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_manifest import prepare


def argocd_manifest(path: str, **options: t.Any) -> dict[str, t.Any]:
    """What to apply."""
    return prepare(path, **options)


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name and function."""
        return {"argocd_manifest": argocd_manifest}
