"""The descriptor of a model bundle: this project's NetVLAD, or any other network in one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.offline.bundles.default_model import default_model
from netvlad_ros.offline.methods.method import MethodContext
from netvlad_ros.offline.methods.recipe import GlobalRecipe, Vector


class BundleDescriptor(GlobalRecipe):
    """What the robot itself computes (Arandjelovic et al., "NetVLAD", CVPR 2016, by default)."""

    def __init__(self, context: MethodContext) -> None:
        """Raises NetvladError if the bundle does not load."""
        self._bundle = ModelBundle.load(
            context.model or default_model(), device='cpu', threads=context.threads
        )
        self._cache = context.cache

    def describe(self, rgb: NDArray[np.uint8]) -> Vector:
        """Describe rgb, uint8 (H, W, 3), by a unit vector, float32 (D,)."""
        kind = f'descriptor {self._bundle.metadata.model_id}'
        (vector,) = self._cache.of(kind, rgb, lambda: (self._bundle.describe(rgb),))
        return vector
