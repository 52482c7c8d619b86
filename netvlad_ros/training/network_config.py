"""The settings that decide a network: what it is made of and what it is shown."""

from __future__ import annotations

from dataclasses import dataclass

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.model.preprocessing import Preprocessing
from netvlad_ros.training.backbone_cuts import CUTS, find_cut
from netvlad_ros.training.image_view import KINDS
from netvlad_ros.training.settings import Settings, setting

NORMALISATIONS = ('imagenet', 'symmetric', 'caffe')


@dataclass(frozen=True)
class NetworkConfig(Settings):
    """Section `network` of a training configuration.

    Raises:
        NetvladError: a setting that is out of range, or that does not go with another.
    """

    backbone: str = setting('mobilenet_v2', 'trunk, by torchvision name', choices=tuple(CUTS))
    layer: str = setting('', "layer that it is cut after; '' is the usual one of that backbone")
    weights: str = setting(
        '', "of the trunk: a .safetensors or .pth file, 'torchvision' (download), or 'none'"
    )
    normalise: str = setting(
        'auto',
        "of pixels, as the weights want it: 'imagenet' mean and deviation, 'symmetric' -1..1, "
        "'caffe' mean only; auto is symmetric for mobilenet_v2 from a file, else imagenet",
        choices=('auto', *NORMALISATIONS),
    )
    trainable_layers: int = setting(-1, 'of the trunk, counted from its end; -1 is all', -1, 1000)
    pooling: str = setting(
        'netvlad',
        'of local descriptors to one vector',
        choices=('netvlad', 'gem', 'mac', 'spoc', 'crow', 'rmac', 'crn'),
    )
    clusters: int = setting(64, 'K of netvlad and crn', 2, 4096)
    ghost_clusters: int = setting(0, 'of netvlad and crn: take assignments, then drop', 0, 4096)
    decoupled_bias: bool = setting(
        True, 'of netvlad and crn: assignment with a bias of its own; false has none'
    )
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
        KINDS,
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
        cut = find_cut(self.backbone, self.layer)
        self.preprocessing  # noqa: B018  (checks what range checks cannot)
        if self.pooling == 'rmac' and self.resize != 'stretch':
            raise NetvladError(
                'pooling rmac needs resize stretch: its regions are laid out for one image size'
            )
        if self.pooling == 'crn' and min(self.height, self.width) < 3 * cut.stride:
            raise NetvladError(
                f'pooling crn needs images of {3 * cut.stride} px a side with this backbone, '
                f'not {self.width}x{self.height}'
            )

    @property
    def preprocessing(self) -> Preprocessing:
        """What is done to an image before the network, in training and on the robot alike."""
        return Preprocessing(self.height, self.width, self.resize, self.multiple)

    @property
    def normalisation(self) -> str:
        """`normalise` with auto resolved: imagenet, symmetric or caffe."""
        if self.normalise != 'auto':
            return self.normalise
        from_file = self.weights not in ('', 'torchvision', 'none')
        return 'symmetric' if self.backbone == 'mobilenet_v2' and from_file else 'imagenet'
