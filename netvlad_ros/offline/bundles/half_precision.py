"""Weights and convolutions in float16: half the file, and faster on some accelerators."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from netvlad_ros.offline.bundles.onnx_graph import GraphIndex, tidy

# These compute in float16 whenever their weights are constants.
_LEADERS = frozenset(('Conv', 'Gemm', 'MatMul'))
# These compute in float16 if all their inputs already are float16. Everything else stays in float32
# (norms, sums over an image, softmax, powers), because it would overflow or lose digits. Input and
# output stay in float32 too.
_FOLLOWERS = frozenset(
    """
    Add AveragePool BatchNormalization Clip Concat Flatten GlobalAveragePool HardSigmoid HardSwish
    Identity LeakyRelu MaxPool Mul Relu Reshape Sigmoid Slice Transpose
    """.split()  # noqa: SIM905, a list of quoted words reads worse
)
_LARGEST = 60_000.0  # float16 ends at 65,504


def half_graph(model: onnx.ModelProto, exact: Sequence[str] = ()) -> onnx.ModelProto:
    """The same network with float16 weights and, between casts, float16 convolutions.

    Args:
        model: stays as it is.
        exact: outputs that everything behind them computes in float32: rounding would move
            keypoints to other pixels.

    The caller checks that its descriptors still agree. A runtime without float16 kernels
    (onnxruntime on most CPUs) computes in float32 and inserts the casts itself.
    """
    half = onnx.ModelProto()
    half.CopyFrom(model)
    _Conversion(half, exact).run()
    tidy(half.graph)
    return half


class _Conversion:
    """One pass over the nodes, in their order."""

    def __init__(self, model: onnx.ModelProto, exact: Sequence[str]) -> None:
        self._graph = model.graph
        self._index = GraphIndex(model.graph)
        typed = onnx.shape_inference.infer_shapes(model).graph
        ports = (*typed.value_info, *typed.input, *typed.output)
        self._floats = {
            port.name for port in ports if port.type.tensor_type.elem_type == TensorProto.FLOAT
        }
        self._floats |= {
            tensor.name for tensor in typed.initializer if tensor.data_type == TensorProto.FLOAT
        }
        self._answers = {port.name for port in model.graph.output}
        self._exact = set(exact)  # tensors that stay in float32
        for node in reversed(model.graph.node):
            if self._exact.intersection(node.output):
                self._exact.update(node.input)
        self._halved: set[str] = set()  # tensors that are float16 by now
        self._nodes: list[onnx.NodeProto] = []
        self._made: dict[str, str] = {}  # tensor -> its counterpart of the other type

    def run(self) -> None:
        for node in list(self._graph.node):
            lowered = self._may_be_half(node)
            for position, name in enumerate(node.input):
                if name in self._floats and lowered != (name in self._halved):
                    node.input[position] = self._counterpart(name, lowered)
            if lowered:
                self._halved |= self._floats.intersection(node.output)
            self._nodes.append(node)
        del self._graph.node[:]
        self._graph.node.extend(self._nodes)

    def _may_be_half(self, node: onnx.NodeProto) -> bool:
        if (self._answers | self._exact).intersection(node.output):
            return False
        inputs = [name for name in node.input if name in self._floats]
        values = {name: self._index.constant(name) for name in inputs}
        live = [name for name in inputs if values[name] is None]
        if any(v is not None and not np.all(np.abs(v) <= _LARGEST) for v in values.values()):
            return False
        if node.op_type in _LEADERS:
            return len(live) == 1 and live[0] == node.input[0]
        return node.op_type in _FOLLOWERS and bool(live) and self._halved.issuperset(live)

    def _counterpart(self, name: str, lowered: bool) -> str:
        """The same tensor as float16 (lowered) or float32."""
        if name not in self._made:
            other = f'{name}.{"half" if lowered else "float"}'
            self._made[name] = other
            value = self._index.constant(name)
            if value is not None:
                lower = numpy_helper.from_array(value.astype(np.float16), other)
                self._graph.initializer.append(lower)
            else:
                to = TensorProto.FLOAT16 if lowered else TensorProto.FLOAT
                self._nodes.append(helper.make_node('Cast', [name], [other], name=other, to=to))
        return self._made[name]
