"""Public benchmarks, each read from a miniature in exactly the layout that it is handed out in."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import savemat
from typer.testing import CliRunner

from netvlad_ros.cli import app
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.benchmarks.benchmark import Benchmark
from netvlad_ros.offline.benchmarks.plain_array import read_plain_array
from netvlad_ros.offline.benchmarks.registry import BENCHMARKS
from netvlad_ros.offline.retrieval_benchmarks.registry import RETRIEVAL

Right = dict[str, set[str]]
PIXELS = np.full((4, 6, 3), 127, dtype=np.uint8)
ENCODED = {s: cv2.imencode(s, PIXELS)[1].tobytes() for s in ('.jpg', '.png')}


def put(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(ENCODED[path.suffix])


def write(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('\n'.join(lines) + '\n', encoding='utf-8')


def cells(names: list[str]) -> np.ndarray:
    column = np.empty((len(names), 1), dtype=object)
    column[:, 0] = names
    return column


def db_struct(root: Path, name: str, sides: dict[str, str], **more: np.ndarray) -> Right:
    """Four panoramas 20 m apart; a query at each but the last, 2 m beside it."""
    database = [f'000/{i:06d}_pitch1_yaw1.jpg' for i in range(4)]
    queries = [f'001/{i:06d}_pitch1_yaw1.jpg' for i in range(3)]
    put(root, *(sides['database'] + n for n in database), *(sides['queries'] + n for n in queries))
    (root / 'datasets').mkdir(exist_ok=True)
    struct = {
        'whichSet': 'test',
        'dbImageFns': cells(database),
        'utmDb': np.array([[585000.0 + 20 * i, 4477000.0] for i in range(4)]).T,
        'qImageFns': cells(queries),
        'utmQ': np.array([[585000.0 + 20 * i, 4477002.0] for i in range(3)]).T,
        'numImages': 4.0,
        'numQueries': 3.0,
        'posDistThr': 25.0,
        'posDistSqThr': 625.0,
        'nonTrivPosDistSqThr': 100.0,
        **more,
    }
    savemat(root / 'datasets' / name, {'dbStruct': struct})
    return near(
        [sides['database'] + n for n in database], [sides['queries'] + n for n in queries], 1
    )


def near(database: list[str], queries: list[str], frames: int) -> Right:
    return {
        query: set(database[max(i - frames, 0) : i + frames + 1]) for i, query in enumerate(queries)
    }


def pittsburgh(size: str) -> Callable[[Path], Right]:
    return lambda root: db_struct(
        root, f'pitts{size}_test.mat', {'database': '', 'queries': 'queries_real/'}
    )


def tokyo247(root: Path) -> Right:
    return db_struct(
        root, 'tokyo247.mat', {'database': 'tokyo247/', 'queries': '247query_subset_v2/'}
    )


def tokyo_tm(root: Path) -> Right:
    """Places were seen in 2013 and 2015; what was seen at the query's own time is no answer."""
    times = np.array([[201306.0, 201509.0, 201306.0, 201509.0]]), np.full((1, 3), 201306.0)
    right = db_struct(
        root,
        'tokyoTM_val.mat',
        {'database': 'images/', 'queries': 'images/'},
        dbTimeStamp=times[0],
        qTimeStamp=times[1],
    )
    own = {f'images/000/{i:06d}_pitch1_yaw1.jpg' for i in (0, 2)}
    return {query: places - own for query, places in right.items()}


def utm_folders(root: Path) -> Right:
    at = 'images/test/{}/@0{:.2f}@4477000.00@17@T@40.4@-80.0@pano@@@@@@20130101@@.jpg'
    database = [at.format('database', 585000 + 20 * i) for i in range(4)]
    queries = [at.format('queries', 585001 + 20 * i) for i in range(3)]
    put(root, *database, *queries)
    return near(database, queries, 1)


