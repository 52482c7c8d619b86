"""Public models: files of their exact layouts, random weights, against evaluations written here."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import scipy.io

torch = pytest.importorskip('torch')

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

from netvlad_ros.core.descriptor import ModelBundle  # noqa: E402
from netvlad_ros.core.errors import NetvladError  # noqa: E402
from netvlad_ros.core.image import Preprocessing  # noqa: E402
from netvlad_ros.offline.graph_parity import stand_in_images  # noqa: E402
from netvlad_ros.training.importers.import_bundle import import_bundle  # noqa: E402
from netvlad_ros.training.vision import torchvision  # noqa: E402

SIZE = (64, 96)
IMAGES = stand_in_images(Preprocessing(*SIZE))
VGG16 = [64, 64, 'M', 128, 128, 'M', 256, 256, 256, 'M', 512, 512, 512, 'M', 512, 512, 512]


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with torch.no_grad():
        yield
    torch.set_num_threads(threads)


def random_trunk(layers):
    """As the public trainers build it; weights and batch norm statistics random."""
    trunk = nn.Sequential(*layers).eval()
    for name, tensor in trunk.state_dict().items():
        if tensor.ndim == 4:
            nn.init.kaiming_normal_(tensor)
        elif name.endswith('running_var'):
            tensor.uniform_(0.5, 1.5)
        elif tensor.is_floating_point():
            tensor.normal_(1.0 if name.endswith('weight') else 0.0, 0.1)
    return trunk


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


def check(source, expected, tmp_path, **options):
    """The bundle of source answers as expected, and images do not all look alike to it."""
    out = tmp_path / 'imported.onnx'
    sentence = import_bundle(source, out, size=SIZE, **options)
    bundle = ModelBundle.load(out, device='cpu')
    expected = F.normalize(expected, dim=1).numpy()
    assert np.linalg.norm(expected[0] - expected[1]) > 0.02
    assert np.abs(bundle.describe_batch(IMAGES) - expected).max() < 1e-4
    assert bundle.metadata.dim == expected.shape[1]
    assert bundle.metadata.training['file'] == source.name
    return bundle.metadata, sentence


# --- the authors' MATLAB release ----------------------------------------------------------------


def matlab_net(clusters_count=4, dim=16, bias=False, slimmer=1):
    """The struct net of vd16_*_conv5_3_vlad_preL2_intra_white.mat, and its weights as drawn."""
    rng = np.random.default_rng(0)
    layers, convs, channels, stage, number = [], [], 3, 1, 1

    def add(kind, name, **fields):
        layers.append({'type': kind, 'name': name, **fields, 'precious': 0})

    def relu():
        add('relu', f'relu{layers[-1]["name"]}', leak=0.0)

    def cells(*arrays):
        cell = np.empty((1, len(arrays)), dtype=object)
        cell[0] = [np.asarray(array, dtype=np.float32) for array in arrays]
        return cell

    for width in VGG16:
        if width == 'M':  # the authors swap ReLU and pooling for speed
            relu_last = layers.pop()
            add(
                'pool',
                f'pool{stage}',
                method='max',
                pool=[2.0, 2.0],
                stride=[2.0, 2.0],
                pad=[0.0, 0.0, 0.0, 0.0],
            )
            layers.append(relu_last)
            stage, number = stage + 1, 1
            continue
        width //= slimmer
        w = rng.normal(0, np.sqrt(2 / (9 * channels)), (3, 3, channels, width))
        b = rng.normal(0, 0.1, (1, width))
        convs.append((w, b, len(layers)))
        add(
            'conv',
            f'conv{stage}_{number}',
            weights=cells(w, b),
            stride=[1.0, 1.0],
            pad=[1.0, 1.0, 1.0, 1.0],
        )
        relu()
        channels, number = width, number + 1
    layers.pop()  # conv5_3 has no ReLU
    normalize = {'param': [2.0 * channels, 1e-12, 1.0, 0.5]}
    w = 20 * rng.normal(0, channels**-0.5, (1, 1, channels, clusters_count))
    c = rng.normal(0, channels**-0.5, (channels, clusters_count))
    b = rng.normal(0, 1, (1, clusters_count))
    b[0, -1] = -35  # no local descriptor is near this one
    add('normalize', 'preL2', **normalize)
    offset = -c.reshape(1, 1, channels, clusters_count)
    vlad = cells(w, b, offset) if bias else cells(w, offset)
    add('custom', 'vlad:core', K=clusters_count, D=channels, weights=vlad)
    add('normalize', 'vlad:intranorm', **normalize)
    add('custom', 'postL2')
    total = clusters_count * channels
    pca = rng.normal(0, 1, (1, 1, total, dim))
    mu = rng.normal(0, 0.01, (dim,))
    add('conv', 'WPCA', weights=cells(pca, mu[:, None]), stride=1.0, pad=0.0)
    add('custom', 'finalL2')
    weights = {'convs': convs, 'w': w[0, 0], 'b': b[0] * bias, 'c': c, 'pca': pca[0, 0], 'mu': mu}
    return layers, weights


def save_matlab(path, layers, **options):
    cell = np.empty((1, len(layers)), dtype=object)
    cell[0] = layers
    image = np.broadcast_to(np.float32([123.68, 116.779, 103.939]), (224, 224, 3))
    meta = {'normalization': {'averageImage': image}, 'netID': 'vd16', 'epoch': 30.0}
    scipy.io.savemat(path, {'net': {'layers': cell, 'meta': meta}}, **options)
    return path


def matlab_answers(weights):
    """Layer by layer; as hloc does it, but for the epsilon under MatConvNet's roots."""

    def unit(x, dim):
        return x / (x.square().sum(dim=dim, keepdim=True) + 1e-12).sqrt()

    x = torch.from_numpy(np.stack(IMAGES)).float() - torch.tensor([123.68, 116.779, 103.939])
    x = x.permute(0, 3, 1, 2)
    convs = [(torch.tensor(w).float(), torch.tensor(b[0]).float()) for w, b, _ in weights['convs']]
    for index, width in enumerate(VGG16):
        if width == 'M':
            x = F.max_pool2d(x, 2)
        else:
            w, b = convs.pop(0)
            x = F.conv2d(x, w.permute(3, 2, 0, 1), b, padding=1)
            x = F.relu(x) if index + 1 < len(VGG16) else x
    x = unit(x.flatten(2), 1)  # (N, D, P)
    w, b, c, pca, mu = (torch.tensor(weights[k]).float() for k in ('w', 'b', 'c', 'pca', 'mu'))
    scores = (w.T @ x + b[:, None]).softmax(dim=1)
    difference = x[:, :, None] - c[None, :, :, None]  # (N, D, K, P)
    v = unit((scores[:, None] * difference).sum(dim=-1), 1)
    return unit(v.reshape(len(v), -1), 1) @ pca + mu


