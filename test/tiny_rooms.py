"""Made-up rooms with a map of them, and a query camera that looks at them."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
from tiny_scene import HEIGHT, PINHOLE, WIDTH, appearance, box, features, pose, seen

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.features.local_features import FeatureSpec, LocalFeatures
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.place_map.feature_store import FeatureStore
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.core.verification.evidence import Verification
from netvlad_ros.core.verification.verifier import Verifier

SPEC = FeatureSpec.built_in('sift')
AROUND = [pose(0, 0, 0), pose(0.8, 0.1, -0.2), pose(0.3, 0.4, -0.6), pose(-0.7, 0, 0.3)]
T_QUERY = pose(0.3, -0.1, 0.2, (2, -5, 3))
RGB = np.zeros((HEIGHT, WIDTH, 3), np.uint8)


class Map(SimpleNamespace):
    """What verification asks of a map."""

    calibration_of = PlaceMap.calibration_of


class Scene:
    """A map of made-up rooms, and an extractor that sees what a camera in one of them sees."""

    spec = SPEC

    def __init__(self, rng: np.random.Generator, rooms: list[np.ndarray], cameras=AROUND) -> None:
        """rooms: offsets (3,) [m] of rooms that all look alike."""
        self.rng = rng
        self.points, self.looks = box(rng, 300), appearance(rng, 300)
        self.seen_now = LocalFeatures(np.empty((0, 2), np.float32), np.empty((0, 128), np.uint8))
        T, found, landmarks, points = [], [], [], []
        for room, offset in enumerate(rooms):
            points.append(self.points + offset)
            for T_map_cam in cameras:
                T.append(T_map_cam + np.pad(np.reshape(offset, (3, 1)), ((0, 1), (3, 0))))
                pixels, rows = seen(points[-1], T[-1], PINHOLE, rng)
                found.append(features(pixels, self.looks[rows], rng))
                landmarks.append(rows + room * 300)
        store = FeatureStore.create(
            SPEC,
            np.cumsum([0, *map(len, found)]).astype(np.int64),
            np.concatenate([each.keypoints for each in found]),
            np.concatenate([each.descriptors for each in found]),
        )
        self.map = Map(
            features=store.with_landmarks(
                np.concatenate(points), np.concatenate(landmarks).astype(np.int32)
            ),
            camera=PINHOLE,
            stated_camera=None,
            T_map_cam=np.array(T),
            spacing_m=0.5,
        )
        self.place_of = np.repeat(np.arange(len(rooms)) * len(cameras), len(cameras))

    def extract(self, rgb: np.ndarray) -> LocalFeatures:
        return self.seen_now

    def look(self, T_map_cam: np.ndarray, camera=PINHOLE, strangers: int = 150) -> None:
        """Set what the query sees; so many of its features (strangers) show nothing mapped."""
        rng = self.rng
        pixels, rows = seen(self.points, T_map_cam, camera, rng)
        pixels = np.concatenate([pixels, rng.uniform(0, (WIDTH, HEIGHT), (strangers, 2))])
        looks = np.concatenate([self.looks[rows], appearance(rng, strangers)])
        order = rng.permutation(len(pixels))
        self.seen_now = features(pixels[order], looks[order], rng)

    def verify(
        self, camera: CameraModel | None = PINHOLE, verifier: Verifier | None = None, **settings
    ) -> Verification:
        """The answer of a verifier that may have seen images before; None: of a new one."""
        verifier = verifier or Verifier(self.map, self, LocalizerConfig())
        return verifier.verify(
            RGB, camera, np.arange(len(self.place_of)), self.place_of, **settings
        )

    def without_landmarks(self) -> None:
        store = self.map.features
        self.map.features = replace(store, landmark_of=None, points=np.empty((0, 3)))
