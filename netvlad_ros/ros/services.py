"""The node's services: localize, load_map, reset."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from std_srvs.srv import Trigger

from netvlad_ros.core.camera.image_message import rgb_from_image
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.ros.camera_streams import CameraStreams
from netvlad_ros.ros.map_loading import MapLoadError, localizer_on_map
from netvlad_ros.ros.parameters import Parameters
from netvlad_ros.ros.shared_localizer import SharedLocalizer
from netvlad_ros_msgs.srv import LoadMap, Localize

INACTIVE = 'the node is not active: activate it first'


class Services:
    """Offered from configure to cleanup. live: gives the cameras while the node is active."""

    def __init__(
        self,
        ros_node: Node,
        recognizer: SharedLocalizer,
        parameters: Parameters,
        live: Callable[[], CameraStreams | None],
    ) -> None:
        self._ros_node = ros_node
        self._recognizer = recognizer
        self._parameters = parameters
        self._live = live
        self._services: list[Any] = [
            ros_node.create_service(Localize, 'localize', self._localize),
            ros_node.create_service(LoadMap, 'load_map', self._load_map),
            ros_node.create_service(Trigger, 'reset', self._reset),
        ]

    def close(self) -> None:
        """Withdraw the services."""
        for service in self._services:
            self._ros_node.destroy_service(service)

    def _localize(
        self, request: Localize.Request, response: Localize.Response
    ) -> Localize.Response:
        live = self._live()
        if live is None:
            response.message = INACTIVE
            return response
        try:
            if request.image.height or request.image.width or len(request.image.data):
                rgb = rgb_from_image(request.image)
                shot = live.shot_like(request.image.header, rgb)
            else:
                rgb, shot = live.newest()
            answer = self._recognizer.recognize(rgb, shot, self._parameters.node)
        except Exception as error:  # one that escapes from here would end the process
            expected = isinstance(error, NetvladError)
            response.message = str(error) if expected else f'internal error: {error!r}'
            return response
        response.success = True
        response.match = answer.message
        response.message = '; '.join(answer.notes)
        if answer.prior is None:
            response.message = '; '.join(answer.notes) or f'no prior: {answer.match.reason}'
            return response
        response.has_prior = True
        response.prior = answer.prior
        if request.publish_initial_pose and not live.run.tell(answer):
            response.message = '; '.join([*answer.notes, 'nobody listens on initial_pose'])
        return response

    def _load_map(self, request: LoadMap.Request, response: LoadMap.Response) -> LoadMap.Response:
        old = self._recognizer.localizer
        try:
            new = localizer_on_map(
                old.bundle, request.map_url, self._parameters.node, self._parameters.localizer
            )
        except MapLoadError as error:
            self._ros_node.get_logger().error(f'the old map stays in service: {error}')
            response.result = error.result
            response.message = str(error)
            response.map_id = old.place_map.map_id
            return response
        self._recognizer.localizer = new
        live = self._live()
        if live is not None:
            live.run.forget()
        self._ros_node.get_logger().info(
            f'map {new.place_map.directory} in service, {len(new.place_map)} places'
        )
        response.result = LoadMap.Response.RESULT_SUCCESS
        response.map_id = new.place_map.map_id
        return response

    def _reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        live = self._live()
        if live is None:
            response.message = INACTIVE
            return response
        live.run.forget()
        response.success = True
        response.message = 'the belief starts afresh, and the next fix goes to initial_pose'
        return response
