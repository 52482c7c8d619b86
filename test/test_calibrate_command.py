"""`netvlad calibrate`, on a map of pictures that a tiny model tells apart."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tiny_drive import picture, pose, write_drive, write_image
from tiny_model import write_tiny_model

from netvlad_ros import cli
from netvlad_ros.core.place_map.storage import load_map
from netvlad_ros.offline.mapping import calibration_samples

PLACES = 40


@pytest.fixture(scope='module')
def room(tmp_path_factory):
    """A model, a drive past PLACES pictures, 10 m apart, and another drive past them.

    In the second drive every fifth picture is one that the map does not know.
    """
    room = tmp_path_factory.mktemp('room')
    write_tiny_model(room / 'model.onnx')
    for name in ('mapped', 'copy'):  # what made a map is known by any name
        write_drive(room / name, [pose(x=10 * i) for i in range(PLACES)])
    seeds = [i if i % 5 else 1000 + i for i in range(PLACES)]
    offset = np.random.default_rng(0).normal(0, 0.3, PLACES)
    drive = [pose(x=10 * i + offset[i], yaw_deg=3) for i in range(PLACES)]
    write_drive(room / 'drive', drive, seeds=seeds)
    for i, seed in enumerate(seeds):
        mixed = 0.85 * picture(seed) + 0.15 * picture(seed + 500)
        write_image(room / 'drive' / 'images' / f'{i:03d}.png', np.round(mixed).astype(np.uint8))
    return room


@pytest.fixture
def place_map(room, tmp_path):
    model = room / 'model.onnx'
    assert run('map', 'build', room / 'mapped', '--model', model, '--out', tmp_path / 'map') == 0
    return load_map(tmp_path / 'map')


def run(*arguments):
    with pytest.raises(SystemExit) as exit_:
        cli.main([str(argument) for argument in arguments])
    return int(exit_.value.code or 0)


def calibrate(room, place_map, drive='drive', *arguments):
    options = ('--map', place_map.directory, '--model', room / 'model.onnx')
    return run('calibrate', *options, room / drive, *arguments)


def test_a_map_is_calibrated(room, place_map, capsys):
    capsys.readouterr()
    assert calibrate(room, place_map, 'drive', '--json') == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts['images'], facts['right']) == (40, 32)
    assert facts['held_out']['images'] == 20
    assert facts['methods']['map_images'] == {
        **facts['methods']['map_images'],
        'estimates': 32,
        'fitted': True,
    }
    assert facts['methods']['landmarks']['fitted'] is False
    calibration = load_map(place_map.directory).calibration
    assert (calibration.images, calibration.source) == (40, 'drive')
    assert calibration.midpoint == facts['similarity']['midpoint']
    assert 0.5 < calibration.midpoint < 1.0
    # The drive's poses are closer to the map's than half of its spacing, which priors assume.
    assert calibration.scale['map_images'] < 1.0
    assert calibrate(room, place_map) == 0  # once more, in words
    assert 'landmarks:       0 estimates are too few' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('arguments', 'complaint'),
    [
        (('mapped',), '40 of the 40 images to localize are places of the map itself'),
        (('copy',), '40 of the 40 images to localize are places of the map itself'),
        (('drive', '--slice', ':20'), '20 images with a pose are too few'),
        (('drive', '--map-frame', 'odom'), "in the frame 'odom', the map's in 'map'"),
        (('nowhere',), 'does not exist'),
    ],
)
def test_what_calibrates_nothing_writes_nothing(room, place_map, capsys, arguments, complaint):
    before = (place_map.directory / 'map.yaml').read_bytes()
    assert calibrate(room, place_map, *arguments) == 1
    assert complaint in capsys.readouterr().err
    assert (place_map.directory / 'map.yaml').read_bytes() == before


def test_an_interrupt_writes_nothing(room, place_map, monkeypatch):
    before = {path: path.read_bytes() for path in place_map.directory.rglob('*.*')}

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(calibration_samples, 'read_or_skip', interrupted)
    assert calibrate(room, place_map) == 130
    assert {path: path.read_bytes() for path in place_map.directory.rglob('*.*')} == before
