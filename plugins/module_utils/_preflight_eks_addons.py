# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Check of an EKS cluster's add-ons: whether there are such, in these versions, for its version of Kubernetes."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable, Iterator

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import Finding, Survey, concurrently
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_aws import Answer, AwsProblem
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_eks_situation import (
    Situation,
    situations,
    unread,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_eks_wanted import ADDONS, Version, shown

NAME = "eks add-ons"

_SHOWN = 5


def addons(survey: Survey) -> Iterator[Finding]:
    """Whether EKS has the add-ons, in these versions, for the cluster's version."""
    mine = [here for here in situations(survey) if here.is_known and not here.host.adopted]
    wanting = [here for here in mine if here.wanted.addons]
    yield from concurrently(functools.partial(_addons, survey), wanting)


def _addons(survey: Survey, here: Situation) -> Iterable[Finding]:
    wants = here.wanted.version or here.version
    # Without a version AWS's default is made, and which that is shows only then.
    params = {"kubernetesVersion": shown(wants)} if wants else {}
    try:
        answer = here.ask(survey, "eks", "describe_addon_versions", **params)
    except AwsProblem as problem:
        return [
            unread(
                here, NAME, problem, what="the versions of add-ons", variable=ADDONS, right="eks:DescribeAddonVersions"
            )
        ]
    known = {addon["addonName"]: addon for addon in answer.get("addons") or []}
    if not known:
        # EKS has no such version of Kubernetes, which is another check's.
        return []
    found = [_addon(here, known, name, version, wants) for name, version in here.wanted.addons.items()]
    wrong = [finding for finding in found if finding]
    return wrong or [Finding(NAME, ", ".join(here.wanted.addons), hosts=(here.host.name,))]


def _addon(
    here: Situation, known: dict[str, Answer], name: str, wanted: str, kubernetes: Version | None
) -> Finding | None:
    fitting = f" for Kubernetes {shown(kubernetes)}" if kubernetes else ""
    if name not in known:
        close = difflib.get_close_matches(name, known, 3, 0.6)
        remedy = f"Did you mean {' or '.join(close)}?" if close else "`aws eks describe-addon-versions` lists them."
        return here.finding(NAME, f"EKS has no add-on {name!r}{fitting} in {here.wanted.region}", ADDONS, remedy)
    versions = [str(entry["addonVersion"]) for entry in known[name].get("addonVersions") or []]
    if not wanted or wanted in versions:
        return None
    # The newest come first.
    near = [version for version in versions if version.startswith(f"{wanted}-")]
    remedy = f"Set its version to one of {', '.join((near or versions)[:_SHOWN])}, or to default."
    return here.finding(NAME, f"{name} has no version {wanted}{fitting}", ADDONS, remedy)
