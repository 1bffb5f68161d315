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
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._manifest_source import parse

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
    result: dict[str, t.Any] = {"version": "", "files": [path], "definitions": [], "replace": [], "refused": ""}
    try:
        data = pathlib.Path(path).expanduser().read_bytes()
        text = data.decode()
    except (OSError, UnicodeDecodeError) as error:
        if check_mode and isinstance(error, FileNotFoundError) and not local:
            return {**result, "files": []}  # yet to be fetched
        reason = getattr(error, "strerror", None) or "is no text"
        return {**result, "refused": f"The manifest {path} cannot be read: {reason}. Correct argocd_manifest."}
    refused = _wrong_checksum(path, data, checksum) if local else ""
    if refused:
        return {**result, "refused": refused}
    entries = {name: data for name, data in config_maps(settings or {}).items() if data}
    overlaps = any(f"\n  {key}:" in text for data in entries.values() for key in data)
    foreign = bool(found and found.get("installed") and not found.get("ours"))
    if not (local or foreign or overlaps or namespace != _USUAL_NAMESPACE):
        return result
    try:
        objects = parse(text, path)
        result["version"] = next(filter(None, map(version_of, _images(objects))), "")
        result["replace"] = not_changeable(objects, found or {}) if foreign else []
    except (HubspokeError, KeyError, TypeError, AttributeError) as error:
        return {**result, "refused": f"{error if isinstance(error, HubspokeError) else f'{path} is no manifest.'}"}
    # In check mode those workloads are still there, and the server would refuse to change them.
    without = {f"{entry['kind']}/{entry['name']}" for entry in result["replace"]} if check_mode else set()
    if overlaps or without or namespace != _USUAL_NAMESPACE:
        result["files"] = []
        result["definitions"] = install_objects(objects, namespace, entries, without)
    return result


def _wrong_checksum(path: str, data: bytes, checksum: str) -> str:
    if not checksum:
        return (
            f"argocd_manifest is {path}, but argocd_manifest_checksum is empty. Set it to the file's sha256: checksum."
        )
    kind, _colon, wanted = checksum.partition(":")
    if kind != "sha256" or len(wanted) != 64:
        return f"argocd_manifest_checksum is {checksum!r}. Write sha256: and 64 hexadecimal digits."
    actual = hashlib.sha256(data).hexdigest()
    if actual == wanted.lower():
        return ""
    return (
        f"The manifest {path} has the checksum sha256:{actual}, but argocd_manifest_checksum is {checksum}. If the "
        "file is the one you mean, correct the variable; if not, fetch it again."
    )


def _images(objects: t.Iterable[t.Mapping[str, t.Any]]) -> t.Iterator[str]:
    for item in objects:
        if item["kind"] in ("Deployment", "StatefulSet"):
            for container in item["spec"]["template"]["spec"]["containers"]:
                yield container.get("image", "")
