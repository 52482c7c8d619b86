"""Every layout of training images, from a miniature written just as its authors write it."""

from __future__ import annotations

import csv
import zlib

import numpy as np
import pytest
from scipy.io import savemat
from scipy.spatial.transform import Rotation
from tiny_bag import pose_stamped, raw_image, write_bag
from tiny_drive import picture, pose, write_drive, write_image

from netvlad_ros.core.camera.image import read_image
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.datasets import pittsburgh_mat
from netvlad_ros.offline.datasets.drives import ground_axes, headings_deg
from netvlad_ros.offline.datasets.open_dataset import read_place_images
from netvlad_ros.offline.datasets.utm import utm_positions

CAMERA_FORWARD = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])  # optical axes in x forward, z up


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b'')


def write_csv(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('\n'.join(lines) + '\n')


def camera(x, y, yaw_deg):
    """Camera pose (4, 4) of a car at x, y that looks along its yaw."""
    T = pose(x=x, y=y, yaw_deg=yaw_deg)
    T[:3, :3] = T[:3, :3] @ CAMERA_FORWARD
    return T


# --- drives -------------------------------------------------------------------------------------


def test_a_folder_drive_gives_positions_headings_and_what_is_missing(tmp_path):
    write_drive(tmp_path, [camera(0, 0, 0), camera(3, 4, 90), camera(5, 5, -45)])
    (tmp_path / 'images/001.png').unlink()
    write_image(tmp_path / 'images/extra.png', picture(9))
    found = read_place_images(tmp_path)
    assert [path.name for path in found.images] == ['000.png', '002.png']
    np.testing.assert_allclose(found.positions_m, [[0, 0, 0], [5, 5, 0]], atol=1e-9)
    np.testing.assert_allclose(found.headings_deg, [0, -45], atol=1e-6)
    np.testing.assert_allclose(found.times_s, [0, 0.2], atol=1e-9)
    assert found.is_query.all() and found.is_database.all()
    reasons = {skip.image: skip.reason for skip in found.skipped}
    assert reasons['images/extra.png'] == 'not named in poses.csv'
    assert 'does not exist' in reasons['images/001.png']


def test_visits_of_a_place_share_its_frame_and_places_do_not(tmp_path):
    ahead = [camera(0, 0, 0), camera(3, 4, 0)]
    for place in ('hall', 'yard'):
        write_drive(tmp_path / place / 'monday', ahead)
        write_drive(tmp_path / place / 'friday', ahead[::-1])
    with pytest.raises(NetvladError, match=r'several drives.*layout visits'):
        read_place_images(tmp_path)
    found = read_place_images(tmp_path, 'visits')
    assert found.areas.tolist() == ['hall'] * 4 + ['yard'] * 4
    assert found.recordings[::2].tolist() == [
        'hall/friday', 'hall/monday', 'yard/friday', 'yard/monday',
    ]  # fmt: skip
    np.testing.assert_allclose(found.positions_m[:4, 0], [3, 0, 0, 3], atol=1e-9)
    assert found.images[0].parts[-4:-2] == ('hall', 'friday')
    one = read_place_images(tmp_path / 'yard', 'visits')
    assert one.areas.tolist() == [''] * 4 and set(one.recordings) == {'friday', 'monday'}
    with pytest.raises(NetvladError, match='layout visits needs'):
        read_place_images(tmp_path / 'yard' / 'monday', 'visits')


def test_headings_of_a_map_whose_y_axis_points_down_and_of_a_camera_that_looks_down():
    # The map is the first camera's frame; the second has turned left by 30 degrees.
    left = Rotation.from_euler('y', -30, degrees=True).as_matrix()
    T = np.stack([np.eye(4), np.eye(4)])
    T[1, :3, :3] = left
    axes = ground_axes(T)
    assert axes.tolist() == [2, 0, 1]
    first, second = headings_deg(T, axes)
    assert abs(abs(second - first) - 30) < 1e-9
    down = np.eye(4)[None]
    down[0, :3, :3] = np.array([[0, -1, 0], [-1, 0, 0], [0, 0, -1.0]])  # top of the image: +x
    assert headings_deg(down, np.arange(3))[0] == pytest.approx(0.0)


def a_bag(path, count):
    """One image and one pose a second, 2 m apart, and a last image without a pose."""
    stamps = [int(1e9) * (1 + i) for i in range(count)]
    messages = [('/camera', t, raw_image(t, picture(i))) for i, t in enumerate([*stamps, 10**11])]
    messages += [('/pose', t, pose_stamped(t, camera(2 * i, 0, 0))) for i, t in enumerate(stamps)]
    return write_bag(path, messages)


def test_images_of_a_bag_are_written_once_and_whole(tmp_path, monkeypatch):
    from netvlad_ros.offline.datasets import drives

    bag = a_bag(tmp_path / 'drive', 4)
    cache = tmp_path / 'cache'
    options = {'pose_is_camera': True, 'pose_topic': '/pose', 'pose_tolerance_s': 1.5}
    found = read_place_images(bag, cache=cache, max_area_px=24 * 32, **options)
    assert found.name == 'drive' and len(found) == 4
    assert read_image(found.images[0]).shape == (24, 32, 3)
    np.testing.assert_allclose(found.positions_m[:, 0], [0, 2, 4, 6], atol=1e-6)
    assert [skip.image for skip in found.skipped] == ['camera/100000000000']  # no pose there

    monkeypatch.setattr(drives, 'write_folder_drive', None)  # must not be called again
    again = read_place_images(bag, cache=cache, max_area_px=24 * 32, **options)
    assert again.images == found.images and again.skipped == found.skipped
    with pytest.raises(TypeError):  # other options: another folder
        read_place_images(bag, cache=cache, max_area_px=0, **options)
    with pytest.raises(NetvladError, match='is a bag: training needs a cache folder'):
        read_place_images(bag)


def test_a_bag_that_breaks_leaves_no_cache(tmp_path, monkeypatch):
    from netvlad_ros.offline.drives import folder_writer

    bag = a_bag(tmp_path / 'drive', 3)

    def full_disk(rgb, quality, size):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(folder_writer, 'to_jpeg', full_disk)
    with pytest.raises(NetvladError, match='cannot be written: No space left'):
        read_place_images(
            bag,
            cache=tmp_path / 'cache',
            pose_is_camera=True,
            pose_topic='/pose',
            pose_tolerance_s=1.5,
        )
    assert not list((tmp_path / 'cache').iterdir())


# --- GPS and clips ------------------------------------------------------------------------------


def test_utm_agrees_with_the_reference_point_and_with_the_sphere():
    # utm.from_latlon(51.2, 7.5) of the package "utm": 395201.3103811303, 5673135.241182375, 32 U
    found, zone = utm_positions(np.array([51.2]), np.array([7.5]))
    np.testing.assert_allclose(found, [[395201.3103811303, 5673135.241182375]], atol=2e-3)
    assert zone == '32N'
    south, zone = utm_positions(np.array([-33.9]), np.array([18.4]))
    assert zone == '34S' and south[0, 1] == pytest.approx(6245_000, rel=1e-2)
    # one thousandth of a degree of latitude is 111 m, also over the date line
    (a, b, c), _ = utm_positions(
        np.array([10.0, 10.001, 10.0]), np.array([179.9999, 179.9999, -180])
    )
    assert np.linalg.norm(b - a) == pytest.approx(110.6, abs=0.2)
    assert np.linalg.norm(c - a) == pytest.approx(11.0, abs=0.2)


def test_a_gps_track(tmp_path):
    touch(*(tmp_path / f'images/{i}.jpg' for i in range(3)))
    write_csv(
        tmp_path / 'gps.csv',
        'image,lat,lon,bearing',
        'images/0.jpg,55.6981667,13.1953889,0',
        'images/1.jpg,55.6982417,13.1952000,',
        'images/2.jpg,,,',
        'images/3.jpg,55.7,13.2,270',
    )
    found = read_place_images(tmp_path)
    assert [path.name for path in found.images] == ['0.jpg', '1.jpg']
    assert np.linalg.norm(np.diff(found.positions_m, axis=0)) == pytest.approx(14.5, abs=0.3)
    np.testing.assert_array_equal(found.headings_deg, [90, np.nan])  # north; unknown
    assert [skip.image for skip in found.skipped] == ['images/2.jpg', 'images/3.jpg']


CLIPS = 'image,floor,area,clip,frame_1hz,repo_split'


def test_clips(tmp_path):
    touch(tmp_path / 'a.jpg', tmp_path / 'b.jpg')
    rows = ('a.jpg,f1,hall,c1,1,gallery', 'b.jpg,f2,hall,c2,4,query')
    lost = ('gone.jpg,f2,hall,c2,5,query', '../b.jpg,f2,hall,c2,6,query')
    write_csv(tmp_path / 'frames.csv', CLIPS, *rows, *lost)
    found = read_place_images(tmp_path)
    assert [path.name for path in found.images] == ['a.jpg', 'b.jpg']
    assert [column.tolist() for column in found.apart] == [
        ['f1', 'f2'],
        ['hall', 'hall'],
        ['c1', 'c2'],
    ]
    assert found.times_s.tolist() == [1, 4] and found.positions_m is None
    assert [skip.image for skip in found.skipped] == ['gone.jpg', '../b.jpg']
    assert 'outside the folder' in found.skipped[1].reason


def test_the_real_sets_are_read_whole(shared_data):
    clips = read_place_images(shared_data / 'ie_tower')
    assert len(clips) == 2877 and not clips.skipped and len(np.unique(clips.recordings)) == 124
    assert len(read_place_images(shared_data / 'lund')) == 29
    kitchen = read_place_images(shared_data / 'redkitchen')
    assert len(kitchen) == 1000 and np.isfinite(kitchen.headings_deg).all()


# --- public layouts -----------------------------------------------------------------------------


def test_utm_folders_of_the_geo_localization_benchmark(tmp_path):
    split = tmp_path / 'pitts30k/images/train'
    base = '@0584300.55@4477015.04@17@T@040.43820@-080.00563@000001@00@@@@@@{}@.jpg'
    touch(
        split / 'database' / base.format('pitch1_yaw1'),
        split
        / 'queries/deeper'
        / '@0584310.55@4477015.04@17@T@040.4@-080.0@x@@090@@@@20190131_1230@@.jpg',
        split / 'queries' / '@584310.55@4477015.04@.jpg',
        split / 'queries' / 'readme_image.jpg',
    )
    found = read_place_images(split)
    assert found.is_database.sum() == 1 and found.is_query.sum() == 2
    assert not (found.is_query & found.is_database).any()
    rows = {path.name.split('@')[1]: i for i, path in enumerate(found.images)}
    np.testing.assert_allclose(found.positions_m[rows['0584300.55']], [584300.55, 4477015.04])
    dated = rows['0584310.55']
    assert found.headings_deg[dated] == 0.0  # a bearing of 90 degrees is east
    assert found.recordings[dated] == 'queries/20190131'
    assert set(found.areas) == {''}  # one name tells no zone
    assert np.isnan(found.headings_deg[rows['0584300.55']])
    assert [skip.image for skip in found.skipped] == ['queries/readme_image.jpg']
    assert set(read_place_images(split / 'database').areas) == {'utm17N'}
    with pytest.raises(NetvladError, match='training reads'):
        read_place_images(tmp_path / 'pitts30k')


def mat_struct(database, queries, utm_db, utm_q, **more):
    """dbStruct as MATLAB writes it: columns of cells, positions 2 x N, single numbers 1 x 1."""

    def cells(names):
        column = np.empty((len(names), 1), dtype=object)
        column[:, 0] = names
        return column

    return {
        'whichSet': 'train',
        'dbImageFns': cells(database),
        'utmDb': np.array(utm_db, dtype=np.float64).T,
        'qImageFns': cells(queries),
        'utmQ': np.array(utm_q, dtype=np.float64).T,
        'numImages': float(len(database)),
        'numQueries': float(len(queries)),
        'posDistThr': 25.0,
        'posDistSqThr': 625.0,
        'nonTrivPosDistSqThr': 100.0,
        **more,
    }


@pytest.mark.parametrize('compressed', [True, False])
def test_the_pittsburgh_list(tmp_path, compressed):
    database = [
        '000/000001_pitch1_yaw1.jpg',
        '000/000001_pitch1_yaw2.jpg',
        '001/000900_pitch2_yaw1.jpg',
    ]
    touch(
        *(tmp_path / name for name in database[:2]), tmp_path / 'queries_real/000/q_pitch1_yaw7.jpg'
    )
    (tmp_path / 'datasets').mkdir()
    struct = mat_struct(
        database, ['000/q_pitch1_yaw7.jpg'],
        [[585001.5, 4477000], [585001.5, 4477000], [585900, 4477000]], [[585008.5, 4477001]],
    )  # fmt: skip
    path = tmp_path / 'datasets/pitts30k_train.mat'
    savemat(path, {'dbStruct': struct}, do_compression=compressed)
    found = read_place_images(path)
    assert found.name == 'pitts30k_train'
    assert found.images == (*(tmp_path / name for name in database[:2]),
                            tmp_path / 'queries_real/000/q_pitch1_yaw7.jpg')  # fmt: skip
    assert found.is_query.tolist() == [False, False, True]
    np.testing.assert_array_equal(found.positions_m[2], [585008.5, 4477001])
    assert [skip.image for skip in found.skipped] == [database[2]]


def test_tokyo_lists_name_jpg_for_png_and_time_machine_lists_carry_the_time(tmp_path):
    touch(tmp_path / 'images/03814/a_012_000.png', tmp_path / 'images/03814/b_012_030.png')
    struct = mat_struct(
        ['03814/a_012_000.jpg'], ['03814/b_012_030.jpg'], [[1.0, 2.0]], [[3.0, 4.0]],
        dbTimeStamp=np.array([[201306.0]]), qTimeStamp=np.array([[201509.0]]),
    )  # fmt: skip
    savemat(tmp_path / 'tokyoTM_train.mat', {'dbStruct': struct})
    found = read_place_images(tmp_path / 'tokyoTM_train.mat')
    assert found.recordings.tolist() == ['201306', '201509']
    assert len(found) == 2 and not found.skipped


def test_hostile_matlab_files_get_one_sentence(tmp_path, monkeypatch):
    path = tmp_path / 'x.mat'

    def refused(match):
        with pytest.raises(NetvladError, match=match):
            read_place_images(path)

    path.write_bytes(b'junk' * 100)
    refused('not a readable .mat of version 5 to 7: its header')
    path.write_bytes(b'MATLAB 7.3 MAT-file'.ljust(512))
    refused('version 7.3')
    savemat(path, {'other': 1.0})
    refused('holds no variable dbStruct')
    savemat(path, {'dbStruct': 1.0})
    refused('dbStruct is not one struct')
    good = mat_struct(['a.jpg'], ['b.jpg'], [[0, 0]], [[0, 0]])
    savemat(path, {'dbStruct': {**good, 'utmDb': np.zeros((2, 5))}})
    refused('utmDb must be 2 x 1 finite numbers')
    savemat(path, {'dbStruct': {k: v for k, v in good.items() if k != 'qImageFns'}})
    refused('no field qImageFns')
    savemat(path, {'dbStruct': mat_struct(['../a.jpg'], ['/etc/b.jpg'], [[0, 0]], [[0, 0]])})
    refused(r'no image is left .* outside the folder')
    savemat(path, {'dbStruct': good})
    head = path.read_bytes()[:128]
    packed = zlib.compress(bytes(2**24), 9)
    monkeypatch.setattr(pittsburgh_mat, 'MAX_BYTES', 2**23)
    path.write_bytes(head + np.array([15, len(packed)], '<u4').tobytes() + packed)
    refused('unpacks to more than')


def write_msls_city(city, side, rows):
    """Tables as pandas wrote them: a first column without a name, booleans as True and False.

    rows: key, easting, northing, sequence, compass angle, panorama.
    """
    raw, post, info = [], [], []
    for i, (key, east, north, sequence, ca, pano) in enumerate(rows):
        raw.append(f'{i},{key},0.1,51.5,{ca},2015-05-21,{pano}')
        post.append(f'{i},{key},{east},{north},{i},False,False,Forward')
        info.append(f'{i},{key},{sequence},{i}')
        touch(city / side / f'images/{key}.jpg')
    write_csv(city / side / 'raw.csv', ',key,lon,lat,ca,captured_at,pano', *raw)
    header = ',key,easting,northing,unique_cluster,control_panel,night,view_direction'
    write_csv(city / side / 'postprocessed.csv', header, *post)
    write_csv(city / side / 'seq_info.csv', ',key,sequence_key,frame_number', *info)


def test_msls(tmp_path):
    for city in ('london', 'cph'):
        folder = tmp_path / 'train_val' / city
        near, panorama = (
            ('-KEY_a', 700000.5, 5710000.25, 's1', 90.0, False),
            ('p', 1, 2, 's1', 0, True),
        )
        write_msls_city(folder, 'database', [near, panorama])
        write_msls_city(folder, 'query', [('q', 700005, 5710000, 's2', 0.0, False)])
    touch(tmp_path / 'test/miami/query/subtask_index.csv')
    found = read_place_images(tmp_path)
    assert len(found) == 4 and sorted(set(found.areas)) == ['cph', 'london']
    first = [path.name for path in found.images].index('-KEY_a.jpg')
    np.testing.assert_array_equal(found.positions_m[first], [700000.5, 5710000.25])
    assert (
        found.headings_deg[first] == 0.0 and found.is_database[first] and not found.is_query[first]
    )
    assert {'london/s1', 'london/s2', 'cph/s1', 'cph/s2'} == set(found.recordings)
    assert [skip.reason for skip in found.skipped] == ['a panorama'] * 2
    one = read_place_images(tmp_path / 'train_val/cph')
    assert len(one) == 2 and set(one.areas) == {'cph'} and one.name == 'cph'
    table = tmp_path / 'train_val/cph/query/postprocessed.csv'
    table.write_text(table.read_text().replace('700005', 'far'))
    with pytest.raises(NetvladError, match=r'postprocessed\.csv, line 2: easting is "far"'):
        read_place_images(tmp_path)
    table.write_text(table.read_text().splitlines()[0] + '\n')
    with pytest.raises(NetvladError, match='different numbers of lines'):
        read_place_images(tmp_path)


def test_gsv_cities(tmp_path):
    header = 'place_id,year,month,northdeg,city_id,lat,lon,panoid'
    rows = ['130,2018,4,15,London,51.4861,-0.0895151,6jFjb3wGyCkcBf',
            '130,2015,11,402,London,51.48610000,-0.0895151,a_b-c',
            '131,2015,6,97,London,51.5233,-0.158693,gone']  # fmt: skip
    write_csv(tmp_path / 'Dataframes/London.csv', header, *rows)
    write_csv(tmp_path / 'Dataframes/Boston.csv', header, '130,2015,6,121,Boston,42.37,-71.06,x')
    touch(
        tmp_path / 'Images/London/London_0000130_2018_04_015_51.4861_-0.0895151_6jFjb3wGyCkcBf.JPG',
        tmp_path / 'Images/London/London_0000130_2015_11_402_51.4861_-0.0895151_a_b-c.jpg',
        tmp_path / 'Images/Boston/Boston_0000130_2015_06_121_42.37_-71.06_x.JPG',
    )  # fmt: skip
    found = read_place_images(tmp_path)
    assert found.areas.tolist() == ['Boston', 'London', 'London']
    boston, first, second = found.places
    assert first == second != boston  # labels of two cities are two places
    assert found.recordings.tolist() == ['Boston/2015-06', 'London/2018-04', 'London/2015-11']
    np.testing.assert_allclose(found.headings_deg[1:], [75.0, 48.0])
    assert len(found.skipped) == 1 and 'gone' in found.skipped[0].image


# --- what is no source --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('name', 'text', 'message'),
    [
        ('frames.csv', f'{CLIPS}\nhere.jpg,f,a,c,soon,x', 'line 2: frame_1hz is "soon"'),
        ('frames.csv', f'{CLIPS}\nhere.jpg,f,a', 'line 2: 3 values instead of 6'),
        ('frames.csv', 'image,floor\nhere.jpg,f', 'column area is missing'),
        ('frames.csv', f'{CLIPS}\n../x.jpg,f,a,c,1,x', 'no image is left .* outside the folder'),
        ('frames.csv', CLIPS, 'no image is left to train on .it lists none'),
        ('gps.csv', 'image,lat,lon\nhere.jpg,91,0', 'line 2: lat 91, lon 0 is no place on Earth'),
        ('gps.csv', 'image,lat,lon\nhere.jpg,nan,0', 'line 2: lat is "nan", not a finite number'),
        ('poses.csv', 'image,x\n', 'must begin with the line'),
        ('notes.txt', 'hello', 'holds here.jpg, notes.txt; training reads'),
    ],
)
def test_broken_sources_get_one_sentence(tmp_path, name, text, message):
    touch(tmp_path / 'here.jpg')
    (tmp_path / name).write_text(text + '\n')
    with pytest.raises(NetvladError, match=message):
        read_place_images(tmp_path)


