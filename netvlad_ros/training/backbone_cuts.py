"""Where ImageNet networks are cut: the layers whose local descriptors the literature pools."""

from __future__ import annotations

from dataclasses import dataclass

from netvlad_ros.core.errors import NetvladError


@dataclass(frozen=True)
class Cut:
    """One place to cut a torchvision model.

    Attributes:
        last: path of the last module that is kept, as in the model's state dict, dots between.
        channels: width of the local descriptors there.
        stride: pixels from one local descriptor to the next.
    """

    last: str
    channels: int
    stride: int


# torchvision model -> layer -> cut; the first layer is the usual one.
#
# alexnet, vgg16: the last convolution, before its ReLU (Arandjelovic et al., CVPR 2016).
# resnets: conv4 (stride 16) places better per dimension than conv5 (Berton et al., CVPR 2022).
# The others: 'stride16' ends with the last block at stride 16, a linear bottleneck; 'expand16'
# with the expansion that opens the next block, six times as wide and after its activation (where
# detectors on these networks take their stride-16 features).
CUTS: dict[str, dict[str, Cut]] = {
    'alexnet': {'conv5': Cut('features.10', 256, 16)},
    'vgg16': {'conv5_3': Cut('features.28', 512, 16)},
    'resnet18': {'conv4': Cut('layer3', 256, 16), 'conv5': Cut('layer4', 512, 32)},
    'resnet50': {'conv4': Cut('layer3', 1024, 16), 'conv5': Cut('layer4', 2048, 32)},
    'resnet101': {'conv4': Cut('layer3', 1024, 16), 'conv5': Cut('layer4', 2048, 32)},
    'mobilenet_v2': {
        'stride16': Cut('features.13', 96, 16),
        'expand16': Cut('features.14.conv.0', 576, 16),
    },
    'mobilenet_v3_large': {
        'stride16': Cut('features.12', 112, 16),
        'expand16': Cut('features.13.block.0', 672, 16),
    },
    'efficientnet_b0': {
        'stride16': Cut('features.5', 112, 16),
        'expand16': Cut('features.6.0.block.0', 672, 16),
    },
}


def find_cut(backbone: str, layer: str = '') -> Cut:
    """The cut of a backbone at a layer; '' is its usual one.

    Raises:
        NetvladError: unknown backbone, or a layer that it has not.
    """
    if backbone not in CUTS:
        raise NetvladError(f'unknown backbone {backbone!r}; choose one of {", ".join(CUTS)}')
    layers = CUTS[backbone]
    if layer and layer not in layers:
        raise NetvladError(
            f'backbone {backbone} cannot be cut at {layer!r}; choose one of {", ".join(layers)}'
        )
    return layers[layer or next(iter(layers))]
