"""What a loader is told, and an entry of the registry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.benchmarks.benchmark import Benchmark, BenchmarkInfo


@dataclass(frozen=True)
class DatasetInfo:
    """Fields as in BenchmarkInfo."""

    name: str
    title: str
    protocol: str

    def file(self, path: Path) -> Path:
        """The path, or the one file there that has its name but for the case; else NetvladError."""
        return self._there(path, Path.is_file)

    def folder(self, path: Path) -> Path:
        """As file, of a folder."""
        return self._there(path, Path.is_dir)

    def missing(self, path: Path) -> NetvladError:
        """The error for a path that is not there."""
        return NetvladError(f'{path} does not exist')

    def _there(self, path: Path, is_kind: Callable[[Path], bool]) -> Path:
        if is_kind(path):
            return path
        try:
            beside = list(path.parent.iterdir())
        except OSError:
            beside = []
        alike = [p for p in beside if p.name.lower() == path.name.lower() and is_kind(p)]
        if len(alike) != 1:
            raise self.missing(path)
        return alike[0]


ANYLOC = "AnyLoc's public release (its benchmark datasets)"


def entry(
    name: str,
    title: str,
    layout: str,
    protocol: str,
    obtained: str,
    load: Callable[[DatasetInfo, Path], Benchmark],
    recall_at_1: float | None = None,
) -> BenchmarkInfo:
    """Arguments as the fields of BenchmarkInfo; load is told the origin."""
    dataset = DatasetInfo(name, title, protocol)
    return BenchmarkInfo(
        name, title, layout, protocol, obtained, partial(load, dataset), recall_at_1
    )
