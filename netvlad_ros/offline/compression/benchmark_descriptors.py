"""Descriptors of a benchmark's images, computed once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from netvlad_ros.offline.benchmarks.benchmark import Benchmark
from netvlad_ros.offline.methods.global_descriptors.bundle_descriptor import BundleDescriptor
from netvlad_ros.offline.methods.method import ImageSet, MethodContext
from netvlad_ros.offline.methods.recipe import Vector

if TYPE_CHECKING:
    from netvlad_ros.offline.progress import Progress


@dataclass(frozen=True, eq=False)
class BenchmarkDescriptors:
    """Descriptors of a benchmark, and those that whitenings and codes learn from; (n, D) each."""

    database: Vector
    queries: Vector
    fit: Vector


def describe_sides(
    benchmark: Benchmark, context: MethodContext, progress: Progress
) -> BenchmarkDescriptors:
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
    return BenchmarkDescriptors(described[0], described[1], described[-1 if len(sides) > 2 else 0])
