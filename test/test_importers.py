"""Import of public PyTorch models: files with random weights, evaluated independently."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from imported_bundle import IMAGES, SIZE, check  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

from netvlad_ros.core.errors import NetvladError  # noqa: E402
from netvlad_ros.training.importers.import_bundle import import_bundle  # noqa: E402
from netvlad_ros.training.torchvision_import import torchvision  # noqa: E402

pytestmark = pytest.mark.usefixtures('seeded_torch', 'no_gradients')


def random_backbone(layers):
    """As the public trainers build it; weights and batch norm statistics random."""
    backbone = nn.Sequential(*layers).eval()
    for name, tensor in backbone.state_dict().items():
        if tensor.ndim == 4:
            nn.init.kaiming_normal_(tensor)
        elif name.endswith('running_var'):
            tensor.uniform_(0.5, 1.5)
        elif tensor.is_floating_point():
            tensor.normal_(1.0 if name.endswith('weight') else 0.0, 0.1)
    return backbone


def pixels():
    """ToTensor and Normalize of torchvision, which both PyTorch trainers use."""
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return ((torch.from_numpy(np.stack(IMAGES)) / 255 - mean) / std).permute(0, 3, 1, 2)


def netvlad(x, state, prefix, mask=1.0):
    """Residuals of every local descriptor to every centroid, as the papers write it."""
    x = F.normalize(x, dim=1)
    bias = state.get(f'{prefix}conv.bias')
    a = F.conv2d(x, state[f'{prefix}conv.weight'], bias).softmax(dim=1) * mask
    difference = x[:, None] - state[f'{prefix}centroids'][None, :, :, None, None]
    v = (a[:, :, None] * difference).sum(dim=(3, 4))
    return F.normalize(F.normalize(v, dim=2).flatten(1), dim=1)


def clusters(prefix, channels, count, *, bias=False):
    state = {
        f'{prefix}centroids': F.normalize(torch.randn(count, channels), dim=1),
        f'{prefix}conv.weight': 20 * F.normalize(torch.randn(count, channels, 1, 1), dim=1),
    }
    if bias:
        state[f'{prefix}conv.bias'] = torch.randn(count)
    return state


# --- pytorch-NetVlad ----------------------------------------------------------------------------


def nanne(backbone, pool, *, parallel=False):
    between = 'module.' if parallel else ''
    state = OrderedDict(
        [(f'encoder.{between}{k}', v) for k, v in backbone.state_dict().items()]
        + [(k.replace('pool.', f'pool.{between}'), v) for k, v in pool.items()]
    )
    optimizer = torch.optim.SGD(backbone.parameters(), lr=1e-4, momentum=0.9)
    return {
        'epoch': 12,
        'state_dict': state,
        'recalls': {n: np.float64(0.9) for n in (1, 5, 10, 20)},
        'best_score': np.float64(0.95),
        'optimizer': optimizer.state_dict(),
        'parallel': parallel,
    }


@pytest.mark.parametrize(
    ('arch', 'bias', 'parallel', 'zipped'),
    [('vgg16', False, False, False), ('alexnet', True, True, True)],
    ids=['vgg16 before torch 1.6', 'alexnet vladv2 on two GPUs'],
)
def test_pytorch_netvlad(tmp_path, arch, bias, parallel, zipped):
    model = getattr(torchvision.models, arch)
    with torch.device('meta'):
        layers = list(model(weights=None).features.children())[:-2]
    backbone = random_backbone([layer.to_empty(device='cpu') for layer in layers])
    pool = clusters('pool.', 512 if arch == 'vgg16' else 256, 4, bias=bias)
    source = tmp_path / 'model_best.pth.tar'
    torch.save(
        nanne(backbone, pool, parallel=parallel), source, _use_new_zipfile_serialization=zipped
    )
    metadata, _ = check(source, netvlad(backbone(pixels()), pool, 'pool.'), tmp_path)
    assert (metadata.licence, metadata.whitening) == ('unknown', 'none')
    assert metadata.backbone.startswith(arch)


def test_images_too_small_for_the_layers(tmp_path):
    torch.save(nanne(alexnet(), clusters('pool.', 256, 4)), source := tmp_path / 'model.pth.tar')
    with pytest.raises(NetvladError, match='does not work on images of 16x16 px'):
        import_bundle(source, tmp_path / 'x.onnx', size=(16, 16))


def alexnet():
    with torch.device('meta'):
        layers = list(torchvision.models.alexnet(weights=None).features.children())[:-2]
    return random_backbone([layer.to_empty(device='cpu') for layer in layers])


@pytest.mark.parametrize(
    ('pooling', 'pool'), [('mac', F.adaptive_max_pool2d), ('spoc', F.adaptive_avg_pool2d)]
)
def test_pytorch_netvlad_without_clusters(tmp_path, pooling, pool):
    backbone = alexnet()
    torch.save(nanne(backbone, {}), source := tmp_path / 'checkpoint.pth.tar')
    with pytest.raises(NetvladError, match='--pooling mac or spoc'):
        import_bundle(source, tmp_path / 'x.onnx', size=SIZE)
    check(source, pool(backbone(pixels()), 1)[:, :, 0, 0], tmp_path, pooling=pooling)


@pytest.mark.parametrize(
    ('harm', 'words'),
    [
        (lambda state: state.pop('encoder.6.bias'), 'encoder.6.bias is missing'),
        (lambda state: state.pop('pool.centroids'), 'pool.centroids is missing'),
        (lambda state: state.update({'pool.extra': torch.ones(1)}), 'unknown layers pool.extra'),
        (lambda state: state.update({'encoder.6.bias': torch.ones(7)}), r'shape \(7,\), needs'),
        (lambda state: state['encoder.6.bias'].fill_(torch.nan), 'NaN'),
        (lambda state: state.update({'encoder.6.bias': 'x'}), 'no tensor'),
    ],
    ids=['missing', 'no centroids', 'unknown', 'shape', 'NaN', 'text'],
)
def test_checkpoints_of_another_architecture_are_refused(tmp_path, harm, words):
    checkpoint = nanne(alexnet(), clusters('pool.', 256, 4))
    harm(checkpoint['state_dict'])
    torch.save(checkpoint, source := tmp_path / 'checkpoint.pth.tar')
    with pytest.raises(NetvladError, match=words):
        import_bundle(source, tmp_path / 'x.onnx', size=SIZE)
    assert not (tmp_path / 'x.onnx').exists()


# --- the deep visual geo-localization benchmark -------------------------------------------------


def vgbench(backbone, aggregation):
    state = {f'module.backbone.{k}': v for k, v in backbone.state_dict().items()}
    state |= {f'module.{k}': v for k, v in aggregation.items()}
    return {
        'epoch_num': 7,
        'model_state_dict': OrderedDict(state),
        'optimizer_state_dict': torch.optim.Adam(backbone.parameters()).state_dict(),
        'recalls': np.array([80.0, 90.0, 93.0, 95.0]),
        'best_r5': np.float64(90.0),
        'not_improved_num': 0,
    }


def resnet(depth, stage):
    with torch.device('meta'):
        model = getattr(torchvision.models, f'resnet{depth}')(weights=None)
        children = list(model.children())[: -3 if stage == 'conv4' else -2]
    return random_backbone([child.to_empty(device='cpu') for child in children])


def linear(x, width=32):
    """A linear layer that removes most of what random descriptors share; and its output."""
    weight = torch.randn(width, x.shape[1])
    bias = -0.95 * weight @ x.mean(dim=0)
    state = {'aggregation.1.weight': weight, 'aggregation.1.bias': bias}
    return state, x @ weight.T + bias


def gem(x, p=2.7):
    return x.clamp(min=1e-6).pow(p).mean(dim=(2, 3)).pow(1 / p)


@pytest.mark.parametrize(
    ('depth', 'stage', 'alone'), [(18, 'conv4', False), (18, 'conv5', True), (50, 'conv4', False)]
)
def test_vgbench_netvlad(tmp_path, depth, stage, alone):
    backbone = resnet(depth, stage)
    x = backbone(pixels())
    pool = clusters('aggregation.', x.shape[1], 4)
    checkpoint = vgbench(backbone, pool)
    torch.save(checkpoint['model_state_dict'] if alone else checkpoint, tmp_path / 'best_model.pth')
    metadata, _ = check(tmp_path / 'best_model.pth', netvlad(x, pool, 'aggregation.'), tmp_path)
    assert metadata.backbone == f'resnet{depth} {stage}'


def test_vgbench_crn(tmp_path):
    backbone = resnet(18, 'conv4')
    x = backbone(pixels())
    pool = clusters('aggregation.', 256, 4)
    for side, count in ((3, 32), (5, 32), (7, 20)):
        name = f'aggregation.crn.filter_{side}_{side}'
        pool[f'{name}.weight'] = torch.randn(count, 256, side, side) / side
        pool[f'{name}.bias'] = torch.randn(count)
    pool['aggregation.crn.acc_w.weight'] = torch.randn(1, 84, 1, 1)
    half = nn.AvgPool2d(3, stride=2, ceil_mode=True)(F.normalize(x, dim=1))
    context = [
        F.conv2d(
            half,
            pool[f'aggregation.crn.filter_{side}_{side}.weight'],
            pool[f'aggregation.crn.filter_{side}_{side}.bias'],
            padding=side // 2,
        )
        for side in (3, 5, 7)
    ]
    mask = F.conv2d(torch.cat(context, 1).relu(), pool['aggregation.crn.acc_w.weight'])
    pool['aggregation.crn.acc_w.bias'] = -mask.median()[None]
    mask = F.interpolate((mask - mask.median()).relu(), scale_factor=2, mode='bilinear')
    torch.save(vgbench(backbone, pool), source := tmp_path / 'best_model.pth')
    expected = netvlad(x, pool, 'aggregation.', mask)
    assert (expected - netvlad(x, pool, 'aggregation.')).norm(dim=1).min() > 0.05
    assert check(source, expected, tmp_path)[0].pooling == 'crn'


@pytest.mark.parametrize('l2', ['before_pool', 'after_pool', 'none'])
def test_vgbench_gem_with_a_linear_layer(tmp_path, l2):
    backbone = resnet(18, 'conv4')
    x = backbone(pixels())
    pooled = gem(F.normalize(x, dim=1) if l2 == 'before_pool' else x)
    pooled = F.normalize(pooled, dim=1) if l2 == 'after_pool' else pooled
    state, answer = linear(pooled)
    state['aggregation.0.1.p' if l2 == 'before_pool' else 'aggregation.0.0.p'] = torch.tensor([2.7])
    torch.save(vgbench(backbone, state), source := tmp_path / 'best_model.pth')
    options = {}
    if l2 != 'before_pool':
        with pytest.raises(NetvladError, match='--l2 after_pool or --l2 none'):
            import_bundle(source, tmp_path / 'x.onnx', size=SIZE)
        options = {'l2': l2}
    metadata, _ = check(source, answer, tmp_path, **options)
    assert metadata.whitening == 'linear'


def test_vgbench_gem_alone(tmp_path):
    backbone = alexnet()
    torch.save(
        vgbench(backbone, {'aggregation.0.p': torch.tensor([2.7])}), source := tmp_path / 'a.pth'
    )
    check(source, gem(backbone(pixels())), tmp_path)
    for options, words in (
        ({'pooling': 'mac'}, '--pooling mac is not what it holds: gem'),
        ({'l2': 'before_pool'}, '--l2 before_pool is not what it holds: after_pool'),
        ({'l2': 'both'}, '--l2 both is unknown; choose one of before_pool'),
        ({'layout': 'matlab'}, '--layout matlab is unknown'),
        ({'layout': 'pytorch_netvlad'}, 'has the layout vgbench, not pytorch_netvlad'),
        ({'dim': 8}, 'not whitened'),
        ({'images': tmp_path / 'none'}, 'two images or more, found 0'),
    ):
        with pytest.raises(NetvladError, match=words):
            import_bundle(source, tmp_path / 'x.onnx', size=SIZE, **options)


def rmac(x, levels=3):
    """As the benchmark lays out its regions."""
    height, width = x.shape[2:]
    short = min(height, width)
    step = (max(height, width) - short) / (torch.tensor([2.0, 3, 4, 5, 6, 7]) - 1)
    extra = ((short**2 - short * step) / short**2 - 0.4).abs().argmin().item() + 1
    more = {height: 0, width: 0} | {max(height, width): 0 if height == width else extra}
    unit = lambda v: v / (v.norm(dim=1, keepdim=True) + 1e-6)  # noqa: E731
    total = unit(x.amax(dim=(2, 3)))
    for level in range(1, levels + 1):
        side = int(2 * short / (level + 1))
        half = int(np.floor(side / 2 - 1))
        starts = []
        for length in (height, width):
            count = level + more[length]
            b = 0 if count == 1 else (length - side) / (count - 1)
            starts.append(
                (torch.floor(half + torch.arange(count).float() * b) - half).int().tolist()
            )
        for i in starts[0]:
            for j in starts[1]:
                total = total + unit(x[:, :, i : i + side, j : j + side].amax(dim=(2, 3)))
    return total


@pytest.mark.parametrize(
    ('pooling', 'l2', 'with_linear'),
    [('mac', 'after_pool', False), ('spoc', 'before_pool', True), ('rmac', 'before_pool', True)],
)
def test_vgbench_poolings_without_a_trace(tmp_path, pooling, l2, with_linear):
    backbone = resnet(18, 'conv4')
    x = backbone(pixels())
    x = F.normalize(x, dim=1) if l2 == 'before_pool' else x
    pool = {'mac': lambda x: x.amax((2, 3)), 'spoc': lambda x: x.mean((2, 3)), 'rmac': rmac}
    state, answer = {}, pool[pooling](x)
    if with_linear:
        state, answer = linear(answer)
    torch.save(vgbench(backbone, state), source := tmp_path / 'best_model.pth')
    with pytest.raises(NetvladError, match='--pooling mac --l2 before_pool'):
        import_bundle(source, tmp_path / 'x.onnx', size=SIZE)
    check(source, answer, tmp_path, pooling=pooling, l2=l2)


@pytest.mark.parametrize(
    ('harm', 'words'),
    [
        (lambda state: state.pop('module.backbone.6.bias'), 'backbone.6.bias is missing'),
        (lambda state: state.update({'module.extra': torch.ones(1)}), 'unknown layers extra'),
        (
            lambda state: state.update({'module.aggregation.1.weight': torch.ones(8, 256)}),
            r'holds no aggregation layer|is missing',
        ),
        (
            lambda state: state.update({'module.aggregation.conv.weight': torch.ones(4, 256)}),
            r'conv.weight has shape \(4, 256\), needs \(4, 256, 1, 1\)',
        ),
    ],
    ids=['missing', 'unknown', 'linear', 'shape'],
)
def test_vgbench_of_another_architecture_is_refused(tmp_path, harm, words):
    checkpoint = vgbench(alexnet(), clusters('aggregation.', 256, 4))
    harm(checkpoint['model_state_dict'])
    torch.save(checkpoint, source := tmp_path / 'best_model.pth')
    with pytest.raises(NetvladError, match=words):
        import_bundle(source, tmp_path / 'x.onnx', size=SIZE)
    assert not (tmp_path / 'x.onnx').exists()


def test_a_transformer_of_vgbench_is_refused(tmp_path):
    state = {'backbone.vit_model.cls_token': torch.ones(1, 1, 768)}
    torch.save({'model_state_dict': state}, source := tmp_path / 'vit.pth')
    with pytest.raises(NetvladError, match='none of alexnet, vgg16, resnet18'):
        import_bundle(source, tmp_path / 'x.onnx')
