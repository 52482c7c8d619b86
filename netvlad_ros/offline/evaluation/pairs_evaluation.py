"""The images of a `pairs.csv` set, ranked and decided on: `netvlad eval --pairs`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from netvlad_ros.core.camera.image import read_image
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.offline.evaluation.pairs_localization import (
    SINGLE,
    DecidedPair,
    DecidedPairs,
    decide_pairs,
)
from netvlad_ros.offline.evaluation.pairs_ranking import RankedPairs, rank_pairs
from netvlad_ros.offline.evaluation.ranking_report import ranked_queries, write_ranked_report
from netvlad_ros.offline.progress import Progress, Skip, no_progress
from netvlad_ros.offline.report.evaluated_run import EvaluatedQuery, EvaluatedRun
from netvlad_ros.offline.report.plots import draw_precision_recall
from netvlad_ros.offline.report.run_report import write_report
from netvlad_ros.offline.report.similarity_matrix import PooledSimilarity


@dataclass(frozen=True)
class PairsEvaluation:
    """What was measured on a `pairs.csv` set.

    Attributes:
        ranked: the ranking.
        decided: the decisions; None if none were asked for.
    """

    ranked: RankedPairs
    decided: DecidedPairs | None

    @property
    def skipped(self) -> list[Skip]:
        """Images that were left out, each reason once."""
        skips = list(self.ranked.skipped)
        if self.decided is not None:
            skips += [skip for skip in self.decided.skipped if skip not in self.ranked.skipped]
        return skips

    def to_json(self) -> dict[str, Any]:
        """The metrics as metrics.json has them."""
        metrics = self.ranked.to_json()
        if self.decided is not None:
            both = self.ranked.intervals | self.decided.modes[SINGLE].intervals
            metrics |= self.decided.to_json() | both.to_json()
        return metrics


def evaluate_pairs(
    folder: Path,
    bundle: ModelBundle,
    *,
    queries: slice | None = None,
    database: slice | None = None,
    reranked: bool = False,
    decide: LocalizerConfig | None = None,
    progress: Progress = no_progress,
) -> PairsEvaluation:
    """Rank the pairs of a folder and, with a configuration to decide by, localize them.

    Args:
        folder: has pairs.csv and the images.
        bundle: the model.
        queries: slice, see rank_pairs.
        database: slice, see rank_pairs.
        reranked: see rank_pairs.
        decide: configuration of the localizer; None = rank only.
        progress: called for every image.

    Raises:
        NetvladError: as rank_pairs and decide_pairs.
    """
    slices = {'queries': queries, 'database': database}
    ranked = rank_pairs(folder, bundle, reranked=reranked, progress=progress, **slices)
    decided = None
    if decide is not None:
        decided = decide_pairs(folder, bundle, config=decide, progress=progress, **slices)
    return PairsEvaluation(ranked, decided)


def report_pairs(
    folder: Path,
    evaluation: PairsEvaluation,
    metrics: Mapping[str, Any],
    configuration: Mapping[str, Any],
    out: Path,
) -> None:
    """Write the report of the pairs in a folder.

    No prior is reported, because the poses of the map are pretended.

    Args:
        folder: has the images.
        evaluation: what was measured.
        metrics: JSON of the evaluation.
        configuration: what was asked for, by name.
        out: folder of the report, which exists already.

    Raises:
        NetvladError: a file cannot be written.
    """
    ranked, decided = evaluation.ranked, evaluation.decided
    pooled = PooledSimilarity(ranked.database_descriptors, len(ranked.queries))
    for descriptor in ranked.query_descriptors:
        pooled.add(descriptor)
    right = [sorted(rows) for rows in ranked.right]
    rows = ranked_queries(ranked.queries, ranked.ranked, right, ranked.scores)
    pairs: Mapping[str, DecidedPair] = {} if decided is None else decided.pairs
    run = EvaluatedRun(
        title=f'Pairs of “{folder.resolve().name}”',
        metrics=metrics,
        configuration={'folder': str(folder), **configuration},
        queries=[_decided(row, pairs.get(row.image)) for row in rows],
        places=ranked.database,
        similarity=pooled.matrix(),
        read_query=lambda row: read_image(folder / ranked.queries[row]),
        read_place=lambda row: read_image(folder / ranked.database[row]),
        pictures={'precision_recall.png': 'Precision and recall over the acceptance threshold'},
    )
    if decided is None:
        write_ranked_report(run, out)
        return
    draw_precision_recall(
        {name: mode.curve for name, mode in decided.modes.items()}, out / 'precision_recall.png'
    )
    write_report(run, out)


def _decided(row: EvaluatedQuery, pair: DecidedPair | None) -> EvaluatedQuery:
    if pair is None:
        return row
    single, sequence = pair.single, pair.sequence
    return replace(
        row,
        probability=single.probability,
        shows_place=pair.right,
        status=single.status.value,
        reason=single.reason,
        method='' if single.prior is None else single.prior.method,
        wrong=None if single.prior is None else not pair.right,
        sequence_status=sequence.status.value,
        sequence_probability=sequence.probability,
        sequence_wrong=None if sequence.prior is None else not pair.sequence_right,
    )
