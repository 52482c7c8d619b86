"""Reader of MAT files of versions 5 to 7; a damaged file ends in an error message.

SciPy's reader crashes the process on some damaged files. So the format is parsed here, and every
length is checked against the bytes that are there.

Source:
    MathWorks, "MAT-File Format", 2019, chapter 1.
"""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.files import read_plain

MAX_BYTES = 2**30  # of the file, and of what it unpacks to
MAX_DEPTH = 16  # cells in cells
HEADER_BYTES = 128
MATRIX, COMPRESSED = 14, 15
NUMBERS = {
    1: 'i1', 2: 'u1', 3: 'i2', 4: 'u2', 5: 'i4', 6: 'u4', 7: 'f4', 9: 'f8', 12: 'i8', 13: 'u8',
}  # fmt: skip
TEXT = {1: 'latin-1', 2: 'latin-1', 4: 'utf-16', 16: 'utf-8', 17: 'utf-16', 18: 'utf-32'}
CELL, STRUCT, CHAR = 1, 2, 4
CLASSES = {
    6: 'f8', 7: 'f4', 8: 'i1', 9: 'u1', 10: 'i2', 11: 'u2', 12: 'i4', 13: 'u4', 14: 'i8', 15: 'u8',
}  # fmt: skip


class _BrokenError(Exception):
    """The bytes are no MAT file of version 5; the text says what was met."""


def read_matlab(path: Path, name: str, *, max_bytes: int = MAX_BYTES) -> Any:
    """Read one variable of a .mat file.

    Args:
        path: the file.
        name: of the variable.
        max_bytes: largest size of the file, and of what it unpacks to.

    Returns:
        Numbers as an array of their own type and shape. Cells as an object array. A struct as a
        dict, or as an object array of dicts if it is not 1 x 1. Text as a str.

    Raises:
        NetvladError: unreadable, too large, of version 7.3, broken, or without that variable.
    """
    data = read_plain(path, max_bytes, str(path))
    if data.startswith(b'\x89HDF') or b'MATLAB 7.3' in data[:HEADER_BYTES]:
        raise NetvladError(f"{path} is of MATLAB's version 7.3 (HDF5); save it again with '-v7'")
    order = {b'IM': '<', b'MI': '>'}.get(data[126:128])
    try:
        if order is None:
            raise _BrokenError('its header is another')
        found, value = _Reader(order, max_bytes).variable(memoryview(data), name)
    except _BrokenError as error:
        raise NetvladError(f'{path} is not a readable .mat of version 5 to 7: {error}') from error
    except MemoryError as error:
        raise NetvladError(f'{path} does not fit in memory') from error
    if not found:
        raise NetvladError(f'{path} holds no variable {name}')
    return value


