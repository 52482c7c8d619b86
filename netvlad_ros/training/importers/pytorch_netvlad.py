"""Reads checkpoints of Nanne/pytorch-NetVlad (checkpoint.pth.tar, model_best.pth.tar)."""

from __future__ import annotations

from typing import Any

from torch import nn

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.model.preprocessing import Preprocessing
from netvlad_ros.training.importers.checkpoint_tensors import (
    TensorTable,
    take_backbone,
    take_clusters,
)
from netvlad_ros.training.importers.imported_network import ImportedNetwork
from netvlad_ros.training.network.normalisation import Normalisation
from netvlad_ros.training.network.poolings.global_poolings import MAC, SPoC


def read_pytorch_netvlad(
    checkpoint: Any, where: str, preprocessing: Preprocessing, pooling: str = ''
) -> ImportedNetwork:
    """The network of a checkpoint: AlexNet or VGG16, then NetVLAD, MAC or SPoC; no whitening.

    Args:
        checkpoint: what load_checkpoint read: {'state_dict': {'encoder.0.weight': ...}, ...}.
        where: names the file in errors.
        preprocessing: that trainer does not resize images; those of its data sets are 480x640 px.
        pooling: '' is netvlad; mac and spoc are not in the file, so they must be named.

    Raises:
        NetvladError: a layer is missing, unknown or of another shape, or pooling contradicts the
            file.
    """
    table = TensorTable(checkpoint['state_dict'], where)
    alexnet = table.shape('encoder.0.weight')[-1] == 11
    name, layer = ('alexnet', 'conv5') if alexnet else ('vgg16', 'conv5_3')
    backbone = take_backbone(table, 'encoder.', name, layer)
    pool: nn.Module
    if pooling in ('', 'netvlad') and any(name.startswith('pool.') for name in table.names):
        pool = take_clusters(table, 'pool.', backbone.channels)
    elif pooling in ('mac', 'spoc'):
        pool = MAC(backbone.channels) if pooling == 'mac' else SPoC(backbone.channels)
    else:
        raise NetvladError(
            f'{where} holds no NetVLAD layer; if it was trained with --pooling max or avg of that '
            'trainer, say --pooling mac or spoc here'
        )
    table.finish()
    return ImportedNetwork(
        nn.Sequential(backbone, pool),
        int(pool.dim),
        Normalisation('imagenet'),
        preprocessing,
        {
            'backbone': f'{name} {layer}',
            'pooling': pooling or 'netvlad',
            'whitening': 'none',
        },
    )
