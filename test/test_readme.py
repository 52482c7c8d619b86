"""The README says what was measured: it is written from its template and the metrics kept."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_the_readme_is_what_its_template_and_the_measured_figures_make(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / 'scripts')
    metrics = importlib.import_module('figures')
    known = metrics.measurements()
    for measurement in known.values():
        assert set(measurement.needs) <= set(known)
        if measurement.file.exists():
            kept = json.loads(measurement.file.read_text(encoding='utf-8'))
            assert kept['run'] == list(measurement.run), f'{measurement.file} is of other commands'
    assert metrics.readme() == (ROOT / 'README.md').read_text(encoding='utf-8'), (
        'edit docs/README.md.j2, then `make readme`'
    )
