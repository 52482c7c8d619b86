"""MapBuilder: a drive and a model become a map, described by the code that runs on the robot."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.features.extractor import FeatureExtractor
from netvlad_ros.core.features.local_features import LocalFeatures
from netvlad_ros.core.features.model_extractor import ModelExtractor
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
from netvlad_ros.offline.mapping.feature_choice import FeatureChoice
from netvlad_ros.offline.mapping.keyframes import KeyframeSelector
from netvlad_ros.offline.progress import Progress, Skip, no_progress, skip_sentences

WIDE_DIM = 512  # descriptors with more components are stored in 8 bits


@dataclass(frozen=True)
class MapBuilder:
    """What a new map is to hold, and the folder that it is written to.

    The folder is checked when the builder is made, before a drive is opened.

    Attributes:
        out: the map's folder. It appears whole or not at all.
        overwrite: replace the map that is there.
        spacing_m: a frame becomes a place when the camera moved this far since the last place [m].
        spacing_deg: a frame also becomes a place when the camera turned this far [deg]. A spacing
            of 0 does not count; with both at 0 every frame becomes a place.
        thumbnails: keep a small picture of every place.
        features: local features to keep.
        landmarks: triangulate the features. This needs `Drive.camera`. Where no features are
            chosen, the default ones are kept.

    Raises:
        NetvladError: `out` exists (with overwrite: and is no map) or cannot be written.
    """

    out: Path
    overwrite: bool = False
    spacing_m: float = 0.0
    spacing_deg: float = 0.0
    thumbnails: bool = True
    features: FeatureChoice = FeatureChoice()  # noqa: RUF009, it is frozen
    landmarks: bool = False

    def __post_init__(self) -> None:
        check_output(self.out, overwrite=self.overwrite)

    def build(
        self,
        drive: Drive,
        bundle: ModelBundle,
        *,
        selection: slice = slice(None),
        skipped: list[Skip] | None = None,
        progress: Progress = no_progress,
        landmark_progress: Progress = no_progress,
        left_out_progress: Progress = no_progress,
    ) -> PlaceMap:
        """Describe the keyframes of a drive and write them as a map.

        Args:
            drive: images of one camera, with poses.
            bundle: the model that describes them.
            selection: of the drive's images.
            skipped: gets the frames without a pose and the unreadable images, which are left out.
            progress: called with (images done, in all).
            landmark_progress: called with (pairs of places matched, in all).
            left_out_progress: called with (keyframes localized on the rest of the map, in all).

        Returns:
            The map as it stands on disk.

        Raises:
            NetvladError: nothing is left, the camera's calibration is missing or of other images,
                the model does not answer the chosen features, or the folder cannot be written.
        """
        skipped = [] if skipped is None else skipped
        before = len(skipped)
        if self.landmarks:
            check_calibrated(drive)
        extractor = self._choice.extractor(bundle)
        places: list[Frame] = []
        descriptors: list[NDArray[np.float32]] = []
        camera: CameraModel | None = None
        with ThumbnailStore() as thumbnails, self._feature_writer(extractor) as writer:
            keyframes = self._keyframes(
                drive, selection, skipped, progress, one_size=extractor is not None
            )
            for frame, rgb in keyframes:
                if not places:
                    camera = _camera_of(drive, rgb, skipped, needed=writer is not None)
                descriptor, local = _analysed(rgb, bundle, extractor)
                descriptors.append(descriptor)
                if writer is not None and local is not None:
                    writer.add(local)
                if self.thumbnails:
                    thumbnails.add(len(places), rgb)
                # A bag's frame holds on to its whole message; thousands of them would not fit.
                places.append(replace(frame, read=_forgotten))
            if not places:
                reasons = '; '.join(skip_sentences(skipped[before:])) or 'the slice is empty'
                raise NetvladError(f'{drive.name}: no image is left for a map ({reasons})')
            T_map_cam = np.array([frame.T_map_cam for frame in places])
            features = None if writer is None else writer.store()
            refined: CameraModel | None = None
            if self.landmarks and features is not None and camera is not None:
                from netvlad_ros.offline.mapping.landmarks import find_landmarks

                found, refined = find_landmarks(
                    features, T_map_cam, camera, progress=landmark_progress
                )
                features = features.with_landmarks(found.points, found.landmark_of)
            place_map = PlaceMap.create(
                model_id=bundle.metadata.model_id,
                model_settings=bundle.metadata.settings_id,
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
                camera=refined or camera,
                stated_camera=camera if refined else None,
            )
            return save_map(
                _with_own_calibration(place_map, bundle, extractor, left_out_progress),
                self.out,
                thumbnails=thumbnails,
                eight_bits=bundle.metadata.dim > WIDE_DIM,
                overwrite=self.overwrite,
            )

    @property
    def _choice(self) -> FeatureChoice:
        if self.landmarks and self.features.kind == 'none':
            return replace(self.features, kind='default')
        return self.features

    def _feature_writer(
        self, extractor: FeatureExtractor | None
    ) -> AbstractContextManager[FeatureWriter | None]:
        if extractor is None:
            return nullcontext()
        return FeatureWriter(extractor.spec, existing_parent(self.out))

    def _keyframes(
        self,
        drive: Drive,
        selection: slice,
        skipped: list[Skip],
        progress: Progress,
        *,
        one_size: bool,
    ) -> Iterator[tuple[Frame, NDArray[np.uint8]]]:
        """Yield the frames that become places, with their pixels; one_size: all of one size."""
        total = len(selected_indices(selection, len(drive)))
        selector = KeyframeSelector(self.spacing_m, self.spacing_deg)
        size: tuple[int, ...] = ()
        for done, frame in enumerate(drive.frames(selection, skipped)):
            progress(done, total)
            if frame.T_map_cam is None or not selector.is_keyframe(frame.T_map_cam):
                continue
            rgb = read_or_skip(frame, skipped)
            if rgb is None:
                continue
            size = size or rgb.shape
            # Positions of features in an image of another size would be of another camera.
            if one_size and rgb.shape != size:
                skipped.append(Skip(frame.image, 'of another size than the first'))
                continue
            selector.take(frame.T_map_cam)
            yield frame, rgb
        progress(total, total)


def _analysed(
    rgb: NDArray[np.uint8], bundle: ModelBundle, extractor: FeatureExtractor | None
) -> tuple[NDArray[np.float32], LocalFeatures | None]:
    """Descriptor and features of an image; one pass gives both where they are of the model."""
    if isinstance(extractor, ModelExtractor):
        return extractor.analyse(rgb)
    return bundle.describe(rgb), None if extractor is None else extractor.extract(rgb)


def _with_own_calibration(
    place_map: PlaceMap,
    bundle: ModelBundle,
    extractor: FeatureExtractor | None,
    progress: Progress,
) -> PlaceMap:
    """The map with covariances by its own keyframes, if it has landmarks."""
    of_model, features = bundle.metadata.calibration, place_map.features
    if of_model is None or extractor is None or features is None or not features.has_landmarks:
        return place_map
    from netvlad_ros.offline.mapping.left_out import own_calibration

    found = own_calibration(place_map, of_model, extractor, progress=progress)
    return replace(place_map, own_calibration=found)


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
    """The nearest folder above `out` that exists; `out` itself need not exist."""
    return next(path for path in out.absolute().parents if path.exists())


def check_calibrated(drive: Drive) -> None:
    """Raise NetvladError if a drive has no camera calibration, which landmarks need."""
    if drive.camera is None:
        why = ''.join(f' ({skip.image})' for skip in drive.skipped if skip.reason == NO_CALIBRATION)
        raise NetvladError(
            f'{drive.name}: landmarks need the calibration of the camera, and the drive has '
            f'none of use{why}; give one with --camera FILE'
        )


def _camera_of(
    drive: Drive, rgb: NDArray[np.uint8], skipped: list[Skip], *, needed: bool
) -> CameraModel | None:
    """The drive's camera for images of this size; None, and skipped, if its shape differs."""
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
