"""Backbones, initialisation of a network, and its files."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from safetensors.torch import load_file, save_file  # noqa: E402
from tiny_network import SMALL, make_network, pictures  # noqa: E402

from netvlad_ros.core.errors import NetvladError  # noqa: E402
from netvlad_ros.training.config.backbones import BACKBONE_LAYERS  # noqa: E402
from netvlad_ros.training.config.network import NetworkConfig  # noqa: E402
from netvlad_ros.training.fitting.initialisation import initialise_network  # noqa: E402
from netvlad_ros.training.network.backbones.torchvision_backbone import (  # noqa: E402
    TorchvisionBackbone,
)
from netvlad_ros.training.network.backbones.weights import load_backbone_weights  # noqa: E402
from netvlad_ros.training.network.network import PlaceNetwork  # noqa: E402
from netvlad_ros.training.network.network_file import load_network, save_network  # noqa: E402
from netvlad_ros.training.network.poolings.netvlad import NetVLAD  # noqa: E402
from netvlad_ros.training.torchvision_import import torchvision  # noqa: E402

pytestmark = pytest.mark.usefixtures('seeded_torch')


@pytest.mark.parametrize('name', ['alexnet', 'resnet18', 'mobilenet_v3_large', 'efficientnet_b0'])
def test_backbones_are_the_torchvision_model_to_their_layer(name):
    whole = getattr(torchvision.models, name)(weights=None).eval()
    images = torch.randn(1, 3, 64, 64)
    seen = {}
    for layer, described in BACKBONE_LAYERS[name].items():
        hook = whole.get_submodule(described.last).register_forward_hook(
            lambda module, given, answer, layer=layer: seen.update({layer: answer.clone()})
        )
        with torch.no_grad():
            whole(images)
        hook.remove()
        backbone = TorchvisionBackbone(name, layer).train()
        backbone.load(whole.state_dict(), 'test')
        with torch.no_grad():
            found = backbone(images)
        assert torch.equal(found, seen[layer])
        assert found.shape[1] == backbone.channels == described.channels


def test_layers_train_from_the_end_and_statistics_never_move():
    network = make_network(backbone='resnet18', trainable_layers=2)
    names = {n for n, p in network.backbone.named_parameters() if p.requires_grad}
    assert {name.rsplit('.', 2)[0].split('.')[0] for name in names} == {'layer3'}
    assert len(network.backbone.layers()) == 7
    rates = [group['lr'] for group in network.parameter_groups(1.0, 2.0)]
    assert rates == [1.0, 2.0]
    frozen = make_network(trainable_layers=0, pooling='mac')
    assert frozen.parameter_groups(1.0, 2.0) == []
    assert len(make_network(whitening='linear').parameter_groups(1.0, 2.0)[1]['params']) == 5
    with pytest.raises(NetvladError, match='trainable_layers is 99, but resnet18 has 7'):
        make_network(backbone='resnet18', trainable_layers=99)
    network.train()
    before = {k: v.clone() for k, v in network.named_buffers()}
    network.pool(torch.from_numpy(np.stack(pictures()))).sum().backward()
    assert all(torch.equal(v, before[k]) for k, v in network.named_buffers())
    for name, parameter in network.backbone.named_parameters():
        assert (parameter.grad is not None) == (name in names), name


def test_shared_weights_fit_and_are_taken_as_symmetric(shared_weights):
    config = NetworkConfig(**{**SMALL, 'weights': str(shared_weights)})
    network = PlaceNetwork(config)
    load_backbone_weights(network.backbone, config.weights)
    first = load_file(shared_weights)['features.0.0.weight']
    assert torch.equal(network.backbone.features[0][0].weight, first)
    pixels = torch.tensor([[[[0, 255, 51]]]], dtype=torch.uint8)
    assert network.normalisation(pixels).flatten().tolist() == pytest.approx([-1.0, 1.0, -0.6])
    assert NetworkConfig(backbone='resnet18', weights='x.pth').normalisation == 'imagenet'
    assert NetworkConfig(weights='torchvision').normalisation == 'imagenet'


def test_weights_with_a_missing_layer_are_refused(tmp_path):
    backbone = TorchvisionBackbone('mobilenet_v2')
    good = backbone.state_dict()
    name = 'features.3.conv.0.0.weight'
    bad = {
        'is missing': {k: v for k, v in good.items() if k != name},
        'has shape': good | {name: torch.zeros(1)},
        'not finite': good | {name: torch.full_like(good[name], torch.nan)},
    }
    for message, state in bad.items():
        save_file(state, tmp_path / 'w.safetensors')
        with pytest.raises(NetvladError, match=rf'layer {name}.* {message}|{message}'):
            load_backbone_weights(backbone, str(tmp_path / 'w.safetensors'))
    torch.save(bad['is missing'], tmp_path / 'w.pth')
    with pytest.raises(NetvladError, match='is missing'):
        load_backbone_weights(backbone, str(tmp_path / 'w.pth'))
    torch.save(good, tmp_path / 'w.pth')
    load_backbone_weights(backbone, str(tmp_path / 'w.pth'))


class Trap:
    def __reduce__(self):
        return (open, ('/tmp/network-trap', 'w'))


def test_weights_that_are_no_weights_get_one_sentence(tmp_path, monkeypatch):
    backbone = TorchvisionBackbone('mobilenet_v2')
    (tmp_path / 'junk.safetensors').write_bytes(b'\x80\x04junk')
    (tmp_path / 'junk.pth').write_bytes(b'\x80\x04junk')
    (tmp_path / 'notes.txt').write_text('hello')
    torch.save({'state': Trap()}, tmp_path / 'code.pth')
    torch.save({'epoch': 3}, tmp_path / 'other.pth')

    def offline(*_, **__):
        raise OSError('no route to host')

    monkeypatch.setattr(torch.hub, 'download_url_to_file', offline)
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    for weights, message in {
        '': 'weights are not chosen',
        str(tmp_path / 'absent.pth'): 'does not exist',
        str(tmp_path / 'absent.safetensors'): 'does not exist',
        str(tmp_path / 'junk.safetensors'): 'not a readable safetensors',
        str(tmp_path / 'junk.pth'): 'no checkpoint that torch.save wrote',
        str(tmp_path / 'code.pth'): 'refused: this pickle asks for the code',
        str(tmp_path / 'other.pth'): 'must hold a state dict',
        str(tmp_path / 'notes.txt'): 'neither a .safetensors nor a .pth',
        str(tmp_path): 'neither a',
        'torchvision': 'cannot be downloaded .no route to host.',
    }.items():
        with pytest.raises(NetvladError, match=message) as caught:
            load_backbone_weights(backbone, weights)
        assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'backbone': 'resnet9'}, "backbone is 'resnet9'; choose one of alexnet"),
        ({'layer': 'conv9'}, "mobilenet_v2 cannot be cut at 'conv9'; choose one of stride16"),
        ({'pooling': 'rmac', 'resize': 'keep_aspect'}, 'rmac needs resize stretch'),
        ({'pooling': 'crn', 'height': 40}, 'crn needs images of 48 px'),
        ({'whitening': 'none', 'dim': 7}, 'set dim to 384, not 7'),
        ({'dim': 5000}, 'whitening to 5000 dimensions is impossible'),
    ],
)
def test_settings_that_do_not_go_together_get_one_sentence(settings, message):
    with pytest.raises(NetvladError, match=message):
        PlaceNetwork(NetworkConfig(**{**SMALL, **settings}))


@pytest.mark.parametrize(
    'settings',
    [
        {'pooling': 'crn', 'ghost_clusters': 1, 'decoupled_bias': False},
        {'pooling': 'gem', 'whitening': 'linear'},
        {'pooling': 'netvlad', 'whitening': 'linear', 'dim': 40},
    ],
)
def test_a_network_is_initialised_from_images_and_a_seed(image_files, settings):
    def start(seed):
        network = PlaceNetwork(NetworkConfig(**{**SMALL, **settings, 'height': 128, 'width': 192}))
        return network, initialise_network(network, image_files, seed=seed)

    network, story = start(3)
    assert 'random weights' in story
    assert ('alpha' in story) == isinstance(network.pooling, NetVLAD)
    if network.config.whitening == 'linear':
        few = network.dim >= len(image_files)
        assert ('too few for PCA' in story) == few and ('from PCA' in story) == (not few)
        assert torch.isfinite(network(torch.zeros(1, 64, 96, 3, dtype=torch.uint8))).all()
    again, _ = start(3)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_network_files_describe_themselves(tmp_path):
    network = make_network(pooling='crn', ghost_clusters=2, backbone='resnet18', normalise='caffe')
    save_network(tmp_path / 'best.1', network, {'step': 7})
    for name in ('best.1', 'best.1.json', 'best.1.safetensors'):
        loaded, extra = load_network(tmp_path / name)
        assert extra == {'step': 7}
        assert loaded.config == network.config
    images = torch.from_numpy(np.stack(pictures(2, (64, 96))))
    with torch.no_grad():
        assert torch.equal(loaded(images), network(images))


def test_broken_network_files_get_one_sentence(tmp_path, monkeypatch):
    network, stem = make_network(pooling='gem'), tmp_path / 'net'
    text, numbers = stem.with_suffix('.json'), stem.with_suffix('.safetensors')
    save_network(stem, network, {})
    good, state = json.loads(text.read_text()), load_file(numbers)
    mark = {'fingerprint': good['fingerprint']}

    def refused(message):
        with pytest.raises(NetvladError, match=message) as caught:
            load_network(stem)
        assert '\n' not in str(caught.value)

    def change(**entries):
        text.write_text(json.dumps({**good, **entries}))

    change(format_version=9)
    refused('network format 9')
    change(fingerprint='other')
    refused('does not belong to the JSON')
    change(network={**good['network'], 'backbone': 'resnet18'})
    refused('layer normalisation.*|layer backbone.* is missing')
    change(network={**good['network'], 'dim': 9})
    refused(r'layer whitening.linear.weight is .*\(8, 96\), .* needs .*\(9, 96\)')
    change(network={**good['network'], 'colour': 1})
    refused("unknown setting 'colour'")
    change(network={k: v for k, v in good['network'].items() if k != 'height'})
    refused('setting height is missing')
    change(network=[])
    refused('must be a mapping')
    change(surprise=1)
    refused('must hold exactly')
    text.write_text('{' * 100_000)
    refused('not readable JSON')
    change()
    save_file({k: v for k, v in state.items() if k != 'pooling.p'}, numbers, mark)
    refused('layer pooling.p is missing')
    save_file({**state, 'more': torch.zeros(1)}, numbers, mark)
    refused('layer more has no place')
    save_file({**state, 'pooling.p': torch.tensor([torch.nan])}, numbers, mark)
    refused('layer pooling.p is not finite')
    numbers.write_bytes(b'\x80\x04junk')
    refused('not a readable safetensors')
    monkeypatch.setattr('netvlad_ros.training.network.network_file.MAX_TENSOR_BYTES', 3)
    refused('has 6 bytes, more than 3')
    numbers.unlink()
    refused('does not exist')
