"""Place descriptors of 8 bits: what is lost, and that a map comes back as it was saved."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_drive import pose, write_drive
from tiny_model import write_tiny_model

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.localizer import Localizer
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.place_map.descriptor_codes import descriptors_of, eight_bit_codes
from netvlad_ros.core.place_map.storage import load_map, save_map
from netvlad_ros.offline.drives.open_drive import open_drive
from netvlad_ros.offline.mapping.map_builder import MapBuilder


@pytest.mark.parametrize('dim', [513, 2048, 6144])
def test_cosines_change_by_less_than_two_thousandths(rng, dim):
    rows = unit_rows(rng.standard_normal((200, dim)))  # as whitening makes them
    back = descriptors_of(eight_bit_codes(rows))
    assert back.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(back, axis=1), 1, atol=1e-6)
    assert np.einsum('ij,ij->i', rows, back).min() > 0.9998
    assert np.abs(rows @ rows[:20].T - back @ rows[:20].T).max() < 0.002


def test_the_error_grows_with_the_largest_component(rng):
    rows = unit_rows(rng.standard_normal((200, 2048)) ** 3)  # a few components dominate
    error = rows @ rows[:20].T - descriptors_of(eight_bit_codes(rows)) @ rows[:20].T
    expected = np.abs(rows).max(axis=1) / 440
    np.testing.assert_allclose(error.std(axis=1).mean(), expected.mean(), rtol=0.2)
    assert np.abs(np.diagonal(error)).max() < 0.002  # to itself


def unit_rows(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_a_wide_model_gives_a_map_of_eight_bits(tmp_path):
    bundle = ModelBundle.load(write_tiny_model(tmp_path / 'wide.onnx', dim=520))
    drive = open_drive(write_drive(tmp_path / 'drive', [pose(x=5.0 * i) for i in range(4)]))
    built = MapBuilder(tmp_path / 'map').build(drive, bundle)
    stored = np.load(tmp_path / 'map' / 'descriptors.npy')
    assert (stored.dtype, stored.shape) == (np.int8, (4, 520))
    loaded = load_map(tmp_path / 'map')
    assert loaded.map_id == built.map_id
    np.testing.assert_array_equal(loaded.descriptors, built.descriptors)
    image = next(iter(drive.frames(slice(2, 3)))).read()
    match = Localizer(bundle, loaded).recognize(image, 0)
    assert match.candidates[0].place_id == 2
    assert match.candidates[0].similarity > 0.998
    again = save_map(loaded, tmp_path / 'again', eight_bits=True)
    assert again.map_id == loaded.map_id
    whole = save_map(loaded, tmp_path / 'whole')
    assert np.load(tmp_path / 'whole' / 'descriptors.npy').dtype == np.float32
    assert whole.map_id != loaded.map_id


def test_a_row_of_zeros_is_no_descriptor(tmp_path):
    bundle = ModelBundle.load(write_tiny_model(tmp_path / 'tiny.onnx'))
    drive = open_drive(write_drive(tmp_path / 'drive', [pose(x=5.0 * i) for i in range(2)]))
    built = MapBuilder(tmp_path / 'map').build(drive, bundle)
    built.descriptors[1] = 0
    save_map(built, tmp_path / 'bad', eight_bits=True)
    with pytest.raises(NetvladError, match='descriptor of place 1 has the length 0, not 1'):
        load_map(tmp_path / 'bad')
