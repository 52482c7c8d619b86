"""Public benchmarks, each read from a miniature in exactly the layout that it is handed out in."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from tiny_benchmarks import (
    MINIATURES,
    Right,
    baidu,
    cells,
    mid_atlantic_names,
    msls,
    nardo,
    pittsburgh,
    put,
    rows,
    tokyo_tm,
    utm_folders,
    vp_air,
    vpr_bench,
    write,
)
from typer.testing import CliRunner

from netvlad_ros.cli import app
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.benchmarks.benchmark import Benchmark
from netvlad_ros.offline.benchmarks.registry import BENCHMARKS
from netvlad_ros.offline.benchmarks.retrieval.registry import RETRIEVAL
from netvlad_ros.offline.evaluation.benchmark_ranking import evaluate_method
from netvlad_ros.offline.files.numpy_file import read_plain_array
from netvlad_ros.offline.methods.method import Ranking

COUNTED = ('hawkins', 'laurel_caverns', 'mid_atlantic_ridge')  # of their images the number is known


def found(benchmark: Benchmark, root: Path) -> Right:
    database = [path.relative_to(root).as_posix() for path in benchmark.database]
    queries = [path.relative_to(root).as_posix() for path in benchmark.queries]
    assert all(path.is_file() for path in benchmark.database + benchmark.queries)
    assert all((np.diff(rows) > 0).all() for rows in benchmark.positives)
    return {
        query: {database[row] for row in rows}
        for query, rows in zip(queries, benchmark.positives, strict=True)
    }


def test_every_benchmark_has_its_miniature_and_its_words():
    assert set(MINIATURES) == set(BENCHMARKS) - set(RETRIEVAL)  # those have tests of their own
    for info in BENCHMARKS.values():
        assert all((info.title, info.layout, info.protocol, info.obtained))


@pytest.mark.parametrize('name', MINIATURES)
def test_a_miniature_is_read_and_a_hole_never_shifts_the_truth(name, tmp_path):
    right = MINIATURES[name].write(tmp_path)
    whole = BENCHMARKS[name].load(tmp_path)
    assert found(whole, tmp_path) == right
    assert whole.missing == () and whole.name == name and whole.protocol
    # Any place, any query: not the first, whose absence shifts everything, nor only the last.
    places = sorted({place for rows in right.values() for place in rows})
    gone = [places[len(places) // 2], next(iter(right)), list(right)[-2]]
    if name in COUNTED:  # only the names between others tell that they lack
        gone = [places[len(places) // 2], list(right)[1], list(right)[-2]]
    for image in gone:
        (tmp_path / image).unlink()
    holed = BENCHMARKS[name].load(tmp_path)
    assert found(holed, tmp_path) == {
        query: rows - set(gone) for query, rows in right.items() if query not in gone
    }
    if MINIATURES[name].listed:
        assert len(holed.missing) == 3
        stems = sorted(Path(image).stem for image in gone)
        assert sorted(Path(image).stem for image in holed.missing) == stems
    else:
        assert holed.missing == ()


@pytest.mark.parametrize('name', MINIATURES)
def test_a_hole_at_either_end_never_shifts_the_truth(name, tmp_path):
    right = MINIATURES[name].write(tmp_path)
    whole = BENCHMARKS[name].load(tmp_path)
    gone = {
        path.relative_to(tmp_path).as_posix() for path in (whole.database[0], whole.queries[-1])
    }
    for image in gone:
        (tmp_path / image).unlink()
    if name in COUNTED:
        with pytest.raises(NetvladError, match='do not tell which ones are missing'):
            BENCHMARKS[name].load(tmp_path)
    else:
        holed = found(BENCHMARKS[name].load(tmp_path), tmp_path)
        assert holed == {q: rows - gone for q, rows in right.items() if q not in gone}


@pytest.mark.parametrize('name', ['pitts30k', 'berlin_kudamm', 'gardens_point', 'msls', 'nordland'])
def test_a_set_that_was_stored_anew_is_read(name, tmp_path):
    """Upper-case or other kinds of image, one more folder, Windows' text files and litter."""
    right = MINIATURES[name].write(tmp_path / 'top' / 'Set-main')
    root = tmp_path / 'top'
    for path in list(root.rglob('*')):
        if path.suffix in ('.csv', '.txt'):
            path.write_bytes(b'\xef\xbb\xbf' + path.read_bytes().replace(b'\n', b'\r\n'))
        elif path.suffix in ('.jpg', '.png'):
            path.with_name('Thumbs.db').touch()
            path.rename(path.with_suffix(path.suffix.upper() if name < 'n' else '.jpeg'))
    (root / '__MACOSX').mkdir()
    (root / 'set.zip').touch()
    read = found(BENCHMARKS[name].load(root), root / 'Set-main')
    assert {q.rpartition('.')[0]: {d.rpartition('.')[0] for d in r} for q, r in read.items()} == {
        q.rpartition('.')[0]: {d.rpartition('.')[0] for d in r} for q, r in right.items()
    }


