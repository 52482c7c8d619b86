"""Import of networks of local features: weights of a public layout become a feature bundle."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip('torch')

import cv2  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from tiny_network import pictures  # noqa: E402

from netvlad_ros.core.errors import NetvladError  # noqa: E402
from netvlad_ros.core.features.feature_bundle import read_feature_metadata  # noqa: E402
from netvlad_ros.core.features.onnx_extractor import OnnxExtractor  # noqa: E402
from netvlad_ros.offline.bundles.local_parity import same_share  # noqa: E402
from netvlad_ros.training.importers.feature_network import FeatureNetwork  # noqa: E402
from netvlad_ros.training.importers.import_bundle import import_bundle  # noqa: E402
from netvlad_ros.training.network import local_head  # noqa: E402
from netvlad_ros.training.network.backbones.make_backbone import make_local_backbone  # noqa: E402

pytestmark = pytest.mark.usefixtures('seeded_torch')


def write(path, backbone, form):
    """A file of weights, as publishers write it."""
    state = dict(backbone.state_dict())
    if backbone.name == 'xfeat':
        state['fine_matcher.0.weight'] = torch.zeros(3, 3)
    if form == 'safetensors':
        save_file(state, path)
    elif form == 'nested':
        torch.save({'epoch': 3, 'model': {f'module.{k}': v for k, v in state.items()}}, path)
    else:
        torch.save(state, path)


@pytest.mark.parametrize(
    ('name', 'form', 'suffix', 'layout'),
    [
        ('xfeat', 'plain', '.pt', 'auto'),
        ('edgepoint2_t48', 'nested', '.pth', 'edgepoint2_t48'),
        ('edgepoint2_e64', 'safetensors', '.safetensors', 'auto'),
    ],
)
def test_a_feature_bundle_finds_what_the_network_finds(tmp_path, name, form, suffix, layout):
    backbone, source = make_local_backbone(name), tmp_path / f'weights{suffix}'
    write(source, backbone, form)
    out = tmp_path / 'features.onnx'
    said = import_bundle(source, out, layout=layout, keypoints=60, licence='MIT')
    assert name in said and 'at most 60 keypoints, licence MIT' in said
    metadata = read_feature_metadata(out)
    assert metadata.licence == 'MIT' and metadata.dim == backbone.channels
    extractor = OnnxExtractor(metadata.spec(max_keypoints=50), out)
    for image in (*pictures(1, (64, 96)), *pictures(1, (128, 64))):
        found = extractor.extract(image)
        with torch.no_grad():
            answers = FeatureNetwork(backbone, 60)(torch.from_numpy(image[None]))
        keypoints, _, rows = (answer[0, :50].numpy() for answer in answers)
        real = np.linalg.norm(rows, axis=1) > 0.5
        assert len(found) == real.sum() > 8
        stored = found.descriptors.astype(np.float64)  # in 8 or 16 bits
        stored /= np.linalg.norm(stored, axis=1, keepdims=True)
        np.testing.assert_allclose(found.keypoints, keypoints[real], atol=1e-3)
        assert (stored * rows[real]).sum(axis=1).min() > 0.998
    assert same_share(keypoints, rows, keypoints, rows) == 1.0


def test_files_that_do_not_fit_get_one_sentence(tmp_path, monkeypatch):
    small, out = make_local_backbone('edgepoint2_t48'), tmp_path / 'x.onnx'
    state = small.state_dict()
    good = tmp_path / 'good.pth'
    torch.save(state, good)
    name = 'conv2.bias'
    cases = {
        'layer conv2.bias is missing': {k: v for k, v in state.items() if k != name},
        'layer conv2.bias has shape': {**state, name: torch.zeros(3)},
        'layer conv2.bias holds NaN': {**state, name: torch.full((8,), torch.nan)},
        'unknown layers more.weight': {**state, 'more.weight': torch.zeros(1)},
        'is none of edgepoint2_e64': {'head.weight': torch.zeros(1)},
    }
    for message, broken in cases.items():
        path = tmp_path / 'broken.pth'
        torch.save(broken, path)
        with pytest.raises(NetvladError, match=message) as caught:
            import_bundle(path, out)
        assert '\n' not in str(caught.value)
    save_file({'head.weight': torch.zeros(1)}, tmp_path / 'other.safetensors')
    with pytest.raises(NetvladError, match='holds none of the networks of local features'):
        import_bundle(tmp_path / 'other.safetensors', out)
    with pytest.raises(NetvladError, match='has the layout edgepoint2_t48, not xfeat'):
        import_bundle(good, out, layout='xfeat')
    for option in ({'size': (64, 64)}, {'dim': 3}, {'pooling': 'mac'}, {'l2': 'none'}):
        with pytest.raises(NetvladError, match='no place descriptor: leave --'):
            import_bundle(good, out, **option)
    honest = local_head.LocalHead.forward

    def shifted(self, maps):  # in torch, not in the graph
        keypoints, scores, rows = honest(self, maps)
        return keypoints + (0.0 if torch.onnx.is_in_onnx_export() else 0.1), scores, rows

    monkeypatch.setattr(local_head.LocalHead, 'forward', shifted)
    with pytest.raises(NetvladError, match='refused: torch and onnxruntime find the same local'):
        import_bundle(good, out)
    assert not out.exists()


def test_the_command_imports_the_published_weights(tmp_path, shared_weights, capsys):
    from netvlad_ros.cli import main

    source = shared_weights.parent / 'edgepoint2_T48.safetensors'
    if not source.is_file():
        pytest.skip(f'weights not found at {source}')
    for index, image in enumerate(pictures(2, (96, 128))):
        cv2.imwrite(str(tmp_path / f'{index}.png'), image)
    out = tmp_path / 'edge.onnx'
    arguments = ['import', str(source), '--out', str(out), '--keypoints', '200']
    with pytest.raises(SystemExit) as caught:
        main([*arguments, '--images', str(tmp_path), '--licence', 'MIT'])
    said = capsys.readouterr()
    assert caught.value.code == 0, said.err
    assert 'local features of edgepoint2_t48, 48 columns, at most 200 keypoints' in said.out
