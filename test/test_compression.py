"""What a place costs by hand, exact search against NumPy, the same twice, and what is refused."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import faiss
import numpy as np
import pytest
from tiny_model import write_tiny_model
from typer.testing import CliRunner

from netvlad_ros.cli import app
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.benchmarks.benchmark import Benchmark, count_database_images, fit_images
from netvlad_ros.offline.compression import report
from netvlad_ros.offline.compression.benchmark_descriptors import BenchmarkDescriptors
from netvlad_ros.offline.compression.projections import WHITENINGS, fit_projections
from netvlad_ros.offline.compression.quantization import QUANTIZATIONS, search
from netvlad_ros.offline.compression.study import Grid, StorageOption, mark_front, study
from netvlad_ros.offline.methods.method import MethodContext
from netvlad_ros.offline.methods.recipe import unit

PLACES, DIM = 600, 64
CONTEXT = MethodContext(threads=1)


def quiet(done: int, total: int) -> None:
    """Show no progress."""


@pytest.fixture
def descriptors(rng):
    """Places in directions of unequal variance; queries a little beside them."""
    database = unit(rng.normal(size=(PLACES, DIM)) / np.sqrt(1 + np.arange(DIM)) + 0.2)
    queries = unit(database[::6] + 0.04 * rng.normal(size=(100, DIM)))
    return BenchmarkDescriptors(database, queries, database)


@pytest.fixture
def benchmark():
    """Query i belongs to place 6 i; every tenth has no answer."""
    names = [Path(f'{i}.jpg') for i in range(PLACES)]
    right = tuple(np.array([] if i % 10 == 9 else [6 * i], np.int64) for i in range(100))
    return Benchmark('made', 'the same place', tuple(names), tuple(names[:100]), right)


def test_bytes_and_what_is_shared_by_hand(descriptors, benchmark):
    grid = Grid(whitenings=('as-given', 'pca', 'random'), dimensions=(32, 20))
    result = study(descriptors, benchmark, grid, CONTEXT, quiet)
    cost = {
        (p.whitening, p.dimensions, p.quantization): (p.bytes_per_place, p.shared_bytes)
        for p in result.options
    }
    assert cost['as-given', 32, 'float32'] == (128, 0)
    assert cost['as-given', 32, 'float16'] == (64, 0)
    assert cost['as-given', 32, 'int8'] == (32, 4 * 2 * 32)  # least and range of each
    assert cost['as-given', 32, 'int4'] == (16, 4 * 2 * 32)
    assert cost['as-given', 32, 'rabitq'] == (4 + 8, 4 * 32)  # bits and two numbers; the mean
    assert cost['as-given', 32, 'pq8'] == (8, 4 * 256 * 32)
    assert cost['pca', 32, 'pq32'] == (32, 4 * (256 * 32 + 32 * 64 + 32))
    assert cost['random', 32, 'binary'] == (4, 4 * 32 * 64)
    assert cost['random', 20, 'binary'][0] == 3  # whole bytes
    assert set(result.left_out) == {
        *(
            f'{name} 20 {quantization}'
            for name in grid.whitenings
            for quantization in ('pq8', 'pq16', 'pq32')
        ),
        *(f'{name} {dim} pq64' for name in grid.whitenings for dim in (20, 32)),
    }
    assert result.left_out['pca 32 pq64'] == '32 dimensions do not fall into 64 equal parts'


FACTORY = {
    'float32': 'Flat', 'float16': 'SQfp16', 'int8': 'SQ8', 'int4': 'SQ4', 'rabitq': 'RaBitQ',
    **{f'pq{parts}': f'PQ{parts}np' for parts in (8, 16, 32, 64)},
}  # fmt: skip


@pytest.mark.parametrize('quantization', FACTORY)
def test_a_place_weighs_what_faiss_stores_and_is_found_as_faiss_finds_it(descriptors, quantization):
    index = faiss.index_factory(DIM, FACTORY[quantization], faiss.METRIC_INNER_PRODUCT)
    if quantization.startswith('pq'):
        index.pq.cp.seed, index.pq.cp.min_points_per_centroid = 3, 1
    if quantization == 'rabitq':
        index.qb = 0
    index.train(descriptors.fit)
    empty = faiss.serialize_index(index).size
    index.add(descriptors.database)
    found = search(
        quantization, descriptors.fit, descriptors.database, descriptors.queries, 5, seed=3
    )
    assert found.bytes_per_place == (faiss.serialize_index(index).size - empty) / PLACES
    assert empty - 200 < found.shared_bytes <= empty  # whose rest are a header and counts
    assert np.array_equal(found.rows, index.search(descriptors.queries, 5)[1])


def test_a_place_of_bits_weighs_what_faiss_stores(descriptors):
    index = faiss.IndexBinaryFlat(DIM)
    empty = faiss.serialize_index_binary(index).size
    index.add(np.packbits(descriptors.database > 0, axis=1))
    stored = (faiss.serialize_index_binary(index).size - empty) / PLACES
    found = search('binary', descriptors.fit, descriptors.database, descriptors.queries, 5, seed=0)
    assert (found.bytes_per_place, found.shared_bytes) == (stored, 0)


@pytest.mark.parametrize('quantization', QUANTIZATIONS)
@pytest.mark.parametrize('count', [1, 2, 15])
def test_few_images_to_fit_on_are_enough_or_told(descriptors, quantization, count):
    try:
        found = search(
            quantization,
            descriptors.fit[:count],
            descriptors.database,
            descriptors.queries,
            1,
            seed=0,
        )
    except NetvladError as error:
        assert 'image' in str(error)
    else:
        assert (found.rows >= 0).all() and len(np.unique(found.rows)) > 5


def test_few_images_make_shorter_codes(descriptors):
    few = descriptors.database[:40]  # 16 centres, 4 bits
    assert search('pq8', few, few, few, 1, seed=0).bytes_per_place == 4
    for parts, quantization in ((8, 'pq8'), (32, 'pq32')):  # eight dimensions a part, and two
        assert search(quantization, few[:16], few, few, 1, seed=0).bytes_per_place == 3 * parts // 8
        with pytest.raises(NetvladError, match='15 images are too few'):
            search(quantization, few[:15], few, few, 1, seed=0)


@pytest.mark.parametrize('dimensions', [64, 16])
def test_exact_recall_is_that_of_a_product(descriptors, benchmark, dimensions):
    result = study(
        descriptors, benchmark, Grid(('as-given',), (dimensions,), ('float32',)), CONTEXT, quiet
    )
    [option] = result.options
    cosine = (
        unit(descriptors.queries[:, :dimensions]) @ unit(descriptors.database[:, :dimensions]).T
    )
    order = np.argsort(-cosine, axis=1)
    answerable = [i for i in range(100) if i % 10 != 9]
    for n in (1, 5):
        by_hand = np.mean([6 * i in order[i, :n] for i in answerable])
        assert option.recall[n] == pytest.approx(by_hand)
    assert result.exact == pytest.approx(
        np.mean(
            [
                (descriptors.queries @ descriptors.database.T)[i].argmax() == 6 * i
                for i in answerable
            ]
        )
    )
    low, high = option.intervals[1].low, option.intervals[1].high
    assert low <= option.recall[1] <= high
    assert option.to_exact.estimate == pytest.approx(option.recall[1] - result.exact)


def test_junk_counts_neither_way(descriptors):
    best = np.argsort(-(descriptors.queries @ descriptors.database.T), axis=1)
    names = tuple(Path(f'{i}.jpg') for i in range(PLACES))
    made = Benchmark('made', '', names, names[:100], tuple(best[:, 7:8]), junk=tuple(best[:, :7]))
    result = study(descriptors, made, Grid(('as-given',), (DIM,), ('float32',)), CONTEXT, quiet)
    assert result.options[0].recall == {1: 1.0, 5: 1.0}


def test_bits_are_compared_by_hamming_distance(descriptors):
    rows = search(
        'binary', descriptors.fit, descriptors.database, descriptors.queries, 5, seed=0
    ).rows
    apart = ((descriptors.queries > 0)[:, None] != (descriptors.database > 0)[None]).sum(axis=2)
    assert np.array_equal(rows, np.argsort(apart, axis=1, kind='stable')[:, :5])


def test_whitenings_do_what_they_say(descriptors):
    projections = fit_projections(WHITENINGS, descriptors.fit, seed=0)
    centred = unit(descriptors.database - descriptors.database.mean(axis=0, dtype=float))
    for name, same in (
        ('random', unit(descriptors.database)),
        ('pca', centred),
        ('pca-random', centred),
    ):
        turned = projections[name](descriptors.database, DIM)
        np.testing.assert_allclose(turned @ turned.T, same @ same.T, atol=1e-5, err_msg=name)
    plain = descriptors.database - descriptors.database.mean(axis=0, dtype=float)
    covariance = np.cov(plain @ projections['pca-whitened'].matrix.T, rowvar=False)
    np.testing.assert_allclose(covariance, np.eye(DIM), atol=1e-4)
    variance = np.diag(np.cov(plain @ projections['pca'].matrix.T, rowvar=False))
    assert (np.diff(variance) <= 0).all()
    half = np.diag(np.cov(plain @ projections['pca-whitened-0.5'].matrix.T, rowvar=False))
    assert half == pytest.approx(np.sqrt(variance), rel=1e-3)
    with_itself = projections['random'].matrix @ projections['random'].matrix.T
    np.testing.assert_allclose(with_itself, np.eye(DIM), atol=1e-9)
    same = fit_projections(('pca',), np.ones((5, DIM), np.float32), seed=0)['pca']
    assert same.dimensions == 0  # images that are all alike tell nothing
    few = fit_projections(('pca',), descriptors.fit[:10], seed=0)['pca']
    with pytest.raises(NetvladError, match='only 9 directions'):
        few(descriptors.database, 10)


def test_all_quantizations_twice_the_same(descriptors, benchmark):
    grid = Grid(('pca-random', 'random'), (32,))
    first, second = (study(descriptors, benchmark, grid, CONTEXT, quiet) for _ in range(2))
    assert first == second
    assert {option.quantization for option in first.options} == {*QUANTIZATIONS} - {'pq64'}
    plain = {option.quantization for option in first.options if not option.fitted}
    assert plain == {'float32', 'float16', 'binary'}  # turned at random
    exact, half = (
        next(p for p in first.options if (p.whitening, p.quantization) == ('random', quantization))
        for quantization in ('float32', 'float16')
    )
    assert half.recall == exact.recall


def test_the_front_is_what_nothing_smaller_beats():
    options = [
        StorageOption(
            'as-given', dim, 'int8', size, 0, {1: recall, 5: 1.0}, {1: None, 5: None}, None
        )
        for dim, size, recall in ((1, 8, 0.5), (2, 4, 0.4), (3, 4, 0.45), (4, 16, 0.5), (5, 9, 0.7))
    ]
    assert [(p.dimensions, p.front) for p in mark_front(options)] == [
        (3, True), (2, False), (1, True), (5, True), (4, False)
    ]  # fmt: skip


def test_nothing_is_fitted_on_queries(benchmark):
    with pytest.raises(NetvladError, match='2 of the images to fit on are queries of made'):
        fit_images([Path('0.jpg'), Path('99.jpg'), Path('100.jpg')], benchmark)
    with pytest.raises(NetvladError, match='no image to fit on'):
        fit_images([], benchmark)
    assert (
        count_database_images(
            [Path('100.jpg'), Path('600.jpg'), Path('x') / '..' / '7.jpg'], benchmark
        )
        == 2
    )


def test_without_answers_there_is_no_recall(descriptors):
    names = (Path('0.jpg'),) * 100
    nothing = Benchmark('made', '', names, names, (np.empty(0, np.int64),) * 100)
    with pytest.raises(NetvladError, match='no query of made has an answer'):
        study(descriptors, nothing, Grid(), CONTEXT, quiet)


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (['nowhere', '.'], "'nowhere' is no benchmark; known are"),
        (['corridor_loop', 'absent'], 'absent is no folder; it should be'),
        (['corridor_loop', '.', '--codes', 'zip'], "'zip' is no code; known are float32"),
        (['corridor_loop', '.', '--whitenings', 'x,pca'], "'x' is no whitening; known are as-g"),
        (['corridor_loop', '.', '--dimensions', '64,-1'], 'write whole numbers, as in 256,128'),
        (['corridor_loop', '.', '--fit', 'absent'], '--fit: absent is no folder'),
    ],
)
def test_bad_input_gets_one_sentence(arguments, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ['compress', *arguments])
    assert result.exit_code == 1
    assert sentence in result.output
    assert len(result.output.splitlines()) == 1


def test_the_command_on_the_corridor(shared_data, tmp_path):
    model = write_tiny_model(tmp_path / 'tiny.onnx')
    root = str(shared_data / 'corridor_loop')
    command = ['compress', 'corridor_loop', root, '--model', str(model), '--threads', '1']
    result = CliRunner().invoke(app, [*command, '--out', str(tmp_path / 'out')])
    assert result.exit_code == 0, result.output
    assert 'float32' in result.output and '…' not in result.output
    assert 'fitted on the 40 images of the database itself' in result.output
    assert 'which flatters them' in result.stderr
    metrics = json.loads((tmp_path / 'out' / 'metrics.json').read_text())
    assert metrics['database'] == metrics['queries'] == 40
    assert len(metrics['points']) + len(metrics['left_out']) == len(WHITENINGS) * len(QUANTIZATIONS)
    assert (tmp_path / 'out' / 'recall_over_bytes.png').read_bytes().startswith(b'\x89PNG')
    page = (tmp_path / 'out' / 'report.html').read_text()
    assert '40 images of the database itself, which flatters' in page and 'data:image/png' in page
    result = CliRunner().invoke(app, [*command, '--json', '--seed', '0'])
    assert json.loads(result.stdout) == metrics
    assert (metrics['fitted_on'], metrics['fitted_images']) == ('database', 40)
    fit = ['--fit', str(shared_data / 'kitti_b'), '--codes', 'int8', '--dimensions', '8', '--json']
    metrics = json.loads(CliRunner().invoke(app, [*command, *fit]).stdout)
    assert (metrics['fitted_images'], metrics['warning']) == (51, None)
    assert metrics['fitted_on'].endswith('kitti_b')
    result = CliRunner().invoke(app, [*command, '--dimensions', '64'])
    assert result.exit_code == 1
    assert 'dimensions must lie in 1..32' in result.output


def test_a_full_disk_leaves_no_half_of_a_report(shared_data, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(report, 'compression_page', full)
    model, out = write_tiny_model(tmp_path / 'tiny.onnx'), tmp_path / 'out'
    command = ['compress', 'corridor_loop', str(shared_data / 'corridor_loop')]
    grid = ['--model', str(model), '--codes', 'float32', '--dimensions', '8']
    result = CliRunner().invoke(app, [*command, *grid, '--out', str(out)])
    assert result.exit_code == 1 and 'No space left on device' in result.stderr
    assert not out.exists()