@pytest.mark.parametrize('name', MINIATURES)
def test_what_is_missing_is_named_with_who_has_it(name, tmp_path):
    info, root = BENCHMARKS[name], tmp_path / 'root'
    with pytest.raises(NetvladError) as caught:
        info.load(root)
    assert str(root) in str(caught.value) and info.obtained in str(caught.value)
    root.mkdir()
    MINIATURES[name].write(root)
    lost = root / MINIATURES[name].needs
    shutil.rmtree(lost) if lost.is_dir() else lost.unlink()
    with pytest.raises(NetvladError) as caught:
        info.load(root)
    assert lost.name in str(caught.value) and info.obtained in str(caught.value)


@pytest.mark.parametrize('name', MINIATURES)
def test_a_set_without_images_is_refused(name, tmp_path):
    MINIATURES[name].write(tmp_path)
    for path in (*tmp_path.rglob('*.png'), *tmp_path.rglob('*.jpg')):
        path.unlink()
    with pytest.raises(NetvladError, match=r'has no database image|holds 0 images'):
        BENCHMARKS[name].load(tmp_path)


class Bomb:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def test_a_hostile_array_is_refused_and_the_csv_goes_first(tmp_path):
    right = vpr_bench(tmp_path)
    path, bomb = tmp_path / 'ground_truth_new.npy', Bomb(tmp_path / 'exploded')
    np.save(path, rows([(0, [bomb]), (1, [1])]), allow_pickle=True)
    with pytest.raises(NetvladError, match=r'asks for the code .* not run; .*ground_truth\.csv'):
        BENCHMARKS['sped'].load(tmp_path)
    path.write_bytes(pickle.dumps(bomb))
    with pytest.raises(NetvladError, match=r'no readable \.npy.*ground_truth\.csv'):
        BENCHMARKS['sped'].load(tmp_path)
    assert not (tmp_path / 'exploded').exists()
    pairs = [f'{Path(query).name},{Path(query).name}' for query in right]
    write(tmp_path / 'ground_truth.csv', 'query,reference', *pairs, '0000099.jpg,0000098.jpg')
    read = BENCHMARKS['sped'].load(tmp_path)
    assert found(read, tmp_path) == right
    assert set(read.missing) == {'query/0000099.jpg', 'ref/0000098.jpg'}


def test_an_array_of_objects_that_does_not_add_up_is_refused(tmp_path):
    vpr_bench(tmp_path)
    path = tmp_path / 'ground_truth_new.npy'
    good = path.read_bytes()
    header = good.index(b'\n') + 1
    shared = [1] * 3000
    broken = {
        'is cut off or damaged': good[: len(good) - 20],
        'another array than its header tells': good.replace(b'(12, 2)', b'(13, 2)'),
        'another array than its header': good[:header] + pickle.dumps([[0, [0]]]),
        'more than 4194304 pairs': rows([(i, shared) for i in range(2000)]),
        'row 1 is not a query': rows([(0, [0]), (1, ['one'])]),
        'row 0 is not a query': rows([(0, [2**40])]),
        'rows of a query': np.array([[0, 1, 2]], dtype=object),
    }
    for message, content in broken.items():
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            np.save(path, content, allow_pickle=True)
        with pytest.raises(NetvladError, match=rf'{message}.*ground_truth\.csv'):
            BENCHMARKS['essex3in1'].load(tmp_path)


