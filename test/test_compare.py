"""`netvlad compare`: one table, a folder that a run goes on from, and methods that crash."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from netvlad_ros.cli import app
from netvlad_ros.core.camera.image import read_image
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.benchmarks.benchmark import Benchmark, BenchmarkInfo
from netvlad_ros.offline.benchmarks.registry import BENCHMARKS
from netvlad_ros.offline.comparison import comparison_plot as comparison_picture, comparison_run
from netvlad_ros.offline.comparison.comparison_plot import draw_comparison
from netvlad_ros.offline.comparison.comparison_table import legend, table
from netvlad_ros.offline.comparison.leaderboard import Leaderboard
from netvlad_ros.offline.comparison.saved_result import find_finished, save_finished
from netvlad_ros.offline.comparison.separate_process import compare_apart, compare_method
from netvlad_ros.offline.methods.method import ImageError, MethodContext
from netvlad_ros.offline.methods.registry import chosen_methods


def invoke(*arguments):
    return CliRunner().invoke(app, ['compare', *map(str, arguments)])


def metrics(benchmark, method, found, retrieval=()):
    share = float(np.mean(found))
    return {
        'benchmark': benchmark,
        'method': method,
        'paper': f'{method} et al.',
        'recall': {'1': share, '5': 0.75, '10': 1.0},
        'recall_at_1_interval': [share - 0.1, min(share + 0.1, 1.0)],
        'found_at_1': [float(value) for value in found],
        'retrieval': {part: {'mean_average_precision': 0.5} for part in retrieval},
        'seconds': {'fit': 1.0, 'describe_per_image': 0.02, 'search_per_query': 0.001},
        'bytes_per_place': 2048.0,
        'peak_mb': 100.0,
    }


@pytest.fixture
def leaderboard():
    half, most, all_ = np.arange(40) % 2, np.arange(40) < 22, np.ones(40)
    return Leaderboard(
        ['one', 'two'],
        ['netvlad', 'hog', 'bow'],
        [
            metrics('one', 'netvlad', half),
            metrics('one', 'hog', most),
            metrics('one', 'bow', all_),
            metrics('two', 'netvlad', all_, ['easy', 'medium', 'hard']),
            metrics('two', 'hog', half, ['easy', 'medium', 'hard']),
        ],
    )


def test_several_benchmarks_share_a_table_that_marks_who_beats_ours(leaderboard):
    titles, heads, ours, hog, bow = table(leaderboard)
    assert re.split(r'\s{2,}', titles.strip()) == ['one', 'two', 'mean']
    assert heads.split()[:6] == ['method', 'R@1', '95', '%', 'R@1', '95']
    assert 'mAP easy  mAP medium  mAP hard' in heads
    assert ours.split()[:3] == ['netvlad', '50.0', '40-60']
    assert hog.split()[:3] == ['hog', '55.0*', '45-65']
    assert bow.split()[:4] == ['bow', '100.0**', '90-100', 'failed']
    assert ' 75.0 ' in ours and ' 52.5 ' in hog  # means
    assert leaderboard.mean_recall('bow') is None
    said = leaderboard.sentences()
    assert said[0].startswith('hog beats netvlad at R@1 on one by 5.0 [')
    assert said[0].endswith('which may be chance') and not said[1].endswith('chance')
    assert said[2] == 'no method beats netvlad at R@1 on two'
    assert [entry['method'] for entry in leaderboard.as_json()] == ['hog', 'bow']
    assert '**' in legend(leaderboard) and '*' not in legend(Leaderboard(['one'], ['hog'], []))


@pytest.mark.parametrize('width', [40, 80, 100, 200])
def test_a_narrow_terminal_gets_the_table_in_parts(leaderboard, width):
    lines = table(leaderboard, width)
    assert max(map(len, lines)) <= max(width, 60)  # one benchmark is never torn apart
    text = '\n'.join(lines)
    for word in ('R@1', 'mAP hard', 'ms/image', 'bytes/place', 'bow et al.'):
        assert word in text
    assert text.count('hog ') == 1 + text.count('\n\n') + 1  # in each part, and its paper


def test_the_picture_has_a_line_for_each_method(leaderboard, tmp_path):
    draw_comparison(leaderboard, tmp_path / 'few.png')
    many = [metrics('one', f'method {i}', np.arange(4) < 2) for i in range(30)]
    draw_comparison(
        Leaderboard(['one'], [each['method'] for each in many], many), tmp_path / 'many.png'
    )
    few, tall = (read_image(tmp_path / name).shape for name in ('few.png', 'many.png'))
    assert min(few[:2]) > 300 and tall[0] > 900


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A benchmark `tiny` of eight images; what runs is counted, and runs in this process."""
    root = tmp_path / 'root'
    root.mkdir()
    rng = np.random.default_rng(0)
    for row in range(4):
        rgb = cv2.resize(rng.integers(0, 256, (6, 8, 3)).astype(np.uint8), (64, 48))
        cv2.imwrite(str(root / f'db{row}.png'), rgb)
        cv2.imwrite(str(root / f'q{row}.png'), cv2.GaussianBlur(rgb, (0, 0), 1))

    def read(folder):
        sides = (tuple(folder / f'{side}{row}.png' for row in range(4)) for side in ('db', 'q'))
        return Benchmark('tiny', 'the same number', *sides, tuple(np.array([i]) for i in range(4)))

    monkeypatch.setitem(BENCHMARKS, 'tiny', BenchmarkInfo('tiny', *[''] * 4, read))
    ran = []

    def counted(name, benchmark, context, progress):
        ran.append((benchmark.database[0].parent.name, name))
        return compare_method(name, benchmark, context, progress)

    monkeypatch.setattr(comparison_run, 'compare_apart', counted)
    # Another test looks at the picture; drawing it takes most of the time.
    monkeypatch.setattr(
        comparison_picture, 'write_figure', lambda figure, path: path.write_bytes(b'drawn')
    )
    return root, tmp_path / 'out', ran


