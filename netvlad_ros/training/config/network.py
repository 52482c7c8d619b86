"""NetworkConfig: section `network` of train.yaml."""

from __future__ import annotations

from dataclasses import dataclass

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.model.local_outputs import MAX_KEYPOINTS
from netvlad_ros.core.model.preprocessing import Preprocessing
from netvlad_ros.training.config.backbones import (
    BACKBONE_LAYERS,
    LOCAL_BACKBONES,
    LOCAL_MULTIPLE,
    find_layer,
)
from netvlad_ros.training.config.settings import Settings, setting

NORMALISATIONS = ('imagenet', 'symmetric', 'caffe', 'grey')
VIEW_KINDS = 4  # views of an image that a whitening is fitted on: whole, mirrored, zoomed, both


@dataclass(frozen=True)
class NetworkConfig(Settings):
    """Section `network` of a training configuration.

    Raises:
        NetvladError: a setting is out of range, or does not go with another setting.
    """

    backbone: str = setting(
        'mobilenet_v2',
        'by torchvision name, or a network of local features',
        choices=tuple(BACKBONE_LAYERS),
    )
    layer: str = setting('', "last layer that is kept; '' is the default of the backbone")
    weights: str = setting(
        '', "of the backbone: a .safetensors or .pth file, 'torchvision' (download), or 'none'"
    )
    normalise: str = setting(
        'auto',
        "of pixels, as the weights need it: 'imagenet' mean and deviation, 'symmetric' -1..1, "
        "'caffe' mean only, 'grey' one standardised channel; auto is symmetric for mobilenet_v2 "
        'from a file, grey for networks of local features, else imagenet',
        choices=('auto', *NORMALISATIONS),
    )
    backbone_scale: float = setting(
        1.0,
        'side of the image that the backbone gets, as a share of the working size; 1 is the whole',
        0.25,
        1.0,
    )
    trainable_layers: int = setting(
        -1, 'of the backbone, counted from its end; -1 is all', -1, 1000
    )
    pooling: str = setting(
        'netvlad',
        'of local descriptors to one vector',
        choices=('netvlad', 'gem', 'mac', 'spoc', 'crow', 'rmac', 'crn'),
    )
    pooling_weights: str = setting(
        '', "a trained network.safetensors, whose pooling is kept as it is; '' starts from k-means"
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
    whitening_images: int = setting(
        0, 'that pca is fitted on, evenly spaced in each domain; 0: what memory holds', 0, 10**9
    )
    height: int = setting(352, 'working size [px]', 32, 4096)
    width: int = setting(464, 'working size [px]', 32, 4096)
    resize: str = setting(
        'stretch', 'to that size, or to its area', choices=('stretch', 'keep_aspect')
    )
    multiple: int = setting(16, 'with keep_aspect, sides are multiples of this [px]', 1, 256)
    local_descriptors: int = setting(100_000, 'sampled for k-means', 100, 10**8)
    local_features: bool = setting(
        True, 'whether the bundle answers keypoints too, if a network of local features is in it'
    )
    keypoints: int = setting(1000, 'of an image at most, the strongest', 1, MAX_KEYPOINTS)
    local_backbone: str = setting(
        '',
        "another network of local features beside the backbone; '' takes those of the backbone",
        choices=('', *LOCAL_BACKBONES),
    )
    local_layer: str = setting('', "of local_backbone, what its share is pooled from; '' is dense")
    local_weights: str = setting('', "of local_backbone: a .safetensors or .pth file, or 'none'")
    local_share: float = setting(
        0.0,
        'of local_backbone in the similarity of places: its dense descriptors go through a NetVLAD '
        'too, and it trains; 0 = none, it is not trained',
        0.0,
        0.9,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        layer = find_layer(self.backbone, self.layer)
        self.preprocessing  # noqa: B018  (checks what range checks cannot)
        if self.local_backbone and not self.local_features:
            raise NetvladError(
                f'local_backbone {self.local_backbone} needs local_features true: nothing else '
                'uses it'
            )
        if self.backbone in LOCAL_BACKBONES and self.normalise != 'auto':
            raise NetvladError(
                f'normalise {self.normalise} does not fit backbone {self.backbone}, which '
                'standardises a grey image itself: leave it at auto'
            )
        if self.backbone in LOCAL_BACKBONES and self.backbone_scale != 1.0:
            raise NetvladError(
                f'backbone_scale {self.backbone_scale:g} does not fit backbone {self.backbone}, '
                'whose keypoints need the whole image: leave it at 1'
            )
        if self.local_layer and not self.local_backbone:
            raise NetvladError(
                f'local_layer {self.local_layer} is that of local_backbone, and there is none: '
                "name one, or leave local_layer at ''"
            )
        if self.local_backbone:
            find_layer(self.local_backbone, self.local_layer)
        if self.local_share and not self.local_backbone:
            raise NetvladError(
                f'local_share {self.local_share:g} is that of local_backbone, and there is none: '
                'name one, or leave local_share at 0'
            )
        if self.local_share and (
            self.pooling != 'netvlad' or self.whitening not in ('pca', 'none')
        ):
            raise NetvladError('local_share needs pooling netvlad and whitening pca or none')
        self._check_sides()
        if self.pooling == 'rmac' and self.resize != 'stretch':
            raise NetvladError(
                'pooling rmac needs resize stretch: its regions are laid out for one image size'
            )
        if self.pooling == 'crn' and min(self.height, self.width) < 3 * layer.stride:
            raise NetvladError(
                f'pooling crn needs images of {3 * layer.stride} px a side with this backbone, '
                f'not {self.width}x{self.height}'
            )

    def _check_sides(self) -> None:
        used = self.backbone if self.backbone in LOCAL_BACKBONES else self.local_backbone
        if not used:
            return
        rounded = self.multiple if self.resize == 'keep_aspect' else LOCAL_MULTIPLE
        if any(side % LOCAL_MULTIPLE for side in (self.height, self.width, rounded)):
            what = f'{self.width}x{self.height}'
            what += f' with multiple {self.multiple}' if self.resize == 'keep_aspect' else ''
            raise NetvladError(
                f'{used} needs images whose sides are multiples of {LOCAL_MULTIPLE} px, not '
                f'{what}: change height and width (with keep_aspect also multiple)'
            )

    @property
    def local_network(self) -> str:
        """The network whose keypoints the bundle answers; '' if it answers none."""
        if not self.local_features:
            return ''
        return self.local_backbone or (self.backbone if self.backbone in LOCAL_BACKBONES else '')

    @property
    def preprocessing(self) -> Preprocessing:
        """What is done to an image before the network. Training and the robot do the same."""
        return Preprocessing(self.height, self.width, self.resize, self.multiple)

    @property
    def normalisation(self) -> str:
        """`normalise`, with `auto` resolved: imagenet, symmetric, caffe or grey."""
        if self.backbone in LOCAL_BACKBONES:
            return 'grey'
        if self.normalise != 'auto':
            return self.normalise
        from_file = self.weights not in ('', 'torchvision', 'none')
        return 'symmetric' if self.backbone == 'mobilenet_v2' and from_file else 'imagenet'
