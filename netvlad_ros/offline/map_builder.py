"""A drive and a model become a map, described by the very code that runs on the robot."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.descriptor import ModelBundle
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.image import check_rgb
from netvlad_ros.core.map_files import INDEX_NAME
from netvlad_ros.core.place_map import PlaceMap
from netvlad_ros.offline.keyframes import KeyframeSelector
from netvlad_ros.offline.thumbnail_store import ThumbnailStore
from netvlad_ros.offline.traverse import Frame, Skip, Traverse, selected_indices, skip_sentences

Progress = Callable[[int, int], None]  # frames looked at, frames in all


def build_map(
    traverse: Traverse,
    bundle: ModelBundle,
    out: Path,
    *,
    spacing_m: float = 0.0,
    spacing_deg: float = 0.0,
    selection: slice = slice(None),
    thumbnails: bool = True,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
) -> PlaceMap:
    """Describe the keyframes of a drive and write them as a map, whole or not at all.

    spacing_m [m], spacing_deg [deg]: a frame becomes a place when the camera moved or turned this
    far since the last place; 0 does not count, both 0 take every frame. Frames without a pose and
    unreadable images are left out and added to `traverse.skipped`. Raises NetvladError if nothing
    is left, or if `out` exists (overwrite: and is no map) or cannot be written.
    """
    check_output(out, overwrite=overwrite)
    total = len(selected_indices(selection, len(traverse)))
    selector = KeyframeSelector(spacing_m, spacing_deg)
    places: list[Frame] = []
    descriptors: list[NDArray[np.float32]] = []
    before = len(traverse.skipped)
    with ThumbnailStore() as store:
        for done, frame in enumerate(traverse.frames(selection)):
            progress(done, total)
            if frame.T_map_cam is None or not selector.is_keyframe(frame.T_map_cam):
                continue
            rgb = read_or_skip(frame, traverse.skipped)
            if rgb is None:
                continue
            selector.take(frame.T_map_cam)
            descriptors.append(bundle.describe(rgb))
            if thumbnails:
                store.add(len(places), rgb)
            # A bag's frame holds on to its whole message; thousands of them would not fit.
            places.append(replace(frame, read=_forgotten))
        progress(total, total)
        if not places:
            reasons = '; '.join(skip_sentences(traverse.skipped[before:])) or 'the slice is empty'
            raise NetvladError(f'{traverse.name}: no image is left for a map ({reasons})')
        place_map = PlaceMap.create(
            model_id=bundle.metadata.model_id,
            frame_id=traverse.frame_id,
            descriptors=np.array(descriptors),
            recordings=[frame.recording for frame in places],
            stamps_ns=[frame.stamp_ns for frame in places],
            images=[frame.image for frame in places],
            T_map_cam=np.array([frame.T_map_cam for frame in places]),
            T_base_cam=traverse.T_base_cam,
            base_frame=traverse.base_frame,
            camera_frame=traverse.camera_frame,
            source=f'{traverse.name}, {len(places)} of {len(traverse)} images',
        )
        return place_map.save(out, thumbnails=store, overwrite=overwrite)


def read_or_skip(frame: Frame, skipped: list[Skip]) -> NDArray[np.uint8] | None:
    """Pixels of a frame, uint8 (H, W, 3) RGB; None, and an entry in `skipped`, if unreadable."""
    try:
        rgb = frame.read()
        check_rgb(rgb)
    except NetvladError as error:
        skipped.append(Skip(f'{frame.image} ({error})', 'unreadable'))
        return None
    return rgb


def check_output(out: Path, *, overwrite: bool) -> None:
    """Raise NetvladError, before any work is done, if a map could not be written to `out`."""
    if out.exists() and not (out / INDEX_NAME).is_file():
        raise NetvladError(f'{out} exists and is no map; choose another folder')
    if out.exists() and not overwrite:
        raise NetvladError(f'{out} exists already; choose another folder or pass --overwrite')
    parent = next(path for path in out.absolute().parents if path.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise NetvladError(f'{out} cannot be written: {parent} is no folder that may be written to')


def _forgotten() -> NDArray[np.uint8]:
    raise NetvladError('the pixels of this frame were let go')
