"""What is believed of the camera after all images so far."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from netvlad_ros.core.belief.belief import MAX_CAMERAS, Belief
from netvlad_ros.core.belief.mounted_camera import MountedCamera
from netvlad_ros.core.decision.hypotheses import Hypotheses
from netvlad_ros.core.decision.measurement_model import MeasurementModel
from netvlad_ros.core.decision.observation import Observation
from netvlad_ros.core.geometry import Array, around, distance_m, invert, rotation_angle_deg
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.place_map.place_map import PlaceMap

WEIGHED = 10  # places of an image whose mass is looked up
# However sure the way so far: that this image shows the place from where the map does is for the
# image to say, and its likeness errs alike from one image to the next. What the way adds are a
# third of the odds: in a kitchen, on a map without features, this accepted 217 images in place of
# 167, none of another place; twice the odds accepted 254, two of another place.
KNOWN_WAY_LOG_ODDS = 0.3


class Sequence:
    """Belief over the places of a map, fed by one image after another."""

    def __init__(
        self, place_map: PlaceMap, trust: MeasurementModel, config: LocalizerConfig
    ) -> None:
        self.trust = trust  # of the next update
        self._T_map_cam = place_map.T_map_cam
        self._tree = cKDTree(place_map.T_map_cam[:, :3, 3])
        self._belief = Belief(
            place_map.T_map_cam,
            max_speed_mps=config.max_speed_mps,
            max_turn_dps=config.max_turn_dps,
            spacing_m=place_map.spacing_m,
            spacing_deg=place_map.spacing_deg,
        )
        self._stamp_ns: int | None = None
        self._T_odom_cam: Array | None = None
        self._cameras: dict[bytes, MountedCamera] = {}

    def reset(self) -> None:
        """Forget all images so far."""
        self._belief.reset()
        self._stamp_ns = self._T_odom_cam = None

    def update(
        self,
        sight: Observation,
        alone: Hypotheses,
        T_odom_cam: Array | None = None,
        T_ref_cam: Array | None = None,
    ) -> Hypotheses:
        """Add an image to the belief; `alone`: what it says by itself. T: see Localizer.step.

        The answer's probabilities: for each look-alike the belief in the map's places around it,
        and around the pose that its place's landmarks give, times that this image shows the place.
        """
        self._predict(sight.stamp_ns, T_odom_cam)
        name, camera = self._camera(np.eye(4) if T_ref_cam is None else T_ref_cam)
        if sight.shows_something:
            spoken, none = self._log_likelihoods(sight, alone)
            self._belief.update(camera.states(spoken, none), none, name)
        return self._believed(sight, alone, camera)

    def _predict(self, stamp_ns: int, T_odom_cam: Array | None) -> None:
        before, T_before = self._stamp_ns, self._T_odom_cam
        self._stamp_ns, self._T_odom_cam = stamp_ns, T_odom_cam
        if before is None:
            return
        motion = None
        if T_before is not None and T_odom_cam is not None:
            motion = invert(T_before) @ T_odom_cam
        self._belief.predict((stamp_ns - before) * 1e-9, motion)

    def _camera(self, T_ref_cam: Array) -> tuple[bytes, MountedCamera]:
        """The camera mounted there, and its name in the belief."""
        for name, camera in self._cameras.items():
            if camera.is_at(T_ref_cam):
                return name, camera
        if len(self._cameras) >= MAX_CAMERAS:  # a mount that moves is not worth remembering
            self._cameras.clear()
        name = T_ref_cam.tobytes()
        self._cameras[name] = MountedCamera(
            self._T_map_cam,
            T_ref_cam,
            radius_m=self.trust.radius_m,
            radius_deg=self.trust.radius_deg,
        )
        return name, self._cameras[name]

    def _log_likelihoods(self, sight: Observation, alone: Hypotheses) -> tuple[Array, float]:
        """Of this camera at each map image (N,), and of it seeing what is not mapped."""
        slope = self.trust.of_similarity.rival_slope
        below = slope * (sight.similarity.astype(np.float64) - float(sight.similarity[0]))
        gains = self.trust.of_geometry(sight)
        # Whatever is not among the look-alikes is at most as likely as the last of them.
        everywhere = np.full(len(self._T_map_cam), below[-1])
        everywhere[sight.indices] = below
        # The odds of a similarity are those of the place, not of the one map image that is most
        # alike: a camera somewhere at the place must not lose to "elsewhere" by not being there.
        at_place = self._near([self._T_map_cam[sight.indices[0]]], 1.0)
        share = np.average(np.exp(everywhere[at_place]), weights=self._belief.prior[at_place])
        none = float(np.log(share) - self.trust.of_similarity.log_odds(sight.similarity[0]))
        everywhere += min(0.0, gains.min())
        everywhere[sight.indices] = below + gains
        # The landmarks of a place may put the camera well beside the images that show them.
        if sight.pose_at(alone.best) is not None:
            seen = self._near(self._centres(sight, alone.best), 1.0)
            at_best = everywhere[sight.indices[alone.best]]
            everywhere[seen] = np.maximum(everywhere[seen], at_best)
        return everywhere, none

    def _believed(self, sight: Observation, alone: Hypotheses, camera: MountedCamera) -> Hypotheses:
        mass = self._belief.probability
        leaders = np.flatnonzero(sight.leader == np.arange(len(sight.leader)))
        leaders = leaders[np.argsort(-alone.probability[leaders], kind='stable')][:WEIGHED]
        best = self._most_believed(sight, alone, leaders, camera)
        near, outskirts = self._places(sight, best, camera)
        by_place = np.zeros(len(sight.leader))
        rival, of_rival = None, 0.0
        # As for one image: the outskirts of the best place are neither witness nor rival.
        certain = 1.0 - float(mass[outskirts].sum())
        for leader in leaders.tolist():
            around_it, _ = self._places(sight, leader, camera)
            probability = float(mass[around_it & ~outskirts].sum()) / max(certain, 1e-12)
            by_place[sight.leader == leader] = min(probability, 1.0)
            outside = float(mass[around_it & ~outskirts & ~near].sum())
            if outside > of_rival:
                rival, of_rival = leader, outside
        log_odds = float(self.trust.of_similarity.log_odds(sight.similarity[best]))
        log_odds += float(self.trust.of_geometry(sight, by_itself=True)[best]) + KNOWN_WAY_LOG_ODDS
        this_image = float(1.0 / (1.0 + np.exp(np.clip(-log_odds, -700.0, 700.0))))
        return Hypotheses(
            leader=sight.leader,
            best=best,
            probability=by_place * this_image,
            elsewhere=min(self._belief.elsewhere / max(certain, 1e-12), 1.0),
            alone=this_image,
            supporters=np.flatnonzero(sight.leader == best),
            rival=rival,
        )

    def _most_believed(
        self,
        sight: Observation,
        alone: Hypotheses,
        leaders: NDArray[np.int64],
        camera: MountedCamera,
    ) -> int:
        """Leader of the look-alikes nearest to where the belief is densest; else the best one.

        Where landmarks say where this image was taken, that place is believed or none is.
        """
        if sight.pose_at(alone.best) is not None:
            return alone.best
        T = self._T_map_cam[int(np.argmax(self._belief.probability / self._belief.prior))]
        poses = camera.of_reference(self._T_map_cam[sight.indices[leaders]])
        reached = around(poses, T, self.trust.radius_m, self.trust.radius_deg)
        if reached[leaders == alone.best].any() or not reached.any():
            return alone.best
        near = np.where(reached, distance_m(poses, T), np.inf)
        return int(leaders[int(np.argmin(near))])

    def _places(
        self, sight: Observation, leader: int, camera: MountedCamera
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Places (N,) of the reference camera that a look-alike speaks for; their outskirts."""
        centres = list(camera.of_reference(np.array(self._centres(sight, leader))))
        near = self._near(centres, 1.0)
        return near, self._near(centres, 2.0) & ~near

    def _near(self, centres: list[Array], radii: float) -> NDArray[np.bool_]:
        """Which places (N,) lie within so many place radii of one of the poses (4, 4)."""
        near = np.zeros(len(self._T_map_cam), dtype=bool)
        for T in centres:
            within = self._tree.query_ball_point(T[:3, 3], radii * self.trust.radius_m)
            turned = rotation_angle_deg(self._T_map_cam[within], T[np.newaxis])
            near[np.asarray(within, dtype=np.int64)[turned <= radii * self.trust.radius_deg]] = True
        return near

    def _centres(self, sight: Observation, leader: int) -> list[Array]:
        """Where this camera stands if a look-alike is right: there, and where landmarks put it."""
        pose = sight.pose_at(leader)
        if pose is None:
            return [self._T_map_cam[sight.indices[leader]]]
        allies = self.trust.allies(sight, leader)
        of_images = [self._T_map_cam[sight.indices[ally]] for ally in (leader, *allies)]
        return [pose.T_map_cam, *of_images]
