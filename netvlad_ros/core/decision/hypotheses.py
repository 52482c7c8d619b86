"""Hypotheses: the candidates of an image grouped by place, with probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.geometry import Array


@dataclass(frozen=True)
class Hypotheses:
    """Where the camera may be, and how probable that is.

    A place is named by the rank of its most similar candidate.

    Attributes:
        best: the most probable place.
        probability: float64 (k,), of each candidate's place.
        elsewhere: probability of none of the places.
        single_probability: probability of the best place by this image if it had no rival.
        supporters: int64 (n,), ranks of the candidates that show the best place.
        rival: the strongest other place, None if there is none.
    """

    best: int
    probability: Array
    elsewhere: float
    single_probability: float
    supporters: NDArray[np.int64]
    rival: int | None