def test_rows_in_any_order_and_queries_without_an_answer(tmp_path):
    """As GardensPoint_TN of VPR-Bench has it: [-1] where there is nothing to be found."""
    right = vpr_bench(tmp_path)
    array = rows([(i, [i]) for i in range(10, -1, -1)] + [(11, [-1])])
    array[3, 1], array[4, 1] = np.array(array[3, 1]), array[4, 1][0]
    np.save(tmp_path / 'ground_truth_new.npy', array, allow_pickle=True)
    read = BENCHMARKS['sped'].load(tmp_path)
    assert found(read, tmp_path) == {**right, 'query/0000011.jpg': set()}
    assert read.missing == ()


@pytest.mark.parametrize('name', ['sped', 'gardens_point', 'baidu_mall', 'st_lucia', 'hawkins'])
def test_what_a_system_leaves_beside_each_image_is_no_image(name, tmp_path):
    right = MINIATURES[name].write(tmp_path)
    for path in [
        path for path in tmp_path.rglob('*') if path.suffix in ('.jpg', '.camera', '.png')
    ]:
        path.with_name(f'._{path.name}').write_bytes(b'\0\5\x16\7')
        put(path.parent, '.thumbnails/0000000.jpg')
    read = BENCHMARKS[name].load(tmp_path)
    assert found(read, tmp_path) == right and read.missing == ()


@pytest.mark.parametrize('array', [np.zeros((3, 2)), np.zeros((3, 3), int), np.zeros(6, int)])
def test_pairs_of_another_shape_are_refused(array, tmp_path):
    vpr_bench(tmp_path)
    np.save(tmp_path / 'ground_truth_new.npy', array)
    with pytest.raises(NetvladError, match='must hold rows of a query'):
        BENCHMARKS['essex3in1'].load(tmp_path)


@pytest.mark.filterwarnings('ignore:Reading `.npy`')
@pytest.mark.parametrize('objects', [False, True])
def test_damaged_arrays_never_do_worse_than_a_sentence(tmp_path, rng, objects):
    path, refused = tmp_path / 'x.npy', 0
    np.save(path, rows([(i, [i]) for i in range(20)]) if objects else np.arange(40).reshape(20, 2))
    good = path.read_bytes()
    for trial in range(600):
        data = bytearray(good)
        for _ in range(rng.integers(1, 4)):
            data[rng.integers(len(data) if objects else 140)] = rng.integers(256)
        path.write_bytes(bytes(data[: rng.integers(len(data))] if trial % 5 == 0 else data))
        try:
            read_plain_array(path, 'get it again')
        except NetvladError:
            refused += 1
    assert refused > 100


def test_ground_truth_beyond_the_images_is_counted_as_missing(tmp_path):
    """As in the published file of Gardens Point, which names frames 200 and 201 of 200."""
    right = vpr_bench(tmp_path)
    pairs = [[i, i] for i in range(12)] + [[11, 12], [11, 13], [12, 3]]
    np.save(tmp_path / 'ground_truth_new.npy', np.array(pairs))
    read = BENCHMARKS['sped'].load(tmp_path)
    assert found(read, tmp_path) == right
    assert read.missing == ('query image 12', 'database image 12', 'database image 13')
    np.save(tmp_path / 'ground_truth_new.npy', np.array([[2**60, 0]]))
    with pytest.raises(NetvladError, match='names queries'):
        BENCHMARKS['sped'].load(tmp_path)


def test_matches_beyond_the_images_are_counted_as_missing(tmp_path):
    right = nardo(tmp_path)
    with (tmp_path / 'gt_matches.csv').open('a') as file:
        file.write('3,7,0,1,1,1,2,1,3,1,99,1,5,1\n')
    assert BENCHMARKS['nardo_air'].load(tmp_path).missing == ('query image 7',)
    assert found(BENCHMARKS['nardo_air'].load(tmp_path), tmp_path) == right
    path = tmp_path / 'gt_matches.csv'
    path.write_text(path.read_text().replace('1,1,0,1.0', '1,1,77,1.0'))
    assert BENCHMARKS['nardo_air'].load(tmp_path).missing == ('query image 7', 'database image 77')


