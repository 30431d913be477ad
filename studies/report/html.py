"""Building blocks of a page that needs nothing beside itself: no script, no network, light and dark.

Arguments are plain text, which is escaped here, except ``content``, ``cells``, ``rows`` and ``sections``: these are
markup that these functions made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import escape

from studies.report.style import GRID, INK, MUTED

# Both schemes reach a contrast of 4.5:1 or more for text. A page from disk must fetch nothing: the policy forbids it.
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root {{ --page: #ffffff; --soft: #f6f8fa; --ink: #1f2328; --muted: #59636e; --line: #d8dee4; --mark: #0969da; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --page: #0d1117; --soft: #151b23; --ink: #f0f6fc; --muted: #9198a1; --line: #3d444d; --mark: #4493f8; }}
}}
* {{ box-sizing: border-box; }}
body {{ margin: 0 auto; max-width: 68rem; padding: 2.5rem 1.25rem 4rem; background: var(--page); color: var(--ink);
  font: 0.95rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }}
h1 {{ font-size: 1.75rem; line-height: 1.2; margin: 0 0 0.4rem; overflow-wrap: anywhere; }}
h2 {{ font-size: 1.15rem; margin: 2.75rem 0 0.4rem; }}
p {{ margin: 0.4rem 0 0.8rem; max-width: 48rem; }}
.muted, figcaption, th {{ color: var(--muted); }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; min-width: min(100%, 42rem); font-variant-numeric: tabular-nums; }}
th {{ font-weight: 500; font-size: 0.8rem; text-align: left; }}
th, td {{ padding: 0.45rem 1.4rem 0.45rem 0; border-bottom: 1px solid var(--line); white-space: nowrap;
  vertical-align: baseline; }}
th:last-child, td:last-child {{ padding-right: 0; }}
tbody th {{ color: var(--ink); font-size: inherit; font-weight: 600; }}
td.number, th.number {{ text-align: right; }}
td.text {{ white-space: normal; overflow-wrap: anywhere; min-width: 12rem; }}
tr.total > * {{ border-bottom: 0; font-weight: 600; color: var(--ink); font-size: inherit; }}
.chosen {{ font-weight: 650; color: var(--mark); }}
.tag {{ display: inline-block; margin-left: 0.45rem; padding: 0 0.45rem; font-size: 0.75rem; color: var(--muted);
  border: 1px solid var(--line); border-radius: 1rem; background: var(--soft); }}
code {{ font: 0.85em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }}
figure {{ margin: 1.25rem 0 0; }}
figure svg {{ display: block; width: 100%; min-width: 44rem; height: auto; }}
figure svg * {{ stroke-linejoin: round; stroke-linecap: butt; }}
figure svg text {{ font-family: inherit !important; }}
figcaption {{ font-size: 0.85rem; margin-top: 0.3rem; }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: 0.35rem 1.5rem; margin: 0.6rem 0; }}
dt {{ color: var(--muted); }}
dd {{ margin: 0; max-width: 48rem; }}
@media (max-width: 40rem) {{ dl {{ grid-template-columns: 1fr; gap: 0; }} dd {{ margin-bottom: 0.7rem; }} }}
@media print {{ body {{ max-width: none; padding: 0; }} figure, tr {{ break-inside: avoid; }} }}
</style>
</head>
<body>
<header>
<h1>{title}</h1>
<p class="muted">{summary}</p>
</header>
<main>
{sections}
</main>
</body>
</html>
"""


def page(title: str, summary: str, sections: Iterable[str]) -> str:
    """Return the whole document."""
    return _PAGE.format(title=escape(title), summary=escape(summary), sections="\n".join(sections))


def section(heading: str, content: str, note: str = "") -> str:
    """Return a part of the page with its heading, and a note before its content if there is one."""
    return f"<section>\n<h2>{escape(heading)}</h2>\n{paragraph(note) if note else ''}{content}\n</section>"


def paragraph(text: str) -> str:
    """Return a paragraph of secondary text."""
    return f'<p class="muted">{escape(text)}</p>'


def table(head: Iterable[str], rows: Iterable[str]) -> str:
    """Return a table that scrolls by itself when the window is narrow; a heading ``#name`` stands over numbers."""
    cells = "".join(
        f'<th scope="col"{_class("number" if text.startswith("#") else "")}>{escape(text.removeprefix("#"))}</th>'
        for text in head
    )
    body = "".join(rows)
    return f'<div class="wide"><table>\n<thead><tr>{cells}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>\n'


def row(cells: Iterable[str], kind: str = "") -> str:
    """Return a table row; ``kind`` names CSS classes, e.g. ``"total"``."""
    return f"<tr{_class(kind)}>{''.join(cells)}</tr>\n"


def name_cell(text: str) -> str:
    """Return the cell that names its row."""
    return f'<th scope="row">{escape(text)}</th>'


def cell(text: str, kind: str = "", tag: str = "") -> str:
    """Return a cell; ``kind`` names CSS classes (``number``, ``chosen``), ``tag`` is a word set in a small frame."""
    framed = f'<span class="tag">{escape(tag)}</span>' if tag else ""
    return f"<td{_class(kind)}>{escape(text)}{framed}</td>"


def code_cell(text: str) -> str:
    """Return a cell of code, which may break over lines."""
    return f'<td class="text"><code>{escape(text)}</code></td>'


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
    return f'<figure><div class="wide">{body}</div><figcaption>{escape(caption)}</figcaption></figure>\n'


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
