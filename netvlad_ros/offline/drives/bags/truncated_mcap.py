"""TruncatedMcap: an .mcap file that ends early, read up to its last whole record."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

MAGIC = b'\x89MCAP0\r\n'
# A footer record without a summary makes readers scan the file instead (mcap.dev/spec).
FOOTER = b'\x02' + struct.pack('<QQQI', 20, 0, 0, 0) + MAGIC
DATA_END, FOOTER_OP = 0x0F, 0x02


class TruncatedMcap:
    """Takes the place of a Path in rosbags' Reader, and opens a truncated file as a closed one.

    Nothing is copied: a bag may be larger than the free disk.
    """

    suffix = '.mcap'

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def exists(self) -> bool:
        """Say whether the file exists."""
        return self._path.exists()

    def is_dir(self) -> bool:
        """Say no: this is a file."""
        return False

    def open(self, mode: str = 'rb') -> Any:
        """Open the whole records of the file, with a footer behind them."""
        return io.BufferedReader(_WithFooter(self._path), buffer_size=2**16)


class _WithFooter(io.RawIOBase):
    def __init__(self, path: Path) -> None:
        self._file = path.open('rb')
        self._end = _end_of_whole_records(self._file)
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position}.get(whence, self._end + len(FOOTER))
        self._position = max(base + offset, 0)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        if self._position < self._end:
            self._file.seek(self._position)
            data = self._file.read(min(len(buffer), self._end - self._position))
        else:
            start = self._position - self._end
            data = FOOTER[start : start + len(buffer)]
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def _end_of_whole_records(file: io.BufferedReader) -> int:
    """Offset behind the last complete record of the data section."""
    size = file.seek(0, io.SEEK_END)
    position = len(MAGIC)
    while position + 9 <= size:
        file.seek(position)
        opcode, length = struct.unpack('<BQ', file.read(9))
        if opcode in (DATA_END, FOOTER_OP) or position + 9 + length > size:
            break
        position += 9 + length
    return position
