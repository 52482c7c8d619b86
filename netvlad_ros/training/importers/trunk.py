"""Backbones out of the public trainers' files, which number what torchvision names."""

from __future__ import annotations

import torch

from netvlad_ros.training.backbone import Backbone
from netvlad_ros.training.importers.tensor_table import TensorTable


def take_trunk(table: TensorTable, prefix: str, name: str, layer: str) -> Backbone:
    """A backbone whose layers lie in a file as prefix + number, counted from 0 in their order.

    AlexNet and VGG16 count the layers of their convolutional part, ResNets their stages.

    Raises:
        NetvladError: a layer is missing or of another shape (as TensorTable.fill).
    """
    with torch.device('meta'):  # the classifier of VGG16 alone would take half a gigabyte
        backbone = Backbone(name, layer)
    backbone.to_empty(device='cpu')
    numbers = {child: number for number, (child, _) in enumerate(backbone.named_children())}

    def in_file(own: str) -> str:
        child, rest = own.split('.', 1)
        return f'{prefix}{rest}' if child == 'features' else f'{prefix}{numbers[child]}.{rest}'

    table.fill(backbone, in_file)
    return backbone
