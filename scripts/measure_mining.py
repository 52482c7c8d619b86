#!/usr/bin/env python3
"""Time one round of mining over many images, and the memory that it takes.

    python scripts/measure_mining.py --images 100000 --dim 4096 --mode full

The images are not there: a track of positions, driven twice, says who is near whom, and the network
is a stand-in that makes up a unit vector for each index. Its time is taken off and shown apart.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.offline.datasets.place_images import PlaceImages
from netvlad_ros.offline.report.report_folder import write_json
from netvlad_ros.training.config.sections import MODES, MiningConfig, SupervisionConfig
from netvlad_ros.training.data.supervision import Supervision
from netvlad_ros.training.mining.make_miner import make_miner

STEP_M = 2.0  # between images of the track
PARTS = 16  # of a made-up descriptor: its index chooses a row of each part
CHOICES = 4096


class MadeUpNetwork:
    """Describes image i by rows of small random tables, which i selects; stores no N x D array."""

    def __init__(self, dim: int) -> None:
        rng = np.random.default_rng(0)
        self._tables = rng.standard_normal((PARTS, CHOICES, dim // PARTS), dtype=np.float32)
        self._tables /= np.linalg.norm(self._tables, axis=2, keepdims=True) * PARTS**0.5
        self._factors = rng.integers(1, 2**31, PARTS) * 2 + 1
        self.seconds = 0.0
        self.described = 0

    def describe(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        """Unit rows, (M, D) float32; an index always gets the same row."""
        start = time.perf_counter()
        chosen = (indices[:, None] * self._factors >> 16) % CHOICES
        rows = self._tables[np.arange(PARTS), chosen].reshape(len(indices), -1)
        self.described += len(indices)
        self.seconds += time.perf_counter() - start
        return rows


def two_laps(images: int) -> Supervision:
    """A closed course that is driven twice, with an image every two metres."""
    half = images // 2
    turn = 2.0 * np.pi * np.arange(half) / half
    lap = np.stack([np.cos(turn), np.sin(turn)], axis=1) * STEP_M * half / (2.0 * np.pi)
    count = 2 * half
    source = PlaceImages(
        name='laps',
        images=tuple(Path(f'{i}.png') for i in range(count)),
        recordings=np.repeat(['lap 1', 'lap 2'], half),
        areas=np.full(count, 'town'),
        positions_m=np.concatenate([lap, lap + 1.0]),
        headings_deg=None,
        times_s=None,
        places=None,
        is_query=np.ones(count, dtype=bool),
        is_database=np.ones(count, dtype=bool),
    )
    return Supervision([source], SupervisionConfig(multi_visit=True))


def memory_mb(field: str) -> float:
    """VmRSS, memory of this process, or VmHWM, its maximum since forget_peak() [MiB]."""
    lines = Path('/proc/self/status').read_text(encoding='ascii').splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def forget_peak() -> float:
    """Reset VmHWM to the memory in use; returns the latter [MiB]."""
    Path('/proc/self/clear_refs').write_text('5', encoding='ascii')
    return memory_mb('VmRSS')


def main() -> None:
    """Print seconds and peak memory of building the supervision and of one round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--images', type=int, default=100_000)
    parser.add_argument('--dim', type=int, default=4096)
    parser.add_argument('--mode', choices=MODES, default='partial')
    parser.add_argument('--tuples', type=int, default=1000)
    parser.add_argument('--batch', type=int, default=4)
    parser.add_argument('--cache-mb', type=int, default=2048)
    parser.add_argument('--json', type=Path, help='write the figures here')
    options = parser.parse_args()
    network = MadeUpNetwork(options.dim)
    before = forget_peak()
    start = time.perf_counter()
    supervision = two_laps(options.images)
    queries = len(supervision.queries)
    ready = time.perf_counter()
    print(
        f'{len(supervision)} images, {queries} queries: who is near whom '
        f'{ready - start:.1f} s, +{memory_mb("VmHWM") - before:.0f} MiB'
    )
    config = MiningConfig(mode=options.mode, cache_mb=options.cache_mb)
    miner = make_miner(config, supervision, network.describe, batch=options.batch, seed=0)
    before = forget_peak()
    start = time.perf_counter()
    batches = miner.round(0, options.tuples)
    seconds = time.perf_counter() - start - network.seconds
    peak = memory_mb('VmHWM')
    print(
        f'{options.mode}, {options.dim} dimensions, cache {options.cache_mb} MiB: '
        f'{len(batches)} batches of {options.batch} in {seconds:.1f} s '
        f'(and {network.seconds:.1f} s for {network.described} made-up descriptors), '
        f'round +{peak - before:.0f} MiB, process {peak:.0f} MiB'
    )
    if options.json:
        write_json({'seconds': seconds, 'round_mib': peak - before}, options.json)


if __name__ == '__main__':
    main()
