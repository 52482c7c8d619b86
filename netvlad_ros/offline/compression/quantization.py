"""Quantizations of place descriptors, and the search with them.

Queries are not quantized, except for the binary quantization.

Source: Douze et al., "The Faiss library", 2024, which implements all of them.
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
# One bit per dimension, and two numbers that correct the cosine (Gao and Long, SIGMOD 2024).
RABITQ = 'rabitq'
_NUMBERS = {EXACT: 'Flat', 'float16': 'SQfp16', 'int8': 'SQ8', 'int4': 'SQ4'}
_RANGED = ('int8', 'int4')
# Parts of one byte each (Jegou, Douze and Schmid, PAMI 2011); fewer bits if images are few.
_PARTS = {f'pq{parts}': parts for parts in (8, 16, 32, 64)}
LEAST_BITS = 3  # of a part: FAISS's tables for parts of two dimensions come in eights
LEARNED_QUANTIZATIONS = (*_RANGED, *_PARTS, RABITQ)
QUANTIZATIONS = (*_NUMBERS, *_PARTS, RABITQ, BINARY)


@dataclass(frozen=True, eq=False)
class SearchResult:
    """What a search found, and the memory that it needs.

    Attributes:
        rows: int64 (Q, k), rows of the database, best first.
        bytes_per_place: size of one quantized descriptor.
        shared_bytes: size of codebooks and the like, once for all places.
    """

    rows: NDArray[np.int64]
    bytes_per_place: int
    shared_bytes: int


def search(
    quantization: str, fit: Vector, database: Vector, queries: Vector, k: int, seed: int
) -> SearchResult:
    """Search a quantized database for the k most similar places of each query.

    Args:
        quantization: a name of QUANTIZATIONS.
        fit: unit rows (F, D) that the quantization is learned from.
        database: unit rows (N, D).
        queries: unit rows (Q, D).
        k: how many places to return, at most N.
        seed: of codebooks.

    Raises:
        NetvladError: the quantization cannot be learned from `fit`, or FAISS lacks it.
    """
    k = min(k, len(database))
    if quantization == BINARY:
        return _search_bits(database, queries, k)
    index = _index(quantization, fit, seed)
    index.add(database)
    _, rows = index.search(queries, k)
    return SearchResult(rows.astype(np.int64), int(index.sa_code_size()), _learned_bytes(index))


def _index(quantization: str, fit: Vector, seed: int) -> Any:
    dim = fit.shape[1]
    index: Any
    if quantization == RABITQ:
        if not hasattr(faiss, 'IndexRaBitQ'):
            raise NetvladError(f'FAISS {faiss.__version__} knows no RaBitQ, 1.11 does')
        index = faiss.IndexRaBitQ(dim, faiss.METRIC_INNER_PRODUCT)
        index.qb = 0  # whole queries
    elif quantization in _NUMBERS:
        if quantization in _RANGED and len(fit) < 2:
            raise NetvladError('one image tells no range of numbers')
        index = faiss.index_factory(dim, _NUMBERS[quantization], faiss.METRIC_INNER_PRODUCT)
    else:
        parts = _PARTS[quantization]
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


def _search_bits(database: Vector, queries: Vector, k: int) -> SearchResult:
    """Search by Hamming distance of signs (Charikar, STOC 2002); ties go to the lower row."""
    stored, asked = (np.packbits(vectors > 0, axis=1) for vectors in (database, queries))
    index = faiss.IndexBinaryFlat(8 * stored.shape[1])
    index.add(stored)
    _, rows = index.search(asked, k)
    return SearchResult(rows.astype(np.int64), stored.shape[1], 0)
