# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rules and files brought to other recipients, or to new data keys: all of them, or none.

sops works on copies in a folder beside, under the same relative paths, so that the same rules fit. What lies there is
always encrypted. Each copy is opened once with the key, and only when all are right do they take their places.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import typing as t
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _sops_document as document
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Progress, no_progress
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._sops_check import (
    DAMAGED,
    MISMATCH,
    NO_RULE,
    PLAINTEXT,
    TAMPERED,
    Survey,
    problems,
    refuse,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._sops_document import Document
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._sops_rules import NAME, Rules
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._sops_run import Sops

# What is done to a file
UPDATE, ROTATE, ENCRYPT = "update", "rotate", "encrypt"

# Stands for the files to come where there is none yet.
_EXAMPLE = "example.secrets.enc.yaml"


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    :arg rule: path_regex of a rule of ours, made where no rule fits all files; "" for none.
    :arg recipients: What it has at least.
    :arg encrypted_regex: Which keys a new rule encrypts; "" for all.
    :arg add: Recipients that all rules get.
    :arg remove: Recipients that no rule keeps.
    :arg rotate: New data keys for all files, not only for those that somebody could open and no longer shall.
    :arg encrypt: Encrypt files that are not.
    """

    rule: str = ""
    recipients: tuple[str, ...] = ()
    encrypted_regex: str = ""
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    rotate: bool = False
    encrypt: bool = False


def changed_rules(rules: Rules | None, wanted: Wanted, paths: t.Sequence[str], source: str = NAME) -> Rules:
    """The rules as they shall be.

    :arg paths: The files. Where rules of the user's fit them all, no rule of ours is needed.
    """
    result = rules or Rules("", source)
    ours = any(rule.path_regex == wanted.rule for rule in result.rules)
    if wanted.rule and (ours or not all(result.matching(path) for path in paths or [_EXAMPLE])):
        result = result.with_rule(wanted.rule, wanted.recipients, wanted.encrypted_regex)
    return result.adding(wanted.add).removing(wanted.remove)


def plan(documents: t.Iterable[Document], rules: Rules, wanted: Wanted) -> dict[str, list[str]]:
    """What is to be done to each file, in order; files to which nothing is are left out.

    Who loses access gets a new data key too: the old one is known to them.
    """
    steps: dict[str, list[str]] = {}
    for item in documents:
        rule = rules.matching(item.path)
        if rule is None:
            continue
        if not item.encrypted:
            if wanted.encrypt:
                steps[item.path] = [ENCRYPT]
            continue
        stale = set(rule.recipients) != set(item.recipients)
        leaves = bool(set(item.recipients) - set(rule.recipients))
        todo = ([UPDATE] if stale else []) + ([ROTATE] if wanted.rotate or leaves else [])
        if todo:
            steps[item.path] = todo
    return steps


class Change:
    """The engine of the module `sops_files`.

    :arg survey: The files as they are.
    :arg recipients: Those of the key that is there.
    """

    def __init__(
        self, survey: Survey, wanted: Wanted, recipients: t.Sequence[str], progress: Progress = no_progress
    ) -> None:
        self._survey = survey
        self._recipients = recipients
        self._progress = progress
        self.rules = changed_rules(
            survey.rules, wanted, [item.path for item in survey.documents], str(survey.root / NAME)
        )
        self.steps = plan(survey.documents, self.rules, wanted)
        # What a change cannot cure, and would only bury.
        grave = {DAMAGED, NO_RULE, MISMATCH, TAMPERED, *(() if wanted.encrypt else (PLAINTEXT,))}
        refuse(
            [
                problem
                for item in survey.documents
                for problem in problems(item, self.rules.matching(item.path), recipients)
                if problem.kind in grave
            ]
        )

    @property
    def rules_changed(self) -> bool:
        """Whether `.sops.yaml` is written."""
        return self.rules.text != (self._survey.rules.text if self._survey.rules else "")

    def apply(self, sops: Sops) -> None:
        """Do it aside, look at the result, and put it in place."""
        root = self._survey.root
        try:
            aside = Path(tempfile.mkdtemp(prefix=".sops-change.", dir=root))
        except OSError as error:
            raise HubspokeError(
                f"{root} cannot be written to: {error.strerror}.", "Give yourself that right."
            ) from error
        try:
            (aside / NAME).write_text(self.rules.text, encoding="utf-8")
            self._stage(sops, aside)
            self._put(root, aside)
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def _stage(self, sops: Sops, aside: Path) -> None:
        done = 0

        def one(path: str) -> HubspokeError | None:
            nonlocal done
            try:
                self._stage_one(sops, aside, path)
            except HubspokeError as error:
                return error
            done += 1
            self._progress(f"{path}: {' and '.join(self.steps[path])} ({done} of {len(self.steps)})")
            return None

        with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
            failed = [error for error in pool.map(one, self.steps) if error]
        if len(failed) == 1:
            raise failed[0]
        if failed:
            lines = "\n".join(f"  {error}" for error in failed)
            raise HubspokeError(f"{len(failed)} of {len(self.steps)} files failed; nothing was changed:\n{lines}")

    def _stage_one(self, sops: Sops, aside: Path, path: str) -> None:
        copy = aside / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        if ENCRYPT not in self.steps[path]:
            shutil.copy2(self._survey.root / path, copy)
        actions: Mapping[str, t.Callable[[], None]] = {
            ENCRYPT: lambda: self._encrypt(sops, aside, path),
            UPDATE: lambda: sops.update_keys(aside, path),
            ROTATE: lambda: sops.rotate(aside, path),
        }
        for step in self.steps[path]:
            actions[step]()
        fresh, rule = document.read(aside, path), self.rules.matching(path)
        if rule is None or not fresh.encrypted or set(fresh.recipients) != set(rule.recipients):
            raise HubspokeError(f"{path}: sops did not bring it to the recipients of {NAME}.", "Nothing was changed.")
        if fresh.others or set(fresh.recipients) & set(self._recipients):
            sops.decrypt(aside, path)

    def _encrypt(self, sops: Sops, aside: Path, path: str) -> None:
        original = self._survey.root / path
        (aside / path).write_bytes(sops.encrypted(aside, path, original.read_bytes()))
        shutil.copymode(original, aside / path)

    def _put(self, root: Path, aside: Path) -> None:
        """The files first, then the rules: a run that is killed between finds them stale, and goes on."""
        try:
            for path in self.steps:
                os.replace(aside / path, root / path)
            if self.rules_changed:
                if (root / NAME).exists():
                    shutil.copymode(root / NAME, aside / NAME)
                os.replace(aside / NAME, root / NAME)
        except OSError as error:
            raise HubspokeError(f"{error.filename} cannot be written: {error.strerror}.", "Run again.") from error