def test_a_run_is_gone_on_with_and_nothing_of_other_settings_is_mixed_in(tiny):
    root, out, ran = tiny
    first = invoke('hog', 'tiny', root, '--out', out)
    assert first.exit_code == 0, first.output
    folder = out / 'tiny' / 'hog'
    assert {path.name for path in folder.iterdir()} == {
        'metrics.json',
        'matches.csv',
        'recall.png',
        'precision_recall.png',
        'report.html',
        'ranking.npz',
        'finished.json',
    }
    again = invoke('hog,thumbnail', 'tiny', root, '--out', out)
    assert ran == [('root', 'hog'), ('root', 'thumbnail')]
    assert f'hog on tiny: taken from {folder}' in again.stderr
    [before, after] = (
        next(line.split() for line in result.stdout.splitlines() if line.startswith('hog'))
        for result in (first, again)
    )
    assert before == after
    # Another seed and another image: computed anew, and the old result is gone.
    cv2.imwrite(str(root / 'q3.png'), np.full((48, 64, 3), 7, np.uint8))
    other = invoke('hog', 'tiny', root, '--out', out, '--seed', 1)
    assert f'{folder}: other images, seed than before; computed anew' in other.stderr
    assert len(ran) == 3
    assert sorted(path.name for path in (out / 'tiny').iterdir()) == ['hog', 'thumbnail']
    page = (out / 'report.html').read_text()
    assert 'the same number' in page and 'data:image/png' in page
    written = json.loads((out / 'metrics.json').read_text())
    assert written['benchmarks']['tiny']['answerable'] == 4
    (folder / 'matches.csv').write_text('by hand')
    damaged = invoke('hog', 'tiny', root, '--out', out, '--seed', 1)
    assert f'{folder}: matches.csv was changed; computed anew' in damaged.stderr
    assert len(ran) == 4
    # The folders are what `netvlad report` takes.
    runs = [str(out / 'tiny' / name) for name in ('hog', 'thumbnail')]
    both = CliRunner().invoke(app, ['report', *runs, '--out', str(out / 'both')])
    assert both.exit_code == 0, both.output


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """The folder of a finished method, its metrics and settings."""
    folder = tmp_path_factory.mktemp('finished')
    paths = [folder / f'{name}.png' for name in 'abcd']
    for row, path in enumerate(paths):
        cv2.imwrite(str(path), np.full((48, 64, 3), 40 * row, np.uint8))
    truth = (np.array([0]), np.array([1]))
    benchmark = Benchmark('tiny', 'the same number', tuple(paths[:2]), tuple(paths[2:]), truth)
    found, ranking = compare_method('thumbnail', benchmark, MethodContext(), lambda *at: None)
    settings = {'seed': 0, 'images': 'abc'}
    save_finished(folder / 'tiny' / 'x', folder, benchmark, ranking, found, settings)
    return folder / 'tiny' / 'x', found, settings


