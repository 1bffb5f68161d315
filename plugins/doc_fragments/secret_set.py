# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the modules that apply Secrets have in common, for their documentation."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation shared by the modules."""

    DOCUMENTATION = r"""
options:
  create_namespaces:
    description: Make namespaces that are not there. They are never deleted.
    type: bool
    default: true
  force_conflicts:
    description: Take over Secrets of the same names that another tool has written, instead of failing with their names.
    type: bool
    default: false
  cluster_present:
    description: Set to V(false) in check mode while the cluster is yet to be made. Everything would be created.
    type: bool
    default: true
"""
