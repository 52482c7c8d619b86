"""The feature map of a bundle's backbone: its graph, cut where the pooling begins."""

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

# What a convolutional backbone ends with; normalisation and pooling begin with others.
BACKBONE_ENDS = ('Conv', 'BatchNormalization', 'Relu', 'LeakyRelu', 'Clip', 'HardSwish', 'Add')


class FeatureMaps:
    """Runs a bundle up to its pooling."""

    def __init__(self, context: MethodContext) -> None:
        """Raises NetvladError if the bundle does not load or has no feature map."""
        path = context.model or default_model()
        self._metadata = ModelBundle.load(path, device='cpu', threads=context.threads).metadata
        model = onnx.load(str(path), load_external_data=False)
        name = bottleneck(model)
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
        """Rectified features of rgb, uint8 (H, W, 3): float32 (C, h, w), none below 0."""
        kind = f'maps {self._metadata.model_id}'
        (maps,) = self._cache.of(kind, rgb, lambda: (self._run(rgb),))
        return maps

    def _run(self, rgb: NDArray[np.uint8]) -> Vector:
        prepared = self._metadata.preprocessing
        feed = {self._metadata.input_name: prepared.to_input([prepared(rgb)])}
        return np.maximum(self._session.run(None, feed)[0][0], 0)


def bottleneck(model: onnx.ModelProto) -> str | None:
    """The last 4-D tensor of the backbone that all that follows is computed from; None: no such.

    Found by walking through the nodes: after it, no other tensor of floats is still waited for.
    """
    index = GraphIndex(model.graph)
    typed = onnx.shape_inference.infer_shapes(model).graph
    rank = {
        port.name: len(port.type.tensor_type.shape.dim)
        for port in (*typed.value_info, *typed.output, *typed.input)
        if port.type.tensor_type.elem_type != onnx.TensorProto.INT64
    }
    last_read = {name: at for at, node in enumerate(model.graph.node) for name in node.input}
    waited = {port.name for port in model.graph.input}
    found = None
    for at, node in enumerate(model.graph.node):
        waited |= {name for name in node.output if name in rank and index.constant(name) is None}
        waited = {name for name in waited if last_read.get(name, -1) > at}
        if len(waited) == 1 and node.op_type in BACKBONE_ENDS:
            (only,) = waited
            if only == node.output[0] and rank[only] == 4:
                found = only
    return found
