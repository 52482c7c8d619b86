"""Calibration of a map: what it says, how it is stored, how it is fitted."""

from __future__ import annotations

import numpy as np
import pytest

from netvlad_ros.core.map_calibration import MapCalibration
from netvlad_ros.core.model_metadata import Calibration


def test_inliers_speak_for_a_place_within_bounds():
    calibration = MapCalibration(inlier_midpoint=np.log(15.0), inlier_slope=6.0, inlier_cap=8.0)
    assert calibration.inlier_log_odds(14) == pytest.approx(0.0)
    assert calibration.inlier_log_odds(29) == pytest.approx(6.0 * np.log(2.0))
    assert calibration.inlier_log_odds(0) == -3.0
    assert calibration.inlier_log_odds(1000) == 8.0
    assert calibration.inlier_log_odds(-1) == 0.0  # not verified: neither for nor against


def test_a_covariance_gains_a_floor_before_it_is_scaled():
    calibration = MapCalibration(
        scale={'landmarks': 2.0},
        sigma_m={'landmarks': 0.1},
        sigma_deg={'landmarks': np.degrees(0.2)},
    )
    raw = np.diag([0.01, 0.02, 0.03, 0.04, 0.05, 0.06])
    raw[0, 4] = raw[4, 0] = 0.005
    honest = calibration.covariance('landmarks', raw)
    assert np.diag(honest) == pytest.approx([0.04, 0.06, 0.08, 0.16, 0.18, 0.20])
    assert honest[0, 4] == honest[4, 0] == pytest.approx(0.01)


def test_without_its_own_numbers_a_map_takes_those_of_the_model():
    of_model = Calibration(0.5, 30.0, 45.0)
    assert MapCalibration().of_similarity(of_model) == of_model
    own = MapCalibration(midpoint=0.6, slope=20.0).of_similarity(of_model)
    assert own == Calibration(0.6, 20.0, 45.0)


def test_text_and_back():
    calibration = MapCalibration(midpoint=0.4, slope=25.0, images=250, source='a drive')
    assert MapCalibration.from_dict(calibration.to_dict()) == calibration
    assert MapCalibration.from_dict(MapCalibration().to_dict()) == MapCalibration()


@pytest.mark.parametrize(
    ('entry', 'value'),
    [
        ('midpoint', 1.5),
        ('slope', float('nan')),
        ('slope', 0),
        ('inlier_cap', float('inf')),
        ('inlier_slope', 'steep'),
        ('inlier_midpoint', True),
        ('scale', {'landmarks': 2.0}),
        ('scale', {'landmarks': 0.0, 'relative_poses': 1.0, 'map_images': 1.0}),
        ('sigma_m', {'landmarks': -1.0, 'relative_poses': 1.0, 'map_images': 1.0}),
        ('sigma_deg', None),
        ('images', -1),
        ('source', 'a' * 2000),
    ],
)
def test_impossible_numbers_are_refused(entry, value):
    with pytest.raises((TypeError, ValueError), match=f'{entry}|landmarks'):
        MapCalibration.from_dict({**MapCalibration().to_dict(), entry: value})
