"""Reader of pickles of plain values and arrays of numbers that runs no code.

The opcodes are interpreted here. Python's unpickler would call what the file names, and NumPy's
own reconstruction trusts the state that it is given.

Source:
    pickletools of the standard library.
"""

from __future__ import annotations

import math
import pickletools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.files import read_plain

MAX_BYTES = 2**23  # ten times the ground truth of some thousand images
MAX_KEYS = 8  # how often one array may be put into the memo; usually it is once
MAX_AXES = 8
CONSTANTS = {'NONE': None, 'NEWTRUE': True, 'NEWFALSE': False}
EMPTY: dict[str, Callable[[], Any]] = {'EMPTY_LIST': list, 'EMPTY_DICT': dict, 'EMPTY_TUPLE': tuple}
TUPLES = {'TUPLE1': 1, 'TUPLE2': 2, 'TUPLE3': 3}
LITERALS = frozenset((
    'INT', 'BININT', 'BININT1', 'BININT2', 'LONG', 'LONG1', 'LONG4', 'FLOAT', 'BINFLOAT',
    'STRING', 'BINSTRING', 'SHORT_BINSTRING', 'UNICODE', 'BINUNICODE', 'SHORT_BINUNICODE',
    'BINUNICODE8', 'BINBYTES', 'SHORT_BINBYTES', 'BINBYTES8', 'BYTEARRAY8',
))  # fmt: skip
CODECS, BYTES = '_codecs encode', ('__builtin__ bytes', 'builtins bytes')
ARRAY, DTYPE = 'numpy ndarray', 'numpy dtype'
RECONSTRUCT, SCALAR, BUFFER = (
    tuple(f'numpy.{core}.{name}' for core in ('core', '_core'))
    for name in ('multiarray _reconstruct', 'multiarray scalar', 'numeric _frombuffer')
)
KNOWN = frozenset((CODECS, *BYTES, ARRAY, DTYPE, *RECONSTRUCT, *SCALAR, *BUFFER))


class _BrokenError(Exception):
    """The text says what is wrong."""


class _Mark:
    pass


class _Name(str):
    """Something that the file asks for by module and name."""


class _Unbuilt:
    """An array or a dtype before its state is known; keys: of the memo that hold it."""

    def __init__(self, dtype: str = '') -> None:
        self.dtype = dtype
        self.keys: list[int] = []


def read_plain_pickle(path: Path) -> Any:
    """What parse_plain_pickle finds in a file. Raises NetvladError, or if it cannot be read."""
    return parse_plain_pickle(read_plain(path, MAX_BYTES, str(path)), str(path))


def parse_plain_pickle(data: bytes, where: str) -> Any:
    """Read a pickle of plain values.

    These are None, booleans, numbers, text, bytes, lists, tuples, dicts, and arrays of numbers, of
    text or of plain values. Containers may contain themselves.

    Args:
        data: the pickle.
        where: what it belongs to, for the errors.

    Raises:
        NetvladError: the pickle is damaged, or holds anything else. What it asks for is named, and
            not run.
    """
    try:
        return _Machine().run(data)
    except _BrokenError as error:
        raise NetvladError(f'{where} refused: {error}') from error
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise NetvladError(f'{where} is not a pickle, or it is cut off or damaged') from error


