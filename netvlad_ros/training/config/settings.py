"""Settings: base class of configuration sections, which checks types, ranges and choices."""

from __future__ import annotations

import reprlib
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any, TypeVar

from netvlad_ros.core.errors import NetvladError

Section = TypeVar('Section', bound='Settings')


def setting(
    default: Any,
    description: str,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """A field of a Settings class. The default decides the type; low and high are allowed."""
    metadata = {'description': description, 'range': (low, high), 'choices': choices}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """Base of every section of a training configuration.

    Raises:
        NetvladError: a value has another type than its default, is outside its range or is none of
            its choices; the message names the setting.
    """

    def __post_init__(self) -> None:
        for item in fields(self):
            if item.default is not MISSING:
                object.__setattr__(self, item.name, _checked(item, getattr(self, item.name)))

    @classmethod
    def of(cls: type[Section], mapping: Any, where: str) -> Section:
        """From a mapping, as YAML gives it; `where` names it in errors; unknown keys are errors."""
        if not isinstance(mapping, dict):
            raise NetvladError(
                f'{where}: must be a mapping of settings, got {reprlib.repr(mapping)}'
            )
        known = [item.name for item in fields(cls)]
        for key in mapping:
            if key not in known:
                raise NetvladError(
                    f'{where}: unknown setting {reprlib.repr(key)}; known: {", ".join(known)}'
                )
        try:
            return cls(**mapping)
        except NetvladError as error:
            raise NetvladError(f'{where}: {error}') from error

    def to_dict(self) -> dict[str, Any]:
        """Plain values for YAML and JSON, which `of` reads back."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


def _checked(item: Any, value: Any) -> Any:
    kind = type(item.default)
    if kind is float and type(value) is int and abs(value) <= 2**53:
        value = float(value)
    elif kind is tuple and isinstance(value, list) and not any(map(_nests, value)):
        value = tuple(str(entry) for entry in value)
    if type(value) is not kind:
        raise NetvladError(
            f'setting {item.name} must be {kind.__name__}, got {reprlib.repr(value)}'
        )
    low, high = item.metadata['range']
    if low is not None and not low <= value <= high:
        raise NetvladError(f'setting {item.name} is {value}, outside {low} to {high}')
    choices = item.metadata['choices']
    if choices and value not in choices:
        raise NetvladError(f'setting {item.name} is {value!r}; choose one of {", ".join(choices)}')
    return value


def _nests(value: Any) -> bool:
    """Nested lists are refused: a kilobyte of YAML can hold lists whose text fills the memory."""
    return not isinstance(value, (str, int, float))
