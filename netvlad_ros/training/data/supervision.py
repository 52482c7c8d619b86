"""Supervision: which images show the same place, and which definitely do not."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.datasets.place_images import PlaceImages
from netvlad_ros.offline.progress import skip_sentences
from netvlad_ros.training.config.sections import SupervisionConfig
from netvlad_ros.training.config.source import Source
from netvlad_ros.training.data.place_cells import place_cells
from netvlad_ros.training.data.supervision_table import Groups, SupervisionTable
from netvlad_ros.training.data.validation_split import held_out

Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]
SHOWN = 5  # names in a sentence about many images


class Supervision:
    """Potential positives and definite negatives over one or several sources.

    The place of an image is its label, if it has one. Else it is its position. Without a position
    it is its time within its recording. Time and memory of every method grow at most linearly with
    the number of images; no N x N matrix is kept.

    Args:
        sources: with unique names. Images are numbered through them, in this order.
        config: the radii.

    Attributes:
        images: path of each of the N images.
        recordings: (N,) str, as the sources name them.
        areas: (N,) str, as the sources name them.
        is_query: (N,) bool.
        is_database: (N,) bool.
        domains: (N,) int64, codes of the domains of the sources.
        database: (D,) int64, the images that a query may be matched with; negatives are drawn here.

    Raises:
        NetvladError: two sources have one name.
    """

    def __init__(self, sources: Sequence[PlaceImages], config: SupervisionConfig) -> None:
        names = [source.name for source in sources]
        for name in names:
            if names.count(name) > 1:
                raise NetvladError(f'two sources are called {name!r}; give each its own name')
        self.sources = tuple(sources)
        self.config = config
        self._table = table = SupervisionTable.of(self.sources)
        self.images = table.images
        self.recordings, self.areas = table.recordings, table.areas
        self.is_query, self.is_database = table.is_query, table.is_database
        self.domains = table.domain
        self.database: Indices = np.flatnonzero(table.is_database)

    @classmethod
    def load(
        cls,
        sources: Sequence[Source],
        config: SupervisionConfig,
        *,
        cache: Path | None = None,
        max_area_px: int = 0,
    ) -> Supervision:
        """Reads every source (see Source.read) and joins them."""
        return cls([s.read(cache=cache, max_area_px=max_area_px) for s in sources], config)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.images)

    @cached_property
    def queries(self) -> Indices:
        """(Q,) int64, sorted: images that may be queries and have a potential positive."""
        asked = np.flatnonzero(self.is_query)
        return asked[[len(self.positives(int(query))) > 0 for query in asked]]

    @cached_property
    def without_positive(self) -> Indices:
        """(W,) int64, sorted: images that may be queries but have no potential positive."""
        return np.setdiff1d(np.flatnonzero(self.is_query), self.queries, assume_unique=True)

    @cached_property
    def fitted(self) -> Supervision:
        """The sources that clusters and whitening are fitted on: those with Source.fitted.

        Raises:
            NetvladError: there is none.
        """
        sources = [source for source in self.sources if source.fitted]
        if not sources:
            raise NetvladError(
                'every source says fitted: false, so there is nothing to fit clusters and '
                'whitening on: give one that does not'
            )
        return Supervision(sources, self.config)

    def positives(self, query: int) -> Indices:
        """Potential positives: database images of another visit that may show the same place.

        Returns:
            (P,) int64, sorted.
        """
        found = self._same_place(query)
        return np.sort(found[self.is_database[found] & ~self.is_same_visit(query, found)])

    def is_same_visit(self, query: int, candidates: Indices) -> Mask:
        """Whether candidates (M,) belong to the visit of the query; (M,) bool.

        These are the query's own file (some lists name it on both sides) and images of its
        recording taken less than positive_gap_min_s from it. With multi_visit they are all images
        of its recording. Clips without poses have no other recording of their place, so for these
        the gap always decides. Images of the same visit are no positives, and rankings leave them
        out.
        """
        same = self._table.recording[candidates] == self._table.recording[query]
        if not (self.config.multi_visit and self._is_placed(query)):
            gap = np.abs(self._table.times[candidates] - self._table.times[query])
            same &= gap < self.config.positive_gap_min_s
        return same | (self._table.file[candidates] == self._table.file[query])

    def _same_place(self, query: int) -> Indices:
        if self._table.places[query] >= 0:
            labelled = self._by_place.members(int(self._table.places[query]))
            return np.concatenate([labelled, self._paired(query)])
        if self._is_placed(query):
            position = self._table.positions[query]
            tree, rows = self._trees[int(self._table.area[query])]
            near = tree.query_ball_point(position, self.config.positive_radius_m)
            found = rows[np.asarray(near, dtype=np.int64)]
            return found[self._same_view(query, found)]
        clip = self._by_recording.members(int(self._table.recording[query]))
        gap = np.abs(self._table.times[clip] - self._table.times[query])
        return clip[gap <= self.config.positive_gap_max_s]

    def _paired(self, query: int) -> Indices:
        return self._table.pairs[self._pairs.members(query), 1]

    def _related(self, query: int) -> Indices:
        """What is paired with the query, or with an image that is paired with the query."""
        paired = self._paired(query)
        return np.concatenate([paired, *map(self._paired, paired.tolist())])

    def _is_placed(self, query: int) -> bool:
        """Whether its place is known by a label or a position, so also across recordings."""
        known = self._table.places[query] >= 0
        return bool(known or np.isfinite(self._table.positions[query]).all())

    def _same_view(self, query: int, found: Indices) -> Mask:
        if self.config.positive_heading_deg == 0.0:
            return np.ones(len(found), dtype=bool)
        turn = self._table.headings[found] - self._table.headings[query]
        apart = np.abs((turn + 180.0) % 360.0 - 180.0)
        return ~(apart > self.config.positive_heading_deg)  # an unknown heading may be any heading

    def is_negative(self, query: int, candidates: Indices) -> Mask:
        """Whether candidates (M,) definitely show another place than the query; (M,) bool.

        True between areas. Within one area the labels, the columns of clips or the distance decide.
        Many pairs are neither positive nor negative: nothing is known about them, and no loss may
        use them.
        """
        elsewhere = self._table.area[candidates] != self._table.area[query]
        if self._table.places[query] >= 0:
            labels = self._table.places[candidates]
            differs = (labels >= 0) & (labels != self._table.places[query])
            return elsewhere | (differs & ~np.isin(candidates, self._related(query)))
        if self._table.apart[query, 0] >= 0:
            columns = self._table.apart[candidates]
            differs = (columns[:, 0] >= 0) & (columns != self._table.apart[query]).all(axis=1)
            return elsewhere | differs
        step = self._table.positions[candidates] - self._table.positions[query]
        return elsewhere | ((step**2).sum(axis=1) > self.config.negative_radius_m**2)

    def may_be_similar(self, query: int, candidates: Indices) -> Mask:
        """Whether candidates (M,) show another, perhaps similar place; (M,) bool.

        For clips: another unit of the coarsest column (another floor, also of the same area). Such
        a place is too similar to be trained as a negative, but it is no correct match either.
        """
        if self._table.apart[query, 0] < 0:
            return self.is_negative(query, candidates)
        unit = self._table.apart[candidates, 0]
        differs = (unit >= 0) & (unit != self._table.apart[query, 0])
        return differs | (self._table.area[candidates] != self._table.area[query])

    def cells(self) -> tuple[Indices, Indices]:
        """Classes of the classification loss and their groups: see place_cells."""
        return place_cells(self._table, self.config)

    def split(self, config: SupervisionConfig) -> tuple[Supervision, Supervision]:
        """Divides the images into training and validation.

        Whole sources, areas, units of clips, labelled places or recordings are held out: see
        validation_split.

        Args:
            config: what is held out, and the radii of both parts.

        Returns:
            Training and validation; validation has no image if none is asked for.

        Raises:
            NetvladError: an area does not exist, a part has no images, or none of its queries has a
                positive.
        """
        masks = held_out(self.sources, config)
        sides = []
        for what, wanted in (('training', False), ('validation', True)):
            parts = [
                source.subset(np.flatnonzero(mask == wanted))
                for source, mask in zip(self.sources, masks, strict=True)
            ]
            side = Supervision([part for part in parts if len(part)], config)
            # Single images need no positive where every image is a place (mining.places: all).
            single = bool(len(side)) and all(part.pairs is not None for part in side.sources)
            if not len(side.queries) and (len(side) or not wanted) and (wanted or not single):
                raise NetvladError(
                    f'none of the {int(side.is_query.sum())} {what} queries has a positive: give '
                    'more recordings of the same places, or widen positive_radius_m or '
                    'positive_gap_max_s'
                )
            sides.append(side)
        return sides[0], sides[1]

    def summary(self) -> list[str]:
        """Sentences about the number of images and queries, and about what was left out."""
        lines = [
            f'{len(self)} images of {len(np.unique(self.areas))} areas, '
            f'{len(np.unique(self.recordings))} recordings, {len(self.queries)} queries'
        ]
        if len(self.without_positive):
            names = ', '.join(self.images[i].name for i in self.without_positive[:SHOWN])
            more = len(self.without_positive) - SHOWN
            names += f' and {more} more' if more > 0 else ''
            lines.append(f'{len(self.without_positive)} queries have no positive: {names}')
        for source in self.sources:
            lines += [f'{source.name}: {line}' for line in skip_sentences(source.skipped)]
        return lines

    @cached_property
    def _by_place(self) -> Groups:
        return Groups(self._table.places)

    @cached_property
    def _pairs(self) -> Groups:
        return Groups(self._table.pairs[:, 0])

    @cached_property
    def _by_recording(self) -> Groups:
        return Groups(self._table.recording)

    @cached_property
    def _trees(self) -> dict[int, tuple[Any, Indices]]:
        """Of each area: the positions of its database images, and their indices."""
        usable = self.is_database & np.isfinite(self._table.positions).all(axis=1)
        by_area = Groups(self._table.area)
        trees: dict[int, tuple[Any, Indices]] = {}
        for area in np.unique(self._table.area):
            rows = by_area.members(int(area))
            rows = rows[usable[rows]]
            trees[int(area)] = (cKDTree(self._table.positions[rows]), rows)
        return trees
