"""The settings of a training run, as one typed object."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.image import Preprocessing


def _setting(
    default: Any, description: str, low: float | None = None, high: float | None = None
) -> Any:
    return field(default=default, metadata={'description': description, 'range': (low, high)})


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a run; equal settings and images give an equal model.

    Raises:
        NetvladError: a value of another type than its default, or outside its range.
    """

    data: str = _setting('', 'folder of clips: frames.csv and the images that it names')
    weights: str = _setting('', 'safetensors state dict of the ImageNet backbone')
    out: str = _setting('runs', 'folder in which each run leaves a folder of its own')
    resume: bool = _setting(False, 'continue the latest run in out')
    name: str = _setting('mobilenetv2_netvlad_512', 'name of the exported bundle')
    data_name: str = _setting('', 'what the card and the metadata call the training images')
    data_licence: str = _setting('', 'licence of the training images')
    seed: int = _setting(0, 'decides every draw', 0, 2**31 - 1)
    threads: int = _setting(0, 'of torch on the CPU; 0 leaves it to torch', 0, 1024)

    backbone: str = _setting('mobilenet_v2', 'trunk, by torchvision name')
    clusters: int = _setting(64, 'K of NetVLAD', 2, 4096)
    dim: int = _setting(512, 'width of the whitened descriptor', 1, 65536)
    height: int = _setting(288, 'working size [px]', 32, 4096)
    width: int = _setting(384, 'working size [px]', 32, 4096)
    resize: str = _setting('stretch', 'stretch or keep_aspect')
    multiple: int = _setting(16, 'with keep_aspect, sides are multiples of this [px]', 1, 256)
    local_descriptors: int = _setting(100_000, 'sampled for k-means', 100, 10**8)
    shrinkage: float = _setting(0.25, 'of the whitening: 0 full, 1 only a rotation', 0.0, 1.0)

    positive_gap_min_s: float = _setting(1.0, 'shortest time from query to positive [s]', 0.0, 1e6)
    positive_gap_max_s: float = _setting(5.0, 'longest time from query to positive [s]', 0.0, 1e6)
    held_out_floors: tuple[str, ...] = _setting((), 'floors for validation and calibration only')
    negatives: int = _setting(6, 'hard negatives of each tuple', 1, 1000)
    pool: int = _setting(1000, 'frames drawn as candidates for negatives, each round', 1, 10**7)
    choice: int = _setting(4, 'queries tried for each tuple that is kept, the hardest', 1, 1000)
    augmentation: float = _setting(0.7, 'strength; 0 is off', 0.0, 1.0)

    steps: int = _setting(200, 'updates in all; 0 keeps the initialisation', 0, 10**8)
    round_steps: int = _setting(50, 'updates on one mined cache; a checkpoint each round', 1, 10**6)
    batch: int = _setting(4, 'tuples in one update', 1, 10**4)
    margin: float = _setting(0.1, 'of the loss, in squared distance', 0.0, 4.0)
    lr_backbone: float = _setting(1e-5, 'learning rate of the backbone (Adam)', 0.0, 1.0)
    lr_pooling: float = _setting(1e-4, 'learning rate of NetVLAD (Adam)', 0.0, 1.0)
    keep: float = _setting(
        1.0,
        'share of the learned change that is kept: initial + keep * (trained - initial)',
        0.0,
        1.0,
    )

    def __post_init__(self) -> None:
        for item in fields(self):
            value, kind = getattr(self, item.name), type(item.default)
            if kind is float and type(value) is int:
                value = float(value)
                object.__setattr__(self, item.name, value)
            elif kind is tuple and isinstance(value, list):
                object.__setattr__(self, item.name, tuple(str(entry) for entry in value))
            elif type(value) is not kind:
                raise NetvladError(
                    f'training setting {item.name} must be {kind.__name__}, got {value!r}'
                )
            low, high = item.metadata['range']
            if low is not None and not low <= value <= high:
                raise NetvladError(
                    f'training setting {item.name} is {value}, outside {low} to {high}'
                )
        if self.positive_gap_min_s > self.positive_gap_max_s:
            raise NetvladError('positive_gap_min_s is larger than positive_gap_max_s')
        self.preprocessing  # noqa: B018  (checks resize and size)

    @classmethod
    def load(cls, path: Path, **overrides: Any) -> TrainConfig:
        """Reads a YAML mapping; overrides that are not None win over the file.

        Raises:
            NetvladError: file unreadable, no mapping, or an unknown key.
        """
        try:
            settings = yaml.safe_load(path.read_text(encoding='utf-8'))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise NetvladError(f'{path}: cannot be read as training settings ({error})') from error
        if not isinstance(settings, dict):
            raise NetvladError(f'{path}: must be a mapping of training settings')
        return cls.of({**settings, **{k: v for k, v in overrides.items() if v is not None}}, path)

    @classmethod
    def of(cls, settings: dict[str, Any], source: Path) -> TrainConfig:
        """From a mapping; `source` names it in errors. Raises NetvladError on an unknown key."""
        unknown = sorted(set(map(str, settings)) - {item.name for item in fields(cls)})
        if unknown:
            raise NetvladError(f'{source}: unknown training setting {unknown[0]!r}')
        paths = ('data', 'weights', 'out')
        values: dict[str, Any] = {k: str(v) if k in paths else v for k, v in settings.items()}
        return cls(**values)

    def save(self, path: Path) -> None:
        """Writes every setting as YAML."""
        settings = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        path.write_text(yaml.safe_dump(settings, sort_keys=False), encoding='utf-8')

    def difference(self, other: TrainConfig) -> list[str]:
        """Names of settings that differ and that a resumed run may not change."""
        free = {'out', 'resume', 'threads', 'steps', 'keep', 'data', 'weights'}
        names = (item.name for item in fields(self) if item.name not in free)
        return [name for name in names if getattr(self, name) != getattr(other, name)]

    @property
    def preprocessing(self) -> Preprocessing:
        """What is done to an image before the network, in training and on the robot alike."""
        return Preprocessing(self.height, self.width, self.resize, self.multiple)

    @property
    def positive_gap_s(self) -> tuple[float, float]:
        """Shortest and longest time from query to positive [s]."""
        return self.positive_gap_min_s, self.positive_gap_max_s
