# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the modules about encrypted files have in common: arguments, the key, sops."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _age_identity as identity
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._age_identity import Key
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Task
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._sops_check import Survey
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._sops_document import PATTERNS
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._sops_run import Sops

SPEC: dict[str, t.Any] = {
    "root": {"type": "path", "required": True},
    "age_key_file": {"type": "path", "no_log": False},
    "sops": {"type": "path", "default": "sops"},
    "age_keygen": {"type": "path", "default": "age-keygen", "no_log": False},
}
PATTERNS_SPEC: dict[str, t.Any] = {
    "files": {"type": "list", "elements": "path"},
    "patterns": {"type": "list", "elements": "str", "default": list(PATTERNS)},
}


@dataclass(frozen=True)
class Tools:
    """The folder, the key and the program.

    :arg key: None where there is none, and files are opened by a KMS perhaps.
    """

    root: Path
    key: Key | None
    sops: Sops

    @property
    def recipients(self) -> tuple[str, ...]:
        """For whom the key opens files; nobody where there is none."""
        return self.key.recipients if self.key else ()


def tools(task: Task, *, checked: bool = True) -> Tools:
    """Find the key, which is kept out of all output from here on, and sops.

    :arg checked: Whether sops is asked for its version.
    """
    params = task.params
    key = identity.load(params["age_key_file"] or "", os.environ, params["age_keygen"])
    if key is None and params["age_key_file"]:
        raise HubspokeError(
            f"There is no key at {params['age_key_file']}.",
            "Put your key there (mode 0600), or make one with the module age_key.",
        )
    if key:
        task.censor(*key.secrets)
    sops = Sops(params["sops"], key, os.environ)
    if checked:
        sops.check_version()
    return Tools(Path(params["root"]).absolute(), key, sops)


def relative(root: Path, path: str) -> str:
    """A file of the folder as a path relative to it, however it is given.

    :raises HubspokeError: it is elsewhere.
    """
    found = os.path.relpath(os.path.join(root, os.path.expanduser(path)), root)
    if found.startswith(".."):
        raise HubspokeError(f"{path} is not below {root}, whose .sops.yaml says how files are encrypted.", "Move it.")
    return found


def survey(params: t.Mapping[str, t.Any], root: Path) -> Survey:
    """The files that are meant, all of them or those that are named.

    :raises HubspokeError: one that is named is not among them.
    """
    only = None if params["files"] is None else [relative(root, path) for path in params["files"]]
    found = Survey.of(root, params["patterns"], only)
    missing = sorted(set(only or ()) - {item.path for item in found.documents})
    if missing:
        patterns = ", ".join(params["patterns"])
        raise HubspokeError(
            f"{missing[0]} is not there, or has a name that fits none of the patterns ({patterns}).",
            "Correct the path, or rename the file.",
        )
    return found
