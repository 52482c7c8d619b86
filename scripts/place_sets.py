"""Real drives that descriptors are judged on: who should find whom; imported by other scripts.

    corridor_loop      lap 2 of a robot in a corridor, searched in lap 1
    redkitchen         second half of a handheld video, searched in the first (0.5 m, 30 degrees)
    michigan_12months  five places of a campus in months 2 to 12, searched in month 1

None of them is trained on. The folder of data is not part of the project.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.box import HEAVY_HEAD, MARKDOWN
from rich.console import Console
from rich.table import Table

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.metrics import places_within
from netvlad_ros.offline.pairs_evaluation import read_pairs
from netvlad_ros.offline.poses_file import read_poses
from netvlad_ros.offline.table_file import read_table

DATA = Path('../shared/data')  # from the root of the checkout
LAP = 40  # images of one lap of the corridor
NEAR_M, NEAR_DEG = 0.5, 30.0  # where two images of the kitchen show the same
MICHIGAN_HEADER = ('image', 'place', 'month', 'dx_px_at_1024_wrt_month1')
FIVE_WAY = 'michigan_12months has five images to choose from: recall@5 is 1 there, whoever chooses.'
WIDE = 240  # columns that a table may take where its reader is a file


@dataclass(frozen=True)
class Verdict:
    """How each of Q queries went.

    ahead: (Q,) int64, irrelevant images at least as similar as the best relevant one: 0 is right.
    margin: (Q,) float64, similarity of the best relevant image minus that of the best irrelevant.
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

    name: of the folder. queries, database: paths, Q and D of them; every query has an answer.
    relevant: (Q, D) bool. asked: how many queries there were, those without an answer included.
    """

    name: str
    queries: tuple[Path, ...]
    database: tuple[Path, ...]
    relevant: NDArray[np.bool_]
    asked: int

    @classmethod
    def answerable(
        cls,
        folder: Path,
        queries: Sequence[str],
        database: Sequence[str],
        relevant: NDArray[np.bool_],
    ) -> PlaceSet:
        """Of queries and database, names in the folder, the queries that have an answer."""
        kept = np.flatnonzero(relevant.any(axis=1)).tolist()
        return cls(
            folder.name,
            tuple(folder / queries[i] for i in kept),
            tuple(folder / name for name in database),
            relevant[kept],
            len(queries),
        )

    def judge(self, queries: NDArray[np.float32], database: NDArray[np.float32]) -> Verdict:
        """Compare unit rows (Q, dim) with unit rows (D, dim)."""
        similarity = queries.astype(np.float64) @ database.astype(np.float64).T
        best = np.where(self.relevant, similarity, -np.inf).max(axis=1)
        others = np.where(self.relevant, -np.inf, similarity)
        ahead = (others >= best[:, None]).sum(axis=1)
        return Verdict(ahead, best - others.max(axis=1))


def load_place_sets(data: Path) -> list[PlaceSet]:
    """Read the three sets, no pixels yet. Raises NetvladError if one of them is not there."""
    readers: dict[str, Callable[[Path], PlaceSet]] = {
        'corridor_loop': _corridor,
        'redkitchen': _kitchen,
        'michigan_12months': _michigan,
    }
    missing = [name for name in readers if not (data / name).is_dir()]
    if missing:
        raise NetvladError(
            f'{data} does not hold {", ".join(missing)}: name the folder of the judged drives '
            'with --data'
        )
    return [read(data / name) for name, read in readers.items()]


def images_of(sets: Sequence[PlaceSet]) -> list[Path]:
    """Paths of all images to describe: of each set its queries, then its database."""
    return [path for place_set in sets for path in place_set.queries + place_set.database]


def judge_all(sets: Sequence[PlaceSet], descriptors: NDArray[np.float32]) -> list[Verdict]:
    """Judge unit rows (N, dim), in the order of images_of, set by set."""
    verdicts, start = [], 0
    for place_set in sets:
        middle = start + len(place_set.queries)
        end = middle + len(place_set.database)
        verdicts.append(place_set.judge(descriptors[start:middle], descriptors[middle:end]))
        start = end
    return verdicts


def print_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, markdown: bool
) -> None:
    """Print rows under columns on stdout, the first column to the left, the others to the right."""
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


def _corridor(folder: Path) -> PlaceSet:
    pairs = read_pairs(folder / 'pairs.csv')
    names = [f'images/{number:03d}.jpg' for number in range(1, 2 * LAP + 1)]
    database, queries = names[:LAP], names[LAP:]
    relevant = [[name in pairs.get(query, ()) for name in database] for query in queries]
    return PlaceSet.answerable(folder, queries, database, np.array(relevant))


def _kitchen(folder: Path) -> PlaceSet:
    rows = read_poses(folder / 'poses.csv')
    half = len(rows) // 2
    names, T = [row.image for row in rows], np.stack([row.T_map_cam for row in rows])
    relevant = np.zeros((len(rows) - half, half), dtype=bool)
    for index, T_query in enumerate(T[half:]):
        relevant[index, places_within(T[:half], T_query, NEAR_M, NEAR_DEG)] = True
    return PlaceSet.answerable(folder, names[half:], names[:half], relevant)


def _michigan(folder: Path) -> PlaceSet:
    rows = [cells for _, cells in read_table(folder / 'ground_truth.csv', MICHIGAN_HEADER)]
    first = [row for row in rows if row[2] == '1']
    later = [row for row in rows if row[2] != '1']
    relevant = np.array([[place == row[1] for _, place, *_ in first] for row in later])
    queries, database = ([image for image, *_ in part] for part in (later, first))
    return PlaceSet.answerable(folder, queries, database, relevant)
