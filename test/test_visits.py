"""Rendered places that are visited again: folder drives that differ, of one and the same place."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from netvlad_ros.cli import main
from netvlad_ros.core.camera.image import read_image
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.datasets.drives import read_visits
from netvlad_ros.offline.drives.camera_file import read_camera
from netvlad_ros.offline.drives.open_drive import open_drive
from netvlad_ros.world.rendering.camera import R_BODY_OPTICAL, Camera
from netvlad_ros.world.rendering.panorama import Panorama
from netvlad_ros.world.rendering.photo_shelf import MaterialShelf, PhotoShelf
from netvlad_ros.world.rendering.quad import Box, upright
from netvlad_ros.world.scenes.rooms import build_floor
from netvlad_ros.world.scenes.season import dress
from netvlad_ros.world.scenes.town import on_street
from netvlad_ros.world.scenes.visited_rooms import VisitedRooms
from netvlad_ros.world.scenes.visited_town import VisitedTown
from netvlad_ros.world.visit import SEASONS, plan_visits
from netvlad_ros.world.visited_place import render_place

SIZE = (112, 80)


@pytest.fixture(scope='module')
def photographs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('photographs')
    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 255, (9, 12, 3), dtype=np.uint8)
        picture = cv2.resize(noise, (240, 180), interpolation=cv2.INTER_NEAREST)
        cv2.imwrite(str(folder / f'{number}.png'), picture)
    return folder


@pytest.fixture(scope='module')
def panoramas(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('panoramas')
    for number, name in enumerate(('hall', 'street')):
        noise = np.random.default_rng(number).integers(0, 255, (24, 48, 3), dtype=np.uint8)
        picture = cv2.resize(noise, (256, 128), interpolation=cv2.INTER_NEAREST)
        cv2.imwrite(str(folder / f'{name}.png'), picture)
    return folder


@pytest.fixture(scope='module')
def rooms(tmp_path_factory, photographs) -> Path:
    folder = tmp_path_factory.mktemp('visits') / 'rooms3'
    shelf = PhotoShelf(photographs)
    render_place(VisitedRooms(3, shelf), 3, folder, visits=3, size=SIZE, spacing_m=1.5)
    return folder


def test_every_visit_is_a_folder_drive_of_the_same_place(rooms):
    drives = [open_drive(rooms / f'visit{number}') for number in range(3)]
    ways = []
    for number, drive in enumerate(drives):
        frames = list(drive.frames())
        assert len(frames) > 20
        assert not drive.skipped
        assert frames[0].read().shape == (SIZE[1], SIZE[0], 3)
        camera = read_camera(rooms / f'visit{number}' / 'camera.yaml')
        assert (camera.width, camera.height) == SIZE
        ways.append(np.array([frame.T_map_cam[:3, 3] for frame in frames]))
    for way in ways[1:]:
        nearest = np.linalg.norm(way[:, None] - ways[0][None], axis=2).min(1)
        assert np.median(nearest) < 1.0
        assert nearest.max() > 0.05  # not the very same poses


def test_visits_differ_in_light(rooms):
    levels = []
    for number in range(3):
        images = sorted((rooms / f'visit{number}' / 'images').iterdir())
        levels.append(np.mean([read_image(path).mean((0, 1)) for path in images[::5]], axis=0))
    differences = [np.abs(a - b).max() for a, b in pairwise(levels)]
    assert min(differences) > 4.0


def test_the_same_seed_gives_the_same_pixels_and_another_seed_another_place(
    tmp_path, rooms, photographs
):
    again = tmp_path / 'again'
    shelf = PhotoShelf(photographs)
    render_place(VisitedRooms(3, shelf), 3, again, visits=1, size=SIZE, spacing_m=1.5)
    for path in sorted((again / 'visit0').rglob('*.*')):
        if path.is_file():
            assert path.read_bytes() == (rooms / path.relative_to(again)).read_bytes()
    (visit,) = plan_visits(3, 1)
    one, other = (VisitedRooms(seed, None).poses(visit, 1.5) for seed in (3, 4))
    assert len(one) != len(other) or not np.allclose(one, other)


def test_no_camera_stands_in_a_house_a_wall_or_a_car():
    visits = plan_visits(5, 2)
    place = VisitedTown(5, None)
    for visit in visits:
        boxes = place.town.on_day(visit.rng(1)).boxes
        for T_map_cam in place.poses(visit, 1.5):
            at = T_map_cam[:3, 3]
            assert on_street((at[0], at[1]))
            assert _clearance(at, boxes) > 0.1
    rooms = VisitedRooms(5, None)
    boxes = [box for zone in build_floor(5, MaterialShelf()) for box in zone.boxes]
    for visit in visits:
        for T_map_cam in rooms.poses(visit, 0.5):
            assert _clearance(T_map_cam[:3, 3], boxes) > 0.1


def test_leaves_turn_and_fall_and_walls_do_not():
    leaves = np.zeros((60, 60, 4), np.uint8)
    leaves[..., :3], leaves[..., 3] = (40, 130, 30), 255
    tree = upright((0.0, 0.0), (1.0, 0.0), 0.0, 1.0, leaves, two_sided=True)
    wall = upright((0.0, 0.0), (1.0, 0.0), 0.0, 1.0, leaves[..., :3].copy())
    seen = {
        season: dress([tree, wall], season, wet=False, sky=(0, 0, 0), seed=0) for season in SEASONS
    }
    assert all(quads[1] is wall for quads in seen.values())
    assert seen['summer'][0] is tree
    red, green, _ = seen['autumn'][0].texture[..., :3].mean((0, 1))
    assert red > 1.5 * green
    assert (seen['winter'][0].texture[..., 3] > 0).mean() < 0.4


def test_what_is_there_is_kept_and_bad_input_is_one_sentence(tmp_path, rooms, capsys):
    with pytest.raises(NetvladError, match='exists already'):
        render_place(VisitedRooms(3, None), 3, rooms, visits=1, size=SIZE, spacing_m=2.0)
    (tmp_path / 'town4').mkdir()
    (tmp_path / 'empty').mkdir()
    wrong = {
        'pass --overwrite': ['--seeds', '4:5'],
        'FROM:TO': ['--seeds', '5:5'],
        'is unknown': ['--seeds', '5:6', '--kind', 'forest'],
        'holds no image': ['--seeds', '5:6', '--textures', str(tmp_path / 'empty')],
    }
    for expected, options in wrong.items():
        with pytest.raises(SystemExit) as ended:
            main(['render', '--out', str(tmp_path), *options])
        assert ended.value.code == 1
        sentence = capsys.readouterr().err
        assert expected in sentence
        assert sentence.count('\n') == 1


def test_a_panorama_is_seen_where_its_pixels_are(panoramas):
    camera = Camera(*SIZE, focal_px=70.0)
    image = np.zeros((256, 512, 3), np.uint8)
    image[100:104, 60:64] = 255  # azimuth 136.4 degrees, elevation 18.3 degrees
    panorama = Panorama(image, camera)
    azimuth, elevation = (0.5 - 62 / 512) * 2 * np.pi, (0.5 - 102 / 256) * np.pi
    towards = [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth)]
    direction = np.array([*towards, np.sin(elevation)])
    for yaw, pitch, roll in ((136, -10, 0), (150, 5, 4), (110, -15, -3), (170, 0, 0)):
        turned = Rotation.from_euler('ZYX', [yaw, pitch, roll], degrees=True).as_matrix()
        R_map_cam = turned @ R_BODY_OPTICAL
        seen = panorama.view(R_map_cam)[..., 0].astype(float)
        y, x = np.indices(seen.shape)
        found = np.array([(seen * x).sum(), (seen * y).sum()]) / seen.sum()
        np.testing.assert_allclose(
            found, camera.project((R_map_cam.T @ direction)[None])[0], atol=0.6
        )


def test_views_of_a_panorama_are_visits_of_one_point(tmp_path, panoramas, capsys):
    options = ['--kind', 'panoramas', '--panoramas', str(panoramas), '--out', str(tmp_path)]
    with pytest.raises(SystemExit) as ended:
        main(['render', *options, '--seeds', '0:2', '--visits', '2', '--size', '112x80'])
    assert ended.value.code == 0
    images = read_visits(tmp_path)
    assert set(images.areas) == {'hall', 'street'}
    assert set(images.recordings) == {
        f'{place}/visit{n}' for place in ('hall', 'street') for n in (0, 1)
    }
    assert not images.positions_m.any() and np.ptp(images.headings_deg) > 180
    for wrong in (['--seeds', '0:3'], ['--seeds', '0:1', '--panoramas', str(tmp_path / 'none')]):
        with pytest.raises(SystemExit):
            main(['render', *options, *wrong])
    sentences = capsys.readouterr().err
    assert 'holds 2 panoramas' in sentences and 'is no folder' in sentences


def _clearance(at: np.ndarray, boxes: list[Box]) -> float:
    low, high = (np.array([getattr(box, end) for box in boxes]) for end in ('low', 'high'))
    outside = np.maximum(np.maximum(low - at, at - high), 0.0)
    return float(np.linalg.norm(outside, axis=1).min())
