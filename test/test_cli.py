"""The `netvlad` command: JSON, exit codes, and one clear sentence for everything that is broken."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from tiny_bag import raw_image, transform, write_bag
from tiny_drive import picture, pose, write_drive
from tiny_model import tiny_graph, write_tiny_model

from netvlad_ros import __version__, cli
from netvlad_ros.core.place_map.map_files import SEAL, sha256
from netvlad_ros.core.place_map.storage import load_map

FACTS = {'map_id', 'model_id', 'places', 'dim', 'recordings', 'frame_id', 'spacing_m', 'created'}


@pytest.fixture(scope='module')
def room(tmp_path_factory) -> Path:
    """A drive, the same way on another day, a model and a map of the first; read only."""
    room = tmp_path_factory.mktemp('room')
    for name, day in (('drive', ''), ('later', '86')):
        write_drive(room / name, [pose(x=10 * i) for i in range(4)])
        poses = (room / name / 'poses.csv').read_text()
        (room / name / 'poses.csv').write_text(poses.replace('.png,1.', f'.png,{day}1.'))
    write_tiny_model(room / 'model.onnx')
    code = run(
        'map', 'build', room / 'drive', '--model', room / 'model.onnx', '--out', room / 'map'
    )
    assert code == 0
    return room


def run(*arguments: object) -> int:
    """Run the command in this process; returns its exit code."""
    with pytest.raises(SystemExit) as exit_:
        cli.main([str(argument) for argument in arguments])
    return int(exit_.value.code or 0)


def spawn(*arguments: object, **environment: str) -> subprocess.CompletedProcess:
    """Run the command as a process of its own."""
    return subprocess.run(
        [sys.executable, '-c', 'from netvlad_ros.cli import main; main()', *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
        check=False,
    )


def complaint(capsys) -> str:
    """The one line on stderr that says what is wrong."""
    out, err = capsys.readouterr()
    assert out == ''
    assert 'Traceback' not in err
    (line,) = err.splitlines()
    assert line.startswith('netvlad: error: ')
    assert 'unforeseen' not in line
    return line


def test_version(capsys):
    assert run('--version') == 0
    assert capsys.readouterr().out == f'netvlad {__version__}\n'


def test_help_is_quick_and_loads_nothing_heavy():
    code = (
        'import sys, netvlad_ros.cli\n'
        'try: netvlad_ros.cli.main(["map", "build", "--help"])\n'
        'except SystemExit: pass\n'
        'heavy = {"faiss", "onnxruntime", "onnx", "cv2", "matplotlib", "torch", "rosbags"}\n'
        'sys.exit(f"loaded {heavy & set(sys.modules)}" if heavy & set(sys.modules) else 0)'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert '--spacing-angle' in done.stdout


def test_map_build_info_verify_print_json_alone(room, tmp_path, capsys):
    out = tmp_path / 'map'
    build = ('map', 'build', room / 'drive', '--model', room / 'model.onnx', '--out', out)
    assert run(*build, '--slice', '0:3', '--spacing', '15', '--json') == 0
    built = json.loads(capsys.readouterr().out)
    assert (built['places'], built['skipped'], built['recordings']) == (2, 0, {'drive': 2})
    assert run('map', 'info', out, '--json') == 0
    info = json.loads(capsys.readouterr().out)
    assert info.keys() >= FACTS
    assert info['map_id'] == built['map_id']
    assert run('map', 'verify', out, '--model', room / 'model.onnx', '--json') == 0
    assert json.loads(capsys.readouterr().out)['ok'] is True


def test_overwrite_is_asked_for(room, tmp_path, capsys):
    shutil.copytree(room / 'map', tmp_path / 'map')
    again = ('map', 'build', room / 'drive', '--model', room / 'model.onnx', '--out')
    assert run(*again, tmp_path / 'map') == 1
    assert '--overwrite' in complaint(capsys)
    assert run(*again, tmp_path / 'map', '--overwrite', '--slice', ':1') == 0
    assert len(load_map(tmp_path / 'map')) == 1


def test_eval_writes_the_agreed_keys(room, tmp_path, capsys):
    result = tmp_path / 'result.json'
    arguments = ('--map', room / 'map', room / 'later', '--model', room / 'model.onnx')
    assert run('eval', *arguments, '--slice', '::2', '--json', result) == 0
    assert 'recall:' in capsys.readouterr().out
    content = json.loads(result.read_text())
    assert (content['queries'], content['answerable'], content['accepted']) == (2, 2, 2)
    assert content['recall'] == content['recall_all'] == {'1': 1.0, '5': 1.0, '10': 1.0}
    assert (content['same_recording'], content['identical_images']) == (False, 2)
    assert content['pose_error_m'].keys() == {'median', 'p90'}
    assert content['pose_error_deg'].keys() == {'median', 'p90'}
    assert content['ms_per_image'] > 0
    assert run('eval', *arguments, '--json', '-') == 0
    assert json.loads(capsys.readouterr().out)['queries'] == 4


def test_eval_pairs(room, tmp_path, capsys):
    shutil.copytree(room / 'drive' / 'images', tmp_path / 'images')
    (tmp_path / 'pairs.csv').write_text('query,db\nimages/003.png,images/000.png\n')
    arguments = ('--pairs', tmp_path, '--model', room / 'model.onnx', '--json', '-')
    assert run('eval', *arguments, '--queries', '2:', '--database', ':2') == 0
    content = json.loads(capsys.readouterr().out)
    assert (content['queries'], content['accepted'], content['database']) == (1, None, 2)


def test_a_folder_becomes_a_bag_becomes_a_map(room, tmp_path, capsys):
    assert run('bag', 'write', room / 'drive', '--out', tmp_path / 'bag', '--size', '128x96') == 0
    assert 'no camera.yaml' in capsys.readouterr().err
    build = ('map', 'build', tmp_path / 'bag', '--model', room / 'model.onnx')
    assert run(*build, '--out', tmp_path / 'map', '--json') == 0
    assert json.loads(capsys.readouterr().out)['base_frame'] == 'base_link'
    np.testing.assert_allclose(
        load_map(tmp_path / 'map').T_map_cam, load_map(room / 'map').T_map_cam, atol=1e-9
    )


def test_unreadable_images_are_named_and_the_rest_is_mapped(room, tmp_path, capsys):
    shutil.copytree(room / 'drive', tmp_path / 'drive')
    (tmp_path / 'drive' / 'images' / '002.png').write_bytes(b'rubbish')
    build = ('map', 'build', tmp_path / 'drive', '--model', room / 'model.onnx')
    assert run(*build, '--out', tmp_path / 'map', '--json') == 0
    out, err = capsys.readouterr()
    assert json.loads(out)['skipped'] == 1
    assert '1 skipped, unreadable: images/002.png' in err


@pytest.mark.parametrize(
    'arguments',
    [
        ('map', 'build'),
        ('map', 'build', 'drive'),
        ('map', 'build', 'drive', '--out', 'm', '--slice', '5'),
        ('map', 'build', 'drive', '--out', 'm', '--slice', '::0'),
        ('map', 'build', 'drive', '--out', 'm', '--slice', '9:0:-1'),
        ('map', 'build', 'drive', '--out', 'm', '--spacing', '-1'),
        ('map', 'build', 'drive', '--out', 'm', '--spacing', 'nan'),
        ('map', 'build', 'drive', '--out', 'm', '--T-base-cam', '1 2 3'),
        ('map', 'build', 'drive', '--out', 'm', '--T-base-cam', '0 0 0 0 0 0 0'),
        ('map', 'fly'),
        ('eval',),
        ('eval', '--map', 'm'),
        ('eval', '--map', 'm', '--pairs', 'p', 'drive'),
        ('eval', '--map', 'm', 'drive', '--json', '/nowhere/at/all.json'),
        ('bag', 'write', 'drive', '--out', 'b', '--size', 'big'),
    ],
)
def test_wrong_usage_exits_with_2(arguments, capsys):
    assert run(*arguments) == 2
    assert 'Traceback' not in capsys.readouterr().err


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (('--benchmark', 'nordland', 'r', '--radius', '1.0', '--no-belief'), '--radius, --belief'),
        (('--pairs', 'p', '--slice', '0:5'), '--queries and --database'),
        (('--pairs', 'p', '--accept-probability', '0.9'), 'or decide too'),
        (('--pairs', 'p', 'drive'), 'SOURCE means nothing with --pairs'),
        (('--map', 'm', 'drive', '--unmapped', '--same-recording'), 'nothing with --unmapped'),
        (('--map', 'm', 'drive', '--decide'), '--decide means nothing with --map'),
    ],
)
def test_options_that_mean_nothing_are_refused(arguments, words, capsys):
    assert run('eval', *arguments) == 2
    told = ' '.join(re.sub(r'[│╭╮╰╯─]', ' ', capsys.readouterr().err).split())
    assert words in told


# Every broken thing: a recipe that makes it, and words that its sentence must contain.


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def with_opset(path: Path, version: int) -> None:
    model = onnx.load(path)
    model.opset_import[0].version = version
    onnx.save(model, path)


def without_metadata(path: Path) -> None:
    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.save(model, path)


def with_external_data(path: Path) -> None:
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location='weights.bin', size_threshold=0)


def answering_nan(path: Path) -> None:
    write_tiny_model(path, answer_nan=True)


def with_a_changed_weight(path: Path) -> None:
    model = onnx.load(path)
    metadata = {prop.key: prop.value for prop in model.metadata_props}
    other = tiny_graph(seed=5)
    other.metadata_props.add(key='netvlad', value=metadata['netvlad'])
    onnx.save(other, path)


BROKEN_MODELS = {
    'missing': (Path.unlink, 'does not exist'),
    'cut': (cut, 'cut off or damaged'),
    'empty': (lambda path: path.write_bytes(b''), 'no ONNX file'),
    'a text': (lambda path: path.write_text('hello'), 'no ONNX file'),
    'a folder': (lambda path: (path.unlink(), path.mkdir()), 'is no file'),
    'old opset': (lambda path: with_opset(path, 7), 'opset 7'),
    'future opset': (lambda path: with_opset(path, 999), 'opset 999'),
    'external data': (with_external_data, 'external data'),
    'no metadata': (without_metadata, 'metadata'),
    'NaN': (answering_nan, 'NaN'),
    'changed weight': (with_a_changed_weight, 'not what its model id says'),
}


@pytest.mark.parametrize('name', BROKEN_MODELS)
def test_broken_models(room, tmp_path, capsys, name):
    spoil, words = BROKEN_MODELS[name]
    model = tmp_path / 'model.onnx'
    shutil.copy(room / 'model.onnx', model)
    spoil(model)
    assert run('map', 'build', room / 'drive', '--model', model, '--out', tmp_path / 'map') == 1
    line = complaint(capsys)
    assert words in line
    assert str(model) in line
    assert not (tmp_path / 'map').exists()


def change_byte(directory: Path, name: str) -> None:
    data = bytearray((directory / name).read_bytes())
    data[-7] ^= 1
    (directory / name).write_bytes(data)


def forge(directory: Path, name: str, data: bytes) -> None:
    """Replace a file and every hash over it: what is left are the checks of the content."""
    (directory / name).write_bytes(data)
    body = (directory / 'map.yaml').read_text().rpartition(SEAL)[0]
    index = yaml.safe_load(body)
    index['files'][name] = {'bytes': len(data), 'sha256': sha256(data)}
    body = yaml.safe_dump(index)
    (directory / 'map.yaml').write_text(body + SEAL + sha256(body.encode()) + '\n')


def long_rows(directory: Path) -> None:
    descriptors = np.load(directory / 'descriptors.npy')
    np.save(directory / 'descriptors.npy', 2 * descriptors)
    forge(directory, 'descriptors.npy', (directory / 'descriptors.npy').read_bytes())


def pickled_rows(directory: Path) -> None:
    np.save(directory / 'descriptors.npy', np.array([{}] * 4), allow_pickle=True)
    forge(directory, 'descriptors.npy', (directory / 'descriptors.npy').read_bytes())


def infinite_pose(directory: Path) -> None:
    places = (directory / 'places.csv').read_text()
    places = re.sub(r'(?m)^(2,[^,]*,[^,]*),[^,]*', r'\1,inf', places)  # x of place 2
    forge(directory, 'places.csv', places.encode())


def version_9(directory: Path) -> None:
    text = (directory / 'map.yaml').read_text()
    (directory / 'map.yaml').write_text(text.replace('format_version: 1', 'format_version: 9'))


BROKEN_MAPS = {
    'missing': (shutil.rmtree, 'does not exist'),
    'no index': (lambda path: (path / 'map.yaml').unlink(), 'has no map.yaml'),
    'half': (lambda path: (path / 'places.csv').unlink(), 'places.csv is missing'),
    'changed descriptors': (lambda path: change_byte(path, 'descriptors.npy'), 'hash differs'),
    'changed places': (lambda path: change_byte(path, 'places.csv'), 'hash differs'),
    'changed picture': (lambda path: change_byte(path, 'images/0000002.jpg'), 'was changed'),
    'cut': (lambda path: cut(path / 'descriptors.npy'), 'hash differs'),
    'other version': (version_9, 'format version 9'),
    'rows too long': (long_rows, 'length 2, not 1'),
    'pickle': (pickled_rows, 'no array file'),
    'infinite pose': (infinite_pose, 'not finite'),
}


@pytest.mark.parametrize('name', BROKEN_MAPS)
def test_broken_maps(room, tmp_path, capsys, name):
    spoil, words = BROKEN_MAPS[name]
    directory = tmp_path / 'map'
    shutil.copytree(room / 'map', directory)
    spoil(directory)
    assert run('map', 'verify', directory) == 1
    assert words in complaint(capsys)
    assert run('map', 'verify', directory, '--json') == 1
    out = capsys.readouterr().out
    assert json.loads(out)['ok'] is False
    assert words in json.loads(out)['error']
    if name == 'changed picture':  # the pictures are for people, matching needs none
        return
    for command in (
        ('map', 'info', directory),
        ('eval', '--map', directory, room / 'drive', '--model', room / 'model.onnx'),
    ):
        assert run(*command) == 1
        assert words in complaint(capsys)


def test_a_map_of_another_model(room, tmp_path, capsys):
    other = write_tiny_model(tmp_path / 'other.onnx', seed=1)
    assert run('eval', '--map', room / 'map', room / 'drive', '--model', other) == 1
    assert 'was built with the model' in complaint(capsys)
    assert run('map', 'verify', room / 'map', '--model', other) == 1
    assert 'was built with the model' in complaint(capsys)


def test_a_model_without_calibration_can_build_but_not_decide(room, tmp_path, capsys):
    bare = write_tiny_model(tmp_path / 'bare.onnx', calibrated=False)
    build = ('map', 'build', room / 'drive', '--model', bare, '--out', tmp_path / 'map')
    assert run(*build) == 0
    capsys.readouterr()
    assert run('eval', '--map', tmp_path / 'map', room / 'drive', '--model', bare) == 1
    assert 'calibration' in complaint(capsys)


def small_bag(path: Path) -> Path:
    messages = [('/tf_static', 0, transform(0, 'base_link', 'camera', pose()))]
    for i in range(30):
        stamp = 10**9 + i * 10**8
        messages += [
            ('/image', stamp, raw_image(stamp, picture(i, 240, 320))),
            ('/tf', stamp, transform(stamp, 'map', 'base_link', pose(x=i))),
        ]
    return write_bag(path, messages)


def cut_bag(path: Path) -> None:
    small_bag(path)
    cut(path / f'{path.name}.mcap')


def broken_line(path: Path) -> None:
    write_drive(path, [pose(), pose(1)])
    text = (path / 'poses.csv').read_text().replace('images/001.png,1.1', 'images/001.png,soon')
    (path / 'poses.csv').write_text(text)


def no_readable_image(path: Path) -> None:
    write_drive(path, [pose()])
    (path / 'images' / '000.png').write_bytes(b'')


BROKEN_DRIVES = {
    'missing': (lambda path: None, 'does not exist'),
    'empty': (Path.mkdir, 'the folder is empty'),
    'bag cut off': (cut_bag, 'damaged or cut off'),
    'bag without poses': (
        lambda path: write_bag(path, [('/image', 1, raw_image(1, picture(0)))]),
        'it has no poses',
    ),
    'bag without images': (
        lambda path: write_bag(path, [('/tf', 1, transform(1, 'map', 'base_link', pose()))]),
        'has no images; all topics: /tf',
    ),
    'broken line': (broken_line, 'line 3: "soon'),
    'no readable image': (no_readable_image, 'no image is left'),
}


@pytest.mark.parametrize('name', BROKEN_DRIVES)
def test_broken_drives(room, tmp_path, capsys, name):
    spoil, words = BROKEN_DRIVES[name]
    source = tmp_path / 'source'
    spoil(source)
    shutil.copytree(room / 'map', tmp_path / 'map')
    before = load_map(tmp_path / 'map').map_id
    build = ('map', 'build', source, '--model', room / 'model.onnx', '--out', tmp_path / 'map')
    assert run(*build, '--overwrite') == 1
    assert words in complaint(capsys)
    assert load_map(tmp_path / 'map').map_id == before


def test_a_bag_without_the_topic(tmp_path, room, capsys):
    bag = small_bag(tmp_path / 'bag')
    build = ('map', 'build', bag, '--model', room / 'model.onnx', '--out', tmp_path / 'map')
    assert run(*build, '--image-topic', '/front/image') == 1
    line = complaint(capsys)
    assert 'no topic /front/image; image topics: /image; all topics: /image, /tf, /tf_st' in line


@pytest.mark.parametrize('case', ['model', 'map', 'bag', 'line'])
def test_as_a_process_of_its_own(room, tmp_path, case):
    """The same through a real process: one line, exit 1, nothing on stdout, no traceback."""
    source, model, out = room / 'drive', room / 'model.onnx', tmp_path / 'map'
    arguments = ['map', 'build', source, '--model', model, '--out', out]
    if case == 'model':
        arguments[4] = tmp_path / 'absent.onnx'
    elif case == 'map':
        shutil.copytree(room / 'map', tmp_path / 'broken')
        change_byte(tmp_path / 'broken', 'descriptors.npy')
        arguments = ['eval', '--map', tmp_path / 'broken', source, '--model', model]
    elif case == 'bag':
        cut_bag(tmp_path / 'bag')
        arguments[2] = tmp_path / 'bag'
    else:
        broken_line(tmp_path / 'drive')
        arguments[2] = tmp_path / 'drive'
    done = spawn(*arguments)
    assert done.returncode == 1
    assert done.stdout == ''
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith('netvlad: error: ')
    assert not out.exists()


def test_bugs_are_reported_in_one_line_too(room, capsys, monkeypatch):
    monkeypatch.setattr('netvlad_ros.core.place_map.storage.load_map', lambda directory: 1 / 0)
    assert run('map', 'info', room / 'map') == 1
    assert 'unforeseen ZeroDivisionError' in capsys.readouterr().err


def test_names_out_of_files_do_not_steer_the_terminal(room, tmp_path, capsys):
    source = tmp_path / 'drive'
    write_drive(source, [pose()])
    text = (source / 'poses.csv').read_text().replace('images/000.png', '/etc/\x1b[2J\x07')
    (source / 'poses.csv').write_text(text)
    build = ('map', 'build', source, '--model', room / 'model.onnx', '--out', tmp_path / 'map')
    assert run(*build) == 1
    assert complaint(capsys).isprintable()


def test_the_packages_own_model_is_the_default(room, tmp_path, capsys, monkeypatch):
    from netvlad_ros.offline.bundles import default_model

    monkeypatch.setattr(default_model, 'NAME', 'tiny.onnx')
    monkeypatch.setenv('AMENT_PREFIX_PATH', f'/nowhere:{tmp_path}')
    build = ('map', 'build', room / 'drive', '--out', tmp_path / 'map')
    assert run(*build) == 1
    assert 'name one with --model' in complaint(capsys)
    share = tmp_path / 'share' / 'netvlad_ros' / 'models'
    share.mkdir(parents=True)
    shutil.copy(room / 'model.onnx', share / 'tiny.onnx')
    assert run(*build) == 0


def test_commands_of_ros2_run(room, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        sys,
        'argv',
        ['build_map', f'{room}/drive', '--model', f'{room}/model.onnx', '--out', f'{tmp_path}/map'],
    )
    with pytest.raises(SystemExit) as exit_:
        cli.build_map_main()
    assert not exit_.value.code
    for entry in (cli.evaluate_main, cli.train_main):
        monkeypatch.setattr(sys, 'argv', ['command', '--help'])
        with pytest.raises(SystemExit) as exit_:
            entry()
        assert not exit_.value.code
    assert '--pairs' in capsys.readouterr().out
