"""RankedPairs: the images of a `pairs.csv` set, ranked by descriptor; no map, no poses."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.camera.image import check_rgb, read_image
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.retrieval import ExactSearch
from netvlad_ros.core.verification.reranking import SizedFeatures
from netvlad_ros.offline.drives.drive import selected_indices
from netvlad_ros.offline.drives.pairs_file import read_pairs
from netvlad_ros.offline.files.image_files import image_names
from netvlad_ros.offline.mapping.shared_recording import identical_images
from netvlad_ros.offline.methods.global_descriptors.geometric_reranking import (
    AnalysedImage,
    ImageAnalyser,
    reranked_log_odds,
)
from netvlad_ros.offline.metrics.accuracy import RECALL_AT, Recall, median_and_p90, recall_at_n
from netvlad_ros.offline.metrics.intervals import Intervals, intervals, recall_columns
from netvlad_ros.offline.metrics.reranked_recall import RerankedRecall
from netvlad_ros.offline.progress import Progress, Skip, no_progress


@dataclass(frozen=True, eq=False)
class RankedPairs:
    """A database of N images, ranked for Q queries, and the metrics of the ranking.

    Attributes:
        recall: of the ranking.
        intervals: of the recall.
        skipped: unreadable images, which were left out.
        ms_per_image: mean time to describe an image [ms].
        model_id: of the model.
        provider: what computed the descriptors.
        queries: (Q,), names of the images.
        database: (N,), names of the images.
        ranked: (Q,), rows of the database for each query, best first.
        right: (Q,), right rows of the database for each query.
        scores: (Q,), cosine of the best row; None where there is none.
        reranked: the recall after reranking; None: nothing was reranked.
        query_descriptors: float32 (Q, D).
        database_descriptors: float32 (N, D).
    """

    recall: Recall
    intervals: Intervals
    skipped: tuple[Skip, ...]
    ms_per_image: float
    model_id: str
    provider: str
    queries: list[str]
    database: list[str]
    ranked: list[list[int]]
    right: list[set[int]]
    scores: list[float | None]
    query_descriptors: NDArray[np.float32]
    database_descriptors: NDArray[np.float32]
    reranked: RerankedRecall | None = None

    def to_json(self) -> dict[str, Any]:
        """The metrics as metrics.json has them; what needs a decision or a pose is None."""
        intervals, reranked = self.intervals, {}
        if self.reranked is not None:
            intervals |= self.reranked.intervals
            reranked = self.reranked.to_json()
        return {
            **self.recall.to_json(),
            **reranked,
            **intervals.to_json(),
            'pose_error_m': median_and_p90([]),
            'pose_error_deg': median_and_p90([]),
            'accepted': None,
            'database': len(self.database),
            'both_sides': len(set(self.queries) & set(self.database)),
            'identical_images': identical_images(self.scores),
            'skipped': len(self.skipped),
            'ms_per_image': self.ms_per_image,
            'model_id': self.model_id,
            'provider': self.provider,
        }


def rank_pairs(
    folder: Path,
    bundle: ModelBundle,
    *,
    queries: slice | None = None,
    database: slice | None = None,
    reranked: bool = False,
    progress: Progress = no_progress,
) -> RankedPairs:
    """Rank the database for every query by descriptor alone.

    An image never answers itself. A query without a right image in the database is unanswerable.
    No decision is taken (see decide_pairs).

    Args:
        folder: has pairs.csv and the images.
        bundle: the model.
        queries: slice of the sorted list of all images in the folder: only images of the `query`
            column in it are queries. None = all of the column.
        database: slice of the same list: its images are the database. None = the `db` column.
        reranked: also compare the most similar images by the model's own local features.
        progress: called for every image.

    Raises:
        NetvladError: pairs.csv is broken, no query or database image is left, or the model has no
            local features to rerank by.
    """
    analyse = ImageAnalyser(bundle) if reranked else None
    features: dict[str, SizedFeatures] = {}
    positives, query_names, database_names = chosen_pairs(folder, queries, database)

    # Describe every image once.
    names = sorted({*query_names, *database_names})
    descriptors = {}
    times_ms = []
    skipped = []
    for done, name in enumerate(names):
        progress(done, len(names))
        try:
            rgb = read_image(folder / name)
            check_rgb(rgb)
        except NetvladError as error:
            skipped.append(Skip(f'{name} ({error})', 'unreadable'))
            continue
        started = time.perf_counter()
        if analyse is None:
            descriptors[name] = bundle.describe(rgb)
        else:
            analysed = analyse(rgb)
            descriptors[name], features[name] = analysed.descriptor, analysed.features
        times_ms.append(1e3 * (time.perf_counter() - started))
    progress(len(names), len(names))
    query_names = [name for name in query_names if name in descriptors]
    database_names = [name for name in database_names if name in descriptors]
    if not query_names or not database_names:
        raise NetvladError(
            f'{folder}: {len(query_names)} queries and {len(database_names)} database images are '
            'left to judge; check the slices and the images'
        )

    # Rank the database for each query.
    mapped = np.array([descriptors[name] for name in database_names])
    search = ExactSearch(mapped)
    index_of = {name: i for i, name in enumerate(database_names)}
    ranked, right, scores = [], [], []
    for name in query_names:
        itself = index_of.get(name, -1)
        indices, similarity = search.search(descriptors[name], max(RECALL_AT) + 1)
        others = indices != itself
        ranked.append(indices[others][: max(RECALL_AT)].tolist())
        scores.append(float(similarity[others][0]) if others.any() else None)
        right.append({index_of[db] for db in positives[name] if db in index_of} - {itself})
    again: list[list[int]] = []
    reranking_ms: list[float] = []
    if analyse is not None:
        for name in query_names:
            progress(len(again), len(query_names))
            started = time.perf_counter()
            log_odds = reranked_log_odds(
                AnalysedImage(descriptors[name], features[name]),
                mapped @ descriptors[name],
                lambda row: features[database_names[row]],
                analyse.metric,
                left_out=[index_of[name]] if name in index_of else [],
            )
            if name in index_of:
                log_odds[index_of[name]] = -np.inf
            again.append(np.argsort(-log_odds, kind='stable')[: max(RECALL_AT)].tolist())
            reranking_ms.append(1e3 * (time.perf_counter() - started))
    return RankedPairs(
        reranked=RerankedRecall.of(again, right, reranking_ms) if again else None,
        recall=recall_at_n(ranked, right),
        intervals=intervals(recall_columns(ranked, right, RECALL_AT)),
        skipped=tuple(skipped),
        ms_per_image=float(np.mean(times_ms)),
        model_id=bundle.metadata.model_id,
        provider=bundle.provider,
        queries=query_names,
        database=database_names,
        ranked=ranked,
        right=right,
        scores=scores,
        query_descriptors=np.array([descriptors[name] for name in query_names]),
        database_descriptors=mapped,
    )


def chosen_pairs(
    folder: Path, queries: slice | None, database: slice | None
) -> tuple[dict[str, set[str]], list[str], list[str]]:
    """Which images of a folder are queries, and which are the database.

    Args:
        folder: has pairs.csv and the images.
        queries: slice, see rank_pairs.
        database: slice, see rank_pairs.

    Returns:
        Right images of every query of pairs.csv, names of the queries, names of the database.

    Raises:
        NetvladError: pairs.csv is broken.
    """
    positives = read_pairs(folder / 'pairs.csv')
    query_names, database_names = sorted(positives), sorted(set().union(*positives.values()))
    everything = image_names(folder)
    if queries is not None:
        inside = {everything[i] for i in selected_indices(queries, len(everything))}
        query_names = [name for name in query_names if name in inside]
    if database is not None:
        database_names = [everything[i] for i in selected_indices(database, len(everything))]
    return positives, query_names, database_names
