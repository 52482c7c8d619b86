"""Checkpoints that are hostile, or none: one sentence, and nothing runs."""

from __future__ import annotations

import io
import os
import pickle
import zipfile

import pytest

torch = pytest.importorskip('torch')

from netvlad_ros.core.errors import NetvladError  # noqa: E402
from netvlad_ros.training.importers.import_bundle import import_bundle  # noqa: E402


class Attack:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f'touch {self.path}',)


@pytest.mark.parametrize('zipped', [True, False], ids=['zip', 'before torch 1.6'])
def test_code_in_a_checkpoint_does_not_run(tmp_path, zipped):
    trace, source = tmp_path / 'it_ran', tmp_path / 'best_model.pth'
    checkpoint = {'model_state_dict': {}, 'recalls': Attack(trace)}
    torch.save(checkpoint, source, _use_new_zipfile_serialization=zipped)
    with pytest.raises(NetvladError, match=r'asks for the code \w+.system.*not run') as caught:
        import_bundle(source, tmp_path / 'x.onnx')
    assert 'weights_only' not in str(caught.value)
    assert not trace.exists()


def test_files_that_are_no_checkpoints(tmp_path):
    source = tmp_path / 'best_model.pth'
    torch.save([1, 2], source)
    with pytest.raises(NetvladError, match='neither the layout of'):
        import_bundle(source, tmp_path / 'x.onnx')
    plain = source.read_bytes()
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(plain)) as old,
        zipfile.ZipFile(packed, 'w', zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    for content, words in (
        (plain[: len(plain) // 2], 'cut off or damaged'),
        (b'', 'cut off or damaged'),
        (os.urandom(1000), 'damaged'),
        (pickle.dumps(Attack(tmp_path / 'it_ran')), 'refused|damaged'),
        (packed.getvalue(), 'no compressed archives'),
    ):
        source.write_bytes(content)
        with pytest.raises(NetvladError, match=words):
            import_bundle(source, tmp_path / 'x.onnx')
    assert not (tmp_path / 'it_ran').exists()
    with pytest.raises(NetvladError, match='does not exist'):
        import_bundle(tmp_path / 'absent.pth', tmp_path / 'x.onnx')
