"""Maps, bundles, runs and reports that an earlier version wrote: they open and answer as then."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shutil
import tarfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from tiny_drive import picture
from typer.testing import CliRunner

from netvlad_ros.cli import app
from netvlad_ros.core.camera.image import read_image
from netvlad_ros.core.localizer import Localizer
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.place_map.storage import load_map

WRITTEN = Path(__file__).resolve().parent / 'data' / 'written_before'
ANSWERS = json.loads((WRITTEN / 'answers.json').read_text(encoding='utf-8'))
SHIPPED = WRITTEN / 'mobilenetv2_netvlad_512.onnx'  # at that time
TIMES = {'ms', 'ms_per_image'}


def netvlad(*arguments: object) -> str:
    """Run the command; returns what it printed on stdout."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def is_the_same_machine() -> bool:
    """Whether onnxruntime and processor are those that computed the stored descriptors."""
    path = Path('/proc/cpuinfo')
    found = re.findall(
        r'(?m)^(?:model name|flags)\s*: .*', path.read_text() if path.exists() else ''
    )
    return ANSWERS['computed_with'] == {
        'onnxruntime': version('onnxruntime'),
        'processor': hashlib.sha256('\n'.join(found[:2]).encode()).hexdigest(),
    }


def check_descriptors(found: np.ndarray, name: str, *, exact: bool) -> None:
    """Compare with stored ones, float32 (N, D): by cosine, and by every bit where exact."""
    stored = np.load(WRITTEN / 'descriptors' / f'{name}.npy', allow_pickle=False)
    assert (found.shape, found.dtype) == (stored.shape, stored.dtype)
    assert (found.astype(np.float64) * stored).sum(axis=1).min() > 1 - 1e-6
    if exact and is_the_same_machine():
        assert (
            hashlib.sha256(found.tobytes()).hexdigest() == (ANSWERS['sha256_of_descriptors'][name])
        )


def check_same(found, stored, where: str = '') -> None:
    """Compare JSON of two evaluations: numbers within 1e-3, times not at all."""
    if isinstance(stored, dict):
        assert found.keys() == stored.keys(), where
        for key in stored.keys() - TIMES:
            check_same(found[key], stored[key], f'{where}.{key}')
    elif isinstance(stored, list):
        assert len(found) == len(stored), where
        for i, (one, other) in enumerate(zip(found, stored, strict=True)):
            check_same(one, other, f'{where}[{i}]')
    elif isinstance(stored, float):
        assert found == pytest.approx(stored, rel=1e-3, abs=1e-3), where
    else:
        assert found == stored, where


@pytest.fixture(params=['map', 'map_bare'])
def built(request, monkeypatch):
    """Name and model of a map; the folder of the files is the working directory."""
    monkeypatch.chdir(WRITTEN)
    return request.param, SHIPPED if request.param == 'map' else WRITTEN / 'tiny.onnx'


def test_maps_are_whole(built):
    name, model = built
    expected = ANSWERS[name]
    assert json.loads(netvlad('map', 'info', name, '--json')) == expected
    verified = json.loads(netvlad('map', 'verify', name, '--model', model, '--json'))
    assert verified == {'ok': True, **expected}


def test_images_are_localized_as_before(built):
    name, model = built
    place_map = load_map(WRITTEN / name)
    bundle = ModelBundle.load(model, device='cpu', threads=1)
    localizer = Localizer(bundle, place_map)
    assert {answer['status'] for answer in ANSWERS['localized'][name]} == {'accepted', 'no_match'}
    for stored in ANSWERS['localized'][name]:
        match = localizer.recognize(read_image(Path(stored['image'])), 0, camera=place_map.camera)
        best = match.candidates[0]
        found = (match.status.value, match.reason, best.index, best.inliers, match.estimate.method)
        wanted = tuple(stored[key] for key in ('status', 'reason', 'place', 'inliers', 'method'))
        assert found == wanted
        assert best.similarity == pytest.approx(stored['similarity'], abs=1e-5)
        assert match.probability == pytest.approx(stored['probability'], abs=1e-4)
        np.testing.assert_allclose(match.estimate.T, stored['T_map_cam'], atol=1e-4)
        np.testing.assert_allclose(
            match.estimate.covariance, stored['covariance'], rtol=1e-3, atol=1e-9
        )