@pytest.mark.parametrize(
    ('name', 'change', 'why'),
    [
        ('metrics.json', lambda text: '{}', 'metrics.json was changed'),
        ('matches.csv', lambda text: None, 'matches.csv cannot be read'),
        ('finished.json', lambda text: '{"sha', 'finished.json is damaged'),
        ('finished.json', lambda text: '[]', 'finished.json is damaged'),
        ('finished.json', lambda text: '[' * 99999, 'finished.json is damaged'),
        ('finished.json', lambda text: text.replace('"1":', '"2":'), 'finished.json is damaged'),
    ],
)
def test_what_was_changed_by_hand_is_told(finished, tmp_path, name, change, why):
    folder, found, settings = finished
    copy = tmp_path / 'x'
    shutil.copytree(folder, copy)
    assert find_finished(copy, settings) == (found, '')
    assert find_finished(copy, {**settings, 'seed': 1}) == (None, 'other seed than before')
    assert find_finished(tmp_path / 'y', settings) == (None, '')
    changed = change((copy / name).read_text())
    (copy / name).unlink()
    if changed is not None:
        (copy / name).write_text(changed)
    assert find_finished(copy, settings) == (None, why)


def test_a_folder_that_is_not_ours_is_left_alone(tiny):
    root, out, ran = tiny
    (out / 'tiny' / 'hog').mkdir(parents=True)
    (out / 'tiny' / 'hog' / 'thesis.txt').write_text('dear')
    result = invoke('hog', 'tiny', root, '--out', out)
    assert result.exit_code == 1
    assert 'is no result of `netvlad compare`' in result.stderr
    assert not ran
    assert (out / 'tiny' / 'hog' / 'thesis.txt').read_text() == 'dear'


def test_what_cannot_be_kept_ends_the_run_at_once(tiny):
    root, out, ran = tiny
    out.write_text('a file')
    before = invoke('hog', 'tiny', root, '--out', out / 'deeper')
    assert before.exit_code == 1 and f'{out} is a file' in before.stderr and not ran
    out.unlink()
    out.mkdir()
    (out / 'tiny').write_text('a file')
    result = invoke('hog,thumbnail', 'tiny', root, '--out', out)
    assert result.exit_code == 1
    assert f'{out / "tiny" / "hog"} cannot be written: ' in result.stderr
    assert len(result.stderr.splitlines()) == len(ran) == 1


def test_an_interrupt_leaves_what_is_finished(tiny, monkeypatch):
    root, out, ran = tiny
    work = comparison_run.compare_apart

    def interrupted(name, *rest):
        if name == 'thumbnail':
            raise KeyboardInterrupt
        return work(name, *rest)

    monkeypatch.setattr(comparison_run, 'compare_apart', interrupted)
    result = invoke('hog,thumbnail', 'tiny', root, '--out', out)
    assert result.exit_code == 130
    assert f'goes on with what is finished in {out}' in result.stderr
    assert [path.name for path in (out / 'tiny').iterdir()] == ['hog']
    monkeypatch.setattr(comparison_run, 'compare_apart', work)
    assert invoke('hog,thumbnail', 'tiny', root, '--out', out).exit_code == 0
    assert ran == [('root', 'hog'), ('root', 'thumbnail')]


def test_benchmarks_come_in_pairs_and_one_may_come_twice(tiny, tmp_path):
    root, *_ = tiny
    odd = invoke('hog', 'tiny', root, 'tiny')
    assert odd.exit_code == 1 and "'tiny' is left over" in odd.stderr
    unknown = invoke('hog', 'tiny', root, 'nowhere', root)
    assert unknown.exit_code == 1
    assert "'nowhere' is no benchmark; known are" in unknown.stderr
    same = invoke('hog', 'tiny', root, 'tiny', root)
    assert same.exit_code == 1 and 'tiny-root is named twice' in same.stderr
    other = tmp_path / 'other'
    other.mkdir()
    for path in root.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    both = invoke('hog', 'tiny', root, 'tiny', other)
    assert both.exit_code == 0, both.output
    assert 'tiny-root' in both.stdout and 'tiny-other' in both.stdout
    with pytest.raises(NetvladError, match=r'two bundles are called a\.onnx'):
        chosen_methods('x/a.onnx,y/a.onnx')


def test_images_to_learn_from_are_no_queries(tiny, tmp_path):
    root, *_ = tiny
    shared = invoke('hog', 'tiny', root, '--training', root)
    assert (
        shared.exit_code == 1 and '4 of the images to fit on are queries of tiny' in shared.stderr
    )
    (tmp_path / 'empty').mkdir()
    empty = invoke('hog', 'tiny', root, '--training', tmp_path / 'empty')
    assert empty.exit_code == 1 and 'empty holds no image' in empty.stderr


def test_an_unusable_image_ends_the_run_for_it_holds_for_all_methods(tiny):
    root, _, ran = tiny
    (root / 'db2.png').write_bytes(b'no picture')
    result = invoke('hog,thumbnail', 'tiny', root)
    assert result.exit_code == 1
    assert 'db2.png is not a readable image; get it again, or remove it' in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert len(ran) == 1


