"""GraphIndex: producers and constants of an ONNX graph; and tidying after a change."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper


class GraphIndex:
    """Which node computes a tensor, and which tensors are constants.

    Args:
        graph: must not change while the index is used.
    """

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._producers = {name: node for node in graph.node for name in node.output}
        self._initializers = {tensor.name: tensor for tensor in graph.initializer}

    def producer(self, name: str) -> onnx.NodeProto | None:
        """The node that computes this tensor; None for inputs and initializers."""
        return self._producers.get(name)

    def before(self, name: str) -> set[str]:
        """This tensor and all that it is computed from."""
        found: set[str] = set()
        open_ = [name]
        while open_:
            tensor = open_.pop()
            if tensor not in found:
                found.add(tensor)
                node = self.producer(tensor)
                open_ += [] if node is None else node.input
        return found

    def constant(self, name: str) -> NDArray[np.generic] | None:
        """The value of an initializer or of a Constant node; None for anything else.

        Identity nodes are passed over: exporters use them to share one initializer.
        """
        if name in self._initializers:
            return numpy_helper.to_array(self._initializers[name])
        node = self._producers.get(name)
        if node is not None and node.op_type == 'Identity':
            return self.constant(node.input[0])
        if node is None or node.op_type != 'Constant' or node.attribute[0].name != 'value':
            return None
        return numpy_helper.to_array(node.attribute[0].t)


def attribute(node: onnx.NodeProto, name: str, default: int) -> int:
    """An integer attribute of a node."""
    return next((entry.i for entry in node.attribute if entry.name == name), default)


def tidy(graph: onnx.GraphProto) -> None:
    """Drop constants that no node reads, and the shapes of tensors inside the graph."""
    read = {output.name for output in graph.output}
    nodes = []
    for node in reversed(graph.node):  # a tensor is read after it is computed
        if node.op_type not in ('Constant', 'Identity') or read.intersection(node.output):
            nodes.append(node)
            read.update(node.input)
    nodes.reverse()
    tensors = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(tensors)
