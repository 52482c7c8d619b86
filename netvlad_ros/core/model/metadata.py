"""ModelMetadata: the description of a model inside its bundle."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import astuple, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.model.local_outputs import LocalOutputs
from netvlad_ros.core.model.preprocessing import Preprocessing
from netvlad_ros.core.words import error_words

FORMAT_VERSION = 1
METADATA_KEY = 'netvlad'
MAX_DIM = 65536


@dataclass(frozen=True)
class SimilarityCalibration:
    """Probabilities of a model's cosine similarities, on images that it was not trained on.

    P(right place | similarity s) = 1 / (1 + exp(-slope (s - midpoint))), over all images. For two
    places that are similar to one image, the first is exp(rival_slope (s1 - s2)) times as probable
    as the second. rival_slope is the larger slope: blur and occlusion lower both similarities. Its
    default separates right from wrong best matches in rendered drives.

    Attributes:
        midpoint: cosine that is right half the time.
        slope: log odds per cosine, over all images.
        rival_slope: log odds per cosine, between two places for one image.
    """

    midpoint: float
    slope: float
    rival_slope: float = 40.0

    def log_odds(self, similarity: ArrayLike) -> NDArray[np.float64]:
        """Log odds of a right match for cosine similarities, any shape."""
        return self.slope * (np.asarray(similarity, dtype=np.float64) - self.midpoint)

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> SimilarityCalibration:
        """Read the metadata entry.

        Raises:
            KeyError, TypeError, ValueError: an entry is missing or wrong.
        """
        calibration = cls(
            float(raw['midpoint']),
            float(raw['slope']),
            float(raw.get('rival_slope', cls.rival_slope)),
        )
        if not -1 <= calibration.midpoint <= 1:
            raise ValueError('calibration: the midpoint lies in -1..1')
        if not all(0 < slope <= 1e4 for slope in (calibration.slope, calibration.rival_slope)):
            raise ValueError('calibration: the slopes lie in 0..10000')
        return calibration


@dataclass(frozen=True)
class ModelMetadata:
    """The JSON under the key `netvlad` of a bundle's metadata_props.

    Attributes:
        model_id: SHA-256, hex, see model_fingerprint.
        name: name of the model.
        dim: length of its descriptors.
        preprocessing: what is done to an image before the graph.
        input_name: of the graph.
        output_name: of the graph.
        backbone: name of the convolutional network.
        pooling: name of the layer that makes one vector of its features.
        whitening: name of the last layer, 'none' without one.
        licence: of the weights.
        training: how the model was trained, free form.
        calibration: probabilities of its similarities; None if they were not measured.
        local: outputs that answer local features; None if the model has none.
        format_version: of this JSON.
    """

    model_id: str
    name: str
    dim: int
    preprocessing: Preprocessing
    input_name: str
    output_name: str
    backbone: str
    pooling: str
    whitening: str
    licence: str
    training: dict[str, Any] = field(default_factory=dict)
    calibration: SimilarityCalibration | None = None
    local: LocalOutputs | None = None
    format_version: int = FORMAT_VERSION

    @property
    def settings_id(self) -> str:
        """SHA-256, hex, of the entries that decide an answer and that old model ids leave out."""
        calibration = None if self.calibration is None else astuple(self.calibration)
        settings = json.dumps([self.output_name, self.dim, calibration])
        return hashlib.sha256(settings.encode()).hexdigest()

    @classmethod
    def from_json(cls, text: str, where: str) -> ModelMetadata:
        """Read the metadata; `where` names the bundle in errors. Raises NetvladError."""
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise NetvladError(
                f'{where}: its netvlad metadata is not JSON: {error_words(error)}'
            ) from error
        if not isinstance(raw, dict):
            raise NetvladError(f'{where}: its netvlad metadata is no JSON object')
        version = raw.get('format_version')
        if version != FORMAT_VERSION:
            raise NetvladError(
                f'{where}: bundle format {version!r} is not the format {FORMAT_VERSION} that this '
                'version of netvlad_ros reads; export the model again'
            )
        try:
            return cls._from_dict(raw)
        except KeyError as error:
            raise NetvladError(f'{where}: its netvlad metadata lacks the entry {error}') from error
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise NetvladError(
                f'{where}: its netvlad metadata is malformed: {error_words(error)}'
            ) from error
        except NetvladError as error:
            raise NetvladError(f'{where}: {error}') from error

    @classmethod
    def _from_dict(cls, raw: dict[str, Any]) -> ModelMetadata:
        entry = raw['input']
        preprocessing = Preprocessing(
            height=int(entry['height']),
            width=int(entry['width']),
            resize=str(entry.get('resize', 'stretch')),
            multiple=int(entry.get('multiple', 16)),
            layout=str(entry['layout']),
            dtype=str(entry['dtype']),
            mean=_triple(entry.get('mean')),
            std=_triple(entry.get('std')),
        )
        calibration = None
        if raw.get('calibration') is not None:
            calibration = SimilarityCalibration.from_dict(raw['calibration'])
        dim = int(raw['dim'])
        if not 1 <= dim <= MAX_DIM:
            raise ValueError(f'dim {dim} is outside 1..{MAX_DIM}')
        if not re.fullmatch('[0-9a-f]{64}', str(raw['model_id'])):
            raise ValueError('model_id is no SHA-256 in hex')
        return cls(
            model_id=str(raw['model_id']),
            name=str(raw['name']),
            dim=dim,
            preprocessing=preprocessing,
            input_name=str(entry['name']),
            output_name=str(raw['output']['name']),
            backbone=str(raw.get('backbone', 'unknown')),
            pooling=str(raw.get('pooling', 'unknown')),
            whitening=str(raw.get('whitening', 'none')),
            licence=str(raw.get('licence', 'unknown')),
            training=dict(raw.get('training') or {}),
            calibration=calibration,
            local=None if raw.get('local') is None else LocalOutputs.from_dict(raw['local']),
        )


def _triple(values: Any) -> tuple[float, float, float] | None:
    if values is None:
        return None
    red, green, blue = (float(value) for value in values)
    return red, green, blue