class _Reader:
    def __init__(self, order: str, max_bytes: int) -> None:
        self._order = order
        self._left = max_bytes

    def variable(self, data: memoryview, name: str) -> tuple[bool, Any]:
        place = HEADER_BYTES
        while place + 8 <= len(data):
            kind, body, place = self._element(data, place, padded=False)
            if kind == COMPRESSED:
                kind, body, _ = self._element(self._unpacked(body), 0)
            if kind == MATRIX and self._name(body) == name:
                return True, self._matrix(body, 0)
        return False, None

    def _element(
        self, data: memoryview, place: int, *, padded: bool = True
    ) -> tuple[int, memoryview, int]:
        """Type and bytes of the data element at place, and where the next one begins."""
        if place + 8 > len(data):
            raise _BrokenError('it ends in the middle')
        kind, size = struct.unpack_from(f'{self._order}II', data, place)
        if kind >> 16:  # small: type and size share four bytes, four of data follow
            size, kind = kind >> 16, kind & 0xFFFF
            if size > 4:
                raise _BrokenError('a small element is larger than it can be')
            return kind, data[place + 4 : place + 4 + size], place + 8
        start, end = place + 8, place + 8 + size
        if end > len(data):
            raise _BrokenError('it ends in the middle')
        # Only compressed elements are not padded; all others at the top have whole sizes.
        step = -(-size // 8) * 8 if padded and kind != COMPRESSED else size
        return kind, data[start:end], start + step

    def _unpacked(self, body: memoryview) -> memoryview:
        stream = zlib.decompressobj()
        try:
            data = stream.decompress(body, self._left + 1)
        except zlib.error as error:
            raise _BrokenError('its compressed data are damaged') from error
        if len(data) > self._left:
            raise _BrokenError('it unpacks to more than is allowed')
        self._left -= len(data)
        return memoryview(data)

    def _head(self, body: memoryview) -> tuple[int, tuple[int, ...], str, int]:
        """Class, shape and name of a matrix, and where its contents begin."""
        kind, flags, place = self._element(body, 0)
        if kind != 6 or len(flags) != 8:
            raise _BrokenError('an array has no flags')
        word = struct.unpack_from(f'{self._order}I', flags)[0]
        if word & 0x0800:
            raise _BrokenError('complex numbers are not expected')
        _, sizes, place = self._element(body, place)
        if len(sizes) % 4 or not 8 <= len(sizes) <= 32:
            raise _BrokenError('an array has no shape')
        shape = tuple(np.frombuffer(sizes, f'{self._order}i4').tolist())
        if min(shape) < 0:
            raise _BrokenError('an array has a negative shape')
        _, name, place = self._element(body, place)
        return word & 0xFF, shape, bytes(name).decode('latin-1'), place

    def _name(self, body: memoryview) -> str:
        return self._head(body)[2] if len(body) else ''

    def _matrix(self, body: memoryview, depth: int) -> Any:
        if not len(body):  # an empty array may be written so
            return np.empty((0, 0))
        if depth > MAX_DEPTH:
            raise _BrokenError('it is nested too deep')
        kind, shape, _, place = self._head(body)
        if kind == CELL:
            cells, _ = self._matrices(body, place, math.prod(shape), depth)
            return _reshaped(cells, shape)
        if kind == STRUCT:
            return self._struct(body, place, shape, depth)
        stored, numbers, _ = self._element(body, place)
        if kind == CHAR:
            return self._text(stored, numbers)
        if kind not in CLASSES or stored not in NUMBERS:
            raise _BrokenError(f'it holds an array of class {kind}')
        width = np.dtype(NUMBERS[stored]).itemsize
        if len(numbers) != math.prod(shape) * width:
            raise _BrokenError('an array has another size than its shape')
        found = np.frombuffer(numbers, self._order + NUMBERS[stored])
        # Small whole numbers are stored as bytes, and may become eight times as large.
        self._left -= found.size * np.dtype(CLASSES[kind]).itemsize
        if self._left < 0:
            raise _BrokenError('it unpacks to more than is allowed')
        return found.astype(CLASSES[kind]).reshape(shape, order='F')

    def _matrices(
        self, body: memoryview, place: int, count: int, depth: int
    ) -> tuple[list[Any], int]:
        if count > (len(body) - place) // 8:
            raise _BrokenError('it names more cells than it holds')
        found = []
        for _ in range(count):
            kind, inner, place = self._element(body, place)
            if kind != MATRIX:
                raise _BrokenError('a cell holds no array')
            found.append(self._matrix(inner, depth + 1))
        return found, place

    def _struct(self, body: memoryview, place: int, shape: tuple[int, ...], depth: int) -> Any:
        _, length, place = self._element(body, place)
        _, names, place = self._element(body, place)
        width = int.from_bytes(length, 'little' if self._order == '<' else 'big')
        if len(length) != 4 or not width or len(names) % width:
            raise _BrokenError('a struct has no names')
        fields = [
            bytes(names[i : i + width]).split(b'\0')[0].decode('latin-1')
            for i in range(0, len(names), width)
        ]
        values, _ = self._matrices(body, place, math.prod(shape) * len(fields), depth)
        items = [
            dict(zip(fields, values[i : i + len(fields)], strict=True))
            for i in range(0, len(values), len(fields) or 1)
        ]
        if math.prod(shape) == 1 and items:
            return items[0]
        return _reshaped(items, shape if items else (0, 0))

    def _text(self, stored: int, data: memoryview) -> str:
        if stored not in TEXT:
            raise _BrokenError('it holds text of an unknown kind')
        ending = {'<': '-le', '>': '-be'}[self._order] if stored in (4, 17, 18) else ''
        try:
            return bytes(data).decode(TEXT[stored] + ending)
        except UnicodeDecodeError as error:
            raise _BrokenError('its text is damaged') from error


def _reshaped(values: list[Any], shape: tuple[int, ...]) -> NDArray[np.object_]:
    flat = np.empty(len(values), dtype=object)
    flat[:] = values
    return flat.reshape(shape, order='F')
