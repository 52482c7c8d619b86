"""A model bundle of a few kilobytes that also answers local features: blobs and their patches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tiny_model import tiny_metadata

from netvlad_ros.core.model.bundle import write_bundle

WIDTH, HEIGHT = 320, 240
DIM, LOCAL_DIM, KEYPOINTS = 32, 64, 300
PATCH = 15  # px
LOCAL = {
    'keypoints': 'keypoints',
    'scores': 'scores',
    'descriptors': 'local_descriptors',
    'dim': LOCAL_DIM,
    'max_keypoints': KEYPOINTS,
}


def tiny_local_graph(
    *, seed: int = 0, shift: float = 0.0, spoil: float = 1.0, stretch: float = 1.0
) -> onnx.ModelProto:
    """Average colours of 4 x 4 cells; maxima of the Laplacian, described by random projections.

    Args:
        seed: another one makes another model id.
        shift: added to the keypoints [px].
        spoil: factor on the scores, such as NaN.
        stretch: factor on the local descriptors.
    """
    rng = np.random.default_rng(seed)
    node = helper.make_node
    cells = 3 * 4 * 4
    weights = {
        'projection': rng.standard_normal((cells, DIM)).astype(np.float32),
        'bias': rng.standard_normal(DIM).astype(np.float32),
        'luma': np.float32([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1) / 255,
        'filters': patch_filters(rng),
        'zero': np.float32(0),
        'least': np.float32(0.02),
        'count': np.int64([KEYPOINTS]),
        'flat': np.int64([0, -1]),
        'columns': np.int64([0, LOCAL_DIM, -1]),
        'width': np.int64(WIDTH),
        'last': np.int64([2]),
        'shift': np.float32(shift),
        'spoil': np.float32(spoil),
        'stretch': np.float32(stretch),
    }
    cell = [HEIGHT // 4, WIDTH // 4]
    nodes = [
        node('Cast', ['image'], ['float'], to=TensorProto.FLOAT),
        node('Transpose', ['float'], ['planes'], perm=[0, 3, 1, 2]),
        node('AveragePool', ['planes'], ['cells'], kernel_shape=cell, strides=cell),
        node('Flatten', ['cells'], ['colours'], axis=1),
        node('ReduceMean', ['colours'], ['mean'], axes=[1], keepdims=1),
        node('Sub', ['colours', 'mean'], ['centred']),
        node('Gemm', ['centred', 'projection', 'bias'], ['projected']),
        node('ReduceL2', ['projected'], ['length'], axes=[1], keepdims=1),
        node('Div', ['projected', 'length'], ['descriptor']),
        # Blobs: the difference of two averages, at its maxima of 7 x 7 px.
        node('Conv', ['planes', 'luma'], ['grey']),
        *pooled('AveragePool', 'grey', 'fine', 3),
        *pooled('AveragePool', 'grey', 'coarse', 9),
        node('Sub', ['fine', 'coarse'], ['difference']),
        node('Abs', ['difference'], ['response']),
        *pooled('MaxPool', 'response', 'highest', 7),
        node('Equal', ['response', 'highest'], ['peak']),
        node('Where', ['peak', 'response', 'zero'], ['peaks']),
        node('Reshape', ['peaks', 'flat'], ['every']),
        node('TopK', ['every', 'count'], ['strongest', 'index'], axis=1),
        node('Mul', ['strongest', 'spoil'], ['scores']),
        node('Mod', ['index', 'width'], ['x']),
        node('Div', ['index', 'width'], ['y']),
        node('Unsqueeze', ['x', 'last'], ['xs']),
        node('Unsqueeze', ['y', 'last'], ['ys']),
        node('Concat', ['xs', 'ys'], ['xy'], axis=2),
        node('Cast', ['xy'], ['points'], to=TensorProto.FLOAT),
        node('Add', ['points', 'shift'], ['keypoints']),
        node('Conv', ['fine', 'filters'], ['patches'], pads=[PATCH // 2] * 4),
        node('Reshape', ['patches', 'columns'], ['by_channel']),
        node('Transpose', ['by_channel'], ['by_pixel'], perm=[0, 2, 1]),
        node('Unsqueeze', ['index', 'last'], ['where']),
        node('GatherND', ['by_pixel', 'where'], ['rows'], batch_dims=1),
        node('LpNormalization', ['rows'], ['unit'], axis=2, p=2),
        # Where fewer are found, rows of zeros follow.
        node('Greater', ['strongest', 'least'], ['is_real']),
        node('Cast', ['is_real'], ['real'], to=TensorProto.FLOAT),
        node('Mul', ['real', 'stretch'], ['factor']),
        node('Unsqueeze', ['factor', 'last'], ['factors']),
        node('Mul', ['unit', 'factors'], ['local_descriptors']),
    ]
    names = {'descriptor': DIM, 'keypoints': None, 'scores': None, 'local_descriptors': None}
    graph = helper.make_graph(
        nodes,
        'tiny_local',
        [helper.make_tensor_value_info('image', TensorProto.UINT8, ['N', HEIGHT, WIDTH, 3])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, dim and ['N', dim])
            for name, dim in names.items()
        ],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)


def tiny_local_metadata(**local: Any) -> dict[str, Any]:
    """Everything the bundle says about itself, but for the model id; local: changed entries."""
    metadata = tiny_metadata(dim=DIM)
    size = {'height': HEIGHT, 'width': WIDTH}
    return {**metadata, 'input': {**metadata['input'], **size}, 'local': {**LOCAL, **local}}


def write_tiny_local_model(path: Path, **graph: Any) -> Path:
    """Write the bundle; for the arguments see tiny_local_graph."""
    write_bundle(tiny_local_graph(**graph), tiny_local_metadata(), path)
    return path


def pooled(kind: str, source: str, name: str, side: int) -> list[onnx.NodeProto]:
    """A pooling of side x side px that keeps the size."""
    pads = [side // 2] * 4
    return [helper.make_node(kind, [source], [name], kernel_shape=[side, side], pads=pads)]


def patch_filters(rng: np.random.Generator) -> np.ndarray:
    """Smooth random filters without a mean, float32 (LOCAL_DIM, 1, PATCH, PATCH)."""
    coarse = rng.standard_normal((LOCAL_DIM, 5, 5)).repeat(3, axis=1).repeat(3, axis=2)
    coarse -= coarse.mean(axis=(1, 2), keepdims=True)
    return coarse[:, None].astype(np.float32)
