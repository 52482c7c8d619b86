"""`netvlad report`: evaluations side by side, on the same axes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    runs: Annotated[
        list[Path], typer.Argument(metavar='RUN RUN ...', help='Folders of `netvlad eval --out`.')
    ],
    out: Annotated[Path, typer.Option(metavar='DIR', help='Write the comparison here.')],
) -> None:
    """Compare evaluations: recall, precision and errors of all runs on the same axes.

    Writes metrics.json (by run), recall.png, precision_recall.png, errors.png and report.html,
    one page that opens offline.
    """
    from netvlad_ros.offline.report.run_comparison import compare_runs

    compare_runs(runs, out)
    typer.echo(out / 'report.html')
