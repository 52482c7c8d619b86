"""A CSV file from elsewhere, read line by line."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from netvlad_ros.core.errors import NetvladError

MAX_FILE_BYTES = 2**30  # ten million images; nothing that was driven comes near


def read_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield number and stripped cells of the header, then of each line below that is not empty.

    Raises NetvladError, with the line's number, if the file cannot be read or has a line of another
    number of cells than its header.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise NetvladError(f'{path} is larger than {MAX_FILE_BYTES} bytes')
        with path.open(encoding='utf-8-sig', newline='') as lines:
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
    """Yield number and stripped cells of each line below the header; empty lines are passed over.

    Raises NetvladError, as read_lines, or if the file does not begin with the header.
    """
    lines = read_lines(path)
    _, first = next(lines)
    if first != list(header):
        raise NetvladError(
            f'{path} must begin with the line "{",".join(header)}", '
            f'it begins with "{",".join(first)[:120]}"'
        )
    yield from lines
