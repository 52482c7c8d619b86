"""ModelBundle: an ONNX file that knows its preprocessing and identity, and its session."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.fingerprint import model_fingerprint
from netvlad_ros.core.graph_check import check_graph
from netvlad_ros.core.model_metadata import METADATA_KEY, ModelMetadata

MAX_MODEL_BYTES = 2**30  # VGG16-NetVLAD with its 4096-D whitening is 600 MB
PROVIDERS = {
    'cpu': 'CPUExecutionProvider',
    'cuda': 'CUDAExecutionProvider',
    'tensorrt': 'TensorrtExecutionProvider',
}


class ModelBundle:
    """A place descriptor: images in, unit vectors out.

    Attributes: path; metadata; provider, the onnxruntime execution provider that really runs.
    """

    def __init__(self, path: Path, metadata: ModelMetadata, session: ort.InferenceSession) -> None:
        self.path = path
        self.metadata = metadata
        self.provider: str = session.get_providers()[0]
        self._session = session

    @classmethod
    def load(cls, path: Path | str, *, device: str = 'auto', threads: int = 0) -> ModelBundle:
        """Load and try out a bundle.

        device: cpu, cuda, tensorrt, or auto (CUDA where it works, else the CPU; read `provider`).
        threads: of the CPU provider, 0 = one per core. Raises NetvladError if the file is not a
        sound bundle, if it is not what its model id says, if it answers anything but finite
        vectors of its stated length, or if the device asked for by name does not come up.
        """
        path = Path(path)
        where = f'model {path}'
        data = _read(path, where)
        try:
            metadata = _inspect(data, where)
        except NetvladError:
            raise
        except Exception as error:  # whatever a hostile file makes protobuf or NumPy stumble over
            raise NetvladError(f'{where} is damaged: {_line(error)}') from error
        session = _open_session(data, device, threads, where)
        _check_ports(session, metadata, where)
        bundle = cls(path, metadata, session)
        bundle._try_out(where)
        return bundle

    def describe(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Describe rgb, uint8 (H, W, 3) RGB, by a unit vector, float32 (D,).

        Raises NetvladError if rgb is no such image or the model does not answer finitely.
        """
        image = self.metadata.preprocessing(rgb)
        return self._run([image])[0]

    def describe_batch(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Describe images, each uint8 (H, W, 3) RGB: float32 (N, D), rows of unit length."""
        if not images:
            return np.empty((0, self.metadata.dim), dtype=np.float32)
        resized = [self.metadata.preprocessing(rgb) for rgb in images]
        together = len({image.shape for image in resized}) == 1 and self._takes_batches
        batches = [resized] if together else [[image] for image in resized]
        return np.concatenate([self._run(batch) for batch in batches])

    @property
    def _takes_batches(self) -> bool:
        return not isinstance(self._session.get_inputs()[0].shape[0], int)

    def _run(self, resized: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
        metadata = self.metadata
        feed = {metadata.input_name: metadata.preprocessing.to_input(resized)}
        try:
            output = self._session.run([metadata.output_name], feed)[0]
        except Exception as error:  # onnxruntime raises a dozen unrelated types
            raise NetvladError(f'{metadata.name}: inference failed: {_line(error)}') from error
        expected = (len(resized), metadata.dim)
        if output.shape != expected:
            raise NetvladError(f'{metadata.name} answered {output.shape} instead of {expected}')
        descriptors = output.astype(np.float64)
        norms = np.linalg.norm(descriptors, axis=1, keepdims=True)
        if not np.isfinite(norms).all() or (norms < 1e-12).any():
            raise NetvladError(f'{metadata.name} answered with NaN, infinite or zero descriptors')
        return np.asarray(descriptors / norms, dtype=np.float32)

    def _try_out(self, where: str) -> None:
        # Noise, because a blank image may hide a NaN; twice, because the first run on an
        # accelerator compiles kernels, which must not happen on a robot's first image.
        size = self.metadata.preprocessing
        noise = np.random.default_rng(0).integers(
            0, 256, (size.height, size.width, 3), dtype=np.uint8
        )
        try:
            for _ in range(2):
                self.describe(noise)
        except NetvladError as error:
            raise NetvladError(f'{where} does not work: {error}') from error


def write_bundle(model: onnx.ModelProto, metadata: dict[str, Any], path: Path | str) -> str:
    """Write model with its metadata as a bundle, whole or not at all; returns the model id.

    metadata: the JSON entries of ModelMetadata; `model_id` is filled in here. Raises NetvladError
    if graph or metadata would not load again.
    """
    path = Path(path)
    where = f'model {path}'
    complete = onnx.ModelProto()
    complete.CopyFrom(model)
    del complete.metadata_props[:]
    check_graph(complete, where)
    model_id = model_fingerprint(complete, metadata['input'])
    text = json.dumps({**metadata, 'model_id': model_id}, sort_keys=True)
    ModelMetadata.from_json(text, where)
    complete.metadata_props.add(key=METADATA_KEY, value=text)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    try:
        temporary.write_bytes(complete.SerializeToString())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return model_id


def _read(path: Path, where: str) -> bytes:
    try:
        if not path.is_file():
            raise NetvladError(f'{where} does not exist or is no file')
        size = path.stat().st_size
        if size > MAX_MODEL_BYTES:
            raise NetvladError(f'{where} has {size} bytes, more than {MAX_MODEL_BYTES}')
        return path.read_bytes()
    except OSError as error:
        raise NetvladError(f'{where} cannot be read: {error.strerror}') from error


def _inspect(data: bytes, where: str) -> ModelMetadata:
    """Check graph, metadata and identity, and let go of the parsed model, as large as its file."""
    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise NetvladError(f'{where} is no ONNX file, or it is cut off or damaged') from error
    if not model.graph.node or not model.opset_import:
        raise NetvladError(f'{where} is no ONNX file, or it is cut off or damaged')
    check_graph(model, where)
    properties = {prop.key: prop.value for prop in model.metadata_props}
    if METADATA_KEY not in properties:
        raise NetvladError(
            f"{where} carries no '{METADATA_KEY}' metadata (preprocessing, identity); "
            'add it with netvlad_ros.core.descriptor.write_bundle'
        )
    metadata = ModelMetadata.from_json(properties[METADATA_KEY], where)
    input_metadata = json.loads(properties[METADATA_KEY])['input']
    if model_fingerprint(model, input_metadata) != metadata.model_id:
        raise NetvladError(
            f'{where} is not what its model id says: it was changed or damaged after export'
        )
    return metadata


def _open_session(data: bytes, device: str, threads: int, where: str) -> ort.InferenceSession:
    if device not in ('auto', *PROVIDERS):
        raise NetvladError(f"device '{device}' is unknown; choose auto, {', '.join(PROVIDERS)}")
    asked = 'cuda' if device == 'auto' else device
    available = ort.get_available_providers()
    cpu = PROVIDERS['cpu']
    if PROVIDERS[asked] not in available:
        if device != 'auto':
            raise NetvladError(
                f"device '{device}' was asked for, but this onnxruntime offers only "
                f'{", ".join(available)}; install onnxruntime-gpu or choose device cpu'
            )
        asked = 'cpu'
    ort.disable_telemetry_events()  # a robot's runtime reports to nobody
    options = ort.SessionOptions()
    options.log_severity_level = 3  # what matters is raised or reported below
    options.intra_op_num_threads = threads
    # Idle threads that spin for the next image cost a robot more CPU than inference itself:
    # 69 ms an image against 29 ms at 13 Hz on two cores, for the same latency.
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    providers = [PROVIDERS[asked]] + ([cpu] if asked != 'cpu' else [])
    try:
        session = ort.InferenceSession(data, options, providers=providers)
    except Exception as error:  # onnxruntime raises a dozen unrelated types
        raise NetvladError(f'{where} does not load in onnxruntime: {_line(error)}') from error
    if device != 'auto' and session.get_providers()[0] != PROVIDERS[device]:
        # onnxruntime itself only logs this and goes on, many times slower, on the CPU.
        raise NetvladError(
            f"device '{device}' was asked for, but onnxruntime fell back to "
            f'{session.get_providers()[0]}; check its CUDA libraries or choose device cpu'
        )
    return session


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
    wanted = {'uint8': 'tensor(uint8)', 'float32': 'tensor(float)'}[metadata.preprocessing.dtype]
    port = inputs[metadata.input_name]
    if port.type != wanted or len(port.shape) != 4:
        raise NetvladError(
            f'{where}: its metadata promises a 4-D input of {metadata.preprocessing.dtype}, '
            f'its graph wants {port.type} {port.shape}'
        )


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else repr(error)
