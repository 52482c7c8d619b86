"""Whether a drive is the recording that a map was made of, and so no test of the map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.camera.image import check_rgb
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.offline.drives.drive import Drive, Frame, selected_indices

SAME_STAMP_NS = 1_000_000  # files round stamps; no camera takes two images in one millisecond
WALL_CLOCK_NS = 10**18  # September 2001; clocks that begin anew with every drive never get there
TRIED = 5  # images whose pixels are compared
LOOKS_THE_SAME = 0.98  # cosine; copies that were shrunk or compressed again reach it
IDENTICAL = 1 - 1e-5  # cosine; what is missing to 1 is rounding


@dataclass(frozen=True)
class SharedRecording:
    """Which images of a drive belong to the recording that a map was made of; mostly none.

    Attributes:
        moments: indices of the drive's images that were taken at the same time as a place.
        are_places: whether these images are the places. Otherwise another camera of the same
            robot took them.
    """

    moments: frozenset[int] = frozenset()
    are_places: bool = False

    @property
    def own(self) -> frozenset[int]:
        """Indices of images that are places of the map; they are never queries."""
        return self.moments if self.are_places else frozenset()

    def refuse(self, drive: Drive, selection: slice, advice: str) -> None:
        """Raise NetvladError, ending in advice, if one of the selected images is shared."""
        selected = selected_indices(selection, len(drive))
        shared = sum(index in self.moments for index in selected)
        if shared:
            what = (
                'are places of the map itself'
                if self.are_places
                else 'were taken when places of the map were, by another camera'
            )
            raise NetvladError(
                f'{drive.name}: {shared} of the {len(selected)} images to localize {what}; {advice}'
            )

    def metrics(self, similarities: Sequence[float]) -> dict[str, Any]:
        """Plain JSON: same_recording, and identical_images of each query's best similarity."""
        return {
            'same_recording': len(self.moments) > 0,
            'identical_images': identical_images(similarities),
        }


def shared_recording(place_map: PlaceMap, bundle: ModelBundle, drive: Drive) -> SharedRecording:
    """Compare stamps and images of a whole drive, whatever its name, with a map.

    Images that have the stamp of a place are compared with it: TRIED of them, evenly spread. If
    most of these look like their places, all are places. If they do not, stamps of a wall clock
    still mean the same recording, and other stamps are equal by chance.
    """
    order = np.argsort(place_map.stamps_ns, kind='stable')
    stamps = place_map.stamps_ns[order]
    rows_of: dict[int, NDArray[np.int64]] = {}
    is_wall_clock = True
    for frame in drive.frames():
        low = np.searchsorted(stamps, frame.stamp_ns - SAME_STAMP_NS, side='left')
        high = np.searchsorted(stamps, frame.stamp_ns + SAME_STAMP_NS, side='right')
        if low < high:
            rows_of[frame.index] = order[low:high]
            is_wall_clock &= frame.stamp_ns > WALL_CLOCK_NS
    if not rows_of:
        return SharedRecording()
    shared = sorted(rows_of)
    tried = {shared[i] for i in np.linspace(0, len(shared) - 1, TRIED).round().astype(int)}
    alike = [
        _looks_like(frame, place_map.descriptors[rows_of[frame.index]], bundle)
        for frame in drive.frames(slice(min(tried), max(tried) + 1))
        if frame.index in tried
    ]
    are_places = 2 * sum(alike) > len(alike)
    if are_places or is_wall_clock:
        return SharedRecording(frozenset(shared), are_places)
    return SharedRecording()


def identical_images(similarities: Sequence[float | None]) -> int:
    """Count the queries whose descriptor equals that of their best place; None = no place.

    Rendered images may repeat. From a camera, an identical image is the same file on both sides.
    """
    return sum(cosine is not None and cosine >= IDENTICAL for cosine in similarities)


def _looks_like(frame: Frame, descriptors: NDArray[np.float32], bundle: ModelBundle) -> bool:
    try:
        rgb = frame.read()
        check_rgb(rgb)
    except NetvladError:
        return False
    return bool((descriptors @ bundle.describe(rgb)).max() >= LOOKS_THE_SAME)


def check_frame(place_map: PlaceMap, drive: Drive) -> None:
    """Raise NetvladError unless the poses of map and drive can be compared."""
    if drive.frame_id != place_map.frame_id:
        raise NetvladError(
            f"the poses of {drive.name} are in the frame '{drive.frame_id}', the map's in "
            f"'{place_map.frame_id}'; they can only be compared in one frame (--map-frame)"
        )


def place_radius(place_map: PlaceMap, config: LocalizerConfig) -> tuple[float, float]:
    """Distance [m] and angle [deg] within which the localizer counts images as one place."""
    return config.radius_m(place_map.spacing_m), config.place_radius_deg
