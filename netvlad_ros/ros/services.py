"""Services of the node: localize, load_map, reset."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from std_srvs.srv import Trigger

from netvlad_ros.core.camera.image_message import rgb_from_image
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.ros.background import in_thread
from netvlad_ros.ros.camera_streams import CameraStreams
from netvlad_ros.ros.map_loading import MapLoadError, localizer_on_map
from netvlad_ros.ros.outputs.publishers import Answer
from netvlad_ros.ros.parameters import Parameters
from netvlad_ros.ros.shared_localizer import SharedLocalizer
from netvlad_ros_msgs.srv import LoadMap, Localize

INACTIVE = 'the node is not active: activate it first'


class Services:
    """The services of the node, offered from configure to cleanup."""

    def __init__(
        self,
        ros_node: Node,
        shared_localizer: SharedLocalizer,
        parameters: Parameters,
        streams: Callable[[], CameraStreams | None],
    ) -> None:
        """Offer the services.

        Args:
            ros_node: The node that offers them.
            shared_localizer: Answers images.
            parameters: The parameters of the node.
            streams: Returns the cameras while the node is active, else None.
        """
        self._ros_node = ros_node
        self._shared_localizer = shared_localizer
        self._parameters = parameters
        self._streams = streams
        self._closed = False
        # A group for each: the node receives meanwhile, and a second request waits.
        self._services: list[Any] = [
            ros_node.create_service(
                Localize,
                'localize',
                self._localize,
                callback_group=MutuallyExclusiveCallbackGroup(),
            ),
            ros_node.create_service(
                LoadMap,
                'load_map',
                self._load_map,
                callback_group=MutuallyExclusiveCallbackGroup(),
            ),
            ros_node.create_service(Trigger, 'reset', self._reset),
        ]

    def close(self) -> None:
        """Withdraw the services."""
        self._closed = True
        for service in self._services:
            self._ros_node.destroy_service(service)

    async def _localize(
        self, request: Localize.Request, response: Localize.Response
    ) -> Localize.Response:
        streams = self._streams()
        if streams is None:
            response.message = INACTIVE
            return response
        config = self._parameters.node

        def localized() -> Answer:
            if request.image.height or request.image.width or len(request.image.data):
                rgb = rgb_from_image(request.image, config.max_image_pixels)
                context = streams.context_of(request.image.header, rgb)
            else:
                rgb, context = streams.newest()
            return self._shared_localizer.recognize(rgb, context, config)

        try:
            answer = await in_thread(self._ros_node, localized)
        except Exception as error:  # the caller gets the sentence, whatever it was
            expected = isinstance(error, NetvladError)
            response.message = str(error) if expected else f'internal error: {error!r}'
            return response
        response.success = True
        response.match = answer.message
        response.message = '; '.join(answer.notes)
        if answer.prior_message is None:
            response.message = '; '.join(answer.notes) or f'no prior: {answer.match.reason}'
            return response
        response.has_prior = True
        response.prior = answer.prior_message
        if request.publish_initial_pose and not streams.session.publish_initial_pose(answer):
            response.message = '; '.join([*answer.notes, 'nobody listens on initial_pose'])
        return response

    async def _load_map(
        self, request: LoadMap.Request, response: LoadMap.Response
    ) -> LoadMap.Response:
        """Load beside the service, and swap between two images."""
        shared, parameters = self._shared_localizer, self._parameters
        bundle, node, localizer = shared.localizer.bundle, parameters.node, parameters.localizer
        try:
            new = await in_thread(
                self._ros_node, lambda: localizer_on_map(bundle, request.map_url, node, localizer)
            )
            if self._closed:
                raise MapLoadError(
                    int(LoadMap.Response.RESULT_UNDEFINED_FAILURE),
                    'the node was cleaned up while the map was loaded',
                )
        except MapLoadError as error:
            self._ros_node.get_logger().error(f'the old map stays in service: {error}')
            response.result = error.result
            response.message = str(error)
            response.map_id = shared.localizer.place_map.map_id
            return response
        if new.config != parameters.localizer:  # it was set while the map was loaded
            new.config = parameters.localizer
        shared.localizer = new
        streams = self._streams()
        if streams is not None:
            streams.session.restart()
        self._ros_node.get_logger().info(
            f'map {new.place_map.directory} in service, {len(new.place_map)} places'
        )
        response.result = LoadMap.Response.RESULT_SUCCESS
        response.map_id = new.place_map.map_id
        return response

    def _reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        streams = self._streams()
        if streams is None:
            response.message = INACTIVE
            return response
        streams.session.restart()
        response.success = True
        response.message = 'the belief starts afresh, and the next fix goes to initial_pose'
        return response
