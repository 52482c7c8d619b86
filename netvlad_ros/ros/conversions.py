"""Conversions of core types to ROS messages and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Pose, PoseWithCovarianceStamped, Quaternion
from std_msgs.msg import Header

from netvlad_ros.core.decision.match import Candidate, Match, Status
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import Array, pose_vector
from netvlad_ros.core.pose.prior import PosePrior
from netvlad_ros_msgs.msg import GlobalDescriptor, PlaceCandidate, PlaceMatch

STATUS = {
    Status.NO_MATCH: PlaceMatch.NO_MATCH,
    Status.ACCEPTED: PlaceMatch.ACCEPTED,
    Status.AMBIGUOUS: PlaceMatch.AMBIGUOUS,
}
# Nav2 refuses a covariance element above 1e9, robot_localization turns one below 1e-9 into 1e-9.
COVARIANCE_LIMITS = (1e-9, 1e9)
MAX_STAMP_NS = 2**31 * 10**9


def stamp_to_ns(stamp: Any) -> int:
    """Nanoseconds of a builtin_interfaces/Time."""
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


def ns_to_stamp(stamp_ns: int) -> Time:
    """builtin_interfaces/Time of nanoseconds, limited to the range of the message."""
    sec, nanosec = divmod(min(max(stamp_ns, -MAX_STAMP_NS), MAX_STAMP_NS - 1), 10**9)
    return Time(sec=sec, nanosec=nanosec)


def pose_messages(T: Array) -> list[Pose]:
    """geometry_msgs/Pose of each of T (k, 4, 4)."""
    messages = []
    for x, y, z, qx, qy, qz, qw in pose_vector(T).tolist():
        position, orientation = Point(x=x, y=y, z=z), Quaternion(x=qx, y=qy, z=qz, w=qw)
        messages.append(Pose(position=position, orientation=orientation))
    return messages


def prior_message(prior: PosePrior, stamp: Time, frame_id: str) -> PoseWithCovarianceStamped:
    """The prior as a message that Nav2's validator and robot_localization accept."""
    message = PoseWithCovarianceStamped(header=Header(stamp=stamp, frame_id=frame_id))
    message.pose.pose = pose_messages(prior.T[np.newaxis])[0]
    covariance = np.array(prior.covariance, dtype=np.float64)
    diagonal = np.clip(np.diag(covariance), *COVARIANCE_LIMITS)
    np.fill_diagonal(covariance, diagonal)
    message.pose.covariance = covariance.reshape(36)
    return message


def candidate_messages(candidates: Sequence[Candidate]) -> list[PlaceCandidate]:
    """The candidates of a match."""
    if not candidates:
        return []
    poses = pose_messages(np.stack([candidate.T_map_cam for candidate in candidates]))
    return [
        PlaceCandidate(
            place_id=candidate.place_id,
            recording=candidate.recording,
            stamp=ns_to_stamp(candidate.stamp_ns),
            similarity=candidate.similarity,
            probability=candidate.probability,
            inliers=candidate.inliers,
            pose=pose,
        )
        for candidate, pose in zip(candidates, poses, strict=True)
    ]


def inliers_of(match: Match) -> int:
    """Inliers of the estimated pose, else of the best candidate; -1 = not verified."""
    for pose in match.verification.poses if match.verification is not None else ():
        if pose.method == match.estimate.method and (pose.T_map_cam == match.estimate.T).all():
            return pose.inliers
    return match.candidates[0].inliers if match.candidates else -1


def match_message(match: Match, image_header: Header, frame_id: str, note: str) -> PlaceMatch:
    """The match as message.

    Args:
        match: The answer for an image.
        image_header: Header of the image; the message gets its stamp.
        frame_id: The map frame.
        note: Added to the reason; may be ''.
    """
    return PlaceMatch(
        header=Header(stamp=image_header.stamp, frame_id=frame_id),
        camera_frame=image_header.frame_id,
        map_id=match.map_id,
        model_id=match.model_id,
        status=STATUS[match.status],
        reason=f'{match.reason}; {note}' if note else match.reason,
        candidates=candidate_messages(match.candidates),
        probability=match.probability,
        pose_method=match.estimate.method,
        inliers=inliers_of(match),
    )


def descriptor_message(match: Match, image_header: Header) -> GlobalDescriptor:
    """The descriptor of an image, with the header of the image."""
    return GlobalDescriptor(
        header=image_header, model_id=match.model_id, descriptor=match.descriptor
    )


def check_camera_info(message: Any) -> None:
    """Raise NetvladError unless a sensor_msgs/CameraInfo describes a possible camera."""
    numbers = [*message.k, *message.d, *message.r, *message.p]
    if not all(math.isfinite(number) for number in numbers):
        raise NetvladError('camera_info holds numbers that are not finite')
    if message.width == 0 or message.height == 0:
        raise NetvladError(f'camera_info gives an image size of {message.width}x{message.height}')
    if message.k[0] <= 0 or message.k[4] <= 0:
        raise NetvladError(
            f'camera_info gives focal lengths {message.k[0]:g} and {message.k[4]:g} px; '
            'an uncalibrated camera sends zeros'
        )


def path_of_url(url: str) -> Path:
    """Local path.

    Args:
        url: A path, file:///path or package://package/path.

    Raises:
        NetvladError: The URL has another form, or names a package that is not installed.
    """
    if url.startswith('package://'):
        package, _, rest = url.removeprefix('package://').partition('/')
        try:
            share = Path(get_package_share_directory(package))
        except (PackageNotFoundError, ValueError) as error:
            raise NetvladError(f"'{url}' names the package '{package}', not found here") from error
        path = share / rest
        if '..' in Path(rest).parts:
            raise NetvladError(f"'{url}' leads out of its package")
        return path
    if url.startswith('file://'):
        path = Path(url.removeprefix('file://'))
        if not path.is_absolute():
            raise NetvladError(f"'{url}' is no local file URL: write file:///absolute/path")
        return path
    if '://' in url:
        raise NetvladError(f"'{url}' is neither a path nor file:// nor package://")
    if not url:
        raise NetvladError('no path was given')
    return Path(url).expanduser()
