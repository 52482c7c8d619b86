"""MATLAB files: what SciPy writes is read back; what is damaged ends in a sentence, no crash."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.io import savemat

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.files.matlab_file import MAX_DEPTH, read_matlab


def cells(*values):
    column = np.empty((len(values), 1), dtype=object)
    column[:, 0] = values
    return column


def sample(rng):
    return {
        'doubles': rng.normal(size=(3, 2, 4)),
        'whole': np.array([[1.0, 2.0, 300.0]]),  # stored in fewer bytes than a double takes
        'singles': rng.normal(size=(5, 1)).astype(np.float32),
        'bytes': rng.integers(0, 255, (2, 3), dtype=np.uint8),
        'wide': np.array([[-(2**40), 2**50]], dtype=np.int64),
        'text': 'vgg16-netvlad',
        'umlaut': 'Zürich ☃',
        'nothing': np.empty((0, 0)),
        'list': cells('a.jpg', np.arange(3.0)[None], cells('deep')),
        'inner': {'weights': cells(np.eye(2, dtype=np.float32)), 'stride': 16.0},
        'layers': np.array([(1.0, 'x'), (2.0, 'y')], dtype=[('size', object), ('name', object)]),
    }


@pytest.mark.parametrize('compressed', [True, False])
def test_reads_what_scipy_writes(tmp_path, compressed):
    written = sample(np.random.default_rng(0))
    path = tmp_path / 'x.mat'
    savemat(path, {'other': 1.0, 'net': written}, do_compression=compressed)
    found = read_matlab(path, 'net')
    for name in ('doubles', 'whole', 'singles', 'bytes', 'wide', 'nothing'):
        np.testing.assert_array_equal(found[name], written[name])
        assert found[name].dtype == written[name].dtype
    assert found['text'] == 'vgg16-netvlad' and found['umlaut'] == 'Zürich ☃'
    assert found['list'].shape == (3, 1) and found['list'][0, 0] == 'a.jpg'
    np.testing.assert_array_equal(found['list'][1, 0], [[0.0, 1.0, 2.0]])
    assert found['list'][2, 0][0, 0] == 'deep'
    np.testing.assert_array_equal(found['inner']['weights'][0, 0], np.eye(2))
    assert [layer['name'] for layer in found['layers'].ravel()] == ['x', 'y']
    assert read_matlab(path, 'other') == 1.0
    with pytest.raises(NetvladError, match='holds no variable weights'):
        read_matlab(path, 'weights')


@pytest.mark.parametrize('compressed', [True, False])
def test_damaged_files_never_do_worse_than_a_sentence(tmp_path, compressed):
    rng = np.random.default_rng(1)
    path = tmp_path / 'x.mat'
    savemat(path, {'net': sample(rng)}, do_compression=compressed)
    good = path.read_bytes()
    refused = 0
    for trial in range(400):
        data = bytearray(good)
        for _ in range(rng.integers(1, 4)):
            data[rng.integers(124, len(data))] = rng.integers(256)
        path.write_bytes(bytes(data[: rng.integers(len(data))] if trial % 5 == 0 else data))
        try:
            read_matlab(path, 'net')
        except NetvladError:
            refused += 1
    assert refused > 100


def test_sizes_are_checked_before_memory_is_taken(tmp_path):
    path = tmp_path / 'x.mat'
    savemat(path, {'net': np.zeros(2**20)}, do_compression=True)
    assert path.stat().st_size < 2**15
    with pytest.raises(NetvladError, match='unpacks to more than is allowed'):
        read_matlab(path, 'net', max_bytes=2**20)
    savemat(path, {'net': np.zeros(2**17)})
    with pytest.raises(NetvladError, match='is larger than'):
        read_matlab(path, 'net', max_bytes=2**20)
    nested = 1.0
    for _ in range(MAX_DEPTH + 2):
        nested = cells(nested)
    savemat(path, {'net': nested})
    with pytest.raises(NetvladError, match='nested too deep'):
        read_matlab(path, 'net')
