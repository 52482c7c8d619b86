"""What the tests share: where the real data lies, and a DDS domain of their own."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / 'models' / 'mobilenetv2_edgepoint2_netvlad_2048.onnx'

# Before any rclpy import: the tests never talk to a robot on the network, nor to one another.
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
os.environ.setdefault('ROS_DOMAIN_ID', str(random.randint(1, 100)))

# Started in the background by a shell, the tests would inherit that Ctrl-C is ignored, and so would
# the processes that they interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope='session')
def shared_data() -> Path:
    """The folder of real drives beside the checkout; tests that need it skip where it is absent."""
    data = Path(os.environ.get('NETVLAD_TEST_DATA', ROOT.parent / 'shared' / 'data'))
    if not data.is_dir():
        pytest.skip(f'real drives not found at {data}; set NETVLAD_TEST_DATA')
    return data


@pytest.fixture(scope='session')
def shared_weights() -> Path:
    """ImageNet weights of the backbone; tests that need them skip where they are absent."""
    weights = (
        Path(os.environ.get('NETVLAD_TEST_WEIGHTS', ROOT.parent / 'shared' / 'weights'))
        / 'mobilenet_v2_imagenet.safetensors'
    )
    if not weights.is_file():
        pytest.skip(f'backbone weights not found at {weights}; set NETVLAD_TEST_WEIGHTS')
    return weights


@pytest.fixture(scope='session')
def model_path() -> Path:
    """The committed model bundle."""
    return MODEL


@pytest.fixture
def rng() -> np.random.Generator:
    """Draws the same numbers in every test."""
    return np.random.default_rng(0)


@pytest.fixture
def seeded_torch() -> Iterator[None]:
    """Weights that are drawn are the same in every test; one thread."""
    torch = pytest.importorskip('torch')
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def no_gradients() -> Iterator[None]:
    """Evaluation only."""
    with pytest.importorskip('torch').no_grad():
        yield


@pytest.fixture(scope='session')
def image_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Files of small pictures, in order."""
    pytest.importorskip('torch')
    from tiny_network import write_pictures

    return write_pictures(tmp_path_factory.mktemp('pictures'))
