"""`netvlad report`: evaluations side by side, on the same axes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netvlad_ros.core.words import one_line


def report(
    runs: Annotated[
        list[Path], typer.Argument(metavar='RUN RUN ...', help='Folders of `netvlad eval --out`.')
    ],
    out: Annotated[Path, typer.Option(metavar='DIR', help='Write the comparison here.')],
) -> None:
    """Compare evaluations: recall, precision and errors of all runs on the same axes.

    Only the queries that all runs have are compared; the page says so where that is not all.
    Writes metrics.json (by run), recall.png, precision_recall.png, errors.png and report.html,
    one page that opens offline.
    """
    from netvlad_ros.offline.report.run_comparison import compare_runs

    for note in compare_runs(runs, out):
        typer.echo(one_line(f'netvlad: {note}'), err=True)
    typer.echo(out / 'report.html')
