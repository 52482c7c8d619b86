"""Which of a query's potential positives is trained on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Similarities = NDArray[np.float32]

# The position in the potential positives (P,) that is taken; they are only near, and need not show
# the same thing. Arguments: the query, they, their similarities to it (P,), and luck.
PositiveChoice = Callable[[int, Indices, Similarities, Generator], int]


def best_positive(query: int, potential: Indices, similar: Similarities, rng: Generator) -> int:
    """The most similar one (paper, equation 5)."""
    return int(similar.argmax())


def random_positive(query: int, potential: Indices, similar: Similarities, rng: Generator) -> int:
    """Any: the ablation of the choice."""
    return int(rng.integers(len(potential)))
