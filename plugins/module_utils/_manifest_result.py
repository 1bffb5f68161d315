# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a module that applies a manifest set returns."""

from __future__ import annotations

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _manifest_plan, _manifest_source
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._manifest import Outcome
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Result


def result(outcomes: list[Outcome], with_diff: bool) -> Result:
    """Every object with what befell it, and the differences, Secrets redacted."""
    still = (_manifest_plan.UNCHANGED, _manifest_plan.KEPT)
    changes = [outcome for outcome in outcomes if outcome.action not in still]
    summary: dict[str, int] = {}
    for outcome in outcomes:
        summary[outcome.action] = summary.get(outcome.action, 0) + 1
    found: Result = {
        "changed": bool(changes),
        "summary": summary,
        "objects": [
            {
                "api_version": outcome.ref.api_version,
                "kind": outcome.ref.kind,
                "namespace": outcome.ref.namespace,
                "name": outcome.ref.name,
                "action": outcome.action,
            }
            for outcome in outcomes
        ],
    }
    if with_diff:
        dump = _manifest_source.dump
        found["diff"] = [_manifest_plan.difference(o.ref, o.before, o.after, dump) for o in changes]
    return found
