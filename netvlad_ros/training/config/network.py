"""NetworkConfig: section `network` of train.yaml, and the backbones to choose from."""

from __future__ import annotations

from dataclasses import dataclass

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.model.preprocessing import Preprocessing
from netvlad_ros.training.config.settings import Settings, setting

NORMALISATIONS = ('imagenet', 'symmetric', 'caffe')
VIEW_KINDS = 4  # views of an image that a whitening is fitted on: whole, mirrored, zoomed, both


@dataclass(frozen=True)
class BackboneLayer:
    """A layer of a torchvision model whose output are the local descriptors.

    Attributes:
        last: path of the last module that is kept, as in the model's state dict, dots between.
        channels: width of the local descriptors.
        stride: from one local descriptor to the next [px].
    """

    last: str
    channels: int
    stride: int


# torchvision model -> layer. The first layer of a model is its default.
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


@dataclass(frozen=True)
class NetworkConfig(Settings):
    """Section `network` of a training configuration.

    Raises:
        NetvladError: a setting is out of range, or does not go with another setting.
    """

    backbone: str = setting('mobilenet_v2', 'by torchvision name', choices=tuple(BACKBONE_LAYERS))
    layer: str = setting('', "last layer that is kept; '' is the default of the backbone")
    weights: str = setting(
        '', "of the backbone: a .safetensors or .pth file, 'torchvision' (download), or 'none'"
    )
    normalise: str = setting(
        'auto',
        "of pixels, as the weights need it: 'imagenet' mean and deviation, 'symmetric' -1..1, "
        "'caffe' mean only; auto is symmetric for mobilenet_v2 from a file, else imagenet",
        choices=('auto', *NORMALISATIONS),
    )
    trainable_layers: int = setting(
        -1, 'of the backbone, counted from its end; -1 is all', -1, 1000
    )
    pooling: str = setting(
        'netvlad',
        'of local descriptors to one vector',
        choices=('netvlad', 'gem', 'mac', 'spoc', 'crow', 'rmac', 'crn'),
    )
    clusters: int = setting(64, 'K of netvlad and crn', 2, 4096)
    ghost_clusters: int = setting(0, 'of netvlad and crn: in the softmax, then dropped', 0, 4096)
    decoupled_bias: bool = setting(True, 'of netvlad and crn: whether the assignment has a bias')
    intra_normalise: bool = setting(True, 'of netvlad and crn: L2 of each cluster first')
    whitening: str = setting(
        'pca',
        'to dim: fitted (pca, supervised), trained (linear), or none (dim is that of the pooling)',
        choices=('none', 'pca', 'supervised', 'linear'),
    )
    dim: int = setting(512, 'width of the descriptor', 1, 65536)
    shrinkage: float = setting(0.0, 'of the whitening: 0 full, 1 only a rotation', 0.0, 1.0)
    whitening_views: int = setting(
        1,
        'of each training image that pca is fitted on: 1 whole, 2 also mirrored, 3 also zoomed, '
        '4 also zoomed and mirrored',
        1,
        VIEW_KINDS,
    )
    height: int = setting(352, 'working size [px]', 32, 4096)
    width: int = setting(464, 'working size [px]', 32, 4096)
    resize: str = setting(
        'stretch', 'to that size, or to its area', choices=('stretch', 'keep_aspect')
    )
    multiple: int = setting(16, 'with keep_aspect, sides are multiples of this [px]', 1, 256)
    local_descriptors: int = setting(100_000, 'sampled for k-means', 100, 10**8)

    def __post_init__(self) -> None:
        super().__post_init__()
        layer = find_layer(self.backbone, self.layer)
        self.preprocessing  # noqa: B018  (checks what range checks cannot)
        if self.pooling == 'rmac' and self.resize != 'stretch':
            raise NetvladError(
                'pooling rmac needs resize stretch: its regions are laid out for one image size'
            )
        if self.pooling == 'crn' and min(self.height, self.width) < 3 * layer.stride:
            raise NetvladError(
                f'pooling crn needs images of {3 * layer.stride} px a side with this backbone, '
                f'not {self.width}x{self.height}'
            )

    @property
    def preprocessing(self) -> Preprocessing:
        """What is done to an image before the network. Training and the robot do the same."""
        return Preprocessing(self.height, self.width, self.resize, self.multiple)

    @property
    def normalisation(self) -> str:
        """`normalise`, with `auto` resolved: imagenet, symmetric or caffe."""
        if self.normalise != 'auto':
            return self.normalise
        from_file = self.weights not in ('', 'torchvision', 'none')
        return 'symmetric' if self.backbone == 'mobilenet_v2' and from_file else 'imagenet'