@pytest.mark.parametrize('bias', [False, True], ids=['layerVLAD', 'layerVLADv2'])
def test_the_matlab_release(tmp_path, bias):
    layers, weights = matlab_net(bias=bias, slimmer=8 if bias else 1)
    source = save_matlab(tmp_path / 'vd16.mat', layers, do_compression=bias)
    metadata, sentence = check(source, matlab_answers(weights), tmp_path, licence='MIT')
    assert (metadata.licence, metadata.pooling, metadata.whitening) == ('MIT', 'netvlad', 'pca')
    assert 'NetVLAD authors' in metadata.training['imported_from']
    assert 'conv5_3' in sentence


def test_the_first_dimensions_of_the_matlab_release(tmp_path):
    layers, weights = matlab_net(slimmer=8)
    source = save_matlab(tmp_path / 'vd16.mat', layers)
    check(source, matlab_answers(weights)[:, :8], tmp_path, dim=8)
    with pytest.raises(NetvladError, match='16 dimensions, 17 were asked'):
        import_bundle(source, tmp_path / 'x.onnx', size=SIZE, dim=17)
    save_matlab(source, layers[:-2])
    with pytest.raises(NetvladError, match='not whitened'):
        import_bundle(source, tmp_path / 'x.onnx', size=SIZE, dim=8)


@pytest.mark.parametrize(
    ('harm', 'words'),
    [
        (lambda layers: layers.pop(17), 'conv4_2: filters for 64 channels where 32'),
        (lambda layers: layers.pop(30), 'vlad:core is missing'),
        (lambda layers: layers.insert(3, {'type': 'lrn', 'name': 'norm1'}), 'norm1: a lrn layer'),
        (lambda layers: layers[28]['weights'].fill(np.float32([[np.nan]])), 'conv5_3: weights'),
        (lambda layers: layers.__setitem__(30, 7.0), 'layer 30 is an object of a MATLAB class'),
    ],
    ids=['conv missing', 'vlad missing', 'unknown layer', 'NaN', 'class object'],
)
def test_matlab_networks_that_are_refused(tmp_path, harm, words):
    layers, _ = matlab_net(slimmer=8)
    harm(layers)
    source = save_matlab(tmp_path / 'vd16.mat', layers)
    with pytest.raises(NetvladError, match=words):
        import_bundle(source, tmp_path / 'x.onnx', size=SIZE)
    assert not (tmp_path / 'x.onnx').exists()


