"""LocalizerConfig: settings of localization, from which the node declares its parameters."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from netvlad_ros.core.errors import NetvladError


def tunable(default: Any, unit: str, low: float, high: float, description: str) -> Any:
    """Declare a dataclass field that is a ROS parameter.

    Args:
        default: its default.
        unit: '' for none.
        low: smallest value.
        high: largest value.
        description: of the ROS parameter.
    """
    return field(
        default=default,
        metadata={'unit': unit, 'range': (low, high), 'description': description},
    )


def switch(default: bool, description: str) -> Any:
    """Declare a dataclass field that is a ROS parameter with the values true and false."""
    return field(default=default, metadata={'unit': '', 'description': description})


def choice(default: str, choices: tuple[str, ...], description: str) -> Any:
    """Declare a dataclass field that is a ROS parameter with one of several values."""
    return field(
        default=default, metadata={'unit': '', 'description': description, 'choices': choices}
    )


def check_ranges(config: Any) -> None:
    """Raise NetvladError if a field of a dataclass is not among its choices or out of range."""
    for entry in fields(config):
        value = getattr(config, entry.name)
        choices = entry.metadata.get('choices')
        if choices and value not in choices:
            raise NetvladError(
                f"{entry.name} is '{str(value)[:40]}', it must be one of {', '.join(choices)}"
            )
        low, high = entry.metadata.get('range', (value, value))
        if not low <= value <= high:
            unit = entry.metadata['unit']
            raise NetvladError(
                f'{entry.name} is {value}, it must lie in {low}..{high} {unit}'.rstrip()
            )


@dataclass(frozen=True)
class LocalizerConfig:
    """Settings of localization; each field has its unit, range and description.

    Raises:
        NetvladError: a value is outside its range.
    """

    top_k: int = tunable(10, 'places', 1, 1000, 'Candidates reported with every match.')
    search_depth: int = tunable(
        1000, 'places', 1, 100000, 'Most similar places examined for rivals of the best one.'
    )
    min_detail: float = tunable(
        0.05, 'share', 0.0, 1.0, 'Images with edges on a smaller share of their area match nothing.'
    )
    accept_probability: float = tunable(
        0.95, 'probability', 0.5, 1.0, 'Least probability of a place to be accepted.'
    )
    similarity_midpoint: float = tunable(
        -1.0, 'cosine', -1.0, 1.0, 'Similarity that is right half the time; -1 = as in the model.'
    )
    similarity_slope: float = tunable(
        0.0, '1/cosine', 0.0, 10000.0, 'Log odds of a right match per cosine; 0 = as in the model.'
    )
    rival_slope: float = tunable(
        0.0,
        '1/cosine',
        0.0,
        10000.0,
        'Log odds between two places per cosine; 0 = as in the model.',
    )
    place_radius_m: float = tunable(
        1.0, 'm', 0.01, 1000.0, 'Images closer than this, or than 2 map spacings, show one place.'
    )
    place_radius_deg: float = tunable(
        45.0, 'deg', 1.0, 180.0, 'Images turned by less than this may show one place.'
    )
    prior_places: int = tunable(5, 'places', 1, 100, 'Best images of a place that make its pose.')
    prior_sigma_m: float = tunable(
        0.2,
        'm',
        0.001,
        100.0,
        'Least standard deviation of a prior; half the map spacing if larger.',
    )
    prior_sigma_deg: float = tunable(
        10.0,
        'deg',
        0.01,
        90.0,
        'Least standard deviation of a prior; half the map spacing if larger.',
    )
    prior_inflation: float = tunable(
        2.0, '', 1.0, 1000.0, "Factor from the spread of a place's poses to a prior's variance."
    )
    verification: bool = switch(
        True, 'Verify candidates by local features, where the map has them.'
    )
    verify_candidates: int = tunable(
        5, 'places', 1, 50, 'Map images of the best place that are verified.'
    )
    min_inliers: int = tunable(
        12, 'features', 6, 1000, 'Least inliers of a pose that is computed from geometry.'
    )
    max_reprojection_px: float = tunable(
        4.0, 'px', 0.5, 50.0, 'Features within this of where they should be are inliers.'
    )
    camera_check: str = choice(
        'refuse',
        ('refuse', 'estimate', 'trust'),
        'Where camera_info contradicts the landmarks. refuse: no pose by landmarks; estimate: use '
        'the calibration that they imply; trust: do not check.',
    )
    belief: bool = switch(
        True, 'Believe a sequence of images, not each alone: a Bayes filter over the places.'
    )
    max_speed_mps: float = tunable(
        10.0, 'm/s', 0.01, 100.0, 'Fastest motion of the camera, where there is no odometry.'
    )
    max_turn_dps: float = tunable(
        120.0, 'deg/s', 1.0, 3600.0, 'Fastest turn of the camera, where there is no odometry.'
    )

    def __post_init__(self) -> None:
        check_ranges(self)

    def radius_m(self, spacing_m: float) -> float:
        """Distance [m] within which images show one place, on a map with this spacing [m]."""
        return max(self.place_radius_m, 2 * spacing_m)
