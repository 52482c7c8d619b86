"""The folder of an evaluation: a table, pictures, and a page that no file can take over."""

from __future__ import annotations

import csv
import io
import json
import resource
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from tiny_bag import raw_image, write_bag
from tiny_drive import picture, pose, write_drive, write_image
from tiny_model import write_tiny_model
from typer.testing import CliRunner

from netvlad_ros.cli import app
from netvlad_ros.core.camera.image import decode_image, read_image
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.offline.benchmarks.benchmark import Benchmark
from netvlad_ros.offline.drives.open_drive import open_drive
from netvlad_ros.offline.evaluation.benchmark_evaluation import both_sides, evaluate_benchmark
from netvlad_ros.offline.evaluation.drive_evaluation import evaluate_map
from netvlad_ros.offline.evaluation.ranking_report import benchmark_run, write_ranked_report
from netvlad_ros.offline.evaluation.unmapped_evaluation import evaluate_unmapped
from netvlad_ros.offline.mapping.map_builder import MapBuilder
from netvlad_ros.offline.methods.method import Ranking
from netvlad_ros.offline.metrics.run_metrics import RunMetrics
from netvlad_ros.offline.report.evaluated_run import EvaluatedQuery, EvaluatedRun
from netvlad_ros.offline.report.match_table import HEADER, match_table
from netvlad_ros.offline.report.notices import interval_words
from netvlad_ros.offline.report.page import LONGEST_PX, thumbnail
from netvlad_ros.offline.report.report_folder import report_folder
from netvlad_ros.offline.report.run_comparison import compare_runs
from netvlad_ros.offline.report.run_report import write_report
from netvlad_ros.offline.report.saved_run import SavedRun
from netvlad_ros.offline.report.similarity_matrix import SIDE, PooledSimilarity
from netvlad_ros.offline.report.worst_failures import worst_failures

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>$\\frac$\x00\udce9\n'
VOID = {'meta', 'img', 'br'}


