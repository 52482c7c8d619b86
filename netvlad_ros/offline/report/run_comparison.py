"""Several evaluations compared on the same axes: pictures, tables and one page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.files import write_whole
from netvlad_ros.offline.metrics.bootstrap import block_bootstrap_interval
from netvlad_ros.offline.report.environment import environment
from netvlad_ros.offline.report.metric_table import side_by_side, summary, words
from netvlad_ros.offline.report.notices import notices
from netvlad_ros.offline.report.page import Page
from netvlad_ros.offline.report.plots import MOST_CURVES, draw_precision_recall
from netvlad_ros.offline.report.report_folder import report_folder, write_json
from netvlad_ros.offline.report.run_plots import draw_errors, draw_recall
from netvlad_ros.offline.report.safe_text import label
from netvlad_ros.offline.report.saved_run import SavedRun


def compare_runs(folders: Sequence[Path], out: Path) -> list[str]:
    """Write metrics.json (by run), recall.png, precision_recall.png, errors.png and report.html.

    Plots and differences are over the queries that all runs have.

    Args:
        folders: of `netvlad eval --out`.
        out: folder of the comparison.

    Returns:
        Sentences that a reader must know before the runs are compared.

    Raises:
        NetvladError: a folder is no run, there are fewer than two, or the comparison would
            overwrite one.
    """
    if len(folders) > MOST_CURVES:
        raise NetvladError(f'{len(folders)} runs are more than the {MOST_CURVES} that can be told')
    if out.resolve() in [folder.resolve() for folder in folders]:
        raise NetvladError(f'--out: {out} is one of the runs; choose another folder')
    runs = [
        SavedRun.load(folder, name) for folder, name in zip(folders, _names(folders), strict=True)
    ]
    if len(runs) < 2:
        raise NetvladError(
            f'{folders[0]} alone is nothing to compare; name another run, or open the report that '
            'lies in it'
        )
    everywhere = set.intersection(*(set(run.rows) for run in runs))
    common = [query for query in runs[0].rows if query in everywhere]
    shown = [run.only(common) for run in runs] if common else runs
    notes = _notes(runs, len(common))
    with report_folder(out) as staged:
        write_json({run.name: run.metrics.json for run in runs}, staged / 'metrics.json')
        pictures = _draw(shown, staged)
        page = _page(runs, shown if common else [], folders, notes, pictures, staged)
        write_whole(staged / 'report.html', page)
    return notes


def _draw(runs: Sequence[SavedRun], folder: Path) -> dict[str, str]:
    """Draw what the runs have data for; returns file names and titles."""
    pictures = {}
    if any(len(run.recall) for run in runs):
        draw_recall({run.name: run.recall for run in runs}, folder / 'recall.png')
        pictures['recall.png'] = 'Recall@N'
    if any(len(run.curve.recall) for run in runs):
        draw_precision_recall(
            {label(run.name): run.curve for run in runs}, folder / 'precision_recall.png'
        )
        pictures['precision_recall.png'] = 'Precision and recall'
    if any(len(run.errors[0]) for run in runs):
        draw_errors({run.name: run.errors for run in runs}, folder / 'errors.png')
        pictures['errors.png'] = 'Errors of the accepted priors'
    return pictures


def _names(folders: Sequence[Path]) -> list[str]:
    """Folder names; if two are equal, the paths as they were typed."""
    where = [folder.resolve() for folder in folders]
    often = Counter(path.name for path in where)
    for folder, path in zip(folders, where, strict=True):
        if where.count(path) > 1:
            raise NetvladError(f'the run {folder} is named twice')
    return [
        path.name if often[path.name] == 1 else str(folder)
        for path, folder in zip(where, folders, strict=True)
    ]


def _notes(runs: Sequence[SavedRun], common: int) -> list[str]:
    """Sentences that a reader must know before the runs are compared; mostly none."""
    notes = []
    if not common:
        notes.append(
            'No query is common to all runs: every curve is over the queries of its own run, and '
            'differences between runs may be differences between queries.'
        )
    elif any(len(run.rows) > common for run in runs):
        counts = ', '.join(f'{len(run.rows)} in {run.name}' for run in runs)
        notes.append(
            f'Plots and differences are over the {common} queries that all runs have ({counts}); '
            'the summary and all figures are those of each run over its own.'
        )
    for run in runs[1:]:
        if run.is_of_other_places(runs[0]):
            notes.append(
                f'Queries of the same name and time were taken elsewhere in {run.name} than in '
                f'{runs[0].name}: differences mean nothing if these are two drives, rather than '
                'one in two frames.'
            )
    counted_by = {
        'radius_m': [words(run.metrics.radius_m) for run in runs],
        'angle_deg': [words(run.metrics.angle_deg) for run in runs],
        'benchmark': [words(run.metrics.benchmark) for run in runs],
    }
    for what, values in counted_by.items():
        if len(set(values)) > 1:
            each = (f'{value} in {run.name}' for value, run in zip(values, runs, strict=True))
            notes.append(
                f'What counts as right is not the same in all runs: {what} is {", ".join(each)}.'
            )
    return notes


def _page(
    runs: Sequence[SavedRun],
    comparable: Sequence[SavedRun],
    folders: Sequence[Path],
    notes: Sequence[str],
    pictures: dict[str, str],
    staged: Path,
) -> bytes:
    known = environment()
    page = Page(f'{len(runs)} runs compared', f'written {known["written"]}')
    page.section('Runs')
    page.table(
        ('run', 'folder', 'queries'),
        [
            (run.name, str(path), str(len(run.rows)))
            for run, path in zip(runs, folders, strict=True)
        ],
    )
    for note in notes:
        page.notice(note)
    for run in runs:
        for sentence in notices(run.metrics):
            page.notice(f'{run.name}: {sentence}')
    page.section('Summary')
    page.table(
        ('figure', *(run.name for run in runs)),
        side_by_side([summary(run.metrics.single) for run in runs]),
    )
    page.quiet(
        'In brackets: 95 % of repetitions with other queries of the kind, by the bootstrap that '
        'each run tells of.'
    )
    _differences(page, comparable)
    page.section('Plots')
    for name, title in pictures.items():
        page.picture((staged / name).read_bytes(), title)
    page.section('All figures')
    page.table(
        ('figure', *(run.name for run in runs)), side_by_side([r.metrics.json for r in runs])
    )
    page.section('Environment')
    page.text('Of this comparison; each run has its own in its report.')
    page.table(('what', 'value'), known.items())
    return page.html()


def _differences(page: Page, runs: Sequence[SavedRun]) -> None:
    """Say how the other runs differ from the first one, over the same queries."""
    rows = []
    for run in runs[1:]:
        step = block_bootstrap_interval(run.found - runs[0].found, runs[0].images_per_block)
        if step is not None:
            interval = f'{step.low:+.3f} to {step.high:+.3f}'
            rows.append((run.name, f'{step.estimate:+.3f}', interval))
    if rows:
        page.heading(f'recall@1, less that of {runs[0].name}')
        page.text(
            f'Over the same {len(runs[0].rows)} queries, drawn together in blocks of '
            f'{runs[0].images_per_block}; those that either run has no answer to are left out. An '
            'interval that leaves out 0 is a difference beyond the chance of the queries.'
        )
        page.table(('run', 'difference', '95 % interval'), rows)
