"""How well descriptors find the right images of a `pairs.csv` set; no map, no poses."""

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
from netvlad_ros.offline.drives.drive import selected_indices
from netvlad_ros.offline.drives.pairs_file import read_pairs
from netvlad_ros.offline.files.image_files import image_names
from netvlad_ros.offline.mapping.shared_recording import identical_images
from netvlad_ros.offline.metrics.accuracy import RECALL_AT, median_and_p90, recall_at_n, recall_json
from netvlad_ros.offline.metrics.intervals import intervals_json, recall_columns
from netvlad_ros.offline.progress import Progress, Skip, no_progress


@dataclass(frozen=True, eq=False)
class RankedPairs:
    """A database ranked for queries. metrics: plain JSON, what is judged of it.

    queries, database: names of the images. ranked: per query rows of the database, best first;
    right: the right ones; scores: (Q,), cosine of the best, None where there is none.
    query_descriptors, database_descriptors: float32 (Q, D), (N, D).
    """

    metrics: dict[str, Any]
    queries: list[str]
    database: list[str]
    ranked: list[list[int]]
    right: list[set[int]]
    scores: list[float | None]
    query_descriptors: NDArray[np.float32]
    database_descriptors: NDArray[np.float32]


def rank_pairs(
    folder: Path,
    bundle: ModelBundle,
    skipped: list[Skip],
    *,
    queries: slice | None = None,
    database: slice | None = None,
    progress: Progress = no_progress,
) -> RankedPairs:
    """Rank the database for every query by descriptor alone.

    By default the queries are the images named in the `query` column, the database those in the
    `db` column. Slices over the sorted list of all images in the folder keep, of the queries, those
    inside `queries`, and make the database the images of `database`. An image never answers itself.
    A query without a right image in the database is unanswerable. No decision is taken (see
    decided_pairs) and no pose is known, so `accepted` and the pose errors are None.
    Unreadable images are left out and added to `skipped`. Raises NetvladError if pairs.csv is
    broken or nothing is left to judge.
    """
    positives, query_names, database_names = chosen_pairs(folder, queries, database)

    # Describe every image once.
    names = sorted({*query_names, *database_names})
    descriptors = {}
    times_ms = []
    before = len(skipped)
    for done, name in enumerate(names):
        progress(done, len(names))
        try:
            rgb = read_image(folder / name)
            check_rgb(rgb)
        except NetvladError as error:
            skipped.append(Skip(f'{name} ({error})', 'unreadable'))
            continue
        started = time.perf_counter()
        descriptors[name] = bundle.describe(rgb)
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
    recall = recall_at_n(ranked, right, RECALL_AT)
    metrics = {
        **recall_json(recall),
        **intervals_json(recall_columns(ranked, right, RECALL_AT)),
        'pose_error_m': median_and_p90([]),
        'pose_error_deg': median_and_p90([]),
        'accepted': None,
        'database': len(database_names),
        'both_sides': len(set(query_names) & set(database_names)),
        'identical_images': identical_images(scores),
        'skipped': len(skipped) - before,
        'ms_per_image': float(np.mean(times_ms)),
        'model_id': bundle.metadata.model_id,
        'provider': bundle.provider,
    }
    return RankedPairs(
        metrics=metrics,
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
    """Right images of every query of pairs.csv, and the names of queries and database images.

    Slices as in rank_pairs. Raises NetvladError if pairs.csv is broken.
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
