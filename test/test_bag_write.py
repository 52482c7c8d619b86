"""A folder drive written as a bag is the same drive."""

from __future__ import annotations

import numpy as np
import pytest
from rosbags.rosbag2 import Reader
from tiny_bag import STORE
from tiny_drive import picture, trajectory, write_drive

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.drives.bags.bag_conversion import write_bag
from netvlad_ros.offline.drives.camera_file import read_camera
from netvlad_ros.offline.drives.open_drive import open_drive

CAMERA = """image_width: 64
image_height: 48
camera_name: tiny
camera_matrix: {rows: 3, cols: 3, data: [60.0, 0.0, 31.5, 0.0, 60.0, 23.5, 0.0, 0.0, 1.0]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [0.1, 0, 0, 0, 0]}
rectification_matrix: {rows: 3, cols: 3, data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}
projection_matrix: {rows: 3, cols: 4, data: [60.0, 0, 31.5, 0, 0, 60.0, 23.5, 0, 0, 0, 1, 0]}
"""


@pytest.fixture
def folder(tmp_path):
    drive = write_drive(tmp_path / 'drive', [trajectory(i / 10) for i in range(6)])
    (drive / 'camera.yaml').write_text(CAMERA)
    return drive


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_round_trip(tmp_path, folder, storage):
    written = write_bag(
        open_drive(folder), tmp_path / 'bag', selection=slice(1, 5), storage=storage
    )
    drive = open_drive(tmp_path / 'bag')
    frames = list(drive.frames())
    assert written == len(frames) == 4
    assert (drive.base_frame, drive.camera_frame) == ('base_link', 'camera_optical_frame')
    for frame, original in zip(frames, open_drive(folder).frames(slice(1, 5)), strict=True):
        assert frame.stamp_ns == original.stamp_ns
        np.testing.assert_allclose(frame.T_map_cam, original.T_map_cam, atol=1e-9)
        np.testing.assert_array_equal(frame.read(), picture(original.index))
    # The camera looks along the robot's x axis (REP-103).
    np.testing.assert_allclose(drive.T_base_cam @ [0, 0, 1, 0], [1, 0, 0, 0], atol=1e-12)


def test_resized_with_its_calibration(tmp_path, folder):
    write_bag(
        open_drive(folder),
        tmp_path / 'bag',
        camera_file=folder / 'camera.yaml',
        size=(128, 96),
        compressed=True,
    )
    drive = open_drive(tmp_path / 'bag')
    assert drive.image_topic == '/camera/image_raw/compressed'
    rgb = next(drive.frames()).read()
    assert rgb.shape == (96, 128, 3)
    with Reader(tmp_path / 'bag') as reader:
        (connection,) = (x for x in reader.connections if x.topic == '/camera/camera_info')
        _, _, data = next(reader.messages([connection]))
    info = STORE.deserialize_cdr(data, connection.msgtype)
    assert (info.width, info.height, info.header.frame_id) == (128, 96, 'camera_optical_frame')
    # The middle of the image, 31.5 of 0..63, stays the middle: 63.5 of 0..127.
    np.testing.assert_allclose(info.k, [120, 0, 63.5, 0, 120, 47.5, 0, 0, 1])
    np.testing.assert_allclose(info.p.reshape(3, 4)[:, :3], info.k.reshape(3, 3))


def test_nothing_appears_when_it_fails(tmp_path, folder):
    (folder / 'images' / '003.png').unlink()
    (folder / 'camera.yaml').write_text(CAMERA.replace('width: 64', 'width: 640'))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(NetvladError, match=r'64x48 px, but camera\.yaml is for 640x48'):
        write_bag(open_drive(folder), tmp_path / 'bag', camera_file=folder / 'camera.yaml')
    with pytest.raises(NetvladError, match='no image is left'):
        write_bag(open_drive(folder), tmp_path / 'bag', selection=slice(3, 4))
    with pytest.raises(NetvladError, match='exists already'):
        write_bag(open_drive(folder), folder)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ('old', 'new', 'complaint'),
    [
        ('60.0, 0.0, 31.5', '.nan, 0.0, 31.5', 'not finite'),
        ('60.0, 0.0, 31.5', '0.0, 0.0, 31.5', 'focal length'),
        ('60.0, 0.0, 31.5', '31.5', 'camera_matrix has 7 numbers instead of 9'),
        ('image_width: 64', 'image_width: 99999', 'px'),
        ('image_width: 64', 'width: 64', "lacks the entry 'image_width'"),
        ('image_width: 64', 'image_width: [', 'no YAML'),
        (CAMERA, '- 3', 'no camera calibration'),
    ],
)
def test_broken_calibrations_are_refused(tmp_path, old, new, complaint):
    (tmp_path / 'camera.yaml').write_text(CAMERA.replace(old, new))
    with pytest.raises(NetvladError, match=complaint):
        read_camera(tmp_path / 'camera.yaml')
