"""Feature bundles of a few kilobytes: one with a fixed input, one that finds bright spots."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE, CELL, DIM = 64, 16, 12  # a keypoint in each cell, described by the pixels of a 2 x 2 average
CENTRES = [[CELL * x + 7.5, CELL * y + 7.5] for y in range(4) for x in range(4)]
METADATA = {
    'format_version': 1,
    'name': 'cells',
    'dim': DIM,
    'licence': 'Apache-2.0',
    'input': {'name': 'image', 'layout': 'NHWC', 'channels': 3, 'dtype': 'uint8'},
    'outputs': {'keypoints': 'points', 'descriptors': 'rows', 'scores': 'strength'},
}


def cells(points=CENTRES, *, scale_rows=1.0, transposed=False, extra=()) -> onnx.ModelProto:
    """Cuts a 64 x 64 image into 16 cells: (1, 16, 2) points, (1, 16, 12) rows, (1, 16) scores."""
    node = helper.make_node
    nodes = [
        node('Cast', ['image'], ['float'], to=TensorProto.FLOAT),
        node('Transpose', ['float'], ['planes'], perm=[0, 3, 1, 2]),
        node('AveragePool', ['planes'], ['small'], kernel_shape=[8, 8], strides=[8, 8]),
        node('SpaceToDepth', ['small'], ['deep'], blocksize=2),
        node('Reshape', ['deep', 'flat'], ['columns']),
        node('Mul', ['columns', 'factor'], ['scaled']),
        node('Transpose', ['scaled'], ['rows'], perm=[0, 1, 2] if transposed else [0, 2, 1]),
        node('ReduceMax', ['scaled'], ['strength'], axes=[1], keepdims=0),
        node('Identity', ['fixed'], ['points']),
        *extra,
    ]
    weights = [
        numpy_helper.from_array(np.int64([1, DIM, 16]), 'flat'),
        numpy_helper.from_array(np.float32([scale_rows]), 'factor'),
        numpy_helper.from_array(np.float32([points]), 'fixed'),
    ]
    graph = helper.make_graph(
        nodes,
        'cells',
        [helper.make_tensor_value_info('image', TensorProto.UINT8, [1, SIDE, SIDE, 3])],
        [
            helper.make_tensor_value_info('points', TensorProto.FLOAT, None),
            helper.make_tensor_value_info('rows', TensorProto.FLOAT, None),
            helper.make_tensor_value_info('strength', TensorProto.FLOAT, None),
        ],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)


SPOTS_METADATA = {
    'format_version': 1,
    'name': 'spots',
    'dim': 64,
    'licence': 'Apache-2.0',
    'input': {
        'name': 'grey',
        'layout': 'NCHW',
        'channels': 1,
        'dtype': 'float32',
        'scale': 1 / 255,
        'multiple': 8,
    },
    'outputs': {'keypoints': 'points', 'descriptors': 'rows'},
}


def spots() -> onnx.ModelProto:
    """Finds the cells of 8 x 8 px that are brighter than half: (n, 2) points, (n, 64) rows.

    Any size of image, any number of answers, as detectors have it.
    """
    node = helper.make_node
    nodes = [
        node('AveragePool', ['grey'], ['mean'], kernel_shape=[8, 8], strides=[8, 8]),
        node('Greater', ['mean', 'half'], ['bright']),
        node('NonZero', ['bright'], ['where']),
        node('Transpose', ['where'], ['cells'], perm=[1, 0]),
        node('Gather', ['cells', 'xy'], ['order'], axis=1),
        node('Cast', ['order'], ['steps'], to=TensorProto.FLOAT),
        node('Mul', ['steps', 'cell'], ['corners']),
        node('Add', ['corners', 'centre'], ['points']),
        node('SpaceToDepth', ['grey'], ['deep'], blocksize=8),
        node('Transpose', ['deep'], ['last'], perm=[0, 2, 3, 1]),
        node('Gather', ['cells', 'byx'], ['index'], axis=1),
        node('GatherND', ['last', 'index'], ['rows']),
    ]
    weights = [
        numpy_helper.from_array(np.float32(0.5), 'half'),
        numpy_helper.from_array(np.int64([3, 2]), 'xy'),
        numpy_helper.from_array(np.int64([0, 2, 3]), 'byx'),
        numpy_helper.from_array(np.float32(8), 'cell'),
        numpy_helper.from_array(np.float32(3.5), 'centre'),
    ]
    graph = helper.make_graph(
        nodes,
        'spots',
        [helper.make_tensor_value_info('grey', TensorProto.FLOAT, [1, 1, 'H', 'W'])],
        [
            helper.make_tensor_value_info('points', TensorProto.FLOAT, ['n', 2]),
            helper.make_tensor_value_info('rows', TensorProto.FLOAT, ['n', 64]),
        ],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
