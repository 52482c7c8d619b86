"""Settings: what the result of a method depends on; with equal settings it is reused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import netvlad_ros
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.benchmarks.benchmark import Benchmark
from netvlad_ros.offline.bundles.default_model import default_model
from netvlad_ros.offline.methods.method import MethodContext
from netvlad_ros.offline.methods.registry import METHODS, runs_model
from netvlad_ros.offline.report.environment import environment

if TYPE_CHECKING:
    from netvlad_ros.offline.progress import Progress


Settings = dict[str, Any]
_CODE = ('core', 'offline')  # of the package: what rankings and metrics are made by


def settings_of(name: str, context: MethodContext, images: Settings) -> Settings:
    """Settings of one method, plain JSON; they include processor and threads because of the times.

    Args:
        name: of the method.
        context: of the method.
        images: settings of images_of.

    Raises:
        NetvladError: a model cannot be read.
    """
    model = None if name in METHODS else Path(name)
    if runs_model(name):
        model = context.model or default_model()
    known = environment()
    del known['written']
    return {
        **images,
        'method': name if name in METHODS else Path(name).name,
        'model': None if model is None else _digest([_content(model)]),
        'seed': context.seed,
        'threads': context.thread_count,
        'environment': known,
        'code': _code(),
    }


def images_of(
    benchmark: Benchmark, root: Path, training: Sequence[Path] | None, progress: Progress
) -> Settings:
    """Hashes of all images and of the ground truth of a benchmark.

    Args:
        benchmark: the images and what is right.
        root: its folder.
        training: images that methods learn from; None = the database.
        progress: called for every image.

    Raises:
        NetvladError: an image cannot be read.
    """
    sides = (*benchmark.database, *benchmark.queries)
    total = len(sides) + len(training or ())
    done = 0

    def contents(paths: Sequence[Path]) -> Iterable[bytes]:
        nonlocal done
        for path in paths:
            name = path.relative_to(root) if path.is_relative_to(root) else path
            yield str(name).encode(errors='surrogateescape') + b'\0' + _content(path)
            done += 1
            progress(done, total)

    return {
        'benchmark': benchmark.name,
        'protocol': benchmark.protocol,
        'ground truth': _digest(_truth(benchmark)),
        'images': _digest(contents(sides)),
        'training images': None if training is None else _digest(contents(training)),
    }


def _truth(benchmark: Benchmark) -> Iterable[bytes]:
    """All but the images, query by query, as the lists of junk may be long."""
    for entry in fields(benchmark):
        if entry.name not in ('database', 'queries'):
            value = getattr(benchmark, entry.name)
            yield entry.name.encode()
            for part in value if isinstance(value, tuple) else (value,):
                yield json.dumps(part, default=np.ndarray.tolist).encode()


@cache
def _code() -> str:
    package = Path(netvlad_ros.__file__).parent
    sources = (path for room in _CODE for path in (package / room).rglob('*.py'))
    return _digest(_content(path) for path in sorted(sources))


def _content(path: Path) -> bytes:
    digest = hashlib.sha256()
    try:
        with path.open('rb') as file:
            while block := file.read(2**20):
                digest.update(block)
    except OSError as error:
        raise NetvladError(f'{path} cannot be read: {error.strerror}') from error
    return digest.digest()


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, 'little') + part)
    return digest.hexdigest()
