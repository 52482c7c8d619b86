"""How the images of a training step are chosen."""

from __future__ import annotations

from dataclasses import dataclass

from netvlad_ros.training.settings import Settings, setting

MODES = ('partial', 'full', 'random', 'groups')


@dataclass(frozen=True)
class MiningConfig(Settings):
    """Section `mining` of a training configuration.

    `partial` is the paper's (appendix A): the hardest negatives among a random pool and those
    remembered; `full` looks through all images, `random` through none; `groups` draws places with
    several images each, for the losses over pairs.
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
    hard_places: bool = setting(False, 'groups: batches of places that look alike')
    cache_mb: int = setting(2048, 'descriptors beyond this go to a file in TMPDIR', 1, 10**7)
