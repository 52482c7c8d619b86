"""Export of a network to an ONNX bundle, written only if both give the same descriptors."""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnx
import torch

from netvlad_ros.core.model.bundle import write_bundle
from netvlad_ros.core.model.preprocessing import Preprocessing
from netvlad_ros.offline.bundles.half_precision import half_graph
from netvlad_ros.offline.bundles.parity import check_parity, graph_describer

OPSET = 17  # the newest that the onnxruntime of ROS 2 Humble reads


class Exportable(Protocol):
    """A torch module that maps uint8 (N, H, W, 3) RGB to unit rows float32 (N, dim)."""

    @property
    def dim(self) -> int:
        """Width of the descriptor."""

    @property
    def preprocessing(self) -> Preprocessing:
        """Of the images; becomes part of the metadata."""

    @property
    def facts(self) -> dict[str, Any]:
        """Entries of the metadata that the module knows: 'backbone', 'pooling', 'whitening'."""


def export_bundle(
    network: Exportable,
    images: Sequence[np.ndarray],
    metadata: dict[str, Any],
    path: Path,
    *,
    half: bool = False,
) -> str:
    """Writes a bundle that describes real images as the network does.

    Args:
        network: trained, whitening fitted; a copy of it is exported.
        images: uint8 (H, W, 3) RGB, two or more real images to compare on (batch 1 and all).
        metadata: 'name', 'licence', 'training', 'calibration' and others (see ModelMetadata).
            Backbone, pooling and whitening come from the network unless they are given here.
        path: of the .onnx file.
        half: weights and convolutions in float16, input and output unchanged. The comparison is
            with the network in float32.

    Returns:
        The model id.

    Raises:
        NetvladError: torch and onnxruntime disagree (cosine <= 0.9999 on any image), or a
            descriptor is not finite; no file is left in either case.
    """
    preprocessing = network.preprocessing
    resized = [preprocessing(image) for image in images]
    assert isinstance(network, torch.nn.Module)
    module = copy.deepcopy(network).cpu().eval()
    graph = trace(module, preprocessing)
    if half:
        graph = half_graph(graph)

    @torch.no_grad()
    def describe(group: Sequence[np.ndarray]) -> np.ndarray:
        return np.asarray(module(torch.from_numpy(np.stack(group))).numpy())

    check_parity(
        describe,
        graph_describer(graph, 'descriptor', preprocessing),
        resized,
        f'export to {path} refused: torch and onnxruntime',
    )
    full = {
        'format_version': 1,
        'dim': network.dim,
        'input': {
            'name': 'image',
            'layout': preprocessing.layout,
            'dtype': preprocessing.dtype,
            'height': preprocessing.height,
            'width': preprocessing.width,
            'resize': preprocessing.resize,
            'multiple': preprocessing.multiple,
            'mean': None,
            'std': None,
        },
        'output': {'name': 'descriptor'},
        'precision': 'float16' if half else 'float32',
        **network.facts,
        **metadata,
    }
    return write_bundle(graph, full, path)


def trace(module: torch.nn.Module, preprocessing: Preprocessing) -> onnx.ModelProto:
    """A module on the CPU as a graph: uint8 (n, h, w, 3) 'image' -> (n, dim) 'descriptor'."""
    example = torch.zeros((2, preprocessing.height, preprocessing.width, 3), dtype=torch.uint8)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The newer exporter needs onnxscript and opset 18; its graph is the same.
        warnings.simplefilter('ignore', DeprecationWarning)
        # R-MAC lays out its regions in Python, for the size that it is traced at.
        warnings.simplefilter('ignore', torch.jit.TracerWarning)  # type: ignore[attr-defined]
        torch.onnx.export(
            module,
            (example,),
            buffer,  # type: ignore[arg-type]
            input_names=['image'],
            output_names=['descriptor'],
            dynamic_axes={'image': {0: 'n', 1: 'h', 2: 'w'}, 'descriptor': {0: 'n'}},
            opset_version=OPSET,
            dynamo=False,
        )
    return onnx.load_model_from_string(buffer.getvalue())
