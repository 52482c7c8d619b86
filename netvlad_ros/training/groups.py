"""Members of groups, found at once among many."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Groups:
    """Rows that share a code. codes: (N,) int64."""

    def __init__(self, codes: NDArray[np.int64]) -> None:
        self._order = np.argsort(codes, kind='stable')
        self._sorted = codes[self._order]

    def members(self, code: int) -> NDArray[np.int64]:
        """Rows of one code, (M,) int64, sorted; none if no row has it."""
        first, last = np.searchsorted(self._sorted, [code, code + 1])
        return self._order[first:last]
