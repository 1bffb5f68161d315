# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kubeconfig that a controller outside of its cluster gets."""

from __future__ import annotations

import base64
import json
import pathlib
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._manifest_source import parse


def for_processes(containers: object, path: str, context: str, namespace: str) -> str:
    """The same for processes that stand for containers; empty in check mode where the cluster is yet to be made.

    :arg containers: Those, None where they are not known yet.
    :raises HubspokeError: as `for_namespace`.
    """
    exists = containers is not None or pathlib.Path(path).expanduser().exists()
    return for_namespace(path, context, namespace) if exists else ""


def for_namespace(path: str, context: str, namespace: str) -> str:
    """One context of a kubeconfig with another default namespace, and with the contents of the files it names.

    With the contents it differs when the cluster was made anew under the same address, and the processes start again.

    :arg context: Its name; the current one where it is empty.
    :raises HubspokeError: it cannot be read, or has no such context.
    """
    source = pathlib.Path(path).expanduser()
    try:
        documents = parse(source.read_text(encoding="utf-8"), str(source))
        document = documents[0]
        wanted = context or document["current-context"]
        entry = _named(document["contexts"], wanted)["context"]
        cluster = _named(document["clusters"], entry["cluster"])
        user = _named(document["users"], entry["user"])
        cluster["cluster"] = _self_contained(cluster["cluster"], source.parent)
        user["user"] = _self_contained(user["user"], source.parent)
    except (OSError, KeyError, IndexError, TypeError, StopIteration) as error:
        raise HubspokeError(
            f"The kubeconfig {path} has no usable context {context or '(current)'}.", "Check cluster_kubeconfig."
        ) from error
    result = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": wanted,
        "contexts": [{"name": wanted, "context": {**entry, "namespace": namespace}}],
        "clusters": [cluster],
        "users": [user],
    }
    return json.dumps(result, indent=2, sort_keys=True) + "\n"


def _named(entries: t.Iterable[t.Mapping[str, t.Any]], name: str) -> dict[str, t.Any]:
    return dict(next(entry for entry in entries if entry["name"] == name))


def _self_contained(entry: t.Mapping[str, t.Any], folder: pathlib.Path) -> dict[str, t.Any]:
    result = dict(entry)
    for key in ("certificate-authority", "client-certificate", "client-key"):
        path = result.pop(key, None)
        if path:
            result[f"{key}-data"] = base64.b64encode((folder / path).read_bytes()).decode()
    if result.get("tokenFile"):
        result["tokenFile"] = str((folder / result["tokenFile"]).resolve())
    return result
