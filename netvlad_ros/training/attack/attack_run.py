"""AttackRun: attacks on the images of a drive, and the answers of the localizer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from netvlad_ros.core.decision.match import Match
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.features.extractor import FeatureExtractor
from netvlad_ros.core.geometry import Array, around, distance_m, rotation_angle_deg
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.offline.drives.drive import Drive, Frame, read_or_skip, selected_indices
from netvlad_ros.offline.mapping.shared_recording import check_frame, place_radius
from netvlad_ros.offline.progress import Progress, Skip, no_progress
from netvlad_ros.training.attack.attack import AttackConfig, attack_image
from netvlad_ros.training.attack.attack_folder import AttackFolder
from netvlad_ros.training.attack.attack_metrics import Answered, Attempt, change_of, worst
from netvlad_ros.training.attack.attacked_localizer import RETRIEVAL, AttackedLocalizer
from netvlad_ros.training.network.network import PlaceNetwork

SAME_WEIGHTS = 0.99  # least cosine between network and bundle; half precision stays above
MOST_STRETCH = 50  # images, which are in memory at once

Answers = list[dict[str, list[Match]]]  # to the images of a stretch, by mode


@dataclass(frozen=True, eq=False)
class Carrier:
    """An image to attack.

    Attributes:
        frame: of the drive.
        rgb: uint8 (H, W, 3) RGB.
        T_true: (4, 4), camera in the map.
    """

    frame: Frame
    rgb: NDArray[np.uint8]
    T_true: Array


class AttackRun:
    """Attacks images of a drive so that they match other places of a map, stretch by stretch.

    A target is drawn among the map images that are farther from the truth than twice the radius of
    a place, or turned by more than twice its angle. So no answer is right for both. Only the
    descriptor of the target is used. All images of a stretch have one target.

    Args:
        network: to attack, with the weights of the bundle; runs on a GPU if the bundle does.
        bundle: that the robot runs.
        place_map: built with the bundle.
        config: of the attack.
        seed: of the targets.
        radius_m: within which an answer shows a place [m]; None: that of the localizer.
        radius_deg: within which an answer shows a place [deg]; None: that of the localizer.
        stretch: number of successive images that share a target, 1..MOST_STRETCH.
        extractor: of the map's features, needed only where they are of a feature bundle.

    Attributes:
        radius_m: within which an answer shows a place [m].
        radius_deg: within which an answer shows a place [deg].
    """

    def __init__(
        self,
        network: PlaceNetwork,
        bundle: ModelBundle,
        place_map: PlaceMap,
        config: AttackConfig,
        seed: int = 0,
        radius_m: float | None = None,
        radius_deg: float | None = None,
        stretch: int = 1,
        *,
        extractor: FeatureExtractor | None = None,
    ) -> None:
        if not 1 <= stretch <= MOST_STRETCH:
            raise NetvladError(f'attack: a stretch of {stretch} is outside 1..{MOST_STRETCH}')
        if bundle.provider != 'CPUExecutionProvider' and torch.cuda.is_available():
            network = network.to('cuda')
        self._network, self._bundle, self._map, self._config = network, bundle, place_map, config
        self._localizer = AttackedLocalizer(bundle, place_map, extractor)
        self._stretch = stretch
        own_m, own_deg = place_radius(place_map, LocalizerConfig())
        self.radius_m = own_m if radius_m is None else radius_m
        self.radius_deg = own_deg if radius_deg is None else radius_deg
        self._seed = seed

    def attempts(
        self,
        drive: Drive,
        selection: slice,
        folder: AttackFolder,
        targets: int = 1,
        skipped: list[Skip] | None = None,
        progress: Progress = no_progress,
    ) -> Iterator[tuple[Attempt, NDArray[np.uint8], NDArray[np.uint8]]]:
        """Yields attempts with carrier and attacked image, both uint8 (H, W, 3) RGB.

        An attacked image is evaluated as it is read back. Images that the folder holds are reused.

        Args:
            drive: the carriers. Left out are those without a pose, unreadable ones, and those with
                too few places to attack towards.
            selection: of the images of the drive.
            folder: of the attacked images.
            targets: number of targets of each stretch.
            skipped: gets the carriers that are left out.
            progress: called with (steps of Adam done, steps in all).

        Raises:
            NetvladError: network and bundle have different weights, frames differ, no carrier is
                left, or a file cannot be written.
        """
        check_frame(self._map, drive)
        steps = self._config.steps
        skipped = [] if skipped is None else skipped
        total = len(selected_indices(selection, len(drive))) * targets * steps
        done = sent = 0

        def stepped(step: int, of: int) -> None:
            progress(done + step, total)

        for stretch in self._stretches(drive, selection, skipped):
            rows = self._far(stretch)
            if len(rows) < targets:
                reason = 'too few places of the map are far away'
                skipped += [Skip(carrier.frame.image, reason) for carrier in stretch]
                continue
            if not sent:
                self._check_weights(stretch[0].rgb)
            before = self._answers(stretch, [carrier.rgb for carrier in stretch], drive)
            # A new generator for every stretch: the choice depends on no other image.
            rng = np.random.default_rng([self._seed, stretch[0].frame.index])
            for target in rng.choice(rows, targets, replace=False).tolist():
                names, attacked = [], []
                for carrier in stretch:
                    names.append(f'{carrier.frame.index:06d}_to_{target:06d}.png')
                    attacked.append(self._attacked(carrier, target, folder, names[-1], stepped))
                    done += steps
                after = self._answers(stretch, attacked, drive)
                for i, carrier in enumerate(stretch):
                    attempt = self._attempt(
                        sent, carrier, names[i], attacked[i], target, before[i], after[i]
                    )
                    yield attempt, carrier.rgb, attacked[i]
                sent += 1
        if not sent:
            raise NetvladError(
                f'{drive.name}: no image is left to attack: each needs a pose, and {targets} '
                f'places of the map beyond {2 * self.radius_m:.2g} m or {2 * self.radius_deg:.3g} '
                'degrees of it'
            )

    def _stretches(
        self, drive: Drive, selection: slice, skipped: list[Skip]
    ) -> Iterator[list[Carrier]]:
        stretch: list[Carrier] = []
        for frame in drive.frames(selection, skipped):
            if frame.T_map_cam is None:
                continue
            rgb = read_or_skip(frame, skipped)
            if rgb is None:
                continue
            stretch.append(Carrier(frame, rgb, frame.T_map_cam))
            if len(stretch) == self._stretch:
                yield stretch
                stretch = []
        if stretch:
            yield stretch

    def _far(self, stretch: list[Carrier]) -> NDArray[np.int64]:
        """Rows of the map that definitely show another place than all of these images."""
        places = self._map.T_map_cam
        near = [
            around(places, carrier.T_true, 2 * self.radius_m, 2 * self.radius_deg)
            for carrier in stretch
        ]
        return np.flatnonzero(~np.any(near, axis=0))

    def _check_weights(self, rgb: NDArray[np.uint8]) -> None:
        resized = torch.from_numpy(self._network.preprocessing(rgb))[None]
        with torch.no_grad():
            found = self._network(resized.to(next(self._network.parameters()).device))[0].cpu()
        expected = self._bundle.describe(rgb)
        same = found.shape == expected.shape and float(found.numpy() @ expected) > SAME_WEIGHTS
        if not same:
            raise NetvladError(
                f'the network and {self._bundle.path} describe an image differently: attack the '
                'network that the bundle was exported from'
            )

    def _answers(
        self, stretch: list[Carrier], images: list[NDArray[np.uint8]], drive: Drive
    ) -> Answers:
        stamps = [carrier.frame.stamp_ns for carrier in stretch]
        return self._localizer.answers(list(zip(images, stamps, strict=True)), drive.camera)

    def _attacked(
        self, carrier: Carrier, target: int, folder: AttackFolder, name: str, progress: Progress
    ) -> NDArray[np.uint8]:
        stored = folder.image(name, carrier.rgb.shape)
        if stored is None:
            descriptor = self._map.descriptors[target]
            perturbed = attack_image(self._network, carrier.rgb, descriptor, self._config, progress)
            stored = folder.write(name, perturbed)
        return stored

    def _attempt(
        self,
        stretch: int,
        carrier: Carrier,
        name: str,
        stored: NDArray[np.uint8],
        target: int,
        before: dict[str, list[Match]],
        after: dict[str, list[Match]],
    ) -> Attempt:
        T_true, T_target = carrier.T_true, self._map.T_map_cam[target]
        wanted = self._map.descriptors[target]
        max_change, rms_change = change_of(carrier.rgb, stored)

        def worst_by_mode(answers: dict[str, list[Match]]) -> dict[str, Answered]:
            bounds = self.radius_m, self.radius_deg
            return {
                mode: worst([Answered.of(match, T_true, T_target, *bounds) for match in matches])
                for mode, matches in answers.items()
            }

        return Attempt(
            stretch=stretch,
            carrier=carrier.frame.image,
            image=name,
            target=target,
            target_distance_m=float(distance_m(T_target, T_true)),
            target_angle_deg=float(rotation_angle_deg(T_target, T_true)),
            similarity_before=float(before[RETRIEVAL][0].descriptor @ wanted),
            similarity_after=float(after[RETRIEVAL][0].descriptor @ wanted),
            max_change=max_change,
            rms_change=rms_change,
            before=worst_by_mode(before),
            after=worst_by_mode(after),
        )
