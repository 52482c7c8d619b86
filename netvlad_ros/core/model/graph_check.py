"""Check of ONNX graphs before the runtime opens them."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from onnx.defs import onnx_opset_version

from netvlad_ros.core.errors import NetvladError

OLDEST_OPSET = 11
MAX_NODES = 20_000  # a deep network of images has about a thousand

# Operators of image networks. Operators for control flow and strings are missing on purpose: no
# descriptor needs them, and each operator is code that a malicious file could attack (fuzzed graphs
# have crashed the runtime: microsoft/onnxruntime#4585).
ALLOWED_OPERATORS = frozenset(
    """
    Abs Add And ArgMax ArgMin AveragePool BatchNormalization Cast CastLike Ceil Clip Concat
    Constant ConstantOfShape Conv ConvTranspose Cos CumSum DepthToSpace DequantizeLinear Div
    Dropout DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand Flatten Floor Gather
    GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual
    GroupNormalization HardSigmoid HardSwish Identity InstanceNormalization LayerNormalization
    LeakyRelu Less LessOrEqual Log LogSoftmax LpNormalization LpPool MatMul MatMulInteger
    ConvInteger Max MaxPool Mean Min Mish Mod Mul Neg Not OneHot Or PRelu Pad Pow QLinearConv
    QLinearMatMul QuantizeLinear Range Reciprocal ReduceL1 ReduceL2 ReduceLogSumExp ReduceMax
    ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize Round
    ScatterElements ScatterND Selu Shape Sigmoid Sign Sin Size Slice Softmax Softplus Softsign
    SpaceToDepth Split Sqrt Squeeze Sub Sum Tanh ThresholdedRelu Tile TopK Transpose Trilu
    Unsqueeze Upsample Where Xor
    """.split()  # noqa: SIM905, a list of 120 quoted words reads worse
)
# Networks that find keypoints also select pixels and sample between them.
KEYPOINT_OPERATORS = ALLOWED_OPERATORS | {'GridSample', 'NonZero'}
ALLOWED_DOMAINS = ('', 'ai.onnx')
# What model_fingerprint hashes. Graphs, sparse tensors and types within attributes are refused.
HASHED_ATTRIBUTES = frozenset(
    getattr(onnx.AttributeProto, kind)
    for kind in ('FLOAT', 'INT', 'STRING', 'TENSOR', 'FLOATS', 'INTS', 'STRINGS', 'TENSORS')
)


def check_graph(
    model: onnx.ModelProto, where: str, allowed: frozenset[str] = ALLOWED_OPERATORS
) -> None:
    """Refuse graphs that are not one self-contained network of known operators.

    Args:
        model: the graph.
        where: name of the file in errors.
        allowed: names of the operators that the graph may use.

    Raises:
        NetvladError: the graph has an unknown opset or operator, functions, external data, too
            many nodes, or parts that its identity does not cover.
    """
    for opset in model.opset_import:
        if opset.domain in ALLOWED_DOMAINS and not (
            OLDEST_OPSET <= opset.version <= onnx_opset_version()
        ):
            raise NetvladError(
                f'{where} is written in ONNX opset {opset.version}; opsets {OLDEST_OPSET} to '
                f'{onnx_opset_version()} are understood here, export it in one of those'
            )
    if len(model.graph.node) > MAX_NODES:
        raise NetvladError(f'{where} has {len(model.graph.node)} nodes, more than {MAX_NODES}')
    if model.functions:
        raise NetvladError(f'{where} defines functions of its own; export it with them inlined')
    if model.graph.sparse_initializer:
        raise NetvladError(f'{where} has sparse weights; export it with dense ones')
    for tensor in _tensors(model.graph):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise NetvladError(
                f"{where} keeps the weights '{tensor.name}' in another file; "
                'a bundle is one file, export it without external data'
            )
    for node in model.graph.node:
        if node.domain not in ALLOWED_DOMAINS or node.op_type not in allowed:
            name = f'{node.domain}::{node.op_type}' if node.domain else node.op_type
            raise NetvladError(f"{where} uses the operator '{name}', which no descriptor needs")
        for attribute in node.attribute:
            if attribute.type not in HASHED_ATTRIBUTES or attribute.ref_attr_name:
                raise NetvladError(
                    f"{where} gives the operator '{node.op_type}' an attribute '{attribute.name}' "
                    'that is neither numbers, text nor a dense tensor'
                )


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField('t'):
                yield attribute.t
            yield from attribute.tensors
