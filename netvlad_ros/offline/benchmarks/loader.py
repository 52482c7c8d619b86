"""DatasetInfo, which every loader gets, and entry(), which makes an entry of the registry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.benchmarks.benchmark import Benchmark, BenchmarkInfo

ANYLOC = "AnyLoc's public release (its benchmark datasets)"


@dataclass(frozen=True)
class DatasetInfo:
    """Name, title and protocol of a benchmark, as in BenchmarkInfo, and its paths on disk."""

    name: str
    title: str
    protocol: str

    def file(self, path: Path) -> Path:
        """The path of an existing file; upper and lower case may differ.

        Raises:
            NetvladError: no such file, or several that differ in case only.
        """
        return self._existing(path, Path.is_file)

    def folder(self, path: Path) -> Path:
        """The path of an existing folder; as file."""
        return self._existing(path, Path.is_dir)

    def missing(self, path: Path) -> NetvladError:
        """The error for a path that does not exist."""
        return NetvladError(f'{path} does not exist')

    def _existing(self, path: Path, is_kind: Callable[[Path], bool]) -> Path:
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


def entry(
    name: str,
    title: str,
    layout: str,
    protocol: str,
    obtained: str,
    load: Callable[[DatasetInfo, Path], Benchmark],
    recall_at_1: float | None = None,
) -> BenchmarkInfo:
    """A BenchmarkInfo of these fields, whose reader is `load`, given the DatasetInfo."""
    dataset = DatasetInfo(name, title, protocol)
    return BenchmarkInfo(
        name, title, layout, protocol, obtained, partial(load, dataset), recall_at_1
    )
