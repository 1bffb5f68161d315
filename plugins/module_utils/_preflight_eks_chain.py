# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Check of the chain of roles by which Argo CD reaches spokes: whether the hub's role may assume the spoke's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_roles import SPOKE_ROLE
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import Finding, Host, Survey, Verdict
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_eks_situation import hosts
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_eks_wanted import ACCOUNT

NAME = "argocd roles"
SPOKE_ROLES = "eks_cluster_spoke_roles"
_ROLE = re.compile(r"arn:aws[\w-]*:iam::(\d{12}|[\d*?]+):role/[\w+=,.@/*?-]+$")
_REGISTRATION = "cluster_registration_options"


def chain(survey: Survey) -> Iterator[Finding]:
    """Spokes in the hub's own account have nothing to be said of, unless the hub's inventory names roles.

    An Argo CD that AWS runs takes on no roles.
    """
    eks = hosts(survey)
    hub = next((host for host in eks if host.name in survey.hubs), None)
    if hub is None or hub.argocd_by_aws:
        return
    named = [str(each) for each in hub.get(SPOKE_ROLES) or []]
    for arn in named:
        if not _ROLE.match(arn):
            remedy = (
                "Give its ARN, arn:aws:iam::123456789012:role/tokyo-argocd-spoke for example; * stands for any text."
            )
            yield Finding(NAME, f"{arn!r} is no ARN of a role", "fail", SPOKE_ROLES, remedy, (hub.name,))
    for spoke in eks:
        if spoke is hub or not spoke.text(ACCOUNT) or not hub.text(ACCOUNT) or _registered_otherwise(spoke):
            continue
        role = _arn(spoke, f"{spoke.cluster}{SPOKE_ROLE}")
        if not any(fnmatchcase(role, each) for each in named or [_arn(hub, f"*{SPOKE_ROLE}")]):
            yield _missing(hub, spoke, role, bool(named))
        elif spoke.text(ACCOUNT) != hub.text(ACCOUNT):
            yield Finding(NAME, f"Argo CD of {hub.cluster} may assume {role}", hosts=(spoke.name,))


def _missing(hub: Host, spoke: Host, role: str, named: bool) -> Finding:
    found = f"Argo CD of {hub.cluster} may not assume {role}, by which it would reach {spoke.cluster}"
    own = _arn(hub, f"*{SPOKE_ROLE}")
    more = "" if named else f", and beside it {own} if there are spokes in the hub's own account"
    remedy = f"Add {role} to it in the inventory of {hub.cluster}{more}."
    # What another inventory says of a hub that is only used here is not known.
    verdict: Verdict = "warn" if hub.adopted else "fail"
    return Finding(NAME, found, verdict, SPOKE_ROLES, remedy, (spoke.name,))


def _arn(host: Host, role: str) -> str:
    return f"arn:{host.text('eks_cluster_partition') or 'aws'}:iam::{host.text(ACCOUNT)}:role/{role}"


def _registered_otherwise(spoke: Host) -> bool:
    options = spoke.get(_REGISTRATION)
    return isinstance(options, dict) and options.get("credential") not in (None, "aws")
