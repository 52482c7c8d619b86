"""The Oxford and Paris buildings with their first ground truth, text files beside the images.

Each query has NAME_query.txt (image and box), NAME_good.txt, NAME_ok.txt and NAME_junk.txt, with
one image name a line.

Source: Philbin et al., CVPR 2007 (Oxford) and CVPR 2008 (Paris).
"""

from __future__ import annotations

import math
from pathlib import Path

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.benchmarks.benchmark import Benchmark
from netvlad_ros.offline.benchmarks.retrieval.catalogue import (
    Catalogue,
    LabelledQuery,
    images_on_disk,
    missing_images,
    present_queries,
)
from netvlad_ros.offline.benchmarks.text_list import read_text_list

PROTOCOL = (
    'mean average precision (trapezoids, as compute_ap.cpp): images marked good or ok are right, '
    'junk counts neither way, the query image stays in the database, queries are cut to their box '
    "(NetVLAD's demoRetrieval.m widens it by half of its own receptive field)"
)
MAX_LIST_BYTES = 2**20  # the longest list names some hundred images
# Truncated files of the Paris set. Its authors list them, and all published metrics exclude them.
BROKEN_IN_PARIS = {
    'louvre': (136, 146),
    'moulinrouge': (422,),
    'museedorsay': (1059,),
    'notredame': (188,),
    'pantheon': (284, 960, 974),
    'pompidou': (195, 196, 201, 467, 640),
    'sacrecoeur': (299, 330, 353),
    'triomphe': (662, 833, 863, 867),
}


def load_oxford5k(root: Path) -> Benchmark:
    """The Oxford buildings: 5062 images, 55 queries.

    Raises:
        NetvladError: as read_lists.
    """
    return _load('oxford5k', root)


def load_paris6k(root: Path) -> Benchmark:
    """The Paris buildings: 6392 images, 55 queries.

    Raises:
        NetvladError: as read_lists.
    """
    return _load('paris6k', root)


def _load(name: str, root: Path) -> Benchmark:
    on_disk = images_on_disk(root)
    for place, numbers in BROKEN_IN_PARIS.items():
        for number in numbers:
            on_disk.pop(f'paris_{place}_{number:06d}', None)
    labelled = read_lists(ground_truth_folder(root))
    queries = present_queries(labelled, on_disk, root)
    catalogue = Catalogue(sorted(on_disk), on_disk)
    named = {image for query in labelled for image in (query.image, *query.easy, *query.junk)}
    return Benchmark(
        name=name,
        protocol=PROTOCOL,
        database=catalogue.paths,
        queries=tuple(on_disk[query.image] for query in queries),
        positives=tuple(catalogue.rows(query.easy) for query in queries),
        junk=tuple(catalogue.rows(query.junk) for query in queries),
        boxes=tuple(query.box for query in queries),
        missing=missing_images(named, on_disk),
    )


def ground_truth_folder(root: Path) -> Path:
    """The folder of the text files: root, or the one folder in it that holds some.

    Raises:
        NetvladError: there is none, or more than one.
    """
    folders = [root, *sorted(path for path in root.iterdir() if path.is_dir())]
    holding = [folder for folder in folders if any(folder.glob('[!.]*_query.txt'))]
    if not holding:
        raise NetvladError(
            f'{root} lacks the ground truth, files NAME_query.txt with NAME_good.txt, NAME_ok.txt '
            'and NAME_junk.txt in it or in a folder below'
        )
    if len(holding) > 1:
        raise NetvladError(f'{root} holds ground truth twice: {holding[0]} and {holding[1]}')
    return holding[0]


def read_lists(folder: Path) -> list[LabelledQuery]:
    """Every query of a folder of text files, in the order of their names.

    Raises:
        NetvladError: a file is missing, unreadable or not as expected, or marks an image both
            right and junk. The message names the file.
    """
    found = []
    marks = ('query', 'good', 'ok', 'junk')  # a query that lacks one of its files is noticed
    texts = {p.name for p in folder.glob('[!.]*_*.txt')}
    named = {name.rsplit('_', 1)[0] for name in texts if name[:-4].rsplit('_', 1)[1] in marks}
    for path in sorted(folder / f'{name}_query.txt' for name in named):
        lists = {
            mark: frozenset(
                read_text_list(
                    path.with_name(path.name.replace('_query', f'_{mark}')), MAX_LIST_BYTES
                )
            )
            for mark in ('good', 'ok', 'junk')
        }
        right = lists['good'] | lists['ok']
        both = right & lists['junk']
        if both:
            raise NetvladError(f'{path}: {min(both)} is marked both right and junk')
        words = ' '.join(read_text_list(path, MAX_LIST_BYTES)).split()
        try:
            x0, y0, x1, y1 = map(float, words[1:])
        except ValueError as error:
            raise NetvladError(f'{path} is not an image name and four numbers') from error
        if not (all(map(math.isfinite, (x0, y0, x1, y1))) and x0 < x1 and y0 < y1):
            raise NetvladError(f'{path}: the box {x0:g} {y0:g} {x1:g} {y1:g} encloses nothing')
        # In the queries of Oxford the name of the set stands before that of the image.
        image = words[0].removeprefix('oxc1_')
        found.append(LabelledQuery(image, (x0, y0, x1, y1), right, frozenset(), lists['junk']))
    return found
