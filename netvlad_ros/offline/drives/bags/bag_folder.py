"""BagFolder: a rosbag2 directory whose metadata are checked before rosbags reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.files import read_plain
from netvlad_ros.core.yaml_text import parse_yaml

METADATA_NAME = 'metadata.yaml'
INFORMATION = 'rosbag2_bagfile_information'
MAX_METADATA_BYTES = 2**20  # a thousand topics
MAX_PROFILES = 2**16  # characters of the QoS profiles of all publishers of a topic


class BagFolder:
    """Takes the place of a Path in rosbags' Reader.

    The Reader parses metadata.yaml in plain Python, 20 times slower than libyaml, with aliases and
    without a limit. Here libyaml reads it first, and the Reader gets it without the list of files,
    the longest entry of a long recording, which no reader here has a need of.
    """

    suffix = ''

    def __init__(self, path: Path) -> None:
        """Read the metadata.

        Args:
            path: the directory.

        Raises:
            NetvladError: metadata.yaml is no plain YAML of limited size, or a part of the bag is
                no plain file.
        """
        self._path = path
        where = f'bag {path}: {METADATA_NAME}'
        data = read_plain(path / METADATA_NAME, MAX_METADATA_BYTES, where)
        self._metadata = parse_yaml(
            data, where, most_bytes=MAX_METADATA_BYTES, most_letters=MAX_PROFILES
        )
        for part in path.iterdir():
            if part.exists() and not (part.is_file() or part.is_dir()):
                raise NetvladError(f'bag {path}: {part.name} is no plain file')

    def __str__(self) -> str:
        return str(self._path)

    def __truediv__(self, name: object) -> Any:
        return _Metadata(self._metadata) if str(name) == METADATA_NAME else self._path / str(name)

    def exists(self) -> bool:
        """Say whether the folder exists."""
        return self._path.exists()

    def is_dir(self) -> bool:
        """Say yes: this is a folder."""
        return True


class _Metadata:
    """metadata.yaml without its list of files."""

    def __init__(self, metadata: Any) -> None:
        self._metadata = metadata

    def exists(self) -> bool:
        return True

    def read_text(self) -> str:
        slim = self._metadata
        if isinstance(slim, dict) and isinstance(slim.get(INFORMATION), dict):
            entries = slim[INFORMATION].items()
            slim = {INFORMATION: {key: value for key, value in entries if key != 'files'}}
        return yaml.safe_dump(slim)
