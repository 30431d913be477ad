"""The report's tables as Markdown and as LaTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable

from studies.report.cells import Cell, Table

_TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "—": "--",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def markdown_table(table: Table) -> str:
    """Return a table as GitHub's Markdown has it; what validation chose is bold."""
    head = [markdown_text(title.removeprefix("#")) for title in table.head]
    rules = ["---:" if title.startswith("#") else "---" for title in table.head]
    lines = [head, rules, *([_markdown_cell(cell) for cell in cells] for cells in table.rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _markdown_cell(cell: Cell) -> str:
    text = markdown_text(f"{cell.text} ({cell.tag})" if cell.tag else cell.text)
    return f"**{text}**" if cell.chosen and text else text


def markdown_text(text: str) -> str:
    """Return a text on one line with what Markdown takes for marks escaped."""
    return re.sub(r"([|<`*_\\[\]#])", r"\\\1", " ".join(text.split()))


def latex_table(table: Table) -> str:
    r"""Return a table for a paper; it needs ``\usepackage{booktabs}``. What validation chose is bold."""
    columns = "".join("r" if title.startswith("#") else "l" for title in table.head)
    body = "".join(_latex_line(map(_latex_cell, cells)) for cells in table.rows)
    return (
        f"\\begin{{table}}\n\\centering\n\\caption{{{latex_text(table.caption)}}}\n\\label{{tab:{table.name}}}\n"
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n"
        f"{_latex_line(latex_text(title.removeprefix('#')) for title in table.head)}\\midrule\n{body}"
        "\\bottomrule\n\\end{tabular}\n\\end{table}\n"
    )


def _latex_line(cells: Iterable[str]) -> str:
    return f"{' & '.join(cells)} \\\\\n"


def _latex_cell(cell: Cell) -> str:
    text = latex_text(f"{cell.text} ({cell.tag})" if cell.tag else cell.text)
    return f"\\textbf{{{text}}}" if cell.chosen and text else text


def latex_text(text: str) -> str:
    """Return a text with what LaTeX takes for commands escaped."""
    return "".join(_TEX.get(character, character) for character in " ".join(text.split()))
