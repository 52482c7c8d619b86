"""Rays and pixels: against the published formulas, there and back, and the limits of a model."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from netvlad_ros.core.camera.camera_info import camera_model_of
from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.errors import NetvladError

K = [500.0, 0.0, 319.5, 0.0, 510.0, 239.5, 0.0, 0.0, 1.0]
PLUMB_BOB = [-0.37, 0.2, 1e-3, -2e-3, -0.03]
RATIONAL = [1.2, 0.5, 1e-3, 1e-3, 0.1, 1.5, 0.9, 0.2]
FISHEYE = [0.01, -0.02, 0.003, -0.001]


def camera(model='plumb_bob', d=(), **changes) -> CameraModel:
    return CameraModel.create(
        **{'width': 640, 'height': 480, 'K': K, 'distortion_model': model, 'd': d, **changes}
    )


def grid(width=640, height=480) -> np.ndarray:
    u, v = np.meshgrid(np.linspace(0, width - 1, 21), np.linspace(0, height - 1, 16))
    return np.column_stack([u.ravel(), v.ravel()])


def distorted(model: str, d: list[float], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Written down from the OpenCV documentation of calib3d and fisheye."""
    r2 = x * x + y * y
    if model == 'equidistant':
        theta = np.arctan(np.sqrt(r2))
        theta_d = theta * (1 + sum(k * theta ** (2 * i + 2) for i, k in enumerate(d)))
        return np.column_stack([x, y]) * (theta_d / np.sqrt(r2))[:, None]
    k1, k2, p1, p2, k3, k4, k5, k6 = [*d, *[0.0] * (8 - len(d))]
    radial = (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3) / (1 + k4 * r2 + k5 * r2**2 + k6 * r2**3)
    return np.column_stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        ]
    )


@pytest.mark.parametrize(
    ('model', 'd'),
    [
        ('plumb_bob', []),
        ('plumb_bob', PLUMB_BOB[:4]),
        ('plumb_bob', PLUMB_BOB),
        ('rational_polynomial', RATIONAL),
        ('rational_polynomial', [*RATIONAL, 0, 0, 0, 0]),
        ('equidistant', FISHEYE),
    ],
)
def test_there_and_back_by_the_published_formulas(model, d):
    made = camera(model, d)
    pixels = grid()
    rays = made.rays(pixels)
    assert np.isfinite(rays).all()
    depth = np.linspace(0.5, 50.0, len(rays))
    points = np.column_stack([rays * depth[:, None], depth])
    np.testing.assert_allclose(made.project(points), pixels, atol=1e-5)
    by_hand = distorted(model, d[:8], *rays.T) * [500.0, 510.0] + [319.5, 239.5]
    np.testing.assert_allclose(by_hand, pixels, atol=1e-5)


def test_no_model_and_no_coefficients_is_a_pinhole():
    made = camera('', [0.0, 0.0])
    assert (made.distortion_model, len(made.d), made.focal_px) == ('plumb_bob', 0, 505.0)
    np.testing.assert_allclose(made.rays([[819.5, 239.5], [319.5, 749.5]]), [[1, 0], [0, 1]])


def test_a_fisheye_has_no_rays_from_behind():
    wide = camera('equidistant', [0, 0, 0, 0], K=[200, 0, 319.5, 0, 200, 239.5, 0, 0, 1])
    angles = np.array([10.0, 60.0, 89.0, 91.0, 120.0])
    pixels = np.column_stack([319.5 + 200 * np.radians(angles), np.full(5, 239.5)])
    rays = wide.rays(pixels)
    np.testing.assert_allclose(rays[:3, 0], np.tan(np.radians(angles[:3])), rtol=1e-6)
    assert np.isnan(rays[3:]).all()


def test_distortion_that_folds_back_ends_the_model():
    # r (1 - 0.9 r^2) grows up to r = 0.6086 and 0.4057 px / f, and returns to the centre after.
    made = camera('plumb_bob', [-0.9, 0.0, 0.0, 0.0])
    points = np.array([[0.6, 0, 1], [0.62, 0, 1], [1.0, 0, 1], [0, 5.0, 1]])
    assert np.isnan(made.project(points)).any(axis=1).tolist() == [False, True, True, True]
    rays = made.rays([[319.5 + 500 * 0.4, 239.5], [319.5 + 500 * 0.41, 239.5]])
    assert np.isnan(rays).any(axis=1).tolist() == [False, True]


def test_cameras_agree_where_both_have_rays():
    fisheye = camera('equidistant', FISHEYE)
    assert fisheye.agrees(camera('equidistant', FISHEYE))
    assert not fisheye.agrees(camera('equidistant', FISHEYE, K=[510.0, *K[1:]]))
    elsewhere = camera(d=[-0.4, 0.0, 0.0, 0.0, 0.0], K=[500.0, 0.0, 1e5, *K[3:]])
    assert np.isnan(elsewhere.rays(grid())).all()
    assert not fisheye.agrees(elsewhere), 'nothing was compared'


def test_what_is_behind_or_no_number_is_nan():
    for made in (camera('plumb_bob', PLUMB_BOB), camera('equidistant', FISHEYE)):
        points = [[0, 0, -1], [1, 1, 0], [np.nan, 0, 1], [np.inf, 0, 1], [0, 0, 1]]
        assert np.isnan(made.project(points)).any(axis=1).tolist() == [True] * 4 + [False]
        assert np.isnan(made.rays([[np.nan, 0], [0, np.inf], [1e300, 0]])).all()
        assert made.rays(np.empty((0, 2))).shape == made.project(np.empty((0, 3))).shape == (0, 2)


