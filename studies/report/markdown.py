"""The report as Markdown: what the page says, with pictures beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from studies.report.as_text import markdown_table, markdown_text
from studies.report.cells import Table
from studies.report.reproduce import Reproduction
from studies.report.summary import Summary


def markdown_report(
    title: str,
    summary: Summary,
    tables: Sequence[Table],
    figures: Sequence[tuple[str, str]],
    notes: Mapping[str, str],
    reproduction: Reproduction | None,
) -> str:
    """Return the document.

    Args:
        title: its heading.
        summary: what the study found, in words.
        tables: those that it shows, with their captions as headings.
        figures: name and caption of each, whose picture is ``plots/NAME.png``.
        notes: how the numbers were made, by heading.
        reproduction: what it takes to reproduce the study; None: that is not known.
    """
    parts = [f"# {markdown_text(title)}", *map(markdown_text, summary.paragraphs)]
    parts.append("\n".join(f"- {markdown_text(finding)}" for finding in summary.findings))
    parts += [_section(table.caption, markdown_table(table)) for table in tables if table.rows]
    parts += ["## Figures", *(f"![{name}](plots/{name}.png)\n\n{markdown_text(caption)}" for name, caption in figures)]
    parts.append(_section("How these numbers were made", _terms(notes)))
    if reproduction is not None:
        spec = f"```yaml\n{reproduction.spec}```"
        parts.append(
            _section("How to reproduce it", _terms(reproduction.terms), markdown_table(reproduction.data), spec)
        )
    return "\n\n".join(part.rstrip("\n") for part in parts if part) + "\n"


def _section(heading: str, *contents: str) -> str:
    return "\n\n".join([f"## {markdown_text(heading)}", *contents])


def _terms(notes: Mapping[str, str]) -> str:
    return "\n".join(f"- **{markdown_text(term)}**: {markdown_text(text)}" for term, text in notes.items())
