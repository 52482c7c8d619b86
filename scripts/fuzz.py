"""Feeds readers with mutated files and messages; each must answer, or refuse in one sentence.

Input number n of a kind follows from the seed alone, so that a run goes on where it was stopped:

    python scripts/fuzz.py --runs 100000 --out fuzz_output
    python scripts/fuzz.py --kinds index poses --seed 7

A finding is saved with what happened: another exception than NetvladError, a message that is no
line of text, an input that takes longer than SLOW_S, or two readers that disagree.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

import cv2
import numpy as np
import yaml
from fuzz_messages import camera_info, image_message

from netvlad_ros.core.camera.camera_info import camera_model_of
from netvlad_ros.core.camera.image import decode_image
from netvlad_ros.core.camera.image_message import rgb_from_compressed, rgb_from_image
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.place_map.map_files import SEAL, sha256
from netvlad_ros.core.place_map.storage import load_map
from netvlad_ros.core.yaml_text import parse_yaml
from netvlad_ros.offline.drives.camera_file import read_camera
from netvlad_ros.offline.drives.poses_file import read_lines_of_poses, read_poses

ROOT = Path(__file__).resolve().parent.parent
WRITTEN = ROOT / 'test' / 'data' / 'written_before'
CORPUS = ROOT / 'test' / 'data' / 'hostile'
SLOW_S = 5.0  # of processor time
TOKENS = [
    *(b'&a ', b'*a', b'[', b'{', b']', b'}', b': ', b'- ', b'\n', b'"', b"'", b',', b'#', b'<<: '),
    *(b'!!binary ', b'!!set ', b'---\n', b'\t', b'\0', b'\xff\xfe', b'\x1b[2J', b'..', b'/', b'\\'),
    *(b'nan', b'.inf', b'1e308', b'-1', b'0', b'99999999999999999999', b'1:59:59', b'2026-13-45'),
    *(b'9' * 5000, b'1:' * 300, b'[' * 200, b'\xff\xda', b'IEND', b'true', b'null', b'0x', b'_'),
]


class Room:
    """Readers of every kind, and a folder for their files.

    Attributes:
        bases: sound inputs of each kind, which are mutated.
        readers: what reads an input of each kind.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._map = Path(shutil.copytree(WRITTEN / 'map_bare', folder / 'map'))
        rgb = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        body = (self._map / 'map.yaml').read_bytes().rpartition(SEAL.encode())[0]
        poses = (WRITTEN / 'queries' / 'poses.csv').read_bytes()
        camera = (WRITTEN / 'queries' / 'camera.yaml').read_bytes()
        jpeg, png = (cv2.imencode(kind, rgb)[1].tobytes() for kind in ('.jpg', '.png'))
        self._index = body
        self.bases: dict[str, list[bytes]] = {
            'yaml': [body, camera],
            'index': [body],
            'array': [(self._map / 'descriptors.npy').read_bytes()],
            'places': [(self._map / 'places.csv').read_bytes()],
            'camera': [camera],
            'poses': [poses, poses.replace(b'\n', b'\r\n')],
            'image': [jpeg, png],
            'model': [(WRITTEN / 'tiny.onnx').read_bytes()],
            'message': [b''],
            'camera_info': [b''],
        }
        self.readers: dict[str, Callable[[bytes, random.Random], object]] = {
            'yaml': lambda data, _: parse_yaml(data, 'it'),
            'index': self._read_index,
            'array': lambda data, _: self._read_part('descriptors.npy', data),
            'places': lambda data, _: self._read_part('places.csv', data),
            'camera': lambda data, _: read_camera(self._file('camera.yaml', data)).model(),
            'poses': self._read_poses,
            'image': self._read_image,
            'model': lambda data, _: ModelBundle.load(
                self._file('model.onnx', data), device='cpu', threads=1
            ),
            'message': lambda _, source: rgb_from_image(image_message(source), 10**6),
            'camera_info': lambda _, source: camera_model_of(camera_info(source)),
        }

    def _file(self, name: str, data: bytes) -> Path:
        path = self._folder / name
        path.write_bytes(data)
        return path

    def _seal(self, body: bytes) -> object:
        seal = f'{SEAL}{sha256(body)}\n'.encode()
        self._file('map/map.yaml', body + seal)
        return load_map(self._map)

    def _read_index(self, data: bytes, source: random.Random) -> object:
        return self._seal(data)

    def _read_part(self, name: str, data: bytes) -> object:
        """A file of the map, with its hash renewed, as an attacker would."""
        before = (self._map / name).read_bytes()
        index = yaml.safe_load(self._index)
        index['files'][name] = {'bytes': len(data), 'sha256': sha256(data)}
        self._file(f'map/{name}', data)
        try:
            return self._seal(yaml.safe_dump(index, sort_keys=False).encode())
        finally:
            self._file(f'map/{name}', before)

    def _read_poses(self, data: bytes, _: random.Random) -> object:
        """Column by column and line by line, which must agree."""
        path = self._file('poses.csv', data)
        found = []
        for read in (read_poses, read_lines_of_poses):
            try:
                table = read(path)
                found.append((table.images, table.stamps_ns.tolist(), table.T_map_cam.tolist()))
            except NetvladError as error:
                found.append(str(error))
        if found[0] != found[1]:
            raise AssertionError('columns and lines disagree')
        return found

    def _read_image(self, data: bytes, _: random.Random) -> object:
        rgb_from_compressed(SimpleNamespace(data=data, format='jpeg'), 10**6)
        return decode_image(data, 'it', 10**6)