def test_a_method_that_fails_says_why_and_the_others_go_on(tiny):
    root, *_ = tiny
    result = invoke('gone.onnx,hog', 'tiny', root)
    assert result.exit_code == 0, result.output
    assert 'gone.onnx on tiny: ' in result.stderr
    assert [line.split()[0] for line in result.stdout.splitlines()[2:4]] == ['method', 'hog']
    alone = invoke('gone.onnx', 'tiny', root)
    assert alone.exit_code == 1 and 'gone.onnx' in alone.stderr


def test_image_retrieval_reports_its_own_scores_beside_the_others(tiny, tmp_path):
    root, out, _ = tiny
    oxford = tmp_path / 'oxford'
    (oxford / 'jpg').mkdir(parents=True)
    images, asked = [f'oxford_{i}' for i in range(6)], ['all_souls_0', 'all_souls_1']
    rng = np.random.default_rng(1)
    for name in (*images, *asked):
        rgb = cv2.resize(rng.integers(0, 256, (6, 8, 3)).astype(np.uint8), (64, 48))
        cv2.imwrite(str(oxford / 'jpg' / f'{name}.jpg'), rgb)
    truth = [
        {'bbx': [1.0, 2.0, 40.0, 40.0], 'easy': [0, 2], 'hard': [1], 'junk': [3]},
        {'bbx': [0.0, 0.0, 60.0, 40.0], 'easy': [], 'hard': [5], 'junk': []},
    ]
    fields = {'imlist': images, 'qimlist': asked, 'gnd': truth}
    (oxford / 'gnd_roxford5k.json').write_text(json.dumps(fields))
    result = invoke('thumbnail', 'roxford5k', oxford, 'tiny', root, '--out', out)
    assert result.exit_code == 0, result.output
    found = json.loads((out / 'roxford5k' / 'thumbnail' / 'metrics.json').read_text())
    assert list(found['retrieval']) == ['easy', 'medium', 'hard']
    means = [100 * part['mean_average_precision'] for part in found['retrieval'].values()]
    lines = result.stdout.splitlines()
    assert 'mAP easy  mAP medium  mAP hard' in lines[-3]
    assert [f'{mean:.1f}' for mean in means] == lines[-2].split()[3:6]


class Bomb:
    """Ends the process that unpacks it."""

    def __reduce__(self):
        return os.abort, ()


def test_a_crash_and_an_unusable_image_of_another_process_are_sentences(tmp_path):
    with pytest.raises(NetvladError, match=r'its process crashed \(SIGABRT\)'):
        compare_apart('hog', Bomb(), MethodContext(), lambda done, total: None)
    gone = Benchmark('tiny', '', (tmp_path / 'a.png',), (tmp_path / 'b.png',), (np.array([0]),))
    with pytest.raises(ImageError, match=r'a\.png'):
        compare_apart('hog', gone, MethodContext(), lambda done, total: None)


def test_compare_prints_one_table_and_keeps_the_rankings(shared_data, tmp_path):
    arguments = ['thumbnail,hog', 'corridor_loop', str(shared_data / 'corridor_loop')]
    result = CliRunner().invoke(app, ['compare', *arguments, '--out', str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert '40 places, 40 queries' in result.stdout
    assert 'Dalal and Triggs, CVPR 2005' in result.stdout
    metrics = json.loads((tmp_path / 'metrics.json').read_text())
    assert [method['method'] for method in metrics['methods']] == ['thumbnail', 'hog']
    assert min(read_image(tmp_path / 'comparison.png').shape[:2]) > 300
    for method in metrics['methods']:
        folder = tmp_path / 'corridor_loop' / method['method']
        kept = np.load(folder / 'ranking.npz', allow_pickle=False)
        assert kept['indices'].shape == (40, 10)
        assert method['recall']['1'] == np.mean(method['found_at_1'])
        assert method['peak_mb'] > 10


def test_ctrl_c_ends_the_process_of_the_method_too(shared_data, tmp_path):
    command = [sys.executable, '-m', 'netvlad_ros.cli', 'compare', 'densevlad', 'corridor_loop']
    process = subprocess.Popen(
        [*command, str(shared_data / 'corridor_loop'), '--out', str(tmp_path / 'out')],
        stderr=subprocess.PIPE,
        text=True,
    )
    children = Path(f'/proc/{process.pid}/task/{process.pid}/children')
    deadline = time.monotonic() + 60
    while not (child := children.read_text().split()) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, words = process.communicate(timeout=60)
    assert process.returncode == 130
    assert len(words.splitlines()) == 1 and 'interrupted' in words
    while Path(f'/proc/{child[0]}').exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f'/proc/{child[0]}').exists()
    assert not list((tmp_path / 'out').rglob('*'))
