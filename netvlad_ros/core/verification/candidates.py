"""Choice of the candidates to verify, and the time that verification takes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

RIVAL_PLACES = 2  # places that are verified beside the best one
IMAGES_OF_RIVAL = 2
NEWEST_WEIGHT = 0.2  # of the newest measurement in an average
MAX_RATIO = 3.0  # of a measurement to the average: one slow moment does not mean a slow machine
FORGET_FACTOR = 0.98  # on the averages whenever verification was skipped: they may be outdated
LEAST_SHARE = 0.1  # of the initial values
START_MS = {'extract': 60.0, 'match': 6.0, 'solve': 20.0, 'check': 30.0}  # 640x480 on one slow core


@dataclass
class VerificationBudget:
    """Running averages of the time that verification takes.

    Attributes:
        cost_ms: 'extract' -> features of an image, 'match' -> matching one map image, 'solve' ->
            the pose at one place, 'check' -> the check of the camera [ms].
    """

    cost_ms: dict[str, float] = field(default_factory=lambda: dict(START_MS))

    def measured(self, stage: str, ms: float) -> None:
        """Add the time that a stage took just now [ms]."""
        cost = self.cost_ms[stage]
        self.cost_ms[stage] += NEWEST_WEIGHT * (min(ms, MAX_RATIO * cost) - cost)

    def forget(self) -> None:
        """Reduce every average a little after verification was skipped.

        One slow moment must not switch verification off permanently. An average never falls below
        a tenth of its initial value: a cost near zero would let it run when no time is left.
        """
        for stage, cost in self.cost_ms.items():
            if cost > LEAST_SHARE * START_MS[stage]:
                self.cost_ms[stage] = FORGET_FACTOR * cost

    def expected_ms(self, candidates: int, places: int, *, extracted: bool = False) -> float:
        """Expected time [ms] for verifying so many candidates of so many places.

        Args:
            candidates: map images to match.
            places: places to solve.
            extracted: whether the features of the image are known already.
        """
        cost = self.cost_ms
        extract = 0.0 if extracted else cost['extract']
        return extract + candidates * cost['match'] + places * cost['solve']

    def affordable(
        self,
        ranks: NDArray[np.int64],
        place_of: NDArray[np.int64],
        time_left_ms: float,
        *,
        extracted: bool = False,
    ) -> NDArray[np.int64]:
        """Select the first ranks for which the time suffices.

        Args:
            ranks: int64 (n,), ranks of the candidates to verify, in order.
            place_of: int64 (k,), place of each candidate.
            time_left_ms: time that verification may take [ms].
            extracted: whether the features of the image are known already.

        Returns:
            int64 (m,), m <= n.
        """
        for count in range(len(ranks), 0, -1):
            places = len(np.unique(place_of[ranks[:count]]))
            if self.expected_ms(count, places, extracted=extracted) <= time_left_ms:
                return ranks[:count]
        return ranks[:0]


def candidates_to_verify(
    place_of: NDArray[np.int64],
    places: NDArray[np.int64],
    margin: NDArray[np.bool_],
    count: int,
    near_duplicates: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """Choose the candidates to verify, most informative first.

    These are the best `count` images of the best place, and the best IMAGES_OF_RIVAL images of each
    of the RIVAL_PLACES next places, because equal corridors must be compared.

    Args:
        place_of: int64 (k,), place of each candidate, -1 for none, most similar first.
        places: int64 (p,), the first of these places, the best first.
        margin: bool (k,), candidates near the best place; they are not verified as other places.
        count: largest number of images of the best place.
        near_duplicates: bool (k,), candidates taken where a more similar one was taken. They show
            nothing new and come last.

    Returns:
        int64 (n,), ranks of the candidates.
    """
    ranks = np.arange(len(place_of))
    best = places[0]
    of_best = ranks[place_of == best]
    if near_duplicates is not None:
        of_best = of_best[np.argsort(near_duplicates[of_best], kind='stable')]
    queues = [of_best[:count]]
    rivals = [place for place in places[1:] if not margin[place]]
    queues += [ranks[place_of == rival][:IMAGES_OF_RIVAL] for rival in rivals[:RIVAL_PLACES]]
    # In turns: two images of the best place, then one of each other place.
    order: list[int] = []
    for turn in range(math.ceil(count / 2) + IMAGES_OF_RIVAL):
        order += queues[0][2 * turn : 2 * turn + 2].tolist()
        for queue in queues[1:]:
            order += queue[turn : turn + 1].tolist()
    return np.array(order, dtype=np.int64)