class _Machine:
    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, data: bytes) -> Any:
        stack = self._stack
        argument: Any
        for code, argument, _ in pickletools.genops(data):
            name = code.name
            if name in LITERALS:
                stack.append(argument)
            elif name in CONSTANTS:
                stack.append(CONSTANTS[name])
            elif name in EMPTY:
                stack.append(EMPTY[name]())
            elif name in TUPLES:
                stack[-TUPLES[name] :] = [tuple(stack[-TUPLES[name] :])]
            elif name in ('PUT', 'BINPUT', 'LONG_BINPUT', 'MEMOIZE'):
                self._remember(len(self._memo) if name == 'MEMOIZE' else argument)
            elif name in ('GET', 'BINGET', 'LONG_BINGET'):
                stack.append(self._memo[argument])
            elif name == 'STOP':
                return _plain(stack.pop())
            elif name not in ('PROTO', 'FRAME'):
                self._compose(name, argument)
        raise ValueError

    def _compose(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name == 'MARK':
            stack.append(_Mark())
        elif name in ('LIST', 'TUPLE', 'DICT'):
            stack.append(COLLECTED[name](self._above_mark()))
        elif name in ('APPEND', 'APPENDS'):
            items = self._above_mark() if name == 'APPENDS' else [stack.pop()]
            list.extend(stack[-1], items)
        elif name in ('SETITEM', 'SETITEMS'):
            items = self._above_mark() if name == 'SETITEMS' else [stack.pop(), stack.pop()][::-1]
            dict.update(stack[-1], _pairs(items))
        elif name in ('GLOBAL', 'STACK_GLOBAL'):
            if name == 'STACK_GLOBAL':
                last, module = stack.pop(), stack.pop()
                argument = ' '.join((module, last))
            if argument not in KNOWN:
                wanted = argument.replace(' ', '.')[:120]
                raise _BrokenError(f'this pickle asks for the code {wanted}, which was not run')
            stack.append(_Name(argument))
        elif name == 'REDUCE':
            arguments, what = stack.pop(), stack.pop()
            if not isinstance(what, _Name) or not isinstance(arguments, tuple):
                raise ValueError
            stack.append(_reduced(what, arguments))
        elif name == 'BUILD':
            state, unbuilt = stack.pop(), stack.pop()
            if not isinstance(unbuilt, _Unbuilt):
                raise _BrokenError('this pickle holds objects, not plain values')
            stack.append(_built(unbuilt, state))
            for key in unbuilt.keys:
                self._memo[key] = stack[-1]
        else:
            raise _BrokenError(f'this pickle holds objects, not plain values ({name})')

    def _remember(self, key: int) -> None:
        value = self._stack[-1]
        self._memo[key] = value
        if isinstance(value, _Unbuilt):
            value.keys.append(key)
            if len(value.keys) > MAX_KEYS:
                raise ValueError

    def _above_mark(self) -> list[Any]:
        items = []
        while not isinstance(self._stack[-1], _Mark):
            items.append(self._stack.pop())
        self._stack.pop()
        return items[::-1]


def _pairs(items: list[Any]) -> dict[Any, Any]:
    keys = items[::2]
    # Hashing deeply nested tuples would recurse without bound.
    if not all(isinstance(key, str | int) for key in keys):
        raise _BrokenError('a key of a table is neither text nor a whole number')
    return dict(zip(keys, items[1::2], strict=True))


COLLECTED: dict[str, Callable[[list[Any]], Any]] = {'LIST': list, 'TUPLE': tuple, 'DICT': _pairs}


def _reduced(what: _Name, arguments: tuple[Any, ...]) -> Any:
    if what == CODECS:
        return str.encode(arguments[0], 'latin-1')  # how Python 3 writes bytes for Python 2
    if what in BYTES and not arguments:
        return b''
    if what == DTYPE:
        return _Unbuilt(arguments[0])
    if what in RECONSTRUCT:
        return _Unbuilt()
    if what in SCALAR:
        dtype, data = arguments
        return _array(dtype, (1,), data)[0].item()
    if what in BUFFER:
        data, dtype, shape, order = arguments
        return _array(dtype, shape, data, order)
    raise _BrokenError(f'this pickle calls {what.replace(" ", ".")} with what it never takes')


def _built(unbuilt: _Unbuilt, state: tuple[Any, ...]) -> Any:
    if unbuilt.dtype:  # (version, byte order, ...): the rest is of records, which are refused
        complete = _Unbuilt(''.join((state[1], unbuilt.dtype)))
        complete.keys = unbuilt.keys
        return complete
    _, shape, dtype, by_column, data = state
    return _array(dtype, shape, data, 'F' if by_column else 'C')


def _array(dtype: Any, shape: Any, data: Any, order: str = 'C') -> Any:
    """The array, its size checked against the bytes that are there."""
    if not isinstance(dtype, _Unbuilt):
        raise ValueError
    raw = data.encode('latin-1') if isinstance(data, str) else data
    if isinstance(raw, list) and re.fullmatch(r'\|O[48]?', dtype.dtype):
        found, width = np.empty(len(raw), dtype=object), 1
        order = 'C'  # NumPy lists objects by row, however they lie in memory
        for i, item in enumerate(raw):
            found[i] = item
    elif not re.fullmatch(r'[<>=|]?([biuf][1248]|[US][1-9]\d{0,5})', dtype.dtype):
        raise _BrokenError(f'it holds an array of type {dtype.dtype[:40]}')
    elif not isinstance(raw, bytes | bytearray):
        raise ValueError
    else:
        kind = np.dtype(dtype.dtype)
        found, width = np.frombuffer(raw, kind) if raw else np.empty(0, kind), kind.itemsize
    # No axis of what is there can be longer than its bytes.
    if len(shape) > MAX_AXES or not all(0 <= size <= len(raw) for size in shape):
        raise ValueError
    if math.prod(shape) * width != len(raw):
        raise _BrokenError('an array has another size than its shape')
    return found.reshape(shape, order='F' if order == 'F' else 'C')


def _plain(value: Any) -> Any:
    if isinstance(value, _Unbuilt | _Name | _Mark):
        raise ValueError
    return value
