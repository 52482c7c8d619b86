"""A model bundle of a few kilobytes that describes an image in a millisecond."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from netvlad_ros.core.model.bundle import write_bundle

SIDE_PX = 64
CELL_PX = 16
CELLS = 3 * (SIDE_PX // CELL_PX) ** 2


def tiny_graph(*, dim: int = 32, seed: int = 0, answer_nan: bool = False) -> onnx.ModelProto:
    """Average colour of 4 x 4 cells, less their mean, projected at random, of unit length."""
    rng = np.random.default_rng(seed)
    projection = rng.standard_normal((CELLS, dim)).astype(np.float32)
    bias = rng.standard_normal(dim).astype(np.float32)  # an even image has a direction too
    nodes = [
        helper.make_node('Cast', ['image'], ['float'], to=TensorProto.FLOAT),
        helper.make_node('Transpose', ['float'], ['planes'], perm=[0, 3, 1, 2]),
        helper.make_node(
            'AveragePool',
            ['planes'],
            ['cells'],
            kernel_shape=[CELL_PX, CELL_PX],
            strides=[CELL_PX, CELL_PX],
        ),
        helper.make_node('Flatten', ['cells'], ['flat'], axis=1),
        helper.make_node('ReduceMean', ['flat'], ['mean'], axes=[1], keepdims=1),
        helper.make_node('Sub', ['flat', 'mean'], ['centred']),
        helper.make_node('Gemm', ['centred', 'projection', 'bias'], ['projected']),
        helper.make_node('ReduceL2', ['projected'], ['length'], axes=[1], keepdims=1),
    ]
    weights = [
        numpy_helper.from_array(projection, 'projection'),
        numpy_helper.from_array(bias, 'bias'),
    ]
    divisor = 'length'
    if answer_nan:
        nodes.append(helper.make_node('Mul', ['length', 'nan'], ['spoilt']))
        weights.append(numpy_helper.from_array(np.float32([np.nan]), 'nan'))
        divisor = 'spoilt'
    nodes.append(helper.make_node('Div', ['projected', divisor], ['descriptor']))
    graph = helper.make_graph(
        nodes,
        'tiny',
        [helper.make_tensor_value_info('image', TensorProto.UINT8, ['N', SIDE_PX, SIDE_PX, 3])],
        [helper.make_tensor_value_info('descriptor', TensorProto.FLOAT, ['N', dim])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)


def tiny_metadata(*, dim: int = 32, calibrated: bool = True) -> dict[str, Any]:
    """Everything a bundle says about itself, but for the model id."""
    return {
        'format_version': 1,
        'name': 'tiny',
        'dim': dim,
        'input': {
            'name': 'image',
            'layout': 'NHWC',
            'dtype': 'uint8',
            'height': SIDE_PX,
            'width': SIDE_PX,
            'resize': 'stretch',
            'multiple': 16,
            'mean': None,
            'std': None,
        },
        'output': {'name': 'descriptor'},
        'backbone': 'average colour',
        'pooling': 'none',
        'whitening': 'none',
        'training': {},
        'licence': 'Apache-2.0',
        'calibration': {'midpoint': 0.9, 'slope': 100.0, 'rival_slope': 100.0}
        if calibrated
        else None,
    }


def write_tiny_model(
    path: Path,
    *,
    dim: int = 32,
    seed: int = 0,
    calibrated: bool = True,
    answer_nan: bool = False,
) -> Path:
    """Write the bundle; another seed makes another model id."""
    graph = tiny_graph(dim=dim, seed=seed, answer_nan=answer_nan)
    write_bundle(graph, tiny_metadata(dim=dim, calibrated=calibrated), path)
    return path