class Reader(HTMLParser):
    """Reads a page as a browser would: which elements, attributes and texts there are."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open, f'never closed: {self._open}'

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def check_self_contained(self) -> None:
        names = [tag for tag, _ in self.elements]
        assert not {'script', 'iframe', 'link', 'object', 'embed', 'form', 'svg'} & set(names)
        identities = [a['id'] for _, a in self.elements if 'id' in a]
        assert len(set(identities)) == len(identities)
        for tag, attributes in self.elements:
            assert not [name for name in attributes if name.startswith('on')], tag
        for link in self.all('a'):
            assert link['href'].removeprefix('#') in identities
        for image in self.all('img'):
            assert image['src'].startswith(('data:image/png;base64,', 'data:image/jpeg;base64,'))
            assert image['alt']
        assert any('http-equiv' in meta for meta in self.all('meta'))
        assert any('device-width' in meta.get('content', '') for meta in self.all('meta'))


@pytest.fixture(scope='module')
def bundle(tmp_path_factory) -> ModelBundle:
    path = write_tiny_model(tmp_path_factory.mktemp('model') / 'tiny.onnx')
    return ModelBundle.load(path, device='cpu', threads=1)


@pytest.fixture
def place_map(tmp_path, bundle):
    """Pictures 0 to 3 at x = 0, 10, 20, 30 m, each taken twice."""
    poses = [pose(10 * (i // 2)) for i in range(8)]
    drive = write_drive(tmp_path / 'mapped', poses, seeds=[i // 2 for i in range(8)])
    return MapBuilder(tmp_path / 'map').build(open_drive(drive), bundle)


def queries(tmp_path):
    """Picture 0 at 0.5 m: right; 1 at 10 m: right; 3 at 20 m: wrong; one that looks like none."""
    poses = [pose(0.5), pose(10), pose(20), pose(31)]
    return open_drive(write_drive(tmp_path / 'query', poses, seeds=[0, 1, 3, 77]))


def rows_of(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode('utf-8'), newline='')))


def run_of(rows, **more) -> EvaluatedRun:
    more = {'title': 'a run', 'metrics': {}, 'configuration': {}, 'places': ['p0', 'p1'], **more}
    return EvaluatedRun(queries=rows, **more)


def test_a_drive_on_a_map(tmp_path, bundle, place_map):
    out = tmp_path / 'out'
    out.mkdir()
    result = evaluate_map(place_map, bundle, queries(tmp_path), radius_m=1.0, pictures=out)
    assert json.loads((out / 'metrics.json').read_text()) == result
    rows = rows_of((out / 'matches.csv').read_bytes())
    assert [row['image'] for row in rows] == [f'images/00{i}.png' for i in range(4)]
    assert [row['timestamp_s'] for row in rows[:2]] == ['1.000000000', '1.100000000']
    assert [row['answerable'] for row in rows] == ['1'] * 4
    assert [row['first_right_rank'] for row in rows[:2]] == ['1', '1']
    assert int(rows[2]['first_right_rank']) > 1
    assert [row['status'] for row in rows] == ['accepted'] * 3 + ['no_match']
    assert [row['wrong'] for row in rows] == ['0', '0', '1', '']
    assert [float(row['error_m']) for row in rows[:3]] == pytest.approx([0.5, 0, 10], abs=1e-6)
    assert rows[3]['prior_x'] == rows[3]['error_m'] == ''
    assert float(rows[2]['true_x']) == 20
    assert float(rows[2]['prior_x']) == pytest.approx(30)
    assert all(row['reason'] and row['similarity'] and row['probability'] for row in rows)
    assert 'nan' not in (out / 'matches.csv').read_text().lower()
    for name in ('recall', 'precision_recall', 'errors', 'reliability', 'similarity', 'map'):
        assert read_image(out / f'{name}.png').std() > 5
    page = Reader((out / 'report.html').read_text(encoding='utf-8'))
    page.check_self_contained()
    # Six plots; the wrong answer and the miss as query, retrieved and right.
    assert len(page.all('img')) == 6 + 2 * 3
    assert [text for text in page.texts if text.startswith('accepted and wrong, 10 m off')]
    assert result['intervals']['recall@1'] == [0.0, 1.0]  # two of four tell next to nothing
    for word in (
        '95 %: 0.000–1.000',
        'accept_probability',
        'onnxruntime',
        'processor',
        place_map.map_id,
    ):
        assert word in page.texts


def test_a_drive_of_nowhere_needs_no_truth(tmp_path, bundle, place_map):
    out = tmp_path / 'out'
    out.mkdir()
    evaluate_unmapped(place_map, bundle, queries(tmp_path), pictures=out)
    rows = rows_of((out / 'matches.csv').read_bytes())
    assert [row['wrong'] for row in rows] == ['1', '1', '1', '']
    assert {row['true_x'] for row in rows} == {''}
    page = Reader((out / 'report.html').read_text(encoding='utf-8'))
    page.check_self_contained()
    assert any('no such place' in text for text in page.texts)
    assert not (out / 'map.png').exists()
    assert not (out / 'recall.png').exists()


def test_pictures_of_a_bag_are_read_in_one_pass(tmp_path, bundle, place_map, monkeypatch):
    stamps = [10**9 * i for i in range(101, 107)]
    images = [('/image', at, raw_image(at, picture(i % 4))) for i, at in enumerate(stamps)]
    drive = open_drive(write_bag(tmp_path / 'bag', images), without_poses=True)
    opened = []
    frames = drive.frames
    monkeypatch.setattr(drive, 'frames', lambda *of: opened.append(of) or frames(*of))
    out = tmp_path / 'out'
    out.mkdir()
    metrics = evaluate_unmapped(place_map, bundle, drive, pictures=out)
    assert metrics['accepted_wrong'] == 6
    page = Reader((out / 'report.html').read_text(encoding='utf-8'))
    assert sum(image['alt'] == 'query' for image in page.all('img')) == 6
    assert len(opened) == 3  # for the stamps, for the answers and for the pictures
    assert drive.skipped == ()


def test_no_name_becomes_markup_or_formula(tmp_path):
    row = EvaluatedQuery(
        image=HOSTILE,
        ranked=[1, 0],
        right=[0],
        similarity=0.5,
        probability=0.99,
        shows_place=False,
        status='accepted',
        reason=HOSTILE,
        T_true=np.eye(4),
        T_prior=np.eye(4),
        error_m=float('nan'),
        wrong=True,
    )
    run = run_of(
        [row],
        title=HOSTILE,
        metrics={HOSTILE: HOSTILE, 'sequence': {HOSTILE: 1}, 'settings': {HOSTILE: {HOSTILE: 1}}},
        configuration={'map source': HOSTILE, HOSTILE: 'x'},
        places=[HOSTILE, HOSTILE],
        T_places=np.array([np.eye(4), np.eye(4)]),
        read_query=lambda i: picture(i),
    )
    write_report(run, tmp_path)
    text = (tmp_path / 'report.html').read_text(encoding='utf-8')
    page = Reader(text)
    page.check_self_contained()
    assert '<script' not in text
    assert '\x00' not in text
    assert sum('<script>alert(1)</script>' in part for part in page.texts) >= 8  # shown, not run
    hostile = {'a': '=cmd()', 'b': '+1', 'c': '-1', 'd': '@SUM(1)', 'e': '  =1', 'f': '\t=1'}
    table = rows_of(match_table(run_of([EvaluatedQuery(name, [0]) for name in hostile.values()])))
    assert [row['image'] for row in table] == [
        "'=cmd()",
        "'+1",
        "'-1",
        "'@SUM(1)",
        "'  =1",
        '\ufffd=1',
    ]
    table = rows_of((tmp_path / 'matches.csv').read_bytes())
    assert (len(table), table[0]['error_m'], table[0]['first_right_rank']) == (1, '', '2')
    # A run is compared by its folder's name, which matplotlib must not take for a formula.
    named = tmp_path / '_<b>$\\frac$'
    named.mkdir()
    for name in ('metrics.json', 'matches.csv'):
        (named / name).write_bytes((tmp_path / name).read_bytes())
    compare_runs([named, tmp_path], tmp_path / 'both')
    page = Reader((tmp_path / 'both' / 'report.html').read_text(encoding='utf-8'))
    page.check_self_contained()
    assert not page.all('b')


def test_what_hurts_most_comes_first():
    def query(**more) -> EvaluatedQuery:
        return EvaluatedQuery('image', **{'ranked': [0, 1], 'right': [0], **more})

    rows = [
        query(probability=0.9, wrong=False),  # right
        query(ranked=[1, 0], probability=0.2, similarity=0.7, status='no_match'),
        query(ranked=[1], probability=0.99, wrong=True, right=[]),
        query(ranked=[1], probability=0.999, similarity=0.9, status='ambiguous'),
        query(ranked=[1], right=[], probability=0.1, status='no_match'),  # rightly refused
    ]
    failures, total = worst_failures(run_of(rows))
    assert total == 3
    assert [failure.query for failure in failures] == [2, 3, 1]
    assert [failure.right for failure in failures] == [None, 0, 0]
    assert 'rank 2' in failures[2].words
    believed = replace(rows[0], status='accepted', sequence_wrong=True, sequence_error_m=7.0)
    (failure,), total = worst_failures(run_of([rows[0], believed]))
    assert (failure.query, total) == (1, 1)
    assert 'retrieval is right' in failure.words
    assert 'accepted and wrong as a sequence, 7 m off' in failure.words
    alike = [replace(rows[1], similarity=0.5 + i / 1000) for i in range(100)]
    failures, total = worst_failures(run_of(alike))
    assert (len(failures), total) == (24, 100)
    assert [failure.query for failure in failures[:3]] == [99, 97, 95]  # no two next to each other
    assert '2 more failures nearby' in failures[1].words


def test_how_intervals_came_about_is_told():
    def words(**more) -> str:
        metrics = {'intervals': {'recall@1': [0.0, 1.0]}, 'queries': 50, **more}
        return interval_words(RunMetrics.from_json(metrics))

    assert 'too narrow where these are neighbours' in words()
    assert 'blocks of 5 succ' in words(images_per_block=5)
    assert 'so short a drive' not in words(images_per_block=5)
    assert 'so short a drive' in words(images_per_block=10)


def test_thumbnails_are_small(rng):
    for height, width in ((480, 640), (900, 90), (20, 30)):
        rgb = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        small = decode_image(thumbnail(rgb), 'thumbnail')
        assert max(small.shape[:2]) == min(LONGEST_PX, max(height, width))


def test_pooled_similarity_keeps_the_largest(rng):
    places = rng.standard_normal((2 * SIDE + 1, 8)).astype(np.float32)
    asked = rng.standard_normal((SIDE + 50, 8)).astype(np.float32)
    pooled = PooledSimilarity(places, len(asked) + 7)  # seven were unreadable
    for descriptor in asked:
        pooled.add(descriptor)
    matrix = pooled.matrix()
    whole = asked @ places.T
    assert matrix.shape == (425, 534)
    assert matrix[3, 5] == pytest.approx(whole[6:8, 15:18].max(), rel=1e-5)
    assert matrix[-1, -1] == pytest.approx(whole[848:, 1599:].max(), rel=1e-5)
    assert PooledSimilarity(places, 0).matrix().shape == (0, 534)


def test_pairs_that_were_decided(tmp_path, bundle):
    for name, seed in zip('abcde', (0, 1, 2, 0, 1), strict=True):
        write_image(tmp_path / 'images' / f'{name}.png', picture(seed))
    lines = ['query,db', 'images/d.png,images/a.png', 'images/e.png,images/c.png']
    (tmp_path / 'pairs.csv').write_text('\n'.join(lines) + '\n')
    arguments = ['eval', '--pairs', str(tmp_path), '--model', str(bundle.path)]
    arguments += ['--queries', '3:5', '--database', '0:3']
    for out, more in ((tmp_path / 'ranked', []), (tmp_path / 'decided', ['--decide'])):
        done = CliRunner().invoke(app, [*arguments, *more, '--out', str(out)])
        assert done.exit_code == 0, done.output
        rows = rows_of((out / 'matches.csv').read_bytes())
        assert [row['best_image'] for row in rows] == ['images/a.png', 'images/b.png']
        assert [row['answerable'] for row in rows] == ['1', '1']
        assert [row['first_right_rank'] for row in rows] == ['1', rows[1]['first_right_rank']]
        assert int(rows[1]['first_right_rank']) > 1
        assert [bool(row['status']) for row in rows] == [bool(more)] * 2
        page = Reader((out / 'report.html').read_text(encoding='utf-8'))
        page.check_self_contained()
        assert len(page.all('img')) == 3 + 3  # recall, precision, similarity; one failure
        assert SavedRun.load(out, 'run').found.tolist() == [1, 0]
    metrics = evaluate_benchmark('pairs', tmp_path, bundle, pictures=out)
    assert json.loads((out / 'metrics.json').read_text()) == metrics
    assert (metrics['recall']['1'], metrics['intervals']['recall@1']) == (0.5, [0.0, 1.0])
    assert (metrics['provider'], metrics['both_sides']) == ('CPUExecutionProvider', 0)
    assert metrics['identical_images'] == 1  # d is a copy of a


def test_a_benchmark_counts_ranks_without_junk(tmp_path):
    paths = [tmp_path / 'images' / f'{i}.png' for i in range(5)]
    for seed, path in enumerate(paths):
        write_image(path, picture(seed))
    benchmark = Benchmark(
        name='a benchmark',
        protocol='by hand',
        database=tuple(paths[:3]),
        queries=tuple(paths[3:]),
        positives=(np.array([2]), np.array([], dtype=np.int64)),
        junk=(np.array([0]), np.array([], dtype=np.int64)),
        boxes=((0, 0, 32, 24), None),
    )
    ranking = Ranking(
        np.array([[0, 1, 2], [1, -1, -1]]), np.array([[0.9, 0.8, 0.7], [0.5, 0, 0]]), 4.0, {}
    )
    (tmp_path / 'link.png').symlink_to(paths[1])
    twice = replace(benchmark, queries=(paths[0], tmp_path / 'link.png'))
    assert (both_sides(benchmark), both_sides(twice)) == (0, 1)  # junk may ask for itself
    run = benchmark_run(benchmark, tmp_path, ranking, {'method': 'm'}, {'model': 'x'})
    assert [query.first_right_rank for query in run.queries] == [2, None]
    assert [query.answerable for query in run.queries] == [True, False]
    assert [query.similarity for query in run.queries] == [0.8, 0.5]
    write_ranked_report(run, tmp_path)
    page = Reader((tmp_path / 'report.html').read_text(encoding='utf-8'))
    page.check_self_contained()
    assert len(page.all('img')) == 2 + 3
    assert 'query: images/3.png' in page.texts
    # Of a database that is not ranked to its end, no query is told deeper than another.
    many = replace(benchmark, database=tuple(paths[:1]) * 30, junk=(np.arange(5), np.arange(0)))
    deep = Ranking(np.tile(np.arange(15), (2, 1)), np.ones((2, 15)), 4.0, {})
    run = benchmark_run(many, tmp_path, deep, {'method': 'm'}, {})
    assert [len(query.ranked) for query in run.queries] == [10, 10]


def test_runs_on_the_same_axes(tmp_path, bundle, place_map):
    for name, radius in (('strict', 0.1), ('loose', 1.0)):
        (tmp_path / name).mkdir()
        evaluate_map(
            place_map, bundle, queries(tmp_path), radius_m=radius, pictures=tmp_path / name
        )
    loose = SavedRun.load(tmp_path / 'loose', 'loose')
    strict = SavedRun.load(tmp_path / 'strict', 'strict')
    assert loose.recall[0] == loose.metrics.json['recall']['1']
    assert strict.recall[0] == strict.metrics.json['recall']['1']
    assert (strict.metrics.json['answerable'], loose.metrics.json['answerable']) == (2, 4)
    assert loose.curve.recall_at_full_precision == loose.metrics.json['recall_at_100_precision']
    assert np.median(loose.errors[0]) == pytest.approx(loose.metrics.json['pose_error_m']['median'])
    runs = [str(tmp_path / name) for name in ('strict', 'loose')]
    done = CliRunner().invoke(app, ['report', *runs, '--out', str(tmp_path / 'both')])
    assert done.exit_code == 0, done.output
    for name in ('recall', 'precision_recall', 'errors'):
        assert read_image(tmp_path / 'both' / f'{name}.png').std() > 5
    page = Reader((tmp_path / 'both' / 'report.html').read_text(encoding='utf-8'))
    page.check_self_contained()
    assert 'recall@1, less that of strict' in page.texts
    elsewhere = [pose(x) for x in (0, 11, 20, 31)]  # another drive that counts time alike
    drive = open_drive(write_drive(tmp_path / 'other', elsewhere, seeds=[0, 1, 3, 77]))
    (tmp_path / 'third').mkdir()
    evaluate_map(place_map, bundle, drive, pictures=tmp_path / 'third')
    (note,) = compare_runs([tmp_path / 'loose', tmp_path / 'third'], tmp_path / 'three')
    assert 'were taken elsewhere in third than in loose' in note
    assert (
        json.loads((tmp_path / 'both' / 'metrics.json').read_text())['loose'] == loose.metrics.json
    )


def test_runs_of_other_queries_are_compared_over_what_they_share(tmp_path):
    def saved(name, images):
        """A run whose query i is found unless its number is odd; none was decided on."""
        rows = [EvaluatedQuery(f'{i}.png', [i % 2, 1 - i % 2], [0], similarity=0.5) for i in images]
        metrics = {'recall': {'1': 0.5}, 'same_recording': name == 'a', 'images_per_block': 2}
        (tmp_path / name).mkdir()
        write_report(run_of(rows, metrics=metrics), tmp_path / name)
        return tmp_path / name

    a, b, c = saved('a', range(10)), saved('b', range(4, 20)), saved('c', range(30, 34))
    (note,) = compare_runs([a, b], tmp_path / 'some')
    assert 'over the 6 queries that all runs have (10 in a, 16 in b)' in note
    texts = Reader((tmp_path / 'some' / 'report.html').read_text(encoding='utf-8')).texts
    assert note in texts
    assert [text for text in texts if text.startswith('Over the same 6 queries')]
    assert [text for text in texts if text.startswith('a: Queries and map are of the same')]
    (note,) = compare_runs([a, b, c], tmp_path / 'none')
    assert 'No query is common to all runs' in note
    whole = SavedRun.load(b, 'b')
    assert whole.only([('5.png', '', 1), ('4.png', '', 1)]).found.tolist() == [0, 1]
    assert (whole.images_per_block, whole.only([*whole.rows][:6]).images_per_block) == (2, 1)


def test_a_report_appears_whole_or_not_at_all(tmp_path, bundle):
    run = run_of([EvaluatedQuery('image', [1, 0], [0], similarity=0.5)])
    out = tmp_path / 'deep' / 'out'
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, hard))  # as a disk that fills up
    try:
        with (
            pytest.raises(NetvladError, match=r'cannot be written: File too large'),
            report_folder(out) as staged,
        ):
            write_report(run, staged)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (tmp_path / 'deep').exists()

    out.mkdir(parents=True)
    (out / 'map.png').write_bytes(b'of a folder that is no report')
    with report_folder(out) as staged:
        write_report(run, staged)
    assert (out / 'map.png').read_bytes() == b'of a folder that is no report'
    (out / 'map.png').unlink()
    kept = {path.name: path.read_bytes() for path in out.iterdir()}
    assert kept.keys() == {'recall.png', 'matches.csv', 'metrics.json', 'report.html'}
    (out / 'map.png').write_bytes(b'of the run before')
    (out / 'notes.txt').write_bytes(b'mine')
    (out / '.report.tmp-99999999').mkdir()  # of a process that was killed
    with pytest.raises(KeyboardInterrupt), report_folder(out) as staged:
        (staged / 'report.html').write_bytes(b'half')
        raise KeyboardInterrupt
    assert (out / 'report.html').read_bytes() == kept['report.html']
    with report_folder(out) as staged:
        write_report(run, staged)
    assert {path.name for path in out.iterdir()} == kept.keys() | {'notes.txt'}

    arguments = ['eval', '--pairs', str(tmp_path), '--model', str(bundle.path), '--out']
    (tmp_path / 'file').write_bytes(b'')
    for bad in (tmp_path / 'file', tmp_path / 'file' / 'below', Path('/proc/nowhere')):
        done = CliRunner().invoke(app, [*arguments, str(bad)])
        assert done.exit_code == 1
        assert f'--out: {bad} cannot be written' in done.output.replace('\n', '')


def test_what_is_no_run_is_refused(tmp_path):
    run = tmp_path / 'run'
    run.mkdir()
    with pytest.raises(NetvladError, match=r'metrics\.json cannot be read .* `netvlad eval'):
        compare_runs([run], tmp_path / 'out')
    write_report(run_of([EvaluatedQuery('image', [1, 0], [0], similarity=0.5)]), run)
    with pytest.raises(NetvladError, match='is one of the runs'):
        compare_runs([run], run)
    (tmp_path / 'link').symlink_to(run)
    with pytest.raises(NetvladError, match='named twice'):
        compare_runs([run, tmp_path / 'link'], tmp_path / 'out')
    with pytest.raises(NetvladError, match='alone is nothing to compare'):
        compare_runs([run], tmp_path / 'out')
    table = (run / 'matches.csv').read_text().splitlines()
    broken = dict.fromkeys(HEADER, '') | {'answerable': '1', 'first_right_rank': '-3'}
    (run / 'matches.csv').write_text(f'{table[0]}\n{",".join(broken.values())}\n')
    with pytest.raises(NetvladError, match='line 2: first_right_rank is -3, which cannot be'):
        compare_runs([run], tmp_path / 'out')
    (run / 'metrics.json').write_text('{"recall": {"1": 1e999}}')
    with pytest.raises(NetvladError, match='is no JSON: it holds 1e999'):
        compare_runs([run], tmp_path / 'out')
    (run / 'metrics.json').write_text('[' * 100_000)
    with pytest.raises(NetvladError, match='is no JSON'):
        compare_runs([run], tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_an_unknown_benchmark_is_refused_with_the_known_ones(tmp_path):
    done = CliRunner().invoke(app, ['eval', '--benchmark', 'nowhere', str(tmp_path)])
    assert done.exit_code == 1
    assert "'nowhere' is no benchmark; known are pitts30k" in done.output
    done = CliRunner().invoke(app, ['eval', '--benchmark', 'nowhere', '--pairs', str(tmp_path)])
    assert done.exit_code == 2