@pytest.mark.parametrize(
    ('name', 'file', 'struct', 'message'),
    [
        ('pitts30k', 'datasets/pitts30k_test.mat', {'dbImageFns': cells(['a.jpg'])}, 'no field'),
        ('oxford_robotcar', 'oxdatapart.mat', {'dbImage': 'a'}, 'no field locDb'),
        ('oxford_robotcar', 'oxdatapart.mat', np.eye(3), 'is not a row of the 8 cells'),
    ],
)
def test_a_list_with_other_fields_is_refused(name, file, struct, message, tmp_path):
    MINIATURES[name].write(tmp_path)
    savemat(tmp_path / file, {'dbStruct': struct})
    with pytest.raises(NetvladError, match=message):
        BENCHMARKS[name].load(tmp_path)


def test_a_hole_that_cannot_be_placed_is_refused_rather_than_guessed(tmp_path):
    MINIATURES['hawkins'].write(tmp_path)
    first, more = tmp_path / 'db_images/frame0.png', tmp_path / 'db_images/frame127.png'
    shutil.copy(first, more)
    with pytest.raises(NetvladError, match=r'holds 128 images; Hawkins.* has 127'):
        BENCHMARKS['hawkins'].load(tmp_path)
    more.unlink()
    first.unlink()
    with pytest.raises(NetvladError, match='do not tell which ones are missing'):
        BENCHMARKS['hawkins'].load(tmp_path)


def test_where_names_are_the_rows_of_the_poses_a_hole_at_an_end_is_placed(tmp_path):
    right = MINIATURES['hawkins'].write(tmp_path)
    for path in tmp_path.rglob('frame*.png'):
        path.rename(path.with_name(path.name.removeprefix('frame')))
    gone = {'db_images/0.png', 'q_images/127.png', 'q_images/244.png'}
    for name in gone:
        (tmp_path / name).unlink()
    read = BENCHMARKS['hawkins'].load(tmp_path)
    named = {q.replace('frame', ''): {d.replace('frame', '') for d in r} for q, r in right.items()}
    assert found(read, tmp_path) == {q: r - gone for q, r in named.items() if q not in gone}
    assert set(read.missing) == gone


def test_numbers_in_names_are_not_trusted(tmp_path):
    write_frames = MINIATURES['gardens_point'].write
    write_frames(tmp_path)
    put(tmp_path, 'night_right/Image999999999.jpg')
    with pytest.raises(NetvladError, match='at most'):
        BENCHMARKS['gardens_point'].load(tmp_path)
    (tmp_path / 'night_right/Image999999999.jpg').rename(tmp_path / 'night_right/Frame003.jpg')
    with pytest.raises(NetvladError, match='have the same number'):
        BENCHMARKS['gardens_point'].load(tmp_path)
    (tmp_path / 'night_right/Frame003.jpg').rename(tmp_path / 'night_right/odd.jpg')
    with pytest.raises(NetvladError, match='ends in no number'):
        BENCHMARKS['gardens_point'].load(tmp_path)


def test_cameras_are_paired_by_order_only_where_no_name_pairs(tmp_path):
    right = baidu(tmp_path)
    for path in (tmp_path / 'query_gt').iterdir():
        path.rename(path.with_name(path.name.replace('q_', 'camera')))
    assert found(BENCHMARKS['baidu_mall'].load(tmp_path), tmp_path) == right
    cut = tmp_path / 'query_gt/camera3.camera'
    cut.write_text('\n'.join(cut.read_text().splitlines()[:5]))
    with pytest.raises(NetvladError, match=r'camera3\.camera is cut off'):
        BENCHMARKS['baidu_mall'].load(tmp_path)
    cut.unlink()
    with pytest.raises(NetvladError, match='has no query image'):
        BENCHMARKS['baidu_mall'].load(tmp_path)


