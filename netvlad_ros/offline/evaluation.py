"""How well a drive is localized on a map, judged on the robot's own Localizer.step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.descriptor import ModelBundle
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.localizer import Localizer
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.match import Match, Status
from netvlad_ros.core.metrics import (
    Recall,
    median_and_p90,
    places_within,
    pose_errors,
    recall_at_n,
)
from netvlad_ros.core.place_map import PlaceMap
from netvlad_ros.offline.map_builder import Progress, read_or_skip
from netvlad_ros.offline.traverse import Traverse, selected_indices, skip_sentences

RECALL_AT = (1, 5, 10)
DEFAULT_RADIUS_M = 1.0


def evaluate_map(
    place_map: PlaceMap,
    bundle: ModelBundle,
    traverse: Traverse,
    *,
    selection: slice = slice(None),
    radius_m: float = DEFAULT_RADIUS_M,
    angle_deg: float | None = None,
    progress: Progress = lambda done, total: None,
) -> dict[str, Any]:
    """Localize every image of a drive and compare with its poses; the answer is plain JSON.

    A place is right if its camera pose lies within radius_m [m] of the true one, and within
    angle_deg [deg] of rotation where given; a query is answerable if the map has a right place.
    An accepted prior is wrong if it lies outside the same bounds. Queries without a pose and
    unreadable images are left out and added to `traverse.skipped`. Raises NetvladError if map,
    model and drive do not fit together or nothing is left to judge.
    """
    if not radius_m > 0 or (angle_deg is not None and not angle_deg > 0):
        raise NetvladError('radius and angle must be above 0')
    if traverse.frame_id != place_map.frame_id:
        raise NetvladError(
            f"the poses of {traverse.name} are in the frame '{traverse.frame_id}', the map's in "
            f"'{place_map.frame_id}'; they can only be compared in one frame (--map-frame)"
        )
    localizer = Localizer(bundle, place_map, LocalizerConfig(top_k=max(RECALL_AT)))
    total = len(selected_indices(selection, len(traverse)))
    matches: list[Match] = []
    truth: list[NDArray[np.float64]] = []
    before = len(traverse.skipped)
    for done, frame in enumerate(traverse.frames(selection)):
        progress(done, total)
        if frame.T_map_cam is None:
            continue
        rgb = read_or_skip(frame, traverse.skipped)
        if rgb is None:
            continue
        matches.append(localizer.step(rgb, frame.stamp_ns))
        truth.append(frame.T_map_cam)
    progress(total, total)
    skipped = traverse.skipped[before:]
    if not matches:
        reasons = '; '.join(skip_sentences(skipped)) or 'the slice is empty'
        raise NetvladError(f'{traverse.name}: no image is left to judge ({reasons})')
    recall = recall_at_n(
        [[candidate.index for candidate in match.candidates] for match in matches],
        [places_within(place_map.T_map_cam, T, radius_m, angle_deg).tolist() for T in truth],
        RECALL_AT,
    )
    return {
        **recall_json(recall),
        **_priors_json(matches, truth, radius_m, angle_deg),
        'ambiguous': sum(match.status is Status.AMBIGUOUS for match in matches),
        'no_match': sum(match.status is Status.NO_MATCH for match in matches),
        'skipped': len(skipped),
        'ms_per_image': float(np.mean([match.timings_ms['total'] for match in matches])),
        'radius_m': radius_m,
        'angle_deg': angle_deg,
        'map_id': place_map.map_id,
        'model_id': place_map.model_id,
        'provider': bundle.provider,
    }


def recall_json(recall: Recall) -> dict[str, Any]:
    """The part of the answer that every evaluation has: counts, and recall as shares in 0..1."""
    return {
        'queries': recall.queries,
        'answerable': recall.answerable,
        'recall': {str(n): recall.over_answerable[n] for n in RECALL_AT},
        'recall_all': {str(n): recall.over_all[n] for n in RECALL_AT},
    }


def _priors_json(
    matches: list[Match],
    truth: list[NDArray[np.float64]],
    radius_m: float,
    angle_deg: float | None,
) -> dict[str, Any]:
    priors = [(match.prior.T, T) for match, T in zip(matches, truth, strict=True) if match.prior]
    estimated = np.array([T for T, _ in priors]).reshape(-1, 4, 4)
    true = np.array([T for _, T in priors]).reshape(-1, 4, 4)
    errors_m, errors_deg = pose_errors(estimated, true)
    wrong = errors_m > radius_m
    if angle_deg is not None:
        wrong |= errors_deg > angle_deg
    return {
        'pose_error_m': median_and_p90(errors_m),
        'pose_error_deg': median_and_p90(errors_deg),
        'accepted': len(priors),
        'accepted_wrong': int(wrong.sum()),
    }
