# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Changes to `.sops.yaml`: what is asked for, and not one character more."""

from __future__ import annotations

import pytest
import yaml

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._sops_rules import Rules

ONE, TWO, THREE = (f"age1{letter * 58}" for letter in "qpz")
SSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample"

FORMS = {
    "plain": "creation_rules:\n  - path_regex: a  # mine\n    age: {0},{1}  # team\n  # last words\n",
    "quoted": 'creation_rules:\n- age: "{0}, {1}"\n',
    "folded": "creation_rules:\n  - path_regex: a\n    age: >-\n      {0},\n      {1}\n\n# the end\n",
    "several lines": "creation_rules:\n  - path_regex: a\n    age: {0},\n      {1}\nstores: {{}}\n",
    "list": "creation_rules:\n  - age:\n      - {0}  # laptop\n      - {1}\n    path_regex: a\n",
    "list at the margin": "creation_rules:\n- age:\n  - {0}\n  - {1}\n",
    "flow": "creation_rules: [{{age: [{0}, {1}]}}]\n",
    "group": "creation_rules:\n  - key_groups:\n    - age:\n      - {0}\n      - {1}\n      kms:\n      - arn: x\n",
    "group in one line": "creation_rules:\n  - key_groups:\n    - age: [{0}, {1}]\n",
    "no newline at the end": "creation_rules:\n  - age:\n      - {0}\n      - {1}",
}


def recipients(text: str) -> list[tuple[str, ...]]:
    return [rule.recipients for rule in Rules(text).rules]


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("third", [THREE, SSH])
def test_a_recipient_more_and_one_less(form: str, third: str) -> None:
    before = form.format(ONE, TWO)
    more = Rules(before).adding([third])
    assert recipients(more.text) == [(ONE, TWO, third)]
    assert more.removing([third]).text.rstrip("\n") == before.rstrip("\n")
    for gone, left in ((ONE, (TWO, third)), (TWO, (ONE, third))):
        less = more.removing([gone])
        assert recipients(less.text) == [left]
        # A comment behind a recipient in a line of its own goes with it.
        kept = [line for line in more.text.splitlines() if not line.strip().startswith(f"- {gone}")]
        assert _comments(less.text) == _comments("\n".join(kept))


def _comments(text: str) -> list[str]:
    return [line.partition("#")[2] for line in text.splitlines() if "#" in line]


@pytest.mark.parametrize("form", ["age: {0}", "age:\n      - {0}", "age: >-\n      {0}", "age: [{0}]"])
def test_the_second_recipient(form: str) -> None:
    text = "creation_rules:\n  - " + form.format(ONE) + "\n    path_regex: b\n"
    assert recipients(Rules(text).adding([TWO]).text) == [(ONE, TWO)]


def test_anchors_are_followed_and_kept() -> None:
    keys = f"keys:\n  - &me {ONE}  # me\n  - &you {TWO}\n"
    text = f"{keys}creation_rules:\n  - key_groups:\n      - age:\n          - *me\n          - *you\n"
    assert recipients(text) == [(ONE, TWO)]
    more = Rules(text).adding([THREE])
    assert more.text == f"{text}          - {THREE}\n"
    less = more.removing([TWO])
    assert recipients(less.text) == [(ONE, THREE)]
    assert less.text == text.replace("          - *you\n", f"          - {THREE}\n")


def test_a_list_shared_by_an_anchor_is_left_to_its_owner() -> None:
    text = f"team: &team [{ONE}]\ncreation_rules:\n  - age: *team\n  - path_regex: x\n    age: *team\n"
    with pytest.raises(HubspokeError, match="by hand"):
        Rules(text).adding([TWO])


def test_nobody_is_locked_out() -> None:
    with pytest.raises(HubspokeError, match="nobody could open"):
        Rules(f"creation_rules:\n  - age: {ONE}\n").removing([ONE])
    kms = f"creation_rules:\n  - age: {ONE},{TWO}\n    kms: arn:aws:kms:x\n"
    assert Rules(kms).removing([ONE]).rules[0].others


def test_several_key_groups_are_not_guessed_at() -> None:
    text = f"creation_rules:\n  - key_groups:\n      - age: [{ONE}]\n      - age: [{TWO}]\n"
    with pytest.raises(HubspokeError, match="several key groups"):
        Rules(text).adding([THREE])


def test_a_file_of_rules_is_made() -> None:
    made = Rules("").with_rule(r"\.secrets\.enc\.(yaml|json)$", [ONE, TWO], "^(data|stringData)$")
    assert yaml.safe_load(made.text) == {
        "creation_rules": [
            {
                "path_regex": r"\.secrets\.enc\.(yaml|json)$",
                "encrypted_regex": "^(data|stringData)$",
                "age": f"{ONE},{TWO}",
            }
        ]
    }
    assert made.with_rule(r"\.secrets\.enc\.(yaml|json)$", [ONE]) is made
    assert recipients(made.with_rule(r"\.secrets\.enc\.(yaml|json)$", [THREE]).text) == [(ONE, TWO, THREE)]


MINE = f"""# The team's own words
stores:
  yaml: {{indent: 2}}
creation_rules:
  # production has its own key
  - path_regex: ^prod/
    pgp: FBC7B9E2A4F9289AC0C1D4843D16CEE4A27381B4

  # everything else
  - age: {ONE}
"""


def test_our_rule_comes_before_one_for_everything_and_all_else_stays() -> None:
    changed = Rules(MINE).with_rule(r"\.secrets\.enc\.yaml$", [TWO])
    added = f"  - path_regex: '\\.secrets\\.enc\\.yaml$'\n    age: {TWO}\n"
    assert changed.text == MINE.replace("  # everything else", f"{added}  # everything else")
    matching = changed.matching("dev/a.secrets.enc.yaml")
    assert matching
    assert matching.recipients == (TWO,)


@pytest.mark.parametrize("text", ["stores: {}", "# nothing yet\n", "creation_rules: []\n", "creation_rules:\n"])
def test_where_there_is_no_rule_yet(text: str) -> None:
    changed = Rules(text).with_rule("x", [ONE])
    assert recipients(changed.text) == [(ONE,)]
    assert "#" not in text or text in changed.text


def test_the_first_that_fits() -> None:
    rules = Rules(f"creation_rules:\n  - path_regex: ^dev/\n    age: {ONE}\n  - path_regex: enc\n    age: {TWO}\n")
    assert [rule and rule.number for rule in map(rules.matching, ("dev/enc", "prod/enc", "other"))] == [1, 2, None]


@pytest.mark.parametrize(
    "text", ["[", "creation_rules: 3", "- a", "creation_rules: [a]", "creation_rules: [{path_regex: '['}]"]
)
def test_what_sops_would_not_read(text: str) -> None:
    with pytest.raises(HubspokeError, match=r"\.sops\.yaml"):
        Rules(text)
