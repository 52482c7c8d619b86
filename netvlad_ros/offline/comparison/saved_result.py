"""The folder of one method on one benchmark: whole or not there, and found again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from netvlad_ros.core.errors import NetvladError
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
    """The metrics that a folder holds, if they are of these settings and nobody changed them.

    Else None, and why in words; '' where there is no folder. Raises NetvladError if something else
    is in its place.
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

    A result that is there already is replaced. Raises SavingError if it cannot be written.
    """
    temporary = folder.with_name(f'.{folder.name}.{os.getpid()}.tmp')
    replaced = folder.with_name(f'.{folder.name}.{os.getpid()}.old')
    try:
        temporary.mkdir(parents=True)
        run = benchmark_run(benchmark, root, ranking, metrics, settings)
        write_ranked_report(run, temporary)
        np.savez_compressed(
            temporary / 'ranking.npz',
            indices=ranking.indices,
            scores=ranking.scores,
            database=np.array([str(image) for image in benchmark.database]),
            queries=np.array([str(image) for image in benchmark.queries]),
        )
        _write_mark(temporary, metrics, settings)
        if folder.exists():
            folder.rename(replaced)
        temporary.rename(folder)
    except OSError as error:
        raise SavingError(f'{folder} cannot be written: {error.strerror}') from error
    except NetvladError as error:
        raise SavingError(str(error).replace(str(temporary), str(folder))) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)


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
