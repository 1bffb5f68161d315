# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options that the modules about Argo CD Applications share."""

from __future__ import annotations


class ModuleDocFragment:
    """Which Applications are meant, and how they are waited for."""

    DOCUMENTATION = r"""
options:
  namespace:
    description: Namespace of Argo CD, where the Applications are.
    type: str
    default: argocd
  names:
    description:
      - Applications by name.
      - Where neither this, O(application_sets) nor O(label_selector) is given, all of the namespace are meant.
    type: list
    elements: str
    default: []
  application_sets:
    description: ApplicationSets by name; what they generate is included.
    type: list
    elements: str
    default: []
  label_selector:
    description: Applications by label, as in C(kubectl --selector).
    type: str
  descend:
    description:
      - Include the Applications and ApplicationSets that these manage, those that these manage, and so on, through
        C(status.resources). An app of apps is as healthy as its leaves, which its own status does not always show.
    type: bool
    default: false
  wait:
    description:
      - Wait until every one is what O(wait_for) says, and tell by the way what is waited for.
      - An Application whose own sync policy keeps it OutOfSync, since it is not automated or does not prune, is not waited
        for, but named in a warning.
    type: bool
    default: false
  wait_for:
    description: What each Application has to be.
    type: list
    elements: str
    choices: [Synced, Healthy]
    default: [Synced, Healthy]
  wait_timeout:
    description: Seconds to wait. Then each Application that is not ready is named, with its condition and failing resources.
    type: int
    default: 600
  error_timeout:
    description:
      - Seconds after which to give up although O(wait_timeout) is not over, when nothing has moved for so long and all
        that is left has an error that time does not cure, a repository that does not exist for example.
    type: int
    default: 15
  variables:
    description:
      - For messages, the names of the variables by which the user set C(repository), C(revision), C(path), C(project),
        C(destination) and C(wait_timeout).
    type: dict
    default: {}
"""
