"""Fewer dimensions of a whitened descriptor: its last linear layer, sliced in the graph."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.bundles.onnx_graph import GraphIndex, attribute, tidy

_TRANSPARENT = ('Cast', 'Identity')
# In the metadata entry `whitening` of a bundle with a whitening for each of its networks.
IN_TURNS = 'of each network, in turns'


def fewer_dimensions(model: onnx.ModelProto, output: str, dim: int, where: str) -> onnx.ModelProto:
    """A graph of the first `dim` dimensions, normalised to unit length again.

    The last linear layer gets smaller, so that the others are not computed. Whitening puts the most
    informative directions first: the first ones are what a fit to `dim` would have given.

    Args:
        model: ends with a linear layer (Gemm, or MatMul and Add) and L2 normalisation.
        output: name of the descriptor.
        dim: number of dimensions to keep.
        where: names the model in errors.

    Raises:
        NetvladError: the graph does not end so, or has fewer dimensions.
    """
    reduced = onnx.ModelProto()
    reduced.CopyFrom(model)
    index = GraphIndex(reduced.graph)
    end = _behind(index, output)
    if end is None or end.op_type not in ('Div', 'LpNormalization'):
        raise _no_layer(where)
    layer = _behind(index, end.input[0])
    bias_at: tuple[onnx.NodeProto, int] | None = None
    if layer is not None and layer.op_type == 'Add':
        add = layer
        constant = [i for i in (0, 1) if index.constant(add.input[i]) is not None]
        if len(constant) != 1:
            raise _no_layer(where)
        bias_at = add, constant[0]
        layer = _behind(index, add.input[1 - constant[0]])
        if layer is None or layer.op_type != 'MatMul':
            raise _no_layer(where)
    if layer is None or layer.op_type not in ('Gemm', 'MatMul'):
        raise _no_layer(where)
    if layer.op_type == 'Gemm' and len(layer.input) == 3:
        bias_at = layer, 2
    weight = index.constant(layer.input[1])
    bias = index.constant(bias_at[0].input[bias_at[1]]) if bias_at else None
    if weight is None or weight.ndim != 2 or (bias_at and bias is None):
        raise _no_layer(where)
    axis = 0 if layer.op_type == 'Gemm' and attribute(layer, 'transB', 0) else 1
    present = weight.shape[axis]
    if not 1 <= dim <= present:
        raise NetvladError(f'{where} has {present} dimensions: it cannot be cut to {dim}')
    _replace(reduced.graph, layer, 1, np.take(weight, np.arange(dim), axis=axis))
    if bias_at is not None and bias is not None and bias.ndim and bias.shape[-1] == present:
        _replace(reduced.graph, *bias_at, bias[..., :dim])
    tidy(reduced.graph)
    for port in reduced.graph.output:
        if port.name == output and len(port.type.tensor_type.shape.dim) == 2:
            port.type.tensor_type.shape.dim[1].dim_value = dim
    return reduced


def first_dimensions(model: onnx.ModelProto, output: str, dim: int) -> onnx.ModelProto:
    """A graph of the first `dim` dimensions, cut and normalised behind its last node.

    For descriptors whose dimensions come from several whitening layers in turns.

    Args:
        model: any graph.
        output: name of the descriptor.
        dim: number of dimensions to keep, at most those that it has.
    """
    reduced = onnx.ModelProto()
    reduced.CopyFrom(model)
    graph = reduced.graph
    port = next(port for port in graph.output if port.name == output)
    whole, cut = f'{output}.whole', f'{output}.cut'
    for node in graph.node:
        for names in (node.input, node.output):
            for position, name in enumerate(names):
                names[position] = whole if name == output else name
    for name, value in (('start', 0), ('stop', dim), ('axis', 1)):
        graph.initializer.append(
            numpy_helper.from_array(np.array([value], np.int64), f'{cut}.{name}')
        )
    limits = [f'{cut}.start', f'{cut}.stop', f'{cut}.axis']
    graph.node.extend(
        [
            helper.make_node('Slice', [whole, *limits], [cut]),
            helper.make_node('LpNormalization', [cut], [output], axis=1, p=2),
        ]
    )
    port.type.tensor_type.shape.dim[1].dim_value = dim
    return reduced


def _behind(index: GraphIndex, name: str) -> onnx.NodeProto | None:
    """The node that computes a tensor; casts are passed over."""
    node = index.producer(name)
    while node is not None and node.op_type in _TRANSPARENT:
        node = index.producer(node.input[0])
    return node


def _replace(
    graph: onnx.GraphProto, node: onnx.NodeProto, position: int, value: NDArray[np.generic]
) -> None:
    name = f'{node.input[position]}.cut'
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
    node.input[position] = name


def _no_layer(where: str) -> NetvladError:
    return NetvladError(
        f'{where} does not end with a whitening layer, so its dimensions cannot be cut: '
        'train it with whitening, or export the network with it'
    )
