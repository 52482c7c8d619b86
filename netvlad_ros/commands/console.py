"""Progress bars, skips, metrics and JSON on the terminal."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from netvlad_ros.core.words import one_line
from netvlad_ros.offline.progress import no_progress
from netvlad_ros.offline.report.report_folder import json_text, write_json

if TYPE_CHECKING:
    from netvlad_ros.offline.drives.drive import Drive
    from netvlad_ros.offline.progress import Progress, Skip

INTERRUPTED = 130  # 128 + SIGINT, as shells count


def check_json_file(json_file: Path | None) -> None:
    """Raise typer.BadParameter, before any work is done, if the file can never be written."""
    if json_file is None or str(json_file) == '-':
        return
    if not json_file.absolute().parent.is_dir():
        raise typer.BadParameter(f'--json: the folder of {json_file} does not exist')
    if json_file.is_dir():
        raise typer.BadParameter(f'--json: {json_file} is a folder; name a file')


def report(result: dict[str, Any], json_file: Path | None) -> None:
    """Print the metrics as lines and write them as JSON; '-' = print only JSON."""
    if json_file is not None and str(json_file) == '-':
        typer.echo(json_text(result))
        return
    if json_file is not None:
        write_json(result, json_file)
    from netvlad_ros.offline.metrics.run_metrics import RunMetrics
    from netvlad_ros.offline.report.notices import interval_words, notices

    _print(result, '')
    metrics = RunMetrics.from_json(result)
    for sentence in (*notices(metrics), interval_words(metrics)):
        if sentence:
            typer.echo(one_line(sentence))


def _print(result: dict[str, Any], indent: str) -> None:
    for name, value in result.items():
        if isinstance(value, list) or value == {}:
            continue  # diagrams and names are for files and pictures
        if isinstance(value, dict):
            if any(isinstance(inner, dict) for inner in value.values()):
                typer.echo(f'{indent}{name}:')
                _print(value, indent + '  ')
                continue
            value = '  '.join(f'{key}: {_number(number)}' for key, number in value.items())
        typer.echo(one_line(f'{indent}{name + ":":<16} {_number(value)}'))


def _number(value: Any) -> str:
    if value is None:
        return '-'
    if isinstance(value, list):
        return f'[{", ".join(map(_number, value))}]'
    return f'{value:.4g}' if isinstance(value, float) else str(value)


@contextmanager
def progress_bar(title: str) -> Iterator[Progress]:
    """Show progress on stderr if it is a terminal; stdout is for the result."""
    with progress_bars(title) as (progress,):
        yield progress


@contextmanager
def progress_bars(*titles: str) -> Iterator[list[Progress]]:
    """Show the progress of several stages, each from its start."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        yield [no_progress] * len(titles)
        return
    columns = (
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        tasks = [bar.add_task(title, total=None, visible=not i) for i, title in enumerate(titles)]

        def shown(task: TaskID) -> Callable[[int, int], None]:
            return lambda done, total: bar.update(task, completed=done, total=total, visible=True)

        yield [shown(task) for task in tasks]


def check_out_folder(out: Path | None) -> None:
    """Raise NetvladError, before any work is done, unless files can be written into a folder."""
    from netvlad_ros.core.errors import NetvladError

    if out is None:
        return
    there = next(folder for folder in (out, *out.parents) if folder.exists())
    if not there.is_dir():
        raise NetvladError(f'--out: {out} cannot be written: {there} is a file; name a folder')
    if not os.access(there, os.W_OK | os.X_OK):
        raise NetvladError(f'--out: {out} cannot be written: no files may be written in {there}')


def report_missing(missing: Sequence[str], where: str) -> None:
    """Say on stderr how many images a benchmark lacks, and which is the first."""
    if missing:
        what = '1 image is' if len(missing) == 1 else f'{len(missing)} images are'
        sentence = f'{where}: {what} missing, the first is {missing[0][:120]}'
        typer.echo(one_line(f'netvlad: {sentence}'), err=True)


def report_skips(drive: Drive, skipped: Sequence[Skip]) -> None:
    """Say on stderr what opening a drive and reading its frames left out, and why."""
    from netvlad_ros.offline.progress import skip_sentences

    for sentence in [*getattr(drive, 'notes', []), *skip_sentences([*drive.skipped, *skipped])]:
        typer.echo(one_line(f'netvlad: {drive.name}: {sentence}'), err=True)


def print_facts(facts: dict[str, Any], as_json: bool) -> None:
    """Print facts as JSON, or as lines without missing values."""
    if as_json:
        typer.echo(json.dumps(facts, indent=2, allow_nan=False))
        return
    for name, value in facts.items():
        if isinstance(value, dict):
            value = ', '.join(f'{key} ({count})' for key, count in value.items())
        elif isinstance(value, float):
            value = f'{value:.4g}'
        if value not in (None, []):
            typer.echo(f'{name + ":":<21}{value}')
