"""FeatureNetwork: a public network of local features, from its file to a feature bundle."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.features.feature_bundle import FORMAT_VERSION, write_feature_bundle
from netvlad_ros.core.model.preprocessing import Preprocessing
from netvlad_ros.offline.bundles.local_parity import check_local_parity
from netvlad_ros.offline.bundles.parity import graph_answer
from netvlad_ros.training.config.backbones import LOCAL_BACKBONES, LOCAL_MULTIPLE
from netvlad_ros.training.importers.checkpoint_tensors import TensorTable
from netvlad_ros.training.network.backbones.local_backbone import LocalBackbone
from netvlad_ros.training.network.backbones.make_backbone import make_local_backbone
from netvlad_ros.training.network.backbones.weights import local_network_of, read_weights
from netvlad_ros.training.network.export import trace
from netvlad_ros.training.network.local_head import LOCAL_OUTPUTS, LocalHead
from netvlad_ros.training.network.normalisation import GreyNormalisation
from netvlad_ros.training.network.restricted_pickle import load_checkpoint

# Larger files are not read to look for a network of local features: they hold other networks.
MAX_FILE_BYTES = 64 * 2**20
COMPARED_AT = Preprocessing(352, 480, 'keep_aspect', LOCAL_MULTIPLE)  # size of the parity gate
_NESTED = ('state_dict', 'model_state_dict', 'model')  # where trainers put the state dict
_WRAPPERS = ('module', 'net')  # parts of names that wrappers of the network add
_UNUSED = 'fine_matcher'  # XFeat's refinement of pairs of images, which is no feature


class FeatureNetwork(nn.Module):
    """uint8 RGB images -> keypoints, scores, local descriptors.

    Args:
        backbone: with its weights.
        keypoints: rows that every image gets.

    Attributes:
        backbone: with its weights.
    """

    def __init__(self, backbone: LocalBackbone, keypoints: int) -> None:
        super().__init__()
        self.normalisation = GreyNormalisation()
        self.backbone = backbone
        self.head = LocalHead(keypoints)
        self.requires_grad_(False)
        self.eval()

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """uint8 (N, H, W, 3) RGB, sides multiples of LOCAL_MULTIPLE -> what LocalHead returns."""
        maps = self.backbone.maps(self.normalisation(images))
        return self.head(maps)  # type: ignore[no-any-return]


def read_local_backbone(path: Path, layout: str = 'auto') -> LocalBackbone | None:
    """The network of local features in a file; None if the file may hold another kind of network.

    Args:
        path: a .safetensors file, or what torch.save wrote.
        layout: a key of LOCAL_BACKBONES; auto: what the file holds; any other answers None.

    Raises:
        NetvladError: the file holds no such network where it must: a .safetensors file, or a named
            layout; a layer is missing, unknown, of another shape or not finite.
    """
    tensors_only = path.suffix == '.safetensors'
    named = layout in LOCAL_BACKBONES
    if not named and (layout != 'auto' or path.suffix.lower() == '.mat'):
        return None
    if not named and not tensors_only and path.is_file() and path.stat().st_size > MAX_FILE_BYTES:
        return None
    where = f'checkpoint {path}'
    state = _state(read_weights(path) if tensors_only else load_checkpoint(path))
    found = local_network_of(state)
    if not found and not named and not tensors_only:
        return None
    if not found:
        raise NetvladError(
            f'{where} holds none of the networks of local features {", ".join(LOCAL_BACKBONES)}'
        )
    if named and found != layout:
        raise NetvladError(f'{where} has the layout {found}, not {layout}')
    backbone = make_local_backbone(found)
    table = TensorTable(state, where)
    table.fill(backbone, lambda own: own)
    table.finish()
    return backbone


def write_features(
    backbone: LocalBackbone,
    keypoints: int,
    images: Sequence[np.ndarray],
    metadata: dict[str, Any],
    path: Path,
) -> str:
    """Writes a feature bundle that finds in real images what the network finds.

    Args:
        backbone: with its weights; a copy of it is exported.
        keypoints: of an image at most.
        images: uint8 (H, W, 3) RGB, to compare on.
        metadata: 'name', 'licence' and others.
        path: of the .onnx file.

    Returns:
        The model id.

    Raises:
        NetvladError: torch and onnxruntime disagree; no file is left.
    """
    network = FeatureNetwork(copy.deepcopy(backbone), keypoints)
    names = list(LOCAL_OUTPUTS.values())
    graph = trace(network, COMPARED_AT, names)
    check_local_parity(
        lambda group: [answer.numpy() for answer in network(torch.from_numpy(np.stack(group)))],
        graph_answer(graph, names, COMPARED_AT),
        [COMPARED_AT(image) for image in images],
        f'export to {path} refused: torch and onnxruntime',
    )
    complete = {
        'format_version': FORMAT_VERSION,
        'dim': backbone.channels,
        'input': {
            'name': 'image',
            'layout': COMPARED_AT.layout,
            'channels': 3,
            'dtype': COMPARED_AT.dtype,
            'multiple': LOCAL_MULTIPLE,
        },
        'outputs': {**LOCAL_OUTPUTS, 'columns_first': False},
        **metadata,
    }
    return write_feature_bundle(graph, complete, path)


def _state(checkpoint: Any) -> Mapping[str, torch.Tensor]:
    """The state dict of a checkpoint, without the names of wrappers and without unused layers."""
    while isinstance(checkpoint, Mapping):
        inner = next((name for name in _NESTED if name in checkpoint), '')
        if not isinstance(checkpoint.get(inner), Mapping):
            break
        checkpoint = checkpoint[inner]
    if not isinstance(checkpoint, Mapping):
        return {}
    state = {}
    for name, tensor in checkpoint.items():
        parts = [part for part in str(name).split('.') if part not in _WRAPPERS]
        if isinstance(tensor, torch.Tensor) and parts[:1] != [_UNUSED]:
            state['.'.join(parts)] = tensor
    return state
