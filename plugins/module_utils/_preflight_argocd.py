# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks of Argo CD's version, manifest and settings: role argocd's own judgements, made before anything is changed."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterator

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _argocd_manifest, _argocd_settings
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import Finding, Host, Survey

NAME = "argo cd"

_SETTINGS = ("config", "rbac", "params", "repositories", "repository_credentials", "projects")
# As a word of a sentence, not as part of a path.
_VARIABLE = re.compile(rf"(?<![\w/.-])argocd_(?:manifest_checksum|manifest|{'|'.join(_SETTINGS)})(?![\w/-]|\.\w)")


def argocd(survey: Survey) -> Iterator[Finding]:
    """The Argo CD of each hub."""
    for host in survey.hosts:
        if host.name not in survey.hubs:
            continue
        findings = [*_installation(host, survey.pins), *_settings(host)]
        yield from findings
        if not findings:
            what = "settings"
            if not host.argocd_by_aws:
                what = f"{_version(host)}, with settings"
            yield Finding(NAME, f"{what} that do not contradict each other", hosts=(host.name,))


def _version(host: Host) -> str:
    return host.text("argocd_manifest") or host.text("argocd_version") or "what is there"


def _installation(host: Host, pins: t.Any) -> Iterator[Finding]:
    if host.get("argocd_install") is False or host.argocd_by_aws:
        return
    path, version = host.text("argocd_manifest"), host.text("argocd_version")
    pinned = list(pins.files["argo-cd"])
    if path:
        refused = _argocd_manifest.prepare(path, checksum=host.text("argocd_manifest_checksum"), local=True)["refused"]
        if refused:
            yield _split(host, refused)
    elif version and version not in pinned:
        remedy = f"Set it to one of {', '.join(pinned)}, or give argocd_manifest and argocd_manifest_checksum."
        yield Finding(NAME, f"{version} is not pinned", "fail", "argocd_version", remedy, (host.name,))


def _settings(host: Host) -> Iterator[Finding]:
    given = {name: host.get(f"argocd_{name}") for name in _SETTINGS}
    for problem in _argocd_settings.problems(given):
        yield _split(host, problem)


def _split(host: Host, text: str) -> Finding:
    """A judgement of role argocd, which says in one text what is wrong, with which variable, and what to do."""
    found, _, remedy = text.partition(". ")
    variable = (_VARIABLE.findall(found) or _VARIABLE.findall(remedy) or ["argocd_manifest"])[-1]
    found = found.removeprefix(f"{variable}: ").removeprefix(f"{variable} is ").rstrip(".")
    return Finding(NAME, found, "fail", variable, remedy or "Correct it.", (host.name,))
