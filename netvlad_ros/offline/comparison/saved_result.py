"""The folder with the result of one method on one benchmark: saved whole, and found again."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.files import atomic_directory
from netvlad_ros.offline.benchmarks.benchmark import Benchmark
from netvlad_ros.offline.comparison.run_settings import Settings
from netvlad_ros.offline.evaluation.benchmark_ranking import Metrics
from netvlad_ros.offline.evaluation.ranking_report import benchmark_run, write_ranked_report
from netvlad_ros.offline.methods.method import Ranking

MARK = 'finished.json'
MOST_BYTES = 2**26  # of the mark


class SavingError(NetvladError):
    """A result cannot be kept: nor can that of any other method."""


def find_finished(folder: Path, settings: Settings) -> tuple[Metrics | None, str]:
    """Find the metrics that a folder holds.

    Args:
        folder: of the result.
        settings: what the result depends on.

    Returns:
        The metrics, if they are of these settings and no file was changed; else None, and why in
        words, '' if there is no folder.

    Raises:
        NetvladError: something else is in place of the folder.
    """
    if not folder.is_symlink() and not folder.exists():
        return None, ''
    if folder.is_symlink() or not (folder / MARK).is_file():
        raise NetvladError(
            f'{folder} is no result of `netvlad compare`, it lacks {MARK}; move it away or choose '
            'another --out'
        )
    try:
        mark = _read_mark(folder)
    except NetvladError as error:
        return None, str(error)
    old = mark['settings']
    differing = [name for name, value in settings.items() if old.get(name) != value]
    if differing:
        return None, f'other {", ".join(differing)} than before'
    return mark['figures'], ''


def save_finished(
    folder: Path,
    root: Path,
    benchmark: Benchmark,
    ranking: Ranking,
    metrics: Metrics,
    settings: Settings,
) -> None:
    """Write what `netvlad eval --out` writes, the ranking (ranking.npz) and the mark, in one go.

    Args:
        folder: of the result; a result that is there already is replaced.
        root: folder of the benchmark.
        benchmark: the images and what is right.
        ranking: of the method.
        metrics: of the ranking.
        settings: what the result depends on.

    Raises:
        SavingError: the folder cannot be written; what was there before stays.
    """
    if folder.parent.exists() and not folder.parent.is_dir():
        raise SavingError(f'{folder} cannot be written: {os.strerror(errno.ENOTDIR)}')
    staged = folder
    try:
        with atomic_directory(folder, overwrite=True) as staged:
            write_ranked_report(benchmark_run(benchmark, root, ranking, metrics, settings), staged)
            np.savez_compressed(
                staged / 'ranking.npz',
                indices=ranking.indices,
                scores=ranking.scores,
                database=np.array([str(image) for image in benchmark.database]),
                queries=np.array([str(image) for image in benchmark.queries]),
            )
            _write_mark(staged, metrics, settings)
    except NetvladError as error:
        sentence = str(error).replace(str(staged), str(folder))
        raise SavingError(sentence.replace(str(folder.absolute()), str(folder))) from error


def _write_mark(folder: Path, metrics: Metrics, settings: Settings) -> None:
    files = {path.name: _digest(path.read_bytes()) for path in sorted(folder.iterdir())}
    mark = {'settings': settings, 'figures': metrics, 'files': files}
    text = json.dumps({**mark, 'sha256': _seal(mark)}, indent=1, allow_nan=False)
    (folder / MARK).write_text(text + '\n', encoding='utf-8')


def _read_mark(folder: Path) -> Mapping[str, Any]:
    """Raises NetvladError that says what of the folder is not as it was written."""
    path = folder / MARK
    try:
        if path.stat().st_size > MOST_BYTES:
            raise NetvladError(f'{MARK} is larger than {MOST_BYTES} bytes')
        mark = json.loads(path.read_text(encoding='utf-8'))
        sealed = mark.pop('sha256')
        intact = sealed == _seal(mark)
    except (OSError, ValueError, RecursionError, AttributeError, KeyError, TypeError):
        intact = False
    if not intact:
        raise NetvladError(f'{MARK} is damaged')
    for name, digest in mark['files'].items():
        try:
            if _digest((folder / name).read_bytes()) != digest:
                raise NetvladError(f'{name} was changed')
        except OSError as error:
            raise NetvladError(f'{name} cannot be read') from error
    return mark


def _seal(mark: Mapping[str, Any]) -> str:
    return _digest(json.dumps(mark, sort_keys=True, allow_nan=False).encode())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
