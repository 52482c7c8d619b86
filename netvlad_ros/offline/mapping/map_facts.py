"""Facts about a map: what `netvlad map build` and `netvlad map info` print."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.geometry import pose_vector
from netvlad_ros.core.place_map.place_map import PlaceMap


def map_facts(place_map: PlaceMap, directory: Path) -> dict[str, Any]:
    """Names and numbers of a map that lies in a directory, ready for JSON."""
    T_base_cam = place_map.T_base_cam
    size = sum(path.stat().st_size for path in directory.rglob('*') if path.is_file())
    return {
        'map': str(directory),
        'map_id': place_map.map_id,
        'model_id': place_map.model_id,
        'places': len(place_map),
        'dim': int(place_map.descriptors.shape[1]),
        'recordings': dict(Counter(place_map.recordings)),
        'thumbnails': sum(bool(digest) for digest in place_map.thumbnail_hashes),
        **_feature_facts(place_map),
        'bytes': size,
        'bytes_per_place': round(size / len(place_map)),
        'spacing_m': place_map.spacing_m,
        'spacing_deg': place_map.spacing_deg,
        'frame_id': place_map.frame_id,
        'base_frame': place_map.base_frame,
        'camera_frame': place_map.camera_frame,
        'T_base_cam': None if T_base_cam is None else pose_vector(T_base_cam).tolist(),
        'camera': None if place_map.camera is None else camera_words(place_map.camera),
        'stated_camera': None
        if place_map.stated_camera is None
        else camera_words(place_map.stated_camera),
        'calibrated_on': None
        if place_map.calibration is None
        else f'{place_map.calibration.source}, {place_map.calibration.images} images',
        **(
            {'covariances_by': f'{place_map.own_calibration.images} keyframes'}
            if place_map.own_calibration is not None
            else {}
        ),
        'source': place_map.source,
        'created': place_map.created,
    }


def camera_words(camera: CameraModel) -> str:
    """A camera in one line: size, focal length, distortion."""
    d = ' '.join(f'{number:.4g}' for number in camera.d)
    return (
        f'{camera.width}x{camera.height} px, focal length {camera.focal_px:.1f} px, '
        f'{camera.distortion_model} ({d or "no distortion"})'
    )


def _feature_facts(place_map: PlaceMap) -> dict[str, Any]:
    features = place_map.features
    if features is None:
        return {'features': None}
    places = len(place_map)
    facts: dict[str, Any] = {
        'features': features.spec.kind,
        'feature_max_side_px': features.spec.max_side_px,
        'feature_model': features.spec.model_id or None,
        'keypoints': len(features.keypoints),
        'keypoints_per_place': round(len(features.keypoints) / places, 1),
        'landmarks': None,
    }
    if features.landmark_of is not None:
        observations = int(np.count_nonzero(features.landmark_of >= 0))
        facts['landmarks'] = len(features.points)
        facts['landmarks_per_place'] = round(observations / places, 1)
    return facts
