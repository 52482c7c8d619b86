#!/usr/bin/env python3
"""Model bundles on the same queries: recall, margins, and how sure the differences are.

    python scripts/compare_models.py A.onnx B.onnx [C.onnx ...] [--hard] [--rerank] [--markdown]

--hard judges on nine sets instead of three. --rerank adds a row for each model that answers local
features: its 20 most similar images are compared by these too.

Differences are to the first bundle, with paired bootstrap intervals of 95 %: queries are drawn
again, with their answers by both models. Neighbouring frames of a video are alike, so their
answers are too, and intervals over single queries are too narrow: --block draws runs of frames.
Where recall has reached its ceiling, look at the margins: similarity of the best right image minus
that of the best wrong one.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from place_sets import (
    DATA,
    FIVE_WAY,
    HARD_NAMES,
    NAMES,
    PlaceSet,
    Verdict,
    compare_all,
    images_of,
    load_place_sets,
    print_table,
)
from rich.console import Console
from rich.progress import track

from netvlad_ros.core.camera.image import read_image
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.offline.methods.global_descriptors.geometric_reranking import (
    ImageAnalyser,
    reranked_log_odds,
)

RESAMPLES = 10_000
COLUMNS = (
    'set', 'model', 'recall@1', 'difference', 'won : lost',
    'recall@5', 'difference', 'margin', 'difference',
)  # fmt: skip


def main() -> None:
    """Print the table: a block of rows for each set, then for the mean over the sets."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('models', type=Path, nargs='+', metavar='MODEL.onnx')
    parser.add_argument('--data', type=Path, default=DATA)
    parser.add_argument('--block', type=int, default=1, help='neighbouring queries drawn together')
    parser.add_argument('--seed', type=int, default=0, help='of the resamples')
    parser.add_argument('--threads', type=int, default=1, help='of onnxruntime; 0 is one per core')
    parser.add_argument('--markdown', action='store_true')
    parser.add_argument('--json', type=Path, help='write the figures here')
    parser.add_argument('--hard', action='store_true', help='nine sets instead of three')
    parser.add_argument('--rerank', action='store_true', help='by local features too')
    options = parser.parse_args()
    if len(options.models) < 2 or options.block < 1:
        parser.error('give two bundles or more, and a --block of 1 or more')

    sets = load_place_sets(options.data, HARD_NAMES if options.hard else NAMES)
    bundles = [
        ModelBundle.load(path, device='cpu', threads=options.threads) for path in options.models
    ]
    letters = [chr(ord('A') + index) for index in range(len(bundles))]
    names = [
        f'{letter} = {bundle.path} (model {bundle.metadata.model_id[:12]})'
        for letter, bundle in zip(letters, bundles, strict=True)
    ]
    verdicts = [
        compare_all(sets, describe(bundle, images_of(sets), letter))
        for letter, bundle in zip(letters, bundles, strict=True)
    ]
    if options.rerank:
        for letter, bundle in list(zip(letters, bundles, strict=True)):
            if bundle.metadata.local is not None:
                verdicts.append(reranked(sets, bundle, f'{letter} reranked'))
                letters.append(f'{letter} reranked')

    rows = []
    rng = np.random.default_rng(options.seed)
    draws = [resamples(place_set, options.block, rng) for place_set in sets]
    for index, place_set in enumerate(sets):
        values = [measures(verdict[index]) for verdict in verdicts]
        title = f'{place_set.name} ({len(place_set.queries)})'
        rows += rows_of(title, letters, [[value] for value in values], [draws[index]])
    every = [[measures(verdict) for verdict in of_model] for of_model in verdicts]
    rows += rows_of('mean', letters, every, draws)
    print_table('\n'.join(names), COLUMNS, rows, markdown=options.markdown, json_file=options.json)
    unit = f'runs of {options.block} queries' if options.block > 1 else 'queries'
    print(
        f'{"; ".join(names)}. In brackets: queries that have an answer, and 95 % intervals of the '
        f'difference to A, by {RESAMPLES} paired resamples of {unit} within each set. {FIVE_WAY}'
    )


