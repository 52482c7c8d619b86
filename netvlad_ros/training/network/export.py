"""Export of a network to an ONNX bundle, written only if both give the same descriptors."""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnx
import torch

from netvlad_ros.core.model.bundle import write_bundle
from netvlad_ros.core.model.preprocessing import Preprocessing
from netvlad_ros.offline.bundles.half_precision import half_graph
from netvlad_ros.offline.bundles.local_parity import check_local_parity
from netvlad_ros.offline.bundles.parity import check_parity, graph_answer, graph_describer
from netvlad_ros.training.network.local_head import LOCAL_OUTPUTS

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
        """Entries of the metadata that the module knows: 'backbone', 'pooling', 'whitening'.

        With an entry 'local' (see LocalOutputs) the module also has a method `answers`, which gives
        the descriptor, keypoints, scores and local descriptors.
        """


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
        half: weights and convolutions in float16, input and output unchanged; all that local
            features come from stays in float32. The comparison is with the network in float32.

    Returns:
        The model id.

    Raises:
        NetvladError: torch and onnxruntime disagree (cosine <= 0.9999 on any image, or other local
            features), or a descriptor is not finite; no file is left in either case.
    """
    preprocessing = network.preprocessing
    resized = [preprocessing(image) for image in images]
    assert isinstance(network, torch.nn.Module)
    module = copy.deepcopy(network).cpu().eval()
    local = network.facts.get('local')
    names = [local[output] for output in LOCAL_OUTPUTS] if local else []
    whole = Answers(module) if local else module
    graph = trace(whole, preprocessing, ['descriptor', *names])
    if half:
        graph = half_graph(graph, names)

    @torch.no_grad()
    def run(part: torch.nn.Module, group: Sequence[np.ndarray]) -> Any:
        return part(torch.from_numpy(np.stack(group)))

    what = f'export to {path} refused: torch and onnxruntime'
    check_parity(
        lambda group: np.asarray(run(module, group).numpy()),
        graph_describer(graph, 'descriptor', preprocessing),
        resized,
        what,
    )
    if local:
        check_local_parity(
            lambda group: [answer.numpy() for answer in run(whole, group)[1:]],
            graph_answer(graph, names, preprocessing),
            resized,
            what,
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


class Answers(torch.nn.Module):
    """A module whose forward is the method `answers` of another."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, images: torch.Tensor) -> Any:
        """uint8 (N, H, W, 3) RGB -> all that the module answers."""
        answers: Callable[..., Any] = self.module.answers  # type: ignore[assignment]
        return answers(images)


def trace(
    module: torch.nn.Module, preprocessing: Preprocessing, outputs: Sequence[str] = ('descriptor',)
) -> onnx.ModelProto:
    """A module on the CPU as a graph: uint8 (n, h, w, 3) 'image' -> outputs with n rows each."""
    example = torch.zeros((2, preprocessing.height, preprocessing.width, 3), dtype=torch.uint8)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The newer exporter needs onnxscript and opset 18; its graph is the same.
        warnings.simplefilter('ignore', DeprecationWarning)
        # R-MAC lays out its regions in Python, for the size that it is traced at.
        warnings.simplefilter('ignore', torch.jit.TracerWarning)  # type: ignore[attr-defined]
        # The instance norm has no other mode; slices of weights are computed, not folded.
        warnings.filterwarnings('ignore', 'ONNX export mode is set|Constant folding')
        torch.onnx.export(
            module,
            (example,),
            buffer,  # type: ignore[arg-type]
            input_names=['image'],
            output_names=[*outputs],
            dynamic_axes={
                'image': {0: 'n', 1: 'h', 2: 'w'},
                **{name: {0: 'n'} for name in outputs},
            },
            opset_version=OPSET,
            dynamo=False,
        )
    return onnx.load_model_from_string(buffer.getvalue())
