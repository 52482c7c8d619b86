"""Miniatures of public benchmarks, each written in exactly the layout that it is handed out in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from scipy.io import savemat

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
    """Two cities with the same coordinates; view 2 looks away and is right all the same.

    Query 3 is not of the task, and nothing is searched in database 3, a panorama.
    """
    right: Right = {}
    for city in ('cph', 'sf'):
        for side, shift in (('database', 0.0), ('query', 3.0)):
            raw, post, info, tasks = [], [], [], []
            for i in range(4):
                angle = 90 if side == 'database' and i == 2 else 0
                pano = side == 'database' and i == 3
                raw.append(f'{i},{city}{side}{i},0.1,51.5,{angle},2015-05-21,{pano}')
                post.append(
                    f'{i},{city}{side}{i},{700000 + 20 * i + shift},5710000,{i},False,False,Forward'
                )
                info.append(f'{i},{city}{side}{i},s{side},{i}')
                tasks.append(f'{i},{city}{side}{i},{side == "database" or i < 3},False')
                put(root, f'train_val/{city}/{side}/images/{city}{side}{i}.jpg')
            folder = root / 'train_val' / city / side
            write(folder / 'raw.csv', ',key,lon,lat,ca,captured_at,pano', *raw)
            header = ',key,easting,northing,unique_cluster,night,control_panel,view_direction'
            write(folder / 'postprocessed.csv', header, *post)
            write(folder / 'seq_info.csv', ',key,sequence_key,frame_number', *info)
            write(folder / 'subtask_index.csv', ',key,all,s2w', *tasks)
        named = f'train_val/{city}/{{}}/images/{city}{{}}{{}}.jpg'
        place = [named.format('database', 'database', i) for i in range(3)]
        for i, rows in enumerate(([0, 1], [0, 1, 2], [1, 2])):
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
    """Matches count images in the order of the numbers in their names, not in lines of tables."""
    places = [f'reference_images/offset_{i}_None.png' for i in (1, 2, 3, 9, 10, 11, 20)]
    asked = [f'query_images/image_{i}.png' for i in (9, 10, 15)]
    put(root, *places, *asked)
    for side, names in (('reference', places), ('query', asked)):
        lines = [f'{Path(n).name},1.0,2.0' for n in sorted(names)]
        write(root / f'{side}.csv', 'name,easting,northing', *lines)
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


def rows(right: list[tuple[int, list[int]]]) -> np.ndarray:
    """As published: an array of Python values, a row [query, [reference, ...]] each."""
    array = np.empty((len(right), 2), dtype=object)
    for i, (query, references) in enumerate(right):
        array[i, 0], array[i, 1] = query, references
    return array


def mid_atlantic(root: Path) -> Right:
    """Rows for other queries come first, as many as there are queries; AnyLoc skips them."""
    database = [f'db_images/frame{i}.png' for i in range(65)]
    queries = [f'q_images/frame{i}.png' for i in range(101)]
    put(root, *database, *queries)
    right = [(i, [i % 65, (i + 1) % 65]) for i in range(101)]
    others = [(i, [64 - i % 65]) for i in range(101)]
    np.save(root / 'eiffel_gt.npy', rows(others + right), allow_pickle=True)
    return {queries[i]: {database[j] for j in references} for i, references in right}


def mid_atlantic_names(root: Path) -> Right:
    """The same by name: a first missing image is noticed too, and dates need no order."""
    right = mid_atlantic(root)
    (root / 'eiffel_gt.npy').unlink()
    pairs = [f'{Path(q).name},{Path(db).name}' for q, found in right.items() for db in found]
    write(root / 'ground_truth.csv', 'query,reference', *pairs)
    return right


def vpr_bench(root: Path) -> Right:
    sides = [[f'{side}/{i:07d}.jpg' for i in range(12)] for side in ('ref', 'query')]
    put(root, *sides[0], *sides[1])
    right = rows([(i, [i]) for i in range(12)])
    np.save(root / 'ground_truth_new.npy', right, allow_pickle=True)
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
    'mid_atlantic_ridge': Miniature(mid_atlantic, 'eiffel_gt.npy'),
    'vp_air': Miniature(vp_air, 'reference_views'),
    'sped': Miniature(vpr_bench, 'ground_truth_new.npy'),
    'essex3in1': Miniature(vpr_bench, 'query'),
    'corridor_loop': Miniature(corridor, 'pairs.csv'),
    'redkitchen': Miniature(kitchen, 'poses.csv'),
    'michigan_12months': Miniature(michigan, 'ground_truth.csv'),
    'pairs': Miniature(corridor, 'pairs.csv'),
    'posed_drive': Miniature(kitchen, 'poses.csv'),
}
