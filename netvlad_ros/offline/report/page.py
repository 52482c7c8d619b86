"""One HTML page without anything outside it."""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.camera.image import to_jpeg
from netvlad_ros.offline.report.safe_text import plain

# A page that was tampered with still loads nothing and runs nothing.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --paper: #ffffff; --quiet: #5b6570;
  --line: #d8dde2; --raised: #f4f6f8; --link: #1d5fbf; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7ea; --paper: #15181b; --quiet: #9aa4ae;
  --line: #343a40; --raised: #1f2428; --link: #82b1ff; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem 1rem 4rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 1rem 0 .25rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .75rem; border-bottom: 1px solid var(--line);
  padding-bottom: .25rem; }
h3 { font-size: 1rem; margin: 1.25rem 0 .5rem; }
p { margin: .5rem 0; }
a { color: var(--link); }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none; padding: 0; }
.quiet { color: var(--quiet); font-size: .9rem; }
.tiles { display: grid; gap: .75rem;
  grid-template-columns: repeat(auto-fit, minmax(10.25rem, 1fr)); }
.tile { background: var(--raised); border: 1px solid var(--line); border-radius: .5rem;
  padding: .6rem .8rem; }
.tile b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
.tile .interval { display: block; font-size: .82rem; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
.notice { border-left: .3rem solid var(--bad); background: var(--raised); padding: .5rem .8rem;
  border-radius: .25rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .75rem .3rem 0; text-align: left;
  vertical-align: top; min-width: 5rem; max-width: 24rem; overflow-wrap: break-word; }
figure { margin: 0 0 1.25rem; }
figure img { display: block; max-width: 100%; height: auto; background: #fff;
  border: 1px solid var(--line); border-radius: .5rem; }
figcaption { color: var(--quiet); font-size: .85rem; margin-top: .25rem; }
.scroll img { min-width: 26rem; }
.triplet { border: 1px solid var(--line); border-radius: .5rem; background: var(--raised);
  padding: .75rem; margin: 0 0 1rem; }
.triplet h3 { margin-top: 0; }
.row { display: grid; gap: .75rem; grid-auto-flow: column; grid-auto-columns: minmax(0, 1fr); }
.row figure { margin: 0; }
.row img { width: 100%; max-width: 200px; }
.none { color: var(--quiet); border: 1px dashed var(--line); border-radius: .5rem; padding: 1rem;
  max-width: 200px; min-height: 5rem; font-size: .85rem; }
"""


class Page:
    """A page that is written section by section; each is named in the table of contents."""

    def __init__(self, title: str, subtitle: str) -> None:
        self._root = ET.Element('html', lang='en')
        head = ET.SubElement(self._root, 'head')
        ET.SubElement(head, 'meta', charset='utf-8')
        ET.SubElement(head, 'meta', {'http-equiv': 'Content-Security-Policy', 'content': _POLICY})
        ET.SubElement(head, 'meta', name='viewport', content='width=device-width, initial-scale=1')
        self._say(head, 'title', title)
        ET.SubElement(head, 'style').text = _STYLE
        body = ET.SubElement(self._root, 'body')
        self._say(body, 'h1', title)
        self._say(body, 'p', subtitle, 'quiet')
        contents = ET.SubElement(body, 'nav', {'aria-label': 'Contents'})
        self._contents = ET.SubElement(contents, 'ul')
        self._main = ET.SubElement(body, 'main')
        self._section = self._main

    def section(self, title: str) -> None:
        """Begin a section; what follows is in it."""
        name = re.sub(r'[^a-z0-9]+', '-', title.lower()).strip('-')
        self._say(ET.SubElement(self._contents, 'li'), 'a', title).set('href', f'#{name}')
        self._section = ET.SubElement(self._main, 'section', id=name)
        self._say(self._section, 'h2', title)

    def heading(self, title: str) -> None:
        """Begin a part of a section."""
        self._say(self._section, 'h3', title)

    def text(self, text: str) -> None:
        """Add a paragraph."""
        self._say(self._section, 'p', text)

    def quiet(self, text: str) -> None:
        """Add a paragraph of less weight."""
        self._say(self._section, 'p', text, 'quiet')

    def notice(self, text: str) -> None:
        """Add a paragraph that stands out."""
        self._say(self._section, 'p', text, 'notice')

    def tiles(
        self, metrics: Mapping[str, str], intervals: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Add the few metrics that matter most, by name, and small text under some of them."""
        grid = ET.SubElement(self._section, 'div', {'class': 'tiles'})
        for name, value in metrics.items():
            tile = ET.SubElement(grid, 'div', {'class': 'tile'})
            self._say(tile, 'b', value)
            if intervals.get(name):
                self._say(tile, 'span', intervals[name], 'interval')
            self._say(tile, 'span', name, 'quiet')

    def table(self, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Add a table; it scrolls by itself where the screen is narrow."""
        scroll = ET.SubElement(self._section, 'div', {'class': 'scroll', 'tabindex': '0'})
        table = ET.SubElement(scroll, 'table')
        line = ET.SubElement(ET.SubElement(table, 'thead'), 'tr')
        for title in header:
            self._say(line, 'th', title).set('scope', 'col')
        body = ET.SubElement(table, 'tbody')
        for row in rows:
            line = ET.SubElement(body, 'tr')
            for value in row:
                self._say(line, 'td', value)

    def picture(self, png: bytes, title: str) -> None:
        """Add a PNG with its title; it scrolls by itself where the screen is narrow."""
        figure = ET.SubElement(self._section, 'figure')
        plot = ET.SubElement(figure, 'div', {'class': 'scroll', 'tabindex': '0'})
        self._embed(plot, png, 'png', title)
        self._say(figure, 'figcaption', title)

    def triplet(
        self, title: str, words: str, pictures: Sequence[tuple[str, str, bytes | None]]
    ) -> None:
        """Add pictures side by side: what each one is, its name, and its JPEG or None."""
        box = ET.SubElement(self._section, 'div', {'class': 'triplet'})
        self._say(box, 'h3', title)
        row = ET.SubElement(box, 'div', {'class': 'row'})
        for what, name, jpeg in pictures:
            figure = ET.SubElement(row, 'figure')
            if jpeg is None:
                self._say(figure, 'div', 'no picture', 'none')
            else:
                self._embed(figure, jpeg, 'jpeg', what)
            self._say(figure, 'figcaption', f'{what}: {name}')
        self._say(box, 'p', words, 'quiet')

    def html(self) -> bytes:
        """Return the page as a file, UTF-8."""
        return b'<!DOCTYPE html>\n' + ET.tostring(self._root, encoding='utf-8', method='html')

    def _say(self, parent: ET.Element, tag: str, text: str, kind: str = '') -> ET.Element:
        element = ET.SubElement(parent, tag, {'class': kind} if kind else {})
        element.text = plain(text)
        return element

    def _embed(self, figure: ET.Element, data: bytes, kind: str, title: str) -> None:
        source = f'data:image/{kind};base64,{base64.b64encode(data).decode("ascii")}'
        ET.SubElement(figure, 'img', alt=title, src=source)


LONGEST_PX = 200
_QUALITY = 80


def thumbnail(rgb: NDArray[np.uint8]) -> bytes:
    """Shrink rgb, uint8 (H, W, 3) RGB, to LONGEST_PX at most on its longer side; JPEG."""
    height, width = rgb.shape[:2]
    scale = min(1.0, LONGEST_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return to_jpeg(rgb, _QUALITY, size)
