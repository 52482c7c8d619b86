"""INRIA Holidays: the number in a name is that of the scene and of the image in it.

NNNNMM.jpg is image MM of scene NNNN. Image 00 of a scene is the query for the others.

Source: Jegou, Douze and Schmid, ECCV 2008.
"""

from __future__ import annotations

import re
from collections import defaultdict
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
    'mean average precision (trapezoids): the other images of the scene are right, the query '
    'itself counts neither way, all images are searched in'
)
LISTS = ('holidays_images.dat', 'eval_holidays/holidays_images.dat')
MAX_LIST_BYTES = 2**20
OBTAINED = 'INRIA, LEAR (now Thoth), Grenoble'


def load_holidays(root: Path) -> Benchmark:
    """1491 images, 500 queries. The authors' list of images is used if root holds it.

    Without the list, the images on disk are the set, and only missing queries can be noticed.

    Raises:
        NetvladError: there are no images, or one is not named as those of the set.
    """
    on_disk = images_on_disk(root)
    listed = _listed(root) or sorted(on_disk)
    scenes: dict[str, list[str]] = defaultdict(list)
    for name in listed:
        if not re.fullmatch(r'\d{6}', name):
            raise NetvladError(f'{root}: {name[:80]} is no image of Holidays, six digits each')
        scenes[name[:4]].append(name)
    nothing: frozenset[str] = frozenset()
    queries = [
        LabelledQuery(f'{scene}00', None, frozenset(names) - {f'{scene}00'}, nothing, nothing)
        for scene, names in sorted(scenes.items())
    ]
    present = present_queries(queries, on_disk, root)
    catalogue = Catalogue(listed, on_disk)
    return Benchmark(
        name='holidays',
        protocol=PROTOCOL,
        database=catalogue.paths,
        queries=tuple(on_disk[query.image] for query in present),
        positives=tuple(catalogue.rows(query.easy) for query in present),
        junk=tuple(catalogue.rows([query.image]) for query in present),
        missing=missing_images([*listed, *(query.image for query in queries)], on_disk),
    )


def _listed(root: Path) -> list[str]:
    """Names of the authors' list, without suffix; none if root does not hold it."""
    for name in LISTS:
        if (root / name).is_file():
            lines = read_text_list(root / name, MAX_LIST_BYTES)
            return [line.removesuffix('.jpg') for line in lines]
    return []