def test_a_table_with_a_quote_that_never_ends_is_refused(tmp_path):
    with (tmp_path / 'frames.csv').open('w', newline='') as file:
        csv.writer(file).writerow(CLIPS.split(','))
        file.write('"never\n' * 3)
    with pytest.raises(NetvladError, match='line'):
        read_place_images(tmp_path)
    with pytest.raises(NetvladError, match='does not exist'):
        read_place_images(tmp_path / 'nowhere')


# --- single images ------------------------------------------------------------------------------


def test_single_images_are_places_of_their_own_and_pairs_are_read_both_ways(tmp_path):
    touch(*(tmp_path / f'images/{name}.jpg' for name in 'abc'))
    alone = read_place_images(tmp_path, 'single')
    assert alone.places.tolist() == [0, 1, 2] and alone.pairs.tolist() == []
    write_csv(tmp_path / 'pairs.csv', 'query,db', 'images/a.jpg,images/c.jpg', 'images/a.jpg,x.jpg')
    found = read_place_images(tmp_path, 'single')
    assert found.pairs.tolist() == [[0, 2], [2, 0]]
    assert [skip.image for skip in found.skipped] == ['x.jpg']
    assert found.subset(np.array([2, 0])).pairs.tolist() == [[1, 0], [0, 1]]
    assert found.subset(np.array([2, 1])).pairs.tolist() == []
