"""A `pairs.csv` set judged as asked: ranked, perhaps decided on, perhaps reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.offline.decided_pairs import DecidedPair, decide_pairs
from netvlad_ros.offline.metrics.intervals import INTERVALS
from netvlad_ros.offline.pairs_evaluation import rank_pairs
from netvlad_ros.offline.progress import Progress, Skip, no_progress
from netvlad_ros.offline.traverse import slice_words


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
    """The figures of rank_pairs and, with a configuration to decide by, of decide_pairs.

    pictures: a folder that gets all that report_pairs writes. Skips and errors as in both.
    """
    ranked = rank_pairs(
        folder, bundle, skipped, queries=queries, database=database, progress=progress
    )
    figures = ranked.figures
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
        figures |= {**accepted, INTERVALS: figures[INTERVALS] | accepted[INTERVALS]}
    if pictures is not None:
        from netvlad_ros.offline.report.pairs_run import report_pairs

        asked = {
            'queries': slice_words(queries),
            'database': slice_words(database),
            'model': bundle.metadata.name,
        }
        report_pairs(folder, ranked, decided, figures, asked, pictures)
    return figures
