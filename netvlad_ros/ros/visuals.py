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

from netvlad_ros.core.decision.match import Match, Status
from netvlad_ros.core.geometry import Array
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.ros.conversions import inliers_of, pose_messages
from netvlad_ros.ros.panels import draw_inliers, panels

COLOURS = {
    Status.ACCEPTED: (0.1, 0.7, 0.2),
    Status.AMBIGUOUS: (0.95, 0.6, 0.0),
    Status.NO_MATCH: (0.8, 0.1, 0.1),
}
# An arrow points along x, a camera along z: its axes (x, y, z) are turned to (z, -x, -y).
R_CAM_ARROW = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])


def candidate_markers(match: Match, header: Header) -> MarkerArray:
    """An arrow along the optical axis of every candidate, the less similar, the fainter, and one of
    the estimated pose, which is large if it is accepted.
    """
    red, green, blue = COLOURS[match.status]
    markers = [Marker(header=header, ns='candidates', action=Marker.DELETEALL)]
    for rank, candidate in enumerate(match.candidates):
        colour = ColorRGBA(r=red, g=green, b=blue, a=max(0.8 - 0.1 * rank, 0.2))
        markers.append(_arrow(header, 'candidates', rank, candidate.T_map_cam, 0.5, colour))
    length_m = 1.0 if match.prior is not None else 0.5
    colour = ColorRGBA(r=red, g=green, b=blue, a=1.0)
    markers.append(_arrow(header, 'estimate', 0, match.estimate.T, length_m, colour))
    return MarkerArray(markers=markers)


def match_image(match: Match, rgb: NDArray[np.uint8], place_map: PlaceMap, header: Header) -> Image:
    """rgb8 picture: the query, and right of it the best candidate's thumbnail if the map has one.

    Lines join features that agree geometrically. A frame in the verdict's colour, and the
    verdict in words below.
    """
    picture = panels(match, rgb, place_map)
    draw_inliers(picture, match, place_map)
    colour = tuple(round(255 * part) for part in COLOURS[match.status])
    framed = cv2.copyMakeBorder(picture.image, 4, 24, 4, 4, cv2.BORDER_CONSTANT, value=colour)
    origin = (8, framed.shape[0] - 8)
    cv2.putText(framed, _words(match), origin, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1)
    height, width = framed.shape[:2]
    return Image(
        header=header,
        height=height,
        width=width,
        encoding='rgb8',
        step=3 * width,
        data=array.array('B', framed.tobytes()),  # bytes would be copied one by one
    )


def _words(match: Match) -> str:
    words = [match.status.value]
    if match.candidates:
        best = match.candidates[0]
        words.append(f'place {best.place_id}  {best.similarity:.2f}  p={match.probability:.2f}')
    inliers = inliers_of(match)
    words.append(f'{inliers} inliers' if inliers >= 0 else 'not verified')
    words.append(match.estimate.method)
    return '  '.join(words)


def _arrow(
    header: Header, namespace: str, number: int, T: Array, length_m: float, colour: ColorRGBA
) -> Marker:
    turned = T.copy()
    turned[:3, :3] = turned[:3, :3] @ R_CAM_ARROW
    return Marker(
        header=header,
        ns=namespace,
        id=number,
        type=Marker.ARROW,
        action=Marker.ADD,
        pose=pose_messages(turned[np.newaxis])[0],
        scale=Vector3(x=length_m, y=0.16 * length_m, z=0.16 * length_m),
        color=colour,
    )
