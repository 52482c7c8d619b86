"""The documents: README, the pages below docs/, and the site that is built from them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import fields
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.ros.node_config import NodeConfig

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / 'docs'
# What a browser fetches when it opens a page; links that a reader has to click are not among it.
FETCHED = {
    ('script', 'src'),
    ('img', 'src'),
    ('iframe', 'src'),
    ('source', 'src'),
    ('link', 'href'),
}
NOT_FETCHED = {'canonical', 'next', 'prev', 'edit'}


class Requests(HTMLParser):
    """Collects the addresses that a page makes a browser fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == 'link' and given.get('rel') in NOT_FETCHED:
            return
        self.addresses += [given[name] or '' for of, name in FETCHED if of == tag and name in given]
        classes = (given.get('class') or '').split()
        assert 'mermaid' not in classes, 'the theme loads mermaid from another server'


def is_outside(address: str) -> bool:
    return re.match(r'([a-z]+:)?//', address.strip()) is not None


def table_rows(page: str, section: str = '') -> list[list[str]]:
    """The cells of every table row of a page below docs/, or of one section (its heading line)."""
    text = (DOCS / page).read_text(encoding='utf-8')
    if section:
        text = re.split(r'^#+ ', text.partition(f'\n{section}\n')[2], flags=re.MULTILINE)[0]
    lines = [line for line in text.splitlines() if line.startswith('|')]
    return [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]


def named(cell: str) -> str:
    return cell.strip('`')


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    """The folder of the site, built strictly."""
    pytest.importorskip('mkdocs', reason='mkdocs is not installed (extra dev)')
    pytest.importorskip('material', reason='mkdocs-material is not installed (extra dev)')
    folder = tmp_path_factory.mktemp('site')
    command = [sys.executable, '-m', 'mkdocs', 'build', '--strict', '--site-dir', str(folder)]
    environment = {**os.environ, 'NO_MKDOCS_2_WARNING': '1'}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_builds_and_holds_every_page_and_no_template(site):
    built = {path.stem for path in site.glob('*.html')} - {'404'}
    assert built == {path.stem for path in DOCS.glob('*.md')}
    assert not [path for path in site.rglob('*') if path.suffix in {'.j2', '.yaml'}]
    assert not (site / 'figures').exists()


def test_the_built_pages_request_nothing_from_outside(site):
    for path in site.rglob('*.html'):
        page = Requests()
        page.feed(path.read_text(encoding='utf-8'))
        assert page.addresses
        assert not [address for address in page.addresses if is_outside(address)], path.name
    for path in site.rglob('*.css'):
        text = path.read_text(encoding='utf-8')
        addresses = re.findall(r'url\(\s*["\']?([^"\')]+)|@import\s+["\']([^"\']+)', text)
        assert not [one or two for one, two in addresses if is_outside(one or two)], path.name


def test_the_readme_is_short_and_its_links_lead_somewhere():
    text = (ROOT / 'README.md').read_text(encoding='utf-8')
    assert len(text.splitlines()) <= 200
    targets = re.findall(r'\]\(([^)#]+)', text)
    local = [target for target in targets if not is_outside(target)]
    assert {f'docs/{path.name}' for path in DOCS.glob('*.md')} <= {*local, 'docs/index.md'}
    assert [target for target in local if not (ROOT / target).exists()] == []


def test_the_node_page_lists_every_parameter_with_its_default():
    rows = {named(row[0]): row for row in table_rows('node.md')}
    for entry in (*fields(NodeConfig), *fields(LocalizerConfig)):
        _, default, unit, _, may_change, meaning = rows[entry.name]
        assert (may_change == 'unconfigured') == entry.metadata.get('fixed', False), entry.name
        assert (unit, meaning) == (entry.metadata['unit'], entry.metadata['description'])
        if entry.name == 'T_base_cam':
            assert default == 'seven zeros'
        else:
            listed = isinstance(entry.default, tuple)
            assert yaml.safe_load(named(default)) == (
                list(entry.default) if listed else entry.default
            )
