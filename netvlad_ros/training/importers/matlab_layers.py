"""MatlabLayers: MatConvNet layers, including NetVLAD, as torch modules."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.importers.layers import UnitLength, WithoutL2
from netvlad_ros.training.network.poolings.global_poolings import MAC, SPoC


class MatlabLayers:
    """Turns layers into modules, one after another; each must fit the output of the last one.

    Args:
        where: names the file in errors.

    Attributes:
        modules: so far; together they map float32 (N, 3, H, W) to (N, channels).
        channels: of the grid before the aggregation, of the vector after it.
        last_conv: name of the last convolution.
        pooling: netvlad, mac, spoc, or '' before the aggregation.
        whitened: whether there was a PCA.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self.modules: list[nn.Module] = []
        self.channels = 3
        self._clusters = 0  # above 0 between vlad:core and postL2
        self.last_conv = 'pixels'
        self.pooling = ''
        self.whitened = False

    def add(self, layer: dict[str, Any]) -> None:
        """Adds the next layer of the file.

        Raises:
            NetvladError: kind or shape of the layer do not fit at this place.
        """
        kind, name = str(layer['type']), str(layer['name'])
        try:
            if kind == 'normalize':
                self._normalize(layer)
            elif kind == 'custom' and name in ('postL2', 'finalL2'):
                self._whole_l2()
            elif self.pooling:
                self._pca(layer, kind)
            elif kind == 'conv':
                self._conv(layer, name)
            elif kind == 'relu' and not np.any(layer.get('leak', 0)):
                self.modules.append(nn.ReLU())
            elif kind == 'pool' and layer['method'] == 'max' and not np.any(layer['pad']):
                self.modules.append(nn.MaxPool2d(_pair(layer['pool']), _pair(layer['stride'])))
            elif kind == 'custom' and name in ('vlad:core', 'max:core', 'avg:core'):
                self._aggregate(layer, name)
            else:
                raise ValueError(f'a {kind[:40]} layer that is not understood here')
        except KeyError as error:
            raise NetvladError(f'{self._where}: layer {name[:40]} has no field {error}') from error
        except (TypeError, ValueError) as error:
            raise NetvladError(f'{self._where}: layer {name[:40]}: {error}') from error

    def finish(self) -> None:
        """Raises NetvladError unless the layers give one vector for an image."""
        if not self.pooling or self._clusters:
            missing = 'postL2' if self._clusters else 'vlad:core'
            raise NetvladError(f'{self._where}: it answers no vector of an image: no {missing}')

    def keep_dimensions(self, dim: int) -> None:
        """Keeps the first dim directions of the PCA.

        Raises:
            NetvladError: there is no PCA, or it has fewer directions.
        """
        linear = next((m for m in reversed(self.modules) if isinstance(m, nn.Linear)), None)
        if linear is None:
            raise NetvladError(
                f'{self._where} is not whitened: its {self.channels} dimensions have no order by '
                'which to keep some; import it whole'
            )
        if dim > self.channels:
            raise NetvladError(
                f'{self._where} has {self.channels} dimensions, {dim} were asked for'
            )
        linear.weight = nn.Parameter(linear.weight[:dim].clone())
        linear.bias = nn.Parameter(linear.bias[:dim].clone())
        self.channels = linear.out_features = dim

    def _conv(self, layer: dict[str, Any], name: str) -> None:
        weight, bias = _weights(layer, 2)
        if weight.ndim != 4 or weight.shape[3] != len(bias):
            raise ValueError(f'filters of shape {weight.shape} with {len(bias)} biases')
        if weight.shape[2] != self.channels:
            raise ValueError(
                f'filters for {weight.shape[2]} channels where {self.channels} come in: a layer '
                'is missing, or of another architecture'
            )
        top, bottom, left, right = np.broadcast_to(np.asarray(layer['pad'], dtype=int).ravel(), 4)
        if (top, left) != (bottom, right) or np.any(np.asarray(layer.get('dilate', 1)) != 1):
            raise ValueError('uneven padding or dilation, which no released network has')
        if not (0 <= top <= 64 and 0 <= left <= 64):
            raise ValueError(f'a padding of {top} x {left}')
        conv = nn.utils.skip_init(
            nn.Conv2d,
            self.channels,
            len(bias),
            weight.shape[:2],
            stride=_pair(layer['stride']),
            padding=(int(top), int(left)),
        )
        conv.weight.data = torch.from_numpy(np.ascontiguousarray(weight.transpose(3, 2, 0, 1)))
        conv.bias.data = torch.from_numpy(bias)
        self.modules.append(conv)
        self.channels, self.last_conv = len(bias), name[:40]

    def _pca(self, layer: dict[str, Any], kind: str) -> None:
        """A 1x1 convolution of the whole vector."""
        if kind != 'conv' or self._clusters or self.whitened:
            raise ValueError(f'a {kind[:40]} layer where a PCA of the whole vector may stand, once')
        weight, bias = _weights(layer, 2)
        if weight.size != self.channels * len(bias):
            raise ValueError(f'{weight.shape} weights for {self.channels} x {len(bias)} values')
        linear = nn.utils.skip_init(nn.Linear, self.channels, len(bias))
        matrix = weight.reshape(self.channels, len(bias))
        linear.weight.data = torch.from_numpy(np.ascontiguousarray(matrix.T))
        linear.bias.data = torch.from_numpy(bias)
        self.modules.append(linear)
        self.channels, self.whitened = len(bias), True

    def _normalize(self, layer: dict[str, Any]) -> None:
        """Division by the root of the sum of squares of all channels: L2 with an epsilon."""
        width, kappa, alpha, beta = numbers(layer['param']).ravel()
        if width < 2 * self.channels or alpha != 1 or beta != 0.5 or not 0 < kappa < 1e-3:
            raise ValueError('normalises some channels (as AlexNet does), not L2: not understood')
        if self.pooling and not self._clusters:
            raise ValueError('stands behind the aggregated vector')
        self.modules.append(UnitLength(dim=2 if self._clusters else 1, epsilon=float(kappa)))

    def _aggregate(self, layer: dict[str, Any], name: str) -> None:
        if name != 'vlad:core':
            pooling = MAC if name == 'max:core' else SPoC
            self.modules.append(WithoutL2(pooling(self.channels)))
            self.pooling = 'mac' if name == 'max:core' else 'spoc'
            return
        # Two weights, or three with a bias between them (layerVLADv2); centroids are negated there.
        weights = _weights(layer, 2, 3)
        clusters = weights[0].size // self.channels
        matrices = [w.reshape(self.channels, clusters).T.copy() for w in (weights[0], weights[-1])]
        bias = weights[1].reshape(clusters) if len(weights) == 3 else np.zeros(clusters, np.float32)
        vlad = MatlabVlad(
            torch.from_numpy(matrices[0]), torch.from_numpy(bias), torch.from_numpy(-matrices[1])
        )
        self.modules.append(vlad)
        self._clusters, self.pooling = clusters, 'netvlad'

    def _whole_l2(self) -> None:
        if not self.pooling:
            raise ValueError('nothing is aggregated before it: vlad:core is missing')
        if self._clusters:
            self.modules.append(ClusterFastest())
            self.channels, self._clusters = self.channels * self._clusters, 0
        self.modules.append(UnitLength())


