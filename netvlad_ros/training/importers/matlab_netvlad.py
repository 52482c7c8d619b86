"""The authors' MATLAB release: a MatConvNet SimpleNN, layer by layer as it stands in the file.

Files are those of Relja/netvlad with class objects turned into structs, as hloc reads them too:
VGG16 to conv5_3, preL2, vlad:core, vlad:intranorm, postL2 and, in the whitened networks, WPCA and
finalL2.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.image import Preprocessing
from netvlad_ros.training.importers.global_pooling import Average, Maximum
from netvlad_ros.training.importers.imported_network import ImportedNetwork
from netvlad_ros.training.importers.matlab_file import load_net
from netvlad_ros.training.importers.matlab_vlad import ClusterFastest, MatlabVlad
from netvlad_ros.training.importers.unit_length import UnitLength
from netvlad_ros.training.normalisation import Normalisation

MAX_LAYERS = 200


def read_matlab_netvlad(path: Path, preprocessing: Preprocessing, dim: int = 0) -> ImportedNetwork:
    """The network of a MAT-file; pixels are RGB minus the file's mean, in 0..255.

    Args:
        path: of the file.
        preprocessing: the authors take images as they are.
        dim: keep only so many directions of its PCA, the first; 0 keeps all.

    Raises:
        NetvladError: the file cannot be read, a layer is of a kind or shape that does not fit
            where it stands, the aggregation is missing, or dim is more than there is.
    """
    where = f'MATLAB network {path}'
    net = load_net(path)
    builder = _Builder(where)
    layers = list(np.atleast_1d(net.layers).flat)
    if len(layers) > MAX_LAYERS:
        raise NetvladError(f'{where} has {len(layers)} layers, more than {MAX_LAYERS}')
    for layer in layers:
        builder.add(layer)
    if not builder.pooling:
        raise NetvladError(f'{where}: no layer aggregates local descriptors (vlad:core is missing)')
    if dim:
        builder.cut(dim)
    normalisation = Normalisation('caffe')
    normalisation.mean.copy_(torch.from_numpy(_mean(net, where)))
    return ImportedNetwork(
        nn.Sequential(*builder.layers),
        builder.channels,
        normalisation,
        preprocessing,
        {
            'backbone': f'MatConvNet to {builder.last_conv}',
            'pooling': builder.pooling,
            'whitening': 'pca' if builder.whitened else 'none',
        },
    )


class _Builder:
    """Turns layers into modules one after another, knowing what the last one answers."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.layers: list[nn.Module] = []
        self.channels = 3  # of the grid before the aggregation, of the vector after it
        self.clusters = 0  # above 0 between vlad:core and postL2
        self.last_conv = 'pixels'
        self.pooling = ''
        self.whitened = False

    def add(self, layer: Any) -> None:
        """The next layer of the file."""
        kind, name = str(layer.type), str(layer.name)
        try:
            if kind == 'conv':
                self._linear(layer, name) if self.pooling else self._conv(layer, name)
            elif kind == 'relu' and not np.any(getattr(layer, 'leak', 0)):
                self.layers.append(nn.ReLU())
            elif kind == 'pool' and layer.method == 'max' and not np.any(layer.pad):
                self.layers.append(nn.MaxPool2d(_pair(layer.pool), _pair(layer.stride)))
            elif kind == 'normalize':
                self._normalize(layer, name)
            elif kind == 'custom' and name in ('vlad:core', 'max:core', 'avg:core'):
                self._aggregate(layer, name)
            elif kind == 'custom' and name in ('postL2', 'finalL2'):
                self._whole_l2()
            else:
                raise ValueError(f'a {kind} layer that is not understood here')
        except (AttributeError, TypeError, ValueError, IndexError) as error:
            raise NetvladError(f'{self.where}: layer {name[:40]}: {error}') from error

    def cut(self, dim: int) -> None:
        """Keeps the first dim directions of the PCA."""
        linear = next((m for m in reversed(self.layers) if isinstance(m, nn.Linear)), None)
        if linear is None:
            raise NetvladError(
                f'{self.where} is not whitened: its {self.channels} dimensions have no order by '
                'which to keep some; import it whole'
            )
        if dim > self.channels:
            raise NetvladError(f'{self.where} has {self.channels} dimensions, {dim} were asked for')
        linear.weight = nn.Parameter(linear.weight[:dim].clone())
        linear.bias = nn.Parameter(linear.bias[:dim].clone())
        self.channels = linear.out_features = dim

    def _conv(self, layer: Any, name: str) -> None:
        weight, bias = _array(layer.weights[0]), _array(layer.weights[1]).ravel()
        if weight.ndim != 4 or weight.shape[3] != len(bias):
            raise ValueError(f'filters of shape {weight.shape} with {len(bias)} biases')
        if weight.shape[2] != self.channels:
            raise ValueError(
                f'filters for {weight.shape[2]} channels where {self.channels} come in: a layer '
                'is missing, or of another architecture'
            )
        top, bottom, left, right = np.broadcast_to(np.asarray(layer.pad, dtype=int).ravel(), 4)
        if (top, left) != (bottom, right) or np.any(np.asarray(getattr(layer, 'dilate', 1)) != 1):
            raise ValueError('uneven padding or dilation, which no released network has')
        conv = nn.utils.skip_init(
            nn.Conv2d,
            self.channels,
            len(bias),
            weight.shape[:2],
            stride=_pair(layer.stride),
            padding=(int(top), int(left)),
        )
        conv.weight.data = torch.from_numpy(np.ascontiguousarray(weight.transpose(3, 2, 0, 1)))
        conv.bias.data = torch.from_numpy(bias)
        self.layers.append(conv)
        self.channels, self.last_conv = len(bias), name[:40]

    def _linear(self, layer: Any, name: str) -> None:
        """The PCA, a 1x1 convolution of the whole vector."""
        if self.clusters or self.whitened:
            raise ValueError('stands where the aggregated vector is not whole, or a second time')
        bias = _array(layer.weights[1]).ravel()
        weight = _array(layer.weights[0])
        if weight.size != self.channels * len(bias):
            raise ValueError(f'{weight.shape} weights for {self.channels} x {len(bias)} values')
        linear = nn.utils.skip_init(nn.Linear, self.channels, len(bias))
        matrix = weight.reshape(self.channels, len(bias))
        linear.weight.data = torch.from_numpy(np.ascontiguousarray(matrix.T))
        linear.bias.data = torch.from_numpy(bias)
        self.layers.append(linear)
        self.channels, self.whitened = len(bias), True

    def _normalize(self, layer: Any, name: str) -> None:
        """Division by the root of the squares of all channels, which is L2 with an epsilon."""
        width, kappa, alpha, beta = _array(layer.param).ravel()
        if width < 2 * self.channels or alpha != 1 or beta != 0.5 or not 0 < kappa < 1e-3:
            raise ValueError('normalises some channels (as AlexNet does), not L2: not understood')
        if self.pooling and not self.clusters:
            raise ValueError('stands behind the aggregated vector')
        self.layers.append(UnitLength(dim=2 if self.clusters else 1, epsilon=float(kappa)))

    def _aggregate(self, layer: Any, name: str) -> None:
        if self.pooling:
            raise ValueError('a second aggregation')
        if name != 'vlad:core':
            self.layers.append(Maximum() if name == 'max:core' else Average())
            self.pooling = 'mac' if name == 'max:core' else 'spoc'
            return
        # Two weights, or three with a bias between them (layerVLADv2); centres lie there negated.
        weights = [_array(weight) for weight in layer.weights]
        if len(weights) not in (2, 3):
            raise ValueError(f'{len(weights)} weights instead of 2 or 3')
        clusters = weights[0].size // self.channels
        matrices = [w.reshape(self.channels, clusters).T.copy() for w in (weights[0], weights[-1])]
        bias = weights[1].reshape(clusters) if len(weights) == 3 else np.zeros(clusters, np.float32)
        vlad = MatlabVlad(
            torch.from_numpy(matrices[0]), torch.from_numpy(bias), torch.from_numpy(-matrices[1])
        )
        self.layers.append(vlad)
        self.clusters, self.pooling = clusters, 'netvlad'

    def _whole_l2(self) -> None:
        if not self.pooling:
            raise ValueError('nothing is aggregated before it: vlad:core is missing')
        if self.clusters:
            self.layers.append(ClusterFastest())
            self.channels, self.clusters = self.channels * self.clusters, 0
        self.layers.append(UnitLength())


def _array(values: Any) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in 'fiu':
        raise ValueError('weights that are no numbers')
    array = array.astype(np.float32, copy=False)
    if not array.size or not np.isfinite(array).all():
        raise ValueError('weights that are NaN, infinite or absent')
    return array


def _pair(values: Any) -> tuple[int, int]:
    first, second = np.broadcast_to(np.asarray(values).ravel(), 2)
    if not (1 <= first <= 64 and 1 <= second <= 64):
        raise ValueError(f'a size of {first} x {second}')
    return int(first), int(second)


def _mean(net: Any, where: str) -> np.ndarray:
    """RGB mean, float32 (3,): of one value a channel, or of an average image, as (1, 1) of it."""
    try:
        image = _array(net.meta.normalization.averageImage)
    except (AttributeError, ValueError) as error:
        raise NetvladError(f'{where}: its average image is missing or no numbers') from error
    if image.shape[-1] != 3 or image.ndim not in (1, 3):
        raise NetvladError(f'{where}: its average image has the shape {image.shape}, needs RGB')
    return np.ascontiguousarray(image if image.ndim == 1 else image[0, 0])
