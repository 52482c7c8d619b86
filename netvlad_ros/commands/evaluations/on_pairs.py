"""`netvlad eval --pairs FOLDER`: a model, evaluated by images whose right matches are listed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netvlad_ros.commands.console import progress_bar
from netvlad_ros.commands.options.eval import EVERY_MODE, PAIRS_PANEL
from netvlad_ros.commands.options.shared import parse_slice
from netvlad_ros.core.words import one_line

if TYPE_CHECKING:
    from netvlad_ros.core.localizer_config import LocalizerConfig
    from netvlad_ros.core.model.bundle import ModelBundle

Pairs = Annotated[
    Path | None,
    typer.Option(
        metavar='FOLDER',
        help='Judge descriptors on a folder with pairs.csv (query,db) instead of a map.',
    ),
]
Queries = Annotated[
    slice | None,
    typer.Option(
        parser=parse_slice,
        metavar='A:B:C',
        help='Of the query column, keep the images in this slice of the sorted list of all '
        'images in the folder.',
        rich_help_panel=PAIRS_PANEL,
    ),
]
Database = Annotated[
    slice | None,
    typer.Option(
        parser=parse_slice,
        metavar='A:B:C',
        help='Search in this slice of the sorted list of all images; left out: in the images '
        'of the db column.',
        rich_help_panel=PAIRS_PANEL,
    ),
]
Rerank = Annotated[
    bool,
    typer.Option(
        '--rerank',
        help="Also rank the 20 most similar images by similarity and by the model's own local "
        'features together: recall_reranked.',
        rich_help_panel=PAIRS_PANEL,
    ),
]
Decide = Annotated[
    bool,
    typer.Option(
        '--decide',
        help="Also accept or refuse, with the model's own local features where it answers some, "
        'else SIFT, on a temporary map of the database: its images are taken to stand a metre '
        'apart, the queries to come every half second.',
        rich_help_panel=PAIRS_PANEL,
    ),
]

TAKES = EVERY_MODE | {'pairs', 'queries', 'database', 'rerank'}
TAKES_TO_DECIDE = TAKES | {'decide', 'accept_probability'}


def evaluate_on_pairs(
    pairs: Path,
    bundle: ModelBundle,
    config: LocalizerConfig | None,
    *,
    queries: slice | None,
    database: slice | None,
    rerank: bool,
    pictures: Path | None,
) -> dict[str, Any]:
    """Rank the images and, with a configuration, localize them; returns the metrics as JSON."""
    from netvlad_ros.offline.drives.drive import slice_words
    from netvlad_ros.offline.evaluation.pairs_evaluation import evaluate_pairs, report_pairs
    from netvlad_ros.offline.progress import skip_sentences

    with progress_bar('describing' if config is None else 'describing and deciding') as progress:
        evaluation = evaluate_pairs(
            pairs,
            bundle,
            queries=queries,
            database=database,
            reranked=rerank,
            decide=config,
            progress=progress,
        )
        metrics = evaluation.to_json()
        if pictures is not None:
            asked = {
                'queries': slice_words(queries),
                'database': slice_words(database),
                'model': bundle.metadata.name,
            }
            report_pairs(pairs, evaluation, metrics, asked, pictures)
    for sentence in skip_sentences(evaluation.skipped):
        typer.echo(one_line(f'netvlad: {sentence}'), err=True)
    return metrics
