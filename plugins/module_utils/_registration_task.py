# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the modules argocd_cluster and argocd_clusters share: options of a run, and how outcomes become a result."""

from __future__ import annotations

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import CONNECTION_SPEC, Kube
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._manifest_source import dump
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Result, Task
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_arguments import wanted
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_fleet import Fleet, FleetRun
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_outcome import Options, Outcome
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_spec import ALWAYS, DUE, NEVER, Wanted

RUN_SPEC: dict[str, t.Any] = {
    "namespace": {"type": "str", "default": "argocd"},
    "owner": {"type": "str", "default": ""},
    "take_over": {"type": "bool", "default": False},
    "rotate": {"type": "str", "choices": [DUE, ALWAYS, NEVER], "default": DUE},
    "protected": {"type": "list", "elements": "str", "default": []},
    "remove_applications": {"type": "bool", "default": False},
    "removal_timeout": {"type": "int", "default": 300},
    "probe_from_hub": {"type": "bool", "default": False},
    "hub_is_local": {"type": "bool", "default": False},
    "timeout": {"type": "float", "default": 10.0},
    "cluster_present": {"type": "bool", "default": True},
    **CONNECTION_SPEC,
}
"""Argument spec of a run: the hub, and what holds for all clusters."""

_MOST_NAMED = 10


def register(task: Task, clusters: t.Sequence[t.Mapping[str, t.Any]], **further: t.Any) -> list[Outcome]:
    """Do it.

    :arg clusters: Arguments of each cluster.
    :arg further: Fields of Fleet that only one of the modules has.
    :raises HubspokeError: nothing was done, because arguments are wrong or the hub cannot be used.
    """
    params = task.params
    options = Options(
        namespace=params["namespace"],
        owner=params["owner"],
        take_over=params["take_over"],
        rotate=params["rotate"],
        check_mode=task.check_mode,
        hub_is_local=params["hub_is_local"],
        timeout=params["timeout"],
    )
    fleet = Fleet(
        clusters=tuple(_all(clusters, options)),
        options=options,
        protected=frozenset(params["protected"]),
        remove_applications=params["remove_applications"],
        removal_timeout=params["removal_timeout"],
        probe_from_hub=params["probe_from_hub"],
        **further,
    )
    absent = task.check_mode and not params["cluster_present"]
    hub = None if absent else Kube.from_params(params, connections=fleet.concurrency)
    return FleetRun(hub, fleet, task.progress).run()


def _all(clusters: t.Sequence[t.Mapping[str, t.Any]], options: Options) -> t.Iterator[Wanted]:
    """Every cluster, or everything that is wrong with all of them at once."""
    wrong: list[str] = []
    for params in clusters:
        try:
            # Only a check may speak of a cluster that is not there.
            there = params.get("spoke_present") is not False or not options.check_mode
            found = wanted({**params, "spoke_present": there}, options.hub_is_local)
        except HubspokeError as error:
            wrong.append(str(error))
            continue
        yield found
    if wrong:
        raise HubspokeError("\n".join(wrong[:_MOST_NAMED]) + _more(wrong))


def _more(things: t.Sequence[t.Any]) -> str:
    return f"\nand {len(things) - _MOST_NAMED} more" if len(things) > _MOST_NAMED else ""


def as_result(outcome: Outcome) -> Result:
    """One cluster's part of the result."""
    result: Result = {
        "name": outcome.name,
        "server": outcome.server,
        "secret": outcome.secret,
        "action": "failed" if outcome.error else outcome.action,
        "changed": outcome.changed and not outcome.error,
        "failed": outcome.error is not None,
        "changes": outcome.changes,
        "account_changes": outcome.account_changes,
        "credential": outcome.credential,
        "expires": outcome.expires,
        "renewed": outcome.renewed,
        "adopted": outcome.adopted,
        "notes": [*outcome.notes, *outcome.warnings],
    }
    if outcome.error:
        result["msg"] = str(outcome.error)
    return result


def finish(task: Task, outcomes: t.Sequence[Outcome], result: Result) -> Result:
    """The whole result, with its differences.

    :raises HubspokeError: some clusters failed; the details hold what became of all.
    """
    result["changed"] = any(outcome.changed and not outcome.error for outcome in outcomes)
    if task.diff:
        result["diff"] = [_difference(outcome) for outcome in outcomes if outcome.changed and not outcome.error]
    for outcome in outcomes:
        for warning in outcome.warnings:
            task.warn(f"Cluster {outcome.name}: {warning}.")
    failed = [outcome.error for outcome in outcomes if outcome.error]
    if failed:
        lines = [str(error) for error in failed[:_MOST_NAMED]]
        if len(outcomes) > 1:
            lines.insert(0, f"{len(failed)} of {len(outcomes)} clusters failed, the others are done:")
        raise HubspokeError("\n".join(lines) + _more(failed), **result)
    return result


def _difference(outcome: Outcome) -> dict[str, str]:
    return {
        "before_header": f"cluster {outcome.name}",
        "after_header": f"cluster {outcome.name}",
        "before": dump(outcome.before) if outcome.before else "",
        "after": dump(outcome.after) if outcome.after else "",
    }
