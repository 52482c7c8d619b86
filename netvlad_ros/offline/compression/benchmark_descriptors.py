"""BenchmarkDescriptors: the descriptors of a benchmark's images, each computed once."""

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
    """Descriptors of a benchmark, unit rows, float32.

    Attributes:
        database: (N, D).
        queries: (Q, D).
        fit: (F, D), those that whitenings and quantizations are learned from.
    """

    database: Vector
    queries: Vector
    fit: Vector


def describe_benchmark(
    benchmark: Benchmark, context: MethodContext, progress: Progress
) -> BenchmarkDescriptors:
    """Describe each image once.

    Raises:
        NetvladError: an image or the model is unusable.
    """
    descriptor = BundleDescriptor(context)
    image_sets = [
        ImageSet(benchmark.database),
        ImageSet(benchmark.queries, benchmark.boxes, benchmark.query_order),
    ]
    if context.training is not None:
        image_sets.append(ImageSet(context.training))
    total, done, described = sum(map(len, image_sets)), 0, []
    for images in image_sets:
        rows = []
        for row in range(len(images)):
            rows.append(descriptor.describe(images[row]))
            done += 1
            progress(done, total)
        described.append(np.array(rows, np.float32))
    database, queries, *others = described
    return BenchmarkDescriptors(database, queries, others[0] if others else database)