def test_numbering_from_one_is_refused_and_places_a_kilometre_apart_are_read(tmp_path):
    vpr_bench(tmp_path)
    for side in ('ref', 'query'):
        for number in range(12, 0, -1):
            image = tmp_path / f'{side}/{number - 1:07d}.jpg'
            image.rename(image.with_name(f'{number:07d}.jpg'))
    with pytest.raises(NetvladError, match='numbered from 1'):
        BENCHMARKS['sped'].load(tmp_path)
    sides = [
        [f'images/test/{side}/@0@{1000 * i}@@@@@{i:07d}@@@@@@@@.jpg' for i in range(12)]
        for side in ('database', 'queries')
    ]
    put(tmp_path / 'utm', *sides[0], *sides[1])
    read = found(BENCHMARKS['sped'].load(tmp_path / 'utm'), tmp_path / 'utm')
    assert read == {query: {place} for place, query in zip(*sides, strict=True)}


def test_nordland_as_the_patch_netvlad_authors_list_it(tmp_path):
    right = MINIATURES['nordland'].write(tmp_path)
    names = (tmp_path / 'nordland_imageNames.txt').read_text().split()
    (tmp_path / 'nordland_imageNames.txt').unlink()
    for side, season in (('index', 'summer'), ('query', 'winter')):
        lines = [f'./nordland/{season}/{name}' for name in names]
        write(tmp_path / f'dataset_imagenames/nordland_imageNames_{side}.txt', *lines)
    assert found(BENCHMARKS['nordland'].load(tmp_path), tmp_path) == right


def test_nardo_air_without_names_in_its_tables_and_with_an_image_too_many(tmp_path):
    right = nardo(tmp_path)
    table = tmp_path / 'reference.csv'
    named = table.read_text()
    write(table, 'lat,lon', *('1.0,2.0' for _ in range(7)))
    assert found(BENCHMARKS['nardo_air'].load(tmp_path), tmp_path) == right
    table.write_text(named)
    put(tmp_path, 'reference_images/offset_0_None.png')
    with pytest.raises(NetvladError, match=r'offset_0_None\.png is not listed in'):
        BENCHMARKS['nardo_air'].load(tmp_path)


def test_a_camera_without_a_position_and_an_image_without_a_camera(tmp_path):
    baidu(tmp_path)
    (tmp_path / 'query_gt/q_3.camera').unlink()
    read = BENCHMARKS['baidu_mall'].load(tmp_path)
    assert len(read.queries) == 11 and read.missing == ('query_gt/q_3.camera',)
    write(tmp_path / 'query_gt/q_4.camera', '1 2')
    with pytest.raises(NetvladError, match=r'q_4\.camera: its last line but one'):
        BENCHMARKS['baidu_mall'].load(tmp_path)


def test_pairs_of_the_ridge_by_name_and_without_the_rows_before(tmp_path):
    right = mid_atlantic_names(tmp_path)
    (tmp_path / 'db_images/frame0.png').unlink()
    read = BENCHMARKS['mid_atlantic_ridge'].load(tmp_path)
    assert read.missing == ('db_images/frame0.png',)
    put(tmp_path, 'db_images/frame0.png')
    assert found(BENCHMARKS['mid_atlantic_ridge'].load(tmp_path), tmp_path) == right
    (tmp_path / 'ground_truth.csv').unlink()
    pairs = rows([(i, [i % 65, (i + 1) % 65]) for i in range(101)])
    np.save(tmp_path / 'eiffel_gt.npy', pairs, allow_pickle=True)
    assert found(BENCHMARKS['mid_atlantic_ridge'].load(tmp_path), tmp_path) == right
    (tmp_path / 'q_images/frame0.png').unlink()
    with pytest.raises(NetvladError, match='do not tell which ones are missing'):
        BENCHMARKS['mid_atlantic_ridge'].load(tmp_path)


def test_a_name_that_is_no_image_or_leads_out_is_missing(tmp_path):
    right = nardo(tmp_path / 'root')
    put(tmp_path, 'secret.png')
    table = tmp_path / 'root/reference.csv'
    table.write_text(table.read_text() + '..,1,2\n,1,2\nnotes.txt,1,2\n')
    read = BENCHMARKS['nardo_air'].load(tmp_path / 'root')
    assert found(read, tmp_path / 'root') == right and len(read.missing) == 3
    write(tmp_path / 'root/ground_truth.csv', 'query,reference', 'a.png,../../secret.png')
    (tmp_path / 'root/ref').mkdir()
    (tmp_path / 'root/query').mkdir()
    with pytest.raises(NetvladError, match='is not a path inside the folder'):
        BENCHMARKS['sped'].load(tmp_path / 'root')


