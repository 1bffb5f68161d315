# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter argocd_decision: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
name: argocd_decision
short_description: Decide what becomes of the Argo CD that a cluster has
version_added: "0.1.0"
description:
  - Compares what M(hubspoke.bootstrap.argocd_info) found with what is wanted. A downgrade, a step over minor versions, and an
    Argo CD that something else installed are refused unless they are allowed.
author:
  - hubspoke.bootstrap contributors
positional: _input
options:
  _input:
    description: Result of M(hubspoke.bootstrap.argocd_info); of a skipped task where the cluster is yet to be made.
    type: dict
    required: true
  version:
    description: The wanted version.
    type: str
    required: true
  variant:
    description: The wanted variant.
    type: str
    default: standard
  namespace:
    description: Namespace of Argo CD.
    type: str
    default: argocd
  install:
    description: Whether the installation may be changed at all.
    type: bool
    default: true
  adopt:
    description: Whether one that something else installed is taken over.
    type: bool
    default: false
  allow_downgrade:
    description: Whether an older version may follow a newer one.
    type: bool
    default: false
  allow_skip:
    description: Whether minor versions may be left out.
    type: bool
    default: false
  cluster_present:
    description: V(false) in check mode while the cluster is yet to be made.
    type: bool
    default: true
  by_aws:
    description: Whether AWS is to run Argo CD outside of the cluster, in place of any that is installed in it.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Stop where it is refused
  ansible.builtin.fail:
    msg: "{{ decision.refused }}"
  vars:
    decision: "{{ found | hubspoke.bootstrap.argocd_decision(version='v3.5.7') }}"
  when: decision.refused | length > 0
"""

RETURN = r"""
_value:
  description:
    - C(action) is one of V(install), V(keep), V(upgrade), V(downgrade), V(change), V(adopt), V(leave) and V(remove).
    - C(apply) says whether the manifests are to be applied, C(message) what will happen, C(refused) why it must not.
  type: dict
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_decision import Wish, decide


def argocd_decision(found: t.Mapping[str, t.Any], **wish: t.Any) -> dict[str, t.Any]:
    """What to do with what was found."""
    wish.setdefault("variant", "standard")
    wish.setdefault("namespace", "argocd")
    decision = decide(found, Wish(**wish))
    return {
        "action": decision.action,
        "apply": decision.apply,
        "message": decision.message,
        "refused": decision.refused,
    }


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name and function."""
        return {"argocd_decision": argocd_decision}