def mutated(base: bytes, source: random.Random) -> bytes:
    """A copy of base with one to eight changes."""
    data = bytearray(base)
    for _ in range(source.choice((1, 1, 2, 4, 8))):
        at = source.randrange(len(data) + 1)
        length = source.choice((1, 1, 4, 16, 256))
        change = source.randrange(6)
        if change == 0 and at < len(data):
            data[at] ^= 1 << source.randrange(8)
        elif change == 1:
            data[at : at + length] = source.randbytes(length)
        elif change == 2:
            del data[at : at + length]
        elif change == 3:
            data[at:at] = data[at : at + length] * source.choice((1, 2, 50))
        elif change == 4:
            token = source.choice(TOKENS)
            data[at : at + (len(token) if source.random() < 0.5 else 0)] = token
        elif source.random() < 0.2:
            del data[at:]
    return bytes(data)


def run_one(room: Room, kind: str, data: bytes, source: random.Random) -> str:
    """What an input did: 'read', 'refused', or what is wrong about it."""
    start = time.process_time()
    signal.setitimer(signal.ITIMER_REAL, 20 * SLOW_S)
    try:
        room.readers[kind](data, source)
        outcome = 'read'
    except NetvladError as error:
        outcome = 'refused' if str(error).isprintable() else f'no line of text: {str(error)!r}'
    except Exception as error:
        outcome = f'{type(error).__name__}: {str(error)[:200]}'
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    spent_s = time.process_time() - start
    return f'{spent_s:.1f} s' if spent_s > SLOW_S else outcome


def fuzz(
    kinds: list[str], seed: int, runs: int, out: Path | None
) -> tuple[Counter[str], list[str]]:
    """Run inputs of each kind.

    Args:
        kinds: the kinds.
        seed: of all inputs.
        runs: inputs of each kind, those of earlier calls with this folder included.
        out: gets the findings and the numbers of inputs that are done; None: they are not kept.

    Returns:
        Counts by kind and outcome, and the findings in words.
    """
    state_file = None if out is None else out / f'seed_{seed}.json'
    state: dict[str, Any] = {}
    if state_file is not None and state_file.is_file():
        state = json.loads(state_file.read_text())
    counts: Counter[str] = Counter()
    findings: list[str] = []
    signal.signal(signal.SIGALRM, _too_long)
    with tempfile.TemporaryDirectory() as folder:
        room = Room(Path(folder))
        for kind in kinds:
            for number in range(state.get(kind, 0), runs):
                source = random.Random(f'{seed} {kind} {number}')
                data = mutated(source.choice(room.bases[kind]), source)
                outcome = run_one(room, kind, data, source)
                known = outcome in ('read', 'refused')
                counts[f'{kind}: {outcome if known else "wrong"}'] += 1
                if not known:
                    findings.append(f'{kind} {number}: {outcome}')
                if state_file is not None and out is not None:
                    if not known:
                        (out / f'{kind}_{seed}_{number}.bin').write_bytes(data)
                    if not known or number % 100 == 99 or number == runs - 1:
                        state_file.write_text(json.dumps({**state, kind: number + 1}))
                        state[kind] = number + 1
    return counts, findings


def replay_corpus() -> list[str]:
    """Read every file of the corpus, whose name begins with its kind; what is wrong, in words."""
    signal.signal(signal.SIGALRM, _too_long)
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        room = Room(Path(folder))
        for path in sorted(CORPUS.glob('*.bin')):
            kind = path.name.partition('-')[0]
            outcome = run_one(room, kind, path.read_bytes(), random.Random(0))
            if outcome != 'refused':
                wrong.append(f'{path.name}: {outcome}')
    return wrong


def _too_long(_: int, __: FrameType | None) -> None:
    raise TimeoutError(f'longer than {20 * SLOW_S:g} s')


def main() -> int:
    """Fuzz, print the counts and the findings; the exit code is 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    with tempfile.TemporaryDirectory() as folder:
        known = sorted(Room(Path(folder)).readers)
    parser.add_argument('--kinds', nargs='+', choices=known, default=known)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--runs', type=int, default=1000, help='inputs of each kind')
    parser.add_argument('--out', type=Path, help='folder of the findings; a second call goes on')
    options = parser.parse_args()
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
    counts, findings = fuzz(options.kinds, options.seed, options.runs, options.out)
    for name, count in sorted(counts.items()):
        print(f'{name:<24} {count}')
    findings += [f'corpus {entry}' for entry in replay_corpus()]
    for finding in findings:
        print(finding.encode('ascii', 'backslashreplace').decode())
    return 1 if findings else 0


if __name__ == '__main__':
    sys.exit(main())
