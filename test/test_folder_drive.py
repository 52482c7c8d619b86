"""The folder drive: what it reads, and that each broken line is named by its number."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_drive import HEADER, picture, pose, pose_line, trajectory, write_drive, write_image

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.drives.drive import selected_indices
from netvlad_ros.offline.drives.open_drive import open_drive

CAMERA = """
image_width: 64
image_height: 48
distortion_model: equidistant
distortion_coefficients: {data: [0.1, 0.01, 0, 0]}
camera_matrix: {data: [50, 0, 31.5, 0, 50, 23.5, 0, 0, 1]}
rectification_matrix: {data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}
projection_matrix: {data: [50, 0, 31.5, 0, 0, 50, 23.5, 0, 0, 0, 1, 0]}
"""
LINE = 'images/{}.png,{},0,0,0,0,0,0,1'


def test_reads_what_was_written(tmp_path):
    poses = [trajectory(i / 10) for i in range(7)]
    drive = open_drive(write_drive(tmp_path / 'monday', poses))
    assert (len(drive), drive.name, drive.frame_id, drive.T_base_cam) == (7, 'monday', 'map', None)
    frames = list(drive.frames())
    assert [frame.image for frame in frames] == [f'images/{i:03d}.png' for i in range(7)]
    assert [frame.stamp_ns for frame in frames] == [10**9 + i * 10**8 for i in range(7)]
    assert {frame.recording for frame in frames} == {'monday'}
    np.testing.assert_allclose([frame.T_map_cam for frame in frames], poses, atol=1e-12)
    np.testing.assert_array_equal(frames[3].read(), picture(3))


@pytest.mark.parametrize('text', ['2:5', '::3', '-2:', '5:100', '3:3'])
def test_slices_as_python_does(tmp_path, text):
    drive = open_drive(write_drive(tmp_path / 'd', [pose(i) for i in range(7)]))
    selection = slice(*(int(part) if part else None for part in text.split(':')))
    assert [frame.index for frame in drive.frames(selection)] == list(range(7))[selection]


def test_slices_run_forward_only():
    with pytest.raises(NetvladError, match='forward'):
        selected_indices(slice(None, None, -1), 5)


def test_stamps_are_exact_nanoseconds(tmp_path):
    write_drive(tmp_path, [pose()])
    stamp = '1732100000.123456789'  # more digits than a double holds
    (tmp_path / 'poses.csv').write_text(f'{HEADER}\nimages/000.png,{stamp},0,0,0,0,0,0,1\n')
    (frame,) = open_drive(tmp_path).frames()
    assert frame.stamp_ns == 1732100000123456789


def test_counts_images_that_poses_do_not_name(tmp_path):
    write_drive(tmp_path, [pose(), pose(1)])
    write_image(tmp_path / 'images' / 'extra.png', picture(9))
    drive = open_drive(tmp_path)
    assert len(drive) == 2
    assert [skip.image for skip in drive.skipped] == ['images/extra.png']


def test_images_may_be_linked_from_another_disk(tmp_path):
    real = write_drive(tmp_path / 'real', [pose(), pose(1)])
    linked = tmp_path / 'linked'
    linked.mkdir()
    (linked / 'images').symlink_to(real / 'images')
    (linked / 'images' / 'round').symlink_to(linked / 'images')  # must not be walked for ever
    (linked / 'poses.csv').write_text((real / 'poses.csv').read_text())
    drive = open_drive(linked)
    assert [frame.read().shape for frame in drive.frames()] == [(48, 64, 3)] * 2
    assert drive.skipped == ()


@pytest.mark.parametrize(
    ('lines', 'complaint'),
    [
        (['images/0.png,1,0,0,0,0,0,0'], 'line 2: 8 values instead of 9'),
        ([LINE.format(0, 1), 'images/1.png,2,0,zero,0,0,0,0,1'], 'line 3: .* non-number'),
        (['images/0.png,nan,0,0,0,0,0,0,1'], 'line 2: timestamp nan'),
        (['images/0.png,1732100000000000000,0,0,0,0,0,0,1'], 'line 2: timestamp .* seconds'),
        (['images/0.png,-1,0,0,0,0,0,0,1'], 'line 2: timestamp -1'),
        (['images/0.png,1,inf,0,0,0,0,0,1'], 'line 2: the pose is not finite'),
        (['images/0.png,1,1e200,0,0,0,0,0,1'], 'line 2: the pose holds the number 1e\\+200'),
        (['images/0.png,1,0,0,0,0,0,0,1e300'], 'line 2: the pose holds the number 1e\\+300'),
        (['images/0.png,1,0,0,0,0,0,0,0'], 'line 2: the quaternion'),
        (['images/0.png,1,0,0,0,0,0,0,7'], 'line 2: the quaternion .* length 7'),
        ([LINE.format(0, 2), LINE.format(1, 1)], 'line 3: timestamp 1 s is not after'),
        ([LINE.format(0, 2), LINE.format(1, 2)], 'line 3: timestamp 2 s is not after'),
        ([LINE.format(0, 1), LINE.format(0, 2)], 'line 3: images/0.png .* line 2'),
        (['/etc/passwd,1,0,0,0,0,0,0,1'], 'line 2: .* not a path inside the folder'),
        (['images/../../a.png,1,0,0,0,0,0,0,1'], 'line 2: .* not a path inside the folder'),
        ([',1,0,0,0,0,0,0,1'], 'line 2: .* not a path inside the folder'),
        (['"images/0.png,1,0,0,0,0,0,0,1'], 'line 2: unexpected end of data'),
        ([], 'names no image'),
    ],
)
def test_broken_lines_are_named(tmp_path, lines, complaint):
    (tmp_path / 'poses.csv').write_text('\n'.join([HEADER, *lines]) + '\n')
    with pytest.raises(NetvladError, match=complaint):
        open_drive(tmp_path)


@pytest.mark.parametrize(
    ('content', 'complaint'),
    [(b'', 'must begin'), (b'image,x,y\n', 'must begin'), (b'\xff\xfe\x00', 'UTF-8')],
)
def test_other_files_are_refused(tmp_path, content, complaint):
    (tmp_path / 'poses.csv').write_bytes(content)
    with pytest.raises(NetvladError, match=complaint):
        open_drive(tmp_path)


def test_spreadsheets_byte_order_mark_and_line_ends_are_fine(tmp_path):
    write_image(tmp_path / 'images' / '0.png', picture(0))
    text = f'\ufeff{HEADER}\r\n{pose_line("images/0.png", 1, pose())}\r\n\r\n'
    (tmp_path / 'poses.csv').write_bytes(text.encode())
    assert len(open_drive(tmp_path)) == 1


def test_says_what_a_drive_is(tmp_path):
    with pytest.raises(NetvladError, match=r'does not exist; a drive is a folder with poses\.csv'):
        open_drive(tmp_path / 'nowhere')
    with pytest.raises(NetvladError, match='the folder is empty; a drive is'):
        open_drive(tmp_path)
    (tmp_path / 'video.mp4').touch()
    with pytest.raises(NetvladError, match=r'it holds video\.mp4; a drive is'):
        open_drive(tmp_path)
    with pytest.raises(NetvladError, match=r'a file ending in "\.mp4"; a drive is'):
        open_drive(tmp_path / 'video.mp4')


@pytest.mark.parametrize('name', ['redkitchen', 'kitti_b'])
def test_reads_real_drives(shared_data, name):
    drive = open_drive(shared_data / name)
    assert len(drive) == {'redkitchen': 1000, 'kitti_b': 51}[name]
    frame = next(drive.frames(slice(10, None)))
    assert frame.index == 10
    assert frame.read().ndim == 3


def test_the_camera_is_the_folders_or_the_one_that_is_named(tmp_path):
    folder = write_drive(tmp_path / 'd', [pose()])
    assert open_drive(folder).camera is None
    (folder / 'camera.yaml').write_text(CAMERA)
    camera = open_drive(folder).camera
    assert (camera.width, camera.height, camera.distortion_model) == (64, 48, 'equidistant')
    np.testing.assert_allclose(camera.rays([[31.5, 23.5]]), [[0, 0]], atol=1e-12)
    (tmp_path / 'other.yaml').write_text(CAMERA.replace('[50, 0, 31.5', '[70, 0, 31.5'))
    named = open_drive(folder, camera_file=tmp_path / 'other.yaml')
    assert named.camera.K[0, 0] == 70


@pytest.mark.parametrize(
    ('old', 'new', 'why'),
    [
        ('equidistant', 'mei', "'mei' is unknown"),
        ('image_width: 64', '', "lacks the entry 'image_width'"),
        ('[50, 0, 31.5, 0, 50', '[.nan, 0, 31.5, 0, 50', 'not finite'),
        ('image_width', ']', 'is no YAML'),
    ],
)
def test_a_broken_calibration_does_not_stop_the_drive(tmp_path, old, new, why):
    folder = write_drive(tmp_path / 'd', [pose()])
    (folder / 'camera.yaml').write_text(CAMERA.replace(old, new))
    drive = open_drive(folder)
    assert (drive.camera, len(drive)) == (None, 1)
    ((words, reason),) = drive.skipped
    assert why in words
    assert reason == 'no camera calibration of use'
    with pytest.raises(NetvladError, match='camera'):  # asked for by name
        open_drive(folder, camera_file=folder / 'camera.yaml')
