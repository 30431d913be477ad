"""Building blocks of a page that needs nothing beside itself: no network, light and dark, one script of its own.

Arguments are plain text, which is escaped here, except ``content``, ``summary`` and ``sections``: these are markup that
these functions made.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from html import escape
from importlib.resources import files

from studies.report.cells import Cell, Table
from studies.report.style import GRID, INK, MUTED

# A page from disk must fetch nothing and run nothing but its own script: the policy forbids the rest.
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
script-src 'sha256-{sha256}'">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1>{title}</h1>
{summary}
</header>
<main>
{sections}
</main>
<script>{script}</script>
</body>
</html>
"""

_TALL = 14
"""Rows above which a table scrolls within a box of its own."""


def page(title: str, summary: str, sections: Iterable[str]) -> str:
    """Return the whole document; ``summary`` is markup that these functions made."""
    script = _resource("script.js")
    sha256 = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return _PAGE.format(
        title=escape(title),
        summary=summary,
        sections="\n".join(sections),
        style=_resource("style.css"),
        script=script,
        sha256=sha256,
    )


def _resource(name: str) -> str:
    return files("studies.report").joinpath("page", name).read_text(encoding="utf-8")


def section(heading: str, content: str, note: str = "") -> str:
    """Return a part of the page with its heading, and a note before its content if there is one."""
    before = paragraph(note) if note else ""
    return f'<section id="{anchor(heading)}">\n<h2>{escape(heading)}</h2>\n{before}{content}\n</section>'


def anchor(heading: str) -> str:
    """Return the id of the section with a heading."""
    return "part-" + re.sub("[^a-z]+", "-", heading.lower()).strip("-")


def contents(headings: Iterable[str]) -> str:
    """Return links to the sections with these headings."""
    links = (f'<a href="#{anchor(heading)}">{escape(heading)}</a>' for heading in headings)
    return f'<nav aria-label="Contents">{"".join(links)}</nav>'


def subheading(text: str) -> str:
    """Return the heading of a part of a section."""
    return f"<h3>{escape(text)}</h3>\n"


def paragraph(text: str, kind: str = "muted") -> str:
    """Return a paragraph; of secondary text, unless ``kind`` names another CSS class or none."""
    return f"<p{_class(kind)}>{escape(text)}</p>"


def findings(items: Iterable[str]) -> str:
    """Return a list of sentences."""
    entries = "".join(f"<li>{escape(item)}</li>\n" for item in items)
    return f'<ul class="findings">\n{entries}</ul>' if entries else ""


def unfolding(title: str, text: str) -> str:
    """Return preformatted text below a title that shows and hides it."""
    return f"<details><summary>{escape(title)}</summary><pre>{escape(text)}</pre></details>"


def table_of(table: Table) -> str:
    """Return a table that scrolls by itself where the window is narrow."""
    rows = [_row([_cell_of(cell) for cell in cells]) for cells in table.rows]
    if table.total:
        rows[-1] = _row([_cell_of(cell) for cell in table.rows[-1]], "total")
    cells = "".join(
        f'<th scope="col"{_class("number" if text.startswith("#") else "")}>{escape(text.removeprefix("#"))}</th>'
        for text in table.head
    )
    tall = " tall" if len(rows) > _TALL else ""
    label = escape(table.caption)
    return (
        f'<div class="wide{tall}" tabindex="0" role="region" aria-label="{label}"><table class="sorts">\n'
        f"<thead><tr>{cells}</tr></thead>\n<tbody>\n{''.join(rows)}</tbody>\n</table></div>\n"
    )


def _row(cells: Iterable[str], kind: str = "") -> str:
    return f"<tr{_class(kind)}>{''.join(cells)}</tr>\n"


def _cell_of(cell: Cell) -> str:
    text = escape(cell.text)
    if cell.kind == "name":
        return f'<th scope="row">{text}</th>'
    if cell.kind == "code":
        return f'<td class="code"><code>{text}</code></td>'
    framed = f'<span class="tag">{escape(cell.tag)}</span>' if cell.tag else ""
    return f"<td{_class(f'{cell.kind} chosen'.strip() if cell.chosen else cell.kind)}>{text}{framed}</td>"


def terms(notes: Mapping[str, str]) -> str:
    """Return terms with what is to be said of each."""
    return "<dl>" + "".join(f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in notes.items()) + "</dl>"


def figure(svg: str, name: str, caption: str) -> str:
    """Return a figure of :mod:`studies.report.figures` as part of the page.

    Args:
        svg: the SVG document.
        name: goes before the ids inside the document, so that several figures fit into one page.
        caption: stands below the figure and is read out for it.

    The figure loses its fixed size and takes the page's colours and font.
    """
    body = re.sub(
        r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", svg[svg.index("<svg") :], flags=re.DOTALL
    )
    body = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", body)
    for colour, variable in ((INK, "--ink"), (MUTED, "--muted"), (GRID, "--line")):
        body = body.replace(colour, f"var({variable})")
    opening, rest = body.split(">", 1)
    opening = re.sub(r' (?:width|height)="[^"]*"', "", opening)
    body = f'{opening} role="img" aria-label="{escape(caption)}">{rest.strip()}'
    box = f'<div class="wide" tabindex="0" role="region" aria-label="Figure: {escape(name)}">{body}</div>'
    small = re.search(r'viewBox="0 0 [1-5]?[0-9]{1,2}[. ]', opening) is not None  # narrower than 600 points
    return f"<figure{_class('small' if small else '')}>{box}<figcaption>{escape(caption)}</figcaption></figure>\n"


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