def test_one_city_of_msls_and_the_utm_form_of_a_listed_set(tmp_path, monkeypatch):
    right = msls(tmp_path / 'msls')
    city = tmp_path / 'msls/train_val/sf'
    read = found(BENCHMARKS['msls'].load(city), tmp_path / 'msls')
    assert read == {query: rows for query, rows in right.items() if '/sf/' in query}
    monkeypatch.chdir(city)
    assert len(BENCHMARKS['msls'].load(Path()).queries) == len(read)
    right = utm_folders(tmp_path / 'pitts')
    assert found(BENCHMARKS['pitts30k'].load(tmp_path / 'pitts'), tmp_path / 'pitts') == right


def test_what_was_seen_at_the_time_of_the_query_counts_neither_way(tmp_path):
    tokyo_tm(tmp_path)
    assert [rows.tolist() for rows in BENCHMARKS['tokyo_tm'].load(tmp_path).junk] == [[0, 2]] * 3
    pittsburgh('30k')(tmp_path / 'pitts')
    assert BENCHMARKS['pitts30k'].load(tmp_path / 'pitts').junk == ()


def test_of_the_views_of_a_panorama_the_best_one_is_ranked(tmp_path):
    """dbTokyo247.m: twelve in a row of the list; by their names here, which holes do not shift."""
    names = [f'03814/1_2/pano{p}_012_{30 * view}.jpg' for p in range(3) for view in range(12)]
    put(tmp_path, *(f'tokyo247/{name[:-4]}.png' for name in names), '247query_subset_v2/00010.jpg')
    struct = {
        'dbImageFns': cells(names),
        'utmDb': np.repeat([[0.0, 20.0, 200.0], [0.0, 0.0, 0.0]], 12, axis=1),
        'qImageFns': cells(['00010.jpg']),
        'utmQ': np.array([[0.0], [0.0]]),
    }
    savemat(tmp_path / 'tokyo247.mat', {'dbStruct': struct})
    read = BENCHMARKS['tokyo247'].load(tmp_path)
    assert read.groups is not None and np.flatnonzero(np.diff(read.groups)).tolist() == [11, 23]
    assert read.positives[0].tolist() == list(range(24)) and read.depth(2) == 24
    assert read.counted(0, [30, 25, 13, 12, -1, 0, 35]).tolist() == [0, 2, 5]
    (tmp_path / 'tokyo247/03814/1_2/pano0_012_0.png').unlink()
    holed = BENCHMARKS['tokyo247'].load(tmp_path)
    assert holed.groups is not None and np.bincount(holed.groups).tolist() == [11, 12, 12]


def test_junk_is_not_ranked_and_more_is_asked_for(tmp_path):
    tokyo_tm(tmp_path)
    read = BENCHMARKS['tokyo_tm'].load(tmp_path)
    assert read.depth(1) == 3 and read.depth(4) == 4
    assert read.counted(1, [2, 3, -1, 0, 1]).tolist() == [1, 4]


class Backwards:
    """Ranks the last image first, whatever is shown."""

    name, paper = 'backwards', 'of no author'

    def rank(self, database, queries, k, progress):
        rows = np.tile(np.arange(len(database))[::-1], (len(queries), 1))[:, :k]
        return Ranking(rows, -rows.astype(float), 0.0, {})


def test_recall_leaves_out_what_was_seen_at_the_time_of_the_query(tmp_path):
    """Of four places the first and third are junk."""
    tokyo_tm(tmp_path)
    found, _ = evaluate_method(
        Backwards(), BENCHMARKS['tokyo_tm'].load(tmp_path), 0, lambda *_: None
    )
    assert found['found_at_1'] == [0.0, 0.0, 1.0]  # places 1; 1; 1 and 3
    assert found['recall']['5'] == 1.0


