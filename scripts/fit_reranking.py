#!/usr/bin/env python3
"""Fit how similarity and inliers are weighed against each other when candidates are reranked.

    python scripts/fit_reranking.py MODEL.onnx [--config config/train.yaml]

Only domains of the training are used, all with the same weight. Queries of a domain are searched
among its other images. The weights make the right one of the 20 most similar images as probable as
possible: a logistic regression over candidates (McFadden, 1974). For every domain the table also
shows the weights of the other domains, and the recall@1 that they give on it. The result belongs
into core/verification/reranking.py.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from scipy.optimize import minimize
from scipy.special import logsumexp

from netvlad_ros.core.camera.image import read_image
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.features.matching import mutual_matches
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.verification.reranking import RERANKED, RerankWeights, geometric_inliers
from netvlad_ros.offline.methods.global_descriptors.geometric_reranking import ImageAnalyser
from netvlad_ros.training.config.train_config import TrainConfig
from netvlad_ros.training.data.supervision import Supervision

POOL = 3  # images searched in for each query
PRIOR = 1e-3  # on the squared weights: where inliers alone decide, the best weights are infinite


@dataclass(frozen=True)
class Choices:
    """Candidates of Q queries of a domain, of which some are right.

    Attributes:
        columns: float64 (Q, k, 3), cosine, log(1 + inliers) of homography and fundamental matrix.
        right: (Q, k) bool.
        known: (Q, k) bool, whether it is known if the candidate is right.
    """

    columns: NDArray[np.float64]
    right: NDArray[np.bool_]
    known: NDArray[np.bool_]

    def loss(self, weights: NDArray[np.float64]) -> float:
        """Mean negative log likelihood of the right candidates."""
        scores = np.where(self.known, self.columns @ weights, -np.inf)
        chosen = logsumexp(np.where(self.right, scores, -np.inf), axis=1)
        return float(np.mean(logsumexp(scores, axis=1) - chosen))

    def recall(self, weights: NDArray[np.float64]) -> float:
        """Share of queries whose best candidate is right."""
        scores = np.where(self.known, self.columns @ weights, -np.inf)
        return float(self.right[np.arange(len(scores)), scores.argmax(axis=1)].mean())


def main() -> None:
    """Collect candidates, fit, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('model', type=Path, metavar='MODEL.onnx')
    parser.add_argument('--config', type=Path, default=Path('config/train.yaml'))
    parser.add_argument('--queries', type=int, default=80, help='of each domain')
    parser.add_argument('--seed', type=int, default=0)
    options = parser.parse_args()
    config = TrainConfig.load(options.config)
    bundle = ModelBundle.load(options.model, device='cpu')
    analyse = ImageAnalyser(bundle)
    rng = np.random.default_rng(options.seed)
    whole = Supervision.load(config.sources, config.supervision)
    found = {
        str(domain): collect(whole, np.flatnonzero(whole.domains == domain), analyse, options, rng)
        for domain in np.unique(whole.domains)
    }
    console = Console()
    for name, choices in found.items():
        others = fit([each for other, each in found.items() if other != name])
        alone = choices.recall(np.array([1.0, 0.0, 0.0]))
        console.print(
            f'{name}: {len(choices.right)} queries, recall@1 {alone:.3f} by similarity, '
            f'{choices.recall(others):.3f} by the weights of the others {np.round(others, 1)}'
        )
    weights = fit(list(found.values()))
    console.print(f'similarity, homography, epipolar: {np.round(weights, 2)}')
    shown = RerankWeights()
    ours = np.array([shown.similarity, shown.homography, shown.epipolar])
    for name, choices in found.items():
        console.print(
            f'{name}: {choices.recall(weights):.3f} by these, {choices.recall(ours):.3f} by those '
            'in use'
        )


def fit(parts: list[Choices]) -> NDArray[np.float64]:
    """Weights float64 (3,) for domains that count the same; none is negative."""

    def loss(weights: NDArray[np.float64]) -> float:
        scaled = weights * np.array([10.0, 1.0, 1.0])
        return float(np.mean([part.loss(scaled) for part in parts]) + PRIOR * weights @ weights)

    found = minimize(loss, np.ones(3), bounds=[(0.0, None)] * 3)
    return np.asarray(found.x * np.array([10.0, 1.0, 1.0]))


def collect(
    supervision: Supervision,
    rows: NDArray[np.int64],
    analyse: ImageAnalyser,
    options: argparse.Namespace,
    rng: np.random.Generator,
) -> Choices:
    """Candidates of queries that are drawn among the images (rows) of a domain."""
    asked = np.intersect1d(supervision.queries, rows)
    asked = rng.permutation(asked)[: options.queries]
    pool = set(rng.permutation(rows)[: POOL * len(asked)].tolist())
    for query in asked.tolist():
        pool.add(int(rng.choice(supervision.positives(query))))
    database = np.array(sorted(pool))
    needed = sorted({*database.tolist(), *asked.tolist()})
    console = Console(stderr=True)
    shown = track(needed, 'describing', console=console, transient=True)
    images = {i: analyse(read_image(supervision.images[i])) for i in shown}
    vectors = np.stack([images[i].descriptor for i in database.tolist()])
    columns, right, known = [], [], []
    for query in track(asked.tolist(), 'comparing', console=console, transient=True):
        allowed = ~supervision.is_same_visit(query, database)
        cosines = np.where(allowed, vectors @ images[query].descriptor, -np.inf)
        best = np.argsort(-cosines, kind='stable')[:RERANKED]
        candidates = [images[int(database[i])].features for i in best]
        mine = images[query].features
        pairs = mutual_matches(mine.features, [c.features for c in candidates], analyse.metric)
        inliers = np.array(
            [geometric_inliers(mine, c, p) for c, p in zip(candidates, pairs, strict=True)]
        )
        is_right = np.isin(database[best], supervision.positives(query))
        if not is_right.any():
            continue
        columns.append(np.column_stack([cosines[best], np.log1p(inliers)]))
        right.append(is_right)
        known.append(is_right | supervision.is_negative(query, database[best]))
    return Choices(np.array(columns), np.array(right), np.array(known))


if __name__ == '__main__':
    try:
        main()
    except NetvladError as error:
        sys.exit(f'fit_reranking: {error}')
