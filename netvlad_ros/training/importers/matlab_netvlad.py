"""Reads the MATLAB networks of the NetVLAD authors: a MatConvNet SimpleNN, layer by layer.

The files are those of Relja/netvlad with class objects turned into structs, as hloc reads them too.
Their layers are VGG16 to conv5_3, preL2, vlad:core, vlad:intranorm and postL2; whitened networks
end with WPCA and finalL2.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.model.preprocessing import Preprocessing
from netvlad_ros.offline.files.matlab_file import read_matlab
from netvlad_ros.training.importers.imported_network import ImportedNetwork
from netvlad_ros.training.importers.matlab_layers import MatlabLayers, numbers
from netvlad_ros.training.network.normalisation import Normalisation

MAX_BYTES = 2**31  # packed and unpacked; VGG16-NetVLAD with its 4096-D whitening is 0.6 GB
MAX_LAYERS = 200
_AS_STRUCT = (
    'The networks as published hold objects of MATLAB classes; make structs of them in MATLAB: for '
    "i = 1:numel(net.layers), net.layers{i} = struct(net.layers{i}); end, save(..., 'net', '-v7')"
)
_BACKBONES = {'vd16': 'vgg16', 'vd19': 'vgg19'}  # the authors' names, in meta.netID


def read_matlab_netvlad(path: Path, preprocessing: Preprocessing, dim: int = 0) -> ImportedNetwork:
    """The network of a MAT-file; pixels are RGB minus the mean of the file, in 0..255.

    Args:
        path: of the file.
        preprocessing: the authors do not resize images.
        dim: number of leading directions of the PCA to keep; 0 keeps all.

    Raises:
        NetvladError: the file cannot be read; kind or shape of a layer do not fit at their place;
            the aggregation is missing; dim is larger than the number of directions.
    """
    where = f'MATLAB network {path}'
    layers, meta = _layers_and_meta(path, where)
    network = MatlabLayers(where)
    for layer in layers:
        network.add(layer)
    network.finish()
    if dim:
        network.keep_dimensions(dim)
    backbone = _BACKBONES.get(str(meta.get('netID')), 'MatConvNet to')
    normalisation = Normalisation('caffe')
    normalisation.mean.copy_(torch.from_numpy(_mean(meta, where)))
    return ImportedNetwork(
        nn.Sequential(*network.modules),
        network.channels,
        normalisation,
        preprocessing,
        {
            'backbone': f'{backbone} {network.last_conv}',
            'pooling': network.pooling,
            'whitening': 'pca' if network.whitened else 'none',
        },
    )


def _layers_and_meta(path: Path, where: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    try:
        net = read_matlab(path, 'net', max_bytes=MAX_BYTES)
    except NetvladError as error:
        advice = f'. {_AS_STRUCT}' if 'class' in str(error) or '7.3' in str(error) else ''
        raise NetvladError(f'{error}{advice}') from error
    if not isinstance(net, dict) or not {'layers', 'meta'} <= net.keys():
        raise NetvladError(f'{where}: net is no struct with layers and meta')
    layers, meta = list(np.ravel(net['layers'])), net['meta']
    if not 1 <= len(layers) <= MAX_LAYERS:
        raise NetvladError(f'{where} has {len(layers)} layers, not 1 to {MAX_LAYERS}')
    for number, layer in enumerate(layers):
        if not isinstance(layer, dict) or not {'type', 'name'} <= layer.keys():
            raise NetvladError(f'{where}: layer {number} is no struct. {_AS_STRUCT}')
    if not isinstance(meta, dict):
        raise NetvladError(f'{where}: its meta is no struct')
    return layers, meta


def _mean(meta: dict[str, Any], where: str) -> np.ndarray:
    """RGB mean, float32 (3,): the first pixel of the average image, which may be one pixel."""
    try:
        image = numbers(meta['normalization']['averageImage'])
    except (KeyError, TypeError, ValueError) as error:
        raise NetvladError(f'{where}: its average image is missing or no numbers') from error
    if image.ndim != 3 or image.shape[2] != 3:
        raise NetvladError(f'{where}: its average image has the shape {image.shape}, needs RGB')
    return np.ascontiguousarray(image[0, 0])
