"""Descriptors of a benchmark's images, computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.benchmarks.benchmark import Benchmark
from netvlad_ros.offline.methods.bundle_descriptor import BundleDescriptor
from netvlad_ros.offline.methods.method import ImageSet, MethodContext
from netvlad_ros.offline.methods.recipe import Vector

if TYPE_CHECKING:
    from netvlad_ros.offline.progress import Progress


@dataclass(frozen=True, eq=False)
class Sides:
    """Descriptors of a benchmark, and those that whitenings and codes learn from; (n, D) each."""

    database: Vector
    queries: Vector
    fit: Vector


def describe_sides(benchmark: Benchmark, context: MethodContext, progress: Progress) -> Sides:
    """Describe each image once. Raises NetvladError if an image or the model is unusable."""
    descriptor = BundleDescriptor(context)
    sides = [
        ImageSet(benchmark.database),
        ImageSet(benchmark.queries, benchmark.boxes, benchmark.query_order),
    ]
    if context.training is not None:
        sides.append(ImageSet(context.training))
    total, done, described = sum(map(len, sides)), 0, []
    for side in sides:
        rows = []
        for row in range(len(side)):
            rows.append(descriptor.describe(side[row]))
            done += 1
            progress(done, total)
        described.append(np.array(rows, np.float32))
    return Sides(described[0], described[1], described[-1 if len(sides) > 2 else 0])


def fit_images(paths: Sequence[Path], benchmark: Benchmark) -> tuple[Path, ...]:
    """Images to learn from. Raises NetvladError if there are none, or queries among them."""
    if not paths:
        raise NetvladError('there is no image to fit on')
    queries = {path.resolve() for path in benchmark.queries}
    shared = sum(path.resolve() in queries for path in paths)
    if shared:
        raise NetvladError(
            f'{shared} of the images to fit on are queries of {benchmark.name}, which would '
            'flatter the result; fit on others'
        )
    return tuple(paths)


def of_database(paths: Sequence[Path], benchmark: Benchmark) -> int:
    """Count the images that are places of the benchmark: what is fitted on them flatters."""
    places = {path.resolve() for path in benchmark.database}
    return sum(path.resolve() in places for path in paths)
