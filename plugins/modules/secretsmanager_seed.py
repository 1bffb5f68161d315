#!/usr/bin/python
# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module secretsmanager_seed: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: secretsmanager_seed
short_description: Give a secret of AWS Secrets Manager its first value
version_added: "0.1.0"
description:
  - Makes the secret where there is none, and gives a value to one that has none yet.
  - It never takes the place of a newer value. Newer is whatever somebody else wrote, by a rotation, on the console or by a
    PushSecret. Versions that this module writes have ids that begin with C(hubspoke-seed-); a secret whose current version
    has another id stays as it is, with a warning where its value is another. No clocks are compared.
  - As long as the current version is the module's own, a changed O(value) becomes a new version of it. AWS itself refuses that
    where another has become the current one meanwhile.
  - JSON is compared by what it means. The value is kept out of all output.
  - Needs the rights C(secretsmanager:DescribeSecret), C(GetSecretValue), C(CreateSecret), C(PutSecretValue),
    C(UpdateSecretVersionStage), and with O(tags) C(TagResource).
author:
  - hubspoke.bootstrap contributors (@hubspoke)
options:
  name:
    description: Name of the secret.
    type: str
    required: true
  value:
    description: Its first value. A text is stored as it is, anything else as JSON.
    type: raw
    required: true
  description:
    description: Description of a secret that is made.
    type: str
  kms_key_id:
    description: The key that encrypts a secret that is made. The default is AWS's own.
    type: str
  tags:
    description: Tags of a secret that is made.
    type: dict
    aliases: [resource_tags]
extends_documentation_fragment:
  - hubspoke.bootstrap.attributes
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
seealso:
  - module: hubspoke.bootstrap.external_secrets_info
"""

EXAMPLES = r"""
- name: What the applications need to start
  hubspoke.bootstrap.secretsmanager_seed:
    region: ap-northeast-2
    name: wealist/prod/shared
    value: "{{ shared_secrets }}"
"""

RETURN = r"""
action:
  description: One of V(created), V(updated), V(unchanged) and V(kept), in check mode what would be done.
  returned: success
  type: str
  sample: kept
secret:
  description: The secret.
  returned: success
  type: dict
  contains:
    name:
      description: As the option.
      type: str
    arn:
      description: Its ARN, empty where it is yet to be made.
      type: str
    version:
      description: Id of its current version, empty where that is yet to come.
      type: str
"""

import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _secretsmanager_seed as engine
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws import CONNECTION_SPEC, Aws
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Module, Result, Task, execute
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._redact import REDACTED, REDACTED_CHANGED

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        **CONNECTION_SPEC,
        "name": {"type": "str", "required": True},
        # Not no_log: that would censor every short word in it wherever else that stands.
        "value": {"type": "raw", "required": True},
        "description": {"type": "str"},
        "kms_key_id": {"type": "str"},
        "tags": {"type": "dict", "aliases": ["resource_tags"]},
    },
    "supports_check_mode": True,
}


def run(task: Task) -> Result:
    """Wire arguments to the engine."""
    params = task.params
    text = engine.text_of(params["value"])
    task.censor(*engine.telling(params["value"], text))
    aws = Aws(params)
    seed = engine.Seed(aws.service("secretsmanager"), params["name"], text, params)
    action, found = seed.apply(task.check_mode)
    if action == engine.KEEP:
        task.warn(
            f"The secret {params['name']} in {aws.region} has another value than its seed, written by somebody else "
            f"(version {found.version if found else ''}); it stays."
        )
    changed = action in (engine.CREATE, engine.UPDATE)
    known = found if found and not (task.check_mode and changed) else None
    result: Result = {
        "changed": changed,
        "action": action,
        "secret": {
            "name": params["name"],
            "arn": found.arn if found else "",
            "version": known.version if known else "",
        },
    }
    if task.diff and changed:
        header = f"secret {params['name']}"
        before = "" if action == engine.CREATE else f"value: {REDACTED}\n"
        after = f"value: {REDACTED if action == engine.CREATE else REDACTED_CHANGED}\n"
        result["diff"] = {"before_header": header, "after_header": header, "before": before, "after": after}
    return aws.with_calls(result, params)


def main() -> None:
    """Run as a module."""
    execute(Module(**SPEC), run)


if __name__ == "__main__":
    main()
