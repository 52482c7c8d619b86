"""From the trained network to the bundle that a robot runs: nothing leaves unless both agree."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch

from netvlad_ros.core.descriptor import write_bundle
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.image import Preprocessing
from netvlad_ros.training.network import PlaceNetwork

OPSET = 17  # the newest that onnxruntime of ROS 2 Humble's time reads
PARITY = 0.9999  # smallest cosine between torch and onnxruntime


def export_bundle(
    network: PlaceNetwork,
    images: Sequence[np.ndarray],
    preprocessing: Preprocessing,
    metadata: dict[str, Any],
    path: Path,
) -> str:
    """Writes a bundle whose answers on real images are those of the network.

    Args:
        network: trained, whitening fitted.
        images: uint8 (H, W, 3) RGB, real ones, two or more, to compare on (batch 1 and all).
        preprocessing: of the network's input; becomes part of the metadata.
        metadata: 'name', 'licence', 'training', 'calibration' and the like (see ModelMetadata).
        path: of the .onnx file.

    Returns:
        The model id.

    Raises:
        NetvladError: torch and onnxruntime disagree (cosine <= 0.9999 on any image), or an answer
            is not finite; no file is left in either case.
    """
    resized = [preprocessing(image) for image in images]
    graph = trace(network, preprocessing)
    worst = compare(network, graph, resized)
    if not worst > PARITY:  # also refuses NaN
        raise NetvladError(
            f'export to {path} refused: torch and onnxruntime agree only to cosine {worst:.6f} '
            f'on {len(resized)} real images, needs more than {PARITY}'
        )
    full = {
        'format_version': 1,
        'dim': network.whitening.dim,
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
        **metadata,
    }
    return write_bundle(graph, full, path)


def trace(network: PlaceNetwork, preprocessing: Preprocessing) -> onnx.ModelProto:
    """The network as a graph: uint8 (n, h, w, 3) 'image' -> float32 (n, dim) 'descriptor'."""
    network.eval()
    example = torch.zeros((2, preprocessing.height, preprocessing.width, 3), dtype=torch.uint8)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The exporter that replaces this one needs onnxscript and opset 18; the graph is the same.
        warnings.simplefilter('ignore', DeprecationWarning)
        torch.onnx.export(
            network.cpu(),
            (example,),
            buffer,  # type: ignore[arg-type]
            input_names=['image'],
            output_names=['descriptor'],
            dynamic_axes={'image': {0: 'n', 1: 'h', 2: 'w'}, 'descriptor': {0: 'n'}},
            opset_version=OPSET,
            dynamo=False,
        )
    return onnx.load_model_from_string(buffer.getvalue())


@torch.no_grad()
def compare(network: PlaceNetwork, graph: onnx.ModelProto, resized: Sequence[np.ndarray]) -> float:
    """Smallest cosine between torch and onnxruntime over images, one by one and as one batch.

    NaN if either side answers something that is not finite.
    """
    network.eval()
    session = ort.InferenceSession(graph.SerializeToString(), providers=['CPUExecutionProvider'])
    groups = [np.stack([image]) for image in resized]
    if len({image.shape for image in resized}) == 1:
        groups.append(np.stack(resized))
    cosines = []
    for group in groups:
        ours = network(torch.from_numpy(group)).numpy().astype(np.float64)
        theirs = session.run(['descriptor'], {'image': group})[0].astype(np.float64)
        norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
        cosines.append(((ours * theirs).sum(axis=1) / norms).min())
    return float(np.min(cosines))
