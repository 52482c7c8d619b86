"""make_backbone: the backbone of a name."""

from __future__ import annotations

from netvlad_ros.training.network.backbones.base import Backbone
from netvlad_ros.training.network.backbones.edgepoint import EdgePoint2
from netvlad_ros.training.network.backbones.local_backbone import LocalBackbone
from netvlad_ros.training.network.backbones.torchvision_backbone import TorchvisionBackbone
from netvlad_ros.training.network.backbones.xfeat import XFeat

_LOCAL: dict[str, type[LocalBackbone]] = {
    'edgepoint2_e64': EdgePoint2,
    'edgepoint2_t48': EdgePoint2,
    'xfeat': XFeat,
}


def make_backbone(name: str, layer: str = '') -> Backbone:
    """A backbone with random weights.

    Args:
        name: a key of BACKBONE_LAYERS.
        layer: last layer that is kept; '' is the default of the network.

    Raises:
        NetvladError: unknown name or layer.
    """
    return make_local_backbone(name, layer) if name in _LOCAL else TorchvisionBackbone(name, layer)


def make_local_backbone(name: str, layer: str = '') -> LocalBackbone:
    """A network of local features with random weights, a key of LOCAL_BACKBONES."""
    return _LOCAL[name](name, layer)
