# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Argo CD's manifests from the file to what is applied."""

from __future__ import annotations

import hashlib
import pathlib
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_install import version_of
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._argocd_settings import (
    config_maps,
    install_objects,
    not_changeable,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._manifest_source import load

_USUAL_NAMESPACE = "argocd"


def prepare(
    path: str,
    *,
    checksum: str = "",
    namespace: str = _USUAL_NAMESPACE,
    settings: t.Mapping[str, t.Any] | None = None,
    found: t.Mapping[str, t.Any] | None = None,
    check_mode: bool = False,
    local: bool = False,
) -> dict[str, t.Any]:
    """What of a manifest is applied, and what has to be known before.

    :arg local: Whether the user named the file; then its checksum has to be given.

    The file is parsed only if something in it may have to change, since that takes as long as a few tasks.
    """
    path = str(pathlib.Path(path).expanduser())
    result: dict[str, t.Any] = {"version": "", "files": [path], "definitions": [], "replace": [], "refused": ""}
    entries = {name: data for name, data in config_maps(settings or {}).items() if data}
    foreign = bool(found and found.get("installed") and not found.get("ours"))
    try:
        text = _read(path, checksum if local else None)
        overlaps = any(f"\n  {key}:" in text for data in entries.values() for key in data)
        if not (local or foreign or overlaps or namespace != _USUAL_NAMESPACE):
            return result
        objects = load([path], [], [], [])
        result["version"] = next(filter(None, map(version_of, _images(objects))), "")
        result["replace"] = not_changeable(objects, found or {}, namespace) if foreign else []
    except HubspokeError as error:
        return {**result, "refused": str(error)}
    except (KeyError, TypeError, AttributeError):
        return {**result, "refused": f"{path} is no manifest of Argo CD: a workload in it is incomplete. Correct it."}
    # In check mode those workloads are still there, and the server would refuse to change them.
    without = {f"{entry['kind']}/{entry['metadata']['name']}" for entry in result["replace"]} if check_mode else set()
    if overlaps or without or namespace != _USUAL_NAMESPACE:
        result["files"] = []
        result["definitions"] = install_objects(objects, namespace, entries, without)
    return result


def _read(path: str, checksum: str | None) -> str:
    """The file's text.

    :arg checksum: What it must have, None where that has been checked.
    :raises HubspokeError: it is not there, or another file.
    """
    try:
        data = pathlib.Path(path).read_bytes()
        if checksum is not None:
            _check(path, data, checksum)
        return data.decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise HubspokeError(f"The manifest {path} cannot be read: {reason}.", "Correct argocd_manifest.") from error


def _check(path: str, data: bytes, checksum: str) -> None:
    if not checksum:
        raise HubspokeError(
            f"argocd_manifest is {path}, but argocd_manifest_checksum is empty.",
            "Set it to the file's sha256: checksum.",
        )
    kind, _colon, wanted = checksum.partition(":")
    if kind != "sha256" or len(wanted) != 64:
        raise HubspokeError(
            f"argocd_manifest_checksum is {checksum!r}.", "Write sha256: and 64 hexadecimal digits as its value."
        )
    actual = hashlib.sha256(data).hexdigest()
    if actual != wanted.lower():
        raise HubspokeError(
            f"The manifest {path} has the checksum sha256:{actual}, but argocd_manifest_checksum is {checksum}.",
            "If the file is the one you mean, correct the variable; if not, fetch it again.",
        )


def _images(objects: t.Iterable[t.Mapping[str, t.Any]]) -> t.Iterator[str]:
    for item in objects:
        if item["kind"] in ("Deployment", "StatefulSet"):
            for container in item["spec"]["template"]["spec"]["containers"]:
                yield container.get("image", "")