def test_mat_files_that_are_none(tmp_path, monkeypatch):
    source = tmp_path / 'net.mat'
    scipy.io.savemat(source, {'net': np.zeros(10**4)})
    for content, words in (
        (b'', 'no MATLAB file'),
        (b'MATLAB 7.3 MAT-file' + bytes(105) + b'\0\2IM', 'version 7.3; convert it in MATLAB'),
        (np.random.default_rng(0).bytes(4000), 'MATLAB network'),
        (source.read_bytes()[:5000], 'MATLAB network'),
        (source.read_bytes(), 'no struct net'),
    ):
        source.write_bytes(content)
        with pytest.raises(NetvladError, match=words):
            import_bundle(source, tmp_path / 'x.onnx')
    monkeypatch.setattr('netvlad_ros.training.importers.matlab_file.MAX_MAT_BYTES', 10**6)
    scipy.io.savemat(source, {'net': np.zeros(10**6)}, do_compression=True)
    assert source.stat().st_size < 10**5
    with pytest.raises(NetvladError, match='more than 1000000 bytes'):
        import_bundle(source, tmp_path / 'x.onnx')


# --- pytorch-NetVlad ----------------------------------------------------------------------------


def nanne(trunk, pool, *, parallel=False):
    between = 'module.' if parallel else ''
    state = OrderedDict(
        [(f'encoder.{between}{k}', v) for k, v in trunk.state_dict().items()]
        + [(k.replace('pool.', f'pool.{between}'), v) for k, v in pool.items()]
    )
    optimizer = torch.optim.SGD(trunk.parameters(), lr=1e-4, momentum=0.9)
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
    trunk = random_trunk([layer.to_empty(device='cpu') for layer in layers])
    pool = clusters('pool.', 512 if arch == 'vgg16' else 256, 4, bias=bias)
    source = tmp_path / 'model_best.pth.tar'
    torch.save(nanne(trunk, pool, parallel=parallel), source, _use_new_zipfile_serialization=zipped)
    metadata, _ = check(source, netvlad(trunk(pixels()), pool, 'pool.'), tmp_path)
    assert (metadata.licence, metadata.whitening) == ('unknown', 'none')
    assert metadata.backbone.startswith(arch)


def alexnet():
    with torch.device('meta'):
        layers = list(torchvision.models.alexnet(weights=None).features.children())[:-2]
    return random_trunk([layer.to_empty(device='cpu') for layer in layers])


@pytest.mark.parametrize(
    ('pooling', 'pool'), [('mac', F.adaptive_max_pool2d), ('spoc', F.adaptive_avg_pool2d)]
)
def test_pytorch_netvlad_without_clusters(tmp_path, pooling, pool):
    trunk = alexnet()
    torch.save(nanne(trunk, {}), source := tmp_path / 'checkpoint.pth.tar')
    with pytest.raises(NetvladError, match='--pooling mac or spoc'):
        import_bundle(source, tmp_path / 'x.onnx', size=SIZE)
    check(source, pool(trunk(pixels()), 1)[:, :, 0, 0], tmp_path, pooling=pooling)


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


def vgbench(trunk, aggregation):
    state = {f'module.backbone.{k}': v for k, v in trunk.state_dict().items()}
    state |= {f'module.{k}': v for k, v in aggregation.items()}
    return {
        'epoch_num': 7,
        'model_state_dict': OrderedDict(state),
        'optimizer_state_dict': torch.optim.Adam(trunk.parameters()).state_dict(),
        'recalls': np.array([80.0, 90.0, 93.0, 95.0]),
        'best_r5': np.float64(90.0),
        'not_improved_num': 0,
    }


def resnet(depth, stage):
    with torch.device('meta'):
        model = getattr(torchvision.models, f'resnet{depth}')(weights=None)
        children = list(model.children())[: -3 if stage == 'conv4' else -2]
    return random_trunk([child.to_empty(device='cpu') for child in children])


def linear(x, width=32):
    """A linear layer that takes off most of what random descriptors have in common; its answer."""
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
    trunk = resnet(depth, stage)
    x = trunk(pixels())
    pool = clusters('aggregation.', x.shape[1], 4)
    checkpoint = vgbench(trunk, pool)
    torch.save(checkpoint['model_state_dict'] if alone else checkpoint, tmp_path / 'best_model.pth')
    metadata, _ = check(tmp_path / 'best_model.pth', netvlad(x, pool, 'aggregation.'), tmp_path)
    assert metadata.backbone == f'resnet{depth} {stage}'


def test_vgbench_crn(tmp_path):
    trunk = resnet(18, 'conv4')
    x = trunk(pixels())
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
    torch.save(vgbench(trunk, pool), source := tmp_path / 'best_model.pth')
    expected = netvlad(x, pool, 'aggregation.', mask)
    assert (expected - netvlad(x, pool, 'aggregation.')).norm(dim=1).min() > 0.05
    assert check(source, expected, tmp_path)[0].pooling == 'crn'


