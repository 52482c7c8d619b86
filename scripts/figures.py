#!/usr/bin/env python3
"""Measure every metric of the documents again, and write the documents.

    python scripts/figures.py                    # all of them; `make figures` does this
    python scripts/figures.py kitchen corridor   # only these, and what they need
    python scripts/figures.py --only kitchen     # what it needs is there from before
    python scripts/figures.py --resume           # go on: skip what this commit has measured already
    python scripts/figures.py --write            # measure nothing, only write the documents

docs/figures.yaml lists which commands give which metrics. docs/figures/NAME.json keeps what they
gave. The templates docs/*.md.j2 turn that into README.md and pages below docs/. The tables of the
node's parameters and launch arguments come from the code (node_tables.py). Commands run in the root
of the checkout, under bash, with $DATA (the real drives), $WORK (maps and the like, kept) and $JSON
(where the last of them writes its metrics). The last lines that they print are kept, too.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import node_tables
import yaml

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / 'docs'
MEASURED = DOCS / 'figures'
WORK = Path('runs/figures')
DATA = Path('../shared/data')
# Template below docs/ -> the document that is written from it.
DOCUMENTS = {
    'README.md.j2': ROOT / 'README.md',
    'results.md.j2': DOCS / 'results.md',
    'node.md.j2': DOCS / 'node.md',
    'getting_started.md.j2': DOCS / 'getting_started.md',
}
LONGEST = 32  # numbers of a list that is kept; longer ones are answers to single images
PRINTED = 24  # lines that are kept


class FiguresError(Exception):
    """An error that is printed as one sentence."""


@dataclass(frozen=True)
class Measurement:
    """Commands that give metrics.

    Attributes:
        name: the stem of the file with the metrics.
        run: the commands, in order.
        needs: measurements whose maps, drives or networks they use.
        drop: names of metrics of single images, which are not stored.
    """

    name: str
    run: tuple[str, ...]
    needs: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()

    @property
    def file(self) -> Path:
        """File of the metrics."""
        return MEASURED / f'{self.name}.json'

    def shown(self) -> str:
        """The commands as a user with the same files would type them."""
        text = '; '.join(
            command
            for command in self.run
            if not command.startswith(('cp ', 'rm ', 'ln ', 'mkdir '))
        )
        for unneeded in (
            ' --overwrite',
            ' --json > $JSON',
            ' > $JSON',
            ' --json $JSON',
            '$DATA/',
            '$WORK/',
        ):
            text = text.replace(unneeded, '')
        return text

    def measure(self) -> None:
        """Run the commands and store their metrics.

        Raises:
            FiguresError: a command failed.
        """
        (ROOT / WORK).mkdir(parents=True, exist_ok=True)
        fresh = ROOT / WORK / f'{self.name}.json'
        fresh.unlink(missing_ok=True)
        environment = {
            **os.environ,
            'PATH': f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}',
            'DATA': os.environ.get('NETVLAD_TEST_DATA', str(DATA)),
            'WORK': str(WORK),
            'JSON': str(WORK / fresh.name),
        }
        lines: list[str] = []
        started = time.monotonic()
        for command in self.run:
            print(f'$ {command}', flush=True)
            with subprocess.Popen(
                ['bash', '-euo', 'pipefail', '-c', command],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                text=True,
            ) as process:
                assert process.stdout is not None
                for line in process.stdout:
                    print(line, end='', flush=True)
                    lines.append(line.rstrip())
            if process.returncode:
                raise FiguresError(f'{self.name}: `{command}` ended with {process.returncode}')
        metrics = json.loads(fresh.read_text(encoding='utf-8')) if fresh.exists() else {}
        for name in self.drop:
            metrics.pop(name)
        kept = {
            'run': list(self.run),
            'commit': commit(),
            'date': datetime.date.today().isoformat(),
            'machine': machine(),
            'seconds': round(time.monotonic() - started, 1),
            'figures': pruned(metrics),
            'printed': lines[-PRINTED:],
        }
        MEASURED.mkdir(exist_ok=True)
        text = json.dumps(kept, indent=1, ensure_ascii=False) + '\n'
        text = text.replace(f'{ROOT}/', '')  # where the checkout lies is nobody's business
        self.file.write_text(text, encoding='utf-8')

    def done(self) -> bool:
        """Whether it was measured at this commit, with these commands."""
        if not self.file.exists():
            return False
        kept = json.loads(self.file.read_text(encoding='utf-8'))
        return kept['run'] == list(self.run) and kept['commit'] == commit()


def measurements() -> dict[str, Measurement]:
    """The measurements of docs/figures.yaml, in its order, by name."""
    listed = yaml.safe_load((DOCS / 'figures.yaml').read_text(encoding='utf-8'))
    return {
        name: Measurement(
            name, *(tuple(entry.get(field, ())) for field in ('run', 'needs', 'drop'))
        )
        for name, entry in listed.items()
    }


def chosen_from(
    known: dict[str, Measurement], names: list[str], *, needs: bool
) -> list[Measurement]:
    """The named measurements (none = all) and those that they need, in the order of the list."""
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise FiguresError(f'no such figures: {", ".join(unknown)}; there are {", ".join(known)}')
    wanted: set[str] = set()
    waiting = list(names or known)
    while waiting:
        name = waiting.pop()
        wanted.add(name)
        waiting += set(known[name].needs if needs else ()) - wanted
    return [measurement for name, measurement in known.items() if name in wanted]


def documents() -> dict[Path, str]:
    """The text of every document, from its template, the stored metrics and the code."""
    known = measurements()
    kept = {
        name: json.loads(measurement.file.read_text(encoding='utf-8'))
        for name, measurement in known.items()
        if measurement.file.exists()
    }
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        loader=jinja2.FileSystemLoader(DOCS),
    )
    environment.filters['to'] = lambda number, digits: f'{number:.{digits}f}'
    environment.filters['negated'] = negated
    environment.globals.update(
        {name: entry['figures'] for name, entry in kept.items()},
        command=lambda name: known[name].shown(),
        kept=kept,
        parameters=node_tables.parameters,
        launch_arguments=node_tables.launch_arguments,
    )
    written = {}
    for template, path in DOCUMENTS.items():
        try:
            written[path] = environment.get_template(template).render()
        except jinja2.TemplateError as error:
            line = f', line {error.lineno}' if isinstance(error, jinja2.TemplateSyntaxError) else ''
            raise FiguresError(f'docs/{template}{line}: {error.message}') from error
    return written


def negated(difference: str) -> str:
    """The opposite difference: '-0.008 [-0.027, +0.002]' gives '+0.008 [-0.002, +0.027]'."""
    digits = len(difference.split()[0].partition('.')[2])
    middle, low, high = (-float(number) for number in re.findall(r'[-+]?\d+\.\d+', difference))
    return f'{middle:+.{digits}f} [{high:+.{digits}f}, {low:+.{digits}f}]'


def pruned(value: Any) -> Any:
    """The value without long lists of numbers and names."""
    if isinstance(value, dict):
        return {name: pruned(inner) for name, inner in value.items() if not is_long(inner)}
    return [pruned(inner) for inner in value] if isinstance(value, list) else value


def is_long(value: Any) -> bool:
    """Whether a value is a list with an entry for every image."""
    return isinstance(value, list) and len(value) > LONGEST and not isinstance(value[0], dict)


def commit() -> str:
    """The commit that was measured: the last one that changed more than documents."""
    command = [
        'git',
        'log',
        '-1',
        '--format=%h',
        '--',
        '.',
        ':!docs',
        ':!README.md',
        ':!mkdocs.yml',
    ]
    return subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


def machine() -> str:
    """Processor and cores."""
    lines = Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines()
    names = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return f'{len(os.sched_getaffinity(0))} cores, {names[0] if names else platform.machine()}'


def main() -> None:
    """Measure, then write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('names', nargs='*', help='of figures; none = all')
    parser.add_argument('--only', action='store_true', help='not what the named ones need')
    parser.add_argument('--resume', action='store_true', help='skip what this commit has measured')
    parser.add_argument('--write', action='store_true', help='measure nothing')
    options = parser.parse_args()
    if not options.write:
        chosen = chosen_from(measurements(), options.names, needs=not options.only)
        for number, measurement in enumerate(chosen, 1):
            print(f'[{number}/{len(chosen)}] {measurement.name}', flush=True)
            if not (options.resume and measurement.done()):
                measurement.measure()
    for path, text in documents().items():
        path.write_text(text, encoding='utf-8')


if __name__ == '__main__':
    try:
        main()
    except FiguresError as error:
        sys.exit(f'figures: {error}')
    except KeyboardInterrupt:
        sys.exit('figures: stopped; --resume goes on')
