#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module sops_files_info: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sops_files_info
short_description: Whether the encrypted files of a folder are, for whom, and whether they open
version_added: "0.1.0"
description:
  - Looks at every file that has to be encrypted. Is it, is a value in it not, does a rule of C(.sops.yaml) fit it, is it for
    those whom the rule names, and does the key that is there open it.
  - With O(decrypt) each is decrypted, which compares its MAC; what is in it is not kept.
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options:
  decrypt:
    description: Whether files are decrypted. Without it, no key and no sops are needed.
    type: bool
    default: true
  decrypted_later:
    description:
      - Files that O(decrypt) passes over, because they are decrypted right after this, as M(hubspoke.bootstrap.sops_secrets) does
        with those that changed before it writes anything. All else about them is looked at.
    type: list
    elements: path
    default: []
  fail:
    description: Whether a problem is a failure, all problems in one message; else they are only returned.
    type: bool
    default: true
extends_documentation_fragment:
  - hubspoke.bootstrap.sops
  - hubspoke.bootstrap.sops.patterns
  - hubspoke.bootstrap.attributes.info_module
seealso:
  - module: hubspoke.bootstrap.sops_files
"""

EXAMPLES = r"""
- name: Everything is encrypted, for the right people, and whole
  hubspoke.bootstrap.sops_files_info:
    root: /srv/platform

- name: Is anything in plaintext? Needs no key
  hubspoke.bootstrap.sops_files_info:
    root: /srv/platform
    decrypt: false
"""

RETURN = r"""
files:
  description: Every file.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: Relative to the folder.
      type: str
    encrypted:
      description: Whether it is.
      type: bool
    recipients:
      description: Those of age that can open it.
      type: list
      elements: str
    others:
      description: Keys of other kinds that can open it, such as those of a KMS.
      type: list
      elements: str
problems:
  description: What is wrong.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The file.
      type: str
    kind:
      description: V(damaged), V(plaintext), V(no rule), V(recipients), V(key) or V(tampered).
      type: str
    found:
      description: What was found.
      type: str
    remedy:
      description: What to do.
      type: str
recipients:
  description: Those of the key that is there.
  returned: success
  type: list
  elements: str
"""

import typing as t
from dataclasses import asdict

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _sops_arguments as arguments
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _sops_check as check
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        **arguments.SPEC,
        **arguments.PATTERNS_SPEC,
        "decrypt": {"type": "bool", "default": True},
        "decrypted_later": {"type": "list", "elements": "path", "default": []},
        "fail": {"type": "bool", "default": True},
    },
    "supports_check_mode": True,
}


def run(task: Task) -> Result:
    """Read the files, then open those with which nothing is wrong so far and that nobody opens anyway."""
    params = task.params
    found = arguments.tools(task, checked=params["decrypt"])
    survey = arguments.survey(params, found.root)
    problems = survey.problems(found.recipients if params["decrypt"] else None)
    if params["decrypt"]:
        passed = {problem.path for problem in problems if problem.kind != check.STALE}
        passed |= {arguments.relative(found.root, path) for path in params["decrypted_later"]}
        problems += survey.opened(found.sops, [item.path for item in survey.documents if item.path not in passed])
    if params["fail"]:
        check.refuse(problems)
    return {
        "changed": False,
        "recipients": list(found.recipients),
        "problems": [asdict(problem) for problem in problems],
        "files": [
            {
                "path": item.path,
                "encrypted": item.encrypted,
                "recipients": list(item.recipients),
                "others": list(item.others),
            }
            for item in survey.documents
        ],
    }


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
