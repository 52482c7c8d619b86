"""Maps from drives: which frames become places, and that a map appears whole or not at all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tiny_bag import raw_image, transform, write_bag
from tiny_drive import HEADER, picture, pose, pose_line, write_drive, write_image
from tiny_feature_model import DIM, METADATA, cells
from tiny_model import write_tiny_model

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.features.extractor import open_extractor
from netvlad_ros.core.features.feature_bundle import write_feature_bundle
from netvlad_ros.core.features.local_features import FeatureSpec
from netvlad_ros.core.geometry import invert
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.place_map.map_files import read_index
from netvlad_ros.core.place_map.storage import load_map, read_thumbnail
from netvlad_ros.offline.drives.open_drive import open_drive
from netvlad_ros.offline.mapping.feature_choice import FeatureChoice
from netvlad_ros.offline.mapping.map_builder import MapBuilder

NETVLAD = [sys.executable, '-c', 'from netvlad_ros.cli import main; main()']


@pytest.fixture(scope='module')
def model(tmp_path_factory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp('model') / 'tiny.onnx')


@pytest.fixture(scope='module')
def bundle(model) -> ModelBundle:
    return ModelBundle.load(model, device='cpu', threads=1)


def test_a_map_holds_what_the_robot_would_compute(tmp_path, bundle):
    poses = [pose(x=i, yaw_deg=5 * i) for i in range(6)]
    drive = open_drive(write_drive(tmp_path / 'drive', poses))
    MapBuilder(tmp_path / 'map').build(drive, bundle, selection=slice(1, None))
    place_map = load_map(tmp_path / 'map')
    assert place_map.model_id == bundle.metadata.model_id
    assert place_map.recordings == ('drive',) * 5
    assert place_map.images == tuple(f'images/{i:03d}.png' for i in range(1, 6))
    assert place_map.stamps_ns.tolist() == [10**9 + i * 10**8 for i in range(1, 6)]
    np.testing.assert_allclose(place_map.T_map_cam, poses[1:], atol=1e-9)
    expected = [bundle.describe(picture(i)) for i in range(1, 6)]
    np.testing.assert_array_equal(place_map.descriptors, expected)
    assert (place_map.spacing_m, round(place_map.spacing_deg, 6)) == (1.0, 5.0)
    thumbnail = read_thumbnail(place_map, 2)
    assert np.abs(thumbnail.astype(int) - picture(3)).mean() < 12


@pytest.mark.parametrize(
    ('spacing_m', 'spacing_deg', 'kept'),
    [
        (0.0, 0.0, [0, 1, 2, 3, 4, 5, 6, 7]),
        (1.0, 0.0, [0, 2, 4, 7]),  # 0, 1, 2 m, then 3.2 m: steps of 0.5, later 0.4
        (0.0, 10.0, [0, 5, 6]),  # turned by 12 deg at frame 5, by 24 at 6
        (1.0, 10.0, [0, 2, 4, 5, 6]),  # whichever comes first, counted from the last place
    ],
)
def test_keyframes(tmp_path, bundle, spacing_m, spacing_deg, kept):
    x = [0.0, 0.5, 1.0, 1.5, 2.0, 2.4, 2.8, 3.2]
    yaw = [0, 0, 0, 0, 0, 12, 24, 24]
    poses = [pose(x=a, yaw_deg=b) for a, b in zip(x, yaw, strict=True)]
    drive = open_drive(write_drive(tmp_path / 'drive', poses))
    place_map = MapBuilder(tmp_path / 'map', spacing_m=spacing_m, spacing_deg=spacing_deg).build(
        drive, bundle
    )
    assert [int(image[7:10]) for image in place_map.images] == kept


def test_unreadable_images_are_counted_and_the_next_one_takes_their_place(tmp_path, bundle):
    folder = write_drive(tmp_path / 'drive', [pose(x=0.5 * i) for i in range(8)])
    (folder / 'images' / '002.png').write_bytes(b'no image')
    (folder / 'images' / '005.png').unlink()
    write_image(folder / 'images' / '006.png', picture(6, height=8, width=8))
    drive = open_drive(folder)
    skipped = []
    place_map = MapBuilder(tmp_path / 'map', spacing_m=1.0).build(drive, bundle, skipped=skipped)
    assert place_map.images == ('images/000.png', 'images/003.png', 'images/007.png')
    assert [skip.image[:14] for skip in skipped] == [f'images/{i:03d}.png' for i in (2, 5, 6)]


def test_nothing_left_is_an_error(tmp_path, bundle):
    folder = write_drive(tmp_path / 'drive', [pose(), pose(1)])
    for image in (folder / 'images').iterdir():
        image.write_bytes(b'')
    with pytest.raises(NetvladError, match=r'no image is left for a map \(2 skipped, unreadable'):
        MapBuilder(tmp_path / 'map').build(open_drive(folder), bundle)
    with pytest.raises(NetvladError, match='the slice is empty'):
        MapBuilder(tmp_path / 'map').build(open_drive(folder), bundle, selection=slice(5, 9))
    assert not (tmp_path / 'map').exists()


def test_a_map_from_a_bag_knows_the_camera_on_the_robot(tmp_path, bundle):
    T_base_cam = pose(x=0.2, z=0.4)
    messages = [('/tf_static', 0, transform(0, 'base_link', 'cam', T_base_cam))]
    for i in range(5):
        stamp = 10**9 + i * 10**8
        messages += [
            ('/tf', stamp, transform(stamp, 'map', 'base_link', pose(x=i))),
            ('/image', stamp, raw_image(stamp, picture(i), frame_id='cam')),
        ]
    late = 3 * 10**9  # no pose there any more
    messages.append(('/image', late, raw_image(late, picture(9), frame_id='cam')))
    drive = open_drive(write_bag(tmp_path / 'bag', messages))
    skipped = []
    MapBuilder(tmp_path / 'map', thumbnails=False).build(drive, bundle, skipped=skipped)
    place_map = load_map(tmp_path / 'map')
    assert (len(place_map), place_map.base_frame, place_map.camera_frame) == (5, 'base_link', 'cam')
    np.testing.assert_allclose(place_map.T_base_cam, T_base_cam, atol=1e-9)
    np.testing.assert_allclose(
        place_map.T_map_cam, [pose(x=i) @ T_base_cam for i in range(5)], atol=1e-9
    )
    assert read_thumbnail(place_map, 0) is None
    assert (len(skipped), drive.skipped) == (1, ())


def test_a_folder_is_told_where_the_camera_sits(tmp_path, bundle):
    folder = write_drive(tmp_path / 'drive', [pose(x=0), pose(x=1)])
    assert MapBuilder(tmp_path / 'bare').build(open_drive(folder), bundle).T_base_cam is None
    drive = open_drive(folder, T_base_cam=pose(x=0.3), camera_frame='front')
    MapBuilder(tmp_path / 'map').build(drive, bundle)
    place_map = load_map(tmp_path / 'map')
    np.testing.assert_allclose(place_map.T_base_cam, pose(x=0.3), atol=1e-9)
    assert (place_map.base_frame, place_map.camera_frame) == ('base_link', 'front')


def test_what_is_there_is_kept(tmp_path, bundle):
    drive = open_drive(write_drive(tmp_path / 'drive', [pose()]))
    precious = tmp_path / 'precious'
    precious.mkdir()
    (precious / 'thesis.tex').touch()
    for overwrite in (False, True):
        with pytest.raises(NetvladError, match='is no map'):
            MapBuilder(precious, overwrite=overwrite).build(drive, bundle)
    first = MapBuilder(tmp_path / 'map').build(drive, bundle)
    with pytest.raises(NetvladError, match='--overwrite'):
        MapBuilder(tmp_path / 'map').build(drive, bundle)
    (tmp_path / 'file').touch()
    with pytest.raises(NetvladError, match='cannot be written'):
        MapBuilder(tmp_path / 'file' / 'map').build(drive, bundle)
    assert list(precious.iterdir()) == [precious / 'thesis.tex']
    assert load_map(tmp_path / 'map').map_id == first.map_id


CAMERA = CameraModel.create(320, 240, [250, 0, 159.5, 0, 250, 119.5, 0, 0, 1], 'plumb_bob', [])


def textured_drive(folder: Path, poses: list[np.ndarray]) -> Path:
    """A drive whose images, 320 x 240, have corners; the one at pose 1 is a blank wall."""
    write_drive(folder, poses)
    for i in range(len(poses)):
        blocks = np.random.default_rng(i).integers(0, 256, (12, 16, 3), dtype=np.uint8)
        rgb = (
            np.full((240, 320, 3), 128, np.uint8) if i == 1 else blocks.repeat(20, 0).repeat(20, 1)
        )
        write_image(folder / 'images' / f'{i:03d}.png', rgb)
    return folder


@pytest.mark.parametrize('kind', ['sift', 'orb'])
def test_a_map_keeps_the_features_of_its_places(tmp_path, bundle, kind):
    drive = open_drive(textured_drive(tmp_path / 'drive', [pose(x=i) for i in range(4)]))
    drive.camera = CAMERA.resized(640, 480)
    spec = FeatureSpec.built_in(kind, max_keypoints=100)
    MapBuilder(tmp_path / 'map', features=FeatureChoice(kind, 100)).build(
        drive, bundle, selection=slice(1, None)
    )
    place_map = load_map(tmp_path / 'map')
    assert place_map.features.spec == spec
    assert not place_map.features.has_landmarks
    assert place_map.camera.to_dict() == CAMERA.to_dict()  # of these images, half as large
    extractor = open_extractor(spec)
    for i, frame in enumerate(drive.frames(slice(1, None))):
        expected, kept = extractor.extract(frame.read()), place_map.features.features(i)
        assert len(kept) == 0 if i == 0 else 60 < len(kept) <= 100
        np.testing.assert_array_equal(kept.keypoints, expected.keypoints)
        np.testing.assert_array_equal(kept.descriptors, expected.descriptors)


def test_features_leave_the_rest_of_a_map_alone(tmp_path, bundle):
    drive = open_drive(textured_drive(tmp_path / 'drive', [pose(x=i) for i in range(3)]))
    bare = MapBuilder(tmp_path / 'bare').build(drive, bundle)
    rich = MapBuilder(tmp_path / 'rich', features=FeatureChoice('orb')).build(drive, bundle)
    np.testing.assert_array_equal(bare.descriptors, rich.descriptors)
    assert bare.features is None
    assert 'features' not in read_index(tmp_path / 'bare', 'it')
    assert {path.name for path in (tmp_path / 'bare').iterdir()} == {
        'map.yaml',
        'descriptors.npy',
        'places.csv',
        'images',
    }


def test_features_of_a_bundle_on_the_command_line(tmp_path, model):
    folder = textured_drive(tmp_path / 'drive', [pose(x=i) for i in range(3)])
    features = tmp_path / 'cells.onnx'
    model_id = write_feature_bundle(cells(), METADATA, features)
    build = ['map', 'build', folder, '--model', model, '--out', tmp_path / 'map', '--json']
    asked = [*build, '--features', features, '--max-keypoints', 7]
    done = subprocess.run([*NETVLAD, *map(str, asked)], capture_output=True, text=True, check=True)
    facts = json.loads(done.stdout)
    assert (facts['features'], facts['feature_model']) == ('onnx', model_id)
    assert (facts['keypoints_per_place'], facts['landmarks']) == (7, None)
    spec = load_map(tmp_path / 'map').features.spec
    assert spec == FeatureSpec('onnx', DIM, 7, 480, model_id)
    assert len(open_extractor(spec, model=features).extract(picture(0, 240, 320))) == 7


def test_landmarks_need_a_camera_that_fits(tmp_path, bundle):
    folder = textured_drive(tmp_path / 'drive', [pose(x=i) for i in range(3)])
    drive = open_drive(folder)
    with pytest.raises(NetvladError, match='need the calibration of the camera'):
        MapBuilder(tmp_path / 'map', landmarks=True).build(drive, bundle)
    drive.camera = CameraModel.create(300, 300, CAMERA.K, '', [])
    for wanted in ({'landmarks': True}, {'features': FeatureChoice('orb')}):
        with pytest.raises(NetvladError, match='320x240 px is not one of the camera'):
            MapBuilder(tmp_path / 'map', **wanted).build(drive, bundle)
    assert not (tmp_path / 'map').exists()
    skipped = []
    assert MapBuilder(tmp_path / 'map').build(drive, bundle, skipped=skipped).camera is None
    assert skipped[-1].reason == 'no camera calibration of use'


def test_images_of_another_size_have_no_place_among_features(tmp_path, bundle):
    folder = textured_drive(tmp_path / 'drive', [pose(x=i) for i in range(4)])
    write_image(folder / 'images' / '002.png', picture(2))
    drive = open_drive(folder)
    assert len(MapBuilder(tmp_path / 'bare').build(drive, bundle)) == 4
    skipped = []
    place_map = MapBuilder(tmp_path / 'map', features=FeatureChoice('sift')).build(
        drive, bundle, skipped=skipped
    )
    assert place_map.images == tuple(f'images/00{i}.png' for i in (0, 1, 3))
    assert skipped == [('images/002.png', 'of another size than the first')]


def test_landmarks_of_a_real_kitchen(tmp_path, bundle, shared_data):
    drive = open_drive(shared_data / 'redkitchen')
    seen = []
    MapBuilder(tmp_path / 'map', landmarks=True).build(
        drive,
        bundle,
        selection=slice(0, 60, 10),
        landmark_progress=lambda done, total: seen.append((done, total)),
    )
    assert seen[-1][0] == seen[-1][1] > 0
    place_map = load_map(tmp_path / 'map')
    features = place_map.features
    assert features.spec == FeatureSpec.built_in('sift')
    assert len(features.points) > 200
    errors = []
    for i in range(len(place_map)):
        of = features.landmarks(i)
        points = np.c_[features.points[of[of >= 0]], np.ones((of >= 0).sum())]
        pixels = place_map.camera.project((points @ invert(place_map.T_map_cam[i]).T)[:, :3])
        errors.extend(np.linalg.norm(pixels - features.features(i).keypoints[of >= 0], axis=1))
    assert len(errors) > 500
    assert np.median(errors) < 2.0
    assert np.max(errors) < 6.0


@pytest.fixture(scope='module')
def long_drive(tmp_path_factory) -> Path:
    """Ten seconds of work: one large image under many names."""
    folder = tmp_path_factory.mktemp('long') / 'drive'
    write_image(folder / 'images' / '0.png', picture(0, height=1200, width=1600))
    lines = [HEADER]
    for i in range(1, 1500):
        (folder / 'images' / f'{i}.png').symlink_to('0.png')
        lines.append(pose_line(f'images/{i}.png', i, pose(x=i)))
    (folder / 'poses.csv').write_text('\n'.join(lines) + '\n')
    return folder


def start_build(source: Path, model: Path, out: Path, scratch: Path) -> subprocess.Popen:
    """Start a real `netvlad map build` and wait until it describes images."""
    process = subprocess.Popen(
        [
            *NETVLAD,
            'map',
            'build',
            source,
            '--model',
            model,
            '--out',
            out,
            '--overwrite',
            '--features',
            'orb',
        ],
        env={**os.environ, 'TMPDIR': str(scratch), 'OMP_NUM_THREADS': '1'},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    fds = Path(f'/proc/{process.pid}/fd')
    deadline = time.monotonic() + 30
    while not any(
        fd.is_symlink() and str(fd.readlink()).startswith(str(scratch)) for fd in fds.iterdir()
    ):  # the unnamed file of the thumbnails
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.2)
    return process


@pytest.mark.parametrize(('number', 'code'), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_build_leaves_nothing_behind(tmp_path, model, long_drive, number, code):
    scratch, maps = tmp_path / 'scratch', tmp_path / 'maps'
    scratch.mkdir()
    maps.mkdir()
    process = start_build(long_drive, model, maps / 'map', scratch)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == code
    assert stdout == ''
    if number is signal.SIGINT:
        assert stderr.splitlines() == ['netvlad: interrupted, nothing was left behind']
    assert 'Traceback' not in stderr
    assert list(maps.iterdir()) == []
    # onnxruntime writes .ses into the folder for temporary files when it is imported.
    assert {path.name for path in scratch.iterdir()} <= {'.ses'}


def test_a_killed_build_leaves_the_old_map_in_service(tmp_path, bundle, model, long_drive):
    out = tmp_path / 'maps' / 'map'
    old = MapBuilder(out).build(open_drive(write_drive(tmp_path / 'drive', [pose()])), bundle)
    process = start_build(long_drive, model, out, tmp_path)
    process.kill()
    process.communicate()
    assert load_map(out).map_id == old.map_id
    # The next build works, and clears what the killed one may have left.
    new = MapBuilder(out, overwrite=True).build(
        open_drive(write_drive(tmp_path / 'again', [pose(3)])), bundle
    )
    assert load_map(out).map_id == new.map_id != old.map_id
    assert [path.name for path in out.parent.iterdir()] == ['map']


def test_a_build_killed_while_writing_leaves_the_old_map_in_service(tmp_path, bundle, model):
    out = tmp_path / 'maps' / 'map'
    old = MapBuilder(out).build(open_drive(write_drive(tmp_path / 'drive', [pose()])), bundle)
    poses = [pose(x=i) for i in range(600)]
    source = write_drive(tmp_path / 'many', poses, seeds=[0] * 600)
    process = subprocess.Popen(
        [
            *NETVLAD,
            'map',
            'build',
            source,
            '--model',
            model,
            '--out',
            out,
            '--overwrite',
            '--features',
            'sift',
        ],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    room = out.with_name(f'.map.tmp-{process.pid}')
    while process.poll() is None and not room.exists():
        time.sleep(0.0005)
    process.kill()
    process.wait()
    assert process.returncode == -signal.SIGKILL
    assert load_map(out).map_id == old.map_id
