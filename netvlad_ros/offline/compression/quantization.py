"""How a place's descriptor is stored: whole, with coarser numbers, as parts of a codebook, as bits.

Queries stay whole, but for bits. All of it is FAISS (Douze et al., "The Faiss library", 2024).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.methods.global_descriptors.product_quantisation import MAX_BITS, PER_CENTRE
from netvlad_ros.offline.methods.recipe import Vector

EXACT = 'float32'
BINARY = 'binary'
# A bit a dimension, and two numbers that mend the cosine (Gao and Long, SIGMOD 2024).
RABITQ = 'rabitq'
_NUMBERS = {EXACT: 'Flat', 'float16': 'SQfp16', 'int8': 'SQ8', 'int4': 'SQ4'}
_RANGED = ('int8', 'int4')
# Parts, a byte each (Jegou, Douze and Schmid, PAMI 2011); fewer bits where images are few.
_PARTS = {f'pq{parts}': parts for parts in (8, 16, 32, 64)}
LEAST_BITS = 3  # of a part: FAISS's tables for parts of two dimensions come in eights
LEARNED_CODES = (*_RANGED, *_PARTS, RABITQ)
CODES = (*_NUMBERS, *_PARTS, RABITQ, BINARY)


@dataclass(frozen=True, eq=False)
class SearchResult:
    """Rows of the database, best first, int64 (Q, k), and what they were found with.

    bytes_per_place: of a code. shared_bytes: of codebooks and the like, once for all places.
    """

    rows: NDArray[np.int64]
    bytes_per_place: int
    shared_bytes: int


def find(
    code: str, fit: Vector, database: Vector, queries: Vector, k: int, seed: int
) -> SearchResult:
    """Search a coded database for k places a query; arrays are (n, D) of unit rows.

    code: of CODES; what it learns, it learns from fit. Raises NetvladError where it cannot be.
    """
    k = min(k, len(database))
    if code == BINARY:
        return _find_bits(database, queries, k)
    index = _index(code, fit, seed)
    index.add(database)
    _, rows = index.search(queries, k)
    return SearchResult(rows.astype(np.int64), int(index.sa_code_size()), _learned_bytes(index))


def _index(code: str, fit: Vector, seed: int) -> Any:
    dim = fit.shape[1]
    index: Any
    if code == RABITQ:
        if not hasattr(faiss, 'IndexRaBitQ'):
            raise NetvladError(f'FAISS {faiss.__version__} knows no RaBitQ, 1.11 does')
        index = faiss.IndexRaBitQ(dim, faiss.METRIC_INNER_PRODUCT)
        index.qb = 0  # whole queries
    elif code in _NUMBERS:
        if code in _RANGED and len(fit) < 2:
            raise NetvladError('one image tells no range of numbers')
        index = faiss.index_factory(dim, _NUMBERS[code], faiss.METRIC_INNER_PRODUCT)
    else:
        parts = _PARTS[code]
        if dim % parts:
            raise NetvladError(f'{dim} dimensions do not fall into {parts} equal parts')
        bits = min(MAX_BITS, int(np.log2(max(len(fit) // PER_CENTRE, 1))))
        if bits < LEAST_BITS:
            raise NetvladError(f'{len(fit)} images are too few to learn a product quantiser from')
        index = faiss.IndexPQ(dim, parts, bits, faiss.METRIC_INNER_PRODUCT)
        index.pq.cp.seed = seed
        index.pq.cp.min_points_per_centroid = 1
    index.train(fit)
    return index


def _learned_bytes(index: Any) -> int:
    if isinstance(index, faiss.IndexPQ):
        return 4 * int(index.pq.centroids.size())
    if not isinstance(index, (faiss.IndexFlat, faiss.IndexScalarQuantizer)):
        return 4 * int(index.center.size())  # RaBitQ's
    return 4 * int(index.sq.trained.size()) if isinstance(index, faiss.IndexScalarQuantizer) else 0


def _find_bits(database: Vector, queries: Vector, k: int) -> SearchResult:
    """By signs and their Hamming distance (Charikar, STOC 2002); ties go to the lower row."""
    coded, asked = (np.packbits(side > 0, axis=1) for side in (database, queries))
    index = faiss.IndexBinaryFlat(8 * coded.shape[1])
    index.add(coded)
    _, rows = index.search(asked, k)
    return SearchResult(rows.astype(np.int64), coded.shape[1], 0)
