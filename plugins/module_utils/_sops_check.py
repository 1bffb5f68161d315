# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every file that has to be encrypted: is it, for whom it should be, and does it open."""

from __future__ import annotations

import os
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _sops_document as document
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._age_key import short
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._sops_document import Document
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._sops_rules import NAME, Rule, Rules
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._sops_run import NO_KEY, Sops, SopsError

RESTORE = (
    "Restore yours from its backup. Whoever has none yet: age-keygen -o ~/.config/sops/age/keys.txt, then let one of them add "
    "you: make secrets-rotate ADD=age1..."
)
"""What to do without a private key."""

# Kinds of problems
DAMAGED, PLAINTEXT, NO_RULE, STALE, MISMATCH, TAMPERED = (
    "damaged",
    "plaintext",
    "no rule",
    "recipients",
    "key",
    "tampered",
)


@dataclass(frozen=True)
class Problem:
    """What is wrong with one file.

    :arg found: A clause without a full stop; never holds a value of the file.
    """

    path: str
    kind: str
    found: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}: {self.found}. {self.remedy}"


@dataclass
class Survey:
    """The files below a folder.

    :arg rules: The rules of its `.sops.yaml`; None where there is none.
    """

    root: Path
    rules: Rules | None
    documents: list[Document] = field(default_factory=list)

    @classmethod
    def of(cls, root: Path, patterns: t.Iterable[str], only: t.Container[str] | None = None) -> Survey:
        """Read the rules and all files of such names, or those of them that are named."""
        paths = [path for path in document.found(root, patterns) if only is None or path in only]
        return cls(root, load_rules(root), [document.read(root, path) for path in paths])

    def rule(self, path: str) -> Rule | None:
        """The rule for a file."""
        return self.rules.matching(path) if self.rules else None

    def problems(self, recipients: t.Sequence[str] | None) -> list[Problem]:
        """Everything that can be told without decrypting.

        :arg recipients: Those of the key that is there; None where it does not matter.
        """
        return [each for item in self.documents for each in problems(item, self.rule(item.path), recipients)]

    def opened(self, sops: Sops, paths: t.Iterable[str]) -> list[Problem]:
        """Decrypt files, which looks at their MACs too, and keep nothing of it; several at a time."""

        def attempt(path: str) -> Problem | None:
            try:
                sops.decrypt(self.root, path)
            except SopsError as error:
                return Problem(path, MISMATCH if error.code == NO_KEY else TAMPERED, error.cause, error.remedy)
            return None

        with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
            return [problem for problem in pool.map(attempt, paths) if problem]


def load_rules(root: Path) -> Rules | None:
    """The rules for the files below a folder, None where there are none."""
    path = root / NAME
    try:
        return Rules(path.read_text(encoding="utf-8"), str(path)) if path.exists() else None
    except (OSError, UnicodeDecodeError) as error:
        raise HubspokeError(f"{path} cannot be read.", "Give yourself that right.") from error


def problems(item: Document, rule: Rule | None, recipients: t.Sequence[str] | None) -> t.Iterator[Problem]:
    """What is wrong with one file, as far as it tells without being decrypted."""
    if item.problem:
        yield Problem(item.path, DAMAGED, item.problem, "Take it back out of git, or encrypt it anew.")
        return
    if not item.encrypted:
        remedy = f"Encrypt it: make secrets-encrypt FILE={item.path}. If it was committed, its values are known by now."
        yield Problem(item.path, PLAINTEXT, "is not encrypted", remedy)
    elif item.plaintext:
        names = ", ".join(item.plaintext[:3]) + (" ..." if len(item.plaintext) > 3 else "")
        remedy = "Take the file back out of git, and make the change by make secrets-edit FILE=" + item.path
        yield Problem(item.path, PLAINTEXT, f"has values in plaintext: {names}", f"{remedy}.")
    if rule is None:
        remedy = "Add a rule whose path_regex fits, or give it another name."
        yield Problem(item.path, NO_RULE, f"no rule of {NAME} fits it", remedy)
    if not item.encrypted:
        return
    if not item.mac:
        yield Problem(item.path, TAMPERED, "has no MAC", "Take it back out of git.")
    if rule and set(rule.recipients) != set(item.recipients):
        yield Problem(item.path, STALE, _stale(rule, item), "Bring it up to date: make secrets-rotate.")
    # One of other kinds may open it too, which only sops can tell.
    if recipients is not None and not item.others and not set(recipients) & set(item.recipients):
        theirs = ", ".join(map(short, item.recipients)) or "nobody"
        if recipients:
            mine = f"your key is that of {', '.join(map(short, recipients))}"
            remedy = f"Use the key of one of them, or let one of them add you: make secrets-rotate ADD={recipients[0]}."
        else:
            mine, remedy = "there is no private key", RESTORE
        yield Problem(item.path, MISMATCH, f"is encrypted for {theirs}; {mine}", remedy)


def _stale(rule: Rule, item: Document) -> str:
    missing = [short(each) for each in rule.recipients if each not in item.recipients]
    more = [short(each) for each in item.recipients if each not in rule.recipients]
    parts = [f"{word} {', '.join(names)}" for word, names in (("not for", missing), ("still for", more)) if names]
    return f"is {' and '.join(parts)}, other than {rule.label} of {NAME} says"


def refuse(found: t.Sequence[Problem]) -> None:
    """One failure for all that was found.

    :raises HubspokeError: something was.
    """
    if len(found) == 1:
        raise HubspokeError(f"{found[0].path}: {found[0].found}.", found[0].remedy)
    if found:
        lines = "\n".join(f"  {problem}" for problem in found)
        raise HubspokeError(f"{len(found)} problems with encrypted files; nothing was changed:\n{lines}")
