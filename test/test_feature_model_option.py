"""--feature-model: judging and calibrating a map whose features are of a feature bundle."""

from __future__ import annotations

import json

import pytest
from tiny_drive import picture, pose, write_drive
from tiny_feature_model import METADATA, cells
from tiny_model import write_tiny_model

from netvlad_ros import cli
from netvlad_ros.commands.options.features import map_extractor
from netvlad_ros.core.features.feature_bundle import write_feature_bundle
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.place_map.storage import load_map
from netvlad_ros.training.attack.attacked_localizer import VERIFIED, AttackedLocalizer


def run(*arguments) -> int:
    with pytest.raises(SystemExit) as exit_:
        cli.main([str(argument) for argument in arguments])
    return int(exit_.value.code or 0)


@pytest.fixture(scope='module')
def room(tmp_path_factory):
    """Two drives past 30 pictures, and a map of the first, with features of a bundle."""
    room = tmp_path_factory.mktemp('room')
    write_tiny_model(room / 'model.onnx')
    write_feature_bundle(cells(), METADATA, room / 'cells.onnx')
    for name, offset in (('mapped', 0.0), ('drive', 0.2)):
        write_drive(room / name, [pose(x=10 * i + offset, y=offset) for i in range(30)])
    poses = room / 'drive' / 'poses.csv'
    lines = poses.read_text().splitlines()
    moved = [line.replace(',', ',9', 1) for line in lines[1:]]  # at other moments
    poses.write_text('\n'.join([lines[0], *moved]) + '\n')
    build = ('map', 'build', room / 'mapped', '--model', room / 'model.onnx', '--out')
    assert run(*build, room / 'map', '--features', room / 'cells.onnx') == 0
    assert run(*build, room / 'plain') == 0
    return room


def commands(room, place_map):
    on = ('--map', room / place_map, '--model', room / 'model.onnx')
    return [
        ('eval', *on, room / 'drive'),
        ('eval', *on, '--unmapped', room / 'drive' / 'images'),
        ('calibrate', *on, room / 'drive'),
    ]


def test_the_bundle_is_named(room, capsys):
    for command in commands(room, 'map'):
        assert run(*command) == 1
        assert 'name the file of its feature bundle (--feature-model)' in capsys.readouterr().err
        assert run(*command, '--feature-model', room / 'cells.onnx') == 0
        capsys.readouterr()
    evaluate = commands(room, 'map')[0]
    assert run(*evaluate, '--feature-model', room / 'cells.onnx', '--json', '-') == 0
    assert json.loads(capsys.readouterr().out)['ms']['extract'] > 0


def test_a_bundle_that_no_map_needs_is_refused(room, capsys):
    for command in commands(room, 'plain'):
        assert run(*command, '--feature-model', room / 'cells.onnx') == 1
        assert 'has no features, none of a feature bundle' in capsys.readouterr().err


def test_the_attacked_localizer_finds_the_features_of_the_bundle(room):
    bundle, place_map = ModelBundle.load(room / 'model.onnx'), load_map(room / 'map')
    extractor = map_extractor(place_map, room / 'cells.onnx', 'cpu')
    localizer = AttackedLocalizer(bundle, place_map, extractor)
    (answer,) = localizer.answers([(picture(3), 0)], None)
    assert answer[VERIFIED][0].candidates[0].inliers >= 0
