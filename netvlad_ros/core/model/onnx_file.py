"""ONNX files: read with checks, opened in onnxruntime, written completely or not at all."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnxruntime as ort
from google.protobuf.message import DecodeError

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.files import read_plain, write_durably
from netvlad_ros.core.model.time_budget import load_budget_s, within

MAX_MODEL_BYTES = 2**30  # VGG16-NetVLAD with its 4096-D whitening is 600 MB
PROVIDERS = {
    'cpu': 'CPUExecutionProvider',
    'cuda': 'CUDAExecutionProvider',
    'tensorrt': 'TensorrtExecutionProvider',
}


def read_model(path: Path, where: str) -> bytes:
    """Read a model file of limited size; `where` names it in errors. Raises NetvladError."""
    if not path.is_file():
        raise NetvladError(f'{where} does not exist or is no file')
    return read_plain(path, MAX_MODEL_BYTES, where)


def parse_model(data: bytes, where: str) -> onnx.ModelProto:
    """Parse a model file. Raises NetvladError if it is none."""
    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise NetvladError(f'{where} is no ONNX file, or it is cut off or damaged') from error
    if not model.graph.node or not model.opset_import:
        raise NetvladError(f'{where} is no ONNX file, or it is cut off or damaged')
    return model


def write_model(model: onnx.ModelProto, path: Path) -> None:
    """Write a model, completely or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, lambda temporary: temporary.write_bytes(model.SerializeToString()))


def open_session(data: bytes, device: str, threads: int, where: str) -> ort.InferenceSession:
    """Open a model that was checked.

    Args:
        data: the bytes of the ONNX file.
        device: cpu, cuda, tensorrt, or auto: CUDA where it works, else the CPU.
        threads: of the CPU provider, 0 = one per core.
        where: name of the file in errors.

    Raises:
        NetvladError: the model does not load, or the device is unknown or fails.
    """
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
    ort.disable_telemetry_events()  # a robot sends no usage data
    options = ort.SessionOptions()
    options.log_severity_level = 3  # errors only; a fallback to the CPU is checked below
    options.intra_op_num_threads = threads
    # Idle threads that spin until the next image cost more CPU time than inference itself. Measured
    # at 13 Hz on two cores: 69 ms an image with spinning, 29 ms without, at the same latency.
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    providers = [PROVIDERS[asked]] + ([cpu] if asked != 'cpu' else [])
    try:
        session = within(
            load_budget_s(device),
            lambda: ort.InferenceSession(data, options, providers=providers),
            'opening it',
        )
    except Exception as error:  # onnxruntime raises a dozen unrelated types
        raise NetvladError(f'{where} does not load in onnxruntime: {error_line(error)}') from error
    if device != 'auto' and session.get_providers()[0] != PROVIDERS[device]:
        # onnxruntime itself only logs this and continues on the CPU, many times slower.
        raise NetvladError(
            f"device '{device}' was asked for, but onnxruntime fell back to "
            f'{session.get_providers()[0]}; check its CUDA libraries or choose device cpu'
        )
    return session


def error_line(error: Exception) -> str:
    """First line of what an exception says."""
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else repr(error)