def msls(root: Path) -> Right:
    """Two cities with the same coordinates; view 2 of each looks away."""
    right: Right = {}
    for city in ('cph', 'sf'):
        for side, shift in (('database', 0.0), ('query', 3.0)):
            raw, post, info = [], [], []
            for i in range(3):
                angle = 90 if side == 'database' and i == 2 else 0
                raw.append(f'{i},{city}{side}{i},0.1,51.5,{angle},2015-05-21,False')
                post.append(f'{i},{city}{side}{i},{700000 + 20 * i + shift},5710000,{i},False')
                info.append(f'{i},{city}{side}{i},s{side},{i}')
                put(root, f'train_val/{city}/{side}/images/{city}{side}{i}.jpg')
            folder = root / 'train_val' / city / side
            write(folder / 'raw.csv', ',key,lon,lat,ca,captured_at,pano', *raw)
            write(folder / 'postprocessed.csv', ',key,easting,northing,cluster,night', *post)
            write(folder / 'seq_info.csv', ',key,sequence_key,frame_number', *info)
        named = f'train_val/{city}/{{}}/images/{city}{{}}{{}}.jpg'
        place = [named.format('database', 'database', i) for i in range(3)]
        for i, rows in enumerate(([0, 1], [0, 1], [1])):
            right[named.format('query', 'query', i)] = {place[row] for row in rows}
    return right


def nordland(root: Path) -> Right:
    """Of 30 numbered frames the list uses every second one; 10 frames in the list count."""
    used = [f'images-{i:05d}.png' for i in range(1, 31, 2)]
    put(root, *(f'{s}/images-{i:05d}.png' for s in ('summer', 'winter') for i in range(1, 31)))
    write(root / 'nordland_imageNames.txt', *used)
    return near([f'summer/{n}' for n in used], [f'winter/{n}' for n in used], 10)


def frames(database: str, queries: str, tolerance: int, name: str) -> Callable[[Path], Right]:
    def write_frames(root: Path) -> Right:
        for side in {'day_left', 'day_right', 'night_right'} if 'day' in database else ():
            put(root, *(f'{side}/{name.format(i)}' for i in range(14)))
        sides = [[f'{side}/{name.format(i)}' for i in range(14)] for side in (database, queries)]
        put(root, *sides[0], *sides[1])
        return near(*sides, tolerance)

    return write_frames


def vp_air(root: Path) -> Right:
    sides = [[f'{s}/{i:05d}.png' for i in range(1, 12)] for s in ('reference_views', 'queries')]
    put(root, *sides[0], *sides[1], *(f'distractors/{i:05d}.png' for i in range(5)))
    write(root / 'poses.csv', 'filename,lat,lon,altitude,roll,pitch,yaw')
    return near(*sides, 3)


def baidu(root: Path) -> Right:
    """Cameras 6 m apart, so that 10 m is one of them; names count past 9 without zeros."""
    sides = []
    for side in ('training', 'query'):
        names = [f'{side[0]}_{i}' for i in range(12)]
        put(root, *(f'{side}_images_undistort/{name}.jpg' for name in names))
        for i, name in enumerate(names):
            write(
                root / f'{side}_gt' / f'{name}.camera',
                '1000 0 960', '0 1000 540', '0 0 1', '0 0 0', '1 0 0', '0 1 0', '0 0 1',
                f'{6.0 * i} 1.5 -0.2', '1920 1080',
            )  # fmt: skip
        sides.append([f'{side}_images_undistort/{name}.jpg' for name in names])
    return near(*sides, 1)


def cell_list(name: str, images: str, database: str, queries: str) -> Callable[[Path], Right]:
    def write_list(root: Path) -> Right:
        """As savemat writes a Python tuple: a row of cells, names padded to one length."""
        sides = [[f'{side}/{i}.png' for i in range(8, 13)] for side in (database, queries)]
        put(root / images, *sides[0], *sides[1])
        at = [[[30.0 * i, 7.0] for i in range(5)], [[30.0 * i + 1, 7.0] for i in range(5)]]
        struct = (
            np.array(sides[0]), np.array(at[0]), np.array(sides[1]), np.array(at[1]),
            5, 5, 31.0, 961.0,
        )  # fmt: skip
        row = np.empty(8, dtype=object)
        row[:] = struct
        savemat(root / name, {'dbStruct': row})
        below = '' if images == '.' else f'{images}/'
        # A query lies 1 m past its place: 29 m to the next one, 31 m to the one before.
        return near(*([below + n for n in side] for side in sides), 1)

    return write_list


