"""ModelBundle: an ONNX file with its preprocessing, its identity and its runtime session."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.model.fingerprint import model_fingerprint
from netvlad_ros.core.model.graph_check import (
    ALLOWED_OPERATORS,
    KEYPOINT_OPERATORS,
    check_graph,
)
from netvlad_ros.core.model.image_analysis import ImageAnalysis
from netvlad_ros.core.model.metadata import METADATA_KEY, ModelMetadata
from netvlad_ros.core.model.onnx_file import (
    error_line,
    open_session,
    parse_model,
    read_model,
    write_model,
)
from netvlad_ros.core.model.time_budget import load_budget_s, within

SAME = 1e-5  # in every component of two descriptors
IDENTITY = 2  # rule by which a new bundle's model id is computed
IDENTITY_ENTRIES = ('identity', 'input', 'output', 'dim', 'calibration', 'local')


class ModelBundle:
    """A network that turns images into place descriptors, unit vectors, and local features.

    Attributes:
        path: the ONNX file.
        metadata: what the file says about itself.
        provider: the execution provider of onnxruntime that is in use.
    """

    def __init__(self, path: Path, metadata: ModelMetadata, session: ort.InferenceSession) -> None:
        self.path = path
        self.metadata = metadata
        self.provider: str = session.get_providers()[0]
        self._session = session
        self._run_options = ort.RunOptions()

    @classmethod
    def load(cls, path: Path | str, *, device: str = 'auto', threads: int = 0) -> ModelBundle:
        """Load a bundle and run it on two images.

        Args:
            path: the ONNX file.
            device: cpu, cuda, tensorrt, or auto: CUDA where it works, else the CPU; see `provider`.
            threads: of the CPU provider, 0 = one per core.

        Raises:
            NetvladError: the file is no valid bundle or was changed since its model id was written,
                the model does not answer what its metadata promises, takes longer than its budget
                of time or answers the same to both images, or the device fails.
        """
        path = Path(path)
        where = f'model {path}'
        data = read_model(path, where)
        try:
            metadata = _inspect(data, where)
        except NetvladError:
            raise
        except Exception as error:  # a malicious file can raise anything in protobuf or NumPy
            raise NetvladError(f'{where} is damaged: {error_line(error)}') from error
        session = open_session(data, device, threads, where)
        _check_ports(session, metadata, where)
        bundle = cls(path, metadata, session)
        bundle._try_out(where, load_budget_s(device))
        return bundle

    def describe(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Describe rgb, uint8 (H, W, 3) RGB, by a unit vector, float32 (D,).

        Raises:
            NetvladError: rgb is no such image, or the descriptor is not finite.
        """
        return self._descriptors([self.metadata.preprocessing(rgb)])[0]

    def analyse(self, rgb: NDArray[np.uint8]) -> ImageAnalysis:
        """Describe rgb, uint8 (H, W, 3) RGB, and find its local features, in one pass.

        Raises:
            NetvladError: rgb is no such image, or the answer is not what the metadata promises.
        """
        metadata = self.metadata
        image = metadata.preprocessing(rgb)
        size = image.shape[0], image.shape[1]
        if metadata.local is None:
            return ImageAnalysis(self._descriptors([image])[0], None, size)
        descriptors, *answers = self._run([image], [metadata.output_name, *metadata.local.names])
        keypoints, scores, rows = answers
        features = metadata.local.features(keypoints, scores, rows, size, metadata.name)
        return ImageAnalysis(self._checked(descriptors, 1)[0], features, size)

    def describe_batch(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Describe images, each uint8 (H, W, 3) RGB: float32 (N, D), rows of unit length."""
        if not images:
            return np.empty((0, self.metadata.dim), dtype=np.float32)
        resized = [self.metadata.preprocessing(rgb) for rgb in images]
        together = len({image.shape for image in resized}) == 1 and self._takes_batches
        batches = [resized] if together else [[image] for image in resized]
        return np.concatenate([self._descriptors(batch) for batch in batches])

    @property
    def _takes_batches(self) -> bool:
        return not isinstance(self._session.get_inputs()[0].shape[0], int)

    def _descriptors(self, resized: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
        (output,) = self._run(resized, [self.metadata.output_name])
        return self._checked(output, len(resized))

    def _run(self, resized: list[NDArray[np.uint8]], outputs: list[str]) -> list[NDArray[Any]]:
        metadata = self.metadata
        feed = {metadata.input_name: metadata.preprocessing.to_input(resized)}
        try:
            return list(self._session.run(outputs, feed, self._run_options))
        except Exception as error:  # onnxruntime raises a dozen unrelated types
            raise NetvladError(f'{metadata.name}: inference failed: {error_line(error)}') from error

    def _checked(self, output: NDArray[Any], images: int) -> NDArray[np.float32]:
        """Descriptors of so many images, of unit length."""
        metadata = self.metadata
        expected = (images, metadata.dim)
        if output.shape != expected:
            raise NetvladError(f'{metadata.name} answered {output.shape} instead of {expected}')
        descriptors = output.astype(np.float64)
        norms = np.linalg.norm(descriptors, axis=1, keepdims=True)
        if not np.isfinite(norms).all() or (norms < 1e-12).any():
            raise NetvladError(f'{metadata.name} answered with NaN, infinite or zero descriptors')
        return np.asarray(descriptors / norms, dtype=np.float32)

    def _try_out(self, where: str, budget_s: float) -> None:
        # Noise, because a blank image may hide a NaN. On an accelerator the first run compiles
        # kernels, which must not happen on a robot's first image; hence two runs.
        size = self.metadata.preprocessing
        random = np.random.default_rng(0)
        noise = random.integers(0, 256, (size.height, size.width, 3), dtype=np.uint8)
        blocks = random.integers(0, 256, (size.height // 16 + 1, size.width // 16 + 1, 3))
        coarse = blocks.repeat(16, axis=0).repeat(16, axis=1).astype(np.uint8)
        images = noise, np.ascontiguousarray(coarse[: size.height, : size.width])
        try:
            one, other = within(
                budget_s,
                lambda: [self.analyse(image).descriptor for image in images],
                'answering two images',
                stop=self._stop,
            )
        except NetvladError as error:
            raise NetvladError(f'{where} does not work: {error}') from error
        if np.abs(one - other).max() < SAME:
            raise NetvladError(
                f'{where} does not work: it answers the same descriptor to two unlike images'
            )

    def _stop(self) -> None:
        self._run_options.terminate = True


def write_bundle(model: onnx.ModelProto, metadata: dict[str, Any], path: Path | str) -> str:
    """Write a bundle, completely or not at all.

    Args:
        model: the graph.
        metadata: the JSON entries of ModelMetadata without `model_id`.
        path: the ONNX file.

    Returns:
        The model id.

    Raises:
        NetvladError: graph or metadata would not load again.
    """
    path = Path(path)
    where = f'model {path}'
    complete = onnx.ModelProto()
    complete.CopyFrom(model)
    del complete.metadata_props[:]
    check_graph(complete, where, _allowed_operators(metadata))
    metadata = {**metadata, 'identity': IDENTITY}
    model_id = _identity_of(complete, metadata)
    text = json.dumps({**metadata, 'model_id': model_id}, sort_keys=True)
    ModelMetadata.from_json(text, where)
    complete.metadata_props.add(key=METADATA_KEY, value=text)
    write_model(complete, path)
    return model_id


def _inspect(data: bytes, where: str) -> ModelMetadata:
    """Check graph, metadata and identity; the parsed model, as large as its file, is freed."""
    model = parse_model(data, where)
    properties = {prop.key: prop.value for prop in model.metadata_props}
    if METADATA_KEY not in properties:
        raise NetvladError(
            f"{where} carries no '{METADATA_KEY}' metadata (preprocessing, identity); "
            'add it with netvlad_ros.core.model.bundle.write_bundle'
        )
    metadata = ModelMetadata.from_json(properties[METADATA_KEY], where)
    raw = json.loads(properties[METADATA_KEY])
    check_graph(model, where, _allowed_operators(raw))
    if _identity_of(model, raw) != metadata.model_id:
        raise NetvladError(
            f'{where} is not what its model id says: it was changed or damaged after export'
        )
    return metadata


def _identity_of(model: onnx.ModelProto, raw: dict[str, Any]) -> str:
    """The model id by the rule that the metadata name; bundles of the first rule name none."""
    if raw.get('identity') is None:
        # Its calibration, dim and output are not covered: see ModelMetadata.settings_id.
        return model_fingerprint(model, raw['input'], raw.get('local'))
    if raw['identity'] != IDENTITY:
        raise ValueError(f'identity {str(raw["identity"])[:40]} is unknown, {IDENTITY} is known')
    return model_fingerprint(model, {name: raw.get(name) for name in IDENTITY_ENTRIES})


def _allowed_operators(metadata: dict[str, Any]) -> frozenset[str]:
    return ALLOWED_OPERATORS if metadata.get('local') is None else KEYPOINT_OPERATORS


def _check_ports(session: ort.InferenceSession, metadata: ModelMetadata, where: str) -> None:
    inputs = {port.name: port for port in session.get_inputs()}
    outputs = {port.name: port for port in session.get_outputs()}
    if set(inputs) != {metadata.input_name}:
        raise NetvladError(
            f"{where}: its metadata names the input '{metadata.input_name}', "
            f'its graph has {sorted(inputs)}'
        )
    if metadata.output_name not in outputs:
        raise NetvladError(
            f"{where}: its metadata names the output '{metadata.output_name}', "
            f'its graph has {sorted(outputs)}'
        )
    local = [] if metadata.local is None else metadata.local.names
    missing = sorted(set(local) - set(outputs))
    if missing:
        raise NetvladError(
            f'{where}: its metadata names the local outputs {missing}, its graph has '
            f'{sorted(outputs)}'
        )
    wanted = {'uint8': 'tensor(uint8)', 'float32': 'tensor(float)'}[metadata.preprocessing.dtype]
    port = inputs[metadata.input_name]
    if port.type != wanted or len(port.shape) != 4:
        raise NetvladError(
            f'{where}: its metadata promises a 4-D input of {metadata.preprocessing.dtype}, '
            f'its graph wants {port.type} {port.shape}'
        )
