"""TrainConfig: all settings of a training run, as in train.yaml."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import yaml

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.files import read_plain
from netvlad_ros.training.config.backbones import LOCAL_BACKBONES
from netvlad_ros.training.config.network import NetworkConfig
from netvlad_ros.training.config.sections import (
    AugmentationConfig,
    LoopConfig,
    LossConfig,
    MiningConfig,
    SupervisionConfig,
)
from netvlad_ros.training.config.settings import Settings, setting
from netvlad_ros.training.config.source import Source

# Settings that a resumed run may change: they do not decide what a step does.
FREE = {'threads', 'loop.workers', 'loop.patience', 'loop.keep'}

MAX_FILE_BYTES = 2**20
# Errors of text that is no YAML. Impossible dates and numbers of 5000 digits give a ValueError.
NO_YAML = (yaml.YAMLError, ValueError, RecursionError)


@dataclass(frozen=True)
class TrainConfig(Settings):
    """All settings of a run; equal settings and images give an equal model.

    Raises:
        NetvladError: a value has another type than its default, or is outside its range.
    """

    name: str = setting('place_descriptor', 'of the exported bundle')
    seed: int = setting(0, 'decides every draw', 0, 2**31 - 1)
    threads: int = setting(0, 'of torch on the CPU; 0 leaves it to torch', 0, 1024)
    sources: tuple[Source, ...] = field(default_factory=tuple)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    supervision: SupervisionConfig = field(default_factory=SupervisionConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    mining: MiningConfig = field(default_factory=MiningConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not re.fullmatch(r'\w[\w.-]*', self.name):
            raise NetvladError(
                f'name {self.name!r} names files: use letters, digits, dots, - and _ alone'
            )
        trained = self.network.local_share > 0 or self.network.backbone in LOCAL_BACKBONES
        if self.loss.distillation and not trained:
            raise NetvladError(
                f'loss.distillation {self.loss.distillation:g} holds local features, and backbone '
                f'{self.network.backbone} trains none: set it to 0, choose one of '
                f'{", ".join(LOCAL_BACKBONES)}, or give a local_backbone a local_share'
            )

    @classmethod
    def of(cls, mapping: Any, where: str) -> TrainConfig:
        """From nested mappings; `where` names them in errors; unknown keys are errors."""
        if not isinstance(mapping, dict):
            raise NetvladError(
                f'{where}: must be a mapping of training settings, got {reprlib.repr(mapping)}'
            )
        values = dict(mapping)
        sources = values.get('sources', [])
        if not isinstance(sources, (list, tuple)):
            raise NetvladError(
                f'{where}, sources: must be a list of sources, got {reprlib.repr(sources)}'
            )
        values['sources'] = tuple(
            Source.of(entry, f'{where}, sources[{index}]') for index, entry in enumerate(sources)
        )
        for name, section in _SECTIONS.items():
            if name in values:
                values[name] = section.of(values[name], f'{where}, {name}')
        return super().of(values, where)

    @classmethod
    def load(cls, path: Path, changes: Iterable[str] = ()) -> TrainConfig:
        """Reads YAML, then applies changes, each 'section.key=value' with a YAML value.

        Raises:
            NetvladError: the file is unreadable or no mapping, a key is unknown, a value is wrong.
        """
        try:
            # Not parse_yaml: settings may have aliases, and what they expand to is checked by type.
            mapping = yaml.safe_load(read_plain(path, MAX_FILE_BYTES, str(path)).decode())
        except NO_YAML as error:
            reason = ' '.join(str(error).split())[:300]
            raise NetvladError(f'{path}: cannot be read as training settings ({reason})') from error
        return cls.of(mapping, str(path)).changed(changes)

    def changed(self, changes: Iterable[str]) -> TrainConfig:
        """These settings with changes, each 'section.key=value' with a YAML value."""
        mapping = self.to_dict()
        for change in changes:
            name, equals, text = change.partition('=')
            keys = name.strip().split('.')
            place: Any = mapping
            for key in keys[:-1]:
                place = place.get(key) if isinstance(place, dict) else None
            if not equals or not isinstance(place, dict):
                raise NetvladError(
                    f'--set {change}: write section.key=value, such as loop.steps=100'
                )
            try:
                place[keys[-1]] = yaml.safe_load(text)
            except NO_YAML as error:
                raise NetvladError(f'--set {change}: its value is no YAML') from error
        return type(self).of(mapping, '--set') if changes else self

    def with_sources(self, paths: Iterable[Path]) -> TrainConfig:
        """These settings with other sources, by path."""
        return replace(self, sources=tuple(Source(path=str(path)) for path in paths))

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values for YAML, which `of` reads back."""
        values: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name == 'sources':
                values[item.name] = [source.to_dict() for source in value]
            else:
                values[item.name] = value.to_dict() if isinstance(value, Settings) else value
        return values

    def to_yaml(self) -> str:
        """All settings as YAML, which `load` reads back."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True)

    def difference(self, other: TrainConfig) -> list[str]:
        """Names of different settings that a resumed run may not change."""
        free = FREE | ({'loop.steps'} if self.loop.schedule == 'constant' else set())
        ours, theirs = _flat(self.to_dict()), _flat(other.to_dict())
        return sorted(name for name in ours if name not in free and ours[name] != theirs.get(name))


_SECTIONS: dict[str, type[Settings]] = {
    'network': NetworkConfig,
    'supervision': SupervisionConfig,
    'augmentation': AugmentationConfig,
    'mining': MiningConfig,
    'loss': LossConfig,
    'loop': LoopConfig,
}


def _flat(mapping: dict[str, Any], prefix: str = '') -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in mapping.items():
        if isinstance(value, dict):
            flat |= _flat(value, f'{prefix}{key}.')
        else:
            flat[prefix + key] = value
    return flat
