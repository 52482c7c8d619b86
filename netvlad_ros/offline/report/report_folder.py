"""The output folder, written whole or not at all; metrics.json."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.files import write_whole

# All files of a report. The page comes last: where it is, the report is complete.
FILES = (
    'recall.png',
    'precision_recall.png',
    'errors.png',
    'reliability.png',
    'similarity.png',
    'map.png',
    'matches.csv',
    'metrics.json',
    'report.html',
)


@contextmanager
def report_folder(out: Path) -> Iterator[Path]:
    """Give an empty folder inside `out` whose files move into `out` when the block succeeds.

    They replace all files of a report that is there; a folder is a report if it has a page. Other
    files stay. If the block raises (Ctrl-C included), `out` is as it was before.

    Raises:
        NetvladError: at once, if `out` cannot be written.
    """
    if out.exists() and not out.is_dir():
        raise NetvladError(f'--out: {out} cannot be written: it is a file; name a folder')
    new = _folders_to_make(out)
    staged = out / f'.report.tmp-{os.getpid()}'
    try:
        with _explained(out):
            out.mkdir(parents=True, exist_ok=True)
            _remove_orphans(out)
            staged.mkdir()
        for name in FILES:
            if (out / name).is_dir():
                raise NetvladError(f'--out: {out / name} is a folder; a file belongs there')
        yield staged
        is_report = (out / FILES[-1]).exists()
        with _explained(out):
            for name in FILES:
                if (staged / name).exists():
                    (staged / name).replace(out / name)
                elif is_report:
                    (out / name).unlink(missing_ok=True)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
        with suppress(OSError):  # those that hold something by now stay
            for folder in new:
                folder.rmdir()


@contextmanager
def _explained(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NetvladError(f'--out: {out} cannot be written: {error.strerror}') from error


def _remove_orphans(out: Path) -> None:
    """Remove the folders of killed processes, and only theirs."""
    for orphan in out.glob('.report.tmp-*'):
        if not Path('/proc', orphan.name.rpartition('-')[2]).exists():
            shutil.rmtree(orphan, ignore_errors=True)


def _folders_to_make(out: Path) -> list[Path]:
    """Missing folders among `out` and its parents, the innermost first."""
    return [folder for folder in (out, *out.parents) if not folder.exists()]


def write_json(result: dict[str, Any], path: Path) -> None:
    """Write the metrics as JSON, whole or not at all. Raises NetvladError if that fails."""
    write_whole(path, (json_text(result) + '\n').encode('utf-8'))


def json_text(result: dict[str, Any]) -> str:
    """Metrics as the text of a JSON file; a value that JSON cannot hold raises ValueError."""
    return json.dumps(result, indent=2, allow_nan=False)
