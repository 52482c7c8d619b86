"""What people look at: candidate markers, and the query beside its match."""

from __future__ import annotations

import array

import cv2
import numpy as np
from geometry_msgs.msg import Vector3
from numpy.typing import NDArray
from sensor_msgs.msg import Image
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.match import Match, Status
from netvlad_ros.core.place_map import PlaceMap
from netvlad_ros.ros.conversions import pose_messages

COLOURS = {
    Status.ACCEPTED: (0.1, 0.7, 0.2),
    Status.AMBIGUOUS: (0.95, 0.6, 0.0),
    Status.NO_MATCH: (0.8, 0.1, 0.1),
}
HEIGHT_PX = 240


def candidate_markers(match: Match, header: Header) -> MarkerArray:
    """An arrow along the optical axis of every candidate; the less similar, the fainter."""
    markers = [Marker(header=header, ns='candidates', action=Marker.DELETEALL)]
    red, green, blue = COLOURS[match.status]
    for rank, candidate in enumerate(match.candidates):
        T = candidate.T_map_cam.copy()
        # An arrow points along x, a camera along z: turn the axes (x, y, z) to (z, -x, -y).
        T[:3, :3] = T[:3, :3] @ np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
        markers.append(
            Marker(
                header=header,
                ns='candidates',
                id=rank,
                type=Marker.ARROW,
                action=Marker.ADD,
                pose=pose_messages(T[np.newaxis])[0],
                scale=Vector3(x=0.5, y=0.08, z=0.08),
                color=ColorRGBA(r=red, g=green, b=blue, a=max(1.0 - 0.1 * rank, 0.2)),
            )
        )
    return MarkerArray(markers=markers)


def match_image(match: Match, rgb: NDArray[np.uint8], place_map: PlaceMap, header: Header) -> Image:
    """rgb8 picture: the query, and right of it the best candidate's thumbnail if the map has one.

    A frame in the verdict's colour, and the verdict in words below.
    """
    panels = [_fit(rgb)]
    if match.candidates:
        try:
            thumbnail = place_map.thumbnail(match.candidates[0].index)
        except NetvladError:
            thumbnail = None  # deleted behind our back; the match itself does not depend on it
        if thumbnail is not None:
            panels.append(_fit(thumbnail))
    colour = tuple(round(255 * part) for part in COLOURS[match.status])
    picture = cv2.copyMakeBorder(np.hstack(panels), 4, 24, 4, 4, cv2.BORDER_CONSTANT, value=colour)
    words = match.status.value
    if match.candidates:
        best = match.candidates[0]
        words += f'  place {best.place_id}  {best.similarity:.2f}  p={best.probability:.2f}'
    origin = (8, picture.shape[0] - 8)
    cv2.putText(picture, words, origin, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1)
    height, width = picture.shape[:2]
    return Image(
        header=header,
        height=height,
        width=width,
        encoding='rgb8',
        step=3 * width,
        data=array.array('B', picture.tobytes()),  # bytes would be copied one by one
    )


def _fit(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    width = min(max(round(rgb.shape[1] * HEIGHT_PX / rgb.shape[0]), 1), 8 * HEIGHT_PX)
    return np.asarray(
        cv2.resize(rgb, (width, HEIGHT_PX), interpolation=cv2.INTER_AREA), dtype=np.uint8
    )
