"""GroundTruth of a revisited benchmark, read from one file: gnd_NAME.pkl, .mat or .json.

Fields of the file:
    imlist: names of the database images.
    qimlist: names of the query images.
    gnd: per query `bbx` (x0, y0, x1, y1 [px], from 0), and `easy`, `hard` and `junk`, which are
        positions in imlist. Positions start at 0 in .pkl and .json, and at 1 in .mat.

Source: Radenovic et al., the revisitop repository.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.files import read_plain
from netvlad_ros.offline.benchmarks.retrieval.catalogue import LabelledQuery
from netvlad_ros.offline.files.matlab_file import read_matlab
from netvlad_ros.offline.files.safe_pickle import MAX_BYTES, read_plain_pickle

REVISITED = 'the Visual Recognition Group, Czech Technical University in Prague'
FIELDS = ('imlist', 'qimlist', 'gnd')
MARKS = ('easy', 'hard', 'junk')
SUFFIXES = ('.pkl', '.mat', '.json')


@dataclass(frozen=True)
class GroundTruth:
    """Names of the database images, in their order, and the queries."""

    database: tuple[str, ...]
    queries: tuple[LabelledQuery, ...]


def find_ground_truth(root: Path, name: str) -> Path:
    """The first of root/gnd_NAME.pkl, .mat, .json.

    Raises:
        NetvladError: there is none.
    """
    for suffix in SUFFIXES:
        if (root / f'gnd_{name}{suffix}').is_file():
            return root / f'gnd_{name}{suffix}'
    raise NetvladError(f'{root} lacks gnd_{name}.pkl (or .mat, or .json), the ground truth')


def read_ground_truth(path: Path) -> GroundTruth:
    """Read and check a file; a pickle is only parsed, nothing in it is executed.

    Raises:
        NetvladError: unreadable, without one of the fields, positions of images that are not
            listed, an image marked twice for one query, or a box that encloses nothing.
    """
    first = 0
    fields: Any
    if path.suffix == '.pkl':
        fields = read_plain_pickle(path)
    elif path.suffix == '.mat':
        fields = {name: read_matlab(path, name, max_bytes=MAX_BYTES) for name in FIELDS}
        first = 1
    else:
        fields = _read_json(path)
    if not isinstance(fields, Mapping) or not set(FIELDS) <= fields.keys():
        raise NetvladError(f'{path} must hold {", ".join(FIELDS)}')
    database = _names(fields['imlist'], f'{path}: imlist')
    queries = _names(fields['qimlist'], f'{path}: qimlist')
    labels = _items(fields['gnd'])
    if len(labels) != len(queries):
        raise NetvladError(f'{path}: {len(labels)} entries of gnd for {len(queries)} queries')
    return GroundTruth(
        database,
        tuple(
            _query(image, label, database, first, f'{path}, query {image}')
            for image, label in zip(queries, labels, strict=True)
        ),
    )


def _query(
    image: str, label: Any, database: tuple[str, ...], first: int, where: str
) -> LabelledQuery:
    if not isinstance(label, Mapping) or not {'bbx', *MARKS} <= label.keys():
        raise NetvladError(f'{where}: its entry of gnd must hold bbx, {", ".join(MARKS)}')
    box = _numbers(label['bbx'], f'{where}: bbx')
    if box.shape != (4,) or not (box[0] < box[2] and box[1] < box[3]):
        raise NetvladError(f'{where}: the box {box[:4].tolist()} encloses nothing')
    marked: dict[str, frozenset[str]] = {}
    for mark in MARKS:
        rows = _numbers(label[mark], f'{where}: {mark}') - first
        if not ((rows >= 0) & (rows < len(database)) & (rows == np.floor(rows))).all():
            raise NetvladError(
                f'{where}: {mark} names images beyond the {len(database)} that are listed'
            )
        marked[mark] = frozenset(database[int(row)] for row in rows)
    if len(frozenset().union(*marked.values())) < sum(map(len, marked.values())):
        raise NetvladError(f'{where}: an image is marked two of {", ".join(MARKS)}')
    return LabelledQuery(image, (box[0], box[1], box[2], box[3]), **marked)


def _items(value: Any) -> list[Any]:
    """A list, whether it was a list, an array of any shape, or a single entry."""
    if isinstance(value, np.ndarray):
        return list(value.ravel().tolist())
    return list(value) if isinstance(value, list | tuple) else [value]


def _names(value: Any, what: str) -> tuple[str, ...]:
    names = _items(value)
    if not names or not all(isinstance(n, str) and n and n.isprintable() for n in names):
        raise NetvladError(f'{what} is not a list of image names')
    if len(set(names)) < len(names) and what.endswith(' imlist'):
        raise NetvladError(f'{what} lists an image twice')
    return tuple(names)


def _numbers(value: Any, what: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    items: Iterable[Any] = _items(value)
    if not all(isinstance(item, int | float) and abs(item) < 2**53 for item in items):
        raise NetvladError(f'{what} is not a list of finite numbers')
    return np.array(items, dtype=np.float64)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(read_plain(path, MAX_BYTES, str(path)).decode('utf-8-sig'))
    except (ValueError, RecursionError) as error:
        raise NetvladError(f'{path} is not JSON in UTF-8') from error
