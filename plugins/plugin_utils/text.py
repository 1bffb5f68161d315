# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Text for people, in columns."""

from __future__ import annotations

import typing as t


def columns(header: t.Sequence[str], rows: t.Iterable[t.Sequence[t.Any]], indent: str = "  ") -> list[str]:
    """A table without lines; columns that are empty in every row are left out."""
    cells = [[str(cell) for cell in row] for row in rows]
    used = [number for number in range(len(header)) if any(row[number] for row in cells)]
    table = [[row[number] for number in used] for row in [list(header), *cells]]
    widths = [max(len(row[number]) for row in table) for number in range(len(used))]
    return [
        (indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip()
        for row in table
    ]


def plural(number: int, noun: str) -> str:
    """A number of things."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
