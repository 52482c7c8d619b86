"""Files of a map directory: hashed, limited in size, inside their folder, never pickled."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.files import read_plain, write_whole
from netvlad_ros.core.place_map.array_file import parse_array
from netvlad_ros.core.place_map.descriptor_codes import EIGHT_BITS, FULL
from netvlad_ros.core.words import error_words
from netvlad_ros.core.yaml_text import MAX_BYTES as MAX_YAML_BYTES, parse_yaml

FORMAT_VERSION = 1
INDEX_NAME = 'map.yaml'
DESCRIPTORS_NAME = 'descriptors.npy'
PLACES_NAME = 'places.csv'
THUMBNAILS_NAME = 'images'
FIRST_LINE = re.compile(rb'format_version: (\d{1,9})\r?\n')
SEAL = 'sha256: '  # begins the last line of map.yaml, the hash of all lines before it
PLACES_HEADER = [
    'place_id',
    'recording',
    'timestamp_ns',
    'x',
    'y',
    'z',
    'qx',
    'qy',
    'qz',
    'qw',
    'image',
    'thumbnail_sha256',
]
MAX_PLACES = 10_000_000
MAX_BYTES = {DESCRIPTORS_NAME: 64 * 2**30, PLACES_NAME: 4 * 2**30}
MAX_THUMBNAIL_BYTES = 2**20


@dataclass(frozen=True)
class MapFiles:
    """Contents of a map directory whose sizes and hashes are right; values are not checked yet.

    Attributes:
        index: `map.yaml`.
        codes: float32 or int8 (N, D), see descriptor_codes.
        rows: lines of places.csv, columns as PLACES_HEADER.
    """

    index: dict[str, Any]
    codes: NDArray[Any]
    rows: list[list[str]]


def sha256(data: bytes) -> str:
    """SHA-256 of data, hex."""
    return hashlib.sha256(data).hexdigest()


def thumbnail_path(directory: Path, place_id: int) -> Path:
    """Path of the thumbnail of a place."""
    return directory / THUMBNAILS_NAME / f'{place_id:07d}.jpg'


def write_map_files(
    directory: Path, index: dict[str, Any], codes: NDArray[Any], rows: list[list[str]]
) -> None:
    """Write a map into a directory; the index is written last.

    Args:
        directory: the map folder.
        index: `map.yaml`; the hashes are added to its entry `files`.
        codes: float32 or int8 (N, D), see descriptor_codes.
        rows: lines of places.csv, columns as PLACES_HEADER.
    """
    array, table = io.BytesIO(), io.StringIO()
    np.save(array, np.ascontiguousarray(codes), allow_pickle=False)
    writer = csv.writer(table, lineterminator='\n')
    writer.writerow(PLACES_HEADER)
    writer.writerows(rows)
    files = dict(index.get('files', {}))
    for name, data in (
        (DESCRIPTORS_NAME, array.getvalue()),
        (PLACES_NAME, table.getvalue().encode()),
    ):
        (directory / name).write_bytes(data)
        files[name] = {'bytes': len(data), 'sha256': sha256(data)}
    write_index(directory, {**index, 'files': files})


def write_index(directory: Path, index: dict[str, Any]) -> None:
    """Write `map.yaml`; its last line is the hash of all lines before it."""
    (directory / INDEX_NAME).write_bytes(_sealed(index))


def replace_entry(directory: Path, map_id: str, name: str, value: Any) -> None:
    """Give one entry of `map.yaml` another value; a crash leaves the old file or the new one.

    Args:
        directory: the map folder.
        map_id: id that the map on disk must have.
        name: of the entry.
        value: plain numbers and text.

    Raises:
        NetvladError: the map is broken, has another id, or cannot be written.
    """
    where = f'map {directory}'
    index = read_index(directory, where)
    if index.get('map_id') != map_id:
        raise NetvladError(f'{where} was replaced by another map in the meantime; start again')
    write_whole(directory / INDEX_NAME, _sealed({**index, name: value}))


def read_map_files(directory: Path) -> MapFiles:
    """Read a map directory. Raises NetvladError with what is wrong and what to do."""
    where = f'map {directory}'
    if not directory.is_dir():
        raise NetvladError(f'{where} does not exist; build one with `netvlad map build`')
    index = read_index(directory, where)
    data = {name: _read_hashed(directory, index, name, where) for name in MAX_BYTES}
    places, dim = index.get('places'), index.get('dim')
    if type(places) is not int or not 1 <= places <= MAX_PLACES:
        raise NetvladError(f'{where}: {INDEX_NAME} gives an impossible number of places: {places}')
    codes = parse_array(data[DESCRIPTORS_NAME], f'{where}: {DESCRIPTORS_NAME}')
    if codes.dtype not in (FULL, EIGHT_BITS) or codes.shape != (places, dim):
        raise NetvladError(
            f'{where}: {DESCRIPTORS_NAME} holds {codes.dtype} {codes.shape}, '
            f'{INDEX_NAME} promises float32 or int8 ({places}, {dim}); build it again'
        )
    try:
        rows = list(csv.reader(io.StringIO(data[PLACES_NAME].decode('utf-8'))))
    except (csv.Error, UnicodeDecodeError, MemoryError) as error:
        raise NetvladError(f'{where}: {PLACES_NAME} is no table: {error_words(error)}') from error
    if not rows or rows[0] != PLACES_HEADER:
        raise NetvladError(f'{where}: {PLACES_NAME} must begin with {",".join(PLACES_HEADER)}')
    if len(rows) - 1 != places:
        raise NetvladError(
            f'{where}: {PLACES_NAME} has {len(rows) - 1} places, {INDEX_NAME} promises {places}'
        )
    return MapFiles(index, codes, rows[1:])


def read_index(directory: Path, where: str) -> dict[str, Any]:
    """Read map.yaml alone; `where` names the map in errors. Raises NetvladError."""
    path = directory / INDEX_NAME
    if not path.exists():
        raise NetvladError(f'{where} has no {INDEX_NAME}: it is no map, or only a part of one')
    data = read_bounded(path, MAX_YAML_BYTES, where)
    # Nothing is parsed before the seal is verified. Only a file of another version is told by the
    # digits of its first line, because it may have no seal or another one.
    stated = FIRST_LINE.match(data)
    if stated is not None and int(stated[1]) != FORMAT_VERSION:
        raise NetvladError(
            f'{where} has the format version {int(stated[1])}, this netvlad_ros reads '
            f'{FORMAT_VERSION}; build the map again or use the netvlad_ros that built it'
        )
    body, _, seal = data.rpartition(SEAL.encode())
    if seal.strip() != sha256(body).encode():
        raise NetvladError(
            f'{where}: {INDEX_NAME} was changed or damaged since the map was built (hash differs); '
            'restore it or build the map again'
        )
    index = parse_yaml(body, f'{where}: {INDEX_NAME}')
    if not isinstance(index, dict):
        raise NetvladError(f'{where}: {INDEX_NAME} is no mapping')
    if index.get('format_version') != FORMAT_VERSION:
        raise NetvladError(
            f'{where}: {INDEX_NAME} does not give the format version {FORMAT_VERSION}; '
            'build the map again'
        )
    return index


def read_bounded(path: Path, limit: int, where: str) -> bytes:
    """Read a plain file of at most `limit` bytes; links are refused. Raises NetvladError."""
    if path.is_symlink() or path.parent.is_symlink() or not path.is_file():
        raise NetvladError(f'{where}: {path.name} is missing or no plain file')
    return read_plain(path, limit, f'{where}: {path.name}')


def _sealed(index: dict[str, Any]) -> bytes:
    text = yaml.safe_dump(index, sort_keys=False).encode()
    return text + f'{SEAL}{sha256(text)}\n'.encode()


def _read_hashed(directory: Path, index: dict[str, Any], name: str, where: str) -> bytes:
    entry = index.get('files')
    entry = entry.get(name) if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or type(entry.get('bytes')) is not int:
        raise NetvladError(f'{where}: {INDEX_NAME} does not give size and hash of {name}')
    path = directory / name
    data = read_bounded(path, min(entry['bytes'], MAX_BYTES[name]), where)
    if len(data) != entry['bytes'] or sha256(data) != entry.get('sha256'):
        raise NetvladError(
            f'{where}: {name} was changed or damaged since the map was built (hash differs); '
            'restore it or build the map again'
        )
    return data
