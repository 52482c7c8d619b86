"""The Oxford and Paris buildings with their later ground truth: easy, medium and hard.

Source: Radenovic, Iscen, Tolias, Avrithis and Chum, Revisiting Oxford and Paris, CVPR 2018.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from netvlad_ros.offline.benchmarks.benchmark import Benchmark, Rows
from netvlad_ros.offline.benchmarks.retrieval.catalogue import (
    Catalogue,
    images_on_disk,
    missing_images,
    present_queries,
)
from netvlad_ros.offline.benchmarks.retrieval.ground_truth_file import (
    find_ground_truth,
    read_ground_truth,
)

PROTOCOL = (
    'mean average precision (trapezoids) and precision at 1, 5, 10, medium first: easy and hard '
    'images are right, junk counts neither way, queries are cut to their box and not searched in'
)


@dataclass(frozen=True)
class RevisitedBenchmark(Benchmark):
    """A benchmark whose positives (medium) are split into easy and hard ones.

    Attributes:
        easy: per query the easy positives, ascending rows.
        hard: per query the hard positives, ascending rows.
    """

    easy: tuple[Rows, ...] = ()
    hard: tuple[Rows, ...] = ()


def load_roxford5k(root: Path) -> RevisitedBenchmark:
    """4993 images, 70 queries.

    Raises:
        NetvladError: a file is missing or broken.
    """
    return _load('roxford5k', root)


def load_rparis6k(root: Path) -> RevisitedBenchmark:
    """6322 images, 70 queries.

    Raises:
        NetvladError: a file is missing or broken.
    """
    return _load('rparis6k', root)


def _load(name: str, root: Path) -> RevisitedBenchmark:
    on_disk = images_on_disk(root)
    truth = read_ground_truth(find_ground_truth(root, name))
    queries = present_queries(truth.queries, on_disk, root)
    catalogue = Catalogue(truth.database, on_disk)
    asked = [query.image for query in truth.queries]
    return RevisitedBenchmark(
        name=name,
        protocol=PROTOCOL,
        database=catalogue.paths,
        queries=tuple(on_disk[query.image] for query in queries),
        positives=tuple(catalogue.rows(query.easy | query.hard) for query in queries),
        junk=tuple(catalogue.rows(query.junk) for query in queries),
        boxes=tuple(query.box for query in queries),
        missing=missing_images([*truth.database, *asked], on_disk),
        easy=tuple(catalogue.rows(query.easy) for query in queries),
        hard=tuple(catalogue.rows(query.hard) for query in queries),
    )
