"""OnnxExtractor: keypoints and descriptors of a network that was exported to ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from netvlad_ros.core.camera.image import MIN_SIDE_PX, check_rgb, resize
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.features.feature_bundle import read_feature_bundle
from netvlad_ros.core.features.local_features import (
    FeatureSpec,
    LocalFeatures,
)
from netvlad_ros.core.features.model_extractor import full_image_features
from netvlad_ros.core.model.image_analysis import RawFeatures
from netvlad_ros.core.model.onnx_file import error_line, open_session
from netvlad_ros.core.model.preprocessing import in_layout, round_side
from netvlad_ros.core.model.time_budget import load_budget_s, within

MAX_ANSWER = 10_000_000  # keypoints of one image


class OnnxExtractor:
    """Runs a feature bundle and checks what it answers."""

    def __init__(self, spec: FeatureSpec, path: Path, device: str = 'cpu') -> None:
        """Load a feature bundle and run it once on noise.

        Args:
            spec: features to find; it names the model.
            path: the feature bundle.
            device: see open_session.

        Raises:
            NetvladError: the bundle does not load or work, or is not the model of the spec.
        """
        self.spec = spec
        self._where = f'model {path}'
        data, self.metadata = read_feature_bundle(path)
        made = self.metadata.spec(spec.max_keypoints, spec.max_side_px, spec.precision)
        if made != spec:
            raise NetvladError(
                f'the local features are those of the model {spec.model_id[:12]} with {spec.dim} '
                f'columns, {path} is {made.model_id[:12]} with {made.dim}; name the right bundle'
            )
        self._run_options = ort.RunOptions()
        self._session = open_session(data, device, 0, self._where)
        self._fixed = self._check_ports()
        noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
        within(
            load_budget_s(device),
            lambda: self.extract(noise),
            f'{self._where} does not work: answering an image',
            stop=self._stop,
        )

    def extract(self, rgb: NDArray[np.uint8]) -> LocalFeatures:
        """Features of rgb, uint8 (H, W, 3) RGB.

        Raises:
            NetvladError: rgb is no such image, or the answer is not what the metadata promise.
        """
        check_rgb(rgb)
        height, width = self._working_size(*rgb.shape[:2])
        keypoints, rows, scores = self._run(self._to_input(resize(rgb, height, width)))
        lengths = np.linalg.norm(rows, axis=1)
        # Graphs with a fixed number of keypoints pad with empty rows.
        real = np.flatnonzero(lengths > 1e-12)
        order = real[np.argsort(-scores[real], kind='stable')]
        found = RawFeatures(keypoints[order], rows[order] / lengths[order, None], scores[order])
        return full_image_features(found, self.spec, (height, width), rgb.shape)

    def _stop(self) -> None:
        self._run_options.terminate = True

    def _working_size(self, height: int, width: int) -> tuple[int, int]:
        scale = min(1.0, self.spec.max_side_px / max(height, width))
        multiple = self.metadata.multiple
        limit = max(self.spec.max_side_px // multiple, 1) * multiple

        def rounded(side: int, fixed: int | None) -> int:
            return fixed or round_side(side * scale, multiple, least=MIN_SIDE_PX, most=limit)

        return rounded(height, self._fixed[0]), rounded(width, self._fixed[1])

    def _to_input(self, rgb: NDArray[np.uint8]) -> NDArray[Any]:
        metadata = self.metadata
        image: NDArray[Any] = rgb
        if metadata.channels == 1:
            image = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))[..., None]
        if metadata.dtype == 'float32':
            image = image.astype(np.float32) * np.float32(metadata.scale)
        return in_layout(image[None], metadata.layout)

    def _run(self, image: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Keypoints (n, 2) and rows (n, dim), float64, scores (n,), all finite."""
        metadata = self.metadata
        names = [metadata.keypoints, metadata.descriptors]
        names += [metadata.scores] if metadata.scores else []
        try:
            answers = self._session.run(names, {metadata.input_name: image}, self._run_options)
        except Exception as error:  # onnxruntime raises a dozen unrelated types
            raise NetvladError(f'{self._where}: inference failed: {error_line(error)}') from error
        for name, answer, ndim in zip(names, answers, (2, 2, 1), strict=False):
            if answer.dtype.kind not in 'fiu' or answer.size > MAX_ANSWER * metadata.dim:
                raise self._malformed(name, answer)
            if answer.ndim not in (ndim, ndim + 1) or (answer.ndim > ndim and len(answer) != 1):
                raise self._malformed(name, answer)
        keypoints = answers[0].reshape(answers[0].shape[-2:]).astype(np.float64)
        rows = answers[1].reshape(answers[1].shape[-2:]).astype(np.float64)
        rows = rows.T if metadata.columns_first else rows
        n = len(keypoints)
        scores = np.zeros(n) if metadata.scores is None else answers[2].reshape(-1).astype(float)
        shape = image.shape[1:3] if metadata.layout == 'NHWC' else image.shape[2:4]
        if (
            keypoints.shape != (n, 2)
            or not ((keypoints >= -1) & (keypoints <= np.array(shape[::-1]))).all()
        ):
            raise self._malformed(names[0], answers[0])
        if rows.shape != (n, metadata.dim) or not np.isfinite(rows).all():
            raise self._malformed(names[1], answers[1])
        if scores.shape != (n,) or not np.isfinite(scores).all():
            raise self._malformed(names[-1], answers[-1])
        return keypoints, rows, scores

    def _malformed(self, name: str, answer: NDArray[Any]) -> NetvladError:
        return NetvladError(
            f"{self._where} answered '{name}' with {answer.dtype} {answer.shape} that its metadata "
            'does not promise, or that is not finite, or lies outside the image'
        )

    def _check_ports(self) -> tuple[int | None, int | None]:
        """Check metadata against graph; returns its fixed height and width [px], or None."""
        metadata = self.metadata
        inputs: list[ort.NodeArg] = self._session.get_inputs()
        outputs = {port.name for port in self._session.get_outputs()}
        if [port.name for port in inputs] != [metadata.input_name]:
            raise NetvladError(
                f"{self._where}: its metadata names the input '{metadata.input_name}', "
                f'its graph has {[port.name for port in inputs]}'
            )
        missing = {metadata.keypoints, metadata.descriptors, metadata.scores} - outputs - {None}
        if missing:
            raise NetvladError(
                f'{self._where}: its metadata names the outputs {sorted(map(str, missing))}, '
                f'its graph has {sorted(outputs)}'
            )
        wanted = {'uint8': 'tensor(uint8)', 'float32': 'tensor(float)'}[metadata.dtype]
        (port,) = inputs
        if port.type != wanted or len(port.shape) != 4:
            raise NetvladError(
                f'{self._where}: its metadata promises a 4-D input of {metadata.dtype}, '
                f'its graph wants {port.type} {port.shape}'
            )
        sides = port.shape[1:3] if metadata.layout == 'NHWC' else port.shape[2:4]
        height, width = (side if isinstance(side, int) else None for side in sides)
        if not all(side is None or MIN_SIDE_PX <= side <= 4096 for side in (height, width)):
            raise NetvladError(f'{self._where} wants images of {width}x{height} px')
        return height, width
