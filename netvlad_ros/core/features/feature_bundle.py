"""Feature bundle: an ONNX file that finds keypoints, with its metadata and identity."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.features.local_features import (
    DEFAULT_KEYPOINTS,
    DEFAULT_MAX_SIDE_PX,
    FeatureSpec,
)
from netvlad_ros.core.model.fingerprint import model_fingerprint
from netvlad_ros.core.model.graph_check import KEYPOINT_OPERATORS, check_graph
from netvlad_ros.core.model.onnx_file import error_line, parse_model, read_model, write_model

FORMAT_VERSION = 1
METADATA_KEY = 'netvlad_features'


@dataclass(frozen=True)
class FeatureMetadata:
    """The JSON under the key `netvlad_features` of a feature bundle's metadata_props.

    The JSON has `format_version` 1; the entry `input` holds input_name (as `name`), layout,
    channels, dtype, scale and multiple; the entry `outputs` holds keypoints, descriptors, scores
    and columns_first. A graph with a fixed input size gets images stretched to it.

    Attributes:
        model_id: SHA-256, hex, over graph, weights, input and outputs.
        name: name of the model.
        licence: of the weights.
        dim: columns of the descriptors.
        input_name: of the graph.
        layout: of the input, 'NHWC' or 'NCHW'.
        channels: of the input, 3 (RGB) or 1 (brightness).
        dtype: of the input, 'uint8' or 'float32'.
        scale: factor on pixels for a float32 input; 1 for uint8.
        multiple: sides of the input are multiples of this [px].
        keypoints: name of the output (n, 2) or (1, n, 2), x and y in pixels of the input; the
            centres of pixels lie at whole numbers.
        descriptors: name of the output (n, dim) or (1, n, dim).
        scores: name of the output (n,) or (1, n); None if the graph has none.
        columns_first: whether descriptors are (dim, n) or (1, dim, n) instead.
    """

    model_id: str
    name: str
    licence: str
    dim: int
    input_name: str
    layout: str
    channels: int
    dtype: str
    scale: float
    multiple: int
    keypoints: str
    descriptors: str
    scores: str | None
    columns_first: bool

    @classmethod
    def from_json(cls, text: str, where: str) -> FeatureMetadata:
        """Read the metadata; `where` names the bundle in errors. Raises NetvladError."""
        try:
            raw = json.loads(text)
            if raw['format_version'] != FORMAT_VERSION:
                raise ValueError(f'the format {raw["format_version"]!r} is not {FORMAT_VERSION}')
            entry, outputs = raw['input'], raw['outputs']
            metadata = cls(
                model_id=str(raw['model_id']),
                name=str(raw['name']),
                licence=str(raw.get('licence', 'unknown')),
                dim=int(raw['dim']),
                input_name=str(entry['name']),
                layout=str(entry['layout']),
                channels=int(entry['channels']),
                dtype=str(entry['dtype']),
                scale=float(entry.get('scale', 1.0)),
                multiple=int(entry.get('multiple', 1)),
                keypoints=str(outputs['keypoints']),
                descriptors=str(outputs['descriptors']),
                scores=None if outputs.get('scores') is None else str(outputs['scores']),
                columns_first=bool(outputs.get('columns_first', False)),
            )
            metadata._check()
        except KeyError as error:
            raise NetvladError(f'{where}: its feature metadata lacks the entry {error}') from error
        except (TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
            raise NetvladError(
                f'{where}: its feature metadata is malformed: {error_line(error)}'
            ) from error
        return metadata

    def spec(
        self,
        max_keypoints: int = DEFAULT_KEYPOINTS,
        max_side_px: int = DEFAULT_MAX_SIDE_PX,
        precision: str = 'int8',
    ) -> FeatureSpec:
        """The spec of this model's features, as a map keeps it. Raises NetvladError."""
        return FeatureSpec('onnx', self.dim, max_keypoints, max_side_px, self.model_id, precision)

    def _check(self) -> None:
        if self.layout not in ('NHWC', 'NCHW') or self.channels not in (1, 3):
            raise ValueError('the layout is NHWC or NCHW, with 1 or 3 channels')
        if self.dtype not in ('uint8', 'float32') or not 0 < self.scale <= 1e6:
            raise ValueError('the input is uint8 or float32, its scale above 0')
        if self.dtype == 'uint8' and self.scale != 1:
            raise ValueError('an input of uint8 has no scale')
        if not 1 <= self.multiple <= 256:
            raise ValueError(f'multiple {self.multiple} is outside 1..256')


def write_feature_bundle(model: onnx.ModelProto, metadata: dict[str, Any], path: Path) -> str:
    """Write a feature bundle, completely or not at all.

    Args:
        model: the graph.
        metadata: the JSON entries of FeatureMetadata without `model_id`.
        path: the ONNX file.

    Returns:
        The model id.

    Raises:
        NetvladError: graph or metadata would not load again.
    """
    where = f'model {path}'
    complete = onnx.ModelProto()
    complete.CopyFrom(model)
    del complete.metadata_props[:]
    check_graph(complete, where, KEYPOINT_OPERATORS)
    model_id = model_fingerprint(complete, _identity_entries(metadata))
    text = json.dumps({**metadata, 'model_id': model_id}, sort_keys=True)
    FeatureMetadata.from_json(text, where)
    complete.metadata_props.add(key=METADATA_KEY, value=text)
    write_model(complete, path)
    return model_id


def read_feature_bundle(path: Path) -> tuple[bytes, FeatureMetadata]:
    """The bytes of a feature bundle and its metadata, checked. Raises NetvladError."""
    where = f'model {path}'
    data = read_model(path, where)
    try:
        model = parse_model(data, where)
        check_graph(model, where, KEYPOINT_OPERATORS)
        properties = {prop.key: prop.value for prop in model.metadata_props}
        if METADATA_KEY not in properties:
            raise NetvladError(
                f"{where} carries no '{METADATA_KEY}' metadata (input, outputs, identity); "
                'add it with netvlad_ros.core.features.feature_bundle.write_feature_bundle'
            )
        metadata = FeatureMetadata.from_json(properties[METADATA_KEY], where)
        ports = _identity_entries(json.loads(properties[METADATA_KEY]))
        genuine = model_fingerprint(model, ports) == metadata.model_id
    except NetvladError:
        raise
    except Exception as error:  # a malicious file can raise anything in protobuf or NumPy
        raise NetvladError(f'{where} is damaged: {error_line(error)}') from error
    if not genuine:
        raise NetvladError(
            f'{where} is not what its model id says: it was changed or damaged after export'
        )
    return data, metadata


def read_feature_metadata(path: Path) -> FeatureMetadata:
    """Read the metadata of a feature bundle; the runtime does not open it. Raises NetvladError."""
    return read_feature_bundle(path)[1]


def _identity_entries(metadata: dict[str, Any]) -> dict[str, Any]:
    """The metadata that determine the features, and hence the identity."""
    return {name: metadata.get(name) for name in ('dim', 'input', 'outputs')}
