"""Belief: discrete Bayes filter over the places of a map and "elsewhere".

Sources:
    The filter with a state for "none of the mapped places", which is left and entered at a constant
    rate: Angeli et al., "Fast and incremental method for loop-closure detection using bags of
    visual words", T-RO 2008.
    Odometry moves the mass. A trajectory that leads off every mapped place leads to that state,
    from which one returns anywhere: Xu et al., "Probabilistic appearance-invariant topometric
    localization with new place awareness", RA-L 2021.
    Without odometry mass spreads evenly over a window: Xu et al., "Probabilistic visual place
    recognition for hierarchical localization", RA-L 2020 (frames -2 to 10), and Cummins and Newman,
    "FAB-MAP", IJRR 2008 (the place, the one before, the one after). Here the window is in metres,
    degrees and seconds.

Different from the sources: they count each image as an independent measurement. That is right for
images taken metres apart. A robot that stands still would become certain of a guess. Here an image
counts by how much is new in it, see Belief.update.

The constants here, in viewpoint.py and in motion_model.py were chosen in simulated maps like that
of test_belief.py: a loop of 400 places, 0.5 m apart; two stretches of 22 m look the same but for an
error of similarity of 0.01 to 0.02 that stays constant over a metre; 1.5 and 5 m/s at 10 Hz; 12
seeds each.

    constant               values tried      effect
    INDEPENDENT_STEPS      1, 2, 4           Counting more images as independent: faster recovery
    CHANGED                0.15, 0.2, 0.3    from kidnapping (after 3, 5 and 7 images at 1.5 m/s),
    INDEPENDENT_CHANGE     0.3 to 1          but where two stretches look the same the filter drifts
                                             from the right one to the wrong one and becomes
                                             certain of it.
    DOUBT                  0 to 1            0: that drift ends with certainty on the wrong stretch
                                             in some drives at every speed. 0.75: never above 0.95.
                                             1: rarer still, but recovery takes twice as long.
    KIDNAPPED_PER_S        0.003 to 0.05     More of each: recovery an image earlier, but less
    LEAVING_PER_S          0.02 to 0.1       certainty where stretches look the same.
    ENTERING_PER_S         0.05 to 0.5

What remains with DOUBT 0.75: 24 drives started within one of the two stretches, 12 m from its end.
The belief in the wrong stretch exceeded 0.95 in 1 of them at an error of 0.01, and in 6 at 0.02 (in
0 and 3 with odometry).
"""

from __future__ import annotations

import numpy as np

from netvlad_ros.core.belief.motion_model import MotionModel
from netvlad_ros.core.belief.viewpoint import Viewpoint
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import Array

MAX_CAMERAS = 16
NOTICED = 0.5  # steps between places; a shorter motion waits, as the prediction would blur it
CHANGED = 0.3  # share of an image's likelihood that lies on other places than the viewpoint's
INDEPENDENT_STEPS = 2.0  # steps between places after which an image is fully independent
INDEPENDENT_CHANGE = 0.5  # change after which it is fully independent


