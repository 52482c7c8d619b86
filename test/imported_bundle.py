"""Public models become bundles: what the tests of all layouts share."""

from __future__ import annotations

import numpy as np
from torch.nn import functional as F  # noqa: N812

from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.model.preprocessing import Preprocessing
from netvlad_ros.offline.bundles.parity import stand_in_images
from netvlad_ros.training.importers.import_bundle import import_bundle

SIZE = (64, 96)
IMAGES = stand_in_images(Preprocessing(*SIZE))


def check(source, expected, tmp_path, **options):
    """The bundle of source answers as expected, and images do not all look alike to it."""
    out = tmp_path / 'imported.onnx'
    sentence = import_bundle(source, out, size=SIZE, **options)
    bundle = ModelBundle.load(out, device='cpu')
    expected = F.normalize(expected, dim=1).numpy()
    assert np.linalg.norm(expected[0] - expected[1]) > 0.02
    assert np.abs(bundle.describe_batch(IMAGES) - expected).max() < 1e-4
    assert bundle.metadata.dim == expected.shape[1]
    assert bundle.metadata.training['file'] == source.name
    return bundle.metadata, sentence
