# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Measure: `tests/benchmarks/run.py [NAME ...]`.

A benchmark is a file bench_<name>.py here with a generator `figures()`. Each figure compares ours with a peer that does
the same, both measured in this run, so that figures of a slow machine and of a fast one can be compared. All figures
are printed as a table, and each is a line of JSON in .state/bench.jsonl.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import importlib
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RECORD = ROOT / ".state/bench.jsonl"


@dataclasses.dataclass(frozen=True)
class Figure:
    """One measurement.

    :arg ours: Seconds (or another unit, the same as the peer's) that ours took.
    :arg peer: What the peer took; None where the bar is a number of its own and not a ratio.
    :arg bar: The most that the ratio may be; without a peer, the most that ours may be.
    :arg note: What was compared with what.
    """

    name: str
    ours: float
    peer: float | None
    bar: float
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours as a share of the peer's."""
        return None if self.peer is None else self.ours / self.peer

    @property
    def holds(self) -> bool:
        """Whether the bar is kept."""
        return (self.ours if self.ratio is None else self.ratio) <= self.bar

    def record(self) -> dict[str, object]:
        """As a line of the record."""
        ratio = None if self.ratio is None else round(self.ratio, 3)
        peer = None if self.peer is None else round(self.peer, 3)
        values = {"name": self.name, "ours": round(self.ours, 3), "peer": peer, "ratio": ratio}
        return {**values, "bar": self.bar, "holds": self.holds}


def known() -> list[str]:
    """Names of the benchmarks that there are."""
    return sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))


def table(figures: collections.abc.Iterable[Figure]) -> str:
    """Figures for people."""
    rows = [("name", "ours", "peer", "ratio", "bar", "holds", "")]
    for figure in figures:
        peer = "" if figure.peer is None else f"{figure.peer:.2f}"
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        holds = "yes" if figure.holds else "NO"
        rows.append((figure.name, f"{figure.ours:.2f}", peer, ratio, f"{figure.bar:g}", holds, figure.note))
    widths = [max(len(row[column]) for row in rows) for column in range(7)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def main() -> int:
    """Run the named ones, or all."""
    names = sys.argv[1:] or known()
    unknown = [name for name in names if name not in known()]
    if unknown:
        sys.exit(f"There is no benchmark {', '.join(unknown)}; there are {', '.join(known())}.")
    sys.path.insert(0, str(HERE))
    # Benchmarks import Figure from the module `run`, which is this one.
    sys.modules["run"] = sys.modules[__name__]
    figures: list[Figure] = []
    RECORD.parent.mkdir(exist_ok=True)
    for name in names:
        print(f"measuring {name} ...", flush=True)
        for figure in importlib.import_module(f"bench_{name}").figures():
            print(f"  {table([figure]).splitlines()[1]}", flush=True)
            figures.append(figure)
            with RECORD.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(figure.record()) + "\n")
    print(f"\n{table(figures)}\n\nappended to {RECORD.relative_to(ROOT)}")
    return int(not all(figure.holds for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
