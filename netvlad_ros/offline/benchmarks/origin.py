"""What a loader is told of the benchmark that it reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from netvlad_ros.core.errors import NetvladError


@dataclass(frozen=True)
class Origin:
    """Fields as in BenchmarkInfo."""

    name: str
    title: str
    protocol: str

    def file(self, path: Path) -> Path:
        """The path, if a file is there; else NetvladError."""
        if not path.is_file():
            raise self.missing(path)
        return path

    def folder(self, path: Path) -> Path:
        """The path, if a folder is there; else NetvladError."""
        if not path.is_dir():
            raise self.missing(path)
        return path

    def missing(self, path: Path) -> NetvladError:
        """The error for a path that is not there."""
        return NetvladError(f'{path} does not exist')
