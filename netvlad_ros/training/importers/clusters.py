"""NetVLAD layers out of the public PyTorch trainers' files, which share their names."""

from __future__ import annotations

import torch

from netvlad_ros.training.importers.tensor_table import TensorTable
from netvlad_ros.training.poolings.contextual_reweighting import CRN
from netvlad_ros.training.poolings.netvlad import NetVLAD

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


def take_clusters(table: TensorTable, prefix: str, channels: int) -> NetVLAD:
    """NetVLAD, or CRN where the file has context filters; a bias only where the file has one.

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
