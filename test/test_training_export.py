"""Export: a bundle describes as its network does, or is not written."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip('torch')


from test_written_before import SHIPPED as EARLIER  # noqa: E402
from tiny_network import METADATA, make_network, pictures  # noqa: E402

from netvlad_ros.core.camera.image import read_image  # noqa: E402
from netvlad_ros.core.errors import NetvladError  # noqa: E402
from netvlad_ros.core.model.bundle import ModelBundle  # noqa: E402
from netvlad_ros.offline.bundles.revised_bundle import revise_bundle  # noqa: E402
from netvlad_ros.training.network import export as export_module  # noqa: E402
from netvlad_ros.training.network.export import export_bundle  # noqa: E402
from netvlad_ros.training.network.network import PlaceNetwork  # noqa: E402
from netvlad_ros.training.network.network_file import save_network  # noqa: E402

pytestmark = pytest.mark.usefixtures('seeded_torch')


def unit(row):
    return row / np.linalg.norm(row)


@pytest.mark.parametrize(
    ('half', 'backbone', 'settings'),
    [
        (False, 'mobilenet_v2', {'pooling': 'crn', 'ghost_clusters': 1, 'layer': 'expand16'}),
        (False, 'mobilenet_v2', {'pooling': 'spoc', 'whitening': 'none', 'dim': 96}),
        (False, 'mobilenet_v2', {'resize': 'keep_aspect', 'decoupled_bias': False}),
        (False, 'mobilenet_v3_large', {'pooling': 'gem'}),
        (False, 'resnet18', {'pooling': 'rmac'}),
        (True, 'mobilenet_v2', {'pooling': 'crn'}),
        (True, 'efficientnet_b0', {'pooling': 'crow', 'layer': 'expand16'}),
        (True, 'alexnet', {'pooling': 'mac', 'normalise': 'caffe'}),
    ],
)
def test_export_answers_as_the_network_does(tmp_path, half, backbone, settings):
    network = make_network(backbone=backbone, **settings)
    images, path = [*pictures(2), *pictures(1, (64, 48))], tmp_path / 'model.onnx'
    model_id = export_bundle(network, images, METADATA, path, half=half)
    bundle = ModelBundle.load(path, device='cpu')
    assert bundle.metadata.model_id == model_id
    assert bundle.metadata.dim == network.dim
    assert bundle.metadata.backbone.startswith(backbone)
    preprocessing = network.preprocessing
    with torch.no_grad():
        expected = [network(torch.from_numpy(preprocessing(i))[None])[0].numpy() for i in images]
    found = bundle.describe_batch(images)
    assert (found * np.stack(expected)).sum(1).min() > (0.9999 if half else 0.999999)


def test_half_precision_halves_the_file(tmp_path):
    network = make_network(dim=100)
    for half, name in ((False, 'whole.onnx'), (True, 'half.onnx')):
        export_bundle(network, pictures(), METADATA, tmp_path / name, half=half)
    sizes = [(tmp_path / name).stat().st_size for name in ('whole.onnx', 'half.onnx')]
    assert sizes[1] < 0.53 * sizes[0]


def test_parity_gate_refuses_a_broken_export_and_leaves_no_file(tmp_path, monkeypatch):
    honest = export_module.trace

    def broken(network, preprocessing, outputs):
        graph = honest(network, preprocessing, outputs)
        for tensor in graph.graph.initializer:
            if 'whitening' in tensor.name and len(tensor.dims) == 2:
                array = np.frombuffer(tensor.raw_data, np.float32).copy()
                array[: len(array) // 2] *= 1.2
                tensor.raw_data = array.tobytes()
        return graph

    monkeypatch.setattr(export_module, 'trace', broken)
    with pytest.raises(NetvladError, match='refused: torch and onnxruntime agree only to cosine'):
        export_bundle(make_network(), pictures(), METADATA, tmp_path / 'm.onnx')
    monkeypatch.undo()
    network = make_network()
    network.whitening.linear.bias.data.fill_(float('nan'))
    with pytest.raises(NetvladError, match='refused'):
        export_bundle(network, pictures(), METADATA, tmp_path / 'm.onnx')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('shipped', ['now', 'before'])
def test_cut_of_a_shipped_model_is_its_first_dimensions(tmp_path, model_path, shared_data, shipped):
    if shipped == 'before':
        model_path = EARLIER
    folder = shared_data / 'corridor_loop' / 'images'
    images = [read_image(folder / f'{index:03d}.jpg') for index in (1, 40)]
    whole = ModelBundle.load(model_path, device='cpu')
    expected = whole.describe_batch(images)[:, :128].astype(np.float64)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    out = tmp_path / 'small.onnx'
    model_id, dropped = revise_bundle(model_path, out, dim=128, images=images)
    small = ModelBundle.load(out, device='cpu')
    np.testing.assert_allclose(small.describe_batch(images), expected, atol=1e-6)
    assert dropped and small.metadata.calibration is None
    assert small.metadata.model_id == model_id != whole.metadata.model_id
    assert small.metadata.name == 'small' and small.metadata.whitening.endswith('cut to 128')
    assert small.metadata.licence == whole.metadata.licence
    if shipped == 'before':  # the one of now has two whitening layers, which stay whole
        assert out.stat().st_size < model_path.stat().st_size - 384 * 6144 * 4
    with pytest.raises(NetvladError, match='has 128 dimensions: it cannot be cut to 129'):
        revise_bundle(out, tmp_path / 'x.onnx', dim=129)
    with pytest.raises(NetvladError, match='nothing to do'):
        revise_bundle(out, tmp_path / 'x.onnx', dim=128)


def test_a_bundle_without_whitening_is_not_cut(tmp_path):
    network = make_network(pooling='mac', whitening='none', dim=96)
    path = tmp_path / 'plain.onnx'
    export_bundle(network, pictures(), METADATA, path)
    with pytest.raises(NetvladError, match='has no whitening layer'):
        revise_bundle(path, tmp_path / 'x.onnx', dim=8)
    export_bundle(network, pictures(), {**METADATA, 'whitening': 'claimed'}, path)
    with pytest.raises(NetvladError, match='does not end with a whitening layer'):
        revise_bundle(path, tmp_path / 'x.onnx', dim=8)
    assert [file.name for file in tmp_path.iterdir()] == ['plain.onnx']


def test_the_command_exports_networks_runs_and_bundles(tmp_path, image_files, capsys):
    from netvlad_ros.cli import main

    def netvlad(*arguments):
        with pytest.raises(SystemExit) as caught:
            main(['export', *map(str, arguments)])
        return caught.value.code, capsys.readouterr()

    run = tmp_path / 'run'
    network = make_network()
    metadata = {'licence': 'MIT', 'calibration': {'midpoint': 0.4, 'slope': 9.0}}
    save_network(run / 'network', network, {'metadata': metadata})
    code, said = netvlad(run, '--out', tmp_path / 'a.onnx', '--images', image_files[0].parent)
    assert code == 0 and 'a.onnx: model' in said.out
    whole = ModelBundle.load(tmp_path / 'a.onnx', device='cpu')
    assert whole.metadata.licence == 'MIT' and whole.metadata.calibration is not None
    for source in (run / 'network.json', tmp_path / 'a.onnx'):
        code, said = netvlad(source, '--out', tmp_path / 'b.onnx', '--dim', 3, '--half')
        assert code == 0 and 'calibration was dropped' in said.err
        small = ModelBundle.load(tmp_path / 'b.onnx', device='cpu')
        assert small.metadata.dim == 3 and small.metadata.calibration is None
        image = pictures(1)[0]
        expected = unit(whole.describe(image)[:3].astype(np.float64))
        assert expected @ small.describe(image) > 0.9999
    save_network(run / 'network', PlaceNetwork(network.config), {})
    code, said = netvlad(run, '--out', tmp_path / 'c.onnx')
    assert code == 1 and 'its whitening is not fitted' in said.err
    code, said = netvlad(tmp_path, '--out', tmp_path / 'c.onnx')
    assert code == 1 and 'no finished run' in said.err
    assert not (tmp_path / 'c.onnx').exists()
