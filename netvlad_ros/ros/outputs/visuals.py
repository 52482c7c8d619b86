"""Candidate markers, and the match image: the query beside the best map image."""

from __future__ import annotations

import array
from contextlib import suppress
from dataclasses import dataclass

import cv2
import numpy as np
from geometry_msgs.msg import Vector3
from numpy.typing import NDArray
from sensor_msgs.msg import Image
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from netvlad_ros.core.decision.match import Match, Status
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import Array
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.core.place_map.storage import read_thumbnail
from netvlad_ros.ros.conversions import inliers_of, pose_messages

COLOURS = {
    Status.ACCEPTED: (0.1, 0.7, 0.2),
    Status.AMBIGUOUS: (0.95, 0.6, 0.0),
    Status.NO_MATCH: (0.8, 0.1, 0.1),
}
# An arrow points along x, a camera along z. The axes (x, y, z) become (z, -x, -y).
R_CAM_ARROW = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
HEIGHT_PX = 240  # of the match image
INLIER = (90, 255, 90)
SAME_ASPECT = 0.02  # aspect ratios that differ by less than this are taken to be equal
MAX_LINES = 40


@dataclass(frozen=True)
class MatchImage:
    """The query image, and right of it the best map image, if the map has its thumbnail.

    All sizes are width and height [px].

    Attributes:
        image: uint8 (HEIGHT_PX, W, 3) RGB.
        query: Size of the query in `image`.
        query_full: Size of the query itself.
        mapped: Size of the map image in `image`; None without map image.
    """

    image: NDArray[np.uint8]
    query: tuple[int, int]
    query_full: tuple[int, int]
    mapped: tuple[int, int] | None


def candidate_markers(match: Match, header: Header) -> MarkerArray:
    """Arrows along the optical axes of all candidates and of the estimated pose.

    Arrows of less similar candidates are more transparent. The arrow of the estimated pose is
    larger if the match is accepted.
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


def match_image_message(
    match: Match, rgb: NDArray[np.uint8], place_map: PlaceMap, header: Header
) -> Image:
    """The match image as message (rgb8).

    Lines connect features that agree geometrically. The frame has the colour of the verdict, and
    the verdict stands below in words.

    Args:
        match: The answer for the image.
        rgb: The image, uint8 (H, W, 3) RGB.
        place_map: The map that it was localized on.
        header: Header of the message.
    """
    picture = match_image(match, rgb, place_map)
    draw_inliers(picture, match, place_map)
    colour = tuple(round(255 * part) for part in COLOURS[match.status])
    framed = cv2.copyMakeBorder(picture.image, 4, 24, 4, 4, cv2.BORDER_CONSTANT, value=colour)
    origin = (8, framed.shape[0] - 8)
    cv2.putText(framed, _caption(match), origin, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1)
    height, width = framed.shape[:2]
    return Image(
        header=header,
        height=height,
        width=width,
        encoding='rgb8',
        step=3 * width,
        data=array.array('B', framed.tobytes()),  # bytes would be copied one by one
    )


def _caption(match: Match) -> str:
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


def match_image(match: Match, rgb: NDArray[np.uint8], place_map: PlaceMap) -> MatchImage:
    """The image rgb (H, W, 3) beside the thumbnail of the best candidate, without lines."""
    left, thumbnail = _fit(rgb), None
    # The thumbnail may have been deleted meanwhile; the match does not depend on it.
    with suppress(NetvladError):
        if match.candidates:
            thumbnail = read_thumbnail(place_map, match.candidates[0].index)
    if thumbnail is None:
        return MatchImage(left, _size(left), _size(rgb), None)
    right = _fit(thumbnail)
    both = np.ascontiguousarray(np.hstack([left, right]))
    return MatchImage(both, _size(left), _size(rgb), _size(right))


def draw_inliers(picture: MatchImage, match: Match, place_map: PlaceMap) -> None:
    """Mark the features of query and best candidate that agree geometrically.

    At most MAX_LINES of them are connected by lines.
    """
    verification, store = match.verification, place_map.features
    if verification is None or store is None or picture.mapped is None:
        return
    best = match.candidates[0]
    evidence = next((entry for entry in verification.evidence if entry.rank == best.rank), None)
    if evidence is None or not evidence.inliers.any():
        return
    try:
        mapped = store.features(best.index).keypoints
    except NetvladError:
        return
    pairs = evidence.matches[evidence.inliers]
    map_full = _full_size(picture, mapped, place_map)
    starts = _scaled(
        verification.features.keypoints[pairs[:, 0]], picture.query_full, picture.query
    )
    ends = _scaled(mapped[pairs[:, 1]], map_full, picture.mapped)
    ends[:, 0] += picture.query[0]
    for spot in np.vstack([starts, ends]).round().astype(int).tolist():
        cv2.circle(picture.image, spot, 2, INLIER, 1, cv2.LINE_AA)
    # More lines hide the features that they connect. They are transparent for the same reason.
    some = np.linspace(0, len(pairs) - 1, min(len(pairs), MAX_LINES)).astype(int)
    lines = picture.image.copy()
    for i in some:
        start, end = starts[i].round().astype(int), ends[i].round().astype(int)
        cv2.line(lines, start.tolist(), end.tolist(), INLIER, 1, cv2.LINE_AA)
    cv2.addWeighted(lines, 0.6, picture.image, 0.4, 0.0, dst=picture.image)


def _full_size(
    picture: MatchImage, keypoints: NDArray[np.float32], place_map: PlaceMap
) -> tuple[float, float]:
    """Full size of the map image, width and height [px], to which its keypoints refer.

    If the map has no camera, the size is estimated. It is the size of the query if the keypoints
    fit into it, else the extent of the keypoints.
    """
    assert picture.mapped is not None
    if place_map.camera is not None:
        return place_map.camera.width, place_map.camera.height
    (width, height), outermost = picture.query_full, keypoints.max(axis=0) + 1.0
    same_shape = abs(picture.query[0] / picture.mapped[0] - 1) <= SAME_ASPECT
    share = max(outermost[0] / width, outermost[1] / height)
    if same_shape and 0.5 < share <= 1.0:
        return width, height
    scale = max(outermost[0] / picture.mapped[0], outermost[1] / picture.mapped[1])
    return picture.mapped[0] * scale, picture.mapped[1] * scale


def _scaled(
    pixels: NDArray[np.float32], full: tuple[float, float], panel: tuple[int, int]
) -> NDArray[np.float64]:
    # Pixel centres have integer coordinates.
    return (pixels + 0.5) * (np.array(panel) / np.array(full)) - 0.5


def _size(image: NDArray[np.uint8]) -> tuple[int, int]:
    return image.shape[1], image.shape[0]


def _fit(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    width = min(max(round(rgb.shape[1] * HEIGHT_PX / rgb.shape[0]), 1), 8 * HEIGHT_PX)
    return np.asarray(
        cv2.resize(rgb, (width, HEIGHT_PX), interpolation=cv2.INTER_AREA), dtype=np.uint8
    )
