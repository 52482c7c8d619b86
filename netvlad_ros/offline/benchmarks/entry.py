"""An entry of the list of benchmarks: its words, and its loader."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from netvlad_ros.offline.benchmarks.benchmark import Benchmark, BenchmarkInfo
from netvlad_ros.offline.benchmarks.origin import Origin

ANYLOC = "AnyLoc's public release (its benchmark datasets)"


def entry(
    name: str,
    title: str,
    layout: str,
    protocol: str,
    obtained: str,
    load: Callable[[Origin, Path], Benchmark],
    recall_at_1: float | None = None,
) -> BenchmarkInfo:
    """Arguments as the fields of BenchmarkInfo; load is told the origin."""
    origin = Origin(name, title, protocol)
    return BenchmarkInfo(
        name, title, layout, protocol, obtained, partial(load, origin), recall_at_1
    )
