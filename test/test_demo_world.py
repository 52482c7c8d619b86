"""The demo's world obeys its camera model, depends on its seed alone, is recorded as driven."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from netvlad_ros.core.geometry import distance_m, invert, rotation_angle_deg
from netvlad_ros.offline.drives.open_drive import open_drive
from netvlad_ros.world.rendered_drive import DRIVE_ONE, DRIVE_TWO, write_drive_bag
from netvlad_ros.world.rendering.camera import T_BASE_CAM, Camera
from netvlad_ros.world.rendering.daylight import FIRST_DAY
from netvlad_ros.world.rendering.quad import Box, Quad, upright
from netvlad_ros.world.rendering.renderer import Renderer
from netvlad_ros.world.scenes.town import Town
from netvlad_ros.world.trajectory import Route, Trajectory

CAMERA = Camera()


def looking_along_x(x: float, y: float, yaw: float) -> np.ndarray:
    T = np.eye(4)
    c, s = np.cos(yaw), np.sin(yaw)
    T[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array(
        [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
    )
    T[:3, 3] = (x, y, 1.5)
    return T


def wall(spot_st: tuple[float, float]) -> Quad:
    """A grey wall in the plane x = 5 with a red spot at (s, t) of its width and height."""
    texture = np.full((400, 800, 3), 90, np.uint8)
    x, y = int(spot_st[0] * 800), int(spot_st[1] * 400)
    texture[y - 8 : y + 8, x - 8 : x + 8] = (255, 0, 0)
    return upright((5.0, 4.0), (5.0, -4.0), 0.0, 4.0, texture)


@pytest.mark.parametrize('pose', [(0.0, 0.0, 0.0), (1.5, 0.8, -0.3), (-2.0, -1.0, 0.25)])
def test_a_point_is_drawn_where_the_camera_model_projects_it(pose):
    quad = wall((0.6, 0.4))
    T_map_cam = looking_along_x(*pose)
    image = Renderer([quad], FIRST_DAY.sky(), CAMERA).render(T_map_cam).astype(int)
    red = image[..., 0] - image[..., 1] > 80
    seen = np.argwhere(red).mean(0)[::-1]
    point = quad.origin + 0.6 * quad.u + 0.4 * quad.v
    expected = CAMERA.project((invert(T_map_cam) @ [*point, 1.0])[np.newaxis, :3])[0]
    np.testing.assert_allclose(seen, expected, atol=0.3)


def test_the_nearer_wall_hides_the_farther_one_whatever_their_order():
    far = wall((0.5, 0.5))
    green = np.full((8, 8, 3), (0, 200, 0), np.uint8)
    near = upright((3.0, 1.0), (3.0, -1.0), 0.0, 3.0, green)
    centre = [
        Renderer(quads, FIRST_DAY.sky(), CAMERA).render(looking_along_x(0, 0, 0))[120, 160].tolist()
        for quads in ([far, near], [near, far])
    ]
    assert centre == [[0, 200, 0]] * 2


def test_a_wall_is_not_seen_from_behind():
    sky = FIRST_DAY.sky()
    T_map_cam = looking_along_x(10, 0, np.pi)
    behind = Renderer([wall((0.5, 0.5))], sky, CAMERA).render(T_map_cam)
    nothing = Renderer([replace(wall((0.5, 0.5)), origin=np.array([99.0, 99, 99]))], sky, CAMERA)
    np.testing.assert_array_equal(behind, nothing.render(T_map_cam))


def test_a_box_keeps_the_sun_from_the_ground_behind_it():
    white = np.full((100, 100, 3), 200, np.uint8)
    ground = Quad(np.array([-10.0, 10, 0]), np.array([20.0, 0, 0]), np.array([0, -20.0, 0]), white)
    noon = replace(FIRST_DAY, sun_azimuth_deg=90.0, sun_elevation_deg=45.0)
    lit = noon.lit([ground], [Box((-1.0, -1.0, 0.0), (1.0, 1.0, 3.0))])[0].texture
    south, north = lit[60, 50], lit[35, 50]  # y = -2 m and y = 3 m; the sun stands in the north
    assert south.sum() < north.sum() - 60


def test_the_same_seed_builds_the_same_town_and_only_movables_change_overnight():
    one, again, other_day = Town.build(4, 1), Town.build(4, 1), Town.build(4, 2)
    assert len(one.quads) == len(again.quads)
    assert all(
        np.array_equal(a.texture, b.texture) for a, b in zip(one.quads, again.quads, strict=True)
    )
    assert one.houses == other_day.houses
    textures = [[quad.texture.tobytes() for quad in town.quads] for town in (one, other_day)]
    stayed = len(set(textures[0]) & set(textures[1])) / len(set(textures[0]))
    assert 0.7 < stayed < 1.0


def test_the_second_drive_covers_the_loop_and_leaves_it():
    def positions(drive):
        trajectory = drive.trajectory
        return np.array(
            [trajectory.T_map_base(trajectory.at(s))[:2, 3] for s in trajectory.stamps_ns]
        )

    one, two = positions(DRIVE_ONE), positions(DRIVE_TWO)
    nearest = np.linalg.norm(two[:, None] - one[None], axis=2).min(1)
    assert (nearest < 1.0).mean() > 0.5
    assert (nearest > 4.0).mean() > 0.2


@pytest.mark.parametrize('compressed', [False, True])
def test_the_bag_tells_images_and_camera_poses_as_driven(tmp_path, compressed):
    style = replace(DRIVE_TWO.style, camera_hz=4.0)
    trajectory = Trajectory(Route([(0, 8), (0, 0), (8, 0)]), style)
    rng = np.random.default_rng(0)
    small = rng.integers(0, 255, (len(trajectory.stamps_ns), 6, 8, 3), dtype=np.uint8)
    images = [np.kron(image, np.ones((40, 40, 1), np.uint8)) for image in small]
    write_drive_bag(tmp_path / 'bag', trajectory, CAMERA, images, compressed=compressed)

    with AnyReader(
        [tmp_path / 'bag'], default_typestore=get_typestore(Stores.ROS2_JAZZY)
    ) as reader:
        topics = {c.topic: c.msgcount for c in reader.connections}
        infos = [c for c in reader.connections if c.topic == '/camera/camera_info']
        info = reader.deserialize(next(reader.messages(infos))[2], infos[0].msgtype)
    image_topic = '/camera/image_raw' + ('/compressed' if compressed else '')
    assert topics[image_topic] == topics['/camera/camera_info'] == len(images)
    assert {'/tf', '/tf_static', '/odom'} < set(topics)
    np.testing.assert_allclose(info.k.reshape(3, 3), CAMERA.K)

    traverse = open_drive(tmp_path / 'bag')
    np.testing.assert_allclose(traverse.T_base_cam, T_BASE_CAM, atol=1e-9)
    frames = list(traverse.frames())
    assert [f.stamp_ns for f in frames] == trajectory.stamps_ns.tolist()
    for frame, image in zip(frames, images, strict=True):
        true = trajectory.T_map_base(trajectory.at(frame.stamp_ns)) @ T_BASE_CAM
        assert distance_m(frame.T_map_cam, true) < 0.01  # TF is interpolated, 40 ms apart
        assert rotation_angle_deg(frame.T_map_cam, true) < 0.5
        assert np.abs(frame.read().astype(int) - image).mean() < (20 if compressed else 1e-9)
