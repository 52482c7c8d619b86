"""Attacks on the images of a drive: which places they are sent to, and what the robot says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from netvlad_ros.core.descriptor import ModelBundle
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import Array, distance_m, rotation_angle_deg
from netvlad_ros.core.image import read_image
from netvlad_ros.core.localizer import Localizer
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.match import Match
from netvlad_ros.core.place_hypotheses import around
from netvlad_ros.core.place_map import PlaceMap
from netvlad_ros.offline.evaluation import check_frame, place_radius
from netvlad_ros.offline.map_builder import read_or_skip
from netvlad_ros.offline.report.whole_file import write_whole
from netvlad_ros.offline.traverse import Frame, Skip, Traverse, selected_indices
from netvlad_ros.training.attack import AttackConfig, Progress, attack_image
from netvlad_ros.training.attack_judgement import WAYS, Answered, Attempt, change_of
from netvlad_ros.training.network import PlaceNetwork

SAME_WEIGHTS = 0.99  # least cosine between network and bundle; half precision stays above


class AttackRun:
    """Sends images of a drive to other places of a map, one by one.

    The target is drawn among the images of the map farther from the truth than twice the radius of
    a place, or turned by more than twice its angle, so that no answer is right for both. Only the
    map's descriptor of it is used.

    Args:
        network: attacked, with the weights of the bundle.
        bundle: what the robot runs.
        place_map: built with the bundle.
        config: of the attack.
        seed: of the targets.
        radius_m, radius_deg: [m] and [deg] within which an answer shows a place; None: as the
            localizer takes images for one place.
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
    ) -> None:
        localizing = LocalizerConfig()
        self._network, self._bundle, self._map, self._config = network, bundle, place_map, config
        self._localizers = {
            way: Localizer(bundle, place_map, replace(localizing, verification=way != WAYS[0]))
            for way in WAYS
        }
        own_m, own_deg = place_radius(place_map, localizing)
        self.radius_m = own_m if radius_m is None else radius_m
        self.radius_deg = own_deg if radius_deg is None else radius_deg
        self._rng = np.random.default_rng(seed)

    def attempts(
        self,
        traverse: Traverse,
        selection: slice,
        out: Path,
        targets: int = 1,
        progress: Progress = lambda done, total: None,
    ) -> Iterator[tuple[Attempt, NDArray[np.uint8]]]:
        """Yield attempt after attempt with its carrier, uint8 (H, W, 3) RGB.

        The attacked image is written as PNG into out, and judged as it is read back.

        Args:
            traverse: the carriers; those without a pose are left out, and so are unreadable ones
                and those with fewer such places, which are added to `traverse.skipped`.
            selection: of its images.
            out: made with the first image.
            targets: different places that each carrier is sent to.
            progress: is told (steps of Adam done, in all).

        Raises:
            NetvladError: network and bundle are not of the same weights, frames differ, no carrier
                is left, or a file cannot be written.
        """
        check_frame(self._map, traverse)
        steps = self._config.steps
        total = len(selected_indices(selection, len(traverse))) * targets * steps
        attacked_any = False
        for number, frame in enumerate(traverse.frames(selection)):
            if frame.T_map_cam is None:
                continue
            rows = self._far(frame.T_map_cam)
            if len(rows) < targets:
                traverse.skipped.append(Skip(frame.image, 'too few places of the map are far away'))
                continue
            carrier = read_or_skip(frame, traverse.skipped)
            if carrier is None:
                continue
            if not attacked_any:
                self._check_weights(carrier)
            attacked_any = True
            before = self._recognized(carrier, frame, traverse)
            chosen = self._rng.choice(rows, targets, replace=False).tolist()
            for turn, target in enumerate(chosen, start=number * targets):

                def stepped(step: int, of: int, turn: int = turn) -> None:
                    progress(turn * steps + step, total)

                descriptor = self._map.descriptors[target]
                attacked = attack_image(self._network, carrier, descriptor, self._config, stepped)
                path = out / f'{frame.index:06d}_to_{target:06d}.png'
                _write_png(path, attacked)
                stored = read_image(path)
                after = self._recognized(stored, frame, traverse)
                yield self._attempt(frame, carrier, path, stored, target, before, after), carrier
        if not attacked_any:
            raise NetvladError(
                f'{traverse.name}: no image is left to attack: each needs a pose, and {targets} '
                f'places of the map beyond {2 * self.radius_m:.2g} m or {2 * self.radius_deg:.3g} '
                'degrees of it'
            )

    def _far(self, T_true: Array) -> NDArray[np.int64]:
        """Rows of the map that show another place, beyond doubt."""
        places = self._map.T_map_cam
        return np.flatnonzero(~around(places, T_true, 2 * self.radius_m, 2 * self.radius_deg))

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

    def _recognized(
        self, rgb: NDArray[np.uint8], frame: Frame, traverse: Traverse
    ) -> dict[str, Match]:
        return {
            way: localizer.recognize(rgb, frame.stamp_ns, camera=traverse.camera)
            for way, localizer in self._localizers.items()
        }

    def _attempt(
        self,
        frame: Frame,
        carrier: NDArray[np.uint8],
        path: Path,
        stored: NDArray[np.uint8],
        target: int,
        before: dict[str, Match],
        after: dict[str, Match],
    ) -> Attempt:
        assert frame.T_map_cam is not None
        T_true, T_target = frame.T_map_cam, self._map.T_map_cam[target]
        bounds = self.radius_m, self.radius_deg
        wanted = self._map.descriptors[target]
        max_change, rms_change = change_of(carrier, stored)
        return Attempt(
            carrier=frame.image,
            image=path.name,
            target=target,
            target_distance_m=float(distance_m(T_target, T_true)),
            target_angle_deg=float(rotation_angle_deg(T_target, T_true)),
            similarity_before=float(before[WAYS[0]].descriptor @ wanted),
            similarity_after=float(after[WAYS[0]].descriptor @ wanted),
            max_change=max_change,
            rms_change=rms_change,
            before={way: Answered.of(m, T_true, T_target, *bounds) for way, m in before.items()},
            after={way: Answered.of(m, T_true, T_target, *bounds) for way, m in after.items()},
        )


def _write_png(path: Path, rgb: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _, png = cv2.imencode('.png', rgb[:, :, ::-1])
    write_whole(path, png.tobytes())
