"""Which candidates are worth verifying, and how many of them the time allows."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

RIVAL_PLACES = 2  # places beside the best one that are compared with it
IMAGES_OF_RIVAL = 2
RECENT = 0.2  # weight of the newest measurement
OUTLIER = 3.0  # times the average: one slow moment is no slow machine
FORGET = 0.98  # of a cost, whenever it kept verification from running: it may be outdated
LEAST = 0.1
START_MS = {'extract': 60.0, 'match': 6.0, 'solve': 20.0}  # 640x480 on one slow core


@dataclass
class VerificationBudget:
    """Running averages [ms] of what verification costs: features of an image, matching one map
    image, solving one place.
    """

    cost_ms: dict[str, float] = field(default_factory=lambda: dict(START_MS))

    def measured(self, stage: str, ms: float) -> None:
        """Remember what a stage took just now."""
        cost = self.cost_ms[stage]
        self.cost_ms[stage] += RECENT * (min(ms, OUTLIER * cost) - cost)

    def forget(self) -> None:
        """Trust the averages less: what was slow must not be switched off for good.

        Never below LEAST of the costs at the start: what seems free would run with no time left.
        """
        for stage, cost in self.cost_ms.items():
            if cost > LEAST * START_MS[stage]:
                self.cost_ms[stage] = FORGET * cost

    def expected_ms(self, candidates: int, places: int) -> float:
        """What verifying so many candidates of so many places takes [ms]."""
        cost = self.cost_ms
        return cost['extract'] + candidates * cost['match'] + places * cost['solve']

    def affordable(
        self, ranks: NDArray[np.int64], place_of: NDArray[np.int64], time_left_ms: float
    ) -> NDArray[np.int64]:
        """The first so many of the ranks (n,) that time_left_ms allows; place_of: (k,) of all."""
        for count in range(len(ranks), 0, -1):
            places = len(np.unique(place_of[ranks[:count]]))
            if self.expected_ms(count, places) <= time_left_ms:
                return ranks[:count]
        return ranks[:0]


def candidates_to_verify(
    place_of: NDArray[np.int64],
    margin: NDArray[np.bool_],
    count: int,
    near_duplicates: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """Ranks of the candidates to verify, the most telling ones first, int64 (n,).

    The best `count` images of the best place, and the best IMAGES_OF_RIVAL of each of the
    RIVAL_PLACES next ones: equal corridors must be compared.

    Args:
        place_of: int64 (k,), place of each candidate, -1 for none, most similar first.
        margin: bool (k,), next to the best place: no rivals of it.
        count: most images of the best place.
        near_duplicates: bool (k,), taken from about where a more similar one was. They show
            nothing new and come last.
    """
    ranks = np.arange(len(place_of))
    of_best = ranks[place_of == place_of[0]]
    if near_duplicates is not None:
        of_best = of_best[np.argsort(near_duplicates[of_best], kind='stable')]
    queues = [of_best[:count]]
    rivals = ranks[(place_of == ranks) & ~margin & (place_of != place_of[0])]
    queues += [ranks[place_of == rival][:IMAGES_OF_RIVAL] for rival in rivals[:RIVAL_PLACES]]
    # Two of the best place for one of each rival, as long as there are any.
    order: list[int] = []
    for turn in range(math.ceil(count / 2) + IMAGES_OF_RIVAL):
        order += queues[0][2 * turn : 2 * turn + 2].tolist()
        for queue in queues[1:]:
            order += queue[turn : turn + 1].tolist()
    return np.array(order, dtype=np.int64)
