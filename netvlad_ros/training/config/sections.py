"""The sections of train.yaml, in its order: supervision, augmentation, mining, loss and loop.

Section `network` is in config/network.py, an entry of `sources` in config/source.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.config.settings import Settings, setting

MODES = ('partial', 'full', 'random', 'groups')  # of mining
TUPLE_LOSSES = ('triplet', 'sare_joint', 'sare_independent')
LOSSES = (*TUPLE_LOSSES, 'contrastive', 'multi_similarity', 'classification')


@dataclass(frozen=True)
class SupervisionConfig(Settings):
    """Section `supervision`: which images show the same place, and which are held out.

    Source:
        Arandjelovic et al., CVPR 2016, section 4 and appendix A.

    Raises:
        NetvladError: as Settings; a minimum is larger than its maximum; heading groups that do not
            divide the directions.
    """

    positive_radius_m: float = setting(
        10.0, 'images within this distance may show the same place [m]', 0.0, 1e6
    )
    positive_heading_deg: float = setting(
        0.0, 'and this difference of heading, where known; 0 = any heading [deg]', 0.0, 180.0
    )
    negative_radius_m: float = setting(
        25.0, 'images beyond this distance show another place [m]', 0.0, 1e6
    )
    positive_gap_min_s: float = setting(
        1.0, 'shortest time between query and positive of one recording [s]', 0.0, 1e6
    )
    positive_gap_max_s: float = setting(
        5.0, 'longest time between query and positive of a clip without poses [s]', 0.0, 1e6
    )
    multi_visit: bool = setting(
        False,
        'positives come from another recording only (Time Machine of the paper); clips without '
        'poses are an exception',
    )
    validation_areas: tuple[str, ...] = setting(
        (), 'areas (floors, cities) that are kept for validation; a clip or any column of it too'
    )
    validation_share: float = setting(
        0.0, 'share of images kept for validation, whole areas or recordings', 0.0, 0.9
    )
    cell_m: float = setting(10.0, 'side of a class of the classification loss [m]', 0.1, 1e5)
    cell_heading_deg: float = setting(
        30.0, 'directions of view that one class spans [deg]', 1.0, 360.0
    )
    cell_groups: int = setting(
        1,
        'classes a multiple of this apart along each axis compete [cells]; 1 = all, 5 in CosPlace',
        1,
        100,
    )
    cell_heading_groups: int = setting(
        1, 'and a multiple of this in direction; 1 = all, 2 in CosPlace', 1, 360
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.positive_gap_min_s > self.positive_gap_max_s:
            raise NetvladError('positive_gap_min_s is larger than positive_gap_max_s')
        if self.positive_radius_m > self.negative_radius_m:
            raise NetvladError('positive_radius_m is larger than negative_radius_m')
        directions = math.ceil(360.0 / self.cell_heading_deg)
        if directions % self.cell_heading_groups:
            raise NetvladError(
                f'cell_heading_groups {self.cell_heading_groups} does not divide the {directions} '
                'directions of cell_heading_deg: the last would be next to the first of its group'
            )


@dataclass(frozen=True)
class AugmentationConfig(Settings):
    """Section `augmentation`: how strongly an image is changed.

    Every number is multiplied by `strength`. A strength of 1 is like a revisit on another day. A
    strength of 0 does not change images.
    """

    strength: float = setting(0.7, 'multiplies all the others; 0 is off', 0.0, 2.0)
    perspective: float = setting(
        0.15, 'largest shift of a corner of the view, of the side', 0.0, 0.4
    )
    crop: float = setting(0.45, 'largest part of the area that is cut away', 0.0, 0.9)
    stretch: float = setting(0.18, 'largest change of the ratio of sides', 0.0, 0.5)
    rotation_deg: float = setting(4.0, 'largest roll of the camera [deg]', 0.0, 45.0)
    brightness: float = setting(0.4, 'largest change of the factor', 0.0, 0.9)
    contrast: float = setting(0.4, 'largest change of the factor', 0.0, 0.9)
    saturation: float = setting(0.3, 'largest change of the factor', 0.0, 0.9)
    hue: float = setting(0.03, 'largest turn, of the colour circle', 0.0, 0.5)
    gamma: float = setting(0.5, 'largest exponent of the response, in powers of two', 0.0, 3.0)
    warmth: float = setting(0.12, 'largest gain of red against blue: hour of the day', 0.0, 0.5)
    gradient: float = setting(0.4, 'largest fall of light to one side: where the sun is', 0.0, 0.9)
    grayscale_share: float = setting(0.1, 'of images without colour', 0.0, 1.0)
    blur_share: float = setting(0.3, 'of images out of focus', 0.0, 1.0)
    noise: float = setting(12.0, 'largest standard deviation of sensor noise, of 255', 0.0, 100.0)
    noise_share: float = setting(0.3, 'of images with noise', 0.0, 1.0)
    occlusion_share: float = setting(0.3, 'of images with a patch covered', 0.0, 1.0)
    fourier_share: float = setting(
        0.0, 'of images with the low frequencies of an image of another domain', 0.0, 1.0
    )
    fourier_beta: float = setting(
        0.01, 'half side of the window of these frequencies, of the shorter side', 0.0, 0.2
    )
    night_share: float = setting(0.0, 'of images turned to night', 0.0, 1.0)
    season_share: float = setting(0.0, 'of images turned to snow or autumn', 0.0, 1.0)


@dataclass(frozen=True)
class MiningConfig(Settings):
    """Section `mining`: which images a round trains on.

    Mode `partial` is that of the paper (appendix A): the hardest negatives among a random pool and
    the remembered negatives. Mode `full` compares all images. Mode `random` compares none. Mode
    `groups` draws places with several images each, for the losses over pairs.
    """

    mode: str = setting('partial', 'where negatives are looked for', choices=MODES)
    pool: int = setting(1000, 'partial: images drawn as candidates in each round', 1, 10**7)
    negatives: int = setting(10, 'kept for each query', 1, 1000)
    choice: int = setting(
        1, 'queries tried for each that is kept, the hardest of them; random tries one', 1, 100
    )
    remember: bool = setting(True, 'partial: negatives of the last epoch are candidates again')
    positives: str = setting(
        'best', 'partial, full: which potential positive', choices=('best', 'geometric', 'random')
    )
    positive_pool: int = setting(
        20, 'partial: of so many potential positives, drawn at random; 0 = all', 0, 10**6
    )
    geometric_candidates: int = setting(5, 'geometric: nearest positives that are checked', 1, 100)
    geometric_inliers: int = setting(30, 'geometric: matches that verify a positive', 8, 10_000)
    images_per_place: int = setting(4, 'groups: images of one place in a batch', 2, 100)
    places: str = setting(
        'queries', 'groups: all = images without positives too', choices=('queries', 'all')
    )
    hard_places: bool = setting(False, 'groups: batches of similar places')
    cache_mb: int = setting(2048, 'descriptors beyond this go to a file in TMPDIR', 1, 10**7)


@dataclass(frozen=True)
class LossConfig(Settings):
    """Section `loss`: what is minimised. Each kind reads only its own numbers.

    `distillation` goes with any kind: the mean over the images of (1 - cosine) between the dense
    descriptors of backbone and start, plus the squared difference of their standardised score maps.
    """

    kind: str = setting('triplet', 'what is minimised', choices=LOSSES)
    margin: float = setting(0.1, 'triplet: of squared distances', 0.0, 4.0)
    contrastive_margin: float = setting(0.7, 'contrastive: distance of negatives', 0.0, 2.0)
    temperature: float = setting(1.0, 'sare: divides squared distances; 1 in the paper', 1e-3, 1e3)
    alpha: float = setting(1.0, 'multi_similarity: sharpness for positives', 1e-3, 1e3)
    beta: float = setting(50.0, 'multi_similarity: sharpness for negatives', 1e-3, 1e3)
    base: float = setting(0.0, 'multi_similarity: cosine from which pairs are counted', -1.0, 1.0)
    epsilon: float = setting(0.1, 'multi_similarity: slack of the choice of pairs', 0.0, 2.0)
    scale: float = setting(30.0, 'classification: multiplies cosines', 1.0, 1e3)
    cosface_margin: float = setting(
        0.4, 'classification: cosine, subtracted for the own cell', 0.0, 1.0
    )
    distillation: float = setting(
        0.0,
        'weight that holds the local features of the backbone near those of its start; 0 is off',
        0.0,
        1e6,
    )

    @property
    def needs_tuples(self) -> bool:
        """Whether the loss ranks query, positive and negatives; mode `groups` draws no tuples."""
        return self.kind in TUPLE_LOSSES


@dataclass(frozen=True)
class LoopConfig(Settings):
    """Section `loop`: number, size and learning rates of the steps."""

    steps: int = setting(200, 'updates in all; 0 keeps the initialisation', 0, 10**8)
    round_steps: int = setting(50, 'updates on one mined cache; a checkpoint each round', 1, 10**6)
    batch: int = setting(4, 'tuples (or places) in one batch, over all processes', 1, 10**4)
    accumulate: int = setting(1, 'batches whose gradients one update averages', 1, 10**4)
    chunk: int = setting(
        0,
        'images whose activations are kept at once; 0: 32 on the CPU, 128 on a GPU',
        0,
        10**5,
    )
    workers: int = setting(
        -1,
        'processes that read and augment images ahead; -1: 1 on the CPU, 8 on a GPU',
        -1,
        64,
    )
    amp: str = setting(
        'none', 'precision of the activations', choices=('none', 'bfloat16', 'float16')
    )
    optimizer: str = setting('adam', 'which optimizer', choices=('adam', 'adamw', 'sgd'))
    lr_backbone: float = setting(1e-5, 'learning rate of the backbone', 0.0, 10.0)
    lr_pooling: float = setting(1e-4, 'learning rate of pooling and loss', 0.0, 10.0)
    weight_decay: float = setting(0.0, 'of the optimizer', 0.0, 10.0)
    schedule: str = setting(
        'constant', 'of the learning rates after the warm-up', choices=('constant', 'cosine')
    )
    warmup: int = setting(0, 'steps over which the learning rates rise from 0', 0, 10**7)
    validate_every: int = setting(
        1, 'rounds between two validations; 0: never, and the last weights are exported', 0, 10**6
    )
    patience: int = setting(
        0, 'validations without a better recall@5 after which training stops; 0: never', 0, 10**6
    )
    keep: float = setting(
        1.0,
        'share of the learned change that is kept: initial + keep * (trained - initial)',
        0.0,
        1.0,
    )

    def lr_factor(self, step: int) -> float:
        """Factor of the learning rates at a step (the first is 0)."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        if self.schedule == 'constant':
            return 1.0
        share = (step - self.warmup) / max(self.steps - self.warmup, 1)
        return 0.5 * (1.0 + math.cos(math.pi * min(share, 1.0)))

    def chunk_on(self, device: str) -> int:
        """Images whose activations are in memory at once, on a device type ('cpu', 'cuda')."""
        return self.chunk or (32 if device == 'cpu' else 128)
