"""The settings that decide which images show the same place."""

from __future__ import annotations

import math
from dataclasses import dataclass

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.settings import Settings, setting


@dataclass(frozen=True)
class SupervisionConfig(Settings):
    """Radii of the weak supervision (paper, section 4 and appendix A), and what is held out.

    Raises:
        NetvladError: see Settings; or the shorter of two lengths is the longer one.
    """

    positive_radius_m: float = setting(
        10.0, 'images this near may show the same place [m]', 0.0, 1e6
    )
    positive_heading_deg: float = setting(
        0.0, 'and look less than this apart, where known; 0 = any direction [deg]', 0.0, 180.0
    )
    negative_radius_m: float = setting(
        25.0, 'images farther than this surely show another place [m]', 0.0, 1e6
    )
    positive_gap_min_s: float = setting(
        1.0, 'shortest time between query and positive of one recording [s]', 0.0, 1e6
    )
    positive_gap_max_s: float = setting(
        5.0, 'longest time between query and positive of a clip without poses [s]', 0.0, 1e6
    )
    multi_visit: bool = setting(
        False,
        'positives come from another recording only (Time Machine of the paper), except those of '
        'clips without poses',
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
        'classes compete if so many cells apart along each axis; 1 = all do, 5 in CosPlace',
        1,
        100,
    )
    cell_heading_groups: int = setting(
        1, 'and so many directions apart; 1 = all do, 2 in CosPlace', 1, 360
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
