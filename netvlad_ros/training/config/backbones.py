"""The backbones to choose from, and the layers that each can be cut at."""

from __future__ import annotations

from dataclasses import dataclass

from netvlad_ros.core.errors import NetvladError


@dataclass(frozen=True)
class BackboneLayer:
    """A layer of a backbone whose output are the local descriptors.

    Attributes:
        last: path of the last module that is kept, as in the model's state dict, dots between; ''
            for a network of local features, which is kept whole.
        channels: width of the local descriptors.
        stride: from one local descriptor to the next [px].
    """

    last: str
    channels: int
    stride: int


# Networks of local features: dense descriptors and a score map of keypoints, from a grey image.
#
# 'dense' are their own dense descriptors. 'dense8' are these with unit length, averaged over 2 x 2:
# a quarter of the work for the pooling.
LOCAL_BACKBONES: dict[str, dict[str, BackboneLayer]] = {
    'edgepoint2_e64': {
        'dense': BackboneLayer('', 64, 4),
        'dense8': BackboneLayer('', 64, 8),
    },
    'edgepoint2_t48': {
        'dense': BackboneLayer('', 48, 4),
        'dense8': BackboneLayer('', 48, 8),
    },
    'xfeat': {'dense': BackboneLayer('', 64, 8)},
}
# Sides of an image for these are multiples of this [px], the stride of their coarsest layer.
LOCAL_MULTIPLE = 32

# Backbone -> layer. The first layer of a backbone is its default.
#
# alexnet, vgg16: the last convolution, before its ReLU (Arandjelovic et al., CVPR 2016).
# resnets: conv4 (stride 16) has more recall per dimension than conv5 (Berton et al., CVPR 2022).
# The others: 'stride16' ends with the last block at stride 16, which is a linear bottleneck.
# 'expand16' ends with the expansion that opens the next block. It is six times as wide and lies
# after the activation. Detectors on these networks take their stride-16 features there.
BACKBONE_LAYERS: dict[str, dict[str, BackboneLayer]] = {
    'alexnet': {'conv5': BackboneLayer('features.10', 256, 16)},
    'vgg16': {'conv5_3': BackboneLayer('features.28', 512, 16)},
    'resnet18': {
        'conv4': BackboneLayer('layer3', 256, 16),
        'conv5': BackboneLayer('layer4', 512, 32),
    },
    'resnet50': {
        'conv4': BackboneLayer('layer3', 1024, 16),
        'conv5': BackboneLayer('layer4', 2048, 32),
    },
    'resnet101': {
        'conv4': BackboneLayer('layer3', 1024, 16),
        'conv5': BackboneLayer('layer4', 2048, 32),
    },
    'mobilenet_v2': {
        'stride16': BackboneLayer('features.13', 96, 16),
        'expand16': BackboneLayer('features.14.conv.0', 576, 16),
    },
    'mobilenet_v3_large': {
        'stride16': BackboneLayer('features.12', 112, 16),
        'expand16': BackboneLayer('features.13.block.0', 672, 16),
    },
    'efficientnet_b0': {
        'stride16': BackboneLayer('features.5', 112, 16),
        'expand16': BackboneLayer('features.6.0.block.0', 672, 16),
    },
    **LOCAL_BACKBONES,
}


def find_layer(backbone: str, layer: str = '') -> BackboneLayer:
    """A layer of a backbone, by name; '' is the default layer of the backbone.

    Raises:
        NetvladError: unknown backbone, or a layer that the backbone does not have.
    """
    if backbone not in BACKBONE_LAYERS:
        known = ', '.join(BACKBONE_LAYERS)
        raise NetvladError(f'unknown backbone {backbone!r}; choose one of {known}')
    layers = BACKBONE_LAYERS[backbone]
    if layer and layer not in layers:
        raise NetvladError(
            f'backbone {backbone} cannot be cut at {layer!r}; choose one of {", ".join(layers)}'
        )
    return layers[layer or next(iter(layers))]