def describe(bundle: ModelBundle, images: list[Path], title: str) -> NDArray[np.float32]:
    """Descriptors of images, unit rows float32 (N, dim), in order."""
    console = Console(stderr=True)
    shown = track(images, title, console=console, transient=True)
    return np.stack([bundle.describe(read_image(path)) for path in shown])


def reranked(sets: list[PlaceSet], bundle: ModelBundle, title: str) -> list[Verdict]:
    """Verdicts of a model whose most similar images are compared by its local features too."""
    analyse = ImageAnalyser(bundle)
    console = Console(stderr=True)
    verdicts = []
    for place_set in sets:
        paths = dict.fromkeys(place_set.queries + place_set.database)
        shown = track(paths, f'{title}: {place_set.name}', console=console, transient=True)
        found = {path: analyse(read_image(path)) for path in shown}
        database = np.stack([found[path].descriptor for path in place_set.database])
        features = [found[path].features for path in place_set.database]
        scores = np.empty((len(place_set.queries), len(database)))
        shown = track(place_set.queries, f'{title}: comparing', console=console, transient=True)
        for row, path in enumerate(shown):
            scores[row] = reranked_log_odds(
                found[path],
                database @ found[path].descriptor,
                features.__getitem__,
                analyse.metric,
                left_out=np.flatnonzero(place_set.itself[row]).tolist(),
            )
        verdicts.append(place_set.ranked(scores))
    return verdicts


def measures(verdict: Verdict) -> NDArray[np.float64]:
    """Measures that are compared, (Q, 3): found at 1, found at 5, margin."""
    return np.stack([verdict.found(1), verdict.found(5), verdict.margin], axis=1).astype(np.float64)


def resamples(place_set: PlaceSet, block: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Weights (RESAMPLES, Q) of the queries of a set; each row has sum 1."""
    run = np.arange(len(place_set.queries)) // block
    runs = int(run[-1]) + 1
    weights = rng.multinomial(runs, np.full(runs, 1 / runs), RESAMPLES)[:, run].astype(np.float64)
    return weights / weights.sum(axis=1, keepdims=True)


def rows_of(
    title: str,
    letters: list[str],
    values: list[list[NDArray[np.float64]]],
    draws: list[NDArray[np.float64]],
) -> list[list[str]]:
    """Rows of the table for one set, or for the mean over several sets.

    Args:
        title: of the rows.
        letters: of the models.
        values: per model the measures (Q, 3) on each of the sets.
        draws: per set the weights of resamples.
    """
    rows = []
    for letter, of_model in zip(letters, values, strict=True):
        mean = np.mean([measured.mean(axis=0) for measured in of_model], axis=0)
        cells = [f'{mean[0]:.3f}', '', '', f'{mean[1]:.3f}', '', f'{mean[2]:.3f}', '']
        if of_model is not values[0]:
            changes = [ours - first for ours, first in zip(of_model, values[0], strict=True)]
            drawn = np.mean([w @ change for w, change in zip(draws, changes, strict=True)], axis=0)
            low, high = np.percentile(drawn, (2.5, 97.5), axis=0)
            middle = np.mean([change.mean(axis=0) for change in changes], axis=0)
            cells[1], cells[4], cells[6] = (
                f'{middle[i]:+.3f} [{low[i]:+.3f}, {high[i]:+.3f}]' for i in range(3)
            )
            at_1 = np.concatenate([change[:, 0] for change in changes])
            cells[2] = f'{int((at_1 > 0).sum())} : {int((at_1 < 0).sum())}'
        rows.append([title, letter, *cells])
        title = ''
    return rows


if __name__ == '__main__':
    try:
        main()
    except NetvladError as error:
        sys.exit(f'compare_models: {error}')
