"""netvlad eval --pairs: both, and the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from netvlad_ros.core.camera.image import read_image
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.offline.drives.drive import slice_words
from netvlad_ros.offline.evaluation.pairs_localization import DecidedPair, decide_pairs
from netvlad_ros.offline.evaluation.pairs_ranking import RankedPairs, rank_pairs
from netvlad_ros.offline.evaluation.ranking_report import ranked_queries, write_ranked_report
from netvlad_ros.offline.metrics.intervals import INTERVALS
from netvlad_ros.offline.progress import Progress, Skip, no_progress
from netvlad_ros.offline.report.evaluated_run import EvaluatedQuery, EvaluatedRun
from netvlad_ros.offline.report.run_report import write_report
from netvlad_ros.offline.report.similarity_matrix import PooledSimilarity


def judge_pairs(
    folder: Path,
    bundle: ModelBundle,
    skipped: list[Skip],
    *,
    queries: slice | None = None,
    database: slice | None = None,
    decide: LocalizerConfig | None = None,
    pictures: Path | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """The metrics of rank_pairs and, with a configuration to decide by, of decide_pairs.

    pictures: a folder that gets all that report_pairs writes. Skips and errors as in both.
    """
    ranked = rank_pairs(
        folder, bundle, skipped, queries=queries, database=database, progress=progress
    )
    metrics = ranked.metrics
    decided: dict[str, DecidedPair] = {}
    if decide is not None:
        accepted = decide_pairs(
            folder,
            bundle,
            queries=queries,
            database=database,
            config=decide,
            pictures=pictures,
            decided=decided,
            skipped=skipped,
            progress=progress,
        )
        metrics |= {**accepted, INTERVALS: metrics[INTERVALS] | accepted[INTERVALS]}
    if pictures is not None:
        asked = {
            'queries': slice_words(queries),
            'database': slice_words(database),
            'model': bundle.metadata.name,
        }
        report_pairs(folder, ranked, decided, metrics, asked, pictures)
    return metrics


def report_pairs(
    folder: Path,
    ranked: RankedPairs,
    decided: Mapping[str, DecidedPair],
    metrics: Mapping[str, Any],
    configuration: Mapping[str, Any],
    out: Path,
) -> None:
    """Write the report of the pairs in a folder; decided: by the query's name, empty if none was.

    What was decided has its precision_recall.png in `out` already. No prior is reported: the poses
    of the map that it was decided on are pretended. Raises NetvladError.
    """
    pooled = PooledSimilarity(ranked.database_descriptors, len(ranked.queries))
    for descriptor in ranked.query_descriptors:
        pooled.add(descriptor)
    right = [sorted(rows) for rows in ranked.right]
    rows = ranked_queries(ranked.queries, ranked.ranked, right, ranked.scores)
    run = EvaluatedRun(
        title=f'Pairs of “{folder.resolve().name}”',
        metrics=metrics,
        configuration={'folder': str(folder), **configuration},
        queries=[_decided(row, decided.get(row.image)) for row in rows],
        places=ranked.database,
        similarity=pooled.matrix(),
        read_query=lambda row: read_image(folder / ranked.queries[row]),
        read_place=lambda row: read_image(folder / ranked.database[row]),
        pictures={'precision_recall.png': 'Precision and recall over the acceptance threshold'},
    )
    if decided:
        write_report(run, out)
    else:
        write_ranked_report(run, out)


def _decided(row: EvaluatedQuery, pair: DecidedPair | None) -> EvaluatedQuery:
    if pair is None:
        return row
    alone, sequence = pair.alone, pair.sequence
    return replace(
        row,
        probability=alone.probability,
        shows_place=pair.right,
        status=alone.status.value,
        reason=alone.reason,
        method='' if alone.prior is None else alone.prior.method,
        wrong=None if alone.prior is None else not pair.right,
        sequence_status=sequence.status.value,
        sequence_probability=sequence.probability,
        sequence_wrong=None if sequence.prior is None else not pair.sequence_right,
    )
