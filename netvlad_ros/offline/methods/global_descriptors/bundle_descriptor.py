"""BundleDescriptor: the descriptor of a model bundle, NetVLAD or any other network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.offline.bundles.default_model import default_model
from netvlad_ros.offline.methods.method import MethodContext
from netvlad_ros.offline.methods.recipe import GlobalRecipe, Vector


class BundleDescriptor(GlobalRecipe):
    """The descriptor that the robot computes.

    Source: Arandjelovic et al., "NetVLAD", CVPR 2016, for the package's own bundle.
    """

    def __init__(self, context: MethodContext) -> None:
        """Load the bundle of a context.

        Raises:
            NetvladError: the bundle does not load.
        """
        self._bundle = ModelBundle.load(
            context.model or default_model(), device='cpu', threads=context.threads
        )
        self._cache = context.cache

    def describe(self, rgb: NDArray[np.uint8]) -> Vector:
        """Describe rgb, uint8 (H, W, 3), by a unit vector, float32 (D,)."""
        kind = f'descriptor {self._bundle.metadata.model_id}'
        (vector,) = self._cache.of(kind, rgb, lambda: (self._bundle.describe(rgb),))
        return vector
