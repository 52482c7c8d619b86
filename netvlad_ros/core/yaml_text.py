"""parse_yaml: plain YAML from elsewhere, of limited size, depth and length of its values."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.words import error_words

MAX_BYTES = 2**16  # a map.yaml has 3 kB, a camera.yaml 1 kB
MAX_DEPTH = 16
MAX_SCALAR = 4096  # characters of a key or value
MAX_NUMBER = 64  # characters of a number; a value in base 60 could have any number of digits

_Base: Any = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)  # ten times faster, where libyaml is


class _RefusedError(ValueError):
    """What plain YAML has no need of."""


class _Loader(_Base):
    """Safe loader that refuses a key that comes twice, and numbers of any length."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        seen: set[Hashable] = set()
        for key in keys:
            if not isinstance(key, str | int | float):
                raise _RefusedError('a key is no word')
            if key in seen:
                raise _RefusedError(f'the key {str(key)[:40]!r} comes twice')
            seen.add(key)
        return dict(super().construct_mapping(node, deep=deep))

    def construct_number(self, node: Any) -> int | float:
        if len(node.value) > MAX_NUMBER:
            raise _RefusedError(f'a number has more than {MAX_NUMBER} characters')
        kind = 'int' if node.tag.endswith(':int') else 'float'
        number: int | float = getattr(self, f'construct_yaml_{kind}')(node)
        return number


for _kind in ('int', 'float'):
    _Loader.add_constructor(f'tag:yaml.org,2002:{_kind}', _Loader.construct_number)


def parse_yaml(
    data: bytes, where: str, *, most_bytes: int = MAX_BYTES, most_letters: int = MAX_SCALAR
) -> Any:
    """Parse one YAML document of mappings, lists, text, numbers and dates.

    Aliases are refused: with them a file of 1 kB holds more values than any memory.

    Args:
        data: the file.
        where: name of the file in errors.
        most_bytes: largest size of the file.
        most_letters: longest key or value.

    Raises:
        NetvladError: the data is no such document, or larger, deeper or longer than the limits.
    """
    if len(data) > most_bytes:
        raise NetvladError(f'{where} is larger than {most_bytes} bytes')
    try:
        _check_events(data, most_letters)
        return yaml.load(data, Loader=_Loader)
    except _RefusedError as error:
        raise NetvladError(f'{where} is no YAML that is read here: {error}') from error
    # A damaged or malicious file can raise anything in the parser: of dates, of digits, of memory.
    except Exception as error:
        raise NetvladError(f'{where} is no YAML: {error_words(error)}') from error


def _check_events(data: bytes, most_letters: int) -> None:
    """Refuse what the events of the parser show, before any value is made of them."""
    depth = 0
    for event in yaml.parse(data, Loader=_Base):
        if isinstance(event, yaml.AliasEvent) or getattr(event, 'anchor', None):
            raise _RefusedError('it has anchors or aliases')
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _RefusedError(f'it is nested deeper than {MAX_DEPTH}')
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.ScalarEvent) and len(event.value) > most_letters:
            raise _RefusedError(f'a value has more than {most_letters} characters')
