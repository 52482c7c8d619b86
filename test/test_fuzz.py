"""A short run of the fuzzing program, and its corpus."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parent.parent / 'scripts'


@pytest.fixture
def fuzzer(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import fuzz

    yield fuzz
    for name in ('fuzz', 'fuzz_messages'):
        sys.modules.pop(name, None)


def test_no_mutated_input_is_read_wrongly_and_a_run_goes_on(fuzzer, tmp_path):
    kinds = ['yaml', 'index', 'array', 'places', 'camera', 'poses', 'image', 'message']
    kinds += ['camera_info', 'model']
    counts, findings = fuzzer.fuzz(kinds, 1, 20, tmp_path)
    assert not findings
    assert sum(counts.values()) == 20 * len(kinds)
    counts, findings = fuzzer.fuzz(kinds[:2], 1, 22, tmp_path)
    assert not findings
    assert sum(counts.values()) == 2 * 2, 'the first twenty are done'


def test_the_corpus_is_refused(fuzzer):
    assert not fuzzer.replay_corpus()
    assert len(list(fuzzer.CORPUS.glob('*.bin'))) >= 10
