"""Calibration of a map: its values, and how it is stored and fitted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import yaml

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.model.metadata import SimilarityCalibration
from netvlad_ros.core.place_map.calibration import MapCalibration
from netvlad_ros.core.place_map.map_files import write_index
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.core.place_map.storage import load_map, save_map, store_calibration


def test_inliers_support_a_place_within_bounds():
    calibration = MapCalibration(inlier_midpoint=np.log(15.0), inlier_slope=6.0, inlier_cap=8.0)
    assert calibration.inlier_log_odds(14) == pytest.approx(0.0)
    assert calibration.inlier_log_odds(29) == pytest.approx(6.0 * np.log(2.0))
    assert calibration.inlier_log_odds(0) == -3.0
    assert calibration.inlier_log_odds(1000) == 8.0
    assert calibration.inlier_log_odds(1000, without_pose=True) == -1.5
    assert calibration.inlier_log_odds(0, without_pose=True) == -3.0
    assert calibration.inlier_log_odds(-1) == 0.0  # not verified: neither for nor against


def test_a_covariance_gains_a_floor_before_it_is_scaled():
    calibration = MapCalibration(
        scale={'landmarks': 2.0},
        sigma_m={'landmarks': 0.1},
        sigma_deg={'landmarks': np.degrees(0.2)},
    )
    raw = np.diag([0.01, 0.02, 0.03, 0.04, 0.05, 0.06])
    raw[0, 4] = raw[4, 0] = 0.005
    consistent = calibration.covariance('landmarks', raw)
    assert np.diag(consistent) == pytest.approx([0.04, 0.06, 0.08, 0.16, 0.18, 0.20])
    assert consistent[0, 4] == consistent[4, 0] == pytest.approx(0.01)


def test_without_its_own_numbers_a_map_takes_those_of_the_model():
    of_model = SimilarityCalibration(0.5, 30.0, 45.0)
    assert MapCalibration().of_similarity(of_model) == of_model
    own = MapCalibration(midpoint=0.6, slope=20.0).of_similarity(of_model)
    assert own == SimilarityCalibration(0.6, 20.0, 45.0)


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


@pytest.fixture
def place_map(tmp_path):
    made = PlaceMap.create(
        model_id='0' * 64,
        frame_id='map',
        descriptors=np.eye(3, dtype=np.float32),
        recordings=['a drive: of "yesterday"', 'b', 'b'],
        stamps_ns=[1, 2, 3],
        images=['a.png', 'b.png', 'c.png'],
        T_map_cam=np.tile(np.eye(4), (3, 1, 1)),
        source='2026-11-21',
    )
    return save_map(made, tmp_path / 'map')


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def test_a_map_keeps_its_calibration_and_all_else(place_map, tmp_path):
    before = contents(place_map.directory)
    first = MapCalibration(midpoint=0.3, slope=20.0, source='first')
    second = MapCalibration(midpoint=0.4, slope=25.0, source='second')
    assert store_calibration(place_map, first).calibration == first
    store_calibration(place_map, second)
    loaded = load_map(place_map.directory)
    assert (loaded.calibration, loaded.map_id) == (second, place_map.map_id)
    after = contents(place_map.directory)
    assert after.keys() == before.keys()
    assert [name for name in before if after[name] != before[name]] == ['map.yaml']
    entries, fresh = (yaml.safe_load(text['map.yaml']) for text in (before, after))
    assert fresh.pop('calibration') == second.to_dict()
    assert {**fresh, 'sha256': ''} == {**entries, 'sha256': ''}
    # A map that is saved again keeps it.
    assert load_map(save_map(loaded, tmp_path / 'copy').directory).calibration == second


def test_a_write_that_fails_leaves_the_map(place_map, monkeypatch):
    before = contents(place_map.directory)

    def fail(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('os.fsync', fail)
    with pytest.raises(NetvladError, match='No space left'):
        store_calibration(place_map, MapCalibration())
    assert contents(place_map.directory) == before


def test_another_map_by_now_is_not_calibrated(place_map):
    with pytest.raises(NetvladError, match='replaced by another map'):
        store_calibration(replace(place_map, map_id='f' * 64), MapCalibration())


def test_a_calibration_from_elsewhere_is_checked(place_map):
    index = yaml.safe_load((place_map.directory / 'map.yaml').read_text())
    index.pop('sha256')
    broken = {**MapCalibration().to_dict(), 'slope': -1.0}
    write_index(place_map.directory, {**index, 'calibration': broken})
    with pytest.raises(NetvladError, match=r'calibration: slope is -1\.0'):
        load_map(place_map.directory)
    broken.pop('slope')
    write_index(place_map.directory, {**index, 'calibration': broken})
    with pytest.raises(NetvladError, match="calibration lacks 'slope'"):
        load_map(place_map.directory)