def test_distractors_are_searched_and_never_right(tmp_path):
    vp_air(tmp_path)
    read = BENCHMARKS['vp_air'].load(tmp_path)
    assert [path.parent.name for path in read.database] == ['reference_views'] * 11 + [
        'distractors'
    ] * 5
    assert max(row for rows in read.positives for row in rows) == 10


def test_the_real_drives(shared_data):
    """Counts by hand from the lists: 40 x 40, 500 x 500 with 323 answerable, 55 x 5."""
    counts = {
        name: (len(read.queries), len(read.database), sum(len(r) > 0 for r in read.positives))
        for name in ('corridor_loop', 'redkitchen', 'michigan_12months')
        for read in [BENCHMARKS[name].load(shared_data / name)]
        if not read.missing
    }
    assert counts == {
        'corridor_loop': (40, 40, 40),
        'redkitchen': (500, 500, 323),
        'michigan_12months': (55, 5, 55),
    }
    loop = BENCHMARKS['pairs'].load(shared_data / 'corridor_loop')
    assert not {*loop.queries} & {*loop.database}  # six images are named in both columns
    assert [path.stem for path in loop.queries] == [f'{i:03d}' for i in range(41, 85)]
    assert [path.stem for path in loop.database] == [f'{i:03d}' for i in range(1, 41)]
    assert all(len(rows) for rows in loop.positives[:40])
    drive = BENCHMARKS['posed_drive'].load(shared_data / 'redkitchen')
    assert sum(len(rows) > 0 for rows in drive.positives) == 323


def test_the_command_lists_them_all():
    table = CliRunner().invoke(app, ['benchmarks'], env={'COLUMNS': '200'})
    assert table.exit_code == 0 and '86.08' in table.output and 'berlin_kudamm' in table.output
    assert all(name in table.output for name in BENCHMARKS)
    listed = json.loads(CliRunner().invoke(app, ['benchmarks', '--json']).output)
    assert [entry['name'] for entry in listed] == list(BENCHMARKS)
    published = {e['name']: e['published_recall_at_1'] for e in listed}
    assert published['vp_air'] == 6.39 and published['hawkins'] == 34.75


@pytest.mark.parametrize('width', [80, 160])
def test_the_list_fits_the_terminal(width):
    lines = CliRunner().invoke(app, ['benchmarks'], env={'COLUMNS': str(width)}).output.splitlines()
    assert max(map(len, lines)) <= width
    for info in BENCHMARKS.values():
        at = next(i for i, line in enumerate(lines) if line.startswith(f'{info.name}: '))
        text = ' '.join(' '.join(lines[at : lines.index('', at)]).split())
        for words in (info.title, info.protocol, info.layout, info.obtained):
            assert ' '.join(words.split()) in text


def test_the_command_tells_of_one_in_full():
    def details(*words):
        return CliRunner().invoke(app, ['benchmarks', *words], env={'COLUMNS': '300'})

    for info in BENCHMARKS.values():
        one = details(info.name)
        assert one.exit_code == 0
        for words in (info.title, info.protocol, info.layout, info.obtained):
            assert words in one.output
    assert 'recall@1 6.39' in details('vp_air').output
    sped, unknown = details('sped').output, details('spd')
    assert 'no figure' in sped and 'eval --benchmark sped' in sped
    assert json.loads(details('vp_air', '--json').output)['published_recall_at_1'] == 6.39
    assert unknown.exit_code != 0 and "'spd' is no benchmark; known are" in unknown.output


@pytest.mark.parametrize('name', MINIATURES)
def test_whatever_is_refused_says_what_is_expected_and_who_has_it(name, tmp_path):
    MINIATURES[name].write(tmp_path)
    info, broken = BENCHMARKS[name], tmp_path / MINIATURES[name].needs
    if broken.is_dir():
        shutil.rmtree(broken)
    broken.write_bytes(b'\0\1 broken')
    with pytest.raises(NetvladError) as caught:
        info.load(tmp_path)
    message = str(caught.value)
    assert (
        str(broken) in message and message.count(info.layout) == message.count(info.obtained) == 1
    )
