#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module age_key: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: age_key
short_description: A private key of age, made once, private, and known to be the right one
version_added: "0.1.0"
description:
  - Makes a key with age-keygen where there is none, or takes the one that is there, wherever sops would find it.
  - A key file that others can read is refused, and so is one that does not open the files it is for.
  - Before anything depends on the key, something is encrypted for it and decrypted with it.
  - The key itself is in no result, difference or argument; recipients are public and are shown.
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options:
  path:
    description:
      - File of the key. By default it is looked for as sops does - E(SOPS_AGE_KEY_FILE), E(SOPS_AGE_KEY_CMD), E(SOPS_AGE_KEY),
        C(sops/age/keys.txt) in E(XDG_CONFIG_HOME) or C(~/.config), and an SSH key named by E(SOPS_AGE_SSH_PRIVATE_KEY_FILE).
      - Only a file is ever written.
    type: path
  generate:
    description: Whether a key is made where there is none; if not, that is an error.
    type: bool
    default: true
  post_quantum:
    description: Make a hybrid key, whose files are safe from quantum computers too. Everybody needs age 1.3 and sops 3.12 then.
    type: bool
    default: false
  recipient:
    description: The recipient that the key has to have. Of a file with several identities, the one that is meant.
    type: str
  several:
    description:
      - Take a file with several identities as it is. Otherwise it is refused unless O(recipient), O(renew) or O(retire) says
        which of them is meant, because for whom new files are encrypted could not be known.
    type: bool
    default: false
  renew:
    description: Put a new identity beside those that are there. Files are opened with either until O(retire) ends that.
    type: bool
    default: false
  retire:
    description: Recipients whose identities are taken out of the file.
    type: list
    elements: str
    default: []
  files:
    description: Encrypted files that the key must open; the recipients of each are compared with its own.
    type: list
    elements: path
    default: []
  repair_permissions:
    description: Take the rights of others away instead of refusing the file. Whether somebody has read it, nobody knows.
    type: bool
    default: false
  round_trip:
    description: Whether something is encrypted for the key and decrypted with it.
    type: bool
    default: true
  sops:
    description: The sops that does it.
    type: path
    default: sops
  age_keygen:
    description: The age-keygen to use.
    type: path
    default: age-keygen
extends_documentation_fragment:
  - hubspoke.bootstrap.attributes
requirements:
  - age >= 1.0
  - sops >= 3.9
seealso:
  - module: hubspoke.bootstrap.sops_files
"""

EXAMPLES = r"""
- name: A key where sops looks for one
  hubspoke.bootstrap.age_key:
  register: key

- name: Say what to keep in a safe place
  ansible.builtin.debug:
    msg: "Keep a copy of {{ key.path }}, the key of {{ key.recipients | join(', ') }}."

- name: The key of the team's build machine, and no other
  hubspoke.bootstrap.age_key:
    path: /etc/hubspoke/age.txt
    generate: false
    recipient: age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p
    files: [config/prod/payment.secrets.enc.yaml]
"""

RETURN = r"""
recipients:
  description: For whom the key opens files, the one that is meant first. Empty in check mode where the key is yet to be made.
  returned: success
  type: list
  elements: str
  sample: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p]
added:
  description: The recipient of the identity that was made.
  returned: success
  type: str
path:
  description: File of the key, empty where it is not in one.
  returned: success
  type: str
source:
  description: Where the key comes from, a path or the name of a variable.
  returned: success
  type: str
actions:
  description: What was done, of V(generate), V(renew), V(retire), V(repair).
  returned: success
  type: list
  elements: str
"""

import os
import typing as t
from pathlib import Path

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _age_identity as identity
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _age_key as engine
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _sops_document as document
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._sops_check import DAMAGED, MISMATCH, problems, refuse
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._sops_run import Sops

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        "path": {"type": "path"},
        "generate": {"type": "bool", "default": True},
        "post_quantum": {"type": "bool", "default": False},
        "recipient": {"type": "str"},
        "several": {"type": "bool", "default": False},
        "renew": {"type": "bool", "default": False},
        "retire": {"type": "list", "elements": "str", "default": []},
        "files": {"type": "list", "elements": "path", "default": []},
        "repair_permissions": {"type": "bool", "default": False},
        "round_trip": {"type": "bool", "default": True},
        "sops": {"type": "path", "default": "sops"},
        "age_keygen": {"type": "path", "default": "age-keygen", "no_log": False},
    },
    "supports_check_mode": True,
}


def run(task: Task) -> Result:
    """Plan and act on the key, then see that it is the right one."""
    params = task.params
    for recipient in filter(None, [params["recipient"], *params["retire"]]):
        if not identity.valid_recipient(recipient):
            raise HubspokeError(
                f"{engine.short(recipient)!r} is no recipient.", "One begins with age1, ssh-ed25519 or ssh-rsa."
            )
    wanted = engine.Wanted(
        path=params["path"] or "",
        generate=params["generate"],
        post_quantum=params["post_quantum"],
        renew=params["renew"],
        retire=tuple(params["retire"]),
        recipient=params["recipient"] or "",
        repair_permissions=params["repair_permissions"],
    )
    file = engine.KeyFile(wanted, os.environ, params["age_keygen"])
    before: tuple[str, ...] = ()
    try:
        there = identity.load(wanted.path, os.environ, params["age_keygen"])
        before = there.recipients if there else ()
    except HubspokeError:
        # Said, or repaired, below.
        there = None
    if there and params["files"]:
        _compare(params["files"], there.recipients)
    steps, key = file.apply(task.check_mode)
    after = key.recipients if key else ()
    if key:
        task.censor(*key.secrets)
        # One that was just made is kept all the same: with its recipient a colleague can add it.
        _compare(params["files"], key.recipients)
        if not (params["several"] or params["renew"] or params["retire"]):
            key = engine.chosen(key, wanted.recipient)
        if params["round_trip"]:
            sops = Sops(params["sops"], key, os.environ)
            sops.check_version()
            for recipient in key.recipients:
                sops.round_trip(recipient)
    result: Result = {
        "changed": bool(steps),
        "actions": steps,
        "source": file.source,
        "path": file.path,
        "recipients": list(key.recipients) if key else [],
        "added": next((each for each in after if each not in before), ""),
    }
    if task.diff and steps:
        result["diff"] = _difference(file, before, _after(steps, before, after, wanted, task.check_mode))
    return result


def _compare(files: list[str], recipients: t.Sequence[str]) -> None:
    """Whether the key opens each file, by what the files say."""
    found = []
    for path in files:
        item = document.read(Path(), path)
        found += [each for each in problems(item, None, recipients) if each.kind in (MISMATCH, DAMAGED)]
    refuse(found)


def _after(
    steps: list[str], before: tuple[str, ...], after: tuple[str, ...], wanted: engine.Wanted, predicted: bool
) -> tuple[str, ...]:
    if not predicted:
        return after
    kept = tuple(each for each in before if each not in wanted.retire)
    return (*kept, "a new recipient") if {engine.GENERATE, engine.RENEW} & set(steps) else kept


def _difference(file: engine.KeyFile, before: tuple[str, ...], after: tuple[str, ...]) -> dict[str, str]:
    """Recipients only."""
    header = f"recipients of {file.path}"
    texts = ["".join(f"{engine.short(each)}\n" for each in side) for side in (before, after)]
    return {"before_header": header, "after_header": header, "before": texts[0], "after": texts[1]}


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
