# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Preflight's own vocabulary: what a check is given, what it answers, and how the answers are shown.

A check is a function from a survey (the hosts and their variables) and a probe (the only way to the
machine and the network) to findings. It never raises for something the user can act on: everything that
is wrong is to be reported at once, so each check goes on past what another one already reports. A
variable whose value does not fit its argument spec has no value here (`Host.get` gives None), and the
checks that need it leave that host out.
"""

from __future__ import annotations

import textwrap
import typing as t
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

Verdict = t.Literal["ok", "warn", "fail"]

_ORDER: dict[str, int] = {"fail": 0, "warn": 1, "ok": 2}
_HOSTS_SHOWN = 3
_WIDTH = 110


@dataclass(frozen=True)
class Finding:
    """One answer of one check.

    :arg check: Name of the check, as the table shows it.
    :arg found: What was found, a clause without a full stop.
    :arg variable: The variable that decides it, and the place to put it right.
    :arg remedy: What to do, as a sentence; every finding that is not ok has one.
    :arg hosts: The inventory hosts it is about; none where it is about the machine or the whole inventory.
    """

    check: str
    found: str
    verdict: Verdict = "ok"
    variable: str = ""
    remedy: str = ""
    hosts: tuple[str, ...] = ()

    def public(self) -> dict[str, t.Any]:
        """As the result carries it."""
        return {
            "check": self.check,
            "found": self.found,
            "verdict": self.verdict,
            "variable": self.variable,
            "remedy": self.remedy,
            "hosts": list(self.hosts),
        }


@dataclass(frozen=True)
class Host:
    """One inventory host.

    :arg values: Its variables that the argument specs know and that fit them, as the type the spec asks for,
        completed with the defaults.
    :arg given: Names of those that the inventory itself gives.
    :arg provider: Who makes its cluster (k3d, kind, kwok, eks, existing); "" where that cannot be said.
    :arg reason: Why this provider, where the inventory leaves the choice.
    :arg record: What the state folder knows of its cluster; None where it knows nothing.
    :arg in_look_alike: Whether it is a look-alike on this machine that answers for AWS.
    """

    name: str
    values: Mapping[str, t.Any] = field(default_factory=dict)
    given: frozenset[str] = frozenset()
    provider: str = ""
    reason: str = ""
    record: t.Any = None
    in_look_alike: bool = False

    def get(self, name: str) -> t.Any:
        """Value of a variable, None where it has none or an unusable one."""
        return self.values.get(name)

    def text(self, name: str) -> str:
        """Value of a variable that is a text, "" where it has none."""
        value = self.values.get(name)
        return value if isinstance(value, str) else ""

    @property
    def adopted(self) -> bool:
        """Whether its cluster is used as it is."""
        return self.text("cluster_state") == "adopted"

    @property
    def simulated(self) -> bool:
        """Whether its nodes are simulated, and its Argo CD runs as processes of this machine."""
        return self.provider == "kwok" or (self.provider == "eks" and self.in_look_alike)

    @property
    def argocd_by_aws(self) -> bool:
        """Whether AWS is to run Argo CD, if this is the hub."""
        return self.text("argocd_provider") == "eks_capability"

    @property
    def cluster(self) -> str:
        """Name of the host's cluster."""
        return self.text("cluster_name") or self.name


@dataclass(frozen=True)
class Survey:
    """What every check is given.

    :arg hosts: The hosts of the play.
    :arg hubs: Names of the inventory's hosts in group hub, in the play or not.
    :arg options: Preflight's own options.
    :arg pins: What toolchain/versions.yml pins.
    :arg probe: The way to the machine and the network.
    """

    hosts: tuple[Host, ...]
    hubs: tuple[str, ...] = ()
    options: Mapping[str, t.Any] = field(default_factory=dict)
    pins: t.Any = None
    probe: t.Any = None


@dataclass(frozen=True)
class Check:
    """One entry of the registry.

    :arg name: Name in the table, and what the user names to leave it out.
    :arg purposes: What it is made before.
    """

    name: str
    run: t.Callable[[Survey], Iterable[Finding]]
    purposes: frozenset[str] = frozenset({"bootstrap"})


def collect(checks: Iterable[Check], survey: Survey, workers: int = 8) -> list[Finding]:
    """Run the checks side by side; findings in the order of the registry, joined where only the host differs."""
    with ThreadPoolExecutor(max_workers=workers) as pool:
        answers = list(pool.map(lambda check: list(check.run(survey)), checks))
    return joined(finding for answer in answers for finding in answer)


def concurrently(
    action: t.Callable[[t.Any], Iterable[Finding]], things: Iterable[t.Any], workers: int = 8
) -> Iterator[Finding]:
    """What an action that waits for the network finds about each thing, several at a time."""
    with ThreadPoolExecutor(max_workers=workers) as pool:
        for found in pool.map(lambda thing: list(action(thing)), things):
            yield from found


def joined(findings: Iterable[Finding]) -> list[Finding]:
    """One finding for all the hosts that share it: a group variable is wrong once, not on each host."""
    hosts: dict[Finding, dict[str, None]] = {}
    for finding in findings:
        hosts.setdefault(replace(finding, hosts=()), {}).update(dict.fromkeys(finding.hosts))
    return [replace(finding, hosts=tuple(names)) for finding, names in hosts.items()]


def counted(number: int, noun: str) -> str:
    """1 cluster, 2 clusters."""
    return f"{number} {noun}{'s' * (number != 1)}"


def table(findings: Iterable[Finding]) -> str:
    """The findings as text, one row each, the remedy below what it is for."""
    rows = list(findings)
    width = max((len(row.check) for row in rows), default=0)
    return "\n".join(line for row in rows for line in _row(row, width))


def message(findings: Iterable[Finding]) -> str:
    """The one failure message: everything that is wrong, then everything that is doubtful."""
    rows = list(findings)
    count = sum(row.verdict == "fail" for row in rows)
    unsound = sorted((row for row in rows if row.verdict != "ok"), key=lambda row: _ORDER[row.verdict])
    return f"Preflight found {counted(count, 'problem')}; nothing was changed.\n{table(unsound)}"


def _row(row: Finding, width: int) -> list[str]:
    who = f"{_names(row.hosts)}: " if row.hosts else ""
    variable = f"{row.variable}: " if row.variable else ""
    indent = " " * (width + 8)
    lines = _wrapped(f"{row.verdict.upper():<5} {row.check:<{width}}  {who}{variable}{row.found}", indent)
    return lines + (_wrapped(f"{indent}-> {row.remedy}", f"{indent}   ") if row.remedy else [])


def _names(names: tuple[str, ...]) -> str:
    if len(names) <= _HOSTS_SHOWN + 1:
        return ", ".join(names)
    return f"{', '.join(names[:_HOSTS_SHOWN])} and {len(names) - _HOSTS_SHOWN} more"


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
