# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Check of the encrypted files: the key that is there, and what the files say of themselves. Nothing is decrypted."""

from __future__ import annotations

import os
import typing as t
from collections.abc import Iterator
from dataclasses import replace

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._age_key import short
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import Finding, Host, Survey, counted
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._sops_check import RESTORE, STALE, Problem
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._sops_check import Survey as Files

NAME = "secrets"
ROOT, KEY, LIST = "sops_age_root", "sops_age_key_file", "sops_age_secrets"
_SHOWN = 5


def secrets(survey: Survey) -> Iterator[Finding]:
    """The files, which all clusters share; then what each cluster wants of them."""
    for variable in (ROOT, KEY):
        values = {host.name: os.path.expanduser(host.text(variable)) for host in survey.hosts}
        if len(set(values.values())) > 1:
            found = ", ".join(f"{name} {value or 'none'}" for name, value in values.items())
            remedy = "Set it once for all clusters; which files a cluster gets is up to its sops_age_secrets."
            yield _failure(f"one run has one {variable}, not several: {found}", variable, remedy)
            return
    host = survey.hosts[0]
    root = os.path.expanduser(host.text(ROOT))
    if not root:
        return
    if not survey.probe.is_folder(root):
        yield _failure(f"there is no folder {root}", ROOT, "Set it to the folder of your .sops.yaml.")
        return
    try:
        files = survey.probe.encrypted_files(root, host.get("sops_age_patterns") or [])
    except HubspokeError as error:
        yield _failure(error.message, ROOT, error.remedy)
        return
    yield from _folder(files, root, host, survey.probe)
    for each in survey.hosts:
        yield from _wanted(files, root, each)


def _folder(files: Files, root: str, host: Host, probe: t.Any) -> Iterator[Finding]:
    """What is wrong with the key, the rules and the files."""
    path = os.path.expanduser(host.text(KEY))
    try:
        key = probe.age_key(path)
    except HubspokeError as error:
        yield _failure(error.message, KEY, error.remedy)
        return
    wanted = host.text("sops_age_recipient")
    if key and wanted and wanted not in key.recipients:
        mine = ", ".join(map(short, key.recipients))
        remedy = "Name the right key file, or restore that key."
        yield _failure(f"the key at {key.source} is that of {mine}, not of {short(wanted)}", KEY, remedy)
    if key is None:
        yield from _no_key(files, host)
    problems = files.problems(key.recipients if key else None)
    yield from _shown(problems)
    if key and not problems:
        number = counted(len(files.documents), "encrypted file")
        yield Finding(
            NAME, f"{number} in {root}, for {', '.join(map(short, key.recipients))} ({key.source}) among others"
        )


def _no_key(files: Files, host: Host) -> Iterator[Finding]:
    # What only a KMS opens is no matter of this key.
    mine = [item for item in files.documents if item.encrypted and not item.others]
    if mine:
        theirs = ", ".join(short(each) for each in mine[0].recipients)
        found = f"there is no private key, and {mine[0].path} is encrypted for {theirs}"
        yield _failure(found, KEY, RESTORE)
    elif host.get("sops_age_generate") is False:
        yield _failure("there is no private key", KEY, "Put it there, mode 0600.")
    else:
        yield Finding(NAME, "there is no private key yet; one is made")


def _shown(problems: list[Problem]) -> Iterator[Finding]:
    for problem in problems[:_SHOWN]:
        verdict: t.Any = "warn" if problem.kind == STALE else "fail"
        yield Finding(NAME, f"{problem.path}: {problem.found}", verdict, ROOT, problem.remedy)
    if len(problems) > _SHOWN:
        yield Finding(
            NAME, f"{len(problems) - _SHOWN} more like these", "warn", ROOT, "See them all: make secrets-check."
        )


def _wanted(files: Files, root: str, host: Host) -> Iterator[Finding]:
    """Whether what the host wants as Secrets is there."""
    known = {item.path for item in files.documents}
    for entry in host.get(LIST) or []:
        path = os.path.relpath(os.path.join(root, os.path.expanduser(str(entry.get("file") or ""))), root)
        if path in known:
            continue
        if os.path.isfile(os.path.join(root, path)):
            found, remedy = f"{path} fits none of sops_age_patterns, so that nobody checks it", "Rename it."
        else:
            found, remedy = f"there is no {path} in {root}", "Correct the path, relative to sops_age_root."
        yield replace(_failure(found, LIST, remedy), hosts=(host.name,))


def _failure(found: str, variable: str, remedy: str) -> Finding:
    return Finding(NAME, found.rstrip("."), "fail", variable, remedy)