class Belief:
    """Discrete Bayes filter over the N places of a map and one state more, "elsewhere".

    In state i the camera (the reference camera of several) stands at T_map_cam[i], within the
    map's spacing. Elsewhere nothing is mapped.

    Args:
        T_map_cam: float64 (N, 4, 4), camera poses of the places.
        max_speed_mps: bound of the camera's speed [m/s].
        max_turn_dps: bound of the camera's turn rate [deg/s].
        spacing_m: step between the map's places [m].
        spacing_deg: step between the map's places [deg].

    Raises:
        NetvladError: poses that are not finite, or impossible bounds.
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
        # Mass of the places (N,) and of elsewhere, before the present viewpoint and with it.
        self._before = self._now = (self._motion.prior, self._motion.prior_elsewhere)
        self._viewpoint: Viewpoint | None = None
        self._viewpoints: dict[bytes, Viewpoint] = {}  # last of each camera
        self._travelled = 0.0  # steps between places, by odometry
        # The prediction of `_now` by the time and the motion since then; None = not computed yet.
        self._predicted: tuple[Array, float] | None = None
        self._wait(0.0, np.eye(4))

    @property
    def probability(self) -> Array:
        """Probability of each place (N,); its sum and `elsewhere` make 1."""
        return self._current()[0]

    @property
    def elsewhere(self) -> float:
        """Probability of being where nothing is mapped."""
        return self._current()[1]

    @property
    def prior(self) -> Array:
        """Probability of each place (N,) if nothing is known."""
        return self._motion.prior

    def predict(self, dt_s: float, T_before_now: Array | None = None) -> None:
        """Predict the belief over a time and a motion.

        Args:
            dt_s: time since the last prediction [s]; 0 or less, as of a repeated stamp, counts as
                0.
            T_before_now: (4, 4), motion of the camera in its frame since the last prediction, from
                odometry; None: any motion within the bounds.

        Raises:
            NetvladError: a number is not finite.
        """
        if not np.isfinite(dt_s):
            raise NetvladError(f'the belief cannot go on by {dt_s} s')
        T = self._T_before_now
        if T_before_now is not None:
            if np.shape(T_before_now) != (4, 4) or not np.isfinite(T_before_now).all():
                raise NetvladError('the odometry gives no finite motion (4, 4)')
            T = None if T is None else T @ T_before_now
        elif dt_s > 0.0:
            T = None  # part of the motion is unknown, so all of it is
        self._wait(self._dt_s + max(dt_s, 0.0), T)

    def update(
        self, log_likelihood: Array, log_likelihood_elsewhere: float, camera: bytes = b''
    ) -> None:
        """Update the belief by an image.

        Images from one viewpoint share their errors. They are one independent measurement, and
        their log-likelihoods are averaged. A new viewpoint begins when odometry has moved the
        camera by NOTICED steps, or when the image supports other places than the viewpoint before
        (CHANGED): odometry does not notice that a robot was lifted. The weight of a new viewpoint
        is full after INDEPENDENT_STEPS or INDEPENDENT_CHANGE. Without odometry an unchanged
        viewpoint also means that the camera stood still, and time does not spread the belief.

        Each log-likelihood may be wrong by DOUBT (viewpoint.py), and the worst case is assumed:
        the best place is that much less likely, and all others are that much more likely, at most
        as likely as the best. A difference that one image cannot make sure, a hundred images with
        the same error must not make sure either.

        Do not pass on an image that shows nothing: it is no evidence that the camera is elsewhere.

        Args:
            log_likelihood: float64 (N,), natural log of the image's likelihood at each place; any
                common offset; may be -inf.
            log_likelihood_elsewhere: the same where nothing is mapped. If nothing is likely at
                all, the camera is elsewhere.
            camera: names the camera that took the image; each is compared with its own viewpoint
                before.

        Raises:
            NetvladError: a likelihood is NaN or infinite, or there are not N of them.
        """
        mass = self._before[0]
        log_likelihood = np.asarray(log_likelihood, dtype=np.float64)
        if log_likelihood.shape != mass.shape:
            raise NetvladError(
                f'the belief has {len(mass)} places, the likelihood {log_likelihood.shape}'
            )
        if not (np.all(log_likelihood < np.inf) and log_likelihood_elsewhere < np.inf):
            raise NetvladError('a likelihood of the belief is not a number, or infinite')
        before = self._viewpoints.get(camera)
        novelty = 1.0 if before is None else self._novelty(log_likelihood, before)
        if self._viewpoint is None or before is None or novelty > 0.0:
            if len(self._viewpoints) > MAX_CAMERAS:  # names without end are no cameras
                self._viewpoints.clear()
            self._before = self._current()
            self._arrive()
            travelled = self._travelled + self._steps()
            self._viewpoint = Viewpoint(
                log_likelihood, log_likelihood_elsewhere, novelty, travelled
            )
            self._viewpoints[camera] = self._viewpoint
        else:
            if before is self._viewpoint:
                before.add(log_likelihood, log_likelihood_elsewhere)
            if before.is_of_the_map(self._motion.prior, self._motion.prior_elsewhere):
                # The image looks the same, so the camera moved by less than a visible step.
                self._wait(min(self._dt_s, self._motion.step_s), self._T_before_now)
            else:
                self._before = self._predict(*self._before)
                self._arrive()
        self._now = self._viewpoint.weigh(*self._before)

    def _novelty(self, log_likelihood: Array, before: Viewpoint) -> float:
        """Weight of an image as a new viewpoint, 0..1; 0 if it shows the viewpoint before."""
        change = 1.0 - before.agreement(log_likelihood, self._motion.place_density)
        steps = self._travelled + self._steps() - before.travelled
        if steps < NOTICED and change < CHANGED:
            return 0.0
        return min(1.0, max(steps / INDEPENDENT_STEPS, change / INDEPENDENT_CHANGE))

    def _current(self) -> tuple[Array, float]:
        if self._predicted is None:
            self._predicted = self._predict(*self._now)
        return self._predicted

    def _predict(self, mass: Array, elsewhere: float) -> tuple[Array, float]:
        """Mass (N,) and elsewhere, predicted by the time and the motion that wait."""
        is_anywhere = self._T_before_now is None and self._dt_s > 0.0
        if is_anywhere or self._steps() >= NOTICED:
            mass, left = self._motion.move(mass, self._dt_s, self._T_before_now)
            elsewhere += left
        return self._motion.leak(mass, elsewhere, self._dt_s)

    def _steps(self) -> float:
        """Motion that waits, by odometry, in steps between places."""
        return 0.0 if self._T_before_now is None else self._motion.steps(self._T_before_now)

    def _wait(self, dt_s: float, T_before_now: Array | None) -> None:
        self._dt_s, self._T_before_now = dt_s, T_before_now
        self._predicted = None

    def _arrive(self) -> None:
        steps = self._steps()
        self._travelled += steps if steps >= NOTICED else 0.0
        waits_on = self._T_before_now is not None and steps < NOTICED
        self._wait(0.0, self._T_before_now if waits_on else np.eye(4))
