"""Sequence: the hypotheses of one image combined with the belief after all images before it."""

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

MOST_PLACES = 10  # places of an image whose mass is looked up
# The image itself must show the place: errors of its similarity repeat from image to image, so a
# long sequence must not outvote it. The sequence multiplies the odds by exp(0.3) = 1.35 only.
# Measured in a kitchen, on a map without features, 500 images:
#   factor of the odds    1   1.35     2
#   images accepted     167    217   254
#   of another place      0      0     2
SEQUENCE_LOG_ODDS = 0.3


class Sequence:
    """The belief over the places of a map, updated by one image after another.

    Attributes:
        model: the measurement model of the next update.
    """

    def __init__(
        self, place_map: PlaceMap, model: MeasurementModel, config: LocalizerConfig
    ) -> None:
        self.model = model
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
        stamp_ns: int,
        observation: Observation,
        single: Hypotheses,
        T_odom_cam: Array | None = None,
        T_ref_cam: Array | None = None,
    ) -> Hypotheses:
        """Predict the belief by the motion since the last image, and update it by this one.

        Args:
            stamp_ns: when the image was taken [ns].
            observation: what the image shows.
            single: the hypotheses of this image alone.
            T_odom_cam: (4, 4), see Localizer.step.
            T_ref_cam: (4, 4), see Localizer.step.

        Returns:
            Hypotheses with the probability of each candidate's place: the belief in the map's
            places around the candidate and around the pose that the place's landmarks give, times
            the probability that this image shows the place.
        """
        self._predict(stamp_ns, T_odom_cam)
        name, camera = self._camera(np.eye(4) if T_ref_cam is None else T_ref_cam)
        if observation.shows_something:
            log_likelihood, elsewhere = self._log_likelihoods(observation, single)
            self._belief.update(camera.states(log_likelihood, elsewhere), elsewhere, name)
        return self._hypotheses(observation, single, camera)

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
        """The camera that is mounted there, and its name in the belief."""
        for name, camera in self._cameras.items():
            if camera.is_at(T_ref_cam):
                return name, camera
        if len(self._cameras) >= MAX_CAMERAS:  # a mount that moves is not worth remembering
            self._cameras.clear()
        name = T_ref_cam.tobytes()
        self._cameras[name] = MountedCamera(
            self._T_map_cam,
            T_ref_cam,
            radius_m=self.model.radius_m,
            radius_deg=self.model.radius_deg,
        )
        return name, self._cameras[name]

    def _log_likelihoods(self, observation: Observation, single: Hypotheses) -> tuple[Array, float]:
        """Of the image with this camera at each map image (N,), and where nothing is mapped."""
        of_similarity = self.model.of_similarity
        best_similarity = observation.similarity[0]
        below = of_similarity.rival_slope * (
            observation.similarity.astype(np.float64) - float(best_similarity)
        )
        geometry = observation.against_places
        # A map image that is no candidate is at most as likely as the last candidate.
        everywhere = np.full(len(self._T_map_cam), below[-1])
        everywhere[observation.indices] = below
        # The odds of a similarity are those of the place, not of its most similar map image. A
        # camera somewhere at the place must not lose to "elsewhere" by not being at that image.
        at_place = self._near([observation.T_map_cam[0]], 1.0)
        share = np.average(np.exp(everywhere[at_place]), weights=self._belief.prior[at_place])
        elsewhere = float(np.log(share) - of_similarity.log_odds(best_similarity))
        everywhere += min(0.0, geometry.min())
        everywhere[observation.indices] = below + geometry
        # The landmarks of a place may put the camera beside the images that show them.
        if single.best in observation.pose_of_place:
            seen = self._near(self._centres(observation, single.best), 1.0)
            at_best = everywhere[observation.indices[single.best]]
            everywhere[seen] = np.maximum(everywhere[seen], at_best)
        return everywhere, elsewhere

    def _hypotheses(
        self, observation: Observation, single: Hypotheses, camera: MountedCamera
    ) -> Hypotheses:
        mass = self._belief.probability
        place_of = observation.place_of
        places = np.flatnonzero(place_of == np.arange(len(place_of)))
        places = places[np.argsort(-single.probability[places], kind='stable')][:MOST_PLACES]
        best = self._most_believed(observation, single, places, camera)
        near, margin = self._near_and_margin(observation, best, camera)
        probability = np.zeros(len(place_of))
        rival, of_rival = None, 0.0
        # As for one image: the margin of the best place neither supports it nor is a rival.
        certain = 1.0 - float(mass[margin].sum())
        for place in places.tolist():
            around_it, _ = self._near_and_margin(observation, place, camera)
            believed = float(mass[around_it & ~margin].sum()) / max(certain, 1e-12)
            probability[place_of == place] = min(believed, 1.0)
            outside = float(mass[around_it & ~margin & ~near].sum())
            if outside > of_rival:
                rival, of_rival = place, outside
        log_odds = float(self.model.of_similarity.log_odds(observation.similarity[best]))
        log_odds += float(observation.against_unmapped[best]) + SEQUENCE_LOG_ODDS
        this_image = float(1.0 / (1.0 + np.exp(np.clip(-log_odds, -700.0, 700.0))))
        return Hypotheses(
            best=best,
            probability=probability * this_image,
            elsewhere=min(self._belief.elsewhere / max(certain, 1e-12), 1.0),
            single_probability=this_image,
            supporters=np.flatnonzero(place_of == best),
            rival=rival,
        )

    def _most_believed(
        self,
        observation: Observation,
        single: Hypotheses,
        places: NDArray[np.int64],
        camera: MountedCamera,
    ) -> int:
        """The place of this image that is nearest to where the belief is densest, else the best.

        If landmarks say where this image was taken, only that place can be believed.
        """
        if single.best in observation.pose_of_place:
            return single.best
        T = self._T_map_cam[int(np.argmax(self._belief.probability / self._belief.prior))]
        poses = camera.of_reference(observation.T_map_cam[places])
        reached = around(poses, T, self.model.radius_m, self.model.radius_deg)
        if reached[places == single.best].any() or not reached.any():
            return single.best
        near = np.where(reached, distance_m(poses, T), np.inf)
        return int(places[int(np.argmin(near))])

    def _near_and_margin(
        self, observation: Observation, place: int, camera: MountedCamera
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Map places (N,) of the reference camera that a place of the image supports; its margin.

        The margin lies between one and two place radii.
        """
        centres = list(camera.of_reference(np.array(self._centres(observation, place))))
        near = self._near(centres, 1.0)
        return near, self._near(centres, 2.0) & ~near

    def _near(self, centres: list[Array], radii: float) -> NDArray[np.bool_]:
        """Which map places (N,) lie within so many place radii of one of the poses (4, 4)."""
        near = np.zeros(len(self._T_map_cam), dtype=bool)
        radius_m, radius_deg = radii * self.model.radius_m, radii * self.model.radius_deg
        for T in centres:
            within = np.asarray(self._tree.query_ball_point(T[:3, 3], radius_m), dtype=np.int64)
            turned = rotation_angle_deg(self._T_map_cam[within], T[np.newaxis])
            near[within[turned <= radius_deg]] = True
        return near

    def _centres(self, observation: Observation, place: int) -> list[Array]:
        """Where this camera stands if a place is right: at its map image, and by its landmarks."""
        pose = observation.pose_of_place.get(place)
        if pose is None:
            return [observation.T_map_cam[place]]
        agreeing = self.model.agreeing_places(observation, place)
        return [pose.T_map_cam, *(observation.T_map_cam[other] for other in (place, *agreeing))]
