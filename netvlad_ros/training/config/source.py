"""Source: one set of training images, an entry of `sources` in train.yaml."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.datasets.open_dataset import LAYOUTS, read_place_images
from netvlad_ros.offline.datasets.place_images import PlaceImages
from netvlad_ros.training.config.settings import Settings, setting


@dataclass(frozen=True)
class Source(Settings):
    """Where images are and how they are named.

    Several recordings of one area are several sources with the same `area`. Their positions are
    compared with each other, so they must be in one frame.
    """

    path: str = setting('', 'folder, bag or .mat list; relative to the working directory')
    layout: str = setting('auto', 'how the images and their poses are stored', choices=LAYOUTS)
    name: str = setting('', 'in the card of the model; else the name of the folder')
    domain: str = setting(
        '', 'sources of one domain count as one in fits, mining and validation; else the name'
    )
    licence: str = setting('', 'of the images, for the card of the model')
    area: str = setting('', 'sources of one area share a map frame; else each has its own')
    recording: str = setting('', 'name of the visit, for a source that is one recording')
    validation: bool = setting(False, 'kept for validation as a whole')
    fitted: bool = setting(
        True, 'clusters and whitening are fitted on it too; false suits rendered images'
    )
    image_topic: str = setting('', 'of a bag with several')
    pose_topic: str = setting('', 'of a bag: poses of the robot; else the TF tree')
    pose_tolerance_s: float = setting(
        0.25, 'of a bag: largest gap between the poses beside an image [s]', 0.0, 1e3
    )
    pose_is_camera: bool = setting(False, 'the pose topic gives the camera, not the robot')

    def read(self, *, cache: Path | None = None, max_area_px: int = 0) -> PlaceImages:
        """Reads the source without pixels; the images of a bag are extracted to `cache` once.

        Names of recordings and areas are made unique among sources.

        Args:
            cache: folder for the images of bags.
            max_area_px: larger images of a bag are stored with this area [px]; 0: as they are.

        Raises:
            NetvladError: no path, an unknown layout, a broken line, or no image left.
        """
        if not self.path:
            raise NetvladError('a source of training images needs a path')
        found = read_place_images(
            Path(self.path),
            self.layout,
            cache=cache,
            max_area_px=max_area_px,
            image_topic=self.image_topic or None,
            pose_topic=self.pose_topic or None,
            pose_tolerance_s=self.pose_tolerance_s,
            pose_is_camera=self.pose_is_camera,
        )
        name = self.name or found.name
        recordings = _joined(name, found.recordings)
        if self.recording:
            recordings = np.full(len(found), f'{name}/{self.recording}')
        return replace(
            found,
            name=name,
            domain=self.domain or name,
            recordings=recordings,
            areas=_joined(self.area or name, found.areas),
            validation=self.validation,
            fitted=self.fitted,
        )


def _joined(prefix: str, names: NDArray[np.str_]) -> NDArray[np.str_]:
    unique, codes = np.unique(names, return_inverse=True)
    joined = np.array([f'{prefix}/{name}' if name else prefix for name in unique], dtype=str)
    return joined[codes]