def nardo(root: Path) -> Right:
    """Names that sort otherwise than their lines, which is what the matches count."""
    places = [f'reference_images/offset_{i}_None.png' for i in (3, 1, 2, 9, 8, 7, 6)]
    asked = [f'query_images/image_{i}.png' for i in (20, 10, 15)]
    put(root, *places, *asked)
    write(root / 'reference.csv', 'name,easting,northing', *(f'{n},1.0,2.0' for n in places))
    write(root / 'query.csv', 'name,easting,northing', *(f'{n},1.0,2.0' for n in asked))
    ranks = ','.join(f'top_{k}_ref_ind,top_{k}_distance' for k in range(1, 7))
    write(
        root / 'gt_matches.csv',
        f',query_ind,{ranks}',
        '0,0,2,1.0,3,2.0,4,2.5,5,3.0,6,3.5,0,4.0',
        '1,1,0,1.0,1,2.0,2,2.5,3,3.0,4,3.5,6,4.0',
        '2,2,6,1.0,5,2.0,4,2.5,3,3.0,2,3.5,1,4.0',
    )
    return {asked[0]: set(places[2:]), asked[1]: set(places[:5]), asked[2]: set(places[2:])}


def caves(database: range, queries: range, rows: int) -> Callable[[Path], Right]:
    def write_caves(root: Path) -> Right:
        """Poses 5 m apart along each drive; both drives take the same way."""
        poses = np.full((rows, 7), 1e6)
        for part in (database, queries):
            poses[part, 0] = 5.0 * np.arange(len(part))
            poses[part, 1] = -3.0
        np.save(root / 'pose_topic_list.npy', poses)
        sides = [
            [f'{side}_images/frame{i}.png' for i in part]
            for side, part in (('db', database), ('q', queries))
        ]
        put(root, *sides[0], *sides[1])
        return near(*sides, 1)

    return write_caves


def mid_atlantic(root: Path) -> Right:
    database = [f'db_images/{20150401 + i}T1200.png' for i in range(65)]
    queries = [f'q_images/{20180401 + i}T1200.png' for i in range(101)]
    put(root, *database, *queries)
    right = {query: {database[i % 65]} for i, query in enumerate(queries)}
    pairs = [f'{Path(q).name},{Path(db).name}' for q, found in right.items() for db in found]
    write(root / 'ground_truth.csv', 'query,reference', *pairs)
    return right


def vpr_bench(root: Path) -> Right:
    sides = [[f'{side}/{i:07d}.jpg' for i in range(12)] for side in ('ref', 'query')]
    put(root, *sides[0], *sides[1])
    np.save(root / 'ground_truth_new.npy', np.stack([np.arange(12)] * 2, axis=1))
    return near(*sides, 0)


def corridor(root: Path) -> Right:
    names = [f'images/{i:03d}.jpg' for i in range(1, 81)]
    put(root, *names)
    right = near(names[:40], names[40:], 1)
    pairs = [f'{query},{db}' for query, found in right.items() for db in sorted(found)]
    write(root / 'pairs.csv', 'query,db', *pairs)
    return right


def kitchen(root: Path) -> Right:
    """Two passes along the same six points, 0.4 m apart."""
    names = [f'images/{i:06d}.jpg' for i in range(12)]
    put(root, *names)
    rows = [f'{n},{i},{0.4 * (i % 6)},0,0,0,0,0,1' for i, n in enumerate(names)]
    write(root / 'poses.csv', 'image,timestamp_s,x,y,z,qx,qy,qz,qw', *rows)
    return near(names[:6], names[6:], 1)


def michigan(root: Path) -> Right:
    names = [[f'images/m{month:02d}_p{place}.jpg' for place in range(1, 6)] for month in (1, 2, 3)]
    put(root, *(name for month in names for name in month))
    rows = [f'{name},{p + 1},{m + 1},0' for m in range(3) for p, name in enumerate(names[m])]
    write(root / 'ground_truth.csv', 'image,place,month,dx_px_at_1024_wrt_month1', *rows)
    return {names[m][p]: {names[0][p]} for m in (1, 2) for p in range(5)}


