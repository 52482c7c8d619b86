"""TensorTable: the tensors of a public checkpoint, and the backbone and clusters in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.network.backbones.base import Backbone
from netvlad_ros.training.network.backbones.torchvision_backbone import TorchvisionBackbone
from netvlad_ros.training.network.poolings.contextual_reweighting import CRN
from netvlad_ros.training.network.poolings.netvlad import NetVLAD

# Names of NetVLAD and CRN in our networks -> in the files of public trainers.
_OWN_TO_FILE = {
    'assignment.weight': 'conv.weight',
    'assignment.bias': 'conv.bias',
    'centroids': 'centroids',
    'reweighting.context.0.weight': 'crn.filter_3_3.weight',
    'reweighting.context.0.bias': 'crn.filter_3_3.bias',
    'reweighting.context.1.weight': 'crn.filter_5_5.weight',
    'reweighting.context.1.bias': 'crn.filter_5_5.bias',
    'reweighting.context.2.weight': 'crn.filter_7_7.weight',
    'reweighting.context.2.bias': 'crn.filter_7_7.bias',
    'reweighting.accumulate.weight': 'crn.acc_w.weight',
    'reweighting.accumulate.bias': 'crn.acc_w.bias',
}


class TensorTable:
    """A state dict from which each tensor is taken once, so that none is forgotten.

    'module.', which DataParallel adds to names, is removed. The step counters of batch norm are
    dropped: they have no effect at inference.

    Args:
        state: name -> tensor.
        where: names the file in errors.

    Raises:
        NetvladError: state is no mapping of names to dense floating point tensors.
    """

    def __init__(self, state: Any, where: str) -> None:
        self.where = where
        if not isinstance(state, Mapping) or not state:
            raise NetvladError(f'{where}: its state dict is no table of named tensors')
        self._tensors: dict[str, torch.Tensor] = {}
        for raw, tensor in state.items():
            if not isinstance(raw, str) or not isinstance(tensor, torch.Tensor):
                raise NetvladError(f'{where}: its state dict holds {raw!r}, which is no tensor')
            name = '.'.join(part for part in raw.split('.') if part != 'module')
            if name.endswith('num_batches_tracked'):
                continue
            if tensor.layout != torch.strided or not tensor.is_floating_point():
                raise NetvladError(f'{where}: layer {raw} holds no plain floating point numbers')
            self._tensors[name] = tensor

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    @property
    def names(self) -> list[str]:
        """Names not taken yet, in the order of the file."""
        return list(self._tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor not taken yet; raises NetvladError if it is missing."""
        if name not in self._tensors:
            raise NetvladError(f'{self.where}: layer {name} is missing')
        return tuple(self._tensors[name].shape)

    def take(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        """Removes the tensor of that name and returns it as float32.

        Raises:
            NetvladError: the tensor is missing, of another shape, or not finite.
        """
        found = self.shape(name)
        if found != shape:
            raise NetvladError(f'{self.where}: layer {name} has shape {found}, needs {shape}')
        tensor = self._tensors.pop(name).detach().to(torch.float32)
        if not torch.isfinite(tensor).all():
            raise NetvladError(f'{self.where}: layer {name} holds NaN or infinite weights')
        return tensor

    def fill(self, module: nn.Module, in_file: Callable[[str], str]) -> None:
        """Fills every parameter and buffer of a module.

        Args:
            module: no layer keeps the weights that it had.
            in_file: turns names of the module into names of the file.

        Raises:
            NetvladError: as `take`.
        """
        with torch.no_grad():
            for own, tensor in module.state_dict(keep_vars=True).items():
                if own.endswith('num_batches_tracked'):
                    tensor.zero_()
                else:
                    tensor.copy_(self.take(in_file(own), tuple(tensor.shape)))

    def finish(self) -> None:
        """Raises NetvladError if tensors are left: the file then holds another network."""
        if self._tensors:
            names = self.names
            more = f' and {len(names) - 3} more' if len(names) > 3 else ''
            raise NetvladError(
                f'{self.where}: unknown layers {", ".join(names[:3])}{more}: '
                'this is another architecture'
            )


def take_clusters(table: TensorTable, prefix: str, channels: int) -> NetVLAD:
    """NetVLAD, or CRN if the file has context filters; with a bias if the file has one.

    Raises:
        NetvladError: a tensor is missing or of another shape (as TensorTable.fill).
    """
    clusters = table.shape(f'{prefix}centroids')[0]
    kind = CRN if f'{prefix}crn.acc_w.weight' in table else NetVLAD
    with torch.device('meta'):
        layer = kind(channels, clusters, decoupled_bias=f'{prefix}conv.bias' in table)
    layer.to_empty(device='cpu')
    table.fill(layer, lambda own: prefix + _OWN_TO_FILE[own])
    return layer


def take_backbone(table: TensorTable, prefix: str, name: str, layer: str) -> Backbone:
    """A backbone whose layers are named prefix + number in the file, from 0 in their order.

    For AlexNet and VGG16 these are the layers of the convolutional part, for ResNets the stages.

    Raises:
        NetvladError: a layer is missing or of another shape (as TensorTable.fill).
    """
    with torch.device('meta'):  # the classifier of VGG16 alone would take half a gigabyte
        backbone = TorchvisionBackbone(name, layer)
    backbone.to_empty(device='cpu')
    numbers = {child: number for number, (child, _) in enumerate(backbone.named_children())}

    def in_file(own: str) -> str:
        child, rest = own.split('.', 1)
        return f'{prefix}{rest}' if child == 'features' else f'{prefix}{numbers[child]}.{rest}'

    table.fill(backbone, in_file)
    return backbone
