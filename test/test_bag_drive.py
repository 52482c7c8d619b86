"""Bags: every storage, image kind and pose source, and what is said where something is missing."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from tiny_bag import (
    jpeg_image,
    odometry,
    pose_stamped,
    pose_with_covariance,
    raw_image,
    transform,
    write_bag,
)
from tiny_drive import picture, pose, trajectory

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.drives.bags.bag_writer import BagMessages
from netvlad_ros.offline.drives.camera_file import CameraFile
from netvlad_ros.offline.drives.open_drive import open_drive

START_S = 1_700_000_000
OPTICAL = np.array([[0.0, 0, 1, 0.3], [-1, 0, 0, -0.1], [0, -1, 0, 0.5], [0, 0, 0, 1]])
IMAGE_TIMES_S = [0.05 + 0.1 * i for i in range(9)]  # between the poses
POSE_TIMES_S = [0.1 * i for i in range(10)]


def ns(seconds: float) -> int:
    return START_S * 10**9 + round(seconds * 1e9)


def images(make=raw_image, times_s=IMAGE_TIMES_S, topic='/camera/image_raw'):
    return [(topic, ns(t), make(ns(t), picture(i))) for i, t in enumerate(times_s)]


def static(T=OPTICAL, parent='base_link', child='camera'):
    return ('/tf_static', ns(0), transform(ns(0), parent, child, T))


def poses_of(source: str, times_s=POSE_TIMES_S, T_of=trajectory):
    make = {
        'pose': lambda t: ('/pose', pose_stamped(ns(t), T_of(t))),
        'covariance': lambda t: ('/amcl_pose', pose_with_covariance(ns(t), T_of(t))),
        'odometry': lambda t: ('/odom', odometry(ns(t), T_of(t))),
        'tf': lambda t: ('/tf', transform(ns(t), 'map', 'base_link', T_of(t))),
    }[source]
    return [(make(t)[0], ns(t), make(t)[1]) for t in times_s]


def truth(times_s=IMAGE_TIMES_S) -> np.ndarray:
    return np.array([trajectory(t) @ OPTICAL for t in times_s])


def camera_poses(drive) -> np.ndarray:
    return np.array([frame.T_map_cam for frame in drive.frames()])


@pytest.mark.parametrize('source', ['pose', 'covariance', 'odometry', 'tf'])
@pytest.mark.parametrize(
    ('storage', 'make'), [('mcap', raw_image), ('sqlite3', jpeg_image)], ids=['mcap', 'sqlite3']
)
def test_poses_are_interpolated_exactly(tmp_path, source, storage, make):
    bag = write_bag(
        tmp_path / 'drive', [*images(make), static(), *poses_of(source)], storage=storage
    )
    drive = open_drive(bag)
    assert (len(drive), drive.name, drive.frame_id) == (9, 'drive', 'map')
    assert (drive.base_frame, drive.camera_frame) == ('base_link', 'camera')
    np.testing.assert_allclose(drive.T_base_cam, OPTICAL, atol=1e-9)
    np.testing.assert_allclose(camera_poses(drive), truth(), atol=1e-7)
    skipped = []
    assert [frame.stamp_ns for frame in drive.frames(skipped=skipped)] == [
        ns(t) for t in IMAGE_TIMES_S
    ]
    assert (drive.skipped, skipped) == ((), [])
    frame = next(drive.frames(slice(4, 5)))
    difference = np.abs(frame.read().astype(int) - picture(4))
    assert difference.max() == 0 if make is raw_image else difference.mean() < 12


def test_a_single_storage_file_is_a_bag_too(tmp_path):
    bag = write_bag(tmp_path / 'drive', [*images(), static(), *poses_of('tf')])
    np.testing.assert_allclose(camera_poses(open_drive(bag / 'drive.mcap')), truth(), atol=1e-7)


def test_tf_chain_with_two_moving_links(tmp_path):
    drift = {t: pose(x=0.5 * t, z=1.0) for t in POSE_TIMES_S}
    chain = [('/tf', ns(t), transform(ns(t), 'map', 'odom', T)) for t, T in drift.items()]
    chain += [
        ('/tf', ns(t), transform(ns(t), 'odom', 'base_link', trajectory(t))) for t in POSE_TIMES_S
    ]
    drive = open_drive(write_bag(tmp_path / 'b', [*images(), static(), *chain]))
    expected = [pose(x=0.5 * t, z=1.0) @ trajectory(t) @ OPTICAL for t in IMAGE_TIMES_S]
    np.testing.assert_allclose(camera_poses(drive), expected, atol=1e-7)


def test_extrinsics_from_the_command_line(tmp_path):
    bag = write_bag(tmp_path / 'b', [*images(), *poses_of('odometry')])
    drive = open_drive(bag, T_base_cam=OPTICAL)
    np.testing.assert_allclose(camera_poses(drive), truth(), atol=1e-7)
    np.testing.assert_array_equal(drive.T_base_cam, OPTICAL)


def test_poses_of_the_camera_itself(tmp_path):
    bag = write_bag(tmp_path / 'b', [*images(), *poses_of('pose')])
    drive = open_drive(bag, pose_is_camera=True)
    expected = [trajectory(t) for t in IMAGE_TIMES_S]
    np.testing.assert_allclose(camera_poses(drive), expected, atol=1e-7)
    assert drive.T_base_cam is None


def test_the_named_pose_topic_wins_over_tf(tmp_path):
    shifted = poses_of('pose', T_of=lambda t: pose(y=100.0) @ trajectory(t))
    bag = write_bag(tmp_path / 'b', [*images(), static(), *poses_of('tf'), *shifted])
    np.testing.assert_allclose(camera_poses(open_drive(bag)), truth(), atol=1e-7)
    drive = open_drive(bag, pose_topic='/pose')
    np.testing.assert_allclose(camera_poses(drive), pose(y=100.0) @ truth(), atol=1e-7)


def test_gaps_are_skipped_and_never_extrapolated(tmp_path):
    times_s = [-0.05, 0.0, 0.05, 0.25, 0.45, 0.9, 0.95]  # image times
    known_s = [0.0, 0.1, 0.2, 0.3, 0.4, 0.8, 0.9]  # a gap of 0.4 s
    bag = write_bag(
        tmp_path / 'b',
        [*images(times_s=times_s), static(), *poses_of('odometry', times_s=known_s)],
    )
    skipped = []
    known = [frame.T_map_cam is not None for frame in open_drive(bag).frames(skipped=skipped)]
    assert known == [False, True, True, True, False, True, False]
    assert len(skipped) == 3
    assert 'at most 0.25 s apart' in skipped[0].reason
    assert skipped[0].image.endswith(str(ns(-0.05)))
    wider = open_drive(bag, pose_tolerance_s=0.5)
    known = [frame.T_map_cam is not None for frame in wider.frames()]
    assert known == [False, True, True, True, True, True, False]


def test_images_whose_time_goes_back_are_counted(tmp_path):
    messages = images(times_s=[0.1, 0.2, 0.3, 0.4])
    messages[2][2].header.stamp.nanosec -= 150_000_000
    drive = open_drive(write_bag(tmp_path / 'b', [*messages, static(), *poses_of('tf')]))
    skipped = []
    assert [frame.index for frame in drive.frames(skipped=skipped)] == [0, 1, 3]
    assert [skip.reason for skip in skipped] == ['its stamp is not after the one before']


def test_poses_that_are_not_finite_are_left_out(tmp_path):
    broken = poses_of('pose')
    broken[3][2].pose.position.x = float('nan')
    drive = open_drive(write_bag(tmp_path / 'b', [*images(), static(), *broken]))
    np.testing.assert_allclose(camera_poses(drive), truth(), atol=1e-7)  # over a gap of 0.2 s
    assert [skip.image for skip in drive.skipped] == ['/pose']


def test_hostile_images_are_refused_one_by_one(tmp_path):
    messages = images(times_s=[0.1, 0.2, 0.3, 0.4])
    messages[0][2].height = 0
    messages[1][2].step = 3
    messages[2][2].encoding = '\u2603'
    drive = open_drive(write_bag(tmp_path / 'b', [*messages, static(), *poses_of('tf')]))
    frames = list(drive.frames())
    for frame in frames[:3]:
        with pytest.raises(NetvladError):
            frame.read()
    assert frames[3].read().shape == (48, 64, 3)


def two_cameras():
    return [*images(topic='/left/image_raw'), *images(jpeg_image, topic='/right/image/compressed')]


def test_the_image_topic_is_chosen_where_there_are_several(tmp_path):
    bag = write_bag(tmp_path / 'b', [*two_cameras(), static(), *poses_of('tf')])
    drive = open_drive(bag, image_topic='/right/image/compressed')
    assert next(drive.frames()).image.startswith('right/image/compressed/')


@pytest.mark.parametrize(
    ('messages', 'options', 'complaint'),
    [
        (two_cameras, {}, r'several image topics: /left/image_raw, /right/image/compressed'),
        (
            lambda: [*images(), *poses_of('pose')],
            {'image_topic': '/front'},
            r'no topic /front; image topics: /camera/image_raw; all topics: /camera/image_raw, /p',
        ),
        (
            lambda: [*images(), *poses_of('pose')],
            {'image_topic': '/pose'},
            '/pose carries geometry_msgs/msg/PoseStamped, no images',
        ),
        (lambda: poses_of('pose'), {}, 'has no images; all topics: /pose'),
        (images, {}, 'it has no poses'),
        (
            lambda: [*images(), *poses_of('pose'), *poses_of('odometry')],
            {},
            r'--pose-topic /pose \| /odom',
        ),
        (
            lambda: [*images(), *poses_of('pose')],
            {'pose_topic': '/odom'},
            'no topic /odom; topics with poses: /pose',
        ),
        (
            lambda: [*images(), static(), *poses_of('tf')],
            {'map_frame': 'world'},
            "TF has no frame 'world'; choose one with --map-frame .*base_link, camera, map",
        ),
        (
            lambda: [*images(), *poses_of('tf')],
            {},
            "TF has no frame 'camera' of the camera; choose it with --camera-frame or pass --T-b",
        ),
        (
            lambda: [*images(), static(parent='island'), *poses_of('tf')],
            {},
            "TF does not connect 'map' with 'camera'",
        ),
        (
            lambda: [*images(), *poses_of('odometry')],
            {},
            "where the camera sits is unknown: /odom gives the pose of 'base_link'.*--T-base-cam",
        ),
        (
            lambda: [*images(), static(), *poses_of('odometry')],
            {'map_frame': 'earth'},
            "the poses on /odom are in the frame 'map', not in 'earth'",
        ),
        (
            lambda: [
                *images(),
                static(),
                *poses_of('odometry', times_s=[0.0, 0.1]),
                ('/odom', ns(0.2), odometry(ns(0.2), trajectory(0.2), frame_id='odom')),
            ],
            {},
            'changes its frames midway',
        ),
        (
            lambda: [*images(), static(), static(parent='tower'), *poses_of('tf')],
            {},
            'camera has several parents in this bag: base_link, tower',
        ),
    ],
)
def test_what_is_missing_is_said(tmp_path, messages, options, complaint):
    bag = write_bag(tmp_path / 'b', messages())
    with pytest.raises(NetvladError, match=complaint):
        open_drive(bag, **options)


def test_two_runs_in_one_bag_are_refused(tmp_path):
    second = [(topic, stamp + 10**9, message) for topic, stamp, message in poses_of('odometry')]
    first = poses_of('odometry', times_s=[t + 20 for t in POSE_TIMES_S])
    first = [(topic, stamp - 30 * 10**9, message) for topic, stamp, message in first]
    drive = open_drive(write_bag(tmp_path / 'b', [*images(), static(), *first, *second]))
    with pytest.raises(NetvladError, match=r'/odom: time jumps back by 20\.9.. s at pose 11 of 20'):
        list(drive.frames())


class TestTruncated:
    """A recording that stopped in the middle is refused, unless what is left of it is asked for."""

    @pytest.fixture(params=['mcap', 'sqlite3'])
    def bag(self, request, tmp_path):
        times_s = [0.05 + 0.02 * i for i in range(40)]
        make = [
            ('/camera/image_raw', ns(t), raw_image(ns(t), picture(i, 240, 320)))
            for i, t in enumerate(times_s)
        ]
        messages = [*make, static(), *poses_of('tf')]
        return write_bag(tmp_path / 'drive', messages, storage=request.param)

    def check_prefix(self, drive, at_least):
        frames = list(drive.frames())
        assert at_least <= len(frames) < 40
        for frame in frames:
            np.testing.assert_array_equal(frame.read(), picture(frame.index, 240, 320))
        known = [frame.T_map_cam for frame in frames if frame.T_map_cam is not None]
        expected = [trajectory(0.05 + 0.02 * i) @ OPTICAL for i in range(len(known))]
        np.testing.assert_allclose(known, expected, atol=1e-7)

    @pytest.mark.parametrize('share', [0.5, 0.77])
    def test_truncated_file(self, bag, share):
        (file,) = (path for path in bag.iterdir() if path.suffix != '.yaml')
        with file.open('r+b') as stream:
            stream.truncate(int(share * file.stat().st_size))
        for source in (bag, file):
            with pytest.raises(NetvladError, match=r'damaged or cut off.*--allow-truncated'):
                open_drive(source)
            self.check_prefix(open_drive(source, allow_truncated=True), at_least=10)

    def test_metadata_missing(self, bag):
        (bag / 'metadata.yaml').unlink()
        with pytest.raises(NetvladError, match=r'no metadata\.yaml: it was cut off.*reindex'):
            open_drive(bag)
        drive = open_drive(bag, allow_truncated=True)
        assert len(list(drive.frames())) == 40

    def test_nothing_left(self, bag):
        (file,) = (path for path in bag.iterdir() if path.suffix != '.yaml')
        file.write_bytes(file.read_bytes()[:60])
        with pytest.raises(NetvladError, match='damaged or cut off'):
            open_drive(bag)
        with pytest.raises(NetvladError, match=r'too damaged|no images'):
            open_drive(bag, allow_truncated=True)

    def test_middle_overwritten(self, bag):
        (file,) = (path for path in bag.iterdir() if path.suffix != '.yaml')
        data = bytearray(file.read_bytes())
        data[len(data) // 2 : len(data) // 2 + 20000] = b'\xa5' * 20000
        file.write_bytes(data)
        try:
            frames = list(open_drive(bag).frames())
        except NetvladError as error:
            assert 'damaged' in str(error)
        else:  # the damage sits in pixels, which raw images do not guard
            assert len(frames) == 40


def test_no_half_image_comes_out_of_a_truncated_database(tmp_path):
    bag = write_bag(tmp_path / 'b', [*images(), static(), *poses_of('tf')], storage='sqlite3')
    whole = (bag / 'b.db3').read_bytes()
    lengths = set()
    for missing in range(500, 40000, 1500):  # an image takes three pages of 4096 bytes
        (tmp_path / 'cut.db3').write_bytes(whole[:-missing])
        frames = list(open_drive(tmp_path / 'cut.db3', allow_truncated=True).frames())
        lengths.add(len(frames))
        for frame in frames:
            np.testing.assert_array_equal(frame.read(), picture(frame.index))
    assert len(lengths) > 2


def test_log_left_beside_a_database(tmp_path):
    bag = write_bag(tmp_path / 'b', [*images(), static(), *poses_of('tf')], storage='sqlite3')
    (bag / 'b.db3-wal').write_bytes(b'unfinished')
    with pytest.raises(NetvladError, match=r'not closed: b\.db3-wal lies beside it'):
        open_drive(bag)


def test_parts_of_a_split_bag_are_read_in_their_order(tmp_path):
    split = tmp_path / 'split'
    split.mkdir()
    for number in (9, 10):
        times_s = [0.05, 0.15] if number == 9 else [0.25, 0.35]
        messages = [*images(times_s=times_s), static(), *poses_of('tf')]
        part = write_bag(tmp_path / f'part_{number}', messages)
        shutil.copy(part / f'part_{number}.mcap', split)
    drive = open_drive(split, allow_truncated=True)
    assert [frame.stamp_ns for frame in drive.frames()] == [ns(t) for t in (0.05, 0.15, 0.25, 0.35)]


def camera_info(topic, focal_px=50.0, t=0.0, **changes):
    K = np.array([[focal_px, 0, 31.5], [0, focal_px, 23.5], [0, 0, 1]])
    P = np.hstack([K + np.diag([1, 1, 0]), np.zeros((3, 1))])
    calibration = CameraFile(64, 48, 'plumb_bob', np.full(5, 0.01), K, np.eye(3), P)
    message = BagMessages().camera_info(ns(t), 'camera', calibration)
    for name, value in changes.items():
        setattr(message, name, value)
    return (topic, ns(t), message)


@pytest.mark.parametrize(
    ('image', 'make', 'info'),
    [
        ('/camera/image_raw', raw_image, '/camera/camera_info'),
        ('/image', raw_image, '/camera_info'),
        ('/camera/image_raw/compressed', jpeg_image, '/camera/camera_info'),
        ('/front/compressed', jpeg_image, '/front/camera_info'),
    ],
)
def test_the_camera_info_beside_the_images(tmp_path, image, make, info):
    other = camera_info('/other/camera_info', 99.0)
    messages = [*images(make, topic=image), static(), *poses_of('tf'), other]
    drive = open_drive(write_bag(tmp_path / 'without', messages))
    assert (drive.camera, drive.skipped) == (None, ())
    drive = open_drive(write_bag(tmp_path / 'with', [*messages, camera_info(info)]))
    assert (drive.camera.width, drive.camera.focal_px, len(drive.camera.d)) == (64, 50, 5)
    asked = open_drive(tmp_path / 'with', camera_info_topic='/other/camera_info')
    assert asked.camera.focal_px == 99
    with pytest.raises(NetvladError, match=r'no topic /tf with camera_info.*/other/camera_info'):
        open_drive(tmp_path / 'with', camera_info_topic='/tf')


def test_rectified_images_have_no_distortion(tmp_path):
    messages = [*images(topic='/camera/image_rect'), static(), *poses_of('tf')]
    messages.append(camera_info('/camera/camera_info'))
    camera = open_drive(write_bag(tmp_path / 'b', messages)).camera
    assert (camera.focal_px, len(camera.d)) == (51, 0)


def test_the_first_sound_camera_info_counts(tmp_path):
    drive = [*images(), static(), *poses_of('tf')]
    topic = '/camera/camera_info'
    silent = [camera_info(topic, t=0.01 * i, k=np.zeros(9)) for i in range(3)]
    bag = write_bag(tmp_path / 'zeros', [*drive, *silent])
    dumb = open_drive(bag)
    assert dumb.camera is None
    ((words, reason),) = dumb.skipped
    assert 'uncalibrated' in words
    assert reason == 'no camera calibration of use'
    assert len(list(dumb.frames())) == 9
    later = [camera_info(topic, 60.0, t=0.5), camera_info(topic, 70.0, t=0.6)]
    found = open_drive(write_bag(tmp_path / 'later', [*drive, *silent, *later]))
    assert (found.camera.focal_px, found.skipped) == (60, ())
