"""Belief over time: where on the map the camera stands, judged by all images so far.

What is followed: the discrete Bayes filter with a state for "none of the mapped places", left and
entered at a constant rate, comes from Angeli et al., "Fast and incremental method for loop-closure
detection using bags of visual words", T-RO 2008. That odometry moves the mass, and that a way which
leads off every mapped place leads to that state, from which one returns anywhere, from Xu et al.,
"Probabilistic appearance-invariant topometric localization with new place awareness", RA-L 2021.
Without odometry mass spreads evenly over a window, as in Xu et al., "Probabilistic visual place
recognition for hierarchical localization", RA-L 2020 (frames -2 to 10) and FAB-MAP (Cummins and
Newman, IJRR 2008: the place, the one before, the one after); here the window is in metres, degrees
and seconds. What is not: they count each image as an independent witness. That is right for images
taken metres apart; a robot that stands still would grow certain of a guess. Here images count by
how much is new in them, see Belief.update.

Constants here, in view.py and in motion_model.py were chosen in worlds like that of test_belief.py
(a loop of 400 places, 0.5 m apart, two stretches of 22 m alike but for an error of 0.01 to 0.02 in
similarity that stays the same for a metre; 1.5 and 5 m/s at 10 Hz; 12 seeds each):

- WITNESS_STEPS 1, 2 and 4, CHANGED 0.15, 0.2 and 0.3, WITNESS_CHANGE 0.3 to 1: more witnesses
  recover sooner from kidnapping (after 3, 5 and 7 images at 1.5 m/s), and walk at random from the
  known one of two like stretches into the other, with certainty.
- DOUBT 0 to 1: without it that walk ended with certainty on the wrong stretch in some drives at
  every speed. With 0.75 never above 0.95. What remains: of 24 drives that woke up within a like
  stretch, 12 m from its end, 1 came to believe more than 0.95 of the wrong one at an error of 0.01,
  6 at 0.02 (0 and 3 with odometry). With 1 that is rarer still, but recovery takes twice as long.
- KIDNAPPED_PER_S 0.003 to 0.05, LEAVING_PER_S 0.02 to 0.1, ENTERING_PER_S 0.05 to 0.5: an image
  sooner or later; more of each costs what is known in like stretches.
"""

from __future__ import annotations

import numpy as np

from netvlad_ros.core.belief.motion_model import MotionModel
from netvlad_ros.core.belief.viewpoint import Viewpoint
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import Array

MAX_CAMERAS = 16
NOTICED = 0.5  # steps between places; a shorter way waits, it would be lost in the blur
CHANGED = 0.3  # share of what an image says that is about other places than the view before
WITNESS_STEPS = 2.0  # steps between places after which an image is wholly a new witness
WITNESS_CHANGE = 0.5  # change after which it is


