"""Maps by URL, with the result codes of Nav2."""

from __future__ import annotations

import numpy as np

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.features.extractor import FeatureExtractor, open_extractor
from netvlad_ros.core.localizer import Localizer
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.place_map.map_files import read_index
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.core.place_map.storage import load_map, read_thumbnail
from netvlad_ros.ros.conversions import path_of_url
from netvlad_ros.ros.node_config import NodeConfig
from netvlad_ros_msgs.srv import LoadMap

TRIAL_SHAPE = (240, 320, 3)


class MapLoadError(NetvladError):
    """A map cannot be used.

    Attributes:
        result: Result code of Nav2.
    """

    def __init__(self, result: int, reason: str) -> None:
        super().__init__(reason)
        self.result = result


def localizer_on_map(
    bundle: ModelBundle, map_url: str, node: NodeConfig, config: LocalizerConfig
) -> Localizer:
    """A localizer on a map, which has answered one image.

    Args:
        bundle: The model.
        map_url: The map folder, see path_of_url.
        node: The configuration of the node.
        config: The configuration of the localizer.

    Raises:
        MapLoadError: The map cannot be used.
    """
    result = int(LoadMap.Response.RESULT_MAP_DOES_NOT_EXIST)
    try:
        directory = path_of_url(map_url)
        if directory.is_dir():
            result = LoadMap.Response.RESULT_INVALID_MAP_METADATA
            read_index(directory, f'map {directory}')
            result = LoadMap.Response.RESULT_INVALID_MAP_DATA
        place_map = load_map(directory)
        # The map itself is valid, but of another model or without a usable calibration.
        result = LoadMap.Response.RESULT_INVALID_MAP_METADATA
        localizer = Localizer(bundle, place_map, config, extractor=_extractor(place_map, node))
        result = LoadMap.Response.RESULT_INVALID_MAP_DATA
        _try_out(localizer)
        return localizer
    except NetvladError as error:
        raise MapLoadError(result, str(error)) from error
    except Exception as error:  # an exception that leaves a service ends the process
        undefined = int(LoadMap.Response.RESULT_UNDEFINED_FAILURE)
        raise MapLoadError(undefined, f'map {map_url} cannot be loaded: {error!r}') from error


def _try_out(localizer: Localizer) -> None:
    """Localize the thumbnail of a place, else noise; raises NetvladError if no answer follows."""
    place_map = localizer.place_map
    row = len(place_map) // 2
    try:
        rgb = read_thumbnail(place_map, row)
    except NetvladError:
        rgb = None  # a damaged thumbnail is missing in a picture, no answer depends on it
    if rgb is None:
        rgb = np.random.default_rng(0).integers(0, 256, TRIAL_SHAPE, dtype=np.uint8)
    match = localizer.recognize(rgb, int(place_map.stamps_ns[row]), camera=place_map.camera)
    numbers = [match.probability, match.elsewhere, *match.estimate.T.ravel()]
    if not np.isfinite([*numbers, *match.estimate.covariance.ravel()]).all():
        raise NetvladError(
            f'map {place_map.directory}: its answer to a trial image is not finite; build it again'
        )


def _extractor(place_map: PlaceMap, node: NodeConfig) -> FeatureExtractor | None:
    if place_map.features is None or place_map.features.spec.kind != 'onnx':
        return None  # the localizer opens its own
    model = path_of_url(node.feature_model) if node.feature_model else None
    try:
        return open_extractor(place_map.features.spec, model=model, device=node.device)
    except NetvladError as error:
        raise NetvladError(f'{error} (parameter feature_model)') from error
