#!/usr/bin/env python3
"""Time search and decision on a map of random places, beside one NumPy matrix product.

    python scripts/measure_search.py --places 10000 --dim 512

Two kinds of queries: images of a mapped place, and images of nothing on the map (the slower kind:
every place is as good a rival as any other).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.localizer import Localizer
from netvlad_ros.core.model.metadata import SimilarityCalibration
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.offline.report.report_folder import write_json

QUERIES = 100


class GivenDescriptors:
    """Replaces a model bundle: each image gets the next of these vectors."""

    path = 'random vectors'
    metadata = SimpleNamespace(model_id='random', calibration=SimilarityCalibration(0.42, 16.0))

    def __init__(self, descriptors: NDArray[np.float32]) -> None:
        self._next = iter(descriptors)

    def describe(self, _: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The next vector, float32 (D,)."""
        return next(self._next)


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of unit length."""
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def main() -> None:
    """Print medians and 99th percentiles [ms], and the ratio to NumPy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--places', type=int, default=10_000)
    parser.add_argument('--dim', type=int, default=512)
    parser.add_argument('--json', type=Path, help='write the figures here')
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    shape = (options.places, options.dim)
    descriptors = unit(rng.standard_normal(shape, dtype=np.float32))
    T_map_cam = np.tile(np.eye(4), (options.places, 1, 1))
    T_map_cam[:, 0, 3] = np.arange(options.places)  # a metre apart
    place_map = PlaceMap.create(
        model_id='random',
        frame_id='map',
        descriptors=descriptors,
        recordings=['random'] * options.places,
        stamps_ns=range(options.places),
        images=['none'] * options.places,
        T_map_cam=T_map_cam,
    )
    image = rng.integers(0, 256, (480, 640, 3), dtype=np.uint8)
    noise = rng.standard_normal((QUERIES, options.dim), dtype=np.float32)
    seen = descriptors[rng.integers(0, options.places, QUERIES)]
    kinds = {'mapped': unit(seen + 0.6 * noise / options.dim**0.5), 'elsewhere': unit(noise)}
    metrics: dict[str, dict[str, float]] = {}
    for kind, queries in kinds.items():
        localizer = Localizer(GivenDescriptors(queries), place_map)
        depth = localizer.config.search_depth
        times_ms = []
        for query in queries:
            timings_ms = localizer.step(image, 0).timings_ms
            start = time.perf_counter()
            np.argpartition(-(descriptors @ query), depth)[:depth]
            peer_ms = 1e3 * (time.perf_counter() - start)
            times_ms.append((timings_ms['search'], timings_ms['decide'], peer_ms))
        p50, p99 = np.percentile(times_ms[5:], [50, 99], axis=0)
        metrics[kind] = {'ratio_to_numpy': p50[0] / p50[2]}
        for name, middle, worst in zip(('search', 'decide', 'numpy'), p50, p99, strict=True):
            metrics[kind] |= {f'{name}_p50_ms': middle, f'{name}_p99_ms': worst}
            print(f'{kind:10} {name:7} p50 {middle:6.2f} ms   p99 {worst:6.2f} ms')
        print(f'{kind:10} search / numpy {p50[0] / p50[2]:.2f}')
    if options.json:
        write_json(metrics, options.json)


if __name__ == '__main__':
    main()