class Belief:
    """Discrete Bayes filter over the N places of a map and one state more, "elsewhere".

    In state i the camera (the reference camera of several) stands at about T_map_cam[i], within
    the map's spacing; elsewhere nothing is mapped. T_map_cam: (N, 4, 4); max_speed_mps [m/s],
    max_turn_dps [deg/s]: bounds on the camera's motion; spacing_m [m], spacing_deg [deg]: steps
    between the map's places. Raises NetvladError on numbers that cannot be.
    """

    def __init__(
        self,
        T_map_cam: Array,
        *,
        max_speed_mps: float,
        max_turn_dps: float,
        spacing_m: float,
        spacing_deg: float,
    ) -> None:
        self._motion = MotionModel(
            np.asarray(T_map_cam, dtype=np.float64),
            max_speed_mps=max_speed_mps,
            max_turn_dps=max_turn_dps,
            spacing_m=spacing_m,
            spacing_deg=spacing_deg,
        )
        self.reset()

    def reset(self) -> None:
        """Forget everything: each place is as probable as elsewhere."""
        # Mass of the places (N,) and of elsewhere, before the present view spoke and since.
        self._before = self._now = (self._motion.lost, self._motion.lost_elsewhere)
        self._view: Viewpoint | None = None
        self._views: dict[bytes, Viewpoint] = {}  # the last one of each camera
        self._way = 0.0  # steps between places that odometry has counted
        # Time and motion since, None if unknown; and the belief that they make of the present one.
        self._predicted: tuple[Array, float] | None = None
        self._wait(0.0, np.eye(4))

    @property
    def probability(self) -> Array:
        """Of standing at each place, (N,); sums with `elsewhere` to 1."""
        return self._current()[0]

    @property
    def elsewhere(self) -> float:
        """Probability of being where nothing is mapped."""
        return self._current()[1]

    @property
    def prior(self) -> Array:
        """Probability of each place (N,) to a robot that knows nothing."""
        return self._motion.lost

    def predict(self, dt_s: float, T_before_now: Array | None = None) -> None:
        """Let dt_s [s] pass; a time that is not above 0, as of a repeated stamp, does not pass.

        T_before_now (4, 4): motion of the camera since the last predict, in its frame, from
        odometry; None: it may have moved anyhow within the bounds.
        Raises NetvladError if the numbers are not finite.
        """
        if not np.isfinite(dt_s):
            raise NetvladError(f'the belief cannot go on by {dt_s} s')
        T = self._T_before_now
        if T_before_now is not None:
            if np.shape(T_before_now) != (4, 4) or not np.isfinite(T_before_now).all():
                raise NetvladError('the odometry gives no finite motion (4, 4)')
            T = None if T is None else T @ T_before_now
        elif dt_s > 0.0:
            T = None  # part of the way is unknown, so all of it is
        self._wait(self._dt_s + max(dt_s, 0.0), T)

    def update(
        self, log_likelihood: Array, log_likelihood_elsewhere: float, camera: bytes = b''
    ) -> None:
        """Let an image speak: natural logs of its likelihood at each place (N,) and elsewhere.

        They may have any offset in common, and be -inf; if nothing is likely at all, the camera is
        elsewhere. Raises NetvladError if they are NaN, infinite or not N.

        Images of one standpoint share their errors, so they are one witness, and their
        log-likelihoods are averaged. A new witness begins when odometry has moved the camera by
        NOTICED steps, or when the image speaks for other places than the view before (CHANGED):
        odometry does not notice that a robot was lifted. Its log-likelihood counts by how new it
        is, wholly after WITNESS_STEPS or WITNESS_CHANGE. Without odometry an unchanged view also
        tells that the camera stood still, and time does not spread the belief.

        Each log-likelihood may err by DOUBT (view.py), and the worst is assumed: the best place is
        that much less likely, and all others that much more, up to the best. What an image cannot
        tell apart for sure, a hundred images with the same error shall not either.

        An image on which nothing is to be seen is better not passed on: it is no evidence that the
        camera is elsewhere. `camera` names the one of several that took it: each is compared with
        its own view before.
        """
        mass = self._before[0]
        log_likelihood = np.asarray(log_likelihood, dtype=np.float64)
        if log_likelihood.shape != mass.shape:
            raise NetvladError(
                f'the belief has {len(mass)} places, the likelihood {log_likelihood.shape}'
            )
        if not (np.all(log_likelihood < np.inf) and log_likelihood_elsewhere < np.inf):
            raise NetvladError('a likelihood of the belief is not a number, or infinite')
        before = self._views.get(camera)
        novelty = 1.0 if before is None else self._novelty(log_likelihood, before)
        if self._view is None or before is None or novelty > 0.0:
            if len(self._views) > MAX_CAMERAS:  # names without end are no cameras
                self._views.clear()
            self._before = self._current()
            self._arrive()
            way = self._way + self._steps()
            self._view = Viewpoint(log_likelihood, log_likelihood_elsewhere, novelty, way)
            self._views[camera] = self._view
        else:
            if before is self._view:
                before.add(log_likelihood, log_likelihood_elsewhere)
            if before.is_of_the_map(self._motion.lost, self._motion.lost_elsewhere):
                # What looks the same is where it was, but for a step too short to show.
                self._wait(min(self._dt_s, self._motion.step_s), self._T_before_now)
            else:
                self._before = self._predict(*self._before)
                self._arrive()
        self._now = self._view.weigh(*self._before)

    def _novelty(self, log_likelihood: Array, before: Viewpoint) -> float:
        """How much of a new witness an image is, in 0..1; 0 if it shows the view before."""
        change = 1.0 - before.agreement(log_likelihood, self._motion.ground)
        steps = self._way + self._steps() - before.way
        if steps < NOTICED and change < CHANGED:
            return 0.0
        return min(1.0, max(steps / WITNESS_STEPS, change / WITNESS_CHANGE))

    def _current(self) -> tuple[Array, float]:
        if self._predicted is None:
            self._predicted = self._predict(*self._now)
        return self._predicted

    def _predict(self, mass: Array, elsewhere: float) -> tuple[Array, float]:
        """Let the time and the motion that wait come over mass (N,) and elsewhere."""
        is_anywhere = self._T_before_now is None and self._dt_s > 0.0
        if is_anywhere or self._steps() >= NOTICED:
            mass, left = self._motion.move(mass, self._dt_s, self._T_before_now)
            elsewhere += left
        return self._motion.leak(mass, elsewhere, self._dt_s)

    def _steps(self) -> float:
        """How far odometry says that the camera moved meanwhile, in steps between places."""
        return 0.0 if self._T_before_now is None else self._motion.steps(self._T_before_now)

    def _wait(self, dt_s: float, T_before_now: Array | None) -> None:
        self._dt_s, self._T_before_now = dt_s, T_before_now
        self._predicted = None

    def _arrive(self) -> None:
        steps = self._steps()
        self._way += steps if steps >= NOTICED else 0.0
        waits_on = self._T_before_now is not None and steps < NOTICED
        self._wait(0.0, self._T_before_now if waits_on else np.eye(4))
