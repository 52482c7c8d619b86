#!/usr/bin/env python3
"""Time search and decision on a map of random places, beside one NumPy matrix product.

    python scripts/measure_search.py --places 10000 --dim 512

Two kinds of queries: images of a mapped place, and images of nothing on the map (the slower kind:
every place is as good a rival as any other).
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.decision import judge, weigh
from netvlad_ros.core.model_metadata import Calibration
from netvlad_ros.core.search import ExactSearch

QUERIES = 100
DEPTH = 1000  # search_depth of the localizer
CALIBRATION = Calibration(midpoint=0.42, slope=16.0, rival_slope=40.0)
REACH = 10.0 / CALIBRATION.rival_slope


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of unit length."""
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def main() -> None:
    """Print medians and 99th percentiles [ms], and the ratio to NumPy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--places', type=int, default=10_000)
    parser.add_argument('--dim', type=int, default=512)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    shape = (options.places, options.dim)
    descriptors = unit(rng.standard_normal(shape, dtype=np.float32))
    T_map_cam = np.tile(np.eye(4), (options.places, 1, 1))
    T_map_cam[:, 0, 3] = np.arange(options.places)  # a metre apart
    search = ExactSearch(descriptors)
    noise = rng.standard_normal((QUERIES, options.dim), dtype=np.float32)
    seen = descriptors[rng.integers(0, options.places, QUERIES)]
    kinds = {'mapped': unit(seen + 0.6 * noise / options.dim**0.5), 'elsewhere': unit(noise)}
    for kind, queries in kinds.items():
        times = np.zeros((QUERIES, 3))
        for i, query in enumerate(queries):
            start = time.perf_counter()
            indices, similarity = search.search(query, DEPTH)
            searched = time.perf_counter()
            near = max(10, int((similarity >= similarity[0] - REACH).sum()))
            found = weigh(T_map_cam[indices[:near]], similarity[:near], CALIBRATION, 2.0, 45.0)
            judge(found, similarity, 1.0, accept_probability=0.95, min_detail=0.05)
            decided = time.perf_counter()
            product = descriptors @ query
            np.argpartition(-product, DEPTH)[:DEPTH]
            times[i] = searched - start, decided - searched, time.perf_counter() - decided
        p50, p99 = 1e3 * np.percentile(times[5:], [50, 99], axis=0)
        for name, middle, worst in zip(('search', 'decide', 'numpy'), p50, p99, strict=True):
            print(f'{kind:10} {name:7} p50 {middle:6.2f} ms   p99 {worst:6.2f} ms')
        print(f'{kind:10} search / numpy {p50[0] / p50[2]:.2f}')


if __name__ == '__main__':
    main()
