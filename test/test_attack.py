"""Attacks: the descriptor approaches its target, the image changes little, metrics are right."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from tiny_drive import HEADER, pose, pose_line, write_image
from tiny_network import METADATA, make_network
from tiny_training import write_weights
from typer.testing import CliRunner

from netvlad_ros.core.place_map.storage import load_map

torch = pytest.importorskip('torch')

from netvlad_ros.cli import app  # noqa: E402
from netvlad_ros.core.camera.image import read_image  # noqa: E402
from netvlad_ros.core.errors import NetvladError  # noqa: E402
from netvlad_ros.core.model.bundle import ModelBundle  # noqa: E402
from netvlad_ros.offline.drives.open_drive import open_drive  # noqa: E402
from netvlad_ros.offline.mapping.map_builder import MapBuilder  # noqa: E402
from netvlad_ros.training.attack.attack import AttackConfig, attack_image  # noqa: E402
from netvlad_ros.training.attack.attack_folder import AttackFolder  # noqa: E402
from netvlad_ros.training.attack.attack_metrics import attack_metrics  # noqa: E402
from netvlad_ros.training.attack.attack_run import AttackRun  # noqa: E402
from netvlad_ros.training.network.backbones.weights import load_backbone_weights  # noqa: E402
from netvlad_ros.training.network.export import export_bundle  # noqa: E402
from netvlad_ros.training.network.network_file import save_network  # noqa: E402

CALIBRATION = {'midpoint': 0.5, 'slope': 20.0, 'rival_slope': 5000.0}
PLACES = 3


def texture(seed: int) -> np.ndarray:
    """Smooth colours with edges, uint8 (72, 96, 3)."""
    coarse = np.random.default_rng(seed).integers(40, 216, (12, 16, 3), dtype=np.uint8)
    return cv2.resize(coarse, (96, 72), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """Folder, network and bundle; in it a drive of three views 120 degrees apart, and its map."""
    folder = tmp_path_factory.mktemp('attack')
    write_weights(folder / 'weights.safetensors')
    network = make_network(whitening='none', dim=384)
    load_backbone_weights(network.backbone, str(folder / 'weights.safetensors'))
    images = [texture(seed) for seed in range(PLACES)]
    save_network(folder / 'network', network, {})
    metadata = {**METADATA, 'calibration': CALIBRATION}
    export_bundle(network, images, metadata, folder / 'bundle.onnx')
    lines = [HEADER]
    for i, image in enumerate(images):
        write_image(folder / f'drive/images/{i}.png', image)
        lines.append(pose_line(f'images/{i}.png', 1 + i, pose(yaw_deg=120.0 * i)))
    (folder / 'drive/poses.csv').write_text('\n'.join(lines) + '\n')
    bundle = ModelBundle.load(folder / 'bundle.onnx', device='cpu', threads=1)
    MapBuilder(folder / 'map').build(open_drive(folder / 'drive'), bundle)
    return folder, network, bundle


def test_the_gradient_is_that_of_the_descriptor(place):
    _, network, bundle = place
    carrier, target = texture(0), bundle.describe(texture(1))
    similarity = [
        float(bundle.describe(attack_image(network, carrier, target, config)) @ target)
        for config in (AttackConfig(steps=1, rate=1.0, fidelity=0.0), AttackConfig(steps=12))
    ]
    assert float(bundle.describe(carrier) @ target) < similarity[0] < similarity[1]


def test_the_bound_is_kept_and_the_same_attack_gives_the_same_bytes(place):
    _, network, bundle = place
    carrier, target = texture(0), bundle.describe(texture(1))
    carrier[:4] = 0  # below which there are no bytes
    config = AttackConfig(steps=6, rate=3.0, fidelity=0.0, max_change=2, sizes=(1.0, 0.75))
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    first, again = (attack_image(network, carrier, target, config) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first.astype(int) - carrier).max() == 2
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_fidelity_holds_the_image(place):
    _, network, bundle = place
    carrier, target = texture(0), bundle.describe(texture(1))
    moved = [
        np.square(attack_image(network, carrier, target, config).astype(float) - carrier).mean()
        for config in (AttackConfig(15, 1.0, 0.0), AttackConfig(15, 1.0, 1e5))
    ]
    assert moved[1] < moved[0] / 2


def test_a_drive_is_attacked_and_what_was_stored_is_judged(place, tmp_path):
    folder, _, bundle = place
    out = tmp_path / 'out'
    arguments = [
        'attack', str(folder / 'drive'), '--network', str(folder / 'network.json'), '--bundle',
        str(folder / 'bundle.onnx'), '--map', str(folder / 'map'), '--steps', '40', '--rate', '2',
        '--fidelity', '0', '--slice', '1:', '--out', str(out), '--device', 'cpu',
    ]  # fmt: skip
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    result = json.loads((out / 'metrics.json').read_text())
    assert result['attacked'] == len(result['attempts']) == 2
    # The carriers are images of the map: without an attack each is found, and none is fooled.
    assert result['carrier']['retrieval']['at_truth'] == 2
    assert result['carrier']['retrieval']['at_target'] == 0
    assert result['carrier']['verification']['accepted_wrong'] == 0
    assert result['attack']['retrieval']['at_target'] == 2
    assert result['attack']['retrieval']['accepted_wrong'] == 2
    place_map = load_map(folder / 'map')
    for attempt in result['attempts']:
        stored = read_image(out / attempt['image'])
        found = bundle.describe(stored) @ place_map.descriptors[attempt['target']]
        assert attempt['similarity_after'] == pytest.approx(float(found), abs=1e-5)
        carrier = read_image(folder / 'drive' / attempt['carrier'])
        assert attempt['max_change'] == np.abs(stored.astype(int) - carrier).max()
    for mode in ('uncalibrated', 'standing', 'driving'):  # nothing verifies on this map
        assert result['attack'][mode]['accepted_wrong'] == 2
    assert result['rates']['wrong_prior_driving'] == pytest.approx(
        {'count': 2, 'of': 2, 'low': 0.025**0.5, 'high': 1.0}
    )
    assert (out / 'attack.png').is_file()
    page = (out / 'report.html').read_text()
    assert page.count('data:image/jpeg') == 8 and 'images/2.png' in page
    refused = CliRunner().invoke(app, [*arguments, '--seed', '1'])
    assert refused.exit_code == 1 and 'other settings (seed)' in refused.output


def test_the_images_of_a_stretch_share_a_target_and_count_once(place, tmp_path):
    folder, network, bundle = place
    place_map = load_map(folder / 'map')
    config = AttackConfig(steps=1)
    run = AttackRun(network, bundle, place_map, config, radius_deg=50.0, stretch=2)
    drive = open_drive(folder / 'drive')
    attempts = [
        attempt for attempt, _, _ in run.attempts(drive, slice(None), AttackFolder(tmp_path, {}), 1)
    ]
    # From views 0 and 1 only view 2 is elsewhere; the last image is a stretch of one.
    assert [(each.stretch, each.carrier[-5:]) for each in attempts] == [
        (0, '0.png'), (0, '1.png'), (1, '2.png')
    ]  # fmt: skip
    assert [each.target for each in attempts[:2]] == [2, 2]
    metrics = attack_metrics(attempts)
    assert metrics['rates']['wrong_prior_verification']['of'] == 3
    assert metrics['rates']['wrong_prior_driving']['of'] == 2
    with pytest.raises(NetvladError, match='a stretch of 51 is outside'):
        AttackRun(network, bundle, place_map, config, stretch=51)


def interrupted_at_the_second(monkeypatch):
    """Ctrl-C at the second attacked image; returns the list of attacked images."""
    calls = []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return attack_image(*arguments)

    monkeypatch.setattr('netvlad_ros.training.attack.attack_run.attack_image', interrupted)
    return calls


def test_ctrl_c_leaves_what_is_done_and_the_same_command_goes_on(place, tmp_path, monkeypatch):
    folder, *_ = place
    calls = interrupted_at_the_second(monkeypatch)
    out = tmp_path / 'out'

    def attacked():
        command = [
            'attack', str(folder / 'drive'), '--network', str(folder / 'network'), '--bundle',
            str(folder / 'bundle.onnx'), '--map', str(folder / 'map'), '--steps', '1', '--out',
            str(out),
        ]  # fmt: skip
        code = CliRunner().invoke(app, command).exit_code
        return code, json.loads((out / 'metrics.json').read_text())['attempts']

    code, [attempt] = attacked()
    assert code == 130 and (out / 'attack.png').is_file() and (out / 'report.html').is_file()
    written = (out / attempt['image']).stat().st_mtime_ns
    code, attempts = attacked()
    assert (code, attempts[0], len(attempts)) == (0, attempt, PLACES)
    assert (out / attempt['image']).stat().st_mtime_ns == written
    assert len(calls) == 2 + PLACES - 1  # one was there already


def test_ctrl_c_at_the_first_image_says_what_is_left(place, tmp_path, monkeypatch):
    folder, *_ = place
    interrupted_at_the_second(monkeypatch)
    command = [
        'attack', str(folder / 'drive'), '--network', str(folder / 'network'), '--bundle',
        str(folder / 'bundle.onnx'), '--map', str(folder / 'map'), '--steps', '1', '--out',
        str(tmp_path / 'out'), '--stretch', '2', '--angle', '50',
    ]  # fmt: skip
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 130
    assert 'interrupted: 0 images are judged' in done.output
    assert [path.suffix for path in sorted((tmp_path / 'out').iterdir())] == ['.png', '.json']


def test_what_was_damaged_is_attacked_anew(tmp_path):
    folder = AttackFolder(tmp_path / 'out', {'seed': 0})
    image = texture(0)
    np.testing.assert_array_equal(folder.write('a.png', image), image)
    folder = AttackFolder(tmp_path / 'out', {'seed': 0})
    assert folder.image('a.png', image.shape) is not None
    assert folder.image('a.png', (96, 72, 3)) is None
    path = tmp_path / 'out' / 'a.png'
    path.write_bytes(path.read_bytes()[:40])
    assert folder.image('a.png', image.shape) is None
    assert folder.image('b.png', image.shape) is None


def test_other_weights_than_the_bundle_are_refused(place, tmp_path):
    folder, _, bundle = place
    other = make_network(whitening='none', dim=384)
    run = AttackRun(other, bundle, load_map(folder / 'map'), AttackConfig(steps=1))
    with pytest.raises(NetvladError, match='exported from'):
        next(run.attempts(open_drive(folder / 'drive'), slice(None), AttackFolder(tmp_path, {})))


def test_a_map_of_one_place_has_no_target(place, tmp_path):
    folder, network, bundle = place
    run = AttackRun(
        network, bundle, load_map(folder / 'map'), AttackConfig(steps=1), radius_deg=90.0
    )
    out = AttackFolder(tmp_path / 'out', {})
    with pytest.raises(NetvladError, match='no image is left to attack'):
        next(run.attempts(open_drive(folder / 'drive'), slice(None), out))
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    'wrong',
    [{'steps': 0}, {'rate': 0.0}, {'fidelity': -1.0}, {'max_change': 0}, {'sizes': (9.0,)}],
)
def test_settings_out_of_range(wrong):
    with pytest.raises(NetvladError, match='attack:'):
        AttackConfig(**wrong)


@pytest.mark.parametrize('settings', ['[1]', '{"seed": 1', '[' * 100_000, '{}'])
def test_settings_of_another_hand(settings, tmp_path):
    (tmp_path / 'other.txt').touch()
    with pytest.raises(NetvladError, match='not empty and holds no attack'):
        AttackFolder(tmp_path, {'seed': 0})
    (tmp_path / 'settings.json').write_text(settings)
    with pytest.raises(NetvladError, match=r'cannot be read|other settings \(seed\)'):
        AttackFolder(tmp_path, {'seed': 0})
