"""Real drives that descriptors are evaluated on, with their ground truth; imported by scripts.

    corridor_loop      lap 2 of a robot in a corridor, searched in lap 1
    redkitchen         second half of a handheld video, searched in the first (0.5 m, 30 degrees)
    michigan_12months  five places of a campus in months 2 to 12, searched in month 1

HARD_NAMES adds sets whose right images are listed in pairs.csv:

    wxbs               25 places by day and night, in other seasons and years, each image left out
    library            phone photographs of a library floor, searched in those of a grid
    moscow_street      every other photograph of a walk, searched in the others
    amos_daynight      webcams by night, searched by day
    pair_samples       ScanNet and Phototourism pairs, each image left out
    aerial             drone photographs, each image left out

None of them is trained on. The folder of data is not part of the project.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.box import HEAVY_HEAD, MARKDOWN
from rich.console import Console
from rich.table import Table

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.benchmarks.benchmark import Benchmark
from netvlad_ros.offline.benchmarks.registry import benchmark_info
from netvlad_ros.offline.evaluation.pairs_ranking import chosen_pairs
from netvlad_ros.offline.report.report_folder import write_json

DATA = Path('../shared/data')  # from the root of the checkout
NAMES = ('corridor_loop', 'redkitchen', 'michigan_12months')
EVERY = slice(0, None)  # each image is searched in all others
# Set -> slice of the sorted list of its images that is searched; None: those that pairs.csv lists.
PAIRS: dict[str, slice | None] = {
    'wxbs': EVERY,
    'library': slice(0, 189),
    'moscow_street': slice(None, None, 2),
    'amos_daynight': None,
    'pair_samples': EVERY,
    'aerial': EVERY,
}
HARD_NAMES = (*PAIRS, *NAMES)
FIVE_WAY = 'michigan_12months has five images to choose from: recall@5 is 1 there, whoever chooses.'
WIDE = 240  # columns of a table that is written to a file


@dataclass(frozen=True)
class Verdict:
    """The result of each of Q queries.

    Attributes:
        ahead: (Q,) int64, number of irrelevant images at least as similar as the best relevant one;
            0 is right.
        margin: (Q,) float64, similarity of the best relevant image minus that of the best
            irrelevant one.
    """

    ahead: NDArray[np.int64]
    margin: NDArray[np.float64]

    def found(self, n: int) -> NDArray[np.bool_]:
        """Whether a relevant image is among the n most similar, (Q,) bool."""
        return self.ahead < n

    def recall(self, n: int) -> float:
        """Share of queries with a relevant image among the n most similar."""
        return float(self.found(n).mean())


@dataclass(frozen=True)
class PlaceSet:
    """Queries and the images that they are searched in.

    Attributes:
        name: of the folder.
        queries: Q paths; every query has an answer.
        database: D paths.
        relevant: (Q, D) bool.
        itself: (Q, D) bool, where a query is in the database; it does not count.
        asked: number of queries, those without an answer included.
    """

    name: str
    queries: tuple[Path, ...]
    database: tuple[Path, ...]
    relevant: NDArray[np.bool_]
    itself: NDArray[np.bool_]
    asked: int

    @classmethod
    def of(cls, benchmark: Benchmark) -> PlaceSet:
        """The queries of a benchmark that have an answer."""
        kept = [i for i, rows in enumerate(benchmark.positives) if len(rows)]
        relevant = np.zeros((len(kept), len(benchmark.database)), dtype=bool)
        for row, i in enumerate(kept):
            relevant[row, benchmark.positives[i]] = True
        queries = tuple(benchmark.queries[i] for i in kept)
        return cls(
            benchmark.name,
            queries,
            benchmark.database,
            relevant,
            np.zeros_like(relevant),
            len(benchmark.queries),
        )

    @classmethod
    def of_pairs(cls, folder: Path, database: slice | None) -> PlaceSet:
        """The queries of pairs.csv that have an answer in a slice of the images."""
        positives, query_names, names = chosen_pairs(folder, None, database)
        relevant = np.array([[name in positives[query] for name in names] for query in query_names])
        itself = np.array([[name == query for name in names] for query in query_names])
        relevant &= ~itself
        kept = np.flatnonzero(relevant.any(axis=1))
        queries = tuple(folder / query_names[i] for i in kept)
        paths = tuple(folder / name for name in names)
        return cls(folder.name, queries, paths, relevant[kept], itself[kept], len(query_names))

    def compare(self, queries: NDArray[np.float32], database: NDArray[np.float32]) -> Verdict:
        """Compare unit rows (Q, dim) with unit rows (D, dim)."""
        return self.ranked(queries.astype(np.float64) @ database.astype(np.float64).T)

    def ranked(self, similarity: NDArray[np.float64]) -> Verdict:
        """The result of similarities (Q, D), or of any other scores."""
        similarity = np.where(self.itself, -np.inf, similarity)
        best = np.where(self.relevant, similarity, -np.inf).max(axis=1)
        others = np.where(self.relevant, -np.inf, similarity)
        ahead = (others >= best[:, None]).sum(axis=1)
        return Verdict(ahead, best - others.max(axis=1))


def load_place_sets(data: Path, names: Sequence[str] = NAMES) -> list[PlaceSet]:
    """Read sets, without pixels.

    Args:
        data: the folder that holds them.
        names: which of them; NAMES or HARD_NAMES.

    Raises:
        NetvladError: one of them does not exist.
    """
    missing = [name for name in names if not (data / name).is_dir()]
    if missing:
        raise NetvladError(
            f'{data} does not hold {", ".join(missing)}: name the folder of the judged drives '
            'with --data'
        )
    return [
        PlaceSet.of_pairs(data / name, PAIRS[name])
        if name in PAIRS
        else PlaceSet.of(benchmark_info(name).load(data / name))
        for name in names
    ]


def images_of(sets: Sequence[PlaceSet]) -> list[Path]:
    """Paths of all images to describe: of each set its queries, then its database."""
    return [path for place_set in sets for path in place_set.queries + place_set.database]


def compare_all(sets: Sequence[PlaceSet], descriptors: NDArray[np.float32]) -> list[Verdict]:
    """Compare unit rows (N, dim), in the order of images_of, for each set."""
    verdicts, start = [], 0
    for place_set in sets:
        middle = start + len(place_set.queries)
        end = middle + len(place_set.database)
        verdicts.append(place_set.compare(descriptors[start:middle], descriptors[middle:end]))
        start = end
    return verdicts


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    markdown: bool,
    json_file: Path | None,
) -> None:
    """Print a table on stdout; the first column is aligned left, the others right.

    Args:
        title: above the table; not printed as Markdown.
        columns: their heads.
        rows: cells.
        markdown: whether to print Markdown.
        json_file: gets the same cells; None = no file.
    """
    table = Table(
        title=None if markdown else title,
        box=MARKDOWN if markdown else HEAVY_HEAD,
        title_justify='left',
    )
    for index, column in enumerate(columns):
        table.add_column(column, justify='right' if index else 'left', no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console(highlight=False, markup=False)
    if markdown or not console.is_terminal:
        console.width = WIDE  # a row of Markdown must not be broken
    console.print(table)
    if json_file is not None:
        write_json({'columns': list(columns), 'rows': [list(row) for row in rows]}, json_file)
