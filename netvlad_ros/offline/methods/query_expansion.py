"""Asking again with what the first answers add to the query."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.offline.methods.recipe import CosineIndex, Index, OtherIndex, Vector, unit

NEIGHBOURS = 5
ALPHA = 3.0


class QueryExpanded(OtherIndex):
    """alpha-QE: Radenovic et al., PAMI 2019, after Chum et al., ICCV 2007."""

    def index(self, database: list[Vector]) -> Index:
        """Searched twice for each query."""
        return ExpandingIndex(database)


class ExpandingIndex(CosineIndex):
    """The query plus its neighbours, each weighed by its cosine to the power of alpha."""

    def rows(self, queries: list[Vector]) -> Iterable[NDArray[Any]]:
        """Yield cosines to the expanded queries."""
        for query in queries:
            cosines = self.vectors @ query
            nearest = np.argsort(-cosines, kind='stable')[:NEIGHBOURS]
            weights = np.maximum(cosines[nearest], 0) ** ALPHA
            yield self.vectors @ unit(query + weights @ self.vectors[nearest])
