"""Images of a drive that the map was made of: no test of the map, for it has them by heart."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.descriptor import ModelBundle
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.image import check_rgb
from netvlad_ros.core.place_map import PlaceMap
from netvlad_ros.offline.traverse import Frame, Traverse, selected_indices

SAME_STAMP_NS = 1_000_000  # files round stamps; no camera takes two images in a millisecond
TRIED = 5  # images whose pixels are looked at
LOOKS_THE_SAME = 0.98  # cosine; a copy that was shrunk or compressed again is still a copy
IDENTICAL = 1 - 1e-5  # cosine; beyond it only rounding is left


def own_images(place_map: PlaceMap, bundle: ModelBundle, traverse: Traverse) -> frozenset[int]:
    """Indices of the images of a drive, all of it, that are places of the map; mostly none.

    They have the stamp of a place and look like it, whatever the drive is called. Clocks that begin
    anew with every drive share stamps by chance, so TRIED of the images, evenly spread, are looked
    at: all are the map's own if most of these are. The drive's `skipped` stays as it was.
    """
    before = list(traverse.skipped)
    order = np.argsort(place_map.stamps_ns, kind='stable')
    stamps = place_map.stamps_ns[order]
    rows_of: dict[int, NDArray[np.int64]] = {}
    for frame in traverse.frames():
        low = np.searchsorted(stamps, frame.stamp_ns - SAME_STAMP_NS, side='left')
        high = np.searchsorted(stamps, frame.stamp_ns + SAME_STAMP_NS, side='right')
        if low < high:
            rows_of[frame.index] = order[low:high]
    if not rows_of:
        traverse.skipped[:] = before
        return frozenset()
    shared = sorted(rows_of)
    tried = {shared[i] for i in np.linspace(0, len(shared) - 1, TRIED).round().astype(int)}
    alike = [
        _looks_like(frame, place_map.descriptors[rows_of[frame.index]], bundle)
        for frame in traverse.frames(slice(min(tried), max(tried) + 1))
        if frame.index in tried
    ]
    traverse.skipped[:] = before
    return frozenset(shared) if 2 * sum(alike) > len(alike) else frozenset()


def refuse_own_images(
    own: Collection[int], traverse: Traverse, selection: slice, advice: str
) -> None:
    """Raise NetvladError, ending in advice, if one of the selected images is the map's own."""
    selected = selected_indices(selection, len(traverse))
    shared = sum(index in own for index in selected)
    if shared:
        raise NetvladError(
            f'{traverse.name}: {shared} of the {len(selected)} images to localize are places of '
            f'the map itself; {advice}'
        )


def kinship_json(own: Collection[int], similarities: Sequence[float]) -> dict[str, Any]:
    """Whether a drive is the map's own recording, and identical_images.

    own: of own_images. similarities: cosine of each query's best place.
    """
    return {
        'same_recording': len(own) > 0,
        'identical_images': identical_images(similarities),
    }


def identical_images(similarities: Sequence[float | None]) -> int:
    """How many queries are described as their best place is: by a cosine of 1, None = no place.

    Images that were rendered may repeat themselves; of cameras it says that one image is on both
    sides.
    """
    return sum(cosine is not None and cosine >= IDENTICAL for cosine in similarities)


def _looks_like(frame: Frame, descriptors: NDArray[np.float32], bundle: ModelBundle) -> bool:
    try:
        rgb = frame.read()
        check_rgb(rgb)
    except NetvladError:
        return False
    return bool((descriptors @ bundle.describe(rgb)).max() >= LOOKS_THE_SAME)
