"""Identity of a model: a hash of everything that determines its answers."""

from __future__ import annotations

import hashlib
import json
import struct
from typing import Any

import onnx
from onnx import numpy_helper


def model_fingerprint(
    model: onnx.ModelProto,
    input_metadata: dict[str, Any],
    local_metadata: dict[str, Any] | None = None,
) -> str:
    """SHA-256 (hex) over weights, graph and preprocessing of a model.

    The graph is hashed, not the file: another release of protobuf may write the same graph as
    other bytes.

    Args:
        model: the graph.
        input_metadata: the JSON entry `input` of its metadata.
        local_metadata: the JSON entry `local` of its metadata; None without local outputs.
    """
    digest = hashlib.sha256()
    digest.update(json.dumps(input_metadata, sort_keys=True).encode())
    if local_metadata is not None:
        digest.update(json.dumps({'local': local_metadata}, sort_keys=True).encode())
    for opset in sorted(model.opset_import, key=lambda entry: entry.domain):
        _text(digest, opset.domain, str(opset.version))
    for tensor in sorted(model.graph.initializer, key=lambda entry: entry.name):
        _tensor(digest, tensor)
    for node in model.graph.node:
        _text(digest, node.domain, node.op_type, *node.input, '->', *node.output)
        for attribute in sorted(node.attribute, key=lambda entry: entry.name):
            _attribute(digest, attribute)
    for value in (*model.graph.input, *model.graph.output):
        _text(digest, value.name, str(value.type.tensor_type.elem_type))
    return digest.hexdigest()


def _text(digest: hashlib._Hash, *words: str) -> None:
    for word in words:
        encoded = word.encode()
        digest.update(struct.pack('<I', len(encoded)) + encoded)


def _tensor(digest: hashlib._Hash, tensor: onnx.TensorProto) -> None:
    array = numpy_helper.to_array(tensor)
    _text(digest, tensor.name, str(array.dtype), str(array.shape))
    digest.update(array.astype(array.dtype.newbyteorder('<'), copy=False).tobytes())


def _attribute(digest: hashlib._Hash, attribute: onnx.AttributeProto) -> None:
    _text(digest, attribute.name, str(attribute.type))
    digest.update(struct.pack('<qd', attribute.i, attribute.f))
    digest.update(struct.pack(f'<{len(attribute.ints)}q', *attribute.ints))
    digest.update(struct.pack(f'<{len(attribute.floats)}d', *attribute.floats))
    for text in (attribute.s, *attribute.strings):
        digest.update(struct.pack('<I', len(text)) + text)
    if attribute.HasField('t'):
        _tensor(digest, attribute.t)
    for tensor in attribute.tensors:
        _tensor(digest, tensor)
