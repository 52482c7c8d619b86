"""Reads checkpoints of gmberton/deep-visual-geo-localization-benchmark (best_model.pth)."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import nn

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.model.preprocessing import Preprocessing
from netvlad_ros.training.importers.checkpoint_tensors import (
    TensorTable,
    take_backbone,
    take_clusters,
)
from netvlad_ros.training.importers.imported_network import ImportedNetwork
from netvlad_ros.training.importers.layers import (
    BenchmarkRMAC,
    GeneralisedMean,
    UnitLength,
    WithoutL2,
)
from netvlad_ros.training.network.backbones.base import Backbone
from netvlad_ros.training.network.normalisation import Normalisation
from netvlad_ros.training.network.poolings.contextual_reweighting import CRN
from netvlad_ros.training.network.poolings.global_poolings import MAC, GlobalPooling, SPoC

# Poolings without weights: they are not in the file.
_WITHOUT_WEIGHTS: dict[str, type[GlobalPooling]] = {'mac': MAC, 'spoc': SPoC, 'rmac': BenchmarkRMAC}
_RESNETS = {(False, 2): 'resnet18', (True, 6): 'resnet50', (True, 23): 'resnet101'}


class _Aggregation(NamedTuple):
    """Layers from local descriptors to (N, dim).

    Attributes:
        layers: the pooling and L2.
        dim: width of the result.
        pooling: as the benchmark names it.
        l2: as the benchmark names it; '' for NetVLAD and CRN, which normalise themselves.
    """

    layers: nn.Module
    dim: int
    pooling: str
    l2: str


def read_vgbench(
    checkpoint: Any, where: str, preprocessing: Preprocessing, pooling: str = '', l2: str = ''
) -> ImportedNetwork:
    """The network of a checkpoint; backbone and aggregation follow from its layers.

    The benchmark does not normalise descriptors of GeM, SPoC, MAC and R-MAC, unless l2 is
    after_pool or a linear layer follows. A bundle gives unit vectors: these descriptors keep their
    direction and are ranked by angle.

    Args:
        checkpoint: what load_checkpoint read: {'model_state_dict': ...}, or the state dict alone,
            as the benchmark's model zoo gives it.
        where: names the file in errors.
        preprocessing: the benchmark stretches images to 480x640.
        pooling: '' is that of the file; mac, spoc and rmac are not in the file and must be named.
        l2: before_pool, after_pool or none, the option --l2 of the benchmark; '' is that of the
            file.

    Raises:
        NetvladError: a layer is missing, unknown or of another shape; an option is missing or
            contradicts the file.
    """
    table = TensorTable(checkpoint.get('model_state_dict', checkpoint), where)
    name, layer = _backbone(table)
    backbone = take_backbone(table, 'backbone.', name, layer)
    linear = 'aggregation.1.weight' in table
    prefix = 'aggregation.0.' if linear else 'aggregation.'
    found = _aggregation(table, prefix, backbone, pooling, l2, linear)
    for option, asked, read in (('pooling', pooling, found.pooling), ('l2', l2, found.l2)):
        if asked and asked != read:
            raise NetvladError(
                f'{where}: --{option} {asked} is not what it holds: {read or "none"}'
            )
    layers, dim = [backbone, found.layers], found.dim
    if linear:
        projection = nn.Linear(dim, table.shape('aggregation.1.weight')[0])
        table.fill(projection, lambda own: f'aggregation.1.{own}')
        layers.append(projection)
        dim = projection.out_features
    table.finish()
    facts = {
        'backbone': f'{name} {layer}'.strip(),
        'pooling': found.pooling + (f', l2 {found.l2}' if found.l2 else ''),
        'whitening': 'linear' if linear else 'none',
    }
    return ImportedNetwork(
        nn.Sequential(*layers), dim, Normalisation('imagenet'), preprocessing, facts
    )


def _backbone(table: TensorTable) -> tuple[str, str]:
    """Name and layer of the backbone, from the shape of its first layer and its blocks."""
    first = table.shape('backbone.0.weight')[-1] if 'backbone.0.weight' in table else 0
    if first == 11:
        return 'alexnet', 'conv5'
    if first == 3:
        return 'vgg16', 'conv5_3'
    blocks = {name.split('.')[2] for name in table.names if name.startswith('backbone.6.')}
    resnet = _RESNETS.get(('backbone.4.0.conv3.weight' in table, len(blocks)))
    if first != 7 or resnet is None:
        raise NetvladError(
            f'{table.where}: its backbone is none of alexnet, vgg16, resnet18, resnet50 and '
            'resnet101, which are those that can be imported'
        )
    whole = any(name.startswith('backbone.7.') for name in table.names)
    return resnet, 'conv5' if whole else 'conv4'


def _aggregation(
    table: TensorTable, prefix: str, backbone: Backbone, pooling: str, l2: str, linear: bool
) -> _Aggregation:
    channels = backbone.channels
    if f'{prefix}centroids' in table:
        clusters = take_clusters(table, prefix, channels)
        kind = 'crn' if isinstance(clusters, CRN) else 'netvlad'
        return _Aggregation(clusters, clusters.dim, kind, '')
    pool: nn.Module
    if f'{prefix}1.p' in table:
        pool = GeneralisedMean(table.take(f'{prefix}1.p', (1,)))
        return _Aggregation(nn.Sequential(UnitLength(), pool), channels, 'gem', 'before_pool')
    if f'{prefix}0.p' in table:
        if l2 not in ('after_pool', 'none') and linear:
            raise NetvladError(
                f'{table.where} does not tell whether its GeM is normalised before the linear '
                'layer: say --l2 after_pool or --l2 none, as it was trained'
            )
        pool = GeneralisedMean(table.take(f'{prefix}0.p', (1,)))
        pooling, l2 = (
            'gem',
            l2 if l2 == 'none' else 'after_pool',
        )  # both have one direction without linear
    elif pooling in _WITHOUT_WEIGHTS and l2:
        pool = WithoutL2(_WITHOUT_WEIGHTS[pooling](channels))
    else:
        raise NetvladError(
            f'{table.where} holds no aggregation layer that is known (netvlad, crn, gem); if it '
            'was trained with mac, spoc or rmac, which leave no trace, name it and its '
            'normalisation, as in --pooling mac --l2 before_pool'
        )
    if l2 == 'before_pool':
        return _Aggregation(nn.Sequential(UnitLength(), pool), channels, pooling, l2)
    after = [UnitLength()] if l2 == 'after_pool' else []
    return _Aggregation(nn.Sequential(pool, *after), channels, pooling, l2)
