# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter argocd_settings: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
name: argocd_settings
short_description: Argo CD's settings as Kubernetes objects
version_added: "0.1.0"
description:
  - Makes partial objects for M(hubspoke.bootstrap.manifest), to be applied under a field manager of their own, so that entries of
    others in the same ConfigMaps stay.
author:
  - hubspoke.bootstrap contributors
positional: _input
options:
  _input:
    description:
      - The variables C(application_health), C(config), C(rbac), C(params), C(repositories), C(repository_credentials), C(projects)
        of the role.
    type: dict
    required: true
  namespace:
    description: Namespace of Argo CD.
    type: str
    required: true
  found:
    description:
      - Result of M(hubspoke.bootstrap.argocd_info). Its workloads get the checksum of what they read only when they start, so that
        a change starts them again; its repositories keep the names of their Secrets.
    type: dict
    default: {}
  capability:
    description:
      - Whether AWS runs this Argo CD as an EKS capability. Only repositories, credentials, projects and entries of C(argocd-cm) are
        made then; of the latter, AWS takes over those that it supports. Projects that name no C(sourceNamespaces) get the
        O(namespace), since a capability wants one.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Settings
  hubspoke.bootstrap.manifest:
    name: argocd-settings
    namespace: argocd
    definitions: "{{ {'config': {'url': 'https://argocd.example.com'}} | hubspoke.bootstrap.argocd_settings(namespace='argocd') }}"
"""

RETURN = r"""
_value:
  description: The objects. Those of repositories hold secrets.
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_settings import definitions


def argocd_settings(
    variables: t.Mapping[str, t.Any],
    namespace: str,
    found: t.Mapping[str, t.Any] | None = None,
    *,
    capability: bool = False,
) -> list[dict[str, t.Any]]:
    """The objects that make up the settings."""
    return definitions(variables, namespace, found, capability=capability)


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name and function."""
        return {"argocd_settings": argocd_settings}
