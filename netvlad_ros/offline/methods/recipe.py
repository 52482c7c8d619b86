"""RecipeMethod: methods that describe images one by one and compare the descriptions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import faiss
import numpy as np
from numpy.typing import NDArray

from netvlad_ros.offline.methods.method import (
    ImageSet,
    MethodContext,
    Ranking,
    Stopwatch,
    ranked,
)

if TYPE_CHECKING:
    from netvlad_ros.offline.progress import Progress


Vector = NDArray[np.float32]


class Index(Protocol):
    """A searchable database.

    Attributes:
        bytes_per_place: mean over its images.
    """

    bytes_per_place: float

    def rows(self, queries: list[Any]) -> Iterable[NDArray[Any]]:
        """Yield the similarities (N,) of each query to the database, in order of time."""


class Recipe(Protocol):
    """The steps of a method: learn, describe an image, index descriptions."""

    def fit(self, images: Sequence[NDArray[np.uint8]]) -> None:
        """Learn from images, uint8 (H, W, 3) each."""

    def describe(self, rgb: NDArray[np.uint8]) -> Any:
        """Describe rgb, uint8 (H, W, 3)."""

    def index(self, database: list[Any]) -> Index:
        """Make descriptions searchable."""


@dataclass(frozen=True)
class RecipeMethod:
    """A recipe as a Method."""

    name: str
    paper: str
    recipe: Recipe
    context: MethodContext

    def rank(self, database: ImageSet, queries: ImageSet, k: int, progress: Progress) -> Ranking:
        """As Method: learn, describe all images, index the database and search it."""
        faiss.omp_set_num_threads(self.context.thread_count)
        training = database if self.context.training is None else ImageSet(self.context.training)
        clock = self.context.cache.clock
        fit, describing, searching = Stopwatch(clock), Stopwatch(clock), Stopwatch(clock)
        with fit:
            self.recipe.fit(training)
        total = len(database) + len(queries)
        described = []
        for images in (database, queries):
            for row in range(len(images)):
                rgb = images[row]
                with describing:
                    described.append(self.recipe.describe(rgb))
                progress(len(described), total)
        with fit:
            index = self.recipe.index(described[: len(database)])
        with searching:
            by_time = [described[len(database) + row] for row in queries.order]
            indices, scores = ranked(index.rows(by_time), k)
        listed = np.argsort(queries.order)
        return Ranking(
            indices[listed],
            scores[listed],
            index.bytes_per_place,
            {
                'fit': fit.seconds,
                'describe_per_image': describing.seconds / max(total, 1),
                'search_per_query': searching.seconds / max(len(queries), 1),
            },
        )


class CosineIndex:
    """Unit vectors, compared with each query by cosine."""

    def __init__(self, database: list[Vector]) -> None:
        self.vectors = np.array(database, np.float32)
        self.bytes_per_place = float(self.vectors.shape[1] * self.vectors.itemsize)

    def rows(self, queries: list[Vector]) -> Iterable[NDArray[Any]]:
        """Yield cosines."""
        return (self.vectors @ query for query in queries)


class GlobalRecipe:
    """One unit vector per image, compared by cosine. Subclasses describe, and fit if they learn."""

    def fit(self, images: Sequence[NDArray[np.uint8]]) -> None:
        """Nothing to learn."""

    def describe(self, rgb: NDArray[np.uint8]) -> Vector:
        """Describe rgb, uint8 (H, W, 3), by a unit vector, float32 (D,)."""
        raise NotImplementedError

    def index(self, database: list[Vector]) -> Index:
        """Make vectors searchable by cosine."""
        return CosineIndex(database)


@dataclass
class OtherIndex(GlobalRecipe):
    """The vectors of another recipe, with another index. Subclasses make the index."""

    inner: GlobalRecipe

    def fit(self, images: Sequence[NDArray[np.uint8]]) -> None:
        """Learn as the inner recipe does."""
        self.inner.fit(images)

    def describe(self, rgb: NDArray[np.uint8]) -> Vector:
        """Describe as the inner recipe does."""
        return self.inner.describe(rgb)


def unit(vectors: NDArray[Any]) -> Vector:
    """Vectors along the last axis, float32 of length 1; zeros stay zeros."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1), np.float32)