@pytest.mark.parametrize('l2', ['before_pool', 'after_pool', 'none'])
def test_vgbench_gem_with_a_linear_layer(tmp_path, l2):
    trunk = resnet(18, 'conv4')
    x = trunk(pixels())
    pooled = gem(F.normalize(x, dim=1) if l2 == 'before_pool' else x)
    pooled = F.normalize(pooled, dim=1) if l2 == 'after_pool' else pooled
    state, answer = linear(pooled)
    state['aggregation.0.1.p' if l2 == 'before_pool' else 'aggregation.0.0.p'] = torch.tensor([2.7])
    torch.save(vgbench(trunk, state), source := tmp_path / 'best_model.pth')
    options = {}
    if l2 != 'before_pool':
        with pytest.raises(NetvladError, match='--l2 after_pool or --l2 none'):
            import_bundle(source, tmp_path / 'x.onnx', size=SIZE)
        options = {'l2': l2}
    metadata, _ = check(source, answer, tmp_path, **options)
    assert metadata.whitening == 'linear'


def test_vgbench_gem_alone(tmp_path):
    trunk = alexnet()
    torch.save(
        vgbench(trunk, {'aggregation.0.p': torch.tensor([2.7])}), source := tmp_path / 'a.pth'
    )
    check(source, gem(trunk(pixels())), tmp_path)
    with pytest.raises(NetvladError, match='--pooling mac is not what it holds: gem'):
        import_bundle(source, tmp_path / 'x.onnx', size=SIZE, pooling='mac')


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
    trunk = resnet(18, 'conv4')
    x = trunk(pixels())
    x = F.normalize(x, dim=1) if l2 == 'before_pool' else x
    pool = {'mac': lambda x: x.amax((2, 3)), 'spoc': lambda x: x.mean((2, 3)), 'rmac': rmac}
    state, answer = {}, pool[pooling](x)
    if with_linear:
        state, answer = linear(answer)
    torch.save(vgbench(trunk, state), source := tmp_path / 'best_model.pth')
    with pytest.raises(NetvladError, match='--pooling mac --l2 before_pool'):
        import_bundle(source, tmp_path / 'x.onnx', size=SIZE)
    check(source, answer, tmp_path, pooling=pooling, l2=l2)


def test_a_transformer_of_vgbench_is_refused(tmp_path):
    state = {'backbone.vit_model.cls_token': torch.ones(1, 1, 768)}
    torch.save({'model_state_dict': state}, source := tmp_path / 'vit.pth')
    with pytest.raises(NetvladError, match='none of alexnet, vgg16, resnet18'):
        import_bundle(source, tmp_path / 'x.onnx')


# --- pickles that are hostile or none -----------------------------------------------------------


class Attack:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f'touch {self.path}',)


@pytest.mark.parametrize('zipped', [True, False], ids=['zip', 'before torch 1.6'])
def test_code_in_a_checkpoint_does_not_run(tmp_path, zipped):
    trace, source = tmp_path / 'it_ran', tmp_path / 'best_model.pth'
    checkpoint = {'model_state_dict': {}, 'recalls': Attack(trace)}
    torch.save(checkpoint, source, _use_new_zipfile_serialization=zipped)
    with pytest.raises(NetvladError, match=r'asks for the code .*nothing of it was run') as caught:
        import_bundle(source, tmp_path / 'x.onnx')
    assert 'weights_only' not in str(caught.value)
    assert not trace.exists()


def test_files_that_are_no_checkpoints(tmp_path):
    source = tmp_path / 'best_model.pth'
    torch.save([1, 2], source)
    with pytest.raises(NetvladError, match='neither the layout of'):
        import_bundle(source, tmp_path / 'x.onnx')
    plain = source.read_bytes()
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(plain)) as old,
        zipfile.ZipFile(packed, 'w', zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    for content, words in (
        (plain[: len(plain) // 2], 'cut off or damaged'),
        (b'', 'cut off or damaged'),
        (os.urandom(1000), 'damaged'),
        (pickle.dumps(Attack(tmp_path / 'it_ran')), 'refused|damaged'),
        (packed.getvalue(), 'no compressed archives'),
    ):
        source.write_bytes(content)
        with pytest.raises(NetvladError, match=words):
            import_bundle(source, tmp_path / 'x.onnx')
    assert not (tmp_path / 'it_ran').exists()
    with pytest.raises(NetvladError, match='does not exist'):
        import_bundle(tmp_path / 'absent.pth', tmp_path / 'x.onnx')
