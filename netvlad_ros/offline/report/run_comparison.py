"""Several evaluations on the same axes: pictures, a table and one page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from netvlad_ros.core.bootstrap import paired_difference
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.evaluation_pictures import MOST_CURVES, draw_precision_recall
from netvlad_ros.offline.evaluation_report import write_json
from netvlad_ros.offline.report.environment import environment
from netvlad_ros.offline.report.figure_table import side_by_side, summary
from netvlad_ros.offline.report.page import Page
from netvlad_ros.offline.report.run_pictures import draw_errors, draw_recall
from netvlad_ros.offline.report.safe_text import label
from netvlad_ros.offline.report.saved_run import SavedRun
from netvlad_ros.offline.report.whole_file import write_whole


def compare_runs(folders: Sequence[Path], out: Path) -> None:
    """Write metrics.json (by run), recall.png, precision_recall.png, errors.png and report.html.

    folders: of `netvlad eval --out`. Raises NetvladError if one of them is no such folder, or the
    comparison would overwrite it.
    """
    if len(folders) > MOST_CURVES:
        raise NetvladError(f'{len(folders)} runs are more than the {MOST_CURVES} that can be told')
    if out.resolve() in [folder.resolve() for folder in folders]:
        raise NetvladError(f'--out: {out} is one of the runs; choose another folder')
    runs = [
        SavedRun.load(folder, name) for folder, name in zip(folders, _names(folders), strict=True)
    ]
    out.mkdir(parents=True, exist_ok=True)
    write_json({run.name: run.figures for run in runs}, out / 'metrics.json')
    pictures = {}
    if any(len(run.recall) for run in runs):
        draw_recall({run.name: run.recall for run in runs}, out / 'recall.png')
        pictures['recall.png'] = 'Recall@N'
    if any(len(run.curve.recall) for run in runs):
        draw_precision_recall(
            {label(run.name): run.curve for run in runs}, out / 'precision_recall.png'
        )
        pictures['precision_recall.png'] = 'Precision and recall'
    if any(len(run.errors_m) for run in runs):
        draw_errors({run.name: (run.errors_m, run.errors_deg) for run in runs}, out / 'errors.png')
        pictures['errors.png'] = 'Errors of the accepted priors'
    write_whole(out / 'report.html', _page(runs, folders, out, pictures))


def _names(folders: Sequence[Path]) -> list[str]:
    """Folder names; where two are alike, as much of the path as was typed."""
    names = [folder.resolve().name for folder in folders]
    often = Counter(names)
    chosen = [
        name if often[name] == 1 else str(folder)
        for name, folder in zip(names, folders, strict=True)
    ]
    if len(set(chosen)) < len(chosen):
        raise NetvladError('a run is named twice')
    return chosen


def _page(
    runs: Sequence[SavedRun], folders: Sequence[Path], out: Path, pictures: dict[str, str]
) -> bytes:
    known = environment()
    page = Page(f'{len(runs)} runs compared', f'written {known["written"]}')
    page.section('Runs')
    page.table(
        ('run', 'folder', 'queries'),
        [
            (run.name, str(path), str(len(run.images)))
            for run, path in zip(runs, folders, strict=True)
        ],
    )
    page.section('Summary')
    page.table(
        ('figure', *(run.name for run in runs)),
        side_by_side([summary(run.figures) for run in runs]),
    )
    _differences(page, runs)
    page.section('Plots')
    for name, title in pictures.items():
        page.picture((out / name).read_bytes(), title)
    page.section('All figures')
    page.table(('figure', *(run.name for run in runs)), side_by_side([r.figures for r in runs]))
    page.section('Environment')
    page.text('Of this comparison; each run has its own in its report.')
    page.table(('what', 'value'), known.items())
    return page.html()


def _differences(page: Page, runs: Sequence[SavedRun]) -> None:
    """Say how the other runs differ from the first one, where both were asked the same."""
    first = runs[0]
    rows = []
    for run in runs[1:]:
        if run.images != first.images:
            rows.append((run.name, 'other queries', 'not comparable'))
            continue
        step = paired_difference(run.found, first.found)
        if step is not None:
            interval = f'{step.low:+.3f} to {step.high:+.3f}'
            rows.append((run.name, f'{step.estimate:+.3f}', interval))
    if rows:
        page.heading(f'recall@1, less that of {first.name}')
        page.text(
            'Over the same queries, which are drawn together. An interval that leaves out 0 is a '
            'difference beyond the chance of the queries; neighbouring images of one drive are not '
            'independent, so it is rather too narrow.'
        )
        page.table(('run', 'difference', '95 % interval'), rows)
