"""GroupMiner: batches of places with several images each, for the losses over pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.training.data.batch import TrainingBatch
from netvlad_ros.training.data.supervision import Supervision
from netvlad_ros.training.mining.batch_maker import BatchMaker
from netvlad_ros.training.mining.descriptor_cache import Describe, DescriptorCache
from netvlad_ros.training.mining.miner_memory import QueryOrder

SPARE = 2  # places drawn for each that is kept, at least


class GroupMiner:
    """Batches of P places with K images each.

    A place is an image and K - 1 of its potential positives, drawn at random. If there are fewer,
    the image itself fills the place and is augmented anew each time. The places of a batch are
    definite negatives of each other, as far as such places are left. A round has the same number
    of places of each domain.

    Args:
        supervision: which images are positives and negatives of which.
        describe: indices (M,) int64 -> descriptors (M, D) float32; only asked for hard places.
        batch: P.
        seed: decides every draw, with the number of the round.
        images_per_place: K.
        everything: every image is a place, also without a positive.
        hard: the places of a batch are those most similar to its first place.
        choice: places drawn for each that is kept, at least SPARE. With fewer, the last batches of
            a round could only take places that are near each other.
        cache_mb: memory for descriptors, if hard [MiB].
    """

    def __init__(
        self,
        supervision: Supervision,
        describe: Describe,
        *,
        batch: int,
        seed: int,
        images_per_place: int,
        everything: bool,
        hard: bool,
        choice: int,
        cache_mb: int,
    ) -> None:
        self._supervision = supervision
        self._describe = describe
        self._batch = batch
        self._seed = seed
        self._images = images_per_place
        self._hard = hard
        self._choice = max(choice, SPARE)
        self._cache_mb = cache_mb
        places = np.arange(len(supervision.images)) if everything else supervision.queries
        self._order = QueryOrder(places, seed, supervision.domains[places])
        self._batches = BatchMaker(supervision)

    def round(self, number: int, count: int) -> list[TrainingBatch]:
        """Batches with `count` places in all."""
        rng = np.random.default_rng((self._seed, number))
        left = self._order.take(count * self._choice)
        cache = None
        if self._hard:
            cache = DescriptorCache(self._describe, np.unique(left), self._cache_mb)
        batches = []
        domains = self._supervision.domains[left]
        share = -(-count // len(np.unique(domains)))
        quota = {int(domain): share for domain in np.unique(domains)}  # places still to be taken
        for start in range(0, count, self._batch):
            taken = self._places(left, min(self._batch, count - start), quota, cache)
            groups = [self._group(int(place), rng) for place in left[taken]]
            batches.append(self._batches.of_groups(np.concatenate(groups)))
            left = np.delete(left, taken)
        return [batches[i] for i in rng.permutation(len(batches))]

    def state(self) -> dict[str, Any]:
        """For JSON: what later rounds depend on, besides the weights."""
        return {'drawn': self._order.drawn}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a state; raises NetvladError if it is damaged."""
        self._order.restore(state)

    def _places(
        self,
        left: NDArray[np.int64],
        count: int,
        quota: dict[int, int],
        cache: DescriptorCache | None,
    ) -> list[int]:
        """Positions in `left` of a batch's places: the first, then by similarity or in order."""
        domains = self._supervision.domains[left]
        free = np.array([quota[int(domain)] > 0 for domain in domains])
        order = np.flatnonzero(free)
        if cache:
            similar = cache.similarities(left[order[:1]], left[order[1:]])[0]
            order[1:] = order[1:][np.argsort(-similar, kind='stable')]
        apart = np.ones(len(left), dtype=bool)  # definite negatives of all places taken so far
        taken: list[int] = []
        while len(taken) < count:
            open_ = order[(free & apart)[order]]
            # A pair that is neither positive nor negative is better than a smaller batch.
            taken.append(int(open_[0] if len(open_) else order[free[order]][0]))
            free[taken[-1]] = False
            domain = int(domains[taken[-1]])
            quota[domain] -= 1
            free &= (domains != domain) | (quota[domain] > 0)
            apart &= self._supervision.is_negative(int(left[taken[-1]]), left)
        return taken

    def _group(self, place: int, rng: np.random.Generator) -> NDArray[np.int64]:
        group = np.full(self._images, place, dtype=np.int64)
        others = rng.permutation(self._supervision.positives(place))[: self._images - 1]
        group[1 : 1 + len(others)] = others
        return group
