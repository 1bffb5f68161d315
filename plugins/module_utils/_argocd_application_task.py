# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the modules about Applications share: their options, and how they report what they saw."""

from __future__ import annotations

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _argocd_application as model
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_application_failing import failing
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_application_tree import Selection, Tree
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_application_wait import Patience, judge
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import CONNECTION_SPEC, Kube
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Result

OPTIONS: dict[str, t.Any] = {
    "namespace": {"type": "str", "default": "argocd"},
    "names": {"type": "list", "elements": "str", "default": []},
    "application_sets": {"type": "list", "elements": "str", "default": []},
    "label_selector": {"type": "str"},
    "descend": {"type": "bool", "default": False},
    "wait": {"type": "bool", "default": False},
    "wait_for": {
        "type": "list",
        "elements": "str",
        "choices": [model.SYNCED, model.HEALTHY],
        "default": [model.SYNCED, model.HEALTHY],
    },
    "wait_timeout": {"type": "int", "default": 600},
    "error_timeout": {"type": "int", "default": 15},
    "variables": {"type": "dict", "default": {}},
    **CONNECTION_SPEC,
}


def selection(params: t.Mapping[str, t.Any]) -> Selection:
    """Which Applications the arguments name."""
    return Selection(
        params["namespace"],
        tuple(params["names"]),
        tuple(params["application_sets"]),
        params["label_selector"],
        params["descend"],
    )


def patience(params: t.Mapping[str, t.Any]) -> Patience:
    """How long the arguments want to wait."""
    return Patience(
        params["wait_timeout"], params["error_timeout"], tuple(params["wait_for"]), dict(params["variables"])
    )


def report(tree: Tree, wait_for: t.Collection[str], kube: Kube | None = None) -> Result:
    """The result's keys about what was found.

    :arg kube: Where to ask the resources of those that are not ready what they lack; None to leave that out.
    """
    verdicts = judge(tree, wait_for)
    result: Result = {"applications": [], "application_sets": []}
    for item, found in tree.items.items():
        parent = tree.parents.get(item)
        entry: dict[str, t.Any] = {
            "name": item[2],
            "namespace": item[1],
            "parent": parent[2] if parent else "",
            "present": found is not None,
            "state": verdicts[item].state,
            "message": verdicts[item].text,
        }
        if item[0] == model.APPLICATION_SET:
            result["application_sets"].append(entry)
            continue
        if found is not None:
            entry.update(describe(found))
            if kube is not None and verdicts[item].state != model.READY:
                entry["failing"] = [str(finding) for finding in failing(found, kube)]
        result["applications"].append(entry)
    return result


def describe(app: model.Object) -> dict[str, t.Any]:
    """An Application in the words of the result."""
    spec, (health, why) = app.get("spec") or {}, model.health_status(app)
    destination = spec.get("destination") or {}
    state = (app.get("status") or {}).get("operationState") or {}
    return {
        "project": spec.get("project", ""),
        "wave": model.wave(app),
        "automated": model.is_automated(app),
        "sync": model.sync_status(app),
        "health": health,
        "health_message": why,
        "revisions": model.revisions(app),
        "sources": [
            {
                "repository": str(source.get("repoURL") or ""),
                "revision": str(source.get("targetRevision") or ""),
                "path": str(source.get("path") or ""),
                "chart": str(source.get("chart") or ""),
            }
            for source in model.sources(app)
        ],
        "destination": {
            "cluster": str(destination.get("name") or destination.get("server") or ""),
            "namespace": str(destination.get("namespace") or ""),
        },
        "operation": {"phase": str(state.get("phase") or ""), "message": model.sentence(state.get("message"))},
        "conditions": [
            {"type": str(c.get("type", "")), "message": model.sentence(c.get("message"))}
            for c in (app.get("status") or {}).get("conditions") or []
        ],
    }


def held_warning(names: t.Sequence[str]) -> str:
    """For Applications that nobody has synced yet, and that Argo CD may not."""
    return (
        f"OutOfSync, and left so by their own sync policy: {', '.join(names)}. "
        "Sync or prune them in Argo CD, or start a sync with argocd_application_sync and force: true."
    )
