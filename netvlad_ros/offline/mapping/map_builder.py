"""A drive and a model become a map, described by the very code that runs on the robot."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.features.extractor import open_extractor
from netvlad_ros.core.features.local_features import FeatureSpec
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.place_map.map_files import INDEX_NAME
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.core.place_map.storage import save_map
from netvlad_ros.offline.drives.drive import (
    NO_CALIBRATION,
    Drive,
    Frame,
    read_or_skip,
    selected_indices,
)
from netvlad_ros.offline.mapping.disk_buffers import FeatureWriter, ThumbnailStore
from netvlad_ros.offline.mapping.keyframes import KeyframeSelector
from netvlad_ros.offline.progress import Progress, Skip, no_progress, skip_sentences


def build_map(
    drive: Drive,
    bundle: ModelBundle,
    out: Path,
    *,
    spacing_m: float = 0.0,
    spacing_deg: float = 0.0,
    selection: slice = slice(None),
    thumbnails: bool = True,
    overwrite: bool = False,
    feature_spec: FeatureSpec | None = None,
    feature_model: Path | None = None,
    landmarks: bool = False,
    skipped: list[Skip] | None = None,
    progress: Progress = no_progress,
    landmark_progress: Progress = no_progress,
) -> PlaceMap:
    """Describe the keyframes of a drive and write them as a map, whole or not at all.

    spacing_m [m], spacing_deg [deg]: a frame becomes a place when the camera moved or turned this
    far since the last place; 0 does not count, both 0 take every frame. feature_spec: local
    features that the map keeps; feature_model: the bundle that finds them, of ONNX features.
    landmarks: triangulate them, of SIFT features if no others were asked for; this needs
    `drive.camera`. skipped: gets the frames without a pose and the unreadable images, which are
    left out. landmark_progress: pairs of places matched, pairs in all. Raises NetvladError if
    nothing is left, if the camera's calibration is missing or of other images, or if `out` exists
    (overwrite: and is no map) or cannot be written.
    """
    check_output(out, overwrite=overwrite)
    if landmarks:
        check_calibrated(drive)
        feature_spec = feature_spec or FeatureSpec.built_in('sift')
    total = len(selected_indices(selection, len(drive)))
    selector = KeyframeSelector(spacing_m, spacing_deg)
    places: list[Frame] = []
    descriptors: list[NDArray[np.float32]] = []
    skipped = [] if skipped is None else skipped
    before = len(skipped)
    size: tuple[int, ...] = ()
    camera: CameraModel | None = None
    with ThumbnailStore() as store, ExitStack() as stack:
        writer: FeatureWriter | None = None
        if feature_spec is not None:
            extractor = open_extractor(feature_spec, model=feature_model)
            writer = stack.enter_context(FeatureWriter(extractor, existing_parent(out)))
        for done, frame in enumerate(drive.frames(selection, skipped)):
            progress(done, total)
            if frame.T_map_cam is None or not selector.is_keyframe(frame.T_map_cam):
                continue
            rgb = read_or_skip(frame, skipped)
            if rgb is None:
                continue
            if not size:
                size = rgb.shape
                camera = _camera_of(drive, rgb, skipped, needed=writer is not None)
            if writer is not None:
                if rgb.shape != size:  # positions of its features would be of another camera
                    skipped.append(Skip(frame.image, 'of another size than the first'))
                    continue
                writer.add(rgb)
            selector.take(frame.T_map_cam)
            descriptors.append(bundle.describe(rgb))
            if thumbnails:
                store.add(len(places), rgb)
            # A bag's frame holds on to its whole message; thousands of them would not fit.
            places.append(replace(frame, read=_forgotten))
        progress(total, total)
        if not places:
            reasons = '; '.join(skip_sentences(skipped[before:])) or 'the slice is empty'
            raise NetvladError(f'{drive.name}: no image is left for a map ({reasons})')
        features = None if writer is None else writer.store()
        T_map_cam = np.array([frame.T_map_cam for frame in places])
        stated: CameraModel | None = None
        if landmarks and features is not None and camera is not None:
            from netvlad_ros.offline.mapping.landmarks import find_landmarks

            found = find_landmarks(features, T_map_cam, camera, progress=landmark_progress)
            features = features.with_landmarks(found.points, found.landmark_of)
            if found.camera is not camera:
                camera, stated = found.camera, camera
        place_map = PlaceMap.create(
            model_id=bundle.metadata.model_id,
            frame_id=drive.frame_id,
            descriptors=np.array(descriptors),
            recordings=[frame.recording for frame in places],
            stamps_ns=[frame.stamp_ns for frame in places],
            images=[frame.image for frame in places],
            T_map_cam=T_map_cam,
            T_base_cam=drive.T_base_cam,
            base_frame=drive.base_frame,
            camera_frame=drive.camera_frame,
            source=f'{drive.name}, {len(places)} of {len(drive)} images',
            features=features,
            camera=camera,
            stated_camera=stated,
        )
        return save_map(place_map, out, thumbnails=store, overwrite=overwrite)


def check_output(out: Path, *, overwrite: bool) -> None:
    """Raise NetvladError, before any work is done, if a map could not be written to `out`."""
    if out.exists() and not (out / INDEX_NAME).is_file():
        raise NetvladError(f'{out} exists and is no map; choose another folder')
    if out.exists() and not overwrite:
        raise NetvladError(f'{out} exists already; choose another folder or pass --overwrite')
    parent = existing_parent(out)
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise NetvladError(f'{out} cannot be written: {parent} is no folder that may be written to')


def existing_parent(out: Path) -> Path:
    """The folder nearest to `out`, which need not exist, that does."""
    return next(path for path in out.absolute().parents if path.exists())


def check_calibrated(drive: Drive) -> None:
    """Raise NetvladError if a drive does not know the camera that landmarks are seen with."""
    if drive.camera is None:
        why = ''.join(f' ({skip.image})' for skip in drive.skipped if skip.reason == NO_CALIBRATION)
        raise NetvladError(
            f'{drive.name}: landmarks need the calibration of the camera, and the drive has '
            f'none of use{why}; give one with --camera FILE'
        )


def _camera_of(
    drive: Drive, rgb: NDArray[np.uint8], skipped: list[Skip], *, needed: bool
) -> CameraModel | None:
    """The drive's camera as it is for images of this size."""
    if drive.camera is None:
        return None
    try:
        return drive.camera.resized(rgb.shape[1], rgb.shape[0])
    except NetvladError as error:
        if needed:
            raise NetvladError(f'{drive.name}: {error}') from error
        skipped.append(Skip(str(error), NO_CALIBRATION))
        return None


def _forgotten() -> NDArray[np.uint8]:
    raise NetvladError('the pixels of this frame were let go')