def mid_atlantic_pairs(root: Path) -> Right:
    """The same by index: only the counts are published, and the dates in the names."""
    right = mid_atlantic(root)
    (root / 'ground_truth.csv').unlink()
    np.save(root / 'eiffel_gt.npy', np.array([[i, i % 65] for i in range(101)]))
    return right


@dataclass(frozen=True)
class Miniature:
    """How a miniature is written, and a file that its loader cannot do without."""

    write: Callable[[Path], Right]
    needs: str
    listed: bool = True  # something beside the images themselves knows which there should be


MINIATURES = {
    'pitts30k': Miniature(pittsburgh('30k'), 'datasets/pitts30k_test.mat'),
    'pitts250k': Miniature(pittsburgh('250k'), 'datasets/pitts250k_test.mat'),
    'tokyo247': Miniature(tokyo247, 'datasets/tokyo247.mat'),
    'tokyo_tm': Miniature(tokyo_tm, 'datasets/tokyoTM_val.mat'),
    'utm_folders': Miniature(utm_folders, 'images/test/queries', listed=False),
    'msls': Miniature(msls, 'train_val/sf'),
    'nordland': Miniature(nordland, 'winter'),
    'gardens_point': Miniature(
        frames('day_right', 'night_right', 2, 'Image{:03d}.jpg'), 'night_right'
    ),
    'gardens_point_day': Miniature(
        frames('day_left', 'day_right', 2, 'Image{:03d}.jpg'), 'day_left'
    ),
    'st_lucia': Miniature(utm_folders, 'images/test/database', listed=False),
    '17_places': Miniature(frames('ref', 'query', 5, '{:07d}.jpg'), 'ref'),
    'baidu_mall': Miniature(baidu, 'training_gt'),
    'oxford_robotcar': Miniature(
        cell_list('oxdatapart.mat', 'oxDataPart', '1-s-resized', '2-s-resized'), 'oxdatapart.mat'
    ),
    'berlin_kudamm': Miniature(
        cell_list('berlin.mat', '.', 'Reference_resized', 'Query_resized'), 'berlin.mat'
    ),
    'nardo_air': Miniature(nardo, 'gt_matches.csv'),
    'nardo_air_r': Miniature(nardo, 'reference.csv'),
    'hawkins': Miniature(caves(range(127), range(127, 245), 314), 'pose_topic_list.npy'),
    'laurel_caverns': Miniature(caves(range(141), range(229, 341), 744), 'pose_topic_list.npy'),
    'mid_atlantic_ridge': Miniature(mid_atlantic, 'q_images'),
    'vp_air': Miniature(vp_air, 'reference_views'),
    'sped': Miniature(vpr_bench, 'ground_truth_new.npy'),
    'essex3in1': Miniature(vpr_bench, 'query'),
    'corridor_loop': Miniature(corridor, 'pairs.csv'),
    'redkitchen': Miniature(kitchen, 'poses.csv'),
    'michigan_12months': Miniature(michigan, 'ground_truth.csv'),
}


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
    if name in ('hawkins', 'laurel_caverns'):  # only the names between others tell that they lack
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


def test_python_objects_are_refused_and_the_csv_goes_in_their_place(tmp_path):
    right = vpr_bench(tmp_path)
    path = tmp_path / 'ground_truth_new.npy'

    class Bomb:
        def __reduce__(self):
            return Path.touch, (tmp_path / 'exploded',)

    np.save(path, np.array([[0, [Bomb()]], [1, [1]]], dtype=object), allow_pickle=True)
    with pytest.raises(NetvladError, match=r'holds Python objects.*ground_truth\.csv'):
        BENCHMARKS['sped'].load(tmp_path)
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(NetvladError, match=r'no readable \.npy.*ground_truth\.csv'):
        BENCHMARKS['sped'].load(tmp_path)
    assert not (tmp_path / 'exploded').exists()
    pairs = [f'{Path(query).name},{Path(query).name}' for query in right]
    write(tmp_path / 'ground_truth.csv', 'query,reference', *pairs, '0000099.jpg,0000098.jpg')
    read = BENCHMARKS['sped'].load(tmp_path)
    assert found(read, tmp_path) == right
    assert set(read.missing) == {'query/0000099.jpg', 'ref/0000098.jpg'}


