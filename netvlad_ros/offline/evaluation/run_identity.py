"""RunIdentity: which map and model an evaluation ran with."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from netvlad_ros.core.localizer import Localizer


@dataclass(frozen=True)
class RunIdentity:
    """The map and the model of an evaluation.

    Attributes:
        calibrated: whether the map was calibrated.
        map_id: of the map.
        model_id: of the model.
        provider: what computed the descriptors.
    """

    calibrated: bool
    map_id: str
    model_id: str
    provider: str

    @classmethod
    def of(cls, localizer: Localizer) -> RunIdentity:
        """Name the map and model of a localizer."""
        place_map = localizer.place_map
        return cls(
            calibrated=place_map.calibration is not None,
            map_id=place_map.map_id,
            model_id=place_map.model_id,
            provider=localizer.bundle.provider,
        )

    def to_json(self) -> dict[str, Any]:
        """The fields as metrics.json has them."""
        return asdict(self)