def test_a_drive_is_judged_as_before(tmp_path):
    queries, out = WRITTEN / 'queries', tmp_path / 'report'
    drive = (queries, '--camera', queries / 'camera.yaml', '--map', WRITTEN / 'map')
    netvlad('eval', *drive, '--model', SHIPPED, '--radius', 2, '--device', 'cpu', '--out', out)
    metrics = [
        json.loads((folder / 'metrics.json').read_text()) for folder in (out, WRITTEN / 'report')
    ]
    check_same(*metrics)
    tables = []
    for folder in (out, WRITTEN / 'report'):
        with (folder / 'matches.csv').open(encoding='utf-8', newline='') as file:
            tables.append([[_value(cell) for cell in row] for row in csv.reader(file)])
    check_same(*tables)


def test_reports_are_compared(tmp_path):
    folders = [tmp_path / name for name in ('report', 'again')]
    for folder in folders:
        shutil.copytree(WRITTEN / 'report', folder)
    out = tmp_path / 'comparison'
    netvlad('report', *folders, '--out', out)
    assert json.loads((out / 'metrics.json').read_text()) == ANSWERS['comparison']
    assert (out / 'report.html').is_file()


@pytest.mark.parametrize('threads', [1, 2])
@pytest.mark.parametrize('name', ['shipped', 'tiny'])
def test_bundles_describe_as_before(name, threads):
    path = SHIPPED if name == 'shipped' else WRITTEN / 'tiny.onnx'
    bundle = ModelBundle.load(path, device='cpu', threads=threads)
    assert bundle.metadata.model_id == ANSWERS['model_ids'][name]
    found = np.array([bundle.describe(picture(seed, 120, 160)) for seed in range(3)])
    check_descriptors(found, name, exact=threads == 1)


@pytest.fixture
def training(tmp_path, monkeypatch):
    """The files of a run, unpacked; paths in its settings start there."""
    with tarfile.open(WRITTEN / 'training.tar.xz') as archive:
        archive.extractall(tmp_path, filter='data')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_bundle_of_a_run_opens_and_its_network_is_exported(training):
    tiny_network = pytest.importorskip('tiny_network', reason='torch is not installed')
    images, run = tiny_network.pictures(), training / 'runs' / 'latest'
    bundle = ModelBundle.load(run / 'tiny.onnx', device='cpu', threads=1)
    assert bundle.metadata.model_id == ANSWERS['model_ids']['run']
    check_descriptors(bundle.describe_batch(images), 'run', exact=True)
    netvlad('export', run, '--out', training / 'out.onnx')
    exported = ModelBundle.load(training / 'out.onnx', device='cpu', threads=1)
    check_descriptors(exported.describe_batch(images), 'run', exact=False)
    assert exported.metadata.calibration == bundle.metadata.calibration
    assert exported.metadata.training == bundle.metadata.training


def test_a_run_is_resumed_to_the_same_weights(training):
    pytest.importorskip('torch')
    from safetensors.numpy import load_file

    run = (training / 'runs' / 'latest').resolve()
    netvlad('train', '--config', 'train.yaml', '--out', 'runs', '--resume', '--steps', 6)
    assert (training / 'runs' / 'latest').resolve() == run
    assert json.loads((run / 'checkpoint.json').read_text())['best_step'] == 2
    with (run / 'log.csv').open(newline='') as file:
        assert [row['step'] for row in csv.DictReader(file)] == ['2', '4', '6']
    found, stored = (
        load_file(run / 'checkpoint_6.safetensors'),
        load_file(WRITTEN / 'resumed.safetensors'),
    )
    assert {name for name in found if 'backbone' not in name} == stored.keys()
    for name, array in stored.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-3, atol=1e-5, err_msg=name)


def _value(cell: str) -> str | float:
    try:
        return float(cell)
    except ValueError:
        return cell
