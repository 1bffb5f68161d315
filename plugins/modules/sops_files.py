#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module sops_files: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sops_files
short_description: Who can open the encrypted files of a folder
version_added: "0.1.0"
description:
  - Keeps a creation rule in C(.sops.yaml), adds recipients to its rules and removes them, and brings every encrypted file of
    the folder to what the rules say. Rules of others, comments and the way they are written stay.
  - A file from which a recipient is taken gets a new data key as well, since that recipient may know the old one.
  - All or nothing. Files are worked on as encrypted copies, each is opened once with the key, and only when all are right do
    they take their places.
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options:
  rule:
    description:
      - C(path_regex) of a rule that is made where the rules that are there do not fit all the files. It is put before a rule
        for everything.
    type: str
  recipients:
    description: Recipients that the O(rule) has at least.
    type: list
    elements: str
    default: []
  encrypted_regex:
    description: Which keys a new O(rule) has encrypted, V(^(data|stringData\)$) for manifests of Secrets for example.
    type: str
  add:
    description: Recipients that every rule with recipients of age gets.
    type: list
    elements: str
    default: []
  remove:
    description: Recipients that no rule keeps.
    type: list
    elements: str
    default: []
  rotate:
    description: New data keys for all files. Each run makes new ones.
    type: bool
    default: false
  encrypt:
    description: Encrypt files that are not, instead of refusing to go on.
    type: bool
    default: false
extends_documentation_fragment:
  - hubspoke.bootstrap.sops
  - hubspoke.bootstrap.sops.patterns
  - hubspoke.bootstrap.attributes
seealso:
  - module: hubspoke.bootstrap.sops_files_info
  - module: hubspoke.bootstrap.age_key
"""

EXAMPLES = r"""
- name: Files of such names are encrypted for me
  hubspoke.bootstrap.sops_files:
    root: /srv/platform
    rule: \.secrets\.enc\.(ya?ml|json|env|ini)$
    recipients: "{{ key.recipients }}"

- name: A colleague joins, a laptop was lost
  hubspoke.bootstrap.sops_files:
    root: /srv/platform
    add: [age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg]
    remove: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p]
    rotate: true
"""

RETURN = r"""
files:
  description: Files that were changed, or would be, and what was done to each, of V(encrypt), V(update), V(rotate).
  returned: success
  type: dict
  sample: {config/dev/trip.secrets.enc.yaml: [update, rotate]}
rules_changed:
  description: Whether C(.sops.yaml) was changed, or would be.
  returned: success
  type: bool
count:
  description: How many files there are.
  returned: success
  type: int
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _age_identity as identity
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _sops_arguments as arguments
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._age_key import short
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._sops_change import Change, Wanted
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._sops_check import Survey
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._sops_rules import NAME

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        **arguments.SPEC,
        **arguments.PATTERNS_SPEC,
        "rule": {"type": "str"},
        "recipients": {"type": "list", "elements": "str", "default": []},
        "encrypted_regex": {"type": "str"},
        "add": {"type": "list", "elements": "str", "default": []},
        "remove": {"type": "list", "elements": "str", "default": []},
        "rotate": {"type": "bool", "default": False},
        "encrypt": {"type": "bool", "default": False},
    },
    "supports_check_mode": True,
    "required_by": {"rule": ["recipients"]},
}


def run(task: Task) -> Result:
    """Read, plan, act."""
    params = task.params
    for recipient in [*params["recipients"], *params["add"], *params["remove"]]:
        if not identity.valid_recipient(recipient):
            raise HubspokeError(
                f"{short(recipient)!r} is no recipient.",
                "One begins with age1, ssh-ed25519 or ssh-rsa; a character of it may be wrong.",
            )
    found = arguments.tools(task)
    wanted = Wanted(
        rule=params["rule"] or "",
        recipients=tuple(params["recipients"]),
        encrypted_regex=params["encrypted_regex"] or "",
        add=tuple(params["add"]),
        remove=tuple(params["remove"]),
        rotate=params["rotate"],
        encrypt=params["encrypt"],
    )
    survey = arguments.survey(params, found.root)
    known = {each for item in survey.documents for each in item.recipients}
    known |= {each for rule in (survey.rules.rules if survey.rules else []) for each in rule.recipients}
    for recipient in sorted(set(wanted.remove) - known):
        task.warn(f"Nothing is encrypted for {short(recipient)}, which is to be removed. Is it the right one?")
    change = Change(survey, wanted, found.recipients, task.progress)
    changed = change.rules_changed or bool(change.steps)
    if changed and not task.check_mode:
        change.apply(found.sops)
    result: Result = {
        "changed": changed,
        "rules_changed": change.rules_changed,
        "files": change.steps,
        "count": len(survey.documents),
    }
    if task.diff and changed:
        result["diff"] = _differences(survey, change)
    return result


def _differences(survey: Survey, change: Change) -> list[dict[str, str]]:
    """The rules as text, the files as their recipients."""
    found = []
    if change.rules_changed:
        found.append((NAME, survey.rules.text if survey.rules else "", change.rules.text))
    before = {item.path: item for item in survey.documents}
    for path, steps in change.steps.items():
        rule = change.rules.matching(path)
        old = "".join(f"{short(each)}\n" for each in before[path].keys)
        new = "".join(f"{short(each)}\n" for each in (*(rule.recipients if rule else ()), *before[path].others))
        found.append((path, old, new + ("a new data key\n" if "rotate" in steps else "")))
    return [{"before_header": n, "after_header": n, "before": old, "after": new} for n, old, new in found]


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
