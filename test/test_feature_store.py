"""Features of a map on disk: read back unchanged, or refused."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import yaml

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.features.local_features import FeatureSpec
from netvlad_ros.core.place_map.array_file import map_array, write_array
from netvlad_ros.core.place_map.feature_store import FeatureStore
from netvlad_ros.core.place_map.map_files import read_index, write_index
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.core.place_map.records import map_index, map_rows
from netvlad_ros.core.place_map.storage import load_map, save_map

COUNTS = [3, 0, 7, 2, 8]  # an image of a blank wall has none
ARRAYS = ('offsets', 'keypoints', 'descriptors', 'landmark_of', 'points')


def store(rng, *, landmarks=4, spec=None, counts=COUNTS) -> FeatureStore:
    spec = spec or FeatureSpec.built_in('sift', max_keypoints=10)
    total = sum(counts)
    made = FeatureStore.create(
        spec,
        np.cumsum([0, *counts]),
        rng.uniform(0, 640, (total, 2)).astype(np.float32),
        rng.integers(0, 256, (total, spec.dim)).astype(spec.dtype),
    )
    if landmarks is None:
        return made
    of = rng.integers(-1, landmarks, total) if landmarks else np.full(total, -1)
    return made.with_landmarks(rng.normal(size=(landmarks, 3)), of)


def place_map(rng, features, camera=None) -> PlaceMap:
    n = len(COUNTS)
    rows = rng.normal(size=(n, 8))
    return PlaceMap.create(
        model_id='ab' * 32,
        frame_id='map',
        descriptors=rows / np.linalg.norm(rows, axis=1, keepdims=True),
        recordings=['drive'] * n,
        stamps_ns=np.arange(n),
        images=[f'{i}.png' for i in range(n)],
        T_map_cam=np.tile(np.eye(4), (n, 1, 1)),
        features=features,
        camera=camera,
    )


@pytest.fixture
def saved(tmp_path, rng) -> Path:
    camera = CameraModel.create(
        640, 480, [500, 0, 320, 0, 500, 240, 0, 0, 1], 'equidistant', [0] * 4
    )
    save_map(place_map(rng, store(rng), camera), tmp_path / 'map')
    return tmp_path / 'map'


@pytest.mark.parametrize('landmarks', [None, 0, 4])
@pytest.mark.parametrize(
    'spec',
    [FeatureSpec.built_in('orb', max_keypoints=8), FeatureSpec('onnx', 6, 8, 640, 'cd' * 32)],
)
def test_comes_back_as_it_was(tmp_path, rng, landmarks, spec):
    features = store(rng, landmarks=landmarks, spec=spec)
    before = save_map(place_map(rng, features), tmp_path / 'map')
    loaded = load_map(tmp_path / 'map')
    assert loaded.map_id == before.map_id
    for again in (before.features, loaded.features):
        assert (again.spec, len(again)) == (spec, 5)
        assert again.has_landmarks == (landmarks is not None)
        assert again.points.shape == (landmarks or 0, 3)
        for i, count in enumerate(COUNTS):
            found, known = again.features(i), features.features(i)
            assert found.descriptors.shape == (count, spec.dim)
            assert found.descriptors.dtype == spec.dtype
            np.testing.assert_array_equal(found.keypoints, known.keypoints)
            np.testing.assert_array_equal(found.descriptors, known.descriptors)
            np.testing.assert_array_equal(again.landmarks(i), features.landmarks(i))
    with pytest.raises(IndexError):
        loaded.features.features(5)


def test_a_map_may_be_written_over_the_one_that_it_was_read_from(saved):
    first = load_map(saved)
    rows = first.features.features(2).descriptors
    assert save_map(first, saved, overwrite=True).map_id == first.map_id
    again = load_map(saved)
    np.testing.assert_array_equal(again.features.features(2).descriptors, rows)
    assert again.camera.to_dict() == first.camera.to_dict()


def test_what_features_are_decides_the_identity_but_only_where_there_are_some(tmp_path, rng):
    bare = save_map(place_map(np.random.default_rng(1), None), tmp_path / 'bare')
    # The fingerprint of maps without features, computed independently.
    index, rows = map_index(bare), map_rows(bare)
    names = ('model_id', 'frame_id', 'base_frame', 'camera_frame', 'T_base_cam')
    table = json.dumps([[index[name] for name in names], [row[:-1] for row in rows]])
    descriptors = hashlib.sha256(bare.descriptors.tobytes()).hexdigest()
    assert bare.map_id == hashlib.sha256((descriptors + table).encode()).hexdigest()
    assert {'features', 'camera'} & set(read_index(tmp_path / 'bare', 'it')) == set()
    assert not (tmp_path / 'bare' / 'features').exists()
    ids = {
        save_map(place_map(np.random.default_rng(1), store(rng)), tmp_path / str(i)).map_id
        for i in range(3)
    }
    assert len(ids | {bare.map_id}) == 4


def test_arrays_larger_than_a_piece_are_hashed_whole(tmp_path, rng, monkeypatch):
    monkeypatch.setattr('netvlad_ros.core.place_map.array_file.PIECE_BYTES', 1000)
    array = rng.integers(0, 256, (777, 32)).astype(np.uint8)
    entry = write_array(tmp_path / 'a.npy', array)
    data = (tmp_path / 'a.npy').read_bytes()
    assert entry == {'bytes': len(data), 'sha256': hashlib.sha256(data).hexdigest()}
    np.testing.assert_array_equal(np.load(tmp_path / 'a.npy', allow_pickle=False), array)
    np.testing.assert_array_equal(map_array(tmp_path / 'a.npy', entry, 'u1', (777, 32), 'x'), array)


def change_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b'\0')


def replace_by_link(path: Path) -> None:
    path.rename(path.with_suffix('.other'))
    path.symlink_to(path.with_suffix('.other').name)


def lie_about_the_shape(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"'shape': (", b"'shape': (99999999999, ", 1))


DAMAGE = [change_byte, truncate, lengthen, Path.unlink, replace_by_link, lie_about_the_shape]


@pytest.mark.parametrize('array', ARRAYS)
@pytest.mark.parametrize('damage', DAMAGE, ids=lambda damage: damage.__name__)
def test_damaged_files_are_refused_in_one_sentence(saved, array, damage):
    damage(saved / 'features' / f'{array}.npy')
    with pytest.raises(
        NetvladError, match=rf'^map {saved}: {array}\.npy .*build .* again'
    ) as error:
        load_map(saved)
    assert '\n' not in str(error.value)


def test_a_folder_that_is_a_link_is_refused(saved, tmp_path):
    shutil.move(saved / 'features', tmp_path / 'elsewhere')
    (saved / 'features').symlink_to(tmp_path / 'elsewhere')
    with pytest.raises(NetvladError, match='no plain file'):
        load_map(saved)


def forge(directory: Path, name: str | None = None, array: object = None, **entry: object) -> None:
    """Change the files and renew the hashes."""
    index = read_index(directory, 'it')
    if name is not None:
        stream = io.BytesIO()
        np.save(stream, array, allow_pickle=True)
        (directory / 'features' / f'{name}.npy').write_bytes(stream.getvalue())
        index['files'][f'features/{name}.npy'] = {
            'bytes': len(stream.getvalue()),
            'sha256': hashlib.sha256(stream.getvalue()).hexdigest(),
        }
    index['features'].update(entry)
    write_index(directory, index)


@pytest.mark.parametrize(
    ('name', 'change', 'complaint'),
    [
        ('offsets', lambda a: a[[0, 1, 3, 2, 4, 5]], 'offsets do not lead'),
        ('offsets', lambda a: a + 1, 'offsets do not lead'),
        ('offsets', lambda a: a - 2**62, 'offsets do not lead'),
        ('offsets', lambda a: a * 2, 'offsets do not lead'),
        ('offsets', lambda a: np.array([0, 20, 20, 20, 20, 20]), 'more than 10 keypoints'),
        ('offsets', lambda a: a[:-1], 'no array of int64'),
        ('offsets', lambda a: a.astype(float), 'no array of int64'),
        ('offsets', lambda a: a.astype('>i8'), 'no array of int64'),
        ('keypoints', lambda a: a * np.nan, 'outside any image'),
        ('keypoints', lambda a: a * np.inf, 'outside any image'),
        ('keypoints', lambda a: a * 1e6, 'outside any image'),
        ('keypoints', np.asfortranarray, 'no array of float32'),
        ('descriptors', lambda a: a[:, :64], 'no array of uint8'),
        ('descriptors', lambda a: np.array([{}] * len(a)), 'no array of uint8'),
        ('landmark_of', lambda a: a + 3, 'landmark that does not exist'),
        ('landmark_of', lambda a: a - 1, 'landmark that does not exist'),
        ('points', lambda a: a * np.nan, 'no finite position'),
        ('points', lambda a: a + 1e200, 'no finite position'),
        ('points', lambda a: a[:1], 'no array of float64'),
    ],
)
def test_impossible_contents_are_refused_even_with_the_right_hash(saved, name, change, complaint):
    forge(saved, name, change(np.load(saved / 'features' / f'{name}.npy')))
    with pytest.raises(NetvladError, match=complaint):
        load_map(saved)


@pytest.mark.parametrize(
    ('entry', 'complaint'),
    [
        ({'keypoints': 10**15}, 'impossible number of features'),
        ({'keypoints': -1}, 'impossible number of features'),
        ({'keypoints': 2**31 - 1}, 'no array of float32'),
        ({'landmarks': 'many'}, 'impossible number of features'),
        ({'landmarks': 2**31 - 1}, 'no array of float64'),
        ({'landmarks': None}, 'not what its map id says'),
        ({'kind': 'surf'}, 'surf'),
        ({'dim': 10**9}, 'columns'),
        ({'max_keypoints': 10**9}, 'max_keypoints'),
        ({'max_side_px': 320}, 'not what its map id says'),
        ({'noted': date(2026, 1, 1)}, 'not what its map id says'),  # JSON knows no dates
    ],
)
def test_what_the_index_says_is_not_believed(saved, entry, complaint):
    forge(saved, **entry)
    with pytest.raises(NetvladError, match=complaint):
        load_map(saved)


@pytest.mark.parametrize(
    'changes',
    [
        {'features': []},
        {'features': 'sift'},
        {'camera': 7},
        {'camera': {'width': 640}},
        {'files': {'features/points.npy': 3}},
    ],
)
def test_malformed_entries(saved, changes):
    index = read_index(saved, 'it')
    files = {**index['files'], **changes.pop('files', {})}
    write_index(saved, {**index, **changes, 'files': files})
    with pytest.raises(NetvladError, match=f'^map {saved}'):
        load_map(saved)


def test_the_index_stays_readable(saved):
    index = yaml.safe_load((saved / 'map.yaml').read_text())
    assert index['format_version'] == 1
    assert (index['features']['kind'], index['features']['landmarks']) == ('sift', 4)
    assert index['camera']['distortion_model'] == 'equidistant'
    assert {name for name in index['files'] if '/' in name} == {
        f'features/{array}.npy' for array in ARRAYS
    }


def test_impossible_stores_are_not_made(rng):
    with pytest.raises(NetvladError, match='do not fit'):
        FeatureStore.create(
            FeatureSpec.built_in('sift'),
            np.array([0, 2]),
            np.zeros((2, 2), np.float32),
            np.zeros((2, 32), np.uint8),
        )
    with pytest.raises(NetvladError, match='does not exist'):
        store(rng, landmarks=None).with_landmarks(np.zeros((2, 3)), np.full(20, 2))
    with pytest.raises(NetvladError, match='features of 2 places, not of 5'):
        place_map(rng, store(rng, counts=[1, 2]))
