"""The check of camera_info against the landmarks of a map, and the roll without camera_info."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_rooms import Scene
from tiny_scene import FISHEYE, HEIGHT, PINHOLE, WIDTH, box, errors, pose, seen

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.camera.intrinsics import (
    ASPECT,
    CENTRE_X,
    FOCAL,
    RADIAL,
    intrinsics_of,
    with_intrinsics,
)
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.pose.free_calibration import free_calibration
from netvlad_ros.core.verification.camera_check import CameraCheck, CheckState, Sight
from netvlad_ros.core.verification.camera_checks import CameraChecks
from netvlad_ros.core.verification.verifier import Verifier
from netvlad_ros.core.verification.view_change import ViewChange

VIEWS = [
    pose(0.3, -0.1, 0.2, (2, -5, 3)),
    pose(-1.2, 0.2, 0.5, (3, 14, 0)),
    pose(1.0, 0.3, 1.0, (0, -20, 5)),
    pose(0.0, -0.4, -1.5, (6, 2, 0)),
]


def changed(camera, by):
    intrinsics = intrinsics_of(camera)
    for index, offset in by.items():
        intrinsics[index] += offset
    return with_intrinsics(camera, intrinsics)


def view(camera, points, T, rng, stated=None):
    """What one image says of its calibration, and what it was matched to."""
    pixels, rows = seen(points, T, camera, rng)
    found = free_calibration(
        [stated or camera], pixels, points[rows], np.arange(len(rows)), rows,
        max_px=4.0, sigma_px=1.0,
    )  # fmt: skip
    return found, Sight.of(rows, pixels, WIDTH)


WRONG = {
    'focal': ({FOCAL: np.log(1.5)}, 'the focal length looks like 4'),
    'half': ({FOCAL: np.log(0.5)}, 'the focal length looks like 4'),
    'a fifth': ({FOCAL: np.log(1.2)}, 'not 540'),
    'aspect': ({ASPECT: np.log(1.3)}, 'fx / fy looks like 1.0'),
    'centre': ({CENTRE_X: 0.25}, 'the principal point looks like (3'),
    'lens': ({RADIAL: 0.5}, 'the first distortion coefficient looks like -0.'),
}


@pytest.mark.parametrize('kind', WRONG)
def test_a_wrong_camera_info_is_never_believed(rng, kind):
    by, words = WRONG[kind]
    stated = changed(PINHOLE, by)
    scene = Scene(rng, [np.zeros(3)])
    answers = {}
    for mode in ('refuse', 'estimate'):
        verifier = Verifier(scene.map, scene, LocalizerConfig(camera_check=mode))
        for T in VIEWS:
            scene.look(T)
            answers[mode] = scene.verify(stated, verifier)
            for found in answers[mode].poses:
                off_m = errors(found.T_map_cam, T)[0]
                sigma_m = np.sqrt(np.trace(found.covariance_by_camera[:3, :3]))
                assert off_m < 0.05 + 3 * sigma_m and off_m < 0.3
    refused, estimated = answers['refuse'], answers['estimate']
    assert refused.poses == () and words in refused.note, refused.note
    assert 'contradicts the map' in refused.camera_problem
    assert all(evidence.inliers.sum() > 20 for evidence in refused.evidence)  # the weaker way
    assert errors(estimated.poses[0].T_map_cam, VIEWS[-1])[0] < 0.15


@pytest.mark.parametrize('of_map', [None, PINHOLE], ids=['another', 'that of the map'])
def test_a_right_camera_info_passes_and_costs_no_pose(rng, of_map):
    scene = Scene(rng, [np.zeros(3)])
    scene.map.camera = of_map
    verifier = Verifier(scene.map, scene, LocalizerConfig())
    sigmas = []
    for T in VIEWS:
        scene.look(T)
        (found,) = scene.verify(PINHOLE, verifier).poses
        assert errors(found.T_map_cam, T)[0] < 0.05
        sigmas.append(np.sqrt(np.trace(found.covariance_by_camera[:3, :3])))
    # One view has not told all of a camera that the map does not know.
    assert sigmas[0] == 0.0 if of_map else sigmas[0] > 0.02
    assert sigmas[-1] == 0.0


@pytest.mark.parametrize(('camera', 'wrong'), [(PINHOLE, 1.4), (FISHEYE, 0.7)])
def test_one_view_tells_the_calibration_of_every_lens(rng, camera, wrong):
    stated = changed(camera, {FOCAL: np.log(wrong), CENTRE_X: 0.05})
    found, _ = view(camera, box(rng, 300), VIEWS[0], rng, stated)
    off = found.intrinsics - intrinsics_of(camera)
    assert np.abs(off).max() < 0.03
    assert np.sqrt(np.linalg.inv(found.information)[FOCAL, FOCAL]) < 0.02


def test_where_the_scene_leaves_the_calibration_open_nothing_is_claimed(rng):
    flat = rng.uniform([-6, -4, 5], [6, 4, 5 + 1e-6], (600, 3))  # a wall, seen from ahead
    far = rng.uniform([-300, -200, 499], [300, 200, 501], (600, 3))
    # A lens that bends would tell its focal length by how it bends.
    ideal = CameraModel.create(WIDTH, HEIGHT, PINHOLE.K, 'plumb_bob', [])
    stated = changed(ideal, {FOCAL: np.log(1.5)})
    for points in (flat, far):
        check = CameraCheck(stated)
        for x in (-3.0, 0.0, 3.0):
            found, sight = view(ideal, points, pose(x), rng, stated)
            if found is not None:
                check.add(found, sight)
        assert check.state is CheckState.UNKNOWN
        assert np.sqrt(check.error[FOCAL, FOCAL]) > 0.2


def test_a_camera_that_stands_still_is_one_view_and_a_new_lens_is_found(rng):
    points, check = box(rng, 600), CameraCheck(PINHOLE)
    for _ in range(30):
        found, sight = view(PINHOLE, points, VIEWS[0], rng)
        if check.is_worth_looking(sight):
            check.add(found, sight)
    assert (check.views, check.state) == (1, CheckState.UNKNOWN)
    tele = changed(PINHOLE, {FOCAL: np.log(1.4)})
    states = []
    for i, T in enumerate(VIEWS * 10):
        lens = PINHOLE if i < 8 else tele
        found, sight = view(lens, points, T, rng, PINHOLE)
        if check.is_worth_looking(sight):
            check.add(found, sight)
        states.append(check.state)
    assert states[7] is CheckState.AGREES and states[-1] is not CheckState.AGREES


def test_calibrations_that_alternate_do_not_begin_anew(rng):
    checks, other = CameraChecks(), changed(PINHOLE, {FOCAL: np.log(1.1)})
    found, sight = view(PINHOLE, box(rng, 300), VIEWS[0], rng)
    checks.of('', PINHOLE).add(found, sight)
    assert checks.of('', other).views == 0
    assert checks.of('', PINHOLE).views == 1 and checks.newest('').views == 1
    assert checks.of('rear', PINHOLE).views == 0
    for i in range(10):
        checks.of('', changed(PINHOLE, {FOCAL: 0.01 * i}))
    assert checks.newest('front') is None


@pytest.mark.parametrize('roll_deg', [0.0, 90.0, 180.0, -35.0])
def test_the_roll_follows_from_the_matches_and_a_mirror_is_no_view(rng, roll_deg):
    points = box(rng, 200)
    mapped, rows = seen(points, pose(), PINHOLE)
    query, both = seen(points, pose(0.2, 0, 0.1, (0, 0, -roll_deg)), PINHOLE)
    _, i, j = np.intersect1d(both, rows, return_indices=True)
    size = (WIDTH, HEIGHT)
    change = ViewChange.of(query[i], mapped[j], size, size)
    off = (change.roll_deg - roll_deg + 180) % 360 - 180
    assert abs(off) < 3 and change.is_same_view
    mirrored = query[i] * (-1, 1) + (WIDTH - 1, 0)
    assert not ViewChange.of(mirrored, mapped[j], size, size).is_same_view
