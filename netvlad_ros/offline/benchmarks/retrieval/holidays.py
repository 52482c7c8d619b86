"""INRIA Holidays: the number of an image says its scene and whether it is the query.

Jegou, Douze and Schmid, ECCV 2008. NNNNMM.jpg is image MM of scene NNNN; 00 asks for the others.
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

PROTOCOL = (
    'mean average precision (trapezoids): the other images of the scene are right, the query '
    'itself counts neither way, all images are searched in'
)
LISTS = ('holidays_images.dat', 'eval_holidays/holidays_images.dat')
MAX_LIST_BYTES = 2**20
OBTAINED = 'INRIA, LEAR (now Thoth), Grenoble'


def load_holidays(root: Path) -> Benchmark:
    """1491 images, 500 queries. The authors' list of images is used where root holds it.

    Without it the images on disk are the set, and only missing queries can be noticed.

    Raises NetvladError if there are no images, or one is not named as those of the set.
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
    asked = present_queries(queries, on_disk, root)
    catalogue = Catalogue(listed, on_disk)
    return Benchmark(
        name='holidays',
        protocol=PROTOCOL,
        database=catalogue.paths,
        queries=tuple(on_disk[query.image] for query in asked),
        positives=tuple(catalogue.rows(query.easy) for query in asked),
        junk=tuple(catalogue.rows([query.image]) for query in asked),
        missing=missing_images([*listed, *(query.image for query in queries)], on_disk),
    )


def _listed(root: Path) -> list[str]:
    for name in LISTS:
        path = root / name
        if not path.is_file():
            continue
        try:
            if path.stat().st_size > MAX_LIST_BYTES:
                raise NetvladError(f'{path} is larger than {MAX_LIST_BYTES} bytes')
            text = path.read_text(encoding='utf-8-sig')
        except OSError as error:
            raise NetvladError(f'{path} cannot be read: {error.strerror}') from error
        except UnicodeDecodeError as error:
            raise NetvladError(f'{path} is not a text file in UTF-8') from error
        return [line.strip().removesuffix('.jpg') for line in text.splitlines() if line.strip()]
    return []
