"""Oxford, Paris, their revisited versions and Holidays, from miniatures in their own layouts."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.benchmarks.retrieval.registry import RETRIEVAL
from netvlad_ros.offline.evaluation.benchmark_ranking import retrieval_json, retrieval_scores
from netvlad_ros.offline.files.safe_pickle import read_plain_pickle
from netvlad_ros.offline.methods.method import ImageSet

OXFORD = [f'all_souls_{i:06d}' for i in range(4)] + [f'oxford_{i:06d}' for i in range(4)]


def write_images(folder, names):
    for i, name in enumerate(names):
        path = folder / f'{name}.jpg'
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), np.full((36, 48, 3), 20 * i, np.uint8))


def write_lists(folder, name, query, good, ok, junk):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f'{name}_query.txt').write_text(f'{query} 1.5 2.0 29.5 31.0\n')
    for mark, images in (('good', good), ('ok', ok), ('junk', junk)):
        (folder / f'{name}_{mark}.txt').write_text(''.join(f'{image}\n' for image in images))


def names(paths):
    return [path.stem for path in paths]


def named(benchmark, rows):
    return [benchmark.database[row].stem for row in rows]


@pytest.fixture
def oxford(tmp_path):
    write_images(tmp_path / 'oxbuild_images', OXFORD)
    lists = tmp_path / 'gt_files_170407'
    write_lists(lists, 'all_souls_1', f'oxc1_{OXFORD[0]}', OXFORD[:2], OXFORD[2:3], OXFORD[4:5])
    write_lists(lists, 'all_souls_2', f'oxc1_{OXFORD[3]}', OXFORD[3:4], [], [])
    return tmp_path


def test_oxford(oxford):
    found = RETRIEVAL['oxford5k'].load(oxford)
    assert names(found.database) == OXFORD
    assert names(found.queries) == [OXFORD[0], OXFORD[3]]
    assert [named(found, rows) for rows in found.positives] == [OXFORD[:3], OXFORD[3:4]]
    assert [named(found, rows) for rows in found.junk] == [OXFORD[4:5], []]
    assert found.boxes == ((1.5, 2.0, 29.5, 31.0),) * 2
    assert ImageSet(found.queries, found.boxes)[0].shape == (29, 29, 3)  # x 1..29, y 2..30
    assert found.missing == ()
    # all_souls_1: right, junk, wrong, right: ranks 1, 3 of three; the third is not listed.
    scores = retrieval_scores(found, np.array([[0, 4, 5, 1], [3, 0, 1, 2]]))
    expected = (1 + (1 / 2 + 2 / 3) / 2) / 3
    np.testing.assert_allclose(scores['all'].average_precision, [expected, 1.0])
    report = json.loads(json.dumps(retrieval_json(scores)))['all']
    assert report['mean_average_precision'] == pytest.approx((expected + 1) / 2)
    assert report['interval']['low'] == pytest.approx(expected)


def test_a_hole_never_shifts_the_ground_truth(oxford):
    for name in (OXFORD[1], OXFORD[3]):  # a right image, and a query
        (oxford / 'oxbuild_images' / f'{name}.jpg').unlink()
    found = RETRIEVAL['oxford5k'].load(oxford)
    assert found.missing == (OXFORD[1], OXFORD[3])
    assert names(found.queries) == [OXFORD[0]]
    assert named(found, found.positives[0]) == [OXFORD[0], OXFORD[2]]
    assert named(found, found.junk[0]) == [OXFORD[4]]
    assert len(found.boxes) == len(found.junk) == 1


def test_what_a_system_leaves_beside_each_file_is_left_out(oxford):
    for path in [*oxford.rglob('*.jpg'), *oxford.rglob('*.txt')]:
        path.with_name(f'._{path.name}').write_bytes(b'\0\5\x16\7')
    write_images(oxford / 'oxbuild_images' / '.thumbnails', OXFORD)
    found = RETRIEVAL['oxford5k'].load(oxford)
    assert names(found.database) == OXFORD and len(found.queries) == 2


def test_paris_leaves_out_the_broken_files(tmp_path):
    good = ['paris_louvre_000001', 'paris_louvre_000002']
    write_images(tmp_path / 'paris' / 'louvre', [*good, 'paris_louvre_000136'])
    write_lists(tmp_path / 'gt', 'louvre_1', good[0], good, [], ['paris_louvre_000136'])
    found = RETRIEVAL['paris6k'].load(tmp_path)
    assert names(found.database) == good and names(found.queries) == good[:1]
    assert len(found.junk[0]) == 0


def test_oxford_that_is_incomplete_is_told(oxford, tmp_path_factory):
    load = RETRIEVAL['oxford5k'].load
    lists = oxford / 'gt_files_170407'
    (lists / 'all_souls_2_ok.txt').unlink()
    with pytest.raises(NetvladError, match=r'all_souls_2_ok.txt cannot be read'):
        load(oxford)
    write_lists(lists, 'all_souls_2', 'oxc1_x', OXFORD[3:4], [], OXFORD[3:4])
    with pytest.raises(NetvladError, match=f'{OXFORD[3]} is marked both right and junk'):
        load(oxford)
    write_lists(lists, 'all_souls_2', 'oxc1_x', OXFORD[3:4], [], [])
    for text, message in (('x 1 2 3', 'four numbers'), ('x 1 2 nan 4', 'encloses nothing')):
        (lists / 'all_souls_2_query.txt').write_text(text)
        with pytest.raises(NetvladError, match=message):
            load(oxford)
    other = tmp_path_factory.mktemp('other')
    write_images(other / 'jpg', ['a'])
    with pytest.raises(NetvladError, match='lacks the ground truth'):
        load(other)
    write_lists(other, 'all_souls_1', 'oxc1_b', ['b'], [], [])
    with pytest.raises(NetvladError, match='not one query image'):
        load(other)
    write_images(other / 'jpg' / 'again', ['a'])
    with pytest.raises(NetvladError, match='two images are called a'):
        load(other)
    (other / 'nothing').mkdir()
    for folder in ('nowhere', 'nothing'):
        with pytest.raises(NetvladError, match='to be had from the Visual Geometry Group'):
            load(other / folder)


IMLIST = [f'oxford_{i:06d}' for i in range(6)]
QIMLIST = ['all_souls_000000', 'all_souls_000001']
GND = [
    {'bbx': [1.0, 2.0, 9.0, 11.0], 'easy': [0, 2], 'hard': [1], 'junk': [3]},
    {'bbx': [0.0, 0.0, 16.0, 12.0], 'easy': [], 'hard': [5], 'junk': []},
]


def arrays():
    return [
        {mark: np.array(value, float if mark == 'bbx' else np.int64) for mark, value in g.items()}
        for g in GND
    ]


def write_ground_truth(root, how):
    fields = {'imlist': IMLIST, 'qimlist': QIMLIST, 'gnd': GND}
    path = root / f'gnd_roxford5k.{how.split("-")[0]}'
    if how == 'json':
        path.write_text(json.dumps(fields))
    elif how == 'mat':
        column = np.array([IMLIST], dtype=object).T
        gnd = np.empty((1, 2), dtype=[(mark, object) for mark in GND[0]])
        for i, query in enumerate(GND):
            for mark, value in query.items():
                gnd[0, i][mark] = np.array([value], float).reshape(1, -1) + (mark != 'bbx')
        queries = np.array([QIMLIST], dtype=object)
        savemat(path, {'imlist': column, 'qimlist': queries, 'gnd': gnd}, do_compression=True)
    else:
        fields['gnd'] = arrays()
        path.write_bytes(pickle.dumps(fields, protocol=int(how[-1])))
    return path


@pytest.mark.parametrize('how', ['json', 'mat', *(f'pkl-{i}' for i in range(6))])
def test_revisited(tmp_path, how):
    write_images(tmp_path / 'jpg', IMLIST + QIMLIST)
    write_ground_truth(tmp_path, how)
    found = RETRIEVAL['roxford5k'].load(tmp_path)
    assert names(found.database) == IMLIST and names(found.queries) == QIMLIST
    assert [rows.tolist() for rows in found.positives] == [[0, 1, 2], [5]]
    assert [rows.tolist() for rows in found.easy] == [[0, 2], []]
    assert [rows.tolist() for rows in found.hard] == [[1], [5]]
    assert [rows.tolist() for rows in found.junk] == [[3], []]
    assert found.boxes == ((1.0, 2.0, 9.0, 11.0), (0.0, 0.0, 16.0, 12.0))
    scores = retrieval_scores(found, np.array([[1, 0, 4, 3, 2, 5], [5, 0, 1, 2, 3, 4]]))
    assert scores['easy'].answerable == 1 and scores['hard'].mean_average_precision == 1.0
    medium = (1 + 1 + (2 / 3 + 3 / 4) / 2) / 3
    assert scores['medium'].mean_average_precision == pytest.approx((medium + 1) / 2)


def test_revisited_with_holes(tmp_path):
    write_images(tmp_path / 'jpg', [*IMLIST[1:], QIMLIST[0]])
    write_ground_truth(tmp_path, 'json')
    found = RETRIEVAL['roxford5k'].load(tmp_path)
    assert found.missing == (QIMLIST[1], IMLIST[0])
    assert names(found.queries) == QIMLIST[:1]
    assert named(found, found.easy[0]) == [IMLIST[2]] and named(found, found.hard[0]) == [IMLIST[1]]
    assert named(found, found.positives[0]) == [IMLIST[1], IMLIST[2]]
    assert named(found, found.junk[0]) == [IMLIST[3]]


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda t: t.pop('imlist'), 'must hold imlist, qimlist, gnd'),
        (lambda t: t['gnd'].pop(), '1 entries of gnd for 2 queries'),
        (lambda t: t['gnd'][0].pop('hard'), 'must hold bbx, easy, hard, junk'),
        (lambda t: t['gnd'][0].update(easy=[6]), 'easy names images beyond the 6'),
        (lambda t: t['gnd'][0].update(easy=[-1]), 'easy names images beyond the 6'),
        (lambda t: t['gnd'][0].update(easy=[1]), 'marked two of'),
        (lambda t: t['gnd'][0].update(bbx=[5, 5, 5, 9]), 'encloses nothing'),
        (lambda t: t['gnd'][0].update(junk=['x']), 'not a list of finite numbers'),
        (lambda t: t['gnd'][0].update(junk=[10**400]), 'not a list of finite numbers'),
        (lambda t: t.update(imlist=[1, 2]), 'not a list of image names'),
        (lambda t: t.update(imlist=[*IMLIST, IMLIST[0]]), 'lists an image twice'),
    ],
)
def test_revisited_ground_truth_that_is_wrong_is_told(tmp_path, change, message):
    write_images(tmp_path / 'jpg', IMLIST + QIMLIST)
    truth = json.loads(json.dumps({'imlist': IMLIST, 'qimlist': QIMLIST, 'gnd': GND}))
    change(truth)
    (tmp_path / 'gnd_rparis6k.json').write_text(json.dumps(truth))
    with pytest.raises(NetvladError, match=message):
        RETRIEVAL['rparis6k'].load(tmp_path)
    with pytest.raises(NetvladError, match=r'lacks gnd_roxford5k\.pkl'):
        RETRIEVAL['roxford5k'].load(tmp_path)


@pytest.mark.parametrize('protocol', range(6))
def test_plain_pickles_come_out_as_they_went_in(tmp_path, protocol):
    shared = np.arange(6, dtype=np.int32).reshape(2, 3)
    written = {
        'list': [1, -2, 2**40, 0.5, True, None, 'Zürich', b'\x00\xff', b'', (), (1,), (1, 2, 3, 4)],
        'arrays': [shared, shared, np.asfortranarray(shared), np.zeros(0), np.array([True])],
        'big endian': np.array([1.5, 2.5], '>f8'),
        'text': np.array(['a', 'bcd']),
        'scalar': np.float32(0.25),
        'objects': np.array([['a', [1, 2]], ['bc', None]], dtype=object),
        'by column': np.asfortranarray(np.array([['a', 'b'], ['c', 'd']], dtype=object)),
    }
    path = tmp_path / 'x.pkl'
    path.write_bytes(pickle.dumps(written, protocol=protocol))
    found = read_plain_pickle(path)
    assert found['list'] == written['list'] and found['scalar'] == 0.25
    for one, other in zip(found['arrays'], written['arrays'], strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
    np.testing.assert_array_equal(found['big endian'], [1.5, 2.5])
    assert found['by column'].tolist() == written['by column'].tolist()
    assert found['text'].tolist() == ['a', 'bcd'] and found['objects'].tolist() == [
        ['a', [1, 2]],
        ['bc', None],
    ]


class Touch:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize('protocol', range(6))
def test_pickles_that_ask_for_code_are_refused_and_not_run(tmp_path, protocol):
    path, trace = tmp_path / 'x.pkl', tmp_path / 'trace'
    for hostile in (Touch(trace), {'a': [Touch(trace)]}, np.array([Touch(trace)], dtype=object)):
        path.write_bytes(pickle.dumps(hostile, protocol=protocol))
        with pytest.raises(NetvladError, match=r'asks for the code .* which was not run'):
            read_plain_pickle(path)
    assert not trace.exists()


HOSTILE = {
    'reduce': b"cos\nsystem\n(S'true'\ntR.",
    'inst': b"(S'true'\nios\nsystem\n.",
    'obj': b"(cos\nsystem\nS'true'\no.",
    'extension': b'\x82\x01.',
    'persistent': b'Pabc\n.',
    'a name alone': b'cnumpy\ndtype\n.',
    'a type alone': b"cnumpy\ndtype\n(S'O8'\ntR.",
    'called wrongly': b"cnumpy\nndarray\n(S'f8'\ntR.",
    'mark': b'(.',
    'nothing': b'',
    'no value': b'.',
    'memo beyond the stack': b'\x80\x04r\xff\xff\xff\xff.',
    'a key without end': b'}' + b')' + b'\x85' * 200_000 + b'Ns.',
    'text that is not there': b'\x8d' + b'\xff' * 8 + b'.',
    'bytes that are not there': b'\x8e' + b'\xff' * 8 + b'.',
    'bytes that are a number': (
        b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'i8'\ntRJ\xff\xff\xff\x7ftR."
    ),
    'a shape without bytes': (
        b"cnumpy.core.numeric\n_frombuffer\n(C\x08abcdefghcnumpy\ndtype\n(S'i8'\ntR"
        b"(J\xff\xff\xff\x7fJ\xff\xff\xff\x7ftS'C'\ntR."
    ),
    'records': b"cnumpy.core.numeric\n_frombuffer\n(C\x00cnumpy\ndtype\n(S'i8,i8'\ntR(tS'C'\ntR.",
}


@pytest.mark.parametrize('data', HOSTILE.values(), ids=HOSTILE)
def test_hostile_pickles_end_in_a_sentence(tmp_path, data):
    path = tmp_path / 'x.pkl'
    path.write_bytes(data)
    with pytest.raises(NetvladError, match=r'x\.pkl (refused|is not a pickle)'):
        read_plain_pickle(path)


def test_nesting_and_circles_do_no_harm(tmp_path):
    path = tmp_path / 'gnd_roxford5k.pkl'
    write_images(tmp_path / 'jpg', QIMLIST)
    for data in (b')' + b'\x85' * 200_000 + b'.', b']q\x00h\x00a.'):
        path.write_bytes(data)
        with pytest.raises(NetvladError, match='must hold imlist, qimlist, gnd'):
            RETRIEVAL['roxford5k'].load(tmp_path)


def test_damaged_pickles_never_do_worse_than_a_sentence(tmp_path, rng):
    fields = {'imlist': IMLIST, 'gnd': arrays(), 'x': np.float64(1)}
    path = tmp_path / 'x.pkl'
    refused = 0
    for protocol in (0, 2, 4, 5):
        good = pickle.dumps(fields, protocol=protocol)
        for _ in range(100):
            data = bytearray(good)
            for place in rng.integers(0, len(data), rng.integers(1, 4)):
                data[place] = rng.integers(256)
            path.write_bytes(data[: rng.integers(1, len(data) + 1)] if rng.random() < 0.3 else data)
            try:
                read_plain_pickle(path)
            except NetvladError:
                refused += 1
    assert refused > 200


def test_holidays(tmp_path):
    images = ['100000', '100001', '100002', '100100', '100101', '100201']
    write_images(tmp_path / 'jpg', images)
    found = RETRIEVAL['holidays'].load(tmp_path)
    assert names(found.database) == images and names(found.queries) == ['100000', '100100']
    assert [rows.tolist() for rows in found.positives] == [[1, 2], [4]]
    assert [rows.tolist() for rows in found.junk] == [[0], [3]]
    assert found.missing == ('100200',)  # its scene is there, so it was
    scores = retrieval_scores(found, np.array([[0, 1, 5, 2, 3, 4], [3, 0, 4, 1, 2, 5]]))
    expected = [(1 + (1 / 2 + 2 / 3) / 2) / 2, (0 + 1 / 2) / 2]
    np.testing.assert_allclose(scores['all'].average_precision, expected)
    listed = ['100000', '100001', '100002', '100003', '100100', '100101', '100200', '100201']
    (tmp_path / 'holidays_images.dat').write_text(''.join(f'{name}.jpg\n' for name in listed))
    assert RETRIEVAL['holidays'].load(tmp_path).missing == ('100003', '100200')
    (tmp_path / 'holidays_images.dat').unlink()
    write_images(tmp_path / 'jpg', ['beach'])
    with pytest.raises(NetvladError, match='beach is no image of Holidays'):
        RETRIEVAL['holidays'].load(tmp_path)


def test_every_name_in_the_registry_is_that_of_its_benchmark():
    assert list(RETRIEVAL) == ['oxford5k', 'paris6k', 'roxford5k', 'rparis6k', 'holidays']
    assert all(info.protocol and info.layout and info.obtained for info in RETRIEVAL.values())
