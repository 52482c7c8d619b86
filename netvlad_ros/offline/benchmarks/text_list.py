"""A text file with one entry a line, as benchmarks list names of images."""

from __future__ import annotations

from pathlib import Path

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.files import read_plain


def read_text_list(path: Path, max_bytes: int) -> list[str]:
    """The lines of a file in UTF-8, without blanks around them; empty lines are left out.

    Raises:
        NetvladError: larger than max_bytes, unreadable, or not UTF-8.
    """
    try:
        text = read_plain(path, max_bytes, str(path)).decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise NetvladError(f'{path} is not a text file in UTF-8') from error
    return [line.strip() for line in text.splitlines() if line.strip()]
