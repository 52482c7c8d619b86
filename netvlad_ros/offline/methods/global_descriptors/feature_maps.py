"""FeatureMaps: the last feature map of a bundle's backbone, before pooling."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.offline.bundles.default_model import default_model
from netvlad_ros.offline.bundles.onnx_graph import GraphIndex
from netvlad_ros.offline.methods.method import MethodContext
from netvlad_ros.offline.methods.recipe import Vector

# Operators that a convolutional backbone ends with. Normalisation and pooling begin with others.
BACKBONE_ENDS = ('Conv', 'BatchNormalization', 'Relu', 'LeakyRelu', 'Clip', 'HardSwish', 'Add')


class FeatureMaps:
    """Runs the backbone of a bundle."""

    def __init__(self, context: MethodContext) -> None:
        """Load the bundle of a context.

        Raises:
            NetvladError: the bundle does not load or has no feature map.
        """
        path = context.model or default_model()
        self._metadata = ModelBundle.load(path, device='cpu', threads=context.threads).metadata
        model = onnx.load(str(path), load_external_data=False)
        name = bottleneck(first_branch(model))
        if name is None:
            raise NetvladError(
                f'{self._metadata.name} has no feature map that all of its pooling sees; '
                'choose another --model for the methods that pool one'
            )
        del model.graph.output[:]
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = context.threads
        self._session = ort.InferenceSession(
            model.SerializeToString(), options, providers=['CPUExecutionProvider']
        )
        self._cache = context.cache

    def read(self, rgb: NDArray[np.uint8]) -> Vector:
        """Rectified features of rgb, uint8 (H, W, 3): float32 (C, h, w), at least 0."""
        kind = f'maps {self._metadata.model_id}'
        (maps,) = self._cache.of(kind, rgb, lambda: (self._run(rgb),))
        return maps

    def _run(self, rgb: NDArray[np.uint8]) -> Vector:
        prepared = self._metadata.preprocessing
        feed = {self._metadata.input_name: prepared.to_input([prepared(rgb)])}
        return np.maximum(self._session.run(None, feed)[0][0], 0)


def first_branch(model: onnx.ModelProto) -> onnx.ModelProto:
    """The nodes of the first of several networks whose pooled vectors make one descriptor.

    The graph as it is, if nothing in it joins vectors.
    """
    index = GraphIndex(model.graph)
    rank = _ranks(model)
    joins = (
        node
        for node in model.graph.node
        if node.op_type == 'Concat' and [rank.get(name) for name in node.input] == [2, 2]
    )
    join = next(joins, None)
    if join is None:
        return model
    needed = index.before(join.input[0])
    branch = onnx.ModelProto()
    branch.CopyFrom(model)
    kept = [node for node in branch.graph.node if needed.intersection(node.output)]
    del branch.graph.node[:]
    branch.graph.node.extend(kept)
    return branch


def bottleneck(model: onnx.ModelProto) -> str | None:
    """Name of the last 4-D tensor of the backbone that all later tensors depend on; None = none.

    At this tensor, no other float tensor that was computed before is needed by a later node.
    """
    index = GraphIndex(model.graph)
    rank = _ranks(model)
    last_read = {name: at for at, node in enumerate(model.graph.node) for name in node.input}
    needed = {port.name for port in model.graph.input}
    found = None
    for at, node in enumerate(model.graph.node):
        needed |= {name for name in node.output if name in rank and index.constant(name) is None}
        needed = {name for name in needed if last_read.get(name, -1) > at}
        if len(needed) == 1 and node.op_type in BACKBONE_ENDS:
            (only,) = needed
            if only == node.output[0] and rank[only] == 4:
                found = only
    return found


def _ranks(model: onnx.ModelProto) -> dict[str, int]:
    """Number of dimensions of every tensor that holds no int64."""
    typed = onnx.shape_inference.infer_shapes(model).graph
    return {
        port.name: len(port.type.tensor_type.shape.dim)
        for port in (*typed.value_info, *typed.output, *typed.input)
        if port.type.tensor_type.elem_type != onnx.TensorProto.INT64
    }
