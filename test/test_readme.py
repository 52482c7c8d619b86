"""README.md and the pages with a template are what it makes of the kept metrics and the code."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_every_document_is_what_its_template_makes_of_the_kept_metrics(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / 'scripts')
    figures = importlib.import_module('figures')
    known = figures.measurements()
    for measurement in known.values():
        assert set(measurement.needs) <= set(known)
        if measurement.file.exists():
            kept = json.loads(measurement.file.read_text(encoding='utf-8'))
            assert kept['run'] == list(measurement.run), f'{measurement.file} is of other commands'
    written = figures.documents()
    assert {path.name for path in written} == {
        template.name.removesuffix('.j2') for template in (ROOT / 'docs').glob('*.md.j2')
    }
    for path, text in written.items():
        assert text == path.read_text(encoding='utf-8'), (
            f'{path.name}: edit docs/{path.name}.j2, then `make readme`'
        )
