"""The folder of an evaluation: metrics.json, matches.csv, pictures and report.html."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.files import write_whole
from netvlad_ros.offline.metrics.accuracy import MOST_RANKS, recall_curve
from netvlad_ros.offline.metrics.run_metrics import RunMetrics
from netvlad_ros.offline.report.environment import environment
from netvlad_ros.offline.report.evaluated_run import EvaluatedRun, Read
from netvlad_ros.offline.report.match_table import match_table
from netvlad_ros.offline.report.metric_table import flat, headlines, side_by_side
from netvlad_ros.offline.report.notices import interval_words, notices
from netvlad_ros.offline.report.page import Page, thumbnail
from netvlad_ros.offline.report.report_folder import write_json
from netvlad_ros.offline.report.run_plots import draw_map, draw_recall, draw_similarity
from netvlad_ros.offline.report.worst_failures import Failure, worst_failures

Table = tuple[Sequence[str], list[list[str]]]  # head, rows
Picture = tuple[str, str, bytes | None]  # what it is, its name, JPEG
Triplet = tuple[Picture, Picture, Picture]


def write_report(run: EvaluatedRun, folder: Path) -> None:
    """Write metrics.json, matches.csv, recall.png, similarity.png, map.png and report.html.

    Data that an evaluation does not have (poses, similarities, right places) has no picture.

    Args:
        run: the evaluation. Its `pictures` are in the folder already; the page embeds them too.
        folder: exists already.

    Raises:
        NetvladError: a file cannot be written.
    """
    pictures = dict(run.pictures)
    answerable = sum(query.answerable is True for query in run.queries)
    if answerable:
        depth = min(MOST_RANKS, max(len(query.ranked) for query in run.queries))
        ranks = [query.first_right_rank for query in run.queries]
        draw_recall({'recall': recall_curve(ranks, answerable, depth)}, folder / 'recall.png')
        pictures = {'recall.png': 'Recall@N', **pictures}
    if draw_map(run, folder / 'map.png'):
        pictures['map.png'] = 'Map: true and estimated trajectory, matches as links'
    if run.similarity is not None and run.similarity.size:
        draw_similarity(
            run.similarity, len(run.queries), len(run.places), folder / 'similarity.png'
        )
        pictures['similarity.png'] = 'Similarity of every query and place, largest of each block'
    write_json(dict(run.metrics), folder / 'metrics.json')
    write_whole(folder / 'matches.csv', match_table(run))
    write_whole(folder / 'report.html', _page(run, folder, pictures))


def _page(run: EvaluatedRun, folder: Path, pictures: Mapping[str, str]) -> bytes:
    known = environment()
    metrics = RunMetrics.from_json(run.metrics)
    sentences, drawn = notices(metrics), interval_words(metrics)
    modes = {'': headlines(metrics.single)}
    if metrics.sequence is not None:
        modes = {
            'Every image alone': modes[''],
            'As a sequence: what the robot does': headlines(metrics.sequence),
        }
    all_metrics, all_modes = _all_metrics(metrics)
    configuration = flat(run.configuration)
    failures, total = worst_failures(run)
    shown = _shown(run, failures)

    page = Page(
        run.title,
        f'{len(run.queries)} queries, {len(run.places)} places; written {known["written"]}',
    )
    page.section('Summary')
    for sentence in sentences:
        page.notice(sentence)
    for title, lines in modes.items():
        if title:
            page.heading(title)
        page.tiles(
            {line.name: line.value for line in lines},
            {line.name: f'95 %: {line.interval}' for line in lines if line.interval},
        )
    if any(line.interval for lines in modes.values() for line in lines):
        page.quiet(drawn)
    page.section('Plots')
    for name, title in pictures.items():
        page.picture((folder / name).read_bytes(), title)
    page.section('Worst failures')
    page.text(
        f'{len(failures)} of {total} failures, wrong answers that were accepted first, the surest '
        'on top; of neighbours that fail together only the worst is shown.'
        if failures
        else 'None: every answerable query found its place first, and nothing wrong was accepted.'
    )
    for number, (failure, triplet) in enumerate(zip(failures, shown, strict=True), 1):
        page.triplet(f'{number}. {run.queries[failure.query].image}', failure.words, triplet)
    page.section('All figures')
    page.table(*all_metrics)
    if all_modes is not None:
        page.heading('Verification and belief, on and off')
        page.table(*all_modes)
    page.section('Configuration')
    page.table(('setting', 'value'), configuration.items())
    page.section('Environment')
    page.table(('what', 'value'), known.items())
    return page.html()


def _all_metrics(metrics: RunMetrics) -> tuple[Table, Table | None]:
    """Head and rows of all metrics, and of the compared modes if there are any."""
    single, sequence, settings = metrics.tables
    modes = None if not settings else (('figure', *settings), side_by_side([*settings.values()]))
    if sequence is None:
        return (('figure', 'value'), side_by_side([single])), modes
    head = ('figure', 'every image alone', 'as a sequence')
    return (head, side_by_side([single, sequence])), modes


def _shown(run: EvaluatedRun, failures: Sequence[Failure]) -> list[Triplet]:
    """Query, retrieved place and right place of each failure."""
    rows = sorted(failure.query for failure in failures)  # see EvaluatedRun.read_query
    queries = {row: _jpeg(run.read_query, row) for row in rows}
    triplets = []
    for failure in failures:
        right = failure.right
        triplets.append(
            (
                ('query', run.queries[failure.query].image, queries[failure.query]),
                (
                    'retrieved',
                    run.places[failure.retrieved],
                    _jpeg(run.read_place, failure.retrieved),
                ),
                (
                    'right',
                    'no such place' if right is None else run.places[right],
                    None if right is None else _jpeg(run.read_place, right),
                ),
            )
        )
    return triplets


def _jpeg(read: Read, index: int) -> bytes | None:
    """JPEG of an image; None if it was removed since the evaluation."""
    try:
        rgb = read(index)
    except NetvladError:
        return None
    return None if rgb is None else thumbnail(rgb)
