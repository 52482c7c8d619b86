"""CSV files: line by line, and by named columns."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.files import open_plain

MAX_FILE_BYTES = 2**30  # ten million images; no drive has that many


def read_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield number and stripped cells of the header, then of each line below that is not empty.

    Raises:
        NetvladError: the file cannot be read, or a line, named by its number, has another number
            of cells than the header.
    """
    try:
        with (
            open_plain(path, MAX_FILE_BYTES, str(path)) as file,
            io.TextIOWrapper(file, encoding='utf-8-sig', newline='') as lines,
        ):
            reader = csv.reader(lines, strict=True)
            header = next(reader, [])
            yield reader.line_num, [cell.strip() for cell in header]
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(header):
                    raise NetvladError(
                        f'{path}, line {reader.line_num}: '
                        f'{len(cells)} values instead of {len(header)}'
                    )
                yield reader.line_num, [cell.strip() for cell in cells]
    except OSError as error:
        raise NetvladError(f'{path} cannot be read: {error.strerror}') from error
    except UnicodeDecodeError as error:
        raise NetvladError(f'{path} is not a text file in UTF-8') from error
    except csv.Error as error:
        raise NetvladError(f'{path}, line {reader.line_num}: {error}') from error


def read_table(path: Path, header: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield number and stripped cells of each line below the header that is not empty.

    Raises:
        NetvladError: as read_lines, or the file does not begin with the header.
    """
    lines = read_lines(path)
    _, first = next(lines)
    if first != list(header):
        raise NetvladError(
            f'{path} must begin with the line "{",".join(header)}", '
            f'it begins with "{",".join(first)[:120]}"'
        )
    yield from lines


class ColumnRow(NamedTuple):
    """One line of a file.

    Attributes:
        where: file and line, "file, line 3" for example.
        cells: the text in each wanted column.
    """

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

    Raises:
        NetvladError: as read_lines, or a needed column is missing.
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