class MatlabVlad(nn.Module):
    """V(k) = sum_i a_k(x_i) (x_i - c_k), a_k(x) = softmax_k(w_k . x + b_k), nothing normalised.

    In these files the normalisations are separate layers, with an epsilon that our NetVLAD does not
    have.

    Args:
        weight: w, (K, D).
        bias: b, (K,).
        centroids: c, (K, D).
    """

    weight: torch.Tensor
    bias: torch.Tensor
    centroids: torch.Tensor

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor, centroids: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer('weight', weight[:, :, None, None])
        self.register_buffer('bias', bias)
        self.register_buffer('centroids', centroids)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pools (N, D, H, W) to (N, K, D)."""
        assignment = functional.conv2d(x, self.weight, self.bias).softmax(dim=1).flatten(2)
        mass = assignment.sum(dim=2, keepdim=True)
        return assignment @ x.flatten(2).transpose(1, 2) - mass * self.centroids


class ClusterFastest(nn.Module):
    """(N, K, D) -> (N, D * K): the order of MATLAB vectors, and of the PCA in the file."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Flattens with clusters running fastest."""
        return x.transpose(1, 2).flatten(1)


def numbers(values: Any) -> np.ndarray:
    """Values as float32; raises ValueError if there are none, or they are not finite numbers."""
    array = np.asarray(values)
    if array.dtype.kind not in 'fiu':
        raise ValueError('weights that are no numbers')
    array = array.astype(np.float32, copy=False)
    if not array.size or not np.isfinite(array).all():
        raise ValueError('weights that are NaN, infinite or absent')
    return array


def _weights(layer: dict[str, Any], *counts: int) -> list[np.ndarray]:
    """The arrays of a layer; vectors without their axis of length 1."""
    weights = [numbers(values) for values in np.ravel(layer['weights'])]
    if len(weights) not in counts:
        raise ValueError(f'{len(weights)} weights instead of {" or ".join(map(str, counts))}')
    return [w.ravel() if w.ndim == 2 and 1 in w.shape else w for w in weights]


def _pair(values: Any) -> tuple[int, int]:
    first, second = np.broadcast_to(np.asarray(values).ravel(), 2)
    if not (1 <= first <= 64 and 1 <= second <= 64):
        raise ValueError(f'a size of {first} x {second}')
    return int(first), int(second)
