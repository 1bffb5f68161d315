# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every check and test, in one list that `make`, pre-commit and CI share.

  tests/run.py              all
  tests/run.py lint         one group (lint, unit, integration, molecule)
  tests/run.py ruff types   single steps
  tests/run.py --list       what there is

All steps are run, whatever fails, two side by side where more than one is asked for; each one's output is then shown
when it ends, in one piece. At the end stands a table, and the exit code is not 0 if one of them failed.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import os
import pathlib
import re
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BIN = ROOT / ".venv/bin"
PYTHON = str(BIN / "python")
PYTEST = (PYTHON, "-m", "pytest", "-n2")
BY_FILE = ("--dist=loadfile", "--no-loadscope-reorder")
"""Else the files with the fewest tests come last, which are those that take longest."""
PYTEST_END = re.compile(r"\d+ (passed|failed|skipped|error).* in [\d.]+s")
LANES = 2
"""How many steps run at once: half of the time of the long ones is waiting for clusters."""
SAYING = threading.Lock()
SCRIPTS = (
    ".ci/run",
    *sorted(str(path.relative_to(ROOT)) for part in ("tests", "toolchain") for path in (ROOT / part).rglob("*.sh")),
)
"""Of the shell."""
SKIPPED = 77
"""Exit code of a step that says why it could not be tried here."""


@dataclasses.dataclass(frozen=True)
class Step:
    """One command."""

    name: str
    group: str
    command: tuple[str, ...]
    needs: str = ""
    """A step without which this one cannot succeed."""


STEPS = (
    Step("ruff", "lint", ("ruff", "check", ".")),
    Step("format", "lint", ("ruff", "format", "--check", ".")),
    Step("yaml", "lint", ("yamllint", "--strict", ".")),
    Step("shell", "lint", ("shellcheck", *SCRIPTS)),
    Step("plaintext", "lint", (PYTHON, "toolchain/no_plaintext.py")),
    Step("changelog", "lint", ("antsibull-changelog", "lint")),
    Step("readmes", "lint", (PYTHON, "tests/readmes.py", "--check")),
    Step("types", "lint", ("mypy", ".venv/collections/ansible_collections/hubspoke/bootstrap/plugins")),
    Step("tools", "integration", ("ansible", "localhost", "-m", "hubspoke.bootstrap.toolchain")),
    # Before the shorter ones, so that it does not end alone.
    Step("integration", "integration", (*PYTEST, *BY_FILE, "tests/integration"), needs="tools"),
    Step("unit", "unit", (*PYTEST, "tests/unit")),
    Step("ansible-lint", "lint", ("ansible-lint", "--nocolor")),
    Step("sanity", "lint", (PYTHON, "tests/sanity/run.py")),
    Step("eks", "molecule", (PYTHON, "tests/scenario.py", "eks"), needs="tools"),
    Step("kind", "molecule", (PYTHON, "tests/scenario.py", "kind"), needs="tools"),
    Step("registration", "molecule", (PYTHON, "tests/scenario.py", "registration"), needs="tools"),
    Step("secrets", "molecule", (PYTHON, "tests/scenario.py", "secrets"), needs="tools"),
    Step("default", "molecule", (PYTHON, "tests/scenario.py", "default"), needs="tools"),
)


@dataclasses.dataclass
class Outcome:
    """How a step went."""

    step: Step
    verdict: str
    seconds: float
    closing: str


def environment() -> dict[str, str]:
    """The checkout's own Python and configuration first, whatever the caller has set."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    return {
        **kept,
        "PATH": f"{BIN}:{os.environ.get('PATH', '')}",
        "VIRTUAL_ENV": str(BIN.parent),
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
    }


def run(step: Step, heading: str, alone: bool) -> Outcome:
    """Run one step, keeping pytest's closing line, or else the last one.

    Its output is shown as it comes if nothing else runs, else when it ends.
    """
    say(f"{heading}: {' '.join(_short(word) for word in step.command)}")
    start = time.monotonic()
    output: list[str] = []
    closing = ""
    with subprocess.Popen(
        step.command,
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout
        for line in process.stdout:
            if alone:
                print(line, end="", flush=True)
            else:
                output.append(line)
            if line.strip() and (PYTEST_END.search(line) or not PYTEST_END.search(closing)):
                closing = line.strip()
    outcome = Outcome(
        step,
        {0: "ok", SKIPPED: "skipped"}.get(process.returncode, "FAILED"),
        time.monotonic() - start,
        closing.strip("= "),
    )
    if not alone:
        say(f"{heading}, {outcome.verdict} after {outcome.seconds:.0f} s:", "".join(output))
    return outcome


def run_all(steps: list[Step]) -> list[Outcome]:
    """Begin the steps in their order, LANES of them at a time; one that needs another waits for it."""
    futures: dict[str, concurrent.futures.Future[Outcome]] = {}

    def attempt(number: int, step: Step) -> Outcome:
        needed = futures.get(step.needs)
        if needed and needed.result().verdict != "ok":
            return Outcome(step, "FAILED", 0, f"not tried, because {step.needs} failed")
        return run(step, f"[{number}/{len(steps)}] {step.name}", alone=len(steps) == 1)

    with concurrent.futures.ThreadPoolExecutor(LANES) as lanes:
        try:
            for number, step in enumerate(steps, 1):
                futures[step.name] = lanes.submit(attempt, number, step)
            return [future.result() for future in futures.values()]
        except BaseException:
            # An interrupt ends what runs, and nothing else is begun.
            lanes.shutdown(wait=False, cancel_futures=True)
            raise


def _short(word: str) -> str:
    return word.removeprefix(f"{BIN}/")


def say(heading: str, text: str = "") -> None:
    """A heading, and what stands below it, in one piece whatever is said meanwhile."""
    with SAYING:
        print(f"\n=== {heading}\n{text}", end="", flush=True)


def summary(outcomes: list[Outcome], seconds: float) -> None:
    """The table at the end."""
    say("summary")
    width = max(len(outcome.step.name) for outcome in outcomes)
    for outcome in outcomes:
        print(f"{outcome.step.name:{width}}  {outcome.verdict:7}  {outcome.seconds:6.1f} s  {outcome.closing[:100]}")
    failed = [outcome.step.name for outcome in outcomes if outcome.verdict == "FAILED"]
    print(f"\n{len(outcomes)} steps in {seconds:.0f} s: " + (f"FAILED: {', '.join(failed)}" if failed else "all well"))


def chosen(words: list[str]) -> list[Step]:
    """The steps that the words name, by group or by their own name."""
    known = {step.name for step in STEPS} | {step.group for step in STEPS}
    unknown = [word for word in words if word not in known]
    if unknown:
        sys.exit(f"tests/run.py: there is no {', '.join(unknown)}; there are {', '.join(sorted(known))}.")
    return [step for step in STEPS if not words or step.name in words or step.group in words]


def main() -> int:
    """Run what is asked for."""
    if sys.argv[1:] == ["--list"]:
        for step in STEPS:
            print(f"{step.group:12} {step.name:13} {' '.join(map(_short, step.command))}")
        return 0
    steps = chosen(sys.argv[1:])
    start = time.monotonic()
    outcomes = run_all(steps)
    summary(outcomes, time.monotonic() - start)
    return int(any(outcome.verdict == "FAILED" for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