@pytest.mark.parametrize('array', [np.zeros((3, 2)), np.zeros((3, 3), int), np.zeros(6, int)])
def test_pairs_of_another_shape_are_refused(array, tmp_path):
    vpr_bench(tmp_path)
    np.save(tmp_path / 'ground_truth_new.npy', array)
    with pytest.raises(NetvladError, match='must hold whole numbers, P x 2'):
        BENCHMARKS['essex3in1'].load(tmp_path)


@pytest.mark.filterwarnings('ignore:Reading `.npy`')
def test_damaged_arrays_never_do_worse_than_a_sentence(tmp_path, rng):
    path, refused = tmp_path / 'x.npy', 0
    np.save(path, np.arange(40).reshape(20, 2))
    good = path.read_bytes()
    for trial in range(600):
        data = bytearray(good)
        for _ in range(rng.integers(1, 4)):
            data[rng.integers(140)] = rng.integers(256)
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


def test_a_camera_without_a_position_and_an_image_without_a_camera(tmp_path):
    baidu(tmp_path)
    (tmp_path / 'query_gt/q_3.camera').unlink()
    read = BENCHMARKS['baidu_mall'].load(tmp_path)
    assert len(read.queries) == 11 and read.missing == ('query_gt/q_3.camera',)
    write(tmp_path / 'query_gt/q_4.camera', '1 2')
    with pytest.raises(NetvladError, match=r'q_4\.camera: its last line but one'):
        BENCHMARKS['baidu_mall'].load(tmp_path)


def test_pairs_of_the_ridge_by_index(tmp_path):
    right = mid_atlantic_pairs(tmp_path)
    assert found(BENCHMARKS['mid_atlantic_ridge'].load(tmp_path), tmp_path) == right
    (tmp_path / 'q_images/20180433T1200.png').unlink()
    with pytest.raises(NetvladError, match='do not tell which ones are missing'):
        BENCHMARKS['mid_atlantic_ridge'].load(tmp_path)  # dates are no frame numbers


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


def test_one_city_of_msls_and_the_utm_form_of_a_listed_set(tmp_path):
    right = msls(tmp_path / 'msls')
    city = tmp_path / 'msls/train_val/sf'
    read = found(BENCHMARKS['msls'].load(city), tmp_path / 'msls')
    assert read == {query: rows for query, rows in right.items() if '/sf/' in query}
    right = utm_folders(tmp_path / 'pitts')
    assert found(BENCHMARKS['pitts30k'].load(tmp_path / 'pitts'), tmp_path / 'pitts') == right


def test_what_was_seen_at_the_time_of_the_query_counts_neither_way(tmp_path):
    tokyo_tm(tmp_path)
    assert [rows.tolist() for rows in BENCHMARKS['tokyo_tm'].load(tmp_path).junk] == [[0, 2]] * 3
    pittsburgh('30k')(tmp_path / 'pitts')
    assert BENCHMARKS['pitts30k'].load(tmp_path / 'pitts').junk == ()


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


def test_the_command_lists_them_all():
    table = CliRunner().invoke(app, ['benchmarks'], env={'COLUMNS': '200'})
    assert (
        table.exit_code == 0
        and '86.08' in table.output
        and 'mAP' in table.output
        and 'berlin_kudamm' in table.output
    )
    assert all(name in table.output for name in BENCHMARKS)
    listed = json.loads(CliRunner().invoke(app, ['benchmarks', '--json']).output)
    assert [entry['name'] for entry in listed] == list(BENCHMARKS)
    published = {e['name']: e['published_recall_at_1'] for e in listed}
    assert published['vp_air'] == 6.39 and published['hawkins'] == 34.75