def test_a_resized_image_shows_the_same_rays():
    made = camera('plumb_bob', PLUMB_BOB)
    small = made.resized(320, 240)
    pixels = grid(320, 240)
    # A pixel of the small image is a square of four: its centre lies between theirs.
    np.testing.assert_allclose(small.rays(pixels), made.rays(2 * pixels + 0.5), atol=1e-9)
    np.testing.assert_allclose(small.K[:2, 2], [159.5, 119.5])
    assert made.resized(640, 480) is made
    assert made.resized(321, 240).width == 321
    with pytest.raises(NetvladError, match=r'640x400 px is not one of the camera .* 640x480'):
        made.resized(640, 400)


@pytest.mark.parametrize(
    ('changes', 'complaint'),
    [
        ({'distortion_model': 'fisheye', 'd': [0] * 4}, "'fisheye' is unknown; known are plumb"),
        ({'distortion_model': '', 'd': [0.1]}, "'' is unknown"),
        ({'d': [0.1, 0.2]}, 'plumb_bob takes 0 or 4 or 5 coefficients, .* gives 2'),
        ({'distortion_model': 'equidistant', 'd': [0] * 5}, 'equidistant takes 4 coefficients'),
        ({'K': [0.0] * 9}, 'not calibrated: its focal lengths are 0 and 0'),
        ({'K': [-1.0, *K[1:]]}, 'not calibrated'),
        ({'K': [np.nan, *K[1:]]}, 'not finite'),
        ({'d': [np.inf, 0, 0, 0]}, 'not finite'),
        ({'K': [1e300, *K[1:]]}, 'numbers above'),
        ({'K': [500.0, 3.0, *K[2:]]}, 'K of a camera calibration must be'),
        ({'K': [*K[:8], 2.0]}, 'K of a camera calibration must be'),
        ({'K': [1.0, 2.0]}, 'malformed'),
        ({'K': 'abc'}, 'malformed'),
        ({'width': 0}, 'the image of the camera calibration is 0x480'),
    ],
)
def test_what_is_no_camera(changes, complaint):
    with pytest.raises(NetvladError, match=complaint):
        camera(**changes)


def test_plain_numbers_and_back():
    made = camera('equidistant', FISHEYE)
    raw = made.to_dict()
    again = CameraModel.from_dict(raw)
    assert again.to_dict() == raw
    np.testing.assert_array_equal(again.rays(grid()), made.rays(grid()))
    many: list = []
    for _ in range(40):  # YAML's aliases make 10**12 numbers of a short text
        many = [many, many]
    for bad in (
        None,
        [],
        {},
        {**raw, 'K': many},
        {**raw, 'd': 'abc'},
        {**raw, 'width': 1.5},
        {**raw, 'distortion_model': 7},
    ):
        with pytest.raises(NetvladError, match='camera calibration is malformed'):
            CameraModel.from_dict(bad)


def info(**changes) -> SimpleNamespace:
    """A sensor_msgs/CameraInfo as rclpy or rosbags give it."""
    roi = {'x_offset': 0, 'y_offset': 0, 'width': 0, 'height': 0, **changes.pop('roi', {})}
    message = {
        'width': 640,
        'height': 480,
        'distortion_model': 'plumb_bob',
        'd': np.array(PLUMB_BOB),
        'k': np.array(K),
        'p': np.array([450.0, 0, 310, 0, 0, 450, 230, 0, 0, 0, 1, 0]),
        'binning_x': 0,
        'binning_y': 0,
    }
    return SimpleNamespace(**{**message, **changes}, roi=SimpleNamespace(**roi))


def test_camera_info_with_window_and_binning():
    whole = camera_model_of(info())
    np.testing.assert_allclose(whole.rays(grid()), camera('plumb_bob', PLUMB_BOB).rays(grid()))
    window = {'x_offset': 100, 'y_offset': 60, 'width': 400, 'height': 300}
    part = camera_model_of(info(roi=window, binning_x=2, binning_y=3))
    assert (part.width, part.height) == (200, 100)
    # Six pixels of the sensor make one: pixel 0, 0 averages 100..101, 60..62.
    pixels = grid(200, 100)
    on_sensor = pixels * [2, 3] + [100.5, 61]
    np.testing.assert_allclose(part.rays(pixels), whole.rays(on_sensor), atol=1e-9)


def test_camera_info_of_rectified_images():
    made = camera_model_of(info(), rectified=True)
    assert not made.d.size
    np.testing.assert_allclose(made.K, [[450, 0, 310], [0, 450, 230], [0, 0, 1]])


@pytest.mark.parametrize(
    ('changes', 'complaint'),
    [
        ({'k': np.zeros(9)}, 'an uncalibrated camera sends zeros'),
        ({'roi': {'x_offset': 600, 'width': 100, 'height': 100}}, 'beyond its sensor'),
        ({'width': 0, 'height': 0}, '0x0'),
        ({'binning_x': 500}, '1x480'),
        ({'distortion_model': 'thin_prism'}, 'unknown'),
    ],
)
def test_camera_info_of_no_use(changes, complaint):
    with pytest.raises(NetvladError, match=complaint):
        camera_model_of(info(**changes))
