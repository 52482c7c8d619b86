"""Which of a query's potential positives is trained on."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class PositiveChoice(Protocol):
    """A rule. Potential positives are only near: they need not show the same thing."""

    def __call__(
        self,
        query: int,
        potential: NDArray[np.int64],
        similar: NDArray[np.float32],
        rng: np.random.Generator,
    ) -> int:
        """The position in `potential` (P,) that is taken, by similarity to the query (P,)."""


class BestPositive:
    """The most similar one (paper, equation 5)."""

    def __call__(
        self,
        query: int,
        potential: NDArray[np.int64],
        similar: NDArray[np.float32],
        rng: np.random.Generator,
    ) -> int:
        """See PositiveChoice."""
        return int(similar.argmax())


class RandomPositive:
    """Any: the ablation of the choice."""

    def __call__(
        self,
        query: int,
        potential: NDArray[np.int64],
        similar: NDArray[np.float32],
        rng: np.random.Generator,
    ) -> int:
        """See PositiveChoice."""
        return int(rng.integers(len(potential)))
