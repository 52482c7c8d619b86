"""A CSV file of which some columns are wanted, wherever they stand."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.table_file import MAX_FILE_BYTES


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

    Raises NetvladError, with the line's number, if the file cannot be read, lacks a needed column
    or has a line of another number of cells than its header.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise NetvladError(f'{path} is larger than {MAX_FILE_BYTES} bytes')
        with path.open(encoding='utf-8-sig', newline='') as lines:
            reader = csv.reader(lines, strict=True)
            header = [cell.strip() for cell in next(reader, [])]
            for column in needed:
                if column not in header:
                    raise NetvladError(
                        f'{path}: column {column} is missing; its first line must name '
                        f'{", ".join(needed)}'
                    )
            wanted = {c: header.index(c) for c in (*needed, *optional) if c in header}
            for cells in reader:
                if not cells:
                    continue
                where = f'{path}, line {reader.line_num}'
                if len(cells) != len(header):
                    raise NetvladError(f'{where}: {len(cells)} values instead of {len(header)}')
                yield ColumnRow(where, {c: cells[i].strip() for c, i in wanted.items()})
    except OSError as error:
        raise NetvladError(f'{path} cannot be read: {error.strerror}') from error
    except UnicodeDecodeError as error:
        raise NetvladError(f'{path} is not a text file in UTF-8') from error
    except csv.Error as error:
        raise NetvladError(f'{path}, line {reader.line_num}: {error}') from error
