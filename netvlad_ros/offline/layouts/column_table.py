"""A CSV file of which some columns are wanted, wherever they stand."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.table_file import read_lines


class ColumnRow(NamedTuple):
    """One line: where it stands ("file, line 3") and the text in each wanted column."""

    where: str
    cells: dict[str, str]

    def number(self, column: str) -> float:
        """The finite number in a column. Raises NetvladError that names the line."""
        try:
            value = float(self.cells[column])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise NetvladError(
                f'{self.where}: {column} is "{self.cells[column][:40]}", not a finite number'
            )
        return value


def read_columns(
    path: Path, needed: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[ColumnRow]:
    """Yield every line below the header; an absent optional column is absent from `cells`.

    Raises NetvladError, as read_lines, or if a needed column is missing.
    """
    lines = read_lines(path)
    _, header = next(lines)
    for column in needed:
        if column not in header:
            raise NetvladError(
                f'{path}: column {column} is missing; its first line must name {", ".join(needed)}'
            )
    wanted = {c: header.index(c) for c in (*needed, *optional) if c in header}
    for line, cells in lines:
        yield ColumnRow(f'{path}, line {line}', {c: cells[i] for c, i in wanted.items()})
