"""ClusterMap: the soft assignment of an image's parts to NetVLAD clusters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.offline.bundles.onnx_graph import GraphIndex

_ASPECT_TOLERANCE = 1.2  # a feature map has the aspect of its image up to a border of 1 or 2


@dataclass(frozen=True, eq=False)
class ClusterMap:
    """Assignment of each position of the feature map to clusters.

    Attributes:
        soft: float32 (h, w, K), share of each cluster at each position.
    """

    soft: NDArray[np.float32]

    @property
    def strongest(self) -> NDArray[np.int64]:
        """The cluster with the largest share at each position, (h, w)."""
        return np.asarray(self.soft.argmax(axis=2), np.int64)

    @property
    def shares(self) -> NDArray[np.float64]:
        """Share of each cluster in the whole image, (K,), sum 1."""
        return np.asarray(self.soft.mean(axis=(0, 1), dtype=np.float64))


class ClusterReader:
    """Runs a bundle in a second session that also returns the soft assignment of its NetVLAD."""

    def __init__(self, bundle: ModelBundle, *, threads: int = 0) -> None:
        """Open the session, in memory.

        Raises:
            NetvladError: the bundle has no soft assignment.
        """
        self._metadata = bundle.metadata
        model = onnx.load(str(bundle.path), load_external_data=False)
        before = GraphIndex(model.graph).before(self._metadata.output_name)
        self._axes = {
            node.output[0]: _axis(node)
            for node in model.graph.node
            # Keypoints have a Softmax of their own, which is no assignment.
            if node.op_type == 'Softmax' and node.output[0] in before
        }
        if not self._axes:
            raise NetvladError(self._without())
        for name in self._axes:
            model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads
        try:
            self._session = ort.InferenceSession(
                model.SerializeToString(), options, providers=['CPUExecutionProvider']
            )
        except Exception as error:  # onnxruntime raises a dozen unrelated types
            raise NetvladError(f'{self._without()}: {str(error).splitlines()[0][:200]}') from error

    def read(self, rgb: NDArray[np.uint8]) -> ClusterMap:
        """Assign the parts of rgb, uint8 (H, W, 3).

        Raises:
            NetvladError: no Softmax of the bundle has the shape of an assignment.
        """
        image = self._metadata.preprocessing(rgb)
        feed = {self._metadata.input_name: self._metadata.preprocessing.to_input([image])}
        names = list(self._axes)
        answers = self._session.run(names, feed)
        aspect = image.shape[1] / image.shape[0]
        for name, answer in reversed(list(zip(names, answers, strict=True))):
            if answer.ndim in (3, 4):  # the last Softmax, because pooling is near the end
                axis = self._axes[name] % answer.ndim
                soft = _arranged(np.moveaxis(answer, axis, -1)[0], aspect)
                if soft is not None:
                    return ClusterMap(soft.astype(np.float32))
        raise NetvladError(self._without())

    def _without(self) -> str:
        pooling = self._metadata.pooling or 'unknown'
        return f'{self._metadata.name} (pooling: {pooling}) has no clusters to read'


def _axis(node: onnx.NodeProto) -> int:
    return next((int(entry.i) for entry in node.attribute if entry.name == 'axis'), -1)


def _arranged(soft: NDArray[np.floating], aspect: float) -> NDArray[np.floating] | None:
    """(P, K) or (h, w, K) as (h, w, K) with the image's aspect; None if the shape does not fit."""
    if soft.ndim == 3:
        shapes = [(soft.shape[0], soft.shape[1])]
    else:
        count = soft.shape[0]
        shapes = [(h, count // h) for h in range(1, count + 1) if count % h == 0]
    height, width = min(shapes, key=lambda shape: abs(np.log(shape[1] / shape[0] / aspect)))
    off = abs(np.log(width / height / aspect))
    if off > np.log(_ASPECT_TOLERANCE) or height * width < 4 or soft.shape[-1] < 2:
        return None
    return soft.reshape(height, width, -1)
